/* stack_test.c — a function has the stack that it asked for, in its own thread. */
#include "io/stack.h"

#include "base/account.h"
#include "base/test.h"
#include "io/thread.h"

#include <pthread.h>

enum { LEVELS = 20000, LEVEL_BYTES = 1024, SANITIZED_TIMES = 8, MIB = 1 << 20 };

struct dive { unsigned levels, reached, nested; pthread_t id; errc rc; };

static __attribute__((noinline)) unsigned dive_down(volatile unsigned *below, unsigned left)
{
    volatile uint8_t room[LEVEL_BYTES / 2];
    room[left % sizeof(room)] = (uint8_t)left;
    volatile unsigned here = *below + 1;
    unsigned deepest = left ? dive_down(&here, left - 1) : here;
    return deepest + (room[left % sizeof(room)] == (uint8_t)left ? 0u : 1u);
}

static void dive_run(void *ctx)
{
    struct dive *d = ctx;
    volatile unsigned top = 0;
    d->id = pthread_self();
    d->reached = dive_down(&top, d->levels);
}

static errc dive_from_here(struct dive *d)
{
    return stack_run((size_t)LEVELS * LEVEL_BYTES * SANITIZED_TIMES, dive_run, d);
}

static int64_t stacks_bytes(void)
{
    for (struct account *a = account_first(); a; a = a->next)
        if (!strcmp(a->name, "stacks")) return account_bytes(a);
    return -1;
}

static void nest_run(void *ctx)
{
    struct dive *d = ctx;
    EXPECT(stacks_bytes() >= MIB);
    if (d->nested-- > 0) d->rc = stack_run(MIB, nest_run, d);
}

TEST(stack_is_as_deep_as_asked_for)
{
    struct dive d = { .levels = LEVELS };
    EXPECT_OK(dive_from_here(&d));
    EXPECT_EQ(d.reached, LEVELS + 1);
    EXPECT(pthread_equal(d.id, pthread_self()));
    EXPECT_EQ(stacks_bytes(), 0);
}

TEST(stack_within_a_stack)
{
    struct dive d = { .nested = 3 };
    EXPECT_OK(stack_run(MIB, nest_run, &d));
    EXPECT_OK(d.rc);
    EXPECT_EQ(stacks_bytes(), 0);
}

TEST(stack_without_room)
{
    struct dive d = { .levels = 1 };
    EXPECT_EQ(stack_run((size_t)1 << 62, dive_run, &d), ERR_LIMIT);
    EXPECT_EQ(d.reached, 0);
}

static void dive_thread(void *ctx)
{
    struct dive *d = ctx;
    for (int i = 0; i < 20 && d->rc == OK; i++) d->rc = dive_from_here(d);
}

TEST(stacks_of_threads)
{
    enum { THREADS = 4 };
    struct dive d[THREADS];
    struct thread *t[THREADS];
    for (int i = 0; i < THREADS; i++) {
        d[i] = (struct dive){ .levels = 1000 + (unsigned)i };
        t[i] = thread_start("dive", dive_thread, &d[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        thread_join(t[i]);
        EXPECT_OK(d[i].rc);
        EXPECT_EQ(d[i].reached, d[i].levels + 1);
    }
    EXPECT_EQ(stacks_bytes(), 0);
}
