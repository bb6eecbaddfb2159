#include "chunk/xor2.h"

#include "model/sample.h"


/* Time and value of a sample behind the first two, by what they start with:
 *
 *     0       in step, the value as before             1110    20 bits of d, V
 *     10      in step, 0 + window or 1 + new window    11110   64 bits of d, V
 *     110     13 bits of d, V                          11111   in step, stale
 *     V       0 as before | 10 + window | 110 + new window | 111 stale
 *
 * d: the change of the step, in two's complement. A value is told against the last one that was no
 * stale marker; a new window is 5 bits of zeros in front, 6 of significant bits, and these. */

enum { STALE_CODE = 31, STALE_VALUE = 7 };

void xor2_app_init(struct xor2_app *a, uint8_t *at, size_t cap)
{
    assert(cap >= XOR2_ROOM(0));
    *a = (struct xor2_app){ .at = at, .cap = cap, .bits = 8 * XOR2_HEADER_BYTES,
        .window = { BITS_NO_WINDOW, 0 } };
    memset(at, 0, XOR2_HEADER_BYTES);
}

/* A changed value. Behind a time in step it is known to have changed. */
static void put_window(struct xor2_app *a, struct bits *b, uint64_t x, bool in_step)
{
    bool fits = xor_window_fits(&a->window, x);
    unsigned sig = 64u - a->window.lead - a->window.trail;
    if (fits) bits_put(b, in_step ? 0 : 2, in_step ? 1 : 2);
    else bits_put(b, in_step ? 1 : 6, in_step ? 1 : 3);
    if (!fits) bits_put(b, (uint64_t)a->window.lead << 6 | (sig & 63), 11);
    bits_put_long(b, x >> a->window.trail, sig);
}

static void put_value(struct xor2_app *a, struct bits *b, uint64_t v)
{
    if (v == STALE_NAN_BITS) bits_put(b, STALE_VALUE, 3);
    else if (v == a->v) bits_put(b, 0, 1);
    else put_window(a, b, v ^ a->v, false);
}

static void put_next(struct xor2_app *a, struct bits *b, uint64_t dod, uint64_t v)
{
    if (dod == 0 && v == STALE_NAN_BITS) {
        bits_put(b, STALE_CODE, 5);
    } else if (dod == 0 && v == a->v) {
        bits_put(b, 0, 1);
    } else if (dod == 0) {
        bits_put(b, 2, 2);
        put_window(a, b, v ^ a->v, true);
    } else {
        if (dod + (1 << 12) < 1 << 13) bits_put(b, 6 << 13 | (dod & 0x1fff), 16);
        else if (dod + (1 << 19) < 1 << 20) bits_put(b, 14 << 20 | (dod & 0xfffff), 24);
        else {
            bits_put(b, 30, 5);
            bits_put_long(b, dod, 64);
        }
        put_value(a, b, v);
    }
}

bool xor2_append(struct xor2_app *a, int64_t t, double value, int64_t st)
{
    uint64_t v = f64_bits(value), delta = 0;
    if (a->n == XOR2_SAMPLES_MAX || (a->bits + 7) / 8 + XOR2_SAMPLE_MAX_BYTES + BITS_SLACK > a->cap)
        return false;
    struct bits b = bits_resume(a->at, a->bits);
    if (a->n == 0) {
        bits_put_varint(&b, t);
        bits_put_long(&b, v, 64);
    } else if (a->n == 1) {
        delta = (uint64_t)t - (uint64_t)a->t;
        bits_put_uvarint(&b, delta);
        put_value(a, &b, v);
    } else {
        delta = (uint64_t)t - (uint64_t)a->t;
        put_next(a, &b, delta - a->delta, v);
    }
    start_time_put(&a->start, &b, a->n, t, a->t, st);
    if (v != STALE_NAN_BITS) a->v = v;
    a->t = t;
    a->delta = delta;
    a->n++;
    a->bits = bits_count(&b, a->at);
    a->at[0] = (uint8_t)(a->n >> 8);
    a->at[1] = (uint8_t)a->n;
    a->at[2] = a->start.header;
    return true;
}

size_t xor2_encode(uint8_t *out, const int64_t *t, const double *v, const int64_t *st, size_t n)
{
    struct xor2_app a;
    xor2_app_init(&a, out, XOR2_ROOM(n));
    for (size_t i = 0; i < n; i++) {
        bool fits = xor2_append(&a, t[i], v[i], st ? st[i] : 0);
        assert(fits);
    }
    return xor2_app_bytes(&a).n;
}

/* ---- reading ---- */

void xor2_iter_init(struct xor2_iter *it, str chunk)
{
    *it = (struct xor2_iter){ .in = bit_reader_of(chunk) };
    if (chunk.n < XOR2_HEADER_BYTES) {
        it->in.bad = true;
        return;
    }
    it->n = (uint32_t)chunk.p[0] << 8 | chunk.p[1];
    it->start.header = chunk.p[2];
    it->in.bit = 8 * XOR2_HEADER_BYTES;
}

static uint64_t take_window(struct xor2_iter *it, bool fresh)
{
    struct bit_reader *r = &it->in;
    if (fresh) bits_take_xor_new(r, &it->v, &it->window);
    else it->v ^= bits_take(r, 64u - it->window.lead - it->window.trail) << it->window.trail;
    return it->v;
}

static uint64_t take_value(struct xor2_iter *it)
{
    struct bit_reader *r = &it->in;
    uint64_t w = bits_word(r);
    if (w >> 63 == 0) {
        bits_skip(r, 1);
        return it->v;
    }
    bool window = w >> 62 == 2;
    bits_skip(r, window ? 2 : 3);
    return w >> 61 == STALE_VALUE ? STALE_NAN_BITS : take_window(it, !window);
}

static int64_t two_complement(uint64_t v, unsigned n)
{
    return (int64_t)(v << (64 - n)) >> (64 - n);
}

static uint64_t take_next(struct xor2_iter *it)
{
    struct bit_reader *r = &it->in;
    uint64_t w = bits_word(r);
    unsigned ones = (unsigned)__builtin_clzll(~w | (uint64_t)1 << 58);
    switch (ones) {
    case 0:
        bits_skip(r, 1);
        return it->v;
    case 1:
        bits_skip(r, 3);
        return take_window(it, w >> 61 & 1);
    case 2: it->delta += (uint64_t)two_complement(bits_take(r, 16), 13); break;
    case 3: it->delta += (uint64_t)two_complement(bits_take(r, 24), 20); break;
    case 4:
        bits_skip(r, 5);
        it->delta += bits_take(r, 64);
        break;
    default:
        bits_skip(r, 5);
        return STALE_NAN_BITS;
    }
    return take_value(it);
}

static uint64_t take_sample(struct xor2_iter *it)
{
    struct bit_reader *r = &it->in;
    int64_t before = it->t;
    uint64_t v;
    if (it->i == 0) {
        it->t = bits_take_varint(r);
        v = bits_take(r, 64);
        if (v != STALE_NAN_BITS) it->v = v;
    } else {
        if (it->i == 1) it->delta = bits_take_uvarint(r);
        v = it->i == 1 ? take_value(it) : take_next(it);
        it->t = (int64_t)((uint64_t)it->t + it->delta);
    }
    start_time_take(&it->start, r, it->i, it->t, before);
    return v;
}

errc xor2_iter_fill(struct xor2_iter *it, int64_t *t, double *v, int64_t *st, size_t cap, size_t *n,
                    struct err *e)
{
    size_t got = 0;
    while (it->i < it->n && got < cap && !it->in.bad) {
        uint64_t bits = take_sample(it);
        if (it->in.bad) break;
        t[got] = it->t;
        if (st) st[got] = it->start.st;
        v[got++] = f64_of_bits(bits);
        it->i++;
    }
    if (it->in.bad && got == 0)
        return err_set(e, ERR_CORRUPT, "xor2 chunk: cut short after %u of %u samples", it->i,
                       it->n);
    *n = got;
    return OK;
}
