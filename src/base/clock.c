#include "base/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

static _Atomic bool clock_faked;          /* relaxed: set with threads at rest */
static _Atomic int64_t clock_fake_ns;     /* relaxed */

static int64_t clock_read(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_wall_ns(void)
{
    if (atomic_load_explicit(&clock_faked, memory_order_relaxed))
        return atomic_load_explicit(&clock_fake_ns, memory_order_relaxed);
    return clock_read(CLOCK_REALTIME);
}

int64_t clock_wall_ms(void) { return clock_wall_ns() / 1000000; }

int64_t clock_mono_ns(void)
{
    if (atomic_load_explicit(&clock_faked, memory_order_relaxed))
        return atomic_load_explicit(&clock_fake_ns, memory_order_relaxed);
    return clock_read(CLOCK_MONOTONIC);
}

int64_t clock_cpu_ns(void) { return clock_read(CLOCK_THREAD_CPUTIME_ID); }

void clock_sleep_ns(int64_t ns)
{
    struct timespec ts = { ns / 1000000000, ns % 1000000000 };
    while (ns > 0 && clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR) { }
}

void clock_fake_set(int64_t wall_ms)
{
    atomic_store_explicit(&clock_fake_ns, wall_ms * 1000000, memory_order_relaxed);
    atomic_store_explicit(&clock_faked, true, memory_order_relaxed);
}

void clock_fake_advance(int64_t ms)
{
    atomic_fetch_add_explicit(&clock_fake_ns, ms * 1000000, memory_order_relaxed);
}

void clock_fake_off(void) { atomic_store_explicit(&clock_faked, false, memory_order_relaxed); }

bool clock_is_fake(void) { return atomic_load_explicit(&clock_faked, memory_order_relaxed); }
int64_t clock_real_mono_ns(void) { return clock_read(CLOCK_MONOTONIC); }
