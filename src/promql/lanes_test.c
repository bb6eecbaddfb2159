#include "promql/lanes.h"

#include "base/test.h"
#include "io/work.h"
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
            EXPECT(x->t[k] == y->t[k] && f64_bits(x->v[k]) == f64_bits(y->v[k]));
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

/* A store far away: a selection brings SELECT_BYTES of it, the samples of a series SERIES_BYTES. */
enum { SELECT_BYTES = 100, SERIES_BYTES = 10 };
struct far_store { struct queryable base; struct queryable *in; };
struct far_querier { struct querier base; struct querier *in; struct arena arena; };
struct far_set { struct series_set base; struct series_set *in; struct far_querier *q; };
struct far_series { struct series base; struct series *in; };
static _Atomic unsigned far_iterated;

static errc far_iterate(struct series *base, struct sample_iter **it, struct err *e)
{
    struct series *in = CONTAINER_OF(base, struct far_series, base)->in;
    io_work.bucket_bytes += SERIES_BYTES;
    atomic_fetch_add(&far_iterated, 1);
    return in->ops->iterate(in, it, e);
}

static errc far_next(struct series_set *base, struct series **out, struct err *e)
{
    static const struct series_ops ops = { .iterate = far_iterate };
    struct far_set *s = CONTAINER_OF(base, struct far_set, base);
    struct series *in = NULL;
    *out = NULL;
    TRY(s->in->ops->next(s->in, &in, e));
    if (!in) return OK;
    struct far_series *one = ANEW(&s->q->arena, struct far_series);
    *one = (struct far_series){ { in->labels, in->ref, &ops }, in };
    *out = &one->base;
    return OK;
}

static void far_set_free(struct series_set *base)
{
    struct far_set *s = CONTAINER_OF(base, struct far_set, base);
    series_set_free(s->in);
    mem_free(s);
}

static void far_forget(struct series_set *base)
{
    struct far_set *s = CONTAINER_OF(base, struct far_set, base);
    if (s->in->ops->forget) s->in->ops->forget(s->in);
}

static errc far_values(struct querier *base, str name, struct matchers ms, size_t limit,
    str_list *out, bool *cut, struct err *e)
{
    struct querier *in = CONTAINER_OF(base, struct far_querier, base)->in;
    return in->ops->label_values(in, name, ms, limit, out, cut, e);
}

static errc far_select(struct querier *base, struct matchers ms, const struct select_hints *h,
    struct series_set **out, struct err *e)
{
    static const struct series_set_ops ops = {
        .next = far_next, .free = far_set_free, .forget = far_forget
    };
    struct far_querier *q = CONTAINER_OF(base, struct far_querier, base);
    struct far_set *s = NEW(struct far_set);
    *s = (struct far_set){ { &ops }, NULL, q };
    io_work.bucket_bytes += SELECT_BYTES;
    EXPECT_OK(q->in->ops->select(q->in, ms, h, &s->in, e));
    *out = &s->base;
    return OK;
}

static void far_free(struct querier *base)
{
    struct far_querier *q = CONTAINER_OF(base, struct far_querier, base);
    querier_free(q->in);
    arena_fini(&q->arena);
    mem_free(q);
}

static errc far_open(
    struct queryable *base, int64_t mint, int64_t maxt, struct querier **out, struct err *e)
{
    static const struct querier_ops ops = {
        .select = far_select, .label_values = far_values, .free = far_free
    };
    struct queryable *in = CONTAINER_OF(base, struct far_store, base)->in;
    struct far_querier *q = NEW(struct far_querier);
    q->base.ops = &ops;
    EXPECT_OK(in->ops->querier(in, mint, maxt, &q->in, e));
    *out = &q->base;
    return OK;
}

/* Whichever threads read them, a query's bytes are counted once each, and other queries' never. */
TEST(lanes_count_what_a_query_reads_far_away)
{
    static const struct { const char *name, *query; uint64_t bytes; } cases[] = {
        { "one selector", "sum(rate(x_total[2m]))", SELECT_BYTES + SERIES * SERIES_BYTES },
        { "two selectors", "count(x_total) + count(x_total)",
            2 * (SELECT_BYTES + SERIES * SERIES_BYTES) },
        { "rows", "x_total > 5", SELECT_BYTES + SERIES * SERIES_BYTES },
        { "nothing", "no_such_metric", SELECT_BYTES },
    };
    static const struct queryable_ops ops = { .querier = far_open };
    struct memstore *m = store_make();
    struct far_store far = { { &ops }, memstore_queryable(m) };
    TEST_EACH(c, cases) {
        struct query_opts q = query_of(c->query);
        for (int run = 0; run < RUNS; run++) {
            uint64_t limit = c->bytes - (run % 2 ? 1 : 0);
            struct engine *en = engine_new(&(struct engine_opts){ .max_far_bytes = limit });
            struct result r;
            struct err e = { 0 };
            errc rc = engine_query(en, &far.base, &q, &r, &e);
            EXPECT_EQ(rc, run % 2 ? ERR_LIMIT : OK);
            if (rc == OK) promql_result_fini(&r);
            else
                EXPECT(str_has_prefix(err_str(&e),
                    S("query processing would load too many bytes from the bucket: limit ")));
            engine_free(en);
        }
    }
    memstore_free(m);
}

/* However little there is to compute for each series: who waits for them looks whether it may. */
TEST(lanes_end_soon_where_series_come_from_far_away)
{
    enum { WITHIN = 150 };
    static const struct queryable_ops ops = { .querier = far_open };
    struct memstore *m = store_make();
    struct far_store far = { { &ops }, memstore_queryable(m) };
    uint64_t limit = SELECT_BYTES + WITHIN * SERIES_BYTES;
    struct engine *en = engine_new(&(struct engine_opts){ .max_far_bytes = limit });
    struct query_opts q = { .query = S("sum(x_total)"), .start_ms = 60000, .end_ms = 60000,
        .instant = true };
    struct result r;
    atomic_store(&far_iterated, 0);
    EXPECT_EQ(engine_query(en, &far.base, &q, &r, NULL), ERR_LIMIT);
    EXPECT(atomic_load(&far_iterated) > WITHIN);
    EXPECT(atomic_load(&far_iterated) <= WITHIN + 2);
    engine_free(en);
    memstore_free(m);
}
