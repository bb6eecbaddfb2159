/* rate, increase, delta, irate, idelta, resets, changes: functions of the differences between
 * neighbours.
 *
 * rate is last - first, plus what the counter showed before each reset inside the window, added in
 * the order of the resets, then stretched to the borders of the window. The resets of a series are
 * few: their indexes are listed once, and a window only walks those between its ends. So a step
 * costs the same whatever the length of its window. */
#include "promql/columns.h"
#include "promql/windows.h"

bool start_time_is_reset(int64_t prev_st, int64_t prev_t, int64_t st, int64_t t)
{
    if (st == 0 || st >= t || st < prev_t) return false;
    if (st > prev_t) return true;
    if (prev_st > prev_t) return false;
    return prev_st != 0 && prev_st != prev_t;
}

bool start_time_overlaps(int64_t prev_st, int64_t prev_t, int64_t st)
{
    return st != 0 && st < prev_t && st != prev_st;
}

/* Ascending indexes i for which something holds between samples i - 1 and i. */
struct index_list { uint32_t *at; size_t n; };
typedef bool (*pair_is)(const struct windows *w, size_t i);

static struct index_list index_list_of(const struct windows *w, pair_is is)
{
    struct index_list l = { 0 };
    size_t n = 0;
    STEPS_EACH(i, w->ev->q, w->n) n += i && is(w, i);
    l.at = arena_array(&w->ev->q->scratch, n, sizeof(*l.at));
    STEPS_EACH(i, w->ev->q, w->n)
        if (i && l.n < n && is(w, i)) l.at[l.n++] = (uint32_t)i;
    return l;
}

static bool pair_is_reset(const struct windows *w, size_t i)
{
    return w->v[i] < w->v[i - 1] ||
           (w->st && start_time_is_reset(w->st[i - 1], w->t[i - 1], w->st[i], w->t[i]));
}
static bool pair_is_change(const struct windows *w, size_t i)
{
    return w->v[i] != w->v[i - 1] && !(w->v[i] != w->v[i] && w->v[i - 1] != w->v[i - 1]);
}
static bool pair_overlaps(const struct windows *w, size_t i)
{
    return w->st && start_time_overlaps(w->st[i - 1], w->t[i - 1], w->st[i]);
}

/* Moves *at to the first index above lo: windows only go forward. */
static void index_list_from(const struct index_list *l, size_t *at, uint32_t lo)
{
    while (*at < l->n && l->at[*at] <= lo) ++*at;
}

struct counter { struct index_list resets, overlaps; size_t reset_at, overlap_at; };

static double counter_growth(struct windows *w, struct counter *c, size_t k)
{
    uint32_t lo = w->lo[k], hi = w->hi[k];
    double growth = w->v[hi - 1] - w->v[lo];
    index_list_from(&c->resets, &c->reset_at, lo);
    for (size_t i = c->reset_at; i < c->resets.n && c->resets.at[i] < hi; i++)
        growth += w->v[c->resets.at[i] - 1];
    index_list_from(&c->overlaps, &c->overlap_at, lo);
    if (c->overlap_at < c->overlaps.n && c->overlaps.at[c->overlap_at] < hi)
        anno_start_overlap(&w->ev->q->annotations, w->metric, w->pos);
    return growth;
}

/* Stretches the growth between the first and the last sample to the window: to its borders when
 * they are near, else by half a gap; never to where a counter would have been below zero. */
bool window_stretch(const struct windows *w, size_t k, const struct growth *g, enum rate_kind kind,
    bool *from_zero, double *factor)
{
    size_t gaps = g->n - 1;
    int64_t end = window_end_ms(w, k), start = end - w->range_ms;
    double to_start = (double)(g->first_t - start) / 1000,
           to_end = (double)(end - g->last_t) / 1000;
    double sampled = (double)(g->last_t - g->first_t) / 1000,
           average = gaps ? sampled / (double)gaps : 0, threshold = average * 1.1;
    *from_zero = kind != RATE_DELTA && g->st != 0 && g->st > start && g->st < g->first_t;
    if (*from_zero) {
        /* the counter is known to have started inside the window, at zero */
        to_start = 0;
        sampled = (double)(g->last_t - g->st) / 1000;
    } else if (gaps == 0) {
        return false;
    } else {
        if (to_start >= threshold) to_start = average / 2;
        if (kind != RATE_DELTA) {
            double to_zero = to_start;
            if (g->growth > 0 && g->first >= 0) to_zero = sampled * (g->first / g->growth);
            if (to_zero < to_start) to_start = to_zero;
        }
    }
    if (to_end >= threshold) to_end = average / 2;
    *factor = sampled != 0 ? (sampled + to_start + to_end) / sampled : 1;
    if (kind == RATE_RATE) *factor /= w->range_s;
    return true;
}

static bool rate_extrapolate(
    const struct windows *w, size_t k, double growth, enum rate_kind kind, double *out)
{
    uint32_t lo = w->lo[k], hi = w->hi[k];
    struct growth g = { w->t[lo], w->t[hi - 1], w->st ? w->st[lo] : 0, hi - lo, w->v[lo], growth };
    bool from_zero;
    double factor;
    if (!window_stretch(w, k, &g, kind, &from_zero, &factor)) return false;
    if (from_zero) growth += g.first;
    *out = growth * factor;
    return true;
}

size_t time_search(const int64_t *t, size_t n, int64_t at, bool or_equal)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (or_equal ? t[mid] >= at : t[mid] > at) hi = mid;
        else lo = mid + 1;
    }
    return lo;
}

static double extended_between(const struct windows *w, size_t i, int64_t at, bool counter)
{
    double y1 = w->v[i], y2 = w->v[i + 1];
    if (counter && y2 < y1) y1 = 0;
    return y1 + (y2 - y1) * (double)(at - w->t[i]) / (double)(w->t[i + 1] - w->t[i]);
}

/* anchored and smoothed ranges: values at the borders are taken from the sample before, or
 * interpolated, instead of extrapolated. */
static bool rate_extended(
    struct windows *w, struct counter *c, size_t k, enum rate_kind kind, double *out)
{
    size_t lo = w->lo[k], n = w->hi[k] - lo, last = n - 1;
    const int64_t *t = w->t + lo;
    int64_t end = window_end_ms(w, k), start = end - w->range_ms;
    bool counter = kind != RATE_DELTA;
    size_t first = time_search(t, last, start, false);
    if (first > 0) first--;
    if (w->smoothed) last = time_search(t, last, end, true);
    if (t[last] <= start || (w->smoothed && t[first] > end)) return false;
    double left = w->smoothed && t[first] < start ? extended_between(w, lo + first, start, counter)
                                                  : w->v[lo + first];
    double right = w->smoothed && last > 0 && t[last] > end
                       ? extended_between(w, lo + last - 1, end, counter)
                       : w->v[lo + last];
    double growth = right - left;
    if (counter) {
        size_t from = first, to = last + 1;
        if (t[first] <= start) from++;
        if (t[last] >= end) to--;
        double correction = 0, prev = left;
        if (from < to) {
            if (w->v[lo + from] < prev) correction += prev;
            index_list_from(&c->resets, &c->reset_at, (uint32_t)(lo + from));
            for (size_t i = c->reset_at; i < c->resets.n && c->resets.at[i] < lo + to; i++)
                correction += w->v[c->resets.at[i] - 1];
            prev = w->v[lo + to - 1];
        }
        if (right < prev) correction += prev;
        growth += correction;
    }
    *out = kind == RATE_RATE ? growth / w->range_s : growth;
    return true;
}

static struct index_list falls_of(const struct windows *w)
{
    struct index_list l = { arena_array(&w->ev->q->scratch, w->n, sizeof(*l.at)), 0 };
    STEPS_PARTS(p, w->ev->q, w->n)
    {
        uint32_t *at = l.at + l.n, before = p.from ? (uint32_t)p.from - 1 : 0;
        size_t n = column_falls(at, w->v + before, p.to - before);
        for (size_t i = 0; i < n; i++) at[i] += before;
        l.n += n;
    }
    return l;
}

static void rate_one(struct windows *w, struct counter *c, size_t k, enum rate_kind kind)
{
    double v;
    if (w->lo[k] == w->hi[k]) return;
    if (w->anchored || w->smoothed ? rate_extended(w, c, k, kind, &v)
                                   : rate_extrapolate(w, k, counter_growth(w, c, k), kind, &v))
        window_put(w, k, v);
}

static size_t first_end_after(const struct windows *w, size_t from, size_t to, uint32_t at)
{
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (w->hi[mid] > at) to = mid;
        else from = mid + 1;
    }
    return from;
}

/* The steps from k on that see two samples at least, all of them, and no reset: they are computed
 * side by side. How many. */
static size_t rate_plain_run(const struct windows *w, struct counter *c, size_t k)
{
    enum { TOGETHER = 4 };
    size_t end = column_narrow(w->lo, w->hi, k, w->steps);
    if (end == k) return 0;
    index_list_from(&c->resets, &c->reset_at, w->lo[k]);
    if (c->reset_at < c->resets.n) end = first_end_after(w, k, end, c->resets.at[c->reset_at]);
    return (end - k) / TOGETHER * TOGETHER;
}

static void rate_steps(struct windows *w, struct counter *c, enum rate_kind kind)
{
    struct column_rate r = { w->t, w->v, w->lo, w->hi, window_end_ms(w, 0), w->ev->g.interval,
        w->range_ms, w->range_s, kind != RATE_DELTA, kind == RATE_RATE };
    for (size_t k = 0; k < w->steps;) {
        size_t run = MIN(rate_plain_run(w, c, k), (size_t)STEPS_PART);
        if (run == STEPS_PART && eval_check(w->ev->q) != OK) return;
        column_rates(w->out, &r, k, run);
        bits_set_run(w->present, k, run);
        k += run;
        /* a reset is seen by as many steps as windows overlap */
        for (size_t end = MIN(k + 8, w->steps); k < end; k++) rate_one(w, c, k, kind);
    }
}

static errc window_rate_of(struct windows *w, enum rate_kind kind)
{
    const int64_t far = (int64_t)1 << 50;
    struct counter c = { 0 };
    bool extended = w->anchored || w->smoothed;
    bool starts = w->st && !extended;
    if (kind != RATE_DELTA) c.resets = starts ? index_list_of(w, pair_is_reset) : falls_of(w);
    if (kind != RATE_DELTA && starts) c.overlaps = index_list_of(w, pair_overlaps);
    if (!extended && !w->st && !w->fixed && w->range_ms < far) {
        rate_steps(w, &c, kind);
        return OK;
    }
    STEPS_EACH(k, w->ev->q, w->steps) rate_one(w, &c, k, kind);
    return OK;
}

errc window_rate(struct windows *w) { return window_rate_of(w, RATE_RATE); }
errc window_increase(struct windows *w) { return window_rate_of(w, RATE_INCREASE); }
errc window_delta(struct windows *w) { return window_rate_of(w, RATE_DELTA); }

/* The last two samples */

static errc window_last_two(struct windows *w, bool rate)
{
    STEPS_EACH(k, w->ev->q, w->steps) {
        if (w->hi[k] - w->lo[k] < 2) continue;
        size_t i = w->hi[k] - 1;
        double v = w->v[i];
        if (!rate || !pair_is_reset(w, i)) v -= w->v[i - 1];
        if (rate) v /= (double)(w->t[i] - w->t[i - 1]) / 1000;
        window_put(w, k, v);
    }
    return OK;
}
errc window_irate(struct windows *w) { return window_last_two(w, true); }
errc window_idelta(struct windows *w) { return window_last_two(w, false); }

/* Counts of pairs: differences of prefix counts */

/* The first sample that counts: anchored ranges start with the last one at or before the border.
 * False: none in the range. */
static bool anchored_first(const struct windows *w, size_t k, uint32_t *first)
{
    *first = w->lo[k];
    if (!w->anchored) return true;
    size_t n = w->hi[k] - w->lo[k];
    size_t after = time_search(w->t + w->lo[k], n, window_end_ms(w, k) - w->range_ms, false);
    if (after >= n) return false;
    if (after > 0) *first += (uint32_t)after - 1;
    return true;
}

static errc window_count_pairs(struct windows *w, pair_is is)
{
    /* pairs that end at or before sample i */
    uint32_t *before = arena_array(&w->ev->q->scratch, w->n + 1, sizeof(*before));
    if (w->n) before[0] = 0;
    STEPS_EACH(i, w->ev->q, w->n) if (i) before[i] = before[i - 1] + is(w, i);
    STEPS_EACH(k, w->ev->q, w->steps) {
        uint32_t first;
        if (w->lo[k] == w->hi[k] || !anchored_first(w, k, &first)) continue;
        window_put(w, k, (double)(before[w->hi[k] - 1] - before[first]));
    }
    return OK;
}
errc window_resets(struct windows *w) { return window_count_pairs(w, pair_is_reset); }
errc window_changes(struct windows *w) { return window_count_pairs(w, pair_is_change); }
