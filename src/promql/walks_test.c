#include "promql/walks.h"

#include "base/f64.h"
#include "base/prng.h"
#include "base/test.h"

#include <stdlib.h>

enum { N = 300, ROUNDS = 400 };

struct data { int64_t t[N]; double v[N]; };

/* NaN and such are rare: a window that has one is walked plainly. */
static double any_value(struct prng *p)
{
    static const double odd[] = { 0.0, -0.0, INFINITY, -INFINITY, NAN, 1e308, -1e308, 5e-324 };
    if (prng_below(p, 2000) == 0) return odd[prng_below(p, ARRAY_LEN(odd))];
    return ((double)prng_below(p, 1 << 30) - (1 << 29)) / 7;
}

static void data_make(struct data *d, struct prng *p)
{
    bool flat = prng_below(p, 10) == 0, regular = prng_below(p, 2) == 0;
    int64_t apart = 1 + (int64_t)prng_below(p, 30000);
    int64_t at = (int64_t)prng_below(p, 1 << 20);
    for (size_t i = 0; i < N; i++, at += apart) {
        if (!regular) apart = 1 + (int64_t)prng_below(p, 30000);
        d->t[i] = at;
        d->v[i] = flat && i > 0 && prng_below(p, 200) ? d->v[i - 1] : any_value(p);
    }
}

static void walks_make(struct walks *w, const struct data *d, struct prng *p)
{
    bool adjacent = prng_below(p, 2);
    uint32_t widest = 2 + (uint32_t)prng_below(p, 90), lo = (uint32_t)prng_below(p, 50);
    *w = (struct walks){ .t = d->t, .v = d->v, .n = 1 + prng_below(p, 2) * (WALKS - 1) };
    for (size_t i = 0; i < w->n; i++) {
        w->lo[i] = lo;
        w->hi[i] = lo + 2 + (uint32_t)prng_below(p, widest);
        lo += adjacent ? 1 : (uint32_t)prng_below(p, 20);
    }
}

/* The loop as Prometheus has it. */
static struct line line_plain(const struct walks *w, size_t i, int64_t t0)
{
    struct kahan sx = { 0, 0 }, sy = { 0, 0 }, sxy = { 0, 0 }, sx2 = { 0, 0 };
    double n = 0, first = w->v[w->lo[i]];
    bool flat = true;
    for (size_t at = w->lo[i]; at < w->hi[i]; at++) {
        double x = (double)(w->t[at] - t0) / 1e3, y = w->v[at];
        if (n > 0 && y != first) flat = false;
        n++;
        kahan_add(&sx, x);
        kahan_add(&sy, y);
        kahan_add(&sxy, x * y);
        kahan_add(&sx2, x * x);
    }
    if (flat && isinf(first)) return (struct line){ NAN, NAN };
    if (flat) return (struct line){ 0, first };
    double x = sx.s + sx.c, y = sy.s + sy.c, xy = sxy.s + sxy.c, x2 = sx2.s + sx2.c;
    double slope = (xy - x * y / n) / (x2 - x * x / n);
    return (struct line){ slope, y / n - slope * x / n };
}

static double smoothed_plain(const struct walks *w, size_t i, double sf, double tf)
{
    const double *v = w->v + w->lo[i];
    double s0 = 0, s1 = v[0], b = v[1] - v[0];
    for (size_t at = 1; at < w->hi[i] - w->lo[i]; at++) {
        if (at > 1) b = tf * (s1 - s0) + (1 - tf) * b;
        double next = sf * v[at] + (1 - sf) * (s1 + b);
        s0 = s1;
        s1 = next;
    }
    return s1;
}

static bool same(double a, double b)
{
    return f64_bits(a) == f64_bits(b) || (isnan(a) && isnan(b));
}

static void check_walks(struct prng *p)
{
    struct data d;
    struct walks w;
    struct line lines[WALKS];
    int64_t t0[WALKS];
    double sf[WALKS], tf[WALKS], smoothed[WALKS];
    bool far = prng_below(p, 2);
    data_make(&d, p);
    walks_make(&w, &d, p);
    for (size_t i = 0; i < w.n; i++) {
        t0[i] = d.t[w.lo[i]] + (far ? (int64_t)prng_below(p, 2) * 1000000 : 0);
        if (prng_below(p, 200) == 0) t0[i] = -(INT64_C(1) << 52);
        sf[i] = prng_unit(p);
        tf[i] = prng_unit(p);
    }
    size_t widest = 0;
    for (size_t i = 0; i < w.n; i++) widest = MAX(widest, (size_t)(w.hi[i] - w.lo[i]));
    struct arena a = { 0 };
    const struct line_times *times = prng_below(p, 2)
        ? line_times_make(&a, d.t, N, widest - prng_below(p, 2), d.t[w.lo[0]] - t0[0]) : NULL;
    walk_lines(lines, &w, t0, times);
    arena_fini(&a);
    walk_smoothed(smoothed, &w, sf, tf);
    for (size_t i = 0; i < w.n; i++) {
        struct line want = line_plain(&w, i, t0[i]);
        EXPECT(same(lines[i].slope, want.slope) && same(lines[i].intercept, want.intercept));
        EXPECT(same(smoothed[i], smoothed_plain(&w, i, sf[i], tf[i])));
    }
}

/* Windows of one sample, too. */
static void check_sums(struct prng *p)
{
    struct data d;
    struct walks w;
    struct kahan sums[WALKS];
    struct spread spreads[WALKS];
    data_make(&d, p);
    walks_make(&w, &d, p);
    if (prng_below(p, 4) == 0) w.hi[0] = w.lo[0] + 1;
    walk_sums(sums, &w);
    walk_spreads(spreads, &w);
    for (size_t i = 0; i < w.n; i++) {
        struct kahan sum = { 0, 0 };
        struct spread spread = { 0 };
        for (size_t at = w.lo[i]; at < w.hi[i]; at++) {
            kahan_add(&sum, d.v[at]);
            spread_add(&spread, d.v[at]);
        }
        EXPECT(same(sums[i].s, sum.s) && same(sums[i].c, sum.c));
        EXPECT(same(spreads[i].mean.s, spread.mean.s) && same(spreads[i].mean.c, spread.mean.c));
        EXPECT(same(spreads[i].aux.s, spread.aux.s) && same(spreads[i].aux.c, spread.aux.c));
        EXPECT(spreads[i].n == spread.n);
    }
}

static int cmp_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check_sorted(struct prng *p)
{
    double v[N], out[WALKS * WALK_SORT_MOST], want[WALK_SORT_MOST];
    struct walks w = { .v = v, .n = WALKS };
    size_t most = 1 + prng_below(p, WALK_SORT_MOST);
    for (size_t i = 0; i < N; i++)
        v[i] = prng_below(p, 50) ? (double)prng_below(p, 100) - 50 : INFINITY;
    for (size_t i = 0; i < WALKS; i++) {
        w.lo[i] = (uint32_t)prng_below(p, N - WALK_SORT_MOST);
        w.hi[i] = w.lo[i] + 1 + (uint32_t)prng_below(p, most);
    }
    walk_sorted(out, &w);
    for (size_t i = 0; i < WALKS; i++) {
        size_t n = w.hi[i] - w.lo[i];
        memcpy(want, v + w.lo[i], n * sizeof(*want));
        qsort(want, n, sizeof(*want), cmp_double);
        for (size_t k = 0; k < n; k++) EXPECT(same(out[k * WALKS + i], want[k]));
    }
}

TEST(walks_are_the_plain_loops)
{
    for (int build = WALKS_PLAIN; build <= WALKS_AVX512; build++) {
        struct prng p = { test_seed() };
        if (!walks_use((enum walks_build)build)) continue;
        for (int i = 0; i < ROUNDS; i++) {
            check_walks(&p);
            check_sums(&p);
            check_sorted(&p);
        }
    }
    walks_use_best();
}

/* Values up to the largest that is taken, times at whole seconds. */
static void check_slide(struct prng *p)
{
    struct data d;
    struct walks w = { .t = d.t, .v = d.v, .n = 1 };
    struct line_slide s;
    double most = 0x1p53 / (double)(UINT64_C(1) << prng_below(p, 53));
    size_t widest = 2 + prng_below(p, 200), behind = prng_below(p, 3) * 3600;
    int64_t at = (int64_t)prng_below(p, 1000);
    for (size_t i = 0; i < N; i++, at += 1000 * (1 + (int64_t)prng_below(p, 4))) {
        d.t[i] = at;
        d.v[i] = i > 0 && prng_below(p, 8) ? d.v[i - 1] : trunc((2 * prng_unit(p) - 1) * most);
    }
    uint64_t far = (behind + widest * 4) * 1000;
    if (!line_slide_init(&s, d.t, d.v, N, widest, far)) {
        EXPECT(most * (double)far / 1000 > 0x1p51);
        return;
    }
    for (size_t lo = 0, hi = 2; lo + 2 <= N && hi <= N;) {
        int64_t t0 = d.t[hi - 1] + (int64_t)behind * 1000;
        w.lo[0] = (uint32_t)lo;
        w.hi[0] = (uint32_t)hi;
        struct line got = line_slide_to(&s, lo, hi, t0), want = line_plain(&w, 0, t0);
        EXPECT(same(got.slope, want.slope) && same(got.intercept, want.intercept));
        hi = MIN(hi + prng_below(p, 9), (size_t)N + (hi == N));
        lo = MAX(lo + prng_below(p, 3), hi > widest ? hi - widest : 0);
        if (lo + 2 > hi) hi = lo + 2;
    }
}

TEST(lines_of_whole_numbers_slide)
{
    struct prng p = { test_seed() };
    for (int i = 0; i < ROUNDS; i++) check_slide(&p);
}

TEST(lines_that_do_not_slide)
{
    struct line_slide s;
    static const int64_t whole[] = { 500, 1500, 4500 }, odd[] = { 500, 1501, 4500 };
    static const double ones[] = { 1, 2, 3 }, halves[] = { 1, 2.5, 3 }, none[] = { 1, NAN, 3 },
                        large[] = { 1, 0x1p53, 3 };
    EXPECT(line_slide_init(&s, whole, ones, 3, 3, 4000));
    EXPECT(!line_slide_init(&s, odd, ones, 3, 3, 4000));
    EXPECT(!line_slide_init(&s, whole, halves, 3, 3, 4000));
    EXPECT(!line_slide_init(&s, whole, none, 3, 3, 4000));
    EXPECT(line_slide_init(&s, whole, large, 3, 3, 1000));
    EXPECT(!line_slide_init(&s, whole, large, 3, 3, 4000));
    EXPECT(!line_slide_init(&s, whole, ones, 3, UINT64_C(1) << 30, 4000));
    EXPECT(!line_slide_init(&s, whole, ones, 0, 0, 0));
}
