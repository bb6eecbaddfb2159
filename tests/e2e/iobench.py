#!/usr/bin/env python3
"""`epitool iobench` as its user sees it: figures, page and bar; what cannot be measured or written is said before anything is measured."""
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, 'tools'), os.path.join(TOP, 'tests/e2e/lib')]
import tally
import terminal

EPITOOL = os.path.join(TOP, 'build', 'epitool')
RUN_S, AT_ONCE_S = 300, 20
QUICK = ['--quick', '--slice=20ms']
NARROW = 40
GROUPS, GROUP_BYTES = '/sys/fs/cgroup/memory', 256 << 20
BAR = re.compile(rb'\[=*>? *\] +(\d+) % \(\d+/\d+\)')
OUTSIDE = re.compile(r'(?:src|href|url)\s*[=(]|https?://(?!www\.w3\.org/2000/svg)|@import')
KINDS, BACKENDS = {'index', 'chunks', 'head', 'header'}, {'mmap', 'buffered', 'direct'}


class Iobench(unittest.TestCase):
    def setUp(self):
        os.makedirs(os.path.join(TOP, 'build'), exist_ok=True)
        tmp = tempfile.TemporaryDirectory(prefix='epi-iobench-', dir=os.path.join(TOP, 'build'))        # where temporary files go may be memory
        self.addCleanup(tmp.cleanup)
        self.dir = os.path.join(tmp.name, 'measured')
        self.out = os.path.join(tmp.name, 'out')
        os.mkdir(self.dir)
        os.mkdir(self.out)

    def path(self, name):
        return os.path.join(self.out, name)

    def refused(self, why, *words):
        since = time.monotonic()
        ran = tally.run([EPITOOL, 'iobench', '--quick', *words], RUN_S)
        self.assertEqual(ran.code, 1, ran.err)
        self.assertIn(why, ran.err)
        self.assertEqual(ran.out, b'')
        self.assertLess(time.monotonic() - since, AT_ONCE_S)
        self.assertEqual(os.listdir(self.dir), [])

    def test_figures_page_and_bar(self):
        with open(self.path('figures.json'), 'w') as f:
            f.write('what was there before, and longer' * 5000)
        ours, theirs = pty.openpty()
        with open(self.path('table'), 'w+b') as table:
            proc = subprocess.Popen([EPITOOL, 'iobench', *QUICK, '--file-size=32MB', '--dir=' + self.dir, '--json=' + self.path('figures.json'),
                                     '--report=' + self.path('page.html')], stdin=subprocess.DEVNULL, stdout=table, stderr=theirs)
            os.close(theirs)
            said = terminal.read_all(ours)
            self.assertEqual(proc.wait(RUN_S), 0, said)
            table.seek(0)
            text = table.read().decode()
        percents = [int(p) for p in BAR.findall(said)]
        self.assertGreater(len(percents), 5, said)
        self.assertEqual(percents, sorted(percents))
        self.assertTrue(said.endswith(b'\r\x1b[K'), said[-80:])
        self.assertEqual(os.listdir(self.dir), [])

        with open(self.path('figures.json')) as f:
            found = json.load(f)
        rows = found['rows']
        self.assertTrue(all(isinstance(r['value'], (int, float)) and r['value'] > 0 and r['unit'] for r in rows), rows)
        self.assertEqual({r['how'] for r in rows} & BACKENDS, BACKENDS)
        with open(self.path('page.html')) as f:
            page = f.read()
        self.assertIsNone(OUTSIDE.search(page))
        self.assertTrue(page.rstrip().endswith('</ul></div>\n</main>'), page[-200:])
        self.assertLess(page.index('<h2>All figures'), page.index('<h2>Recommendation'))    # which it ends with, and the reasons
        self.assertEqual(page[page.index('<h2>Recommendation'):].count('<li>'), len(KINDS))
        plan = re.search(r'--storage\.io=(\S+)', text).group(1)
        self.assertEqual(re.sub('<[^>]*>', '', page).count('--storage.io=' + plan), 2)
        pairs = dict(pair.split('=') for pair in plan.split(','))
        self.assertEqual(set(pairs), KINDS)
        self.assertLessEqual(set(pairs.values()), BACKENDS)
        self.assertIn('%.2f times the reads' % found['directToMmap'], text)

    def begun(self, *words, **how):
        """One that is at work: its file is there."""
        proc = subprocess.Popen([EPITOOL, 'iobench', '--dir=' + self.dir, '--json=' + self.path('new.json'), '--report=' + self.path('old.html'), *words],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)
        end = time.monotonic() + AT_ONCE_S
        while not os.listdir(self.dir):
            self.assertIsNone(proc.poll())
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        return proc

    def groups(self):
        return [g for top, folders, _ in os.walk(GROUPS) for g in folders if g.startswith('epitool-iobench-')]

    def nothing_is_left(self):
        self.assertEqual(os.listdir(self.dir), [])
        self.assertEqual(os.listdir(self.out), ['old.html'])
        with open(self.path('old.html')) as f:
            self.assertEqual(f.read(), 'what was there before')

    def test_ended_from_outside(self):
        """Its files, its control group and reports that it has not written go, whatever ends it."""
        before = self.groups()
        with open(self.path('old.html'), 'w') as f:
            f.write('what was there before')
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=sig):
                proc = self.begun('--quick')
                time.sleep(1)
                proc.send_signal(sig)
                _, err = proc.communicate(timeout=RUN_S)
                self.assertEqual((proc.returncode, err), (-sig, b''))
                self.nothing_is_left()
        proc = self.begun('--quick')                            # as the kernel does where memory is short
        with open('/proc/%d/task/%d/children' % (proc.pid, proc.pid)) as f:
            child, = f.read().split()
        os.kill(int(child), signal.SIGKILL)
        _, err = proc.communicate(timeout=RUN_S)
        self.assertEqual((proc.returncode, err), (1, b'epitool: the measurement was ended by signal 9: is there too little memory?\n'))
        self.nothing_is_left()
        self.assertEqual(self.groups(), before)

    def test_narrow_terminal(self):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, NARROW, 0, 0))
        proc = subprocess.Popen([EPITOOL, 'iobench', *QUICK, '--file-size=32MB', '--dir=' + self.dir], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
        os.close(theirs)
        said = terminal.read_all(ours)
        self.assertEqual(proc.wait(RUN_S), 0, said)
        lines = [part for line in said.replace(b'\r\n', b'\n').split(b'\n') for part in line.split(b'\r\x1b[K')]
        self.assertGreater(len(BAR.findall(said)), 5)
        self.assertEqual([line for line in lines if len(line) >= NARROW], [])
        words = b' '.join(b' '.join(lines).split())
        self.assertIn(b'random, 32 in flight, cold:', words)
        self.assertIn(b'header buffered index-headers of buckets are loaded by hundreds', words)

    def test_queries_over_blocks(self):
        text = self.path('blocks.om')
        with open(text, 'w') as f:
            f.write('# TYPE m gauge\n')
            for s in range(50):
                f.writelines('m{s="%d"} %d %d\n' % (s, s + t, 1700006400 + t) for t in range(0, 7200, 60))
            f.write('# EOF\n')
        made = tally.run([EPITOOL, 'tsdb', 'create-blocks-from', 'openmetrics', text, self.dir], RUN_S)
        self.assertEqual(made.code, 0, made.err)
        before = os.listdir(self.dir)
        ran = tally.run([EPITOOL, 'iobench', *QUICK, '--file-size=32MB', '--dir=' + self.dir, '--json=' + self.path('f.json')], RUN_S)
        self.assertEqual((ran.code, ran.err), (0, b''))
        self.assertEqual(os.listdir(self.dir), before)
        with open(self.path('f.json')) as f:
            rows = [r for r in json.load(f)['rows'] if r['part'] == 'queries']
        asked = {(r['what'], r['how']) for r in rows}
        self.assertEqual(asked, {('query, %s, %s' % (q, how), b) for q in ('one series', 'sum of rates of a metric', 'count of all series')
                                 for how in ('cold', 'cached') for b in BACKENDS})

    @unittest.skipUnless(os.geteuid() == 0 and os.path.isdir(GROUPS), 'needs memory control groups of version 1')
    def test_within_a_control_group(self):
        """Its limit is the memory there is, and the measurements with less still are."""
        with open('/proc/self/cgroup') as f:
            own = next(line.strip().split(':')[2] for line in f if 'memory' in line.split(':')[1].split(','))
        group = os.path.join(GROUPS, own.strip('/'), 'epi-test-%d' % os.getpid())
        try:
            os.mkdir(group)
        except OSError as e:
            self.skipTest('no control group can be made: %s' % e)
        self.addCleanup(os.rmdir, group)
        with open(group + '/memory.limit_in_bytes', 'w') as f:
            f.write(str(GROUP_BYTES))
        ran = tally.run(['sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', group, EPITOOL, 'iobench', *QUICK, '--file-size=96MB', '--memory-limit=32MB',
                         '--dir=' + self.dir, '--json=' + self.path('f.json')], RUN_S)
        self.assertEqual((ran.code, ran.err), (0, b''))
        with open(self.path('f.json')) as f:
            found = json.load(f)
        machine = found['machine']
        self.assertEqual((machine['memoryBytes'], machine['memoryLimitBytes'], machine['limitedBy']), (GROUP_BYTES, 32 << 20, 'cgroup v1'))
        hows = {r['how'] for r in found['rows'] if '(eviction)' in r['what']}
        self.assertEqual(hows, {'%s, memory is %s' % (way, state) for way in ('pread', 'mmap') for state in ('free', 'full')})
        self.assertTrue(any('left the control group' in note for note in found['notes']), found['notes'])

    def test_what_cannot_be_is_said_at_once(self):
        self.refused(b'no such file', '--dir=' + self.path('none'))
        self.refused(b'is a directory', '--dir=' + self.dir, '--json=' + self.out)
        self.refused(b'no such file', '--dir=' + self.dir, '--json=' + self.path('f.json'), '--report=' + self.path('none/page.html'))
        self.assertEqual(os.listdir(self.out), [])

    def test_link_stays_a_link(self):
        """What is named is written in place, be it a device: nothing is renamed onto it."""
        link = self.path('link')
        os.symlink(os.devnull, link)
        ran = tally.run([EPITOOL, 'iobench', *QUICK, '--file-size=32MB', '--dir=' + self.dir, '--json=' + link], RUN_S)
        self.assertEqual((ran.code, ran.err), (0, b''))
        self.assertTrue(os.path.islink(link))
        self.refused(b'no such file', '--dir=' + self.path('none'), '--json=' + link)
        self.assertTrue(os.path.islink(link))

    def test_pipes(self):
        """Figures go to a pipe, in the table's place where that is; who goes away takes nothing from the files."""
        words = [EPITOOL, 'iobench', *QUICK, '--file-size=32MB', '--dir=' + self.dir]
        ran = tally.run([*words, '--json=/dev/stdout'], RUN_S)
        self.assertEqual((ran.code, ran.err), (0, b''))
        rows = len(json.loads(ran.out)['rows'])
        other = self.path('pipe')
        os.mkfifo(other)
        with subprocess.Popen(['cat', other], stdout=subprocess.PIPE) as reader:
            ran = tally.run([*words, '--json=' + other], RUN_S)
            self.assertEqual((ran.code, ran.err), (0, b''))
            self.assertEqual(len(json.loads(reader.stdout.read())['rows']), rows)
        self.assertIn(b'recommended: --storage.io=', ran.out)
        ours, theirs = os.pipe()
        os.close(ours)
        try:
            proc = subprocess.run([*words, '--json=' + self.path('f.json')], stdout=theirs, stderr=subprocess.PIPE, timeout=RUN_S, check=False)
        finally:
            os.close(theirs)
        self.assertEqual((proc.returncode, proc.stderr), (1, b'epitool: the output cannot be written\n'))
        with open(self.path('f.json')) as f:
            self.assertEqual(len(json.load(f)['rows']), rows)

    @unittest.skipUnless(os.geteuid() == 0 and os.path.ismount('/proc'), 'needs to mount')
    def test_memory_file_system(self):
        """What cannot be evicted is not asked to be: a control group with less memory than that would end the process."""
        ram = self.path('ram')
        os.mkdir(ram)
        mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', ram], capture_output=True, check=False)
        if mounted.returncode:
            self.skipTest('cannot mount: %s' % mounted.stderr.decode().strip())
        try:
            ran = tally.run([EPITOOL, 'iobench', *QUICK, '--file-size=32MB', '--dir=' + ram, '--json=' + self.path('f.json'), '--report=' + self.path('page.html')],
                            RUN_S)
            self.assertEqual((ran.code, ran.err, os.listdir(ram)), (0, b'', []))
        finally:
            subprocess.run(['umount', ram], check=True)
        with open(self.path('f.json')) as f:
            found = json.load(f)
        self.assertEqual([r for r in found['rows'] if 'cold' in r['what'] + r['how'] or 'less memory' in r['what'] or not r['value'] > 0], [])
        self.assertIn('tmpfs lies in memory', ' '.join(found['notes']))
        self.assertIn('chunks  mmap      tmpfs is memory', ran.out.decode())
        self.assertNotIn('0.00', ran.out.decode())

    @unittest.skipUnless(os.geteuid() == 0 and os.path.ismount('/proc'), 'needs to mount')
    def test_full_disk(self):
        small = self.path('small')
        os.mkdir(small)
        mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', small], capture_output=True, check=False)
        if mounted.returncode:
            self.skipTest('cannot mount: %s' % mounted.stderr.decode().strip())
        try:
            self.refused(b'no space left', '--dir=' + small)
            self.assertEqual(os.listdir(small), [])
        finally:
            subprocess.run(['umount', small], check=True)


if __name__ == '__main__':
    tally.unittest_main()
