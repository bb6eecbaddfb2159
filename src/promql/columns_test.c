#include "promql/columns.h"

#include "base/f64.h"
#include "base/kahan.h"
#include "base/prng.h"
#include "base/test.h"
#include "model/sample.h"

enum { N = 203, ROUNDS = 300 };

static double any_value(struct prng *p)
{
    static const double odd[] = { 0.0, -0.0, 1e300, -1e300, 1e-310, 9007199254740993.0 };
    switch (prng_below(p, 12)) {
    case 0: return INFINITY;
    case 1: return -INFINITY;
    case 2: return NAN;
    case 3: return stale_nan();
    case 4: case 5: return odd[prng_below(p, ARRAY_LEN(odd))];
    case 6: return (double)prng_below(p, 5);
    default: return ((double)prng_below(p, 1 << 30) - (1 << 29)) / 7;
    }
}

static double tame_value(struct prng *p) { return (double)prng_below(p, 1000) / 8; }

/* Equal bits, but for NaN, of which there are many. */
static bool same(double a, double b)
{
    return f64_bits(a) == f64_bits(b) || (isnan(a) && isnan(b));
}

static size_t times_make(struct prng *p, int64_t *t)
{
    size_t n = prng_below(p, N);
    int64_t at = (int64_t)prng_below(p, 50) - 20, step = 1 + (int64_t)prng_below(p, 9);
    for (size_t i = 0; i < n; i++) {
        t[i] = at;
        at += prng_below(p, 10) ? step : 1 + (int64_t)prng_below(p, 40);
    }
    return n;
}

static void each_build(void (*check)(struct prng *p))
{
    for (int plain = 0; plain < 2; plain++) {
        struct prng p = { test_seed() };
        columns_use_plain(plain);
        for (int i = 0; i < ROUNDS; i++) check(&p);
    }
    columns_use_plain(false);
}

static void check_ends(struct prng *p)
{
    int64_t t[N], bound = (int64_t)prng_below(p, 60) - 40, interval = (int64_t)prng_below(p, 30);
    uint32_t ends[N];
    size_t n = times_make(p, t), steps = prng_below(p, N);
    column_ends(ends, steps, t, n, bound, interval);
    for (size_t k = 0; k < steps; k++) {
        uint32_t want = 0;
        while (want < n && t[want] <= bound + (int64_t)k * interval) want++;
        EXPECT_EQ(ends[k], want);
    }
}
TEST(column_ends) { each_build(check_ends); }

static void check_instants(struct prng *p)
{
    int64_t t[N];
    double v[N], out[N];
    uint32_t ends[N];
    uint64_t present[(N + 63) / 64];
    size_t n = times_make(p, t), steps = prng_below(p, N), count = 0;
    for (size_t i = 0; i < n; i++) v[i] = any_value(p);
    struct column_instant c = { t, v, (int64_t)prng_below(p, 60) - 40, 7, 12 };
    column_ends(ends, steps, t, n, c.ref0, c.interval);
    size_t found = column_instants(out, present, &c, ends, steps);
    for (size_t k = 0; k < steps; k++) {
        int64_t ref = c.ref0 + 7 * (int64_t)k;
        size_t i = 0;
        while (i < n && t[i] <= ref) i++;
        bool want = i > 0 && t[i - 1] > ref - 12 && !sample_is_stale(v[i - 1]);
        EXPECT_EQ(present[k / 64] >> (k % 64) & 1, want);
        if (want) EXPECT(same(out[k], v[i - 1]));
        count += want;
    }
    EXPECT_EQ(found, count);
}
TEST(column_instants) { each_build(check_instants); }

static void check_scans(struct prng *p)
{
    double v[N];
    uint32_t falls[N];
    size_t n = prng_below(p, N), want = 0;
    bool odd = prng_below(p, 2), stale = false;
    for (size_t i = 0; i < n; i++) v[i] = odd ? any_value(p) : tame_value(p) + (double)i;
    size_t found = column_falls(falls, v, n);
    for (size_t i = 1; i < n; i++)
        if (v[i] < v[i - 1]) EXPECT(want < found && falls[want++] == i);
    EXPECT_EQ(found, want);
    for (size_t i = 0; i < n; i++) stale |= sample_is_stale(v[i]);
    EXPECT_EQ(column_has_bits(v, n, f64_bits(stale_nan())), stale);
}
TEST(column_scans) { each_build(check_scans); }

static void check_beyond(struct prng *p)
{
    double x[64], bar[64];
    size_t n = prng_below(p, 65);
    bool tame = prng_below(p, 2), max = prng_below(p, 2);
    for (size_t i = 0; i < n; i++) {
        x[i] = tame ? (double)prng_below(p, 3) : any_value(p);
        bar[i] = tame ? 3 - (double)prng_below(p, 3) : any_value(p);
    }
    uint64_t got = column_beyond(x, bar, n, max);
    for (size_t i = 0; i < n; i++)
        EXPECT_EQ(got >> i & 1, max ? !(x[i] <= bar[i]) : !(x[i] >= bar[i]));
    if (n < 64) EXPECT_EQ(got >> n, 0);
}
TEST(column_beyond) { each_build(check_beyond); }

static void check_counts(struct prng *p)
{
    int64_t t[N];
    uint32_t lo[N], hi[N];
    uint64_t all_at[N] = { 0 }, fresh_at[N] = { 0 };
    size_t n = times_make(p, t), steps = 1 + prng_below(p, N - 1);
    int64_t range = (int64_t)prng_below(p, 50), interval = (int64_t)prng_below(p, 30);
    column_ends(lo, steps, t, n, -range, interval);
    column_ends(hi, steps, t, n, 0, interval);
    struct column_counts c = column_count(lo, hi, steps);
    column_count_at(all_at, fresh_at, lo, hi, 0, steps);
    size_t from = prng_below(p, steps + 1), narrow = from;
    while (narrow < steps && hi[narrow] - lo[narrow] >= 2) narrow++;
    EXPECT_EQ(column_narrow(lo, hi, from, steps), narrow);
    bool seen[N] = { false };
    uint64_t all = 0, widest = 0, fresh = 0;
    for (size_t k = 0; k < steps; k++) {
        uint64_t new = 0;
        for (uint32_t i = lo[k]; i < hi[k]; i++) {
            new += !seen[i];
            seen[i] = true;
        }
        EXPECT_EQ(all_at[k], hi[k] - lo[k]);
        EXPECT_EQ(fresh_at[k], new);
        all += hi[k] - lo[k];
        fresh += new;
        widest = MAX(widest, hi[k] - lo[k]);
    }
    EXPECT(c.all == all && c.fresh == fresh && c.widest == widest);
}
TEST(column_counts) { each_build(check_counts); }

static void check_sums(struct prng *p)
{
    double s[N], c[N], x[N], want_s[N], want_c[N];
    size_t n = prng_below(p, N);
    bool odd = prng_below(p, 2), finite = true;
    for (size_t i = 0; i < n; i++) {
        s[i] = want_s[i] = odd ? any_value(p) : tame_value(p);
        c[i] = want_c[i] = tame_value(p) / 1e10;
        x[i] = odd ? any_value(p) : tame_value(p);
        finite &= isfinite(s[i] + x[i]) != 0;
        struct kahan k = { want_s[i], want_c[i] };
        kahan_add(&k, x[i]);
        want_s[i] = k.s;
        want_c[i] = k.c;
    }
    if (prng_below(p, 2)) column_kahan_add(s, c, x, n);
    else if (!column_kahan_add_finite(s, c, x, n)) {
        EXPECT(!finite);
        return;
    }
    for (size_t i = 0; i < n; i++) EXPECT(same(s[i], want_s[i]) && same(c[i], want_c[i]));
}
TEST(column_sums) { each_build(check_sums); }

static void check_extremes(struct prng *p)
{
    double m[2][N], x[N], want[2][N];
    size_t n = prng_below(p, N);
    for (size_t i = 0; i < n; i++) {
        m[0][i] = m[1][i] = want[0][i] = want[1][i] = any_value(p);
        x[i] = any_value(p);
        if (want[0][i] < x[i] || isnan(want[0][i])) want[0][i] = x[i];
        if (want[1][i] > x[i] || isnan(want[1][i])) want[1][i] = x[i];
    }
    column_max(m[0], x, n);
    column_min(m[1], x, n);
    for (size_t i = 0; i < n; i++) EXPECT(same(m[0][i], want[0][i]) && same(m[1][i], want[1][i]));
    column_add(x, 1.5, n);
}
TEST(column_extremes) { each_build(check_extremes); }

static void check_window_extremes(struct prng *p)
{
    double v[N], max[N], min[N];
    uint32_t lo[N], hi[N];
    size_t steps = prng_below(p, N);
    for (size_t i = 0; i < N; i++) v[i] = (double)prng_below(p, 50) - 25;
    for (size_t k = 0; k < steps; k++) {
        lo[k] = (uint32_t)prng_below(p, N);
        hi[k] = lo[k] + (uint32_t)prng_below(p, MIN(N - lo[k], 40) + 1);
        max[k] = min[k] = 1000;
    }
    column_window_extremes(max, v, lo, hi, steps, true);
    column_window_extremes(min, v, lo, hi, steps, false);
    for (size_t k = 0; k < steps; k++) {
        double want_max = lo[k] < hi[k] ? v[lo[k]] : 1000, want_min = want_max;
        for (size_t i = lo[k]; i < hi[k]; i++) {
            if (v[i] > want_max) want_max = v[i];
            if (v[i] < want_min) want_min = v[i];
        }
        EXPECT(same(max[k], want_max) && same(min[k], want_min));
    }
}
TEST(column_window_extremes) { each_build(check_window_extremes); }

/* The steps of the growth's way to a rate, one after the other. */
static double rate_plainly(const struct column_rate *r, size_t k)
{
    uint32_t lo = r->lo[k], hi = r->hi[k];
    int64_t end = r->end0 + (int64_t)k * r->interval, start = end - r->range_ms;
    double growth = r->v[hi - 1] - r->v[lo];
    double to_start = (double)(r->t[lo] - start) / 1000;
    double to_end = (double)(end - r->t[hi - 1]) / 1000;
    double sampled = (double)(r->t[hi - 1] - r->t[lo]) / 1000, average = sampled / (hi - lo - 1);
    if (to_start >= average * 1.1) to_start = average / 2;
    if (r->counter && growth > 0 && r->v[lo] >= 0) {
        double to_zero = sampled * (r->v[lo] / growth);
        if (to_zero < to_start) to_start = to_zero;
    }
    if (to_end >= average * 1.1) to_end = average / 2;
    double factor = (sampled + to_start + to_end) / sampled;
    if (r->per_second) factor /= r->range_s;
    return growth * factor;
}

static void check_rates(struct prng *p)
{
    int64_t t[N];
    double v[N], out[N];
    uint32_t lo[N], hi[N];
    size_t n = times_make(p, t), steps = prng_below(p, N);
    bool odd = prng_below(p, 2);
    for (size_t i = 0; i < n; i++) v[i] = odd ? any_value(p) : tame_value(p) + (double)i * 10;
    int64_t end0 = (int64_t)prng_below(p, 60), interval = 1 + (int64_t)prng_below(p, 30);
    struct column_rate r = { t, v, lo, hi, end0, interval, 1 + (int64_t)prng_below(p, 90), 0.07,
        prng_below(p, 2), prng_below(p, 2) };
    column_ends(lo, steps, t, n, r.end0 - r.range_ms, r.interval);
    column_ends(hi, steps, t, n, r.end0, r.interval);
    for (size_t k = 0; k + 4 <= steps; k += 4) {
        bool two = true;
        for (size_t i = k; i < k + 4; i++) two &= hi[i] >= lo[i] + 2;
        if (!two) continue;
        column_rates(out, &r, k, 4);
        for (size_t i = k; i < k + 4; i++) EXPECT(same(out[i], rate_plainly(&r, i)));
    }
}
TEST(column_rates) { each_build(check_rates); }
