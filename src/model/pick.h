/* pick.h — from matchers to the lists of series that answer them.
 *
 * What        A label that a series does not have reads as the empty string, and there is no list
 *             of the series without a label. So a matcher is answered by one of: the lists of the
 *             values that it accepts, intersected; those of the values that it refuses, subtracted;
 *             all series that have the name, either way. picks_of says which, cheapest first,
 *             subtractions last.
 * Invariants  the intersection of the lists of picks that do not subtract (of all series if there
 *             is none), minus those of picks that do, is what the matchers accept
 * Ownership   borrows the matchers; vec_fini frees picks
 * Threads     pure functions
 * Errors      none
 * Format      none
 */
#ifndef EPI_MODEL_PICK_H
#define EPI_MODEL_PICK_H

#include "model/matcher.h"

/* values that match, that do not, all of the name */
enum pick_kind { PICK_ACCEPTED, PICK_REFUSED, PICK_NAME };
struct pick { const struct matcher *m; enum pick_kind kind; bool subtract; };
typedef VEC(struct pick) picks;

MUST_USE bool picks_of(picks *out, struct matchers ms);        /* false: no series can match */

/* The values of a pick, if they are known without looking: *n of them; 0: ask pick_wants of every
 * value that begins with pick_prefix. */
const str *pick_values(const struct pick *p, size_t *n);
str pick_prefix(const struct pick *p);
static inline bool pick_wants(const struct pick *p, str value)
{
    return p->kind == PICK_NAME || matcher_matches(p->m, value) == (p->kind == PICK_ACCEPTED);
}

#endif
