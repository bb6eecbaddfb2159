/* rate, increase, delta, irate, idelta, resets, changes over histograms: the last one less the
 * first, plus what stood before each reset.
 *
 * Layouts, resolutions and hints decide much of the outcome, so samples are combined one after the
 * other as Prometheus does it, with the same notes about what does not fit. What each sample and
 * the one before it have to say is found out once for a series (pair_notes): a step looks at the
 * ends of its window and at the resets within. */
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

/* gauges, customs, resets, overlaps: how many there are before a sample; of the last two it is the
 * pairs that end there. schema_from: the first of those up to it that have its resolution. */
struct pair_note { uint32_t gauges, customs, resets, overlaps, schema_from; };
/* n + 1 samples; those that end a reset */
struct pair_notes { struct pair_note *at; uint32_t *resets; };

/* Of an extended range start timestamps are not looked at. */
static bool pair_ends_reset(const struct windows *w, const struct hspan *all, size_t i)
{
    if (!w->anchored && !w->smoothed && start_is_reset(all, i)) return true;
    return histogram_is_reset(at(all, i), at(all, i - 1));
}

static const struct pair_notes *pair_notes_of(struct windows *w)
{
    if (w->pair_notes) return w->pair_notes;
    struct arena *a = &w->ev->q->scratch;
    struct hspan all = { w->hs, 0, w->hs->n };
    struct pair_notes *p = ANEW(a, struct pair_notes);
    const int64_t *st = w->hs->st;
    p->at = arena_zalloc(a, (all.n + 1) * sizeof(*p->at));
    p->resets = arena_array(a, all.n, sizeof(*p->resets));
    for (size_t i = 0; i < all.n; i++) {
        const struct histogram *h = at(&all, i);
        struct pair_note *x = &p->at[i], *then = x + 1;
        if (!i || h->schema != at(&all, i - 1)->schema) x->schema_from = (uint32_t)i;
        *then = *x;
        then->gauges += h->hint == RESET_GAUGE;
        then->customs += histogram_is_custom(h);
        if (!i) continue;
        if (pair_ends_reset(w, &all, i)) p->resets[then->resets++] = (uint32_t)i;
        then->overlaps += st && start_time_overlaps(st[i - 1], time_at(&all, i - 1), st[i]);
    }
    return w->pair_notes = p;
}

/* Do some of [from, to) have buckets of the other kind? */
static bool kinds_differ(const struct pair_notes *p, size_t from, size_t to, bool custom)
{
    return p->at[to].customs - p->at[from].customs != (custom ? to - from : 0);
}

static bool has_gauge(const struct pair_notes *p, size_t from, size_t to)
{
    return p->at[to].gauges != p->at[from].gauges;
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
static bool growth_check(struct windows *w, const struct hspan *v, bool counter, bool custom,
    int32_t *schema, struct growth_notes *notes)
{
    if (!counter || v->n < 3) return true;
    const struct pair_notes *p = pair_notes_of(w);
    size_t from = v->from + 1, to = v->from + v->n - 1;
    if (kinds_differ(p, from, to, custom)) return false;
    notes->not_counter |= has_gauge(p, from, to);
    for (size_t i = to; i > from; i = p->at[i - 1].schema_from)
        *schema = MIN(*schema, w->hs->h[i - 1]->schema);
    return true;
}

static bool growth_add_resets(struct windows *w, const struct hspan *v,
    const struct histogram *prev, struct histogram *h, struct growth_notes *notes)
{
    if ((start_is_reset(v, 1) || histogram_is_reset(at(v, 1), prev)) &&
        !growth_combine(w, h, prev, 1, notes))
        return false;
    const struct pair_notes *p = pair_notes_of(w);
    size_t from = v->from + 1, to = v->from + v->n;
    notes->overlap |= p->at[to].overlaps != p->at[from].overlaps;
    for (size_t i = p->at[from + 1].resets; i < p->at[to].resets; i++)
        if (!growth_combine(w, h, w->hs->h[p->resets[i] - 1], 1, notes)) return false;
    return true;
}

/* The growth over the samples from prev, which stands for the first one. NULL: they do not go
 * together. */
static struct histogram *growth_from(struct windows *w, const struct hspan *v,
    const struct histogram *prev, bool counter, struct growth_notes *notes)
{
    const struct histogram *last = at(v, v->n - 1);
    int32_t schema = MIN(last->schema, prev->schema);
    if (!growth_check(w, v, counter, histogram_is_custom(prev), &schema, notes)) return NULL;
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
    const struct pair_notes *p = pair_notes_of(w);
    size_t from = v->from + b->first, to = v->from + b->last + 1;
    bool custom = histogram_is_custom(at(v, b->first));
    if (!kinds_differ(p, from, to, custom)) {
        if (counter && has_gauge(p, from, to))
            anno_native_not_counter(notes_of(w), w->metric, w->pos);
        return true;
    }
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
    if (i < b->last) {
        if (histogram_is_reset(at(v, i), prev) && !correction_add(w, sum, prev)) return false;
        const struct pair_notes *p = pair_notes_of(w);
        size_t from = v->from + i + 1, to = v->from + b->last;
        for (size_t r = p->at[from].resets; r < p->at[to].resets; r++)
            if (!correction_add(w, sum, w->hs->h[p->resets[r] - 1])) return false;
        prev = at(v, b->last - 1);
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

typedef bool (*mixed_pair)(const struct mixed *a, const struct mixed *b);

/* How many pairs are so that end at or before each sample, of both kinds in the order of time. */
static const uint32_t *pairs_before(struct windows *w, mixed_pair is)
{
    if (w->pairs_before) return w->pairs_before;
    struct mixed_walk all = { w, 0, w->n, 0, w->hs->n };
    struct mixed prev, now;
    uint32_t *n = arena_array(&w->ev->q->scratch, all.n + all.m, sizeof(*n));
    (void)mixed_next(&all, &prev);
    n[0] = 0;
    for (size_t i = 1; mixed_next(&all, &now); i++, prev = now) n[i] = n[i - 1] + is(&prev, &now);
    return w->pairs_before = n;
}

static errc count_pairs(struct windows *w, size_t k, mixed_pair is)
{
    struct mixed_walk walk;
    if (!mixed_anchor(w, k, &walk)) return OK;
    const uint32_t *n = pairs_before(w, is);
    window_put(w, k, n[walk.n + walk.m - 1] - n[walk.i + walk.j]);
    return OK;
}
errc window_h_resets(struct windows *w, size_t k) { return count_pairs(w, k, is_reset); }
errc window_h_changes(struct windows *w, size_t k) { return count_pairs(w, k, is_change); }
