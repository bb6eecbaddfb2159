/* thread_test.c — a thread runs what it was given, by its name, and gets no signals. */
#include "io/thread.h"

#include "base/test.h"

#include <pthread.h>
#include <signal.h>

struct run { int calls; char name[16]; bool blocked; pthread_t id; };

static void note_run(void *ctx)
{
    struct run *r = ctx;
    sigset_t now;
    r->calls++;
    r->id = pthread_self();
    r->blocked = pthread_sigmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGTERM) == 1 &&
                 sigismember(&now, SIGHUP) == 1 && sigismember(&now, SIGINT) == 1;
    (void)pthread_getname_np(pthread_self(), r->name, sizeof(r->name));
}

TEST(thread_runs_by_its_name)
{
    static const struct { const char *name, *shown; } cases[] = {
        { "short", "short" },
        { "exactly15chars_", "exactly15chars_" },
        { "a name that is too long", "a name that is " },
    };
    TEST_EACH(c, cases) {
        struct run r = { 0 };
        thread_join(thread_start(c->name, note_run, &r));
        EXPECT_EQ(r.calls, 1);
        EXPECT(r.blocked && !pthread_equal(r.id, pthread_self()));
        EXPECT_STR(str_z(r.name), str_z(c->shown));
    }
    thread_join(NULL);
}

/* Where the process may have no more (or is none that is limited) the caller lives. */
TEST(thread_try_starts_one_too)
{
    struct run r = { 0 };
    struct thread *t = thread_try("x", note_run, &r);
    EXPECT(t);
    thread_join(t);
    EXPECT_EQ(r.calls, 1);
}

TEST(thread_start_leaves_the_callers_signals)
{
    sigset_t before, after;
    EXPECT_EQ(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
    struct run r = { 0 };
    thread_join(thread_start("x", note_run, &r));
    EXPECT_EQ(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    for (int s = 1; s < 32; s++) EXPECT_EQ(sigismember(&after, s), sigismember(&before, s));
}
