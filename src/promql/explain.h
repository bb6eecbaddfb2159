/* explain.h — what each node of a query cost.
 *
 * What        While a query is evaluated, who computes is noted by node: time goes to the node
 *             whose code runs, though rows are pushed and a child's work encloses its parent's.
 *             What was read is counted at the selector that read it.
 * Invariants  (1) The times of all nodes add up to the evaluation's. (2) Without explain a query
 *             pays one comparison a node.
 * Ownership   all of it lies in the query's arena
 * Threads     explain_*: the query's own thread; explain_lane_*: any
 * Errors      none
 * Format      explain_json: one object a node, its children inside
 */
#ifndef EPI_PROMQL_EXPLAIN_H
#define EPI_PROMQL_EXPLAIN_H

#include "promql/reads.h"
#include "promql/rows.h"

#include <stdatomic.h>

struct query;
struct explain_node {
    struct expr *x;
    size_t parent;                         /* the root's is itself */
    /* that it made: rows, and values in them; of a range those that it hands on */
    uint64_t series, samples;
    int64_t cpu_ns, wait_ns;               /* of the query's own thread; waits for its turns */
    _Atomic int64_t helpers_ns;            /* CPU time of its helpers */
    /* of selectors: what was read */
    _Atomic uint64_t read_series, read_samples, read_chunks;
    /* bytes: of chunks in memory; of files, and of decoded chunks, found in memory; of files that
     * had to be waited for; of objects far away */
    _Atomic uint64_t read_head, read_cache, read_disk, read_bucket;
    struct read_sums io;                   /* the same by how files were read */
};
struct explain {
    str query;
    struct explain_node *at;               /* a node, then its children's subtrees in order */
    size_t *selectors;                     /* the node of each selector */
    size_t n, now;                         /* now: the node that computes */
    int64_t cpu_since, waited_since;
    const void *thread;                    /* the query's own */
};
struct explain *explain_new(struct arena *a, str query, struct expr *root);
void explain_end(struct explain *e, const struct query *q);    /* of the evaluation */

/* The node of x begins to compute; which one did before. An x that is no node leaves it so. */
size_t explain_enter(struct explain *e, const struct query *q, const struct expr *x);
void explain_back(struct explain *e, const struct query *q, size_t before);

/* Counts the rows of the node that computes, and gives their time to `above`. */
struct explain_sink { struct sink base; struct query *q; struct sink *out; size_t above, n_steps; };
struct explain_sink explain_sink_of(
    struct query *q, struct sink *out, size_t above, size_t n_steps);

/* A thread works on series of selector `index` from begin to end. */
struct explain_lane { int64_t cpu_ns; struct reads_since reads; };
struct explain_lane explain_lane_begin(void);
void explain_lane_end(struct explain *e, size_t index, const struct explain_lane *l,
    uint64_t series, uint64_t samples);

/* The same of the query's own thread; nothing where nobody asked for it. */
struct explain_lane explain_read_begin(const struct query *q);
void explain_unwatch(void);                /* at the query's end, whatever it ended by */
void explain_read_end(const struct query *q, size_t index, const struct explain_lane *l,
    uint64_t series, uint64_t samples);

struct json;
void explain_json(struct json *j, const struct explain *e);

#endif
