#include "io/stall.h"

#include "base/clock.h"

#include <stdatomic.h>

static _Atomic uint64_t stall_open;            /* relaxed: a figure, orders nothing */

uint64_t stall_in_flight(void) { return atomic_load_explicit(&stall_open, memory_order_relaxed); }

int64_t stall_begin(void)
{
    atomic_fetch_add_explicit(&stall_open, 1, memory_order_relaxed);
    return clock_mono_ns();
}

void stall_end(enum stall_op op, int64_t begin_ns)
{
    assert(op < STALL_OPS);
    (void)begin_ns;
    atomic_fetch_sub_explicit(&stall_open, 1, memory_order_relaxed);
}
