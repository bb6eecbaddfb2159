#include "promql/engine.h"

#include "promql/explain.h"

#include "base/clock.h"
#include "base/f64.h"
#include "base/lock.h"
#include "base/test.h"
#include "base/test_vectors.h"
#include "io/thread.h"
#include "promql/result_json.h"
#include "promql/script_run.h"
#include "promql/test_script_store.h"
#include "storage/merge.h"

/* "{a="x"} 1@0 2@60 {…} …; warning text": rows, points with seconds, then what else came; or the
 * error's words. */
static str text_from(struct engine *en, struct queryable *storage, const struct query_opts *o,
    struct arena *a, errc *rc)
{
    struct result r;
    struct err e = { 0 };
    struct buf b = { 0 };
    *rc = engine_query(en, storage, o, &r, &e);
    if (*rc != OK) return arena_str(a, err_str(&e));
    for (size_t i = 0; i < r.n_series; i++) {
        if (b.n) buf_u8(&b, ' ');
        buf_labels(&b, r.series[i].labels);
        for (size_t k = 0; k < r.series[i].n; k++) {
            buf_u8(&b, ' ');
            struct point p = result_point(&r.series[i], k);
            if (p.h) histogram_text(&b, p.h);
            else buf_f64_api(&b, p.v);
            str at = arena_fmt(a, "@%" PRId64, p.t / 1000);
            buf_str(&b, at);
        }
    }
    for (size_t i = 0; i < r.n_warnings + r.n_infos; i++) {
        buf_str(&b, S("; "));
        buf_str(&b, i < r.n_warnings ? r.warnings[i] : r.infos[i - r.n_warnings]);
    }
    str text = arena_str(a, buf_view(&b));
    buf_fini(&b);
    promql_result_fini(&r);
    return text;
}

static str result_text(
    struct engine *en, struct memstore *m, const struct query_opts *o, struct arena *a, errc *rc)
{
    return text_from(en, memstore_queryable(m), o, a, rc);
}

static const char data[] =
    "load 1m\n"
    "  c_total{a=\"x\"} 0 60 120 0 60 120\n"
    "  c_total{a=\"y\"} 0+120x5\n"
    "  g{a=\"x\"} 1 2 stale _ 5 6\n"
    "  g{a=\"y\"} 1e100 1 -1e100 7 7 7\n"
    "  one{b=\"k\"} 3x5\n"
    "  h{a=\"x\"} {{schema:0 sum:4 count:4 buckets:[1 2 1]}}+{{schema:0 sum:4 count:4 buckets:[1 2 "
    "1]}}x5\n"
    "  h{a=\"y\"} {{schema:1 sum:1 count:2 buckets:[2]}}x5\n"
    "  custom {{schema:-53 sum:1 count:3 custom_values:[5 10] buckets:[1 2]}}x5\n"
    "  mixed 1 2 {{schema:0 sum:1 count:1 buckets:[1]}}\n"
    "  z{a=\"x\"} 5x5\n"
    "  bounds {{schema:-53 count:3 custom_values:[5 10] buckets:[1 2]}} _ "
    "{{schema:-53 count:3 custom_values:[4 10] buckets:[1 2]}}\n";

struct query_case {
    const char *name, *query;
    int64_t start_s, end_s, step_s;
    const char *want;
    errc rc;
};

static void run_cases(const struct query_case *cases, size_t n, const struct engine_opts *eo)
{
    struct memstore *m = store_of(data);
    struct engine *en = engine_new(eo);
    struct arena a;
    arena_init(&a, NULL, 0);
    for (const struct query_case *c = cases; c < cases + n; c++) {
        test_case(c->name);
        struct query_opts o = { .query = str_z(c->query),
            .start_ms = c->start_s * 1000,
            .end_ms = c->end_s * 1000,
            .step_ms = c->step_s * 1000 };
        o.instant = c->step_s == 0;
        errc rc;
        EXPECT_STR(result_text(en, m, &o, &a, &rc), str_z(c->want));
        EXPECT_EQ(rc, c->rc);
    }
    arena_fini(&a);
    engine_free(en);
    memstore_free(m);
}

#define X100                                                                                       \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"                                           \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X500 X100 X100 X100 X100 X100

TEST(engine_queries)
{
    static const struct query_case cases[] = {
        { "selector", "one", 60, 60, 0, "{__name__=\"one\", b=\"k\"} 3@60", OK },
        { "a marker ends a series", "g{a=\"x\"}", 0, 300, 60,
            "{__name__=\"g\", a=\"x\"} 1@0 2@60 5@240 6@300", OK },
        { "lookback is open at its old end", "one", 600, 600, 0, "", OK },
        { "compensated sum", "sum_over_time(g{a=\"y\"}[3m])", 120, 120, 0, "{a=\"y\"} 1@120", OK },
        { "windows slide", "sum_over_time(one[2m])", 60, 240, 60,
            "{b=\"k\"} 6@60 6@120 6@180 6@240", OK },
        { "a counter that fell", "increase(c_total{a=\"x\"}[2m])", 180, 180, 0, "{a=\"x\"} 0@180",
            OK },
        { "resets", "resets(c_total{a=\"x\"}[10m])", 300, 300, 0, "{a=\"x\"} 1@300", OK },
        { "sum of a zero with a sign", "sum(vector(-0.0))", 0, 0, 0, "{} 0@0", OK },
        { "sum by", "sum by (a) (g)", 60, 60, 0, "{a=\"x\"} 2@60 {a=\"y\"} 1@60", OK },
        { "sum of steps that differ", "sum(g{a=~\"x|y\"}) - 0", 180, 240, 60, "{} 7@180 12@240",
            OK },
        { "greatest first", "topk(2, c_total)", 300, 300, 0,
            "{__name__=\"c_total\", a=\"y\"} 600@300 {__name__=\"c_total\", a=\"x\"} 120@300", OK },
        { "more values counted than steps",
            "count_values(\"v\", {__name__=~\"c_total|one\"} >= bool 0)", 0, 300, 60,
            "{v=\"1\"} 3@0 3@60 3@120 3@180 3@240 3@300", OK },
        { "values counted at some steps", "count_values by (a) (\"a\", g{a=\"x\"})", 0, 240, 60,
            "{a=\"1\"} 1@0 {a=\"2\"} 1@60 {a=\"5\"} 1@240", OK },
        { "one to one", "c_total / on (a) g", 60, 60, 0, "{a=\"x\"} 30@60 {a=\"y\"} 120@60", OK },
        { "filter keeps the name", "c_total > 100", 120, 180, 60,
            "{__name__=\"c_total\", a=\"x\"} 120@120 "
            "{__name__=\"c_total\", a=\"y\"} 240@120 360@180",
            OK },
        { "or", "g{a=\"x\"} or one", 180, 180, 0, "{__name__=\"one\", b=\"k\"} 3@180", OK },
        { "at and offset", "one @ 0 offset -1m", 6000, 6060, 60,
            "{__name__=\"one\", b=\"k\"} 3@6000 3@6060", OK },
        { "subquery", "max_over_time(c_total{a=\"x\"}[5m:1m])", 300, 300, 0, "{a=\"x\"} 120@300",
            OK },
        { "not a counter", "rate(one[2m])", 120, 120, 0,
            "{b=\"k\"} 0@120; PromQL info: metric might not be a counter, name does not end in "
            "_total/_sum/_count/_bucket: \"one\" (1:6)",
            OK },
        { "no quantile", "quantile(2, one)", 60, 60, 0,
            "{} +Inf@60; PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)",
            OK },
        { "log2 next to 1", "log2(vector(1.0000000000001137))", 0, 0, 0,
            "{} 1.6409096303959814e-13@0", OK },
        { "log2", "log2(vector(8)) + log2(vector(0.5)) + log2(vector(3))", 0, 0, 0,
            "{} 3.584962500721156@0", OK },
        { "log2 of ends", "log2(vector(Inf)) or on () log2(vector(0))", 0, 0, 0, "{} +Inf@0", OK },
        { "log2 of none", "log2(vector(0)) or on () log2(vector(-1))", 0, 0, 0, "{} -Inf@0", OK },
        { "log10 of a tenth", "log10(vector(0.1))", 0, 0, 0, "{} -0.9999999999999999@0", OK },
        { "log10", "log10(vector(1000)) + log10(vector(2))", 0, 0, 0, "{} 3.3010299956639813@0",
            OK },
        { "two on the one side", "one * on () c_total", 60, 60, 0,
            "found duplicate series for the match group {} on the right hand-side of the "
            "operation: [{__name__=\"c_total\", a=\"x\"}, {__name__=\"c_total\", "
            "a=\"y\"}];many-to-many matching not allowed: matching labels must "
            "be unique on one side",
            ERR_UNSUPPORTED },
        { "a failure of many words",
            "one * on () label_replace(c_total, \"l\", \"" X500 "\", \"\", \"\")", 60, 60, 0,
            "found duplicate series for the match group {} on the right hand-side of the "
            "operation: [{__name__=\"c_total\", a=\"x\", l=\"" X500 "\"}, {__name__=\"c_total\", "
            "a=\"y\", l=\"" X500 "\"}];many-to-many matching not allowed: matching labels must "
            "be unique on one side",
            ERR_UNSUPPORTED },
        { "same labels", "{__name__=~\"g|c_total\"} * 1", 60, 60, 0,
            "vector cannot contain metrics with the same labelset", ERR_UNSUPPORTED },
        { "ranges only instantly", "g[5m]", 0, 60, 60,
            "invalid expression type \"range vector\" for range query, must be Scalar or instant "
            "Vector",
            ERR_BAD_INPUT },
    };
    run_cases(cases, ARRAY_LEN(cases), &(struct engine_opts){ .max_concurrency = 1 });
}

TEST(engine_histograms)
{
    static const struct query_case cases[] = {
        { "selector", "h{a=\"x\"}", 60, 60, 0,
            "{__name__=\"h\", a=\"x\"} {count:8, sum:8, (0.5,1]:2, (1,2]:4, (2,4]:2}@60", OK },
        { "sum at the coarser schema", "sum(h)", 0, 0, 0,
            "{} {count:6, sum:5, (0.5,1]:3, (1,2]:2, (2,4]:1}@0", OK },
        { "mean", "avg_over_time(h{a=\"x\"}[2m])", 60, 60, 0,
            "{a=\"x\"} {count:6, sum:6, (0.5,1]:1.5, (1,2]:3, (2,4]:1.5}@60", OK },
        { "rate", "increase(h{a=\"x\"}[2m])", 60, 60, 0,
            "{a=\"x\"} {count:8, sum:8, (0.5,1]:2, (1,2]:4, (2,4]:2}@60", OK },
        { "quantile", "histogram_quantile(0.5, h{a=\"x\"})", 60, 60, 0,
            "{a=\"x\"} 1.414213562373095@60", OK },
        { "quantile of custom buckets", "histogram_quantile(0.5, custom)", 60, 60, 0, "{} 6.25@60",
            OK },
        { "fraction", "histogram_fraction(-Inf, 2, h{a=\"x\"})", 60, 60, 0, "{a=\"x\"} 0.75@60",
            OK },
        { "count", "histogram_count(rate(h{a=\"x\"}[2m]))", 120, 120, 0,
            "{a=\"x\"} 0.06666666666666667@120", OK },
        { "times a number", "2 * custom", 60, 60, 0, "{} {count:6, sum:2, [-Inf,5]:2, (5,10]:4}@60",
            OK },
        { "trimmed", "custom </ 5", 60, 60, 0,
            "{__name__=\"custom\"} {count:1, sum:2.5, [-Inf,5]:1}@60", OK },
        { "negated", "-custom", 60, 60, 0, "{} {count:-3, sum:-1, [-Inf,5]:-1, (5,10]:-2}@60", OK },
        { "a text", "count_values(\"v\", custom)", 60, 60, 0,
            "{v=\"{count:3, sum:1, [-Inf,5]:1, (5,10]:2}\"} 1@60", OK },
        { "floats and histograms", "sum({__name__=~\"custom|one\"})", 60, 60, 0,
            "; PromQL warning: encountered a mix of histograms and floats for aggregation (1:5)",
            OK },
        { "in a range", "rate(mixed[5m])", 120, 120, 0,
            "; PromQL warning: encountered a mix of histograms and floats for metric name "
            "\"mixed\" (1:6)",
            OK },
        { "the same of two places",
            "sum(sum by (x) ({__name__=~\"custom|one\"}) or {__name__=~\"custom|one\"})", 60, 60, 0,
            "; PromQL warning: encountered a mix of histograms and floats for aggregation (1:5)",
            OK },
        { "a zero bucket out of nothing", "count_values(\"v\", custom * NaN)", 60, 60, 0,
            "histograms with custom buckets have no zero bucket", ERR_UNSUPPORTED },
        { "kinds of buckets", "custom + on () h{a=\"x\"}", 60, 60, 0,
            "; PromQL warning: incompatible bucket layout encountered for binary operator + (1:1)",
            OK },
        { "types", "custom + 1", 60, 60, 0,
            "; PromQL info: incompatible sample types encountered for binary operator \"+\": "
            "histogram + float (1:1)",
            OK },
        { "ignored", "max(h)", 60, 60, 0,
            "; PromQL info: ignored histogram in max aggregation (1:5)", OK },
    };
    run_cases(cases, ARRAY_LEN(cases), &(struct engine_opts){ 0 });
}

/* A function of a subquery tells its notes at the begin of the query, and is evaluated after it. */
TEST(engine_absent)
{
    static const struct query_case cases[] = {
        { "absent, told by one equality", "absent(nope{a=~\"x\",a=\"x\",b!=\"y\",c=\"z\"})", 0, 0,
            0, "{a=\"x\", c=\"z\"} 1@0", OK },
        { "absent, and what takes away comes last", "absent(nope{a!=\"y\",a=\"x\",c=\"z\"})", 0, 0,
            0, "{c=\"z\"} 1@0", OK },
        { "absent, told twice", "absent_over_time(nope{a=\"x\",a=\"x\",c=\"z\"}[1m])", 0, 0, 0,
            "{c=\"z\"} 1@0", OK },
        { "absent, told empty", "absent(nope{a=\"\",b=\"x\",c=\"\",c=\"z\"})", 0, 0, 0,
            "{b=\"x\"} 1@0", OK },
    };
    run_cases(cases, ARRAY_LEN(cases), &(struct engine_opts){ 0 });
}

static errc nothing_open(
    struct queryable *from, int64_t mint, int64_t maxt, struct querier **out, struct err *e)
{
    (void)from, (void)mint, (void)maxt, (void)e;
    *out = merge_querier(NULL, 0);
    return OK;
}

TEST(engine_absent_where_nothing_is)
{
    static const struct { const char *name, *query, *want; } cases[] = {
        { "told last", "absent(nope{a!=\"y\",a=\"x\",c=\"z\"})", "{a=\"x\", c=\"z\"} 1@0" },
        { "told first", "absent(nope{a=\"x\",a!~\"y\",c=\"z\"})", "{c=\"z\"} 1@0" },
        { "over time", "absent_over_time(nope{a!~\"y\",a=\"x\"}[1m])", "{a=\"x\"} 1@0" },
        { "no selector", "absent(vector(1) < 1)", "{} 1@0" },
    };
    static const struct queryable_ops ops = { .querier = nothing_open };
    struct queryable nothing = { &ops };
    struct engine *en = engine_new(&(struct engine_opts){ 0 });
    TEST_EACH(c, cases) {
        struct arena a = { 0 };
        errc rc;
        struct query_opts o = { .query = str_z(c->query), .instant = true };
        EXPECT_STR(text_from(en, &nothing, &o, &a, &rc), str_z(c->want));
        arena_fini(&a);
    }
    engine_free(en);
}

TEST(engine_angles)
{
    static const struct query_case cases[] = {
        { "a quotient that underflows", "vector(-4.9e-324) atan2 -1e300", 0, 0, 0,
            "{} 3.141592653589793@0", OK },
        { "below the axis", "vector(-1) atan2 -1", 0, 0, 0, "{} -2.356194490192345@0", OK },
        { "above the axis", "vector(1) atan2 -1", 0, 0, 0, "{} 2.356194490192345@0", OK },
        { "on the axis", "vector(-0.0) atan2 -1", 0, 0, 0, "{} -3.141592653589793@0", OK },
        { "infinite", "vector(Inf) atan2 -Inf", 0, 0, 0, "{} 2.356194490192345@0", OK },
    };
    run_cases(cases, ARRAY_LEN(cases), &(struct engine_opts){ 0 });
}

TEST(engine_notes_of_subqueries)
{
    static const struct query_case cases[] = {
        { "equal notes", "0 * irate((bounds smoothed)[2m:1m])", 120, 120, 0,
            "{} {count:0, sum:0}@120; "
            "PromQL info: mismatched custom buckets were reconciled during addition (1:12); "
            "PromQL info: mismatched custom buckets were reconciled during subtraction (1:1)",
            OK },
    };
    static const struct engine_opts all = { .parse = { true, true, true, true } };
    run_cases(cases, ARRAY_LEN(cases), &all);
}

TEST(engine_names_dropped_at_the_end)
{
    static const struct query_case cases[] = {
        { "dropped", "-one", 60, 60, 0, "{b=\"k\"} -3@60", OK },
        { "seen on the way", "label_replace(-one, \"n\", \"$1\", \"__name__\", \"(.*)\")", 60, 60,
            0, "{b=\"k\", n=\"one\"} -3@60", OK },
        { "a float, a histogram, a float", "-{__name__=~\"g|h|z\",a=\"x\"}", 60, 60, 0,
            "vector cannot contain metrics with the same labelset", ERR_UNSUPPORTED },
        { "a float and a histogram of one time",
            "increase({__name__=~\"c_total|h\", a=\"x\"}[2m])", 60, 60, 0,
            "{a=\"x\"} {count:8, sum:8, (0.5,1]:2, (1,2]:4, (2,4]:2}@60", OK },
    };
    run_cases(cases, ARRAY_LEN(cases), &(struct engine_opts){ .delayed_name_removal = true });
}

TEST(engine_limits_samples)
{
    static const struct query_case cases[] = {
        { "few", "g{a=\"y\"}", 0, 120, 60, "{__name__=\"g\", a=\"y\"} 1e+100@0 1@60 -1e+100@120",
            OK },
        { "many", "g", 0, 240, 60,
            "query processing would load too many samples into memory in query execution",
            ERR_LIMIT },
        { "a wide window", "sum_over_time(c_total{a=\"y\"}[10m])", 300, 300, 0,
            "query processing would load too many samples into memory in query execution",
            ERR_LIMIT },
        { "what does not change, at all steps", "rad(one @ 0)", 0, 300, 60,
            "query processing would load too many samples into memory in query execution",
            ERR_LIMIT },
        { "many steps of nothing", "count_over_time(nothing[10m:5s])", 300, 300, 0, "", OK },
        { "so many steps that a column of them is never made",
            "max_over_time(sum by (a) (-rate(nothing[5m]) + on (a) nowhere)[100y:1ms])", 0, 300, 60,
            "", OK },
        { "as many, of something", "max_over_time((nothing or vector(1))[100y:1ms])", 300, 300, 0,
            "query processing would load too many samples into memory in query execution",
            ERR_LIMIT },
        { "as many, of nothing that is absent", "max_over_time(absent(nothing)[100y:1ms])", 300,
            300, 0, "query processing would load too many samples into memory in query execution",
            ERR_LIMIT },
        { "as many, filled", "max_over_time((nothing + fill(1) one)[100y:1ms])", 300, 300, 0,
            "query processing would load too many samples into memory in query execution",
            ERR_LIMIT },
        { "steps of few", "count_over_time(one[1d:100ms] @ 60 offset -1d)", 300, 300, 0,
            "query processing would load too many samples into memory in query execution",
            ERR_LIMIT },
        { "one at a time", "start_timestamp(one)", 0, 300, 60, "", OK },
    };
    static const struct engine_opts few = {
        .parse = { true, true, true, true }, .max_samples = 5
    };
    run_cases(cases, ARRAY_LEN(cases), &few);

    /* the repetitions of c_total's result come when h's windows, with no result, are gone */
    static const struct query_case repeated = { "what does not change, behind all its windows",
        "max_over_time({__name__=~\"c_total|h\", a=\"x\"}[2m] @ 120)", 0, 300, 60,
        "{a=\"x\"} 120@0 120@60 120@120 120@180 120@240 120@300", OK };
    run_cases(&repeated, 1, &(struct engine_opts){ .max_samples = 27 });
}

TEST(engine_limits_memory)
{
    static const struct query_case cases[] = {
        { "little", "one", 60, 60, 0, "{__name__=\"one\", b=\"k\"} 3@60", OK },
        { "columns of many steps", "sum(g + on () group_left () one)", 0, 300, 1,
            "query needs more memory than a query may have", ERR_LIMIT },
    };
    run_cases(cases, ARRAY_LEN(cases), &(struct engine_opts){ .max_bytes = 16 << 10 });

    static const struct query_case counted = { "as many values as steps, each at one",
        "max_over_time(count(count_values(\"v\", vector(time())))[2000s:1s])", 2000, 2000, 0,
        "{} 1@2000", OK };
    run_cases(&counted, 1, &(struct engine_opts){ .max_bytes = 8 << 20 });
}

TEST(engine_ends_early)
{
    struct memstore *m = store_of(data);
    struct engine *en = engine_new(&(struct engine_opts){ .timeout_ms = 1000 });
    struct arena a;
    _Atomic bool cancel = true;
    errc rc;
    arena_init(&a, NULL, 0);
    struct query_opts o = { .query = S("sum(g)"), .instant = true, .cancel = &cancel };
    EXPECT_STR(result_text(en, m, &o, &a, &rc), S("query was canceled in expression evaluation"));
    EXPECT_EQ(rc, ERR_CANCELED);
    arena_fini(&a);
    engine_free(en);
    memstore_free(m);
}

TEST(engine_counts_samples)
{
    static const struct {
        const char *name, *query;
        int64_t start_s, end_s, step_s;
        uint64_t total, peak;
    } cases[] = {
        { "instant", "g", 60, 60, 0, 2, 2 },
        { "steps", "one", 0, 120, 60, 3, 3 },
        { "windows", "sum_over_time(one[2m])", 120, 240, 60, 6, 5 },
        { "number", "1", 60, 60, 0, 0, 1 },
        { "in and out at each step", "abs(one)", 0, 120, 60, 3, 7 },
        { "handed on at once", "sum(abs(one))", 0, 120, 60, 3, 7 },
        { "kept by info", "abs(info(one))", 0, 120, 60, 3, 10 },
        { "windows of smoothed ones stay", "count_over_time((one smoothed)[2m:1m] @ 120)", 0, 300,
            60, 12, 10 },
        { "more is taken away than was counted",
            "count_over_time((one smoothed)[5m:1m] @ 480) + 1", 0, 60, 60, 10, 8 },
    };
    struct memstore *m = store_of(data);
    struct engine *en = engine_new(&(struct engine_opts){ .parse = { true, true, true, true } });
    TEST_EACH(c, cases) {
        struct query_opts o = { .query = str_z(c->query),
            .start_ms = c->start_s * 1000,
            .end_ms = c->end_s * 1000,
            .step_ms = c->step_s * 1000 };
        struct result r;
        o.instant = c->step_s == 0;
        EXPECT_OK(engine_query(en, memstore_queryable(m), &o, &r, NULL));
        EXPECT_EQ(r.stats.total_samples, c->total);
        EXPECT_EQ(r.stats.peak_samples, c->peak);
        promql_result_fini(&r);
    }
    engine_free(en);
    memstore_free(m);
}

/* The reference's own scripts. */

static errc store_reset(void *ctx, struct err *e UNUSED)
{
    memstore_clear(ctx);
    return OK;
}
static struct appendable *store_appendable(void *ctx) { return memstore_appendable(ctx); }
static struct queryable *store_queryable(void *ctx) { return memstore_queryable(ctx); }

static size_t script_passed;
static void script_eval_done(void *file, size_t line, enum script_outcome outcome, str why)
{
    if (outcome == SCRIPT_PASSED) script_passed++;
    if (outcome == SCRIPT_FAILED) test_fail(file, (int)line, "%.*s", STR_ARG(why));
}

/* stats=all, as Prometheus 3.14 with promql-per-step-stats says it. */
TEST(engine_counts_samples_of_each_step)
{
    static const struct {
        const char *name, *query;
        bool instant;
        const char *want;
    } cases[] = {
        { "windows that overlap", "sum_over_time(c_total{a=\"x\"}[2m])", false,
            "{\"totalQueryableSamplesPerStep\":[[60,2],[120,2],[180,2]],"
            "\"totalQueryableSamples\":6,"
            "\"samplesReadPerStep\":[[60,2],[120,1],[180,1]],\"samplesRead\":4,"
            "\"peakSamples\":5}" },
        { "at one time", "g @ 60", false,
            "{\"totalQueryableSamplesPerStep\":[[60,2],[120,2],[180,2]],"
            "\"totalQueryableSamples\":6,"
            "\"samplesReadPerStep\":[[60,2],[120,0],[180,0]],\"samplesRead\":2,"
            "\"peakSamples\":6}" },
        { "instant", "c_total", true,
            "{\"totalQueryableSamplesPerStep\":[[60.5,2]],\"totalQueryableSamples\":2,"
            "\"samplesReadPerStep\":[[60.5,2]],\"samplesRead\":2,\"peakSamples\":2}" },
    };
    struct memstore *m = store_of(data);
    struct engine *en =
        engine_new(&(struct engine_opts){ .max_concurrency = 1, .per_step_stats = true });
    TEST_EACH(c, cases) {
        struct query_opts o = { .query = str_z(c->query), .start_ms = 60000, .end_ms = 180000,
            .step_ms = 60000, .stats = true, .per_step_stats = true };
        if (c->instant)
            o = (struct query_opts){ .query = o.query, .start_ms = 60500, .end_ms = 60500,
                .instant = true, .stats = true, .per_step_stats = true };
        struct result r;
        struct err e = { 0 };
        struct buf b = { 0 };
        struct json j = json_to(&b);
        EXPECT_OK_E(engine_query(en, memstore_queryable(m), &o, &r, &e), &e);
        promql_stats_json(&j, &r.stats);
        str said = buf_view(&b);
        size_t at = str_find(said, S("\"samples\":"));
        EXPECT_STR(str_slice(said, at + strlen("\"samples\":"), said.n - 1), str_z(c->want));
        buf_fini(&b);
        promql_result_fini(&r);
    }
    engine_free(en);
    memstore_free(m);
}

TEST_SHARED(engine_scripts)
{
    static const char *const files[] = {
        "aggregators",
        "at_modifier",
        "collision",
        "duration_expression",
        "extended_vectors",
        "fill-modifier",
        "functions",
        "histograms",
        "info",
        "limit",
        "literals",
        "name_label_dropping",
        "native_histograms",
        "operators",
        "range_queries",
        "selectors",
        "staleness",
        "start_timestamps",
        "subquery",
        "trig_functions",
        "type_and_unit",
    };
    struct engine_opts o = script_engine_opts();
    script_passed = 0;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct arena a = { 0 };
        struct script s = { 0 };
        struct err e = { 0 };
        char *path = arena_cstr(&a, arena_fmt(&a, "conformance/promqltest/%s.test", files[i]));
        EXPECT_OK_E(script_parse(&s, vectors_file(&a, path), &e), &e);
        struct memstore *m = memstore_new();
        struct engine *en = engine_new(&o);
        struct script_storage st = { m, store_reset, store_appendable,
            store_queryable };
        script_run(&s, &st, en, &(struct script_report){ path, script_eval_done });
        engine_free(en);
        memstore_free(m);
        script_fini(&s);
        arena_fini(&a);
    }
    EXPECT(script_passed > 1500);
}

TEST(engine_explains)
{
    static const struct {
        const char *name, *query;
        struct { int depth, kind; uint64_t rows, values, series; } want[8];
    } cases[] = {
        { "a selector", "g", { { 0, EXPR_VECTOR, 2, 10, 2 } } },
        { "sum of a rate", "sum by (a) (rate(c_total[2m]))",
            { { 0, EXPR_AGGREGATE, 2, 10, 0 }, { 1, EXPR_CALL, 2, 10, 0 },
                { 2, EXPR_MATRIX, 2, 12, 0 }, { 3, EXPR_VECTOR, 2, 12, 2 } } },
        { "a subquery", "max_over_time(one[1m:1m])",
            { { 0, EXPR_CALL, 1, 6, 0 }, { 1, EXPR_SUBQUERY, 1, 6, 0 },
                { 2, EXPR_VECTOR, 1, 6, 1 } } },
        { "times of samples", "timestamp(one)",
            { { 0, EXPR_CALL, 1, 6, 0 }, { 1, EXPR_VECTOR, 1, 6, 1 } } },
        { "two sides", "(g) + on (a) c_total",
            { { 0, EXPR_BINARY, 2, 10, 0 }, { 1, EXPR_PAREN, 2, 10, 0 },
                { 2, EXPR_VECTOR, 2, 10, 2 }, { 1, EXPR_VECTOR, 2, 12, 2 } } },
    };
    struct memstore *m = store_of(data);
    struct engine *en = engine_new(&(struct engine_opts){ .max_concurrency = 1 });
    TEST_EACH(c, cases) {
        struct query_opts o = { .query = str_z(c->query), .start_ms = 0, .end_ms = 300000,
            .step_ms = 60000, .explain = true };
        struct result r;
        struct err e = { 0 };
        EXPECT_OK_E(engine_query(en, memstore_queryable(m), &o, &r, &e), &e);
        size_t n = 0;
        while (n < ARRAY_LEN(c->want) && (n == 0 || c->want[n].depth)) n++;
        EXPECT_EQ(r.explain->n, n);
        int64_t cpu = 0;
        for (size_t i = 0; i < n && i < r.explain->n; i++) {
            const struct explain_node *node = &r.explain->at[i];
            int depth = 0;
            for (size_t k = i; k; k = r.explain->at[k].parent) depth++;
            EXPECT_EQ(depth, c->want[i].depth);
            EXPECT_EQ(node->x->kind, c->want[i].kind);
            EXPECT_EQ(node->series, c->want[i].rows);
            EXPECT_EQ(node->samples, c->want[i].values);
            EXPECT_EQ(atomic_load(&node->read_series), c->want[i].series);
            EXPECT(node->cpu_ns >= 0);
            cpu += node->cpu_ns;
        }
        EXPECT(cpu > 0);
        promql_result_fini(&r);
        o.explain = false;
        EXPECT_OK_E(engine_query(en, memstore_queryable(m), &o, &r, &e), &e);
        EXPECT(r.explain == NULL);
        promql_result_fini(&r);
    }
    engine_free(en);
    memstore_free(m);
}

/* Storage that never answers until it is let go. */
struct hung_store {
    struct queryable base;
    struct mtx mu;
    struct cond changed;
    unsigned met, soon;                /* soon: less than SOON_NS after the one before */
    int64_t met_ns;
    bool let_go;
    struct engine *en;
};
enum { SOON_NS = 25 * 1000000 };
static errc hung_querier(
    struct queryable *base, int64_t mint, int64_t maxt, struct querier **out, struct err *e)
{
    struct hung_store *s = CONTAINER_OF(base, struct hung_store, base);
    (void)mint, (void)maxt, (void)out;
    mtx_lock(&s->mu);
    int64_t now = clock_real_mono_ns();
    s->soon += now - s->met_ns < SOON_NS;
    s->met_ns = now;
    s->met++;
    cond_broadcast(&s->changed);
    while (!s->let_go) cond_wait(&s->changed, &s->mu);
    mtx_unlock(&s->mu);
    return err_set(e, ERR_IO, "it was to fail");
}
static const struct queryable_ops hung_ops = { .querier = hung_querier };

static const struct query_opts instant_one = { .query = S("vector(1) + g"), .instant = true };
static void hung_query(void *ctx)
{
    struct hung_store *s = ctx;
    struct result r;
    struct err e = { 0 };
    EXPECT_EQ(engine_query(s->en, &s->base, &instant_one, &r, &e), ERR_IO);
}

static void hung_store_init(struct hung_store *s, unsigned max)
{
    *s = (struct hung_store){ .base = { &hung_ops } };
    mtx_init(&s->mu, LOCK_LEAF);
    cond_init(&s->changed);
    s->en = engine_new(&(struct engine_opts){ .max_concurrency = max });
}

static void hung_store_wait(struct hung_store *s, unsigned met)
{
    mtx_lock(&s->mu);
    while (s->met < met) cond_wait(&s->changed, &s->mu);
    mtx_unlock(&s->mu);
}

static void hung_store_let_go(struct hung_store *s)
{
    mtx_lock(&s->mu);
    s->let_go = true;
    cond_broadcast(&s->changed);
    mtx_unlock(&s->mu);
}

static void hung_store_fini(struct hung_store *s)
{
    engine_free(s->en);
    cond_fini(&s->changed);
    mtx_fini(&s->mu);
}

static void expect_passes(struct engine *en, struct memstore *m)
{
    struct result r;
    struct err e = { 0 };
    EXPECT_OK_E(engine_query(en, memstore_queryable(m), &instant_one, &r, &e), &e);
    promql_result_fini(&r);
}

/* One may run, and a crowd stands in front that waits for storage that hangs. It is let in by many:
 * one by one, each comes after a look at the one before. */
TEST(a_crowd_that_hangs_is_passed_soon)
{
    enum { CROWD = 300 };
    struct memstore *m = store_of("load 1m\n  g 1 2 3\n");
    struct hung_store s;
    struct thread *crowd[CROWD];
    hung_store_init(&s, 1);
    for (int i = 0; i < CROWD; i++) crowd[i] = thread_start("crowd", hung_query, &s);
    hung_store_wait(&s, CROWD);
    expect_passes(s.en, m);
    if (s.soon < CROWD / 2) test_fail(__FILE__, __LINE__, "%u were let in beside others", s.soon);
    hung_store_let_go(&s);
    for (int i = 0; i < CROWD; i++) thread_join(crowd[i]);
    hung_store_fini(&s);
    memstore_free(m);
}

/* Storage that takes a core until it is let go. */
struct busy_store {
    struct queryable base;
    _Atomic unsigned in, most;
    _Atomic bool let_go;
    struct engine *en;
};
static errc busy_querier(
    struct queryable *base, int64_t mint, int64_t maxt, struct querier **out, struct err *e)
{
    struct busy_store *s = CONTAINER_OF(base, struct busy_store, base);
    (void)mint, (void)maxt, (void)out;
    unsigned in = ++s->in, most = s->most;
    while (in > most && !atomic_compare_exchange_weak(&s->most, &most, in)) continue;
    while (!s->let_go) continue;
    s->in--;
    return err_set(e, ERR_IO, "it was to fail");
}
static const struct queryable_ops busy_ops = { .querier = busy_querier };

static void busy_query(void *ctx)
{
    struct busy_store *s = ctx;
    struct result r;
    struct err e = { 0 };
    EXPECT_EQ(engine_query(s->en, &s->base, &instant_one, &r, &e), ERR_IO);
}

/* However many hang: of those that compute no more run at once than may. */
TEST(who_computes_beside_a_crowd_that_hangs_is_counted)
{
    enum { MAX_RUNNING = 2, CROWD = 8, BUSY = 8, PASSES = 50, MS_NS = 1000000 };
    struct memstore *m = store_of("load 1m\n  g 1 2 3\n");
    struct hung_store s;
    struct thread *crowd[CROWD], *busy[BUSY];
    hung_store_init(&s, MAX_RUNNING);
    for (int i = 0; i < CROWD; i++) crowd[i] = thread_start("crowd", hung_query, &s);
    hung_store_wait(&s, CROWD);
    for (int i = 0; i < PASSES; i++, clock_sleep_ns(10 * MS_NS)) expect_passes(s.en, m);
    struct busy_store b = { .base = { &busy_ops }, .en = s.en };
    for (int i = 0; i < BUSY; i++) busy[i] = thread_start("busy", busy_query, &b);
    clock_sleep_ns(500 * MS_NS);
    unsigned most = b.most;
    b.let_go = true;
    for (int i = 0; i < BUSY; i++) thread_join(busy[i]);
    EXPECT(most >= 1 && most <= MAX_RUNNING);
    hung_store_let_go(&s);
    for (int i = 0; i < CROWD; i++) thread_join(crowd[i]);
    hung_store_fini(&s);
    memstore_free(m);
}
