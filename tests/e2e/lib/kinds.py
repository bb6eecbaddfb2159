"""kinds: samples of every kind, worked out from a series' number and a time alone, and the remote write requests that carry them.

A sample is {'t': ms, 'v': bits of a float or the object of a histogram as the canonical lines have it, 'st': ms or absent}; a row of a request is
{'labels': sorted pairs, 'samples': […], 'exemplars': [{'t', 'v', 'trace'}], 'metadata': {'type', 'unit', 'help'} or absent}.
"""
import os
import random
import struct
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path[:0] = [os.path.join(TOP, 'tests'), os.path.join(TOP, 'tests', 'golden')]
import folders

STALE = '7ff0000000000002'
TYPES = ['', 'counter', 'gauge', 'histogram', 'gaugehistogram', 'summary', 'info', 'stateset']
WRITE_1 = {'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy', 'X-Prometheus-Remote-Write-Version': '0.1.0'}
WRITE_2 = {'Content-Type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request', 'Content-Encoding': 'snappy',
           'X-Prometheus-Remote-Write-Version': '2.0.0'}
FLOATS = ('counter', 'any')
ALL = FLOATS + ('int', 'float', 'custom', 'custom_float', 'gauge')


def bits(v):
    return '%016x' % struct.unpack('>Q', struct.pack('>d', v))


def raw(b):
    return struct.pack('<Q', int(b, 16))


# ---- values

def histogram(i, t, rng, is_float, kind):
    """Counts follow from series and time; buckets come and go by ten minutes."""
    seconds, layout = t // 1000 - 1600000000, random.Random(i * 1000003 + t // 600000)
    gauge, custom = kind == 'gauge', kind == 'custom'
    n = layout.randrange(1, 6)
    spans = [[layout.randrange(0, 4), n]] if n < 3 else [[layout.randrange(0, 4), 2], [layout.randrange(1, 5), n - 2]]
    counts = [rng.randrange(50) if gauge else seconds * (k + 1) for k in range(n)]
    zero = 0 if custom else rng.randrange(9) if gauge else seconds // 3
    negative = [] if custom or i % 2 else [seconds]
    if custom:
        spans = [[0, n]]
    h = {'crh': 3 if gauge else 0, 'schema': -53 if custom else i % 9 - 2, 'zt': bits(0.0 if custom else 0.001), 'sum': bits(rng.randrange(10**6) / 8),
         'ps': spans, 'ns': [[2, 1]] if negative else [], 'cv': [bits(b) for b in (0.005, 0.1, 1, 2.5, 10, 1000)] if custom else []}
    total = zero + sum(counts) + sum(negative)
    if is_float:
        return {**h, 'zc': bits(zero / 4), 'count': bits(total / 4), 'pb': [bits(c / 4) for c in counts], 'nb': [bits(c / 4) for c in negative]}
    deltas = [c - (counts[k - 1] if k else 0) for k, c in enumerate(counts)]
    return {**h, 'zc': zero, 'count': total, 'pb': deltas, 'nb': negative}


def value(i, t, kind, stale=0.02):
    rng = random.Random(i * 7919 + t)
    if rng.random() < stale:
        return STALE
    if kind == 'counter':
        return bits(t // 1000)
    if kind == 'any':
        return bits(rng.choice([rng.uniform(-1e6, 1e6), float('inf'), -0.0, 5e-324]))
    if kind == 'random':
        return bits(rng.random())
    if kind == 'small':
        return bits(rng.randrange(1000))
    return histogram(i, t, rng, kind in ('float', 'custom_float'), {'int': 'counter', 'float': 'counter', 'custom_float': 'custom'}.get(kind, kind))


def plain(v):
    """A sample as it is compared: a stale marker is one of whatever kind."""
    if isinstance(v, str):
        return v
    return STALE if v['sum'] == STALE else folders.value_of({'fh' if isinstance(v['count'], str) else 'h': v})


# ---- remote write by hand: protobuf, and snappy that holds nothing but literals

def varint(n):
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def snappy(text):
    out = varint(len(text))
    for at in range(0, len(text), 65536):
        part = text[at:at + 65536]
        out += bytes([61 << 2]) + struct.pack('<H', len(part) - 1) + part
    return out


def zigzag(n):
    return n << 1 if n >= 0 else (-n << 1) - 1


def number(at, n):
    return varint(at << 3) + varint(n)


def double(at, b):
    return varint(at << 3 | 1) + raw(b)


def pb_histogram(s):
    h = s['v']
    whole = isinstance(h['count'], int)
    out = number(1, h['count']) if whole else double(2, h['count'])
    out += double(3, h['sum']) + number(4, zigzag(h['schema'])) + double(5, h['zt']) + (number(6, h['zc']) if whole else double(7, h['zc']))
    for spans, buckets, at in ((h['ns'], h['nb'], 8), (h['ps'], h['pb'], 11)):
        out += b''.join(field(at, number(1, zigzag(o)) + number(2, n)) for o, n in spans)
        if whole:
            out += field(at + 1, b''.join(varint(zigzag(d)) for d in buckets))
        else:
            out += field(at + 2, b''.join(raw(c) for c in buckets))
    out += number(14, h['crh']) + number(15, s['t'])
    out += field(16, b''.join(raw(b) for b in h['cv'])) if h['cv'] else b''
    return out + (number(17, s['st']) if s.get('st') else b'')


class Symbols:
    def __init__(self):
        self.all = {'': 0}

    def ref(self, s):
        return self.all.setdefault(s, len(self.all))

    def refs(self, pairs):
        return b''.join(varint(self.ref(x)) for pair in pairs for x in pair)


def pb_series(symbols, row):
    body = field(1, symbols.refs(row['labels']))
    for s in row['samples']:
        if isinstance(s['v'], str):
            body += field(2, double(1, s['v']) + number(2, s['t']) + (number(3, s['st']) if s.get('st') else b''))
        else:
            body += field(3, pb_histogram(s))
    for x in row['exemplars']:
        body += field(4, field(1, symbols.refs([('trace', x['trace'])])) + double(2, x['v']) + number(3, x['t']))
    m = row.get('metadata')
    if m:
        body += field(5, number(1, TYPES.index(m['type'])) + number(3, symbols.ref(m['help'])) + number(4, symbols.ref(m['unit'])))
    return field(5, body)


def write_2(rows):
    """A request of remote write 2.0."""
    symbols = Symbols()
    series = b''.join(pb_series(symbols, row) for row in rows)
    return snappy(b''.join(field(4, s.encode()) for s in symbols.all) + series)


def write_1(rows):
    """A request of remote write 1.0, of floats."""
    out = b''
    for row in rows:
        body = b''.join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in row['labels'])
        out += field(1, body + b''.join(field(2, double(1, s['v']) + number(2, s['t'])) for s in row['samples']))
    return snappy(out)
