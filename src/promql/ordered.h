/* ordered.h — the values of a window in order, kept from step to step.
 *
 * What        A window that moves forward over a column: few values that leave and enter are moved
 *             one by one, many are sorted by themselves and merged in.
 * Invariants  after a move these are the values of [lo, hi) in order; what lies between two looks
 *             takes a millisecond or two, and more for windows of millions only in the measure in
 *             which one pass over them does
 * Ownership   memory of the arena
 * Threads     one
 * Errors      those of the look
 * Format      none
 */
#ifndef EPI_PROMQL_ORDERED_H
#define EPI_PROMQL_ORDERED_H

#include "base/arena.h"
#include "base/err.h"

struct ordered {
    double *v;
    size_t n;
    size_t lo, hi;                         /* of the samples whose values these are */
    double *other, *leave, *enter;         /* room to merge in */
    size_t part;                           /* values that leave or enter at once */
};

/* widest: the most values that a window has */
void ordered_init(struct ordered *o, struct arena *a, size_t widest);
/* The window [lo, hi) of column, which has neither NaN nor zeros of two signs. look(ctx) is called
 * now and then; what it fails with ends this. REQUIRES: neither end moves back. */
MUST_USE errc ordered_move(struct ordered *o, const double *column, size_t lo, size_t hi,
    errc (*look)(void *ctx), void *ctx);

#endif
