/* slices.h — who computes: heavy queries give way.
 *
 * What        A query runs at once, and freely for its first slice of CPU time. Past that it needs
 *             one of as many places as there are cores, for a slice at a time; then whoever waits
 *             and goes before it has its turn. Before it goes who is lighter by a class, a class
 *             being sixteen times the CPU time of the one before; of one class, who came first, for
 *             queries of a kind that took turns would all end late. Waiting makes lighter, so that
 *             none starves. A query also steps behind the other threads of the
 *             process from then on, ingestion's among them. Places that are free it may borrow for
 *             helpers.
 *             A query whose threads all stand still waits for a disk that may never answer: who
 *             waits for a place has what it holds, and it asks anew when it goes on.
 * Invariants  (1) At most `places` queries past their first slice compute at a time, but for one
 *             that stood still and goes on, until it asks. (2) No place is given to one while one
 *             that goes before it waits. (3) A query that waits holds no lock and no place.
 * Ownership   a turn lies in its query; it ends before its turns
 * Threads     turns: any. A turn: its query's. A help: its thread's
 * Errors      ERR_CANCELED is the caller's: slice_take comes back when `gone` says so
 * Format      none
 */
#ifndef EPI_PROMQL_SLICES_H
#define EPI_PROMQL_SLICES_H

#include "base/lock.h"
#include "io/runner.h"

#include <stdatomic.h>

/* a place is lost by who stands still for so long */
enum { SLICE_NS = 1000 * 1000, SLICE_STANDS_NS = 200 * 1000 * 1000 };

struct slice;
struct slices {
    struct mtx mu;                         /* LOCK_QUERY */
    unsigned free;                         /* GUARDED_BY(mu): places */
    struct slice *first;                    /* GUARDED_BY(mu): those that wait */
    struct slice *holders;                  /* GUARDED_BY(mu): those that have places */
};
void slices_init(struct slices *all, unsigned places);
void slices_fini(struct slices *all);        /* REQUIRES: nobody waits, no place is taken */

/* A thread that computes for a query beside the query's own. */
struct slice_help { struct runner runner; struct slice_help *next; };

struct slice {
    struct slices *all;                     /* NULL: alone, never waits */
    int64_t begun_ns;
    int64_t since_ns, used_ns;             /* begin of the slice; CPU time of the slices before */
    int64_t since_cpu_ns;                  /* of the thread, at the begin of the slice */
    int64_t waited_ns;                     /* for places, up to the begin of the slice */
    bool placed;                           /* GUARDED_BY(mu) */
    unsigned borrowed;                     /* GUARDED_BY(mu): places of its helpers */
    bool behind;                           /* its thread stepped behind */
    /* for a place, or has not woken since it was given one; relaxed: written under mu, for others a
     * figure */
    _Atomic bool waits;
    struct runner runner;                  /* GUARDED_BY(mu), of who has places */
    struct slice_help *helps;              /* GUARDED_BY(mu): who computes for it now */
    struct slice *next;                    /* in one of the lists */
    struct cond given;
};
void slice_begin(struct slice *t, struct slices *all);
/* By what both used and waited for so far. */
bool slice_goes_before(const struct slice *a, const struct slice *b);
void slice_end(struct slice *t);

/* All that wait ask whether they are gone. */
void slices_wake(struct slices *all);

/* Free places for helpers, as long as nobody waits: how many; slice_return gives back what it has
 * of them still. */
unsigned slice_borrow(struct slice *t, unsigned want);
void slice_return(struct slice *t);
/* The calling thread computes for t in between. */
void slice_help_begin(struct slice *t, struct slice_help *h);
void slice_help_end(struct slice *t, struct slice_help *h);

/* To be called often. Past a slice it may wait; gone(ctx) is asked now and then and ends that. */
void slice_take(struct slice *t, bool (*gone)(void *ctx), void *ctx);

#endif
