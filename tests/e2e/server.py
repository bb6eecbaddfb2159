#!/usr/bin/env python3
"""The server as a whole: it scrapes, answers, takes new configurations and new discovery files, refuses bad ones, takes remote writes and
keeps what it acknowledged through kill -9. Loopback only; every wait has a bound."""
import http.client
import http.server
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, 'tools'))
import tally

EPIMETHEUS = os.environ.get('EPIMETHEUS', os.path.join(TOP, 'build', 'epimetheus'))
EPITOOL = os.path.join(TOP, 'build', 'epitool')
LIMIT_S = 20
STALE = b'\x02\x00\x00\x00\x00\x00\xf0\x7f'


class Exporter(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        page = self.server.pages.get(self.path)
        if self.path == '/slow':
            self.server.asked_slow.set()
            time.sleep(1)
        self.send_response(200 if page is not None else 404)
        body = (page or '').encode()
        self.send_header('Content-Type', 'text/plain; version=0.0.4')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def varint(n):
    out = b''
    while n > 0x7f:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def write_request(series):
    """{labels: [(t_ms, value), ...]} as a remote-write 1.0 message; labels is a tuple of pairs."""
    out = b''
    for labels, samples in series.items():
        ts = b''.join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in labels)
        ts += b''.join(field(2, b'\x09' + struct.pack('<d', v) + b'\x10' + varint(t & (1 << 64) - 1)) for t, v in samples)
        out += field(1, ts)
    return out


def snappy(data):
    """A valid block of literals only."""
    out = varint(len(data))
    for i in range(0, len(data), 60000):
        part = data[i:i + 60000]
        out += bytes([61 << 2]) + struct.pack('<H', len(part) - 1) + part
    return out


class ServerCase(unittest.TestCase):
    flags = []

    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix='epi-server-')
        self.addCleanup(tmp.cleanup)
        self.dir, self.proc = tmp.name, None
        self.exporter = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Exporter)
        self.exporter.daemon_threads = True
        self.exporter.asked_slow = threading.Event()
        self.exporter.pages = {'/metrics': 'm{x="1"} 1\nn 2\n'}
        threading.Thread(target=self.exporter.serve_forever, daemon=True).start()
        self.addCleanup(self.exporter.server_close)
        self.addCleanup(self.exporter.shutdown)
        self.target = '127.0.0.1:%d' % self.exporter.server_address[1]
        self.port = tally.free_port()
        self.addCleanup(self.end)

    def config(self, text):
        with open(os.path.join(self.dir, 'prometheus.yml'), 'w') as f:
            f.write(text)

    def scraping(self, *jobs):
        """A configuration of jobs, each a YAML mapping in flow style."""
        self.config('global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n' + ''.join('- %s\n' % j for j in jobs))

    def start(self):
        self.log = open(os.path.join(self.dir, 'log'), 'ab')
        self.addCleanup(self.log.close)
        self.proc = subprocess.Popen([EPIMETHEUS, '--config.file=prometheus.yml', '--storage.tsdb.path=data', '--web.enable-lifecycle',
                                      '--web.enable-remote-write-receiver', '--web.listen-address=127.0.0.1:%d' % self.port] + self.flags,
                                     cwd=self.dir, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.wait('ready', self.ready)

    def refuses(self, words):
        with self.assertRaises(AssertionError):
            self.start()
        self.assertNotEqual(self.proc.wait(LIMIT_S), 0)
        self.assertIn(words, self.said())

    def ready(self):
        self.assertIsNone(self.proc.poll(), self.said())
        try:
            return self.ask('GET', '/-/ready')[0] == 200
        except OSError:
            return False

    def said(self):
        with open(os.path.join(self.dir, 'log'), errors='replace') as f:
            return f.read()[-2000:]

    def end(self, how=signal.SIGTERM):
        if self.proc is None or self.proc.poll() is not None:
            return
        self.proc.send_signal(how)
        try:
            code = self.proc.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            self.fail('it did not end: ' + self.said())
        if how == signal.SIGTERM:
            self.assertEqual(code, 0, self.said())

    def ask(self, method, target, body=None, headers=None):
        c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=LIMIT_S)
        try:
            c.request(method, target, body, headers or {})
            r = c.getresponse()
            return r.status, dict(r.getheaders()), r.read()
        finally:
            c.close()

    def get(self, target):
        status, _, body = self.ask('GET', target)
        self.assertEqual(status, 200, body)
        return json.loads(body)['data']

    def query(self, text, t=None):
        q = {'query': text}
        if t is not None:
            q['time'] = t
        return self.get('/api/v1/query?' + urllib.parse.urlencode(q))['result']

    def wait(self, what, cond):
        end = time.monotonic() + LIMIT_S
        while not cond():
            self.assertLess(time.monotonic(), end, 'waited for: %s; %s' % (what, self.said()))
            time.sleep(0.05)

    def write(self, series, headers=None, body=None):
        head = {'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy', 'X-Prometheus-Remote-Write-Version': '0.1.0'}
        head.update(headers or {})
        return self.ask('POST', '/api/v1/write', snappy(write_request(series)) if body is None else body, head)


class Scraping(ServerCase):
    def test_scraped_series_are_there_and_go_stale(self):
        self.scraping('{job_name: a, static_configs: [{targets: ["%s"]}]}' % self.target)
        self.start()
        self.wait('the series', lambda: self.query('m{x="1",job="a"}'))
        self.assertEqual(self.query('n')[0]['value'][1], '2')
        self.assertEqual(self.query('up')[0]['value'][1], '1')
        self.assertEqual(sorted(s['__name__'] for s in self.get('/api/v1/series?match[]={job="a",__name__!~"scrape_.*"}')), ['m', 'n', 'up'])
        self.exporter.pages['/metrics'] = 'n 3\n'
        self.wait('one series to go', lambda: not self.query('m') and self.query('n'))
        self.exporter.pages.clear()
        self.wait('all to go', lambda: not self.query('n') and self.query('up')[0]['value'][1] == '0')
        self.assertEqual(self.get('/api/v1/targets')['activeTargets'][0]['lastError'], 'server returned HTTP status 404 Not Found')

    def test_a_scrape_under_way_ends_before_the_server(self):
        self.exporter.pages['/slow'] = 'm 1\n'
        self.config('global: {scrape_interval: 3s, scrape_timeout: 3s}\nscrape_configs:\n'
                    '- {job_name: a, metrics_path: /slow, static_configs: [{targets: ["%s"]}]}\n' % self.target)
        self.start()
        self.assertTrue(self.exporter.asked_slow.wait(LIMIT_S))
        self.end()
        self.config('{}\n')
        self.start()
        self.assertEqual([s['value'][1] for s in self.query('{__name__=~"up|m"}')], ['1', '1'])

    def test_reload(self):
        self.scraping('{job_name: a, static_configs: [{targets: ["%s"]}]}' % self.target)
        self.start()
        self.wait('job a', lambda: self.query('m{job="a"}'))
        self.config('global:\n  nonsense: 1\n')
        self.proc.send_signal(signal.SIGHUP)
        self.wait('the refusal', lambda: not self.get('/api/v1/status/runtimeinfo')['reloadConfigSuccess'])
        status, _, body = self.ask('POST', '/-/reload')
        self.assertEqual(status, 500)
        self.assertIn(b'failed to reload config', body)
        self.assertIn('job_name: a', self.get('/api/v1/status/config')['yaml'])
        self.assertTrue(self.get('/api/v1/notifications'))
        self.assertTrue(self.query('m{job="a"}'))
        self.scraping('{job_name: b, static_configs: [{targets: ["%s"]}]}' % self.target)
        self.assertEqual(self.ask('POST', '/-/reload')[0], 200)
        self.wait('job b', lambda: self.query('m{job="b"}'))
        self.assertEqual(self.get('/api/v1/scrape_pools')['scrapePools'], ['b'])
        self.assertEqual(self.get('/api/v1/notifications'), [])

    def test_discovery_files(self):
        os.mkdir(os.path.join(self.dir, 'sd'))
        self.scraping('{job_name: f, file_sd_configs: [{files: ["sd/*.json"], refresh_interval: 1s}]}')
        self.start()
        self.assertEqual(self.get('/api/v1/targets')['activeTargets'], [])
        path = os.path.join(self.dir, 'sd', 't.json')
        with open(path, 'w') as f:
            json.dump([{'targets': [self.target], 'labels': {'zone': 'z'}}], f)
        self.wait('the target', lambda: self.query('m{zone="z"}'))
        with open(path, 'w') as f:
            f.write('[{"targets":')
        time.sleep(1.5)
        self.assertEqual(len(self.get('/api/v1/targets')['activeTargets']), 1)
        os.unlink(path)
        self.wait('the target to go', lambda: not self.get('/api/v1/targets')['activeTargets'])
        self.wait('its series to go stale', lambda: not self.query('m'))

    def test_quit(self):
        self.scraping('{job_name: a, static_configs: [{targets: ["%s"]}]}' % self.target)
        self.start()
        self.assertEqual(self.ask('POST', '/-/quit')[0], 200)
        self.assertEqual(self.proc.wait(LIMIT_S), 0, self.said())


class Explain(ServerCase):
    """What each selector read and from where: a block's chunks from the disk or its cache, then decoded ones; the head's from memory."""

    def read(self, query, t):
        node = self.get('/api/v1/query?explain=true&time=%d&query=%s' % (t, urllib.parse.quote(query)))['explain']
        while node['type'] != 'vectorSelector':
            node, = node['children']
        return node['read']

    def test_sources_by_backend(self):
        series, hour, step, t0 = 20, 3600, 15, 1600000000
        with open(os.path.join(self.dir, 'om.txt'), 'w') as f:
            f.write('# TYPE b gauge\n' + ''.join('b{i="%d"} %d %d\n' % (i, i * t % 97, t) for i in range(series) for t in range(t0, t0 + hour, step)) + '# EOF\n')
        made = subprocess.run([EPITOOL, 'tsdb', 'create-blocks-from', 'openmetrics', 'om.txt', 'data'], cwd=self.dir, capture_output=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.scraping('{job_name: j, static_configs: [{targets: ["%s"]}]}' % self.target)
        for backend in ('mmap', 'buffered', 'direct'):
            with self.subTest(backend):
                self.flags = ['--storage.io=' + backend, '--storage.tsdb.retention.time=100y']
                self.start()
                reads = [self.read('sum(sum_over_time(b[1h]))', t0 + hour - 1) for _ in range(4)]
                for r in reads:
                    self.assertEqual((r['series'], r['samples'], r['chunks']), (series, series * hour // step, series * 2))
                    self.assertEqual((r['bytes']['head'], r['bytes']['bucket']), (0, 0))
                    self.assertGreater(r['bytes']['cache'] + r['bytes']['disk'], series * 40)
                used = [b for b in reads[0]['io'] if b != 'majorFaults']
                self.assertIn(used, ([backend], ['mmap'] if backend == 'direct' else []))        # direct: where the file system has it
                self.assertEqual(reads[-1]['bytes']['disk'], 0)
                self.wait('a scrape', lambda: self.get('/api/v1/query?query=n')['result'])
                r = self.read('n', int(time.time()) + 1)
                self.assertEqual((r['series'], r['samples'], r['bytes']['disk'], r['bytes']['bucket']), (1, 1, 0, 0))
                self.assertGreater(r['bytes']['head'], 0)
                for query in ('timestamp(b)', 'b[5m]', 'b @ %d' % (t0 + 600), 'count(b)', 'max_over_time(b[10m:1m])'):
                    r = self.read(query, t0 + 1200)
                    self.assertEqual(r['series'], series, query)
                    self.assertGreater(r['bytes']['cache'] + r['bytes']['disk'], 0, query)
                self.end()


class QueryLog(ServerCase):
    def lines(self, name):
        with open(os.path.join(self.dir, name)) as f:
            return [json.loads(line) for line in f]

    def test_lines(self):
        self.config('global: {query_log_file: q.log}\n')
        self.start()
        self.get('/api/v1/query?query=1%2B1&time=60')
        self.ask('POST', '/api/v1/query_range', 'query=sum(up)&start=0&end=60&step=15', {'Content-Type': 'application/x-www-form-urlencoded'})
        self.assertEqual(self.ask('GET', '/api/v1/query?query=1%2B')[0], 400)             # was not understood: no line
        self.assertEqual(self.ask('GET', '/api/v1/query?query=label_replace(vector(1),"a","b","","(")')[0], 422)
        one, two, bad = self.lines('q.log')
        self.assertEqual(one['params'], {'query': '1+1', 'start': '1970-01-01T00:01:00.000Z', 'end': '1970-01-01T00:01:00.000Z', 'step': 0})
        self.assertEqual(one['httpRequest'], {'clientIP': '127.0.0.1', 'method': 'GET', 'path': '/api/v1/query'})
        self.assertEqual((one['level'], one['msg']), ('INFO', 'promql query logged'))
        self.assertEqual(two['params'], {'query': 'sum(up)', 'start': '1970-01-01T00:00:00.000Z', 'end': '1970-01-01T00:01:00.000Z', 'step': 15})
        self.assertEqual(two['httpRequest']['method'], 'POST')
        self.assertEqual(set(two['stats']), {'timings', 'samples'})
        self.assertIn('execTotalTime', two['stats']['timings'])
        self.assertNotIn('error', two)
        self.assertEqual(bad['error'], 'invalid regular expression in label_replace(): (')
        os.rename(os.path.join(self.dir, 'q.log'), os.path.join(self.dir, 'old.log'))      # as logrotate does it
        self.proc.send_signal(signal.SIGHUP)
        self.wait('a new file', lambda: os.path.exists(os.path.join(self.dir, 'q.log')))
        self.get('/api/v1/query?query=2')
        self.assertEqual([x['params']['query'] for x in self.lines('q.log')], ['2'])
        self.assertEqual(len(self.lines('old.log')), 3)

    def test_queries_that_run_are_listed_and_ended(self):
        self.config('global: {query_log_file: q.log}\n')
        self.start()
        heavy = urllib.parse.urlencode({'query': 'sum_over_time((sin(vector(time())) * 2)[30d:100ms])', 'start': 0, 'end': 1000, 'step': 1})
        answers = []
        asking = threading.Thread(target=lambda: answers.append(self.ask('GET', '/api/v1/query_range?' + heavy)))
        asking.start()
        try:
            self.wait('a query that runs', lambda: any(q['state'] == 'running' for q in self.get('/api/v1/status/active_queries')))
            one, = self.get('/api/v1/status/active_queries')
            self.assertEqual((one['client'], one['method'], one['path']), ('127.0.0.1', 'GET', '/api/v1/query_range'))
            self.assertTrue(one['query'].startswith('sum_over_time'))
            self.wait('memory', lambda: self.get('/api/v1/status/active_queries')[0]['memoryBytes'] > 0)
            self.assertEqual(self.ask('DELETE', '/api/v1/status/active_queries/%d' % one['id'])[0], 204)
        finally:
            asking.join(LIMIT_S)
        status, _, body = answers[0]
        self.assertEqual((status, json.loads(body)['errorType']), (499, 'canceled'), body)
        self.assertEqual(self.get('/api/v1/status/active_queries'), [])
        line, = self.lines('q.log')
        self.assertEqual((line['error'], line['cost']['id']), ('query was canceled in expression evaluation', one['id']))

    def test_queries_that_did_not_finish_are_told_at_the_next_start(self):
        self.config('')
        self.start()
        heavy = 'sum_over_time((sin(vector(time())) * 2)[30d:100ms]) > 0'
        asking = threading.Thread(target=lambda: self.dies(urllib.parse.urlencode({'query': heavy, 'start': 0, 'end': 1000, 'step': 1})))
        asking.start()
        self.wait('a query that runs', lambda: any(q['state'] == 'running' for q in self.get('/api/v1/status/active_queries')))
        self.end(signal.SIGKILL)
        asking.join(LIMIT_S)
        self.start()
        told, = [line for line in open(os.path.join(self.dir, 'log'), errors='replace') if "These queries didn't finish in prometheus' last run:" in line]
        queries = json.loads(json.loads(re.search(r' queries=(".*")', told).group(1)))
        self.assertEqual([q['query'] for q in queries], [heavy])
        self.assertLess(abs(queries[0]['timestamp_sec'] - time.time()), 60)
        with open(os.path.join(self.dir, 'data', 'queries.active'), 'rb') as f:
            self.assertEqual(f.read().strip(b'\x00'), b'[')               # nothing runs now

    def dies(self, args):
        try:
            self.ask('GET', '/api/v1/query_range?' + args)
        except (OSError, http.client.HTTPException):
            pass

    def test_a_folder_that_is_not_there(self):
        self.config('global: {query_log_file: none/q.log}\n')
        self.refuses("can't create json log file")


class Starting(ServerCase):
    def test_bad_configuration(self):
        self.config('global:\n  nonsense: 1\n')
        self.refuses('field nonsense not found in type')

    def test_no_configuration(self):
        self.refuses('no such file or directory')

    def test_the_same_folder_twice(self):
        self.config('{}\n')
        self.start()
        port = tally.free_port()
        r = subprocess.run([EPIMETHEUS, '--config.file=prometheus.yml', '--storage.tsdb.path=data', '--web.listen-address=127.0.0.1:%d' % port],
                           cwd=self.dir, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn(b'lock', r.stderr + r.stdout)
        self.assertTrue(self.ready())


class Writing(ServerCase):
    def setUp(self):
        super().setUp()
        self.config('{}\n')

    def test_requests_that_can_be_read_in_two_ways(self):
        self.start()
        host, start = b'Host: h\r\n', b'%s /-/healthy HTTP/1.%d\r\n'
        for name, head, status, says in (
                ('as it should be', start % (b'GET', 1) + host, 200, b'Healthy'),
                ('no host', start % (b'GET', 1), 400, b'400 Bad Request: missing required Host header'),
                ('no host, before there were any', start % (b'GET', 0), 200, b'Healthy'),
                ('two hosts', start % (b'GET', 1) + host + host, 400, b'400 Bad Request'),
                ('two lengths', start % (b'POST', 1) + host + b'Content-Length: 1\r\nContent-Length: 2\r\n', 400, b'400 Bad Request'),
                ('an encoding that nobody reads', start % (b'GET', 1) + host + b'Transfer-Encoding: gzip\r\n', 501, b'Unsupported transfer encoding'),
                ('encodings', start % (b'POST', 1) + host + b'Transfer-Encoding: gzip, chunked\r\n', 501, b'Unsupported transfer encoding'),
                ('chunked twice', start % (b'POST', 1) + host + b'Transfer-Encoding: chunked\r\n' * 2, 501, b'Unsupported transfer encoding'),
                ('no encoding', start % (b'POST', 1) + host + b'Transfer-Encoding: \r\n', 501, b'Unsupported transfer encoding'),
                ('more than to go on', start % (b'GET', 1) + host + b'Expect: more\r\n', 417, b''),
                ('control', start % (b'GET', 1) + host + b'X: a\x01b\r\n', 400, b'400 Bad Request'),
                ('a name of two words', start % (b'GET', 1) + host + b'X y: a\r\n', 400, b'400 Bad Request'),
                ('text', start % (b'GET', 1) + host + 'X: a\tä\r\n'.encode(), 200, b'Healthy'),
                ('method', start % (b'G(T', 1) + host, 400, b'400 Bad Request'),
                ('the server', b'OPTIONS * HTTP/1.1\r\n' + host, 200, b''),
                ('one length, twice', start % (b'POST', 1) + host + b'Content-Length: 2\r\nContent-Length: 2\r\n', 405, b'')):
            with self.subTest(name), socket.create_connection(('127.0.0.1', self.port), LIMIT_S) as s:
                s.sendall(head + b'Connection: close\r\n\r\n' + (b'ab' if b'POST' in head else b''))
                answer = b''.join(iter(lambda s=s: s.recv(65536), b''))
                self.assertEqual(int(answer.split(b' ', 2)[1]), status, answer)
                self.assertIn(says, answer.partition(b'\r\n\r\n')[2])

    def test_asked_as_a_proxy_is(self):
        self.start()
        self.assertEqual(self.ask('GET', 'http://other:1/-/healthy')[0], 200)
        self.assertEqual(self.get('http://other:1/api/v1/query?query=2&time=1')['result'], [1, '2'])
        self.assertEqual(self.ask('GET', 'http://other:1')[1]['Location'], '/query')

    def test_answers(self):
        self.start()
        now = int(time.time() * 1000)
        one = ((('__name__', 'w'), ('a', 'b')),)
        cases = [
            ('a sample', {one[0]: [(now, 1)]}, None, None, 204, b''),
            ('the same again', {one[0]: [(now, 1)]}, None, None, 204, b''),
            ('another value', {one[0]: [(now, 2)]}, None, None, 400, b'duplicate sample for timestamp'),
            ('older', {one[0]: [(now - 1000, 1)]}, None, None, 400, b'out of order sample'),
            ('no name', {(('a', 'b'),): [(now, 1)]}, None, None, 204, b''),
            ('nothing', {}, None, None, 204, b''),
            ('not snappy', None, None, b'\xff\xff\xff\xff\xff', 400, b''),
            ('not a message', None, None, snappy(b'\xff\xff'), 400, b''),
            ('text', {}, {'Content-Type': 'text/plain'}, None, 415, b''),
            ('zstd', {}, {'Content-Encoding': 'zstd'}, None, 415, b''),
            ('2.0', {}, {'Content-Type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request'}, None, 204, b''),
            ('3.0', {}, {'Content-Type': 'application/x-protobuf;proto=io.prometheus.write.v3.Request'}, None, 415, b''),
        ]
        for name, series, headers, body, status, words in cases:
            with self.subTest(name):
                got = self.write(series, headers, body)
                self.assertEqual(got[0], status, got[2])
                self.assertIn(words, got[2])
        self.assertEqual(self.query('w')[0]['value'][1], '1')

    def test_kill_loses_nothing_that_was_acknowledged(self):
        self.start()
        acknowledged, stop = {}, threading.Event()
        start = int(time.time() * 1000) - 600000

        def client(number):
            for i in range(100000):
                if stop.is_set():
                    return
                series = {(('__name__', 'k'), ('client', str(number)), ('n', str(n))): [(start + i * 10, i)] for n in range(20)}
                try:
                    if self.write(series)[0] != 204:
                        return
                except (OSError, http.client.HTTPException):
                    return
                acknowledged[number] = i

        for round_ in range(3):
            clients = [threading.Thread(target=client, args=('%d-%d' % (round_, c),)) for c in range(3)]
            for c in clients:
                c.start()
            time.sleep(1)
            self.end(signal.SIGKILL)
            stop.set()
            for c in clients:
                c.join()
            stop.clear()
            self.start()
            self.assertTrue(acknowledged)
            for number, last in acknowledged.items():
                got = self.query('count_over_time(k{client="%s"}[30m])' % number)
                self.assertEqual(len(got), 20, number)
                for row in got:                    # what was under way may be there as well
                    self.assertIn(int(row['value'][1]), (last + 1, last + 2), row)

    def test_series_go_on_after_a_restart(self):
        self.start()
        now = int(time.time() * 1000)
        name = (('__name__', 'r'),)
        for i in range(3):
            self.assertEqual(self.write({name: [(now + i, i)]})[0], 204)
            self.end()
            self.start()
        self.assertEqual(self.write({name: [(now, 7)]})[0], 400)
        self.assertEqual([v for _, v in self.query('r[1m]', (now + 1000) / 1000)[0]['values']], ['0', '1', '2'])


class FullDisk(ServerCase):
    """On a file system of its own that is full: writes fail with 503, reads go on, and room brings writes back."""
    flags = ['--storage.tsdb.wal-segment-size=10MB']

    def test_full_and_room_again(self):
        if os.geteuid() != 0:
            self.skipTest('mounting needs root')
        data = os.path.join(self.dir, 'data')
        os.mkdir(data)
        if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', data], capture_output=True).returncode != 0:
            self.skipTest('this machine does not let mount')
        self.addCleanup(subprocess.run, ['umount', '-l', data])
        self.config('{}\n')
        self.start()
        now = int(time.time() * 1000)
        self.assertEqual(self.write({(('__name__', 'd'),): [(now, 1)]})[0], 204)
        filler = os.path.join(data, 'filler')
        with open(filler, 'wb', buffering=0) as f:
            try:
                while True:
                    f.write(b'x' * 4096)
            except OSError:
                pass
        answers = []
        while (not answers or answers[-1] == 204) and len(answers) < 400:      # the log has room of its own for a while
            answers.append(self.write({(('__name__', 'd'), ('n', os.urandom(150).hex())): [(now + 1, 1)] for _ in range(300)})[0])
        self.assertEqual(answers[-1], 503, self.said())
        self.assertEqual(self.query('d{n=""}')[0]['value'][1], '1')
        os.unlink(filler)
        self.wait('writes to work again', lambda: self.write({(('__name__', 'd'),): [(now + 5, 5)]})[0] == 204)
        self.end(signal.SIGKILL)
        self.start()
        self.assertEqual(self.query('d{n=""}')[0]['value'][1], '5')


if __name__ == '__main__':
    tally.unittest_main()
