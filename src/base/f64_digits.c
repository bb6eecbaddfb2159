/* f64_digits.c — Schubfach.
 *
 * A double v stands for all numbers nearer to it than to its neighbours. Scaled by the power of ten
 * that makes this interval between 1 and 10 wide (10^k below), it holds a whole number, perhaps a
 * multiple of ten, and never two of those: so two candidates each are all there is to look at, the
 * multiples of ten at first, for they have a digit less (R. Giulietti, "The Schubfach way to render
 * doubles", 2020). The bounds of the interval and v itself are scaled by a multiplication of 64
 * by 128 bits each; what is cut off is kept as one "sticky" bit, which suffices to compare right.
 */
#include "base/f64_digits.h"

#include "base/f64.h"
#include "base/f64_pow10.h"

#include <endian.h>

/* The eight digits of v < 10^8 as the bytes of a number, the first digit lowest: two of four
 * digits, then four of two, then eight of one; at each level all by the same few operations. */
static inline uint64_t digits_eight(uint32_t v)
{
    uint64_t fours = v / 10000 | (uint64_t)(v % 10000) << 32;
    uint64_t hundreds = (fours * 10486 >> 20) & 0x0000007f0000007f;
    uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
    uint64_t tens = (twos * 103 >> 10) & 0x000f000f000f000f;
    return tens | (twos - tens * 10) << 8;
}

static inline void digits_write(char *out, uint64_t digits)
{
    digits = htole64(digits | 0x3030303030303030u);
    memcpy(out, &digits, sizeof(digits));
}

/* 1233/4096 is a little more than log10(2). */
unsigned f64_digits_count(uint64_t v)
{
    static const uint64_t powers[F64_DIGITS_ROOM] = { 0, 10, 100, 1000, 10000, 100000, 1000000,
        10000000, 100000000, 1000000000, 10000000000, 100000000000, 1000000000000, 10000000000000,
        100000000000000, 1000000000000000, 10000000000000000, 100000000000000000,
        1000000000000000000, 10000000000000000000u };
    unsigned n = (64 - (unsigned)__builtin_clzll(v | 1)) * 1233 >> 12;
    return n + (v >= powers[n]);
}

unsigned f64_digits_u64(char digits[F64_DIGITS_ROOM], uint64_t v)
{
    enum { EIGHT = 100000000 };
    unsigned n = v ? f64_digits_count(v) : 1, first = (n - 1) % 8 + 1;
    uint64_t above = n > 8 ? v / EIGHT : v, top = n > 16 ? above / EIGHT : above;
    assert(top < EIGHT);
    /* those that come first are fewer than eight: what is written behind them is written over */
    digits_write(digits, digits_eight((uint32_t)top) >> 8 * (8 - first));
    if (n > 16) digits_write(digits + first, digits_eight((uint32_t)(above % EIGHT)));
    if (n > 8) digits_write(digits + n - 8, digits_eight((uint32_t)(v % EIGHT)));
    return n;
}

void f64_digits_four(char digits[4], uint32_t v)
{
    uint32_t twos = v / 100 | v % 100 << 16, tens = (twos * 103 >> 10) & 0x000f000f;
    assert(v < 10000);
    uint32_t all = htole32((tens | (twos - tens * 10) << 8) | 0x30303030);
    memcpy(digits, &all, sizeof(all));
}

/* --- the decimal --- */

/* floor(log10(2^e)), floor(log10(3/4 2^e)), floor(log2(10^e)), for all exponents that there are */
static inline int floor_log10_pow2(int e) { return (e * 1262611) >> 22; }
static inline int floor_log10_three_quarters(int e) { return (e * 1262611 - 524031) >> 22; }
static inline int floor_log2_pow10(int e) { return (e * 1741647) >> 19; }

/* The upper 64 bits of g x, whose last one tells of bits below it. */
static inline uint64_t product_sticky(const struct f64_pow10 *g, uint64_t x)
{
    __extension__ typedef unsigned __int128 u128;
    u128 low = (u128)g->lo * x, high = (u128)g->hi * x + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* v = c 2^q. closer: the neighbour below is half as far as the one above. */
static struct f64_decimal shortest(uint64_t c, int q, bool closer)
{
    bool even = c % 2 == 0;
    int k = closer ? floor_log10_three_quarters(q) : floor_log10_pow2(q);
    assert(-k >= F64_POW10_LEAST && -k <= F64_POW10_MOST);
    int h = q + floor_log2_pow10(-k) + 1;
    const struct f64_pow10 *g = &f64_pow10_bits[-k - F64_POW10_LEAST];
    /* four times v, and the interval's ends; they belong to it if c is even */
    uint64_t v = product_sticky(g, 4 * c << h);
    uint64_t lower = product_sticky(g, (4 * c - 2 + closer) << h) + !even;
    uint64_t upper = product_sticky(g, (4 * c + 2) << h) - !even;
    uint64_t s = v / 4, tens = s / 10;
    if (s >= 10) {
        bool below = lower <= 40 * tens, above = 40 * tens + 40 <= upper;
        if (below != above) return (struct f64_decimal){ tens + above, k + 1 };
    }
    bool below = lower <= 4 * s, above = 4 * s + 4 <= upper;
    if (below != above) return (struct f64_decimal){ s + above, k };
    uint64_t middle = 4 * s + 2;
    return (struct f64_decimal){ s + (v > middle || (v == middle && s % 2 == 1)), k };
}

struct f64_decimal f64_decimal_of(double v)
{
    enum { FRACTION_BITS = 52, BIAS = 1075 };
    uint64_t bits = f64_bits(v), fraction = bits & (((uint64_t)1 << FRACTION_BITS) - 1);
    int exponent = (int)(bits >> FRACTION_BITS);
    assert(v > 0 && exponent < 0x7ff);
    uint64_t hidden = (uint64_t)(exponent > 0) << FRACTION_BITS;
    return shortest(hidden | fraction, MAX(exponent, 1) - BIAS, fraction == 0 && exponent > 1);
}

unsigned f64_digits_shortest(char digits[F64_DIGITS_ROOM], double v, int *point)
{
    struct f64_decimal d = f64_decimal_of(v);
    unsigned n = f64_digits_u64(digits, d.m);
    *point = d.exponent + (int)n;
    while (n > 8 && !memcmp(digits + n - 8, "00000000", 8)) n -= 8;
    while (n > 1 && digits[n - 1] == '0') n--;
    return n;
}
