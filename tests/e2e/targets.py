#!/usr/bin/env python3
"""How targets are reached: TLS in all its settings, HTTP/2, proxies, redirects, credentials, names, sockets; and what is told when it fails.
Servers of its own on loopback, keys made on the spot; every wait has a bound."""
import base64
import http.server
import os
import re
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server import TOP, ServerCase, tally

PAGE = b'm 1\n'


class Keys:
    """A certificate authority, and certificates of it, as files in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.run('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30', '-subj', '/CN=test authority',
                 '-keyout', 'ca.key', '-out', 'ca.pem')
        self.make('address', 'IP:127.0.0.1')
        self.make('name', 'DNS:target.test')
        self.make('client', 'DNS:client.test')

    def run(self, *args):
        done = subprocess.run(['openssl', *args], cwd=self.folder, capture_output=True)
        if done.returncode:
            raise RuntimeError('openssl %s: %s' % (args[0], done.stderr.decode()))

    def make(self, name, san):
        with open(self.path(name + '.ext'), 'w') as f:
            f.write('subjectAltName=%s\n' % san)
        self.run('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=' + name, '-keyout', name + '.key', '-out', name + '.csr')
        self.run('x509', '-req', '-in', name + '.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '30', '-extfile', name + '.ext',
                 '-out', name + '.pem')

    def path(self, name):
        return os.path.join(self.folder, name)

    def text(self, name):
        with open(self.path(name)) as f:
            return f.read()


class Target(http.server.BaseHTTPRequestHandler):
    """Answers with a page or a redirect, and keeps what it was asked."""
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        self.server.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}, getattr(self.connection, 'version', lambda: None)()))
        to = self.server.moved.get(self.path)
        self.send_response(302 if to else 200)
        if to:
            self.send_header('Location', to)
        self.send_header('Content-Type', 'text/plain; version=0.0.4')
        self.send_header('Content-Length', '0' if to else str(len(PAGE)))
        self.end_headers()
        self.wfile.write(b'' if to else PAGE)

    def log_message(self, *args):
        pass


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, address):
        pass                           # handshakes that fail are what is tested


class TLSServer(Quiet):
    def finish_request(self, request, address):
        request.settimeout(10)
        with self.context.wrap_socket(request, server_side=True) as s:
            super().finish_request(s, address)


class Bytes(socketserver.BaseRequestHandler):
    """Answers a request for /NAME with the bytes of that name, and closes."""

    def handle(self):
        self.request.settimeout(10)
        asked = b''
        while b'\r\n\r\n' not in asked:
            asked += self.request.recv(4096) or b'\r\n\r\n'
        answer = self.server.answers.get(asked.split(b' ')[1].decode(), b'')
        if answer is None:                          # it hangs, until the other side has enough
            self.request.recv(1)
        else:
            self.request.sendall(answer)


class BytesServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def finish_request(self, request, address):
        Target(request, ('unix', 0), self)


class Proxy(http.server.BaseHTTPRequestHandler):
    """GET of a whole URL is answered here, CONNECT is led to the first target."""
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        Target.do_GET(self)

    def do_CONNECT(self):
        self.server.asked.append(('CONNECT ' + self.path, {k.lower(): v for k, v in self.headers.items()}, None))
        if self.server.refuses:
            self.send_response(403)
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        there = socket.create_connection(self.server.behind)
        self.send_response(200)
        self.end_headers()
        back = threading.Thread(target=self.pump, args=(there, self.connection), daemon=True)
        back.start()
        self.pump(self.connection, there)
        self.close_connection = True

    def pump(self, source, sink):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def log_message(self, *args):
        pass


class HTTP2(threading.Thread):
    """As much of HTTP/2 as one page needs: every HEADERS frame is a request and gets the page."""

    def __init__(self, context):
        super().__init__(daemon=True)
        context.set_alpn_protocols(['h2', 'http/1.1'])
        self.context, self.protocols = context, []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, raw):
        try:
            with self.context.wrap_socket(raw, server_side=True) as s:
                self.protocols.append(s.selected_alpn_protocol())
                f = s.makefile('rb')
                if s.selected_alpn_protocol() != 'h2':
                    while f.readline().strip():
                        pass
                    s.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' % (len(PAGE), PAGE))
                    return
                f.read(24)
                s.sendall(self.frame(4, 0, 0, b''))
                while True:
                    head = f.read(9)
                    if len(head) < 9:
                        return
                    size, kind, flags, stream = int.from_bytes(head[:3], 'big'), head[3], head[4], struct.unpack('>I', head[5:])[0]
                    f.read(size)
                    if kind == 4 and not flags & 1:
                        s.sendall(self.frame(4, 1, 0, b''))
                    if kind == 1:
                        headers = b'\x88' + b'\x0f\x10\x0atext/plain'      # :status 200, content-type
                        s.sendall(self.frame(1, 4, stream, headers) + self.frame(0, 1, stream, PAGE))
        except OSError:
            pass

    @staticmethod
    def frame(kind, flags, stream, data):
        return len(data).to_bytes(3, 'big') + bytes([kind, flags]) + struct.pack('>I', stream) + data


class Reached(ServerCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which('openssl'):
            subprocess.run([os.path.join(TOP, 'tools', 'deps'), 'certs'], check=True)
        cls.folder = tempfile.TemporaryDirectory(prefix='epi-keys-')
        cls.keys = Keys(cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def serve(self, server):
        server.asked, server.moved = [], {}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def plain(self, handler=Target):
        return self.serve(Quiet(('127.0.0.1', 0), handler))

    def tls(self, name='address', client_ca=False, low=None, high=None):
        server = TLSServer(('127.0.0.1', 0), Target)
        server.context = self.context(name, client_ca)
        if low:
            server.context.minimum_version = low
        if high:
            server.context.maximum_version = high
        server.names = []
        server.context.sni_callback = lambda s, sni, c: server.names.append(sni)
        return self.serve(server)

    def context(self, name, client_ca=False):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(self.keys.path(name + '.pem'), self.keys.path(name + '.key'))
        if client_ca:
            c.load_verify_locations(self.keys.path('ca.pem'))
            c.verify_mode = ssl.CERT_REQUIRED
        return c

    @staticmethod
    def at(server):
        return '127.0.0.1:%d' % server.server_address[1]

    def jobs(self, **jobs):
        """A job by name: (its target, its other lines as YAML in block style)."""
        text = 'global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n'
        for name, (target, lines) in jobs.items():
            text += '- job_name: %s\n  static_configs: [{targets: ["%s"]}]\n' % (name, target)
            text += ''.join('  %s\n' % line for line in lines.splitlines())
        self.config(text)

    def told(self, name):
        """(health, error) of a job's target, once it was scraped."""
        def one():
            return [t for t in self.get('/api/v1/targets')['activeTargets'] if t['scrapePool'] == name and t['health'] != 'unknown']
        self.wait('a scrape of ' + name, one)
        return one()[0]['health'], one()[0]['lastError']

    def up(self, *names):
        for name in names:
            with self.subTest(name):
                self.assertEqual(self.told(name), ('up', ''))

    def down(self, **words):
        for name, pattern in words.items():
            with self.subTest(name):
                health, error = self.told(name)
                self.assertEqual(health, 'down')
                self.assertRegex(error, pattern)

    def block(self, name):
        return '\n    '.join([''] + self.keys.text(name).strip().splitlines())

    def test_tls(self):
        address, named, asks = self.tls(), self.tls('name'), self.tls(client_ca=True)
        ca = 'scheme: https\ntls_config:\n  ca_file: %s\n' % self.keys.path('ca.pem')
        pair = '  cert_file: %s\n  key_file: %s\n' % (self.keys.path('client.pem'), self.keys.path('client.key'))
        inline = 'scheme: https\ntls_config:\n  ca: |%s\n' % self.block('ca.pem')
        inline_pair = '  cert: |%s\n  key: |%s\n' % (self.block('client.pem'), self.block('client.key'))
        self.jobs(file=(self.at(address), ca), inline=(self.at(address), inline), unknown=(self.at(address), 'scheme: https\n'),
                  careless=(self.at(address), 'scheme: https\ntls_config: {insecure_skip_verify: true}\n'),
                  other_name=(self.at(named), ca), server_name=(self.at(named), ca + '  server_name: target.test\n'),
                  wrong_name=(self.at(named), ca + '  server_name: other.test\n'),
                  no_client=(self.at(asks), ca), client=(self.at(asks), ca + pair), inline_client=(self.at(asks), inline + inline_pair),
                  no_ca_file=(self.at(address), 'scheme: https\ntls_config: {ca_file: none.pem}\n'),
                  not_tls=(self.target, ca), not_https=(self.at(address), ''))
        self.start()
        self.up('file', 'inline', 'careless', 'server_name', 'client', 'inline_client')
        get = r'^Get "https://127\.0\.0\.1:\d+/metrics": '
        verify = get + 'tls: failed to verify certificate: x509: '
        self.down(unknown=verify + 'certificate signed by unknown authority$', wrong_name=verify + '.*other.test',
                  other_name=verify + "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs$", no_client=get + '.',
                  no_ca_file=get + 'unable to read CA cert: unable to read file none.pem: open none.pem: no such file or directory$',
                  not_tls=get + 'http: server gave HTTP response to HTTPS client$', not_https='.')
        self.assertIn('target.test', named.names)
        hosts = {headers['host'] for _, headers, _ in named.asked}
        self.assertEqual(hosts, {self.at(named)})

    def test_tls_versions(self):
        both, old = self.tls(low=ssl.TLSVersion.TLSv1_2), self.tls(low=ssl.TLSVersion.TLSv1_2, high=ssl.TLSVersion.TLSv1_2)
        ca = 'scheme: https\ntls_config:\n  ca_file: %s\n' % self.keys.path('ca.pem')
        self.jobs(any=(self.at(both), ca + 'metrics_path: /any\n'), most=(self.at(both), ca + '  max_version: TLS12\nmetrics_path: /most\n'),
                  least=(self.at(both), ca + '  min_version: TLS13\nmetrics_path: /least\n'), too_new=(self.at(old), ca + '  min_version: TLS13\n'))
        self.start()
        self.up('any', 'most', 'least')
        self.down(too_new='^Get "https://.*tls')
        spoken = {path: version for path, _, version in both.asked}
        self.assertEqual(spoken, {'/any': 'TLSv1.3', '/most': 'TLSv1.2', '/least': 'TLSv1.3'})

    def test_http2(self):
        two, one = HTTP2(self.context('address')), HTTP2(self.context('address'))
        self.addCleanup(two.listener.close)
        self.addCleanup(one.listener.close)
        ca = 'scheme: https\ntls_config: {ca_file: %s}\n' % self.keys.path('ca.pem')
        at = ['127.0.0.1:%d' % s.listener.getsockname()[1] for s in (two, one)]
        self.jobs(two=(at[0], ca), one=(at[1], ca + 'enable_http2: false\n'))
        self.start()
        self.up('two', 'one')
        self.assertEqual(set(two.protocols), {'h2'})
        self.assertNotIn('h2', one.protocols)
        self.assertEqual(self.query('m{job="two"}')[0]['value'][1], '1')

    def test_proxies(self):
        proxy, strict, secure = self.plain(Proxy), self.plain(Proxy), self.tls()
        proxy.behind, proxy.refuses, strict.refuses = secure.server_address, False, True
        through = 'proxy_url: http://user:pass@%s\n' % self.at(proxy)
        ca = 'scheme: https\ntls_config: {ca_file: %s}\n' % self.keys.path('ca.pem')
        nobody = '127.0.0.1:%d' % tally.free_port()
        os.environ['HTTP_PROXY'] = 'http://' + self.at(proxy)
        self.addCleanup(os.environ.pop, 'HTTP_PROXY')
        self.jobs(plain=('only.the.proxy.knows:80', through + 'metrics_path: /plain\n'),
                  tunnel=(self.at(secure), through + ca + 'proxy_connect_header: {X-Tunnel: [seen]}\nmetrics_path: /tunnel\n'),
                  straight=(self.target, through + 'no_proxy: 10.0.0.0/8\n'),
                  environment=('by.environment:80', 'proxy_from_environment: true\nmetrics_path: /environment\n'),
                  local=(self.target, 'proxy_from_environment: true\n'),
                  refused=(self.at(secure), ca + 'proxy_url: http://%s\n' % self.at(strict)), gone=('h:80', 'proxy_url: http://%s\n' % nobody))
        self.start()
        self.up('plain', 'tunnel', 'straight', 'environment', 'local')
        self.down(refused='^Get "https://127.0.0.1:.*": Forbidden$', gone='^Get "http://h:80/metrics": proxyconnect tcp: dial tcp %s: connect: connection refused$' % nobody)
        asked = {path: headers for path, headers, _ in proxy.asked}
        basic = 'Basic ' + base64.b64encode(b'user:pass').decode()
        self.assertEqual(asked['http://only.the.proxy.knows/plain']['proxy-authorization'], basic)
        self.assertEqual(asked['CONNECT ' + self.at(secure)]['x-tunnel'], 'seen')
        self.assertEqual(asked['CONNECT ' + self.at(secure)]['proxy-authorization'], basic)
        self.assertIn('http://by.environment/environment', asked)
        self.assertFalse([path for path in asked if self.target in path])

    def test_credentials(self):
        there, other = self.plain(), self.plain()
        port = other.server_address[1]
        there.moved = {'/near': 'http://127.0.0.1:%d/near' % port, '/far': 'http://localhost:%d/far' % port, '/round': '/round',
                       '/back': 'http://localhost:%d/back' % port}
        other.moved = {'/back': 'http://%s/end' % self.at(there)}
        with open(os.path.join(self.dir, 'password'), 'w') as f:
            f.write('first\n')
        with open(os.path.join(self.dir, 'token'), 'w') as f:
            f.write(' token \n')
        auth = 'basic_auth: {username: u, password: p}\nhttp_headers: {X-Kept: {values: [v]}, Cookie: {secrets: [c]}}\n'
        self.jobs(basic=(self.at(there), 'metrics_path: /basic\nbasic_auth: {username: u, password_file: password}\n'),
                  bearer=(self.at(there), 'metrics_path: /bearer\nauthorization: {credentials_file: token}\n'),
                  typed=(self.at(there), 'metrics_path: /typed\nauthorization: {type: Other, credentials: x}\n'),
                  near=(self.at(there), 'metrics_path: /near\n' + auth), far=(self.at(there), 'metrics_path: /far\n' + auth),
                  back=(self.at(there), 'metrics_path: /back\n' + auth),
                  stays=(self.at(there), 'metrics_path: /near\nfollow_redirects: false\n'), round=(self.at(there), 'metrics_path: /round\n'),
                  unread=(self.at(there), 'basic_auth: {username: u, password_file: none}\n'),
                  oauth=(self.at(there), 'oauth2: {client_id: i, client_secret: s, token_url: "http://127.0.0.1:1/"}\n'))
        self.start()
        self.up('basic', 'bearer', 'typed', 'near', 'far', 'back')
        self.down(stays='^server returned HTTP status 302 Found$', round='^Get "/round": stopped after 10 redirects$',
                  unread='^Get "http://.*": unable to read basic auth password: unable to read file none: open none: no such file or directory$', oauth='oauth2')
        seen = {path: headers for path, headers, _ in there.asked}
        far = {path: headers for path, headers, _ in other.asked}
        basic = 'Basic ' + base64.b64encode(b'u:p').decode()
        self.assertEqual(seen['/basic']['authorization'], 'Basic ' + base64.b64encode(b'u:first').decode())
        self.assertEqual(seen['/bearer']['authorization'], 'Bearer token')
        self.assertEqual(seen['/typed']['authorization'], 'Other x')
        self.assertEqual((far['/near'].get('authorization'), far['/near'].get('cookie'), far['/near'].get('x-kept')), (basic, 'c', 'v'))
        self.assertEqual((far['/far'].get('authorization'), far['/far'].get('cookie'), far['/far'].get('x-kept')), (None, None, 'v'))
        self.assertEqual((seen['/back'].get('authorization'), seen['/end'].get('authorization')), (basic, None))
        self.assertIn('scrape_configs.oauth2', self.said() + self.ask('GET', '/metrics')[2].decode())
        with open(os.path.join(self.dir, 'password'), 'w') as f:
            f.write('second\n')
        again = 'Basic ' + base64.b64encode(b'u:second').decode()
        self.wait('the new password', lambda: [h for path, h, _ in list(there.asked) if path == '/basic' and h['authorization'] == again])

    def test_names_and_sockets(self):
        there = self.plain()
        path = os.path.join(self.dir, 'target.sock')
        unix = self.serve(UnixServer(path, Target))
        relabel = 'metrics_path: /unix\nrelabel_configs: [{target_label: __unix_socket__, replacement: "%s"}]\n'
        self.jobs(name=('localhost:%d' % there.server_address[1], ''), upper=('LOCALHOST:%d' % there.server_address[1], ''),
                  nobody=('no-such-host.invalid:80', ''), unix=('by.socket:80', relabel % path), no_unix=('by.socket:80', relabel % (path + '.none')),
                  refused=('127.0.0.1:1', ''))
        self.start()
        self.up('name', 'upper', 'unix')
        self.down(nobody='^Get "http://no-such-host.invalid:80/metrics": dial tcp: lookup no-such-host.invalid: ',
                  no_unix='^Get "http://by.socket:80/unix": dial unix %s.none: connect: no such file or directory$' % re.escape(path),
                  refused='^Get "http://127.0.0.1:1/metrics": dial tcp 127.0.0.1:1: connect: connection refused$')
        self.assertEqual(unix.asked[0][1]['host'], 'by.socket:80')
        metrics = self.ask('GET', '/metrics')[2].decode()
        self.assertRegex(metrics, r'net_conntrack_dialer_conn_established_total\{dialer_name="(name|upper)"\} 1\n')   # they may share one
        self.assertRegex(metrics, r'net_conntrack_dialer_conn_failed_total\{dialer_name="refused",reason="refused"\} [1-9]')
        self.assertRegex(metrics, r'net_conntrack_dialer_conn_failed_total\{dialer_name="nobody",reason="resolution"\} [1-9]')
        self.assertRegex(metrics, r'epimetheus_http_client_lookups_total [1-9]')

    def test_odd_answers(self):
        server = self.serve(BytesServer(('127.0.0.1', 0), Bytes))
        head = b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n'
        server.answers = {
            '/bare': b'HTTP/1.1 200\r\nContent-Type: text/plain\r\n\r\n' + PAGE,
            '/old': b'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n' + PAGE,
            '/interim': b'HTTP/1.1 100 Continue\r\n\r\n' + head + b'\r\n' + PAGE,
            '/cut_name': b'HTTP/1.1 200 OK\r\nContent-Ty',
            '/cut_headers': head,
            '/cut_body': head + b'Content-Length: 100\r\n\r\n' + PAGE,
            '/words': b'garbage\r\n\r\n',
            '/code': b'HTTP/1.1 2x0 X\r\nContent-Type: text/plain\r\n\r\n' + PAGE,
        }
        jobs = {path[1:]: (self.at(server), 'metrics_path: ' + path) for path in server.answers}
        self.jobs(nothing=(self.at(server), 'metrics_path: /nothing'), port=('127.0.0.1:http', ''), far=('127.0.0.1:99999', ''), space=('a b:1', ''),
                  no_host=(':%d' % server.server_address[1], 'metrics_path: /bare'), **jobs)
        self.start()
        self.up('bare', 'old', 'interim', 'no_host')
        broken = '^Get "http://[^"]*": net/http: HTTP/1.x transport connection broken: '
        self.down(cut_name=broken, cut_headers=broken, words=broken, code=broken, cut_body='^unexpected EOF$', nothing='^Get "http://[^"]*": EOF$',
                  port='^parse "http://127.0.0.1:http/metrics": invalid port ":http" after host$',
                  far='^Get "http://127.0.0.1:99999/metrics": dial tcp: address 99999: invalid port$',
                  space='^parse "http://a%20b:1/metrics": invalid URL escape "%20"$')

    def test_a_target_that_hangs_beside_one_that_says_it_speaks_http_2(self):
        """Requests to one host never share a connection on which an answer is due."""
        server = self.serve(BytesServer(('127.0.0.1', 0), Bytes))
        answer = b'HTTP/%s 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s'
        server.answers = {'/two': answer % (b'2.0', len(PAGE), PAGE), '/hang': None}
        names = ['plain%d' % i for i in range(8)]
        server.answers.update({'/' + name: answer % (b'1.1', len(PAGE), PAGE) for name in names})
        self.jobs(**{path[1:]: (self.at(server), 'metrics_path: ' + path) for path in server.answers})
        self.start()
        self.up('two', *names)
        self.down(hang='context deadline exceeded$')
        time.sleep(4)
        for name in names:
            with self.subTest(name):
                self.assertEqual(self.get('/api/v1/query?query=min_over_time(up{job="%s"}[1m])' % name)['result'][0]['value'][1], '1')

    def test_status_lines_without_words(self):
        server = self.serve(BytesServer(('127.0.0.1', 0), Bytes))
        server.answers = {'/' + name: b'HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n' % line
                          for name, line in (('bare', b'500'), ('blank', b'503 '), ('own', b'503 Not Now'))}
        self.jobs(**{path[1:]: (self.at(server), 'metrics_path: ' + path) for path in server.answers})
        self.start()
        self.down(bare='^server returned HTTP status 500$', blank='^server returned HTTP status 503 $', own='^server returned HTTP status 503 Not Now$')


if __name__ == '__main__':
    tally.unittest_main()
