"""tamper: copies of the folders of recorded cases in which every 10th case is wrong by one digit, label, status or error.

A runner that is worth its name must then name exactly those cases. conformance() and golden() make the copy and return the names.
"""
import gzip
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, 'conformance'), os.path.join(HERE, 'golden')]
import frame
import handlers
import scripts

EVERY = 10


def other_digit(text):
    """The text with its first digit that is not 0 changed, or with a letter more."""
    m = re.search(r'[1-9]', text)
    return text[:m.start()] + str(int(m.group()) % 9 + 1) + text[m.end():] if m else text + 'x'


def change(value):
    """The value with one leaf changed: the first text, number or truth found; None: there is none."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1 if abs(value) < 1e6 else value * 2
    if isinstance(value, str):
        return other_digit(value)
    if isinstance(value, list):
        for i, v in enumerate(value):
            new = change(v)
            if new is not None:
                return value[:i] + [new] + value[i + 1:]
    if isinstance(value, dict):
        for k in sorted(value):
            new = change(value[k])
            if new is not None:
                return {**value, k: new}
    return None


def change_response(record, n):
    """A recorded answer, wrong in its status, its error, a label or a digit."""
    response = record['response']
    if n % 3 == 0:
        return {**record, 'http_status': 500 if record['http_status'] != 500 else 501}
    if 'error' in response:
        return {**record, 'response': {**response, 'error': response['error'] + ' indeed'}}
    result = response['data'].get('result')
    if isinstance(result, list) and result and isinstance(result[0], dict):
        first = dict(result[0])
        if n % 3 == 1 or 'metric' not in first or 'histogram' in first or 'histograms' in first:
            first['metric'] = {**first.get('metric', {}), 'tampered': 'yes'}
        elif 'value' in first:
            first['value'] = [first['value'][0], wrong_number(first['value'][1])]
        else:
            first['values'] = [[first['values'][0][0], wrong_number(first['values'][0][1])]] + first['values'][1:]
        return {**record, 'response': {**response, 'data': {**response['data'], 'result': [first] + result[1:]}}}
    return {**record, 'http_status': 500}


def wrong_number(text):
    return '1' if text in ('NaN', '+Inf', '-Inf', '0', '-0') else other_digit(text)


def change_record(rel, record, n):
    if exchanges(rel):
        return change_exchange(record, n)
    if rel.startswith('promql/'):
        return change_response(record, n)
    for field in handlers.KINDS[rel[:-len('.jsonl')]]:
        new = change(record.get(field))
        if new is not None:
            return {**record, field: new}
    return None


def change_script(text, rel, dst):
    """A script with one digit changed in an expected value of every 10th block that expects series of floats."""
    lines, names, n = text.split('\n'), set(), 0
    for first, block in scripts.blocks(text):
        if not block[0].startswith('eval instant') or len(block) < 2 or block[1].startswith('expect') or '{{' in ''.join(block):
            continue
        m = re.search(r'\s(-?[1-9][0-9.]*)$', block[1])
        n += 1
        if m is None or n % EVERY:
            continue
        at = first       # the line after the eval command, counted from 0
        start = lines[at].rstrip().rindex(m.group(1))
        lines[at] = lines[at][:start] + other_digit(m.group(1))
        names.add('%s#%d' % (rel, first))
    with open(dst, 'w', encoding='utf-8') as f:
        f.write('\n'.join(lines))
    return names


def change_exchange(record, n):
    """A recorded exchange with a server, wrong in its status, or in the status or error that its body says."""
    r = record['response']
    body = r.get('body', '')
    for word, other in (('"status":"', '"status":"un'), ('"error":"', '"error":"other ')) if n % 2 else ():
        if body.startswith('{') and word in body:
            return {**record, 'response': {**r, 'body': body.replace(word, other, 1)}}
    return {**record, 'response': {**r, 'status': 418}}


def exchanges(rel):
    return rel.startswith('api/live') and rel.endswith('.jsonl') and 'requests' not in rel


def conformance(src, dst):
    names = set()
    for folder in sorted(os.listdir(src)):
        if not os.path.isdir(os.path.join(src, folder)):
            continue
        os.makedirs(os.path.join(dst, folder))
        for name in sorted(os.listdir(os.path.join(src, folder))):
            rel = '%s/%s' % (folder, name)
            path, copy = os.path.join(src, rel), os.path.join(dst, rel)
            if folder == 'promqltest' and name.endswith('.test'):
                with open(path, encoding='utf-8') as f:
                    names |= change_script(f.read(), rel, copy)
            elif folder == 'promql' and name.endswith('.jsonl') or rel[:-len('.jsonl')] in handlers.KINDS or exchanges(rel):
                with open(path, encoding='utf-8') as f, open(copy, 'w', encoding='utf-8') as out:
                    for n, line in enumerate(f, 1):
                        new = change_record(rel, json.loads(line), n // EVERY) if n % EVERY == 0 else None
                        out.write(line if new is None else json.dumps(new) + '\n')
                        if new is not None:
                            names.add('%s#%s' % (rel, new.get('id', n)))
            else:
                os.symlink(path, copy)
    return names


def golden(src, dst, usable):
    """usable(case folder): may this case be changed? Twins stay as they are, since others are judged by them."""
    names, n = set(), 0
    for kind in sorted(os.listdir(src)):
        if not os.path.isdir(os.path.join(src, kind)):
            continue
        os.makedirs(os.path.join(dst, kind))
        for name in sorted(os.listdir(os.path.join(src, kind))):
            path, copy = os.path.join(src, kind, name), os.path.join(dst, kind, name)
            series = usable(path) if kind != 'vectors' and not name.endswith('_none') else None
            n += bool(series)
            if not series or n % EVERY:
                os.symlink(path, copy)
                continue
            os.makedirs(os.path.join(copy, 'expected'))
            for part in os.listdir(path):
                if part != 'expected':
                    os.symlink(os.path.join(path, part), os.path.join(copy, part))
            for part in os.listdir(os.path.join(path, 'expected')):
                if not part.startswith('samples.jsonl'):
                    os.symlink(os.path.join(path, 'expected', part), os.path.join(copy, 'expected', part))
            write_changed(path, copy, series)
            names.add('%s/%s#dump' % (kind, name))
    return names


def write_changed(path, copy, series):
    """samples.jsonl with one digit of the first sample of one compared series changed."""
    gz = os.path.join(path, 'expected/samples.jsonl.gz')
    with (gzip.open(gz, 'rt') if os.path.exists(gz) else open(gz[:-3])) as f:
        lines = f.read().splitlines()
    with open(os.path.join(copy, 'expected/samples.jsonl'), 'w') as out:
        for line in lines:
            row = json.loads(line)
            if row['labels'] == series:
                t = '{"t":%d,' % row['samples'][0]['t']
                line = line.replace(t, '{"t":%d,' % (row['samples'][0]['t'] - 1), 1)
            out.write(line + '\n')
