#include "promql/select.h"

#include "promql/columns.h"
#include "promql/lanes.h"
#include "promql/windows.h"

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

static errc selection_failed(struct query *q, errc rc)
{
    return rc == OK || rc == ERR_CANCELED || rc == ERR_TIMEOUT
               ? rc
               : err_in(q->e, rc, "expanding series");
}

errc selection_expand(struct query *q, size_t index, struct selection **out)
{
    assert(index < q->n_selections);
    *out = &q->selections[index];
    if ((*out)->expanded) return OK;
    struct explain_lane begun = explain_read_begin(q);
    errc rc = series_set_expand(q, (*out)->set, *out);
    explain_read_end(q, index, &begun, 0, 0);
    return selection_failed(q, rc);
}

errc selection_open(struct query *q, size_t index, bool once, struct selection **out)
{
    assert(index < q->n_selections);
    *out = &q->selections[index];
    if (once && !(*out)->expanded && (*out)->set->ops->forget) return OK;
    return selection_expand(q, index, out);
}

errc selection_next(struct query *q, struct selection *s, struct series **out)
{
    *out = NULL;
    return selection_failed(q, s->set->ops->next(s->set, out, q->e));
}

errc selection_differs(struct query *q, size_t index, bool *differ)
{
    struct selection *sel;
    struct label_set seen;
    TRY(selection_expand(q, index, &sel));
    label_set_init(&seen, &q->scratch);
    struct arena_mark m = arena_mark(&q->scratch);
    *differ = true;
    for (size_t i = 0; i < sel->n && *differ; i++)
        label_set_add(&seen, labels_drop_metadata(&q->scratch, sel->at[i]->labels), differ);
    arena_reset(&q->scratch, m);
    label_set_fini(&seen);
    return OK;
}

/* Samples */

void reader_init(struct reader *r, struct query *q) { *r = (struct reader){ .q = q }; }

void samples_fini(struct samples *s)
{
    mem_free(s->t);
    mem_free(s->v);
    mem_free(s->hist.t);
    mem_free(s->hist.h);
}

void reader_fini(struct reader *r)
{
    sample_iter_free(r->it);
    samples_fini(&r->s);
    mem_free(r->st_room);
    mem_free(r->hist_st_room);
    mem_free(r->h_room);
}

/* At first for a day of samples every 15 s: memory that is never written to is none. */
static void samples_reserve(struct samples *s, size_t more)
{
    enum { FIRST = 8192 };
    if (s->n + more <= s->cap) return;
    s->cap = MAX((s->n + more) * 2, (size_t)FIRST);
    s->t = mem_realloc(s->t, s->cap * sizeof(*s->t));
    s->v = mem_realloc(s->v, s->cap * sizeof(*s->v));
}

void samples_push(struct samples *s, int64_t t, double v)
{
    samples_reserve(s, 1);
    s->t[s->n] = t;
    s->v[s->n++] = v;
}

void histogram_samples_push(struct histogram_samples *s, int64_t t, const struct histogram *h)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->t = mem_realloc(s->t, s->cap * sizeof(*s->t));
        s->h = mem_realloc(s->h, s->cap * sizeof(*s->h));
    }
    s->t[s->n] = t;
    s->h[s->n++] = h;
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

static void reader_put_histogram_st(struct reader *r, const struct sample_batch *b, size_t i)
{
    struct histogram_samples *s = &r->s.hist;
    if (!b->st && !s->st) return;
    bool fresh = !s->st;
    s->st = r->hist_st_room = mem_realloc(r->hist_st_room, s->cap * sizeof(*r->hist_st_room));
    if (fresh) memset(s->st, 0, s->cap * sizeof(*s->st));
    s->st[s->n - 1] = b->st ? b->st[i] : 0;
}

/* A histogram for instants stands among the floats; a stale one is the marker that it is. */
static void reader_take_instant(
    struct reader *r, const struct sample_batch *b, size_t i, const struct histogram *h)
{
    struct samples *s = &r->s;
    bool stale = sample_is_stale(h->sum);
    samples_push(s, b->t[i], stale ? stale_nan() : 0);
    if (b->st || s->st) {
        if (s->st) s->st = r->st_room = mem_realloc(r->st_room, s->cap * sizeof(*r->st_room));
        reader_put_st(r, b, i);
    }
    if (stale) return;
    r->h_room = mem_realloc(r->h_room, s->cap * sizeof(*r->h_room));
    if (!s->h) memset(r->h_room, 0, s->n * sizeof(*r->h_room));
    s->h = r->h_room;
    s->h[s->n - 1] = h;
}

/* begin, end: those of windows that no histogram has passed yet. chunks: between windows the
 * iterator leaves out whole chunks, so floats are taken as they come. */
struct loading {
    const struct window_plan *p;
    size_t k;
    bool gaps, chunks;
    int64_t last, begin, end;
};

static inline int64_t window_lo(const struct window_plan *p, size_t k)
{
    return p->lo + (int64_t)k * p->interval;
}
static inline int64_t window_hi(const struct window_plan *p, size_t k)
{
    return p->hi + (int64_t)k * p->interval;
}

/* Is t in a window? Moves l->k to the first window that ends at or after t. */
static bool loading_wants(struct loading *l, int64_t t)
{
    if (!l->gaps) return true;
    while (l->k < l->p->n && window_hi(l->p, l->k) < t) l->k++;
    return l->k < l->p->n && t > window_lo(l->p, l->k);
}

/* A histogram without its buckets. Whether there was a reset before it is found here, as far as the
 * sample before was read in one go. h is the query's own. */
static const struct histogram *reader_strip(struct reader *r, const struct histogram *h)
{
    struct histogram *s = ANEW(&r->q->scratch, struct histogram);
    *s = (struct histogram){
        .hint = h->hint, .schema = h->schema, .count = h->count, .sum = h->sum
    };
    if (sample_is_stale(h->sum)) return s;
    if (h->hint == RESET_UNKNOWN && r->last)
        s->hint = histogram_is_reset(h, r->last) ? RESET_YES : RESET_NO;
    r->last = h;
    return s;
}

/* A copy in the query's memory, with absolute counts. */
static struct histogram *reader_histogram(struct reader *r, const struct sample_batch *b, size_t i)
{
    if (b->kind == SAMPLE_HISTOGRAM) return int_histogram_to_float(&r->q->scratch, b->ih[i]);
    return histogram_copy(&r->q->scratch, b->h[i]);
}

/* Could a histogram's predecessor, as a whole, be asked for because of it? One behind the batch
 * could. */
static bool batch_marks(const struct sample_batch *b, size_t i)
{
    if (i >= b->n) return true;
    if (b->kind == SAMPLE_HISTOGRAM)
        return b->ih[i]->hint != RESET_NO || sample_is_stale(b->ih[i]->sum);
    return b->h[i]->hint != RESET_NO || sample_is_stale(b->h[i]->sum);
}

/* Is there a border in [*next, t)? Moves *next to the first one that is not. */
static bool loading_passes(int64_t *next, int64_t interval, int64_t t)
{
    if (t <= *next) return false;
    uint64_t past = (uint64_t)t - (uint64_t)*next - 1, room = (uint64_t)INT64_MAX - (uint64_t)*next;
    uint64_t step = interval ? past - past % (uint64_t)interval + (uint64_t)interval : UINT64_MAX;
    *next = step < room ? *next + (int64_t)step : INT64_MAX;
    return true;
}

/* Is the histogram a window's first or last, or beside one that may be a reset? What a batch begins
 * and ends with is taken for it, and so is what stands beside a stale marker, which is none of the
 * window. REQUIRES: asked of each sample of a batch in turn */
static bool reader_wants_whole(
    const struct reader *r, const struct sample_batch *b, size_t i, struct loading *l)
{
    bool first = i == 0 || batch_marks(b, i - 1);
    bool marked = batch_marks(b, i) || batch_marks(b, i + 1);
    if (r->strip) return marked;
    if (!r->ends || b->st) return true;
    first |= loading_passes(&l->begin, l->p->interval, b->t[i]);
    marked |= i + 1 < b->n && loading_passes(&l->end, l->p->interval, b->t[i + 1]);
    return first || marked;
}

/* What is known of a histogram without its buckets. */
static struct histogram outline_of(const struct sample_batch *b, size_t i)
{
    if (b->kind != SAMPLE_HISTOGRAM) {
        struct histogram o = *b->h[i];
        o.pos.at = o.neg.at = NULL;
        o.pos.spans = o.neg.spans = NULL;
        o.custom = NULL;
        return o;
    }
    const struct int_histogram *h = b->ih[i];
    struct histogram o = { .hint = h->hint, .schema = h->schema, .count = (double)h->count,
        .sum = h->sum, .pos = { NULL, h->pos.n_spans, NULL, h->pos.n } };
    if (histogram_is_custom(&o)) o.n_custom = h->n_custom;
    else o.neg = (struct histogram_side){ NULL, h->neg.n_spans, NULL, h->neg.n };
    return o;
}

/* In the query's memory, where histograms of one kind share it: their numbers are not looked at. */
static const struct histogram *reader_outline(
    struct reader *r, const struct sample_batch *b, size_t i)
{
    struct histogram o = outline_of(b, i);
    const struct histogram *was = r->outline;
    if (was && was->hint == o.hint && was->schema == o.schema &&
        histogram_size(was) == histogram_size(&o))
        return was;
    struct histogram *h = ANEW(&r->q->scratch, struct histogram);
    *h = o;
    return r->outline = h;
}

static const struct histogram *reader_stripped(
    struct reader *r, const struct sample_batch *b, size_t i, bool whole)
{
    if (whole) return reader_strip(r, reader_histogram(r, b, i));
    struct histogram o = outline_of(b, i);
    const struct histogram *h = reader_strip(r, &o);
    r->last = NULL;                        /* the next one says itself whether it is a reset */
    return h;
}

/* The one place where a histogram sample is read. */
static void reader_take_histogram(
    struct reader *r, const struct sample_batch *b, size_t i, struct loading *l, enum stale stale)
{
    bool wanted = loading_wants(l, b->t[i]) && b->t[i] > l->p->lo;
    bool whole = reader_wants_whole(r, b, i, l);
    const struct histogram *h = NULL;
    /* what its hint says depends on where reading began */
    r->q->entangled = true;
    if (r->strip) {
        bool between = l->gaps && l->k > 0 && l->k < l->p->n && b->t[i] < window_lo(l->p, l->k);
        if (between) r->last = NULL;
        else h = reader_stripped(r, b, i, whole);
        /* reading goes on elsewhere */
        if (l->gaps && wanted && b->t[i] == window_hi(l->p, l->k)) r->last = NULL;
    } else if (wanted) {
        h = whole ? reader_histogram(r, b, i) : reader_outline(r, b, i);
    }
    if (!wanted || !h) return;
    if (stale == STALE_KEEP) {
        reader_take_instant(r, b, i, h);
    } else if (!sample_is_stale(h->sum)) {
        histogram_samples_push(&r->s.hist, b->t[i], h);
        reader_put_histogram_st(r, b, i);
    }
}

/* `more` floats were put behind the samples: those that are in no window go, and stale markers. */
static void reader_keep_floats(struct reader *r, size_t more, struct loading *l, enum stale stale)
{
    size_t n = r->s.n, to = n + more, from = n;
    int64_t *t = r->s.t;
    double *v = r->s.v;
    while (to > n && t[to - 1] > l->last) to--;
    while (from < to && t[from] <= l->p->lo) from++;
    bool drop = stale == STALE_DROP && column_has_bits(v + from, to - from, f64_bits(stale_nan()));
    r->s.n = to;
    if (from == n && !drop && !l->gaps) return;
    r->s.n = n;
    for (size_t i = from; i < to; i++) {
        if (drop && sample_is_stale(v[i])) continue;
        if (!loading_wants(l, t[i])) continue;
        t[r->s.n] = t[i];
        v[r->s.n++] = v[i];
    }
}

static bool reader_only_floats(const struct reader *r, const struct loading *l)
{
    return (!l->gaps || l->chunks) && !r->s.st && !r->s.h;
}

/* Floats straight out of the chunks. *newest: of the last one; INT64_MIN: what comes is no float,
 * or nothing. */
static errc reader_take_direct(
    struct reader *r, struct loading *l, enum stale stale, int64_t *newest)
{
    enum { FLOATS_AT_ONCE = 2048 };
    size_t n;
    *newest = INT64_MIN;
    samples_reserve(&r->s, FLOATS_AT_ONCE);
    TRY(sample_iter_floats(
        r->it, r->s.t + r->s.n, r->s.v + r->s.n, r->s.cap - r->s.n, &n, r->q->e));
    if (!n) return OK;
    *newest = r->s.t[r->s.n + n - 1];
    reader_keep_floats(r, n, l, stale);
    return OK;
}

static void reader_take(
    struct reader *r, const struct sample_batch *b, struct loading *l, enum stale stale)
{
    bool had_st = r->s.st != NULL;
    samples_reserve(&r->s, b->n);
    if (b->kind == SAMPLE_FLOAT && !b->st && reader_only_floats(r, l)) {
        memcpy(r->s.t + r->s.n, b->t, b->n * sizeof(*b->t));
        memcpy(r->s.v + r->s.n, b->v, b->n * sizeof(*b->v));
        reader_keep_floats(r, b->n, l, stale);
        return;
    }
    if (had_st) r->s.st = r->st_room = mem_realloc(r->st_room, r->s.cap * sizeof(*r->st_room));
    if (r->s.h) r->s.h = r->h_room = mem_realloc(r->h_room, r->s.cap * sizeof(*r->h_room));
    for (size_t i = 0; i < b->n && b->t[i] <= l->last; i++) {
        if (b->kind != SAMPLE_FLOAT) {
            reader_take_histogram(r, b, i, l, stale);
            continue;
        }
        if (!loading_wants(l, b->t[i]) || b->t[i] <= l->p->lo) continue;
        if (stale == STALE_DROP && sample_is_stale(b->v[i])) continue;
        r->s.t[r->s.n] = b->t[i];
        r->s.v[r->s.n++] = b->v[i];
        if (r->s.h) r->s.h[r->s.n - 1] = NULL;
        if (b->st || r->s.st) reader_put_st(r, b, i);
    }
}

void reader_ahead(
    struct reader *r, struct series *const *all, size_t n, const struct window_plan *p)
{
    bool gaps = p->interval > p->hi - p->lo;
    if (!n || !p->n || gaps || !all[0]->ops->ahead) return;
    all[0]->ops->ahead(all, n, p->lo + !r->strip, window_hi(p, p->n - 1), &r->it);
}

errc reader_load(struct reader *r, struct series *s, const struct window_plan *p, enum stale stale)
{
    struct err *e = r->q->e;
    r->s.n = 0;
    r->s.st = NULL;
    r->s.h = NULL;
    r->s.hist.n = 0;
    r->s.hist.st = NULL;
    r->last = r->outline = NULL;
    if (p->n == 0 || p->hi <= p->lo) return OK;
    TRY(s->ops->iterate(s, &r->it, e));
    struct loading l = { .p = p, .begin = p->lo, .end = p->hi };
    l.gaps = p->interval > p->hi - p->lo;
    l.last = window_hi(p, p->n - 1);
    if (l.gaps && !r->strip && !r->ends && r->it->ops->windows) {
        struct sample_windows w = { p->lo, p->hi - p->lo, p->interval, p->n };
        r->it->ops->windows(r->it, &w);
        l.chunks = true;
    }
    TRY(sample_iter_seek(r->it, p->lo + !r->strip, e));
    for (;;) {
        struct sample_batch b;
        int64_t direct = INT64_MIN;
        if (reader_only_floats(r, &l)) TRY(reader_take_direct(r, &l, stale, &direct));
        if (direct >= l.last) return OK;
        if (direct != INT64_MIN) continue;
        b.st = NULL;
        TRY(sample_iter_fill(r->it, &b, e));
        if (b.n == 0) return OK;
        reader_take(r, &b, &l, stale);
        int64_t newest = b.t[b.n - 1];
        if (newest >= l.last) return OK;
        if (!l.gaps || (r->strip && b.kind != SAMPLE_FLOAT)) continue;
        while (l.k < p->n && window_hi(p, l.k) <= newest) l.k++;
        if (l.k < p->n && window_lo(p, l.k) > newest)
            TRY(sample_iter_seek(r->it, window_lo(p, l.k) + !r->strip, e));
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

static errc info_fail_histogram(struct query *q, struct labels l)
{
    struct buf b = { 0 };
    buf_labels(&b, l);
    errc rc = eval_fail(
        q, "this should be an info metric, with float samples: %.*s", STR_ARG(buf_view(&b)));
    buf_fini(&b);
    return rc;
}

/* The steps of a series of floats. */
static size_t instants_of_floats(struct eval *ev, const struct samples *x, int64_t ref0,
    int64_t interval, int64_t lookback, double *out, uint64_t *present)
{
    size_t n = ev->g.n;
    uint32_t *ends = arena_array(&ev->q->scratch, n, sizeof(*ends));
    column_ends(ends, n, x->t, x->n, ref0, interval);
    struct column_instant c = { x->t, x->v, ref0, interval, lookback };
    size_t found = column_instants(out, present, &c, ends, n);
    struct eval_stats *s = ev->stats;
    s->total += found;
    s->read += found;
    if (s->total_at) BITS_EACH(k, present, n) s->total_at[k]++;
    if (s->read_at) BITS_EACH(k, present, n) s->read_at[k]++;
    return found;
}

static struct window_plan instants_plan(
    const struct eval *ev, int64_t offset_ms, const int64_t *at, enum instant_what what)
{
    int64_t ref0 = at ? *at : ev->g.start - offset_ms, lookback = ev->q->lookback_ms;
    /* of none at all a value is seen at its very time, but for the functions of times */
    if (lookback == 0 && (what == INSTANT_VALUE || what == INSTANT_TIME_MS)) lookback = 1;
    return (struct window_plan){ ref0 - lookback, ref0, at ? 0 : ev->g.interval,
        at ? 1 : ev->g.n };
}

errc select_instants(struct eval *ev, struct reader *r, struct series *s, int64_t offset_ms,
    const int64_t *at, enum instant_what what, struct row *out)
{
    struct query *q = ev->q;
    size_t n = ev->g.n;
    struct window_plan p = instants_plan(ev, offset_ms, at, what);
    int64_t ref0 = p.hi, interval = p.interval, lookback = p.hi - p.lo;
    TRY(reader_load(r, s, &p, STALE_KEEP));
    *out = (struct row){ .labels = s->labels, .v = arena_array(&q->scratch, n, sizeof(double)) };
    out->present = arena_zalloc(&q->scratch, bits_words(n) * sizeof(uint64_t));
    const struct samples *x = &r->s;
    size_t hi = 0, found = 0;
    uint64_t samples = 0;
    bool floats = !x->h && what == INSTANT_VALUE;
    if (floats)
        samples = found =
            instants_of_floats(ev, x, ref0, interval, lookback, out->v, out->present);
    for (size_t k = 0; k < n && x->n && !floats; k++) {
        int64_t ref = ref0 + (int64_t)k * interval;
        while (hi < x->n && x->t[hi] <= ref) hi++;
        if (hi == 0 || x->t[hi - 1] <= ref - lookback || sample_is_stale(x->v[hi - 1]))
            continue;
        out->v[k] = instant_value(x, hi - 1, what);
        bits_set(out->present, k);
        found++;
        uint64_t counts = 1;
        if (x->h && x->h[hi - 1] && what == INSTANT_VALUE) {
            if (!out->hist) out->hist = arena_zalloc(&q->scratch, n * sizeof(*out->hist));
            out->hist[k] = x->h[hi - 1];
            counts = samples_of_histogram(x->h[hi - 1]);
        }
        if (what == INSTANT_TIME_MS && x->h && x->h[hi - 1])
            return info_fail_histogram(q, s->labels);
        samples += counts;
        stats_total(ev, k, counts);
        stats_read(ev, k, counts);
    }
    q->samples += samples;
    if (found == n) out->present = NULL;
    return OK;
}

static double interpolate(const struct samples *s, size_t i, int64_t t)
{
    return s->v[i] +
           (s->v[i + 1] - s->v[i]) * (double)(t - s->t[i]) / (double)(s->t[i + 1] - s->t[i]);
}

/* smoothed: the line between the neighbours within the lookback on both sides; after the last
 * sample its value. */

struct smoothing { size_t lo, hi, next; };

/* The samples around t: [lo, hi) within the lookback, next the first at or after t. */
static void smoothing_move(
    struct smoothing *s, const int64_t *at, size_t n, int64_t t, int64_t lookback)
{
    while (s->lo < n && at[s->lo] <= t - lookback) s->lo++;
    while (s->hi < n && at[s->hi] <= t + lookback) s->hi++;
    while (s->next < n && at[s->next] < t) s->next++;
}

static bool smoothed_float(
    const struct samples *x, const struct smoothing *s, int64_t t, double *out)
{
    size_t i = MAX(s->next, s->lo);
    if (i < s->hi && x->t[i] == t) *out = x->v[i];
    else if (i > s->lo && i < s->hi) *out = interpolate(x, i - 1, t);
    else if (i > s->lo && s->hi > s->lo) *out = x->v[MIN(i, s->hi) - 1];
    else return false;
    return true;
}

/* NULL: nothing there. */
static const struct histogram *smoothed_histogram(struct query *q,
    const struct histogram_samples *x, const struct smoothing *s, int64_t t, str metric,
    struct pos pos)
{
    size_t i = MAX(s->next, s->lo);
    if (i < s->hi && x->t[i] == t) return x->h[i];
    if (i <= s->lo) return NULL;
    if (i >= s->hi) {
        struct histogram *h = histogram_copy(&q->scratch, x->h[MIN(i, s->hi) - 1]);
        h->hint = RESET_UNKNOWN;           /* it would speak of the sample before */
        return h;
    }
    const struct histogram *prev = x->h[i - 1], *next = x->h[i];
    bool counter = prev->hint != RESET_GAUGE || next->hint != RESET_GAUGE;
    if (histogram_is_custom(prev) != histogram_is_custom(next)) {
        anno_mixed_schemas(&q->annotations, metric, pos);
        return NULL;
    }
    return histogram_between(
        &q->scratch, prev, x->t[i - 1], next, x->t[i], t, counter, &q->annotations, metric, pos);
}

/* What the window of a step holds: its floats, and its histograms, which count for several. */
static uint64_t smoothing_held(
    const struct samples *x, const struct smoothing *floats, const struct smoothing *hists)
{
    uint64_t held = floats->hi - floats->lo;
    for (size_t i = hists->lo; i < hists->hi; i++) held += samples_of_histogram(x->hist.h[i]);
    return held;
}

/* *widest: the most that a window held. The last one stays counted: Prometheus does not give it
 * back. */
static errc select_smoothed(struct eval *ev, struct reader *r, struct series *s, int64_t offset_ms,
    struct pos pos, struct row *out, uint64_t *widest)
{
    struct query *q = ev->q;
    size_t n = ev->g.n;
    struct smoothing floats = { 0 }, hists = { 0 };
    int64_t lb = q->lookback_ms, t0 = ev->g.start - offset_ms;
    struct window_plan p = { t0 - lb, t0 + lb, ev->g.interval, n };
    TRY(reader_load(r, s, &p, STALE_DROP));
    *out = (struct row){ .labels = s->labels, .v = arena_zalloc(&q->scratch, n * sizeof(double)) };
    out->present = arena_zalloc(&q->scratch, bits_words(n) * sizeof(uint64_t));
    const struct samples *x = &r->s;
    str metric = labels_get(s->labels, METRIC_NAME);
    for (size_t k = 0; k < n; k++) {
        int64_t t = t0 + (int64_t)k * ev->g.interval;
        const struct histogram *h = NULL;
        smoothing_move(&floats, x->t, x->n, t, lb);
        smoothing_move(&hists, x->hist.t, x->hist.n, t, lb);
        uint64_t held = smoothing_held(x, &floats, &hists);
        if (held > *widest) *widest = held;
        if (floats.lo < floats.hi && hists.lo < hists.hi) {
            anno_mixed_floats_histograms(&q->annotations, metric, pos);
            continue;
        }
        if (hists.lo < hists.hi) h = smoothed_histogram(q, &x->hist, &hists, t, metric, pos);
        if (!h && !smoothed_float(x, &floats, t, &out->v[k])) continue;
        bits_set(out->present, k);
        if (!h) continue;
        if (!out->hist) out->hist = arena_zalloc(&q->scratch, n * sizeof(*out->hist));
        out->hist[k] = h;
    }
    q->samples += smoothing_held(x, &floats, &hists);
    return samples_check(q, *widest);
}

struct instant_source { struct expr *x; struct eval *ev; struct sink *out; };

static errc instant_compute(void *ctx, struct lane *l, struct series *s, struct lane_row *out)
{
    struct expr *x = ((struct instant_source *)ctx)->x;
    int64_t offset = ns_to_ms(x->vector.at.offset_ns);
    l->q.samples = 0;
    if (x->vector.smoothed)
        TRY(select_smoothed(&l->ev, &l->reader, s, offset, x->pos, &out->r, &out->widest));
    else TRY(select_instants(&l->ev, &l->reader, s, offset, NULL, INSTANT_VALUE, &out->r));
    out->any = bits_next(out->r.present, 0, l->ev.g.n) < l->ev.g.n;
    out->made = l->q.samples;
    return samples_check(&l->q, l->q.samples);
}

static errc instant_deliver(void *ctx, struct lane_row *row, struct series *s UNUSED)
{
    struct instant_source *src = ctx;
    struct query *q = src->ev->q;
    int64_t most = q->samples + (int64_t)MAX(row->made, row->widest);
    q->samples += row->made;
    if (row->widest) samples_peak(src->ev, most);
    TRY(samples_check(q, most));
    return row->any ? sink_row(src->out, &row->r) : OK;
}

errc eval_vector_selector(struct eval *ev, struct expr *x, struct sink *out)
{
    struct selection *sel;
    TRY(selection_open(ev->q, x->vector.index, out->forgets, &sel));
    struct instant_source src = { x, ev, out };
    struct lanes_job job = { .ctx = &src, .strip = x->vector.skip_histogram_buckets,
        .compute = instant_compute, .deliver = instant_deliver };
    if (!x->vector.smoothed)
        job.plan = instants_plan(ev, ns_to_ms(x->vector.at.offset_ns), NULL, INSTANT_VALUE);
    TRY(lanes_run(ev, sel, &job));
    samples_peak(ev, ev->q->samples);
    return OK;
}

/* timestamp(selector) and start_timestamp(selector): the sample's own times, not the step's */
errc eval_timestamp_of_selector(
    struct eval *ev, struct expr *call, struct expr *x, struct sink *out)
{
    struct query *q = ev->q;
    bool start = !strcmp(call->call.func->name, "start_timestamp");
    struct selection *sel;
    TRY(selection_expand(q, x->vector.index, &sel));
    SCOPED(reader_fini) struct reader r;
    reader_init(&r, q);
    SCOPED(joiner_fini) struct joiner j;
    joiner_init(&j, ev);
    TRY(joiner_direct(&j, x, out));
    struct step_counts seen;
    step_counts_init(&seen, q->arena, ev->g.n);
    int64_t before = q->samples;
    uint64_t read = ev->stats->read;
    struct explain_lane begun = explain_read_begin(q);
    struct arena_mark m = arena_mark(&q->scratch);
    for (size_t i = 0; i < sel->n; i++) {
        struct row row;
        TRY(eval_check(q));
        TRY(select_instants(ev, &r, sel->at[i], ns_to_ms(x->vector.at.offset_ns),
            x->vector.at.timestamp_ms, start ? INSTANT_START : INSTANT_TIME, &row));
        step_counts_add(&seen, &row);
        row_drop_name(q, &row);
        if (!start || q->start_timestamps) TRY(joiner_put(&j, &row));
        arena_reset(&q->scratch, m);
    }
    explain_read_end(q, x->vector.index, &begun, sel->n, ev->stats->read - read);
    TRY(joiner_check(&j));
    q->samples = before;
    const struct step_counts *in[] = { &seen };
    TRY(samples_node_end(ev, before, in, 1, &j.counts));
    return joiner_push(&j, out);
}
