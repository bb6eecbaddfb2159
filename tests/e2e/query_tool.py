#!/usr/bin/env python3
"""`epitool query` and `epitool promql`: beside Debian's promtool where that has the command, both asking a server whose answers are known."""
import contextlib
import http.server
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.parse

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(HERE, 'lib'), os.path.join(TOP, 'tools')]
import servers
import tally
import terminal

TLS = os.path.join(HERE, 'lib', 'tls')
EPITOOL = os.path.join(TOP, 'build/epitool')
LIMIT_S = 60

HISTOGRAM = {'count': '7', 'sum': '1.5e+01', 'buckets': [[1, '-4', '-2', '1'], [3, '-0.001', '0.001', '2'], [0, '0.5', '1', '4']]}
METRIC = {'__name__': 'm', 'z': '1', 'a': 'x "y"\n<é>'}


def result(kind, value):
    return {'status': 'success', 'data': {'resultType': kind, 'result': value}}


class Answers(http.server.BaseHTTPRequestHandler):
    answer, asked, headers, status = {}, [], [], 200

    def reply(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0)).decode()
        path, _, query = self.path.partition('?')
        Answers.asked.append((path, urllib.parse.parse_qs(body or query)))
        Answers.headers.append(self.headers)
        text = json.dumps(Answers.answer).encode() if isinstance(Answers.answer, dict) else Answers.answer
        self.send_response(Answers.status)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = reply

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def answers(tls=None):
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Answers) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        t = threading.Thread(target=server.serve_forever)
        t.start()
        try:
            yield '%s://127.0.0.1:%d' % ('https' if tls else 'http', server.server_address[1])
        finally:
            server.shutdown()
            t.join()


def said(program, words, env=None):
    r = subprocess.run([program, *words], capture_output=True, text=True, timeout=LIMIT_S, env={**os.environ, 'COLUMNS': '60', 'LC_ALL': 'C.UTF-8', **(env or {})})
    return r.returncode, r.stdout, r.stderr


class Query(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.promtool = os.path.join(os.path.dirname(servers.peer()), 'promtool')

    def setUp(self):
        Answers.asked, Answers.headers, Answers.status = [], [], 200
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.url = stack.enter_context(answers())

    CASES = (
        ('a vector', result('vector', [{'metric': METRIC, 'value': [1435781451.781, '1e+30']}, {'metric': {}, 'value': [5, 'NaN']}]),
         'instant --time=5 {} up'),
        ('a name alone', result('vector', [{'metric': {'__name__': 'm'}, 'value': [1.5, '-Inf']}]), 'instant --time=2015-07-01T20:10:51.781Z {} m'),
        ('nothing', result('vector', []), 'instant {} m'),
        ('a scalar', result('scalar', [1435781451.781, '2.5']), 'instant {} 2.5'),
        ('a matrix', result('matrix', [{'metric': METRIC, 'values': [[1, '1'], [2.5, '0.1']]}]), 'range --start=1 --end=3 --step=1s {} m'),
        ('matrices, the one of fewer labels first', result('matrix', [
            {'metric': m, 'values': [[1, '1']]} for m in (
                {'a': '1', 'b': '2'}, {'b': '9'}, {'a': '1', 'c': '0'}, {'a': '9'}, {'a': '1', 'b': '10'}, {}, {'__name__': 'z'}, {'a': '1', 'b': '2', 'c': ''})]),
         'range --start=1 --end=3 --step=1s {} m'),
        ('a step of zero is none', result('matrix', []), 'range --start=1 --end=100001 --step=0s {} m'),
        ('series', {'status': 'success', 'data': [METRIC, {'__name__': 'n'}]}, 'series --match=m --match={{a="b"}} --start=1 --end=2 {}'),
        ('labels', {'status': 'success', 'data': ['a', 'b c']}, 'labels --match=m --start=1 --end=2 {} job'),
        ('warnings', {'status': 'success', 'warnings': ['one', 'two'], 'data': ['a']}, 'labels {} job'),
    )

    def test_as_promtool(self):
        for name, answer, words in self.CASES:
            for form in ('promql', 'json'):
                with self.subTest(name, form=form):
                    Answers.answer, Answers.asked = answer, []
                    line = ['query', '-o', form] + words.format(self.url).split(' ')
                    want, got = said(self.promtool, line), said(EPITOOL, line)
                    self.assertEqual(want[0], 0, want)
                    self.assertEqual(got, want)
                    (path, theirs), (_, ours) = Answers.asked
                    self.assertEqual(Answers.asked[1][0], path)
                    theirs.pop('timeout', None)
                    self.assertEqual(set(ours), set(theirs))
                    for key in ('match[]', 'query', *(k for k in ('time', 'start', 'end', 'step') if '--' + k in words)):
                        self.assertEqual([self.plain(key, v) for v in ours.get(key, [])], [self.plain(key, v) for v in theirs.get(key, [])], key)

    def test_what_promtool_did_not_have_then(self):
        """As prometheus/common prints them."""
        histogram = 'Count: 7.000000, Sum: 15.000000, Buckets: [[-4,-2):1 [-0.001,0.001]:2 (0.5,1]:4]'
        bare = json.dumps({**HISTOGRAM, 'sum': '15'}, separators=(',', ':'))
        for name, answer, text, raw in (
                ('histograms', result('vector', [{'metric': {'__name__': 'm'}, 'histogram': [1435781451.781, HISTOGRAM]}]),
                 'm => %s @[1435781451.781]\n' % histogram, '[{"metric":{"__name__":"m"},"histogram":[1435781451.781,%s]}]\n' % bare),
                ('a histogram of nothing', result('vector', [{'metric': {'__name__': 'm'}, 'histogram': [1, {'count': '0', 'sum': '0'}]}]),
                 'm => Count: 0.000000, Sum: 0.000000, Buckets: [] @[1]\n',
                 '[{"metric":{"__name__":"m"},"histogram":[1,{"count":"0","sum":"0","buckets":null}]}]\n'),
                ('both kinds', result('matrix', [{'metric': {}, 'values': [[1, '1']], 'histograms': [[2, HISTOGRAM]]}]),
                 '{} =>\n1 @[1]\n%s @[2]\n' % histogram, '[{"metric":{},"values":[[1,"1"]],"histograms":[[2,%s]]}]\n' % bare),
                ('a string', result('string', [1435781451.781, 'foo\nbar']), 'foo\nbar\n', '[1435781451.781,"foo\\nbar"]\n')):
            with self.subTest(name):
                Answers.answer = answer
                self.assertEqual(said(EPITOOL, ['query', 'instant', self.url, 'x']), (0, text, ''))
                self.assertEqual(said(EPITOOL, ['query', '-o', 'json', 'instant', self.url, 'x']), (0, raw, ''))

    def test_words_as_promtool_takes_them(self):
        Answers.answer = result('scalar', [1, '1'])
        for words, key, want in (('query -ojson instant --time=5 {} m', 'query', 'm'), ('query instant --time=5 {} -- -m', 'query', '-m'),
                                 ('query instant --time=-5.25 {} m', 'time', -5.25), ('query instant --time=-0.5 {} m', 'time', -0.5),
                                 ('query range --start=-7 --end=-5.5 --step=1.5s {} m', 'step', 1.5), ('query range --start=1 --end=2 --step=1m0.5s {} m', 'step', 60.5),
                                 ('query range --start=-7.25 --end=2 --step=-1s {} m', 'step', -1)):
            with self.subTest(words):
                line, asked = words.format(self.url).split(' '), []
                for program in (self.promtool, EPITOOL):
                    Answers.asked = []
                    ran = said(program, line)
                    self.assertEqual(ran[0], 0, ran)
                    asked.append(Answers.asked[0][1][key])
                self.assertEqual(self.plain(key, asked[1][0]), want)
                self.assertEqual(self.plain(key, asked[0][0]), want)
        self.assertEqual(said(EPITOOL, ['query', 'instant', '--header', 'X-A: b', self.url, '1'])[0], 0)
        Answers.answer = result('matrix', [])
        self.assertEqual(said(EPITOOL, ['query', 'analyze', '--server', self.url, '--type=histogram', '--match=m', '--duration=1.5h'])[0], 0)
        self.assertEqual(Answers.asked[-1][1]['query'], ['m[1h30m]'])

    def test_texts_with_zeros(self):
        Answers.answer = result('vector', [{'metric': {'a': 'x\0y'}, 'value': [5, '1']}])
        for form in ('promql', 'json'):
            line = ['query', '-o', form, 'instant', self.url, 'm']
            self.assertEqual(said(EPITOOL, line), said(self.promtool, line))
        Answers.answer = {'status': 'success', 'data': ['x\0y', 'z']}
        line = ['query', 'labels', self.url, 'a']
        self.assertEqual(said(EPITOOL, line), said(self.promtool, line))

    def test_what_cannot_be_asked_or_written(self):
        for url in ('', 'http://', 'http:///'):
            line = ['query', 'instant', '--time=5', url, '1']
            self.assertEqual(said(EPITOOL, line), (1, '', 'query error: Post "http:///api/v1/query": http: no Host in request URL\n'))
        self.assertEqual(said(EPITOOL, ['query', 'instant', 'ftp://x', '1']), said(self.promtool, ['query', 'instant', 'ftp://x', '1']))
        Answers.answer = result('scalar', [1, '1'])
        with open('/dev/full', 'w') as full:
            ran = subprocess.run([EPITOOL, 'query', 'instant', self.url, 'm'], stdout=full, stderr=subprocess.PIPE, timeout=LIMIT_S)
        self.assertEqual((ran.returncode, ran.stderr), (1, b'epitool: the answer cannot be written\n'))

    def plain(self, key, value):
        return value if key in ('query', 'match[]') else float(value)

    def test_failures_as_promtool(self):
        bad = {'status': 'error', 'errorType': 'bad_data', 'error': 'invalid parameter "query": 1:5: parse error'}
        for status, answer, words in ((400, bad, 'instant {} sum('), (422, {**bad, 'errorType': 'execution', 'error': 'x'}, 'range {} m'),
                                      (404, b'404 page not found\n', 'instant {} m'), (503, b'', 'instant {} m'),
                                      (200, bad, 'range --start=3 --end=2 {} m'), (200, bad, 'range --start=x {} m')):
            with self.subTest(words):
                Answers.answer, Answers.status = answer, status
                line = ['query'] + words.format(self.url).split(' ')
                want, got = said(self.promtool, line), said(EPITOOL, line)
                self.assertEqual((want[0], want[1]), (1, ''))
                self.assertEqual(got, want)

    def test_what_is_no_answer(self):
        Answers.answer = b'<html>'
        code, out, err = said(EPITOOL, ['query', 'instant', self.url, 'up'])
        self.assertEqual((code, out), (1, ''))
        self.assertIn('bad_response', err)
        Answers.status = 503
        self.assertIn('server error: 503', said(EPITOOL, ['query', 'instant', self.url, 'up'])[2])

    def test_headers_are_sent_and_bad_words_refused(self):
        Answers.answer = result('scalar', [1, '1'])
        self.assertEqual(said(EPITOOL, ['query', 'instant', '--header', 'X-A=b=c', self.url, '1'])[0], 0)
        for words in ('instant', 'instant {}', 'instant {} a b', 'series {}', 'instant --bogus=1 {} a', '-o xml instant {} a', 'analyze --match=m', 'what {} x'):
            with self.subTest(words):
                self.assertEqual(said(EPITOOL, ['query'] + words.format(self.url).split(' '))[0], 2)

    def in_folder(self, **files):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for name, text in files.items():
            with open(os.path.join(folder.name, name), 'w') as f:
                f.write(text)
        return folder.name

    def test_http_config_file(self):
        Answers.answer = result('scalar', [1, '1'])
        where = self.in_folder(secret=' s3cret\n', empty='', basic='basic_auth: {username: me, password: "a:b"}', file='basic_auth: {username: me, password_file: secret}',
                               bearer='authorization: {credentials_file: secret}', other='authorization: {type: Token, credentials: x}', old='bearer_token: y')
        sent = {'empty': None, 'basic': 'Basic bWU6YTpi', 'file': 'Basic bWU6czNjcmV0', 'bearer': 'Bearer s3cret', 'other': 'Token x', 'old': 'Bearer y'}
        for name, want in sent.items():
            for words in ('instant {} 1', 'range {} 1', 'series --match=m {}', 'labels {} a'):
                with self.subTest(name, words=words):
                    Answers.headers = []
                    Answers.answer = {'status': 'success', 'data': []} if words[0] in 'sl' else result('matrix', [])
                    line = ['query', '--http.config.file=' + os.path.join(where, name)] + words.format(self.url).split(' ')
                    self.assertEqual(said(EPITOOL, line)[0::2], (0, ''))
                    self.assertEqual(Answers.headers[0].get('Authorization'), want)
        with open(os.path.join(where, 'headers'), 'w') as f:
            f.write('http_headers: {X-One: {values: [a], files: [secret]}}')
        Answers.headers = []
        self.assertEqual(said(EPITOOL, ['query', 'instant', '--header=X-Two=b', '--http.config.file', os.path.join(where, 'headers'), self.url, '1'])[0], 0)
        self.assertEqual((Answers.headers[0].get_all('X-One'), Answers.headers[0]['X-Two']), (['a', 's3cret'], 'b'))

    def test_bad_http_config_files(self):
        where = self.in_folder(unknown='foo: 1', both='{basic_auth: {username: a}, bearer_token: b}', yaml='a: [', basic='basic_auth: {username: a}', nofile='basic_auth: {username: a, password_file: none}')
        fails = 'Failed to load HTTP config file: '
        for name, words in (('unknown', fails + 'yaml: unmarshal errors:\n  line 1: field foo not found in type config.plain\n'),
                            ('both', fails + 'at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured\n'),
                            ('yaml', fails + 'yaml: '), ('missing', fails + 'open %s/missing: no such file or directory\n' % where),
                            ('basic', 'Cannot set base auth in the server URL and use a http.config.file at the same time\n'),
                            ('nofile', 'query error: Post "%s/api/v1/query": unable to read basic auth password: unable to read file %s/none: open %s/none: '
                             'no such file or directory\n' % (self.url, where, where))):
            with self.subTest(name):
                url = self.url.replace('//', '//u:p@') if name == 'basic' else self.url
                got = said(EPITOOL, ['query', '--http.config.file=' + os.path.join(where, name), 'instant', url, '1'])
                self.assertEqual((got[:2], Answers.asked), ((1, ''), []))
                self.assertTrue(got[2].startswith(words), got[2])

    def test_https(self):
        Answers.answer = result('scalar', [1, '1'])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(TLS, 'server.pem'), os.path.join(TLS, 'server.key'))
        context.load_verify_locations(os.path.join(TLS, 'ca.pem'))
        context.verify_mode = ssl.CERT_REQUIRED
        own = 'cert_file: %s/client.pem, key_file: %s/client.key' % (TLS, TLS)
        where = self.in_folder(good='tls_config: {ca_file: %s/ca.pem, %s}' % (TLS, own), blind='tls_config: {insecure_skip_verify: true, %s}' % own,
                               strange='tls_config: {%s}' % own, bare='tls_config: {ca_file: %s/ca.pem}' % TLS)
        with answers(context) as url:
            for name, code in (('good', 0), ('blind', 0), ('strange', 1), ('bare', 1)):
                with self.subTest(name):
                    self.assertEqual(said(EPITOOL, ['query', '--http.config.file=' + os.path.join(where, name), 'instant', url, '1'])[0], code)

    def test_analyze(self):
        bucket = lambda le, *values: {'metric': {'__name__': 'h_bucket', 'job': 'j', 'le': le}, 'values': [[i, str(v)] for i, v in enumerate(values)]}
        native = {'metric': {'__name__': 'n'}, 'histograms': [[1, HISTOGRAM], [2, {**HISTOGRAM, 'buckets': HISTOGRAM['buckets'][:1]}]]}
        Answers.answer = result('matrix', [bucket('+Inf', 3, 9, 9), bucket('0.1', 1, 1, 2), bucket('10', 3, 5, 2), native, bucket('x', 1)])
        Answers.answer['data']['result'][-1]['metric']['__name__'] = 'no'
        code, out, err = said(EPITOOL, ['query', 'analyze', '--server=' + self.url, '--type=histogram', '--match=h_bucket', '--time=10'])
        self.assertEqual((code, err), (0, ''))
        self.assertEqual(Answers.asked[0][1]['query'], ['h_bucket[1h]'])
        self.assertIn('\n- n (native): 1/2.000/3\n', out)
        self.assertIn('\n- h_bucket{job="j"} (classic): 2/2.333/3\n', out)
        self.assertIn('\nNative histogram series (1 in total):\n- min populated: 1/1.000/1\n- avg populated: 2/2.000/2\n- max populated: 3/3.000/3\n', out)
        self.assertIn('\nClassic histogram series (1 in total):\n- min populated: 2/2.000/2\n- avg populated: 2/2.000/2\n- max populated: 3/3.000/3\n', out)
        self.assertEqual(said(EPITOOL, ['query', 'analyze', '--server=' + self.url, '--type=x', '--match=m'])[0], 1)

    def test_analyze_of_many_samples(self):
        """The mean of what is always the same is that."""
        bucket = lambda le, n: {'metric': {'__name__': 'h_bucket', 'le': le}, 'values': [[i, str(n * (i + 1))] for i in range(120)]}
        Answers.answer = result('matrix', [bucket('0.1', 1), bucket('1', 2), bucket('10', 3), bucket('+Inf', 4)])
        line = ['query', 'analyze', '--server=' + self.url, '--type=histogram', '--match=h_bucket']
        out = said(EPITOOL, line)[1]
        self.assertIn('\n- h_bucket{} (classic): 4/4.000/4\n', out)
        self.assertIn('\n- avg populated: 4/4.000/4\n', out)

    def test_histograms_without_bounds(self):
        odd = {'count': '-Inf', 'sum': 'NaN', 'buckets': [[0, '1', '2', '+Inf'], [0, '2', '+Inf', 'NaN']]}
        Answers.answer = result('vector', [{'metric': {}, 'histogram': [5, odd]}])
        self.assertEqual(said(EPITOOL, ['query', 'instant', self.url, 'm']),
                         (0, '{} => Count: -Inf, Sum: NaN, Buckets: [(1,2]:+Inf (2,+Inf]:NaN] @[5]\n', ''))

    def test_plan_of_a_thousand_levels(self):
        node = {'node': '1', 'type': 'number', 'cpuSeconds': 0, 'waitSeconds': 0, 'series': 1, 'samples': 4, 'children': []}
        text = json.dumps({**node, 'children': ['HERE']})
        for levels, code in ((1000, 0), (1100, 1)):
            head, tail = text.split('"HERE"')
            Answers.answer = (json.dumps(result('vector', [])).replace('"result": []', '"result": [], "explain": ' + head * levels + json.dumps(node) + tail * levels)).encode()
            got = said(EPITOOL, ['query', 'instant', '--explain', self.url, 'm'])
            self.assertEqual((got[0], len(got[1].splitlines())), (code, 0 if code else levels + 1), got[2])
            self.assertEqual('a query of more than a thousand levels' in got[2], bool(code))

    def test_plan(self):
        leaf = {'node': 'x' * 70, 'type': 'vectorSelector', 'cpuSeconds': 0.003, 'waitSeconds': 0.5, 'series': 2, 'samples': 8,
                'read': {'series': 2, 'samples': 9, 'chunks': 4, 'bytes': {'head': 0, 'cache': 5, 'disk': 77, 'bucket': 6}}, 'children': []}
        number = {'node': '1', 'type': 'number', 'cpuSeconds': 0, 'waitSeconds': 0, 'series': 1, 'samples': 4, 'children': []}
        Answers.answer = result('vector', [])
        Answers.answer['data']['explain'] = {**number, 'node': 'x + 1', 'cpuSeconds': 0.001, 'children': [{**number, 'children': [leaf]}, number]}
        want = ['x + 1  1.000 ms (25 %)  series 1  samples 4',
                '├─ 1  0.000 ms (0 %)  series 1  samples 4',
                '│  └─ ' + 'x' * 60 + '…  3.000 ms (75 %)  waited 500.000 ms  series 2  samples 8  | read series 2  samples 9  chunks 4  '
                'cache bytes 5  disk bytes 77  bucket bytes 6',
                '└─ 1  0.000 ms (0 %)  series 1  samples 4']
        for words in ('instant', 'range'):
            Answers.asked = []
            self.assertEqual(said(EPITOOL, ['query', words, '--explain', self.url, 'x'])[1].splitlines(), want)
            self.assertEqual(Answers.asked[0][1]['explain'], ['true'])

    def test_plan_in_a_terminal(self):
        node = {'node': '1', 'type': 'number', 'cpuSeconds': 0, 'waitSeconds': 0, 'series': 1, 'samples': 4, 'children': []}
        tree = node
        for i in range(200):
            tree = {**node, 'node': 'é' * i, 'children': [tree, node]}
        Answers.answer = result('vector', [])
        Answers.answer['data']['explain'] = tree
        for columns in (20, 40, 79, 200):
            for locale, bar in (('C.UTF-8', '├─ '), ('C', '|- ')):
                with self.subTest(columns, locale=locale):
                    out = terminal.run([EPITOOL, 'query', 'instant', '--explain', self.url, 'x'], columns, {**os.environ, 'LC_ALL': locale})
                    lines = out.splitlines()
                    self.assertEqual(len(lines), 401)
                    self.assertLessEqual(max(map(len, lines)), columns)
                    self.assertIn(bar, lines[1])
                    self.assertEqual(locale == 'C', '├' not in out and '…' not in out)

    def test_plot_of_odd_data(self):
        numbers = lambda *values: {'metric': {'__name__': 'm'}, 'values': [[t, v] for t, v in values]}
        for name, series in (('one point', [numbers((1, '5'))]), ('not a number', [numbers((1, 'NaN'), (2, '+Inf'), (3, '1'))]),
                             ('far away', [numbers((1e12, '1e308'), (2e12, '-1e308'))]), ('many', [numbers((1, '1'), (2, str(i))) for i in range(3000)]),
                             ('histograms', [{'metric': {}, 'histograms': [[1, HISTOGRAM]]}])):
            Answers.answer = result('matrix', series)
            for columns, locale in (('16', 'C'), ('30', 'C.UTF-8'), ('100', 'C')):
                with self.subTest(name, columns=columns):
                    code, out, err = said(EPITOOL, ['query', 'range', '--plot', '--start=0', '--end=9', self.url, 'm'], {'COLUMNS': columns, 'LC_ALL': locale})
                    self.assertEqual((code, err), (0, ''))
                    if name == 'histograms':
                        self.assertEqual(out, 'no numbers to draw\n')
                        continue
                    self.assertEqual(locale == 'C', out.isascii())
                    lines = out.splitlines()
                    self.assertLessEqual(max(len(line) for line in lines[:21]), int(columns))
                    self.assertTrue(any(set(line[11:]) - {' '} for line in lines[:20]))

    def test_plot(self):
        rising = {'metric': {'__name__': 'up'}, 'values': [[t, str(t)] for t in range(0, 100)]}
        gap = {'metric': {'__name__': 'gap'}, 'values': [[t, '50'] for t in range(0, 100) if not 30 < t < 70] + [[99, 'NaN']]}
        Answers.answer = result('matrix', [rising, gap])
        code, out, err = said(EPITOOL, ['query', 'range', '--plot', '--start=0', '--end=99', self.url, 'm'])
        self.assertEqual((code, err), (0, ''))
        lines = out.splitlines()
        self.assertTrue(all(len(line) <= 60 for line in lines[:21]), out)
        self.assertEqual(lines[0].split('┤')[0].strip(), '99')
        self.assertEqual(lines[19].split('┤')[0].strip(), '0')
        picture = [line[11:] for line in lines[:20]]
        drawn = [{x for x, c in enumerate(row.ljust(49)) if c != ' '} for row in picture]
        self.assertIn(48, drawn[0])                                    # from the lower left to the upper right
        self.assertIn(0, drawn[19])
        self.assertEqual(set().union(*drawn), set(range(49)))
        level = max(drawn, key=len)                                    # the other one, with its gap
        self.assertGreater(len(level), 25)
        self.assertLess(len(level), 36)
        self.assertFalse(level & set(range(19, 23)))
        self.assertEqual(lines[-2].split()[1:], ['up', '99'])
        Answers.answer = result('matrix', [])
        self.assertEqual(said(EPITOOL, ['query', 'range', '--plot', self.url, 'm'])[1], 'no numbers to draw\n')


class PromQL(unittest.TestCase):
    def test_text(self):
        for words, want in (
                (['format', 'sum(rate(foo{a="b"}[5m]))by(job)'], 'sum by (job) (rate(foo{a="b"}[5m]))\n'),
                (['label-matchers', 'set', 'foo + sum(bar{a="b"})', 'a', 'x'], 'foo{a="x"} + sum(bar{a="x"})\n'),
                (['label-matchers', 'set', '-t', '=~', 'rate(foo{c!="d"}[5m])', 'a', 'x.*'], 'rate(foo{a=~"x.*",c!="d"}[5m])\n'),
                (['label-matchers', 'set', 'foo', 'a', 'x.*', '-t', '!~'], 'foo{a!~"x.*"}\n'),
                (['label-matchers', 'set', '-t=~', 'foo', 'a', 'b('], 'foo{a=~"b("}\n'),
                (['label-matchers', 'set', '--', '-foo', 'a', 'b'], '-foo{a="b"}\n'),
                (['format', '--', '-foo'], '-foo\n'),
                (['label-matchers', 'set', '--type=!=', 'foo{a="b"} offset 5m', 'a', 'c'], 'foo{a!="c"} offset 5m\n'),
                (['label-matchers', 'delete', 'foo{a="b",c=~"d"} > bar{a!="x"}', 'a'], 'foo{c=~"d"} > bar\n')):
            with self.subTest(words):
                self.assertEqual(said(EPITOOL, ['promql'] + words), (0, want, ''))
        for words in (['--experimental', 'promql', 'format'], ['promql', '--experimental', 'format'], ['promql', 'format', '--experimental'],
                      ['promql', 'format', '--experimental', '--']):
            self.assertEqual(said(EPITOOL, words + ['a+b']), (0, 'a + b\n', ''))
        self.assertEqual(said(EPITOOL, ['promql', 'label-matchers', 'set', '--experimental', 'foo', 'a', 'b']), (0, 'foo{a="b"}\n', ''))
        self.assertEqual(said(EPITOOL, ['promql', 'format', '--', '--experimental']), (0, '--experimental\n', ''))
        self.assertEqual(said(EPITOOL, ['promql', 'format', 'sum(']), (1, '', '1:5: parse error: unclosed left parenthesis\n'))
        for words in ([], ['format'], ['label-matchers', 'set', '-t', '~', 'foo', 'a', 'b'], ['label-matchers', 'delete', 'foo']):
            self.assertEqual(said(EPITOOL, ['promql'] + words)[0], 2)


class Scripts(unittest.TestCase):
    SCRIPT = ('load 1m', '  m 1 2 3', '', 'eval instant at 1m m', '  m 2', '', 'eval instant at 2m m', '  m 4', '')

    def run_script(self, *words):
        with tempfile.NamedTemporaryFile('w', suffix='.test') as f:
            f.write('\n'.join(self.SCRIPT))
            f.flush()
            code, out, _ = said(EPITOOL, ['promqltest', *words, f.name])
            return code, out.replace(f.name, 'x').splitlines()

    def test_words(self):
        code, lines = self.run_script()
        self.assertEqual((code, len(lines), lines[-1]), (1, 2, '1 passed, 1 failed'))
        self.assertTrue(lines[0].startswith('x:7: '), lines)
        code, lines = self.run_script('--verbose')
        self.assertEqual((code, lines[0], lines[-1]), (1, 'x:4: passed', '1 passed, 1 failed'))
        self.assertEqual(self.run_script('--line=4'), (0, ['1 passed, 0 failed']))
        self.assertEqual(self.run_script('--line=7')[1][-1], '0 passed, 1 failed')
        self.assertEqual(self.run_script('--line=5'), (1, ['0 passed, 0 failed']))
        for bad in ('--line=x', '--line=0', '--loud'):
            self.assertEqual(self.run_script(bad)[0], 2)


if __name__ == '__main__':
    tally.unittest_main()
