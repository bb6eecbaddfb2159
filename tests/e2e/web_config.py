#!/usr/bin/env python3
"""--web.config.file: TLS and who may come in, as a client sees them, and a file that changes while the server runs."""
import base64
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, 'tools'), os.path.dirname(os.path.abspath(__file__))]
import tally
from server import EPIMETHEUS, LIMIT_S, ServerCase

KEYS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib', 'tls')
SECRET = '$2b$04$.rjyzivbayImgm54ej2eb.Fz5czLnjc0NqYwEFu6s0r0r5/Gtd986'
OTHER = '$2y$05$abcdefghijklmnopqrstuuS0kJ/mTWIsZZ1Ie9U/IGf8T4oGgiIKu'


def key(name):
    return os.path.join(KEYS, name)


def basic(user, password):
    return {'Authorization': 'Basic ' + base64.b64encode(('%s:%s' % (user, password)).encode()).decode()}


class Web(ServerCase):
    tls, client, versions = False, None, None

    def web(self, text):
        with open(os.path.join(self.dir, 'web.yml.new'), 'w') as f:
            f.write(text)
        os.rename(os.path.join(self.dir, 'web.yml.new'), os.path.join(self.dir, 'web.yml'))

    def start_with(self, text):
        self.flags = ['--web.config.file=web.yml']
        self.config('{}\n')
        self.web(text)
        self.start()

    def ready(self):
        """Somebody answers: whom it lets in is the test's business."""
        self.assertIsNone(self.proc.poll(), self.said())
        with open(os.path.join(self.dir, 'log')) as f:
            return 'Server is ready to receive web requests.' in f.read()

    def ask(self, method, target, body=None, headers=None):
        if self.tls:
            context = ssl.create_default_context(cafile=key('ca.pem'))
            if self.client:
                context.load_cert_chain(key(self.client + '.pem'), key(self.client + '.key'))
            if self.versions:
                context.minimum_version = context.maximum_version = self.versions
            c = http.client.HTTPSConnection('127.0.0.1', self.port, timeout=LIMIT_S, context=context)
        else:
            c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=LIMIT_S)
        try:
            c.request(method, target, body, headers or {})
            r = c.getresponse()
            return r.status, dict(r.getheaders()), r.read()
        finally:
            c.close()

    def status(self, headers=None, target='/-/ready'):
        return self.ask('GET', target, headers=headers)[0]

    def fails(self):
        """A handshake that fails; with TLS 1.3 the client hears of it at its first read."""
        try:
            self.ask('GET', '/-/ready')
        except (OSError, http.client.HTTPException):
            return True
        return False


class Tls(Web):
    SERVER = 'tls_server_config:\n  cert_file: %s\n  key_file: %s\n' % (key('server.pem'), key('server.key'))
    tls = True

    def test_certificate_versions_and_bodies(self):
        self.start_with(self.SERVER)
        self.assertEqual(self.query('1+1', 5), [5, '2'])
        self.assertEqual(self.ask('POST', '/api/v1/query', 'query=' + 'x' * 200000, {'Content-Type': 'application/x-www-form-urlencoded'})[0], 200)
        for self.versions in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.assertEqual(self.status(), 200)
        self.versions, self.tls = None, False
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.status()

    def test_versions_that_are_not_wanted(self):
        self.start_with(self.SERVER + '  min_version: TLS13\n')
        self.versions = ssl.TLSVersion.TLSv1_2
        self.assertTrue(self.fails())
        self.versions = ssl.TLSVersion.TLSv1_3
        self.assertEqual(self.status(), 200)

    def test_ciphers(self):
        self.start_with(self.SERVER + '  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n  curve_preferences: [CurveP256]\n')
        context = ssl.create_default_context(cafile=key('ca.pem'))
        with socket.create_connection(('127.0.0.1', self.port), LIMIT_S) as s, context.wrap_socket(s, server_hostname='127.0.0.1') as t:
            self.assertEqual((t.version(), t.cipher()[0]), ('TLSv1.2', 'ECDHE-ECDSA-AES256-GCM-SHA384'))
        context.set_ciphers('ECDHE-ECDSA-AES128-GCM-SHA256')
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(('127.0.0.1', self.port), LIMIT_S) as s, self.assertRaises(OSError):
            context.wrap_socket(s, server_hostname='127.0.0.1')

    def test_clients(self):
        """Who may come in with no certificate, with one of the authority's, with another's."""
        for auth, allowed in (('NoClientCert', 'nothing client stranger'), ('RequestClientCert', 'nothing client stranger'),
                              ('RequireAnyClientCert', 'client stranger'), ('VerifyClientCertIfGiven', 'nothing client'),
                              ('RequireAndVerifyClientCert', 'client')):
            text = self.SERVER + '  client_auth_type: %s\n' % auth
            if auth != 'NoClientCert':
                text += '  client_ca_file: %s\n' % key('ca.pem')
            if self.proc is None:
                self.start_with(text)
            else:
                self.again(text)
            for who in ('nothing', 'client', 'stranger'):
                self.client = None if who == 'nothing' else who
                with self.subTest(auth=auth, who=who):
                    self.assertEqual(not self.fails(), who in allowed.split())
            self.client = 'client'

    def again(self, text):
        """The file changes; it is used within a second."""
        with open(os.path.join(self.dir, 'log')) as f:
            before = f.read().count('the web configuration was read again')
        self.web(text)
        def seen():
            with open(os.path.join(self.dir, 'log')) as f:
                return f.read().count('the web configuration was read again') > before
        self.wait('the file to be seen', seen)

    def test_names_of_clients(self):
        self.client = 'client'
        text = self.SERVER + '  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: %s\n  client_allowed_sans: [%%s]\n' % key('ca.pem')
        self.start_with(text % 'other.example, client.example')
        self.assertFalse(self.fails())
        for sans, allowed in (('10.0.0.1', True), ('spiffe://x/y', True), ('client', False), ('', False)):
            self.again(text % sans)
            with self.subTest(sans=sans):
                self.assertEqual(not self.fails(), allowed)

    def test_a_new_certificate_needs_no_restart(self):
        for name in ('pem', 'key'):
            shutil.copy(key('server.' + name), os.path.join(self.dir, 'tls.' + name))
        self.start_with('tls_server_config: {cert_file: tls.pem, key_file: tls.key}\n')
        self.assertEqual(self.subject(), 'server')
        shutil.copy(key('server2.pem'), os.path.join(self.dir, 'tls.pem'))
        self.wait('a certificate without its key to be refused', lambda: self.status() == 500)
        self.assertEqual(self.subject(), 'server')
        shutil.copy(key('server2.key'), os.path.join(self.dir, 'tls.key'))
        self.wait('the new certificate', lambda: self.subject() == 'server2')
        self.assertEqual(self.status(), 200)

    def subject(self):
        context = ssl.create_default_context(cafile=key('ca.pem'))
        with socket.create_connection(('127.0.0.1', self.port), LIMIT_S) as s, context.wrap_socket(s, server_hostname='127.0.0.1') as t:
            return dict(x[0] for x in t.getpeercert()['subject'])['commonName']


class Gate(Web):
    def test_users(self):
        self.start_with("basic_auth_users:\n  ann: '%s'\n  bob: '%s'\n" % (SECRET, OTHER))
        status, headers, body = self.ask('GET', '/-/healthy')
        self.assertEqual((status, headers['Www-Authenticate'], body), (401, 'Basic', b'Unauthorized\n'))
        for target in ('/-/ready', '/-/healthy', '/metrics', '/api/v1/query?query=1', '/nothing', '/', '/api/v1/label//values'):
            self.assertEqual(self.status(target=target), 401, target)
        for who, wanted in ((basic('ann', 'secret'), 200), (basic('bob', 'änders:1'), 200), (basic('ann', 'wrong'), 401),
                            (basic('eve', 'secret'), 401), (basic('eve', 'fakepassword'), 401), (basic('ann', ''), 401), (basic('bob', 'secret'), 401),
                            ({'Authorization': 'Basic !'}, 401), ({'Authorization': 'Basic YW5u'}, 401), ({'Authorization': 'Bearer secret'}, 401)):
            for _ in range(2):                                 # from bcrypt, from memory
                self.assertEqual(self.status(who), wanted, who)
        self.assertEqual(self.ask('GET', '/nothing', headers=basic('ann', 'secret'))[2], b'404 page not found\n')
        self.assertEqual(self.ask('GET', '/', headers=basic('ann', 'secret'))[1]['Location'], '/query')

    def test_users_come_and_go(self):
        self.start_with("basic_auth_users: {ann: '%s'}\n" % SECRET)
        self.assertEqual(self.status(basic('ann', 'secret')), 200)
        self.web("basic_auth_users: {bob: '%s'}\n" % SECRET)
        self.wait('ann to go', lambda: self.status(basic('ann', 'secret')) == 401)
        self.assertEqual(self.status(basic('bob', 'secret')), 200)
        self.web('basic_auth_users: [\n')
        self.wait('nobody to come in', lambda: self.status(basic('bob', 'secret')) == 500)
        self.assertEqual(self.ask('GET', '/-/ready')[2], b'Internal Server Error\n')
        self.web('{}\n')
        self.wait('all to come in', lambda: self.status() == 200)

    def test_headers(self):
        self.start_with('http_server_config:\n  headers:\n    X-Frame-Options: sameorigin\n    Strict-Transport-Security: max-age=1\n')
        for target in ('/-/ready', '/api/v1/query?query=1', '/nothing', '/graph'):
            headers = self.ask('GET', target)[1]
            self.assertEqual((headers['X-Frame-Options'], headers['Strict-Transport-Security']), ('sameorigin', 'max-age=1'), target)

    def test_rate(self):
        self.start_with('rate_limit: {interval: 1h, burst: 3}\n')
        self.assertEqual([self.status() for _ in range(5)], [200, 200, 200, 429, 429])
        self.assertEqual(self.ask('GET', '/-/healthy')[2], b'Too Many Requests\n')


class Refusals(Web):
    def test_refusals(self):
        cert = 'tls_server_config: {cert_file: %s, key_file: %s%%s}\n' % (key('server.pem'), key('server.key'))
        for text, words in (
                (None, 'open web.yml: no such file or directory'),
                ('nothing: 1\n', 'field nothing not found in type web.Config'),
                ('tls_server_config: {cert_file: x}\n', 'missing one of key or key_file'),
                ('tls_server_config: {key_file: x}\n', 'missing one of cert or cert_file'),
                ('tls_server_config: {cert_file: x, key_file: y}\n', 'failed to read cert_file (x): open x: no such file or directory'),
                (cert % ', min_version: TLS14', 'unknown TLS version: TLS14'),
                (cert % ', cipher_suites: [RC4]', 'unknown cipher: RC4'),
                (cert % ', curve_preferences: [P1]', 'unknown curve: P1'),
                (cert % ', client_auth_type: Maybe', 'invalid ClientAuth: Maybe'),
                (cert % (', client_ca_file: ' + key('ca.pem')), "client CA's have been configured without a Client Auth Policy"),
                ('tls_server_config: {cert_file: %s, key_file: %s}\n' % (key('server.pem'), key('client.key')), 'tls: private key does not match public key'),
                ('tls_server_config: {cert: x, key: y}\n', 'tls: failed to find any PEM data in certificate input'),
                ("basic_auth_users: {a: b}\n", 'crypto/bcrypt: hashedSecret too short to be a bcrypted password'),
                ('http_server_config: {headers: {Server: x}}\n', 'HTTP header \\"Server\\" can not be configured'),
                ('http_server_config: {headers: {X-Frame-Options: x}}\n', 'invalid value for X-Frame-Options. Expected one of: ')):
            with self.subTest(words=words):
                if text is not None:
                    self.web(text)
                self.config('{}\n')
                r = subprocess.run([EPIMETHEUS, '--config.file=prometheus.yml', '--storage.tsdb.path=data', '--web.config.file=web.yml',
                                    '--web.listen-address=127.0.0.1:%d' % self.port], cwd=self.dir, capture_output=True, text=True, timeout=LIMIT_S)
                self.assertEqual(r.returncode, 1, r.stderr)
                self.assertIn('Unable to validate web configuration file', r.stdout + r.stderr)
                self.assertIn(words, r.stdout + r.stderr)


if __name__ == '__main__':
    tally.unittest_main()
