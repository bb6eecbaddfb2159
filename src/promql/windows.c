/* Functions of the values in a window. Compensated sums cannot slide: taking a value out again
 * would round. A window is summed afresh where windows hardly overlap, eight of them side by side;
 * else it is joined from what the ends of aligned pieces make up, (sum, compensation) pairs: a step
 * costs the same whatever the length of its window. */
#include "promql/windows.h"

#include "base/f64.h"
#include "promql/columns.h"
#include "promql/ordered.h"
#include "promql/quantile.h"
#include "promql/walks.h"

#include <math.h>

#define WINDOWS_EACH(w, k)                                                                         \
    STEPS_EACH(k, (w)->ev->q, (w)->steps) if ((w)->lo[k] < (w)->hi[k])

/* Kernels that go through each window whole may take long over one series. Called at each window,
 * with the samples since the last look: is the query still wanted? */
static errc samples_look(const struct windows *w, size_t n, size_t *since)
{
    enum { LOOK_SAMPLES = 1 << 16 };
    *since += n;
    if (LIKELY(*since < LOOK_SAMPLES)) return OK;
    *since = 0;
    return eval_check(w->ev->q);
}
static errc window_look(struct windows *w, size_t k, size_t *since)
{
    return samples_look(w, w->hi[k] - w->lo[k], since);
}

/* Windows that are walked whole, some at a time. k: whose they are. */
struct walked { struct walks walks; size_t k[WALKS]; };
static struct walked walked_begin(const struct windows *w)
{
    return (struct walked){ .walks = { .t = w->t, .v = w->v, .asks = &w->ev->q->scratch } };
}

/* False: there is room for more. */
static bool walked_add(struct walked *g, const struct windows *w, size_t k)
{
    size_t i = g->walks.n++;
    g->k[i] = k;
    g->walks.lo[i] = w->lo[k];
    g->walks.hi[i] = w->hi[k];
    return g->walks.n == WALKS;
}

/* Joined windows: pays where windows look at each sample more often than PIECES_FROM times. */

enum { PIECES_FROM = 8, PIECE_BITS = 3 };

/* Pieces are a power of two of samples, at most half as long as the longest window: a window is the
 * end of a piece, a few whole ones, and the beginning of another. What a sample and the rest of its
 * piece make up is known for each sample, to both sides. */
struct pieces { unsigned bits; };
static size_t pieces_size(const struct pieces *p) { return (size_t)1 << p->bits; }

/* False: it does not pay. */
static bool pieces_pay(struct pieces *p, const struct windows *w)
{
    p->bits = PIECE_BITS;
    while (p->bits < 31 && (uint64_t)4 << p->bits <= w->widest) p->bits++;
    return w->work >= PIECES_FROM * (uint64_t)w->n;
}

/* False: the values are such that joining could round or overflow otherwise than a plain walk: NaN,
 * infinite or huge ones, or so far apart that a pair's 106 bits do not hold the sum of all to the
 * least of them, which is what may be left of a window in which the others cancel. */
static bool pieces_init(struct pieces *p, const struct windows *w, double limit)
{
    double most = 0, least = INFINITY;
    if (!pieces_pay(p, w)) return false;
    STEPS_EACH(i, w->ev->q, w->n) {
        double size = fabs(w->v[i]);
        if (!(size <= limit)) return false;
        if (size > most) most = size;
        if (size < least && size > 0) least = size;
    }
    return most * (double)w->n <= limit && most * (double)w->n <= 0x1p60 * least;
}

bool window_may_join(const struct windows *w)
{
    return w->fixed || w->range_ms / w->ev->g.interval >= PIECES_FROM - 1;
}

/* Whether windows are joined, and where pieces begin, is decided by all steps that are evaluated
 * together; and what is joined may be rounded otherwise. The sums of whole numbers are not. */
static void pieces_entangle(const struct windows *w, bool sums)
{
    struct query *q = w->ev->q;
    double most = 0;
    bool whole = sums;
    if (q->entangled || !window_may_join(w)) return;
    STEPS_EACH(i, q, whole ? w->n : 0) {
        double size = fabs(w->v[i]);
        whole &= size < 0x1p53 && size == floor(size);
        if (size > most) most = size;
    }
    q->entangled = !whole || most * (double)w->n >= 0x1p53;
}

/* How a window lies in the pieces: whole ones in [from, to), before them the rest of one if `head`,
 * after them the beginning of one if `tail`. Neither, and none whole: it lies inside of one. */
struct cover { bool head, tail; size_t from, to; };
static struct cover pieces_cover(const struct pieces *p, size_t lo, size_t hi)
{
    size_t last = pieces_size(p) - 1;
    struct cover c = { lo & last, hi & last, (lo + last) >> p->bits, hi >> p->bits };
    if (c.from > c.to) c = (struct cover){ 0 };
    return c;
}

/* Sums */

struct sum_pieces { struct pieces p; struct kahan *before, *after; };   /* both with the sample */

static bool sum_pieces_init(struct sum_pieces *s, const struct windows *w)
{
    if (!pieces_init(&s->p, w, 1e300)) return false;
    struct arena *a = &w->ev->q->scratch;
    s->before = arena_array(a, w->n, sizeof(*s->before));
    s->after = arena_array(a, w->n, sizeof(*s->after));
    size_t since = 0;
    for (size_t from = 0; from < w->n; from += pieces_size(&s->p)) {
        size_t n = MIN(pieces_size(&s->p), w->n - from);
        if (samples_look(w, n, &since) != OK) break;
        struct kahan up = { 0, 0 }, down = { 0, 0 };
        STEPS_EACH(i, w->ev->q, n) {
            size_t first = from + i, last = from + n - 1 - i;
            kahan_add(&up, w->v[first]);
            kahan_add(&down, w->v[last]);
            s->before[first] = up;
            s->after[last] = down;
        }
    }
    return true;
}

static inline void kahan_join(struct kahan *k, struct kahan x)
{
    kahan_add(k, x.s);
    k->c += x.c;
}

static struct kahan sum_pieces_of(
    const struct sum_pieces *s, const struct windows *w, size_t lo, size_t hi)
{
    struct kahan k = { 0, 0 };
    struct cover c = pieces_cover(&s->p, lo, hi);
    if (c.head) k = s->after[lo];
    for (size_t i = c.from; i < c.to; i++) kahan_join(&k, s->after[i << s->p.bits]);
    if (c.tail) kahan_join(&k, s->before[hi - 1]);
    if (!c.head && !c.tail && c.from == c.to)
        for (size_t i = lo; i < hi; i++) kahan_add(&k, w->v[i]);
    return k;
}

static void window_put_sum(struct windows *w, size_t k, struct kahan sum)
{
    window_put(w, k, isinf(sum.s) ? sum.s : sum.s + sum.c);
}

/* A sum that is not finite may have been taken otherwise by a mean. */
static void window_put_avg(struct windows *w, size_t k, struct kahan sum)
{
    struct kahan_mean m = { sum, (double)(w->hi[k] - w->lo[k]), 0 };
    if (!isfinite(sum.s)) {
        kahan_mean_start(&m, w->v[w->lo[k]]);
        for (size_t i = w->lo[k] + 1; i < w->hi[k]; i++) kahan_mean_add(&m, w->v[i]);
    }
    window_put(w, k, kahan_mean_result(&m));
}

typedef void (*sum_put)(struct windows *w, size_t k, struct kahan sum);

static inline void windows_walk_sums(struct windows *w, struct walked *g, sum_put put)
{
    struct kahan sums[WALKS];
    walk_sums(sums, &g->walks);
    for (size_t i = 0; i < g->walks.n; i++) put(w, g->k[i], sums[i]);
    g->walks.n = 0;
}

static inline errc window_sums(struct windows *w, sum_put put)
{
    struct walked g = walked_begin(w);
    struct sum_pieces p;
    bool pieces = sum_pieces_init(&p, w);
    size_t since = 0;
    pieces_entangle(w, true);
    WINDOWS_EACH(w, k) {
        if (pieces) {
            put(w, k, sum_pieces_of(&p, w, w->lo[k], w->hi[k]));
            continue;
        }
        TRY(window_look(w, k, &since));
        if (walked_add(&g, w, k)) windows_walk_sums(w, &g, put);
    }
    windows_walk_sums(w, &g, put);
    return OK;
}
static errc window_sum(struct windows *w) { return window_sums(w, window_put_sum); }
static errc window_avg(struct windows *w) { return window_sums(w, window_put_avg); }

/* Spreads: two are joined by the distance of their means (Chan, Golub, LeVeque, "Updating
 * formulae", 1979), which is exact enough because means are pairs. */

static inline void spread_join(struct spread *s, const struct spread *x)
{
    double n = s->n + x->n, share = x->n / n;
    double delta = (x->mean.s - s->mean.s) + (x->mean.c - s->mean.c);
    kahan_add(&s->mean, delta * share);
    kahan_join(&s->aux, x->aux);
    kahan_add(&s->aux, delta * delta * (s->n * share));
    s->n = n;
}

struct spread_pieces { struct pieces p; struct spread *before, *after; };

static bool spread_pieces_init(struct spread_pieces *s, const struct windows *w)
{
    if (!pieces_init(&s->p, w, 1e140)) return false;
    struct arena *a = &w->ev->q->scratch;
    s->before = arena_array(a, w->n, sizeof(*s->before));
    s->after = arena_array(a, w->n, sizeof(*s->after));
    size_t since = 0;
    for (size_t from = 0; from < w->n; from += pieces_size(&s->p)) {
        size_t n = MIN(pieces_size(&s->p), w->n - from);
        if (samples_look(w, n, &since) != OK) break;
        struct spread up = { 0 }, down = { 0 };
        STEPS_EACH(i, w->ev->q, n) {
            size_t first = from + i, last = from + n - 1 - i;
            spread_add(&up, w->v[first]);
            spread_add(&down, w->v[last]);
            s->before[first] = up;
            s->after[last] = down;
        }
    }
    return true;
}

static struct spread spread_of(const struct windows *w, size_t lo, size_t hi)
{
    struct spread s = { 0 };
    for (size_t i = lo; i < hi; i++) spread_add(&s, w->v[i]);
    return s;
}

static struct spread spread_pieces_of(
    const struct spread_pieces *p, const struct windows *w, size_t lo, size_t hi)
{
    struct cover c = pieces_cover(&p->p, lo, hi);
    struct spread s = { 0 };
    if (!c.head && !c.tail && c.from == c.to) return spread_of(w, lo, hi);
    if (c.head) s = p->after[lo];
    else if (c.from < c.to) s = p->after[c.from++ << p->p.bits];
    else return p->before[hi - 1];
    for (size_t i = c.from; i < c.to; i++) spread_join(&s, &p->after[i << p->p.bits]);
    if (c.tail) spread_join(&s, &p->before[hi - 1]);
    return s;
}

static inline void window_put_spread(struct windows *w, size_t k, const struct spread *s, bool root)
{
    double variance = (s->aux.s + s->aux.c) / s->n;
    window_put(w, k, root ? sqrt(variance) : variance);
}

static void windows_walk_spreads(struct windows *w, struct walked *g, bool root)
{
    struct spread spreads[WALKS];
    walk_spreads(spreads, &g->walks);
    for (size_t i = 0; i < g->walks.n; i++) window_put_spread(w, g->k[i], &spreads[i], root);
    g->walks.n = 0;
}

static errc window_variance(struct windows *w, bool root)
{
    struct walked g = walked_begin(w);
    struct spread_pieces p;
    bool pieces = spread_pieces_init(&p, w);
    size_t since = 0;
    pieces_entangle(w, false);
    WINDOWS_EACH(w, k) {
        if (pieces) {
            struct spread s = spread_pieces_of(&p, w, w->lo[k], w->hi[k]);
            window_put_spread(w, k, &s, root);
            continue;
        }
        TRY(window_look(w, k, &since));
        if (walked_add(&g, w, k)) windows_walk_spreads(w, &g, root);
    }
    windows_walk_spreads(w, &g, root);
    return OK;
}
static errc window_stdvar(struct windows *w) { return window_variance(w, false); }
static errc window_stddev(struct windows *w) { return window_variance(w, true); }

/* Counts and ends */

static errc window_count(struct windows *w)
{
    WINDOWS_EACH(w, k) window_put(w, k, (double)(w->hi[k] - w->lo[k]));
    return OK;
}
static errc window_one(struct windows *w)
{
    WINDOWS_EACH(w, k) window_put(w, k, 1);
    return OK;
}
static errc window_first(struct windows *w)
{
    WINDOWS_EACH(w, k) window_put(w, k, w->v[w->lo[k]]);
    return OK;
}
static errc window_last(struct windows *w)
{
    WINDOWS_EACH(w, k) window_put(w, k, w->v[w->hi[k] - 1]);
    return OK;
}
static errc window_ts_first(struct windows *w)
{
    WINDOWS_EACH(w, k) window_put(w, k, (double)w->t[w->lo[k]] / 1000);
    return OK;
}
static errc window_ts_last(struct windows *w)
{
    /* the reference says 0 of a window that ends before time 0 */
    WINDOWS_EACH(w, k) window_put(w, k, (double)MAX(w->t[w->hi[k] - 1], 0) / 1000);
    return OK;
}

/* Extremes: a queue of the samples that can still be the extreme of a window to come. The value
 * functions keep the first of equals, the time functions the last; a NaN counts only where there is
 * nothing else, and then the last one does. */

struct extreme { bool max, last_of_equals, time; };

static inline bool extreme_beats(const struct extreme *x, double a, double b)
{
    if (x->last_of_equals) return x->max ? a >= b : a <= b;
    return x->max ? a > b : a < b;
}

static errc window_extreme(struct windows *w, struct extreme x)
{
    uint32_t *queue = arena_array(&w->ev->q->scratch, w->n, sizeof(*queue));
    size_t head = 0, tail = 0;
    uint32_t next = 0;
    WINDOWS_EACH(w, k) {
        if (next < w->lo[k]) next = w->lo[k];
        while (head < tail && queue[head] < w->lo[k]) head++;
        for (; next < w->hi[k]; next++) {
            if (next % STEPS_PART == 0) TRY(eval_check(w->ev->q));
            if (isnan(w->v[next])) continue;
            while (head < tail && extreme_beats(&x, w->v[next], w->v[queue[tail - 1]])) tail--;
            queue[tail++] = next;
        }
        size_t i = head < tail ? queue[head] : w->hi[k] - 1;
        window_put(w, k, x.time ? (double)w->t[i] / 1000 : w->v[i]);
    }
    return OK;
}
/* The extremes of pieces, where only the value is asked for, and equal values are the same bits. */
struct extreme_pieces { struct pieces p; double *before, *after; };

static inline double further(bool max, double a, double b)
{
    if (max) return a > b ? a : b;
    return a < b ? a : b;
}

/* No NaN, and no zeros with a sign. */
static bool values_are_plain(const struct windows *w)
{
    bool odd = false;
    STEPS_PARTS(p, w->ev->q, w->n)
    {
        for (size_t i = p.from; i < p.to; i++) odd |= w->v[i] != w->v[i];
        odd |= column_has_bits(w->v + p.from, p.to - p.from, f64_bits(-0.0));
    }
    return !odd;
}

/* False: it does not pay. */
static bool extreme_pieces_init(struct extreme_pieces *x, const struct windows *w, bool max)
{
    if (!pieces_pay(&x->p, w)) return false;
    struct arena *a = &w->ev->q->scratch;
    x->before = arena_array(a, w->n, sizeof(*x->before));
    x->after = arena_array(a, w->n, sizeof(*x->after));
    size_t since = 0;
    for (size_t from = 0; from < w->n; from += pieces_size(&x->p)) {
        size_t n = MIN(pieces_size(&x->p), w->n - from);
        if (samples_look(w, n, &since) != OK) break;
        double up = w->v[from], down = w->v[from + n - 1];
        STEPS_EACH(i, w->ev->q, n) {
            size_t first = from + i, last = from + n - 1 - i;
            x->before[first] = up = further(max, w->v[first], up);
            x->after[last] = down = further(max, w->v[last], down);
        }
    }
    return true;
}

static double extreme_pieces_of(
    const struct extreme_pieces *x, const struct windows *w, bool max, size_t lo, size_t hi)
{
    struct cover c = pieces_cover(&x->p, lo, hi);
    double v = w->v[hi - 1];
    if (c.head) v = further(max, x->after[lo], v);
    for (size_t i = c.from; i < c.to; i++) v = further(max, x->after[i << x->p.bits], v);
    if (c.tail) v = further(max, x->before[hi - 1], v);
    if (!c.head && !c.tail && c.from == c.to)
        for (size_t i = lo; i < hi; i++) v = further(max, w->v[i], v);
    return v;
}

static double extreme_of_long(const struct windows *w, size_t k, bool max)
{
    const double *v = w->v + w->lo[k];
    double most = v[0];
    STEPS_EACH(i, w->ev->q, (size_t)(w->hi[k] - w->lo[k])) most = further(max, v[i], most);
    return most;
}

static inline errc window_extreme_value(struct windows *w, bool max)
{
    struct extreme_pieces x;
    if (!values_are_plain(w)) return window_extreme(w, (struct extreme){ .max = max });
    if (extreme_pieces_init(&x, w, max)) {
        WINDOWS_EACH(w, k) window_put(w, k, extreme_pieces_of(&x, w, max, w->lo[k], w->hi[k]));
        return OK;
    }
    enum { STEPS = 256, LONG = 1 << 16 };
    for (size_t k = 0, n; k < w->steps; k += n) {
        n = w->widest < LONG ? MIN((size_t)STEPS, w->steps - k) : 1;
        TRY(eval_check(w->ev->q));
        if (w->widest < LONG)
            column_window_extremes(w->out + k, w->v, w->lo + k, w->hi + k, n, max);
        else if (w->lo[k] < w->hi[k]) w->out[k] = extreme_of_long(w, k, max);
    }
    WINDOWS_EACH(w, k) bits_set(w->present, k);
    return OK;
}
static errc window_max(struct windows *w) { return window_extreme_value(w, true); }
static errc window_min(struct windows *w) { return window_extreme_value(w, false); }
static errc window_ts_max(struct windows *w)
{
    return window_extreme(w, (struct extreme){ true, true, true });
}
static errc window_ts_min(struct windows *w)
{
    return window_extreme(w, (struct extreme){ false, true, true });
}

/* Order statistics */

static double *window_copy(struct windows *w, size_t k, double *room)
{
    arena_copy(&w->ev->q->scratch, room, w->v + w->lo[k], (w->hi[k] - w->lo[k]) * sizeof(*room));
    return room;
}

/* False: it does not pay, since windows share little or much moves for each sample; or values are
 * equal and yet differ (zeros of two signs), or have no order. */
static bool window_orders(struct ordered *o, struct windows *w)
{
    enum { SHARED_FROM = 3, MOVED_MOST = 16 };
    *o = (struct ordered){ 0 };
    if (w->n == 0 || w->work < SHARED_FROM * (uint64_t)w->n) return false;
    if (w->widest > MOVED_MOST * (w->work / w->n)) return false;
    if (!values_are_plain(w)) return false;
    ordered_init(o, &w->ev->q->scratch, w->widest);
    return true;
}

static errc window_look_up(void *ctx) { return eval_check(((struct windows *)ctx)->ev->q); }

static errc window_order(struct windows *w, struct ordered *o, size_t k)
{
    return ordered_move(o, w->v, w->lo[k], w->hi[k], window_look_up, w);
}

static double window_quantile_asked(struct windows *w, size_t k)
{
    double q = w->params[0][k];
    if (isnan(q) || q < 0 || q > 1) anno_invalid_quantile(&w->ev->q->annotations, q, w->pos);
    return q;
}

static errc window_quantile_ordered(struct windows *w, struct ordered *o)
{
    size_t since = 0;
    WINDOWS_EACH(w, k) {
        TRY(window_look(w, k, &since));
        double q = window_quantile_asked(w, k);
        TRY(window_order(w, o, k));
        window_put(w, k, quantile_of_sorted(q, o->v, o->n));
    }
    return OK;
}

static void windows_walk_quantiles(struct windows *w, struct walked *g, double *room)
{
    bool lanes = g->walks.n == WALKS;
    const struct arena *asks = &w->ev->q->scratch;
    if (lanes) walk_sorted(room, &g->walks);
    for (size_t i = 0; i < g->walks.n; i++) {
        size_t k = g->k[i], n = w->hi[k] - w->lo[k];
        double q = window_quantile_asked(w, k);
        window_put(w, k, lanes ? quantile_of_column(q, room + i, n, WALKS)
                               : quantile_of(q, window_copy(w, k, room), n, asks));
    }
    g->walks.n = 0;
}

/* Short windows, each sorted by itself. */
static errc window_quantile_short(struct windows *w)
{
    struct walked g = walked_begin(w);
    double *room = arena_array(&w->ev->q->scratch, WALKS * WALK_SORT_MOST, sizeof(*room));
    size_t since = 0;
    WINDOWS_EACH(w, k) {
        TRY(window_look(w, k, &since));
        if (walked_add(&g, w, k)) windows_walk_quantiles(w, &g, room);
    }
    windows_walk_quantiles(w, &g, room);
    return OK;
}

static errc window_quantile(struct windows *w)
{
    struct ordered o;
    if (w->widest <= WALK_SORT_MOST && values_are_plain(w)) return window_quantile_short(w);
    if (window_orders(&o, w)) return window_quantile_ordered(w, &o);
    double *room = arena_array(&w->ev->q->scratch, w->n, sizeof(*room));
    size_t since = 0;
    WINDOWS_EACH(w, k) {
        TRY(window_look(w, k, &since));
        double q = window_quantile_asked(w, k);
        window_put(w, k,
            quantile_of(q, window_copy(w, k, room), w->hi[k] - w->lo[k], &w->ev->q->scratch));
    }
    return OK;
}

static errc window_mad(struct windows *w)
{
    struct ordered o;
    bool ordered = window_orders(&o, w);
    double *room = arena_array(&w->ev->q->scratch, w->n, sizeof(*room));
    size_t since = 0;
    WINDOWS_EACH(w, k) {
        TRY(window_look(w, k, &since));
        if (ordered) {
            TRY(window_order(w, &o, k));
            window_put(w, k, quantile_mad_of_sorted(o.v, o.n, room));
            continue;
        }
        window_put(w, k,
            quantile_mad(window_copy(w, k, room), w->hi[k] - w->lo[k], &w->ev->q->scratch));
    }
    return OK;
}

/* Lines through the samples */

/* deriv takes the time of a window's first sample for zero, predict_linear that of the step. */
static int64_t line_zero(const struct windows *w, size_t k, bool predict)
{
    return predict ? grid_time(&w->ev->g, k) : w->t[w->lo[k]];
}

static void window_put_line(struct windows *w, size_t k, struct line l, bool predict)
{
    window_put(w, k, predict ? l.slope * w->params[0][k] + l.intercept : l.slope);
}

static void windows_walk_lines(
    struct windows *w, struct walked *g, const struct line_times *times, bool predict)
{
    int64_t t0[WALKS];
    struct line lines[WALKS];
    for (size_t i = 0; i < g->walks.n; i++) t0[i] = line_zero(w, g->k[i], predict);
    walk_lines(lines, &g->walks, t0, times);
    for (size_t i = 0; i < g->walks.n; i++) window_put_line(w, g->k[i], lines[i], predict);
    g->walks.n = 0;
}

/* False: the sums cannot slide. */
static bool lines_slide_init(struct line_slide *s, const struct windows *w, bool predict)
{
    uint64_t far = 0;
    bool whole = true;
    WINDOWS_EACH(w, k) {
        int64_t zero = line_zero(w, k, predict), first = w->t[w->lo[k]], last = w->t[w->hi[k] - 1];
        uint64_t before = zero < last ? (uint64_t)last - (uint64_t)zero : 0,
                 after = zero > first ? (uint64_t)zero - (uint64_t)first : 0;
        far = MAX(far, MAX(before, after));
        whole &= zero >= w->t[0] && ((uint64_t)zero - (uint64_t)w->t[0]) % 1000 == 0;
    }
    return whole && line_slide_init(s, w->t, w->v, w->n, w->widest, far);
}

/* As the last window lies, which is whole where any is; worth it for more than a few. */
static const struct line_times *lines_times(struct windows *w, bool predict)
{
    size_t k = w->steps;
    while (k > 0 && w->lo[k - 1] == w->hi[k - 1]) k--;
    if (k < 2 * WALKS) return NULL;
    int64_t first = w->t[w->lo[k - 1]] - line_zero(w, k - 1, predict);
    return line_times_make(&w->ev->q->scratch, w->t, w->n, w->widest, first);
}

static errc window_lines(struct windows *w, bool predict)
{
    struct walked g = walked_begin(w);
    struct line_slide slide;
    bool slides = lines_slide_init(&slide, w, predict);
    const struct line_times *times = slides ? NULL : lines_times(w, predict);
    size_t since = 0;
    WINDOWS_EACH(w, k) {
        if (w->hi[k] - w->lo[k] < 2) continue;
        if (slides) {
            struct line l = line_slide_to(&slide, w->lo[k], w->hi[k], line_zero(w, k, predict));
            window_put_line(w, k, l, predict);
            continue;
        }
        TRY(window_look(w, k, &since));
        if (walked_add(&g, w, k)) windows_walk_lines(w, &g, times, predict);
    }
    windows_walk_lines(w, &g, times, predict);
    return OK;
}
static errc window_deriv(struct windows *w) { return window_lines(w, false); }
static errc window_predict(struct windows *w) { return window_lines(w, true); }

static void windows_walk_smoothed(struct windows *w, struct walked *g)
{
    double sf[WALKS], tf[WALKS], values[WALKS];
    for (size_t i = 0; i < g->walks.n; i++) {
        sf[i] = w->params[0][g->k[i]];
        tf[i] = w->params[1][g->k[i]];
    }
    walk_smoothed(values, &g->walks, sf, tf);
    for (size_t i = 0; i < g->walks.n; i++) window_put(w, g->k[i], values[i]);
    g->walks.n = 0;
}

static errc factor_check(struct windows *w, const char *kind, const char *name, double v)
{
    struct query *q = w->ev->q;
    if (!(v <= 0 || v >= 1)) return OK;
    if (isfinite(v))
        return eval_fail(
            q, "invalid %s factor. Expected: 0 < %s < 1, got: %f", kind, name, v);
    return eval_fail(
        q, "invalid %s factor. Expected: 0 < %s < 1, got: %cInf", kind, name, v > 0 ? '+' : '-');
}

static errc factors_check(struct windows *w, double sf, double tf)
{
    TRY(factor_check(w, "smoothing", "sf", sf));
    return factor_check(w, "trend", "tf", tf);
}

/* The factors are looked at also where there are only histograms. */
static errc window_double_exponential(struct windows *w)
{
    struct walked g = walked_begin(w);
    size_t since = 0;
    STEPS_EACH(k, w->ev->q, w->steps) {
        double sf = w->params[0][k], tf = w->params[1][k];
        bool floats = w->lo[k] < w->hi[k];
        if (floats || (w->hs && w->hlo[k] < w->hhi[k])) TRY(factors_check(w, sf, tf));
        if (w->lo[k] + 2 > w->hi[k]) continue;
        TRY(window_look(w, k, &since));
        if (walked_add(&g, w, k)) windows_walk_smoothed(w, &g);
    }
    windows_walk_smoothed(w, &g);
    return OK;
}

static errc window_h_double_exponential(struct windows *w, size_t k)
{
    struct walked g = walked_begin(w);
    if (w->lo[k] == w->hi[k]) return OK;
    anno_histogram_ignored_range(&w->ev->q->annotations, w->metric, w->pos);
    if (w->hi[k] - w->lo[k] < 2) return OK;
    (void)walked_add(&g, w, k);
    windows_walk_smoothed(w, &g);
    return OK;
}

const struct range_function *range_function_find(const char *name)
{
    static const struct range_function table[] = {
        { "absent_over_time", window_one, false, false, window_h_one },
        { "avg_over_time", window_avg, false, false, window_h_avg, true },
        { "changes", window_changes, false, false, window_h_changes },
        { "count_over_time", window_count, false, false, window_h_count },
        { "delta", window_delta, false, false, window_h_delta, false, true },
        { "deriv", window_deriv, false, false, NULL },
        { "double_exponential_smoothing", window_double_exponential, false, false,
            window_h_double_exponential },
        { "first_over_time", window_first, true, false, window_h_first },
        { "idelta", window_idelta, false, false, window_h_idelta },
        { "increase", window_increase, false, true, window_h_increase, false, true },
        { "irate", window_irate, false, true, window_h_irate },
        { "last_over_time", window_last, true, false, window_h_last },
        { "mad_over_time", window_mad, false, false, NULL },
        { "max_over_time", window_max, false, false, NULL },
        { "min_over_time", window_min, false, false, NULL },
        { "predict_linear", window_predict, false, false, NULL },
        { "present_over_time", window_one, false, false, window_h_one },
        { "quantile_over_time", window_quantile, false, false, NULL },
        { "rate", window_rate, false, true, window_h_rate, false, true },
        { "resets", window_resets, false, true, window_h_resets },
        { "stddev_over_time", window_stddev, false, false, NULL },
        { "stdvar_over_time", window_stdvar, false, false, NULL },
        { "sum_over_time", window_sum, false, false, window_h_sum, true },
        { "ts_of_first_over_time", window_ts_first, false, false, window_h_ts_first },
        { "ts_of_last_over_time", window_ts_last, false, false, window_h_ts_last },
        { "ts_of_max_over_time", window_ts_max, false, false, NULL },
        { "ts_of_min_over_time", window_ts_min, false, false, NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (!strcmp(table[i].name, name)) return &table[i];
    return NULL;
}

bool range_function_drops_name(const char *name)
{
    const struct range_function *f = range_function_find(name);
    return f && !f->keeps_name;
}
