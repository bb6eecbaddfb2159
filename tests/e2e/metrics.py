#!/usr/bin/env python3
"""What the server says of itself: /metrics holds what lib/metrics.list names, of that type, with those labels and explained by
those words, and nothing that Prometheus does not know but what is our own (epimetheus_*)."""
import os
import re
import sys
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, 'tools'), os.path.dirname(os.path.abspath(__file__))]
import tally
from server import LIMIT_S, ServerCase

LIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib', 'metrics.list')
STATES = ('always', 'on use', 'later')
SUFFIXES = {'histogram': ('_bucket', '_sum', '_count'), 'summary': ('', '_sum', '_count'), 'counter': ('',), 'gauge': ('',)}
OWN_LABEL = {'histogram': 'le', 'summary': 'quantile'}
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*",?')


def read_list():
    out = {}
    for line in open(LIST):
        if line.startswith('#'):
            continue
        head, _, words = line.rstrip('\n').partition(' | ')
        name, kind, labels, state = head.split(None, 3)
        known = [s for s in STATES if state.startswith(s)]
        assert known and kind in SUFFIXES and name not in out, line
        out[name] = (kind, set() if labels == '-' else set(labels.split(',')), known[0], words)
    return out


def read_page(text):
    """{name: (type, [(sample name, {label names}, value)], words of HELP)}"""
    families, last, words = {}, None, {}
    for line in text.splitlines():
        if line.startswith('# HELP '):
            _, _, name, words[name] = line.split(' ', 3)
        elif line.startswith('# TYPE '):
            _, _, last, kind = line.split()
            assert last not in families, line
            families[last] = (kind, [], words.get(last))
        elif line and not line.startswith('#'):
            m = SAMPLE.match(line)
            assert m, line
            labels = m.group(2) or ''
            assert not LABEL.sub('', labels), line
            families[last][1].append((m.group(1), set(LABEL.findall(labels)), float(m.group(3))))
    return families


class Metrics(ServerCase):
    def start_scraping(self):
        with open(os.path.join(self.dir, 'sd.yml'), 'w') as f:
            f.write('- targets: [%r]\n' % self.target)
        self.scraping("{job_name: a, static_configs: [{targets: ['%s']}], file_sd_configs: [{files: [sd.yml]}]}" % self.target)
        self.start()
        self.wait('a scrape', lambda: self.query('up'))
        return self.page()

    def page(self):
        status, headers, body = self.ask('GET', '/metrics')
        self.assertEqual((status, headers['Content-Type']), (200, 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores'))
        return read_page(body.decode())

    def test_names_types_and_labels(self):
        self.start_scraping()
        end = time.monotonic() + LIMIT_S       # some are counted every second
        while self.differences(self.page()) and time.monotonic() < end:
            time.sleep(0.2)
        self.assertEqual(self.differences(self.page()), [])

    def differences(self, got):
        want, wrong = read_list(), []
        for name, (kind, labels, state, words) in want.items():
            if name not in got:
                if state == 'always':
                    wrong.append('%s is missing' % name)
                continue
            is_kind, samples, is_words = got[name]
            if words and is_words != words:
                wrong.append('%s is explained by %r' % (name, is_words))
            if is_kind != kind:
                wrong.append('%s is a %s' % (name, is_kind))
                continue
            for sample, names, _ in samples:
                if sample not in [name + s for s in SUFFIXES[kind]] or names - {OWN_LABEL.get(kind)} != labels:
                    wrong.append('%s: %s%s' % (name, sample, sorted(names)))
            if not samples:
                wrong.append('%s has no samples' % name)
        return wrong + ['%s is not in the list' % n for n in got if n not in want and not n.startswith('epimetheus_')]

    def value(self, name, page=None):
        return sum(v for n, _, v in (page or self.page())[name][1] if n == name)

    def test_figures_follow_what_happens(self):
        """A few of those that dashboards live by, each moved on purpose."""
        page = self.start_scraping()
        self.assertEqual(self.value('prometheus_ready', page), 1)
        self.assertEqual(self.value('prometheus_config_last_reload_successful', page), 1)
        self.assertEqual(self.value('prometheus_target_scrape_pool_targets', page), 1)
        for name in ('process_open_fds', 'process_resident_memory_bytes', 'process_start_time_seconds', 'prometheus_tsdb_isolation_high_watermark',
                     'prometheus_tsdb_head_series', 'prometheus_tsdb_head_chunks', 'process_network_receive_bytes_total',
                     'prometheus_tsdb_symbol_table_size_bytes'):
            self.assertGreaterEqual(self.value(name, page), 0 if 'symbol' in name else 1, name)
        queries = self.count('prometheus_engine_query_duration_seconds_count', 'inner_eval')
        self.query('vector(1)')
        self.assertEqual(self.count('prometheus_engine_query_duration_seconds_count', 'inner_eval'), queries + 1)
        stale = self.value('prometheus_tsdb_head_stale_series')
        self.exporter.pages['/metrics'] = 'n 2\n'
        self.wait('the series to go', lambda: self.value('prometheus_tsdb_head_stale_series') == stale + 1)
        self.exporter.pages['/metrics'] = 'm{x="1"} 1\nn 2\n'
        self.wait('the series to come back', lambda: self.value('prometheus_tsdb_head_stale_series') == stale)
        now = int(time.time() * 1000)
        self.assertEqual(self.write({(('__name__', 'late'),): [(now, 1)]})[0], 204)
        self.assertEqual(self.write({(('__name__', 'late'),): [(now - 1000, 1)]})[0], 400)      # out of order: how late is counted
        self.assertEqual(self.write({(('__name__', 'late'),): [(10 ** 12, 1)]})[0], 400)        # out of bounds: it is not
        page = self.page()
        self.assertEqual(sum(v for n, _, v in page['prometheus_tsdb_sample_ooo_delta'][1] if n.endswith('_count')), 1)
        self.assertEqual(self.value('prometheus_tsdb_out_of_bound_samples_total', page), 1)
        accepted, closed = (self.value('net_conntrack_listener_conn_%s_total' % n, page) for n in ('accepted', 'closed'))
        self.assertGreater(accepted, closed)
        self.assertGreater(closed, 0)

    def count(self, sample, part):
        text = self.ask('GET', '/metrics')[2].decode()
        return [float(line.split()[-1]) for line in text.splitlines() if line.startswith(sample) and part in line][0]

    def test_handlers_are_there_before_they_are_asked(self):
        self.config('{}\n')
        self.start()
        text = self.ask('GET', '/metrics')[2].decode()
        self.assertIn('prometheus_http_requests_total{code="200",handler="/api/v1/label/:name/values"} 0\n', text)
        self.assertIn('promhttp_metric_handler_requests_total{code="503"} 0\n', text)


if __name__ == '__main__':
    tally.unittest_main()
