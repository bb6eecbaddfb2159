#include "io/stall.h"

#include "base/clock.h"
#include "base/metric.h"

static const double stall_bounds[] = { 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 1, 5, 30 };
HISTOGRAM_VEC(stall_seconds, "epimetheus_io_operation_seconds", "Time that file operations took.",
    stall_bounds, "op")

static const char *const stall_names[] = {
    "open",
    "read",
    "write",
    "sync",
    "truncate",
    "reserve",
    "sync_dir",
    "rename",
    "unlink",
    "mkdir",
    "list",
    "stat",
};
_Static_assert(ARRAY_LEN(stall_names) == STALL_OPS, "a name for each operation");

/* made at first use, which gives everybody the same */
static struct metric *_Atomic stall_of[STALL_OPS];
static _Atomic uint64_t stall_open;            /* relaxed: a figure, orders nothing */

static struct metric *stall_metric(enum stall_op op)
{
    struct metric *m = atomic_load_explicit(&stall_of[op], memory_order_acquire);
    if (LIKELY(m != NULL)) return m;
    m = METRIC_WITH(&stall_seconds, str_z(stall_names[op]));
    atomic_store_explicit(&stall_of[op], m, memory_order_release);
    return m;
}

static double stall_read_open(void *ctx)
{
    (void)ctx;
    return (double)stall_in_flight();
}
METRIC_DEFINE(stall_open_gauge, METRIC_GAUGE, "epimetheus_io_operations_in_flight",
    "File operations under way.", .read = stall_read_open)

uint64_t stall_in_flight(void) { return atomic_load_explicit(&stall_open, memory_order_relaxed); }

int64_t stall_begin(void)
{
    atomic_fetch_add_explicit(&stall_open, 1, memory_order_relaxed);
    return clock_mono_ns();
}

void stall_end(enum stall_op op, int64_t begin_ns)
{
    assert(op < STALL_OPS);
    atomic_fetch_sub_explicit(&stall_open, 1, memory_order_relaxed);
    metric_observe_in(stall_metric(op), (double)(clock_mono_ns() - begin_ns) / 1e9);
}
