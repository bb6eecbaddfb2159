"""promql: recorded queries over promql/dataset.test, with the comparing rules of the API's results."""
import json
import math
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import batch
from frame import Case

LOOSE = re.compile(r'\b(exp|ln|log2|log10|a?(sin|cos|tan)h?|atan2|deg|rad|stddev\w*|stdvar\w*|deriv|predict_linear)\b|\^')


def same_number(want, got, tolerance):
    """Two numbers as the API writes them: as text first, then within the tolerance; NaN equals NaN."""
    if want == got:
        return True
    try:
        a, b = float(want), float(got)
    except ValueError:
        return False
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if math.isinf(a) or math.isinf(b):
        return a == b
    return abs(a - b) <= tolerance * max(abs(a), abs(b))


def blur(want, got, tolerance):
    """got with every number text that equals want's within the tolerance replaced by want's: what differs after that differs."""
    if isinstance(want, dict) and isinstance(got, dict):
        return {k: blur(want.get(k), v, tolerance) for k, v in got.items()}
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        return [blur(w, g, tolerance) for w, g in zip(want, got)]
    if isinstance(want, str) and isinstance(got, str) and same_number(want, got, tolerance):
        return want
    if isinstance(want, (int, float)) and isinstance(got, (int, float)) and not isinstance(want, bool) and not isinstance(got, bool):
        return want if want == got else got
    return got


def by_labels(response):
    """The response with series in the order of their labels, warnings and infos as sets."""
    out = dict(response)
    for name in ('warnings', 'infos'):
        if isinstance(out.get(name), list):
            out[name] = sorted(set(out[name]))
    return out


def sort_result(response):
    data = response.get('data')
    if isinstance(data, dict) and isinstance(data.get('result'), list) and data.get('resultType') in ('vector', 'matrix'):
        data = dict(data, result=sorted(data['result'], key=lambda r: json.dumps(r.get('metric'), sort_keys=True)))
        return dict(response, data=data)
    return response


def compare_response(record, response, query, exact=True):
    """The body of /query or /query_range against the record's."""
    want, got = by_labels(record), by_labels(response)
    tolerance = 1e-9 if exact and not LOOSE.search(query) else 1e-6
    # Only numbers of the result are blurred: labels, errors and annotations are texts.
    w, g = want.get('data'), got.get('data')
    if isinstance(w, dict) and isinstance(g, dict) and isinstance(w.get('result'), list) and isinstance(g.get('result'), list):
        rows = []
        for a, b in zip(w['result'], g['result']):
            if isinstance(a, dict) and isinstance(b, dict):
                rows.append({k: v if k == 'metric' else blur(a.get(k), v, tolerance) for k, v in b.items()})
            else:
                rows.append(blur(a, b, tolerance) if w.get('resultType') == 'scalar' else b)
        got = dict(got, data=dict(g, result=rows + g['result'][len(rows):]))
    return batch.difference(want, got)


def compare(record, got):
    if got.get('http_status') != record['http_status']:
        return 'status %s, expected %s: %s' % (got.get('http_status'), record['http_status'], json.dumps(got.get('response'))[:200])
    want, have = record['response'], got.get('response')
    if not isinstance(have, dict):
        return 'no response'
    if record.get('order') == 'any':
        want, have = sort_result(want), sort_result(have)
    return compare_response(want, have, record['query'], record.get('exact', True))


def dataset(path):
    return os.path.join(os.path.dirname(path), 'dataset.test')


def cases(path):
    return [Case(row.get('id', n), row, '') for n, row in batch.read(path)]


def run(path, asked):
    return batch.ask('promql', path, asked, compare, ['--dataset', dataset(path)])
