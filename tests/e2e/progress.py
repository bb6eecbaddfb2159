#!/usr/bin/env python3
"""Long work of `epitool tsdb`: on a terminal a bar shows how far it is and is gone at the end; elsewhere there is none.

Work that takes less than 0.3 s draws none. So that a fast machine takes longer, too, nobody reads what is dumped for a while."""
import os
import pty
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, 'tools'), os.path.join(TOP, 'tests/e2e/lib')]
import tally
import terminal

EPITOOL = os.path.join(TOP, 'build', 'epitool')
RUN_S, LATE_S = 120, 1
SERIES, SAMPLES, START_S, STEP_S = 100, 6000, 1600005600, 2
BAR = re.compile(rb'\[=*>? *\] +(\d+) % \(\d+/\d+\)')


def on_terminal(*words):
    """What a run writes to a stderr that is a terminal."""
    ours, theirs = pty.openpty()
    proc = subprocess.Popen([EPITOOL, 'tsdb', *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)

    def read_late():
        time.sleep(LATE_S)
        while proc.stdout.read(1 << 20):
            pass
    reader = threading.Thread(target=read_late)
    reader.start()
    said = terminal.read_all(ours)
    reader.join()
    proc.stdout.close()
    return proc.wait(RUN_S), said


class Progress(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix='epi-progress-')
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        self.page = os.path.join(self.dir, 'page.om')
        with open(self.page, 'w') as f:
            f.write('# TYPE m gauge\n')
            for s in range(SERIES):
                f.writelines('m{s="%d"} %d.%d %d\n' % (s, i * 7919 % 1000, i % 977, START_S + i * STEP_S) for i in range(SAMPLES))
            f.write('# EOF\n')

    def silent(self, *words):
        ran = tally.run([EPITOOL, 'tsdb', *words], RUN_S)
        self.assertEqual(ran.code, 0, ran.err)
        self.assertNotIn(b'%', ran.err)
        return ran.out.decode()

    def barred(self, *words):
        code, said = on_terminal(*words)
        self.assertEqual(code, 0, said)
        shown = [int(percent) for percent in BAR.findall(said)]
        self.assertEqual(shown, sorted(shown))
        self.assertTrue(not shown or said.endswith(b'\r\x1b[K'), said[-100:])
        self.assertNotIn(b'level=', said)
        return shown

    def test_bars(self):
        folder, second = os.path.join(self.dir, 'a'), os.path.join(self.dir, 'b')
        self.barred('create-blocks-from', 'openmetrics', self.page, folder)
        self.silent('create-blocks-from', 'openmetrics', self.page, second)
        self.assertTrue(self.barred('dump', folder))
        self.assertEqual(self.silent('dump', folder).count('\n'), SERIES * SAMPLES)
        self.assertEqual(self.silent('dump-openmetrics', folder).count('\n'), SERIES * SAMPLES + 1)
        self.silent('analyze', '--extended', folder)
        self.silent('verify', folder)
        blocks = [line.split()[0] for line in self.silent('list', folder).splitlines()[1:]]
        self.assertEqual(len(blocks), 2)
        self.assertEqual(len(self.silent('compact', folder, *blocks).split()), 1)


if __name__ == '__main__':
    tally.unittest_main()
