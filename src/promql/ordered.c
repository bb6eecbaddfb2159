#include "promql/ordered.h"

#include <stdlib.h>

/* of a move: values that leave or enter one by one at most; that are sorted at once, at least, or
 * this part of them */
enum { SINGLY_MOST = 16, PART_LEAST = 1 << 14, PARTS = 64 };

void ordered_init(struct ordered *o, struct arena *a, size_t widest)
{
    size_t part = MIN(widest, MAX(widest / PARTS, (size_t)PART_LEAST));
    *o = (struct ordered){ .part = part,
        .v = arena_array(a, widest + 1, sizeof(double)),
        .other = arena_array(a, widest + 1, sizeof(double)),
        .leave = arena_array(a, part + 1, sizeof(double)),
        .enter = arena_array(a, part + 1, sizeof(double)) };
}

/* The first that is not less than x; n: all are. Without a branch that could be guessed wrong. */
static size_t ordered_find(const struct ordered *o, double x)
{
    const double *at = o->v;
    for (size_t n = o->n; n > 0;) {
        size_t half = (n + 1) / 2;
        at += at[half - 1] < x ? half : 0;
        n -= half;
    }
    return (size_t)(at - o->v);
}

/* Only the values between the two move. */
static void ordered_replace(struct ordered *o, double old, double new)
{
    size_t from = ordered_find(o, old), to = ordered_find(o, new);
    assert(o->v[from] == old);
    if (to > from) {
        to--;
        memmove(o->v + from, o->v + from + 1, (to - from) * sizeof(*o->v));
    } else {
        memmove(o->v + to + 1, o->v + to, (from - to) * sizeof(*o->v));
    }
    o->v[to] = new;
}

static void ordered_singly(struct ordered *o, const double *column, size_t lo, size_t hi)
{
    while (o->lo < lo && o->hi < hi) ordered_replace(o, column[o->lo++], column[o->hi++]);
    for (; o->lo < lo; o->lo++) {
        size_t at = ordered_find(o, column[o->lo]);
        memmove(o->v + at, o->v + at + 1, (--o->n - at) * sizeof(*o->v));
    }
    for (; o->hi < hi; o->hi++) {
        size_t at = ordered_find(o, column[o->hi]);
        memmove(o->v + at + 1, o->v + at, (o->n++ - at) * sizeof(*o->v));
        o->v[at] = column[o->hi];
    }
}

static int value_cmp(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sorted_copy(double *to, const double *from, size_t n)
{
    if (n) memcpy(to, from, n * sizeof(*to));
    if (n) qsort(to, n, sizeof(*to), value_cmp);
}

/* One pass over all: without the `out` values that leave, with the `in` that enter. */
static void ordered_merge(struct ordered *o, size_t out, size_t in)
{
    size_t left = 0, entered = 0, n = 0;
    double *to = o->other;
    for (size_t i = 0; i < o->n; i++) {
        double x = o->v[i];
        if (left < out && x == o->leave[left]) {
            left++;
            continue;
        }
        while (entered < in && o->enter[entered] < x) to[n++] = o->enter[entered++];
        to[n++] = x;
    }
    assert(left == out);
    while (entered < in) to[n++] = o->enter[entered++];
    o->other = o->v;
    o->v = to;
    o->n = n;
}

errc ordered_move(struct ordered *o, const double *column, size_t lo, size_t hi,
    errc (*look)(void *ctx), void *ctx)
{
    assert(lo >= o->lo && hi >= o->hi && lo <= hi);
    if (lo >= o->hi) {
        o->n = 0;
        o->lo = o->hi = lo;
    }
    while (lo - o->lo + hi - o->hi > SINGLY_MOST) {
        size_t out = MIN(lo - o->lo, o->part), in = MIN(hi - o->hi, o->part);
        sorted_copy(o->leave, column + o->lo, out);
        sorted_copy(o->enter, column + o->hi, in);
        ordered_merge(o, out, in);
        o->lo += out;
        o->hi += in;
        TRY(look(ctx));
    }
    ordered_singly(o, column, lo, hi);
    assert(o->n == hi - lo);
    return OK;
}
