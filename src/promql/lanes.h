/* lanes.h — the series of a selector, computed side by side, handed on in their order.
 *
 * What        Reads series and makes their rows on all cores, a round of some series at a time;
 *             after each round the rows go on one after the other, in the query's own thread. So
 *             sums see the series in one order, however many cores there are.
 * Invariants  (1) deliver() sees the rows in the order of the series; an error is that of the first
 *             series that has one. (2) What compute() writes lies in its lane: scratch memory,
 *             statistics, annotations, words of an error.
 * Ownership   rows are borrowed for deliver(); lanes end with the call
 * Threads     lanes_run: the query's; compute(): any, one a lane; deliver(): the query's
 * Errors      those of compute() and deliver()
 * Format      none
 */
#ifndef EPI_PROMQL_LANES_H
#define EPI_PROMQL_LANES_H

#include "promql/select.h"

/* made, floats, widest, last: what compute() counted for deliver(). */
struct lane_row { struct row r; bool any; uint64_t made, floats, widest, last; };

struct lane {
    struct query q;                        /* the query's, but for what it writes */
    struct eval ev;
    struct eval_stats stats;
    struct reader reader;
    struct arena notes;                    /* its annotations; what begin() makes */
    struct arena_mark empty;               /* of q.scratch */
    struct err why;
    void *own;                             /* of begin() */
    struct lane_row *rows;
    size_t from, n, done;                  /* series of a round; rows before an error */
    errc rc;
};

struct lanes_job {
    void *ctx;
    bool strip;                            /* readers leave out the buckets of histograms */
    struct window_plan plan;               /* by which compute() loads; n 0: not to be told */
    void (*begin)(void *ctx, struct lane *l);          /* once a lane; may be NULL */
    void (*end)(void *ctx, struct lane *l);            /* may be NULL */
    errc (*compute)(void *ctx, struct lane *l, struct series *s, struct lane_row *out);
    errc (*deliver)(void *ctx, struct lane_row *row, struct series *s);
    bool ends;                             /* readers read histograms whole at windows' ends only */
};
/* sel: expanded, or opened; then its series are gone afterwards */
MUST_USE errc lanes_run(struct eval *ev, struct selection *sel, const struct lanes_job *job);

#endif
