/* Reading: a scrape holds a number on each line, and nearly all of them are short decimals. One
 * pass over the text collects up to 19 digits in a 64-bit integer and an exponent of ten. When the
 * integer is below 2^53 and the exponent within 22, both are exact as doubles, and IEEE's one
 * rounding of their product or quotient is the right one (Clinger, "How to read floating point
 * numbers accurately", 1990). An integer of up to 19 digits is right after its one conversion. The
 * rest is read by the library. Hex floats, underscores and words are Go's own syntax and rare: they
 * go the odd way at the end. */
#include "base/f64.h"
#include "base/f64_digits.h"
#include "base/f64_shim.h"
#include "base/mem.h"

#include <math.h>

enum { U64_DIGITS = 19, EXACT_POW10 = 22, EXP_CAP = 100000 };

static const double f64_pow10[EXACT_POW10 + 1] = {
    1e0,
    1e1,
    1e2,
    1e3,
    1e4,
    1e5,
    1e6,
    1e7,
    1e8,
    1e9,
    1e10,
    1e11,
    1e12,
    1e13,
    1e14,
    1e15,
    1e16,
    1e17,
    1e18,
    1e19,
    1e20,
    1e21,
    1e22,
};

/* Eight digits at once (little-endian): pairs, then fours, then all. */
static bool f64_eight_digits(const uint8_t *p, uint64_t *m)
{
    uint64_t w;
    memcpy(&w, p, 8);
    if (((w & 0xf0f0f0f0f0f0f0f0u) | (((w + 0x0606060606060606u) & 0xf0f0f0f0f0f0f0f0u) >> 4)) !=
        0x3333333333333333u)
        return false;
    w -= 0x3030303030303030u;
    w = w * 10 + (w >> 8);
    w = ((w & 0x000000ff000000ffu) * 0x000f424000000064u +
            ((w >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u) >>
        32;
    *m = *m * 100000000 + w;
    return true;
}

/* Past 19 digits *m is meaningless (it wraps); the caller counts. */
static inline const uint8_t *f64_digits(const uint8_t *p, const uint8_t *end, uint64_t *m)
{
    uint64_t v = *m;
    while (end - p >= 8 && f64_eight_digits(p, &v)) p += 8;
    for (; p < end && (uint8_t)(*p - '0') < 10; p++) v = v * 10 + (uint64_t)(*p - '0');
    *m = v;
    return p;
}

/* At 'e': the exponent is added to *e10. NULL: no digits. */
static const uint8_t *f64_exponent(const uint8_t *p, const uint8_t *end, int64_t *e10)
{
    p++;
    bool neg = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    if (p == end || (uint8_t)(*p - '0') >= 10) return NULL;
    int64_t e = 0;
    for (; p < end && (uint8_t)(*p - '0') < 10; p++)
        if (e < EXP_CAP) e = e * 10 + (*p - '0');
    *e10 += neg ? -e : e;
    return p;
}

static uint8_t f64_lower(uint8_t c) { return c | 0x20; }
static bool f64_is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }
static bool f64_is_hex(uint8_t c)
{
    return f64_is_digit(c) || (f64_lower(c) >= 'a' && f64_lower(c) <= 'f');
}

/* Go's rule: an underscore stands between digits, or between the base prefix and a digit. */
static bool f64_underscores_ok(str s)
{
    enum { BEFORE, DIGIT, UNDERSCORE, OTHER } last = BEFORE;
    bool hex = s.n >= 2 && s.p[0] == '0' && f64_lower(s.p[1]) == 'x';
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool digit = f64_is_digit(c) || (hex && (f64_is_hex(c) || i == 1));
        if (c == '_' && last != DIGIT) return false;
        if (c != '_' && !digit && last == UNDERSCORE) return false;
        last = digit ? DIGIT : c == '_' ? UNDERSCORE : OTHER;
    }
    return last != UNDERSCORE;
}

/* m x 2^e2, with `sticky` for bits lost below m; rounds to even. False: overflow. REQUIRES: m !=
 * 0 */
static bool f64_from_binary(uint64_t m, int64_t e2, bool sticky, double *out)
{
    int lead = __builtin_clzll(m);
    m <<= lead;
    e2 -= lead;
    int64_t exp = e2 + 63;                                     /* of the leading bit */
    /* bits that do not fit; more for denormals */
    int64_t drop = exp >= -1022 ? 11 : 11 + (-1022 - exp);
    if (exp > 1023) return false;
    if (drop > 64) { *out = 0; return true; }
    uint64_t kept = drop == 64 ? 0 : m >> drop;
    uint64_t half = (uint64_t)1 << (drop - 1), rest = drop == 64 ? m : m & ((half << 1) - 1);
    if (rest > half || (rest == half && (sticky || (kept & 1)))) kept++;
    double v = ldexp((double)kept, (int)(e2 + drop));
    if (isinf(v)) return false;
    *out = v;
    return true;
}

/* s: after the sign and "0x". The exponent is required. */
static bool f64_parse_hex(str s, double *out)
{
    uint64_t m = 0;
    int64_t e2 = 0;
    bool sticky = false, dot = false, any = false;
    size_t i = 0;
    for (; i < s.n && (s.p[i] == '.' || f64_is_hex(s.p[i])); i++) {
        uint8_t c = s.p[i];
        if (c == '.' && dot) return false;
        if (c == '.') { dot = true; continue; }
        unsigned digit = (unsigned)(f64_is_digit(c) ? c - '0' : f64_lower(c) - 'a' + 10);
        bool full = m >> 60 != 0;
        any = true;
        sticky |= full && digit;
        if (!full) m = m << 4 | digit;
        e2 += (full ? 4 : 0) - (dot ? 4 : 0);
    }
    if (!any || i == s.n || f64_lower(s.p[i]) != 'p') return false;
    const uint8_t *end = s.p + s.n;
    if (f64_exponent(s.p + i, end, &e2) != end) return false;
    if (m != 0) return f64_from_binary(m, e2, sticky, out);
    *out = 0;
    return true;
}

static bool f64_parse_hex_prefixed(str s, double *out)
{
    return s.n > 2 && s.p[0] == '0' && f64_lower(s.p[1]) == 'x' &&
           f64_parse_hex(str_from(s, 2), out);
}

/* A decimal without sign, underscores or words. */
static bool f64_parse_plain(str s, double *out)
{
    const uint8_t *p = s.p, *end = p + s.n;
    uint64_t m = 0;
    int64_t e10 = 0;
    p = f64_digits(p, end, &m);
    ptrdiff_t digits = p - s.p;
    if (p < end && *p == '.') {
        const uint8_t *frac = ++p;
        p = f64_digits(p, end, &m);
        e10 = frac - p;
        digits += p - frac;
    }
    if (UNLIKELY(digits == 0)) return false;
    if (p < end && f64_lower(*p) == 'e') p = f64_exponent(p, end, &e10);
    if (UNLIKELY(p != end)) return false;
    if (LIKELY(digits <= U64_DIGITS)) {
        if (e10 == 0) { *out = (double)m; return true; }
        if (m <= (uint64_t)1 << 53 && e10 >= -EXACT_POW10 && e10 <= EXACT_POW10) {
            *out = e10 < 0 ? (double)m / f64_pow10[-e10] : (double)m * f64_pow10[e10];
            return true;
        }
    }
    return f64_shim_parse((const char *)s.p, s.n, out);
}

static bool f64_parse_underscored(str s, double *out)
{
    if (!f64_underscores_ok(s)) return false;
    SCOPED(mem_freep) uint8_t *room = mem_alloc(s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '_') room[n++] = s.p[i];
    str bare = str_of(room, n);
    return f64_parse_plain(bare, out) || f64_parse_hex_prefixed(bare, out);
}

/* Go's own forms. s: without sign. */
static bool f64_parse_odd(str s, bool sign, double *out)
{
    if (str_eq_nocase(s, S("inf")) || str_eq_nocase(s, S("infinity"))) {
        *out = INFINITY;
        return true;
    }
    if (!sign && str_eq_nocase(s, S("nan"))) {
        *out = f64_of_bits(0x7ff8000000000001u);
        return true;
    }
    if (str_index(s, '_') != SIZE_MAX) return f64_parse_underscored(s, out);
    return f64_parse_hex_prefixed(s, out);
}

/* Any text, without hurry: kept apart so that the short forms save no registers for it. */
static __attribute__((noinline, cold)) bool f64_parse_any(str s, double *out)
{
    bool sign = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');
    bool neg = sign && s.p[0] == '-';
    double v;
    if (sign) s = (str){ s.p + 1, s.n - 1 };
    if (s.n == 0) return false;
    if (!f64_parse_plain(s, &v) && !f64_parse_odd(s, sign, &v)) return false;
    *out = neg ? -v : v;
    return true;
}

/* Whole numbers of up to 18 digits, and decimals without exponent that are exact: what a scrape is
 * made of. */
bool f64_parse(str s, double *out)
{
    enum { DIGITS = 18 };
    const uint8_t *p = s.p, *end = p + s.n;
    uint64_t m = 0;
    bool neg = p < end && *p == '-';
    p += neg;
    const uint8_t *start = p;
    p = f64_digits(p, end, &m);
    ptrdiff_t digits = p - start;
    if (p == end && digits > 0 && digits <= DIGITS) {
        double v = (double)(int64_t)m;
        *out = neg ? -v : v;
        return true;
    }
    if (p < end && *p == '.' && digits > 0) {
        start = ++p;
        p = f64_digits(p, end, &m);
        ptrdiff_t frac = p - start;
        if (p == end && digits + frac <= DIGITS && m <= (uint64_t)1 << 53) {
            double v = (double)(int64_t)m / f64_pow10[frac];
            *out = neg ? -v : v;
            return true;
        }
    }
    return f64_parse_any(s, out);
}

/* --- writing --- */

/* Room for two: moves of a known length may begin at any digit. */
struct f64_digits { char d[2 * F64_DIGITS_ROOM]; int n, point; bool neg; };

static size_t f64_put(char *out, str word)
{
    memcpy(out, word.p, word.n);
    return word.n;
}

static bool f64_special(char *out, double v, size_t *n)
{
    if (isnan(v)) *n = f64_put(out, S("NaN"));
    else if (isinf(v)) *n = f64_put(out, v > 0 ? S("+Inf") : S("-Inf"));
    else return false;
    return true;
}

/* Most samples are whole numbers: their digits need no search. False: not one below 2^53. */
static bool f64_whole_digits(struct f64_digits *d, double mag)
{
    if (!(mag < 0x1p53) || mag != (double)(uint64_t)mag) return false;
    d->n = d->point = (int)f64_digits_u64(d->d, (uint64_t)mag);
    while (d->n > 1 && d->d[d->n - 1] == '0') d->n--;
    return true;
}

static void f64_digits_of(struct f64_digits *d, double v)
{
    d->neg = signbit(v);
    double mag = fabs(v);
    if (!f64_whole_digits(d, mag)) d->n = (int)f64_digits_shortest(d->d, mag, &d->point);
    assert(d->n > 0 && d->n < F64_DIGITS_ROOM);
}

static size_t f64_write_f(char *out, const struct f64_digits *d)
{
    char *p = out;
    if (d->neg) *p++ = '-';
    int whole = MIN(MAX(d->point, 0), d->n);
    memcpy(p, d->d, F64_DIGITS_ROOM);          /* there is room for more: one move */
    p += whole;
    if (d->point > d->n) {
        memset(p, '0', (size_t)(d->point - d->n));
        return (size_t)(p + d->point - d->n - out);
    }
    if (d->point <= 0) *p++ = '0';
    if (d->n == d->point) return (size_t)(p - out);
    *p++ = '.';
    if (d->point < 0) memset(p, '0', (size_t)-d->point);
    if (d->point < 0) p -= d->point;
    memcpy(p, d->d + whole, F64_DIGITS_ROOM);
    return (size_t)(p + d->n - whole - out);
}

static size_t f64_write_e(char *out, const struct f64_digits *d)
{
    char *p = out;
    if (d->neg) *p++ = '-';
    *p++ = d->d[0];
    if (d->n > 1) *p++ = '.';
    for (int i = 1; i < d->n; i++) *p++ = d->d[i];
    int exp = d->point - 1;
    *p++ = 'e';
    *p++ = exp < 0 ? '-' : '+';
    exp = exp < 0 ? -exp : exp;
    if (exp >= 100) *p++ = (char)('0' + exp / 100);
    *p++ = (char)('0' + exp / 10 % 10);
    *p++ = (char)('0' + exp % 10);
    return (size_t)(p - out);
}

size_t f64_text_f(char out[F64_TEXT_MAX], double v)
{
    size_t n;
    if (f64_special(out, v, &n)) return n;
    struct f64_digits d;
    f64_digits_of(&d, v);
    return f64_write_f(out, &d);
}

size_t f64_text_g(char out[F64_TEXT_MAX], double v)
{
    enum { G_LEAST = -4, G_END = 6 };      /* the exponents of ten that are written out */
    size_t n;
    if (f64_special(out, v, &n)) return n;
    struct f64_digits d;
    f64_digits_of(&d, v);
    int exp = d.point - 1;
    return exp < G_LEAST || exp >= G_END ? f64_write_e(out, &d) : f64_write_f(out, &d);
}

/* Answers are full of whole numbers and of decimals that are written out: their digits go straight
 * to their places. 0: it is another number. */
static size_t f64_write_common(char *out, double v)
{
    double mag = fabs(v);
    char *p = out;
    if (!(mag >= 1e-6 && mag < 0x1p53)) return 0;
    *p = '-';
    p += v < 0;
    if (mag == (double)(uint64_t)mag) return (size_t)(p - out) + f64_digits_u64(p, (uint64_t)mag);
    struct f64_decimal d = f64_decimal_of(mag);
    if (mag < 1) {
        int zeros = -d.exponent - (int)f64_digits_count(d.m);
        memcpy(p, "0.000000", 8);
        p += 2 + zeros;
        p += f64_digits_u64(p, d.m);
    } else {
        int n = (int)f64_digits_u64(p + 1, d.m), whole = n + d.exponent;
        for (int i = 0; i < whole; i++) p[i] = p[i + 1];
        p[whole] = '.';
        p += n + 1;
    }
    /* no whole number: a digit of the fraction is not zero */
    while (p[-1] == '0') p--;
    return (size_t)(p - out);
}

size_t f64_text_api(char out[F64_TEXT_MAX], double v)
{
    size_t n = f64_write_common(out, v);
    if (n) return n;
    if (f64_special(out, v, &n)) return n;
    struct f64_digits d;
    f64_digits_of(&d, v);
    double mag = fabs(v);
    return mag != 0 && (mag < 1e-6 || mag >= 1e21) ? f64_write_e(out, &d) : f64_write_f(out, &d);
}

size_t f64_text_openmetrics(char out[F64_TEXT_MAX], double v)
{
    size_t n = f64_text_g(out, v == 0 ? 0 : v);          /* a zero has no sign */
    if (!isfinite(v) || memchr(out, 'e', n) || memchr(out, '.', n)) return n;
    return n + f64_put(out + n, S(".0"));
}

#define BUF_F64(form) \
    void buf_f64_##form(struct buf *b, double v) \
    { \
        char text[F64_TEXT_MAX]; \
        buf_bytes(b, text, f64_text_##form(text, v)); \
    }
BUF_F64(f)
BUF_F64(g)
BUF_F64(api)
