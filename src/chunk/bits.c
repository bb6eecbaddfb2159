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
