#include "block/plan.h"

#include <stdlib.h>

enum { RANGE_FACTOR = 3, TOMBSTONE_PERCENT = 5 };

void plan_ranges(struct plan_opts *o, int64_t min_ms, int64_t max_ms)
{
    o->n_ranges = 0;
    int64_t r = min_ms;
    do {
        o->ranges[o->n_ranges++] = r;
    } while (!__builtin_mul_overflow(r, (int64_t)RANGE_FACTOR, &r) && r <= max_ms &&
             o->n_ranges < PLAN_RANGES_MAX);
}

struct planning {
    const struct plan_opts *o;
    const struct block_meta *const *metas;
    block_picks all;
    block_picks *out;
};

static const struct block_meta *meta_at(const struct planning *p, size_t i)
{
    return p->metas[p->all.at[i]];
}

static int by_mint(const void *a, const void *b, void *ctx)
{
    const struct planning *p = ctx;
    const struct block_meta *x = p->metas[*(const size_t *)a], *y = p->metas[*(const size_t *)b];
    if (x->mint != y->mint) return x->mint < y->mint ? -1 : 1;
    return ulid_cmp(x->id, y->id);
}

static void pick(struct planning *p, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) vec_push(p->out, p->all.at[i]);
}

/* The first run of blocks of which each begins before those ahead of it have ended. */
static bool plan_overlapping(struct planning *p)
{
    if (!p->o->overlapping || p->all.n < 2) return false;
    int64_t reach = meta_at(p, 0)->maxt;
    size_t first = 0;
    for (size_t i = 1; i <= p->all.n; i++) {
        if (i < p->all.n && meta_at(p, i)->mint < reach) {
            reach = MAX(reach, meta_at(p, i)->maxt);
            continue;
        }
        bool failed = false;
        for (size_t k = first; k < i; k++) failed |= meta_at(p, k)->failed;
        if (i - first >= 2 && !failed) {
            pick(p, first, i);
            return true;
        }
        first = i;
        if (i < p->all.n) reach = meta_at(p, i)->maxt;
    }
    return false;
}

static int64_t window_of(int64_t t, int64_t range)
{
    int64_t k = t / range;
    return (t % range < 0 ? k - 1 : k) * range;
}

/* A group is done if it fills its window or if time has gone past it. */
static bool plan_range(struct planning *p, int64_t range)
{
    int64_t high = meta_at(p, p->all.n - 1)->mint;
    for (size_t i = 0; i < p->all.n;) {
        int64_t from = window_of(meta_at(p, i)->mint, range);
        if (meta_at(p, i)->maxt > from + range) {              /* reaches out of its window */
            i++;
            continue;
        }
        size_t end = i;
        bool failed = false;
        int64_t maxt = INT64_MIN;
        for (; end < p->all.n && meta_at(p, end)->maxt <= from + range; end++) {
            if (window_of(meta_at(p, end)->mint, range) != from) break;
            failed |= meta_at(p, end)->failed;
            maxt = MAX(maxt, meta_at(p, end)->maxt);
        }
        bool whole = maxt - meta_at(p, i)->mint == range || maxt <= high;
        if (end - i >= 2 && whole && !failed) {
            pick(p, i, end);
            return true;
        }
        i = end;
    }
    return false;
}

static bool plan_leveled(struct planning *p)
{
    if (p->o->n_ranges < 2 || !p->all.n) return false;
    for (size_t i = 1; i < p->o->n_ranges; i++)
        if (plan_range(p, p->o->ranges[i])) return true;
    return false;
}

static bool plan_tombstones(struct planning *p)
{
    for (size_t i = p->all.n; i-- > 0;) {
        const struct block_meta *m = meta_at(p, i);
        if (m->maxt - m->mint < p->o->ranges[p->o->n_ranges / 2]) return false;
        bool most = m->stats.series && m->stats.tombstones >= m->stats.series;
        if (m->failed ||
            (!most && m->stats.tombstones * 100 <= TOMBSTONE_PERCENT * (m->stats.series + 1)))
            continue;
        pick(p, i, i + 1);
        return true;
    }
    return false;
}

static bool plan_class(struct planning *p)
{
    if (!p->all.n) return false;
    qsort_r(p->all.at, p->all.n, sizeof(*p->all.at), by_mint, p);
    if (plan_overlapping(p)) return true;
    p->all.n--;                                /* the newest waits */
    return plan_leveled(p) || plan_tombstones(p);
}

void plan_blocks(
    block_picks *out, const struct plan_opts *o, const struct block_meta *const *metas, size_t n)
{
    static const unsigned classes[] = { 0, BLOCK_HINT_STALE, BLOCK_HINT_SELECTED };
    struct planning p = { .o = o, .metas = metas, .out = out };
    out->n = 0;
    for (size_t c = 0; c < ARRAY_LEN(classes); c++) {
        p.all.n = 0;
        for (size_t i = 0; i < n; i++) {
            unsigned hint = metas[i]->hints & BLOCK_HINT_STALE
                                ? BLOCK_HINT_STALE
                                : metas[i]->hints & BLOCK_HINT_SELECTED;
            if (hint == classes[c]) vec_push(&p.all, i);
        }
        if (plan_class(&p)) break;
    }
    vec_fini(&p.all);
}
