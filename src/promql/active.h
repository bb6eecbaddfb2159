/* active.h — the queries that run and wait: what they are at, and their end from outside.
 *
 * What        A list that each query enters when it comes and leaves when it ends. While it is
 *             evaluated it notes now and then how far it is; who asks gets copies. Remote reads
 *             are listed, too, and answers until they are sent.
 * Invariants  (1) Ids are never used twice. (2) A query whose end was asked for ends at its next
 *             check, wherever it is: in the queue, waiting for its turn, in any of its threads.
 * Ownership   an entry lies in its query and leaves before it ends; texts are borrowed for that
 *             long. Copies and their texts lie in the arena of who asked.
 * Threads     the list: any. An entry's figures: written by the query's threads, read by any
 *             (relaxed: figures).
 * Errors      none
 * Format      none
 */
#ifndef EPI_PROMQL_ACTIVE_H
#define EPI_PROMQL_ACTIVE_H

#include "base/lock.h"
#include "promql/engine.h"

#include <stdatomic.h>

struct active_query {
    uint64_t id;
    const struct query_opts *opts;
    int64_t start_ms, began_ns;        /* wall clock, monotonic clock */
    /* in the queue until then; 0: still. From then on for its turns (slices.h). */
    _Atomic int64_t entered_ns, waited_ns;
    _Atomic uint64_t samples;          /* that were read */
    _Atomic uint64_t series, series_done;                      /* selected so far; computed */
    _Atomic uint64_t bytes;            /* of blocks and chunk files */
    _Atomic uint64_t far_bytes;        /* that came from a bucket */
    _Atomic uint64_t memory, memory_peak;
    _Atomic bool ended;                /* from outside */
    _Atomic bool sending;              /* it has its answer, and the client reads it */
    /* NULL, or ends a wait that no check of `ended` follows: for the client to read on. Called when
     * its end was asked for, under the list's lock; const while it is listed. */
    void (*cut)(void *ctx);
    void *cut_ctx;
    struct active_query *next;
};
struct active_list {
    struct mtx mu;                     /* LOCK_QUERY */
    struct active_query *first;        /* GUARDED_BY(mu): the newest first */
    uint64_t last_id;                  /* GUARDED_BY(mu) */
};
void active_init(struct active_list *l);
void active_fini(struct active_list *l);                       /* REQUIRES: it is empty */

/* cut: see the entry; may be NULL */
void active_enter(struct active_list *l, struct active_query *a, const struct query_opts *o,
    void (*cut)(void *ctx), void *cut_ctx);
void active_leave(struct active_list *l, struct active_query *a);
static inline bool active_ended(const struct active_query *a)
{
    return atomic_load_explicit(&a->ended, memory_order_relaxed);
}
static inline void active_add(_Atomic uint64_t *figure, uint64_t n)
{
    if (n) atomic_fetch_add_explicit(figure, n, memory_order_relaxed);
}
void active_memory(struct active_query *a, uint64_t bytes);

/* Borrows the texts. */
struct query_activity active_activity(const struct active_query *a);
/* The oldest first. */
void active_copy(struct active_list *l, struct arena *a, struct query_activity **out, size_t *n);
/* False: there is none of that id any more. */
bool active_end(struct active_list *l, uint64_t id);

#endif
