#include "api/http_drivers.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/test.h"
#include "io/thread.h"

/* A loop that hands out one job after the other, and what was done of it. */
struct job { unsigned number; _Atomic bool told, done, lasted; };
struct loop {
    struct drivers d;
    struct job *jobs;
    unsigned n_jobs, at, in_place;             /* of who runs the loop */
    _Atomic unsigned inside, done, turns;
    _Atomic bool open, waited_for;
    bool slow;                                 /* jobs wait until it is open */
};

static void *turn(void *ctx)
{
    struct loop *l = ctx;
    EXPECT_EQ(atomic_fetch_add(&l->inside, 1), 0);
    atomic_fetch_add(&l->turns, 1);
    struct job *j = NULL;
    if (l->at < l->n_jobs) {
        if (drivers_may_leave(&l->d)) j = &l->jobs[l->at++];
        else l->in_place++;
    }
    if (!j) clock_sleep_ns(100000);
    atomic_fetch_sub(&l->inside, 1);
    return j;
}

static bool waited_for(void *ctx) { return atomic_load(&((struct loop *)ctx)->waited_for); }

static void work(void *ctx, void *job)
{
    struct loop *l = ctx;
    (void)job;
    while (l->slow && !atomic_load(&l->open)) clock_sleep_ns(1000000);
}

static void lasts(void *ctx, void *job)
{
    (void)ctx;
    clock_sleep_ns(1000000);                   /* done must wait for it */
    atomic_store(&((struct job *)job)->told, true);
}

static void done(void *ctx, void *job, bool lasted)
{
    struct loop *l = ctx;
    struct job *j = job;
    EXPECT_EQ(atomic_load(&j->told), lasted);
    EXPECT(!atomic_exchange(&j->done, true));
    atomic_store(&j->lasted, lasted);
    atomic_fetch_add(&l->done, 1);
}

static const struct driver_ops ops = { turn, waited_for, work, lasts, done };

static void begin(struct loop *l, unsigned n, bool slow)
{
    *l = (struct loop){ .jobs = mem_alloc_array(n, sizeof(struct job)), .n_jobs = n, .slow = slow };
    memset(l->jobs, 0, n * sizeof(*l->jobs));
    drivers_start(&l->d, "test", &ops, l);
}

static void wait_until(_Atomic unsigned *n, unsigned least)
{
    for (int i = 0; i < 20000 && atomic_load(n) < least; i++) clock_sleep_ns(1000000);
    EXPECT(atomic_load(n) >= least);
}

static void end(struct loop *l)
{
    drivers_stop(&l->d);
    for (unsigned i = 0; i < l->at; i++) EXPECT(atomic_load(&l->jobs[i].done));
    mem_free(l->jobs);
}

TEST(drivers_do_short_jobs_one_after_the_other)
{
    enum { JOBS = 20000 };
    struct loop l;
    begin(&l, JOBS, false);
    wait_until(&l.done, JOBS);
    end(&l);
    EXPECT_EQ(l.at, JOBS);
}

TEST(drivers_loop_goes_on_beside_a_long_job)
{
    struct loop l;
    begin(&l, 2, true);
    unsigned turns = 0;
    for (unsigned i = 0; i < 50; i++) {        /* the loop was taken over when it turns again */
        clock_sleep_ns(DRIVERS_LOOK_NS);
        turns = atomic_load(&l.turns);
    }
    wait_until(&l.turns, turns + 20);
    EXPECT_EQ(atomic_load(&l.done), 0);
    EXPECT(atomic_load(&l.jobs[0].told) && !atomic_load(&l.jobs[1].told));
    atomic_store(&l.open, true);
    wait_until(&l.done, 2);
    EXPECT(atomic_load(&l.jobs[0].lasted));
    end(&l);
    EXPECT(l.in_place > 0);                    /* nobody stood by meanwhile */
}

/* Jobs that never last for long, but the loop has much to do. */
TEST(drivers_loop_that_others_wait_for_is_taken_over)
{
    enum { JOBS = 2000 };
    struct loop l;
    begin(&l, JOBS, false);
    atomic_store(&l.waited_for, true);
    wait_until(&l.done, JOBS);
    end(&l);
}

TEST(drivers_stop_at_any_time)
{
    for (unsigned i = 0; i < 50; i++) {
        struct loop l;
        begin(&l, 1000, false);
        clock_sleep_ns(i * 100000);
        end(&l);
    }
}
