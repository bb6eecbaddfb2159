"""handlers: which file of the conformance folder is asked how. A new kind is one line of KINDS."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import batch
import frame
import live
import promql
import scripts
from frame import Case

# KIND: (the fields that are compared, how a record's expectation is prepared)
KINDS = {
    'parser/valid': ['ok', 'error', 'string', 'pretty', 'type', 'ast'],
    'parser/invalid': ['ok', 'error', 'errors'],
    'parser/series_descriptions': ['ok', 'error', 'labels', 'values'],
    'exposition/text': ['entries', 'error'],
    'exposition/openmetrics': ['entries', 'error'],
    'exposition/protobuf': ['entries', 'error'],
    'exposition/content_type': ['parser', 'warning_or_error'],
    'misc/relabel': ['keep', 'out'],
    'misc/relabel_config': ['ok', 'error'],
    'misc/regexp': ['ok', 'error', 'matches'],
    'misc/labels': ['string', 'hash', 'stable_hash', 'json', 'valid_utf8_scheme', 'valid_legacy_scheme'],
    'misc/float_format': ['api', 'f', 'g', 'openmetrics_le'],
    'misc/float_parse': ['ok', 'bits'],
    'misc/timestamp_format': ['json'],
    'misc/durations': ['ok', 'error', 'ns', 'out'],
    'misc/config': ['ok', 'error', 'marshalled'],
    'misc/rules': ['ok', 'errors', 'groups', 'rules'],
    'misc/templates': ['ok', 'output', 'error'],
}

# What the cases need, and no cases themselves.
DATA = re.compile(r'(^|/)README|^promqltest/SPEC\.md$|^promql/dataset\.test$|^misc/regexp_values\.json$|^api/(data|setup)$|^api/data\.txt$|'
                  r'^api/live_scrape_requests\.json$|/\.')


def is_data(rel):
    return DATA.search(rel) is not None


def kind_of(path):
    return '%s/%s' % (os.path.basename(os.path.dirname(path)), os.path.basename(path).rsplit('.', 1)[0])


def vector_cases(path):
    out = []
    for n, row in batch.read(path):
        # The error is about a file that scrape_config_files names, which is not among the vectors.
        wants_files = kind_of(path) == 'misc/config' and 'scrape_config_files' in row['content'] and str(row.get('error')).startswith('"')
        out.append(Case(row.get('id', n), row, 'files' if wants_files else ''))
    return out


def vector_run(path, cases):
    kind = kind_of(path)
    extra = ['--values', os.path.join(os.path.dirname(path), 'regexp_values.json')] if kind == 'misc/regexp' else []
    same = batch.same_fields(KINDS[kind])

    def compare(record, got):
        # The reference's own panic: any error is right, after the same entries.
        if str(record.get('error') or '').startswith('PANIC') and got.get('error'):
            return batch.difference(record.get('entries'), got.get('entries'), 'entries')
        return same(record, got)

    return batch.ask(kind, path, cases, compare, extra)


def find(rel):
    """(cases, run) of a file, or None."""
    if re.fullmatch(r'promqltest/[^/]+\.test', rel):
        return scripts.cases, scripts.run
    if re.fullmatch(r'promql/[^/]+\.jsonl', rel):
        return promql.cases, promql.run
    if re.fullmatch(r'api/[^/]+\.jsonl', rel):
        return live.cases, live.run
    if re.fullmatch(r'remote/[^/]+\.jsonl', rel):
        return live.sequence_cases, live.run_sequence
    if rel == 'misc/promtool':
        return live.promtool_cases, live.not_written
    if rel.endswith('.jsonl') and rel[:-len('.jsonl')] in KINDS:
        return vector_cases, vector_run
    return None
