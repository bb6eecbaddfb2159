#include "chunk/histogram_layout.h"

#include "base/f64.h"

#include <math.h>

enum {
    SCHEMA_KNOWN_MIN = -9, SCHEMA_KNOWN_MAX = 52,      /* exponential ones, reserved included */
    ZERO_RAW = 255, ZERO_BIAS = 243, ZERO_EXP_MIN = -242, ZERO_EXP_MAX = 11,
    BOUND_MAX = 33554430                                       /* thousandths, in four bytes */
};

size_t hist_spans_buckets(struct hist_spans s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += s.at[i].length;
    return n;
}

bool hist_layout_bounds_equal(const struct hist_layout *a, const struct hist_layout *b)
{
    if (a->n_custom != b->n_custom) return false;
    for (size_t i = 0; i < a->n_custom; i++)
        if (a->custom[i] != b->custom[i]) return false;
    return true;
}

/* ---- bytes ---- */

size_t hist_layout_max_bytes(const struct hist_layout *l)
{
    enum { FIELD = VARBIT_MAX_BITS / 8, FIXED = 9 + 4 * FIELD };
    return FIXED + (l->side[0].n + l->side[1].n) * 2 * FIELD + l->n_custom * FIELD;
}

/* A power of two is one byte, any other threshold nine. */
static void put_zero_threshold(struct bits *b, double v)
{
    int exp;
    if (v == 0) {
        bits_put(b, 0, 8);
    } else if (frexp(v, &exp) == 0.5 && exp >= ZERO_EXP_MIN && exp <= ZERO_EXP_MAX) {
        bits_put(b, (uint64_t)(exp + ZERO_BIAS), 8);
    } else {
        bits_put(b, ZERO_RAW, 8);
        bits_put_long(b, f64_bits(v), 64);
    }
}

static double take_zero_threshold(struct bit_reader *r)
{
    unsigned v = (unsigned)bits_take_short(r, 8);
    if (v == 0) return 0;
    return v == ZERO_RAW ? f64_of_bits(bits_take(r, 64)) : ldexp(0.5, (int)v - ZERO_BIAS);
}

/* Thousandths, if the bound is that; 0 stands before all others. */
static void put_bound(struct bits *b, double v)
{
    double thousandths = v * 1000;
    if (thousandths >= 0 && thousandths <= BOUND_MAX && v == round(thousandths) / 1000) {
        bits_put_uvarbit(b, (uint64_t)round(thousandths) + 1);
        return;
    }
    bits_put(b, 0, 1);
    bits_put_long(b, f64_bits(v), 64);
}

static double take_bound(struct bit_reader *r)
{
    uint64_t v = bits_take_uvarbit(r);
    return v ? (double)(v - 1) / 1000 : f64_of_bits(bits_take(r, 64));
}

void hist_layout_put(struct bits *b, const struct hist_layout *l)
{
    put_zero_threshold(b, l->zero_threshold);
    bits_put_varbit(b, l->schema);
    for (int side = 0; side < 2; side++) {
        bits_put_uvarbit(b, l->side[side].n);
        for (size_t i = 0; i < l->side[side].n; i++) {
            bits_put_uvarbit(b, l->side[side].at[i].length);
            bits_put_varbit(b, l->side[side].at[i].offset);
        }
    }
    if (l->schema != HISTOGRAM_CUSTOM_SCHEMA) return;
    bits_put_uvarbit(b, l->n_custom);
    for (size_t i = 0; i < l->n_custom; i++) put_bound(b, l->custom[i]);
}

/* How many of something that takes at least `least` bits each; too many to be there: bad. */
static size_t take_count(struct bit_reader *r, unsigned least)
{
    uint64_t n = bits_take_uvarbit(r);
    if (n > (r->end - r->bit) / least) r->bad = true;
    return r->bad ? 0 : (size_t)n;
}

static void take_spans(struct hist_spans *out, size_t *n_buckets, struct bit_reader *r,
                       struct arena *a)
{
    size_t n = take_count(r, 2);
    struct span *at = arena_array(a, n, sizeof(*at));
    int64_t reach = 0;
    uint64_t buckets = 0;
    for (size_t i = 0; i < n && !r->bad; i++) {
        at[i].length = (uint32_t)bits_take_uvarbit(r);
        at[i].offset = (int32_t)bits_take_varbit(r);
        reach += (int64_t)at[i].offset + at[i].length;
        buckets += at[i].length;
        if (reach < INT32_MIN || reach > INT32_MAX || buckets > r->end) r->bad = true;
    }
    *out = (struct hist_spans){ at, r->bad ? 0 : n };
    *n_buckets = r->bad ? 0 : (size_t)buckets;
}

static void take_bounds(struct hist_layout *l, struct bit_reader *r, struct arena *a)
{
    size_t n = take_count(r, 5);
    double *at = arena_array(a, n, sizeof(*at));
    for (size_t i = 0; i < n; i++) at[i] = take_bound(r);
    l->custom = at;
    l->n_custom = n;
}

static bool schema_known(int32_t s)
{
    return s == HISTOGRAM_CUSTOM_SCHEMA || (s >= SCHEMA_KNOWN_MIN && s <= SCHEMA_KNOWN_MAX);
}

errc hist_layout_take(struct hist_layout *l, struct bit_reader *r, struct arena *a, struct err *e)
{
    *l = (struct hist_layout){ .zero_threshold = take_zero_threshold(r) };
    l->schema = (int32_t)bits_take_varbit(r);
    for (int i = 0; i < 2 && !r->bad; i++) take_spans(&l->side[i], &l->n_buckets[i], r, a);
    if (!r->bad && l->schema == HISTOGRAM_CUSTOM_SCHEMA) take_bounds(l, r, a);
    if (r->bad) return err_set(e, ERR_CORRUPT, "histogram chunk: layout is cut short");
    if (!schema_known(l->schema))
        return err_set(e, ERR_CORRUPT, "histogram chunk: unknown schema %d", l->schema);
    return OK;
}

/* ---- two layouts ---- */

/* The numbers of the buckets that spans cover; `done` after the last. */
struct bucket_walk {
    struct hist_spans s;
    size_t span;
    uint32_t in_span;
    int64_t index;
    bool done;
};

static void walk_settle(struct bucket_walk *w)
{
    while (w->span < w->s.n && w->in_span >= w->s.at[w->span].length) {
        w->in_span = 0;
        if (++w->span < w->s.n) w->index += w->s.at[w->span].offset;
    }
    w->done = w->span >= w->s.n;
}

static struct bucket_walk walk_of(struct hist_spans s)
{
    struct bucket_walk w = { .s = s, .index = s.n ? s.at[0].offset : 0 };
    walk_settle(&w);
    return w;
}

static void walk_next(struct bucket_walk *w)
{
    w->in_span++;
    w->index++;
    walk_settle(w);
}

void hist_union_of(struct hist_union *u, struct hist_spans a, struct hist_spans b)
{
    struct bucket_walk wa = walk_of(a), wb = walk_of(b);
    int32_t na = 0, nb = 0;
    u->all.n = 0;
    u->only_a = u->only_b = false;
    while (!wa.done || !wb.done) {
        bool from_a = !wa.done && (wb.done || wa.index <= wb.index);
        bool from_b = !wb.done && (wa.done || wb.index <= wa.index);
        int64_t index = from_a ? wa.index : wb.index;
        struct hist_pair p = { index, from_a ? na++ : -1, from_b ? nb++ : -1 };
        vec_push(&u->all, p);
        u->only_a |= !from_b;
        u->only_b |= !from_a;
        if (from_a) walk_next(&wa);
        if (from_b) walk_next(&wb);
    }
}

void hist_union_fini(struct hist_union *u) { vec_fini(&u->all); }

size_t hist_union_spans(const struct hist_union *u, struct span *out)
{
    size_t n = 0;
    int64_t next = 0;                          /* the number behind the last span */
    for (size_t i = 0; i < u->all.n; i++) {
        int64_t index = u->all.at[i].index;
        if (n && index == next) out[n - 1].length++;
        else out[n++] = (struct span){ (int32_t)(index - next), 1 };
        next = index + 1;
    }
    return n;
}
