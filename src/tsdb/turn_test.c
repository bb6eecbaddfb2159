#include "base/clock.h"
#include "base/test.h"
#include "io/thread.h"
#include "tsdb/turn.h"

static bool on(const _Atomic bool *b) { return atomic_load_explicit(b, memory_order_relaxed); }

struct asking { struct turn *t; _Atomic int inside, most, times; };

static void ask(void *arg)
{
    struct asking *k = arg;
    for (int i = 0; i < 200; i++) {
        turn_take(k->t);
        int n = atomic_fetch_add(&k->inside, 1) + 1;
        if (n > atomic_load(&k->most)) atomic_store(&k->most, n);
        atomic_fetch_add(&k->times, 1);
        atomic_fetch_sub(&k->inside, 1);
        turn_give(k->t);
    }
}

TEST(turn_is_of_one_at_a_time)
{
    struct turn t = { 0 };
    turn_init(&t);
    struct asking k = { .t = &t };
    struct thread *all[3];
    for (size_t i = 0; i < ARRAY_LEN(all); i++) all[i] = thread_start("ask", ask, &k);
    for (int i = 0; i < 200; i++) {
        turn_take_background(&t);
        EXPECT_EQ(atomic_fetch_add(&k.inside, 1), 0);
        atomic_fetch_sub(&k.inside, 1);
        turn_give_background(&t, true);
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++) thread_join(all[i]);
    EXPECT_EQ(atomic_load(&k.times), 600);
    EXPECT_EQ(atomic_load(&k.most), 1);
    turn_fini(&t);
}

static void take_once(void *arg)
{
    turn_take(arg);
    turn_give(arg);
}

TEST(turn_of_the_background_is_cut_short_once)
{
    struct turn t = { 0 };
    turn_init(&t);
    turn_take_background(&t);
    EXPECT(!on(&t.wanted) && !on(&t.hurry));
    struct thread *one = thread_start("ask", take_once, &t);
    while (!on(&t.wanted)) clock_sleep_ns(100000);
    EXPECT(on(&t.hurry));
    turn_give_background(&t, false);
    thread_join(one);
    turn_take_background(&t);                                  /* now it insists */
    EXPECT(!on(&t.wanted) && !on(&t.hurry));
    one = thread_start("ask", take_once, &t);
    while (!on(&t.wanted)) clock_sleep_ns(100000);
    EXPECT(!on(&t.hurry));
    turn_give_background(&t, true);
    thread_join(one);
    turn_stop(&t);
    EXPECT(on(&t.wanted) && on(&t.hurry));
    turn_fini(&t);
}
