#!/usr/bin/env python3
"""`epitool iobench` as its user sees it: figures, page and bar; what cannot be measured or written is said before anything is measured."""
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, 'tools'), os.path.join(TOP, 'tests/e2e/lib')]
import tally
import terminal

EPITOOL = os.path.join(TOP, 'build', 'epitool')
RUN_S, AT_ONCE_S = 300, 20
BAR = re.compile(rb'\[=*>? *\] +(\d+) % \(\d+/\d+\)')
OUTSIDE = re.compile(r'(?:src|href|url)\s*[=(]|https?://(?!www\.w3\.org/2000/svg)|@import')
KINDS, BACKENDS = {'index', 'chunks', 'head', 'header'}, {'mmap', 'buffered', 'direct'}


class Iobench(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix='epi-iobench-')
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
            proc = subprocess.Popen([EPITOOL, 'iobench', '--quick', '--file-size=64MB', '--dir=' + self.dir, '--json=' + self.path('figures.json'),
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
        self.assertTrue(page.rstrip().endswith('</main>'), page[-200:])
        plan = re.search(r'--storage\.io=(\S+)', text).group(1)
        self.assertIn('--storage.io=' + plan, page)
        pairs = dict(pair.split('=') for pair in plan.split(','))
        self.assertEqual(set(pairs), KINDS)
        self.assertLessEqual(set(pairs.values()), BACKENDS)
        self.assertIn('%.2f times the reads' % found['directToMmap'], text)

    def test_what_cannot_be_is_said_at_once(self):
        self.refused(b'no such file', '--dir=' + self.path('none'))
        self.refused(b'is a directory', '--dir=' + self.dir, '--json=' + self.out)
        self.refused(b'no such file', '--dir=' + self.dir, '--json=' + self.path('f.json'), '--report=' + self.path('none/page.html'))
        self.assertEqual(os.listdir(self.out), [])

    def test_link_stays_a_link(self):
        """What is named is written in place, be it a device: nothing is renamed onto it."""
        link = self.path('link')
        os.symlink(os.devnull, link)
        ran = tally.run([EPITOOL, 'iobench', '--quick', '--file-size=32MB', '--dir=' + self.dir, '--json=' + link], RUN_S)
        self.assertEqual((ran.code, ran.err), (0, b''))
        self.assertTrue(os.path.islink(link))
        self.refused(b'no such file', '--dir=' + self.path('none'), '--json=' + link)
        self.assertTrue(os.path.islink(link))

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
