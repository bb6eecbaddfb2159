/* Answers that are kept, against an engine that keeps none: random ranges of expressions of every
 * kind over series that come and go, while samples are added; every bit is compared. */
#include "promql/result_cache.h"

#include "base/prng.h"
#include "io/thread.h"
#include "promql/test_script_store.h"
#include "storage/changes.h"

#include <stdio.h>

enum { MINUTE_MS = 60000, SERIES = 24, BEGUN = 90, ROUNDS = 24 };

struct world {
    struct prng r;
    struct memstore *m;
    struct engine *plain, *keeps;
    int64_t minute;                            /* of the newest samples */
    unsigned alive;                            /* bits: series that have samples now */
};

static struct engine *engine_with(const struct engine_opts *of, uint64_t bytes)
{
    struct engine_opts o = script_engine_opts();
    o.delayed_name_removal = of->delayed_name_removal;
    o.max_samples = of->max_samples ? of->max_samples : 1000000;
    o.result_cache_bytes = bytes;
    return engine_new(&o);
}

static struct label label(const char *name, const char *value)
{
    return (struct label){ str_z(name), str_z(value) };
}

static void add(struct world *w, const struct label *at, size_t n, int64_t t, double v)
{
    EXPECT_OK(memstore_add(w->m, (struct labels){ at, n }, t, v, NULL));
}

/* A minute of samples: a gauge with ties and numbers whose order is seen in sums, a counter with
 * resets, classic buckets of which two have one bound. */
static void world_minute(struct world *w)
{
    static const double values[] = { 0, -0.0, 1, 1, 2, 3, 0.1, 0.7, 1e16, -1e16, 1e-9, 5 };
    static const char *const les[] = { "0.1", "1", "1.0", "+Inf" };
    int64_t t = ++w->minute * MINUTE_MS;
    for (unsigned i = 0; i < SERIES; i++) {
        char pod[] = { 'p', (char)('a' + i % 7), 0 }, id[] = { (char)('a' + i), 0 };
        if (prng_below(&w->r, 25) == 0) w->alive ^= 1u << i;
        if (!(w->alive >> i & 1)) continue;
        double v = values[prng_below(&w->r, ARRAY_LEN(values))];
        struct label g[] = { label("__name__", "g"), label("i", id), label("pod", pod) };
        /* of some the name changes: they are called the same without it, at other times */
        bool other = i % 5 == 0 && (i % 2 || w->minute / 40 % 2);
        struct label c[] = { label("__name__", other ? "d_total" : "c_total"), label("i", id),
            label("pod", pod) };
        add(w, g, ARRAY_LEN(g), t, prng_below(&w->r, 40) ? v : stale_nan());
        add(w, c, ARRAY_LEN(c), t, (double)(w->minute % 17 * (int64_t)(i + 1)) / 3);
        struct label b[] = { label("__name__", "b_bucket"),
            label("le", les[i % ARRAY_LEN(les)]), label("pod", pod) };
        if (i < 20) add(w, b, ARRAY_LEN(b), t + i, (double)((i % ARRAY_LEN(les) + 1) * 7) / 3);
    }
    struct label up[] = { label("__name__", "up"), label("zone", "z") };
    add(w, up, ARRAY_LEN(up), t, 1);
}

static void world_begin(struct world *w, const struct engine_opts *o)
{
    *w = (struct world){ .r = { test_seed() }, .m = memstore_new(), .alive = 0x3ffff };
    w->plain = engine_with(o, 0);
    w->keeps = engine_with(o, o->result_cache_bytes);
    for (int i = 0; i < BEGUN; i++) world_minute(w);
}

static void world_end(struct world *w)
{
    engine_free(w->plain);
    engine_free(w->keeps);
    memstore_free(w->m);
}

static errc ask(struct world *w, bool keeps, const struct query_opts *o, struct result *r,
    struct err *e)
{
    *e = (struct err){ 0 };
    return engine_query(
        keeps ? w->keeps : w->plain, memstore_queryable(w->m), o, r, e);
}

static void expect_same_row(const struct result_series *a, const struct result_series *b)
{
    EXPECT(labels_eq(a->labels, b->labels));
    EXPECT_EQ(a->n, b->n);
    for (size_t k = 0; k < a->n && k < b->n; k++) {
        EXPECT_EQ(a->t[k], b->t[k]);
        EXPECT_EQ(f64_bits(a->v[k]), f64_bits(b->v[k]));
    }
}

static void expect_same(struct world *w, const struct query_opts *o)
{
    struct result want, got;
    struct err why, e;
    errc rc = ask(w, false, o, &want, &why), now = ask(w, true, o, &got, &e);
    EXPECT_EQ(now, rc);
    if (rc != OK) EXPECT_STR(err_str(&e), err_str(&why));
    if (rc == OK && now == OK) {
        EXPECT_EQ(want.n_series, got.n_series);
        EXPECT_EQ(want.n_warnings + want.n_infos, got.n_warnings + got.n_infos);
        for (size_t i = 0; i < want.n_series && i < got.n_series; i++)
            expect_same_row(&want.series[i], &got.series[i]);
    }
    if (rc == OK) promql_result_fini(&want);
    if (now == OK) promql_result_fini(&got);
}

static const char *const expressions[] = {
    "g", "g offset 3m", "g offset -2m", "g @ 3000", "g @ start()", "g @ end()", "-g", "g * 2",
    "g > 1", "1 > bool g", "time() - g", "up", "nothing", "1", "time()", "vector(time())",
    "scalar(up)", "{__name__=~\"c_total|d_total\"}", "rate(c_total[5m])",
    "rate({__name__=~\"c_total|d_total\"}[5m])", "increase(d_total[3m] offset 1m)",
    "delta(g[4m])", "irate(c_total[10m])", "changes(g[9m])", "sum(g)", "sum by (pod) (g)",
    "avg by (pod) (g)", "stddev by (pod) (g)", "stdvar(g)", "min(g)", "max by (pod) (g)",
    "count by (pod) (g)", "group by (i) (g)", "quantile by (pod) (0.4, g)", "topk(3, g)",
    "bottomk by (pod) (1, g)", "limitk(2, g)", "limit_ratio(0.4, g)", "count_values(\"v\", g)",
    "sum without (i) (g)", "sum by (__name__) ({pod=~\"p[abc]\"})", "topk(2, sum by (pod) (g))",
    "sum(sum by (pod) (g))", "avg(avg without (i) (g))", "stddev(sum by (i) (g))",
    "max(sum by (pod) (g))", "count(sum by (pod) (g))", "quantile(0.5, sum by (pod) (g))",
    "sum by (pod) (rate(c_total[5m])) / sum by (pod) (rate(d_total[5m]))",
    "avg(g * on (i) c_total)", "stddev(g - on (i) group_left (pod) d_total)",
    "g and on (i) d_total", "g or c_total", "sum(g or c_total)", "g unless on (pod) (g > 2)",
    "avg(g or on (i) d_total)", "g == g", "g + on (pod) g", "avg_over_time(g[7m])",
    "sum_over_time(g[20m])", "quantile_over_time(0.3, g[6m])", "last_over_time(g[4m])",
    "stddev_over_time(g[15m])", "present_over_time(g[2m])", "absent(g{i=\"c\"})",
    "absent_over_time(g{i=\"b\"}[3m])", "deriv(g[6m])", "predict_linear(g[6m], 60)",
    "predict_linear(g[6m] @ 3000, 60)", "max_over_time(g[40m])",
    "avg_over_time(sum by (pod) (g)[6m:1m])", "max_over_time(rate(c_total[3m])[10m:90s])",
    "sum_over_time(avg(g * on (i) c_total)[5m:1m])", "count_over_time(g[10m:])",
    "rate(({__name__=~\"c_total|d_total\"})[5m:1m])", "sum(avg_over_time(topk(2, g)[5m:1m]))",
    "last_over_time(topk(2, sum by (pod) (g))[5m:1m])", "histogram_quantile(0.9, b_bucket)",
    "histogram_quantile(0.7, sum by (le) (b_bucket))",
    "histogram_quantile(0.7, sum by (le, pod) (rate(b_bucket[5m])))",
    "histogram_fraction(0, 0.5, b_bucket)", "label_replace(g, \"pod\", \"x\", \"i\", \"[a-m]\")",
    "avg(label_join(g, \"q\", \"\", \"pod\", \"i\"))",
    "sum(label_replace(g, \"i\", \"x\", \"pod\", \"p[a-c]\"))", "abs(g)", "clamp(g, 0, 2)",
    "round(g, 2)", "stddev(abs({__name__=~\"c_total|d_total\"}))", "timestamp(g)",
    "timestamp(g * 1)", "day_of_week(g)", "sgn(g)", "sort_by_label(g, \"i\")",
    "avg(sort_by_label_desc(g, \"i\"))", "sort(g)", "g smoothed", "rate(c_total[5m] smoothed)",
    "rate(c_total[5m] anchored)", "avg_over_time(g[range()])", "avg_over_time(g[step() * 3])",
    "g offset step()", "sum(g) by (pod) > scalar(sum(up))", "info(g)", "scalar(sum(g)) + g",
    "sum_over_time(up[30m])", "avg_over_time(up[30m])", "avg_over_time(d_total[40m])",
    "sum_over_time(d_total[30m])", "stdvar_over_time(c_total[50m])",
    "min_over_time(c_total[30m])", "rate(c_total[30m])", "deriv(c_total[30m])",
    "quantile_over_time(0.3, c_total[30m])", "mad_over_time(c_total[30m])",
    "resets(c_total[30m])", "ts_of_max_over_time(c_total[30m])",
    "avg_over_time(sum(c_total)[30m:1m])", "double_exponential_smoothing(c_total[30m], 0.3, 0.4)",
    "avg_over_time(c_total[30m] @ 3000)", "sum_over_time(g[6m]) / count_over_time(g[6m])",
    "topk(scalar(count(g)) - 20, g)", "mad_over_time(g[9m])", "absent(sum(g > 100))", "end() - g",
    "g * start()",
};

static void world_ask(struct world *w, const char *text, int64_t end, int64_t steps, int64_t step)
{
    test_case(text);
    struct query_opts o = { .query = str_z(text),
        .end_ms = end,
        .start_ms = end - steps * step,
        .step_ms = step };
    if (prng_below(&w->r, 4) == 0) o.end_ms += (int64_t)prng_below(&w->r, (uint64_t)step);
    expect_same(w, &o);
}

static void ask_all(const struct engine_opts *o)
{
    static const int64_t steps[] = { MINUTE_MS, 3 * MINUTE_MS, 45000 };
    struct world w;
    world_begin(&w, o);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t step = steps[prng_below(&w.r, 5) % ARRAY_LEN(steps)];
        int64_t end = w.minute * MINUTE_MS / step * step;
        int64_t back = prng_below(&w.r, 3) ? 0 : (int64_t)prng_below(&w.r, 30);
        int64_t n = prng_below(&w.r, 3) ? 20 : (int64_t)prng_below(&w.r, 40);
        for (size_t i = 0; i < ARRAY_LEN(expressions); i++)
            world_ask(&w, expressions[i], end - back * step, n, step);
        if (prng_below(&w.r, 2)) world_minute(&w);
    }
    world_end(&w);
}

TEST(kept_answers_are_those_of_an_evaluation)
{
    ask_all(&(struct engine_opts){ .result_cache_bytes = 4 << 20 });
}

TEST(kept_answers_where_names_are_dropped_at_the_end)
{
    ask_all(&(struct engine_opts){ .result_cache_bytes = 4 << 20, .delayed_name_removal = true });
}

TEST(kept_answers_in_little_room_and_with_few_samples)
{
    ask_all(&(struct engine_opts){ .result_cache_bytes = 1 << 16, .max_samples = 1500 });
}

/* Is it, this time, out of what was kept? */
static bool is_kept(struct world *w, const struct query_opts *o)
{
    struct result r;
    struct err e;
    EXPECT_OK(ask(w, true, o, &r, &e));
    bool kept = r.kept != NULL;
    promql_result_fini(&r);
    return kept;
}

TEST(kept_answers_are_found)
{
    struct world w;
    world_begin(&w, &(struct engine_opts){ .result_cache_bytes = 4 << 20 });
    struct query_opts o = { .query = S("sum by (pod) (g)"),
        .start_ms = 40 * MINUTE_MS,
        .end_ms = 60 * MINUTE_MS,
        .step_ms = MINUTE_MS };
    EXPECT(!is_kept(&w, &o));
    EXPECT(is_kept(&w, &o));
    o.end_ms += 5 * MINUTE_MS;
    o.start_ms += 5 * MINUTE_MS;
    EXPECT(is_kept(&w, &o));               /* but for five steps */
    EXPECT(is_kept(&w, &o));
    world_minute(&w);                      /* behind the query's times */
    EXPECT(is_kept(&w, &o));
    o.stats = true;
    EXPECT(!is_kept(&w, &o));
    o.stats = false;
    o.lookback_ms = 1;
    EXPECT(!is_kept(&w, &o));
    o.lookback_ms = 0;
    o.start_ms += 1;
    EXPECT(!is_kept(&w, &o));
    memstore_clear(w.m);
    o.start_ms -= 1;
    EXPECT(!is_kept(&w, &o));
    world_end(&w);
}

/* The greatest of all at a step are those of any range of steps, unless equal values are chosen
 * from by the order of rows. */
TEST(kept_answers_of_the_greatest_are_found_without_ties)
{
    static const struct { const char *query; bool some; } cases[] = {
        { "topk(2, sum by (pod) (k))", true },
        { "bottomk(1, -sum by (pod) (k))", true },
        { "topk(1, sum by (pod) (k * 0))", false },
        { "bottomk(1, sum by (pod) (k * 0))", false },
        { "topk(100, sum by (pod) (k * 0))", true },
        { "topk(1, sum by (pod) (k * NaN))", false },
        { "limitk(1, sum by (pod) (k))", false },
    };
    struct world w;
    world_begin(&w, &(struct engine_opts){ .result_cache_bytes = 4 << 20 });
    for (int64_t minute = 50; minute < 70; minute++)
        for (unsigned i = 0; i < 6; i++) {
            char pod[] = { (char)('a' + i), 0 };
            struct label k[] = { label("__name__", "k"), label("pod", pod) };
            add(&w, k, ARRAY_LEN(k), minute * MINUTE_MS, (double)(i + minute));
        }
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].query);
        struct query_opts o = { .query = str_z(cases[i].query),
            .start_ms = 57 * MINUTE_MS,
            .end_ms = 65 * MINUTE_MS,
            .step_ms = MINUTE_MS };
        EXPECT(!is_kept(&w, &o));
        EXPECT(is_kept(&w, &o));
        o.end_ms += 2 * MINUTE_MS;
        EXPECT_EQ(is_kept(&w, &o), cases[i].some);
        EXPECT(is_kept(&w, &o));
    }
    world_end(&w);
}

/* Who holds an answer holds it, also where there is room for few others. */
TEST(kept_answers_go_when_there_is_no_room)
{
    enum { QUERIES = 40 };
    struct world w;
    world_begin(&w, &(struct engine_opts){ .result_cache_bytes = 1 << 17 });
    struct result held, want;
    struct err e;
    struct query_opts o = { .query = S("g"),
        .start_ms = 40 * MINUTE_MS,
        .end_ms = 60 * MINUTE_MS,
        .step_ms = MINUTE_MS };
    EXPECT(!is_kept(&w, &o));
    EXPECT_OK(ask(&w, true, &o, &held, &e));
    EXPECT(held.kept != NULL);
    for (int i = 0; i < QUERIES; i++) {
        char text[16];
        snprintf(text, sizeof(text), "g + %d", i);
        struct query_opts other = o;
        other.query = str_z(text);
        EXPECT(!is_kept(&w, &other));
        EXPECT(is_kept(&w, &other));
    }
    EXPECT(!is_kept(&w, &o));
    EXPECT_OK(ask(&w, false, &o, &want, &e));
    EXPECT_EQ(want.n_series, held.n_series);
    for (size_t i = 0; i < want.n_series; i++)
        expect_same_row(&want.series[i], &held.series[i]);
    promql_result_fini(&want);
    promql_result_fini(&held);
    world_end(&w);
}

/* Beside a writer, who says how far it is when it was told so: every answer has as much. */
enum { ASKERS = 3, TOLD = 300 };
static struct {
    struct world w;
    _Atomic int told, wrong, kept;
    _Atomic bool over;
} beside;

static void asker(void *arg UNUSED)
{
    struct query_opts o = { .query = S("count_over_time(n[1h])"),
        .start_ms = 30 * MINUTE_MS,
        .end_ms = 60 * MINUTE_MS,
        .step_ms = 10 * MINUTE_MS };
    while (!atomic_load(&beside.over)) {
        struct result r;
        struct err e;
        int least = atomic_load(&beside.told);
        EXPECT_OK(ask(&beside.w, true, &o, &r, &e));
        int last = r.n_series ? (int)r.series[0].v[r.series[0].n - 1] : 0;
        if (last < least) atomic_fetch_add(&beside.wrong, 1);
        if (r.kept) atomic_fetch_add(&beside.kept, 1);
        promql_result_fini(&r);
    }
}

TEST(kept_answers_have_what_was_told)
{
    struct thread *askers[ASKERS];
    struct label n[] = { label("__name__", "n") };
    struct query_opts plain = { .query = S("1"), .end_ms = MINUTE_MS, .step_ms = MINUTE_MS };
    world_begin(&beside.w, &(struct engine_opts){ .result_cache_bytes = 1 << 20 });
    for (int i = 0; i < ASKERS; i++) askers[i] = thread_start("asker", asker, NULL);
    for (int i = 0; i < TOLD; i++) {
        add(&beside.w, n, ARRAY_LEN(n), (int64_t)(i + 1) * 60 * MINUTE_MS / TOLD, 1);
        atomic_store(&beside.told, i + 1);
        int kept = atomic_load(&beside.kept);
        while (i % 30 == 0 && atomic_load(&beside.kept) == kept) (void)is_kept(&beside.w, &plain);
    }
    atomic_store(&beside.over, true);
    for (int i = 0; i < ASKERS; i++) thread_join(askers[i]);
    EXPECT_EQ(atomic_load(&beside.wrong), 0);
    world_end(&beside.w);
}
