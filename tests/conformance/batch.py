"""batch: `epitool conformance KIND FILE`, the way to ask our code many recorded questions at once.

The contract
  KIND is the file's path without its ending ("parser/valid", "exposition/text", "misc/relabel", "promql"); FILE holds one JSON object a line.
  For each line N (from 1) the tool prints one JSON object on one line, in any order:
      {"line":N,"got":{...}}      what our code makes of the question, under the names that the record has for it; the runner compares
  The tool reads only the fields that ask (a record's expectations are none of its business) and never stops early: a question that it cannot
  read, or a kind of question that it does not know, is {"line":N,"got":{},"error":"words"}. Exit code 0; results on stdout, words on stderr.
  Left out and null are the same. A tool may print only what differs from the default, never what it did not compute.

KINDS (handlers.py) says for each kind which fields are compared, and so which ones "got" has to hold.
"""
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import frame
from frame import tally

TIMEOUT_S = frame.limit(300)


def difference(want, got, where=''):
    """The first place where two JSON values differ, in words; None if they do not. A member that is null is a member that is absent."""
    if isinstance(want, dict) and isinstance(got, dict):
        for k in sorted(set(want) | set(got)):
            why = difference(want.get(k), got.get(k), '%s.%s' % (where, k))
            if why:
                return why
        return None
    if isinstance(want, list) and isinstance(got, list):
        for i, (w, g) in enumerate(zip(want, got)):
            why = difference(w, g, '%s[%d]' % (where, i))
            if why:
                return why
        return None if len(want) == len(got) else '%s: %d elements, expected %d' % (where, len(got), len(want))
    if type(want) is type(got) and want == got:
        return None
    return '%s: %s, expected %s' % (where.lstrip('.'), json.dumps(got, ensure_ascii=False)[:200], json.dumps(want, ensure_ascii=False)[:200])


def same_fields(fields):
    """A comparer of these fields of a record; no fields: of all that got holds and the record has (at least one)."""
    def compare(record, got):
        names = fields or [k for k in got if k in record]
        if not names:
            return 'the answer holds nothing to compare'
        return difference({k: record.get(k) for k in names}, {k: got.get(k) for k in names})
    return compare


def ask(kind, path, cases, compare, extra=()):
    """Asks the cases (id: line number or anything, data: the record) and compares: {id: None | reason}."""
    with tempfile.NamedTemporaryFile('w', prefix='epi-cases-', suffix='.jsonl', encoding='utf-8') as f:
        for c in cases:
            f.write(json.dumps(c.data) + '\n')
        f.flush()
        ran = tally.run([frame.EPITOOL, 'conformance', kind, *extra, f.name], TIMEOUT_S)
    answers, out = {}, {}
    for line in ran.out.decode('utf-8', errors='replace').splitlines():
        try:
            row = json.loads(line)
            n = row['line']
            if n in answers or not 1 <= n <= len(cases):
                raise ValueError('line %s is answered twice or was not asked' % n)
            answers[n] = row
        except (ValueError, KeyError, TypeError) as e:
            out['answer %s' % line[:60]] = 'unreadable: %s' % e
    for n, c in enumerate(cases, 1):
        row = answers.get(n)
        if row is None or ran.code != 0:
            out[c.id] = 'epitool: %s: %s' % (ran.why, ran.err.decode(errors='replace')[-200:])
        elif 'error' in row:
            out[c.id] = str(row['error'])
        elif not isinstance(row.get('got'), dict):
            out[c.id] = 'the answer has no "got"'
        else:
            out[c.id] = compare(c.data, row['got'])
    return out


def read(path):
    """The records of a .jsonl file with their line numbers; a line that is no JSON object is an error of the file."""
    with open(path, encoding='utf-8') as f:
        for n, line in enumerate(f, 1):
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError('%s:%d: no object' % (os.path.basename(path), n))
            yield n, row
