"""scripts: promqltest files. Finds the eval blocks of a script by itself, so that a tool that skips one is found out.

A block is of kind histogram if its expression or expectation holds {{...}}, if it calls histogram_*, or if it selects a series that was
loaded with {{...}}, load_with_nhcb or @st; all others are float blocks.
"""
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import frame
import selectors_promql
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
    loaded, out = selectors_promql.Loaded(), []
    for n, block in blocks(text):
        word = block[0].split()[0].lower()
        if word == 'clear':
            loaded.clear()
        elif word.startswith('load'):
            loaded.load(block[0], block[1:])
        elif word.startswith('eval'):
            m = EVAL.match(block[0])
            if not m:
                raise ValueError('line %d: not an eval command' % n)
            expr = m.group('expr')
            hist = ('{{' in ''.join(block) or re.search(r'\bhistogram_\w+\s*\(', expr) is not None or loaded.selected_by(expr))
            out.append(Case(n, None, 'histogram' if hist else ''))
        else:
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
