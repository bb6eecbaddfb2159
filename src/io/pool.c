#include "io/pool.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/pieces.h"
#include "base/metric.h"
#include "io/runner.h"
#include "io/thread.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>

GAUGE_VEC(
    m_queue, "epimetheus_pool_queue_length", "Jobs that wait for a thread of the pool.", "pool")
GAUGE_VEC(
    m_limit, "epimetheus_pool_queue_limit", "Jobs that may wait for a thread of the pool.", "pool")
GAUGE_VEC(m_busy, "epimetheus_pool_threads_busy", "Threads of the pool that run a job.", "pool")
COUNTER_VEC(m_refused, "epimetheus_pool_jobs_refused_total",
    "Jobs that found the queue of the pool full.", "pool")

#define IDLE_NS INT64_C(200000000)
#define MS_NS INT64_C(1000000)
enum { LEAVE_MS = 60000 };
/* who has hardly run for so long stands still; the same where as many as there may be do; how often
 * that is looked at while jobs wait */
#define STANDS_NS INT64_C(100000000)
#define HANGS_NS INT64_C(25000000)
#define LOOK_NS INT64_C(25000000)

struct job { void (*run)(void *ctx); void *ctx; };

/* A thread that waits, on its own stack. The last to wait is called first: its memory is warm. */
struct idle { struct cond called; bool is_called; struct idle *next; };
struct worker {
    struct pool *p;
    struct thread *thread;
    bool ended, clocked;                   /* clocked: runner was begun */
    struct runner runner;
};
struct pool {
    struct mtx mu;                         /* LOCK_POOL */
    struct idle *idle;                     /* GUARDED_BY(mu) */
    struct job *ring;                      /* GUARDED_BY(mu) */
    size_t cap, head, n;                   /* GUARDED_BY(mu) */
    bool stop;                             /* GUARDED_BY(mu) */
    struct worker *workers;                /* GUARDED_BY(mu): n_most of them */
    unsigned n_now;                        /* GUARDED_BY(mu): that run */
    unsigned standing;                     /* GUARDED_BY(mu): of those, at the last look */
    struct cond crowded;                   /* a job found no thread; or stop */
    unsigned n_threads, n_most, cores;     /* const after init, with all below */
    struct thread *watch;                  /* NULL: n_most is n_threads */
    bool behind;
    int64_t leave_ns;
    char name[16];
    struct metric *queue, *busy, *refused;
};

/* --- whose turn comes first --- */

enum { NICE_BEHIND = 7 };                      /* a fifth of the weight of 0 */

/* Of this thread alone; false: not allowed. */
static bool nice_add(int by)
{
    errno = 0;
    int now = getpriority(PRIO_PROCESS, 0);
    return errno == 0 && setpriority(PRIO_PROCESS, 0, now + by) == 0;
}

static void nice_try(void *ctx)
{
    *(bool *)ctx = nice_add(1) && nice_add(-1);
}

/* Only with a privilege or a limit a thread may become less nice. Who tries may not come back, so a
 * thread of its own does. */
static bool nice_comes_back(void)
{
    enum { UNKNOWN, YES, NO };
    static _Atomic int known = UNKNOWN;        /* any thread; all find the same */
    int is = atomic_load_explicit(&known, memory_order_relaxed);
    if (is == UNKNOWN) {
        bool can = false;
        thread_join(thread_start("nice", nice_try, &can));
        is = can ? YES : NO;
        atomic_store_explicit(&known, is, memory_order_relaxed);
    }
    return is == YES;
}

bool thread_step_behind(void) { return nice_comes_back() && nice_add(NICE_BEHIND); }
void thread_step_back(void) { nice_add(-NICE_BEHIND); }

/* --- threads --- */

static void idle_leave_locked(struct pool *p, struct idle *me) REQUIRES(p->mu)
{
    struct idle **at = &p->idle;
    mtx_assert_held(&p->mu);
    while (*at != me) at = &(*at)->next;
    *at = me->next;
}

/* Who has nothing to do for a while keeps no memory that was freed, and then not even its stack:
 * with hundreds of threads it is much. False: it is to end. */
static bool pool_wait_locked(struct pool *p) REQUIRES(p->mu)
{
    struct idle me = { .next = p->idle };
    int64_t now = clock_mono_ns();
    bool lean = false, stays = true;
    mtx_assert_held(&p->mu);
    cond_init(&me.called);
    p->idle = &me;
    while (!me.is_called && stays) {
        int64_t until = now + IDLE_NS + (lean ? p->leave_ns : 0);
        if (cond_wait_until(&me.called, &p->mu, until)) continue;
        if (me.is_called) break;
        if (lean) {
            stays = p->n_now == 1;
            now = clock_mono_ns();
            if (!stays) idle_leave_locked(p, &me);
            continue;
        }
        lean = true;
        mtx_unlock(&p->mu);
        mem_thread_idle();
        mtx_lock(&p->mu);
    }
    cond_fini(&me.called);
    return stays;
}

static bool pool_take(struct worker *w, struct job *out)
{
    struct pool *p = w->p;
    bool stays = true;
    mtx_lock(&p->mu);
    while (!p->n && !p->stop && stays) stays = pool_wait_locked(p);
    bool got = stays && p->n > 0;
    if (got) {
        *out = p->ring[p->head];
        p->head = (p->head + 1) % p->cap;
        p->n--;
        if (p->watch) runner_look(&w->runner);
        metric_set_of(p->queue, (double)p->n);
    } else {
        w->ended = true;
        p->n_now--;
    }
    mtx_unlock(&p->mu);
    return got;
}

static void pool_run(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->p;
    struct job j;
    mtx_lock(&p->mu);
    runner_init(&w->runner);
    w->clocked = true;
    mtx_unlock(&p->mu);
    pieces_keep(true);
    if (p->behind) nice_add(NICE_BEHIND);
    while (pool_take(w, &j)) {
        metric_add_to(p->busy, 1);
        j.run(j.ctx);
        metric_add_to(p->busy, -1);
    }
}

/* One more, if the system gives it: else those who are there do it. */
static void pool_grow_locked(struct pool *p) REQUIRES(p->mu)
{
    struct worker *w = p->workers;
    mtx_assert_held(&p->mu);
    while (w->thread && !w->ended) w++;
    thread_join(w->thread);                    /* it left: it is about to end */
    *w = (struct worker){ .p = p };
    w->thread = thread_try(p->name, pool_run, w);
    p->n_now += w->thread != NULL;
}

static void pool_call_locked(struct pool *p) REQUIRES(p->mu)
{
    struct idle *i = p->idle;
    mtx_assert_held(&p->mu);
    if (!i && p->n_now < p->n_threads) pool_grow_locked(p);
    else if (!i && p->watch) cond_signal(&p->crowded);
    if (!i) return;
    p->idle = i->next;
    i->is_called = true;
    cond_signal(&i->called);
}

static unsigned pool_standing_locked(struct pool *p) REQUIRES(p->mu)
{
    int64_t for_ns = p->standing >= p->n_threads ? HANGS_NS : STANDS_NS;
    unsigned n = 0;
    mtx_assert_held(&p->mu);
    for (struct worker *w = p->workers; w < p->workers + p->n_most; w++) {
        if (!w->thread || w->ended || !w->clocked) continue;
        n += runner_stands(&w->runner, for_ns);
    }
    p->standing = n;
    return n;
}

/* Waits until jobs wait and nobody is free; then it looks whether the threads run at all. */
static void pool_watch(void *arg)
{
    struct pool *p = arg;
    mtx_lock(&p->mu);
    while (!p->stop) {
        if (!p->n || p->idle) {
            cond_wait(&p->crowded, &p->mu);
            continue;
        }
        unsigned standing = pool_standing_locked(p), started = 0;
        while (started < p->n && p->n_now < p->n_most && p->n_now < p->n_threads + standing) {
            pool_grow_locked(p);
            started++;
        }
        cond_wait_until(&p->crowded, &p->mu, clock_mono_ns() + LOOK_NS);
    }
    mtx_unlock(&p->mu);
}

struct pool *pool_new(const struct pool_opts *o)
{
    assert(o->threads > 0 && o->queue_max > 0);
    struct pool *p = NEW(struct pool);
    mtx_init(&p->mu, LOCK_POOL);
    p->cap = o->queue_max;
    p->ring = mem_alloc_array(p->cap, sizeof(*p->ring));
    str name = str_z(o->name);
    memcpy(p->name, o->name, MIN(name.n, sizeof(p->name) - 1));
    p->queue = METRIC_WITH(&m_queue, name);
    p->busy = METRIC_WITH(&m_busy, name);
    p->refused = METRIC_WITH(&m_refused, name);
    metric_set_of(METRIC_WITH(&m_limit, name), (double)p->cap);
    p->n_threads = o->threads;
    p->cores = pool_cores();
    p->behind = o->behind;
    p->leave_ns = (o->leave_ms ? o->leave_ms : LEAVE_MS) * MS_NS;
    p->n_most = MAX(o->threads, o->threads_most);
    p->workers = mem_alloc_array(p->n_most, sizeof(*p->workers));
    memset(p->workers, 0, p->n_most * sizeof(*p->workers));
    cond_init(&p->crowded);
    mtx_lock(&p->mu);
    p->n_now = 1;
    p->workers[0].p = p;
    p->workers[0].thread = thread_start(p->name, pool_run, &p->workers[0]);
    if (p->n_most > p->n_threads) p->watch = thread_start("pool-watch", pool_watch, p);
    mtx_unlock(&p->mu);
    return p;
}

void pool_free(struct pool *p)
{
    if (!p) return;
    mtx_lock(&p->mu);
    p->stop = true;
    while (p->idle) pool_call_locked(p);
    cond_broadcast(&p->crowded);
    mtx_unlock(&p->mu);
    thread_join(p->watch);
    for (unsigned i = 0; i < p->n_most; i++) thread_join(p->workers[i].thread);
    cond_fini(&p->crowded);
    mem_free(p->workers);
    mem_free(p->ring);
    mtx_fini(&p->mu);
    mem_free(p);
}

unsigned pool_threads(const struct pool *p) { return p->n_threads; }

unsigned pool_threads_now(struct pool *p)
{
    mtx_lock(&p->mu);
    unsigned n = p->n_now;
    mtx_unlock(&p->mu);
    return n;
}

unsigned pool_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? (unsigned)n : 1;
}

bool pool_submit(struct pool *p, void (*run)(void *ctx), void *ctx)
{
    mtx_lock(&p->mu);
    bool ok = !p->stop && p->n < p->cap;
    if (ok) {
        p->ring[(p->head + p->n++) % p->cap] = (struct job){ run, ctx };
        metric_set_of(p->queue, (double)p->n);
        pool_call_locked(p);
    }
    mtx_unlock(&p->mu);
    if (!ok) metric_add_to(p->refused, 1);
    return ok;
}

void pool_stand_in(struct pool *p, bool begins) { metric_add_to(p->busy, begins ? 1 : -1); }

/* Shared by the caller and its helpers; freed by the last to leave, since a helper may begin when
 * all is done already. */
struct each {
    struct pool *p;
    size_t n;
    void (*piece)(void *ctx, size_t i);
    void *ctx;
    _Atomic size_t next, done;
    _Atomic unsigned refs, helpers;
    struct mtx mu;                         /* LOCK_LEAF */
    struct cond ended;
};
static _Thread_local struct each *each_here; /* whose piece this thread runs */

static void each_unref(struct each *e)
{
    if (atomic_fetch_sub(&e->refs, 1) != 1) return;
    cond_fini(&e->ended);
    mtx_fini(&e->mu);
    mem_free(e);
}

static void each_work(struct each *e)
{
    struct each *outer = each_here;
    for (;;) {
        each_here = outer;
        size_t i = atomic_fetch_add(&e->next, 1);
        if (i >= e->n) return;
        each_here = e;
        e->piece(e->ctx, i);
        if (atomic_fetch_add(&e->done, 1) + 1 < e->n) continue;
        mtx_lock(&e->mu);
        cond_broadcast(&e->ended);
        mtx_unlock(&e->mu);
    }
}

static void each_help(void *arg)
{
    struct each *e = arg;
    each_work(e);
    each_unref(e);
}

/* False: there are as many as there may be, or the queue is full. */
static bool each_call(struct each *e)
{
    if (!e->p || atomic_fetch_add(&e->helpers, 1) >= MIN((size_t)e->p->n_threads, e->n - 1))
        return false;
    atomic_fetch_add(&e->refs, 1);
    if (pool_submit(e->p, each_help, e)) return true;
    atomic_fetch_sub(&e->helpers, 1);
    each_unref(e);
    return false;
}

void pool_waits(void)
{
    struct each *e = each_here;
    if (e && atomic_load(&e->next) < e->n) (void)each_call(e);
}

static void each_run(struct pool *p, size_t n, unsigned helpers,
    void (*piece)(void *ctx, size_t i), void *ctx)
{
    if (!n) return;
    struct each *e = NEW(struct each);
    *e = (struct each){ .p = p, .n = n, .piece = piece, .ctx = ctx };
    mtx_init(&e->mu, LOCK_LEAF);
    cond_init(&e->ended);
    atomic_store(&e->refs, 1);
    while (helpers && each_call(e)) helpers--;
    each_work(e);
    mtx_lock(&e->mu);
    while (atomic_load(&e->done) < n) cond_wait(&e->ended, &e->mu);
    mtx_unlock(&e->mu);
    each_unref(e);
}

void pool_each(struct pool *p, size_t n, void (*piece)(void *ctx, size_t i), void *ctx)
{
    each_run(p, n, p ? p->n_threads : 0, piece, ctx);
}

void pool_each_far(struct pool *p, size_t n, void (*piece)(void *ctx, size_t i), void *ctx)
{
    each_run(p, n, p ? MAX(p->cores, 2u) - 1 : 0, piece, ctx);
}
