"""tree: makes small source trees for the tests of the tools, and runs a tool on them."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class TreeTest(unittest.TestCase):
    tool = None
    base = {}

    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory(prefix='epi-tree-')
        self.addCleanup(self.tmp.cleanup)

    def run_tool(self, files, *args):
        """(sorted ["path:line: text"], counts line) of the tool on base + files."""
        for path, text in {**self.base, **files}.items():
            full = os.path.join(self.tmp.name, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, 'w') as f:
                f.write(text)
        p = subprocess.run([sys.executable, os.path.join(TOP, 'tools', self.tool), '--root', self.tmp.name, *args],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = p.stdout.splitlines()
        found = [re.sub(': error: ', ': ', x) for x in lines if ': error: ' in x]
        self.assertEqual(p.returncode, 1 if found else 0, p.stdout)
        self.assertRegex(lines[-1], r'^\d+ passed, \d+ failed, 0 skipped$')
        return found

    def expect(self, files, want, *args):
        """The tool yields exactly these findings, each given as the beginning of a line."""
        got = self.run_tool(files, *args)
        self.assertEqual(len(got), len(want), '\n'.join(got))
        for g, w in zip(got, want):
            self.assertTrue(g.startswith(w), '%r does not start with %r' % (g, w))
