/* steps.h — do the steps of a range query hang together?
 *
 * What        Says of an expression whether its value at a step is the same whatever other steps
 *             are evaluated with it, to the last bit; and how far around a step it looks at data.
 * Invariants  "apart" is never said of one that is not: where it is not known it is not said. It
 *             holds for queries of two steps at least that are evaluated without an error or an
 *             annotation, of a storage that gives series in one order, where nothing set
 *             query.entangled and no series has __type__ or __unit__.
 * Ownership   borrows the tree
 * Threads     pure
 * Errors      none
 * Format      none
 */
#ifndef EPI_PROMQL_STEPS_H
#define EPI_PROMQL_STEPS_H

#include "promql/prepare.h"

/* x: parsed, not prepared. By who may recurse over it (deep.h). */
bool promql_steps_apart(const struct expr *x);

/* What data a step looks at: [t - behind, t + ahead] of step time t, if moves, and [mint, maxt] at
 * all steps; mint > maxt: none. */
struct steps_reach { bool moves; int64_t behind, ahead, mint, maxt; };
/* x: prepared. scope: but for its times. */
struct steps_reach promql_steps_reach(struct expr *x, struct selector_scope scope);
/* All that a query of [start, end] looks at; false: nothing. */
bool steps_reach_span(
    const struct steps_reach *r, int64_t start, int64_t end, int64_t *mint, int64_t *maxt);

#endif
