/* columns.c — lanes are steps.
 *
 * A compensated sum cannot be split: adding its terms in another order gives other bits. But the
 * steps of a range query do not know of each other, so four of them are computed side by side, each
 * with the operations of the plain loop in the plain loop's order. Choices become masks, both sides
 * are computed, and what is not chosen is never stored: no exceptions of floats are looked at.
 */
#include "promql/columns.h"

#include "base/f64.h"
#include "model/sample.h"

#include <math.h>

/* No vector is ever passed to a function that is really called. */
#pragma GCC diagnostic ignored "-Wpsabi"

#define INLINE __attribute__((always_inline)) static inline
enum { LANES = 4 };
typedef double lanes __attribute__((vector_size(32)));
typedef int64_t masks __attribute__((vector_size(32)));
typedef int32_t halves __attribute__((vector_size(16)));

INLINE lanes load(const double *p)
{
    lanes x;
    memcpy(&x, p, sizeof(x));
    return x;
}
INLINE void store(double *p, lanes x) { memcpy(p, &x, sizeof(x)); }
INLINE lanes all(double x) { return (lanes){ x, x, x, x }; }
INLINE lanes pick(masks m, lanes yes, lanes no)
{
    return (lanes)((m & (masks)yes) | (~m & (masks)no));
}
INLINE lanes magnitude(lanes x) { return (lanes)((masks)x & INT64_MAX); }
INLINE bool any(masks m) { return (m[0] | m[1] | m[2] | m[3]) != 0; }

/* Integers below 2^51: the sum with 1.5 * 2^52 has them in its last bits. */
INLINE lanes of_integers(masks x)
{
    const double magic = 0x1.8p52;
    masks bits = x + (int64_t)0x4338000000000000;
    return (lanes)bits - all(magic);
}

/* --- windows --- */

/* Do the samples before at + stride, at + 2 * stride, … end the next four windows? */
static inline bool ends_four(
    uint32_t *out, const int64_t *t, size_t at, size_t stride, int64_t bound, int64_t interval)
{
    bool yes = true;
    for (size_t i = 0; i < 4; i++, bound += interval) {
        at += stride;
        yes &= (t[at] > bound) & (t[at - 1] <= bound);
        out[i] = (uint32_t)at;
    }
    return yes;
}

/* The first from `at` on that is beyond the bound; most are near. */
static size_t first_beyond(const int64_t *t, size_t at, size_t n, int64_t bound)
{
    enum { NEAR = 64 };
    size_t near = MIN(n, at + NEAR), far = NEAR;
    while (at < near && t[at] <= bound) at++;
    if (at < near || at == n) return at;
    while (far < n - at && t[at + far] <= bound) far *= 2;
    size_t lo = at + far / 2, hi = MIN(n, at + far);
    if (far == NEAR) lo = at;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t[mid] <= bound) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* Windows move on by a near constant number of samples: the last move is tried first. */
void column_ends(uint32_t *out, size_t steps, const int64_t *t, size_t n, int64_t bound,
    int64_t interval)
{
    size_t at = 0, stride = 0;
    for (size_t k = 0; k < steps; k++, bound += interval) {
        while (at + stride > 0 && k + 4 <= steps && stride < n / 4 && at + 4 * stride < n &&
               ends_four(out + k, t, at, stride, bound, interval)) {
            at += 4 * stride;
            bound += 4 * interval;
            k += 4;
        }
        if (k == steps) return;
        size_t guess = at + stride;
        if (guess < n && t[guess] > bound && (guess == 0 || t[guess - 1] <= bound)) {
            at = guess;
        } else {
            size_t from = at;
            at = first_beyond(t, at, n, bound);
            stride = at - from;
        }
        out[k] = (uint32_t)at;
    }
}

INLINE bool has_bits_loop(const double *v, size_t n, uint64_t bits)
{
    masks found = { 0 }, want = { (int64_t)bits, (int64_t)bits, (int64_t)bits, (int64_t)bits };
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) found |= (masks)load(v + i) == want;
    bool yes = any(found);
    for (; i < n; i++) yes |= f64_bits(v[i]) == bits;
    return yes;
}

/* What no window before saw: read from where the one before ended. */
INLINE uint32_t fresh_of(const uint32_t *lo, const uint32_t *hi, size_t k)
{
    uint32_t read = k ? hi[k - 1] : 0;
    return hi[k] - (read > lo[k] ? read : lo[k]);
}

/* What no window before saw is all from the first to the last end, but for the gaps. */
INLINE struct column_counts count_loop(const uint32_t *lo, const uint32_t *hi, size_t steps)
{
    uint32_t widest = 0;
    uint64_t all = 0, gaps = 0;
    for (size_t k = 0; k < steps; k++) {
        uint32_t n = hi[k] - lo[k];
        widest = n > widest ? n : widest;
        all += n;
    }
    for (size_t k = 1; k < steps; k++) gaps += lo[k] > hi[k - 1] ? lo[k] - hi[k - 1] : 0;
    uint64_t fresh = steps ? hi[steps - 1] - lo[0] - gaps : 0;
    return (struct column_counts){ all, widest, fresh };
}

/* The first of the steps from `from` on that sees fewer than two samples. */
INLINE size_t narrow_loop(const uint32_t *lo, const uint32_t *hi, size_t from, size_t steps)
{
    enum { STRIDE = 32 };
    size_t k = from;
    for (; k + STRIDE <= steps; k += STRIDE) {
        uint32_t few = 0;
        for (size_t i = 0; i < STRIDE; i++) few |= hi[k + i] - lo[k + i] < 2;
        if (few) break;
    }
    while (k < steps && hi[k] - lo[k] >= 2) k++;
    return k;
}

void column_count_at(uint64_t *all_at, uint64_t *fresh_at, const uint32_t *lo, const uint32_t *hi,
    size_t from, size_t steps)
{
    for (size_t k = from; all_at && k < steps; k++) all_at[k] += hi[k] - lo[k];
    for (size_t k = from; fresh_at && k < steps; k++) fresh_at[k] += fresh_of(lo, hi, k);
}

/* Falls are few: sixteen pairs are looked at in one go. */
INLINE size_t falls_loop(uint32_t *out, const double *v, size_t n)
{
    enum { STRIDE = 4 * LANES };
    size_t found = 0, i = 1;
    for (; i + STRIDE <= n; i += STRIDE) {
        masks m = load(v + i) < load(v + i - 1);
        for (size_t k = LANES; k < STRIDE; k += LANES) m |= load(v + i + k) < load(v + i + k - 1);
        if (!any(m)) continue;
        for (size_t k = i; k < i + STRIDE; k++)
            if (v[k] < v[k - 1]) out[found++] = (uint32_t)k;
    }
    for (; i < n; i++)
        if (v[i] < v[i - 1]) out[found++] = (uint32_t)i;
    return found;
}

/* --- groups --- */

/* One step of kahan_add. */
INLINE void kahan_step(lanes *s, lanes *c, lanes x)
{
    lanes t = *s + x;
    masks big = magnitude(*s) >= magnitude(x), infinite = magnitude(t) == all(INFINITY);
    lanes more = (pick(big, *s, x) - t) + pick(big, x, *s);
    *c = pick(infinite, all(0), *c + more);
    *s = t;
}

INLINE void kahan_one(double *s, double *c, double x)
{
    double t = *s + x;
    if (isinf(t)) *c = 0;
    else *c += fabs(*s) >= fabs(x) ? (*s - t) + x : (x - t) + *s;
    *s = t;
}

INLINE void kahan_add_loop(double *s, double *c, const double *x, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes sum = load(s + i), rest = load(c + i);
        kahan_step(&sum, &rest, load(x + i));
        store(s + i, sum);
        store(c + i, rest);
    }
    for (; i < n; i++) kahan_one(s + i, c + i, x[i]);
}

INLINE bool sums_finite_loop(const double *s, const double *x, size_t n)
{
    size_t i = 0;
    masks ok = ~(masks){ 0 };
    for (; i + LANES <= n; i += LANES) ok &= magnitude(load(s + i) + load(x + i)) < all(INFINITY);
    bool yes = !any(~ok);
    for (; i < n; i++) yes &= isfinite(s[i] + x[i]) != 0;
    return yes;
}

INLINE void add_loop(double *s, double x, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) store(s + i, load(s + i) + all(x));
    for (; i < n; i++) s[i] += x;
}

INLINE void extreme_loop(double *m, const double *x, size_t n, bool max)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes old = load(m + i), new = load(x + i);
        masks better = max ? old < new : old > new;
        store(m + i, pick(better | (old != old), new, old));
    }
    for (; i < n; i++)
        if ((max ? m[i] < x[i] : m[i] > x[i]) || isnan(m[i])) m[i] = x[i];
}

INLINE lanes further(lanes a, lanes b, bool max) { return pick(max ? a > b : a < b, a, b); }
INLINE double further_one(double a, double b, bool max)
{
    return (max ? a > b : a < b) ? a : b;
}

/* In any order, since equal values are the same; the last four may have been seen before. */
INLINE double window_extreme(const double *v, size_t n, bool max)
{
    if (n < LANES) {
        double x = v[0];
        for (size_t i = 1; i < n; i++) x = further_one(v[i], x, max);
        return x;
    }
    lanes x = load(v + n - LANES);
    for (size_t i = 0; i + LANES < n; i += LANES) x = further(load(v + i), x, max);
    return further_one(further_one(x[0], x[1], max), further_one(x[2], x[3], max), max);
}

INLINE void window_extremes_loop(double *out, const double *v, const uint32_t *lo,
    const uint32_t *hi, size_t steps, bool max)
{
    for (size_t k = 0; k < steps; k++)
        if (lo[k] < hi[k]) out[k] = window_extreme(v + lo[k], hi[k] - lo[k], max);
}

INLINE uint64_t beyond_loop(const double *x, const double *bar, size_t n, bool max)
{
    uint64_t bits = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        masks m = max ? load(x + i) <= load(bar + i) : load(x + i) >= load(bar + i);
        if (!any(~m)) continue;
        for (size_t k = 0; k < LANES; k++) bits |= (uint64_t)(m[k] == 0) << (i + k);
    }
    for (; i < n; i++) bits |= (uint64_t)!(max ? x[i] <= bar[i] : x[i] >= bar[i]) << i;
    return bits;
}

/* --- rates --- */

INLINE masks gather_times(const int64_t *t, const uint32_t *at, uint32_t back)
{
    return (masks){ t[at[0] - back], t[at[1] - back], t[at[2] - back], t[at[3] - back] };
}
INLINE lanes gather(const double *v, const uint32_t *at, uint32_t back)
{
    return (lanes){ v[at[0] - back], v[at[1] - back], v[at[2] - back], v[at[3] - back] };
}

/* x / by, to the bit. A division takes as long as a dozen multiplications, so, where products are
 * not rounded, the quotient is guessed by the inverse and then mended by what it leaves (Markstein,
 * "Computation of elementary functions on the IBM RISC System/6000", 1990). REQUIRES: finite, and
 * neither the quotient nor what it leaves becomes subnormal. */
INLINE lanes divide(lanes x, double by, double inverse, bool fused)
{
    if (!fused) return x / all(by);
    lanes q = x * all(inverse);
    for (int i = 0; i < LANES; i++) {
        double left = __builtin_fma(-q[i], by, x[i]);
        q[i] = __builtin_fma(left, inverse, q[i]);
    }
    return q;
}

/* --- instants --- */

INLINE size_t instant_one(
    double *out, uint64_t *present, const struct column_instant *c, const uint32_t *ends, size_t k)
{
    if (ends[k] == 0) return 0;
    size_t i = ends[k] - 1;
    int64_t since = c->ref0 + (int64_t)k * c->interval - c->lookback;
    uint64_t there = c->t[i] > since && !sample_is_stale(c->v[i]);
    out[k] = c->v[i];
    present[k / 64] |= there << (k % 64);
    return there;
}

/* From the first multiple of four steps that all have a sample before them. */
INLINE size_t instants_loop(double *out, uint64_t *present, const struct column_instant *c,
    const uint32_t *ends, size_t steps)
{
    const int64_t stale = (int64_t)f64_bits(stale_nan()), i = c->interval;
    const masks stales = { stale, stale, stale, stale };
    size_t found = 0, k = 0;
    for (; k < steps && (ends[k] == 0 || k % LANES); k++)
        found += instant_one(out, present, c, ends, k);
    for (; k + LANES <= steps; k += LANES) {
        int64_t s = c->ref0 + (int64_t)k * i - c->lookback;
        masks since = { s, s + i, s + 2 * i, s + 3 * i };
        lanes v = gather(c->v, ends + k, 1);
        masks there = (gather_times(c->t, ends + k, 1) > since) & ((masks)v != stales);
        uint64_t bits = 0xf;
        store(out + k, v);
        if (any(~there))
            bits = (uint64_t)((there[0] & 1) | (there[1] & 2) | (there[2] & 4) | (there[3] & 8));
        present[k / 64] |= bits << (k % 64);
        found += (size_t)__builtin_popcountll(bits);
    }
    for (; k < steps; k++)
        found += instant_one(out, present, c, ends, k);
    return found;
}

/* --- windows over their samples --- */

/* How four windows lie over their samples: all of window_stretch but the counter's zero. Windows of
 * a regular series lie like those before them, so it is worth to be kept. */
struct stretch {
    masks to_first, from_last;                 /* ms; the key, with counts */
    halves counts;
    lanes to_start, to_end, sampled, factor;
    /* a counter that shows more than this many times its growth was not at zero inside */
    lanes far;
};

INLINE lanes stretch_factor(
    const struct column_rate *r, lanes sampled, lanes ends, double inverse_s, bool fused)
{
    lanes factor = ends / sampled;
    factor = pick(sampled != all(0), factor, all(1));
    return r->per_second ? divide(factor, r->range_s, inverse_s, fused) : factor;
}

/* window_stretch of four windows: the same operations, choices as masks. */
INLINE void stretch_windows(
    struct stretch *s, const struct column_rate *r, double inverse_s, bool fused)
{
    const double inverse_1000 = 1.0 / 1000;
    const int64_t ms = r->range_ms;
    masks range = { ms, ms, ms, ms };
    lanes to_start = divide(of_integers(s->to_first), 1000, inverse_1000, fused);
    lanes to_end = divide(of_integers(s->from_last), 1000, inverse_1000, fused);
    lanes sampled =
        divide(of_integers(range - s->to_first - s->from_last), 1000, inverse_1000, fused);
    lanes average = sampled / __builtin_convertvector(s->counts - 1, lanes);
    lanes threshold = average * all(1.1), half = average / all(2);
    s->to_start = pick(to_start >= threshold, half, to_start);
    s->to_end = pick(to_end >= threshold, half, to_end);
    s->sampled = sampled;
    s->factor =
        stretch_factor(r, sampled, sampled + s->to_start + s->to_end, inverse_s, fused);
    s->far = s->to_start / sampled * all(1 + 0x1p-20);
}

/* The factor where a counter may have been at zero inside of the window. */
INLINE lanes stretch_from_zero(const struct stretch *s, const struct column_rate *r, lanes first,
    lanes growth, double inverse_s, bool fused)
{
    lanes to_zero = s->sampled * (first / growth), to_start = s->to_start;
    masks falls = (growth > all(0)) & (first >= all(0));
    to_zero = pick(falls, to_zero, to_start);
    to_start = pick(to_zero < to_start, to_zero, to_start);
    return stretch_factor(r, s->sampled, s->sampled + to_start + s->to_end, inverse_s, fused);
}

INLINE lanes rate_step(
    struct stretch *s, const struct column_rate *r, size_t k, double inverse_s, bool fused)
{
    const uint32_t *lo = r->lo + k, *hi = r->hi + k;
    lanes first = gather(r->v, lo, 0), growth = gather(r->v, hi, 1) - first;
    halves counts = { (int32_t)(hi[0] - lo[0]), (int32_t)(hi[1] - lo[1]), (int32_t)(hi[2] - lo[2]),
        (int32_t)(hi[3] - lo[3]) };
    int64_t e = r->end0 + (int64_t)k * r->interval, i = r->interval;
    masks end = { e, e + i, e + 2 * i, e + 3 * i }, start = end - r->range_ms;
    masks to_first = gather_times(r->t, lo, 0) - start, from_last = end - gather_times(r->t, hi, 1);
    masks differs = (to_first ^ s->to_first) | (from_last ^ s->from_last) |
                    __builtin_convertvector(counts ^ s->counts, masks);
    if (any(differs)) {
        s->to_first = to_first;
        s->from_last = from_last;
        s->counts = counts;
        stretch_windows(s, r, inverse_s, fused);
    }
    if (!r->counter) return growth * s->factor;
    masks whole = (first > growth * s->far) | (growth <= all(0)) | (first < all(0));
    if (!any(~whole)) return growth * s->factor;
    return growth * stretch_from_zero(s, r, first, growth, inverse_s, fused);
}

INLINE void rates_loop(
    double *out, const struct column_rate *r, size_t from, size_t n, bool fused)
{
    const double inverse_s = 1 / r->range_s;
    struct stretch s = { .counts = { 0 } };    /* no window has no samples */
    assert(n % LANES == 0);
    for (size_t k = from; k < from + n; k += LANES)
        store(out + k, rate_step(&s, r, k, inverse_s, fused));
}

/* --- which build --- */

#define BUILDS(suffix, fused, attribute)                                                           \
    attribute static struct column_counts count_##suffix(                                          \
        const uint32_t *lo, const uint32_t *hi, size_t steps)                                      \
    {                                                                                              \
        return count_loop(lo, hi, steps);                                                          \
    }                                                                                              \
    attribute static size_t narrow_##suffix(                                                       \
        const uint32_t *lo, const uint32_t *hi, size_t from, size_t steps)                         \
    {                                                                                              \
        return narrow_loop(lo, hi, from, steps);                                                   \
    }                                                                                              \
    attribute static bool has_bits_##suffix(const double *v, size_t n, uint64_t bits)              \
    {                                                                                              \
        return has_bits_loop(v, n, bits);                                                          \
    }                                                                                              \
    attribute static size_t falls_##suffix(uint32_t *out, const double *v, size_t n)               \
    {                                                                                              \
        return falls_loop(out, v, n);                                                              \
    }                                                                                              \
    attribute static void kahan_add_##suffix(double *s, double *c, const double *x, size_t n)      \
    {                                                                                              \
        kahan_add_loop(s, c, x, n);                                                                \
    }                                                                                              \
    attribute static bool sums_finite_##suffix(const double *s, const double *x, size_t n)         \
    {                                                                                              \
        return sums_finite_loop(s, x, n);                                                          \
    }                                                                                              \
    attribute static void add_##suffix(double *s, double x, size_t n) { add_loop(s, x, n); }       \
    attribute static void extreme_##suffix(double *m, const double *x, size_t n, bool max)         \
    {                                                                                              \
        if (max) extreme_loop(m, x, n, true);                                                      \
        else extreme_loop(m, x, n, false);                                                         \
    }                                                                                              \
    attribute static void window_extremes_##suffix(double *out, const double *v,                   \
        const uint32_t *lo, const uint32_t *hi, size_t steps, bool max)                            \
    {                                                                                              \
        if (max) window_extremes_loop(out, v, lo, hi, steps, true);                                \
        else window_extremes_loop(out, v, lo, hi, steps, false);                                   \
    }                                                                                              \
    attribute static uint64_t beyond_##suffix(                                                     \
        const double *x, const double *bar, size_t n, bool max)                                    \
    {                                                                                              \
        return max ? beyond_loop(x, bar, n, true) : beyond_loop(x, bar, n, false);                 \
    }                                                                                              \
    attribute static size_t instants_##suffix(double *out, uint64_t *present,                      \
        const struct column_instant *c, const uint32_t *ends, size_t steps)                        \
    {                                                                                              \
        return instants_loop(out, present, c, ends, steps);                                        \
    }                                                                                              \
    attribute static void rates_##suffix(                                                          \
        double *out, const struct column_rate *r, size_t from, size_t n)                           \
    {                                                                                              \
        rates_loop(out, r, from, n, fused);                                                        \
    }                                                                                              \
    static const struct build build_##suffix = { count_##suffix, narrow_##suffix,                  \
        has_bits_##suffix, falls_##suffix, kahan_add_##suffix, sums_finite_##suffix, add_##suffix, \
        extreme_##suffix, window_extremes_##suffix, beyond_##suffix, instants_##suffix,            \
        rates_##suffix };

struct build {
    struct column_counts (*count)(const uint32_t *lo, const uint32_t *hi, size_t steps);
    size_t (*narrow)(const uint32_t *lo, const uint32_t *hi, size_t from, size_t steps);
    bool (*has_bits)(const double *v, size_t n, uint64_t bits);
    size_t (*falls)(uint32_t *out, const double *v, size_t n);
    void (*kahan_add)(double *s, double *c, const double *x, size_t n);
    bool (*sums_finite)(const double *s, const double *x, size_t n);
    void (*add)(double *s, double x, size_t n);
    void (*extreme)(double *m, const double *x, size_t n, bool max);
    void (*window_extremes)(double *out, const double *v, const uint32_t *lo, const uint32_t *hi,
        size_t steps, bool max);
    uint64_t (*beyond)(const double *x, const double *bar, size_t n, bool max);
    size_t (*instants)(double *out, uint64_t *present, const struct column_instant *c,
        const uint32_t *ends, size_t steps);
    void (*rates)(double *out, const struct column_rate *r, size_t from, size_t n);
};
BUILDS(plain, false, )
#if defined(__x86_64__)
BUILDS(avx2, true, __attribute__((target("avx2,fma"))))
#endif
static const struct build *build = &build_plain;

void columns_use_plain(bool plain)
{
    build = &build_plain;
#if defined(__x86_64__)
    if (!plain && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        build = &build_avx2;
#else
    (void)plain;
#endif
}

__attribute__((constructor)) static void columns_choose(void) { columns_use_plain(false); }

struct column_counts column_count(const uint32_t *lo, const uint32_t *hi, size_t steps)
{
    return build->count(lo, hi, steps);
}
size_t column_narrow(const uint32_t *lo, const uint32_t *hi, size_t from, size_t steps)
{
    return build->narrow(lo, hi, from, steps);
}
bool column_has_bits(const double *v, size_t n, uint64_t bits)
{
    return build->has_bits(v, n, bits);
}
size_t column_falls(uint32_t *out, const double *v, size_t n) { return build->falls(out, v, n); }
void column_kahan_add(double *s, double *c, const double *x, size_t n)
{
    build->kahan_add(s, c, x, n);
}
bool column_kahan_add_finite(double *s, double *c, const double *x, size_t n)
{
    if (!build->sums_finite(s, x, n)) return false;
    build->kahan_add(s, c, x, n);
    return true;
}
void column_add(double *s, double x, size_t n) { build->add(s, x, n); }
void column_max(double *m, const double *x, size_t n) { build->extreme(m, x, n, true); }
void column_min(double *m, const double *x, size_t n) { build->extreme(m, x, n, false); }
void column_window_extremes(double *out, const double *v, const uint32_t *lo, const uint32_t *hi,
    size_t steps, bool max)
{
    build->window_extremes(out, v, lo, hi, steps, max);
}
uint64_t column_beyond(const double *x, const double *bar, size_t n, bool max)
{
    assert(n <= 64);
    return build->beyond(x, bar, n, max);
}
size_t column_instants(double *out, uint64_t *present, const struct column_instant *c,
    const uint32_t *ends, size_t steps)
{
    memset(present, 0, (steps + 63) / 64 * sizeof(*present));
    return build->instants(out, present, c, ends, steps);
}
void column_rates(double *out, const struct column_rate *r, size_t from, size_t n)
{
    build->rates(out, r, from, n);
}
