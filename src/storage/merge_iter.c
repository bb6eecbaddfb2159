/* merge_iter.c — a run at a time.
 *
 * Sources seldom overlap: blocks follow each other, and the head follows the blocks. So the source
 * whose turn it is gives all it has before the oldest sample of the others in one copy. Where two
 * sources have a sample of the same time only one is shown; which one nothing says, and Prometheus'
 * choice is kept: the source that was read waits in a heap with the others, and the heap decides. A
 * batch ends where a source must be filled again, because its histograms live until then.
 */
#include "storage/merge_iter.h"

#include "base/heap.h"
#include "storage/clip.h"

/* Floats that a source gave beyond its turn: they go into its hand, a batch at a time. */
struct merge_spare { int64_t *t; double *v; size_t at, n, cap; };
struct merge_source {
    struct sample_iter *it;
    struct sample_batch batch;
    size_t at;
    bool ended;
    struct merge_spare spare;
};

struct merge_iter {
    struct sample_iter base;
    /* room; the first n are in use, in the order of the sources */
    VEC(struct merge_source *) all;
    size_t n;
    struct merge_source *cur;                  /* whose turn it is; NULL: not begun */
    heap waiting;                              /* the others that have a sample */
    bool chosen;                               /* cur's sample came out of the heap: it is shown */
    bool changed;                              /* of source, since the last sample was shown */
    bool shown;
    int64_t last_t;                            /* of what was shown */
    int64_t st[SAMPLE_BATCH];
    union sample_copy *copies;                 /* SAMPLE_BATCH, for the first histogram on */
    errc failed;
    struct err why;
};

static int64_t source_t(const struct merge_source *s) { return s->batch.t[s->at]; }
static bool older(const void *a, const void *b) { return source_t(a) < source_t(b); }
static bool was_shown(const struct merge_iter *m, int64_t t) { return m->shown && t == m->last_t; }

static void iter_free(struct sample_iter *base)
{
    struct merge_iter *m = CONTAINER_OF(base, struct merge_iter, base);
    for (size_t i = 0; i < m->all.n; i++) {
        sample_iter_free(m->all.at[i]->it);
        mem_free(m->all.at[i]->spare.t);
        mem_free(m->all.at[i]->spare.v);
        mem_free(m->all.at[i]);
    }
    vec_fini(&m->all);
    vec_fini(&m->waiting);
    mem_free(m->copies);
    mem_free(m);
}

static void spare_put(struct merge_spare *s, const int64_t *t, const double *v, size_t n)
{
    assert(s->at == s->n);
    if (n > s->cap) {
        s->cap = n;
        s->t = mem_realloc(s->t, n * sizeof(*t));
        s->v = mem_realloc(s->v, n * sizeof(*v));
    }
    memcpy(s->t, t, n * sizeof(*t));
    memcpy(s->v, v, n * sizeof(*v));
    s->at = 0;
    s->n = n;
}

static void spare_take(struct merge_spare *s, struct sample_batch *out)
{
    out->kind = SAMPLE_FLOAT;
    out->st = NULL;
    out->n = MIN(s->n - s->at, (size_t)SAMPLE_BATCH);
    memcpy(out->t, s->t + s->at, out->n * sizeof(*s->t));
    memcpy(out->v, s->v + s->at, out->n * sizeof(*s->v));
    s->at += out->n;
}

/* A sample under its hand, or its end. */
static errc source_settle(struct merge_source *s, struct err *e)
{
    if (s->at < s->batch.n || s->ended) return OK;
    s->at = s->batch.n = 0;
    if (s->spare.at < s->spare.n) {
        spare_take(&s->spare, &s->batch);
        return OK;
    }
    TRY(sample_iter_fill(s->it, &s->batch, e));
    s->ended = !s->batch.n;
    return OK;
}

static errc merge_begin(struct merge_iter *m, struct err *e)
{
    m->cur = m->all.at[0];
    m->changed = true;
    for (size_t i = 1; i < m->n; i++) {
        TRY(source_settle(m->all.at[i], e));
        if (!m->all.at[i]->ended) heap_push(&m->waiting, older, m->all.at[i]);
    }
    return OK;
}

static size_t run_length(const struct merge_iter *m)
{
    const struct merge_source *s = m->cur;
    size_t n = s->batch.n - s->at, k = 1;
    int64_t until = m->waiting.n ? source_t(m->waiting.at[0]) : INT64_MAX;
    if (m->chosen || !m->waiting.n || s->batch.t[s->batch.n - 1] < until) return m->chosen ? 1 : n;
    while (k < n && s->batch.t[s->at + k] < until) k++;
    return k;
}

static void copy_run(
    struct merge_iter *m, struct merge_source *s, size_t n, struct sample_batch *out)
{
    memcpy(out->t + out->n, s->batch.t + s->at, n * sizeof(*out->t));
    if (s->batch.kind == SAMPLE_FLOAT)
        memcpy(out->v + out->n, s->batch.v + s->at, n * sizeof(*out->v));
    else if (s->batch.kind == SAMPLE_HISTOGRAM)
        memcpy(out->ih + out->n, s->batch.ih + s->at, n * sizeof(*out->ih));
    else memcpy(out->h + out->n, s->batch.h + s->at, n * sizeof(*out->h));
    if (m->changed && s->batch.kind != SAMPLE_FLOAT) {
        if (!m->copies) m->copies = mem_alloc_array(SAMPLE_BATCH, sizeof(*m->copies));
        sample_batch_forget_hint(out, out->n, &m->copies[out->n]);
    }
    if (s->batch.st && !out->st) memset(m->st, 0, sizeof(m->st));
    if (s->batch.st) out->st = m->st;
    for (size_t i = 0; out->st && i < n; i++)
        m->st[out->n + i] = s->batch.st ? s->batch.st[s->at + i] : 0;
    s->at += n;
    out->n += n;
    m->chosen = m->changed = false;
    m->shown = true;
    m->last_t = out->t[out->n - 1];
}

/* Whose sample is next: cur's, or one of those that wait. False: another source must have its turn,
 * or a sample was left out. */
static bool choose(struct merge_iter *m)
{
    if (m->chosen) return true;
    if (!m->cur->ended) {
        if (was_shown(m, source_t(m->cur))) {
            m->cur->at++;
            return false;
        }
        if (!m->waiting.n || source_t(m->cur) < source_t(m->waiting.at[0])) return true;
        heap_push(&m->waiting, older, m->cur);
    }
    m->cur = heap_pop(&m->waiting, older);
    m->changed = true;
    m->chosen = !was_shown(m, source_t(m->cur));
    if (!m->chosen) m->cur->at++;
    return m->chosen;
}

static errc merge_batch(struct merge_iter *m, struct sample_batch *out, struct err *e)
{
    if (!m->cur) TRY(merge_begin(m, e));
    while (out->n < SAMPLE_BATCH) {
        if (m->cur->at == m->cur->batch.n && out->n) return OK;
        TRY(source_settle(m->cur, e));
        if (m->cur->ended && !m->waiting.n) return OK;
        if (!choose(m)) continue;
        if (out->n && m->cur->batch.kind != out->kind) return OK;
        out->kind = m->cur->batch.kind;
        copy_run(m, m->cur, MIN(run_length(m), SAMPLE_BATCH - out->n), out);
    }
    return OK;
}

static errc iter_fill(struct sample_iter *base, struct sample_batch *out, struct err *e)
{
    struct merge_iter *m = CONTAINER_OF(base, struct merge_iter, base);
    out->n = 0;
    out->st = NULL;
    out->kind = SAMPLE_FLOAT;
    if (m->failed == OK) m->failed = merge_batch(m, out, &m->why);
    if (m->failed == OK) return OK;
    out->n = 0;
    return err_set(e, m->failed, "%s", m->why.msg);
}

/* The source whose turn it is has nothing in its hand: it writes straight into the caller's arrays
 * what is older than all that waits; the rest is spare. */
static errc merge_direct(
    struct merge_iter *m, int64_t *t, double *v, size_t cap, size_t *n, struct err *e)
{
    struct merge_source *s = m->cur;
    size_t got, older_n = 0, from = 0;
    TRY(sample_iter_floats(s->it, t, v, cap, &got, e));
    int64_t until = m->waiting.n ? source_t(m->waiting.at[0]) : INT64_MAX;
    if (got && was_shown(m, t[0])) from = 1;
    if (got && (t[got - 1] < until || !m->waiting.n)) older_n = got;
    else
        while (older_n < got && t[older_n] < until) older_n++;
    older_n = MAX(older_n, from);
    if (older_n < got) spare_put(&s->spare, t + older_n, v + older_n, got - older_n);
    *n = older_n - from;
    if (from) memmove(t, t + from, *n * sizeof(*t));
    if (from) memmove(v, v + from, *n * sizeof(*v));
    if (!*n) return OK;
    m->changed = false;
    m->shown = true;
    m->last_t = t[*n - 1];
    return OK;
}

static errc merge_floats(
    struct merge_iter *m, int64_t *t, double *v, size_t cap, size_t *n, struct err *e)
{
    if (!m->cur) TRY(merge_begin(m, e));
    while (!*n) {
        struct merge_source *s = m->cur;
        if (s->at == s->batch.n && s->spare.at == s->spare.n && !s->ended && !m->chosen) {
            TRY(merge_direct(m, t, v, cap, n, e));
            if (*n) return OK;
        }
        TRY(source_settle(s, e));
        if (s->ended && !m->waiting.n) return OK;
        if (!choose(m)) continue;
        s = m->cur;
        if (s->batch.kind != SAMPLE_FLOAT || s->batch.st) return OK;
        *n = run_length(m);
        memcpy(t, s->batch.t + s->at, *n * sizeof(*t));
        memcpy(v, s->batch.v + s->at, *n * sizeof(*v));
        s->at += *n;
        m->chosen = m->changed = false;
        m->shown = true;
        m->last_t = t[*n - 1];
    }
    return OK;
}

static errc iter_floats(
    struct sample_iter *base, int64_t *t, double *v, size_t cap, size_t *n, struct err *e)
{
    struct merge_iter *m = CONTAINER_OF(base, struct merge_iter, base);
    assert(cap >= SAMPLE_BATCH);
    *n = 0;
    if (m->failed == OK) m->failed = merge_floats(m, t, v, cap, n, &m->why);
    if (m->failed == OK) return OK;
    *n = 0;
    return err_set(e, m->failed, "%s", m->why.msg);
}

static errc seek(struct merge_iter *m, int64_t t, struct err *e)
{
    m->waiting.n = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct merge_source *s = m->all.at[i];
        while (s->at < s->batch.n && source_t(s) < t) s->at++;
        if (s->at == s->batch.n && s->spare.at < s->spare.n)
            while (s->spare.at < s->spare.n && s->spare.t[s->spare.at] < t) s->spare.at++;
        if (s->at == s->batch.n && s->spare.at == s->spare.n && !s->ended)
            TRY(sample_iter_seek(s->it, t, e));
        TRY(source_settle(s, e));
        if (!s->ended) heap_push(&m->waiting, older, s);
    }
    m->cur = m->waiting.n ? heap_pop(&m->waiting, older) : m->all.at[0];
    m->chosen = !m->cur->ended;
    m->changed = true;
    return OK;
}

static errc iter_seek(struct sample_iter *base, int64_t t, struct err *e)
{
    struct merge_iter *m = CONTAINER_OF(base, struct merge_iter, base);
    if (m->failed == OK && !(m->shown && m->last_t >= t)) m->failed = seek(m, t, &m->why);
    return m->failed == OK ? OK : err_set(e, m->failed, "%s", m->why.msg);
}

static const struct sample_iter_ops merge_iter_ops = {
    .fill = iter_fill, .seek = iter_seek, .free = iter_free, .floats = iter_floats
};

errc merge_iter_open(
    struct sample_iter **it, struct series *const *sources, size_t n, struct err *e)
{
    if (!*it || (*it)->ops != &merge_iter_ops) {
        sample_iter_free(*it);
        *it = &NEW(struct merge_iter)->base;
        (*it)->ops = &merge_iter_ops;
    }
    struct merge_iter *m = CONTAINER_OF(*it, struct merge_iter, base);
    while (m->all.n < n) vec_push(&m->all, NEW(struct merge_source));
    m->n = n;
    m->cur = NULL;
    m->waiting.n = 0;
    m->chosen = m->shown = false;
    m->failed = OK;
    m->why.n = 0;
    for (size_t i = 0; i < n; i++) {
        struct merge_source *s = m->all.at[i];
        s->at = s->batch.n = 0;
        s->spare.at = s->spare.n = 0;
        s->ended = false;
        TRY(sources[i]->ops->iterate(sources[i], &s->it, e));
    }
    return OK;
}
