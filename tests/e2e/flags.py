#!/usr/bin/env python3
"""The command line: what is wrong is said in the words of Prometheus, with exit code 2 (3: flags of the other mode); what is set and not
served is warned of; where the server listens and under which paths."""
import os
import struct
import subprocess
import sys
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, 'tools'), os.path.dirname(os.path.abspath(__file__))]
import tally
from server import EPIMETHEUS, LIMIT_S, ServerCase, field, snappy, varint

PARSING = 'Error parsing command line arguments: '
MESSAGE = 'prometheus.WriteRequest'
UNKNOWN_MESSAGE = 'unknown type for remote write protobuf message %s, supported: prometheus.WriteRequest, io.prometheus.write.v2.Request'
UNSERVED = '"this flag has no effect in this version" flag='


class Refusals(ServerCase):
    def test_refusals(self):
        for args, code, words in (
                ('--nope', 2, PARSING + "unknown long flag '--nope'"),
                ('--no-nope', 2, PARSING + "unknown long flag '--no-nope'"),
                ('extra', 2, PARSING + 'unexpected extra'),
                ('--config.file', 2, PARSING + "expected argument for flag '--config.file'"),
                ('--web.enable-lifecycle=maybe', 2, PARSING + 'unexpected maybe'),
                ('--query.timeout=1', 2, PARSING + 'not a valid duration string: "1"'),
                ('--query.max-concurrency=x', 2, PARSING + 'strconv.ParseFloat: parsing "x": invalid syntax'),
                ('--query.max-concurrency=0', 2, PARSING + '--query.max-concurrency must be between 1 and 10000'),
                ('--log.level=loud', 2, PARSING + 'unrecognized log level loud'),
                ('--log.format=xml', 2, PARSING + 'unrecognized log format xml'),
                ('--storage.tsdb.retention.time=1', 2, PARSING + 'not a valid duration string: "1"'),
                ('--storage.tsdb.retention.size=1', 2, PARSING + 'units: unknown unit  in 1'),
                ('--storage.tsdb.wal-segment-size=1MB', 2, PARSING + "flag 'storage.tsdb.wal-segment-size' must be set between 10MB and 256MB"),
                ('--storage.tsdb.max-block-chunk-segment-size=1023KB', 2,
                 PARSING + "flag 'storage.tsdb.max-block-chunk-segment-size' must be set over 1MB"),
                ('--web.remote-write-receiver.accepted-protobuf-messages=x', 2, PARSING + UNKNOWN_MESSAGE % 'x'),
                ('--web.remote-write-receiver.accepted-protobuf-messages=%s --web.remote-write-receiver.accepted-protobuf-messages=%s' % (MESSAGE, MESSAGE), 2,
                 PARSING + 'duplicated %s flag value, got [%s] already' % (MESSAGE, MESSAGE)),
                ('--web.listen-address=x', 2, 'parse external URL "": address x: missing port in address'),
                ('--web.external-url="http://x"', 2, 'parse external URL "\\"http://x\\"": URL must not begin or end with quotes'),
                ('--web.external-url=http://x/%zz', 2, 'parse external URL "http://x/%zz": parse "http://x/%zz": invalid URL escape "%zz"'),
                ('--web.external-url=http://[::1', 2, 'parse external URL "http://[::1": parse "http://[::1": missing \']\' in host'),
                ('--web.external-url=://x', 2, 'parse external URL "://x": parse "://x": missing protocol scheme'),
                ('--web.cors.origin=(', 2, 'could not compile CORS regex string "(": error parsing regexp: missing closing ): `^(?s:()$`'),
                ('--auto-gomemlimit.ratio=2', 2, '--auto-gomemlimit.ratio must be greater than 0 and less than or equal to 1.'),
                ('--storage.agent.path=x', 3, 'The following flag(s) can only be used in agent mode: ["--storage.agent.path"]'),
                ('--agent --query.timeout=1m --storage.tsdb.path=x', 3,
                 'The following flag(s) can not be used in agent mode: ["--storage.tsdb.path" "--query.timeout"]')):
            with self.subTest(args=args):
                r = subprocess.run([EPIMETHEUS] + args.split(' '), cwd=self.dir, capture_output=True, text=True, timeout=LIMIT_S)
                self.assertEqual((r.returncode, r.stderr), (code, words + '\n'))

    def test_levels_in_any_case(self):
        r = subprocess.run([EPIMETHEUS, '--log.level=ERROR', '--config.file=none.yml'], cwd=self.dir, capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual((r.returncode, r.stderr.count('\n')), (2, 1))
        self.assertIn('level=ERROR', r.stderr)

    def test_what_fails_later(self):
        self.config('{}\n')
        for args, words in (('--web.listen-address=127.0.0.1:99999', 'listen tcp: address 99999: invalid port'),
                            ('--web.listen-address=127.0.0.1:0 --web.listen-address=none', 'address none: missing port in address')):
            r = subprocess.run([EPIMETHEUS, '--config.file=prometheus.yml'] + args.split(), cwd=self.dir, capture_output=True, text=True, timeout=LIMIT_S)
            self.assertEqual(r.returncode, 1)
            self.assertIn(words, r.stdout + r.stderr)


class Served(ServerCase):
    def begin(self, *flags):
        self.flags = list(flags)
        self.config('{}\n')
        self.start()

    def test_warnings(self):
        self.begin('--web.enable-otlp-receiver', '--web.user-assets=x', '--storage.tsdb.retention.size=1GB', '--storage.tsdb.retention.time=3d',
                   '--rules.max-concurrent-evals=7', '--enable-feature=st-synthesis,none,auto-reload-config,native-histograms', '--query.lookback-delta=0s')
        said = self.said()
        for flag in ('web.enable-otlp-receiver', 'web.user-assets', 'rules.max-concurrent-evals'):
            self.assertEqual(said.count(UNSERVED + flag + '\n'), 1, said)
        self.assertEqual(said.count(UNSERVED), 3)
        self.assertEqual(said.count('option=st-synthesis'), 1)
        self.assertEqual(said.count('msg="Unknown option for --enable-feature" option=none'), 1)
        self.assertEqual(said.count('This option for --enable-feature is '), 2, said)
        self.assertTrue(self.get('/api/v1/features')['prometheus']['auto_reload_config'])
        self.assertEqual(self.get('/api/v1/status/runtimeinfo')['storageRetention'], '3d or 1GiB')
        flags = self.get('/api/v1/status/flags')
        self.assertEqual((flags['storage.tsdb.retention.time'], flags['storage.tsdb.retention.size'], flags['query.max-samples']), ('3d', '1GiB', '50000000'))

    def test_retention_by_default(self):
        self.begin()
        self.assertEqual(self.get('/api/v1/status/runtimeinfo')['storageRetention'], '15d')
        self.assertNotIn(UNSERVED, self.said())
        flags = self.get('/api/v1/status/flags')
        self.assertEqual([flags[f] for f in ('storage.tsdb.retention.time', 'storage.tsdb.retention.size', 'storage.tsdb.max-block-duration', 'web.route-prefix')],
                         ['15d', '0B', '1d12h', '/'])

    def test_samples_per_chunk_of_any_size(self):
        for asked, used in (('240', '128'), ('1', '4'), ('120', ''), ('0', ''), ('-1', '')):
            with self.subTest(asked=asked):
                self.begin('--storage.tsdb.samples-per-chunk=' + asked)
                self.assertEqual('asked=%s used=%s' % (asked, used) in self.said(), bool(used))
                self.end()

    def test_chunk_encodings_that_the_features_do_not_allow(self):
        for flag, floats in (('--enable-feature=exemplar-storage', 'xor2'), ('--enable-feature=st-storage,xor2-encoding', 'xor')):
            with self.subTest(floats=floats):
                self.begin(flag)
                self.config('storage: {tsdb: {chunk_encoding: {floats: %s}}}\n' % floats)
                status, _, body = self.ask('POST', '/-/reload')
                self.assertEqual(status, 500)
                self.assertIn("'storage.tsdb.chunk_encoding.floats: %s'" % floats, body.decode())
                self.end()
                self.refuses("'storage.tsdb.chunk_encoding.floats: %s'" % floats)

    def exemplars(self, size):
        """How many of three are there with a configuration of that size."""
        now = int(time.time() * 1000)
        label = field(1, b'__name__') + field(2, b'm')
        value = b'\x09' + struct.pack('<d', 1)
        series = field(1, label) + field(2, value + b'\x10' + varint(now))
        for i in range(3):
            series += field(3, field(1, field(1, b'x') + field(2, b'%d' % (size * 10 + i))) + b'\x11' + value[1:] + b'\x18' + varint(now + i))
        self.assertEqual(self.write(None, body=snappy(field(1, series)))[0], 204)
        found = self.get('/api/v1/query_exemplars?query=m&start=%d&end=%d' % (now // 1000 - 60, now // 1000 + 60))
        return sum(len(s['exemplars']) for s in found)

    def test_exemplars_need_their_feature_and_come_with_a_reload(self):
        for flags, kept in (([], [0, 0, 0]), (['--enable-feature=exemplar-storage'], [0, 2, 0])):
            with self.subTest(flags=flags):
                self.config('storage: {exemplars: {max_exemplars: 0}}\n')
                self.flags = flags
                self.start()
                for size, n in zip((0, 2, 0), kept):
                    self.config('storage: {exemplars: {max_exemplars: %d}}\n' % size)
                    self.assertEqual(self.ask('POST', '/-/reload')[0], 200)
                    self.assertEqual(self.exemplars(size), n)
                self.end()

    def test_several_addresses(self):
        other = tally.free_port()
        self.begin('--web.listen-address=127.0.0.1:%d' % other)
        first, self.port = self.port, other
        self.assertEqual(self.query('1', 1), [1, '1'])
        self.port = first

    def test_external_url_is_the_prefix(self):
        self.ready = lambda: 'Server is ready' in self.said()
        self.begin('--web.external-url=http://x.example/pro/')
        self.assertEqual(self.ask('GET', '/pro/-/ready')[0], 200)
        self.assertEqual(self.ask('GET', '/-/ready')[0], 404)
        self.assertEqual(self.ask('GET', '/')[1]['Location'], '/pro')
        self.assertEqual(self.ask('GET', '/pro/')[1]['Location'], '/pro/query')
        self.assertEqual(self.ask('GET', '/pro/api/v1/query?query=1')[0], 200)

    def test_route_prefix_wins(self):
        self.begin('--web.external-url=http://x.example/pro', '--web.route-prefix=/')
        self.assertEqual(self.ask('GET', '/')[1]['Location'], '/pro/query')
        self.assertEqual(self.ask('GET', '/api/v1/query?query=1')[0], 200)

    def test_origins(self):
        self.begin('--web.cors.origin=https?://(a|b)\\.example')
        for origin, allowed in (('http://a.example', True), ('https://b.example', True), ('http://c.example', False), ('http://a.example.org', False)):
            headers = self.ask('GET', '/api/v1/query?query=1', headers={'Origin': origin})[1]
            self.assertEqual(headers.get('Access-Control-Allow-Origin'), origin if allowed else None)

    def test_connections(self):
        """Beyond the limit nobody is answered until somebody leaves."""
        import http.client
        self.begin('--web.max-connections=2')
        kept = []
        for _ in range(2):
            c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=LIMIT_S)
            c.request('GET', '/-/healthy')
            self.assertEqual(c.getresponse().read(), b'Prometheus Server is Healthy.\n')
            kept.append(c)
        late = http.client.HTTPConnection('127.0.0.1', self.port, timeout=0.5)
        with self.assertRaises((OSError, http.client.HTTPException)):
            late.request('GET', '/-/healthy')
            late.getresponse()
        late.close()
        for c in kept:
            c.close()
        self.wait('room', self.ready)

    def test_a_reader_that_idles(self):
        import http.client
        self.begin('--web.read-timeout=1s')
        c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=LIMIT_S)
        c.connect()
        c.sock.sendall(b'POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nque')
        self.assertEqual(c.sock.recv(1), b'')
        c.close()


if __name__ == '__main__':
    tally.unittest_main()
