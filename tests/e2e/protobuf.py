#!/usr/bin/env python3
"""Protobuf pages: what a target is asked for, native histograms with their exemplars and start timestamps from the page to the query, what the
switches of a job make of them, and Debian's node_exporter, whose protobuf page and text page have to give the same series."""
import http.server
import os
import shutil
import struct
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server import TOP, ServerCase, field, tally, varint

PROTO = 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited'
FIRST = ('application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,'
         'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,'
         'text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1')


def number(n, v):
    return varint(n << 3) + varint(v & (1 << 64) - 1)


def double(n, v):
    return varint(n << 3 | 1) + struct.pack('<d', v)


def sint(v):
    return (v << 1) ^ (v >> 63)


def label(name, value):
    return field(1, name.encode()) + field(2, value.encode())


def instant(seconds):
    return number(1, int(seconds)) + number(2, int(seconds % 1 * 1e9))


def family(name, kind, *metrics, unit=''):
    m = field(1, name.encode()) + field(2, b'words') + number(3, kind) + b''.join(field(4, x) for x in metrics)
    if unit:
        m += field(5, unit.encode())
    return varint(len(m)) + m


def counter(value, **labels):
    return b''.join(field(1, label(k, v)) for k, v in labels.items()) + field(3, double(1, value) + field(3, instant(1000.5)))


def histogram(counts, total, **labels):
    """Buckets 1, 2, ... of schema 1, two classic ones, an exemplar, a start timestamp."""
    h = number(1, sum(counts)) + double(2, total) + number(5, sint(1)) + field(12, number(1, sint(1)) + number(2, len(counts)))
    h += b''.join(number(13, sint(c - b)) for b, c in zip([0] + counts, counts))
    h += field(3, number(1, 1) + double(2, 1.0)) + field(15, instant(1000.5))
    h += field(16, field(1, label('trace', 'abc')) + double(2, 1.5) + field(3, instant(1700000000)))
    return b''.join(field(1, label(k, v)) for k, v in labels.items()) + field(7, h)


class Protobuf(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        self.server.accepts.append(self.headers['Accept'])
        n = self.server.scrapes = self.server.scrapes + 1
        body = self.server.page(n)
        self.send_response(200)
        self.send_header('Content-Type', PROTO)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def page(n):
    return (family('c_total', 0, counter(n, x='1'), counter(2 * n, x='2'), unit='things') + family('h', 4, histogram([n, 2 * n, 0, 1], 1.5 * n, x='1')) +
            family('späti', 1, field(2, double(1, 7))))


class ProtobufPages(ServerCase):
    def setUp(self):
        super().setUp()
        self.pb = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Protobuf)
        self.pb.daemon_threads, self.pb.accepts, self.pb.scrapes, self.pb.page = True, [], 0, page
        threading.Thread(target=self.pb.serve_forever, daemon=True).start()
        self.addCleanup(self.pb.server_close)
        self.addCleanup(self.pb.shutdown)

    def job(self, more=''):
        return '{job_name: j, static_configs: [{targets: ["127.0.0.1:%d"]}]%s}' % (self.pb.server_address[1], more and ', ' + more)

    def names(self):
        return set(self.get('/api/v1/label/__name__/values'))

    def last(self, query):
        rows = self.query(query)
        return rows[0] if rows else None

    def test_native_histograms(self):
        self.scraping(self.job('scrape_native_histograms: true'))
        self.start()
        self.wait('a histogram', lambda: self.last('histogram_count(h) > 0'))
        self.assertEqual(self.pb.accepts[0], FIRST)
        h = self.last('h')['histogram'][1]
        n = (int(h['count']) - 1) // 3
        self.assertEqual(float(h['sum']), 1.5 * n)
        self.assertEqual([int(b[3]) for b in h['buckets']], [n, 2 * n, 1])
        self.assertTrue({'c_total', 'h', 'späti', 'up'} <= self.names())
        self.assertFalse({'h_bucket', 'h_count', 'h_sum'} & self.names())
        self.assertEqual(float(self.last('{"späti"}')['value'][1]), 7)
        self.assertEqual(self.get('/api/v1/metadata?metric=h')['h'], [{'type': 'histogram', 'help': 'words', 'unit': ''}])
        self.pb.page = lambda n: family('c_total', 0, counter(n, x='1'))
        self.wait('it is stale', lambda: not self.query('h'))
        self.assertTrue(self.query('c_total{x="1"}'))

    def test_switches(self):
        self.scraping(self.job('scrape_protocols: [PrometheusProto]'))
        self.start()
        self.wait('classic', lambda: 'h_bucket' in self.names())
        self.assertNotIn('h', self.names())
        self.assertEqual(self.pb.accepts[0].split(';q=')[0], PROTO.replace('; ', ';'))
        self.scraping(self.job('scrape_native_histograms: true, always_scrape_classic_histograms: true'))
        self.assertEqual(self.ask('POST', '/-/reload')[0], 200)
        self.wait('both', lambda: 'h' in self.names())
        self.assertTrue(self.query('h_count'))

    def test_converted(self):
        self.scraping(self.job('scrape_protocols: [PrometheusProto], convert_classic_histograms_to_nhcb: true'))
        self.start()
        self.wait('converted', lambda: self.last('h'))
        bounds = [(b[1], b[2]) for b in self.last('h')['histogram'][1]['buckets']]
        self.assertEqual(bounds, [('-Inf', '1'), ('1', '+Inf')])
        self.assertNotIn('h_bucket', self.names())

    def test_bucket_limit(self):
        self.scraping(self.job('scrape_native_histograms: true, native_histogram_bucket_limit: 2'))
        self.start()
        self.wait('coarse', lambda: self.last('h'))
        self.assertLessEqual(len(self.last('h')['histogram'][1]['buckets']), 2)

    def test_damaged_page(self):
        self.pb.page = lambda n: page(n)[:-3]
        self.scraping(self.job('scrape_native_histograms: true'))
        self.start()
        self.wait('down', lambda: self.last('up == 0'))
        self.assertRegex(self.get('/api/v1/targets')['activeTargets'][0]['lastError'],
                         r'^clientpb: insufficient length of buffer, expected at least \d+ bytes, got \d+ bytes$')
        self.assertEqual(self.query('c_total'), [])


class Features(ProtobufPages):
    flags = ['--enable-feature=exemplar-storage,created-timestamp-zero-ingestion,type-and-unit-labels,metadata-wal-records']

    test_native_histograms = test_switches = test_converted = test_bucket_limit = test_damaged_page = None

    def test_features(self):
        self.scraping(self.job('scrape_native_histograms: true'))
        self.start()
        self.wait('samples', lambda: self.last('h') and self.last('c_total'))
        self.assertEqual(self.pb.accepts[0], FIRST)
        found = self.last('c_total{x="1"}')['metric']
        self.assertEqual((found['__type__'], found['__unit__']), ('counter', 'things'))
        self.assertEqual(self.last('h')['metric']['__type__'], 'histogram')
        exemplars = self.get('/api/v1/query_exemplars?query=h&start=1690000000&end=1710000000')
        self.assertEqual([e['labels'] for e in exemplars[0]['exemplars']], [{'trace': 'abc'}])
        self.assertEqual(float(exemplars[0]['exemplars'][0]['value']), 1.5)


@unittest.skipIf(shutil.which('apt-get') is None, "node_exporter comes from Debian's packages")
class NodeExporter(ServerCase):
    """The same process by protobuf and by text: the same series, but for what happens between two scrapes."""

    def test_same_series(self):
        peers = subprocess.run([os.path.join(TOP, 'tools', 'peers'), 'prometheus-node-exporter'], capture_output=True, text=True)
        if peers.returncode:
            self.skipTest('no node_exporter: ' + peers.stderr.strip()[-100:])
        port = tally.free_port()
        log = open(os.path.join(self.dir, 'node.log'), 'wb')
        self.addCleanup(log.close)
        proc = subprocess.Popen([peers.stdout.strip(), '--web.listen-address=127.0.0.1:%d' % port, '--collector.disable-defaults', '--collector.cpu',
                                 '--collector.meminfo', '--collector.stat', '--collector.uname'], stdout=log, stderr=log)
        self.addCleanup(proc.wait)
        self.addCleanup(proc.terminate)
        one = '{job_name: %s, scrape_protocols: [%s], static_configs: [{targets: ["127.0.0.1:%d"]}]}'
        self.scraping(one % ('proto', 'PrometheusProto', port), one % ('text', 'PrometheusText0.0.4', port))
        self.start()
        self.wait('both are up', lambda: len(self.query('up == 1')) == 2)
        self.wait('both were read', lambda: len(self.query('scrape_samples_scraped > 100')) == 2)

        def series(job):
            rows = self.query('{job="%s",__name__!~"scrape_.*|up"}' % job)
            return {tuple(sorted((k, v) for k, v in r['metric'].items() if k != 'job')) for r in rows}

        proto, text = series('proto'), series('text')
        self.assertGreater(len(proto), 100)
        self.assertEqual(proto ^ text, set())
        same = self.query('node_memory_MemTotal_bytes')
        self.assertEqual(len({r['value'][1] for r in same}), 1)


if __name__ == '__main__':
    tally.unittest_main()
