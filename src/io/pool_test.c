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

struct gate { struct mtx mu; struct cond c; unsigned came; bool open; };
static void gate_init(struct gate *g)
{
    mtx_init(&g->mu, LOCK_LEAF);
    cond_init(&g->c);
}
static void gate_fini(struct gate *g)
{
    cond_fini(&g->c);
    mtx_fini(&g->mu);
}
static void wait_gate(void *ctx)
{
    struct gate *g = ctx;
    mtx_lock(&g->mu);
    g->came++;
    cond_broadcast(&g->c);
    while (!g->open) cond_wait(&g->c, &g->mu);
    mtx_unlock(&g->mu);
}
static void gate_await(struct gate *g, unsigned n)
{
    mtx_lock(&g->mu);
    while (g->came < n) cond_wait(&g->c, &g->mu);
    mtx_unlock(&g->mu);
}
static void gate_open(struct gate *g)
{
    mtx_lock(&g->mu);
    g->open = true;
    cond_broadcast(&g->c);
    mtx_unlock(&g->mu);
}

/* Jobs that come one after the other need one thread; those that wait need one each, up to the
 * bound. */
TEST(pool_starts_threads_when_they_are_needed)
{
    struct gate g = { .open = false };
    gate_init(&g);
    struct pool *p = pool_new(&(struct pool_opts){ "test", 3, 10 });
    EXPECT_EQ(pool_threads(p), 3);
    EXPECT_EQ(pool_threads_now(p), 1);
    for (unsigned i = 0; i < 3; i++) EXPECT(pool_submit(p, wait_gate, &g));
    gate_await(&g, 3);
    for (unsigned i = 0; i < 3; i++) EXPECT(pool_submit(p, wait_gate, &g));
    EXPECT_EQ(pool_threads_now(p), 3);
    gate_open(&g);
    pool_free(p);
    EXPECT_EQ(g.came, 6);
    gate_fini(&g);
}

/* All of its threads hang: what comes then is done by others, but for what is beyond the most. */
TEST(pool_does_more_while_its_threads_hang)
{
    struct gate g = { .open = false };
    gate_init(&g);
    struct pool *p = pool_new(&(struct pool_opts){ "test", 2, 100, .threads_most = 6 });
    for (unsigned i = 0; i < 5; i++) EXPECT(pool_submit(p, wait_gate, &g));
    gate_await(&g, 5);
    _Atomic unsigned n = 0;
    EXPECT(pool_submit(p, add_one, (void *)&n));
    int64_t until = clock_mono_ns() + INT64_C(20000000000);
    while (!atomic_load(&n) && clock_mono_ns() < until) clock_sleep_ns(10000000);
    EXPECT_EQ(atomic_load(&n), 1);
    for (unsigned i = 0; i < 3; i++) EXPECT(pool_submit(p, wait_gate, &g));
    gate_await(&g, 6);
    clock_sleep_ns(INT64_C(1500000000));
    EXPECT_EQ(pool_threads_now(p), 6);
    gate_open(&g);
    pool_free(p);
    EXPECT_EQ(g.came, 8);
    gate_fini(&g);
}

TEST(pool_threads_end_and_come_again)
{
    struct pool *p = pool_new(&(struct pool_opts){ "test", 3, 10, .leave_ms = 1 });
    for (unsigned round = 1; round <= 2; round++) {
        struct gate g = { .open = false };
        gate_init(&g);
        for (unsigned i = 0; i < 3; i++) EXPECT(pool_submit(p, wait_gate, &g));
        gate_await(&g, 3);
        EXPECT_EQ(pool_threads_now(p), 3);
        gate_open(&g);
        int64_t until = clock_mono_ns() + INT64_C(20000000000);
        while (pool_threads_now(p) > 1 && clock_mono_ns() < until) clock_sleep_ns(10000000);
        EXPECT_EQ(pool_threads_now(p), 1);
        gate_fini(&g);
    }
    _Atomic unsigned n = 0;
    EXPECT(pool_submit(p, add_one, (void *)&n));
    pool_free(p);
    EXPECT_EQ(atomic_load(&n), 1);
}

TEST(pool_full_refuses)
{
    struct gate g = { .open = false };
    gate_init(&g);
    struct pool *p = pool_new(&(struct pool_opts){ "test", 1, 2 });
    unsigned taken = 0;
    while (taken < 10 && pool_submit(p, wait_gate, &g)) taken++;
    /* two in the queue, one maybe at work */
    EXPECT(taken >= 2 && taken <= 3);
    gate_open(&g);
    pool_free(p);
    gate_fini(&g);
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

struct crowd { struct mtx mu; struct cond changed; unsigned now, most, whole; };
static void crowd_init(struct crowd *c, unsigned whole)
{
    *c = (struct crowd){ .whole = whole };
    mtx_init(&c->mu, LOCK_LEAF);
    cond_init(&c->changed);
}
static void crowd_fini(struct crowd *c)
{
    cond_fini(&c->changed);
    mtx_fini(&c->mu);
}

/* With a moment in which others could begin. */
static void crowd_pass(void *ctx, size_t i)
{
    struct crowd *c = ctx;
    (void)i;
    mtx_lock(&c->mu);
    c->now++;
    c->most = MAX(c->most, c->now);
    cond_wait_until(&c->changed, &c->mu, clock_mono_ns() + 2000000);
    c->now--;
    mtx_unlock(&c->mu);
}

TEST(pool_each_far_begins_with_few_threads)
{
    struct crowd c;
    crowd_init(&c, 0);
    struct pool *p = pool_new(&(struct pool_opts){ "test", 60, 100 });
    pool_each_far(p, 100, crowd_pass, &c);
    EXPECT(c.most >= 1 && c.most <= MAX(pool_cores(), 2u));
    pool_free(p);
    crowd_fini(&c);
}

/* None ends before all are there. */
static void crowd_gather(void *ctx, size_t i)
{
    struct crowd *c = ctx;
    (void)i;
    pool_waits();
    mtx_lock(&c->mu);
    c->now++;
    cond_broadcast(&c->changed);
    while (c->now < c->whole) cond_wait(&c->changed, &c->mu);
    mtx_unlock(&c->mu);
}

TEST(pool_each_far_has_others_come_for_those_that_wait)
{
    struct crowd c;
    struct pool *p = pool_new(&(struct pool_opts){ "test", 7, 100 });
    for (unsigned n = 1; n <= 8; n++) {
        crowd_init(&c, n);
        pool_each_far(p, n, crowd_gather, &c);
        EXPECT_EQ(c.now, n);
        crowd_fini(&c);
    }
    pool_waits(); /* of no piece: nobody comes */
    crowd_init(&c, 1);
    pool_each_far(NULL, 3, crowd_gather, &c);
    EXPECT_EQ(c.now, 3);
    crowd_fini(&c);
    pool_free(p);
}
