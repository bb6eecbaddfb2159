/* exemplars.h — the newest exemplars of all series, in a ring of fixed size.
 *
 * What        Takes exemplars until the ring is full, then each one for the oldest that came. The
 *             exemplars of a series hang together in the order of their times.
 * Invariants  (1) A series is known by its labels: its exemplars outlive its place in the head. (2)
 *             The times of a series never fall; of equal times, values and then hashes of labels
 *             never fall, but for what comes late within the window. (3) A ring of size 0 keeps
 *             nothing and refuses nothing.
 * Ownership   exemplars_new/exemplars_free; labels are copied
 * Threads     any. Lock: LOCK_LEAF, shared by readers
 * Errors      ERR_OUT_OF_ORDER; ERR_LIMIT: the labels are too long. The same exemplar once more is
 *             no error: nothing happens.
 * Format      none
 */
#ifndef EPI_HEAD_EXEMPLARS_H
#define EPI_HEAD_EXEMPLARS_H

#include "storage/exemplars.h"

struct exemplars;
struct exemplars *exemplars_new(size_t cap, int64_t late_ms);
void exemplars_free(struct exemplars *x); /* NULL is fine */

/* The newest of what is there stay. */
void exemplars_resize(struct exemplars *x, size_t cap);
size_t exemplars_cap(const struct exemplars *x);
void exemplars_set_late(struct exemplars *x, int64_t late_ms); /* how late one may come */

/* Would it be taken? OK with *take false: it is there already, or nothing is kept. */
MUST_USE errc exemplars_check(struct exemplars *x, struct labels series, const struct exemplar *ex,
    bool *take, struct err *e);
MUST_USE errc exemplars_add(
    struct exemplars *x, struct labels series, const struct exemplar *ex, struct err *e);

/* All, in the order in which they came; fn must not call back. */
typedef errc (*exemplars_fn)(
    void *ctx, struct labels series, const struct exemplar *ex, struct err *e);
MUST_USE errc exemplars_each(struct exemplars *x, exemplars_fn fn, void *ctx, struct err *e);

struct exemplar_queryable *exemplars_queryable(struct exemplars *x);

#endif
