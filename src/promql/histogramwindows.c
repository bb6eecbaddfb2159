/* Functions of the values in a window that holds histograms: sum, avg, counts and ends. */
#include "promql/windows.h"

static struct arena *scratch_of(const struct windows *w) { return w->room; }
static struct annotations *notes_of(const struct windows *w) { return &w->ev->q->annotations; }

/* What was seen while summing; told at the end, unless the sum failed. */
struct summing { bool reset, no_reset, reconciled; };

static void summing_see(struct summing *s, const struct histogram *h)
{
    s->reset |= h->hint == RESET_YES;
    s->no_reset |= h->hint == RESET_NO;
}

static errc sum_tell(struct windows *w, const struct summing *s, errc rc)
{
    if (rc != OK) {
        anno_mixed_schemas(notes_of(w), w->metric, w->pos);
        return rc;
    }
    if (s->reset && s->no_reset) anno_reset_collision(notes_of(w), HISTOGRAM_AGGREGATION, w->pos);
    if (s->reconciled) anno_bounds_reconciled(notes_of(w), HISTOGRAM_AGGREGATION, w->pos);
    return OK;
}

static bool mixed(struct windows *w, size_t k)
{
    if (w->lo[k] == w->hi[k]) return false;
    anno_mixed_floats_histograms(notes_of(w), w->metric, w->pos);
    return true;
}

static struct histogram_sum sum_from(struct windows *w, const struct histogram *h)
{
    struct histogram *c = histogram_copy(scratch_of(w), h);
    return (struct histogram_sum){ .h = *c };
}

static void put_sum(struct windows *w, size_t k, const struct histogram_sum *s)
{
    struct histogram *h = ANEW(scratch_of(w), struct histogram);
    *h = s->h;
    window_put_histogram(w, k, h);
}

/* False: it is to be made one by one. */
static bool sum_slides(
    struct windows *w, size_t k, struct summing *seen, struct histogram_sum *sum)
{
    if (!w->slide || !histogram_slide_sum(w->slide, k, scratch_of(w), sum)) return false;
    seen->reset = histogram_slide_has(w->slide, k, RESET_YES);
    seen->no_reset = histogram_slide_has(w->slide, k, RESET_NO);
    return true;
}

static errc sum_one_by_one(
    struct windows *w, size_t k, struct summing *seen, struct histogram_sum *s)
{
    struct histogram_merge m;
    *s = sum_from(w, w->hs->h[w->hlo[k]]);
    for (size_t i = w->hlo[k]; i < w->hhi[k]; i++) {
        summing_see(seen, w->hs->h[i]);
        if (i == w->hlo[k]) continue;
        TRY(histogram_sum_add(scratch_of(w), s, w->hs->h[i], &m));
        seen->reconciled |= m.bounds_reconciled;
    }
    return OK;
}

errc window_h_sum(struct windows *w, size_t k)
{
    if (mixed(w, k)) return OK;
    struct summing seen = { 0 };
    struct histogram_sum s;
    struct histogram_merge m;
    errc rc = sum_slides(w, k, &seen, &s) ? OK : sum_one_by_one(w, k, &seen, &s);
    if (rc == OK) rc = histogram_sum_end(scratch_of(w), &s, &m);
    if (sum_tell(w, &seen, rc) == OK) put_sum(w, k, &s);
    return OK;
}
static const double cannot_overflow = 1e307;

errc histogram_mean_add(struct arena *a, struct histogram_mean *m, const struct histogram *h,
    struct histogram_merge *merge)
{
    m->n++;
    if (!m->incremental && histogram_greatest(&m->s.h) + histogram_greatest(h) < cannot_overflow)
        return histogram_sum_add(a, &m->s, h, merge);
    if (!m->incremental) {
        struct histogram_sum next;
        histogram_sum_copy(a, &next, &m->s);
        TRY(histogram_sum_add(a, &next, h, merge));
        if (!histogram_overflows(&next.h)) {
            m->s = next;
            return OK;
        }
        m->incremental = true;
        histogram_divide(&m->s.h, m->n - 1);
        if (m->s.with_c) histogram_divide(&m->s.c, m->n - 1);
    }
    double q = (m->n - 1) / m->n;
    if (m->s.with_c) histogram_scale(&m->s.c, q);
    histogram_scale(&m->s.h, q);
    struct histogram *part = histogram_copy(a, h);
    histogram_divide(part, m->n);
    return histogram_sum_add(a, &m->s, part, merge);
}

errc histogram_mean_end(struct arena *a, struct histogram_mean *m)
{
    struct histogram_merge merge;
    if (!m->incremental) {
        histogram_divide(&m->s.h, m->n);
        if (m->s.with_c) histogram_divide(&m->s.c, m->n);
    }
    return histogram_sum_end(a, &m->s, &merge);
}

static errc mean_one_by_one(
    struct windows *w, size_t k, struct summing *seen, struct histogram_mean *mean)
{
    struct histogram_merge m = { 0 };
    *mean = (struct histogram_mean){ .s = sum_from(w, w->hs->h[w->hlo[k]]), .n = 1 };
    for (size_t i = w->hlo[k]; i < w->hhi[k]; i++) {
        summing_see(seen, w->hs->h[i]);
        if (i > w->hlo[k]) TRY(histogram_mean_add(scratch_of(w), mean, w->hs->h[i], &m));
        seen->reconciled |= m.bounds_reconciled;
    }
    return OK;
}

errc window_h_avg(struct windows *w, size_t k)
{
    if (mixed(w, k)) return OK;
    struct summing seen = { 0 };
    struct histogram_mean mean = { .n = w->hhi[k] - w->hlo[k] };
    errc rc = sum_slides(w, k, &seen, &mean.s) ? OK : mean_one_by_one(w, k, &seen, &mean);
    if (rc == OK) rc = histogram_mean_end(scratch_of(w), &mean);
    if (sum_tell(w, &seen, rc) == OK) put_sum(w, k, &mean.s);
    return OK;
}

errc window_h_count(struct windows *w, size_t k)
{
    window_put(w, k, (double)(w->hi[k] - w->lo[k] + w->hhi[k] - w->hlo[k]));
    return OK;
}

errc window_h_one(struct windows *w, size_t k)
{
    window_put(w, k, 1);
    return OK;
}

errc window_h_first(struct windows *w, size_t k)
{
    uint32_t i = w->lo[k], j = w->hlo[k];
    if (i < w->hi[k] && w->t[i] < w->hs->t[j]) window_put(w, k, w->v[i]);
    else window_put_histogram(w, k, w->hs->h[j]);
    return OK;
}

errc window_h_last(struct windows *w, size_t k)
{
    uint32_t i = w->hi[k], j = w->hhi[k] - 1;
    if (i > w->lo[k] && w->hs->t[j] < w->t[i - 1]) window_put(w, k, w->v[i - 1]);
    else window_put_histogram(w, k, w->hs->h[j]);
    return OK;
}

errc window_h_ts_first(struct windows *w, size_t k)
{
    int64_t t = w->hs->t[w->hlo[k]];
    if (w->lo[k] < w->hi[k]) t = MIN(t, w->t[w->lo[k]]);
    window_put(w, k, (double)t / 1000);
    return OK;
}

errc window_h_ts_last(struct windows *w, size_t k)
{
    /* of floats that are not there it is 0, as in the reference */
    int64_t t = MAX(w->hs->t[w->hhi[k] - 1], w->lo[k] < w->hi[k] ? w->t[w->hi[k] - 1] : 0);
    window_put(w, k, (double)t / 1000);
    return OK;
}
