/* script_nhcb.c — load_with_nhcb: classic histograms also become native ones with custom buckets.
 *
 * Series whose names end in _bucket, _count or _sum and that are called the same but for that and
 * `le` make up one histogram at each of their times. Its bounds are the values of `le`, its counts
 * what lies between two of them. */
#include "promql/script_nhcb.h"

#include "base/f64.h"
#include "base/vec.h"

#include <math.h>

struct cell { double le, count; };
struct moment { bool any, has_count; double count, sum; VEC(struct cell) cells; };
struct classic { struct labels labels; struct moment *at; size_t n; };
struct collecting { struct arena *a; VEC(struct classic) all; size_t steps; struct err *e; };

enum part { PART_NONE, PART_BUCKET, PART_COUNT, PART_SUM };

static enum part part_of(str name, str *base)
{
    static const struct {
        const char *suffix;
        enum part part;
    } parts[] = { { "_bucket", PART_BUCKET }, { "_count", PART_COUNT }, { "_sum", PART_SUM } };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        str suffix = str_z(parts[i].suffix);
        if (!str_has_suffix(name, suffix)) continue;
        *base = str_slice(name, 0, name.n - suffix.n);
        return parts[i].part;
    }
    return PART_NONE;
}

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

static errc fail(struct collecting *c, const char *words, double a, const char *between, double b)
{
    char x[F64_TEXT_MAX], y[F64_TEXT_MAX];
    str ta = str_of(x, f64_text_g(x, a)), tb = str_of(y, f64_text_g(y, b));
    return err_set(c->e, ERR_BAD_INPUT, "%s%.*s%s%.*s", words, STR_ARG(ta), between, STR_ARG(tb));
}

/* Cells stay sorted by their bounds; one that is there already stays as it is. */
static errc cell_put(struct collecting *c, struct moment *m, double le, double count)
{
    if (count < 0) return fail(c, "bucket count must be non-negative: le=", le, ", count=", count);
    size_t i = 0;
    while (i < m->cells.n && m->cells.at[i].le < le) i++;
    if (i < m->cells.n && m->cells.at[i].le == le) return OK;
    if (i > 0 && count < m->cells.at[i - 1].count)
        return fail(c, "count is not cumulative: ", count, " < ", m->cells.at[i - 1].count);
    if (i < m->cells.n && count > m->cells.at[i].count)
        return fail(c, "count is not cumulative: ", count, " > ", m->cells.at[i].count);
    avec_push(c->a, &m->cells, ((struct cell){ le, count }));
    for (size_t k = m->cells.n - 1; k > i; k--) {
        struct cell t = m->cells.at[k];
        m->cells.at[k] = m->cells.at[k - 1];
        m->cells.at[k - 1] = t;
    }
    return OK;
}

static errc moment_put(struct collecting *c, struct moment *m, enum part part, double le, double v)
{
    m->any = true;
    switch (part) {
    case PART_BUCKET: return cell_put(c, m, le, v);
    case PART_COUNT:
        if (v < 0) return fail(c, "count must be non-negative: count=", v, ", was ", m->count);
        m->count = v;
        m->has_count = true;
        return OK;
    case PART_SUM: m->sum = v; return OK;
    case PART_NONE: break;
    }
    return OK;
}

static errc collect(struct collecting *c, const struct script_series *s)
{
    str base;
    double le = NAN;
    enum part part = part_of(labels_get(s->d.labels, METRIC_NAME), &base);
    if (part == PART_NONE) return OK;
    if (part == PART_BUCKET && (!f64_parse(labels_get(s->d.labels, S("le")), &le) || isnan(le)))
        return OK;
    struct classic *h = classic_of(c, s->d.labels, base);
    for (size_t i = 0; i < s->d.n; i++)
        if (s->d.values[i].kind == SEQ_VALUE)
            TRY(moment_put(c, &h->at[i], part, le, s->d.values[i].v));
    return OK;
}

static errc moment_histogram(struct collecting *c, struct moment *m, struct histogram **out)
{
    if (!m->has_count && m->cells.n) m->count = vec_last(&m->cells).count;
    if (!m->cells.n || vec_last(&m->cells).le != INFINITY)
        avec_push(c->a, &m->cells, ((struct cell){ INFINITY, m->count }));
    size_t n = m->cells.n;
    if (m->count != m->cells.at[n - 1].count)
        return fail(
            c, "count mismatch: count=", m->count, " != le=+Inf count=", m->cells.at[n - 1].count);
    struct histogram *h = ANEW(c->a, struct histogram);
    *h = (struct histogram){
        .schema = HISTOGRAM_CUSTOM_SCHEMA, .count = m->count, .sum = m->sum, .n_custom = n - 1
    };
    double *bounds = arena_array(c->a, n, sizeof(*bounds)), before = 0;
    h->pos = (struct histogram_side){ ANEW(c->a, struct span), 1,
        arena_array(c->a, n, sizeof(double)), n };
    h->pos.spans[0].length = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        h->pos.at[i] = m->cells.at[i].count - before;
        before = m->cells.at[i].count;
        bounds[i] = m->cells.at[i].le;
    }
    h->custom = n > 1 ? bounds : NULL;
    histogram_compact(c->a, h);
    TRY(histogram_validate(h, c->e));
    *out = h;
    return OK;
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

errc script_nhcb_append(const struct script_load *l, struct appender *ap, struct err *e)
{
    struct arena a = { 0 };
    struct collecting c = { .a = &a, .e = e };
    errc rc = OK;
    for (size_t i = 0; i < l->n; i++) c.steps = MAX(c.steps, l->at[i].d.n);
    for (size_t i = 0; i < l->n && rc == OK; i++) rc = collect(&c, &l->at[i]);
    for (size_t i = 0; i < c.all.n && rc == OK; i++) rc = append(&c, &c.all.at[i], l->step_ms, ap);
    arena_fini(&a);
    return rc;
}
