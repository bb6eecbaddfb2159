#include "model/interval.h"

/* The first interval that ends at or after t. */
static size_t first_ending_from(const intervals *v, int64_t t)
{
    size_t lo = 0, hi = v->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (v->at[mid].maxt < t) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

void intervals_add(intervals *v, struct interval add)
{
    if (add.mint > add.maxt) return;
    size_t from = first_ending_from(v, add.mint == INT64_MIN ? INT64_MIN : add.mint - 1), to = from;
    int64_t reach = add.maxt == INT64_MAX ? INT64_MAX : add.maxt + 1;
    /* touches or overlaps: becomes a part of it */
    for (; to < v->n && v->at[to].mint <= reach; to++) {
        add.mint = MIN(add.mint, v->at[to].mint);
        add.maxt = MAX(add.maxt, v->at[to].maxt);
    }
    if (to == from) vec_push(v, add);
    size_t tail = v->n - to - (to == from);
    memmove(v->at + from + 1, v->at + to, tail * sizeof(*v->at));
    v->at[from] = add;
    v->n = from + 1 + tail;
}

bool intervals_have(const intervals *v, int64_t t) { return intervals_meet(v, t, t); }

bool intervals_cover(const intervals *v, int64_t mint, int64_t maxt)
{
    size_t i = first_ending_from(v, mint);
    return i < v->n && v->at[i].mint <= mint && maxt <= v->at[i].maxt;
}

bool intervals_meet(const intervals *v, int64_t mint, int64_t maxt)
{
    size_t i = first_ending_from(v, mint);
    return i < v->n && v->at[i].mint <= maxt;
}
