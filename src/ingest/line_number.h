/* line_number.h — the numbers of a known line, fast.
 *
 * What        Decimal floats as exposition pages write them, exactly rounded, without a call where
 *             the digits allow it: a mantissa below 2^53 and a power of ten up to 22 are exact
 *             doubles, so one multiplication or division rounds once and rightly.
 * Invariants  what is accepted gives the bits of the full parser; what is not is left to it
 * Ownership   none
 * Threads     pure
 * Errors      NULL: ask the full parser
 * Format      none
 */
#ifndef EPI_INGEST_LINE_NUMBER_H
#define EPI_INGEST_LINE_NUMBER_H

#include "base/f64.h"
#include "model/sample.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Which of the 16 bytes at p are c: a bit each. */
static inline unsigned bytes16_eq(const uint8_t *p, uint8_t c)
{
#ifdef __SSE2__
    return (unsigned)_mm_movemask_epi8(
        _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), _mm_set1_epi8((char)c)));
#else
    const uint64_t low7 = 0x7f7f7f7f7f7f7f7fu;
    unsigned bits[2];
    for (int k = 0; k < 2; k++) {
        uint64_t w;
        memcpy(&w, p + 8 * k, 8);
        w ^= c * 0x0101010101010101u;
        /* the top bit of each byte that was 0 */
        w = ~(((w & low7) + low7) | w | low7);
        bits[k] = (unsigned)(((w >> 7) * 0x0102040810204080u) >> 56);
    }
    return bits[0] | bits[1] << 8;
#endif
}

/* Eight digits as numbers, the first one in the lowest byte: pairs, then fours, then all. */
static inline uint64_t digits8_value(uint64_t v)
{
    v = v * 10 + (v >> 8);
    return (((v & 0x000000ff000000ffu) * 0x000f424000000064u) +
               (((v >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u)) >>
           32;
}

/* Eight ASCII digits at p? Then their value. */
static inline bool digits8(const uint8_t *p, uint64_t *out)
{
    uint64_t v;
    memcpy(&v, p, 8);
    if (((v & 0xf0f0f0f0f0f0f0f0u) | (((v + 0x0606060606060606u) & 0xf0f0f0f0f0f0f0f0u) >> 4)) !=
        0x3333333333333333u)
        return false;
    *out = digits8_value(v - 0x3030303030303030u);
    return true;
}

/* Digits at p, appended to *m; up to 19 in all. REQUIRES: 16 readable bytes behind the number */
static inline const uint8_t *line_mantissa(const uint8_t *p, uint64_t *m)
{
    uint64_t eight;
    while (digits8(p, &eight)) {
        /* ten digits or more and eight on top */
        if (*m >= 10000000000u) return NULL;
        *m = *m * 100000000u + eight;
        p += 8;
    }
    for (; (uint8_t)(*p - '0') < 10; p++) {
        if (*m >= 1000000000000000000u) return NULL;
        *m = *m * 10 + (uint8_t)(*p - '0');
    }
    return p;
}

static inline const uint8_t *line_digits(const uint8_t *p, int64_t *out)
{
    uint64_t m = 0;
    const uint8_t *q = line_mantissa(p, &m);
    if (!q || q == p || m > INT64_MAX) return NULL;
    *out = (int64_t)m;
    return q;
}

/* Is some byte of a word of digits' distances from '0' beyond 9? */
static inline bool digits_beyond_9(uint64_t v)
{
    return ((v | (v + 0x7676767676767676u)) & 0x8080808080808080u) != 0;
}

/* 1 … 8 characters at p, of which the one at `dot` is a dot, or none if that is n: their digits as
 * a whole number. The text is pushed to the high end of the word, over zeros, the dot squeezed out.
 * False: other characters, a dot alone, or one that ends eight. REQUIRES: 8 readable bytes */
static inline bool line_digits_8(const uint8_t *p, unsigned n, unsigned dot, int64_t *out)
{
    const uint64_t zeros = 0x3030303030303030u;
    uint64_t v;
    memcpy(&v, p, 8);
    if (dot < n) {
        if (UNLIKELY(dot == 7 || n == 1)) return false;
        uint64_t whole = (((uint64_t)1 << (dot * 8)) - 1) & v;
        v = (v >> (dot * 8 + 8)) << (dot * 8 + 8) | whole << 8 | '0';
    }
    v = (v ^ zeros) << ((8 - n) * 8);
    if (digits_beyond_9(v)) return false;
    *out = (int64_t)digits8_value(v);
    return true;
}

/* The same of up to 15 characters. REQUIRES: 16 readable bytes */
static inline bool line_digits_15(const uint8_t *p, unsigned n, unsigned dot, int64_t *out)
{
    const unsigned __int128 zeros =
        (unsigned __int128)0x3030303030303030u << 64 | 0x3030303030303030u;
    uint64_t half[2]; /* one by one: both were looked at as a vector */
    memcpy(&half[0], p, 8);
    memcpy(&half[1], p + 8, 8);
    unsigned __int128 v = (unsigned __int128)half[1] << 64 | half[0];
    if (dot < n) {                             /* and not alone: n > 8 */
        unsigned __int128 whole = (((unsigned __int128)1 << (dot * 8)) - 1) & v;
        v = (v >> (dot * 8 + 8)) << (dot * 8 + 8) | whole << 8 | '0';
    }
    v = (v ^ zeros) << ((16 - n) * 8);
    /* bytes in memory's order: the first digits are in the low half */
    uint64_t high = (uint64_t)v, low = (uint64_t)(v >> 64);
    if (digits_beyond_9(high) || digits_beyond_9(low)) return false;
    *out = (int64_t)(digits8_value(high) * 100000000 + digits8_value(low));
    return true;
}

/* A number of up to 15 characters in front of a newline: what most lines end with, and without a
 * branch for each digit. NULL: another number.
 * REQUIRES: 17 readable bytes */
static inline const uint8_t *line_number_short(const uint8_t *p, double *out)
{
    static const double tens[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
        1e12, 1e13, 1e14, 1e15 };
    bool neg = *p == '-';
    if (UNLIKELY(neg)) p++; /* where the next line is waits for no sign */
    unsigned ends = bytes16_eq(p, '\n');
    /* no newline, or nothing in front of it */
    if (!ends || ends & 1) return NULL;
    unsigned n = (unsigned)__builtin_ctz(ends);
    unsigned dot = (unsigned)__builtin_ctz(bytes16_eq(p, '.') | 1u << n);
    int64_t m;
    if (LIKELY(n <= 8)) {
        if (!line_digits_8(p, n, dot, &m)) return NULL;
    } else if (!line_digits_15(p, n, dot, &m)) {
        return NULL;
    }
    double d = (double)m;
    if (dot < n) d /= tens[n - 1 - dot];
    *out = neg ? -d : d;
    return p + n;
}

/* A number at p up to the first byte that is none; NULL: not one that this reads. */
const uint8_t *line_number(const uint8_t *p, const uint8_t *end, double *out);

#endif
