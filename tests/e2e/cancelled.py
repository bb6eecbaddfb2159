#!/usr/bin/env python3
"""cancelled   A query ends at once wherever it computes, when it is deleted and when its client goes away: what the server computes from then on."""
import json
import os
import random
import select
import socket
import shutil
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPConnection

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(HERE, 'lib'), os.path.join(TOP, 'tools')]
import kinds
import servers
import tally

EPIMETHEUS = os.environ.get('EPIMETHEUS') or os.path.join(TOP, 'build', 'epimetheus')
EPITOOL = os.path.join(TOP, 'build', 'epitool')
SERIES, DATA_S, MAKE_S, ASK_S = 60000, 1600000000, 120, 120
SPENT_S = 0.1                           # of CPU, which the load of a machine leaves alone
LEFT_S = 2.0                            # from the end asked for to the list without it: 0.1 s, and what a loaded machine adds
READS, READ_GATE = 200, 2
QUICK_S = 0.03                          # what takes no longer cannot be ended
# what is computed -> query, and how long its range is at a step of a second
PHASES = {
    'postings of a regex': ('count(m{pod=~".*(1|2).*(3|4).*x?"})', 0),
    'decoding': ('count(m)', 250),
    'grouping': ('count(sum by (pod, path) (m))', 40),
    'the greatest': ('count(topk(20000, m))', 8),
    'sorting labels': ('sort_by_label_desc(m, "path", "pod")', 0),
    'matching': ('count(m * on (pod, path) group_left m)', 6),
    'sets': ('count(m unless on (pod) (m > 1e9))', 15),
    'labels': ('count(label_replace(m, "x", "$1-$2", "pod", "(.*)-([0-9]+)-.*"))', 15),
    'buckets': ('count(histogram_quantile(0.9, label_replace(m, "le", "1$1", "path", ".*([0-9])")))', 0),
    'a subquery': ('count(max_over_time((m * 2)[5m:5s]))', 2),
    'smoothing': ('count(m smoothed)', 100),
    'values as labels': ('count_values("v", m)', 4),
    'a long row': ('sum_over_time((sinh(vector(time()) % 7 ^ 0.3))[20d:1s])', 0),
    'quantiles of days': ('count_over_time((quantile_over_time(0.5, (sin(vector(time())))[5d:1s]))[5m:15s])', 0),
    'long windows': ('sum_over_time((quantile_over_time(0.9, (sin(vector(time())))[1h:1s]))[1h:1s])', 0),
}
# Rows of millions of steps, each walked many times over: however long one is, the query asks in between whether it is still wanted.
LONG_S, LONG_SLICE_S, LONG_SLICES = 8640000, 0.05, 2
LONG = ['sum_over_time((%s)[%ds:1s])' % (x, LONG_S) for x in (
    'vector(1)', '-vector(time())', 'vector(-scalar(vector(time())))', 'vector(time()) * 2 + 1', 'vector(time()) + vector(3)', 'vector(time()) or vector(3)',
    'sum(vector(time()))', 'absent(vector(time()) > 1e18)', 'label_replace(vector(time()), "a", "b", "", "")',
    'histogram_quantile(0.5, label_replace(vector(time()), "le", "+Inf", "", ""))', 'sum_over_time(vector(time())[1h:1s])',
    'rate(vector(time())[1m:1s])')] + ['%s(vector(time())[%ds:1s]%s)' % (f, LONG_S, more) for f, more in (
        ('mad_over_time', ''), ('deriv', ''), ('stddev_over_time', ''), ('changes', ''), ('ts_of_max_over_time', ''),
        ('double_exponential_smoothing', ', 0.5, 0.5'))] + ['quantile_over_time(0.5, vector(time())[%ds:1s])' % LONG_S, 'vector(time())[%ds:1s]' % LONG_S,
    'sum_over_time((topk(1, vector(time())))[%ds:1s])' % (LONG_S // 4)]
FOREVER = 'sum_over_time((predict_linear(sin(vector(time()))[2d:1s], 60))[3d:1s])'


class Cancelled(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix='epi-cancelled-')
        text, data, config = (os.path.join(cls.dir, name) for name in ('text', 'data', 'empty.yml'))
        with open(text, 'w') as f:
            f.write('# TYPE m gauge\n')
            f.writelines('m{job="j%d",pod="pod-%05d-x",path="/a/%d"} %d %d\n' % (i % 10, i, i % 777, i * 7919 % 100003, DATA_S) for i in range(SERIES))
            f.write('# EOF\n')
        with open(config, 'w') as f:
            f.write('global: {}\n')
        made = tally.run([EPITOOL, 'tsdb', 'create-blocks-from', '-q', 'openmetrics', text, data], MAKE_S)
        assert made.code == 0, made.err
        cls.server = servers.Server(EPIMETHEUS, data, config, [
            '--web.enable-lifecycle', '--query.result-cache-size=0B',
            '--storage.remote.read-concurrent-limit=%d' % READ_GATE, '--storage.tsdb.retention.time=100y', '--query.max-concurrency=2',
            '--enable-feature=promql-experimental-functions,promql-extended-range-selectors'])

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        cls.server.log.close()
        shutil.rmtree(cls.dir, True)

    def computed(self):
        """Seconds that all threads of the server have computed."""
        tasks, total = '/proc/%d/task' % self.server.proc.pid, 0
        for task in os.listdir(tasks):
            with open('%s/%s/schedstat' % (tasks, task)) as f:
                total += int(f.read().split()[0])
        return total / 1e9

    def begin(self, query, range_s, timeout_s=ASK_S):
        """A connection on which the answer of the query will come."""
        c = HTTPConnection('127.0.0.1', self.server.port, timeout=ASK_S)
        args = {'query': query, 'timeout': '%dms' % (timeout_s * 1000)}
        args.update({'start': DATA_S, 'end': DATA_S + range_s, 'step': 1} if range_s else {'time': DATA_S})
        c.request('POST', '/api/v1/query_range' if range_s else '/api/v1/query', urllib.parse.urlencode(args), {'Content-Type': 'application/x-www-form-urlencoded'})
        return c

    def active(self, query):
        return [q['id'] for q in json.loads(self.server.ask('/api/v1/status/active_queries'))['data'] if q['query'] == query]

    def delete(self, id):
        url = 'http://127.0.0.1:%d/api/v1/status/active_queries/%s' % (self.server.port, id)
        try:
            urllib.request.urlopen(urllib.request.Request(url, method='DELETE')).read()
        except urllib.error.HTTPError as e:
            self.assertEqual(e.code, 404)           # it was done before

    def gone(self, query):
        end = time.monotonic() + ASK_S
        while self.active(query):
            self.assertLess(time.monotonic(), end, query)
            time.sleep(0.005)

    def whole(self, query, range_s):
        """Seconds of computing that the answer takes."""
        before = self.computed()
        c = self.begin(query, range_s)
        answer = c.getresponse()
        self.assertEqual(answer.status, 200, answer.read(500))
        answer.read()
        c.close()
        return self.computed() - before

    def ended(self, query, range_s, after_s, how):
        """What is computed from the moment it is told to end; None if it was done by then."""
        before = self.computed()
        c = self.begin(query, range_s)
        until = time.monotonic() + ASK_S
        while self.computed() - before < after_s and time.monotonic() < until:
            if select.select([c.sock], [], [], 0.003)[0]:
                break                   # answered: it computed less than the first time
        ids = self.active(query)
        if not ids:
            c.close()
            return None
        before = self.computed()
        if how == 'deleted':
            self.delete(ids[0])
            answer = c.getresponse()
            said = json.loads(answer.read())
            self.assertIn((answer.status, said.get('errorType')), ((499, 'canceled'), (200, None)), query)
        c.close()
        self.gone(query)
        return self.computed() - before

    def test_each_phase(self):
        reached = 0
        for name, (query, range_s) in PHASES.items():
            with self.subTest(name):
                whole_s = self.whole(query, range_s)
                for part, how in ((0.5, 'deleted'), (0.8, 'its client is gone')):
                    spent = self.ended(query, range_s, part * whole_s, how) if whole_s > QUICK_S else None
                    reached += spent is not None
                    self.assertLess(spent or 0, SPENT_S, '%s at %g of %.3f s' % (how, part, whole_s))
        self.assertGreater(reached, len(PHASES))

    def slices(self):
        """How many slices of CPU time were longer than LONG_SLICE_S, and than twice that."""
        n = {}
        for line in self.server.ask('/metrics').decode().splitlines():
            if line.startswith('epimetheus_query_slice_seconds_bucket'):
                n[line.split('le="')[1].split('"')[0]] = int(float(line.split()[-1]))
        return n['+Inf'] - n[str(LONG_SLICE_S)], n['+Inf'] - n[str(2 * LONG_SLICE_S)]

    def test_long_rows(self):
        for query in LONG:
            with self.subTest(query):
                before, began = self.slices(), time.monotonic()
                c = self.begin(query, 0)
                answer = c.getresponse()
                self.assertEqual(answer.status, 200, answer.read(500))
                answer.read()
                c.close()
                whole_s, after = time.monotonic() - began, self.slices()
                self.assertLessEqual(after[0] - before[0], LONG_SLICES)
                self.assertEqual(after[1] - before[1], 0)
                self.cut_short(query, random.random() * whole_s)

    def cut_short(self, query, after_s):
        """Ended at some moment by DELETE, by its client and by its time-out: each time it is soon gone."""
        for how in ('deleted', 'its client is gone', 'its time is over'):
            c = self.begin(query, 0, timeout_s=max(after_s, 0.001) if how == 'its time is over' else ASK_S)
            time.sleep(after_s)
            began, ids = time.monotonic(), self.active(query)
            if ids and how == 'deleted':
                self.delete(ids[0])
            if how != 'its client is gone':
                answer = c.getresponse()
                said = answer.read()
                self.assertIn(answer.status, (200, 499, 503), said[:500])
            c.close()
            for id in ids if how != 'its time is over' or answer.status == 503 else ():
                self.left(id, began)

    def test_waiting_in_the_queue(self):
        busy = [self.begin(FOREVER, 0) for _ in range(2)]
        until = time.monotonic() + ASK_S
        while len(self.active(FOREVER)) < len(busy) and time.monotonic() < until:
            time.sleep(0.005)
        for how in ('deleted', 'its client is gone'):
            c = self.begin('m', 0)
            while not self.active('m') and time.monotonic() < until:
                time.sleep(0.005)
            if how == 'deleted':
                self.delete(self.active('m')[0])
                answer = c.getresponse()
                self.assertEqual((answer.status, json.loads(answer.read())['error']), (499, 'query was canceled in query queue'))
            c.close()
            self.gone('m')
        for id in self.active(FOREVER):
            self.delete(id)
        for c in busy:
            self.assertEqual(c.getresponse().status, 499)
            c.close()

    def read_request(self, kind):
        """A remote read of all series, over and over: samples, or (1) chunks."""
        matcher = kinds.field(2, b'__name__') + kinds.field(3, b'm')
        query = b'\x08' + kinds.varint((DATA_S - 600) * 1000) + b'\x10' + kinds.varint((DATA_S + 600) * 1000) + kinds.field(3, matcher)
        return kinds.snappy(kinds.field(1, query) * READS + (b'\x10\x01' if kind else b''))

    def raw(self, head, body=b''):
        """A connection that holds little of what comes, on which a request was sent."""
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(ASK_S)
        s.connect(('127.0.0.1', self.server.port))
        s.sendall(('%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n' % (head, 'Content-Encoding: snappy\r\n' if body else '', len(body))).encode() + body)
        return s

    def listed(self, path, state):
        until = time.monotonic() + ASK_S
        while time.monotonic() < until:
            for q in json.loads(self.server.ask('/api/v1/status/active_queries'))['data']:
                if q['path'] == path and q['state'] == state:
                    return q
            time.sleep(0.003)
        self.fail('no %s is %s' % (path, state))

    def left(self, id, since):
        """It is no more in the list, within the time that was asked for and that of a loaded machine."""
        while any(q['id'] == id for q in json.loads(self.server.ask('/api/v1/status/active_queries'))['data']):
            self.assertLess(time.monotonic() - since, LEFT_S)
            time.sleep(0.003)

    def test_reads_and_slow_readers(self):
        read = '/api/v1/read'
        cases = {
            'samples are read': ('POST ' + read, self.read_request(0), read, 'running'),
            'chunks are sent': ('POST ' + read, self.read_request(1), read, 'sending'),
            'a result is sent': ('GET /api/v1/query_range?query=m&start=%d&end=%d&step=1' % (DATA_S, DATA_S + 40), b'', '/api/v1/query_range', 'sending'),
        }
        for name, (head, body, path, state) in cases.items():
            for how in ('deleted', 'its client is gone'):
                with self.subTest(name, how=how):
                    s = self.raw(head, body)
                    q = self.listed(path, state)
                    before, began = self.computed(), time.monotonic()
                    if how == 'deleted':
                        self.delete(q['id'])
                        self.left(q['id'], began)
                        while s.recv(1 << 20):      # what was on its way, then the end
                            pass
                    s.close()
                    self.left(q['id'], began)
                    self.assertLess(self.computed() - before, SPENT_S)

    def test_reads_that_wait(self):
        busy = [self.raw('POST /api/v1/read', self.read_request(1)) for _ in range(READ_GATE)]
        until = time.monotonic() + ASK_S
        while time.monotonic() < until and sum(q['state'] == 'sending' for q in json.loads(self.server.ask('/api/v1/status/active_queries'))['data']) < READ_GATE:
            time.sleep(0.003)
        for how in ('deleted', 'its client is gone'):
            s = self.raw('POST /api/v1/read', self.read_request(0))
            q, began = self.listed('/api/v1/read', 'waiting'), time.monotonic()
            if how == 'deleted':
                self.delete(q['id'])
                self.assertIn(b' 500 ', s.recv(100))
            s.close()
            self.left(q['id'], began)
        for s in busy:
            s.close()


if __name__ == '__main__':
    tally.unittest_main()
