/* Who stands by looks each DRIVERS_LOOK_NS as long as the loop is left now and then, so that to
 * leave it and to come back cost no system call; it sleeps when it was not for IDLE_LOOKS. */
#include "api/http_drivers.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/pieces.h"
#include "io/thread.h"

static const int64_t IDLE_NS = 200000000;
enum { IDLE_LOOKS = 16 };

/* Waits to be called; who does so for long keeps no memory that was freed. */
static void sleep_locked(struct drivers *d) REQUIRES(d->mu)
{
    int64_t until = clock_mono_ns() + IDLE_NS;
    bool lean = false;
    mtx_assert_held(&d->mu);
    d->asleep = true;
    while (d->asleep) {
        if (lean) cond_wait(&d->changed, &d->mu);
        else if (!cond_wait_until(&d->changed, &d->mu, until) && d->asleep) {
            mtx_unlock(&d->mu);
            mem_thread_idle();
            mtx_lock(&d->mu);
            lean = true;
        }
    }
}

/* The loop stands: it is ours when it stood at the last look, too, or others wait for it. */
static bool stands_still_locked(struct drivers *d, uint64_t seen) REQUIRES(d->mu)
{
    mtx_assert_held(&d->mu);
    if (d->driven || d->left == seen) return !d->driven;
    mtx_unlock(&d->mu);
    bool waited_for = d->ops->waited_for(d->ctx);
    mtx_lock(&d->mu);
    return waited_for && !d->driven;
}

static void take_locked(struct drivers *d) REQUIRES(d->mu)
{
    void *job = d->job;
    mtx_assert_held(&d->mu);
    d->driven = true;
    if (!job) return;
    d->lasts = d->telling = true;
    mtx_unlock(&d->mu);
    d->ops->lasts(d->ctx, job);
    mtx_lock(&d->mu);
    d->telling = false;
    cond_broadcast(&d->changed);
}

/* Returns with the loop; false: it is not needed any more. */
static bool stand_by(struct drivers *d)
{
    uint64_t seen = 0;
    unsigned idle = IDLE_LOOKS;
    mtx_lock(&d->mu);
    atomic_store_explicit(&d->stands_by, d->driven, memory_order_relaxed);
    while (!atomic_load(&d->stop) && !stands_still_locked(d, seen)) {
        idle = d->left == seen ? idle + 1 : 0;
        if (idle > IDLE_LOOKS) {
            sleep_locked(d);
            continue;
        }
        seen = d->left;
        cond_wait_until(&d->changed, &d->mu, clock_mono_ns() + DRIVERS_LOOK_NS);
    }
    bool takes = !atomic_load(&d->stop);
    atomic_store_explicit(&d->stands_by, false, memory_order_relaxed);
    if (takes) take_locked(d);
    mtx_unlock(&d->mu);
    return takes;
}

static void leave(struct drivers *d, void *job)
{
    mtx_lock(&d->mu);
    d->driven = d->lasts = false;
    d->job = job;
    d->left++;
    if (d->asleep) cond_signal(&d->changed);
    d->asleep = false;
    mtx_unlock(&d->mu);
}

/* Whether the loop is this thread's again. */
static bool come_back(struct drivers *d)
{
    mtx_lock(&d->mu);
    while (d->telling) cond_wait(&d->changed, &d->mu);
    bool ours = !d->lasts;
    if (ours) d->driven = true;
    d->job = NULL;
    mtx_unlock(&d->mu);
    return ours;
}

static void drive(struct drivers *d)
{
    bool ours = true;
    while (ours && !atomic_load_explicit(&d->stop, memory_order_relaxed)) {
        void *job = d->ops->turn(d->ctx);
        if (!job) continue;
        leave(d, job);
        d->ops->work(d->ctx, job);
        ours = come_back(d);
        d->ops->done(d->ctx, job, !ours);
    }
}

static void driver_run(void *arg)
{
    struct drivers *d = arg;
    pieces_keep(true);
    while (stand_by(d)) drive(d);
}

void drivers_start(struct drivers *d, const char *name, const struct driver_ops *ops, void *ctx)
{
    *d = (struct drivers){ .ops = ops, .ctx = ctx };
    mtx_init(&d->mu, LOCK_LEAF);
    cond_init(&d->changed);
    for (size_t i = 0; i < ARRAY_LEN(d->threads); i++)
        d->threads[i] = thread_start(name, driver_run, d);
}

void drivers_stop(struct drivers *d)
{
    if (!d->ops) return;
    mtx_lock(&d->mu);
    atomic_store(&d->stop, true);
    d->asleep = false;
    cond_broadcast(&d->changed);
    mtx_unlock(&d->mu);
    for (size_t i = 0; i < ARRAY_LEN(d->threads); i++) thread_join(d->threads[i]);
    cond_fini(&d->changed);
    mtx_fini(&d->mu);
    d->ops = NULL;
}
