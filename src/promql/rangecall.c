/* Calls of functions of range vectors: series by series, read, cut into windows, computed, pushed
 * on. The range is a selector's or a subquery's; both arrive here as arrays of samples. */
#include "promql/columns.h"
#include "promql/lanes.h"
#include "promql/windows.h"

#include "base/strs.h"

#include <stdlib.h>

struct range_call {
    struct eval *ev;
    const struct range_function *f;
    struct sink *out;
    struct windows w;                      /* what is the same for all series */
    int64_t lo0, hi0;                      /* the first step's window (lo0, hi0] */
    uint32_t *lo, *hi, *hlo, *hhi;         /* of floats, and of histograms */
    size_t later;                          /* not 0: hi is lo + later, hhi is hlo + later */
    /* lo, but hi where a step sees histograms that the function treats itself */
    uint32_t *lo_kernel;
    uint64_t *sizes;                       /* samples that the first i histograms count for */
    /* counters: rate and increase say when a name does not look like one */
    bool from_subquery, counters;
    struct label_set seen;                 /* output labels: two rows must not share them */
    bool unique;                           /* they cannot */
    bool expected;                         /* out was told which of them may come */
    /* samples: of rows made so far, and the most that was held at a time */
    uint64_t held, most;
    /* samples that the nodes above counted while rows of a subquery came */
    uint64_t above;
    /* what the subquery's rows count for. It is taken away in the end, whatever they were counted
     * as: smoothed ones leave their windows counted. */
    uint64_t inner_made;
    struct late late[RANGE_PARAMS_MAX];      /* the parameters, which a subquery stands before */
    size_t n_late;
    /* absent_over_time: steps at which some series has a sample */
    uint64_t *present_any;
    int64_t *times;                        /* of the subquery's steps; NULL: not yet asked for */
    struct histogram_samples hists;        /* of the subquery's row at hand */
    struct arena room;
    struct histogram_slide slide;
    const struct eval *inner;
};

/* Windows as slices. Where the range is a multiple of the interval a window begins where one some
 * steps before ended: both are one list. */
static errc range_ends(const struct range_call *c, uint32_t *out, size_t steps, const int64_t *t,
    size_t n, int64_t bound)
{
    int64_t interval = c->w.fixed ? 0 : c->ev->g.interval;
    STEPS_PARTS(p, c->ev->q, steps)
    {
        uint32_t *to = out + p.from, before = p.from ? to[-1] : 0;
        column_ends(to, p.to - p.from, t + before, n - before,
            bound + (int64_t)p.from * interval, interval);
        for (size_t i = 0; before && i < p.to - p.from; i++) to[i] += before;
    }
    return c->ev->q->ended;
}

static errc range_cut(
    const struct range_call *c, const int64_t *t, size_t n, uint32_t *los, uint32_t *his)
{
    TRY(range_ends(c, los, c->ev->g.n + c->later, t, n, c->lo0));
    return c->later ? OK : range_ends(c, his, c->ev->g.n, t, n, c->hi0);
}

/* column_count() of them all. */
static struct column_counts range_counts(
    const struct range_call *c, const uint32_t *lo, const uint32_t *hi)
{
    struct column_counts all = { 0 };
    STEPS_PARTS(p, c->ev->q, c->ev->g.n)
    {
        struct column_counts part = column_count(lo + p.from, hi + p.from, p.to - p.from);
        uint32_t seen = p.from ? hi[p.from - 1] : 0;
        all.all += part.all;
        all.widest = MAX(all.widest, part.widest);
        all.fresh += part.fresh - (seen > lo[p.from] ? seen - lo[p.from] : 0);
    }
    return all;
}

/* Counts what the windows looked at: a sample is read at the first step that sees it. */
static uint64_t range_count(struct range_call *c, const struct column_counts *counts)
{
    struct eval_stats *s = c->ev->stats;
    uint64_t *read_at = c->from_subquery ? NULL : s->read_at;
    s->total += counts->all;
    if (!c->from_subquery) s->read += counts->fresh;
    STEPS_PARTS(p, c->ev->q, s->total_at || read_at ? c->ev->g.n : 0)
    column_count_at(s->total_at, read_at, c->lo, c->hi, p.from, p.to);
    return counts->widest;
}

/* The same where there are histograms, which count for several. */
static uint64_t range_count_histograms(struct range_call *c)
{
    uint64_t widest = 0;
    uint32_t read = 0, hread = 0;
    STEPS_EACH(k, c->ev->q, c->ev->g.n) {
        uint64_t n = c->hi[k] - c->lo[k], new = c->hi[k] - MIN(MAX(read, c->lo[k]), c->hi[k]);
        n += c->sizes[c->hhi[k]] - c->sizes[c->hlo[k]];
        new += c->sizes[c->hhi[k]] - c->sizes[MIN(MAX(hread, c->hlo[k]), c->hhi[k])];
        hread = MAX(hread, c->hhi[k]);
        if (n > widest) widest = n;
        if (!n) continue;
        stats_total(c->ev, k, n);
        if (!c->from_subquery && new) stats_read(c->ev, k, new);
        read = MAX(read, c->hi[k]);
    }
    return widest;
}

static errc range_hold(struct range_call *c, const struct lane_row *row)
{
    uint64_t most = MAX(c->held + row->widest, c->held + row->made + row->last);
    if (most > c->most) c->most = most;
    c->held += row->made;
    return samples_check(c->ev->q, c->ev->q->samples + c->most);
}

static bool name_looks_like_counter(str name)
{
    return str_has_suffix(name, S("_total")) || str_has_suffix(name, S("_sum")) ||
           str_has_suffix(name, S("_count")) || str_has_suffix(name, S("_bucket"));
}

static void range_note_counter(struct range_call *c, struct labels l)
{
    struct query *q = c->ev->q;
    str name = labels_get(l, METRIC_NAME), type;
    if (!name.n) return;
    if (q->type_and_unit) {
        type = labels_get(l, S("__type__"));
        if (!str_eq(type, S("counter")) && !str_eq(type, S("histogram")))
            anno_not_counter_type(&q->annotations, name, type, c->w.pos);
    } else if (!name_looks_like_counter(name)) {
        anno_not_counter(&q->annotations, name, c->w.pos);
    }
}

static errc range_push(struct range_call *c, struct row *r)
{
    bool fresh = true;
    if (c->present_any) {
        bits_join(c->present_any, r->present, c->ev->g.n);
        return OK;
    }
    if (!c->ev->q->delayed_names && !c->unique) label_set_add(&c->seen, r->labels, &fresh);
    if (!fresh) return eval_fail_same_labels(c->ev->q);
    return sink_row(c->out, r);
}

/* The histograms of a series, cut like its floats. *sees: a window sees one. */
static errc range_cut_histograms(
    struct range_call *c, const struct histogram_samples *hs, struct windows *w, bool *sees)
{
    struct arena *a = &c->ev->q->scratch;
    *sees = false;
    if (hs->n == 0) return OK;
    TRY(range_cut(c, hs->t, hs->n, c->hlo, c->hhi));
    *sees = range_counts(c, c->hlo, c->hhi).all > 0;
    if (!*sees) return OK;
    c->sizes = arena_array(a, hs->n + 1, sizeof(*c->sizes));
    c->sizes[0] = 0;
    STEPS_EACH(i, c->ev->q, hs->n)
        c->sizes[i + 1] = c->sizes[i] + samples_of_histogram(hs->h[i]);
    w->hs = hs;
    w->hlo = c->hlo;
    w->hhi = c->hhi;
    w->hout = arena_zalloc(a, w->steps * sizeof(*w->hout));
    if (!c->f->histograms) return OK;
    STEPS_EACH(k, c->ev->q, w->steps)
        c->lo_kernel[k] = c->hlo[k] < c->hhi[k] ? c->hi[k] : c->lo[k];
    w->lo = c->lo_kernel;
    return c->ev->q->ended;
}

static void range_slide(struct range_call *c, struct windows *w)
{
    if (!c->f->sums_histograms) return;
    if (histogram_slide_begin(&c->slide, w->hs, w->hlo, w->hhi, w->steps)) w->slide = &c->slide;
    c->ev->q->entangled |= window_may_join(w);
}

/* The steps that see histograms, after the floats of the others were computed. */
static errc range_histograms(struct range_call *c, struct windows *w)
{
    w->lo = c->lo;
    w->room = &c->room;
    range_slide(c, w);
    for (size_t k = 0; k < w->steps; k++) {
        if (c->hlo[k] == c->hhi[k]) continue;
        if (c->f->histograms) TRY(c->f->histograms(w, k));
        else if (c->lo[k] < c->hi[k])
            anno_histogram_ignored_range(&c->ev->q->annotations, w->metric, w->pos);
        if (w->slide && histogram_slide_spent(w->slide)) c->ev->q->scratch.spent = true;
        TRY(eval_check(c->ev->q));
        arena_reset(&c->room, (struct arena_mark){ 0 });
    }
    return OK;
}

static uint64_t range_made(const struct row *r, size_t steps, uint64_t *floats)
{
    uint64_t made = *floats = bits_count(r->present, steps);
    if (!r->hist) return made;
    BITS_EACH(i, r->present, steps) {
        if (!r->hist[i]) continue;
        made += samples_of_histogram(r->hist[i]) - 1;
        --*floats;
    }
    return made;
}

/* What the windows of a series hold: the most, and the last. */
static void range_count_all(
    struct range_call *c, const struct column_counts *counts, bool histograms, struct lane_row *out)
{
    size_t end = c->ev->g.n - 1;
    out->widest = histograms ? range_count_histograms(c) : range_count(c, counts);
    out->last = c->hi[end] - c->lo[end];
    if (histograms) out->last += c->sizes[c->hhi[end]] - c->sizes[c->hlo[end]];
}

/* The row of a series, in scratch memory. */
static errc range_compute(struct range_call *c, struct labels labels, bool drop_name,
    const struct samples *s, struct lane_row *out)
{
    struct query *q = c->ev->q;
    size_t steps = c->ev->g.n;
    if (s->n == 0 && s->hist.n == 0) return OK;
    struct windows w = c->w;
    TRY(range_cut(c, s->t, s->n, c->lo, c->hi));
    struct column_counts counts = range_counts(c, c->lo, c->hi);
    w.work = counts.all;
    w.widest = counts.widest;
    bool histograms;
    TRY(range_cut_histograms(c, &s->hist, &w, &histograms));
    if (w.work == 0 && !histograms) return OK;
    struct row r = { .labels = labels, .drop_name = drop_name || !c->f->keeps_name };
    if (r.drop_name) row_drop_name(q, &r);
    r.v = arena_array(&q->scratch, steps, sizeof(*r.v));
    r.present = arena_zalloc(&q->scratch, bits_words(steps) * sizeof(uint64_t));
    w.t = s->t;
    w.v = s->v;
    w.n = s->n;
    w.st = c->f->wants_start && q->start_timestamps ? s->st : NULL;
    struct histogram_samples hs = s->hist;
    if (!c->f->wants_start || !q->start_timestamps) hs.st = NULL;
    if (histograms) w.hs = &hs;
    w.metric = labels_get(labels, METRIC_NAME);
    w.out = r.v;
    w.present = r.present;
    TRY(c->f->kernel(&w));
    if (histograms) TRY(range_histograms(c, &w));
    for (size_t k = 0; w.hout && k < steps && !r.hist; k++)
        if (w.hout[k]) r.hist = w.hout;
    *out = (struct lane_row){ .r = r, .any = true };
    out->made = range_made(&r, steps, &out->floats);
    range_count_all(c, &counts, histograms, out);
    return OK;
}

/* The labels with which a series goes on, by none() or as expected. */
static struct labels range_labels(struct range_call *c, struct labels labels)
{
    struct row r = { .labels = labels };
    if (!c->f->keeps_name) row_drop_name(c->ev->q, &r);
    return r.labels;
}

static errc range_none(struct range_call *c, struct labels labels)
{
    if (!c->expected) return OK;
    struct arena_mark m = arena_mark(&c->ev->q->scratch);
    errc rc = c->out->none(c->out, range_labels(c, labels));
    arena_reset(&c->ev->q->scratch, m);
    return rc;
}

static errc range_deliver(struct range_call *c, struct lane_row *row, struct labels labels)
{
    struct row *r = &row->r;
    size_t steps = c->ev->g.n;
    if (!row->any) return range_none(c, labels);
    TRY(range_hold(c, row));
    if (row->floats && c->counters) range_note_counter(c, labels);
    if (!c->present_any && row->floats == steps) r->present = NULL;
    return row->made ? range_push(c, r) : range_none(c, labels);
}

/* From a selector */

static void range_slices(struct range_call *c, struct arena *a)
{
    size_t n = c->ev->g.n;
    int64_t range = c->hi0 - c->lo0, interval = c->ev->g.interval;
    bool whole = !c->w.fixed && range > 0 && range % interval == 0;
    if (whole && (uint64_t)(range / interval) <= n) c->later = (size_t)(range / interval);
    c->lo = arena_array(a, n + c->later, sizeof(*c->lo));
    c->hlo = arena_array(a, n + c->later, sizeof(*c->hlo));
    c->hi = c->later ? c->lo + c->later : arena_array(a, n, sizeof(*c->hi));
    c->hhi = c->later ? c->hlo + c->later : arena_array(a, n, sizeof(*c->hhi));
    c->lo_kernel = arena_array(a, n, sizeof(*c->lo_kernel));
    c->w.lo = c->lo;
    c->w.hi = c->hi;
}

struct range_source { struct range_call *c; struct window_plan plan; };

/* A lane has the call's constants and slices of its own. */
static void range_lane_begin(void *ctx, struct lane *l)
{
    struct range_source *src = ctx;
    struct range_call *own = ANEW(&l->notes, struct range_call);
    *own = *src->c;
    own->ev = own->w.ev = &l->ev;
    eval_arena_init(&l->q, &own->room);
    histogram_slide_init(&own->slide, l->q.scratch.acc, l->q.scratch.limit);
    range_slices(own, &l->notes);
    l->own = own;
}
static void range_lane_end(void *ctx UNUSED, struct lane *l)
{
    struct range_call *own = l->own;
    arena_fini(&own->room);
    histogram_slide_fini(&own->slide);
}

static errc range_lane_compute(
    void *ctx, struct lane *l, struct series *s, struct lane_row *out)
{
    struct range_source *src = ctx;
    TRY(reader_load(&l->reader, s, &src->plan, STALE_DROP));
    return range_compute(l->own, s->labels, false, &l->reader.s, out);
}

static errc range_lane_deliver(void *ctx, struct lane_row *row, struct series *s)
{
    struct range_source *src = ctx;
    return range_deliver(src->c, row, s->labels);
}

/* Does the selector ask for one name? Then its series stay apart without it, as long as nothing
 * else is dropped. */
static bool range_one_name(const struct expr *vs)
{
    for (size_t i = 0; i < vs->vector.matchers.n; i++) {
        const struct matcher *m = &vs->vector.matchers.at[i];
        if (m->type == MATCH_EQ && m->value.n && str_eq(m->name, METRIC_NAME)) return true;
    }
    return false;
}

static bool series_has_more_metadata(const struct series *s)
{
    for (size_t k = 1; k < s->labels.n && s->labels.at[k].name.p[0] <= '_'; k++)
        if (label_is_metadata(s->labels.at[k].name)) return true;
    return false;
}

/* The same of all that the storage has. */
errc storage_has_metadata(struct query *q, bool *yes)
{
    static const str names[] = { S("__type__"), S("__unit__") };
    str_list values = { 0 };
    errc rc = OK;
    *yes = false;
    for (size_t i = 0; i < ARRAY_LEN(names) && rc == OK && !*yes; i++) {
        bool cut;
        rc = q->querier->ops->label_values(
            q->querier, names[i], (struct matchers){ 0 }, 1, &values, &cut, q->e);
        *yes = rc != OK || values.n > 0;
    }
    vec_fini(&values);
    return rc;
}

/* The series, at once or one after the other; sets c->unique. */
static errc range_select(struct range_call *c, const struct expr *vs, struct selection **sel)
{
    struct query *q = c->ev->q;
    bool once = c->out->forgets && !c->present_any;
    c->unique = c->f->keeps_name || range_one_name(vs);
    if (once && c->unique && !c->f->keeps_name) {
        bool more;
        TRY(storage_has_metadata(q, &more));
        once = !more;
    }
    TRY(selection_open(q, vs->vector.index, once && c->unique, sel));
    if (!(*sel)->expanded || c->f->keeps_name) return OK;
    for (size_t i = 0; i < (*sel)->n && c->unique; i++)
        c->unique = !series_has_more_metadata((*sel)->at[i]);
    return OK;
}

/* Each series makes a row of its own, or none. */
static void range_expect(struct range_call *c, const struct selection *sel)
{
    struct arena *a = &c->ev->q->scratch;
    c->expected = c->out->expect && sel->expanded && c->unique && !c->present_any;
    for (size_t i = 0; c->expected && i < sel->n; i++) {
        struct arena_mark m = arena_mark(a);
        c->out->expect(c->out, range_labels(c, sel->at[i]->labels));
        arena_reset(a, m);
    }
}

static errc range_from_selector(struct range_call *c, struct expr *arg)
{
    struct eval *ev = c->ev;
    const struct expr *vs = arg->matrix.selector;
    struct selection *sel;
    TRY(range_select(c, vs, &sel));
    range_expect(c, sel);
    struct range_source src = {
        c, { c->lo0, c->hi0, ev->g.interval, c->w.fixed ? 1 : ev->g.n }
    };
    struct lanes_job job = { &src, vs->vector.skip_histogram_buckets, src.plan, range_lane_begin,
        range_lane_end, range_lane_compute, range_lane_deliver };
    job.ends = c->f->ends_of_histograms && !c->w.anchored && !c->w.smoothed;
    TRY(lanes_run(ev, sel, &job));
    ev->q->samples += c->held;
    return OK;
}

/* From a subquery: its rows are the series, its steps their timestamps */

struct subquery_sink { struct sink base; struct range_call *c; };

/* A hint speaks of the sample before, which a subquery may have left out or given twice. */
static const struct histogram *subquery_histogram(struct arena *a, const struct histogram *h)
{
    if (h->hint != RESET_YES && h->hint != RESET_NO) return h;
    struct histogram *c = ANEW(a, struct histogram);
    *c = *h;
    c->hint = RESET_UNKNOWN;
    return c;
}

static int64_t *subquery_times(struct range_call *c)
{
    const struct grid *g = &c->inner->g;
    if (c->times) return c->times;
    c->times = arena_array(c->ev->q->arena, g->n, sizeof(*c->times));
    STEPS_EACH(i, c->ev->q, g->n) c->times[i] = grid_time(g, i);
    return c->times;
}

/* Floats at all steps are a column already; else they are gathered, in scratch memory. */
static struct samples subquery_samples(struct range_call *c, const struct row *r)
{
    struct query *q = c->ev->q;
    size_t n = c->inner->g.n;
    if (!r->present && !r->hist)
        return (struct samples){ .t = subquery_times(c), .v = r->v, .n = n };
    size_t made = row_count(r, n);
    struct samples s = { .t = arena_array(&q->scratch, made, sizeof(*s.t)),
        .v = arena_array(&q->scratch, made, sizeof(*s.v)) };
    c->hists.n = 0;
    STEPS_EACH(i, q, n) {
        if (!row_has(r, i)) continue;
        const struct histogram *h = row_histogram(r, i);
        int64_t t = grid_time(&c->inner->g, i);
        if (h) {
            histogram_samples_push(&c->hists, t, subquery_histogram(&q->scratch, h));
            continue;
        }
        s.t[s.n] = t;
        s.v[s.n++] = r->v[i];
    }
    s.hist = c->hists;
    return s;
}

static errc range_subquery_row(struct sink *base, struct row *r)
{
    struct range_call *c = CONTAINER_OF(base, struct subquery_sink, base)->c;
    int64_t child = c->ev->q->samples;
    struct arena_mark m = arena_mark(&c->ev->q->scratch);
    c->inner_made += row_samples(r, c->inner->g.n);
    struct samples s = subquery_samples(c, r);
    struct lane_row out = { .any = false };
    errc rc = eval_check(c->ev->q);
    if (rc == OK) rc = range_compute(c, r->labels, r->drop_name, &s, &out);
    if (rc == OK) rc = range_deliver(c, &out, r->labels);
    arena_reset(&c->ev->q->scratch, m);
    c->above += c->ev->q->samples - child;
    c->ev->q->samples = child;
    return rc;
}

static errc range_from_subquery(struct range_call *c, struct expr *arg)
{
    struct eval *ev = c->ev, inner;
    struct eval_stats stats;
    struct subquery_sink s = { { range_subquery_row }, c };
    c->inner = &inner;
    TRY(eval_subquery(ev, arg, &inner, &stats, &s.base));
    samples_peak(ev, stats.peak);
    stats_merge_read(ev, &inner, ns_to_ms(arg->subquery.at.original_offset_ns),
        ns_to_ms(arg->subquery.range_ns));
    for (size_t i = 0; i < c->n_late; i++) TRY(late_count(ev, &c->late[i]));
    samples_peak(ev, ev->q->samples + c->most);
    TRY(samples_check(ev->q, ev->q->samples + c->most));
    ev->q->samples += c->held + c->above - c->inner_made;
    return OK;
}

/* A matcher as absent() goes through them. */
struct asked {
    const struct matcher *m;
    bool subtracts; /* takes series away from what others select */
};

static int asked_cmp(const void *a, const void *b)
{
    const struct asked *x = a, *y = b;
    int names = str_cmp(x->m->name, y->m->name);
    if (names) return names;
    if (x->subtracts != y->subtracts) return x->subtracts - y->subtracts;
    return (x->m > y->m) - (x->m < y->m);
}

static struct asked *asked_of(struct arena *scratch, struct matchers ms, bool as_written)
{
    struct asked *at = arena_array(scratch, ms.n, sizeof(*at));
    str_list named = { 0 };
    matchers_named(&named, ms);
    for (size_t i = 0; i < ms.n; i++) {
        const struct matcher *m = &ms.at[i];
        bool negative = m->type == MATCH_NE || m->type == MATCH_NRE;
        at[i].m = m;
        at[i].subtracts = !as_written && (!strs_has(named.at, named.n, m->name) ||
                                             (negative && matcher_matches_empty(m)));
    }
    vec_fini(&named);
    if (ms.n) qsort(at, ms.n, sizeof(*at), asked_cmp);
    return at;
}

/* absent_over_time: one row of ones where nothing was. Labels are those that the selector asks for
 * by equality, and nothing else asks for after that: a reader of storage puts matchers that
 * subtract behind all others, so {a!="x",a="x"} asks for no label; where there is nothing to read
 * they stay as they are written. */
struct labels labels_of_absent(struct query *q, struct expr *x)
{
    struct arena *a = q->arena;
    x = x->kind == EXPR_MATRIX ? x->matrix.selector : x;
    struct matchers ms = x->kind == EXPR_VECTOR ? x->vector.matchers : (struct matchers){ 0 };
    struct label *out = arena_array(a, ms.n, sizeof(*out));
    struct asked *at = asked_of(a, ms, q->querier->nothing);
    size_t n = 0;
    for (size_t i = 0, equal = 0; i < ms.n; i++) {
        const struct matcher *m = at[i].m;
        bool last = i + 1 == ms.n || !str_eq(m->name, at[i + 1].m->name);
        equal += m->type == MATCH_EQ;
        if (!last) continue;
        if (m->type == MATCH_EQ && equal == 1 && m->value.n && !str_eq(m->name, METRIC_NAME))
            out[n++] = (struct label){ m->name, m->value };
        equal = 0;
    }
    return (struct labels){ out, n };
}

static errc range_absent(struct range_call *c, struct expr *arg)
{
    struct eval *ev = c->ev;
    size_t n = ev->g.n, absent = n - bits_count(c->present_any, n);
    if (!absent) return OK;
    struct row r = {
        .labels = labels_of_absent(ev->q, arg), .present = c->present_any, .drop_name = true
    };
    r.v = arena_array(ev->q->arena, n, sizeof(double));
    for (size_t w = 0; w < bits_words(n); w++) r.present[w] = ~r.present[w];
    if (n % 64) r.present[n / 64] &= ((uint64_t)1 << (n % 64)) - 1;
    STEPS_EACH(i, ev->q, n) r.v[i] = 1;
    return sink_row(c->out, &r);
}

/* The call */

static errc range_check_modifiers(struct query *q, const struct expr *vs, const char *name)
{
    bool smoothed = !strcmp(name, "rate") || !strcmp(name, "increase") || !strcmp(name, "delta");
    bool anchored = smoothed || !strcmp(name, "resets") || !strcmp(name, "changes");
    if (vs->vector.anchored && !anchored)
        return eval_fail(q,
            "anchored modifier can only be used with: changes, delta, increase, rate, resets - not "
            "with %s",
            name);
    if (vs->vector.smoothed && !smoothed)
        return eval_fail(q,
            "smoothed modifier can only be used with: delta, increase, rate - not with %s", name);
    return OK;
}

static errc range_window(struct range_call *c, struct expr *arg, struct expr *first_arg)
{
    struct eval *ev = c->ev;
    int64_t range_ns, offset_ns;
    c->w.pos = first_arg->pos;
    if (arg->kind == EXPR_MATRIX) {
        const struct expr *vs = arg->matrix.selector;
        TRY(range_check_modifiers(ev->q, vs, c->f->name));
        range_ns = arg->matrix.range_ns;
        offset_ns = vs->vector.at.offset_ns;
        c->w.fixed = vs->vector.at.timestamp_ms;
        c->w.anchored = vs->vector.anchored;
        c->w.smoothed = vs->vector.smoothed;
    } else {
        const struct at_offset *at = &arg->subquery.at;
        range_ns = arg->subquery.range_ns;
        offset_ns = at->timestamp_ms
                        ? at->original_offset_ns + (ev->g.start - *at->timestamp_ms) * 1000000
                        : at->offset_ns;
        c->w.fixed = at->timestamp_ms;
        /* Prometheus puts a node without a place there */
        if (arg == first_arg) c->w.pos.unplaced = true;
    }
    c->w.range_ms = ns_to_ms(range_ns);
    c->w.range_s = ns_to_seconds(range_ns);
    c->w.offset_ms = ns_to_ms(offset_ns);
    c->hi0 = ev->g.start - c->w.offset_ms;
    c->lo0 = c->hi0 - c->w.range_ms;
    if (c->w.anchored || c->w.smoothed) c->lo0 -= ev->q->lookback_ms;
    if (c->w.smoothed) c->hi0 += ev->q->lookback_ms;
    return OK;
}

static errc range_params(struct range_call *c, struct expr *call, size_t range_arg)
{
    size_t n = 0;
    for (size_t i = 0; i < call->call.args.n; i++) {
        if (i == range_arg) continue;
        assert(n < RANGE_PARAMS_MAX);
        struct expr *x = call->call.args.at[i];
        TRY(c->from_subquery ? eval_column_late(c->ev, x, &c->w.params[n], &c->late[c->n_late++])
                             : eval_column(c->ev, x, &c->w.params[n]));
        n++;
    }
    return OK;
}

static void range_call_fini(struct range_call *c)
{
    label_set_fini(&c->seen);
    samples_fini(&(struct samples){ .hist = c->hists });
    eval_arena_fini(c->ev->q, &c->room);
    histogram_slide_fini(&c->slide);
}

errc eval_range_call(struct eval *ev, struct expr *call, size_t range_arg, struct sink *out)
{
    const char *name = call->call.func->name;
    struct expr *arg = call->call.args.at[range_arg];
    SCOPED(range_call_fini)
    struct range_call c = { .ev = ev, .f = range_function_find(name), .out = out };
    struct query *q = ev->q;
    eval_arena_init(q, &c.room);
    if (!c.f) return eval_fail(q, "unknown function with name \"%s\"", name);
    label_set_init(&c.seen, q->arena);
    c.from_subquery = arg->kind == EXPR_SUBQUERY;
    c.counters = !strcmp(name, "rate") || !strcmp(name, "increase");
    if (!strcmp(name, "absent_over_time"))
        c.present_any = arena_zalloc(q->arena, bits_words(ev->g.n) * sizeof(uint64_t));
    c.w.ev = ev;
    c.w.steps = ev->g.n;
    TRY(range_window(&c, arg, call->call.args.at[0]));
    if (c.from_subquery) range_slices(&c, q->arena);
    histogram_slide_init(&c.slide, q->scratch.acc, q->scratch.limit);
    TRY(range_params(&c, call, range_arg));
    int64_t before = q->samples;
    TRY(c.from_subquery ? range_from_subquery(&c, arg) : range_from_selector(&c, arg));
    if (!c.from_subquery) samples_peak(ev, before + c.most);
    return c.present_any ? range_absent(&c, arg) : OK;
}

/* A range vector by itself: the result of an instant query */

static errc points_of_window(struct eval *ev, const struct expr *vs, const struct samples *s,
    int64_t start, int64_t end, struct labels labels, struct point_sink *out)
{
    struct arena_mark m = arena_mark(&ev->q->scratch);
    struct point *at = arena_array(&ev->q->scratch, s->n + s->hist.n + 2, sizeof(*at));
    size_t n = 0;
    uint64_t sizes = 0;
    bool extended = vs->vector.anchored || vs->vector.smoothed;
    if (extended && s->hist.n)
        return eval_fail(ev->q, "%s modifier is not supported with histograms",
            vs->vector.anchored ? "anchored" : "smoothed");
    if (extended) {
        size_t last = s->n - 1, first = 0;
        while (first < last && s->t[first] <= start) first++;
        if (first > 0) first--;
        if (vs->vector.smoothed) {
            size_t i = 0;
            while (i < last && s->t[i] < end) i++;
            last = i;
        }
        if (s->t[last] > start) {
            double left = s->v[first], right = s->v[last];
            if (vs->vector.smoothed && s->t[first] < start)
                left += (s->v[first + 1] - left) * (double)(start - s->t[first]) /
                        (double)(s->t[first + 1] - s->t[first]);
            if (vs->vector.smoothed && last > 0 && s->t[last] > end) {
                right = s->v[last - 1];
                right += (s->v[last] - right) * (double)(end - s->t[last - 1]) /
                         (double)(s->t[last] - s->t[last - 1]);
            }
            at[n++] = (struct point){ start, left, NULL };
            for (size_t i = first; i <= last; i++)
                if (s->t[i] > start && s->t[i] < end)
                    at[n++] = (struct point){ s->t[i], s->v[i], NULL };
            at[n++] = (struct point){ end, right, NULL };
        }
    } else {
        for (size_t i = 0, j = 0; i < s->n || j < s->hist.n;) {
            if (j == s->hist.n || (i < s->n && s->t[i] < s->hist.t[j])) {
                at[n++] = (struct point){ s->t[i], s->v[i], NULL };
                i++;
                continue;
            }
            at[n++] = (struct point){ s->hist.t[j], 0, s->hist.h[j] };
            sizes += samples_of_histogram(s->hist.h[j++]) - 1;
        }
    }
    stats_total(ev, 0, n + sizes);
    stats_read(ev, 0, n + sizes);
    ev->q->samples += s->n + s->hist.n + sizes;
    samples_peak(ev, ev->q->samples);
    TRY(samples_check(ev->q, ev->q->samples));
    if (n) TRY(out->points(out, labels, false, at, n));
    arena_reset(&ev->q->scratch, m);
    return OK;
}

static errc points_of_selector(struct eval *ev, struct expr *x, struct point_sink *out)
{
    const struct expr *vs = x->matrix.selector;
    int64_t end = ev->g.start - ns_to_ms(vs->vector.at.offset_ns),
            start = end - ns_to_ms(x->matrix.range_ns);
    struct window_plan p = { start, end, ev->g.interval, 1 };
    if (vs->vector.anchored || vs->vector.smoothed) p.lo -= ev->q->lookback_ms;
    if (vs->vector.smoothed) p.hi += ev->q->lookback_ms;
    struct selection *sel;
    TRY(selection_expand(ev->q, vs->vector.index, &sel));
    SCOPED(reader_fini) struct reader r;
    reader_init(&r, ev->q);
    uint64_t read = ev->stats->read;
    struct explain_lane begun = explain_read_begin(ev->q);
    for (size_t i = 0; i < sel->n; i++) {
        TRY(eval_check(ev->q));
        struct arena_mark m = arena_mark(&ev->q->scratch);
        TRY(reader_load(&r, sel->at[i], &p, STALE_DROP));
        if (r.s.n || r.s.hist.n)
            TRY(points_of_window(ev, vs, &r.s, start, end, sel->at[i]->labels, out));
        arena_reset(&ev->q->scratch, m);
    }
    explain_read_end(ev->q, vs->vector.index, &begun, sel->n, ev->stats->read - read);
    return OK;
}

struct points_row_sink { struct sink base; struct eval *inner; struct point_sink *out; };

static errc points_row(struct sink *base, struct row *r)
{
    struct points_row_sink *s = CONTAINER_OF(base, struct points_row_sink, base);
    struct arena *a = &s->inner->q->scratch;
    struct arena_mark m = arena_mark(a);
    struct point *at = arena_array(a, s->inner->g.n, sizeof(*at));
    size_t n = 0;
    STEPS_EACH(i, s->inner->q, s->inner->g.n) {
        if (!row_has(r, i)) continue;
        const struct histogram *h = row_histogram(r, i);
        at[n++] = (struct point){ grid_time(&s->inner->g, i), r->v[i], h };
    }
    errc rc = n ? s->out->points(s->out, r->labels, r->drop_name, at, n) : OK;
    arena_reset(a, m);
    return rc;
}

errc eval_range_vector(struct eval *ev, struct expr *x, struct point_sink *out)
{
    if (x->kind == EXPR_MATRIX) return points_of_selector(ev, x, out);
    assert(x->kind == EXPR_SUBQUERY);
    struct eval inner;
    struct eval_stats stats;
    struct points_row_sink s = { { points_row }, &inner, out };
    TRY(eval_subquery(ev, x, &inner, &stats, &s.base));
    samples_peak(ev, stats.peak);
    stats_total(ev, ev->g.n - 1, stats.total);
    stats_merge_read(ev, &inner, 0, 0);
    return OK;
}
