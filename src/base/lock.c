#include "base/lock.h"

#include "base/clock.h"
#include "base/waits.h"

#include "base/clock.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The ranks that this thread holds, as counts: a wrong step shows before it can deadlock. */
#ifdef EPI_DEBUG_LOCKS
enum { RANKS = LOCK_LEAF + 1 };
static _Thread_local uint8_t held[RANKS];

void lock_rank_enter(enum lock_rank rank)
{
    for (unsigned r = rank; r < RANKS; r++) {
        if (!held[r]) continue;
        fprintf(stderr, "lock order: rank %u taken while holding rank %u\n", (unsigned)rank, r);
        abort();
    }
    held[rank]++;
}

void lock_rank_leave(enum lock_rank rank)
{
    assert(held[rank] > 0);
    held[rank]--;
}

static bool lock_rank_held(enum lock_rank rank) { return held[rank] > 0; }
#else
static bool lock_rank_held(enum lock_rank rank) { (void)rank; return true; }
#endif

static void check(int rc)
{
    if (rc == 0) return;
    fprintf(stderr, "lock: error %d\n", rc);
    abort();
}

static _Thread_local struct waits waited;

struct waits *waits_of_thread(void) { return &waited; }

static void waited_since(int64_t began) { waited.ns += clock_mono_ns() - began; }

void mtx_init(struct mtx *m, enum lock_rank rank)
{
    check(pthread_mutex_init(&m->m, NULL));
    m->rank = rank;
}

void mtx_fini(struct mtx *m) { check(pthread_mutex_destroy(&m->m)); }

void mtx_lock(struct mtx *m) LOCK_ATTR(no_thread_safety_analysis)
{
    lock_rank_enter(m->rank);
    if (LIKELY(pthread_mutex_trylock(&m->m) == 0)) return;
    int64_t began = clock_mono_ns();
    check(pthread_mutex_lock(&m->m));
    waited_since(began);
}

void mtx_unlock(struct mtx *m) LOCK_ATTR(no_thread_safety_analysis)
{
    /* first: once it is free, another thread may end the lock's owner */
    lock_rank_leave(m->rank);
    check(pthread_mutex_unlock(&m->m));
}

void mtx_assert_held(const struct mtx *m)
{
    assert(lock_rank_held(m->rank));
    (void)m;
}

void cond_init(struct cond *c)
{
    pthread_condattr_t attr;
    check(pthread_condattr_init(&attr));
    check(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    check(pthread_cond_init(&c->c, &attr));
    check(pthread_condattr_destroy(&attr));
}

void cond_fini(struct cond *c) { check(pthread_cond_destroy(&c->c)); }
void cond_wait(struct cond *c, struct mtx *m)
{
    int64_t began = clock_mono_ns();
    check(pthread_cond_wait(&c->c, &m->m));
    waited_since(began);
}

enum { FAKE_LOOK_NS = 1000000 };

/* Who drives the clock wakes nobody: a driven clock is looked at each millisecond. */
bool cond_wait_until(struct cond *c, struct mtx *m, int64_t until_ns)
{
    int64_t mono_ns = until_ns;
    bool fake = clock_is_fake();
    if (fake) mono_ns = clock_real_mono_ns() + FAKE_LOOK_NS;
    struct timespec ts = { mono_ns / 1000000000, mono_ns % 1000000000 };
    int64_t began = clock_mono_ns();
    int rc = pthread_cond_timedwait(&c->c, &m->m, &ts);
    waited_since(began);
    if (rc == ETIMEDOUT) return fake && clock_mono_ns() < until_ns;
    check(rc);
    return true;
}

void cond_signal(struct cond *c) { check(pthread_cond_signal(&c->c)); }
void cond_broadcast(struct cond *c) { check(pthread_cond_broadcast(&c->c)); }

void rwlock_init(struct rwlock *l, enum lock_rank rank)
{
    check(pthread_rwlock_init(&l->l, NULL));
    l->rank = rank;
}

void rwlock_fini(struct rwlock *l) { check(pthread_rwlock_destroy(&l->l)); }

void rwlock_rdlock(struct rwlock *l)
{
    lock_rank_enter(l->rank);
    if (LIKELY(pthread_rwlock_tryrdlock(&l->l) == 0)) return;
    int64_t began = clock_mono_ns();
    check(pthread_rwlock_rdlock(&l->l));
    waited_since(began);
}

void rwlock_wrlock(struct rwlock *l)
{
    lock_rank_enter(l->rank);
    if (LIKELY(pthread_rwlock_trywrlock(&l->l) == 0)) return;
    int64_t began = clock_mono_ns();
    check(pthread_rwlock_wrlock(&l->l));
    waited_since(began);
}

void rwlock_unlock(struct rwlock *l)
{
    check(pthread_rwlock_unlock(&l->l));
    lock_rank_leave(l->rank);
}

/* A byte cannot be a futex word; waiting is rare and short (nothing is waited for under a
 * bytelock), so we yield. */
void bytelock_lock_slow(bytelock *l)
{
    int64_t began = clock_mono_ns();
    for (unsigned spin = 0;; spin++) {
        uint8_t free_v = 0;
        if (atomic_load_explicit(l, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_weak_explicit(
                l, &free_v, 1, memory_order_acquire, memory_order_relaxed))
            break;
        if (spin > 64) sched_yield();
    }
    waited_since(began);
}
