/* result_rows.c — rows to series. Most have a value at each step from their first to their last:
 * their times are the grid's own, kept once, and their values one copy, or the column itself. */
#include "promql/result_rows.h"

#include "promql/gosort.h"

#include <stdlib.h>

/* The labels of a result outlive the querier that lent them. */
static struct labels result_labels(struct result_rows *w, struct labels l, bool drop_name)
{
    if (w->q->delayed_names && drop_name) l = labels_drop_metadata(w->q->arena, l);
    return labels_copy(w->q->arena, l);
}

static const int64_t *rows_times(struct result_rows *w)
{
    if (w->times) return w->times;
    int64_t *t = arena_array(w->q->arena, w->grid.n, sizeof(*t));
    STEPS_EACH(i, w->q, w->grid.n) t[i] = grid_time(&w->grid, i);
    return w->times = t;
}

/* A row of n values, which lie here and there. Without a branch: each step is written, and written
 * over where there is nothing. */
static void series_of_some(
    struct result_rows *w, struct result_series *s, const struct row *row, size_t n)
{
    const struct grid *g = &w->grid;
    struct arena *a = w->q->arena;
    const struct histogram **hist = row_copy_histograms(a, row, g->n);
    int64_t *t = arena_array(a, n + 1, sizeof(*t));
    double *v = arena_array(a, n + 1, sizeof(*v));
    const struct histogram **h = hist ? arena_array(a, n + 1, sizeof(*h)) : NULL;
    size_t made = 0;
    for (size_t i = 0; i < g->n; i++) {
        t[made] = grid_time(g, i);
        v[made] = row->v[i];
        if (h) h[made] = hist[i];
        made += bits_get(row->present, i);
    }
    assert(made == n);
    s->t = t;
    s->v = v;
    s->h = h;
}

/* One of the n steps from `first` on, all of which have a value: most series begin and end once. */
static void series_of_run(
    struct result_rows *w, struct result_series *s, const struct row *row, size_t first, size_t n)
{
    s->t = rows_times(w) + first;
    s->v = row->v + first;
    if (!row->pooled) {
        double *v = arena_array(w->q->arena, n, sizeof(*v));
        arena_copy(w->q->arena, v, row->v + first, n * sizeof(*v));
        s->v = v;
    }
    s->h = row_copy_histograms(w->q->arena, row, w->grid.n);
    if (s->h) s->h += first;
}

static errc result_row(struct sink *base, struct row *row)
{
    struct result_rows *w = CONTAINER_OF(base, struct result_rows, rows);
    size_t n = row_count(row, w->grid.n);
    bool pooled = row->pooled;
    /* a column for a few steps is better used for another row */
    row->pooled &= n > w->grid.n / 2;
    if (n == 0) return eval_check(w->q);
    struct result_series s = {
        .labels = result_labels(w, row->labels, row->drop_name), .n = n, .drop_name = row->drop_name
    };
    size_t first = bits_next(row->present, 0, w->grid.n);
    bool run = bits_next(row->present, first + n, w->grid.n) == w->grid.n;
    if (run) series_of_run(w, &s, row, first, n);
    else series_of_some(w, &s, row, n);
    if (pooled && !(run && row->pooled)) column_pool_give(&w->columns, row->v);
    vec_push(&w->series, s);
    return eval_check(w->q);
}

/* Of n points; their histograms are the series' from now on. */
static void series_of_points(
    struct result_rows *w, struct result_series *s, const struct point *at, size_t n)
{
    struct arena *a = w->q->arena;
    int64_t *t = arena_array(a, n, sizeof(*t));
    double *v = arena_array(a, n, sizeof(*v));
    const struct histogram **h = NULL;
    STEPS_EACH(i, w->q, n) {
        t[i] = at[i].t;
        v[i] = at[i].v;
        if (at[i].h && !h) h = arena_zalloc(a, n * sizeof(*h));
        if (h) h[i] = at[i].h;
    }
    s->t = t;
    s->v = v;
    s->h = h;
    s->n = n;
}

static errc result_points(
    struct point_sink *base, struct labels l, bool drop_name, const struct point *at, size_t n)
{
    struct result_rows *w = CONTAINER_OF(base, struct result_rows, points);
    struct result_series s = { .labels = result_labels(w, l, drop_name), .drop_name = drop_name };
    struct arena_mark m = arena_mark(&w->q->scratch);
    struct point *own = arena_array(&w->q->scratch, n, sizeof(*own));
    STEPS_EACH(i, w->q, n) {
        own[i] = at[i];
        if (at[i].h) own[i].h = histogram_copy(w->q->arena, at[i].h);
    }
    TRY(w->q->ended);
    series_of_points(w, &s, own, n);
    arena_reset(&w->q->scratch, m);
    vec_push(&w->series, s);
    return OK;
}

/* By time, floats before histograms: a row may have one of each at a time. */
static int point_cmp(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    return x->t != y->t ? (x->t > y->t) - (x->t < y->t) : (x->h != NULL) - (y->h != NULL);
}

static errc series_merge(
    struct result_rows *w, struct result_series *dst, const struct result_series *src)
{
    struct arena_mark m = arena_mark(&w->q->scratch);
    size_t n = dst->n + src->n;
    struct point *at = arena_array(&w->q->scratch, n, sizeof(*at));
    STEPS_EACH(i, w->q, dst->n) at[i] = result_point(dst, i);
    STEPS_EACH(i, w->q, src->n) at[dst->n + i] = result_point(src, i);
    TRY(eval_check(w->q));
    qsort(at, n, sizeof(*at), point_cmp);
    for (size_t i = 1; i < n; i++)
        if (at[i].t == at[i - 1].t && !at[i].h == !at[i - 1].h) return eval_fail_same_labels(w->q);
    series_of_points(w, dst, at, n);
    arena_reset(&w->q->scratch, m);
    return OK;
}

void result_rows_init(struct result_rows *w, struct query *q, struct grid g)
{
    *w = (struct result_rows){ .rows = { .row = result_row, .pool = &w->columns },
        .points = { result_points },
        .q = q,
        .grid = g };
    column_pool_init(&w->columns, q->arena, g.n);
}

void result_rows_fini(struct result_rows *w)
{
    column_pool_fini(&w->columns);
    vec_fini(&w->series);
}

errc result_rows_join(struct result_rows *w)
{
    struct label_set set;
    label_set_init(&set, w->q->arena);
    size_t n = 0;
    struct watch watch = { w->q };
    errc rc = OK;
    for (size_t i = 0; i < w->series.n && rc == OK; i++) {
        bool fresh;
        if (watch_ends(&watch)) {
            rc = watch.rc;
            break;
        }
        size_t at = label_set_add(&set, w->series.at[i].labels, &fresh);
        if (fresh) w->series.at[n++] = w->series.at[i];
        else rc = series_merge(w, &w->series.at[at], &w->series.at[i]);
    }
    w->series.n = n;
    label_set_fini(&set);
    return rc;
}

void result_rows_at_instant(struct result_rows *w)
{
    for (size_t i = 0; i < w->series.n; i++) {
        struct result_series *s = &w->series.at[i];
        s->t += s->n - 1;
        s->v += s->n - 1;
        if (s->h) s->h += s->n - 1;
        s->n = 1;
    }
}

struct series_sort { struct result_series *at; struct watch watch; };

static bool series_less(void *ctx, size_t i, size_t j)
{
    struct series_sort *s = ctx;
    if (watch_ends(&s->watch)) return false;
    return labels_cmp(s->at[i].labels, s->at[j].labels) < 0;
}
static void series_swap(void *ctx, size_t i, size_t j)
{
    struct result_series *at = ((struct series_sort *)ctx)->at, t = at[i];
    at[i] = at[j];
    at[j] = t;
}

errc result_rows_sort(struct result_rows *w)
{
    static const struct gosort_ops ops = { series_less, series_swap };
    struct series_sort s = { w->series.at, { w->q } };
    gosort(&ops, &s, w->series.n);
    return s.watch.rc;
}

void result_rows_give(struct result_rows *w, struct result *out)
{
    out->n_series = w->series.n;
    out->series = arena_array(w->q->arena, w->series.n, sizeof(*out->series));
    if (w->series.n) memcpy(out->series, w->series.at, w->series.n * sizeof(*out->series));
}
