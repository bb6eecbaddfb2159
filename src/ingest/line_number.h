/* line_number.h — the numbers of a known line, fast.
 *
 * What        Decimal floats as exposition pages write them, exactly rounded, without a call where the digits allow it: a mantissa below
 *             2^53 and a power of ten up to 22 are exact doubles, so one multiplication or division rounds once and rightly.
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

/* Eight ASCII digits at p? Then their value. */
static inline bool digits8(const uint8_t *p, uint64_t *out)
{
    uint64_t v;
    memcpy(&v, p, 8);
    if (((v & 0xf0f0f0f0f0f0f0f0u) | (((v + 0x0606060606060606u) & 0xf0f0f0f0f0f0f0f0u) >> 4)) != 0x3333333333333333u) return false;
    v -= 0x3030303030303030u;
    v = v * 10 + (v >> 8);
    *out = (((v & 0x000000ff000000ffu) * 0x000f424000000064u) + (((v >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u)) >> 32;
    return true;
}

/* Digits at p, appended to *m; up to 19 in all. REQUIRES: 16 readable bytes behind the number */
static inline const uint8_t *line_mantissa(const uint8_t *p, uint64_t *m)
{
    uint64_t eight;
    while (digits8(p, &eight)) {
        if (*m >= 10000000000u) return NULL;                   /* ten digits or more and eight on top */
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

/* The number by the full parser, if it is made of digits, signs, dots and e alone. */
const uint8_t *line_number_slow(const uint8_t *p, const uint8_t *end, double *out);

/* A number at p up to the first byte that is none; NULL: not one that this reads. */
static inline const uint8_t *line_number(const uint8_t *p, const uint8_t *end, double *out)
{
    const uint8_t *from = p;
    bool neg = *p == '-';
    p += neg;
    uint64_t m = 0;
    const uint8_t *q = line_mantissa(p, &m);
    if (UNLIKELY(!q || q == p)) return line_number_slow(from, end, out);
    if (LIKELY(*q == '\n' && m < (1ull << 53))) {
        *out = neg ? -(double)m : (double)m;
        return q;
    }
    int exp10 = 0;
    if (*q == '.') {
        const uint8_t *dot = q + 1;
        q = line_mantissa(dot, &m);
        if (!q) return line_number_slow(from, end, out);
        exp10 = -(int)(q - dot);
    }
    if (*q == 'e' || *q == 'E') {
        bool down = q[1] == '-';
        q += 1 + (q[1] == '-' || q[1] == '+');
        int x = 0;
        const uint8_t *digits = q;
        for (; (uint8_t)(*q - '0') < 10 && x < 1000; q++) x = x * 10 + (*q - '0');
        if (q == digits || x >= 1000) return line_number_slow(from, end, out);
        exp10 += down ? -x : x;
    }
    if (m >= (1ull << 53) || exp10 < -22 || exp10 > 22) return line_number_slow(from, end, out);
    static const double tens[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
                                   1e19, 1e20, 1e21, 1e22 };
    double v = exp10 < 0 ? (double)m / tens[-exp10] : (double)m * tens[exp10];
    *out = neg ? -v : v;
    return q;
}

#endif
