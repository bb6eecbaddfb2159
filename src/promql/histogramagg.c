/* sum and avg of histograms: a group's state at each step that saw one.
 *
 * A group that sees floats and histograms at one step has no value there, and neither has one that
 * sees histograms of both kinds of buckets; both are known only when all rows have come, so the
 * state lives beside the columns of the floats. */
#include "promql/aggregate.h"
#include "promql/windows.h"

struct group_histogram {
    struct histogram_mean mean;            /* of sum: only its s */
    bool has_value;                        /* the step's first sample was a histogram */
    bool has_float, has_histogram, incompatible, reset, no_reset;
};

static void see_hint(struct group_histogram *g, const struct histogram *h)
{
    g->reset |= h->hint == RESET_YES;
    g->no_reset |= h->hint == RESET_NO;
}

static struct group_histogram *first_of_step(
    struct arena *a, const struct histogram *h, bool has_float)
{
    struct group_histogram *g = ANEW(a, struct group_histogram);
    g->has_histogram = true;
    g->has_float = has_float;
    g->has_value = !has_float;
    if (!g->has_value) return g;
    see_hint(g, h);
    g->mean.s.h = *histogram_copy(a, h);
    g->mean.n = 1;
    return g;
}

static void add_histogram(struct eval *ev, const struct expr *x, struct group_histogram *g,
    const struct histogram *h, str metric)
{
    struct annotations *an = &ev->q->annotations;
    struct pos pos = x->aggregate.expr->pos;
    struct histogram_merge m = { 0 };
    g->has_histogram = true;
    if (!g->has_value) return;
    see_hint(g, h);
    errc rc = x->aggregate.op == OP_SUM ? histogram_sum_add(ev->q->arena, &g->mean.s, h, &m)
                                        : histogram_mean_add(ev->q->arena, &g->mean, h, &m);
    if (rc != OK) {
        anno_mixed_schemas(an, metric, pos);
        g->incompatible = true;
    } else if (m.bounds_reconciled) {
        anno_bounds_reconciled(an, HISTOGRAM_AGGREGATION, pos);
    }
}

void group_histograms_add(struct eval *ev, const struct expr *x, struct group_histograms *g,
    const uint64_t *seen, const struct row *r)
{
    size_t n = ev->g.n;
    str metric = labels_get(r->labels, METRIC_NAME);
    if (!g->at) g->at = arena_zalloc(ev->q->arena, n * sizeof(*g->at));
    BITS_EACH(i, r->present, n) {
        const struct histogram *h = row_histogram(r, i);
        struct group_histogram *at = g->at[i];
        if (!at && h) g->at[i] = first_of_step(ev->q->arena, h, bits_get(seen, i));
        else if (!at || at->incompatible) continue;
        else if (h) add_histogram(ev, x, at, h, metric);
        else at->has_float = true;
    }
}

static const struct histogram *result_of(
    struct eval *ev, const struct expr *x, struct group_histogram *g)
{
    struct arena *a = ev->q->arena;
    struct pos pos = x->aggregate.expr->pos;
    struct histogram_merge m;
    if (g->has_float) {
        anno_mixed_floats_histograms_agg(&ev->q->annotations, pos);
        return NULL;
    }
    if (g->incompatible) return NULL;
    if ((x->aggregate.op == OP_SUM ? histogram_sum_end(a, &g->mean.s, &m)
                                   : histogram_mean_end(a, &g->mean)) != OK)
        return NULL;
    histogram_compact(a, &g->mean.s.h);
    if (g->reset && g->no_reset)
        anno_reset_collision(&ev->q->annotations, HISTOGRAM_AGGREGATION, pos);
    return &g->mean.s.h;
}

const struct histogram **group_histograms_end(
    struct eval *ev, const struct expr *x, struct group_histograms *g, uint64_t *seen)
{
    const struct histogram **out = arena_zalloc(ev->q->arena, ev->g.n * sizeof(*out));
    bool any = false;
    for (size_t i = 0; i < ev->g.n; i++) {
        if (!g->at[i]) continue;
        out[i] = result_of(ev, x, g->at[i]);
        if (!out[i]) bits_clear(seen, i);
        any |= out[i] != NULL;
    }
    return any ? out : NULL;
}
