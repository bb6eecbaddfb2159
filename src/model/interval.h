/* interval.h — closed intervals of time, and sets of them: what was deleted of a series.
 *
 * What        [mint, maxt] in ms, both ends inside; a set is a vector that stays sorted and merged.
 * Invariants  a set's intervals ascend, do not overlap and do not touch (at least 1 ms lies between
 *             two)
 * Ownership   vec_fini frees a set
 * Threads     values
 * Errors      none
 * Format      none
 */
#ifndef EPI_MODEL_INTERVAL_H
#define EPI_MODEL_INTERVAL_H

#include "base/vec.h"

struct interval { int64_t mint, maxt; };
typedef VEC(struct interval) intervals;

/* an empty one (mint > maxt) adds nothing */
void intervals_add(intervals *v, struct interval add);
bool intervals_have(const intervals *v, int64_t t);
/* all of it lies in one interval */
bool intervals_cover(const intervals *v, int64_t mint, int64_t maxt);
/* some of it lies in some interval */
bool intervals_meet(const intervals *v, int64_t mint, int64_t maxt);

#endif
