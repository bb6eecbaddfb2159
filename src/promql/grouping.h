/* grouping.h — by (…) and without (…): which group a series belongs to.
 *
 * What        Labels to the index of their group; groups are numbered in order of first appearance.
 * Invariants  a group's labels are those by which it differs from the others
 * Ownership   the labels lie in the query's arena
 * Threads     one query, one thread
 * Errors      none
 * Format      none
 */
#ifndef EPI_PROMQL_GROUPING_H
#define EPI_PROMQL_GROUPING_H

#include "promql/eval.h"

struct grouping {
    struct query *q;
    bool without;
    const str *names;                      /* sorted; with __name__ when without */
    size_t n_names;
    struct label_set set;
    VEC(struct labels) labels;             /* of group i */
};
/* extra may be NULL */
void grouping_init(
    struct grouping *g, struct query *q, bool without, struct strs names, const str *extra);
void grouping_fini(struct grouping *g);
size_t grouping_of(struct grouping *g, struct labels l, bool *fresh);

#endif
