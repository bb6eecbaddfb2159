#include "head/reclaim.h"

void reclaim_init(struct reclaim *r)
{
    *r = (struct reclaim){ .seq = 1 };
    mtx_init(&r->mu, LOCK_LEAF);
    r->readers.prev = r->readers.next = &r->readers;
}

void reclaim_fini(struct reclaim *r)
{
    assert(r->readers.next == &r->readers);
    for (size_t i = 0; i < r->waiting.n; i++)
        r->waiting.at[i].end(r->waiting.at[i].ctx, r->waiting.at[i].p);
    vec_fini(&r->waiting);
    mtx_fini(&r->mu);
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
    VEC(struct retired) ripe = { 0 };
    mtx_lock(&r->mu);
    me->prev->next = me->next;
    me->next->prev = me->prev;
    uint64_t oldest = r->readers.next == &r->readers ? UINT64_MAX : r->readers.next->seq;
    size_t n = 0;
    while (n < r->waiting.n && r->waiting.at[n].seq <= oldest) n++;
    if (n) {
        vec_reserve(&ripe, n);
        memcpy(ripe.at, r->waiting.at, n * sizeof(*ripe.at));
        ripe.n = n;
        r->waiting.n -= n;
        memmove(r->waiting.at, r->waiting.at + n, r->waiting.n * sizeof(*r->waiting.at));
    }
    mtx_unlock(&r->mu);
    for (size_t i = 0; i < ripe.n; i++) ripe.at[i].end(ripe.at[i].ctx, ripe.at[i].p);
    vec_fini(&ripe);
}

void reclaim_retire(struct reclaim *r, void *p, void *ctx, void (*end)(void *ctx, void *p))
{
    mtx_lock(&r->mu);
    bool seen = r->readers.next != &r->readers;
    if (seen) vec_push(&r->waiting, ((struct retired){ ++r->seq, ctx, p, end }));
    mtx_unlock(&r->mu);
    if (!seen) end(ctx, p);
}
