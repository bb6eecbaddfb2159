#include "promql/slices.h"

#include "base/clock.h"
#include "base/metric.h"
#include "io/pool.h"

static const double held_bounds[] = { .0015, .002, .003, .005, .01, .02, .05, .1, 1 };
HISTOGRAM(held, "epimetheus_query_slice_seconds",
    "CPU time that a query past its first millisecond used before it asked whether to give way.",
    held_bounds)

void slices_init(struct slices *all, unsigned places)
{
    assert(places > 0);
    *all = (struct slices){ .free = places };
    mtx_init(&all->mu, LOCK_QUERY);
}

void slices_fini(struct slices *all)
{
    assert(!all->first);
    mtx_fini(&all->mu);
}

void slice_begin(struct slice *t, struct slices *all)
{
    *t = (struct slice){ .all = all, .since_ns = clock_mono_ns() };
    t->begun_ns = t->since_ns;
    runner_init(&t->runner);
    t->since_cpu_ns = t->runner.used_ns;
    cond_init(&t->given);
}

/* Up to 64 ms, 1 s, 16 s, ... of CPU time, less an eighth of what it waited. The panels of a
 * dashboard are of one class: their clients ask for the next when they have one, so what the light
 * ones gain the heavier lose as often. */
static unsigned slice_class(const struct slice *t)
{
    enum { LIGHTEST_NS = 64 * 1000 * 1000, TIMES = 16, OF_WAITED = 8 };
    unsigned class = 0;
    for (int64_t ns = t->used_ns - t->waited_ns / OF_WAITED; ns > LIGHTEST_NS; ns /= TIMES) class++;
    return class;
}

bool slice_goes_before(const struct slice *a, const struct slice *b)
{
    unsigned class_a = slice_class(a), class_b = slice_class(b);
    return class_a != class_b ? class_a < class_b : a->begun_ns < b->begun_ns;
}

/* Who waits and goes before all others that wait; NULL: nobody waits. Their times are brought up
 * to now. */
static struct slice *slices_next_locked(struct slices *all) REQUIRES(all->mu)
{
    struct slice *best = all->first;
    int64_t now = clock_mono_ns();
    mtx_assert_held(&all->mu);
    for (struct slice *t = all->first; t; t = t->next) {
        t->waited_ns += now - t->since_ns;
        t->since_ns = now;
        if (slice_goes_before(t, best)) best = t;
    }
    return best;
}

static void slices_leave_locked(struct slices *all, struct slice *t) REQUIRES(all->mu)
{
    struct slice **at = &all->first;
    mtx_assert_held(&all->mu);
    while (*at != t) at = &(*at)->next;
    *at = t->next;
}

/* It is about to have its first place, or has given back its last. */
static void slice_link_locked(struct slices *all, struct slice *t) REQUIRES(all->mu)
{
    mtx_assert_held(&all->mu);
    if (t->placed || t->borrowed) return;
    t->next = all->holders;
    all->holders = t;
    runner_look(&t->runner);
}

static void slice_unlink_locked(struct slices *all, struct slice *t) REQUIRES(all->mu)
{
    struct slice **at = &all->holders;
    mtx_assert_held(&all->mu);
    if (t->placed || t->borrowed) return;
    while (*at != t) at = &(*at)->next;
    *at = t->next;
}

static void slice_place_locked(struct slices *all, struct slice *t) REQUIRES(all->mu)
{
    mtx_assert_held(&all->mu);
    slice_link_locked(all, t);
    all->free--;
    t->placed = true;
}

/* Places are free: the first that wait have them. */
static void slices_give_locked(struct slices *all, unsigned n) REQUIRES(all->mu)
{
    mtx_assert_held(&all->mu);
    all->free += n;
    for (struct slice *t; all->free && (t = slices_next_locked(all));) {
        slices_leave_locked(all, t);
        slice_place_locked(all, t);
        cond_signal(&t->given);
    }
}

/* REQUIRES: it has some */
static void slice_give_up_locked(struct slices *all, struct slice *t) REQUIRES(all->mu)
{
    unsigned n = t->placed + t->borrowed;
    mtx_assert_held(&all->mu);
    t->placed = false;
    t->borrowed = 0;
    slice_unlink_locked(all, t);
    slices_give_locked(all, n);
}

/* All are looked at, also behind one that runs: each by what it did since its last look. */
static bool slice_stands_locked(struct slices *all, struct slice *t) REQUIRES(all->mu)
{
    bool stands = runner_stands(&t->runner, SLICE_STANDS_NS);
    mtx_assert_held(&all->mu);
    for (struct slice_help *h = t->helps; h; h = h->next)
        stands &= runner_stands(&h->runner, SLICE_STANDS_NS);
    return stands;
}

/* Who waits takes the places of those that stand still; not of one that was given its place and has
 * not woken yet: it is in no list any more from which it could be given another. */
static void slices_look_locked(struct slices *all) REQUIRES(all->mu)
{
    mtx_assert_held(&all->mu);
    for (struct slice *t = all->holders, *next; t && all->first; t = next) {
        next = t->next;
        if (atomic_load_explicit(&t->waits, memory_order_relaxed)) continue;
        if (slice_stands_locked(all, t)) slice_give_up_locked(all, t);
    }
}

void slice_end(struct slice *t)
{
    if (t->all) {
        mtx_lock(&t->all->mu);
        assert(!t->helps);
        if (t->placed || t->borrowed) slice_give_up_locked(t->all, t);
        mtx_unlock(&t->all->mu);
    }
    if (t->behind) thread_step_back();
    cond_fini(&t->given);
}

void slices_wake(struct slices *all)
{
    mtx_lock(&all->mu);
    for (struct slice *t = all->first; t; t = t->next) cond_signal(&t->given);
    mtx_unlock(&all->mu);
}

/* Waits for a place until it is its turn. */
static void slice_wait_locked(struct slice *t, bool (*gone)(void *ctx), void *ctx)
    REQUIRES(t->all->mu)
{
    enum { LOOK_NS = 20 * 1000 * 1000 };
    t->next = t->all->first;
    t->all->first = t;
    atomic_store_explicit(&t->waits, true, memory_order_relaxed);
    while (!t->placed) {
        cond_wait_until(&t->given, &t->all->mu, clock_mono_ns() + LOOK_NS);
        if (!t->placed) slices_look_locked(t->all);
        if (t->placed || !gone(ctx)) continue;
        slices_leave_locked(t->all, t);
        break;
    }
    runner_look(&t->runner);
    atomic_store_explicit(&t->waits, false, memory_order_relaxed);
}

void slice_take(struct slice *t, bool (*gone)(void *ctx), void *ctx)
{
    if (!t->all) return;
    int64_t now = clock_mono_ns();
    if (now - t->since_ns < SLICE_NS) return;
    int64_t used = clock_cpu_ns() - t->since_cpu_ns;
    if (used < SLICE_NS / 2) {                 /* it waited for a core or a disk */
        t->since_ns = now;
        return;
    }
    t->used_ns += used;
    metric_observe(&held, (double)used * 1e-9);
    if (!t->behind) t->behind = thread_step_behind();
    mtx_lock(&t->all->mu);
    t->since_ns = now;
    if (t->placed) {
        const struct slice *next = slices_next_locked(t->all);
        if (next && slice_goes_before(next, t)) slice_give_up_locked(t->all, t);
    }
    if (!t->placed && t->all->free) slice_place_locked(t->all, t);
    if (!t->placed && t->borrowed) slice_give_up_locked(t->all, t);
    if (!t->placed) slice_wait_locked(t, gone, ctx);
    mtx_unlock(&t->all->mu);
    now = clock_mono_ns();
    t->waited_ns += now - t->since_ns;
    t->since_ns = now;
    t->since_cpu_ns = clock_cpu_ns();
}

unsigned slice_borrow(struct slice *t, unsigned want)
{
    if (!t->all) return 0;
    mtx_lock(&t->all->mu);
    assert(!t->borrowed);
    unsigned n = t->all->first ? 0 : MIN(want, t->all->free);
    if (n) slice_link_locked(t->all, t);
    t->all->free -= n;
    t->borrowed = n;
    mtx_unlock(&t->all->mu);
    return n;
}

void slice_return(struct slice *t)
{
    mtx_lock(&t->all->mu);
    unsigned n = t->borrowed;
    t->borrowed = 0;
    if (n) slice_unlink_locked(t->all, t);
    slices_give_locked(t->all, n);
    mtx_unlock(&t->all->mu);
}

void slice_help_begin(struct slice *t, struct slice_help *h)
{
    runner_init(&h->runner);
    mtx_lock(&t->all->mu);
    h->next = t->helps;
    t->helps = h;
    mtx_unlock(&t->all->mu);
}

void slice_help_end(struct slice *t, struct slice_help *h)
{
    struct slice_help **at = &t->helps;
    mtx_lock(&t->all->mu);
    while (*at != h) at = &(*at)->next;
    *at = h->next;
    mtx_unlock(&t->all->mu);
}
