"""scripts: promqltest files. Finds the eval blocks of a script by itself, so that a tool that skips one is found out."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import frame
from frame import Case, tally

TIMEOUT_S = frame.limit(120)
EVAL = re.compile(r'^eval\S*\s+(?:instant\s+(?:at\s+\S+\s+)?|range\s+from\s+\S+\s+to\s+\S+\s+step\s+\S+\s+)(?P<expr>.+)$', re.S | re.I)


def is_number(line):
    for read in (float, lambda x: int(x, 0)):
        try:
            read(line)
            return True
        except ValueError:
            pass
    return False


def blocks(text):
    """(first line's number, [lines]) of every command. Empty and comment lines end one; so do the line of a scalar and of an expected failure."""
    out, block, start = [], [], 0

    def end():
        if block:
            out.append((start, list(block)))
        block.clear()

    for n, line in enumerate(text.split('\n'), 1):
        line = line.strip()
        if not line or line.startswith('#'):
            end()
            continue
        if not block:
            start = n
        block.append(line)
        is_eval = block[0].lower().startswith('eval')
        if block[0].lower() == 'clear' or (is_eval and len(block) > 1 and (is_number(line) or line.startswith('expected_fail_'))):
            end()
    end()
    return out


def cases(path):
    with open(path, encoding='utf-8') as f:
        text = f.read()
    out = []
    for n, block in blocks(text):
        word = block[0].split()[0].lower()
        if word.startswith('eval'):
            if not EVAL.match(block[0]):
                raise ValueError('line %d: not an eval command' % n)
            out.append(Case(n, None, ''))
        elif word != 'clear' and not word.startswith('load'):
            raise ValueError('line %d: no command' % n)
    return out


def run(path, asked):
    ran = tally.run([frame.EPITOOL, 'promqltest', '--json', path], TIMEOUT_S)
    lines, out = {c.id for c in asked}, {}
    known = {c.id for c in cases(path)}
    for text in ran.out.decode('utf-8', errors='replace').splitlines():
        try:
            row = json.loads(text)
            n, ok = str(row['line']), row['ok']
        except (ValueError, KeyError, TypeError):
            if tally.COUNTS.match(text) or re.match(r'^\d+ passed, \d+ failed$', text):
                continue
            return {c.id: 'epitool: not a line of JSON: %s' % text[:100] for c in asked}
        if n in known and n not in lines:
            continue
        out[n] = 'answered twice' if n in out else None if ok is True else str(row.get('why') or 'failed without a word')
    for c in asked:
        if c.id not in out or ran.code is None or ran.code < 0:
            out[c.id] = 'epitool: %s: %s' % (ran.why, ran.err.decode(errors='replace')[-200:])
    return out
