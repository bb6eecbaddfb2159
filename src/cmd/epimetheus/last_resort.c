/* A thread that waits for a disk can be neither joined nor ended, so who waits for it waits as long
 * as the disk does. How long an orderly end takes is not known beforehand: a snapshot of the head
 * may take a minute. But whoever works uses CPU time; so the patience is counted from when the
 * process last did. */
#include "cmd/epimetheus/last_resort.h"

#include "base/clock.h"
#include "base/cpu_time.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/thread.h"

#include <unistd.h>

enum { LOOK_MS = 250, PATIENCE_MS = 10000, EXIT_CODE = 1 };
#define MS_NS INT64_C(1000000)
/* of CPU time between two looks: less is what the looks themselves and the log take */
#define WORKS_NS (5 * MS_NS)

struct last_resort {
    struct mtx mu; /* LOCK_LEAF: over */
    struct cond ended;
    bool over;
    struct thread *thread;
};

static void run(void *ctx)
{
    struct last_resort *r = ctx;
    int64_t worked_ns = clock_mono_ns(), cpu = cpu_time_process_ns();
    mtx_lock(&r->mu);
    while (!r->over) {
        int64_t now = clock_mono_ns(), used = cpu_time_process_ns() - cpu;
        cpu += used;
        if (used > WORKS_NS) worked_ns = now;
        if (now - worked_ns > PATIENCE_MS * MS_NS) break;
        cond_wait_until(&r->ended, &r->mu, now + LOOK_MS * MS_NS);
    }
    bool over = r->over;
    mtx_unlock(&r->mu);
    if (over) return;
    LOG(ERROR, "storage does not answer: the process ends without it");
    log_stop();
    _exit(EXIT_CODE);
}

struct last_resort *last_resort_begin(void)
{
    struct last_resort *r = NEW(struct last_resort);
    mtx_init(&r->mu, LOCK_LEAF);
    cond_init(&r->ended);
    r->thread = thread_start("last-resort", run, r);
    return r;
}

void last_resort_end(struct last_resort *r)
{
    mtx_lock(&r->mu);
    r->over = true;
    cond_broadcast(&r->ended);
    mtx_unlock(&r->mu);
    thread_join(r->thread);
    cond_fini(&r->ended);
    mtx_fini(&r->mu);
    mem_free(r);
}
