#include "promql/lanes.h"

#include "base/test.h"
#include "storage/memstore.h"

#include <stdio.h>

enum { SERIES = 300, SAMPLES = 200, STEP_MS = 15000, RUNS = 12 };

static struct memstore *store_make(void)
{
    struct memstore *m = memstore_new();
    struct prng r = { test_seed() };
    for (int i = 0; i < SERIES; i++) {
        char group[8], id[8];
        struct label l[] = { { METRIC_NAME, S("x_total") },
            { S("g"), str_of(group, (size_t)snprintf(group, sizeof(group), "%d", i % 7)) },
            { S("i"), str_of(id, (size_t)snprintf(id, sizeof(id), "%d", i)) } };
        double v = 0;
        for (int64_t k = 0; k < SAMPLES; k++) {
            v = prng_below(&r, 50) ? v + prng_unit(&r) * 1e3 : 0;
            if (prng_below(&r, 20) == 0) continue;
            EXPECT_OK(memstore_add(m, (struct labels){ l, 3 }, k * STEP_MS, v, NULL));
        }
    }
    return m;
}

static struct query_opts query_of(const char *text)
{
    return (struct query_opts){
        .query = str_z(text), .start_ms = 0, .end_ms = SAMPLES * STEP_MS, .step_ms = 20000
    };
}

static void expect_same(const struct result *a, const struct result *b)
{
    EXPECT_EQ(a->n_series, b->n_series);
    EXPECT_EQ(a->stats.total_samples, b->stats.total_samples);
    EXPECT_EQ(a->stats.samples_read, b->stats.samples_read);
    EXPECT_EQ(a->stats.peak_samples, b->stats.peak_samples);
    for (size_t i = 0; i < a->n_series; i++) {
        const struct result_series *x = &a->series[i], *y = &b->series[i];
        EXPECT(labels_eq(x->labels, y->labels));
        EXPECT_EQ(x->n, y->n);
        for (size_t k = 0; k < x->n; k++)
            EXPECT(x->points[k].t == y->points[k].t &&
                   f64_bits(x->points[k].v) == f64_bits(y->points[k].v));
    }
}

/* How the series are spread over threads depends on the moment: the answer does not. */
TEST(lanes_keep_the_order_of_series)
{
    static const char *const queries[] = {
        "sum by (g) (rate(x_total[2m]))",
        "avg(x_total)",
        "topk by (g) (2, x_total)",
        "limitk(3, increase(x_total[1m]))",
        "max_over_time(sum(rate(x_total[1m]))[5m:20s])",
        "quantile_over_time(1.5, x_total[2m])",
        "sum(x_total) / count(x_total offset 1m)",
    };
    struct engine_opts o = { .parse = { .experimental_functions = true } };
    struct engine *en = engine_new(&o);
    struct memstore *m = store_make();
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct query_opts q = query_of(queries[i]);
        struct result first, again;
        test_case(queries[i]);
        EXPECT_OK(engine_query(en, memstore_queryable(m), &q, &first, NULL));
        EXPECT(first.n_series > 0);
        for (int run = 0; run < RUNS; run++) {
            EXPECT_OK(engine_query(en, memstore_queryable(m), &q, &again, NULL));
            expect_same(&first, &again);
            EXPECT_EQ(first.n_warnings, again.n_warnings);
            promql_result_fini(&again);
        }
        promql_result_fini(&first);
    }
    memstore_free(m);
    engine_free(en);
}

TEST(lanes_end_with_the_first_error)
{
    struct engine_opts o = { .max_samples = 20000, .parse = { .experimental_functions = true } };
    struct engine *en = engine_new(&o);
    struct memstore *m = store_make();
    struct query_opts q = query_of("rate(x_total[2m])");
    for (int run = 0; run < RUNS; run++) {
        struct result r;
        struct err e = { 0 };
        EXPECT_EQ(engine_query(en, memstore_queryable(m), &q, &r, &e), ERR_LIMIT);
    }
    q.query = S("sum(double_exponential_smoothing(x_total[2m], 2, 0.5))");
    for (int run = 0; run < RUNS; run++) {
        struct result r;
        struct err e = { 0 };
        EXPECT_EQ(engine_query(en, memstore_queryable(m), &q, &r, &e), ERR_UNSUPPORTED);
        EXPECT(str_has_prefix(err_str(&e), S("invalid smoothing factor")));
    }
    _Atomic bool cancel = true;
    q.cancel = &cancel;
    struct result r;
    EXPECT_EQ(engine_query(en, memstore_queryable(m), &q, &r, NULL), ERR_CANCELED);
    memstore_free(m);
    engine_free(en);
}
