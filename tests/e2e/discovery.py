#!/usr/bin/env python3
"""Targets from files: every way in which a file comes, changes and goes is seen within about a second, though refresh_interval is minutes;
a broken file keeps its targets; configurations lie outside of the working folder. Loopback only; every wait has a bound."""
import json
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server import EPIMETHEUS, ServerCase, tally

SOON_S = 3                             # about a second, on a machine with other work


class Discovery(ServerCase):
    job = '{job_name: f, file_sd_configs: [{files: ["sd/*.json", "sd/*.yml", "late/one.yaml", "current/t.json"], refresh_interval: 5m}]}'

    def setUp(self):
        super().setUp()
        self.path('sd', make=True)
        self.scraping(self.job)

    def path(self, *names, make=False):
        p = os.path.join(self.dir, *names)
        if make:
            os.makedirs(p)
        return p

    def put(self, text, *names):
        with open(self.path(*names), 'w') as f:
            f.write(text)

    def group(self, *addresses, **labels):
        return json.dumps([{'targets': list(addresses), 'labels': labels}])

    def zones(self):
        return sorted(t['labels'].get('zone', '') for t in self.get('/api/v1/targets')['activeTargets'])

    def soon(self, *zones):
        end = time.monotonic() + SOON_S
        while self.zones() != sorted(zones):
            self.assertLess(time.monotonic(), end, 'wanted %s, got %s; %s' % (zones, self.zones(), self.said()))
            time.sleep(0.02)

    def metric(self, name):
        _, _, body = self.ask('GET', '/metrics')
        for line in body.decode().splitlines():
            if line.startswith(name + ' '):
                return float(line.rsplit(' ', 1)[1])
        return None

    def test_a_file_in_its_life(self):
        self.start()
        self.soon()
        self.put(self.group(self.target, zone='new'), 'sd', 't.json')
        self.soon('new')
        self.put(self.group(self.target, zone='in place'), 'sd', 't.json')
        self.soon('in place')
        self.put(self.group(self.target, zone='renamed'), 'sd', 't.tmp')
        os.rename(self.path('sd', 't.tmp'), self.path('sd', 't.json'))
        self.soon('renamed')
        os.rename(self.path('sd', 't.json'), self.path('sd', 'u.yml'))         # JSON is YAML
        self.wait('the other name', lambda: [t['discoveredLabels']['__meta_filepath'] for t in self.get('/api/v1/targets')['activeTargets']] == ['sd/u.yml'])
        os.unlink(self.path('sd', 'u.yml'))
        self.soon()

    def test_a_broken_file_keeps_its_targets(self):
        self.put(self.group(self.target, zone='a'), 'sd', 'a.json')
        self.start()
        self.soon('a')
        self.put('[{"targets":', 'sd', 'a.json')
        self.put(self.group('127.0.0.1:1', zone='b'), 'sd', 'b.json')
        self.soon('a', 'b')
        self.assertGreaterEqual(self.metric('prometheus_sd_file_read_errors_total'), 1)
        self.assertEqual(self.ask('POST', '/-/reload')[0], 200)
        self.assertEqual(self.zones(), ['a', 'b'])
        self.assertEqual(self.metric('prometheus_sd_discovered_targets{config="f",name="scrape"}'), 2)
        mtime = int(os.stat(self.path('sd', 'b.json')).st_mtime)
        self.assertEqual(self.metric('prometheus_sd_file_mtime_seconds{filename="sd/b.json"}'), mtime)
        self.put(self.group(self.target, zone='mended'), 'sd', 'a.json')
        self.soon('mended', 'b')
        self.assertEqual(self.metric('prometheus_sd_file_watcher_errors_total'), 0)
        self.assertGreater(self.metric('prometheus_sd_file_scan_duration_seconds_count'), 2)

    def test_a_folder_that_comes_later(self):
        self.start()
        self.soon()
        os.mkdir(self.path('late'))
        self.put('- targets: ["%s"]\n  labels: {zone: late}\n' % self.target, 'late', 'one.yaml')
        self.soon('late')
        os.rename(self.path('late'), self.path('gone'))
        self.soon()
        os.rename(self.path('gone'), self.path('late'))
        self.soon('late')

    def test_links_are_swapped(self):
        """As Kubernetes does with a ConfigMap: files are links through ..data, and ..data is exchanged by a rename. And a folder's link."""
        for version in 'v1', 'v2':
            self.path('sd', '..' + version, make=True)
            self.put(self.group(self.target, zone=version), 'sd', '..' + version, 't.json')
            self.path('folder-' + version, make=True)
            self.put(self.group('127.0.0.1:1', zone='folder ' + version), 'folder-' + version, 't.json')
        os.symlink('..v1', self.path('sd', '..data'))
        os.symlink('..data/t.json', self.path('sd', 't.json'))
        os.symlink('folder-v1', self.path('current'))
        self.start()
        self.soon('v1', 'folder v1')
        os.symlink('..v2', self.path('sd', '..data_tmp'))
        os.rename(self.path('sd', '..data_tmp'), self.path('sd', '..data'))
        self.soon('v2', 'folder v1')
        os.symlink('folder-v2', self.path('current.tmp'))
        os.rename(self.path('current.tmp'), self.path('current'))
        self.soon('v2', 'folder v2')

    def test_targets_that_stay_go_on(self):
        """A change of the file restarts nothing of the targets that are in it before and after."""
        self.put(self.group(self.target, zone='stays'), 'sd', 't.json')
        self.start()
        self.wait('a scrape', lambda: self.query('m{zone="stays"}'))
        for n in range(5):
            self.put(self.group(self.target, zone='stays')[:-1] + ',' + self.group('127.0.0.1:%d' % (n + 1), zone='other')[1:], 'sd', 't.json')
            self.soon('other', 'stays')
            up = [t['health'] for t in self.get('/api/v1/targets')['activeTargets'] if t['labels']['zone'] == 'stays']
            self.assertEqual(up, ['up'])
        self.assertTrue(self.query('m{zone="stays"}'))


class Elsewhere(ServerCase):
    """--config.file names a file outside of the working folder; what it names is relative to the file."""

    def start_with(self, config):
        cwd = os.path.join(self.dir, 'work')
        self.log = open(os.path.join(self.dir, 'log'), 'ab')
        self.addCleanup(self.log.close)
        self.proc = subprocess.Popen([EPIMETHEUS, '--config.file=' + config, '--web.enable-lifecycle', '--web.listen-address=127.0.0.1:%d' % self.port],
                                     cwd=cwd, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.wait('ready', self.ready)

    def setUp(self):
        super().setUp()
        for name in 'work', 'conf', 'conf/sd', 'conf/more':
            os.mkdir(os.path.join(self.dir, name))
        self.write_file('conf/sd/t.json', json.dumps([{'targets': [self.target]}]))
        self.write_file('conf/password', 'secret\n')
        self.write_file('conf/more/jobs.yml', 'scrape_configs: [{job_name: more, file_sd_configs: [{files: ["../sd/*.json"]}]}]')
        self.write_file('conf/prometheus.yml', 'global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n'
                        'scrape_config_files: ["more/*.yml"]\n'
                        'scrape_configs:\n- job_name: f\n  file_sd_configs: [{files: ["sd/*.json"]}]\n'
                        '  basic_auth: {username: u, password_file: password}\n')

    def write_file(self, name, text):
        with open(os.path.join(self.dir, name), 'w') as f:
            f.write(text)

    def check(self, config):
        self.start_with(config)
        self.wait('both jobs', lambda: len(self.query('m{x="1"}')) == 2)
        self.assertEqual(self.get('/api/v1/scrape_pools')['scrapePools'], ['f', 'more'])
        self.write_file('conf/prometheus.yml', 'scrape_configs: []\n')
        self.assertEqual(self.ask('POST', '/-/reload')[0], 200)
        self.assertEqual(self.get('/api/v1/scrape_pools')['scrapePools'], [])

    def test_beside(self):
        self.check('../conf/prometheus.yml')

    def test_absolute(self):
        self.check(os.path.join(self.dir, 'conf', 'prometheus.yml'))

    def test_around(self):
        self.check('./../conf/../conf/prometheus.yml')


if __name__ == '__main__':
    tally.unittest_main()
