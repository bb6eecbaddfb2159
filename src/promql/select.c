#include "promql/select.h"

#include <math.h>

/* Series */

errc series_set_expand(struct query *q, struct series_set *set, struct selection *out)
{
    VEC(struct series *) all = { 0 };
    errc rc = OK;
    for (;;) {
        struct series *s = NULL;
        rc = eval_check(q);
        if (rc == OK) rc = set->ops->next(set, &s, q->e);
        if (rc != OK || !s) break;
        vec_push(&all, s);
    }
    if (rc == OK) {
        out->at = arena_array(q->arena, all.n, sizeof(*out->at));
        if (all.n) memcpy(out->at, all.at, all.n * sizeof(*out->at));
        out->n = all.n;
        out->expanded = true;
    }
    vec_fini(&all);
    return rc;
}

errc selection_expand(struct query *q, size_t index, struct selection **out)
{
    assert(index < q->n_selections);
    *out = &q->selections[index];
    if ((*out)->expanded) return OK;
    errc rc = series_set_expand(q, (*out)->set, *out);
    return rc == OK || rc == ERR_CANCELED || rc == ERR_TIMEOUT ? rc : err_in(q->e, rc, "expanding series");
}

errc selection_differs(struct query *q, size_t index, bool *differ)
{
    struct selection *sel;
    struct label_set seen;
    TRY(selection_expand(q, index, &sel));
    label_set_init(&seen, &q->scratch);
    struct arena_mark m = arena_mark(&q->scratch);
    *differ = true;
    for (size_t i = 0; i < sel->n && *differ; i++) label_set_add(&seen, labels_drop_metadata(&q->scratch, sel->at[i]->labels), differ);
    arena_reset(&q->scratch, m);
    label_set_fini(&seen);
    return OK;
}

/* Samples */

void reader_init(struct reader *r, struct query *q) { *r = (struct reader){ .q = q }; }

void reader_fini(struct reader *r)
{
    sample_iter_free(r->it);
    mem_free(r->s.t);
    mem_free(r->s.v);
    mem_free(r->st_room);
}

static void samples_reserve(struct samples *s, size_t more)
{
    if (s->n + more <= s->cap) return;
    s->cap = (s->n + more) * 2;
    s->t = mem_realloc(s->t, s->cap * sizeof(*s->t));
    s->v = mem_realloc(s->v, s->cap * sizeof(*s->v));
}

void samples_push(struct samples *s, int64_t t, double v)
{
    samples_reserve(s, 1);
    s->t[s->n] = t;
    s->v[s->n++] = v;
}

/* Start timestamps come late or never: the array appears with the first one. */
static void reader_put_st(struct reader *r, const struct sample_batch *b, size_t i)
{
    if (b->st && !r->s.st) {
        r->st_room = mem_realloc(r->st_room, r->s.cap * sizeof(*r->st_room));
        memset(r->st_room, 0, r->s.cap * sizeof(*r->st_room));
        r->s.st = r->st_room;
    }
    if (r->s.st) r->s.st[r->s.n - 1] = b->st ? b->st[i] : 0;
}

/* The one place where a histogram sample is met while floats are read: it is noted, and hides older floats from instant selectors as a
 * marker does. */
static void reader_pass_histogram(struct reader *r, int64_t t, enum stale stale)
{
    r->s.histograms = true;
    if (stale == STALE_KEEP) samples_push(&r->s, t, stale_nan());
}

struct loading { const struct window_plan *p; size_t k; bool gaps; int64_t last; };

static inline int64_t window_lo(const struct window_plan *p, size_t k) { return p->lo + (int64_t)k * p->interval; }
static inline int64_t window_hi(const struct window_plan *p, size_t k) { return p->hi + (int64_t)k * p->interval; }

/* Is t in a window? Moves l->k to the first window that ends at or after t. */
static bool loading_wants(struct loading *l, int64_t t)
{
    if (!l->gaps) return true;
    while (l->k < l->p->n && window_hi(l->p, l->k) < t) l->k++;
    return l->k < l->p->n && t > window_lo(l->p, l->k);
}

static void reader_take(struct reader *r, const struct sample_batch *b, struct loading *l, enum stale stale)
{
    bool had_st = r->s.st != NULL;
    samples_reserve(&r->s, b->n);
    if (had_st) r->s.st = r->st_room = mem_realloc(r->st_room, r->s.cap * sizeof(*r->st_room));
    for (size_t i = 0; i < b->n && b->t[i] <= l->last; i++) {
        if (!loading_wants(l, b->t[i])) continue;
        if (b->kind != SAMPLE_FLOAT) {
            reader_pass_histogram(r, b->t[i], stale);
            if (r->s.st && stale == STALE_KEEP) r->s.st[r->s.n - 1] = 0;
            continue;
        }
        if (stale == STALE_DROP && sample_is_stale(b->v[i])) continue;
        r->s.t[r->s.n] = b->t[i];
        r->s.v[r->s.n++] = b->v[i];
        if (b->st || r->s.st) reader_put_st(r, b, i);
    }
}

errc reader_load(struct reader *r, struct series *s, const struct window_plan *p, enum stale stale)
{
    struct err *e = r->q->e;
    r->s.n = 0;
    r->s.st = NULL;
    r->s.histograms = false;
    if (p->n == 0 || p->hi <= p->lo) return OK;
    TRY(s->ops->iterate(s, &r->it, e));
    struct loading l = { p, 0, p->interval > p->hi - p->lo, window_hi(p, p->n - 1) };
    TRY(sample_iter_seek(r->it, p->lo + 1, e));
    for (;;) {
        struct sample_batch b;
        b.st = NULL;
        TRY(sample_iter_fill(r->it, &b, e));
        if (b.n == 0) return OK;
        reader_take(r, &b, &l, stale);
        int64_t newest = b.t[b.n - 1];
        if (newest >= l.last) return OK;
        if (!l.gaps) continue;
        while (l.k < p->n && window_hi(p, l.k) <= newest) l.k++;
        if (l.k < p->n && window_lo(p, l.k) > newest) TRY(sample_iter_seek(r->it, window_lo(p, l.k) + 1, e));
    }
}

/* Instant selectors */

static double instant_value(const struct samples *s, size_t i, enum instant_what what)
{
    switch (what) {
    case INSTANT_VALUE: return s->v[i];
    case INSTANT_TIME_MS: return (double)s->t[i];
    case INSTANT_TIME: return (double)s->t[i] / 1000;
    case INSTANT_START: return (double)(s->st ? s->st[i] : 0) / 1000;
    }
    return NAN;
}

errc select_instants(struct eval *ev, struct reader *r, struct series *s, int64_t offset_ms, const int64_t *at, enum instant_what what,
                     struct row *out)
{
    struct query *q = ev->q;
    size_t n = ev->g.n;
    int64_t ref0 = at ? *at : ev->g.start - offset_ms, interval = at ? 0 : ev->g.interval;
    struct window_plan p = { ref0 - q->lookback_ms, ref0, interval, at ? 1 : n };
    TRY(reader_load(r, s, &p, STALE_KEEP));
    *out = (struct row){ .labels = s->labels, .v = arena_array(&q->scratch, n, sizeof(double)) };
    out->present = arena_zalloc(&q->scratch, bits_words(n) * sizeof(uint64_t));
    const struct samples *x = &r->s;
    size_t hi = 0, found = 0;
    for (size_t k = 0; k < n && x->n; k++) {
        int64_t ref = ref0 + (int64_t)k * interval;
        while (hi < x->n && x->t[hi] <= ref) hi++;
        if (hi == 0 || x->t[hi - 1] <= ref - q->lookback_ms || sample_is_stale(x->v[hi - 1])) continue;
        out->v[k] = instant_value(x, hi - 1, what);
        bits_set(out->present, k);
        found++;
        stats_total(ev, k, 1);
        stats_read(ev, k, 1);
    }
    q->samples += found;
    if (found == n) out->present = NULL;
    return samples_check(q, q->samples);
}

static double interpolate(const struct samples *s, size_t i, int64_t t)
{
    return s->v[i] + (s->v[i + 1] - s->v[i]) * (double)(t - s->t[i]) / (double)(s->t[i + 1] - s->t[i]);
}

/* smoothed: the line between the neighbours within the lookback on both sides. */
static errc select_smoothed(struct eval *ev, struct reader *r, struct series *s, int64_t offset_ms, struct row *out)
{
    struct query *q = ev->q;
    size_t n = ev->g.n, lo = 0, hi = 0, next = 0;
    int64_t lb = q->lookback_ms, t0 = ev->g.start - offset_ms;
    struct window_plan p = { t0 - lb, t0 + lb, ev->g.interval, n };
    TRY(reader_load(r, s, &p, STALE_DROP));
    *out = (struct row){ .labels = s->labels, .v = arena_array(&q->scratch, n, sizeof(double)) };
    out->present = arena_zalloc(&q->scratch, bits_words(n) * sizeof(uint64_t));
    const struct samples *x = &r->s;
    for (size_t k = 0; k < n; k++) {
        int64_t t = t0 + (int64_t)k * ev->g.interval;
        while (lo < x->n && x->t[lo] <= t - lb) lo++;
        while (hi < x->n && x->t[hi] <= t + lb) hi++;
        while (next < x->n && x->t[next] < t) next++;
        size_t i = MAX(next, lo);
        if (i < hi && x->t[i] == t) out->v[k] = x->v[i];
        else if (i > lo && i < hi) out->v[k] = interpolate(x, i - 1, t);
        else if (i > lo && hi > lo) out->v[k] = x->v[MIN(i, hi) - 1];
        else continue;
        bits_set(out->present, k);
    }
    q->samples += hi - lo;
    return samples_check(q, q->samples);
}

errc eval_vector_selector(struct eval *ev, struct expr *x, struct sink *out)
{
    struct query *q = ev->q;
    struct selection *sel;
    TRY(selection_expand(q, x->vector.index, &sel));
    SCOPED(reader_fini) struct reader r;
    reader_init(&r, q);
    int64_t offset = ns_to_ms(x->vector.at.offset_ns);
    struct arena_mark m = arena_mark(&q->scratch);
    for (size_t i = 0; i < sel->n; i++) {
        struct row row;
        TRY(eval_check(q));
        if (x->vector.smoothed) TRY(select_smoothed(ev, &r, sel->at[i], offset, &row));
        else TRY(select_instants(ev, &r, sel->at[i], offset, NULL, INSTANT_VALUE, &row));
        if (bits_next(row.present, 0, ev->g.n) < ev->g.n) TRY(sink_row(out, &row));
        arena_reset(&q->scratch, m);
    }
    samples_peak(ev, q->samples);
    return OK;
}

/* timestamp(selector) and start_timestamp(selector): the sample's own times, not the step's */
errc eval_timestamp_of_selector(struct eval *ev, struct expr *call, struct expr *x, struct sink *out)
{
    struct query *q = ev->q;
    bool start = !strcmp(call->call.func->name, "start_timestamp");
    struct selection *sel;
    TRY(selection_expand(q, x->vector.index, &sel));
    SCOPED(reader_fini) struct reader r;
    reader_init(&r, q);
    SCOPED(joiner_fini) struct joiner j;
    joiner_init(&j, ev);
    uint64_t before = q->samples;
    struct arena_mark m = arena_mark(&q->scratch);
    for (size_t i = 0; i < sel->n; i++) {
        struct row row;
        TRY(eval_check(q));
        TRY(select_instants(ev, &r, sel->at[i], ns_to_ms(x->vector.at.offset_ns), x->vector.at.timestamp_ms,
                            start ? INSTANT_START : INSTANT_TIME, &row));
        row_drop_name(q, &row);
        if (!start || q->start_timestamps) joiner_add(&j, &row);
        arena_reset(&q->scratch, m);
    }
    TRY(joiner_check(&j));
    q->samples = before;
    const struct step_counts *in[] = { &j.counts };
    TRY(samples_node_end(ev, before, in, 1, &j.counts));
    return joiner_push(&j, out);
}
