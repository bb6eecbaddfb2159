"""live: API records against a running build/epimetheus, with an exporter of our own on 127.0.0.1.

The setups are those of the conformance README (SETUPS): a configuration with its rules in the server's folder, an empty database or a copy of one
with blocks, flags, and how long after the start the requests begin; records with `seq` last and in order. The exporter answers /metrics,
/om, /bad and /noct on port 21151.
"""
import base64
import gzip
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import batch
import frame
import promql
from frame import Case, tally

EXPORTER_PORT = 21151
backend = None                      # what the servers read their storage by; None: what they choose
READY_LIMIT_S = 20
PORT_LIMIT_S = 300                  # another run on this machine holds the port that the answers name
REQUEST_LIMIT_S = 15
WITHOUT_ASSETS = 'Error opening React index.html'    # a page that the reference was built without: ours may be there
BROKEN_FROM, BROKEN_TO = 2, 4       # seq of the setup live: prometheus.yml holds a broken text from one to the other


class Setup:
    """How a server is started: YAML (or the text of a configuration), whether on a copy of the recorded database, flags, seconds before the first request."""
    def __init__(self, yaml, flags, data=True, settle_s=0, text=None):
        self.yaml, self.flags, self.data, self.settle_s, self.text = yaml, flags, data, settle_s, text


EXEMPLARS = ['--enable-feature=exemplar-storage']
CORS = EXEMPLARS + [r'--web.cors.origin=https?://(a|b)\.com']
FEATURES = ('exemplar-storage,search-api,promql-experimental-functions,promql-extended-range-selectors,promql-binop-fill-modifiers,'
            'promql-per-step-stats')
SETUPS = {
    'static': Setup('static', EXEMPLARS, settle_s=12),
    'features': Setup('static', ['--enable-feature=' + FEATURES, '--web.enable-remote-write-receiver', '--web.enable-lifecycle'], settle_s=12),
    'admin': Setup('static', EXEMPLARS + ['--web.enable-admin-api']),
    'live': Setup('live', ['--enable-feature=exemplar-storage,search-api', '--web.enable-lifecycle'], data=False, settle_s=9),
    'prefix': Setup('static', CORS + ['--web.external-url=http://example.com/prom/', '--web.route-prefix=/prom']),
    'external': Setup('static', CORS + ['--web.external-url=http://example.com/ext/', '--web.route-prefix=/']),
}


def cases(path):
    out = []
    for n, row in batch.read(path):
        out.append(Case(row.get('id', n), row, row['request']['target'].split('?')[0]))
    return out


def sequence_cases(path):
    """The exchanges of one database; a record that needs what is not served yet has that as its kind, whatever its group."""
    out = []
    for n, row in batch.read(path):
        said = row['name'] + row['target'] + row['response'].get('body', '') + json.dumps(row.get('meaning', ''))
        kind = row.get('group', '')
        out.append(Case(row.get('seq', n), row, 'otlp' if kind in ('verify', 'read') and 'otlp' in said else kind))
    return out


def promtool_cases(path):
    with open(os.path.join(path, 'results.json'), encoding='utf-8') as f:
        return [Case(n, row, ' '.join(row['args'][:2])) for n, row in enumerate(json.load(f), 1)]


def not_written(path, asked):
    raise ValueError('%d cases are not in tests/skips.txt, and nothing asks them yet' % len(asked))


class Exporter(http.server.BaseHTTPRequestHandler):
    """What the recorded server scraped."""
    protocol_version = 'HTTP/1.1'
    pages = {}

    def do_GET(self):
        status, kind, body = self.pages.get(self.path, (404, 'text/plain; charset=utf-8', b'404 page not found\n'))
        self.send_response_only(status)
        if kind:
            self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers.get('Content-Length') or 0))
        self.send_response_only(200)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *args):
        pass


def exporter_when_free():
    end = time.monotonic() + PORT_LIMIT_S
    while True:
        try:
            server = http.server.ThreadingHTTPServer(('127.0.0.1', EXPORTER_PORT), Exporter)
            server.daemon_threads = True
            return server
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


class Server:
    """A running epimetheus in a folder of its own; use with `with`."""
    def __init__(self, folder, setup):
        """folder: api/ of the recorded cases"""
        self.tmp = tempfile.TemporaryDirectory(prefix='epi-live-')
        self.dir, self.folder, self.setup, self.proc = self.tmp.name, folder, setup, None
        self.ready = next((f.split('=', 1)[1] for f in setup.flags if f.startswith('--web.route-prefix=')), '').rstrip('/') + '/-/ready'
        self.port = tally.free_port()

    def __enter__(self):
        files = os.path.join(self.folder, 'setup')
        if self.setup.text is None:
            shutil.copy(os.path.join(files, self.setup.yaml + '.yml'), os.path.join(self.dir, 'prometheus.yml'))
        else:
            with open(os.path.join(self.dir, 'prometheus.yml'), 'w') as f:
                f.write(self.setup.text)
        if self.setup.yaml:
            shutil.copy(os.path.join(files, self.setup.yaml + '_rules.yml'), self.dir)
        if self.setup.data:
            shutil.copytree(os.path.join(self.folder, 'data'), os.path.join(self.dir, 'data'))
        Exporter.pages = {'/bad': (200, 'text/plain', b'this is { not metrics\n'), '/noct': (200, None, b'a 1\n')}
        for page, name, kind in (('/metrics', 'live_metrics.txt', 'text/plain; version=0.0.4'),
                                 ('/om', 'live_metrics.om', 'application/openmetrics-text; version=1.0.0; charset=utf-8')):
            with open(os.path.join(files, name), 'rb') as f:
                Exporter.pages[page] = (200, kind, f.read())
        self.exporter = exporter_when_free()
        threading.Thread(target=self.exporter.serve_forever, daemon=True).start()
        self.log = open(os.path.join(self.dir, 'log'), 'wb')
        self.proc = subprocess.Popen([frame.EPIMETHEUS, '--config.file=prometheus.yml', '--storage.tsdb.path=data',
                                      '--web.listen-address=127.0.0.1:%d' % self.port] + self.setup.flags +
                                     (['--storage.io=' + backend] if backend else []), cwd=self.dir, stdin=subprocess.DEVNULL,
                                     stdout=self.log, stderr=self.log, start_new_session=True)
        end = time.monotonic() + READY_LIMIT_S
        while True:
            try:
                if self.ask('GET', self.ready)[0] == 200:
                    return self
            except OSError:
                pass
            if time.monotonic() > end or self.proc.poll() is not None:
                words = self.said()
                self.__exit__()
                raise ValueError('epimetheus did not become ready: %s' % words)
            time.sleep(0.05)

    def said(self):
        with open(os.path.join(self.dir, 'log'), 'rb') as f:
            return f.read().decode(errors='replace')[-300:]

    def __exit__(self, *exc):
        if self.proc is not None and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                tally.kill_group(self.proc)
                self.proc.wait()
        self.log.close()
        self.exporter.shutdown()
        self.exporter.server_close()
        self.tmp.cleanup()

    def ask(self, method, target, headers=None, body=None, form=True):
        """(status, {header: value}, body)"""
        c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=REQUEST_LIMIT_S)
        try:
            c.putrequest(method, target, skip_accept_encoding=True)
            for k, v in (headers or {}).items():
                c.putheader(k, v)
            if body is not None:
                if form and not any(k.lower() == 'content-type' for k in headers or {}):
                    c.putheader('Content-Type', 'application/x-www-form-urlencoded')
                c.putheader('Content-Length', str(len(body)))
            c.endheaders(body)
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()


def masked(value, path):
    """value with what the mask path (a.b[*].c) names replaced."""
    def walk(v, parts):
        if not parts:
            return '*'
        part, rest = parts[0], parts[1:]
        if part == '[*]':
            return [walk(x, rest) for x in v] if isinstance(v, list) else v
        if re.fullmatch(r'\[\d+\]', part):
            i = int(part[1:-1])
            return [walk(x, rest) if n == i else x for n, x in enumerate(v)] if isinstance(v, list) else v
        return {k: walk(x, rest) if k == part else x for k, x in v.items()} if isinstance(v, dict) else v
    return walk(value, re.findall(r'\[[^\]]*\]|[^.\[\]]+', path))


def unordered(value):
    """Arrays of objects in the order of their text: for records where any order is right."""
    if isinstance(value, dict):
        return {k: unordered(v) for k, v in value.items()}
    if isinstance(value, list):
        rows = [unordered(v) for v in value]
        return sorted(rows, key=lambda r: json.dumps(r, sort_keys=True)) if all(isinstance(r, (dict, list)) for r in rows) else rows
    return value


def text_rows(text, record):
    if '*timestamps*' in record.get('mask', []):
        text = re.sub(r'(?m)^([^#\n]*\S) -?\d+(\.\d+)?$', r'\1 T', text)
    rows = text.splitlines()
    return sorted(rows) if record.get('order') == 'any' else rows


def unsnappy(b):
    """A snappy block unpacked: encoders differ, what they say does not."""
    n, at, shift = 0, 0, 0
    while True:
        n, shift, at = n | (b[at] & 127) << shift, shift + 7, at + 1
        if b[at - 1] < 128:
            break
    out = bytearray()
    while at < len(b):
        kind, size = b[at] & 3, b[at] >> 2
        at += 1
        if kind == 0:
            if size >= 60:
                more = size - 59
                size, at = int.from_bytes(b[at:at + more], 'little'), at + more
            out += b[at:at + size + 1]
            at += size + 1
            continue
        if kind == 1:
            size, back, at = (size & 7) + 4, (size >> 3) << 8 | b[at], at + 1
        else:
            wide = 2 if kind == 2 else 4
            size, back, at = size + 1, int.from_bytes(b[at:at + wide], 'little'), at + wide
        for _ in range(size):
            out.append(out[-back])
    if len(out) != n:
        raise ValueError('snappy: %d bytes, expected %d' % (len(out), n))
    return bytes(out)


def unpacked(body, headers):
    """Bodies are recorded as they were before they were packed."""
    kind = headers.get('content-encoding')
    return gzip.decompress(body) if kind == 'gzip' else zlib.decompress(body) if kind == 'deflate' else body


def compare(record, status, headers, body, places):
    want = record['response']
    if status != want['status'] and not want.get('body', '').startswith(WITHOUT_ASSETS):
        return 'status %d, expected %d: %s' % (status, want['status'], body[:200])
    for name, value in want['headers'].items():
        if name in ('content-length', 'date') or want.get('body', '').startswith(WITHOUT_ASSETS):
            continue
        got = headers.get_all(name) or ['']        # a name that stands there twice is recorded joined, or by its last
        if value not in (', '.join(got), got[-1]):
            return 'header %s: %s, expected %s' % (name, got, value)
    mask = record.get('mask', [])
    if '*body*' in mask or 'body_not_recorded' in want or want.get('body', '').startswith(WITHOUT_ASSETS):
        return None
    body = unpacked(body, headers)
    if 'body_b64' in want:
        expected = base64.b64decode(want['body_b64'])
        if headers.get('content-encoding') == 'snappy':
            body, expected = unsnappy(body), unsnappy(expected)
        return None if body == expected or '*timestamps*' in mask else 'the body differs'
    text = body.decode('utf-8', errors='replace')
    for here, word in places:
        text = text.replace(here, word)
    if not want['headers'].get('content-type', '').startswith('application/json'):
        return batch.difference(text_rows(want['body'], record), text_rows(text, record))
    try:
        a, b = json.loads(want['body']), json.loads(text)
    except ValueError as e:
        return 'no JSON: %s' % e
    for path in mask:
        a, b = masked(a, path), masked(b, path)
    if record.get('order') == 'any':
        a, b = unordered(a), unordered(b)
    return promql.compare_response(a, b, record['request']['target']) if isinstance(a, dict) and isinstance(b, dict) else batch.difference(a, b)


def rewrite(server, seq, good):
    """What the reference's recorder did to prometheus.yml before request seq of the setup live."""
    if seq in (BROKEN_FROM, BROKEN_TO + 1):
        with open(os.path.join(server.dir, 'prometheus.yml'), 'w') as f:
            f.write('global:\n  nonsense: 1\n' if seq == BROKEN_FROM else good)


def run(path, asked):
    """Asks the records of one setup; advisory ones may differ."""
    name = os.path.basename(path).rsplit('.', 1)[0]
    if name not in SETUPS:
        return not_written(path, asked)
    setup, out = SETUPS[name], {}
    order = sorted(asked, key=lambda c: (c.data.get('seq') is not None, c.data.get('seq') or 0))
    with Server(os.path.dirname(path), setup) as server:
        places = [(server.dir, '$WORK'), (socket.gethostname(), '$HOSTNAME')]
        time.sleep(setup.settle_s)
        good = open(os.path.join(server.dir, 'prometheus.yml')).read()
        for c in order:
            if name == 'live':
                rewrite(server, c.data.get('seq'), good)
            q = c.data['request']
            body = base64.b64decode(q['body_b64']) if 'body_b64' in q else q['body'].encode() if 'body' in q else None
            try:
                why = compare(c.data, *server.ask(q['method'], q['target'], q.get('headers'), body), places)
            except (OSError, http.client.HTTPException) as e:
                why = 'request failed: %s; %s' % (e, server.said() if server.proc.poll() is not None else '')
            out[c.id] = None if c.data.get('advisory') else why
    return out


def run_sequence(path, asked):
    """Remote write and remote read from an empty database, in the order of seq."""
    out = {}
    folder = os.path.join(os.path.dirname(os.path.dirname(path)), 'api')
    setup = Setup(None, ['--web.enable-remote-write-receiver'] + EXEMPLARS, data=False, text='global: {external_labels: {cluster: rw}}\n')
    with Server(folder, setup) as server:
        for c in sorted(asked, key=lambda c: c.data['seq']):
            body = base64.b64decode(c.data.get('body_b64') or '')
            try:
                why = compare(dict(c.data, request={'target': c.data['target']}, response={'body': '', 'headers': {}, **c.data['response']}),
                              *server.ask(c.data['method'], c.data['target'], c.data.get('headers'),
                                          body if c.data['method'] == 'POST' else None, form=False), [])
            except (OSError, http.client.HTTPException) as e:
                why = 'request failed: %s; %s' % (e, server.said() if server.proc.poll() is not None else '')
            out[c.id] = why
    return out
