/* script_nhcb.c — load_with_nhcb: classic histograms also become native ones with custom buckets.
 *
 * Series whose names end in _bucket, _count or _sum and that are called the same but for that and
 * `le` make up one histogram at each of their times (model/classic_histogram). */
#include "promql/script_nhcb.h"

#include "base/f64.h"
#include "model/classic_histogram.h"

#include <math.h>

struct moment { bool any; struct classic_histogram parts; };
struct classic { struct labels labels; struct moment *at; size_t n; };
struct collecting { struct arena *a; VEC(struct classic) all; size_t steps; struct err *e; };

static struct classic *classic_of(struct collecting *c, struct labels series, str base)
{
    struct labels_builder lb;
    labels_builder_init(&lb, c->a);
    labels_builder_from(&lb, series);
    labels_builder_set(&lb, METRIC_NAME, base);
    labels_builder_del(&lb, S("le"));
    struct labels l = labels_builder_done(&lb);
    for (size_t i = 0; i < c->all.n; i++)
        if (labels_eq(c->all.at[i].labels, l)) return &c->all.at[i];
    struct classic fresh = { l, arena_zalloc(c->a, c->steps * sizeof(struct moment)), c->steps };
    avec_push(c->a, &c->all, fresh);
    return &vec_last(&c->all);
}

static void moment_put(struct moment *m, enum classic_part part, double le, double v)
{
    m->any = true;
    switch (part) {
    case CLASSIC_BUCKET: classic_put_bucket(&m->parts, le, v); break;
    case CLASSIC_COUNT: classic_put_count(&m->parts, v); break;
    case CLASSIC_SUM: classic_put_sum(&m->parts, v); break;
    case CLASSIC_NONE: break;
    }
}

static void collect(struct collecting *c, const struct script_series *s)
{
    str base;
    double le = NAN;
    enum classic_part part = classic_part_of(labels_get(s->d.labels, METRIC_NAME), &base);
    if (part == CLASSIC_NONE) return;
    if (part == CLASSIC_BUCKET &&
        (!f64_parse(labels_get(s->d.labels, S("le")), &le) || isnan(le)))
        return;
    struct classic *h = classic_of(c, s->d.labels, base);
    for (size_t i = 0; i < s->d.n; i++)
        if (s->d.values[i].kind == SEQ_VALUE) moment_put(&h->at[i], part, le, s->d.values[i].v);
}

static errc moment_histogram(struct collecting *c, struct moment *m, struct histogram **out)
{
    struct int_histogram *whole;
    TRY(classic_convert(&m->parts, c->a, &whole, out, c->e));
    if (whole) {
        TRY(int_histogram_validate(whole, c->e));
        *out = int_histogram_to_float(c->a, whole);
    }
    return histogram_validate(*out, c->e);
}

static errc append(
    struct collecting *c, const struct classic *x, int64_t step_ms, struct appender *ap)
{
    series_handle handle;
    TRY(ap->ops->series(ap, x->labels, &handle, c->e));
    for (size_t i = 0; i < x->n; i++) {
        struct histogram *h = NULL;
        if (!x->at[i].any) continue;
        TRY(moment_histogram(c, &x->at[i], &h));
        TRY(ap->ops->histogram(ap, handle, (int64_t)i * step_ms, 0, NULL, h, c->e));
    }
    return OK;
}

static void collecting_fini(struct collecting *c)
{
    for (size_t i = 0; i < c->all.n; i++)
        for (size_t k = 0; k < c->all.at[i].n; k++) classic_fini(&c->all.at[i].at[k].parts);
    arena_fini(c->a);
}

errc script_nhcb_append(const struct script_load *l, struct appender *ap, struct err *e)
{
    struct arena a = { 0 };
    struct collecting c = { .a = &a, .e = e };
    errc rc = OK;
    for (size_t i = 0; i < l->n; i++) c.steps = MAX(c.steps, l->at[i].d.n);
    for (size_t i = 0; i < l->n; i++) collect(&c, &l->at[i]);
    for (size_t i = 0; i < c.all.n && rc == OK; i++) rc = append(&c, &c.all.at[i], l->step_ms, ap);
    collecting_fini(&c);
    return rc;
}
