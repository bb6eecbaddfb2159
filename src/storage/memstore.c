#include "storage/memstore.h"

#include "base/lock.h"
#include "base/map.h"
#include "base/strs.h"
#include "storage/changes.h"

#include <stdlib.h>

struct mem_sample { int64_t t, st; double v; const struct histogram *h; };

/* Samples are only ever added at the end; a querier remembers how many there were. */
struct mem_series {
    struct labels labels;
    sref ref;
    VEC(struct mem_sample) samples;
    int64_t last_t;                        /* of committed and pending samples; INT64_MIN: none */
    /* where the run of histograms that can go on began; samples.n: none */
    size_t run;
};

struct memstore {
    struct appendable app;
    struct queryable q;
    struct mtx mu;                         /* LOCK_HEAD_COMMIT */
    struct changes changes;
    struct arena arena;                    /* labels, series and histograms */
    struct map by_labels;
    VEC(struct mem_series *) series;       /* at[ref - 1] */
    VEC(struct exemplar) exemplars;        /* in the order of coming, committed or not */
    str_list told;
};

struct mem_pending { struct mem_series *s; struct mem_sample sample; };
struct mem_appender {
    struct appender base;
    struct memstore *m;
    VEC(struct mem_pending) pending;
};

static bool mem_series_is(const void *val, const void *key)
{
    return labels_eq(((const struct mem_series *)val)->labels, *(const struct labels *)key);
}

/* Appender */

static errc mem_appender_series(
    struct appender *base, struct labels labels, series_handle *out, struct err *e)
{
    struct mem_appender *a = CONTAINER_OF(base, struct mem_appender, base);
    if (labels.n == 0) return err_set(e, ERR_BAD_INPUT, "empty labelset");
    uint64_t hash = labels_hash(labels);
    mtx_lock(&a->m->mu);
    struct mem_series *s = map_find(&a->m->by_labels, hash, mem_series_is, &labels);
    if (!s) {
        s = ANEW(&a->m->arena, struct mem_series);
        s->labels = labels_copy(&a->m->arena, labels);
        s->ref = a->m->series.n + 1;
        s->last_t = INT64_MIN;
        vec_push(&a->m->series, s);
        map_put(&a->m->by_labels, hash, s);
    }
    mtx_unlock(&a->m->mu);
    *out = s->ref;
    return OK;
}

/* The newest sample of the series as this appender sees it: its own pending ones come after the
 * committed ones. */
static const struct mem_sample *mem_newest(const struct mem_appender *a, const struct mem_series *s)
{
    for (size_t i = a->pending.n; i > 0; i--)
        if (a->pending.at[i - 1].s == s) return &a->pending.at[i - 1].sample;
    return s->samples.n ? &s->samples.at[s->samples.n - 1] : NULL;
}

static errc mem_take(
    struct mem_appender *a, series_handle h, struct mem_sample sample, struct err *e)
{
    errc rc = OK;
    mtx_lock(&a->m->mu);
    struct mem_series *s = h >= 1 && h <= a->m->series.n ? a->m->series.at[h - 1] : NULL;
    if (!s) {
        rc = ERR_NOT_FOUND;
    } else if (sample.t < s->last_t) {
        rc = ERR_OUT_OF_ORDER;
    } else if (sample.t == s->last_t) {
        const struct mem_sample *old = mem_newest(a, s);
        bool same = old && old->t == sample.t && !old->h && !sample.h &&
                    f64_bits(old->v) == f64_bits(sample.v);
        rc = same ? OK : ERR_DUPLICATE;
    } else {
        s->last_t = sample.t;
        vec_push(&a->pending, ((struct mem_pending){ s, sample }));
    }
    mtx_unlock(&a->m->mu);
    str words = sample_refusal(rc);
    if (!words.n) words = str_z(errc_name(rc));
    return rc == OK ? OK : err_set(e, rc, "%.*s", STR_ARG(words));
}

static errc mem_appender_append(
    struct appender *base, series_handle h, int64_t t, double v, int64_t st, struct err *e)
{
    struct mem_appender *a = CONTAINER_OF(base, struct mem_appender, base);
    return mem_take(a, h, (struct mem_sample){ .t = t, .v = v, .st = st }, e);
}

static errc mem_appender_batch(struct appender *base, const series_handle *h, const int64_t *t,
    const double *v, size_t n, uint8_t *results, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        results[i] = (uint8_t)mem_appender_append(base, h[i], t[i], v[i], 0, e);
        if (results[i] != OK) e = NULL;
    }
    return OK;
}

/* Runs of histograms: what a chunk of them would make of a sample. All samples of a run have the
 * buckets of all, empty where they had none, and all but the first say that there was no reset
 * before them. */

/* Buckets that prev counts and h does not have, or has less of, end a run. */
static bool mem_run_goes_on(const struct histogram *prev, const struct histogram *h)
{
    bool gauge = h->hint == RESET_GAUGE;
    if ((prev->hint == RESET_GAUGE) != gauge || h->hint == RESET_YES) return false;
    if (h->schema != prev->schema || h->zero_threshold != prev->zero_threshold) return false;
    if (histogram_is_custom(h) && !histogram_bounds_equal(h, prev)) return false;
    if (gauge) return true;
    struct histogram unmarked = *h;
    unmarked.hint = RESET_UNKNOWN;
    return h->zero_count >= prev->zero_count && !histogram_is_reset(&unmarked, prev);
}

/* h with the buckets of both. */
static const struct histogram *mem_lay_out(
    struct arena *a, const struct histogram *h, const struct histogram *other)
{
    struct histogram *to = histogram_copy(a, h), *empty = histogram_copy(a, other);
    struct histogram_merge m;
    empty->hint = h->hint;
    empty->count = empty->sum = empty->zero_count = 0;
    for (size_t i = 0; i < empty->pos.n; i++) empty->pos.at[i] = 0;
    for (size_t i = 0; i < empty->neg.n; i++) empty->neg.at[i] = 0;
    errc rc = histogram_add(a, to, empty, 1, &m);
    assert(rc == OK && !m.bounds_reconciled);
    return rc == OK ? to : h;
}

static bool mem_same_buckets(const struct histogram *a, const struct histogram *b)
{
    const struct histogram_side *x[] = { &a->pos, &a->neg }, *y[] = { &b->pos, &b->neg };
    for (int i = 0; i < 2; i++)
        if (x[i]->n_spans != y[i]->n_spans ||
            (x[i]->n_spans &&
                memcmp(x[i]->spans, y[i]->spans, x[i]->n_spans * sizeof(struct span))))
            return false;
    return true;
}

static void mem_keep(struct memstore *m, struct mem_series *s, struct mem_sample x)
{
    if (!x.h) {
        vec_push(&s->samples, x);
        s->run = s->samples.n;
        return;
    }
    const struct histogram *prev = s->run < s->samples.n ? s->samples.at[s->samples.n - 1].h : NULL;
    struct histogram *h = histogram_copy(&m->arena, x.h);
    x.h = h;
    if (!prev || !mem_run_goes_on(prev, h)) {
        if (h->hint != RESET_GAUGE) h->hint = RESET_UNKNOWN;
        s->run = s->samples.n;
    } else {
        if (h->hint != RESET_GAUGE) h->hint = RESET_NO;
        x.h = mem_lay_out(&m->arena, h, prev);
        for (size_t i = s->run; i < s->samples.n && !mem_same_buckets(s->samples.at[i].h, x.h); i++)
            s->samples.at[i].h = mem_lay_out(&m->arena, s->samples.at[i].h, x.h);
    }
    vec_push(&s->samples, x);
}

static errc mem_appender_histogram(struct appender *base, series_handle h, int64_t t, int64_t st,
    const struct int_histogram *whole, const struct histogram *floats, struct err *e)
{
    struct mem_appender *a = CONTAINER_OF(base, struct mem_appender, base);
    mtx_lock(&a->m->mu);
    const struct histogram *kept = whole ? int_histogram_to_float(&a->m->arena, whole)
                                         : histogram_copy(&a->m->arena, floats);
    mtx_unlock(&a->m->mu);
    return mem_take(a, h, (struct mem_sample){ .t = t, .h = kept, .st = st }, e);
}

static errc mem_appender_exemplar(struct appender *base, series_handle h UNUSED,
    const struct exemplar *x, struct err *e UNUSED)
{
    struct memstore *m = CONTAINER_OF(base, struct mem_appender, base)->m;
    struct exemplar kept = *x;
    mtx_lock(&m->mu);
    kept.labels = labels_copy(&m->arena, x->labels);
    vec_push(&m->exemplars, kept);
    mtx_unlock(&m->mu);
    return OK;
}

size_t memstore_exemplars(const struct memstore *m, const struct exemplar **out)
{
    *out = m->exemplars.at;
    return m->exemplars.n;
}

static errc mem_appender_metadata(struct appender *base UNUSED, series_handle h UNUSED,
    const struct metadata *m UNUSED, struct err *e UNUSED)
{
    /* what a family says of itself is not a sample: nothing to query */
    return OK;
}

static void mem_appender_free(struct mem_appender *a)
{
    vec_fini(&a->pending);
    mem_free(a);
}

static errc mem_appender_commit(struct appender *base, struct err *e UNUSED)
{
    struct mem_appender *a = CONTAINER_OF(base, struct mem_appender, base);
    int64_t mint = INT64_MAX, maxt = INT64_MIN;
    mtx_lock(&a->m->mu);
    for (size_t i = 0; i < a->pending.n; i++) {
        mem_keep(a->m, a->pending.at[i].s, a->pending.at[i].sample);
        mint = MIN(mint, a->pending.at[i].sample.t);
        maxt = MAX(maxt, a->pending.at[i].sample.t);
    }
    changes_note(&a->m->changes, mint, maxt);
    mtx_unlock(&a->m->mu);
    mem_appender_free(a);
    return OK;
}

static void mem_appender_rollback(struct appender *base)
{
    struct mem_appender *a = CONTAINER_OF(base, struct mem_appender, base);
    mtx_lock(&a->m->mu);
    for (size_t i = 0; i < a->pending.n; i++) {
        struct mem_series *s = a->pending.at[i].s;
        s->last_t = s->samples.n ? s->samples.at[s->samples.n - 1].t : INT64_MIN;
    }
    mtx_unlock(&a->m->mu);
    mem_appender_free(a);
}

static const struct appender_ops mem_appender_ops = {
    .series = mem_appender_series,
    .append = mem_appender_append,
    .append_batch = mem_appender_batch,
    .histogram = mem_appender_histogram,
    .exemplar = mem_appender_exemplar,
    .metadata = mem_appender_metadata,
    .commit = mem_appender_commit,
    .rollback = mem_appender_rollback,
};

static errc mem_begin(struct appendable *base, struct appender **out, struct err *e UNUSED)
{
    struct mem_appender *a = NEW(struct mem_appender);
    a->base.ops = &mem_appender_ops;
    a->m = CONTAINER_OF(base, struct memstore, app);
    *out = &a->base;
    return OK;
}
static const struct appendable_ops mem_appendable_ops = { .begin = mem_begin };

/* Querier: a copy of the list of series with their counts is the consistent cut. */

struct mem_cut {
    struct series base;
    struct mem_querier *q;
    const struct mem_sample *samples;
    size_t n;
};
struct mem_querier {
    struct querier base;
    struct arena arena;
    struct mem_cut *cut;                   /* of series with samples in [mint, maxt], by ref */
    size_t n;
    str *told;
    size_t n_told;
};

struct mem_iter {
    struct sample_iter base;
    const struct mem_sample *at, *end;
    int64_t st[SAMPLE_BATCH];
};

static errc mem_iter_fill(struct sample_iter *base, struct sample_batch *out, struct err *e UNUSED)
{
    struct mem_iter *it = CONTAINER_OF(base, struct mem_iter, base);
    out->n = 0;
    out->st = NULL;
    if (it->at == it->end) return OK;
    bool hist = it->at->h != NULL;
    out->kind = hist ? SAMPLE_FLOAT_HISTOGRAM : SAMPLE_FLOAT;
    for (; out->n < SAMPLE_BATCH && it->at < it->end && (it->at->h != NULL) == hist;
         it->at++, out->n++) {
        out->t[out->n] = it->at->t;
        it->st[out->n] = it->at->st;
        if (it->at->st) out->st = it->st;
        if (hist) out->h[out->n] = it->at->h;
        else out->v[out->n] = it->at->v;
    }
    return OK;
}

static const struct mem_sample *mem_first_from(
    const struct mem_sample *at, const struct mem_sample *end, int64_t t)
{
    while (at < end) {
        const struct mem_sample *mid = at + (end - at) / 2;
        if (mid->t < t) at = mid + 1;
        else end = mid;
    }
    return at;
}

static errc mem_iter_seek(struct sample_iter *base, int64_t t, struct err *e UNUSED)
{
    struct mem_iter *it = CONTAINER_OF(base, struct mem_iter, base);
    it->at = mem_first_from(it->at, it->end, t);
    return OK;
}
static void mem_iter_free(struct sample_iter *base)
{
    mem_free(CONTAINER_OF(base, struct mem_iter, base));
}
static errc mem_iter_floats(struct sample_iter *base, int64_t *t, double *v, size_t cap, size_t *n,
    struct err *e UNUSED)
{
    struct mem_iter *it = CONTAINER_OF(base, struct mem_iter, base);
    for (*n = 0; *n < cap && it->at < it->end && !it->at->h && !it->at->st; it->at++, ++*n) {
        t[*n] = it->at->t;
        v[*n] = it->at->v;
    }
    return OK;
}

static const struct sample_iter_ops mem_iter_ops = {
    mem_iter_fill, mem_iter_seek, mem_iter_free, mem_iter_floats
};

static errc mem_iterate(struct series *base, struct sample_iter **out, struct err *e UNUSED)
{
    struct mem_cut *c = CONTAINER_OF(base, struct mem_cut, base);
    struct mem_iter *it = *out ? CONTAINER_OF(*out, struct mem_iter, base) : NEW(struct mem_iter);
    it->base.ops = &mem_iter_ops;
    it->at = c->samples;
    it->end = c->samples + c->n;
    *out = &it->base;
    return OK;
}
static const struct series_ops mem_series_ops = { mem_iterate };

struct mem_set { struct series_set base; VEC(struct mem_cut *) all; size_t at; };

static errc mem_set_next(struct series_set *base, struct series **out, struct err *e UNUSED)
{
    struct mem_set *s = CONTAINER_OF(base, struct mem_set, base);
    *out = s->at < s->all.n ? &s->all.at[s->at++]->base : NULL;
    return OK;
}
static void mem_set_free(struct series_set *base)
{
    struct mem_set *s = CONTAINER_OF(base, struct mem_set, base);
    vec_fini(&s->all);
    mem_free(s);
}
static const struct series_set_ops mem_set_ops = { mem_set_next, mem_set_free };

static int mem_by_labels(const void *a, const void *b)
{
    return labels_cmp(
        (*(struct mem_cut *const *)a)->base.labels, (*(struct mem_cut *const *)b)->base.labels);
}

static bool mem_cut_has(const struct mem_cut *c, int64_t mint, int64_t maxt)
{
    const struct mem_sample *end = c->samples + c->n,
                            *first = mem_first_from(c->samples, end, mint);
    return first < end && first->t <= maxt;
}

static errc mem_select(struct querier *base, struct matchers ms, const struct select_hints *h,
    struct series_set **out, struct err *e UNUSED)
{
    struct mem_querier *q = CONTAINER_OF(base, struct mem_querier, base);
    struct mem_set *set = NEW(struct mem_set);
    set->base.ops = &mem_set_ops;
    for (size_t i = 0; i < q->n; i++) {
        struct mem_cut *c = &q->cut[i];
        if (h && !mem_cut_has(c, h->start, h->end)) continue;
        if (matchers_match(ms, c->base.labels)) vec_push(&set->all, c);
    }
    if (h && h->sorted && set->all.n)
        qsort(set->all.at, set->all.n, sizeof(*set->all.at), mem_by_labels);
    if (h && h->limit && set->all.n > h->limit) set->all.n = h->limit;
    *out = &set->base;
    return OK;
}

static errc mem_label_values(struct querier *base, str name, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e UNUSED)
{
    struct mem_querier *q = CONTAINER_OF(base, struct mem_querier, base);
    for (size_t i = 0; i < q->n; i++) {
        str v = labels_get(q->cut[i].base.labels, name);
        if (v.n && matchers_match(ms, q->cut[i].base.labels)) vec_push(out, v);
    }
    *truncated = strs_finish(out, limit);
    return OK;
}

static errc mem_label_names(struct querier *base, struct matchers ms, size_t limit, str_list *out,
    bool *truncated, struct err *e UNUSED)
{
    struct mem_querier *q = CONTAINER_OF(base, struct mem_querier, base);
    for (size_t i = 0; i < q->n; i++) {
        struct labels l = q->cut[i].base.labels;
        if (!matchers_match(ms, l)) continue;
        for (size_t j = 0; j < l.n; j++) vec_push(out, l.at[j].name);
    }
    *truncated = strs_finish(out, limit);
    return OK;
}

static void mem_querier_free(struct querier *base)
{
    struct mem_querier *q = CONTAINER_OF(base, struct mem_querier, base);
    arena_fini(&q->arena);
    mem_free(q);
}
static void mem_querier_warnings(struct querier *base, str_list *out)
{
    const struct mem_querier *q = CONTAINER_OF(base, struct mem_querier, base);
    for (size_t i = 0; i < q->n_told; i++) vec_push(out, q->told[i]);
}

static const struct querier_ops mem_querier_ops = { mem_select, mem_label_values, mem_label_names,
    mem_querier_free, mem_querier_warnings };

/* Samples are copied: a vector that grows moves. */
static errc mem_querier(
    struct queryable *base, int64_t mint, int64_t maxt, struct querier **out, struct err *e UNUSED)
{
    struct memstore *m = CONTAINER_OF(base, struct memstore, q);
    struct mem_querier *q = NEW(struct mem_querier);
    q->base.ops = &mem_querier_ops;
    arena_init(&q->arena, NULL, 0);
    mtx_lock(&m->mu);
    q->cut = arena_array(&q->arena, m->series.n, sizeof(*q->cut));
    for (size_t i = 0; i < m->series.n; i++) {
        struct mem_series *s = m->series.at[i];
        const struct mem_sample *end = s->samples.at + s->samples.n;
        const struct mem_sample *from = mem_first_from(s->samples.at, end, mint), *to = from;
        while (to < end && to->t <= maxt) to++;
        if (from == to) continue;
        struct mem_cut *c = &q->cut[q->n++];
        c->base = (struct series){ s->labels, s->ref, &mem_series_ops };
        c->q = q;
        c->n = (size_t)(to - from);
        struct mem_sample *samples = arena_array(&q->arena, c->n, sizeof(*samples));
        memcpy(samples, from, c->n * sizeof(*samples));
        c->samples = samples;
    }
    q->told = arena_array(&q->arena, m->told.n, sizeof(*q->told));
    for (; q->n_told < m->told.n; q->n_told++)
        q->told[q->n_told] = arena_str(&q->arena, m->told.at[q->n_told]);
    mtx_unlock(&m->mu);
    *out = &q->base;
    return OK;
}

static struct changes *mem_changes(
    struct queryable *base, int64_t mint UNUSED, int64_t maxt UNUSED, bool *by_labels)
{
    *by_labels = false;
    return &CONTAINER_OF(base, struct memstore, q)->changes;
}

static const struct queryable_ops mem_queryable_ops = { mem_querier, mem_changes };

/* The store */

struct memstore *memstore_new(void)
{
    struct memstore *m = NEW(struct memstore);
    m->app.ops = &mem_appendable_ops;
    m->q.ops = &mem_queryable_ops;
    mtx_init(&m->mu, LOCK_HEAD_COMMIT);
    changes_init(&m->changes);
    arena_init(&m->arena, NULL, 0);
    return m;
}

void memstore_clear(struct memstore *m)
{
    for (size_t i = 0; i < m->series.n; i++) vec_fini(&m->series.at[i]->samples);
    m->series.n = m->exemplars.n = m->told.n = 0;
    map_clear(&m->by_labels);
    arena_reset(&m->arena, (struct arena_mark){ 0 });
    changes_note_all(&m->changes);
}

void memstore_free(struct memstore *m)
{
    if (!m) return;
    memstore_clear(m);
    vec_fini(&m->series);
    vec_fini(&m->exemplars);
    vec_fini(&m->told);
    map_fini(&m->by_labels);
    arena_fini(&m->arena);
    changes_fini(&m->changes);
    mtx_fini(&m->mu);
    mem_free(m);
}

struct appendable *memstore_appendable(struct memstore *m) { return &m->app; }
struct queryable *memstore_queryable(struct memstore *m) { return &m->q; }

void memstore_tell(struct memstore *m, str words)
{
    mtx_lock(&m->mu);
    vec_push(&m->told, arena_str(&m->arena, words));
    changes_note_all(&m->changes);
    mtx_unlock(&m->mu);
}

errc memstore_add(struct memstore *m, struct labels labels, int64_t t, double v, struct err *e)
{
    struct appender *a;
    TRY(mem_begin(&m->app, &a, e));
    series_handle h;
    errc rc = mem_appender_series(a, labels, &h, e);
    if (rc == OK) rc = mem_appender_append(a, h, t, v, 0, e);
    if (rc == OK) return mem_appender_commit(a, e);
    mem_appender_rollback(a);
    return rc;
}
