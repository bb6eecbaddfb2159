#include "base/buf_pool.h"

#include "base/clock.h"

void buf_pool_init(struct buf_pool *p, struct account *acc)
{
    *p = (struct buf_pool){ .acc = acc };
    mtx_init(&p->mu, LOCK_LEAF);
}

void buf_pool_fini(struct buf_pool *p)
{
    for (size_t i = 0; i < p->n; i++) buf_fini(&p->at[i].b);
    mtx_fini(&p->mu);
}

static struct buf pool_remove_locked(struct buf_pool *p, size_t i) REQUIRES(p->mu);
static struct buf pool_remove_locked(struct buf_pool *p, size_t i)
{
    mtx_assert_held(&p->mu);
    struct buf b = p->at[i].b;
    p->at[i] = p->at[--p->n];
    p->bytes -= b.cap;
    return b;
}

/* Takes out what nobody used for long; how many. They are freed outside the lock. */
static size_t pool_expire_locked(struct buf_pool *p, int64_t now_ms, struct buf *old)
    REQUIRES(p->mu);
static size_t pool_expire_locked(struct buf_pool *p, int64_t now_ms, struct buf *old)
{
    mtx_assert_held(&p->mu);
    size_t n = 0;
    for (size_t i = p->n; i-- > 0;)
        if (now_ms - p->at[i].since_ms > BUF_POOL_IDLE_MS) old[n++] = pool_remove_locked(p, i);
    return n;
}

struct buf buf_pool_take(struct buf_pool *p, size_t want)
{
    struct buf b, old[BUF_POOL_MAX];
    buf_init(&b, p->acc, 0);
    if (want < BUF_POOL_MIN_BYTES) {
        buf_grow(&b, want);
        return b;
    }
    int64_t now_ms = clock_mono_ns() / 1000000;
    mtx_lock(&p->mu);
    size_t best = p->n;
    for (size_t i = 0; i < p->n; i++) {
        size_t cap = p->at[i].b.cap;
        if (cap >= want && cap / 4 <= want && (best == p->n || cap < p->at[best].b.cap)) best = i;
    }
    if (best < p->n) b = pool_remove_locked(p, best);
    size_t n = pool_expire_locked(p, now_ms, old);
    mtx_unlock(&p->mu);
    for (size_t i = 0; i < n; i++) buf_fini(&old[i]);
    if (!b.cap) buf_grow(&b, want + want / 8);
    return b;
}

void buf_pool_give(struct buf_pool *p, struct buf *b)
{
    struct buf mine = *b, old[BUF_POOL_MAX];
    *b = (struct buf){ 0 };
    buf_reset(&mine);
    bool keep = mine.cap >= BUF_POOL_MIN_BYTES && mine.cap <= BUF_POOL_MAX_BYTES &&
                mine.acc == p->acc && !mine.limit;
    int64_t now_ms = clock_mono_ns() / 1000000;
    mtx_lock(&p->mu);
    size_t n = pool_expire_locked(p, now_ms, old);
    keep = keep && p->n < BUF_POOL_MAX && p->bytes + mine.cap <= BUF_POOL_MAX_BYTES;
    if (keep) {
        p->at[p->n].b = mine;
        p->at[p->n++].since_ms = now_ms;
        p->bytes += mine.cap;
    }
    mtx_unlock(&p->mu);
    for (size_t i = 0; i < n; i++) buf_fini(&old[i]);
    if (!keep) buf_fini(&mine);
}
