"""tally: what every runner of this project shares: counting cases, running commands that may hang, and the last line.

A runner's last line on stdout is "N passed, N failed, N skipped"; it exits 1 if a case failed. The unit is the test case.
"""
import contextlib
import fcntl
import os
import random
import re
import signal
import socket
import subprocess
import sys
import unittest

COUNTS = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$')


@contextlib.contextmanager
def alone(what):
    """Nobody else who asks for `what` of this build folder runs meanwhile: for programs that several tests make."""
    build = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'build')
    os.makedirs(build, exist_ok=True)
    with open(os.path.join(build, '.%s.lock' % what), 'w') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def free_port():
    """A port of 127.0.0.1 that is free now, and not one of those that connections get: one of them would take it before the server does, or be
    connected to itself where no server is yet."""
    while True:
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(('127.0.0.1', random.randrange(10000, 20000)))
            return s.getsockname()[1]


class Counts:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    @property
    def total(self):
        return self.passed + self.failed + self.skipped

    def __str__(self):
        return '%d passed, %d failed, %d skipped' % (self.passed, self.failed, self.skipped)


def parse(line):
    """The counts that a line holds, or None."""
    m = COUNTS.match(line.strip())
    return Counts(*map(int, m.groups())) if m else None


def last_counts(text):
    """The counts of the last line that is not empty, or None if it holds none."""
    for line in reversed(text.splitlines()):
        if line.strip():
            return parse(line)
    return None


def finish(counts):
    print(counts, flush=True)
    sys.exit(1 if counts.failed else 0)


def of_result(result):
    """The counts of a unittest.TestResult; what was skipped is said."""
    bad = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    for test, why in result.skipped:
        print('skipped: %s: %s' % (test.id(), why))
    return Counts(max(0, result.testsRun - bad - len(result.skipped)), bad, len(result.skipped))


def unittest_main():
    """Runs the test cases of the main module (those whose names hold the first argument), with our last line."""
    loader = unittest.defaultTestLoader
    if len(sys.argv) > 1:
        loader.testNamePatterns = ['*%s*' % sys.argv[1]]
    suite = loader.loadTestsFromModule(sys.modules['__main__'])
    counts = of_result(unittest.TextTestRunner(stream=sys.stdout, verbosity=0, buffer=True).run(suite))
    if counts.total == 0:
        print('no test ran')
        counts.failed = 1
    finish(counts)


def kill_group(proc):
    try:
        os.killpg(proc.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Ran:
    """What came of a command: code is its exit status, negative for a signal, None for a time-out."""
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def why(self):
        if self.code is None:
            return 'time-out'
        if self.code < 0:
            try:
                return 'killed by %s' % signal.Signals(-self.code).name
            except ValueError:
                return 'killed by signal %d' % -self.code
        return 'exit code %d' % self.code


def run(argv, timeout_s, cwd=None, env=None, stdin=None):
    """Runs argv in a process group of its own, so that a time-out leaves nothing behind. Never raises for what argv does."""
    try:
        proc = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    except OSError as e:
        return Ran(127, b'', ('%s: %s' % (argv[0], e.strerror)).encode())
    try:
        out, err = proc.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        kill_group(proc)
        out, err = proc.communicate()
        return Ran(None, out, err)
    return Ran(proc.returncode, out, err)
