#include "io/runner.h"

#include "io/thread.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/test.h"

#include <unistd.h>

enum { FOR_NS = 20 * 1000 * 1000 };

/* A thread that computes or sleeps as it is told. */
struct subject {
    struct mtx mu;
    struct cond changed;
    struct runner runner;
    enum { SLEEP, COMPUTE, END } does;
    bool is_there;
    _Atomic bool ends;
};

static void live(void *ctx)
{
    struct subject *s = ctx;
    mtx_lock(&s->mu);
    runner_init(&s->runner);
    EXPECT_EQ(s->runner.tid, gettid());
    s->is_there = true;
    cond_broadcast(&s->changed);
    while (s->does != END) {
        while (s->does == SLEEP) cond_wait(&s->changed, &s->mu);
        mtx_unlock(&s->mu);
        while (!atomic_load(&s->ends)) continue;
        mtx_lock(&s->mu);
    }
    mtx_unlock(&s->mu);
}

static void tell(struct subject *s, int does)
{
    mtx_lock(&s->mu);
    atomic_store(&s->ends, does != COMPUTE);
    s->does = does;
    cond_broadcast(&s->changed);
    mtx_unlock(&s->mu);
}

static bool stands_within(struct subject *s, bool want)
{
    int64_t end = clock_real_mono_ns() + INT64_C(60000000000);
    while (runner_stands(&s->runner, FOR_NS) != want)
        if (clock_real_mono_ns() > end) return false;
    return true;
}

TEST(runner_stands_while_it_sleeps_and_not_while_it_computes)
{
    struct subject s = { .does = SLEEP };
    mtx_init(&s.mu, LOCK_LEAF);
    cond_init(&s.changed);
    struct thread *t = thread_start("subject", live, &s);
    mtx_lock(&s.mu);
    while (!s.is_there) cond_wait(&s.changed, &s.mu);
    mtx_unlock(&s.mu);
    EXPECT(!runner_stands(&s.runner, INT64_C(1000000000000)));
    for (int turn = 0; turn < 2; turn++) {
        EXPECT(stands_within(&s, true));
        tell(&s, COMPUTE);
        EXPECT(stands_within(&s, false));
        /* also where other threads have all the cores: it is not asleep */
        for (int64_t end = clock_real_mono_ns() + 5 * FOR_NS; clock_real_mono_ns() < end;)
            EXPECT(!runner_stands(&s.runner, FOR_NS));
        tell(&s, SLEEP);
    }
    EXPECT(stands_within(&s, true));
    /* one look after a long time is enough */
    runner_look(&s.runner);
    clock_sleep_ns(2 * FOR_NS);
    EXPECT(runner_stands(&s.runner, FOR_NS));
    tell(&s, END);
    thread_join(t);
    cond_fini(&s.changed);
    mtx_fini(&s.mu);
}
