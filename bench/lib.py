"""What the benchmarks of whole servers share: build what they need, start servers on loopback ports, read their CPU time and memory from /proc."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EPIMETHEUS = os.path.join(TOP, 'build/release/epimetheus')
START_LIMIT_S, STOP_LIMIT_S = 60, 30
BLOCKS = os.path.join(TOP, 'build/bench_blocks')
N_BLOCKS = 3
TICK_S = 1 / os.sysconf('SC_CLK_TCK')


class Skip(Exception):
    """What is missing for the benchmark, in words."""


def shared():
    return os.environ.get('EPI_SHARED', os.path.join(os.path.dirname(TOP), 'shared'))


def goal(words, ok):
    """One line for each figure that is asked for: what was measured and what is asked, and whether that is met."""
    print('%-70s %s' % (words, 'met' if ok else 'not met'), flush=True)
    return ok


def tsload():
    """The load generator, built; its path."""
    source = os.path.join(shared(), 'tools/tsload')
    if not os.path.isdir(source):
        raise Skip('the load generator %s is not there (EPI_SHARED names the folder above tools)' % source)
    try:
        go = subprocess.run([os.path.join(TOP, 'tools/go')], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        out = os.path.join(TOP, 'build/tsload')
        subprocess.run([go, 'build', '-o', out, '.'], cwd=source, check=True)
    except subprocess.CalledProcessError:
        raise Skip('the load generator could not be built') from None
    return out


def go_program(name):
    """bench/go/NAME, built; its path."""
    out = os.path.join(TOP, 'build/bench_go_' + name)
    try:
        go = subprocess.run([os.path.join(TOP, 'tools/go')], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        subprocess.run([go, 'build', '-o', out, './' + name], cwd=os.path.join(TOP, 'bench/go'), check=True)
    except subprocess.CalledProcessError:
        raise Skip('the Go program could not be built') from None
    return out


def c_program(name):
    """bench/c/NAME.c, built; its path."""
    folder = os.path.join(TOP, 'build/release')
    subprocess.run(['ninja', '--quiet', '-C', folder, 'bench_' + name], check=True, stdout=subprocess.DEVNULL)
    return os.path.join(folder, 'bench_' + name)


def blocks(series):
    """The folder with N_BLOCKS blocks of bench/c/blocks.c, made once."""
    folder = os.path.join(BLOCKS, str(series))
    if not os.path.exists(folder + '/made'):
        print('making %d blocks of %d series ...' % (N_BLOCKS, series), flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder + '/data')
        subprocess.run([c_program('blocks'), folder + '/data', str(series), str(N_BLOCKS)], check=True, stdout=subprocess.DEVNULL)
        open(folder + '/made', 'w').close()
    return folder + '/data'


def peer(name):
    """The program of a Debian package, unpacked, or what the environment names (EPI_PROMETHEUS=FILE, EPI_VICTORIA_METRICS=FILE); its path."""
    other = os.environ.get('EPI_' + name.upper().replace('-', '_'))
    if other:
        if not os.access(other, os.X_OK):
            raise Skip('%s is not a program' % other)
        return os.path.abspath(other)
    r = subprocess.run([os.path.join(TOP, 'tools/peers'), name], stdout=subprocess.PIPE, text=True)
    if r.returncode:
        raise Skip("Debian's %s could not be fetched" % name)
    return r.stdout.strip()


def peer_version(name):
    """'prometheus 2.42.0': the name with what the program says of itself; '?' if it was built without a version."""
    said = subprocess.run([peer(name), '--version'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout.split('\n')[0]
    number = re.search(r'(?:version |-)v?(\d+\.\d+[.\w-]*)', said)
    return '%s %s' % (name, number.group(1) if number else '?')


def free_ports(n):
    """n ports of 127.0.0.1 in a row that are free now; others that measure beside us begin elsewhere."""
    low, room = 20000, 10000
    begin = os.getpid() * 37 % (room // n) * n
    for first in (low + (begin + i) % (room // n * n) for i in range(0, room // n * n, n)):
        try:
            for port in range(first, first + n):
                with socket.socket() as s:
                    s.bind(('127.0.0.1', port))
            return first
        except OSError:
            continue
    raise Skip('no free ports')


def get(url, timeout=30):
    with urllib.request.urlopen(url, timeout=timeout) as r:
        return r.read()


def copy_synced(made, folder):
    """A copy of a folder, on the disk: else the server that starts on it waits until the copy is written."""
    shutil.copytree(made, folder)
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), 'rb') as f:
                os.fsync(f.fileno())


class Process:
    """A program of ours or of others; ended with the `with` block."""

    def __init__(self, cmd, log):
        self.log = open(log, 'ab')
        self.p = subprocess.Popen(cmd, stdout=self.log, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGTERM)
        try:
            self.p.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self.log.close()

    def kill(self):
        self.p.kill()
        self.p.wait()

    def cpu_s(self):
        """User and system time so far."""
        with open('/proc/%d/stat' % self.p.pid) as f:
            fields = f.read().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S

    def cpu_ns(self):
        """The same to the nanosecond: the process' CPU clock."""
        return time.clock_gettime_ns(~self.p.pid << 3 | 2)

    def reset_peak(self):
        """VmHWM counts from here."""
        with open('/proc/%d/clear_refs' % self.p.pid, 'w') as f:
            f.write('5')

    def memory(self, field):
        """A field of /proc/PID/status in bytes: RssAnon, RssFile, VmHWM."""
        with open('/proc/%d/status' % self.p.pid) as f:
            for line in f:
                if line.startswith(field + ':'):
                    return int(line.split()[1]) * 1024
        return 0


class Server(Process):
    """A server with Prometheus' HTTP API."""

    def __init__(self, program, folder, config='', args=()):
        os.makedirs(folder, exist_ok=True)
        self.url = 'http://127.0.0.1:%d' % free_ports(1)
        self.log_path = os.path.join(folder, 'log')
        file = os.path.join(folder, 'config.yml')
        with open(file, 'w') as f:
            f.write(config)
        super().__init__([program, '--config.file=' + file, '--storage.tsdb.path=' + os.path.join(folder, 'data'),
                          '--web.listen-address=' + self.url[len('http://'):], *args], self.log_path)

    def wait_ready(self, limit_s=START_LIMIT_S):
        """Waits until it serves; how long that took."""
        start = time.monotonic()
        while time.monotonic() - start < limit_s:
            try:
                get(self.url + '/-/ready', 5)
                return time.monotonic() - start
            except (OSError, urllib.error.URLError):
                if self.p.poll() is not None:
                    break
                time.sleep(0.02)
        with open(self.log_path, errors='replace') as f:
            raise SystemExit('%s does not start:\n%s' % (self.p.args[0], ''.join(f.readlines()[-10:])))

    def query(self, expr, at=None):
        """An instant vector: [(labels, value)]."""
        q = {'query': expr, 'timeout': '120s'}
        if at is not None:
            q['time'] = '%.3f' % at
        body = json.loads(get(self.url + '/api/v1/query?' + urllib.parse.urlencode(q), 150))
        return [(r['metric'], float(r['value'][1])) for r in body['data']['result']]
