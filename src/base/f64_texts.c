/* f64_texts.c — Schubfach (f64_digits.c) in eight lanes.
 *
 * The lanes are for what answers are full of: numbers from 10^-6 to 2^53 that are not whole. Their
 * powers of ten have no more than 64 bits, so that half of the multiplication falls away; powers of
 * two, which have a nearer neighbour below, and all others go one by one.
 */
#include "base/f64_texts.h"

#include "base/f64.h"
#include "base/f64_digits.h"

static void text_one(struct f64_texts *out, size_t i, double v)
{
    char text[F64_TEXT_MAX];
    size_t n = f64_text_api(text, v);
    assert(n <= F64_TEXTS_LONGEST);
    memcpy(out->at[i], text, F64_TEXTS_LONGEST);
    out->n[i] = (uint8_t)n;
}

static void texts_plain(struct f64_texts *out, const double *v)
{
    for (size_t i = 0; i < F64_TEXTS; i++) text_one(out, i, v[i]);
}

static bool seconds_plain(struct seconds_texts *out UNUSED, const int64_t *ms UNUSED)
{
    return false;
}

static void (*texts_best)(struct f64_texts *out, const double *v) = texts_plain;
static bool (*seconds_best)(struct seconds_texts *out, const int64_t *ms) = seconds_plain;

void f64_texts_api(struct f64_texts *out, const double v[F64_TEXTS]) { texts_best(out, v); }
bool f64_texts_seconds(struct seconds_texts *out, const int64_t ms[F64_TEXTS])
{
    return seconds_best(out, ms);
}

#if defined(__x86_64__)
#include <endian.h>
#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512bw,avx512dq,avx512cd")))
#define INLINE WIDE __attribute__((always_inline)) static inline
#define ALL(x) _mm512_set1_epi64((int64_t)(x))

enum { FRACTION_BITS = 52, BIAS = 1075, EIGHT = 100000000, POWERS = 24 };

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

/* Eight of 128 bits. */
struct wide { __m512i high, low; };

INLINE struct wide wide_product(__m512i a, __m512i b)
{
    const __m512i word = ALL(0xffffffff);
    __m512i a1 = _mm512_srli_epi64(a, 32), b1 = _mm512_srli_epi64(b, 32);
    __m512i low = _mm512_mul_epu32(a, b), high = _mm512_mul_epu32(a1, b1);
    __m512i t = _mm512_add_epi64(_mm512_mul_epu32(a1, b), _mm512_srli_epi64(low, 32));
    __m512i u = _mm512_add_epi64(_mm512_mul_epu32(a, b1), _mm512_and_si512(t, word));
    high = _mm512_add_epi64(high, _mm512_srli_epi64(t, 32));
    return (struct wide){ _mm512_add_epi64(high, _mm512_srli_epi64(u, 32)),
        _mm512_or_si512(_mm512_slli_epi64(u, 32), _mm512_and_si512(low, word)) };
}

INLINE struct wide wide_add(struct wide a, struct wide b)
{
    __m512i low = _mm512_add_epi64(a.low, b.low), high = _mm512_add_epi64(a.high, b.high);
    __mmask8 carry = _mm512_cmplt_epu64_mask(low, b.low);
    return (struct wide){ _mm512_mask_add_epi64(high, carry, high, ALL(1)), low };
}

INLINE struct wide wide_sub(struct wide a, struct wide b)
{
    __m512i low = _mm512_sub_epi64(a.low, b.low), high = _mm512_sub_epi64(a.high, b.high);
    __mmask8 borrow = _mm512_cmplt_epu64_mask(a.low, b.low);
    return (struct wide){ _mm512_mask_sub_epi64(high, borrow, high, ALL(1)), low };
}

/* The upper half, whose last bit tells of bits below it. */
INLINE __m512i wide_sticky(struct wide a)
{
    return _mm512_mask_or_epi64(
        a.high, _mm512_test_epi64_mask(a.low, a.low), a.high, ALL(1));
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

/* The numbers, of seventeen or sixteen digits, that times 10^k are nearest to c 2^q, with zeros at
 * their ends where a shorter one is as good. The names are those of f64_digits.c. */
INLINE __m512i shortest(__m512i c, __m512i q, __m512i k)
{
    __m512i minus_k = _mm512_sub_epi64(_mm512_setzero_si512(), k);
    __m512i g = power_of_ten(minus_k);
    __m512i h = _mm512_add_epi64(_mm512_add_epi64(q, scaled(minus_k, 1741647, 19)), ALL(1));
    struct wide four = wide_product(g, _mm512_sllv_epi64(c, _mm512_add_epi64(h, ALL(2))));
    struct wide far = { _mm512_srlv_epi64(g, _mm512_sub_epi64(ALL(63), h)),
        _mm512_sllv_epi64(g, _mm512_add_epi64(h, ALL(1))) };
    __m512i odd = _mm512_and_si512(c, ALL(1)), v = wide_sticky(four);
    __m512i lower = _mm512_add_epi64(wide_sticky(wide_sub(four, far)), odd);
    __m512i upper = _mm512_sub_epi64(wide_sticky(wide_add(four, far)), odd);
    __m512i s = _mm512_srli_epi64(v, 2);
    __m512i tens = _mm512_srli_epi64(wide_product(s, ALL(0xcccccccccccccccd)).high, 3);

    __m512i border = _mm512_slli_epi64(times_ten(tens), 2);
    __mmask8 below = _mm512_cmple_epu64_mask(lower, border);
    __mmask8 above = _mm512_cmple_epu64_mask(_mm512_add_epi64(border, ALL(40)), upper);
    __mmask8 by_ten = below ^ above;
    tens = _mm512_mask_add_epi64(tens, above, tens, ALL(1));

    border = _mm512_slli_epi64(s, 2);
    below = _mm512_cmple_epu64_mask(lower, border);
    above = _mm512_cmple_epu64_mask(_mm512_add_epi64(border, ALL(4)), upper);
    __mmask8 by_one = below ^ above;
    __m512i middle = _mm512_add_epi64(border, ALL(2));
    __mmask8 up = _mm512_cmpgt_epu64_mask(v, middle) |
                  (_mm512_cmpeq_epi64_mask(v, middle) & _mm512_test_epi64_mask(s, ALL(1)));
    up = (by_one & above) | (__mmask8)(~by_one & up);
    s = _mm512_mask_add_epi64(s, up, s, ALL(1));
    return _mm512_mask_mov_epi64(s, by_ten, times_ten(tens));
}

/* The eight digits of numbers below 10^8, as those of digits_eight() in f64_digits.c. */
INLINE __m512i eight_digits(__m512i x)
{
    __m512i fours = _mm512_srli_epi64(_mm512_mul_epu32(x, ALL(0xd1b71759)), 45);
    __m512i rest = _mm512_sub_epi64(x, _mm512_mul_epu32(fours, ALL(10000)));
    fours = _mm512_or_si512(fours, _mm512_slli_epi64(rest, 32));
    __m512i twos = _mm512_srli_epi16(_mm512_mulhi_epu16(fours, _mm512_set1_epi16(5243)), 3);
    rest = _mm512_sub_epi16(fours, _mm512_mullo_epi16(twos, _mm512_set1_epi16(100)));
    twos = _mm512_or_si512(twos, _mm512_slli_epi32(rest, 16));
    __m512i tens = _mm512_mulhi_epu16(twos, _mm512_set1_epi16(6554));
    rest = _mm512_sub_epi16(twos, _mm512_mullo_epi16(tens, _mm512_set1_epi16(10)));
    return _mm512_or_si512(tens, _mm512_slli_epi16(rest, 8));
}

/* x / 10^8, x < 2^57, by a factor that is a little less than the inverse: what comes out may be one
 * too small, which the rest tells. */
INLINE __m512i by_eight_digits(__m512i x, __m512i *rest)
{
    const double inverse = 0x1.5798ee2308c39p-19;    /* of 5^8 */
    __m512d part = _mm512_cvtepu64_pd(_mm512_srli_epi64(x, 8));
    __m512i above = _mm512_cvttpd_epu64(_mm512_mul_pd(part, _mm512_set1_pd(inverse)));
    __m512i low = _mm512_sub_epi64(x, _mm512_mul_epu32(above, ALL(EIGHT)));
    __mmask8 more = _mm512_cmpge_epu64_mask(low, ALL(EIGHT));
    *rest = _mm512_mask_sub_epi64(low, more, low, ALL(EIGHT));
    return _mm512_mask_add_epi64(above, more, above, ALL(1));
}

enum { SEVENTEEN = 17 };

/* 0.d1d2d3… x 10^whole: the first digit, and sixteen as the bytes of two words, the first one in
 * the lowest byte, without '0' added; zeros: at their end. */
struct seventeen { uint64_t first, high, low; unsigned zeros; int whole; };

INLINE void eight_write(char *out, uint64_t digits)
{
    digits = htole64(digits | 0x3030303030303030u);
    memcpy(out, &digits, sizeof(digits));
}

/* Digits behind the point are written twice, the second time a place further: no loop, no branch
 * but for numbers below one. As many bytes as there is room for may be written.
 * REQUIRES: no whole number, -6 < whole < 17 */
INLINE size_t seventeen_write(char *out, const struct seventeen *d)
{
    __extension__ typedef unsigned __int128 u128;
    assert(d->whole > -6 && d->whole < SEVENTEEN);
    size_t n = SEVENTEEN + 1 - d->zeros;
    if (d->whole <= 0) {
        memcpy(out, "0.000000", 8);
        out += 2 - d->whole;
        n += (size_t)(1 - d->whole);
    }
    *out = (char)('0' + d->first);
    eight_write(out + 1, d->high);
    eight_write(out + 9, d->low);
    if (d->whole <= 0) return n;
    u128 behind = ((u128)d->low << 64 | d->high) >> (d->whole - 1) * 8;
    out += d->whole;
    *out = '.';
    eight_write(out + 1, (uint64_t)behind);
    eight_write(out + 9, (uint64_t)(behind >> 64));
    return n;
}

struct lanes { uint64_t first[F64_TEXTS], high[F64_TEXTS], low[F64_TEXTS], zeros[F64_TEXTS];
    int64_t whole[F64_TEXTS]; };

/* m < 10^17 times 10^k. */
INLINE void lanes_digits(struct lanes *to, __m512i m, __m512i k)
{
    __mmask8 sixteen = _mm512_cmplt_epu64_mask(m, ALL(10000000000000000));
    m = _mm512_mask_mov_epi64(m, sixteen, times_ten(m));
    __m512i whole = _mm512_add_epi64(k, ALL(SEVENTEEN));
    whole = _mm512_mask_sub_epi64(whole, sixteen, whole, ALL(1));
    __m512i low, above = by_eight_digits(m, &low);
    __m512i first = _mm512_srli_epi64(_mm512_mul_epu32(above, ALL(1441151881)), 57);
    __m512i high = _mm512_sub_epi64(above, _mm512_mul_epu32(first, ALL(EIGHT)));
    high = eight_digits(high);
    low = eight_digits(low);
    __m512i zeros = _mm512_srli_epi64(_mm512_lzcnt_epi64(low), 3);
    zeros = _mm512_mask_add_epi64(zeros, _mm512_testn_epi64_mask(low, low), zeros,
        _mm512_srli_epi64(_mm512_lzcnt_epi64(high), 3));
    _mm512_storeu_si512(to->first, first);
    _mm512_storeu_si512(to->high, high);
    _mm512_storeu_si512(to->low, low);
    _mm512_storeu_si512(to->zeros, zeros);
    _mm512_storeu_si512(to->whole, whole);
}

/* Which of them are for the lanes. */
INLINE __mmask8 lanes_which(__m512i magnitude)
{
    __m512d v = _mm512_castsi512_pd(magnitude);
    __mmask8 which = _mm512_cmp_pd_mask(v, _mm512_set1_pd(1e-6), _CMP_GE_OQ) &
                     _mm512_cmp_pd_mask(v, _mm512_set1_pd(0x1p53), _CMP_LT_OQ);
    __m512d whole = _mm512_roundscale_pd(v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    which &= _mm512_cmp_pd_mask(v, whole, _CMP_NEQ_OQ);
    return which & _mm512_test_epi64_mask(magnitude, ALL(((uint64_t)1 << FRACTION_BITS) - 1));
}

WIDE static void texts_wide(struct f64_texts *out, const double *v)
{
    struct lanes lanes;
    __m512i bits = _mm512_loadu_si512(v), sign = ALL((uint64_t)1 << 63);
    __m512i magnitude = _mm512_andnot_si512(sign, bits);
    __mmask8 which = lanes_which(magnitude), negative = _mm512_movepi64_mask(bits);
    if (which) {
        const __m512i hidden = ALL((uint64_t)1 << FRACTION_BITS);
        magnitude = _mm512_mask_mov_epi64(_mm512_castpd_si512(_mm512_set1_pd(1.5)), which,
            magnitude);
        __m512i q = _mm512_sub_epi64(_mm512_srli_epi64(magnitude, FRACTION_BITS), ALL(BIAS));
        __m512i fraction = _mm512_and_si512(magnitude, _mm512_sub_epi64(hidden, ALL(1)));
        __m512i k = scaled(q, 1262611, 22);
        lanes_digits(&lanes, shortest(_mm512_or_si512(fraction, hidden), q, k), k);
    }
    for (size_t i = 0; i < F64_TEXTS; i++) {
        if (!(which >> i & 1)) {
            text_one(out, i, v[i]);
            continue;
        }
        struct seventeen d = { lanes.first[i], lanes.high[i], lanes.low[i],
            (unsigned)lanes.zeros[i], (int)lanes.whole[i] };
        unsigned minus = negative >> i & 1;
        out->at[i][0] = '-';
        out->n[i] = (uint8_t)(minus + seventeen_write(out->at[i] + minus, &d));
    }
}

WIDE static bool seconds_wide(struct seconds_texts *out, const int64_t *ms)
{
    enum { DIGITS_MOST = 13 };                 /* of 2^53 ms */
    const double inverse = 0x1.0624dd2f1a9fbp-10;    /* a little less than that of 1000 */
    __m512i t = _mm512_loadu_si512(ms);
    if (_mm512_cmpge_epu64_mask(t, ALL((uint64_t)1 << 53))) return false;
    __m512d part = _mm512_mul_pd(_mm512_cvtepu64_pd(t), _mm512_set1_pd(inverse));
    __m512i s = _mm512_cvttpd_epu64(part);
    /* 1000 = 1024 - 16 - 8 */
    __m512i less = _mm512_add_epi64(_mm512_slli_epi64(s, 4), _mm512_slli_epi64(s, 3));
    __m512i rest = _mm512_sub_epi64(t, _mm512_sub_epi64(_mm512_slli_epi64(s, 10), less));
    __mmask8 more = _mm512_cmpge_epu64_mask(rest, ALL(1000));
    s = _mm512_mask_add_epi64(s, more, s, ALL(1));
    rest = _mm512_mask_sub_epi64(rest, more, rest, ALL(1000));
    unsigned n = f64_digits_count(_mm512_reduce_min_epu64(s));
    bool same = n == f64_digits_count(_mm512_reduce_max_epu64(s));
    if (_mm512_test_epi64_mask(rest, rest) || !same) return false;
    assert(n <= DIGITS_MOST);
    __m512i low, high = eight_digits(by_eight_digits(s, &low)), zeros = ALL(0x3030303030303030);
    high = _mm512_or_si512(high, zeros);
    low = _mm512_or_si512(eight_digits(low), zeros);
    const __m512i first = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
    const __m512i last = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
    _mm512_storeu_si512(out->at[0], _mm512_permutex2var_epi64(high, first, low));
    _mm512_storeu_si512(out->at[4], _mm512_permutex2var_epi64(high, last, low));
    out->from = 16 - n;
    out->n = n;
    return true;
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
    texts_best = texts_plain;
    seconds_best = seconds_plain;
#if defined(__x86_64__)
    if (plain || !has_wide()) return;
    texts_best = texts_wide;
    seconds_best = seconds_wide;
#else
    (void)plain;
#endif
}

__attribute__((constructor)) static void f64_texts_choose(void) { f64_texts_use_plain(false); }
