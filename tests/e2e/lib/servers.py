"""servers: our server and Debian's prometheus, started on a data folder and asked over HTTP."""
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(TOP, 'tools'))
import tally

READY_S, ASK_S, BUILD_S = 60, 30, 540


def peer():
    ran = tally.run([os.path.join(TOP, 'tools', 'peers'), 'prometheus'], 300, cwd=TOP)
    if ran.code == 0:
        return ran.out.decode().split()[-1]
    why = "Debian's prometheus cannot be had: %s" % ran.err.decode(errors='replace').strip()
    if os.environ.get('CI') == 'true':
        raise AssertionError(why)
    raise unittest.SkipTest(why)


def go_built(program, verb, *args, folder='tests/interop'):
    """A program of the module in folder at build/PROGRAM, made by `go VERB ARGS`."""
    go = tally.run([os.path.join(TOP, 'tools/go')], BUILD_S, cwd=TOP)
    program = os.path.join(TOP, 'build', program)
    with tally.alone('made'):
        built = go if go.code != 0 else tally.run([go.out.decode().split()[-1], verb, '-o', program, *args], BUILD_S,
                                                  cwd=os.path.join(TOP, folder))
    if built.code == 0:
        return program
    why = 'the Prometheus module cannot be built: %s %s' % (built.why, built.err.decode(errors='replace')[-2000:])
    if os.environ.get('CI') == 'true':
        raise AssertionError(why)
    raise unittest.SkipTest(why)


def module():
    """The program of tests/interop."""
    return go_built('interop', 'build')


def differ():
    return go_built('interop_differ', 'build', './differ')


def promqltest():
    return go_built('interop_promqltest', 'test', '-c', './engine')


def store_client():
    return go_built('store_client', 'build', folder='tests/interop/store')


def engine():
    """Our engine as a shared library, for tests/interop/engine; its path."""
    folder = os.path.join(TOP, 'build/debug')
    with tally.alone('made'):
        built = tally.run(['ninja', '--quiet', '-C', folder, 'libepi_interop.so'], BUILD_S, cwd=TOP)
    assert built.code == 0, built.out.decode(errors='replace')[-2000:]
    return os.path.join(folder, 'libepi_interop.so')


class Server:
    def __init__(self, program, folder, config, args=(), port=None):
        self.port = port or tally.free_port()
        self.log = tempfile.TemporaryFile()
        self.proc = subprocess.Popen(
            [program, '--config.file=' + config, '--storage.tsdb.path=' + folder, '--web.listen-address=127.0.0.1:%d' % self.port,
             '--web.enable-remote-write-receiver', *args], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=os.path.dirname(config))
        end = time.monotonic() + READY_S
        while True:
            try:
                self.ask('/-/ready')
                return
            except (OSError, urllib.error.URLError):
                if self.proc.poll() is not None or time.monotonic() > end:
                    self.kill()
                    raise AssertionError('%s did not start:\n%s' % (program, self.said()))
                time.sleep(0.1)

    def ask(self, path, data=None, headers=None):
        req = urllib.request.Request('http://127.0.0.1:%d%s' % (self.port, path), data, headers or {})
        with urllib.request.urlopen(req, timeout=ASK_S) as answer:
            return answer.read()

    def api(self, path, **args):
        answer = json.loads(self.ask('/api/v1/%s?%s' % (path, urllib.parse.urlencode(args, doseq=True))))
        assert answer['status'] == 'success', answer
        return answer['data']

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors='replace')

    def complaints(self):
        """Warnings and errors of the log, but for the one about a lock file that a killed server left."""
        loud = ('level=warn', 'level=error', 'level=WARN', 'level=ERROR')
        return [line for line in self.said().splitlines() if 'lockfile' not in line and any(w in line for w in loud)]
