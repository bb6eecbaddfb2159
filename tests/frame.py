"""frame: what the runners of recorded cases (tests/golden/run, tests/conformance/run) share.

A runner walks a folder, finds the handler of each file (or case folder), and prints passed, failed and skipped for each, the name of every
failing case with the reason, and the sum as its last line. A handler is a pair of functions:

    cases(path)        -> [Case]             what the file asks, read without running anything of ours
    run(path, cases)   -> {case.id: None | reason}   None: passed; a case without an answer has failed

Between the two stands tests/skips.txt, the only list of what may be skipped: lines of RUNNER, GLOB, and the words for what is missing.
A glob is matched against "FILE#ID" or, for a case of a kind, "FILE#ID~KIND". So a handler cannot skip anything by itself, and a crash, a
time-out, an empty answer, an unreadable file, or a file that no handler knows is a failure.
"""
import argparse
import fnmatch
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(TOP, 'tools'))
import tally

SHOWN_FAILURES = 200        # per file; the rest is counted, and named with --all
EPITOOL = os.environ.get('EPITOOL') or os.path.join(TOP, 'build', 'epitool')
EPIMETHEUS = os.environ.get('EPIMETHEUS') or os.path.join(TOP, 'build', 'epimetheus')


def limit(seconds):
    """How long a tool may take; EPI_LIMIT_S in its place, for the tests of the runners."""
    return float(os.environ.get('EPI_LIMIT_S') or seconds)


class Case:
    def __init__(self, id, data=None, kind=''):
        self.id, self.data, self.kind = str(id), data, kind


class Skips:
    """tests/skips.txt"""
    def __init__(self, runner, path):
        self.rows = []
        with open(path) as f:
            for n, line in enumerate(f, 1):
                words = [] if line.startswith('#') else line.split(None, 2)
                if not words:
                    continue
                if len(words) < 3:
                    sys.exit('%s:%d: a skip needs runner, glob and the words for what is missing' % (path, n))
                if words[0] == runner:
                    self.rows.append((words[1], words[2].strip()))

    def why(self, rel, case):
        name = '%s#%s' % (rel, case.id) + ('~' + case.kind if case.kind else '')
        return next((why for glob, why in self.rows if fnmatch.fnmatchcase(name, glob)), None)


class Runner:
    def __init__(self, name, doc, default, more=()):
        """more: options of the runner's own, as (name, keywords of add_argument)."""
        ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        ap.add_argument('dir', nargs='?', default=None)
        ap.add_argument('--only', default='*', help='only files (case folders) that match this glob')
        ap.add_argument('--all', action='store_true', help='name every failing case')
        ap.add_argument('--skips', default=os.path.join(HERE, 'skips.txt'), help='the list of what may be skipped')
        for option, words in more:
            ap.add_argument(option, **words)
        self.args = args = ap.parse_args()
        shared = os.environ.get('EPI_SHARED') or os.path.join(os.path.dirname(TOP), 'shared')
        self.name, self.dir, self.only, self.all = name, os.path.abspath(args.dir or os.path.join(shared, default)), args.only, args.all
        self.skips, self.total, self.rows, self.why_skipped = Skips(name, args.skips), tally.Counts(), [], {}

    def begin(self):
        """Ends the run when there is nothing to walk: a skip on a stranger's machine, a failure where CI=true."""
        if os.path.isdir(self.dir):
            return
        print('%s: %s is absent' % (self.name, self.dir))
        ci = os.environ.get('CI') == 'true'
        tally.finish(tally.Counts(0, 1 if ci else 0, 0 if ci else 1))

    def file(self, rel, handler, how=''):
        """Runs one file or case folder; handler None: nobody knows it. how: in which of several ways, for the table."""
        if not fnmatch.fnmatchcase(rel, self.only):
            return
        counts, path, shown = tally.Counts(), os.path.join(self.dir, rel), rel + (' (%s)' % how if how else '')
        failed = []
        try:
            if handler is None:
                raise ValueError('no handler for this file')
            cases = handler[0](path)
            if not cases:
                raise ValueError('holds no case')
            asked = []
            for c in cases:
                why = self.skips.why(rel, c)
                if why is None:
                    asked.append(c)
                else:
                    counts.skipped += 1
                    self.why_skipped[why] = self.why_skipped.get(why, 0) + 1
            answers = dict(handler[1](path, asked)) if asked else {}
            for c in asked:
                why = answers.pop(c.id, 'no answer')
                if why is None:
                    counts.passed += 1
                else:
                    failed.append((c.id, why))
            failed += [(id, 'an answer to a question that was not asked') for id in answers]
        except Exception as e:      # an unreadable case file, a broken handler: never a pass
            failed.append(('', '%s: %s' % (type(e).__name__, e)))
        counts.failed = len(failed)
        for id, why in failed if self.all else failed[:SHOWN_FAILURES]:
            print('FAILED %s%s: %s' % (shown, '#' + id if id else '', ' '.join(str(why).split())[:600]))
        if len(failed) > SHOWN_FAILURES and not self.all:
            print('FAILED %s: and %d more (--all)' % (shown, len(failed) - SHOWN_FAILURES))
        sys.stdout.flush()
        self.rows.append((shown, counts))
        self.total.add(counts)

    def end(self):
        width = max([len(rel) for rel, _ in self.rows] + [4])
        print('\n%-*s %8s %8s %8s' % (width, 'file', 'passed', 'failed', 'skipped'))
        for rel, c in self.rows:
            print('%-*s %8d %8d %8d' % (width, rel, c.passed, c.failed, c.skipped))
        for why, n in sorted(self.why_skipped.items()):
            print('skipped %d: %s' % (n, why))
        if self.total.passed + self.total.failed == 0 and os.environ.get('CI') == 'true':
            print('%s: no case ran' % self.name)
            self.total.failed += 1
        tally.finish(self.total)
