/* rate, increase, delta, irate, idelta, resets, changes over histograms: the last one less the
 * first, plus what stood before each reset.
 *
 * Layouts, resolutions and hints decide much of the outcome, so samples are combined one after the
 * other as Prometheus does it, with the same notes about what does not fit. */
#include "promql/windows.h"

#include "base/f64.h"

/* A window's samples of one kind. */
struct hspan { const struct histogram_samples *s; size_t from, n; };
static const struct histogram *at(const struct hspan *v, size_t i) { return v->s->h[v->from + i]; }
static int64_t time_at(const struct hspan *v, size_t i) { return v->s->t[v->from + i]; }

static struct hspan window_histograms(const struct windows *w, size_t k)
{
    return (struct hspan){ w->hs, w->hlo[k], w->hhi[k] - w->hlo[k] };
}
static struct arena *scratch_of(const struct windows *w) { return w->room; }
static struct annotations *notes_of(const struct windows *w) { return &w->ev->q->annotations; }

static bool combine(struct arena *a, struct histogram *h, const struct histogram *other,
    double sign, struct annotations *an, str metric, struct pos pos)
{
    struct histogram_merge m;
    if (histogram_add(a, h, other, sign, &m) != OK) {
        anno_mixed_schemas(an, metric, pos);
        return false;
    }
    if (m.bounds_reconciled)
        anno_bounds_reconciled(an, sign < 0 ? HISTOGRAM_SUBTRACTION : HISTOGRAM_ADDITION, pos);
    return true;
}

bool histogram_combine(
    struct windows *w, struct histogram *h, const struct histogram *other, double sign)
{
    return combine(scratch_of(w), h, other, sign, notes_of(w), w->metric, w->pos);
}

struct histogram *histogram_between(struct arena *a, const struct histogram *h1, int64_t t1,
    const struct histogram *h2, int64_t t2, int64_t t, bool counter, struct annotations *an,
    str metric, struct pos pos)
{
    if (t == t1) return histogram_copy(a, h1);
    struct histogram *h = histogram_copy(a, h2);
    if (t == t2) return h;
    double fraction = (double)(t - t1) / (double)(t2 - t1);
    bool reset = counter && histogram_is_reset(h2, h1);        /* then it grew from nothing */
    if (!reset && !combine(a, h, h1, -1, an, metric, pos)) return NULL;
    histogram_scale(h, fraction);
    if (!reset && !combine(a, h, h1, 1, an, metric, pos)) return NULL;
    return h;
}

/* Plain ranges */

static bool start_is_reset(const struct hspan *v, size_t i)
{
    return v->s->st && start_time_is_reset(v->s->st[v->from + i - 1], time_at(v, i - 1),
                           v->s->st[v->from + i], time_at(v, i));
}

/* What is to be said of a growth, unless it comes to nothing: then only why. */
/* reconciled: by adding, by subtracting */
struct growth_notes { bool not_counter, reconciled[2], overlap; };

static bool growth_combine(struct windows *w, struct histogram *h, const struct histogram *other,
    double sign, struct growth_notes *notes)
{
    struct histogram_merge m;
    if (histogram_add(scratch_of(w), h, other, sign, &m) != OK) return false;
    notes->reconciled[sign < 0] |= m.bounds_reconciled;
    return true;
}

/* The kinds of the samples in between, and the lowest resolution of counters. False: they do not go
 * together. */
static bool growth_check(
    const struct hspan *v, bool counter, bool custom, int32_t *schema, struct growth_notes *notes)
{
    for (size_t i = 1; counter && i + 1 < v->n; i++) {
        const struct histogram *h = at(v, i);
        notes->not_counter |= h->hint == RESET_GAUGE;
        *schema = MIN(*schema, h->schema);
        if (histogram_is_custom(h) != custom) return false;
    }
    return true;
}

static bool growth_add_resets(struct windows *w, const struct hspan *v,
    const struct histogram *prev, struct histogram *h, struct growth_notes *notes)
{
    for (size_t i = 1; i < v->n; i++) {
        const int64_t *st = v->s->st ? v->s->st + v->from : NULL;
        notes->overlap |= st && start_time_overlaps(st[i - 1], time_at(v, i - 1), st[i]);
        if ((start_is_reset(v, i) || histogram_is_reset(at(v, i), prev)) &&
            !growth_combine(w, h, prev, 1, notes))
            return false;
        prev = at(v, i);
    }
    return true;
}

/* The growth over the samples from prev, which stands for the first one. NULL: they do not go
 * together. */
static struct histogram *growth_from(struct windows *w, const struct hspan *v,
    const struct histogram *prev, bool counter, struct growth_notes *notes)
{
    const struct histogram *last = at(v, v->n - 1);
    int32_t schema = MIN(last->schema, prev->schema);
    if (!growth_check(v, counter, histogram_is_custom(prev), &schema, notes)) return NULL;
    struct histogram *h = histogram_copy_to_schema(scratch_of(w), last, schema);
    if (!growth_combine(w, h, prev, -1, notes)) return NULL;
    return counter && !growth_add_resets(w, v, prev, h, notes) ? NULL : h;
}

static void growth_tell(struct windows *w, const struct growth_notes *notes)
{
    struct annotations *an = notes_of(w);
    if (notes->not_counter) anno_native_not_counter(an, w->metric, w->pos);
    if (notes->reconciled[1]) anno_bounds_reconciled(an, HISTOGRAM_SUBTRACTION, w->pos);
    if (notes->reconciled[0]) anno_bounds_reconciled(an, HISTOGRAM_ADDITION, w->pos);
    if (notes->overlap) anno_start_overlap(an, w->metric, w->pos);
}

/* NULL: no value. */
static struct histogram *growth_of(struct windows *w, const struct hspan *v, bool counter)
{
    const struct histogram *prev = at(v, 0), *last = at(v, v->n - 1), *second = at(v, 1);
    struct growth_notes notes = { .not_counter = counter && (prev->hint == RESET_GAUGE ||
                                                                last->hint == RESET_GAUGE) };
    struct histogram nothing;
    if (counter && (start_is_reset(v, 1) || histogram_is_reset(second, prev))) {
        nothing = (struct histogram){
            .schema = second->schema, .custom = second->custom, .n_custom = second->n_custom
        };
        prev = &nothing;                   /* what the first one looks like does not matter then */
    }
    bool ends_differ = histogram_is_custom(last) != histogram_is_custom(prev);
    struct histogram *h = ends_differ ? NULL : growth_from(w, v, prev, counter, &notes);
    if (!h) {
        if (ends_differ && notes.not_counter)
            anno_native_not_counter(notes_of(w), w->metric, w->pos);
        anno_mixed_schemas(notes_of(w), w->metric, w->pos);
        return NULL;
    }
    growth_tell(w, &notes);
    if (!counter && (at(v, 0)->hint != RESET_GAUGE || last->hint != RESET_GAUGE))
        anno_native_not_gauge(notes_of(w), w->metric, w->pos);
    h->hint = RESET_GAUGE;
    histogram_compact(scratch_of(w), h);
    return h;
}

static void rate_plain(struct windows *w, size_t k, enum rate_kind kind)
{
    struct hspan v = window_histograms(w, k);
    struct histogram *h = NULL;
    if (v.n > 1) {
        h = growth_of(w, &v, kind != RATE_DELTA);
        if (!h) return;
    }
    struct growth g = { time_at(&v, 0), time_at(&v, v.n - 1), v.s->st ? v.s->st[v.from] : 0, v.n,
        at(&v, 0)->count, h ? h->count : 0 };
    bool from_zero;
    double factor;
    if (!window_stretch(w, k, &g, kind, &from_zero, &factor)) return;
    if (from_zero && !h) h = histogram_copy(scratch_of(w), at(&v, 0));
    else if (from_zero && !histogram_combine(w, h, at(&v, 0), 1)) return;
    histogram_scale(h, factor);
    window_put_histogram(w, k, h);
}

/* anchored and smoothed ranges */

struct borders { size_t first, last; int64_t start, end; struct histogram *left, *right; };

static bool borders_check(
    struct windows *w, const struct hspan *v, const struct borders *b, bool counter)
{
    bool custom = histogram_is_custom(at(v, b->first));
    for (size_t i = b->first; i <= b->last; i++) {
        if (histogram_is_custom(at(v, i)) != custom) {
            anno_mixed_schemas(notes_of(w), w->metric, w->pos);
            return false;
        }
        if (counter && at(v, i)->hint == RESET_GAUGE)
            anno_native_not_counter(notes_of(w), w->metric, w->pos);
    }
    return true;
}

static struct histogram *border_at(
    struct windows *w, const struct hspan *v, size_t i, int64_t t, bool counter)
{
    return histogram_between(scratch_of(w), at(v, i), time_at(v, i), at(v, i + 1),
        time_at(v, i + 1), t, counter, notes_of(w), w->metric, w->pos);
}

/* False: no value. */
static bool borders_find(
    struct windows *w, const struct hspan *v, size_t k, bool counter, struct borders *b)
{
    const int64_t *t = v->s->t + v->from;
    *b = (struct borders){ .last = v->n - 1, .end = window_end_ms(w, k) };
    b->start = b->end - w->range_ms;
    b->first = time_search(t, b->last, b->start, false);
    if (b->first > 0) b->first--;
    if (w->smoothed) b->last = time_search(t, b->last, b->end, true);
    if (t[b->last] <= b->start || (w->smoothed && t[b->first] > b->end) ||
        !borders_check(w, v, b, counter))
        return false;
    if (w->smoothed && t[b->first] < b->start)
        b->left = border_at(w, v, b->first, b->start, counter);
    else b->left = histogram_copy(scratch_of(w), at(v, b->first));
    if (!b->left) return false;
    if (w->smoothed && b->last > 0 && t[b->last] > b->end)
        b->right = border_at(w, v, b->last - 1, b->end, counter);
    else b->right = histogram_copy(scratch_of(w), at(v, b->last));
    return b->right;
}

static bool correction_add(struct windows *w, struct histogram **sum, const struct histogram *h)
{
    if (*sum) return histogram_combine(w, *sum, h, 1);
    *sum = histogram_copy(scratch_of(w), h);
    return true;
}

/* What stood before the resets between the borders; *sum NULL: there was none. A reset that the
 * left border lies in is in it already. */
static bool borders_correct(
    struct windows *w, const struct hspan *v, const struct borders *b, struct histogram **sum)
{
    const struct histogram *prev = b->left;
    size_t i = b->first + 1;
    *sum = NULL;
    if (w->smoothed && time_at(v, b->first) < b->start &&
        histogram_is_reset(at(v, b->first + 1), at(v, b->first))) {
        prev = at(v, b->first + 1);
        i++;
    }
    if (i > b->last) return true;
    for (; i < b->last; i++) {
        if (histogram_is_reset(at(v, i), prev) && !correction_add(w, sum, prev)) return false;
        prev = at(v, i);
    }
    return !histogram_is_reset(b->right, prev) || correction_add(w, sum, prev);
}

static void rate_extended(struct windows *w, size_t k, enum rate_kind kind)
{
    struct hspan v = window_histograms(w, k);
    bool counter = kind != RATE_DELTA;
    struct borders b;
    struct histogram *sum;
    if (!borders_find(w, &v, k, counter, &b)) return;
    if (!counter && (b.left->hint != RESET_GAUGE || b.right->hint != RESET_GAUGE))
        anno_native_not_gauge(notes_of(w), w->metric, w->pos);
    struct histogram *h = histogram_copy(scratch_of(w), b.right);
    if (!histogram_combine(w, h, b.left, -1)) return;
    if (counter) {
        if (!borders_correct(w, &v, &b, &sum)) return;
        if (sum && !histogram_combine(w, h, sum, 1)) return;
    }
    if (kind == RATE_RATE) histogram_divide(h, w->range_s);
    h->hint = RESET_GAUGE;
    histogram_compact(scratch_of(w), h);
    window_put_histogram(w, k, h);
}

static errc rate_of(struct windows *w, size_t k, enum rate_kind kind)
{
    if (w->lo[k] < w->hi[k]) anno_mixed_floats_histograms(notes_of(w), w->metric, w->pos);
    else if (w->anchored || w->smoothed) rate_extended(w, k, kind);
    else rate_plain(w, k, kind);
    return OK;
}
errc window_h_rate(struct windows *w, size_t k) { return rate_of(w, k, RATE_RATE); }
errc window_h_increase(struct windows *w, size_t k) { return rate_of(w, k, RATE_INCREASE); }
errc window_h_delta(struct windows *w, size_t k) { return rate_of(w, k, RATE_DELTA); }

/* The samples of both kinds, in the order of time */

struct mixed { int64_t t, st; double v; const struct histogram *h; };
struct mixed_walk { const struct windows *w; size_t i, n, j, m; };

static bool mixed_next(struct mixed_walk *x, struct mixed *out)
{
    const struct windows *w = x->w;
    if (x->i >= x->n && x->j >= x->m) return false;
    if (x->j >= x->m || (x->i < x->n && w->t[x->i] < w->hs->t[x->j])) {
        *out = (struct mixed){ w->t[x->i], w->st ? w->st[x->i] : 0, w->v[x->i], NULL };
        x->i++;
    } else {
        *out = (struct mixed){ w->hs->t[x->j], w->hs->st ? w->hs->st[x->j] : 0, 0, w->hs->h[x->j] };
        x->j++;
    }
    return true;
}

/* The last two samples */

static errc last_two(struct windows *w, size_t k, bool rate)
{
    struct mixed_walk walk = { w, w->lo[k], w->hi[k], w->hlo[k], w->hhi[k] };
    struct mixed a = { 0 }, b = { 0 }, next;
    size_t n = 0;
    if (walk.n - walk.i > 2) walk.i = walk.n - 2;
    if (walk.m - walk.j > 2) walk.j = walk.m - 2;
    for (; mixed_next(&walk, &next); n++) {
        a = b;
        b = next;
    }
    if (n < 2) return OK;
    if (!a.h != !b.h) {
        anno_mixed_floats_histograms(notes_of(w), w->metric, w->pos);
        return OK;
    }
    double seconds = (double)(b.t - a.t) / 1000;
    bool st_reset = start_time_is_reset(a.st, a.t, b.st, b.t);
    if (!b.h) {
        double v = rate && (b.v < a.v || st_reset) ? b.v : b.v - a.v;
        window_put(w, k, rate ? v / seconds : v);
        return OK;
    }
    struct histogram *h = histogram_copy(scratch_of(w), b.h);
    if (rate && (a.h->hint == RESET_GAUGE || b.h->hint == RESET_GAUGE))
        anno_native_not_counter(notes_of(w), w->metric, w->pos);
    if (!rate && (a.h->hint != RESET_GAUGE || b.h->hint != RESET_GAUGE))
        anno_native_not_gauge(notes_of(w), w->metric, w->pos);
    if ((!rate || (!st_reset && !histogram_is_reset(b.h, a.h))) &&
        !histogram_combine(w, h, a.h, -1))
        return OK;
    h->hint = RESET_GAUGE;
    histogram_compact(scratch_of(w), h);
    if (rate) histogram_divide(h, seconds);
    window_put_histogram(w, k, h);
    return OK;
}
errc window_h_irate(struct windows *w, size_t k) { return last_two(w, k, true); }
errc window_h_idelta(struct windows *w, size_t k) { return last_two(w, k, false); }

/* Pairs of neighbours */

/* Where an anchored range begins: with the last sample of either kind at or before its border.
 * False: no sample after it. */
static bool mixed_anchor(const struct windows *w, size_t k, struct mixed_walk *x)
{
    *x = (struct mixed_walk){ w, w->lo[k], w->hi[k], w->hlo[k], w->hhi[k] };
    if (!w->anchored) return true;
    int64_t start = window_end_ms(w, k) - w->range_ms;
    size_t i = x->i + time_search(w->t + x->i, x->n - x->i, start, false),
           j = x->j + time_search(w->hs->t + x->j, x->m - x->j, start, false);
    if (i >= x->n && j >= x->m) return false;
    bool float_before = i > x->i, hist_before = j > x->j;
    if (float_before && (!hist_before || w->t[i - 1] >= w->hs->t[j - 1])) i--;
    else if (hist_before) j--;
    x->i = i;
    x->j = j;
    return true;
}

static bool is_reset(const struct mixed *a, const struct mixed *b)
{
    if (!a->h != !b->h) return true;
    if (start_time_is_reset(a->st, a->t, b->st, b->t)) return true;
    return a->h ? histogram_is_reset(b->h, a->h) : b->v < a->v;
}

static bool is_change(const struct mixed *a, const struct mixed *b)
{
    if (!a->h != !b->h) return true;
    if (a->h) return !histogram_equal(a->h, b->h);
    return a->v != b->v && !(a->v != a->v && b->v != b->v);
}

static errc count_pairs(
    struct windows *w, size_t k, bool (*is)(const struct mixed *a, const struct mixed *b))
{
    struct mixed_walk walk;
    struct mixed prev, now;
    if (!mixed_anchor(w, k, &walk) || !mixed_next(&walk, &prev)) return OK;
    double n = 0;
    for (; mixed_next(&walk, &now); prev = now) n += is(&prev, &now);
    window_put(w, k, n);
    return OK;
}
errc window_h_resets(struct windows *w, size_t k) { return count_pairs(w, k, is_reset); }
errc window_h_changes(struct windows *w, size_t k) { return count_pairs(w, k, is_change); }
