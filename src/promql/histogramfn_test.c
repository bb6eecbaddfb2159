/* What is computed as soon as its last bucket came, against the same computed after all rows: who
 * asks for explanations is not told beforehand which rows may come. */
#include "promql/engine.h"

#include "base/f64.h"
#include "promql/test_script_store.h"

/* Of p: buckets out of order, one bound twice and thrice, some that fall. Of q: a series without
 * samples at the times asked for, one that ends, a label that is no bound. Of r: a native histogram
 * of the same labels, and of s one that comes later. Of t: one that is alone. */
static const char data[] =
    "load 1m\n"
    "  b_bucket{i=\"1\", pod=\"p\", le=\"+Inf\"} 0+9x60\n"
    "  b_bucket{i=\"1\", pod=\"p\", le=\"1\"} 0+3.1x60\n"
    "  b_bucket{i=\"1\", pod=\"p\", le=\"1.0\"} 0+0.7x60\n"
    "  b_bucket{i=\"1\", pod=\"p\", le=\"1.00\"} 0+1e-9x60\n"
    "  b_bucket{i=\"1\", pod=\"p\", le=\"0.5\"} 0+2x60\n"
    "  b_bucket{i=\"1\", pod=\"p\", le=\"4\"} 0+3x60\n"
    "  b_bucket{i=\"2\", pod=\"p\", le=\"0.5\"} 0+4x60\n"
    "  b_bucket{i=\"2\", pod=\"p\", le=\"+Inf\"} 0+4x20 _x10 9+5x20\n"
    "  b_bucket{i=\"1\", pod=\"q\", le=\"0.25\"} 0+1x4\n"
    "  b_bucket{i=\"2\", pod=\"q\", le=\"0.25\"} 0+1x60\n"
    "  b_bucket{i=\"2\", pod=\"q\", le=\"2\"} 0+2x40\n"
    "  b_bucket{i=\"2\", pod=\"q\", le=\"few\"} 0+2x60\n"
    "  b_bucket{i=\"2\", pod=\"q\", le=\"+Inf\"} 0+3x60\n"
    "  b_bucket{i=\"2\", pod=\"q\"} 0+3x60\n"
    "  b_bucket{i=\"1\", pod=\"r\", le=\"1\"} 0+3x60\n"
    "  b_bucket{i=\"1\", pod=\"r\", le=\"+Inf\"} 0+4x60\n"
    "  b_bucket{i=\"1\", pod=\"r\"} {{schema:1 sum:4 count:4 buckets:[1 2 1]}}"
    "+{{schema:1 sum:4 count:4 buckets:[1 2 1]}}x60\n"
    "  b_bucket{i=\"1\", pod=\"s\", le=\"1\"} 0+3x60\n"
    "  b_bucket{i=\"1\", pod=\"s\", le=\"+Inf\"} 0+4x60\n"
    "  b_bucket{i=\"1\", pod=\"s\"} _x30 {{schema:1 sum:4 count:4 buckets:[1 2 1]}}"
    "+{{schema:1 sum:4 count:4 buckets:[1 2 1]}}x30\n"
    "  b_bucket{i=\"3\", pod=\"t\"} {{schema:1 sum:4 count:4 buckets:[1 2 1]}}"
    "+{{schema:1 sum:4 count:4 buckets:[1 2 1]}}x60\n";

static const char *const expressions[] = {
    "histogram_quantile(0.9, rate(b_bucket[5m]))",
    "histogram_quantile(0.9, last_over_time(b_bucket[5m]))",
    "histogram_quantile(0.4, rate({__name__=~\"b_bucke.\"}[5m]))",
    "histogram_quantile(0.9, sum by (pod, le) (rate(b_bucket[5m])))",
    "histogram_quantile(0.9, sum by (i, le) (rate(b_bucket[5m])))",
    "histogram_quantile(0.9, sum by (le) (rate(b_bucket{pod=\"p\"}[5m])))",
    "histogram_quantile(0.9, sum without (i) (rate(b_bucket[5m])))",
    "histogram_quantile(2, avg by (pod, le) (increase(b_bucket[5m])))",
    "histogram_quantile(0.9, max by (pod, le) (rate(b_bucket{pod!=\"r\"}[5m])))",
    "histogram_quantile(0.9, count by (pod, le) (rate(b_bucket[5m])))",
    "histogram_quantile(0.9, stddev by (pod, le) (rate(b_bucket[5m])))",
    "histogram_quantile(0.9, quantile by (pod, le) (0.5, rate(b_bucket[5m])))",
    "histogram_quantile(0.9, sum by (pod, le) (sum by (i, pod, le) (rate(b_bucket[5m]))))",
    "histogram_quantile(scalar(sum(b_bucket{le=\"2\"})) / 100, rate(b_bucket[5m]))",
    "histogram_fraction(0, 0.7, sum by (pod, le) (rate(b_bucket[5m])))",
    "histogram_quantiles(sum by (pod, le) (rate(b_bucket[5m])), \"q\", 0.5, 0.9)",
    "sum(histogram_quantile(0.9, rate(b_bucket[5m])))",
    "sum by (pod, le) (rate(b_bucket[5m]))",
    "histogram_quantile(0.9, rate(nothing[5m]))",
    "histogram_quantile(0.9, sum by (le) (rate(b_bucket[5m] @ 1800)))",
    "histogram_quantile(0.9, absent_over_time(b_bucket[5m]))",
    "max_over_time(histogram_quantile(0.9, sum by (pod, le) (rate(b_bucket[5m])))[10m:1m])",
};

static void expect_same_series(const struct result_series *a, const struct result_series *b)
{
    EXPECT(labels_eq(a->labels, b->labels));
    EXPECT_EQ(a->n, b->n);
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        EXPECT_EQ(a->t[i], b->t[i]);
        EXPECT_EQ(f64_bits(a->v[i]), f64_bits(b->v[i]));
    }
}

static void expect_same(const struct result *a, const struct result *b)
{
    EXPECT_EQ(a->n_series, b->n_series);
    EXPECT_EQ(a->stats.peak_samples, b->stats.peak_samples);
    EXPECT_EQ(a->stats.total_samples, b->stats.total_samples);
    EXPECT_EQ(a->n_warnings, b->n_warnings);
    EXPECT_EQ(a->n_infos, b->n_infos);
    for (size_t i = 0; i < a->n_warnings && i < b->n_warnings; i++)
        EXPECT_STR(a->warnings[i], b->warnings[i]);
    for (size_t i = 0; i < a->n_infos && i < b->n_infos; i++) EXPECT_STR(a->infos[i], b->infos[i]);
    for (size_t i = 0; i < a->n_series && i < b->n_series; i++)
        expect_same_series(&a->series[i], &b->series[i]);
}

static void expect_the_same_later(
    struct engine *en, struct memstore *m, int64_t start_ms, int64_t end_ms, const char *text)
{
    struct query_opts o = { .query = str_z(text),
        .start_ms = start_ms,
        .end_ms = end_ms,
        .step_ms = 60000,
        .instant = start_ms == end_ms };
    struct result at_once, later;
    struct err e = { 0 };
    test_case(text);
    errc rc = engine_query(en, memstore_queryable(m), &o, &at_once, &e);
    EXPECT_OK_E(rc, &e);
    o.explain = true;
    errc again = engine_query(en, memstore_queryable(m), &o, &later, &e);
    EXPECT_OK_E(again, &e);
    if (rc == OK && again == OK) expect_same(&at_once, &later);
    if (rc == OK) promql_result_fini(&at_once);
    if (again == OK) promql_result_fini(&later);
}

static void expect_all(bool delayed_names)
{
    static const struct { int64_t start_ms, end_ms; } times[] = {
        { 600000, 3600000 }, { 1200000, 2400000 }, { 1800000, 1800000 }, { 3000000, 3000000 },
    };
    struct engine_opts eo = script_engine_opts();
    eo.delayed_name_removal = delayed_names;
    struct engine *en = engine_new(&eo);
    struct memstore *m = store_of(data);
    for (size_t i = 0; i < ARRAY_LEN(expressions) * ARRAY_LEN(times); i++) {
        size_t t = i % ARRAY_LEN(times);
        expect_the_same_later(
            en, m, times[t].start_ms, times[t].end_ms, expressions[i / ARRAY_LEN(times)]);
    }
    memstore_free(m);
    engine_free(en);
}

TEST(buckets_are_the_same_as_they_come_and_after_all_came) { expect_all(false); }

TEST(buckets_as_they_come_with_their_names) { expect_all(true); }

/* Of a thousand bounds in no order, each counts as many as it says. */
TEST(buckets_of_many_bounds_are_sorted)
{
    enum { BOUNDS = 1000, PRIME = 7919 };
    SCOPED(buf_fini) struct buf b = { 0 };
    struct result out;
    struct err e = { 0 };
    buf_str(&b, S("load 1m\n  b_bucket{le=\"+Inf\"} 1000x5\n"));
    for (int i = 0; i < BOUNDS; i++) {
        int le = 1 + i * PRIME % BOUNDS;
        buf_fmt(&b, "  b_bucket{le=\"%d\"} %dx5\n", le, le);
    }
    buf_u8(&b, 0);
    struct engine_opts eo = script_engine_opts();
    struct engine *en = engine_new(&eo);
    struct memstore *m = store_of((const char *)b.p);
    struct query_opts o = { .query = S("histogram_quantile(0.5, b_bucket)"),
        .end_ms = 240000,
        .step_ms = 60000 };
    EXPECT_OK_E(engine_query(en, memstore_queryable(m), &o, &out, &e), &e);
    EXPECT_EQ(out.n_series, 1);
    EXPECT_EQ(out.series[0].n, 5);
    for (size_t i = 0; i < out.series[0].n; i++) EXPECT(out.series[0].v[i] == 500);
    promql_result_fini(&out);
    memstore_free(m);
    engine_free(en);
}
