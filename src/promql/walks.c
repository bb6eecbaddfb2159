/* walks.c — lanes are windows.
 *
 * As in columns.c: each lane does what the plain loop does, in its order. Windows differ in length
 * by a few samples; what a lane has more than the shortest it goes through alone. An infinite sum
 * loses its compensation in the plain loop; whether one was is seen by the last one, which then is
 * no number, and such windows are walked once more, plainly. */
#include "promql/walks.h"

#include <math.h>
#include <string.h>

/* No vector is ever passed to a function that is really called. */
#pragma GCC diagnostic ignored "-Wpsabi"

#define INLINE __attribute__((always_inline)) static inline
typedef double lanes __attribute__((vector_size(64)));
typedef int64_t masks __attribute__((vector_size(64)));
_Static_assert(sizeof(lanes) == WALKS * sizeof(double), "a lane for each window");

/* --- one window --- */

/* Of long windows so many samples at a time, one window after the other. */
enum { WALK_PART = 1 << 15, WALK_LONG = 1 << 17 };

static bool walks_over(const struct walks *w) { return w->asks && arena_over(w->asks); }

/* The samples of [from, hi), in parts. False: that was the last one, or it is over. */
struct walk_part { const struct walks *w; size_t hi, from, to; };
static bool walk_part_next(struct walk_part *p)
{
    p->from = p->to;
    p->to = MIN(p->hi, p->to + WALK_PART);
    return p->from < p->hi && (p->to - p->from < WALK_PART || !walks_over(p->w));
}
#define WALK_PARTS(p, w, from, hi)                                                                 \
    for (struct walk_part p = { (w), (hi), (from), (from) }; walk_part_next(&p);)

struct line_sums { struct kahan x, y, xy, x2; };

static inline void line_add(struct line_sums *s, double x, double y)
{
    kahan_add(&s->x, x);
    kahan_add(&s->y, y);
    kahan_add(&s->xy, x * y);
    kahan_add(&s->x2, x * x);
}

static struct line line_of(double n, double x, double y, double xy, double x2)
{
    double covariance = xy - x * y / n, variance = x2 - x * x / n;
    double slope = covariance / variance;
    return (struct line){ slope, y / n - slope * x / n };
}

static struct line line_flat(double y)
{
    return isinf(y) ? (struct line){ NAN, NAN } : (struct line){ 0, y };
}

static struct line line_end(const struct line_sums *s, bool flat, double first, double n)
{
    if (flat) return line_flat(first);
    return line_of(n, s->x.s + s->x.c, s->y.s + s->y.c, s->xy.s + s->xy.c, s->x2.s + s->x2.c);
}

/* From sample `from` on, of which s has what is before. */
static struct line line_walk(
    struct line_sums *s, bool flat, const struct walks *w, size_t i, size_t from, int64_t t0)
{
    double first = w->v[w->lo[i]];
    WALK_PARTS(p, w, from, w->hi[i])
    for (size_t at = p.from; at < p.to; at++) {
        if (at > w->lo[i] && w->v[at] != first) flat = false;
        line_add(s, (double)(w->t[at] - t0) / 1e3, w->v[at]);
    }
    return line_end(s, flat, first, w->hi[i] - w->lo[i]);
}

/* What the first n samples' times add up to. */
struct time_sums { struct kahan x, x2; };
struct line_times {
    int64_t first;
    uint64_t n;
    const double *x;
    const struct time_sums *sums;          /* n + 1 of them */
};

const struct line_times *line_times_make(struct arena *a, const int64_t *t, size_t n,
    uint64_t widest, int64_t first)
{
    const uint64_t most = UINT64_C(1) << 50;
    if (n < 2 || (uint64_t)first + most > 2 * most) return NULL;
    int64_t apart = t[1] - t[0], other = 0;
    if ((uint64_t)t[n - 1] - (uint64_t)t[0] > most) return NULL;
    for (size_t i = 1; i < n; i++) other |= (t[i] - t[i - 1]) ^ apart;
    if (other) return NULL;
    struct line_times *l = ANEW(a, struct line_times);
    double *x = arena_array(a, widest, sizeof(*x));
    struct time_sums *sums = arena_array(a, widest + 1, sizeof(*sums));
    sums[0] = (struct time_sums){ 0 };
    for (size_t i = 0; i < widest; i++) {
        x[i] = (double)(first + (int64_t)i * apart) / 1e3;
        sums[i + 1] = sums[i];
        kahan_add(&sums[i + 1].x, x[i]);
        kahan_add(&sums[i + 1].x2, x[i] * x[i]);
    }
    *l = (struct line_times){ first, widest, x, sums };
    return l;
}

struct smoothing { double s0, s1, b; };

static inline void smoothing_add(struct smoothing *s, double v, double sf, double tf, bool trend)
{
    double x = sf * v;
    if (trend) s->b = tf * (s->s1 - s->s0) + (1 - tf) * s->b;
    double y = (1 - sf) * (s->s1 + s->b);
    s->s0 = s->s1;
    s->s1 = x + y;
}

static struct smoothing smoothing_begin(const double *v, double sf, double tf)
{
    struct smoothing s = { 0, v[0], v[1] - v[0] };
    smoothing_add(&s, v[1], sf, tf, false);
    return s;
}

static struct kahan sum_walk(struct kahan k, const struct walks *w, size_t from, size_t hi)
{
    WALK_PARTS(p, w, from, hi)
    for (size_t i = p.from; i < p.to; i++) kahan_add(&k, w->v[i]);
    return k;
}

static struct spread spread_walk(struct spread s, const struct walks *w, size_t from, size_t hi)
{
    WALK_PARTS(p, w, from, hi)
    for (size_t i = p.from; i < p.to; i++) spread_add(&s, w->v[i]);
    return s;
}

static double smoothed_walk(const struct walks *w, size_t i, double sf, double tf)
{
    struct smoothing s = smoothing_begin(w->v + w->lo[i], sf, tf);
    WALK_PARTS(p, w, w->lo[i] + 2, w->hi[i])
    for (size_t at = p.from; at < p.to; at++) smoothing_add(&s, w->v[at], sf, tf, true);
    return s.s1;
}

/* --- eight --- */

INLINE lanes gather(const double *v, const uint32_t *at, size_t i)
{
    v += i;
    return (lanes){ v[at[0]], v[at[1]], v[at[2]], v[at[3]],
        v[at[4]], v[at[5]], v[at[6]], v[at[7]] };
}

INLINE masks gather_times(const int64_t *t, const uint32_t *at, size_t i)
{
    t += i;
    return (masks){ t[at[0]], t[at[1]], t[at[2]], t[at[3]],
        t[at[4]], t[at[5]], t[at[6]], t[at[7]] };
}

/* Windows that begin one sample after each other, as they do where a step is as long as a scrape:
 * their i-th samples lie side by side. */
static bool walks_adjacent(const struct walks *w)
{
    bool yes = true;
    for (size_t i = 1; i < WALKS; i++) yes &= w->lo[i] == w->lo[0] + i;
    return yes;
}

static size_t walks_shortest(const struct walks *w)
{
    size_t n = SIZE_MAX;
    for (size_t i = 0; i < WALKS; i++) n = MIN(n, (size_t)(w->hi[i] - w->lo[i]));
    return n;
}

INLINE lanes all(double x) { return (lanes){ x, x, x, x, x, x, x, x }; }

/* Integers below 2^51: the sum with 1.5 * 2^52 has them in its last bits. */
INLINE lanes of_integers(masks x)
{
    return (lanes)(x + (int64_t)0x4338000000000000) - all(0x1.8p52);
}

struct lane_sum { lanes s, c; };

/* The error of an addition in six more (Knuth): exact, as is that of kahan_add, which asks for the
 * larger one. Close to the largest number it may overflow, and stays no number then. */
INLINE void lanes_add(struct lane_sum *k, lanes x)
{
    lanes t = k->s + x, of_x = t - k->s, of_s = t - of_x;
    k->c += (k->s - of_s) + (x - of_x);
    k->s = t;
}

struct lane_sums { struct lane_sum x, y, xy, x2; };

INLINE struct kahan lane_of(const struct lane_sum *k, size_t i)
{
    return (struct kahan){ k->s[i], k->c[i] };
}

/* The i-th sample of each window. */
INLINE lanes values_at(const struct walks *w, size_t i, bool adjacent)
{
    lanes v;
    if (!adjacent) return gather(w->v, w->lo, i);
    memcpy(&v, w->v + w->lo[0] + i, sizeof(v));
    return v;
}

INLINE masks times_at(const struct walks *w, size_t i, bool adjacent)
{
    masks t;
    if (!adjacent) return gather_times(w->t, w->lo, i);
    memcpy(&t, w->t + w->lo[0] + i, sizeof(t));
    return t;
}

/* x / 1000, to the bit (Markstein; columns.c). REQUIRES: an integer below 2^51. */
INLINE lanes seconds(masks ms, bool fused)
{
    lanes x = of_integers(ms);
    if (!fused) return x / all(1e3);
    lanes q = x * all(1 / 1e3), left;
    for (int i = 0; i < WALKS; i++) left[i] = __builtin_fma(-q[i], 1e3, x[i]);
    for (int i = 0; i < WALKS; i++) q[i] = __builtin_fma(left[i], 1 / 1e3, q[i]);
    return q;
}

INLINE bool kahan_finite(struct kahan k) { return isfinite(k.s) && isfinite(k.c); }

/* What the lanes found of n samples, and what a window has more. */
INLINE void lines_end(struct line *out, const struct walks *w, const int64_t *t0,
    const struct lane_sums *s, masks other, size_t n)
{
    for (size_t i = 0; i < WALKS; i++) {
        struct line_sums one = { lane_of(&s->x, i), lane_of(&s->y, i), lane_of(&s->xy, i),
            lane_of(&s->x2, i) };
        bool finite = kahan_finite(one.y) && kahan_finite(one.xy);
        size_t from = finite ? w->lo[i] + n : w->lo[i];
        if (!finite) one = (struct line_sums){ 0 };
        out[i] = line_walk(&one, !finite || !other[i], w, i, from, t0[i]);
    }
}

/* All windows as long as the lanes went, none flat, and all sums finite: line_of each. */
INLINE bool lines_end_together(
    struct line *out, const struct walks *w, const struct lane_sums *s, masks other, size_t n)
{
    lanes none = (s->y.s - s->y.s) + (s->y.c - s->y.c) + (s->xy.s - s->xy.s) + (s->xy.c - s->xy.c);
    masks ok = other & (masks)(none == all(0));
    bool yes = true;
    for (size_t i = 0; i < WALKS; i++) yes &= (w->hi[i] - w->lo[i] == n) & (ok[i] != 0);
    if (!yes) return false;
    lanes x = s->x.s + s->x.c, y = s->y.s + s->y.c, xy = s->xy.s + s->xy.c, x2 = s->x2.s + s->x2.c;
    lanes count = all((double)n), slope = (xy - x * y / count) / (x2 - x * x / count);
    lanes intercept = y / count - slope * x / count;
    for (size_t i = 0; i < WALKS; i++) out[i] = (struct line){ slope[i], intercept[i] };
    return true;
}

INLINE void lines_loop(
    struct line *out, const struct walks *w, const int64_t *t0, bool adjacent, bool fused)
{
    struct lane_sums s = { 0 };
    masks base, other = { 0 };
    memcpy(&base, t0, sizeof(base));
    size_t n = walks_shortest(w);
    lanes first = gather(w->v, w->lo, 0);
    for (size_t i = 0; i < n; i++) {
        lanes x = seconds(times_at(w, i, adjacent) - base, fused), y = values_at(w, i, adjacent);
        other |= (masks)(y != first);
        lanes_add(&s.x, x);
        lanes_add(&s.y, y);
        lanes_add(&s.xy, x * y);
        lanes_add(&s.x2, x * x);
    }
    if (!lines_end_together(out, w, &s, other, n)) lines_end(out, w, t0, &s, other, n);
}

/* The same where the times are known. */
INLINE void lines_timed_loop(struct line *out, const struct walks *w, const int64_t *t0,
    const struct line_times *times, bool adjacent)
{
    struct lane_sums s = { 0 };
    masks other = { 0 };
    size_t n = walks_shortest(w);
    lanes first = gather(w->v, w->lo, 0);
    for (size_t i = 0; i < n; i++) {
        lanes y = values_at(w, i, adjacent);
        other |= (masks)(y != first);
        lanes_add(&s.y, y);
        lanes_add(&s.xy, all(times->x[i]) * y);
    }
    const struct time_sums *t = &times->sums[n];
    s.x = (struct lane_sum){ all(t->x.s), all(t->x.c) };
    s.x2 = (struct lane_sum){ all(t->x2.s), all(t->x2.c) };
    if (!lines_end_together(out, w, &s, other, n)) lines_end(out, w, t0, &s, other, n);
}

INLINE void smoothed_loop(
    double *out, const struct walks *w, const double *sf_at, const double *tf_at)
{
    lanes sf, tf, s0, s1, b;
    memcpy(&sf, sf_at, sizeof(sf));
    memcpy(&tf, tf_at, sizeof(tf));
    lanes sf_rest = all(1) - sf, tf_rest = all(1) - tf;
    for (size_t i = 0; i < WALKS; i++) {
        struct smoothing begun = smoothing_begin(w->v + w->lo[i], sf[i], tf[i]);
        s0[i] = begun.s0;
        s1[i] = begun.s1;
        b[i] = begun.b;
    }
    size_t n = walks_shortest(w);
    for (size_t i = 2; i < n; i++) {
        lanes x = sf * gather(w->v, w->lo, i);
        b = tf * (s1 - s0) + tf_rest * b;
        s0 = s1;
        s1 = x + sf_rest * (s1 + b);
    }
    for (size_t i = 0; i < WALKS; i++) {
        struct smoothing s = { s0[i], s1[i], b[i] };
        WALK_PARTS(p, w, w->lo[i] + n, w->hi[i])
        for (size_t at = p.from; at < p.to; at++)
            smoothing_add(&s, w->v[at], sf[i], tf[i], true);
        out[i] = s.s1;
    }
}

INLINE void sums_loop(struct kahan *out, const struct walks *w, bool adjacent)
{
    struct lane_sum k = { 0 };
    size_t n = walks_shortest(w);
    for (size_t i = 0; i < n; i++) lanes_add(&k, values_at(w, i, adjacent));
    for (size_t i = 0; i < WALKS; i++) {
        struct kahan one = lane_of(&k, i);
        out[i] = kahan_finite(one) ? sum_walk(one, w, w->lo[i] + n, w->hi[i])
                                   : sum_walk((struct kahan){ 0, 0 }, w, w->lo[i], w->hi[i]);
    }
}

INLINE void spreads_loop(struct spread *out, const struct walks *w, bool adjacent)
{
    struct lane_sum mean = { 0 }, aux = { 0 };
    size_t n = walks_shortest(w);
    for (size_t i = 0; i < n; i++) {
        lanes x = values_at(w, i, adjacent), delta = x - (mean.s + mean.c);
        lanes_add(&mean, delta / all((double)(i + 1)));
        lanes_add(&aux, delta * (x - (mean.s + mean.c)));
    }
    for (size_t i = 0; i < WALKS; i++) {
        struct spread one = { lane_of(&mean, i), lane_of(&aux, i), (double)n };
        out[i] = kahan_finite(one.mean) && kahan_finite(one.aux)
                     ? spread_walk(one, w, w->lo[i] + n, w->hi[i])
                     : spread_walk((struct spread){ 0 }, w, w->lo[i], w->hi[i]);
    }
}

INLINE lanes pick(masks m, lanes yes, lanes no)
{
    return (lanes)((m & (masks)yes) | (~m & (masks)no));
}

/* The least and the greatest of each lane change places where they lie wrong. */
INLINE void lanes_exchange(lanes *a, lanes *b)
{
    masks less = (masks)(*a < *b);
    lanes x = pick(less, *a, *b);
    *b = pick(less, *b, *a);
    *a = x;
}

/* Merge exchange (Batcher; Knuth, "Sorting and searching", 5.2.2, algorithm M): what is compared
 * does not depend on the values. */
INLINE void lanes_sort(lanes *v, size_t n)
{
    size_t top = 1;
    while (top * 2 < n) top *= 2;
    for (size_t p = n > 1 ? top : 0; p > 0; p /= 2) {
        size_t r = 0, d = p;
        for (size_t q = top;; q /= 2) {
            for (size_t i = 0; i + d < n; i++)
                if ((i & p) == r) lanes_exchange(&v[i], &v[i + d]);
            if (q == p) break;
            d = q - p;
            r = p;
        }
    }
}

INLINE void sorted_loop(double *out, const struct walks *w)
{
    lanes v[WALK_SORT_MOST];
    size_t n = walks_shortest(w), longest = n;
    for (size_t i = 0; i < WALKS; i++) longest = MAX(longest, (size_t)(w->hi[i] - w->lo[i]));
    for (size_t i = 0; i < n; i++) v[i] = gather(w->v, w->lo, i);
    for (size_t i = n; i < longest; i++)
        for (size_t k = 0; k < WALKS; k++)
            v[i][k] = w->lo[k] + i < w->hi[k] ? w->v[w->lo[k] + i] : INFINITY;
    lanes_sort(v, longest);
    memcpy(out, v, longest * sizeof(*v));
}

#define BUILDS(suffix, fused, attribute)                                                           \
    attribute static void lines_##suffix(                                                          \
        struct line *out, const struct walks *w, const int64_t *t0)                                \
    {                                                                                              \
        if (walks_adjacent(w)) lines_loop(out, w, t0, true, fused);                                \
        else lines_loop(out, w, t0, false, fused);                                                 \
    }                                                                                              \
    attribute static void lines_timed_##suffix(struct line *out, const struct walks *w,            \
        const int64_t *t0, const struct line_times *times)                                         \
    {                                                                                              \
        if (walks_adjacent(w)) lines_timed_loop(out, w, t0, times, true);                          \
        else lines_timed_loop(out, w, t0, times, false);                                           \
    }                                                                                              \
    attribute static void smoothed_##suffix(                                                       \
        double *out, const struct walks *w, const double *sf, const double *tf)                    \
    {                                                                                              \
        smoothed_loop(out, w, sf, tf);                                                             \
    }                                                                                              \
    attribute static void sums_##suffix(struct kahan *out, const struct walks *w)                  \
    {                                                                                              \
        if (walks_adjacent(w)) sums_loop(out, w, true);                                            \
        else sums_loop(out, w, false);                                                             \
    }                                                                                              \
    attribute static void spreads_##suffix(struct spread *out, const struct walks *w)              \
    {                                                                                              \
        if (walks_adjacent(w)) spreads_loop(out, w, true);                                         \
        else spreads_loop(out, w, false);                                                          \
    }                                                                                              \
    attribute static void sorted_##suffix(double *out, const struct walks *w)                      \
    {                                                                                              \
        sorted_loop(out, w);                                                                       \
    }                                                                                              \
    static const struct build build_##suffix = { lines_##suffix, lines_timed_##suffix,             \
        smoothed_##suffix, sums_##suffix, spreads_##suffix, sorted_##suffix };

struct build {
    void (*lines)(struct line *out, const struct walks *w, const int64_t *t0);
    void (*lines_timed)(struct line *out, const struct walks *w, const int64_t *t0,
        const struct line_times *times);
    void (*smoothed)(double *out, const struct walks *w, const double *sf, const double *tf);
    void (*sums)(struct kahan *out, const struct walks *w);
    void (*spreads)(struct spread *out, const struct walks *w);
    void (*sorted)(double *out, const struct walks *w);
};
BUILDS(plain, false, )
#if defined(__x86_64__)
BUILDS(avx2, true, __attribute__((target("avx2,fma"))))
BUILDS(avx512, true, __attribute__((target("fma,avx512f,avx512bw,avx512dq,avx512vl"))))
#endif
static const struct build *build = &build_plain;

bool walks_use(enum walks_build which)
{
    switch (which) {
    case WALKS_PLAIN: build = &build_plain; return true;
#if defined(__x86_64__)
    case WALKS_AVX2:
        if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return false;
        build = &build_avx2;
        return true;
    case WALKS_AVX512:
        if (!__builtin_cpu_supports("fma") || !__builtin_cpu_supports("avx512f") ||
            !__builtin_cpu_supports("avx512bw") ||
            !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
            return false;
        build = &build_avx512;
        return true;
#else
    case WALKS_AVX2: case WALKS_AVX512: return false;
#endif
    }
    return false;
}

void walks_use_best(void)
{
    if (!walks_use(WALKS_AVX512) && !walks_use(WALKS_AVX2)) (void)walks_use(WALKS_PLAIN);
}

__attribute__((constructor)) static void walks_choose(void) { walks_use_best(); }

/* Times so far from t0 that lanes do not hold them. */
static bool walks_far(const struct walks *w, const int64_t *t0)
{
    const uint64_t most = UINT64_C(1) << 50;
    bool far = false;
    for (size_t i = 0; i < w->n; i++) {
        far |= (uint64_t)w->t[w->lo[i]] - (uint64_t)t0[i] + most > 2 * most;
        far |= (uint64_t)w->t[w->hi[i] - 1] - (uint64_t)t0[i] + most > 2 * most;
    }
    return far;
}

/* Do the windows lie over their times as is known? */
static bool walks_are_timed(
    const struct walks *w, const int64_t *t0, const struct line_times *times)
{
    bool yes = times != NULL;
    for (size_t i = 0; yes && i < w->n; i++)
        yes = w->t[w->lo[i]] - t0[i] == times->first && w->hi[i] - w->lo[i] <= times->n;
    return yes;
}

/* Long windows one after the other: side by side nobody could be asked in between. */
static bool walks_together(const struct walks *w)
{
    bool yes = w->n == WALKS;
    for (size_t i = 0; yes && i < WALKS; i++) yes = w->hi[i] - w->lo[i] < WALK_LONG;
    return yes;
}

void walk_lines(struct line *out, const struct walks *w, const int64_t *t0,
    const struct line_times *times)
{
    if (walks_together(w) && walks_are_timed(w, t0, times)) {
        build->lines_timed(out, w, t0, times);
        return;
    }
    if (walks_together(w) && !walks_far(w, t0)) {
        build->lines(out, w, t0);
        return;
    }
    for (size_t i = 0; i < w->n; i++) {
        struct line_sums s = { 0 };
        out[i] = line_walk(&s, true, w, i, w->lo[i], t0[i]);
    }
}

void walk_smoothed(double *out, const struct walks *w, const double *sf, const double *tf)
{
    if (walks_together(w)) {
        build->smoothed(out, w, sf, tf);
        return;
    }
    for (size_t i = 0; i < w->n; i++) out[i] = smoothed_walk(w, i, sf[i], tf[i]);
}

void walk_sums(struct kahan *out, const struct walks *w)
{
    if (walks_together(w)) {
        build->sums(out, w);
        return;
    }
    for (size_t i = 0; i < w->n; i++)
        out[i] = sum_walk((struct kahan){ 0, 0 }, w, w->lo[i], w->hi[i]);
}

void walk_spreads(struct spread *out, const struct walks *w)
{
    if (walks_together(w)) {
        build->spreads(out, w);
        return;
    }
    for (size_t i = 0; i < w->n; i++)
        out[i] = spread_walk((struct spread){ 0 }, w, w->lo[i], w->hi[i]);
}

void walk_sorted(double *out, const struct walks *w)
{
    assert(w->n == WALKS);
    build->sorted(out, w);
}

/* --- sums that slide --- */

/* Whole numbers are summed without rounding in a pair of doubles as long as each term is one below
 * 2^53 and the pair's second, the sum of what the first rounded away, stays below it, too; the
 * plain loop's sums are then the exact ones, rounded once, and so are these. */
bool line_slide_init(struct line_slide *s, const int64_t *t, const double *v, size_t n,
    uint64_t widest, uint64_t far_ms)
{
    enum { WIDEST = 1 << 26 };
    const uint64_t seconds_most = UINT64_C(1) << 26, whole_most = UINT64_C(1) << 53;
    *s = (struct line_slide){ .t = t, .v = v };
    uint64_t far_s = far_ms / 1000, most = whole_most / MAX(far_s, 1);
    if (n == 0 || widest > WIDEST || far_s > seconds_most) return false;
    if ((uint64_t)t[n - 1] - (uint64_t)t[0] > (UINT64_C(1000) << 32)) return false;
    bool whole = true;
    for (size_t i = 0; i < n && whole; i++)
        whole = v[i] == trunc(v[i]) && fabs(v[i]) <= (double)most && (t[i] - t[0]) % 1000 == 0;
    return whole;
}

/* Adds sample i `sign` times. */
static inline void line_slide_add(struct line_slide *s, size_t i, int sign)
{
    __int128 x = (s->t[i] - s->t[0]) / 1000, y = (int64_t)s->v[i];
    s->x += sign * x;
    s->y += sign * y;
    s->xy += sign * x * y;
    s->x2 += sign * x * x;
}

struct line line_slide_to(struct line_slide *s, size_t lo, size_t hi, int64_t t0)
{
    assert(lo >= s->lo && hi >= s->hi && lo < hi);
    for (; s->hi < hi; s->hi++) {
        line_slide_add(s, s->hi, 1);
        if (s->hi > 0 && s->v[s->hi] != s->v[s->hi - 1]) s->changed = s->hi;
    }
    for (; s->lo < lo; s->lo++) line_slide_add(s, s->lo, -1);
    if (s->changed <= lo) return line_flat(s->v[lo]);
    __int128 n = (__int128)(hi - lo), a = (t0 - s->t[0]) / 1000;
    return line_of((double)n, (double)(s->x - n * a), (double)s->y, (double)(s->xy - a * s->y),
        (double)(s->x2 - 2 * a * s->x + n * a * a));
}
