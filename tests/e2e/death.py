#!/usr/bin/env python3
"""death   Queries that are meant to kill a server: what they get for an answer, and that the memory they took is there again after them."""
import json
import os
import shutil
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(HERE, 'lib'), os.path.join(TOP, 'tools')]
import servers
import tally

EPIMETHEUS = os.environ.get('EPIMETHEUS') or os.path.join(TOP, 'build', 'epimetheus')
YEAR_S, NESTED, BEYOND, MIB = 365 * 86400, 10000, 60000, 1 << 20
ROOM = 96 << 20                         # what an allocator may keep for the next query
END_S = 2.0                             # of DELETE under load on a machine that has more to do than this; alone it is milliseconds
# a quarter of a million windows of two days, each walked anew: a minute at least, and none of the four may end before it is told to
HEAVY = 'sum_over_time((predict_linear(sin(vector(time()))[2d:1s], 60))[3d:1s])'


class Death(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix='epi-death-')
        config = os.path.join(cls.dir, 'empty.yml')
        with open(config, 'w') as f:
            f.write('global: {}\n')
        cls.server = servers.Server(EPIMETHEUS, os.path.join(cls.dir, 'data'), config, ['--web.enable-lifecycle', '--query.max-samples=1000000'])

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        cls.server.log.close()
        shutil.rmtree(cls.dir, True)

    def ask(self, path, **args):
        return self.server.ask('/api/v1/' + path, urllib.parse.urlencode(args).encode())

    def post(self, path, **args):
        """(status, answer) of a form."""
        try:
            return 200, json.loads(self.ask(path, **args))
        except urllib.error.HTTPError as e:
            return e.code, json.loads(e.read())

    def fails(self, status, kind, words, path, **args):
        got, said = self.post(path, **args)
        self.assertEqual((got, said.get('errorType')), (status, kind), str(said)[:300])
        self.assertIn(words, said['error'])

    def anonymous(self):
        with open('/proc/%d/status' % self.server.proc.pid) as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith('RssAnon:'))

    def test_steps(self):
        self.fails(400, 'bad_data', 'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)',
                   'query_range', query='up', start=0, end=YEAR_S, step='1ms')
        self.fails(400, 'bad_data', 'zero or negative query resolution step widths are not accepted. Try a positive integer',
                   'query_range', query='up', start=0, end=YEAR_S, step='0')

    def test_samples(self):
        before = self.anonymous()
        words = 'query processing would load too many samples into memory in'
        for query in ('sum_over_time(vector(1)[1y:1ms])', 'avg_over_time((vector(1))[30d:10ms]) + vector(2)', 'max_over_time(max_over_time(vector(1)[9d:1s])[9d:1m])'):
            self.fails(422, 'execution', words, 'query', query=query)
        self.assertLess(self.anonymous() - before, ROOM)

    def test_labels_that_grow(self):
        before = self.anonymous()
        for step, end in (('label_replace(', ', "a", "$1$1", "a", "(.*)")'), ('label_join(', ', "a", "", "a", "a")')):
            query = step * 40 + 'label_replace(vector(1), "a", "xx", "", "")' + end * 40
            self.fails(422, 'execution', 'the value of label "a" would be longer than 16777215 bytes', 'query', query=query)
        self.assertLess(self.anonymous() - before, ROOM)

    def test_nested(self):
        before = self.anonymous()
        for n in (NESTED, BEYOND):
            for query in ('(' * n + '1' + ')' * n, 'scalar(' + 'abs(' * n + 'vector(-1)' + ')' * n + ')', '1' + '*1' * n, '-' * n + 'scalar(vector(1))',
                          'scalar(' + 'vector(1)*(' * (n // 2) + 'vector(1)' + ')' * (n // 2) + ')',
                          'scalar(' + 'last_over_time(' * (n // 2) + 'vector(1)' + '[1m:1m] @ 60)' * (n // 2) + ')'):
                if n > NESTED:
                    for path in ('query', 'format_query', 'parse_query'):
                        self.fails(400, 'bad_data', 'expression is nested more than', path, query=query)
                    continue
                status, said = self.post('query', query=query)
                self.assertEqual((status, said['data']['result'][1]), (200, '1'))
                # deeper than Python reads
                said = self.ask('query_range', query=query, start=0, end=120, step=60, explain='true')
                self.assertIn(b'"values":[[0,"1"],[60,"1"],[120,"1"]]', said)
                self.assertTrue(said.endswith(b'}]}]}}}'), said[-100:])
                self.assertTrue(self.ask('parse_query', query=query).startswith(b'{"status":"success"'))
                if query[0] == '(':                       # others are not indented as much
                    self.fails(422, 'execution', 'too long when it is formatted', 'format_query', query=query)
        self.fails(400, 'bad_data', 'parse error', 'query', query='(' * NESTED)
        self.fails(400, 'bad_data', 'parse error', 'query', query=')' * NESTED)
        status, said = self.post('query', query='-' * NESTED + '1')
        self.assertEqual((status, said['data']['result'][1]), (200, '1'))
        self.assertLess(self.anonymous() - before, ROOM)

    def test_long(self):
        before = self.anonymous()
        status, said = self.post('query', query='count(up{a=~"%s"}) or vector(7)' % '|'.join('x%d' % i for i in range(MIB // 8)))
        self.assertEqual((status, said['data']['result'][0]['value'][1]), (200, '7'))
        status, said = self.post('query', query='up{%s} or vector(8)' % ','.join('l%d!="x"' % i for i in range(MIB // 12)), timeout='4s')
        self.assertEqual((status, said['data']['result'][0]['value'][1] if status == 200 else said), (200, '8'))
        self.fails(400, 'bad_data', 'parse error', 'query', query='1' + '+1' * (MIB // 2))
        self.fails(400, 'bad_data', 'parse error', 'query', query='x' * MIB + '!')
        self.assertLess(self.anonymous() - before, ROOM)

    def test_regexes(self):
        for regex in ('(a+)+$', '(a|a)*b', '(.*)*x', '.*.*.*.*.*.*.*=.*'):
            begin = time.monotonic()
            status, said = self.post('query', query='label_replace(label_replace(vector(1), "x", "%s!", "", ""), "y", "1", "x", "%s")' % ('a' * 5000, regex))
            self.assertEqual(status, 200, said)
            self.assertLess(time.monotonic() - begin, 5)
        self.fails(400, 'bad_data', 'error parsing regexp', 'query', query='up{a=~"(x{1000}){1000}"}')

    def active(self):
        return {q['id'] for q in json.loads(self.server.ask('/api/v1/status/active_queries'))['data'] if q['query'] == HEAVY}

    def test_ended_from_outside(self):
        said = []
        threads = [threading.Thread(target=lambda: said.append(self.post('query', query=HEAVY, timeout='60s'))) for _ in range(4)]
        for t in threads:
            t.start()
        begin = time.monotonic()
        while len(self.active()) < len(threads) and time.monotonic() - begin < 20 and not said:
            time.sleep(0.05)
        took = []
        for id in sorted(self.active()):
            begin = time.monotonic()
            urllib.request.urlopen(urllib.request.Request('http://127.0.0.1:%d/api/v1/status/active_queries/%s' % (self.server.port, id), method='DELETE')).read()
            while id in self.active():
                time.sleep(0.005)
            took.append(time.monotonic() - begin)
        for t in threads:
            t.join()
        self.assertEqual([(status, a.get('errorType')) for status, a in said], [(499, 'canceled')] * len(threads), str(said)[:500])
        self.assertLess(max(took), END_S)


if __name__ == '__main__':
    tally.unittest_main()
