#!/usr/bin/env python3
"""What runs where files are read, why, and what it cost: in the log, at status/storage_io, in explain, the query log and the metrics, for each backend."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, 'tools'), os.path.join(TOP, 'tests/e2e/lib')]
import stalling
import tally

EPITOOL = os.environ.get('EPITOOL') or os.path.join(TOP, 'build/epitool')
EPIMETHEUS = os.environ.get('EPIMETHEUS') or os.path.join(TOP, 'build/epimetheus')
RUN_S, READY_S, BROWSER_S, SERIES, BEGIN_S = 120, 60, 300, 400, 1700006400
QUERY = {'query': 'sum(max_over_time(m[1h]))', 'time': BEGIN_S + 3600}


class Backends(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.makedirs(os.path.join(TOP, 'build'), exist_ok=True)
        tmp = tempfile.TemporaryDirectory(prefix='epi-backends-', dir=os.path.join(TOP, 'build'))      # where temporary files go may be memory
        cls.addClassCleanup(tmp.cleanup)
        cls.tmp, cls.data = tmp.name, os.path.join(tmp.name, 'source/data')
        os.makedirs(os.path.dirname(cls.data))
        text = os.path.join(cls.tmp, 'page.om')
        with open(text, 'w') as f:
            f.write('# TYPE m gauge\n')
            for s in range(SERIES):
                f.writelines('m{s="%d"} %d %d\n' % (s, s * t % 977, BEGIN_S + t) for t in range(0, 7200, 60))
            f.write('# EOF\n')
        made = tally.run([EPITOOL, 'tsdb', 'create-blocks-from', 'openmetrics', text, cls.data], RUN_S)
        assert made.code == 0, made.err

    def begin(self, data, *words):
        self.log, port = tempfile.TemporaryFile(), tally.free_port()
        self.query_log = os.path.join(self.tmp, 'queries.log')
        config = os.path.join(self.tmp, 'config.yml')
        with open(config, 'w') as f:
            f.write('global: {query_log_file: %s}\n' % self.query_log)
        open(self.query_log, 'w').close()
        self.server = subprocess.Popen([EPIMETHEUS, '--config.file=' + config, '--storage.tsdb.path=' + data, '--storage.tsdb.retention.time=100y',
                                        '--web.listen-address=127.0.0.1:%d' % port, *words], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.addCleanup(self.end)
        self.at = 'http://127.0.0.1:%d' % port
        end = time.monotonic() + READY_S
        while True:
            try:
                return self.get('/-/ready')
            except OSError:
                self.assertIsNone(self.server.poll(), self.said())
                self.assertLess(time.monotonic(), end)
                time.sleep(0.02)

    def end(self):
        if self.server:
            self.server.terminate()
            self.server.wait(RUN_S)
            self.server = None
            self.log.close()

    def said(self):
        self.log.seek(0)
        return self.log.read().decode()

    def get(self, path, **params):
        with urllib.request.urlopen(self.at + path + '?' + urllib.parse.urlencode(params), timeout=RUN_S) as r:
            return r.read().decode()

    def data_of(self, path, **params):
        return json.loads(self.get('/api/v1/' + path, **params))['data']

    def told(self, io, backend, watched, fresh):
        """The figures of one query that read blocks by this backend alone."""
        self.assertEqual(set(io), {'majorFaults', backend})
        one = io[backend]
        self.assertGreater(one['reads'], 0)
        self.assertGreater(one['bytes'], SERIES)
        if backend == 'mmap' and not watched:
            self.assertEqual(set(one), {'reads', 'bytes'})
            return
        self.assertEqual(set(one), {'reads', 'bytes', 'hits', 'misses', 'stalledSeconds'} | ({'majorFaults'} if backend == 'mmap' else set()))
        self.assertGreater(one['hits'] + one['misses'], 0)
        if fresh:
            if backend != 'direct':                             # whose reads were all announced, and are waited for
                self.assertGreater(one['misses'], 0)
            self.assertGreater(one['stalledSeconds'], 0)
            self.assertGreaterEqual(io['majorFaults'], one.get('majorFaults', 0))

    def forget(self):
        kind = tally.run(['stat', '--file-system', '--format=%T', self.data], RUN_S).out.decode().strip()
        if kind in ('tmpfs', 'ramfs'):
            self.skipTest('%s: what lies in memory is not read from a disk' % kind)
        for folder, _, files in os.walk(self.data):
            for name in files:
                with open(os.path.join(folder, name), 'rb') as f:
                    os.fsync(f.fileno())
                    os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def test_what_a_query_read(self):
        for backend in stalling.BACKENDS:
            with self.subTest(backend=backend):
                self.forget()
                self.begin(self.data, '--storage.io=' + backend)
                self.forget()
                self.data_of('query', **QUERY, stats='all')
                explained = self.data_of('query', **QUERY, explain='true')['explain']
                while 'read' not in explained:
                    explained = explained['children'][0]
                self.told(explained['read']['io'], backend, True, False)
                self.data_of('query', **QUERY)
                with open(self.query_log) as f:
                    lines = [json.loads(line) for line in f]
                self.assertEqual(len(lines), 3)
                self.told(lines[0]['cost']['io'], backend, True, True)
                self.told(lines[2]['cost']['io'], backend, False, False)
                metrics = self.get('/metrics')
                for name in ('pins', 'pinned_bytes', 'hits', 'misses', 'stalled_seconds'):
                    found = re.search(r'^epimetheus_io_%s_total\{backend="%s"\} (\S+)' % (name, backend), metrics, re.M)
                    self.assertTrue(found, name)
                    self.assertGreater(float(found.group(1)), 0, name)
                self.assertRegex(metrics, r'(?m)^epimetheus_io_major_faults_total \d')
                states = self.data_of('status/storage_io')
                self.assertEqual({(s['kind'], s['asked'], s['backend']) for s in states if s['kind'] in ('index', 'chunks')},
                                 {('index', backend, backend), ('chunks', backend, backend)})
                self.end()

    def chosen(self, kind, backend, reason):
        """It says so at status/storage_io and in the log."""
        state, = [s for s in self.data_of('status/storage_io') if s['kind'] == kind]
        self.assertEqual(state['backend'], backend)
        self.assertIn(reason, state['reason'])
        self.assertRegex(self.said(), r'files=%s .*backend=%s reason="[^"]*%s' % (kind, backend, re.escape(reason)))

    def test_auto_tells_why(self):
        self.begin(self.data)
        self.chosen('index', 'mmap', 'local file system')
        self.chosen('chunks', 'mmap', 'local file system')

    def test_auto_maps_nothing_far_away(self):
        fs = stalling.SlowFs(stalling.slow_fs(os.path.join(TOP, 'build/debug')), os.path.dirname(self.data), os.path.join(self.tmp, 'mounted'))
        self.addCleanup(fs.close)
        self.begin(fs.folder + '/data')
        for kind in ('index', 'chunks'):
            self.chosen(kind, 'buffered', 'a network or FUSE file system')

    def test_files_cut_under_their_maps(self):
        """An error of the queries that read what is gone; the server goes on, and says which file."""
        for name in ('index', 'chunks/000001'):
            with self.subTest(file=name):
                data = os.path.join(self.tmp, 'cut', name.replace('/', '-'))
                shutil.copytree(self.data, data)
                self.begin(data, '--storage.io=mmap')
                self.assertEqual(len(self.data_of('query', **QUERY)['result']), 1)
                block, = [b for b in os.listdir(data) if os.path.exists(os.path.join(data, b, 'index'))]
                os.truncate(os.path.join(data, block, name), 8192)
                for _ in range(2):
                    with self.assertRaises(urllib.error.HTTPError) as refused:
                        self.get('/api/v1/query', query='count(last_over_time(m[1h]))', time=BEGIN_S + 7000)
                    with refused.exception as answer:
                        self.assertEqual(answer.code, 500)
                        self.assertIn('%s/%s: a mapped page could not be read' % (block, name), answer.read().decode())
                self.get('/-/ready')
                self.assertIsNone(self.server.poll())
                self.end()

    def drawn(self, **params):
        """The page as a browser has it, in the end; it asks nobody but the server."""
        deps = tally.run([os.path.join(TOP, 'tools/deps'), 'browser'], BROWSER_S)
        browser = shutil.which('chromium')
        if not browser:
            self.skipTest('no browser: %s' % deps.err.decode(errors='replace')[-300:])
        ran = tally.run([browser, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking',
                         '--disable-component-update', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', '--user-data-dir=' + self.tmp + '/browser',
                         '--virtual-time-budget=8000', '--dump-dom', self.at + '/query?' + urllib.parse.urlencode(params)], RUN_S)
        self.assertEqual(ran.code, 0, ran.err[-2000:])
        parts = re.findall(r'<h3>(.*?)</h3><p>.*?</p><table>(.*?)</table>', ran.out.decode(), re.S)
        rows = {title: [re.findall(r'<td[^>]*>(.*?)</td>', row) for row in table.split('<tr>')] for title, table in parts}
        return {title: [row for row in table if row] for title, table in rows.items()}

    def test_page(self):
        """What this query and all of them cost by each backend, and why it runs."""
        self.begin(self.data, '--storage.io=index=auto,chunks=direct')
        query = 'sum(max_over_time(m[1h] @ %d))' % (BEGIN_S + 3600)
        tables = self.drawn(**{'g0.tab': 'io', 'g0.expr': query})
        self.assertEqual(set(tables), {'This expression', 'Since the start', 'Which backend, and why'})
        for title in ('This expression', 'Since the start'):
            rows = {row[0]: row[1:] for row in tables[title]}
            self.assertEqual(set(rows), {'mmap', 'direct'})
            for backend, row in rows.items():
                reads, size, hits, misses, faults, stalled = row
                self.assertGreater(int(reads), 0)
                self.assertRegex(size, r'^\d[\d.]* [KM]iB$')
                self.assertGreater(int(hits) + int(misses), 0)
                self.assertRegex(faults, r'^\d+$' if backend == 'mmap' else '^-$')
                self.assertRegex(stalled, r'^(0|[\d.]+ (us|ms|s))$')
        rows = {row[0]: row[1:] for row in tables['Which backend, and why']}
        self.assertEqual((rows['index'][:2], rows['chunks'][:2]), (['auto', 'mmap'], ['direct', 'direct']))
        self.assertIn('local file system', rows['index'][-1])

    @unittest.skipUnless(os.geteuid() == 0, 'needs to mount')
    def test_direct_falls_back_where_it_is_refused(self):
        folder = os.path.join(self.tmp, 'ram')
        os.makedirs(folder, exist_ok=True)
        mounted = subprocess.run(['mount', '-t', 'ramfs', 'ramfs', folder], capture_output=True, check=False)
        if mounted.returncode:
            self.skipTest('cannot mount: %s' % mounted.stderr.decode().strip())
        self.addCleanup(subprocess.run, ['umount', folder], check=True)
        subprocess.run(['cp', '-r', self.data, folder], check=True)
        self.begin(folder + '/data', '--storage.io=direct')
        self.assertRegex(self.said(), 'level=WARN .*storage is read by another backend than asked for" files=chunks asked=direct backend=buffered reason="')
        states = {s['kind']: s for s in self.data_of('status/storage_io')}
        self.assertEqual((states['chunks']['asked'], states['chunks']['backend']), ('direct', 'buffered'))
        self.assertEqual(self.data_of('query', query='count(m)', time=BEGIN_S + 3600)['result'][0]['value'][1], str(SERIES))


if __name__ == '__main__':
    tally.unittest_main()
