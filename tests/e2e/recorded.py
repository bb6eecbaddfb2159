#!/usr/bin/env python3
"""The two runners of recorded cases are held to account: with a tool that knows all answers, and with our own, they pass every case, and on a
copy of the folder in which every 10th case is wrong they name exactly those cases. Tools that crash, hang, are silent or answer twice fail
everything."""
import os
import re
import subprocess
import sys
import tempfile
import unittest
from email.message import Message

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, 'tests')]
sys.dont_write_bytecode = True
import tamper
import folders
import frame
import handlers
import live
import promql
import batch

SHARED = os.environ.get('EPI_SHARED') or os.path.join(os.path.dirname(TOP), 'shared')
FAKE = os.path.join(TOP, 'tests/e2e/lib/fake_epitool')
SKIPS = '''golden vectors/* unit tests
golden *~blocks blocks
conformance api/* a server
conformance remote/* a server
conformance misc/promtool#* a command
'''


def run(runner, folder, tool, *args, skips=SKIPS, **env):
    """(names of the failing cases, the counts) of one run. tool None: our own, with the real list of skips."""
    with tempfile.NamedTemporaryFile('w', suffix='.txt') as f:
        f.write(skips)
        f.flush()
        env = {**os.environ, 'EPI_TRUTH': SHARED, **env, **({'EPITOOL': tool} if tool else {})}
        env.pop('CI', None)
        p = subprocess.run([sys.executable, os.path.join(TOP, 'tests', runner, 'run'), '--all', '--skips', f.name if tool else frame_skips(), *args,
                            folder], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = p.stdout.splitlines()
    counts = frame.tally.parse(lines[-1]) if lines else None
    if counts is None or p.returncode != (1 if counts.failed else 0):
        raise AssertionError(p.stdout[-2000:])
    return {m.group(1) for m in (re.match(r'FAILED (\S+?):? ', x) for x in lines) if m}, counts


def frame_skips():
    return os.path.join(TOP, 'tests/skips.txt')


def asked(names, folder, skips):
    """Those of the cases FILE#ID of conformance that a list of skips leaves to be asked."""
    out, of_file = set(), {}
    for name in names:
        of_file.setdefault(name.split('#')[0], set()).add(name)
    for rel, these in of_file.items():
        for case in handlers.find(rel)[0](os.path.join(folder, rel)):
            name = '%s#%s' % (rel, case.id)
            if name in these and skips.why(rel, case) is None:
                out.add(name)
    return out


def as_received(headers):
    """Headers as http.client hands them out."""
    m = Message()
    for name, value in headers.items():
        m[name] = value
    return m


def script(text):
    f = tempfile.NamedTemporaryFile('w', prefix='epi-tool-', delete=False)
    f.write('#!/bin/sh\n' + text)
    f.close()
    os.chmod(f.name, 0o755)
    return f.name


@unittest.skipUnless(os.path.isdir(SHARED) or os.environ.get('CI') == 'true', 'the recorded cases are absent (EPI_SHARED)')
class Runners(unittest.TestCase):
    def test_conformance_passes_what_is_right(self):
        failed, counts = run('conformance', os.path.join(SHARED, 'conformance'), FAKE)
        self.assertEqual(failed, set())
        self.assertGreater(counts.passed, 10000)

    def test_conformance_names_what_is_wrong(self):
        with tempfile.TemporaryDirectory() as tmp:
            want = tamper.conformance(os.path.join(SHARED, 'conformance'), os.path.join(tmp, 'copy'))
            failed, counts = run('conformance', os.path.join(tmp, 'copy'), FAKE, '--only', 'misc/*')
            want = {name for name in want if name.startswith('misc/')}         # the others are asked of our own tool, below
        self.assertGreater(len(want), 200)
        self.assertEqual(failed, want)
        self.assertEqual(counts.failed, len(want))

    def test_golden_passes_what_is_right(self):
        failed, counts = run('golden', os.path.join(SHARED, 'golden'), FAKE)
        self.assertEqual(failed, set())
        self.assertGreater(counts.passed, 40)

    def test_golden_names_what_is_wrong(self):
        with tempfile.TemporaryDirectory() as tmp:
            want = tamper.golden(os.path.join(SHARED, 'golden'), os.path.join(tmp, 'copy'), compared_series)
            failed, _ = run('golden', os.path.join(tmp, 'copy'), FAKE)
        self.assertGreaterEqual(len(want), 3)
        self.assertEqual(failed, want)

    def test_our_own_tool_is_told_what_is_wrong(self):
        with tempfile.TemporaryDirectory() as tmp:
            copy = os.path.join(tmp, 'copy')
            want = asked(tamper.conformance(os.path.join(SHARED, 'conformance'), copy), copy, frame.Skips('conformance', frame_skips()))
            failed, counts = run('conformance', copy, None)
        self.assertGreater(len(want), 1000)
        self.assertTrue(any(name.startswith('api/live') for name in want))
        self.assertEqual(failed, want)
        self.assertEqual(counts.failed, len(want))
        self.assertGreater(counts.passed, 9000)

    def test_our_own_tool_is_told_which_folders_are_wrong(self):
        with tempfile.TemporaryDirectory() as tmp:
            want = tamper.golden(os.path.join(SHARED, 'golden'), os.path.join(tmp, 'copy'), compared_series)
            failed, _ = run('golden', os.path.join(tmp, 'copy'), None)
        self.assertGreaterEqual(len(want), 3)
        self.assertEqual(failed, want)

    def test_a_tool_that_hangs_fails(self):
        tool = script('exec sleep 30\n')
        self.addCleanup(os.unlink, tool)
        for runner, folder, only in (('conformance', 'conformance', 'misc/float_parse.jsonl'), ('conformance', 'conformance', 'promqltest/literals.test'),
                                     ('golden', 'golden', 'wal/bad_none')):
            with self.subTest(only=only):
                _, counts = run(runner, os.path.join(SHARED, folder), tool, '--only', only, EPI_LIMIT_S='0.5')
                self.assertEqual(counts.passed, 0)
                self.assertGreater(counts.failed, 0)

    def test_a_tool_that_misbehaves_fails_all(self):
        conf, gold = os.path.join(SHARED, 'conformance'), os.path.join(SHARED, 'golden')
        for words, text in (('crashes', 'kill -SEGV $$\n'), ('is silent', 'exit 0\n'), ('says too little', 'echo "{}"\n'),
                            ('answers twice', "echo '{\"line\":1,\"got\":{}}'; echo '{\"line\":1,\"got\":{}}'\n")):
            tool = script(text)
            self.addCleanup(os.unlink, tool)
            for runner, folder, only in (('conformance', conf, 'misc/float_parse.jsonl'), ('conformance', conf, 'promqltest/literals.test'),
                                         ('golden', gold, 'wal/bad_none')):
                with self.subTest(tool=words, only=only):
                    _, counts = run(runner, folder, tool, '--only', only)
                    self.assertEqual(counts.passed, 0)
                    self.assertGreater(counts.failed, 0)

    def test_a_file_that_cannot_be_read_fails(self):
        with tempfile.TemporaryDirectory() as tmp:
            for rel, text in (('parser/valid.jsonl', '{"id":"a"\n'), ('misc/unheard_of.jsonl', '{}\n'), ('promqltest/x.test', 'evil 1\n'),
                              ('misc/durations.jsonl', '')):
                path = os.path.join(tmp, rel)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, 'w') as f:
                    f.write(text)
            failed, counts = run('conformance', tmp, FAKE)
        self.assertEqual((counts.passed, counts.failed, counts.skipped), (0, 4, 0))

    def test_an_api_answer_is_compared(self):
        path = os.path.join(SHARED, 'conformance/api/live.jsonl')
        for n, row in batch.read(path):
            r = row['response']
            if 'body' not in r:
                continue
            with self.subTest(id=row['id']):
                self.assertIsNone(live.compare(row, r['status'], as_received(r['headers']), r['body'].encode(), []))
                self.assertIsNotNone(live.compare(row, 599, as_received(r['headers']), r['body'].encode(), []))
                if r['headers']:
                    self.assertIsNotNone(live.compare(row, r['status'], as_received({}), r['body'].encode(), []))
                if r['body'].startswith('{') and '"data":' in r['body']:
                    bad = r['body'].replace('"status":"', '"status":"un', 1).encode()
                    self.assertIsNotNone(live.compare(row, r['status'], as_received(r['headers']), bad, []))


class Rules(unittest.TestCase):
    def test_numbers(self):
        same = lambda a, b, tol=1e-9: promql.same_number(a, b, tol)
        self.assertTrue(same('1', '1.0000000001'))
        self.assertFalse(same('1', '1.00000001'))
        self.assertTrue(same('1', '1.0000001', 1e-6))
        self.assertTrue(same('NaN', 'NaN'))
        self.assertFalse(same('+Inf', '1e308'))
        self.assertFalse(same('a', 'b'))

    def test_masks(self):
        value = {'a': [{'b': 1, 'c': 2}, {'b': 3}], 'd': 4}
        self.assertEqual(live.masked(value, 'a[*].b'), {'a': [{'b': '*', 'c': 2}, {'b': '*'}], 'd': 4})
        self.assertEqual(live.masked(value, 'a[0].c'), {'a': [{'b': 1, 'c': '*'}, {'b': 3}], 'd': 4})

    def test_damaged_folders(self):
        row = lambda *ts: ('', {'n': len(ts), 'samples': [{'t': t, 'v': 'v%d' % t} for t in ts]})
        want, twin = {'s': row(1, 2)}, {'s': row(1, 2, 3), 'u': row(9)}
        self.assertIsNone(folders.compare_damaged(want, {'s': row(1, 2)}, twin))
        self.assertIsNone(folders.compare_damaged(want, {'s': row(1, 2, 3), 'u': row(9)}, twin))
        self.assertIn('missing', folders.compare_damaged(want, {'s': row(1)}, twin))
        self.assertIn('nobody wrote', folders.compare_damaged(want, {'s': row(1, 2, 4)}, twin))
        self.assertIn('nobody wrote', folders.compare_damaged(want, {'s': row(1, 2), 'x': row(1)}, twin))


def compared_series(path):
    """The labels of a float series of this case that counts, or None."""
    want = folders.series_of(folders.lines_of(path, 'samples'))
    if folders.folder_cases(path)[0].kind:
        return None
    return next((row['labels'] for _, row in want.values() if row['samples']), None)


if __name__ == '__main__':
    frame.tally.unittest_main()
