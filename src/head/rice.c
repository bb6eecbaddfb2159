#include "head/rice.h"

#include "model/sample.h"

struct rice_state { struct rice_bits b; uint64_t m; uint8_t state; bool alone; };

/* The next step; false: the stale marker. */
static inline bool rice_step(struct rice_state *s, bool up)
{
    uint64_t top = rice_bits_peek(&s->b), z;
    unsigned ones = (unsigned)__builtin_clzll(~top | 1), k = s->state >> RICE_SHIFT;
    if (LIKELY(ones < RICE_ESCAPE)) {
        z = (uint64_t)ones << k | (k ? top << (ones + 1) >> (64 - k) : 0);
        s->b.at += ones + 1 + k;
        if (!s->alone) s->state = rice_next(s->state, ones);
    } else {
        unsigned length = (unsigned)(top << RICE_ESCAPE >> (64 - RICE_LENGTH_BITS));
        s->b.at += RICE_ESCAPE + RICE_LENGTH_BITS;
        if (!length) {
            s->m = 0;
            s->alone = true;
            return false;
        }
        z = rice_bits_take(&s->b, length);
        if (!s->alone) s->state = rice_escaped(length);
    }
    s->m += up ? z : z >> 1 ^ -(z & 1);
    s->alone = false;
    return true;
}

static inline double rice_value(uint64_t m, double per_one)
{
    return per_one == 1 ? (double)(int64_t)m : (double)(int64_t)m / per_one;
}

void rice_decode(const struct rice_chain *c)
{
    struct rice_state s = { .b = { c->words, 0 }, .alone = true };
    for (unsigned i = 0; i < c->n; i++)
        c->v[i] = rice_step(&s, c->up) ? rice_value(s.m, c->per_one) : stale_nan();
}

static void decode_plain(const struct rice_chain *c, size_t n)
{
    for (size_t i = 0; i < n; i++) rice_decode(&c[i]);
}

static void (*decode_best)(const struct rice_chain *c, size_t n) = decode_plain;

void rice_decode_all(const struct rice_chain *c, size_t n)
{
    assert(n <= RICE_LANES);
    decode_best(c, n);
}

bool rice_lanes_quick(void) { return decode_best != decode_plain; }

#if defined(__x86_64__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512cd,avx512dq,avx512vbmi2")))
#define INLINE WIDE __attribute__((always_inline)) static inline

enum { SET = 8, SETS = RICE_LANES / SET, LANES_MIN = 4 };

/* Lanes without a chunk have none of its steps: n 0. */
struct lanes {
    __m512i words, at, m, state, n, v;     /* addresses; bits from there; v: where values go */
    __m512d per_one;
    __mmask8 up, alone;
    bool whole;                            /* per_one is 1 in each */
    unsigned longest;
};

/* The lanes of `which` have an escape. Gives those with a stale marker. */
WIDE __attribute__((noinline)) static __mmask8 lanes_escape(struct lanes *l, __mmask8 which)
{
    uint64_t words[SET], at[SET], m[SET], state[SET];
    unsigned stale = 0, alone = l->alone;
    _mm512_storeu_si512(words, l->words);
    _mm512_storeu_si512(at, l->at);
    _mm512_storeu_si512(m, l->m);
    _mm512_storeu_si512(state, l->state);
    for (unsigned left = which; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        struct rice_state s = { { (const uint32_t *)(uintptr_t)words[i], (uint32_t)at[i] }, m[i],
            (uint8_t)state[i], alone >> i & 1 };
        bool some = rice_step(&s, l->up >> i & 1);
        at[i] = s.b.at;
        m[i] = s.m;
        state[i] = s.state;
        alone = (alone & ~(1u << i)) | (unsigned)s.alone << i;
        stale |= (unsigned)!some << i;
    }
    l->at = _mm512_loadu_si512(at);
    l->m = _mm512_loadu_si512(m);
    l->state = _mm512_loadu_si512(state);
    l->alone = (__mmask8)alone;
    return (__mmask8)stale;
}

/* 64 bits from where each lane is. */
INLINE __m512i lanes_top(const struct lanes *l)
{
    __m512i where = _mm512_slli_epi64(_mm512_srli_epi64(l->at, 5), 2);
    __m512i p = _mm512_add_epi64(l->words, where);
    __m512i high = _mm512_rol_epi64(_mm512_i64gather_epi64(p, (const void *)0, 1), 32);
    __m512i low = _mm512_rol_epi64(_mm512_i64gather_epi64(p, (const void *)8, 1), 32);
    return _mm512_shldv_epi64(high, low, _mm512_and_si512(l->at, _mm512_set1_epi64(31)));
}

INLINE __m512i state_next(__m512i state, __m512i ones)
{
    const __m512i one = _mm512_set1_epi64(1), most = _mm512_set1_epi64(RICE_STATE_MAX);
    __m512i up = _mm512_min_epi64(_mm512_add_epi64(state, ones), most);
    __m512i down = _mm512_max_epi64(_mm512_sub_epi64(state, one), _mm512_setzero_si512());
    state = _mm512_mask_mov_epi64(state, _mm512_cmpgt_epi64_mask(ones, one), up);
    return _mm512_mask_mov_epi64(state, _mm512_testn_epi64_mask(ones, ones), down);
}

/* Step i. */
INLINE void lanes_step(struct lanes *l, unsigned i)
{
    const __m512i one = _mm512_set1_epi64(1), zero = _mm512_setzero_si512();
    const __m512i all = _mm512_set1_epi64(-1);
    __mmask8 live = _mm512_cmpgt_epi64_mask(l->n, _mm512_set1_epi64(i)), stale = 0;
    __m512i top = lanes_top(l);
    __m512i ones = _mm512_lzcnt_epi64(_mm512_or_si512(_mm512_andnot_si512(top, all), one));
    __mmask8 escapes =
        live & _mm512_cmpge_epi64_mask(ones, _mm512_set1_epi64(RICE_ESCAPE));
    __mmask8 plain = live & (__mmask8)~escapes;
    __m512i k = _mm512_srli_epi64(l->state, RICE_SHIFT), begun = _mm512_add_epi64(ones, one);
    __m512i low = _mm512_srlv_epi64(
        _mm512_sllv_epi64(top, begun), _mm512_sub_epi64(_mm512_set1_epi64(64), k));
    __m512i z = _mm512_or_si512(_mm512_sllv_epi64(ones, k), low);
    __m512i folded = _mm512_xor_si512(
        _mm512_srli_epi64(z, 1), _mm512_sub_epi64(zero, _mm512_and_si512(z, one)));
    z = _mm512_mask_mov_epi64(folded, l->up, z);
    l->at = _mm512_mask_add_epi64(l->at, plain, l->at, _mm512_add_epi64(begun, k));
    l->m = _mm512_mask_add_epi64(l->m, plain, l->m, z);
    l->state = _mm512_mask_mov_epi64(
        l->state, plain & (__mmask8)~l->alone, state_next(l->state, ones));
    l->alone &= (__mmask8)~plain;
    if (UNLIKELY(escapes)) stale = lanes_escape(l, escapes);
    __m512d v = _mm512_cvtepi64_pd(l->m);
    if (!l->whole) v = _mm512_div_pd(v, l->per_one);
    v = _mm512_mask_mov_pd(v, stale, _mm512_set1_pd(stale_nan()));
    __m512i to = _mm512_add_epi64(l->v, _mm512_set1_epi64((int64_t)(i * sizeof(double))));
    _mm512_mask_i64scatter_pd((void *)0, live, to, v, 1);
}

WIDE static void lanes_load(struct lanes *l, const struct rice_chain *c, size_t n)
{
    uint64_t words[SET], v[SET], many[SET] = { 0 };
    double per_one[SET];
    unsigned up = 0;
    *l = (struct lanes){ .alone = 0xff, .whole = true };
    for (size_t i = 0; i < SET; i++) {
        const struct rice_chain *of = &c[i < n ? i : 0];
        words[i] = (uint64_t)(uintptr_t)of->words;
        v[i] = (uint64_t)(uintptr_t)of->v;
        many[i] = i < n ? of->n : 0;
        per_one[i] = of->per_one;
        up |= (unsigned)of->up << i;
        l->whole &= of->per_one == 1;
        l->longest = MAX(l->longest, (unsigned)many[i]);
    }
    l->words = _mm512_loadu_si512(words);
    l->v = _mm512_loadu_si512(v);
    l->n = _mm512_loadu_si512(many);
    l->per_one = _mm512_loadu_pd(per_one);
    l->up = (__mmask8)up;
}

WIDE static void decode_lanes(const struct rice_chain *c, size_t n)
{
    struct lanes a, b;
    if (n < LANES_MIN) {
        decode_plain(c, n);
        return;
    }
    lanes_load(&a, c, MIN(n, (size_t)SET));
    if (n <= SET) {
        for (unsigned i = 0; i < a.longest; i++) lanes_step(&a, i);
        return;
    }
    lanes_load(&b, c + SET, n - SET);
    for (unsigned i = 0; i < MAX(a.longest, b.longest); i++) {
        lanes_step(&a, i);
        lanes_step(&b, i);
    }
}

static bool has_wide(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vbmi2");
}
#endif

bool rice_lanes_use(bool lanes)
{
    decode_best = decode_plain;
#if defined(__x86_64__)
    if (lanes && has_wide()) decode_best = decode_lanes;
#endif
    return !lanes || rice_lanes_quick();
}

__attribute__((constructor)) static void rice_lanes_choose(void) { (void)rice_lanes_use(true); }
