#include "head/reclaim.h"

enum { AT_ONCE = 64 };

void reclaim_init(struct reclaim *r)
{
    *r = (struct reclaim){ .seq = 1 };
    mtx_init(&r->mu, LOCK_LEAF);
    r->readers.prev = r->readers.next = &r->readers;
}

static void queue_fini(struct retired_queue *q)
{
    for (size_t i = q->from; i < q->all.n; i++) q->all.at[i].end(q->all.at[i].ctx, q->all.at[i].p);
    vec_fini(&q->all);
}

void reclaim_fini(struct reclaim *r)
{
    assert(r->readers.next == &r->readers);
    queue_fini(&r->light);
    queue_fini(&r->heavy);
    mtx_fini(&r->mu);
}

/* The first of those that no reader can reach, AT_ONCE at most. What is left moves to the front
 * when it is the smaller half: each moves once or twice. */
static size_t queue_take(struct retired_queue *q, uint64_t oldest, struct retired *out)
{
    size_t n = 0;
    while (n < AT_ONCE && q->from < q->all.n && q->all.at[q->from].seq <= oldest)
        out[n++] = q->all.at[q->from++];
    if (q->from < q->all.n / 2 || !q->from) return n;
    q->all.n -= q->from;
    if (q->all.n) memmove(q->all.at, q->all.at + q->from, q->all.n * sizeof(*q->all.at));
    else vec_fini(&q->all);
    q->from = 0;
    return n;
}

static void end_all(const struct retired *at, size_t n)
{
    for (size_t i = 0; i < n; i++) at[i].end(at[i].ctx, at[i].p);
}

static uint64_t oldest_locked(const struct reclaim *r)
{
    return r->readers.next == &r->readers ? UINT64_MAX : r->readers.next->seq;
}

void reclaim_enter(struct reclaim *r, struct reclaim_reader *me)
{
    mtx_lock(&r->mu);
    me->seq = r->seq;
    me->prev = r->readers.prev;
    me->next = &r->readers;
    me->prev->next = me->next->prev = me;
    mtx_unlock(&r->mu);
}

void reclaim_leave(struct reclaim *r, struct reclaim_reader *me)
{
    struct retired ripe[AT_ONCE];
    mtx_lock(&r->mu);
    me->prev->next = me->next;
    me->next->prev = me->prev;
    size_t n = queue_take(&r->light, oldest_locked(r), ripe);
    mtx_unlock(&r->mu);
    end_all(ripe, n);
}

void reclaim_run(struct reclaim *r)
{
    struct retired ripe[2 * AT_ONCE];
    for (size_t n = 1; n;) {
        mtx_lock(&r->mu);
        uint64_t oldest = oldest_locked(r);
        n = queue_take(&r->light, oldest, ripe);
        n += queue_take(&r->heavy, oldest, ripe + n);
        mtx_unlock(&r->mu);
        end_all(ripe, n);
    }
}

static void retire(
    struct reclaim *r, struct retired_queue *q, void *p, void *ctx, void (*end)(void *, void *))
{
    mtx_lock(&r->mu);
    bool seen = r->readers.next != &r->readers;
    if (seen) vec_push(&q->all, ((struct retired){ ++r->seq, ctx, p, end }));
    mtx_unlock(&r->mu);
    if (!seen) end(ctx, p);
}

void reclaim_retire(struct reclaim *r, void *p, void *ctx, void (*end)(void *ctx, void *p))
{
    retire(r, &r->light, p, ctx, end);
}

void reclaim_retire_heavy(struct reclaim *r, void *p, void *ctx, void (*end)(void *ctx, void *p))
{
    retire(r, &r->heavy, p, ctx, end);
}
