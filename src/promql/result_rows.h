/* result_rows.h — what an evaluation gives, as the series of its answer.
 *
 * What        Two sinks, for rows over the grid and for points of a range vector at an instant.
 *             Each row with a value becomes a series with columns of its own. At the end series
 *             are joined whose names were dropped, sorted, and handed to the result.
 * Invariants  (1) Labels, times and values lie in the query's arena and outlive its querier. (2)
 *             Series come in the order of the rows until they are sorted.
 * Ownership   result_rows_init/result_rows_fini; the query is borrowed
 * Threads     one query, one thread
 * Errors      ERR_UNSUPPORTED (two series of the same labels at the same time), and what
 *             eval_check says
 * Format      none
 */
#ifndef EPI_PROMQL_RESULT_ROWS_H
#define EPI_PROMQL_RESULT_ROWS_H

#include "promql/eval.h"

struct result_rows {
    struct sink rows;
    struct point_sink points;
    struct query *q;                       /* const after init, with grid */
    struct grid grid;
    VEC(struct result_series) series;
    const int64_t *times;                  /* of the grid; NULL: not yet needed */
    struct column_pool columns;            /* of the query's arena */
};
void result_rows_init(struct result_rows *w, struct query *q, struct grid g);
void result_rows_fini(struct result_rows *w);

/* Names dropped at the end: rows that are then called the same become one, unless they have values
 * at the same time. */
MUST_USE errc result_rows_join(struct result_rows *w);
/* Of a float and a histogram that rows called the same have at the one time of an instant query the
 * histogram, which comes last, is the answer. */
void result_rows_at_instant(struct result_rows *w);
MUST_USE errc result_rows_sort(struct result_rows *w);         /* by labels */
void result_rows_give(struct result_rows *w, struct result *out);

#endif
