/* aggregate.h — what the two kinds of aggregations share.
 *
 * What        The parameter of topk, quantile and the like: a column, its extremes and whether a
 *             NaN is in it.
 * Invariants  min and max of a parameter that is a plain number are that number
 * Ownership   the column lies in the query's arena
 * Threads     one query, one thread
 * Errors      those of eval
 * Format      none
 */
#ifndef EPI_PROMQL_AGGREGATE_H
#define EPI_PROMQL_AGGREGATE_H

#include "base/utf8.h"
#include "promql/eval.h"

struct agg_param { const double *v; double min, max; bool any_nan; };
/* x may be NULL */
MUST_USE errc agg_param_eval(struct eval *ev, struct expr *x, struct agg_param *p);

/* sum and avg of histograms: what a group holds at the steps that saw one. */
struct group_histogram;
struct group_histograms { struct group_histogram **at; };
void group_histograms_add(struct eval *ev, const struct expr *x, struct group_histograms *g,
    const uint64_t *seen, const struct row *r);
/* Ends the sums: seen loses the steps without a result. The column of results; NULL: there is no
 * histogram. */
const struct histogram **group_histograms_end(
    struct eval *ev, const struct expr *x, struct group_histograms *g, uint64_t *seen);

/* topk, bottomk, limitk, limit_ratio: rows of the input, chosen at each step. */
MUST_USE errc eval_choose(struct eval *ev, struct expr *x, struct sink *out);

#endif
