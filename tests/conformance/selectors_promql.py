"""selectors: which series a PromQL text selects, so far as is needed to tell a float case from one of native histograms.

Reads load commands (metric, labels, and whether the series holds more than floats) and expressions (metric names and matchers), without any
code of ours. What it cannot read it takes for a float case: such a case has to pass.
"""
import re

TOKEN = re.compile(r'''\s+|\#[^\n]*|(?P<str>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)|(?P<num>\d[\w.]*(?:[eE][+-]?\d+)?|\.\d+)|'''
                   r'''(?P<id>[A-Za-z_:][A-Za-z0-9_:]*)|(?P<op>=~|!~|!=|==|<=|>=|.)''', re.S)
GROUPINGS = {'by', 'without', 'on', 'ignoring', 'group_left', 'group_right'}
WORDS = GROUPINGS | {'and', 'or', 'unless', 'atan2', 'bool', 'offset', 'inf', 'nan', 'anchored', 'smoothed', 'fill', 'fill_left', 'fill_right'}
AGGREGATORS = {'sum', 'avg', 'count', 'min', 'max', 'group', 'stddev', 'stdvar', 'topk', 'bottomk', 'count_values', 'quantile', 'limitk',
               'limit_ratio'}
ESCAPES = {'n': '\n', 't': '\t', 'r': '\r', '\\': '\\', '"': '"', "'": "'"}


def unquote(s):
    return s[1:-1] if s[0] == '`' else re.sub(r'\\(.)', lambda m: ESCAPES.get(m.group(1), m.group(0)), s[1:-1])


def tokens(text):
    return [(m.lastgroup, m.group(0)) for m in TOKEN.finditer(text) if m.lastgroup]


def matchers_at(toks, i):
    """Reads {...} at toks[i]: ([(name, op, value)], index after it)."""
    out, i = [], i + 1
    while i < len(toks) and toks[i][1] != '}':
        kind, text = toks[i]
        name = unquote(text) if kind == 'str' else text
        if kind in ('id', 'str') and i + 2 < len(toks) and toks[i + 1][1] in ('=', '!=', '=~', '!~') and toks[i + 2][0] == 'str':
            out.append((name, toks[i + 1][1], unquote(toks[i + 2][1])))
            i += 3
        else:
            if kind == 'str':
                out.append(('__name__', '=', name))
            i += 1
    return out, i + 1


def of_expr(expr):
    """([matchers of each selector], names of the functions called)."""
    toks, found, calls, i = tokens(expr), [], set(), 0
    while i < len(toks):
        kind, text = toks[i]
        after = toks[i + 1][1] if i + 1 < len(toks) else ''
        if kind == 'id' and text.lower() in GROUPINGS and after == '(':
            while i < len(toks) and toks[i][1] != ')':
                i += 1
        elif kind == 'id' and after == '(':
            calls.add(text)
        elif kind == 'id' and text.lower() not in WORDS and not (text in AGGREGATORS and after in ('by', 'without')):
            own = [('__name__', '=', text)]
            if after == '{':
                more, i = matchers_at(toks, i + 1)
                found.append(own + more)
                continue
            found.append(own)
        elif text == '{':
            more, i = matchers_at(toks, i)
            found.append(more)
            continue
        i += 1
    return found, calls


def matches(matchers, labels):
    for name, op, value in matchers:
        have = labels.get(name, '')
        try:
            same = have == value if op in ('=', '!=') else re.fullmatch(value, have, re.S) is not None
        except re.error:
            same = True
        if same == op.startswith('!'):
            return False
    return True


def series_line(line):
    """A line of a load command: (labels, the values as text)."""
    depth, quote, i = 0, '', 0
    while i < len(line):
        c = line[i]
        if quote:
            if c == '\\' and quote != '`':
                i += 1
            elif c == quote:
                quote = ''
        elif c in '"\'`':
            quote = c
        elif c == '{':
            depth += 1
        elif c == '}':
            depth -= 1
        elif c in ' \t' and depth == 0 and line[i:].lstrip()[:1] != '{':
            break
        elif c in ' \t' and depth == 0 and line[i:].lstrip()[:2] == '{{':
            break
        i += 1
    found, _ = of_expr(re.sub(r'@st$', '', line[:i].strip()))
    return {n: v for n, _, v in (found[0] if found else [])}, line[i:]


class Loaded:
    """The series that hold more than floats, as load commands go by."""
    def __init__(self):
        self.series = []

    def clear(self):
        self.series = []

    def load(self, command, lines):
        nhcb = command.split()[0].lower() == 'load_with_nhcb'
        for line in lines:
            labels, values = series_line(line)
            first = line.split(None, 1)[0] if line.split() else ''
            if '{{' not in values and not nhcb and not first.endswith('@st'):
                continue
            self.series.append(labels)
            if nhcb:
                base = {k: v for k, v in labels.items() if k != 'le'}
                base['__name__'] = re.sub(r'_(bucket|count|sum)$', '', labels.get('__name__', ''))
                self.series.append(base)

    def selected_by(self, expr):
        found, _ = of_expr(expr)
        return any(matches(m, s) for m in found for s in self.series)
