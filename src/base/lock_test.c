#include "base/lock.h"

#include "base/clock.h"
#include "base/waits.h"
#include "base/test.h"

static void take(enum lock_rank first, enum lock_rank second)
{
    static struct mtx a, b;
    mtx_init(&a, first);
    mtx_init(&b, second);
    mtx_lock(&a);
    mtx_lock(&b);
    mtx_unlock(&b);
    mtx_unlock(&a);
}

static void downward(void) { take(LOCK_DB, LOCK_WAL); }
static void upward(void) { take(LOCK_WAL, LOCK_DB); }
static void sideways(void) { take(LOCK_HEAD_STRIPE, LOCK_HEAD_STRIPE); }

static void byte_then_upward(void)
{
    static bytelock l;
    static struct mtx m;
    mtx_init(&m, LOCK_DB);
    bytelock_lock(&l, LOCK_SERIES);
    mtx_lock(&m);
}

static void not_held(void)
{
    static struct mtx m;
    mtx_init(&m, LOCK_DB);
    mtx_assert_held(&m);
}

TEST(lock_ranks)
{
#ifdef EPI_DEBUG_LOCKS
    EXPECT(!test_aborts(downward));
    EXPECT(test_aborts(upward));
    EXPECT(test_aborts(sideways));
    EXPECT(test_aborts(byte_then_upward));
    EXPECT(test_aborts(not_held));
#else
    (void)downward, (void)upward, (void)sideways, (void)byte_then_upward, (void)not_held;
    test_skip("ranks are checked in debug builds");
#endif
}

static void *advance(void *arg)
{
    (void)arg;
    clock_sleep_ns(3000000);
    clock_fake_advance(60000);
    return NULL;
}

/* A wait of a minute of a driven clock ends when the clock has come so far. */
TEST(cond_waits_by_a_driven_clock)
{
    struct mtx m;
    struct cond c;
    pthread_t other;
    mtx_init(&m, LOCK_DB);
    cond_init(&c);
    clock_fake_set(1000);
    int64_t until = clock_mono_ns() + INT64_C(60000000000);
    EXPECT_EQ(pthread_create(&other, NULL, advance, NULL), 0);
    mtx_lock(&m);
    while (cond_wait_until(&c, &m, until)) EXPECT(clock_mono_ns() < until);
    EXPECT(clock_mono_ns() >= until);
    mtx_unlock(&m);
    EXPECT_EQ(pthread_join(other, NULL), 0);
    clock_fake_off();
    cond_fini(&c);
    mtx_fini(&m);
}

struct shared {
    struct mtx m;
    struct cond c;
    bytelock byte;
    struct rwlock rw;
    uint64_t by_mtx, by_byte, by_rw;
    bool go;
};

static void *count(void *arg)
{
    struct shared *s = arg;
    mtx_lock(&s->m);
    while (!s->go) cond_wait(&s->c, &s->m);
    mtx_unlock(&s->m);
    for (unsigned i = 0; i < 20000; i++) {
        mtx_lock(&s->m);
        s->by_mtx++;
        mtx_unlock(&s->m);
        bytelock_lock(&s->byte, LOCK_SERIES);
        s->by_byte++;
        bytelock_unlock(&s->byte, LOCK_SERIES);
        if (i % 16 == 0) {
            rwlock_wrlock(&s->rw);
            s->by_rw++;
        } else {
            rwlock_rdlock(&s->rw);
            assert(s->by_rw <= 4 * 20000 / 16);
        }
        rwlock_unlock(&s->rw);
    }
    return NULL;
}

TEST(lock_excludes)
{
    struct shared s = { .go = false };
    mtx_init(&s.m, LOCK_WAL);
    cond_init(&s.c);
    rwlock_init(&s.rw, LOCK_POOL);
    pthread_t t[4];
    for (size_t i = 0; i < ARRAY_LEN(t); i++) EXPECT_EQ(pthread_create(&t[i], NULL, count, &s), 0);
    mtx_lock(&s.m);
    s.go = true;
    cond_broadcast(&s.c);
    mtx_unlock(&s.m);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) pthread_join(t[i], NULL);
    EXPECT_EQ(s.by_mtx, 4 * 20000);
    EXPECT_EQ(s.by_byte, 4 * 20000);
    EXPECT_EQ(s.by_rw, 4 * 20000 / 16);
    mtx_lock(&s.m);
    EXPECT(!cond_wait_until(&s.c, &s.m, clock_mono_ns() + 1000000));
    mtx_unlock(&s.m);
    rwlock_fini(&s.rw);
    cond_fini(&s.c);
    mtx_fini(&s.m);
}

/* ---- waits ---- */

enum { HELD_NS = 20000000 };

struct pair { struct mtx mu; struct cond there; bool holds; };

/* Holds the mutex for a while. */
static void *holder(void *arg)
{
    struct pair *p = arg;
    mtx_lock(&p->mu);
    p->holds = true;
    cond_signal(&p->there);
    int64_t until = clock_mono_ns() + HELD_NS;
    while (clock_mono_ns() < until) {}
    mtx_unlock(&p->mu);
    return NULL;
}

TEST(a_lock_that_is_held_and_a_condition_are_waits)
{
    struct pair p = { 0 };
    pthread_t t;
    mtx_init(&p.mu, LOCK_LEAF);
    cond_init(&p.there);
    int64_t before = waits_ns();
    mtx_lock(&p.mu);
    mtx_unlock(&p.mu);
    EXPECT_EQ(waits_ns(), before);             /* it was free */
    mtx_lock(&p.mu);
    EXPECT_EQ(pthread_create(&t, NULL, holder, &p), 0);
    while (!p.holds) cond_wait(&p.there, &p.mu);
    mtx_unlock(&p.mu);
    /* the condition was met by then, the lock was given back HELD_NS later */
    EXPECT(waits_ns() - before >= HELD_NS / 2);
    int64_t now = clock_mono_ns();
    mtx_lock(&p.mu);
    EXPECT(!cond_wait_until(&p.there, &p.mu, now + HELD_NS));
    mtx_unlock(&p.mu);
    EXPECT(waits_ns() - before >= HELD_NS);
    EXPECT_EQ(pthread_join(t, NULL), 0);
    cond_fini(&p.there);
    mtx_fini(&p.mu);
}
