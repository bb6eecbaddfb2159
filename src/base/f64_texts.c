/* f64_texts.c — Schubfach (f64_digits.c) in eight lanes.
 *
 * The lanes are for what answers are full of: whole numbers, and others from 10^-6 on, below 10^15.
 * The powers of ten of those that are not whole have no more than 64 bits, so that half of the
 * multiplication falls away; powers of two, which have a nearer neighbour below, and all others go
 * one by one. The digits are put in place, zeros and point among them, by one move of bytes.
 */
#include "base/f64_texts.h"

#include "base/f64.h"
#include "base/f64_digits.h"

static char *text_one(char *to, double v)
{
    char text[F64_TEXT_MAX];
    size_t n = f64_text_api(text, v);
    assert(n <= F64_TEXTS_LONGEST);
    memcpy(to, text, F64_TEXTS_LONGEST);
    return to + n;
}

/* The digits of seconds before their last four, behind ",[": of times that follow each other mostly
 * the same. before_n 0: none are known. */
enum { SECONDS_LAST = 10000, BEFORE_BYTES = 16, ABOVE_MS = SECONDS_LAST * 1000 };
struct seconds { uint64_t above; unsigned before_n; char before[BEFORE_BYTES + 8]; };

static void seconds_above(struct seconds *known, uint64_t above)
{
    if (known->before_n && above == known->above) return;
    memcpy(known->before, ",[", 2);
    known->above = above;
    known->before_n = 2 + f64_digits_u64(known->before + 2, above);
    assert(known->before_n <= BEFORE_BYTES);
}

/* ",[", and the time. */
static char *time_text(char *to, int64_t ms, struct seconds *known)
{
    uint64_t u = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms, seconds = u / 1000;
    if (UNLIKELY(ms < 0 || seconds < SECONDS_LAST)) {
        memcpy(to, ",[-", 3);
        to += 2 + (ms < 0);
        to += f64_digits_u64(to, seconds);
    } else {
        seconds_above(known, seconds / SECONDS_LAST);
        memcpy(to, known->before, BEFORE_BYTES);
        f64_digits_four(to + known->before_n, (uint32_t)(seconds % SECONDS_LAST));
        to += known->before_n + 4;
    }
    if (LIKELY(u % 1000 == 0)) return to;
    char digits[4];
    f64_digits_four(digits, (uint32_t)(u % 1000));
    digits[0] = '.';
    memcpy(to, digits, sizeof(digits));
    return to + sizeof(digits);
}

static char *pair_plain(char *to, int64_t ms, double v, struct seconds *known)
{
    to = time_text(to, ms, known);
    memcpy(to, ",\"", 2);
    to = text_one(to + 2, v);
    memcpy(to, "\"]", 2);
    return to + 2;
}

static char *pairs_plain(char *to, const int64_t *ms, const double *v, size_t n)
{
    struct seconds known = { 0 };
    for (size_t i = 0; i < n; i++) to = pair_plain(to, ms[i], v[i], &known);
    return to;
}

static char *(*pairs_best)(char *, const int64_t *, const double *, size_t) = pairs_plain;

char *f64_texts_pairs(char *to, const int64_t *ms, const double *v, size_t n)
{
    return pairs_best(to, ms, v, n);
}

#if defined(__x86_64__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512bw,avx512dq,avx512cd")))
#define INLINE WIDE __attribute__((always_inline)) static inline
#define ALL(x) _mm512_set1_epi64((int64_t)(x))
/* Stays in a register or in memory: the compiler would make several shifts of a multiplication by
 * it, or bring it into a register anew for each use. */
#define KEPT(x) ({ __m512i kept_v = (x); __asm__("" : "+v"(kept_v)); kept_v; })

enum { F64_TEXTS = 8, FRACTION_BITS = 52, BIAS = 1075, EIGHT = 100000000, POWERS = 24 };

/* 5^n with its first bit on top: 10^n, up to a power of two. */
static const uint64_t powers[POWERS] = {
    0x8000000000000000, 0xa000000000000000, 0xc800000000000000,
    0xfa00000000000000, 0x9c40000000000000, 0xc350000000000000,
    0xf424000000000000, 0x9896800000000000, 0xbebc200000000000,
    0xee6b280000000000, 0x9502f90000000000, 0xba43b74000000000,
    0xe8d4a51000000000, 0x9184e72a00000000, 0xb5e620f480000000,
    0xe35fa931a0000000, 0x8e1bc9bf04000000, 0xb1a2bc2ec5000000,
    0xde0b6b3a76400000, 0x8ac7230489e80000, 0xad78ebc5ac620000,
    0xd8d726b7177a8000, 0x878678326eac9000, 0xa968163f0a57b400,
};

/* What the loop has at hand. */
struct factors {
    __m512i hundred, ten, by_hundred, by_ten;  /* of 16 bits each */
    __m512i by_ten_thousand, ten_thousand, eight, one, nought, word, by_eight;
};

INLINE struct factors factors_of(void)
{
    return (struct factors){ KEPT(_mm512_set1_epi16(100)), KEPT(_mm512_set1_epi16(10)),
        KEPT(_mm512_set1_epi16(5243)), KEPT(_mm512_set1_epi16(6554)), KEPT(ALL(0xd1b71759)),
        KEPT(ALL(10000)), KEPT(ALL(EIGHT)), KEPT(ALL(1)), KEPT(ALL(0x3030303030303030)),
        KEPT(ALL(0xffffffff)), KEPT(ALL(1441151881)) };
}

/* Eight of 128 bits. */
struct wide { __m512i high, low; };

INLINE struct wide wide_product(__m512i a, __m512i b, const struct factors *by)
{
    __m512i a1 = _mm512_srli_epi64(a, 32), b1 = _mm512_srli_epi64(b, 32);
    __m512i low = _mm512_mul_epu32(a, b), high = _mm512_mul_epu32(a1, b1);
    __m512i t = _mm512_add_epi64(_mm512_mul_epu32(a1, b), _mm512_srli_epi64(low, 32));
    __m512i u = _mm512_add_epi64(_mm512_mul_epu32(a, b1), _mm512_and_si512(t, by->word));
    high = _mm512_add_epi64(high, _mm512_srli_epi64(t, 32));
    return (struct wide){ _mm512_add_epi64(high, _mm512_srli_epi64(u, 32)),
        _mm512_or_si512(_mm512_slli_epi64(u, 32), _mm512_and_si512(low, by->word)) };
}

INLINE struct wide wide_add(struct wide a, struct wide b, const struct factors *by)
{
    __m512i low = _mm512_add_epi64(a.low, b.low), high = _mm512_add_epi64(a.high, b.high);
    __mmask8 carry = _mm512_cmplt_epu64_mask(low, b.low);
    return (struct wide){ _mm512_mask_add_epi64(high, carry, high, by->one), low };
}

INLINE struct wide wide_sub(struct wide a, struct wide b, const struct factors *by)
{
    __m512i low = _mm512_sub_epi64(a.low, b.low), high = _mm512_sub_epi64(a.high, b.high);
    __mmask8 borrow = _mm512_cmplt_epu64_mask(a.low, b.low);
    return (struct wide){ _mm512_mask_sub_epi64(high, borrow, high, by->one), low };
}

/* The upper half, whose last bit tells of bits below it. */
INLINE __m512i wide_sticky(struct wide a, const struct factors *by)
{
    return _mm512_mask_or_epi64(
        a.high, _mm512_test_epi64_mask(a.low, a.low), a.high, by->one);
}

INLINE __m512i times_ten(__m512i x)
{
    return _mm512_add_epi64(_mm512_slli_epi64(x, 3), _mm512_slli_epi64(x, 1));
}

/* (x factor) >> shift, of small signed numbers: logarithms. */
INLINE __m512i scaled(__m512i x, int factor, unsigned shift)
{
    return _mm512_srai_epi64(_mm512_mul_epi32(x, ALL(factor)), shift);
}

INLINE __m512i power_of_ten(__m512i n)
{
    __m512i low = _mm512_permutex2var_epi64(
        _mm512_loadu_si512(powers), n, _mm512_loadu_si512(powers + 8));
    return _mm512_mask_permutexvar_epi64(
        low, _mm512_test_epi64_mask(n, ALL(16)), n, _mm512_loadu_si512(powers + 16));
}

/* The two digits of each number below 100 of 16 bits as its two bytes, the first one in the lower
 * byte. */
INLINE __m512i two_digits(__m512i x, const struct factors *by)
{
    __m512i tens = _mm512_mulhi_epu16(x, by->by_ten);
    __m512i rest = _mm512_sub_epi16(x, _mm512_mullo_epi16(tens, by->ten));
    return _mm512_or_si512(tens, _mm512_slli_epi16(rest, 8));
}

/* Likewise four digits of each number below 10^4 of 32 bits. */
INLINE __m512i four_digits(__m512i x, const struct factors *by)
{
    __m512i twos = _mm512_srli_epi16(_mm512_mulhi_epu16(x, by->by_hundred), 3);
    __m512i rest = _mm512_sub_epi16(x, _mm512_mullo_epi16(twos, by->hundred));
    return two_digits(_mm512_or_si512(twos, _mm512_slli_epi32(rest, 16)), by);
}

/* Likewise eight digits of each number below 10^8. */
INLINE __m512i eight_digits(__m512i x, const struct factors *by)
{
    __m512i fours = _mm512_srli_epi64(_mm512_mul_epu32(x, by->by_ten_thousand), 45);
    __m512i rest = _mm512_sub_epi64(x, _mm512_mul_epu32(fours, by->ten_thousand));
    return four_digits(_mm512_or_si512(fours, _mm512_slli_epi64(rest, 32)), by);
}

/* x / 10^8, x < 2^57, by a factor that is a little less than the inverse: what comes out may be one
 * too small, which the rest tells. */
INLINE __m512i by_eight_digits(__m512i x, __m512i *rest, const struct factors *by)
{
    const double inverse = 0x1.5798ee2308c39p-19;    /* of 5^8 */
    __m512d part = _mm512_cvtepu64_pd(_mm512_srli_epi64(x, 8));
    __m512i above = _mm512_cvttpd_epu64(_mm512_mul_pd(part, _mm512_set1_pd(inverse)));
    __m512i low = _mm512_sub_epi64(x, _mm512_mul_epu32(above, by->eight));
    __mmask8 more = _mm512_cmpge_epu64_mask(low, by->eight);
    *rest = _mm512_mask_sub_epi64(low, more, low, by->eight);
    return _mm512_mask_add_epi64(above, more, above, by->one);
}

/* Four times c 2^q 10^-k, and the ends of what stands for the same number, with sticky bits. The
 * names are those of f64_digits.c. */
struct scaled { __m512i v, lower, upper; };

INLINE struct scaled scale(__m512i c, __m512i q, __m512i k, const struct factors *by)
{
    __m512i minus_k = _mm512_sub_epi64(_mm512_setzero_si512(), k);
    __m512i g = power_of_ten(minus_k);
    __m512i h = _mm512_add_epi64(_mm512_add_epi64(q, scaled(minus_k, 1741647, 19)), by->one);
    struct wide four = wide_product(g, _mm512_sllv_epi64(c, _mm512_add_epi64(h, ALL(2))), by);
    struct wide far = { _mm512_srlv_epi64(g, _mm512_sub_epi64(ALL(63), h)),
        _mm512_sllv_epi64(g, _mm512_add_epi64(h, by->one)) };
    __m512i odd = _mm512_and_si512(c, by->one);
    return (struct scaled){ wide_sticky(four, by),
        _mm512_add_epi64(wide_sticky(wide_sub(four, far, by), by), odd),
        _mm512_sub_epi64(wide_sticky(wide_add(four, far, by), by), odd) };
}

/* What is to be added to s = v / 4, whose last digit is `last`, for the nearest number, or for that
 * with a zero at its end where it is as good. */
INLINE __m512i nearest(const struct scaled *to, __m512i s, __m512i last, const struct factors *by)
{
    __m512i border = _mm512_slli_epi64(_mm512_sub_epi64(s, last), 2);
    __mmask8 below = _mm512_cmple_epu64_mask(to->lower, border);
    __mmask8 above = _mm512_cmple_epu64_mask(_mm512_add_epi64(border, ALL(40)), to->upper);
    __mmask8 by_ten = below ^ above;
    __m512i tens = _mm512_sub_epi64(_mm512_maskz_mov_epi64(above, ALL(10)), last);

    border = _mm512_slli_epi64(s, 2);
    below = _mm512_cmple_epu64_mask(to->lower, border);
    above = _mm512_cmple_epu64_mask(_mm512_add_epi64(border, ALL(4)), to->upper);
    __mmask8 by_one = below ^ above;
    __m512i middle = _mm512_add_epi64(border, ALL(2));
    __mmask8 up = _mm512_cmpgt_epu64_mask(to->v, middle) |
                  (_mm512_cmpeq_epi64_mask(to->v, middle) & _mm512_test_epi64_mask(s, by->one));
    up = (by_one & above) | (__mmask8)(~by_one & up);
    return _mm512_mask_mov_epi64(_mm512_maskz_mov_epi64(up, by->one), by_ten, tens);
}

INLINE __m512i last_digit(__m512i x)
{
    __m512i tens = _mm512_srli_epi64(_mm512_mul_epu32(x, ALL(0xcccccccd)), 35);
    return _mm512_sub_epi64(x, times_ten(tens));
}

enum { SEVENTEEN = 17 };

/* Where the bytes of a number's text come from, of digits 0.d1d2d3… x 10^whole: of sixteen digits,
 * or, with the upper bit, from `with`. */
enum { WHOLE_LEAST = -5, WHOLE_MOST = 15, FORMS = WHOLE_MOST - WHOLE_LEAST + 1, TEXT_BYTES = 16 };
struct form { uint8_t from[TEXT_BYTES], with[TEXT_BYTES]; };
static struct form forms[FORMS];

static void form_make(struct form *f, int whole)
{
    enum { NO_DIGIT = 0x80 };
    for (int i = 0; i < TEXT_BYTES; i++) {
        int before = whole > 0 ? i > whole : 2 - whole, point = whole > 0 ? whole : 1;
        bool digit = i != point && i >= (whole > 0 ? 0 : before);
        f->from[i] = digit ? (uint8_t)(i - before) : NO_DIGIT;
        f->with[i] = digit ? 0 : i == point ? '.' : '0';
    }
}

/* Of each number sixteen digits, what stands behind the first sixteen bytes of its text, how long
 * that is, and its form. */
struct lanes {
    uint8_t digits[F64_TEXTS][TEXT_BYTES];
    uint64_t behind[F64_TEXTS], n[F64_TEXTS], form[F64_TEXTS];
    __mmask8 which, negative;
};

/* Pairs of words: the first of a number stands before its second. */
INLINE void lanes_store(uint8_t to[F64_TEXTS][16], __m512i first, __m512i second)
{
    const __m512i early = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
    const __m512i late = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
    _mm512_storeu_si512(to[0], _mm512_permutex2var_epi64(first, early, second));
    _mm512_storeu_si512(to[4], _mm512_permutex2var_epi64(first, late, second));
}

/* above 10^8 + low, of seventeen digits or sixteen, is 0.d1d2d3… x 10^(whole or whole - 1).
 * integer: those of no point, n digits. */
INLINE void lanes_digits(struct lanes *to, __m512i above, __m512i low, __m512i whole,
    __mmask8 integer, __m512i n, const struct factors *by)
{
    const __m512i nought = by->nought, none = _mm512_setzero_si512();
    __m512i first = _mm512_srli_epi64(_mm512_mul_epu32(above, by->by_eight), 57);
    __m512i high = _mm512_sub_epi64(above, _mm512_mul_epu32(first, by->eight));
    high = eight_digits(high, by);
    low = eight_digits(low, by);
    __mmask8 sixteen = _mm512_testn_epi64_mask(first, first);
    __m512i zeros = _mm512_srli_epi64(_mm512_lzcnt_epi64(low), 3);
    zeros = _mm512_mask_add_epi64(zeros, _mm512_testn_epi64_mask(low, low), zeros,
        _mm512_srli_epi64(_mm512_lzcnt_epi64(high), 3));
    __m512i digits = _mm512_mask_sub_epi64(ALL(SEVENTEEN), sixteen, ALL(SEVENTEEN), by->one);
    whole = _mm512_mask_sub_epi64(whole, sixteen, whole, by->one);
    whole = _mm512_mask_mov_epi64(whole, integer, n);
    /* and the point, and what stands before it */
    __m512i before = _mm512_max_epi64(_mm512_sub_epi64(ALL(2), whole), by->one);
    __m512i bytes = _mm512_add_epi64(_mm512_sub_epi64(digits, zeros), before);
    __m512i form = _mm512_sub_epi64(whole, ALL(WHOLE_LEAST));
    __m512i behind = _mm512_min_epi64(form, ALL(1 - WHOLE_LEAST));
    behind = _mm512_slli_epi64(_mm512_mask_add_epi64(behind, sixteen, behind, by->one), 3);
    _mm512_storeu_si512(to->n, _mm512_mask_mov_epi64(bytes, integer, n));
    _mm512_storeu_si512(to->form, form);
    _mm512_storeu_si512(to->behind, _mm512_srlv_epi64(_mm512_or_si512(low, nought), behind));
    /* the first moves the others on */
    __m512i on = _mm512_mask_mov_epi64(ALL(8), sixteen, none), off = _mm512_sub_epi64(ALL(64), on);
    __m512i early = _mm512_or_si512(first, _mm512_sllv_epi64(high, on));
    __m512i late = _mm512_or_si512(_mm512_srlv_epi64(high, off), _mm512_sllv_epi64(low, on));
    lanes_store(to->digits, _mm512_or_si512(early, nought), _mm512_or_si512(late, nought));
}

/* 10^n */
static const uint64_t tens_of[F64_TEXTS * 2] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000,
    100000000, 1000000000, 10000000000, 100000000000, 1000000000000, 10000000000000,
    100000000000000, 1000000000000000 };

INLINE __m512i ten_to(__m512i n)
{
    return _mm512_permutex2var_epi64(
        _mm512_loadu_si512(tens_of), n, _mm512_loadu_si512(tens_of + F64_TEXTS));
}

/* Seventeen digits of whole numbers below 10^15; how many of them stand before the point. */
INLINE __m512i integer_digits(__m512d v, __m512i *whole)
{
    __m512i u = _mm512_cvttpd_epu64(v);
    __m512i bits = _mm512_sub_epi64(ALL(64), _mm512_lzcnt_epi64(_mm512_or_si512(u, ALL(1))));
    __m512i n = _mm512_srli_epi64(_mm512_mul_epu32(bits, ALL(1233)), 12);
    n = _mm512_mask_add_epi64(n, _mm512_cmpge_epu64_mask(u, ten_to(n)), n, ALL(1));
    *whole = n = _mm512_max_epi64(n, ALL(1));
    __m512i more = ten_to(_mm512_sub_epi64(ALL(SEVENTEEN - 2), n));
    return _mm512_mullo_epi64(_mm512_mullo_epi64(u, more), ALL(100));
}

INLINE void lanes_of(struct lanes *to, __m512i bits, const struct factors *by)
{
    const __m512i hidden = ALL((uint64_t)1 << FRACTION_BITS);
    const __m512i fraction_bits = _mm512_sub_epi64(hidden, by->one);
    __m512i magnitude = _mm512_andnot_si512(ALL((uint64_t)1 << 63), bits), n = ALL(0);
    __m512d v = _mm512_castsi512_pd(magnitude);
    __mmask8 below = _mm512_cmp_pd_mask(v, _mm512_set1_pd(1e15), _CMP_LT_OQ);
    __m512d trunc = _mm512_roundscale_pd(v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    __mmask8 integer = below & _mm512_cmp_pd_mask(v, trunc, _CMP_EQ_OQ);
    __mmask8 others = below & _mm512_cmp_pd_mask(v, _mm512_set1_pd(1e-6), _CMP_GE_OQ) &
                      _mm512_test_epi64_mask(magnitude, fraction_bits) & (__mmask8)~integer;
    to->which = integer | others;
    to->negative = _mm512_movepi64_mask(bits);
    magnitude = _mm512_mask_mov_epi64(
        _mm512_castpd_si512(_mm512_set1_pd(1.5)), others, magnitude);
    __m512i q = _mm512_sub_epi64(_mm512_srli_epi64(magnitude, FRACTION_BITS), ALL(BIAS));
    __m512i k = scaled(q, 1262611, 22);
    __m512i c = _mm512_or_si512(_mm512_and_si512(magnitude, fraction_bits), hidden);
    struct scaled all = scale(c, q, k, by);
    __m512i s = _mm512_srli_epi64(all.v, 2);
    if (integer)
        s = _mm512_mask_mov_epi64(s, integer, integer_digits(_mm512_maskz_mov_pd(integer, v), &n));
    __m512i low, above = by_eight_digits(s, &low, by);
    low = _mm512_mask_add_epi64(low, others, low, nearest(&all, s, last_digit(low), by));
    __mmask8 more = _mm512_cmpge_epu64_mask(low, by->eight);
    low = _mm512_mask_sub_epi64(low, more, low, by->eight);
    above = _mm512_mask_add_epi64(above, more, above, by->one);
    lanes_digits(to, above, low, _mm512_add_epi64(k, ALL(SEVENTEEN)), integer, n, by);
}

/* How many times from the first on have the digits known before their last four of seconds, and are
 * whole, or not, like the first: those four digits, and what is behind them but for ',"' of those
 * that are not. */
struct times { char at[F64_TEXTS][8]; bool whole; };

INLINE size_t times_of(struct times *to, const struct seconds *known, __m512i ms,
    __mmask8 there, const struct factors *by)
{
    __m512i past = _mm512_sub_epi64(ms, ALL(known->above * ABOVE_MS));
    there &= _mm512_cmplt_epu64_mask(past, ALL(ABOVE_MS));
    __m512i s = _mm512_srli_epi64(_mm512_mul_epu32(past, ALL(2199023256)), 41);
    __m512i rest = _mm512_sub_epi64(past, _mm512_mul_epu32(s, ALL(1000)));
    __mmask8 whole = _mm512_testn_epi64_mask(rest, rest);
    to->whole = whole & 1;
    there &= to->whole ? whole : (__mmask8)~whole;
    __m512i digits = four_digits(_mm512_or_si512(s, _mm512_slli_epi64(rest, 32)), by);
    __m512i more = ALL(to->whole ? 0x0000222c30303030 : 0x3030302e30303030);
    _mm512_storeu_si512(to->at, _mm512_or_si512(digits, more));
    return (size_t)__builtin_ctz(~(unsigned)there);
}

/* REQUIRES: the lane counts */
INLINE char *lane_put(char *to, const struct lanes *l, size_t i)
{
    const struct form *f = &forms[l->form[i]];
    *to = '-';
    to += l->negative >> i & 1;
    __m128i digits = _mm_loadu_si128((const __m128i *)l->digits[i]);
    __m128i text = _mm_shuffle_epi8(digits, _mm_loadu_si128((const __m128i *)f->from));
    text = _mm_or_si128(text, _mm_loadu_si128((const __m128i *)f->with));
    _mm_storeu_si128((__m128i *)to, text);
    memcpy(to + TEXT_BYTES, &l->behind[i], sizeof(l->behind[i]));
    return to + l->n[i];
}

/* Up to eight pairs. */
struct eight { size_t n; struct times times; struct lanes lanes; };

/* Of those that have the time's digits: e->n of them. */
INLINE void eight_of(struct eight *e, const struct seconds *known, const int64_t *ms,
    const double *v, size_t n, const struct factors *by)
{
    __mmask8 there = (__mmask8)((1u << MIN(n, (size_t)F64_TEXTS)) - 1);
    e->n = times_of(&e->times, known, _mm512_maskz_loadu_epi64(there, ms), there, by);
    if (e->n) lanes_of(&e->lanes, _mm512_maskz_loadu_epi64(there, v), by);
}

/* As many bytes as there is room for may be written. */
INLINE char *eight_put(
    char *to, const struct eight *e, const struct seconds *known, const double *v)
{
    for (size_t i = 0; i < e->n; i++) {
        memcpy(to, known->before, BEFORE_BYTES);
        to += known->before_n;
        memcpy(to, e->times.at[i], sizeof(e->times.at[i]));
        memcpy(to + 8, ",\"", 2);
        to += e->times.whole ? 6 : 10;
        to = LIKELY(e->lanes.which >> i & 1) ? lane_put(to, &e->lanes, i) : text_one(to, v[i]);
        memcpy(to, "\"]", 2);
        to += 2;
    }
    return to;
}

/* Sixteen at a time: the steps of the second eight fill the waits of the first. */
WIDE static char *pairs_wide(char *to, const int64_t *ms, const double *v, size_t n)
{
    const struct factors by = factors_of();
    struct seconds known = { 0 };
    struct eight a, b;
    for (size_t i = 0; i < n;) {
        if (ms[i] < ABOVE_MS) {
            to = pair_plain(to, ms[i], v[i], &known);
            i++;
            continue;
        }
        seconds_above(&known, (uint64_t)ms[i] / ABOVE_MS);
        eight_of(&a, &known, ms + i, v + i, n - i, &by);
        b.n = 0;
        if (a.n == F64_TEXTS && n - i > F64_TEXTS)
            eight_of(&b, &known, ms + i + F64_TEXTS, v + i + F64_TEXTS, n - i - F64_TEXTS, &by);
        to = eight_put(to, &a, &known, v + i);
        i += a.n;
        to = eight_put(to, &b, &known, v + i);
        i += b.n;
    }
    return to;
}

/* All that WIDE names; the compiler's library also asks whether the system keeps the registers. */
static bool has_wide(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
}
#endif

void f64_texts_use_plain(bool plain)
{
    pairs_best = pairs_plain;
#if defined(__x86_64__)
    if (plain || !has_wide()) return;
    for (int i = 0; i < FORMS; i++) form_make(&forms[i], i + WHOLE_LEAST);
    pairs_best = pairs_wide;
#else
    (void)plain;
#endif
}

__attribute__((constructor)) static void f64_texts_choose(void) { f64_texts_use_plain(false); }
