/* xor.c — the XOR chunk.
 *
 * Time is stored as delta of delta, values as the XOR with the one before (Pelkonen et al.,
 * "Gorilla", VLDB 2015), both with prefix codes, most significant bit first and without any
 * alignment:
 *
 *     sample 0   varint t, 64 bits v
 *     sample 1   uvarint delta, V
 *     sample n   D, V
 *     D   0 | 10 + 14 bits | 110 + 17 | 1110 + 20 | 1111 + 64        n bits: -(2^(n-1)-1) …
 *     2^(n-1), so 100…0 is positive V   0 same | 10 + bits of the window | 11 + 5 leading + 6
 *     significant (64 as 0) + the significant bits
 *
 * Decoding is a chain: where a sample ends says where the next begins. What breaks the chain is
 * branch prediction: when the kind of code is guessed, the position is a sum of known widths, and
 * the loads run ahead. So the decoder branches on the prefix instead of looking it up, reads 64
 * bits at any bit position with one unaligned load (57 of them are good), and keeps its state in
 * registers.
 * Two kinds of samples come in long rows and are taken several from one load: equal step and value
 * (00: a run of zero bits, counted by one clz), and equal step with a change inside the window
 * (010: all as long as one another).
 *
 * No load may run past the chunk: the last XOR_TAIL_BYTES are decoded from a copy with zeros behind
 * it, and there each sample is held against the real end; before them none can reach it. The loop
 * is compiled twice, plain and with BMI2 and LZCNT (shifts by a variable are one operation instead
 * of three); which one runs is chosen at start.
 */
#include "chunk/xor.h"

#include "chunk/bits.h"
#include "chunk/xor_impl.h"

#include "base/cursor.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum {
    CODE_MAX_BITS = 4 + 64 + 2 + 5 + 6 + 64,   /* of a sample behind the first two */
    /* more than a sample, and what the load of its last bits takes beyond them */
    XOR_TAIL_BYTES = 32
};
_Static_assert(
    8 * XOR_TAIL_BYTES >= CODE_MAX_BITS + 8 * 9, "the loop before the tail needs no check");

/* ---- decoding ---- */

/* skip: 64 - significant bits */
struct run {
    const uint8_t *p;
    uint64_t bit;
    uint64_t t, delta, v;
    unsigned skip, trail;
    bool bad;
};

/* A value: 0, 10 or 11. w: the bits at r->bit, `good` of them. False: a window wider than the word,
 * which no encoder writes. */
__attribute__((always_inline)) static inline bool value_next(
    struct run *r, uint64_t w, unsigned good)
{
    if (w >> 63 == 0) {
        r->bit += 1;
        return true;
    }
    if (LIKELY(w >> 62 == 2)) {
        if (LIKELY(2 + 64 - r->skip <= good)) w <<= 2;
        else
            w = r->skip < 64 - XOR_WINDOW_BITS ? xor_bits(r->p, r->bit + 2, 64)
                                           : xor_word(r->p, r->bit + 2);
        r->v ^= w >> r->skip << r->trail;
        r->bit += 2 + 64 - r->skip;
        return true;
    }
    if (good < 13) w = xor_word(r->p, r->bit);
    unsigned lead = (unsigned)(w >> 57) & 31, sig = (unsigned)(w >> 51) & 63;
    if (sig == 0) sig = 64;
    if (UNLIKELY(lead + sig > 64)) return false;
    r->skip = 64 - sig;
    r->trail = r->skip - lead;
    w = sig > XOR_WINDOW_BITS ? xor_bits(r->p, r->bit + 13, 64) : xor_word(r->p, r->bit + 13);
    r->v ^= w >> r->skip << r->trail;
    r->bit += 13 + sig;
    return true;
}

/* How many samples of 010 and 64 - skip significant bits lie in `good` bits. */
__attribute__((always_inline)) static inline size_t row_max(unsigned good, unsigned skip)
{
#define ROW8(skip)                                                                                 \
    ROW(skip), ROW(skip + 1), ROW(skip + 2), ROW(skip + 3), ROW(skip + 4), ROW(skip + 5),          \
        ROW(skip + 6), ROW(skip + 7)
#define ROW(skip) XOR_WINDOW_BITS / (67 - (skip))
    static const uint8_t rows[64] = { ROW8(0), ROW8(8), ROW8(16), ROW8(24), ROW8(32), ROW8(40),
        ROW8(48), ROW8(56) };
#undef ROW8
#undef ROW
    return good == XOR_WINDOW_BITS ? rows[skip] : good / (67 - skip);
}

/* Decodes up to n samples, all of them behind the first two of a chunk, while one begins before bit
 * `stop`; gives back how many.
 * tail: stop is the chunk's end; a sample that crosses it is not counted and sets bad. Else stop is
 * XOR_TAIL_BYTES before it. */
__attribute__((always_inline)) static inline size_t xor_loop(
    struct run *io, uint64_t stop, bool tail, int64_t *t, double *v, size_t n)
{
    struct run r = *io;
    size_t i = 0;
    while (i < n && r.bit < stop) {
        uint64_t w = xor_word(r.p, r.bit);
        unsigned good = XOR_WINDOW_BITS;
        size_t row;
        if (tail && stop - r.bit < XOR_WINDOW_BITS) good = (unsigned)(stop - r.bit);
        if (w >> 62 == 2) {
            r.delta += xor_class(w >> 48, 14);
            r.bit += 16;
            if (UNLIKELY(!value_next(&r, w << 16, XOR_WINDOW_BITS - 16))) { r.bad = true; break; }
        } else if (w >> 61 == 2 && (row = row_max(good, r.skip)) > 0) {
            unsigned step = 67 - r.skip;       /* equal steps, changes inside the window */
            size_t from = i, end = i + MIN(row, n - i);
            do {
                r.v ^= w << 3 >> r.skip << r.trail;
                t[i] = (int64_t)(r.t += r.delta);
                v[i++] = f64_of_bits(r.v);
                w <<= step;
            } while (i < end && w >> 61 == 2);
            r.bit += (i - from) * step;
            continue;
        } else if (w >> 62 == 0 && good >= 2) {
            size_t run = (size_t)__builtin_clzll(w | (uint64_t)1 << (63 - good)) / 2;
            if (run > n - i) run = n - i;
            double same = f64_of_bits(r.v);
            r.bit += 2 * run;
            for (size_t end = i + run; i < end; i++) {
                t[i] = (int64_t)(r.t += r.delta);
                v[i] = same;
            }
            continue;
        } else if (w >> 63 == 0) {
            r.bit += 1;
            if (UNLIKELY(!value_next(&r, w << 1, XOR_WINDOW_BITS - 1))) { r.bad = true; break; }
        } else {
            r.delta += xor_time_slow(r.p, &r.bit, w);
            if (UNLIKELY(!value_next(&r, xor_word(r.p, r.bit), XOR_WINDOW_BITS))) {
                r.bad = true;
                break;
            }
        }
        if (tail && UNLIKELY(r.bit > stop)) { r.bad = true; break; }
        t[i] = (int64_t)(r.t += r.delta);
        v[i++] = f64_of_bits(r.v);
    }
    *io = r;
    return i;
}

/* The same to the end of the chunk: in place as far as whole words may be loaded, then from a copy
 * of the tail. */
__attribute__((always_inline)) static inline size_t xor_rest(
    struct run *r, size_t size, int64_t *t, double *v, size_t n)
{
    size_t got = 0, from = 0;
    if (size > XOR_TAIL_BYTES) {
        from = size - XOR_TAIL_BYTES;
        got = xor_loop(r, 8 * (uint64_t)from, false, t, v, n);
    }
    if (r->bad || got == n) return got;
    const uint8_t *chunk = r->p;
    uint8_t room[2 * XOR_TAIL_BYTES] = { 0 };
    if (from) memcpy(room, chunk + from, XOR_TAIL_BYTES);      /* a known length: two moves */
    else memcpy(room, chunk, size);
    r->p = room;
    r->bit -= 8 * (uint64_t)from;
    got += xor_loop(r, 8 * (uint64_t)(size - from), true, t + got, v + got, n - got);
    r->bit += 8 * (uint64_t)from;
    r->p = chunk;
    return got;
}

static size_t xor_rest_plain(struct run *r, size_t size, int64_t *t, double *v, size_t n)
{
    return xor_rest(r, size, t, v, n);
}
static size_t (*xor_rest_best)(
    struct run *r, size_t size, int64_t *t, double *v, size_t n) = xor_rest_plain;

void xor_iter_init(struct xor_iter *it, str chunk)
{
    *it = (struct xor_iter){
        .chunk = chunk, .bit = XOR_HEADER_BYTES * 8, .n = (uint32_t)xor_count(chunk)
    };
    if (chunk.n < XOR_HEADER_BYTES) it->bad = true;
}

/* Sample 0 and the delta of sample 1 are whole bytes. */
static bool iter_first(struct xor_iter *it)
{
    cursor c = cur_of(str_from(it->chunk, it->bit / 8));
    it->t = cur_varint(&c);
    it->v = cur_be64(&c);
    it->bit = 8 * (it->chunk.n - cur_left(&c));
    return cur_ok(&c);
}

static bool iter_second(struct xor_iter *it)
{
    cursor c = cur_of(str_from(it->chunk, it->bit / 8));
    it->delta = cur_uvarint(&c);
    if (!cur_ok(&c) || cur_left(&c) == 0) return false;
    it->t = (int64_t)((uint64_t)it->t + it->delta);
    it->bit = 8 * (it->chunk.n - cur_left(&c));
    uint8_t room[24] = { 0 };                  /* the value is read behind zeros, as in the tail */
    size_t left = MIN(cur_left(&c), (size_t)12);
    if (left == 12) memcpy(room, c.p, 12);
    else memcpy(room, c.p, left);
    struct run r = { .p = room, .v = it->v, .skip = it->skip, .trail = it->trail };
    if (!value_next(&r, xor_word(room, 0), XOR_WINDOW_BITS)) return false;
    it->v = r.v;
    it->bit += r.bit;
    it->skip = (uint8_t)r.skip;
    it->trail = (uint8_t)r.trail;
    return r.bit <= 8 * left;
}

/* NULL: of ten bytes, or none. */
static inline const uint8_t *uvarint_quick(const uint8_t *p, uint64_t *out)
{
    uint64_t x = *p & 0x7f;
    for (unsigned k = 7; *p++ & 0x80; k += 7) {
        if (k == 63) return NULL;
        x |= (uint64_t)(*p & 0x7f) << k;
    }
    *out = x;
    return p;
}

/* Both, of a chunk in which no load can pass the end. False: nothing has changed. */
static bool iter_both(struct xor_iter *it, int64_t *t, double *v)
{
    enum { VARINT = 9, BOTH_BYTES = XOR_HEADER_BYTES + VARINT + 8 + VARINT + 24 };
    const uint8_t *p = it->chunk.p + XOR_HEADER_BYTES;
    uint64_t first, delta;
    if (it->chunk.n < BOTH_BYTES || !(p = uvarint_quick(p, &first))) return false;
    struct run r = { .v = xor_load(p), .skip = it->skip, .trail = it->trail };
    uint64_t v0 = r.v;
    if (!(p = uvarint_quick(p + 8, &delta))) return false;
    r.p = p;
    if (!value_next(&r, xor_word(p, 0), XOR_WINDOW_BITS)) return false;
    t[0] = bits_unzigzag(first);
    v[0] = f64_of_bits(v0);
    t[1] = it->t = (int64_t)((uint64_t)t[0] + delta);
    v[1] = f64_of_bits(r.v);
    it->delta = delta;
    it->v = r.v;
    it->bit = 8 * (uint64_t)(p - it->chunk.p) + r.bit;
    it->skip = (uint8_t)r.skip;
    it->trail = (uint8_t)r.trail;
    it->i = 2;
    return true;
}

/* Samples from the third on. */
static size_t iter_rest(struct xor_iter *it, int64_t *t, double *v, size_t n)
{
    struct run r = { it->chunk.p, it->bit, (uint64_t)it->t, it->delta, it->v, it->skip, it->trail,
        false };
    size_t got = xor_rest_best(&r, it->chunk.n, t, v, n);
    it->bit = r.bit;
    it->t = (int64_t)r.t;
    it->delta = r.delta;
    it->v = r.v;
    it->skip = (uint8_t)r.skip;
    it->trail = (uint8_t)r.trail;
    return got;
}

errc xor_iter_fill(struct xor_iter *it, int64_t *t, double *v, size_t cap, size_t *n, struct err *e)
{
    size_t got = 0;
    if (it->i == 0 && it->n >= 2 && cap >= 2 && !it->bad && iter_both(it, t, v)) got = 2;
    while (it->i < 2 && it->i < it->n && got < cap && !it->bad) {
        it->bad = !(it->i == 0 ? iter_first(it) : iter_second(it));
        if (it->bad) break;
        t[got] = it->t;
        v[got++] = f64_of_bits(it->v);
        it->i++;
    }
    if (!it->bad && it->i < it->n && got < cap) {
        size_t want = MIN(cap - got, (size_t)(it->n - it->i));
        size_t more = iter_rest(it, t + got, v + got, want);
        got += more;
        it->i += (uint32_t)more;
        it->bad = more < want;
    }
    if (it->bad && got == 0)
        return err_set(e, ERR_CORRUPT, "xor chunk: cut short after %u of %u samples",
            (unsigned)it->i, (unsigned)it->n);
    *n = got;
    return OK;
}

errc xor_decode(str chunk, int64_t *t, double *v, size_t cap, size_t *n, struct err *e)
{
    struct xor_iter it;
    xor_iter_init(&it, chunk);
    if (it.n > cap)
        return err_set(e, ERR_LIMIT, "xor chunk: %u samples do not fit %zu", (unsigned)it.n, cap);
    size_t got = 0;
    TRY(xor_iter_fill(&it, t, v, cap, &got, e));
    if (got < it.n)
        return err_set(
            e, ERR_CORRUPT, "xor chunk: cut short after %zu of %u samples", got, (unsigned)it.n);
    *n = got;
    return OK;
}

/* ---- encoding ---- */

static inline unsigned uvarint_bytes(uint64_t v)
{
    return v ? (70 - (unsigned)__builtin_clzll(v)) / 7 : 1;
}

/* The class of a delta of delta: prefix and payload bits; 68: the raw one, whose payload does not
 * fit one put. */
struct time_code { uint64_t bits; unsigned k; };
__attribute__((always_inline)) static inline struct time_code time_code(uint64_t dod)
{
    if (dod == 0) return (struct time_code){ 0, 1 };
    if (dod + 8191 < 1 << 14) return (struct time_code){ (uint64_t)2 << 14 | (dod & 0x3fff), 16 };
    if (dod + 65535 < 1 << 17) return (struct time_code){ (uint64_t)6 << 17 | (dod & 0x1ffff), 20 };
    if (dod + 524287 < 1 << 20)
        return (struct time_code){ (uint64_t)14 << 20 | (dod & 0xfffff), 24 };
    return (struct time_code){ 15, 68 };
}

/* Does a change fit the window? lead XOR_NO_WINDOW never does: l is at most 31. */
__attribute__((always_inline)) static inline bool window_of(
    uint64_t x, uint8_t *lead, uint8_t *trail)
{
    unsigned l = (unsigned)__builtin_clzll(x), tr = (unsigned)__builtin_ctzll(x);
    if (l > 31) l = 31;
    if (LIKELY(l >= *lead && tr >= *trail)) return true;
    *lead = (uint8_t)l;
    *trail = (uint8_t)tr;
    return false;
}

/* A value after time bits `t` of k <= 24 bits: most samples are one put. */
__attribute__((always_inline)) static inline void put_sample(
    struct bits *b, uint64_t t, unsigned k, uint64_t x, uint8_t *lead, uint8_t *trail)
{
    if (x == 0) { bits_put(b, t << 1, k + 1); return; }
    bool fits = window_of(x, lead, trail);
    unsigned sig = 64u - *lead - *trail;
    uint64_t head = fits ? t << 2 | 2 : t << 13 | 3 << 11 | (uint64_t)*lead << 6 | (sig & 63);
    k += fits ? 2 : 13;
    if (LIKELY(k + sig <= 56)) { bits_put(b, head << sig | x >> *trail, k + sig); return; }
    bits_put(b, head, k);
    bits_put_long(b, x >> *trail, sig);
}

__attribute__((always_inline)) static inline void put_next(
    struct bits *b, struct xor_len *l, int64_t t, uint64_t v)
{
    uint64_t delta = (uint64_t)t - (uint64_t)l->t, x = v ^ l->v;
    if (UNLIKELY(l->n == 0)) {
        bits_put_uvarint(b, bits_zigzag(t));
        bits_put_long(b, v, 64);
        delta = 0;
    } else if (UNLIKELY(l->n == 1)) {
        bits_put_uvarint(b, delta);
        put_sample(b, 0, 0, x, &l->lead, &l->trail);
    } else {
        uint64_t dod = delta - l->delta;
        struct time_code c = time_code(dod);
        if (UNLIKELY(c.k == 68)) {
            bits_put(b, c.bits, 4);
            bits_put_long(b, dod, 64);
            c = (struct time_code){ 0, 0 };
        }
        put_sample(b, c.bits, c.k, x, &l->lead, &l->trail);
    }
    l->t = t;
    l->delta = delta;
    l->v = v;
    l->n++;
}

__attribute__((always_inline)) static inline size_t xor_encode_loop(
    uint8_t *out, const int64_t *t, const double *v, size_t n)
{
    struct bits b = { out + XOR_HEADER_BYTES, 0, 0 };
    struct xor_len l = xor_len_zero();
    out[0] = (uint8_t)(n >> 8);
    out[1] = (uint8_t)n;
    for (size_t i = 0; i < n; i++) put_next(&b, &l, t[i], f64_bits(v[i]));
    return (size_t)(b.p - out) + (b.used > 0);
}

static size_t xor_encode_plain(uint8_t *out, const int64_t *t, const double *v, size_t n)
{
    return xor_encode_loop(out, t, v, n);
}
static size_t (*xor_encode_best)(
    uint8_t *out, const int64_t *t, const double *v, size_t n) = xor_encode_plain;

size_t xor_encode(uint8_t *out, const int64_t *t, const double *v, size_t n)
{
    assert(n <= XOR_SAMPLES_MAX);
    return xor_encode_best(out, t, v, n);
}

void xor_app_init(struct xor_app *a, uint8_t *at, size_t cap)
{
    assert(cap >= XOR_ROOM(0));
    *a = (struct xor_app){ .len = xor_len_zero(), .at = at, .cap = cap };
    at[0] = at[1] = 0;
}

bool xor_append(struct xor_app *a, int64_t t, double v)
{
    size_t whole = a->len.bits / 8;
    if (a->len.n == XOR_SAMPLES_MAX || a->cap - whole < XOR_SAMPLE_MAX_BYTES + 8) return false;
    unsigned used = a->len.bits & 7;
    struct bits b = { a->at + whole, used ? (uint64_t)a->at[whole] << 56 : 0, used };
    put_next(&b, &a->len, t, f64_bits(v));
    a->len.bits = (uint32_t)(8 * (size_t)(b.p - a->at) + b.used);
    a->at[0] = (uint8_t)(a->len.n >> 8);
    a->at[1] = (uint8_t)a->len.n;
    return true;
}

void xor_len_add(struct xor_len *l, int64_t t, double v)
{
    uint64_t bits = f64_bits(v), delta = (uint64_t)t - (uint64_t)l->t, x = bits ^ l->v;
    assert(l->n < XOR_SAMPLES_MAX);
    if (l->n == 0) {
        l->bits += 8 * uvarint_bytes(bits_zigzag(t)) + 64;
        delta = 0;
    } else {
        l->bits += l->n == 1 ? 8 * uvarint_bytes(delta) : time_code(delta - l->delta).k;
        l->bits += xor_value_bits(x, &l->lead, &l->trail);
    }
    l->t = t;
    l->delta = delta;
    l->v = bits;
    l->n++;
}

/* ---- which build of the loops
 * -------------------------------------------------------------------------------------------------
 * */

#if defined(__x86_64__)
__attribute__((target("bmi,bmi2,lzcnt"))) static size_t xor_rest_bmi2(
    struct run *r, size_t size, int64_t *t, double *v, size_t n)
{
    return xor_rest(r, size, t, v, n);
}
__attribute__((target("bmi,bmi2,lzcnt"))) static size_t xor_encode_bmi2(
    uint8_t *out, const int64_t *t, const double *v, size_t n)
{
    return xor_encode_loop(out, t, v, n);
}

/* By hand: clang's __builtin_cpu_supports does not know lzcnt, which is older than all machines
 * with BMI2. */
static bool has_bmi2_lzcnt(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_BMI) || !(b & bit_BMI2)) return false;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & bit_LZCNT);
}
#endif

void xor_use_plain(bool plain)
{
    xor_rest_best = xor_rest_plain;
    xor_encode_best = xor_encode_plain;
    if (plain) return;
#if defined(__x86_64__)
    if (!has_bmi2_lzcnt()) return;
    xor_rest_best = xor_rest_bmi2;
    xor_encode_best = xor_encode_bmi2;
#endif
}

__attribute__((constructor)) static void xor_choose(void) { xor_use_plain(false); }
