#!/usr/bin/env python3
"""`make run`'s script with the real node_exporter, and a stand-in for the server that only says ready: starting, the port that is taken, ending."""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, 'tools'))
import tally

SERVER = r'''#!/usr/bin/env python3
import http.server, sys
address = [a.split('=', 1)[1] for a in sys.argv if a.startswith('--web.listen-address=')][0]
config = [a.split('=', 1)[1] for a in sys.argv if a.startswith('--config.file=')][0]
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = open(config, 'rb').read() if self.path == '/config' else b'ready\n'
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(('127.0.0.1', int(address.split(':')[1])), H).serve_forever()
'''
LIMIT_S = 60


def get(url):
    with urllib.request.urlopen(url, timeout=5) as r:
        return r.read().decode()


class RunScript(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix='epi-run-')
        self.addCleanup(tmp.cleanup)
        server = os.path.join(tmp.name, 'server')
        with open(server, 'w') as f:
            f.write(SERVER)
        os.chmod(server, 0o755)
        self.proc = subprocess.Popen([os.path.join(TOP, 'tools/run')], env={**os.environ, 'EPIMETHEUS': server}, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.proc.stdout), daemon=True)
        self.addCleanup(self.end)

    def end(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            self.proc.wait(30)
        self.proc.stdout.close()

    def wait_for_url(self):
        for line in self.proc.stdout:
            self.lines.append(line)
            m = re.match(r'Epimetheus is at (http://127\.0\.0\.1:(\d+))/', line)
            if m:
                self.reader.start()
                return m.group(1), int(m.group(2))
        self.fail('no address: ' + ''.join(self.lines))

    def child_with(self, argument):
        with open('/proc/%d/task/%d/children' % (self.proc.pid, self.proc.pid)) as f:
            for pid in f.read().split():
                with open('/proc/%s/cmdline' % pid) as g:
                    if argument in g.read():
                        return int(pid)
        self.fail('no child was started with %s' % argument)

    def test_starts_both_and_ends_both(self):
        url, port = self.wait_for_url()
        ports = re.findall(r'127\.0\.0\.1:(\d+)', get(url + '/config'))
        self.assertEqual(ports[1], str(port))
        self.assertIn('node_cpu_seconds_total', get('http://127.0.0.1:%s/metrics' % ports[0]))
        self.proc.send_signal(signal.SIGINT)
        self.assertEqual(self.proc.wait(30), 0)
        for p in ports:
            with socket.socket() as s:
                self.assertNotEqual(s.connect_ex(('127.0.0.1', int(p))), 0, 'port %s is still served' % p)

    def test_ends_when_the_server_dies(self):
        url, port = self.wait_for_url()
        node = re.findall(r'127\.0\.0\.1:(\d+)', get(url + '/config'))[0]
        os.kill(self.child_with('--config.file='), signal.SIGKILL)
        self.assertEqual(self.proc.wait(30), 1)
        with socket.socket() as s:
            self.assertNotEqual(s.connect_ex(('127.0.0.1', int(node))), 0)


class TakenPort(RunScript):
    """The same while 9090 is taken: the next free port is used."""
    def setUp(self):
        self.taken = socket.socket()
        self.taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.addCleanup(self.taken.close)
        try:
            self.taken.bind(('127.0.0.1', 9090))
            self.taken.listen()
        except OSError:
            pass        # somebody else has it, which serves as well
        super().setUp()

    def wait_for_url(self):
        url, port = super().wait_for_url()
        self.assertGreater(port, 9090)
        return url, port


if __name__ == '__main__':
    tally.unittest_main()
