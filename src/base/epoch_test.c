#include "base/epoch.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/test.h"

enum { READERS = 3, SWAPS = 20000, ALIVE = 0x600d, DEAD = 0xdead };
struct epoch_box { _Atomic int state; };
static struct epoch_box *_Atomic epoch_shared;
static _Atomic bool epoch_over, epoch_saw_dead;
static _Atomic int epoch_freed;

static void box_free(void *p)
{
    atomic_store(&((struct epoch_box *)p)->state, DEAD);
    atomic_fetch_add(&epoch_freed, 1);
    mem_free(p);
}

static void *epoch_read(void *arg)
{
    while (!atomic_load(&epoch_over)) {
        epoch_enter();
        epoch_enter();
        struct epoch_box *b = atomic_load_explicit(&epoch_shared, memory_order_acquire);
        for (int i = 0; i < 10; i++)
            if (atomic_load(&b->state) != ALIVE) atomic_store(&epoch_saw_dead, true);
        epoch_leave();
        epoch_leave();
    }
    return arg;
}

TEST(epoch_readers_never_see_what_was_freed)
{
    pthread_t readers[READERS];
    struct epoch_box *first = NEW(struct epoch_box);
    first->state = ALIVE;
    atomic_store(&epoch_shared, first);
    for (int i = 0; i < READERS; i++)
        EXPECT_EQ(pthread_create(&readers[i], NULL, epoch_read, NULL), 0);
    for (int i = 0; i < SWAPS; i++) {
        struct epoch_box *fresh = NEW(struct epoch_box);
        fresh->state = ALIVE;
        epoch_retire(atomic_exchange(&epoch_shared, fresh), box_free);
        if (i % 16 == 0) epoch_collect();
    }
    atomic_store(&epoch_over, true);
    for (int i = 0; i < READERS; i++) EXPECT_EQ(pthread_join(readers[i], NULL), 0);
    epoch_drain();
    EXPECT_EQ(atomic_load(&epoch_freed), SWAPS);
    EXPECT(!atomic_load(&epoch_saw_dead));
    mem_free(atomic_load(&epoch_shared));
}

static void count_free(void *p, void *ctx)
{
    (void)p;
    ++*(int *)ctx;
}

TEST(epoch_holds_while_a_reader_is_inside)
{
    int freed = 0;
    epoch_enter();
    epoch_retire_ctx(NULL, &freed, count_free);
    epoch_collect();
    EXPECT_EQ(freed, 0);
    epoch_leave();
    epoch_collect();
    EXPECT_EQ(freed, 1);
}
