#include "scrape/test_store.h"

#include "base/f64.h"
#include "base/test.h"

static bool is_stale(double v) { return f64_bits(v) == f64_bits(stale_nan()); }

static void put_samples(struct buf *b, struct series *s, bool times)
{
    struct sample_iter *it = NULL;
    struct sample_batch batch;
    EXPECT_OK(s->ops->iterate(s, &it, NULL));
    do {
        EXPECT_OK(sample_iter_fill(it, &batch, NULL));
        for (size_t i = 0; i < batch.n; i++) {
            bool histogram = batch.kind != SAMPLE_FLOAT;
            buf_u8(b, ' ');
            if (is_stale(histogram ? batch.h[i]->sum : batch.v[i])) buf_str(b, S("stale"));
            else if (histogram) histogram_text(b, batch.h[i]);
            else buf_f64_f(b, batch.v[i]);
            if (batch.st && batch.st[i]) buf_fmt(b, "^%" PRId64, batch.st[i]);
            if (times) buf_fmt(b, "@%" PRId64, batch.t[i]);
        }
    } while (batch.n);
    sample_iter_free(it);
}

static void each_series(struct memstore *m, void (*fn)(void *ctx, struct series *s), void *ctx)
{
    struct queryable *q = memstore_queryable(m);
    struct querier *qr;
    struct series_set *set;
    struct select_hints h = { .start = INT64_MIN, .end = INT64_MAX, .sorted = true };
    EXPECT_OK(q->ops->querier(q, INT64_MIN, INT64_MAX, &qr, NULL));
    EXPECT_OK(qr->ops->select(qr, (struct matchers){ 0 }, &h, &set, NULL));
    for (struct series *s;;) {
        EXPECT_OK(set->ops->next(set, &s, NULL));
        if (!s) break;
        fn(ctx, s);
    }
    series_set_free(set);
    querier_free(qr);
}

struct text { struct buf b; str prefix; bool times; };

static void text_one(void *ctx, struct series *s)
{
    struct text *t = ctx;
    if (!str_has_prefix(labels_get(s->labels, METRIC_NAME), t->prefix)) return;
    buf_labels(&t->b, s->labels);
    put_samples(&t->b, s, t->times);
    buf_u8(&t->b, '\n');
}

str store_text(struct memstore *m, struct arena *a, str name_prefix, bool times)
{
    struct text t = { .prefix = name_prefix, .times = times };
    each_series(m, text_one, &t);
    str s = arena_str(a, buf_view(&t.b));
    buf_fini(&t.b);
    return s;
}

struct last { str name, label, value; double v; bool found; size_t stale; };

static void last_one(void *ctx, struct series *s)
{
    struct last *l = ctx;
    if (l->label.n ? !str_eq(labels_get(s->labels, METRIC_NAME), l->name) ||
                         !str_eq(labels_get(s->labels, l->label), l->value)
                   : !str_has_prefix(labels_get(s->labels, METRIC_NAME), l->name))
        return;
    struct sample_iter *it = NULL;
    struct sample_batch batch;
    EXPECT_OK(s->ops->iterate(s, &it, NULL));
    do {
        EXPECT_OK(sample_iter_fill(it, &batch, NULL));
        for (size_t i = 0; i < batch.n; i++) {
            l->v = batch.v[i];
            l->found = true;
            l->stale += is_stale(batch.v[i]);
        }
    } while (batch.n);
    sample_iter_free(it);
}

bool store_last(struct memstore *m, str name, str label, str value, double *v)
{
    struct last l = { .name = name, .label = label, .value = value };
    each_series(m, last_one, &l);
    *v = l.v;
    return l.found;
}

size_t store_stale_count(struct memstore *m, str name_prefix)
{
    struct last l = { .name = name_prefix };
    each_series(m, last_one, &l);
    return l.stale;
}

struct scrape_config test_job(const char *name)
{
    return (struct scrape_config){
        .job_name = str_z(name),
        .text = str_z(name),
        .interval_ms = 15000,
        .timeout_ms = 10000,
        .metrics_path = S("/metrics"),
        .scheme = S("http"),
        .honor_timestamps = true,
        .protocols = { PROTO_OPENMETRICS_1_0_0, PROTO_TEXT_0_0_4 },
        .n_protocols = 2,
        .http.follow_redirects = true,
    };
}
