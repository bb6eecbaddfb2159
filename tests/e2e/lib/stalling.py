"""stalling: servers whose storage waits, hangs or fails (tests/slow_fs), and what they answer meanwhile.

    stalling.py probe PORT SECONDS PID          asks for health each 10 ms; what came as JSON. PID: the server's, whose waits for a processor are
                                                told apart; 0: they are not
    stalling.py clients PORT N FAST WHAT        N clients ask blocks by the time of their samples, one more a block that is well, until
                                                standard input ends. WHAT: slow; varied: for one series, another each time, so that what was
                                                asked before helps nobody; or busy: they ask for what takes a core a while, of all blocks
    stalling.py floor SECONDS                   says its port, and answers health there at once: what a probe takes on this machine just then
"""
import bisect
import gc
import http.client
import json
import os
import random
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(TOP, 'tools'))
import servers
import tally

PROGRAM = 'slow_fs'
BLOCKS, SERIES, STEP_S, HOURS_S = 18, 2000, 900, 7200
PADDING = 'a value so long that an index-header has many pages'
BASE_S = 1700006400
PROBE_S, METRICS_EVERY, FAST_S = 0.01, 25, 0.05
PROBE_LIMIT_S, ASK_LIMIT_S, BUILD_S, WAIT_S = 10, 3, 300, 60
BACKENDS = ('mmap', 'buffered', 'direct')


# ---- the file system

def slow_fs(folder):
    """The program, built in folder, or the one that EPI_SLOW_FS names."""
    if os.environ.get('EPI_SLOW_FS'):
        return os.environ['EPI_SLOW_FS']
    with tally.alone('made'):
        built = tally.run(['ninja', '--quiet', '-C', folder, PROGRAM], BUILD_S, cwd=TOP)
    if built.code != 0:
        raise unittest.SkipTest('%s cannot be built: %s' % (PROGRAM, (built.out + built.err).decode(errors='replace')[-500:]))
    return os.path.join(folder, PROGRAM)


class SlowFs:
    """SOURCE, mounted at `folder`."""
    def __init__(self, program, source, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.proc = subprocess.Popen([program, source, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.proc.stdout.readline() != 'mounted\n':
            self.proc.stdin.close()
            raise unittest.SkipTest('a folder cannot be mounted here: %s' % self.proc.stderr.read().strip())

    def tell(self, line):
        self.proc.stdin.write(line + '\n')
        self.proc.stdin.flush()
        said = self.proc.stdout.readline().strip()
        assert said and said != 'no such rule', (line, said)
        return said

    def held(self):
        """Reads that are held up now, and that were met by rules so far."""
        now, met = self.tell('state').split()
        return int(now), int(met)

    def close(self):
        if self.proc.poll() is None:
            self.proc.stdin.close()
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
                subprocess.run(['umount', '-l', self.folder], check=False)
        self.proc.stdout.close()
        self.proc.stderr.close()


# ---- the blocks

def make_blocks(epitool, folder):
    """BLOCKS blocks in folder; their names, oldest first."""
    text = folder + '.om'
    with open(text, 'w') as f:
        f.write('# TYPE m gauge\n')
        for s in range(SERIES):
            for t in range(0, BLOCKS * HOURS_S, STEP_S):
                f.write('m{s="%s",job="a job of some length %d"} %d %d\n' % (name_of(s), s % 50, s + t, BASE_S + t))
        f.write('# EOF\n')
    made = tally.run([epitool, 'tsdb', 'create-blocks-from', 'openmetrics', text, folder], BUILD_S)
    assert made.code == 0, made.err
    os.unlink(text)
    starts = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name, 'meta.json')) as f:
            starts[json.load(f)['minTime']] = name
    assert len(starts) == BLOCKS, starts
    return [starts[t] for t in sorted(starts)]


def name_of(s):
    return '%04d %s' % (s, PADDING)


def time_of(i):
    """When block i has samples."""
    return BASE_S + i * HOURS_S + 3600


class World:
    """One server, or store, on blocks of which all but the last are slow when a rule says so."""
    def __init__(self, epimetheus, epitool, program, prometheus=None):
        self.epimetheus, self.epitool, self.prometheus = epimetheus, epitool, prometheus
        self.tmp = tempfile.mkdtemp(prefix='epi-stall-')
        self.source, self.fs = os.path.join(self.tmp, 'source'), None
        os.makedirs(self.source)
        self.ids = make_blocks(epitool, os.path.join(self.source, 'data'))
        self.bucket = os.path.join(self.tmp, 'bucket')
        os.mkdir(self.bucket)
        self.objstore = json.dumps({'type': 'FILESYSTEM', 'config': {'directory': self.bucket}})
        up = tally.run([epitool, 'bucket', 'upload', '--objstore.config=' + self.objstore, '--dir=' + os.path.join(self.source, 'data'),
                        '--label=cluster=x'], BUILD_S)
        assert up.code == 0, up.err
        self.fs = SlowFs(program, self.source, os.path.join(self.tmp, 'mounted'))
        self.server = None
        self.config = os.path.join(self.tmp, 'plain.yml')
        with open(self.config, 'w') as f:
            f.write('{}')

    def close(self):
        self.end(True)
        if self.fs:
            self.fs.close()
        shutil.rmtree(self.tmp, ignore_errors=True)

    # A store that keeps hardly anything of what it read, as one whose blocks are more than its memory: its index-headers are read again and again.
    bare = ['--index-cache-size=64KB', '--store.index-cache-disk-size=0', '--store.io.cache=64KB']

    def begin(self, kind, backend, *args, bare=False):
        """Starts it with nothing slow: `server`, `store`, or the peer."""
        self.end(kill=True)                                     # what a case that failed has left
        self.fs.tell('clear')
        self.port, self.log = tally.free_port(), tempfile.TemporaryFile()
        self.kind = kind
        local = ['--config.file=' + self.config, '--storage.tsdb.path=' + self.fs.folder + '/data', '--storage.tsdb.retention.time=100y',
                 '--storage.tsdb.min-block-duration=2h', '--storage.tsdb.max-block-duration=2h', '--no-storage.tsdb.allow-overlapping-compaction']
        words = {'server': [self.epimetheus, *local, '--storage.io=' + backend],
                 'prometheus': [self.prometheus, *[w for w in local if 'overlapping' not in w]],
                 'store': [self.epimetheus, 'store', '--objstore.config=' + self.objstore, '--data-dir=' + self.fs.folder + '/store',
                           '--store.io=' + backend, *(self.bare if bare else [])]}[kind]
        self.server = subprocess.Popen([*words, '--web.listen-address=127.0.0.1:%d' % self.port, *args],
                                       stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.tmp)
        end = time.monotonic() + WAIT_S
        while self.ask('/-/ready', 1)[0] != 200:
            assert self.server.poll() is None and time.monotonic() < end, self.said()
            time.sleep(0.02)

    def end(self, kill=False):
        """Ends it; its exit code, and how long it took."""
        if not self.server:
            return None, 0
        since = time.monotonic()
        if kill:
            self.fs.tell('clear')
            self.server.kill()
        else:
            self.server.terminate()
        try:
            code = self.server.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.fs.tell('clear')
            code = self.server.wait()
        self.server = None
        self.last_words = self.said()
        self.log.close()
        return code, time.monotonic() - since

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors='replace')

    def ask(self, path, limit_s=WAIT_S):
        return ask(self.port, path, limit_s)

    def query(self, i, limit_s=WAIT_S):
        return self.ask(query_of(i), limit_s)

    def warm(self):
        for i in range(BLOCKS):
            status, body = self.query(i)
            assert status == 200 and good(body), (status, body)

    def slow(self, rule):
        """`delay 1000`, `hang` or `fail` for all blocks but the last (server: all of their files; store: their index-headers)."""
        for name in self.ids[:-1]:
            self.fs.tell('%s %s/%s' % (rule, name, 'index-header' if self.kind == 'store' else ''))

    def forget(self):
        for name in self.ids[:-1]:
            self.fs.tell('forget ' + name)

    def measure(self, clients, seconds, what='slow', floor=False, held=0):
        """What probes and queries of the other block got meanwhile; floor: and probes of a server that does nothing else. The clients go on until so
        many reads are held, however long a busy machine takes to bring them there."""
        me = [sys.executable, os.path.abspath(__file__)]
        others, pid = [], 0 if self.kind == 'prometheus' else self.server.pid
        before = waits_of(self.server.pid)
        if floor:
            others.append(subprocess.Popen([*me, 'floor'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            port = others[0].stdout.readline().strip()
            others.append(subprocess.Popen([*me, 'probe', port, str(seconds), '0'], stdout=subprocess.PIPE, text=True))
        asking = subprocess.Popen([*me, 'clients', str(self.port), str(clients), str(BLOCKS - 1), what], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        probing = subprocess.Popen([*me, 'probe', str(self.port), str(seconds), str(pid)], stdout=subprocess.PIPE, text=True)
        out = json.loads(probing.communicate()[0])
        end = time.monotonic() + WAIT_S
        while held and self.fs.held()[0] < held and time.monotonic() < end:
            time.sleep(0.02)
        out.update(json.loads(asking.communicate()[0]))         # which ends its input
        out['waited_ms'] += max((ms - before.get(t, 0) for t, ms in waits_of(self.server.pid).items()), default=0)
        if floor:
            out['floor_ms'] = [x for all_of in json.loads(others[1].communicate()[0])['ms'].values() for x in all_of]
            others[0].communicate()
        return out


# ---- who asks

def ask(port, path, limit_s):
    """Status and body; 0 and why not."""
    try:
        c = http.client.HTTPConnection('127.0.0.1', port, timeout=limit_s)
        c.request('GET', path)
        r = c.getresponse()
        body = r.read()
        c.close()
        return r.status, body
    except OSError as e:
        return 0, str(e).encode()
    except http.client.HTTPException as e:
        return 0, repr(e).encode()


def query_of(i, series=None):
    what = 'count(m)' if series is None else 'count(m{s="%s"})' % name_of(series)
    return '/api/v1/query?' + urllib.parse.urlencode({'query': what, 'time': time_of(i)})


def busy_query():
    """Of all blocks, at many steps."""
    return '/api/v1/query_range?' + urllib.parse.urlencode({'query': 'max(avg_over_time(m[1h]))', 'start': time_of(0), 'end': time_of(BLOCKS - 1), 'step': 30})


def good(body):
    return json.loads(body)['data']['result'][0]['value'][1] == str(SERIES)


def waited_ms(stat):
    """What a thread has waited for a processor so far, though it could have run (the kernel's sched-stats: ran, waited, turns); 0: not told."""
    try:
        return int(stat.split()[1]) / 1e6
    except (IndexError, ValueError):
        return 0


def waits_of(pid, name=None):
    """The same of each thread of a process, or of those of this name."""
    out = {}
    try:
        all_of = os.listdir('/proc/%d/task' % pid)
    except OSError:                                             # it died
        return out
    for t in all_of:
        try:
            at = '/proc/%d/task/%s/' % (pid, t)
            with open(at + 'comm') as comm, open(at + 'schedstat') as stat:
                if name in (None, comm.read().strip()):
                    out[t] = waited_ms(stat.read())
        except OSError:                                         # it ended, or there are no such figures
            pass
    return out


class Waits:
    """What the threads of a server that answer health, and this one, have waited for a processor: of that time the server is innocent. Of threads
    that wait side by side the longest wait counts."""
    def __init__(self, pid):
        of = ['/proc/%d/task/%s/schedstat' % (pid, t) for t in waits_of(pid, 'http')] if pid else []
        assert of or not pid or not os.path.exists('/proc/self/schedstat'), 'the server has no thread "http"'
        of.append('/proc/thread-self/schedstat')
        self.fds = [os.open(path, os.O_RDONLY) for path in of if os.path.exists(path)]
        self.at, self.waited = [], []
        self.look()

    def look(self):
        """The time, and notes what each has waited so far; this one is the last."""
        self.at.append(time.monotonic())
        self.waited.append([waited_ms(os.pread(fd, 100, 0)) for fd in self.fds])
        return self.at[-1]

    def since(self, when):
        """What they waited since the last look before that time."""
        before = self.waited[max(0, bisect.bisect_right(self.at, when) - 1)]
        of = [now - then for now, then in zip(self.waited[-1], before)]
        return max(of[:-1], default=0) + sum(of[-1:])


class Prober:
    def __init__(self, port, pid=0):
        self.port, self.kept = port, None
        self.waits = Waits(pid)
        # ms, and what is left of them without waits for a processor
        self.ms, self.own_ms, self.unanswered = {}, {}, 0
        self.begin, self.ready_at = time.monotonic(), []        # second, and ms or None

    def once(self, path, keep, since):
        """One probe; since: when it was due, so that one that waits delays those behind it and they tell of it."""
        try:
            s = self.kept if keep else None
            if not s:
                s = socket.create_connection(('127.0.0.1', self.port), timeout=PROBE_LIMIT_S)
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.sendall(b'GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n' % (path.encode(), b'' if keep else b'Connection: close\r\n'))
            got = b''
            while b'\r\n\r\n' not in got:
                part = s.recv(65536)
                if not part:
                    raise OSError('closed')
                got += part
            head, body = got.split(b'\r\n\r\n', 1)
            length = next((int(h.split(b':')[1]) for h in head.split(b'\r\n') if h.lower().startswith(b'content-length:')), None)
            while len(body) < length if length is not None else not body.endswith(b'0\r\n\r\n'):
                part = s.recv(1 << 20)
                if not part:
                    raise OSError('closed')
                body += part
            if not head.startswith(b'HTTP/1.1 200'):
                raise OSError(head)
            if keep:
                self.kept = s
            else:
                s.close()
        except OSError:
            self.unanswered += 1
            if keep:
                self.kept = None
            if path == '/-/ready':
                self.ready_at.append((since - self.begin, None))
            return
        took = (time.monotonic() - since) * 1000
        self.waits.look()
        name = path + (' kept' if keep else ' fresh')
        self.ms.setdefault(name, []).append(took)
        self.own_ms.setdefault(name, []).append(max(0, took - self.waits.since(since)))
        if path == '/-/ready':
            self.ready_at.append((round(since - self.begin, 3), round(took, 2)))

    def run(self, seconds):
        gc.disable()
        begin, n = time.monotonic(), 0
        self.begin = begin
        while (due := begin + n * PROBE_S) < begin + seconds:
            time.sleep(max(0, due - time.monotonic()))
            late = 0 if n == 0 else max(0, time.monotonic() - due)
            path = '/metrics' if n % METRICS_EVERY == 7 else ('/-/ready', '/-/healthy')[n % 4 == 3]
            # what the probe before took beyond its turn counts; what this program was not run does not
            now = self.waits.look()
            self.once(path, n % 2 == 0, due if late > PROBE_S else now)
            n += 1
        return {'probes': n, 'unanswered': self.unanswered, 'ms': self.ms, 'own_ms': self.own_ms, 'ready_at': self.ready_at,
                'waited_ms': self.waits.since(begin)}


class Asker:
    """N clients on slow blocks, or busy, and one on the fast one; each asks once at least."""
    def __init__(self, port, n, fast, what='slow'):
        self.port, self.fast, self.what = port, fast, what
        self.busy = what == 'busy'
        self.n, self.mu, self.over = n, threading.Lock(), threading.Event()
        self.out = {'slow': {}, 'fast_ms': [], 'fast_failed': []}

    def slow_one(self, k):
        while not self.over.is_set():
            series = random.randrange(SERIES) if self.what == 'varied' else None
            path = busy_query() if self.busy else query_of(k % self.fast, series)
            status, _ = ask(self.port, path, ASK_LIMIT_S)
            with self.mu:
                self.out['slow'][str(status)] = self.out['slow'].get(str(status), 0) + 1
            if status and not self.busy:
                time.sleep(0.05)

    def fast_one(self):
        while not (self.over.is_set() and (self.out['fast_ms'] or self.out['fast_failed'])):
            since = time.monotonic()
            status, body = ask(self.port, query_of(self.fast), PROBE_LIMIT_S)
            if status == 200 and good(body):
                self.out['fast_ms'].append((time.monotonic() - since) * 1000)
            else:
                self.out['fast_failed'].append('%d %s' % (status, body[:200].decode(errors='replace')))
            time.sleep(FAST_S)

    def run(self):
        slow = [threading.Thread(target=self.slow_one, args=(k,), daemon=True) for k in range(self.n)]
        fast = threading.Thread(target=self.fast_one)
        for t in (*slow, fast):
            t.start()
        sys.stdin.read()
        self.over.set()
        fast.join()
        with self.mu:
            waiting = sum(t.is_alive() for t in slow)           # whose answer did not come
            self.out['slow']['0'] = self.out['slow'].get('0', 0) + waiting
            return {**self.out, 'slow': {code: n for code, n in self.out['slow'].items() if n}}


def answer_at_once():
    """Health of nothing: each request is answered as soon as it is read, until standard input ends."""
    with socket.create_server(('127.0.0.1', 0)) as door, selectors.DefaultSelector() as all_of:
        door.setblocking(False)
        all_of.register(door, selectors.EVENT_READ)
        all_of.register(sys.stdin, selectors.EVENT_READ)
        print(door.getsockname()[1], flush=True)
        while True:
            for key, _ in all_of.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is door:
                    all_of.register(door.accept()[0], selectors.EVENT_READ)
                    continue
                asked = key.fileobj.recv(65536)
                if asked:
                    key.fileobj.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
                else:
                    all_of.unregister(key.fileobj)
                    key.fileobj.close()


if __name__ == '__main__':
    if sys.argv[1] == 'floor':
        answer_at_once()
    elif sys.argv[1] == 'probe':
        print(json.dumps(Prober(int(sys.argv[2]), int(sys.argv[4])).run(float(sys.argv[3]))))
    else:
        print(json.dumps(Asker(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]).run()))
