#include "promql/engine.h"

#include "base/f64.h"
#include "base/test.h"
#include "storage/memstore.h"

#include <math.h>

enum { SAMPLES = 600, GAP_MS = 15000 };
enum shape { INTEGERS, FRACTIONS, CANCELLING, SPECIALS, COUNTER, SHAPES };

static double value_of(enum shape shape, struct prng *r, double last)
{
    static const double specials[] = { 0, -0.0, INFINITY, -INFINITY, NAN, 1e308, -1e308, 5e-324 };
    switch (shape) {
    case INTEGERS: return (double)(int64_t)(prng_below(r, 2000001)) - 1000000;
    case FRACTIONS: return prng_unit(r) * 2000 - 1000;
    case CANCELLING: return prng_below(r, 3) ? prng_unit(r) : prng_below(r, 2) ? 1e100 : -1e100;
    case SPECIALS:
        return prng_below(r, 2) ? prng_unit(r) : specials[prng_below(r, ARRAY_LEN(specials))];
    case COUNTER: return prng_below(r, 20) ? last + (double)prng_below(r, 100) : 0;
    case SHAPES: break;
    }
    return 0;
}

static void fill(struct memstore *m, enum shape shape, struct prng *r)
{
    struct label l = { METRIC_NAME, S("x_total") };
    double v = 0;
    for (int64_t i = 0; i < SAMPLES; i++) {
        if (prng_below(r, 10) == 0) continue;
        v = value_of(shape, r, v);
        EXPECT_OK(memstore_add(
            m, (struct labels){ &l, 1 }, i * GAP_MS + (int64_t)prng_below(r, 50), v, NULL));
    }
}

static bool close_to(double a, double b)
{
    return f64_bits(a) == f64_bits(b) || (isnan(a) && isnan(b)) ||
           fabs(a - b) <= 1e-12 * fmax(fabs(a), fabs(b));
}

/* Each step of a range query, where windows slide and sums are joined from pieces, is what an
 * instant query gives, which sums afresh. */
static void check_steps(struct engine *en, struct memstore *m, const char *query, bool exact)
{
    struct query_opts o = {
        .query = str_z(query), .start_ms = 0, .end_ms = SAMPLES * GAP_MS, .step_ms = 37000
    };
    struct result all, one;
    EXPECT_OK(engine_query(en, memstore_queryable(m), &o, &all, NULL));
    EXPECT_EQ(all.n_series, 1);
    for (size_t i = 0; i < all.series[0].n; i += 7) {
        struct point p = result_point(&all.series[0], i);
        struct query_opts at = {
            .query = o.query, .start_ms = p.t, .end_ms = p.t, .instant = true
        };
        EXPECT_OK(engine_query(en, memstore_queryable(m), &at, &one, NULL));
        EXPECT_EQ(one.n_series, 1);
        double v = one.series[0].v[0];
        EXPECT(exact ? f64_bits(v) == f64_bits(p.v) || (isnan(v) && isnan(p.v)) : close_to(v, p.v));
        promql_result_fini(&one);
    }
    promql_result_fini(&all);
}

TEST(windows_slide_as_they_stand)
{
    enum kind { EXACT, SUMS, JOINED };      /* SUMS: exact where the values are whole numbers */
    static const struct { const char *query; enum kind kind;
    } cases[] = {
        { "sum_over_time(x_total[30m])", SUMS },
        { "avg_over_time(x_total[30m])", SUMS },
        { "min_over_time(x_total[30m])", EXACT },
        { "max_over_time(x_total[20m])", EXACT },
        { "ts_of_max_over_time(x_total[9m])", EXACT },
        { "ts_of_min_over_time(x_total[9m])", EXACT },
        { "rate(x_total[4m])", EXACT },
        { "increase(x_total[30m])", EXACT },
        { "delta(x_total[3m])", EXACT },
        { "irate(x_total[2m])", EXACT },
        { "changes(x_total[10m])", EXACT },
        { "resets(x_total[10m])", EXACT },
        { "quantile_over_time(0.3, x_total[5m])", EXACT },
        { "quantile_over_time(0.9, x_total[40m])", EXACT },
        { "quantile_over_time(scalar(x_total) / 1000, x_total[20m])", EXACT },
        { "mad_over_time(x_total[5m])", EXACT },
        { "mad_over_time(x_total[40m])", EXACT },
        { "stddev_over_time(x_total[4m])", EXACT },
        { "stddev_over_time(x_total[40m])", JOINED },
        { "stdvar_over_time(x_total[25m])", JOINED },
        { "avg_over_time(x_total[4m])", EXACT },
        { "sum_over_time(x_total[6h])", SUMS },
        { "deriv(x_total[5m])", EXACT },
        { "predict_linear(x_total[5m], 60)", EXACT },
        { "double_exponential_smoothing(x_total[5m], 0.5, 0.3)", EXACT },
        { "count_over_time(x_total[7m])", EXACT },
        { "first_over_time(x_total[7m])", EXACT },
        { "last_over_time(x_total[7m])", EXACT },
        { "sum_over_time(x_total[6m:30s])", SUMS },
    };
    struct prng r = { test_seed() };
    struct engine_opts o = { .parse = { .experimental_functions = true } };
    struct engine *en = engine_new(&o);
    for (int shape = 0; shape < SHAPES; shape++) {
        struct memstore *m = memstore_new();
        fill(m, (enum shape)shape, &r);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            test_case(cases[i].query);
            bool whole = shape == INTEGERS || shape == COUNTER;
            bool exact = cases[i].kind == EXACT || (cases[i].kind == SUMS && whole);
            check_steps(en, m, cases[i].query, exact);
        }
        memstore_free(m);
    }
    engine_free(en);
}

static void check_line(struct engine *en, struct memstore *m, const char *query, int64_t t)
{
    struct query_opts o = {
        .query = str_z(query), .start_ms = t, .end_ms = t, .instant = true
    };
    struct result r;
    test_case(query);
    EXPECT_OK(engine_query(en, memstore_queryable(m), &o, &r, NULL));
    EXPECT_EQ(r.n_series, 1);
    EXPECT(fabs(r.series[0].v[0] - (double)t / 1000) < 1e-9);
    promql_result_fini(&r);
}

/* A line is asked for at times around its samples, which are whole seconds apart; most of those
 * times are not. */
TEST(windows_of_lines_asked_from_afar)
{
    static const char *const queries[] = { "predict_linear(x_total[10s] @ 20, 0)",
        "predict_linear(x_total[10s] offset -20s, 0)", "predict_linear(x_total[10s] @ 1, 0)" };
    static const int64_t times_ms[] = { 384, 383, 616, 1000, 9384, 30000, 30384, 30616 };
    struct memstore *m = memstore_new();
    struct engine *en = engine_new(&(struct engine_opts){ 0 });
    struct label l = { METRIC_NAME, S("x_total") };
    for (int64_t i = -20; i <= 60; i++)
        EXPECT_OK(memstore_add(m, (struct labels){ &l, 1 }, i * 1000, (double)i, NULL));
    for (size_t q = 0; q < ARRAY_LEN(queries); q++)
        for (size_t i = 0; i < ARRAY_LEN(times_ms); i++)
            check_line(en, m, queries[q], times_ms[i]);
    engine_free(en);
    memstore_free(m);
}

static struct label name = { METRIC_NAME, S("h") };

/* h NULL: a float */
static void put_one(struct memstore *m, int64_t t, double v, const struct histogram *h)
{
    struct appendable *to = memstore_appendable(m);
    struct appender *a;
    series_handle s;
    EXPECT_OK(to->ops->begin(to, &a, NULL));
    EXPECT_OK(a->ops->series(a, (struct labels){ &name, 1 }, &s, NULL));
    if (h) EXPECT_OK(a->ops->histogram(a, s, t, 0, NULL, h, NULL));
    else EXPECT_OK(a->ops->append(a, s, t, v, 0, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
}

static void put_histogram(struct memstore *m, int64_t t, double count)
{
    static struct span one[] = { { 0, 1 } };
    put_one(m, t, 0, &(struct histogram){ .count = count, .pos = { one, 1, &count, 1 } });
}

/* As the reference has it: the last of floats is found beside that of histograms, which is 0 where
 * there is none. */
TEST(windows_that_end_before_time_0)
{
    struct memstore *m = memstore_new();
    struct engine *en = engine_new(&(struct engine_opts){ .parse = { true, true, true, true } });
    check_line(en, m, "ts_of_last_over_time(vector(1)[1m:5s] @ -1)", 0);
    check_line(en, m, "ts_of_first_over_time(vector(1)[1m:5s] @ -1)", -60000);
    check_line(en, m, "ts_of_last_over_time(vector(1)[1m:5s] @ 12)", 10000);
    put_histogram(m, -20000, 1);
    check_line(en, m, "ts_of_last_over_time(h[1m])", 0);           /* of none but histograms */
    EXPECT_OK(memstore_add(m, (struct labels){ &name, 1 }, -15000, 1, NULL));
    check_line(en, m, "ts_of_last_over_time(h[1m] @ -1)", -15000);
    put_histogram(m, -10000, 2);
    check_line(en, m, "ts_of_last_over_time(h[1m] @ -1)", -10000);
    check_line(en, m, "ts_of_first_over_time(h[1m] @ -1)", -20000);
    engine_free(en);
    memstore_free(m);
}

/* A counter of histograms with all that there may be in between: resets, gaps, stale markers,
 * floats, gauges, other buckets. */
static void fill_histograms(struct memstore *m, struct prng *r)
{
    static struct span spans[][2] = { { { 1, 3 }, { 2, 2 } }, { { 1, 5 }, { 0, 0 } } };
    double at[5] = { 0 };
    size_t layout = 0;
    for (int64_t t = 0; t < 300 * GAP_MS; t += GAP_MS + (int64_t)prng_below(r, 50)) {
        struct histogram h = { .hint = RESET_UNKNOWN };
        if (prng_below(r, 50) == 0) t += (int64_t)prng_below(r, 40) * GAP_MS;
        if (prng_below(r, 60) == 0) memset(at, 0, sizeof(at));
        if (prng_below(r, 40) == 0) layout = !layout;
        for (size_t i = 0; i < 5; i++) h.count += at[i] += (double)prng_below(r, 7);
        h.sum = prng_below(r, 25) ? h.count / 3 : stale_nan();
        if (prng_below(r, 90) == 0) h.hint = RESET_GAUGE;
        h.pos = (struct histogram_side){ spans[layout], layout ? 1 : 2, at, 5 };
        if (prng_below(r, 40)) put_one(m, t, 0, &h);
        else put_one(m, t, prng_below(r, 2) ? 1 : stale_nan(), NULL);
    }
}

static str text_of_point(struct arena *a, const struct point *p)
{
    struct buf b = { 0 };
    if (p->h) histogram_text(&b, p->h);
    else buf_fmt(&b, "%a", p->v);
    str s = arena_str(a, buf_view(&b));
    buf_fini(&b);
    return s;
}

/* Of each step the histograms are what an evaluation at its time alone has. */
static void check_histograms(struct engine *en, struct memstore *m, const char *query, int64_t step)
{
    struct query_opts o = { .query = str_z(query), .end_ms = 310 * GAP_MS, .step_ms = step };
    struct result all, one;
    size_t at = 0;
    struct arena a = { 0 };
    test_case(query);
    EXPECT_OK(engine_query(en, memstore_queryable(m), &o, &all, NULL));
    for (int64_t t = 0; t <= o.end_ms; t += step) {
        struct query_opts now = { .query = o.query, .start_ms = t, .end_ms = t, .instant = true };
        EXPECT_OK(engine_query(en, memstore_queryable(m), &now, &one, NULL));
        bool here = all.n_series && at < all.series[0].n && all.series[0].t[at] == t;
        EXPECT_EQ(here, one.n_series);
        if (here && one.n_series) {
            struct point p = result_point(&all.series[0], at), q = result_point(&one.series[0], 0);
            EXPECT_STR(text_of_point(&a, &p), text_of_point(&a, &q));
        }
        at += here;
        promql_result_fini(&one);
    }
    promql_result_fini(&all);
    arena_fini(&a);
}

TEST(windows_of_histograms_read_at_their_ends)
{
    static const char *const queries[] = { "rate(h[5m])", "increase(h[100s])", "delta(h[7m])",
        "rate(h[31s])", "increase(h[5m] offset 2m)", "histogram_count(rate(h[5m]))",
        "histogram_sum(increase(h[100s]))", "rate(h[5m] @ 900)" };
    static const int64_t steps[] = { 7000, 15000, 60000, 400000 };
    struct engine *en = engine_new(&(struct engine_opts){ 0 });
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct prng r = { test_seed() + seed };
        struct memstore *m = memstore_new();
        fill_histograms(m, &r);
        for (size_t q = 0; q < ARRAY_LEN(queries); q++)
            for (size_t i = 0; i < ARRAY_LEN(steps); i++)
                check_histograms(en, m, queries[q], steps[i]);
        memstore_free(m);
    }
    engine_free(en);
}
