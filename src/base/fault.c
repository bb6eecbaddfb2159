#include "base/fault.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic int64_t fault_left;         /* 0: not armed; 1: the next point fails */
static _Atomic bool fault_fired;

#ifdef EPI_FAULTS
bool fault_hit(const char *name)
{
    (void)name;
    if (atomic_load_explicit(&fault_left, memory_order_relaxed) <= 0) return false;
    if (atomic_fetch_sub(&fault_left, 1) != 1) return false;
    atomic_store(&fault_fired, true);
    return true;
}

/* The steps named in EPI_DROP, by commas. Read once: a test does not change it while it runs. */
bool fault_dropped(const char *step)
{
    const char *list = getenv("EPI_DROP");
    size_t n = strlen(step);
    while (list && *list) {
        const char *end = strchr(list, ',');
        size_t len = end ? (size_t)(end - list) : strlen(list);
        if (len == n && memcmp(list, step, n) == 0) return true;
        list = end ? end + 1 : NULL;
    }
    return false;
}
#else
bool fault_dropped(const char *step)
{
    (void)step;
    return false;
}
#endif

void fault_torture(void (*test)(void *ctx), void *ctx)
{
    test(ctx);
    for (int64_t nth = 1;; nth++) {
        atomic_store(&fault_fired, false);
        atomic_store(&fault_left, nth);
        test(ctx);
        atomic_store(&fault_left, 0);
        if (!atomic_load(&fault_fired)) return;
    }
}
