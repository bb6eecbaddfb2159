"""folders: cases that are data folders: reading what is expected, dumping a copy, and the two rules of comparing. See run."""
import glob
import gzip
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import frame
from frame import Case, tally

TIMEOUT_S = frame.limit(120)
KINDS_OF_FILE = ('index', 'chunks', 'head', 'header', 'log')
backends = []           # each dumps every folder; none: what epitool chooses
ULID = re.compile(r'^[0-9A-HJKMNP-TV-Z]{26}$')
TWINS = [('bad_chunks_head_', 'bad_chunks_head_none'), ('bad_block_', 'bad_block_none'), ('bad_wbl_', 'bad_wbl_none'),
         ('bad_snapshot', 'clean_full'), ('bad_checkpoint_', None), ('bad_', 'bad_none')]


def lines_of(case, stem):
    """The lines of expected/STEM.jsonl or .jsonl.gz; none if there is no such file."""
    path = os.path.join(case, 'expected', stem + '.jsonl')
    if os.path.exists(path):
        with open(path, encoding='utf-8') as f:
            return f.read().splitlines()
    if os.path.exists(path + '.gz'):
        with gzip.open(path + '.gz', 'rt', encoding='utf-8') as f:
            return f.read().splitlines()
    return []


def key(labels):
    return json.dumps(labels, ensure_ascii=False)


def series_of(lines):
    """{labels: (the line, its object)}; a line that is no series, or a series twice, is an error."""
    out = {}
    for line in lines:
        row = json.loads(line)
        if row.get('k') != 'series' or key(row['labels']) in out:
            raise ValueError('not a series, or twice: %s' % line[:100])
        out[key(row['labels'])] = (line, row)
    return out


def twin_of(case):
    name = os.path.basename(case)
    for prefix, twin in TWINS:
        if name.startswith(prefix):
            return os.path.join(os.path.dirname(case), twin) if twin else None
    return None


def buckets(spans, counts, is_float):
    """{index: count} of the buckets that are not empty."""
    out, index, at, running = {}, 0, 0, 0
    for offset, length in spans:
        index += offset
        for _ in range(length):
            running = counts[at] if is_float else running + counts[at]
            if running not in (0, '0' * 16):
                out[index] = running
            index += 1
            at += 1
    return out


def value_of(sample):
    """Its value, as text. Of a histogram neither the hint, which says what came before it, nor empty buckets, which others of its chunk have."""
    if 'v' in sample:
        return sample['v']
    kind = 'h' if 'h' in sample else 'fh'
    h = {k: v for k, v in sample[kind].items() if k != 'crh'}
    for spans, counts in (('ps', 'pb'), ('ns', 'nb')):
        h[spans] = buckets(h[spans], h.pop(counts), kind == 'fh')
    return json.dumps([kind, h], sort_keys=True)


def points(row):
    return {(s['t'], value_of(s)) for s in row['samples']}


def compare_exact(want, got):
    if list(want) == list(got) and all(want[k][0] == got[k][0] for k in want):
        return None
    for k in want:
        if k not in got:
            return 'series is missing: %s' % k
        if want[k][0] != got[k][0]:
            w, g = want[k][1], got[k][1]
            for ws, gs in zip(w.get('samples', []), g.get('samples', [])):
                if ws != gs:
                    return '%s: sample %s is %s' % (k, json.dumps(ws), json.dumps(gs))
            return '%s: n %s, expected %s; the lines differ' % (k, g.get('n'), w.get('n'))
    for k in got:
        if k not in want:
            return 'series that is not there: %s' % k
    return 'the series are not in order'


def compare_damaged(want, got, twin):
    """twin: None: it is not known what was there before the damage."""
    for k, (_, row) in want.items():
        missing = points(row) - points(got[k][1]) if k in got else points(row)
        if missing:
            return '%s: %d of %d samples are missing, the first at %d' % (k, len(missing), row['n'], min(missing)[0])
    for k, (_, row) in got.items() if twin is not None else ():
        known = set()
        for side in (want, twin):
            known |= points(side[k][1]) if k in side else set()
        extra = points(row) - known
        if extra:
            return '%s: %d samples that nobody wrote, the first at %d' % (k, len(extra), min(extra)[0])
    return None


def state(folder):
    """What must not change: (path, size, mtime, digest) of every file, and the folders."""
    out = []
    for top, dirs, names in os.walk(folder):
        dirs.sort()
        out.append((os.path.relpath(top, folder), os.stat(top).st_mtime_ns))
        for name in sorted(names):
            path = os.path.join(top, name)
            st = os.stat(path)
            with open(path, 'rb') as f:
                out.append((os.path.relpath(path, folder), st.st_size, st.st_mtime_ns, hashlib.sha256(f.read()).hexdigest()))
    return out


def folder_cases(path):
    with open(os.path.join(path, 'case.json')) as f:
        case = json.load(f)
    with open(os.path.join(path, 'expected/open.json')) as f:
        json.load(f)
    data = os.path.join(path, 'data')
    kind = 'blocks' if os.path.isdir(data) and any(ULID.match(n) for n in os.listdir(data)) else ''
    return [Case(id, case, kind) for id in dumps()] + [Case(log, case) for log in logs_of(path)]


def dumps():
    """{id of a case: the backend, None: what epitool chooses}"""
    return {'dump.' + b: b for b in backends} or {'dump': None}


def logs_of(path):
    """The logs and checkpoints of which the raw lines are known: wal, wbl, checkpoint.N."""
    stems = {os.path.basename(p).split('.jsonl')[0] for p in glob.glob(os.path.join(path, 'expected', '*.jsonl*'))}
    return sorted(s for s in stems if s in ('wal', 'wbl') or s.startswith('checkpoint.'))


# Where damage was found counts, and that a record does not decode; the words of a decompressor or decoder are its own.
OWN_WORDS = re.compile(r'( at \d+: )[^"]*|("decode_error":")[^"]*')


def log_run(path, log):
    """`epitool wal` on one log, line by line."""
    folder = os.path.join(path, 'data', 'wal' if log.startswith('checkpoint.') else '', log)
    ran = tally.run([frame.EPITOOL, 'wal', folder], TIMEOUT_S)
    if ran.code != 0:
        return 'epitool: %s: %s' % (ran.why, ran.err.decode(errors='replace')[-300:])
    want = lines_of(path, log)
    got = ran.out.decode('utf-8').replace('corruption in segment %s/' % log, 'corruption in segment DIR/').splitlines()
    for n, (w, g) in enumerate(zip(want, got), 1):
        if OWN_WORDS.sub(r'\1\2', w) != OWN_WORDS.sub(r'\1\2', g):
            return 'line %d is %s, expected %s' % (n, g[:200], w[:200])
    return None if len(want) == len(got) else '%d lines, expected %d' % (len(got), len(want))


def dump(path, backend):
    """The series that epitool reads from a copy of the case's folder."""
    how = ['--storage.io=' + ','.join('%s=%s' % (kind, backend) for kind in KINDS_OF_FILE)] if backend else []
    with tempfile.TemporaryDirectory(prefix='epi-golden-') as tmp:
        data = os.path.join(tmp, 'data')
        if os.path.isdir(os.path.join(path, 'data')):
            shutil.copytree(os.path.join(path, 'data'), data)
        else:
            os.mkdir(data)
        before = state(data)
        ran = tally.run([frame.EPITOOL, 'tsdb', 'dump', '--format=jsonl', '--case', os.path.join(path, 'case.json'), *how, data], TIMEOUT_S)
        if ran.code != 0:
            raise ValueError('epitool: %s: %s' % (ran.why, ran.err.decode(errors='replace')[-300:]))
        if state(data) != before:
            raise ValueError('the dump changed the folder')
    return series_of(ran.out.decode('utf-8').splitlines())


def folder_run(path, cases):
    wanted = {c.id for c in cases}
    out = {log: log_run(path, log) for log in logs_of(path) if log in wanted}
    return {**out, **{id: dump_run(path, backend) for id, backend in dumps().items() if id in wanted}}


def dump_run(path, backend):
    """None, or what is wrong."""
    try:
        want = series_of(lines_of(path, 'samples'))
        twin_dir = twin_of(path)
        twin = series_of(lines_of(twin_dir, 'samples')) if twin_dir else None
        got = dump(path, backend)
        if want and not got:
            return 'empty output'
        damaged = os.path.basename(path).startswith('bad_')
        return compare_damaged(want, got, twin) if damaged else compare_exact(want, got)
    except (OSError, ValueError, KeyError, TypeError) as e:
        return str(e)


def vector_cases(path):
    opened = gzip.open(path, 'rt') if path.endswith('.gz') else open(path)
    with opened as f:
        return [Case(n, json.loads(line)) for n, line in enumerate(f, 1)]


def vector_run(path, cases):
    """`epitool conformance golden/KIND FILE`, by the contract of tests/conformance/run."""
    sys.path.insert(0, os.path.join(frame.HERE, 'conformance'))
    import batch
    return batch.ask('golden/' + os.path.basename(path).split('.')[0], path, cases, batch.same_fields([]))


