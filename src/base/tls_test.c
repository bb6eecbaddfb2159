/* tls_test.c — a thread's last calls: each once, the latest first, in no other thread. */
#include "base/tls.h"

#include "base/lock.h"
#include "base/test.h"

enum { CALLS = 5, THREADS = 4 };
struct last_calls;
struct last_call { struct last_calls *of; int id; };
struct last_calls { int order[CALLS + 1], n; struct last_call call[CALLS]; };

static void note_call(void *arg)
{
    struct last_call *c = arg;
    c->of->order[c->of->n++] = c->id;
}

static void *register_calls(void *arg)
{
    struct last_calls *l = arg;
    for (int i = 0; i < CALLS; i++) {
        l->call[i] = (struct last_call){ l, i };
        tls_on_exit(note_call, &l->call[i]);
    }
    return NULL;
}

static void *register_nothing(void *arg) { return arg; }

TEST(tls_each_thread_its_own_latest_first)
{
    pthread_t threads[THREADS], idle;
    static struct last_calls l[THREADS];
    memset(l, 0, sizeof(l));
    for (int k = 0; k < THREADS; k++)
        EXPECT_EQ(pthread_create(&threads[k], NULL, register_calls, &l[k]), 0);
    EXPECT_EQ(pthread_create(&idle, NULL, register_nothing, NULL), 0);
    EXPECT_EQ(pthread_join(idle, NULL), 0);
    for (int k = 0; k < THREADS; k++) EXPECT_EQ(pthread_join(threads[k], NULL), 0);
    for (int k = 0; k < THREADS; k++) {
        EXPECT_EQ(l[k].n, CALLS);
        for (int i = 0; i < CALLS; i++) EXPECT_EQ(l[k].order[i], CALLS - 1 - i);
    }
}
