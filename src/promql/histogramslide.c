/* histogramslide.c — two stacks of histograms.
 *
 * A window lies around a place, `middle`. For each step to come that begins before it the sum from
 * there to the middle is known, made from the middle backwards; behind the middle one sum grows
 * with the window's end. When a window begins behind the middle, its own end becomes the next one.
 * So each sample is added twice, and a step joins two sums, whatever the length of its window.
 *
 * Compensated sums (pairs of a number and what its rounding lost) are joined as those of floats are
 * (windows.c). Counts are not negative, so nothing cancels out; the sums of observed values can,
 * and are added one after the other where they are too far apart for a pair.
 *
 * Which spans of buckets a sum has depends on the order in which layouts came, and is counted by
 * max-samples. A layout that was there before changes nothing, so it follows from the first ones of
 * each kind in the window. Samples that follow each other mostly have the same: they are a run. */
#include "promql/histogramslide.h"

#include "base/f64.h"
#include "base/kahan.h"
#include "base/map.h"

#include <math.h>

/* What is known of a sample. yes, no: how many before it have that hint. alike: the first of those
 * up to it that can be added in any order. */
struct slide_sample { uint32_t run, alike, yes, no; };
struct slide_run { uint32_t layout; };
struct slide_layout { const struct histogram *h; uint32_t id; bool odd; uint64_t seen; };
struct slide_sum { uint32_t from; struct histogram_sum sum; };

static const double number_most = 1e290;

void histogram_slide_init(struct histogram_slide *s, struct account *acc, size_t limit)
{
    *s = (struct histogram_slide){ 0 };
    struct arena *all[] = { &s->lists, &s->front, &s->back, &s->shapes };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) arena_init(all[i], acc, limit);
}

void histogram_slide_fini(struct histogram_slide *s)
{
    arena_fini(&s->lists);
    arena_fini(&s->front);
    arena_fini(&s->back);
    arena_fini(&s->shapes);
}

bool histogram_slide_spent(const struct histogram_slide *s)
{
    return arena_spent(&s->lists) || arena_spent(&s->front) || arena_spent(&s->back) ||
           arena_spent(&s->shapes);
}

/* Layouts */

static bool spans_equal(const struct histogram_side *a, const struct histogram_side *b)
{
    return a->n_spans == b->n_spans && a->n == b->n &&
           (!a->n_spans || !memcmp(a->spans, b->spans, a->n_spans * sizeof(*a->spans)));
}

static bool resolution_equal(const struct histogram *a, const struct histogram *b)
{
    return a->schema == b->schema && a->zero_threshold == b->zero_threshold &&
           histogram_bounds_equal(a, b);
}

static bool layout_is(const void *val, const void *key)
{
    const struct histogram *a = ((const struct slide_layout *)val)->h, *b = key;
    return resolution_equal(a, b) && spans_equal(&a->pos, &b->pos) && spans_equal(&a->neg, &b->neg);
}

static uint64_t layout_hash(const struct histogram *h)
{
    uint64_t parts[] = { hash_bytes(h->pos.spans, h->pos.n_spans * sizeof(*h->pos.spans)),
        hash_bytes(h->neg.spans, h->neg.n_spans * sizeof(*h->neg.spans)), (uint64_t)h->schema };
    return hash_bytes(parts, sizeof(parts));
}

/* Spans that are not as they should be, or buckets within the zero bucket: which of those a sum
 * has depends on whose they are. */
static bool side_is_odd(const struct histogram *h, const struct histogram_side *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->n_spans; i++) {
        if (!s->spans[i].length) return true;
        n += s->spans[i].length;
    }
    if (n != s->n) return true;
    return n && !histogram_is_custom(h) &&
           !(histogram_bound(h->schema, s->spans[0].offset) > h->zero_threshold);
}

static bool layout_is_odd(const struct histogram *h)
{
    for (size_t i = 0; i < h->n_custom; i++)
        if (!isfinite(h->custom[i])) return true;
    return side_is_odd(h, &h->pos) || side_is_odd(h, &h->neg);
}

static bool count_is_odd(double v) { return !(v <= number_most) || signbit(v); }

static bool numbers_are_odd(const struct histogram *h)
{
    if (count_is_odd(h->count) || (!histogram_is_custom(h) && count_is_odd(h->zero_count)))
        return true;
    if (fabs(h->sum) > number_most) return true;
    bool odd = false;
    for (size_t i = 0; i < h->pos.n; i++) odd |= count_is_odd(h->pos.at[i]);
    for (size_t i = 0; i < h->neg.n; i++) odd |= count_is_odd(h->neg.at[i]);
    return odd;
}

/* Can the sums of observed values be joined? As windows.c has it. */
static bool sums_are_near(const struct histogram_samples *hs)
{
    double most = 0, least = INFINITY;
    for (size_t i = 0; i < hs->n; i++) {
        double size = fabs(hs->h[i]->sum);
        if (size > most) most = size;
        if (size < least && size > 0) least = size;
    }
    return most * (double)hs->n <= 0x1p60 * least;
}

static uint32_t layout_of(struct histogram_slide *s, struct map *known, const struct histogram *h)
{
    uint64_t hash = layout_hash(h);
    struct slide_layout *l = map_find(known, hash, layout_is, h);
    if (l) return l->id;
    l = &s->layouts[s->n_layouts];
    *l = (struct slide_layout){ .h = h, .id = (uint32_t)s->n_layouts, .odd = layout_is_odd(h) };
    map_put(known, hash, l);
    return (uint32_t)s->n_layouts++;
}

static void slide_note(struct histogram_slide *s, struct map *known, size_t i)
{
    const struct histogram *h = s->hs->h[i], *before = i ? s->hs->h[i - 1] : NULL;
    struct slide_sample *x = &s->at[i];
    uint32_t layout = before && layout_is(&(struct slide_layout){ .h = before }, h)
                          ? s->runs[s->n_runs - 1].layout
                          : layout_of(s, known, h);
    if (!i || s->runs[s->n_runs - 1].layout != layout)
        s->runs[s->n_runs++] = (struct slide_run){ layout };
    x->run = (uint32_t)s->n_runs - 1;
    bool odd = s->layouts[layout].odd || numbers_are_odd(h);
    if (!before || odd || !resolution_equal(before, h)) x->alike = (uint32_t)i;
    s->at[i + 1] = (struct slide_sample){ .alike = odd ? (uint32_t)i + 1 : x->alike,
        .yes = x->yes + (h->hint == RESET_YES),
        .no = x->no + (h->hint == RESET_NO) };
}

bool histogram_slide_begin(struct histogram_slide *s, const struct histogram_samples *hs,
    const uint32_t *lo, const uint32_t *hi, size_t steps)
{
    enum { SHARED_FROM = 8 };
    uint64_t work = 0;
    for (size_t k = 0; k < steps; k++) work += hi[k] - lo[k];
    if (work < SHARED_FROM * (uint64_t)hs->n) return false;
    struct arena *all[] = { &s->lists, &s->front, &s->back, &s->shapes };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) arena_reset(all[i], (struct arena_mark){ 0 });
    struct map known = { 0 };
    s->hs = hs;
    s->lo = lo;
    s->hi = hi;
    s->steps = steps;
    s->at = arena_zalloc(&s->lists, (hs->n + 1) * sizeof(*s->at));
    s->runs = arena_array(&s->lists, hs->n, sizeof(*s->runs));
    s->layouts = arena_array(&s->lists, hs->n, sizeof(*s->layouts));
    s->n_runs = s->n_layouts = s->n_shape = s->middle = s->end = 0;
    s->looks = 0;
    for (size_t i = 0; i < hs->n; i++) slide_note(s, &known, i);
    map_fini(&known);
    s->shape_of = arena_array(&s->lists, s->n_layouts, sizeof(*s->shape_of));
    s->shape_next = arena_array(&s->lists, s->n_layouts, sizeof(*s->shape_next));
    s->sums_afresh = !sums_are_near(hs);
    return true;
}

bool histogram_slide_has(const struct histogram_slide *s, size_t k, enum reset_hint hint)
{
    const struct slide_sample *from = &s->at[s->lo[k]], *to = &s->at[s->hi[k]];
    return hint == RESET_YES ? to->yes != from->yes : to->no != from->no;
}

/* The layout of a sum */

static void histogram_clear(struct histogram *h)
{
    h->count = h->sum = h->zero_count = 0;
    if (h->pos.n) memset(h->pos.at, 0, h->pos.n * sizeof(*h->pos.at));
    if (h->neg.n) memset(h->neg.at, 0, h->neg.n * sizeof(*h->neg.at));
}

/* Layouts of the runs in the order in which they come first, into shape_next; how many. */
static size_t shape_list(struct histogram_slide *s, uint32_t from, uint32_t to)
{
    size_t n = 0;
    s->looks++;
    for (uint32_t r = from; r <= to; r++) {
        struct slide_layout *l = &s->layouts[s->runs[r].layout];
        if (l->seen == s->looks) continue;
        l->seen = s->looks;
        s->shape_next[n++] = l->id;
    }
    return n;
}

static void shape_set(struct histogram_slide *s, uint32_t from, uint32_t to)
{
    if (s->n_shape && s->run_from == from && s->run_to == to) return;
    size_t n = shape_list(s, from, to), same = 0;
    while (same < n && same < s->n_shape && s->shape_of[same] == s->shape_next[same]) same++;
    if (same < s->n_shape || !same) {
        arena_reset(&s->shapes, (struct arena_mark){ 0 });
        s->shape = *histogram_copy(&s->shapes, s->layouts[s->shape_next[0]].h);
        same = 1;
    }
    for (size_t i = same; i < n; i++) {
        struct histogram_merge m;
        errc rc = histogram_add(&s->shapes, &s->shape, s->layouts[s->shape_next[i]].h, 1, &m);
        assert(rc == OK && !m.bounds_reconciled);
    }
    histogram_clear(&s->shape);
    uint32_t *was = s->shape_of;
    s->shape_of = s->shape_next;
    s->shape_next = was;
    s->n_shape = n;
    s->run_from = from;
    s->run_to = to;
}

/* The two sums */

static void sum_add(struct arena *a, struct histogram_sum *s, const struct histogram *h)
{
    struct histogram_merge m;
    errc rc = histogram_sum_add(a, s, h, &m);
    assert(rc == OK && !m.bounds_reconciled);
}

/* Where the steps from k on begin, as far as that is before the middle, each once. */
static size_t slide_beginnings(const struct histogram_slide *s, size_t k, struct slide_sum *out)
{
    size_t n = 0;
    for (; k < s->steps && s->lo[k] < s->middle; k++) {
        if (s->lo[k] == s->hi[k] || (n && out[n - 1].from == s->lo[k])) continue;
        out[n++].from = s->lo[k];
    }
    return n;
}

/* Sums that would take too much memory together are known for some of the beginnings, the last
 * among them. */
static void slide_turn(struct histogram_slide *s, size_t k)
{
    enum { MEMORY_MAX = 8 << 20 };
    arena_reset(&s->front, (struct arena_mark){ 0 });
    arena_reset(&s->back, (struct arena_mark){ 0 });
    s->middle = s->end = s->hi[k];
    s->first_at = 0;
    s->first = arena_array(&s->front, s->steps - k, sizeof(*s->first));
    size_t n = slide_beginnings(s, k, s->first), kept = n;
    size_t i = s->middle - 1, bytes = 2 * histogram_size(s->hs->h[i]), every = 1;
    if (bytes * n > MEMORY_MAX) every = bytes * n / MEMORY_MAX + 1;
    struct histogram_sum sum = { .h = *histogram_copy(&s->front, s->hs->h[i]) };
    for (size_t at = n; at > 0; at--) {
        uint32_t from = s->first[at - 1].from;
        if ((n - at) % every) continue;
        while (i > from) sum_add(&s->front, &sum, s->hs->h[--i]);
        s->first[--kept].from = from;
        histogram_sum_copy(&s->front, &s->first[kept].sum, &sum);
    }
    s->first += kept;
    s->n_first = n - kept;
}

static void slide_end(struct histogram_slide *s, size_t hi)
{
    if (s->end == s->middle && s->end < hi)
        s->rest = (struct histogram_sum){ .h = *histogram_copy(&s->back, s->hs->h[s->end++]) };
    for (; s->end < hi; s->end++) sum_add(&s->back, &s->rest, s->hs->h[s->end]);
}

static void sum_afresh(const struct histogram_slide *s, size_t lo, size_t hi, struct histogram *h,
    struct histogram *c)
{
    struct kahan sum = { s->hs->h[lo]->sum, 0 };
    for (size_t i = lo + 1; i < hi; i++) kahan_add(&sum, s->hs->h[i]->sum);
    h->sum = sum.s;
    c->sum = sum.c;
}

bool histogram_slide_sum(
    struct histogram_slide *s, size_t k, struct arena *room, struct histogram_sum *out)
{
    enum { LEAST = 8 };
    size_t lo = s->lo[k], hi = s->hi[k];
    if (hi - lo < LEAST || s->at[hi - 1].alike > lo) return false;
    if (lo >= s->middle) slide_turn(s, k);
    slide_end(s, hi);
    while (s->first[s->first_at].from < lo) s->first_at++;
    assert(s->first_at < s->n_first);
    const struct slide_sum *first = &s->first[s->first_at];
    shape_set(s, s->at[lo].run, s->at[hi - 1].run);
    *out = (struct histogram_sum){ .h = *histogram_copy(room, &s->shape) };
    out->h.hint = first->sum.h.hint;
    histogram_sum_join(room, out, &first->sum);
    for (size_t i = lo; i < first->from; i++) sum_add(room, out, s->hs->h[i]);
    if (s->end > s->middle) histogram_sum_join(room, out, &s->rest);
    if (s->sums_afresh) sum_afresh(s, lo, hi, &out->h, &out->c);
    return true;
}
