/* histogram.c — the arithmetic of native histograms.
 *
 * A side is a list of runs of buckets. Sums make the union of two layouts: cursors walk both sides
 * in the order of their bucket indexes, and where the layouts are the same, which is the rule among
 * samples of one series, counts are added in place. Histograms of different schemas meet at the
 * lower resolution, zero buckets of different widths at the wider one, custom buckets at the bounds
 * that both have. Results equal Prometheus' to the bit, so the order of additions and what is
 * compensated is its. */
#include "model/histogram.h"

#include "base/f64.h"
#include "base/kahan.h"
#include "model/bucket_adds.h"

#include <math.h>

/* Sides */

static struct histogram_side side_copy(struct arena *a, const struct histogram_side *s)
{
    struct histogram_side c = { arena_array(a, s->n_spans, sizeof(*c.spans)), s->n_spans,
        arena_array(a, s->n, sizeof(*c.at)), s->n };
    if (s->n_spans) memcpy(c.spans, s->spans, s->n_spans * sizeof(*c.spans));
    if (s->n) memcpy(c.at, s->at, s->n * sizeof(*c.at));
    return c;
}

/* Walks a side; `at` is the bucket's place among the counts, index its number in the schema. */
struct side_cursor {
    const struct histogram_side *s;
    size_t span, at;
    uint32_t in_span;
    int32_t index;
};

static void cursor_skip_empty(struct side_cursor *c)
{
    while (c->span < c->s->n_spans && c->in_span >= c->s->spans[c->span].length) {
        c->in_span = 0;
        c->span++;
        if (c->span < c->s->n_spans) c->index += c->s->spans[c->span].offset;
    }
}

static struct side_cursor cursor_of_side(const struct histogram_side *s)
{
    struct side_cursor c = { .s = s, .index = s->n_spans ? s->spans[0].offset : 0 };
    cursor_skip_empty(&c);
    return c;
}
static bool cursor_here(const struct side_cursor *c)
{
    return c->span < c->s->n_spans && c->at < c->s->n;
}
/* The first bucket of a span. */
static bool cursor_at_span(const struct side_cursor *c) { return c->in_span == 0; }
static void cursor_step(struct side_cursor *c)
{
    c->at++;
    c->index++;
    c->in_span++;
    cursor_skip_empty(c);
}

/* Writes buckets in ascending order into a side; runs become spans. */
struct side_writer { struct histogram_side out; double *c; int32_t next; };

static struct side_writer writer_of(struct arena *a, size_t most, bool with_c)
{
    struct side_writer w = { .out = { .spans = arena_array(a, most, sizeof(struct span)),
                                 .at = arena_array(a, most, sizeof(double)) } };
    if (with_c) w.c = arena_array(a, most, sizeof(double));
    return w;
}

static void writer_put_in(struct side_writer *w, bool fresh, int32_t index, double v, double c)
{
    struct histogram_side *s = &w->out;
    if (s->n_spans && !fresh) s->spans[s->n_spans - 1].length++;
    else
        s->spans[s->n_spans] = (struct span){ s->n_spans ? index - w->next : index, 1 },
        s->n_spans++;
    if (w->c) w->c[s->n] = c;
    s->at[s->n++] = v;
    w->next = index + 1;
}

static void writer_put(struct side_writer *w, int32_t index, double v, double c)
{
    writer_put_in(w, index != w->next, index, v, c);
}

/* A side and, where compensation is carried, its compensations. */
struct side_pair { struct histogram_side s; double *c; };

/* As far as a chunk may have them apart: then all are one of two. */
static int32_t index_at(int32_t index, int32_t from, int32_t to)
{
    return (int32_t)((((int64_t)index - 1) >> MIN(from - to, 31)) + 1);
}

/* Buckets of a finer schema that fall into one of a coarser are summed. */
static struct side_pair side_reduce(struct arena *a, struct side_pair in, int32_t from, int32_t to)
{
    struct side_writer w = writer_of(a, in.s.n, in.c != NULL);
    for (struct side_cursor k = cursor_of_side(&in.s); cursor_here(&k); cursor_step(&k)) {
        int32_t index = index_at(k.index, from, to);
        double v = in.s.at[k.at], c = in.c ? in.c[k.at] : 0;
        size_t n = w.out.n;
        if (!n || index != w.next - 1) {
            writer_put(&w, index, v, c);
        } else if (!w.c) {
            w.out.at[n - 1] += v;
        } else {
            struct kahan sum = { w.out.at[n - 1], w.c[n - 1] };
            kahan_add(&sum, v);
            kahan_add(&sum, c);
            w.out.at[n - 1] = sum.s;
            w.c[n - 1] = sum.c;
        }
    }
    return (struct side_pair){ w.out, w.c };
}

static void bucket_add(double *at, double *c, double v, double vc)
{
    if (!c) {
        *at += v;
        return;
    }
    struct kahan sum = { *at, *c };
    kahan_add(&sum, v);
    if (vc != 0) kahan_add(&sum, vc);
    *at = sum.s;
    *c = sum.c;
}

static bool spans_same(const struct histogram_side *a, const struct histogram_side *b)
{
    return a->n_spans == b->n_spans && a->n == b->n &&
           (!a->n_spans || !memcmp(a->spans, b->spans, a->n_spans * sizeof(*a->spans)));
}

/* Spans of no length, or that go back. */
static bool spans_odd(const struct histogram_side *s)
{
    for (size_t i = 0; i < s->n_spans; i++)
        if (s->spans[i].length == 0 || (i && s->spans[i].offset < 0)) return true;
    return false;
}

/* Runs of buckets, from k on: those of b that one span of a has. Two sides' spans are walked, not
 * their buckets. REQUIRES: neither is odd */
struct side_runs {
    const struct histogram_side *a;
    struct side_cursor k;
    size_t span, at, n;                    /* of a; of its bucket that k is at; the run's length */
    int64_t first;                         /* index of the span's first bucket */
    size_t first_at;
};

static struct side_runs runs_of(const struct histogram_side *a, struct side_cursor k)
{
    return (struct side_runs){ .a = a, .k = k, .first = a->n_spans ? a->spans[0].offset : 0 };
}

/* False: a has no such bucket. REQUIRES: cursor_here(&r->k) */
static bool runs_next(struct side_runs *r)
{
    const struct histogram_side *a = r->a, *b = r->k.s;
    while (r->span < a->n_spans && r->first + a->spans[r->span].length <= r->k.index) {
        r->first += a->spans[r->span].length;
        r->first_at += a->spans[r->span].length;
        if (++r->span < a->n_spans) r->first += a->spans[r->span].offset;
    }
    if (r->span >= a->n_spans || r->first > r->k.index) return false;
    size_t skip = (size_t)(r->k.index - r->first);
    r->at = r->first_at + skip;
    if (r->at >= a->n) return false;
    r->n = MIN(b->spans[r->k.span].length - r->k.in_span, a->spans[r->span].length - skip);
    r->n = MIN(r->n, MIN(a->n - r->at, b->n - r->k.at));
    return true;
}

static void runs_pass(struct side_runs *r)
{
    r->k.at += r->n;
    r->k.index += (int32_t)r->n;
    r->k.in_span += (uint32_t)r->n;
    cursor_skip_empty(&r->k);
}

/* Has a each bucket that k goes on to, and no span without any? Then adding changes values only. */
static bool side_covers(const struct histogram_side *a, struct side_cursor k)
{
    if (spans_odd(a) || spans_odd(k.s)) return false;
    for (struct side_runs r = runs_of(a, k); cursor_here(&r.k); runs_pass(&r))
        if (!runs_next(&r)) return false;
    return true;
}

static void side_add_run(
    struct side_pair *a, size_t to, const struct side_pair *b, size_t from, size_t n, double sign)
{
    bucket_adds(&a->s.at[to], a->c ? &a->c[to] : NULL, &b->s.at[from], b->c ? &b->c[from] : NULL, n,
        sign);
}

/* REQUIRES: side_covers(). */
static void side_add_covered(
    struct side_pair *a, const struct side_pair *b, struct side_cursor k, double sign)
{
    for (struct side_runs r = runs_of(&a->s, k); cursor_here(&r.k) && runs_next(&r); runs_pass(&r))
        side_add_run(a, r.at, b, r.k.at, r.n, sign);
}

/* a += sign * b, without b's buckets that lie within the zero bucket of a. Spans of a stay apart
 * where b's buckets fill what was between them, and a bucket between two spans goes to the lower
 * one if it can: how large a histogram is depends on its spans, and is counted. */
static void side_add(struct arena *ar, struct side_pair *a, struct side_pair b, double sign,
    int32_t schema, double threshold)
{
    struct side_cursor kb = cursor_of_side(&b.s);
    if (schema != HISTOGRAM_CUSTOM_SCHEMA)
        while (cursor_here(&kb) && histogram_bound_within(schema, kb.index, threshold))
            cursor_step(&kb);
    if (!cursor_here(&kb)) return;
    if (kb.at == 0 && spans_same(&a->s, &b.s)) {
        side_add_run(a, 0, &b, 0, a->s.n, sign);
        return;
    }
    if (side_covers(&a->s, kb)) {
        side_add_covered(a, &b, kb, sign);
        return;
    }
    struct side_writer w = writer_of(ar, a->s.n + b.s.n, a->c != NULL);
    struct side_cursor ka = cursor_of_side(&a->s);
    bool joined = false;                   /* the bucket before began a's next span */
    while (cursor_here(&ka) || cursor_here(&kb)) {
        bool from_a = cursor_here(&ka) && (!cursor_here(&kb) || ka.index <= kb.index);
        bool from_b = cursor_here(&kb) && (!cursor_here(&ka) || kb.index <= ka.index);
        double v = from_b ? sign * b.s.at[kb.at] : 0, vc = from_b && b.c ? sign * b.c[kb.at] : 0;
        if (from_a) {
            bool fresh = cursor_at_span(&ka) && !joined;
            writer_put_in(&w, fresh, ka.index, a->s.at[ka.at], a->c ? a->c[ka.at] : 0);
            joined = false;
            if (from_b) bucket_add(&w.out.at[w.out.n - 1], w.c ? &w.c[w.out.n - 1] : NULL, v, vc);
            cursor_step(&ka);
        } else {
            bool apart = !w.out.n || kb.index != w.next;
            joined = apart && cursor_here(&ka) && kb.index + 1 == ka.index;
            writer_put(&w, kb.index, v, vc);
        }
        if (from_b) cursor_step(&kb);
    }
    *a = (struct side_pair){ w.out, w.c };
}

/* Drops buckets that are empty, and their compensations with them. */
static void side_compact(struct arena *ar, struct side_pair *p)
{
    bool todo = false;
    for (size_t i = 0; i < p->s.n && !todo; i++) todo = p->s.at[i] == 0;
    for (size_t i = 0; i < p->s.n_spans && !todo; i++)
        todo = p->s.spans[i].offset <= 0 || p->s.spans[i].length == 0;
    if (!todo) return;
    struct side_writer w = writer_of(ar, p->s.n, p->c != NULL);
    for (struct side_cursor k = cursor_of_side(&p->s); cursor_here(&k); cursor_step(&k))
        if (p->s.at[k.at] != 0 || (p->c && p->c[k.at] != 0))
            writer_put(&w, k.index, p->s.at[k.at], p->c ? p->c[k.at] : 0);
    *p = (struct side_pair){ w.out, w.c };
}

/* Copies */

/* Custom buckets have no zero bucket: what a division left in its place is not copied. */
struct histogram *histogram_copy(struct arena *a, const struct histogram *h)
{
    struct histogram *c = ANEW(a, struct histogram);
    *c = *h;
    if (histogram_is_custom(h)) c->zero_count = c->zero_threshold = 0;
    c->pos = side_copy(a, &h->pos);
    c->neg = side_copy(a, &h->neg);
    if (h->n_custom) {
        double *bounds = arena_array(a, h->n_custom, sizeof(*bounds));
        memcpy(bounds, h->custom, h->n_custom * sizeof(*bounds));
        c->custom = bounds;
    }
    return c;
}

struct histogram *histogram_copy_to_schema(
    struct arena *a, const struct histogram *h, int32_t schema)
{
    if (schema == h->schema) return histogram_copy(a, h);
    assert(schema < h->schema && !histogram_is_custom(h));
    struct histogram *c = ANEW(a, struct histogram);
    *c = *h;
    c->hint = RESET_UNKNOWN;
    c->schema = schema;
    c->pos = side_reduce(a, (struct side_pair){ h->pos, NULL }, h->schema, schema).s;
    c->neg = side_reduce(a, (struct side_pair){ h->neg, NULL }, h->schema, schema).s;
    return c;
}

static bool side_same(const struct histogram_side *a, const struct histogram_side *b)
{
    if (a->n != b->n) return false;
    struct side_cursor ka = cursor_of_side(a), kb = cursor_of_side(b);
    for (; cursor_here(&ka) && cursor_here(&kb); cursor_step(&ka), cursor_step(&kb))
        if (ka.index != kb.index || f64_bits(a->at[ka.at]) != f64_bits(b->at[kb.at])) return false;
    return cursor_here(&ka) == cursor_here(&kb);
}

bool histogram_bounds_equal(const struct histogram *a, const struct histogram *b)
{
    if (a->n_custom != b->n_custom) return false;
    for (size_t i = 0; i < a->n_custom; i++)
        if (a->custom[i] != b->custom[i]) return false;
    return true;
}

bool histogram_equal(const struct histogram *a, const struct histogram *b)
{
    if (a->schema != b->schema || f64_bits(a->count) != f64_bits(b->count) ||
        f64_bits(a->sum) != f64_bits(b->sum))
        return false;
    if (histogram_is_custom(a) && !histogram_bounds_equal(a, b)) return false;
    if (a->zero_threshold != b->zero_threshold ||
        f64_bits(a->zero_count) != f64_bits(b->zero_count))
        return false;
    return side_same(&a->neg, &b->neg) && side_same(&a->pos, &b->pos);
}

size_t histogram_size(const struct histogram *h)
{
    enum { FIXED = 168, WORD = 8 };
    return FIXED + WORD * (h->pos.n_spans + h->neg.n_spans + h->pos.n + h->neg.n + h->n_custom);
}

/* In place */

void histogram_scale(struct histogram *h, double factor)
{
    h->zero_count *= factor;
    h->count *= factor;
    h->sum *= factor;
    for (size_t i = 0; i < h->pos.n; i++) h->pos.at[i] *= factor;
    for (size_t i = 0; i < h->neg.n; i++) h->neg.at[i] *= factor;
    if (factor < 0) h->hint = RESET_GAUGE;
}

void histogram_divide(struct histogram *h, double by)
{
    h->zero_count /= by;
    h->count /= by;
    h->sum /= by;
    if (by == 0) {
        h->pos = h->neg = (struct histogram_side){ 0 };
        return;
    }
    for (size_t i = 0; i < h->pos.n; i++) h->pos.at[i] /= by;
    for (size_t i = 0; i < h->neg.n; i++) h->neg.at[i] /= by;
    if (by < 0) h->hint = RESET_GAUGE;
}

void histogram_compact(struct arena *a, struct histogram *h)
{
    struct side_pair pos = { h->pos, NULL }, neg = { h->neg, NULL };
    side_compact(a, &pos);
    side_compact(a, &neg);
    h->pos = pos.s;
    h->neg = neg.s;
}

static bool side_overflows(const struct histogram_side *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (isinf(s->at[i])) return true;
    return false;
}

bool histogram_overflows(const struct histogram *h)
{
    if (isinf(h->zero_count) || isinf(h->count) || isinf(h->sum) || side_overflows(&h->pos) ||
        side_overflows(&h->neg))
        return true;
    for (size_t i = 0; i < h->n_custom; i++)
        if (isinf(h->custom[i])) return true;
    return false;
}

double histogram_greatest(const struct histogram *h)
{
    double most = fmax(fmax(fabs(h->zero_count), fabs(h->count)), fabs(h->sum));
    for (size_t i = 0; i < h->pos.n; i++) most = fmax(most, fabs(h->pos.at[i]));
    for (size_t i = 0; i < h->neg.n; i++) most = fmax(most, fabs(h->neg.at[i]));
    for (size_t i = 0; i < h->n_custom; i++)
        if (isinf(h->custom[i])) return INFINITY;
    return most;
}

/* Zero buckets */

/* What the zero bucket of h (with compensation c, or NULL) would count if it were as wide as
 * *threshold, which becomes wider where it would cut a populated bucket. */
static struct kahan zero_count_within(
    const struct histogram *h, const struct histogram *c, double *threshold)
{
    struct kahan sum = { 0, c ? c->zero_count : 0 };
    for (;;) {
        /* sum.c goes on: the reference does not begin it anew either */
        sum.s = h->zero_count;
        bool again = false;
        for (int side = 0; side < 2 && !again; side++) {
            const struct histogram_side *s = side ? &h->neg : &h->pos;
            const double *sc = !c ? NULL : side ? c->neg.at : c->pos.at;
            for (struct side_cursor k = cursor_of_side(s); cursor_here(&k); cursor_step(&k)) {
                if (histogram_bound(h->schema, k.index - 1) >= *threshold) break;
                kahan_add(&sum, s->at[k.at]);
                if (sc) kahan_add(&sum, sc[k.at]);
                double upper = histogram_bound(h->schema, k.index);
                if (!(upper > *threshold)) continue;
                /* the positive buckets were looked at with the narrower one */
                again = side && s->at[k.at] != 0;
                if (s->at[k.at] != 0) *threshold = upper;
                break;
            }
        }
        if (!again) return sum;
    }
}

static void side_trim_zero(struct arena *a, struct side_pair *p, int32_t schema, double threshold)
{
    for (struct side_cursor k = cursor_of_side(&p->s); cursor_here(&k); cursor_step(&k)) {
        if (histogram_bound(schema, k.index - 1) >= threshold) break;
        p->s.at[k.at] = 0;
        if (p->c) p->c[k.at] = 0;
    }
    side_compact(a, p);
}

/* Widens h's zero bucket until it and other's have a common width that cuts no populated bucket.
 * What other's then counts. */
static struct kahan zero_reconcile(
    struct arena *a, struct histogram *h, struct histogram *c, const struct histogram *other)
{
    struct kahan sum = { other->zero_count, 0 };
    double width = other->zero_threshold;
    while (width != h->zero_threshold) {
        if (isnan(width) || isnan(h->zero_threshold)) break;
        if (h->zero_threshold > width) {
            width = h->zero_threshold;
            if (width != other->zero_threshold) sum = zero_count_within(other, NULL, &width);
        }
        if (width > h->zero_threshold) {
            double own_width = width;
            struct kahan own = zero_count_within(h, c, &own_width);
            h->zero_count = own.s;
            if (c) c->zero_count = own.c;
            h->zero_threshold = own_width;
            struct side_pair pos = { h->pos, c ? c->pos.at : NULL },
                             neg = { h->neg, c ? c->neg.at : NULL };
            side_trim_zero(a, &pos, h->schema, own_width);
            side_trim_zero(a, &neg, h->schema, own_width);
            h->pos = pos.s;
            h->neg = neg.s;
            if (c) c->pos.at = pos.c, c->neg.at = neg.c;
        }
    }
    return sum;
}

/* Custom buckets of different bounds */

static void bounds_intersect(struct arena *a, const struct histogram *x, const struct histogram *y,
    const double **out, size_t *n)
{
    double *at = arena_array(a, MIN(x->n_custom, y->n_custom), sizeof(*at));
    *n = 0;
    for (size_t i = 0, j = 0; i < x->n_custom && j < y->n_custom;) {
        if (x->custom[i] == y->custom[j]) {
            at[(*n)++] = x->custom[i++];
            j++;
        } else if (x->custom[i] < y->custom[j]) {
            i++;
        } else {
            j++;
        }
    }
    *out = at;
}

/* Counts the buckets of h into those of fewer bounds; a bucket that ends between two goes into the
 * next one. */
static void custom_map(const struct histogram *h, const double *c, double sign,
    const double *bounds, size_t n, struct kahan *into)
{
    size_t to = 0;
    for (struct side_cursor k = cursor_of_side(&h->pos); cursor_here(&k); cursor_step(&k)) {
        size_t target = n;
        if (k.index >= 0 && (size_t)k.index < h->n_custom) {
            while (to < n && bounds[to] < h->custom[k.index]) to++;
            target = to;
        }
        kahan_add(&into[target], sign * h->pos.at[k.at]);
        if (c) kahan_add(&into[target], c[k.at]);
    }
}

static void custom_add(
    struct arena *a, struct histogram *h, double **c, const struct histogram *other, double sign)
{
    const double *bounds;
    size_t n;
    bounds_intersect(a, h, other, &bounds, &n);
    struct kahan *into = arena_zalloc(a, (n + 1) * sizeof(*into));
    custom_map(h, c ? *c : NULL, 1, bounds, n, into);
    custom_map(other, NULL, sign, bounds, n, into);
    struct side_writer w = writer_of(a, n + 1, c != NULL);
    for (size_t i = 0; i <= n; i++)
        if (into[i].s != 0 || into[i].c != 0) writer_put(&w, (int32_t)i, into[i].s, into[i].c);
    h->pos = w.out;
    if (c) *c = w.c;
    h->custom = bounds;
    h->n_custom = n;
}

/* Sums */

static bool hint_adjust(struct histogram *h, const struct histogram *other)
{
    if (other->hint == h->hint || h->hint == RESET_GAUGE) return false;
    bool collision =
        h->hint != RESET_UNKNOWN && other->hint != RESET_UNKNOWN && other->hint != RESET_GAUGE;
    h->hint = other->hint == RESET_GAUGE ? RESET_GAUGE : RESET_UNKNOWN;
    return collision;
}

static errc kinds_check(const struct histogram *h, const struct histogram *other)
{
    return histogram_is_custom(h) == histogram_is_custom(other) ? OK : ERR_BAD_INPUT;
}

/* h += sign * other with the compensations of c (NULL: none). Both are exponential. */
static void exponential_add(struct arena *a, struct histogram *h, struct histogram *c,
    const struct histogram *other, double sign)
{
    struct side_pair pos = { h->pos, c ? c->pos.at : NULL }, neg = { h->neg, c ? c->neg.at : NULL };
    struct side_pair opos = { other->pos, NULL }, oneg = { other->neg, NULL };
    if (other->schema < h->schema) {
        pos = side_reduce(a, pos, h->schema, other->schema);
        neg = side_reduce(a, neg, h->schema, other->schema);
        h->schema = other->schema;
    } else if (other->schema > h->schema) {
        if (c) {
            opos.c = arena_zalloc(a, opos.s.n * sizeof(double));
            oneg.c = arena_zalloc(a, oneg.s.n * sizeof(double));
        }
        opos = side_reduce(a, opos, other->schema, h->schema);
        oneg = side_reduce(a, oneg, other->schema, h->schema);
    }
    side_add(a, &pos, opos, sign, h->schema, h->zero_threshold);
    side_add(a, &neg, oneg, sign, h->schema, h->zero_threshold);
    h->pos = pos.s;
    h->neg = neg.s;
    if (c) c->pos.at = pos.c, c->neg.at = neg.c;
}

errc histogram_add(struct arena *a, struct histogram *h, const struct histogram *other, double sign,
    struct histogram_merge *m)
{
    *m = (struct histogram_merge){ 0 };
    if (kinds_check(h, other) != OK) return ERR_BAD_INPUT;
    m->reset_collision = hint_adjust(h, other);
    if (!histogram_is_custom(h)) {
        /* changes h's own count, too */
        struct kahan zero = zero_reconcile(a, h, NULL, other);
        h->zero_count += sign * zero.s;
    }
    h->count += sign * other->count;
    h->sum += sign * other->sum;
    if (!histogram_is_custom(h)) {
        exponential_add(a, h, NULL, other, sign);
    } else if (histogram_bounds_equal(h, other)) {
        struct side_pair pos = { h->pos, NULL };
        side_add(a, &pos, (struct side_pair){ other->pos, NULL }, sign, h->schema, 0);
        h->pos = pos.s;
    } else {
        m->bounds_reconciled = true;
        custom_add(a, h, NULL, other, sign);
    }
    return OK;
}

static void sum_start_c(struct arena *a, struct histogram_sum *s)
{
    if (s->with_c) return;
    s->with_c = true;
    s->c = (struct histogram){
        .hint = s->h.hint, .schema = s->h.schema, .zero_threshold = s->h.zero_threshold
    };
    s->c.pos.at = arena_zalloc(a, s->h.pos.n * sizeof(double));
    s->c.neg.at = arena_zalloc(a, s->h.neg.n * sizeof(double));
}

/* The compensations' layout is that of the sum. */
static void sum_share_layout(struct histogram_sum *s)
{
    struct histogram *c = &s->c, *h = &s->h;
    c->schema = h->schema;
    c->zero_threshold = h->zero_threshold;
    c->custom = h->custom;
    c->n_custom = h->n_custom;
    c->pos = (struct histogram_side){ h->pos.spans, h->pos.n_spans, c->pos.at, h->pos.n };
    c->neg = (struct histogram_side){ h->neg.spans, h->neg.n_spans, c->neg.at, h->neg.n };
}

static void number_add(double *v, double *c, double x)
{
    struct kahan k = { *v, *c };
    kahan_add(&k, x);
    *v = k.s;
    *c = k.c;
}

errc histogram_sum_add(struct arena *a, struct histogram_sum *s, const struct histogram *other,
    struct histogram_merge *m)
{
    struct histogram *h = &s->h, *c = &s->c;
    *m = (struct histogram_merge){ 0 };
    if (kinds_check(h, other) != OK) return ERR_BAD_INPUT;
    m->reset_collision = hint_adjust(h, other);
    sum_start_c(a, s);
    if (!histogram_is_custom(h)) {
        struct kahan zero = zero_reconcile(a, h, c, other);
        number_add(&h->zero_count, &c->zero_count, zero.s);
        number_add(&h->zero_count, &c->zero_count, zero.c);
    }
    number_add(&h->count, &c->count, other->count);
    number_add(&h->sum, &c->sum, other->sum);
    if (!histogram_is_custom(h)) {
        exponential_add(a, h, c, other, 1);
    } else if (histogram_bounds_equal(h, other)) {
        struct side_pair pos = { h->pos, c->pos.at };
        side_add(a, &pos, (struct side_pair){ other->pos, NULL }, 1, h->schema, 0);
        h->pos = pos.s;
        c->pos.at = pos.c;
    } else {
        m->bounds_reconciled = true;
        custom_add(a, h, &c->pos.at, other, 1);
    }
    sum_share_layout(s);
    return OK;
}

static void side_join(struct arena *a, const struct histogram *h, struct histogram_side *s,
    double **c, const struct histogram_side *x, double *xc)
{
    struct side_pair sum = { *s, *c };
    side_add(a, &sum, (struct side_pair){ *x, xc }, 1, h->schema, h->zero_threshold);
    *s = sum.s;
    *c = sum.c;
}

void histogram_sum_join(struct arena *a, struct histogram_sum *s, const struct histogram_sum *x)
{
    struct histogram *h = &s->h, *c = &s->c;
    assert(h->schema == x->h.schema && h->zero_threshold == x->h.zero_threshold);
    (void)hint_adjust(h, &x->h);
    sum_start_c(a, s);
    number_add(&h->zero_count, &c->zero_count, x->h.zero_count);
    number_add(&h->count, &c->count, x->h.count);
    number_add(&h->sum, &c->sum, x->h.sum);
    if (x->with_c) {
        c->zero_count += x->c.zero_count;
        c->count += x->c.count;
        c->sum += x->c.sum;
    }
    side_join(a, h, &h->pos, &c->pos.at, &x->h.pos, x->with_c ? x->c.pos.at : NULL);
    side_join(a, h, &h->neg, &c->neg.at, &x->h.neg, x->with_c ? x->c.neg.at : NULL);
    sum_share_layout(s);
}

errc histogram_sum_end(struct arena *a, struct histogram_sum *s, struct histogram_merge *m)
{
    *m = (struct histogram_merge){ 0 };
    return s->with_c ? histogram_add(a, &s->h, &s->c, 1, m) : OK;
}

void histogram_sum_copy(struct arena *a, struct histogram_sum *out, const struct histogram_sum *s)
{
    struct histogram_sum old = *s;
    *out = old;
    out->h.pos = side_copy(a, &old.h.pos);
    out->h.neg = side_copy(a, &old.h.neg);
    if (!old.with_c) return;
    out->c.pos = side_copy(a, &old.c.pos);
    out->c.neg = side_copy(a, &old.c.neg);
    sum_share_layout(out);
}

/* Resets */

/* Index and count at a cursor of a side seen in a coarser schema; moves past all that fall into the
 * bucket. False: the end. */
static bool cursor_merged(
    struct side_cursor *k, int32_t from, int32_t to, double within, int32_t *index, double *count)
{
    while (cursor_here(k)) {
        *index = to == HISTOGRAM_CUSTOM_SCHEMA ? k->index : index_at(k->index, from, to);
        *count = 0;
        for (; cursor_here(k) && (from == to ? k->index : index_at(k->index, from, to)) == *index;
             cursor_step(k))
            *count += k->s->at[k->at];
        if (within == 0 || to == HISTOGRAM_CUSTOM_SCHEMA || histogram_bound(to, *index) > within)
            return true;
    }
    return false;
}

static bool side_is_reset(const struct histogram *h, const struct histogram_side *s,
    const struct histogram *prev, const struct histogram_side *ps)
{
    struct side_cursor k = cursor_of_side(s), kp = cursor_of_side(ps);
    int32_t index = INT32_MIN, pindex;
    double count = 0, pcount;
    bool more = cursor_merged(&k, h->schema, h->schema, h->zero_threshold, &index, &count);
    while (cursor_merged(&kp, prev->schema, h->schema, h->zero_threshold, &pindex, &pcount)) {
        while (more && index < pindex)
            more = cursor_merged(&k, h->schema, h->schema, h->zero_threshold, &index, &count);
        if (!more || index > pindex ? pcount != 0 : count < pcount) return true;
    }
    return false;
}

/* Custom buckets of different bounds: has the count up to a bound that both have, since the last
 * such bound, fallen? */
static double custom_count_to(const struct histogram *h, struct side_cursor *k, double bound)
{
    double sum = 0;
    for (; cursor_here(k); cursor_step(k)) {
        double upper = (size_t)k->index < h->n_custom ? h->custom[k->index] : INFINITY;
        if (upper > bound) break;
        sum += h->pos.at[k->at];
    }
    return sum;
}

static bool custom_is_reset(const struct histogram *h, const struct histogram *prev)
{
    struct side_cursor k = cursor_of_side(&h->pos), kp = cursor_of_side(&prev->pos);
    for (size_t i = 0, j = 0; i <= h->n_custom && j <= prev->n_custom;) {
        double a = i < h->n_custom ? h->custom[i] : INFINITY,
               b = j < prev->n_custom ? prev->custom[j] : INFINITY;
        if (a == b) {
            if (custom_count_to(h, &k, a) < custom_count_to(prev, &kp, a)) return true;
            i++;
            j++;
        } else if (a < b) {
            i++;
        } else {
            j++;
        }
    }
    return false;
}

bool histogram_is_reset(const struct histogram *h, const struct histogram *prev)
{
    if (h->hint == RESET_YES || h->hint == RESET_NO) return h->hint == RESET_YES;
    if (h->count < prev->count) return true;
    if (histogram_is_custom(h)) {
        if (!histogram_is_custom(prev)) return true;
        if (!histogram_bounds_equal(h, prev)) return custom_is_reset(h, prev);
    }
    if (h->schema > prev->schema || h->zero_threshold < prev->zero_threshold) return true;
    if (histogram_is_custom(prev) && !histogram_is_custom(h)) return true;
    double width = h->zero_threshold, zero = prev->zero_count;
    if (width != prev->zero_threshold) zero = zero_count_within(prev, NULL, &width).s;
    if (width != h->zero_threshold || h->zero_count < zero) return true;
    return side_is_reset(h, &h->pos, prev, &prev->pos) ||
           side_is_reset(h, &h->neg, prev, &prev->neg);
}
