/* script_compare.c — is a result what a script expects?
 *
 * Floats are equal within a relative 1e-6; stale markers and other NaNs are equal to their like.
 * Histograms are compared without their empty buckets, number by number; hints only where the
 * script spells one out. */
#include "promql/script_run.h"

#include <float.h>
#include <math.h>

#include "base/f64.h"
#include "base/vec.h"
#include "model/sample.h"
#include "promql/series_histogram.h"

bool script_floats_equal(double a, double b)
{
    const double epsilon = 1e-6;
    if (sample_is_stale(a) || sample_is_stale(b)) return sample_is_stale(a) && sample_is_stale(b);
    if (isnan(a) && isnan(b)) return true;
    if (a == b) return true;
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN) return diff < epsilon * DBL_MIN;
    return diff / fmin(sum, DBL_MAX) < epsilon;
}

static bool sides_equal(const struct histogram_side *a, const struct histogram_side *b)
{
    if (a->n_spans != b->n_spans || a->n != b->n) return false;
    for (size_t i = 0; i < a->n_spans; i++)
        if (a->spans[i].offset != b->spans[i].offset || a->spans[i].length != b->spans[i].length)
            return false;
    for (size_t i = 0; i < a->n; i++)
        if (!script_floats_equal(a->at[i], b->at[i])) return false;
    return true;
}

static bool histograms_equal(
    const struct histogram *expected, const struct histogram *got, bool hint_too)
{
    struct arena a = { 0 };
    struct histogram *x = histogram_copy(&a, expected), *y = histogram_copy(&a, got);
    histogram_compact(&a, x);
    histogram_compact(&a, y);
    bool same = x->schema == y->schema && script_floats_equal(x->count, y->count) &&
                script_floats_equal(x->sum, y->sum) &&
                (!histogram_is_custom(x) || histogram_bounds_equal(x, y)) &&
                x->zero_threshold == y->zero_threshold &&
                script_floats_equal(x->zero_count, y->zero_count) &&
                sides_equal(&x->neg, &y->neg) && sides_equal(&x->pos, &y->pos) &&
                (!hint_too || x->hint == y->hint);
    arena_fini(&a);
    return same;
}

static void put_value(struct buf *b, double v, const struct histogram *h)
{
    if (h) buf_series_histogram(b, h);
    else buf_f64_g(b, v);
}

/* One value against what is expected: an error that names both. */
static errc compare_value(
    const struct seq_value *want, const struct point *got, str where, struct err *e)
{
    bool hist = want->kind == SEQ_HISTOGRAM;
    if (hist == (got->h != NULL) && (hist ? histograms_equal(want->h, got->h, want->hint_set)
                                          : script_floats_equal(want->v, got->v)))
        return OK;
    struct buf x = { 0 }, y = { 0 };
    put_value(&x, want->v, hist ? want->h : NULL);
    put_value(&y, got->v, got->h);
    errc rc = err_set(e, ERR_BAD_INPUT, "expected %.*s for %.*s but got %.*s",
        STR_ARG(buf_view(&x)), STR_ARG(where), STR_ARG(buf_view(&y)));
    buf_fini(&x);
    buf_fini(&y);
    return rc;
}

struct text { struct buf b; };
static void text_fini(struct text *t) { buf_fini(&t->b); }

/* "{a="b"}" for messages. */
static str text_of(struct text *t, struct labels l)
{
    buf_labels(&t->b, l);
    return buf_view(&t->b);
}

static const struct script_expected *expected_of(const struct script_eval *ev, struct labels l)
{
    for (size_t i = 0; i < ev->n_series; i++)
        if (labels_eq(ev->series[i].d.labels, l)) return &ev->series[i];
    return NULL;
}

/* Each expected series is in the result. */
static errc all_found(const struct script_eval *ev, const struct result *r, struct err *e)
{
    for (size_t i = 0; i < ev->n_series; i++) {
        size_t j = 0;
        while (j < r->n_series && !labels_eq(r->series[j].labels, ev->series[i].d.labels)) j++;
        if (j < r->n_series) continue;
        SCOPED(text_fini) struct text t = { 0 };
        str name = text_of(&t, ev->series[i].d.labels);
        return err_set(e, ERR_BAD_INPUT, "expected metric %.*s not found", STR_ARG(name));
    }
    return OK;
}

static errc compare_points(const struct script_eval *ev, const struct script_expected *x,
    const struct result_series *s, struct err *e)
{
    SCOPED(text_fini) struct text t = { 0 };
    str name = text_of(&t, s->labels);
    size_t at = 0;
    for (size_t i = 0; i < x->d.n; i++) {
        int64_t time = ev->start_ms + (int64_t)i * ev->step_ms;
        const struct seq_value *v = &x->d.values[i];
        if (time > ev->end_ms)
            return err_set(e, ERR_BAD_INPUT,
                "expected %zu points for %.*s, but query time range cannot return this many points",
                x->d.n, STR_ARG(name));
        if (v->kind == SEQ_OMITTED) continue;
        if (at == s->n)
            return err_set(e, ERR_BAD_INPUT, "too few points for %.*s: %zu", STR_ARG(name), s->n);
        struct point p = result_point(s, at++);
        if (p.t != time)
            return err_set(e, ERR_BAD_INPUT,
                "expected float value at index %zu for %.*s to have timestamp %" PRId64
                ", but it had timestamp %" PRId64,
                at - 1, STR_ARG(name), time, p.t);
        TRY_IN(e, compare_value(v, &p, name, e), "index %zu (t=%" PRId64 ")", at - 1, p.t);
    }
    if (at < s->n)
        return err_set(
            e, ERR_BAD_INPUT, "expected %zu points for %.*s, but got %zu", at, STR_ARG(name), s->n);
    return OK;
}

static errc compare_matrix(const struct script_eval *ev, const struct result *r, struct err *e)
{
    if (ev->ordered)
        return err_set(e, ERR_BAD_INPUT, "expected ordered result, but query returned a matrix");
    if (ev->scalar) return err_set(e, ERR_BAD_INPUT, "expected scalar result, but got matrix");
    for (size_t i = 0; i < r->n_series; i++) {
        SCOPED(text_fini) struct text t = { 0 };
        str name = text_of(&t, r->series[i].labels);
        if (i > 0 && labels_cmp(r->series[i - 1].labels, r->series[i].labels) > 0)
            return err_set(e, ERR_BAD_INPUT,
                "matrix results should always be sorted by labels, but %.*s is not", STR_ARG(name));
        const struct script_expected *x = expected_of(ev, r->series[i].labels);
        if (!x)
            return err_set(e, ERR_BAD_INPUT, "unexpected metric %.*s in result, has %zu points",
                STR_ARG(name), r->series[i].n);
        TRY(compare_points(ev, x, &r->series[i], e));
    }
    return all_found(ev, r, e);
}

static errc unexpected_metric(str name, struct point got, struct err *e)
{
    struct buf value = { 0 };
    put_value(&value, got.v, got.h);
    errc rc = err_set(e, ERR_BAD_INPUT, "unexpected metric %.*s in result, has value %.*s",
        STR_ARG(name), STR_ARG(buf_view(&value)));
    buf_fini(&value);
    return rc;
}

static errc compare_vector(const struct script_eval *ev, const struct result *r, struct err *e)
{
    if (ev->scalar) return err_set(e, ERR_BAD_INPUT, "expected scalar result, but got vector");
    for (size_t i = 0; i < r->n_series; i++) {
        const struct result_series *s = &r->series[i];
        SCOPED(text_fini) struct text t = { 0 };
        str name = text_of(&t, s->labels);
        if (s->n != 1)
            return err_set(
                e, ERR_BAD_INPUT, "%zu points for %.*s in a vector", s->n, STR_ARG(name));
        const struct script_expected *x = expected_of(ev, s->labels);
        if (!x) return unexpected_metric(name, result_point(s, 0), e);
        if (ev->ordered && x->pos != i + 1)
            return err_set(e, ERR_BAD_INPUT, "expected metric %.*s at position %zu but was at %zu",
                STR_ARG(name), x->pos, i + 1);
        if (x->d.n == 0)
            return err_set(e, ERR_BAD_INPUT, "no value is expected for %.*s", STR_ARG(name));
        struct point p = result_point(s, 0);
        TRY(compare_value(&x->d.values[0], &p, name, e));
    }
    return all_found(ev, r, e);
}

errc script_compare(const struct script_eval *ev, const struct result *r, struct err *e)
{
    switch (r->type) {
    case VALUE_MATRIX: return compare_matrix(ev, r, e);
    case VALUE_VECTOR: return compare_vector(ev, r, e);
    case VALUE_STRING:
        if (str_eq(ev->text, r->text)) return OK;
        return err_set(e, ERR_BAD_INPUT, "expected string \"%.*s\" but got \"%.*s\"",
            STR_ARG(ev->text), STR_ARG(r->text));
    case VALUE_SCALAR: {
        double got = r->series[0].v[0];
        if (!ev->scalar)
            return err_set(
                e, ERR_BAD_INPUT, "expected vector or matrix result, but got scalar %.17g", got);
        if (script_floats_equal(ev->scalar_value, got)) return OK;
        return err_set(
            e, ERR_BAD_INPUT, "expected scalar %.17g but got %.17g", ev->scalar_value, got);
    }
    case VALUE_NONE: break;
    }
    return err_set(e, ERR_BAD_INPUT, "a result without a type");
}
