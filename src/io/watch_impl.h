/* watch_impl.h — what the kinds of watches fill in.
 *
 * What        The table of functions behind a watch.
 * Invariants  none
 * Ownership   the kind's own struct begins with this one; ops->free frees it
 * Threads     as watch.h
 * Errors      none
 * Format      none
 */
#ifndef EPI_IO_WATCH_IMPL_H
#define EPI_IO_WATCH_IMPL_H

#include "io/watch.h"

struct watch { const struct watch_ops *ops; struct watch_sink sink; };
struct watch_ops {
    void (*folders)(struct watch *w, const str *folders, size_t n);
    void (*free)(struct watch *w);
};

#endif
