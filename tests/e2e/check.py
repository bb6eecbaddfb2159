#!/usr/bin/env python3
"""`epitool check config`: what a server would start with, the files that a configuration names, and the addresses of its targets."""
import os
import subprocess
import sys
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, 'tools')]
import tally

EPITOOL = os.path.join(TOP, 'build/epitool')
LIMIT_S = 20
FINE = ' SUCCESS: p.yml is valid prometheus config file syntax\n'
NONE = ': stat none: no such file or directory'
JOB = 'scrape_configs: [{job_name: j, %s}]\n'


class Check(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix='epi-check-')
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name

    def check(self, text, *words, **files):
        for name, content in {'p.yml': text, **files}.items():
            with open(os.path.join(self.dir, name), 'w') as f:
                f.write(content)
        r = subprocess.run([EPITOOL, 'check', 'config', *words, 'p.yml'], cwd=self.dir, capture_output=True, text=True, timeout=LIMIT_S)
        return r.returncode, r.stdout, r.stderr

    def test_good(self):
        for text, more in (('', ''), (JOB % 'static_configs: [{targets: ["h:1"]}]', ''),
                           (JOB % 'file_sd_configs: [{files: [none.json]}]',
                            '  WARNING: file "none.json" for file_sd in scrape job "j" does not exist\n'),
                           ('rule_files: ["none*"]\n', ''), ('rule_files: [p.yml]\n', '  SUCCESS: 1 rule files found\n')):
            with self.subTest(text):
                code, out, _ = self.check(text)
                self.assertEqual((code, out), (0, 'Checking p.yml\n' + more + FINE + '\n'))

    def test_bad(self):
        group = '[{"targets": ["http://h:1"]}]'
        for text, words in (
                ('nope: 1\n', 'parsing YAML file p.yml: yaml: unmarshal errors:\n  line 1: field nope not found in type config.plain'),
                ('rule_files: [none]\n', '"none" does not point to an existing file'),
                (JOB % 'authorization: {credentials_file: none}', 'error checking authorization credentials or bearer token file "none"' + NONE),
                (JOB % 'tls_config: {cert_file: none, key_file: p.yml}', 'error checking client cert file "none"' + NONE),
                (JOB % 'tls_config: {cert_file: p.yml, key_file: none}', 'error checking client key file "none"' + NONE),
                (JOB % 'relabel_configs: [{target_label: l}], static_configs: [{targets: ["h:1"]}, {targets: ["h:1", "http://h:1"]}]',
                 'instance 1 in group 1: "http://h:1" is not a valid hostname'),
                (JOB % 'file_sd_configs: [{files: ["f*.json"]}]', 'instance 0 in group : "http://h:1" is not a valid hostname')):
            with self.subTest(text):
                self.assertEqual(self.check(text, **{'f.json': group}), (1, 'Checking p.yml\n\n', '  FAILED: %s\n' % words))

    def test_discovery_file_that_is_broken(self):
        code, _, words = self.check(JOB % 'file_sd_configs: [{files: [f.json]}]', **{'f.json': '['})
        self.assertEqual(code, 1)
        self.assertIn('  FAILED: checking SD file "f.json": ', words)

    def test_jobs_of_other_files(self):
        other = {'s.yml': 'scrape_configs: [{job_name: j}]\n'}
        text = JOB % 'static_configs: []' + 'scrape_config_files: [s.yml]\n'
        code, _, words = self.check(text, **other)
        self.assertEqual(code, 1)
        self.assertIn('  FAILED: error loading scrape configs: ', words)
        self.assertEqual(self.check(text, '--syntax-only', **other)[0], 0)

    def test_syntax_only(self):
        for text in ('rule_files: [none]\n', JOB % 'authorization: {credentials_file: none}'):
            self.assertEqual(self.check(text, '--syntax-only')[0], 0)
        self.assertEqual(self.check(JOB % 'static_configs: [{targets: ["http://h:1"]}]', '--syntax-only')[0], 1)

    def test_words_that_are_none(self):
        self.assertNotEqual(self.check('', '--nope')[0], 0)


if __name__ == '__main__':
    tally.unittest_main()
