#include "chunk/bits.h"

/* Prefix codes of varbit integers: i ones and a zero, then so many bits; eight ones: all 64. */
static const uint8_t varbit_bits[9] = { 0, 3, 6, 9, 12, 18, 25, 56, 64 };
enum { VARBIT_CLASSES = 7, VARBIT_RAW = 8 };

static void put_class(struct bits *b, unsigned i, uint64_t v)
{
    unsigned k = varbit_bits[i];
    uint64_t prefix = ((uint64_t)1 << (i + 1)) - 2, low = v & (((uint64_t)1 << k) - 1);
    if (i < VARBIT_CLASSES) {
        bits_put(b, prefix << k | low, i + 1 + k);
        return;
    }
    bits_put(b, prefix, i + 1);
    bits_put(b, low, k);
}

static void put_raw(struct bits *b, uint64_t v)
{
    bits_put(b, 0xff, 8);
    bits_put_long(b, v, 64);
}

void bits_put_varbit(struct bits *b, int64_t v)
{
    uint64_t u = (uint64_t)v;
    if (v == 0) {
        bits_put(b, 0, 1);
        return;
    }
    for (unsigned i = 1; i <= VARBIT_CLASSES; i++) {
        unsigned k = varbit_bits[i];
        if (u + ((uint64_t)1 << (k - 1)) - 1 < (uint64_t)1 << k) {
            put_class(b, i, u);
            return;
        }
    }
    put_raw(b, u);
}

void bits_put_uvarbit(struct bits *b, uint64_t v)
{
    if (v == 0) {
        bits_put(b, 0, 1);
        return;
    }
    for (unsigned i = 1; i <= VARBIT_CLASSES; i++) {
        if (v >> varbit_bits[i] == 0) {
            put_class(b, i, v);
            return;
        }
    }
    put_raw(b, v);
}

void bits_put_xor(struct bits *b, uint64_t x, struct xor_window *w)
{
    if (x == 0) {
        bits_put(b, 0, 1);
        return;
    }
    bool fits = xor_window_fits(w, x);
    unsigned sig = 64u - w->lead - w->trail;
    if (fits) bits_put(b, 2, 2);
    else bits_put(b, (uint64_t)3 << 11 | (uint64_t)w->lead << 6 | (sig & 63), 13);
    bits_put_long(b, x >> w->trail, sig);
}

uint64_t bits_word_at_end(const struct bit_reader *r)
{
    uint8_t room[9] = { 0 };
    uint64_t from = r->bit >> 3, left = (r->end >> 3) - from;
    memcpy(room, left ? r->p + from : room, MIN(left, sizeof(room)));
    return bits_load_be64(room) << (r->bit & 7) | room[8] >> (8 - (r->bit & 7));
}

uint64_t bits_take_uvarint(struct bit_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint64_t b = bits_take_short(r, 8);
        if (shift == 63 && b > 1) break;       /* as Go reads it: no more than 64 bits */
        v |= (b & 0x7f) << shift;
        if (b < 0x80) return r->bad ? 0 : v;
    }
    r->bad = true;
    return 0;
}

/* The class of the code at hand, behind which the reader then stands. */
static inline unsigned take_class(struct bit_reader *r)
{
    uint64_t w = bits_word(r);
    unsigned ones = w >> 56 == 0xff ? VARBIT_RAW : (unsigned)__builtin_clzll(~w);
    bits_skip(r, ones == VARBIT_RAW ? VARBIT_RAW : ones + 1);
    return ones;
}

int64_t bits_take_varbit(struct bit_reader *r)
{
    unsigned i = take_class(r), k = varbit_bits[i];
    if (k == 0) return 0;
    uint64_t v = bits_take(r, k);
    return r->bad ? 0 : (int64_t)(i == VARBIT_RAW ? v : bits_signed_class(v, k));
}

uint64_t bits_take_uvarbit(struct bit_reader *r)
{
    unsigned k = varbit_bits[take_class(r)];
    return k ? bits_take(r, k) : 0;
}

/* What a row of varbit integers goes on with, by its next bits: a run of zeros, which are one bit
 * each, and the number of one of the first two classes that ends it; or as many zeros as there are,
 * the last of which is the number. */
enum { STEP_BITS = 11, STEPS_A_WORD = BITS_WINDOW / STEP_BITS };
struct varbit_step {
    uint8_t bits;                              /* 0: the number is too long for the table */
    uint8_t zeros;                             /* in front of the number */
    int8_t v;
};
#define ZEROS(x) (__builtin_clz((x) * 2 + 1) - 20)
#define REST(x) ((x) << ZEROS(x) & 0x7ff)
#define IS_3(x) (ZEROS(x) + 5 <= STEP_BITS && REST(x) >> 9 == 2)
#define IS_6(x) (ZEROS(x) + 9 <= STEP_BITS && REST(x) >> 8 == 6)
#define SIGNED_3(x) ((int)((REST(x) >> 6 & 7) + 3) % 8 - 3)
#define SIGNED_6(x) ((int)((REST(x) >> 2 & 63) + 31) % 64 - 31)
#define STEP(x)                                                                                    \
    { (uint8_t)(ZEROS(x) + (IS_3(x) ? 5 : IS_6(x) ? 9 : 0)),                                       \
        (uint8_t)(ZEROS(x) - (!IS_3(x) && !IS_6(x) && ZEROS(x))),                                  \
        (int8_t)(IS_3(x) ? SIGNED_3(x) : IS_6(x) ? SIGNED_6(x) : 0) }
#define STEPS_4(x) STEP(x), STEP((x) + 1), STEP((x) + 2), STEP((x) + 3)
#define STEPS_16(x) STEPS_4(x), STEPS_4((x) + 4), STEPS_4((x) + 8), STEPS_4((x) + 12)
#define STEPS_64(x) STEPS_16(x), STEPS_16((x) + 16), STEPS_16((x) + 32), STEPS_16((x) + 48)
#define STEPS_256(x) STEPS_64(x), STEPS_64((x) + 64), STEPS_64((x) + 128), STEPS_64((x) + 192)
#define STEPS_1024(x) STEPS_256(x), STEPS_256((x) + 256), STEPS_256((x) + 512), STEPS_256((x) + 768)
static const struct varbit_step steps[1 << STEP_BITS] = { STEPS_1024(0u), STEPS_1024(1024u) };

/* As many as one load has. */
static size_t add_by_table(struct bit_reader *r, uint64_t *to, size_t n)
{
    uint64_t w = bits_load_be64(r->p + (r->bit >> 3)) << (r->bit & 7), bits = 0;
    size_t i = 0;
    for (unsigned k = 0; k < STEPS_A_WORD; k++) {
        struct varbit_step s = steps[w >> (64 - STEP_BITS)];
        if (UNLIKELY(!s.bits)) break;
        if (UNLIKELY(i + s.zeros >= n)) {
            bits += n - i;
            i = n;
            break;
        }
        to[i + s.zeros] += (uint64_t)(int64_t)s.v;
        i += s.zeros + 1u;
        w <<= s.bits;
        bits += s.bits;
    }
    r->bit += bits;
    return i;
}

void bits_add_varbits(struct bit_reader *r, uint64_t *to, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t done = r->end - r->bit < 64 + 8 ? 0 : add_by_table(r, to + i, n - i);
        i += done;
        if (!done) to[i++] += (uint64_t)bits_take_varbit(r);
    }
}

void bits_take_xor_new(struct bit_reader *r, uint64_t *v, struct xor_window *w)
{
    uint64_t head = bits_take_short(r, 11);
    unsigned lead = (unsigned)(head >> 6), sig = (unsigned)(head & 63);
    if (sig == 0) sig = 64;
    if (lead + sig > 64) {                     /* no writer makes such a window */
        r->bad = true;
        return;
    }
    *w = (struct xor_window){ (uint8_t)lead, (uint8_t)(64 - lead - sig) };
    *v ^= bits_take(r, sig) << w->trail;
}

void bits_take_xor(struct bit_reader *r, uint64_t *v, struct xor_window *w)
{
    uint64_t c = bits_word(r);
    if (c >> 63 == 0) {
        bits_skip(r, 1);
        return;
    }
    bits_skip(r, 2);
    if (c >> 62 == 3) bits_take_xor_new(r, v, w);
    else *v ^= bits_take(r, 64u - w->lead - w->trail) << w->trail;
}
