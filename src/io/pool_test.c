#include "io/pool.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/test.h"

static void add_one(void *ctx) { atomic_fetch_add((_Atomic unsigned *)ctx, 1); }

TEST(pool_runs_all)
{
    struct pool *p = pool_new(&(struct pool_opts){ "test", 3, 1000 });
    _Atomic unsigned n = 0;
    for (unsigned i = 0; i < 1000; i++) EXPECT(pool_submit(p, add_one, (void *)&n));
    pool_free(p);
    EXPECT_EQ(atomic_load(&n), 1000);
}

struct gate { struct mtx mu; struct cond c; bool open; };
static void wait_gate(void *ctx)
{
    struct gate *g = ctx;
    mtx_lock(&g->mu);
    while (!g->open) cond_wait(&g->c, &g->mu);
    mtx_unlock(&g->mu);
}

TEST(pool_full_refuses)
{
    struct gate g = { .open = false };
    mtx_init(&g.mu, LOCK_LEAF);
    cond_init(&g.c);
    struct pool *p = pool_new(&(struct pool_opts){ "test", 1, 2 });
    unsigned taken = 0;
    while (taken < 10 && pool_submit(p, wait_gate, &g)) taken++;
    /* two in the queue, one maybe at work */
    EXPECT(taken >= 2 && taken <= 3);
    mtx_lock(&g.mu);
    g.open = true;
    cond_broadcast(&g.c);
    mtx_unlock(&g.mu);
    pool_free(p);
    cond_fini(&g.c);
    mtx_fini(&g.mu);
}

static void mark(void *ctx, size_t i) { atomic_fetch_add((_Atomic unsigned char *)ctx + i, 1); }

TEST(thread_steps_behind_and_back)
{
    bool can = thread_step_behind();
    if (can) thread_step_back();
    EXPECT_EQ(thread_step_behind(), can);
    if (can) thread_step_back();
    struct pool *p = pool_new(
        &(struct pool_opts){ .name = "test", .threads = 1, .queue_max = 1, .behind = true });
    _Atomic unsigned char seen[2] = { 0 };
    pool_each(p, 2, mark, (void *)seen);
    EXPECT_EQ(atomic_load(&seen[0]) + atomic_load(&seen[1]), 2);
    pool_free(p);
}

TEST(pool_each_does_every_piece_once)
{
    struct pool *p = pool_new(&(struct pool_opts){ "test", 3, 4 });
    enum { N = 5000 };
    static _Atomic unsigned char seen[N];
    for (unsigned round = 0; round < 5; round++) {
        for (size_t i = 0; i < N; i++) atomic_store(&seen[i], 0);
        pool_each(p, N, mark, (void *)seen);
        for (size_t i = 0; i < N; i++) EXPECT_EQ(atomic_load(&seen[i]), 1);
    }
    pool_each(NULL, 3, mark, (void *)seen);
    EXPECT_EQ(atomic_load(&seen[2]), 2);
    pool_each(p, 0, mark, (void *)seen);
    pool_free(p);
}
