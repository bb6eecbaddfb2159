#!/usr/bin/env python3
"""Samples that are odd: from a clock that jumped, told twice, too late, of series that are very wide. Pushed and scraped, they get the answers of
Prometheus 3.14."""
import os
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, 'tools'), os.path.dirname(os.path.abspath(__file__))]
import tally
from server import ServerCase

MINUTE_MS = 60000


def one(name, t, v):
    return {(('__name__', name),): [(t, v)]}


class OddSamples(ServerCase):
    def pushed(self, series):
        status, _, body = self.write(series)
        return status, body.decode()

    def test_pushed(self):
        self.config('{}\n')
        self.start()
        now = int(time.time() * 1000)
        twice = 'duplicate sample for timestamp %d; overrides not allowed: existing 1, new value 2\n' % now
        for what, t, v, want in [
                ('the first', now, 1, (204, '')),
                ('the same again', now, 1, (204, '')),
                ('another value', now, 2, (400, twice)),
                ('a clock that went back', now - 1000, 1, (400, 'out of order sample\n')),
                ('long ago', now - 90 * MINUTE_MS, 1, (400, 'out of bounds\n')),
                ('a clock that is ahead', now + 9 * MINUTE_MS, 3, (204, '')),
                ('too far ahead', now + 11 * MINUTE_MS, 3, (400, 'out of bounds: timestamp is too far in the future\n')),
                ('back where it was', now + 1000, 1, (400, 'out of order sample\n'))]:
            with self.subTest(what):
                self.assertEqual(self.pushed(one('m', t, v)), want)
        self.assertEqual(self.pushed({**one('good', now, 1), **one('m', now, 1)})[0], 400)
        self.assertEqual(self.query('good', now / 1000), [])           # of a request all or nothing

    def test_pushed_late(self):
        self.config('storage: {tsdb: {out_of_order_time_window: 5m}}\n')
        self.start()
        now = int(time.time() * 1000)
        for what, t, v, want in [
                ('the first', now, 1, (204, '')),
                ('late', now - 2 * MINUTE_MS, 1, (204, '')),
                ('late, and again', now - 2 * MINUTE_MS, 1, (204, '')),
                ('too late', now - 6 * MINUTE_MS, 1, (400, 'too old sample\n'))]:
            with self.subTest(what):
                self.assertEqual(self.pushed(one('m', t, v)), want)
        self.assertEqual(self.query('count_over_time(m[10m])', now / 1000)[0]['value'][1], '2')

    def wide(self):
        """Of 10,000 labels, and with a value of 1 MiB."""
        return {'many': tuple(('l%05d' % i, 'v') for i in range(10000)), 'long': (('l', 'x' * (1 << 20)),)}

    def expect_wide(self):
        for name, labels in self.wide().items():
            found = self.query(name)
            self.assertEqual(len(found), 1, name)
            self.assertLessEqual(set(labels), set(found[0]['metric'].items()), name)

    def test_wide_series_pushed(self):
        self.config('{}\n')
        self.start()
        now = int(time.time() * 1000)
        for name, labels in self.wide().items():
            self.assertEqual(self.pushed({(('__name__', name),) + labels: [(now, 1)]}), (204, ''))
        self.expect_wide()
        self.proc.kill()
        self.proc.wait()
        self.start()
        self.expect_wide()

    def test_wide_series_scraped(self):
        self.exporter.pages['/metrics'] = ''.join('%s{%s} 1\n' % (name, ','.join('%s="%s"' % l for l in labels)) for name, labels in self.wide().items())
        self.scraping('{job_name: a, scrape_interval: 2s, scrape_timeout: 2s, static_configs: [{targets: ["%s"]}]}' % self.target)
        self.start()
        self.wait('both', lambda: self.query('many') and self.query('long'))
        self.expect_wide()

    def counted(self, what):
        text = self.ask('GET', '/metrics')[2].decode()
        return [float(l.split()[1]) for l in text.splitlines() if l.startswith('prometheus_target_scrapes_sample_%s_total ' % what)][0]

    def test_scraped(self):
        now = int(time.time() * 1000)
        self.exporter.pages['/metrics'] = 'm 1 %d\nok 1\n' % now
        self.scraping('{job_name: a, static_configs: [{targets: ["%s"]}]}' % self.target)
        self.start()
        self.wait('the first', lambda: self.query('m'))
        for what, t, v in [('duplicate_timestamp', now, 2), ('out_of_order', now - 1000, 1), ('out_of_bounds', now + 11 * MINUTE_MS, 1)]:
            with self.subTest(what):
                before = self.counted(what)
                self.exporter.pages['/metrics'] = 'm %d %d\nok 1\n' % (v, t)
                self.wait('it is counted', lambda: self.counted(what) > before)
                self.assertEqual(self.query('up')[0]['value'][1], '1')
                self.assertEqual(self.query('ok')[0]['value'][1], '1')
        self.assertEqual([s['value'][1] for s in self.query('m')], ['1'])

    def test_scraped_too_old(self):
        now = int(time.time() * 1000)
        self.exporter.pages['/metrics'] = 'ok 1\nm 1 %d\nrest 1\n' % now
        self.scraping('{job_name: a, static_configs: [{targets: ["%s"]}]}' % self.target)
        with open(os.path.join(self.dir, 'prometheus.yml'), 'a') as f:
            f.write('storage: {tsdb: {out_of_order_time_window: 5m}}\n')
        self.start()
        self.wait('the first', lambda: self.query('m'))
        self.exporter.pages['/metrics'] = 'ok 1\nm 1 %d\nrest 1\n' % (now - 6 * MINUTE_MS)
        self.wait('the page is not taken', lambda: self.query('up')[0]['value'][1] == '0')
        self.assertEqual(self.query('scrape_samples_scraped')[0]['value'][1], '2')
        self.assertEqual(self.query('scrape_samples_post_metric_relabeling')[0]['value'][1], '1')
        self.assertEqual(self.get('/api/v1/targets')['activeTargets'][0]['lastError'], 'too old sample')
        self.exporter.pages['/metrics'] = 'ok 1\nm 1 %d\nrest 1\n' % (now - 1000)
        self.wait('a late one is', lambda: self.query('up')[0]['value'][1] == '1')


if __name__ == '__main__':
    tally.unittest_main()
