/* prepare.h — from a parsed tree to one that can be evaluated.
 *
 * What        Works out durations, start(), end(), range(), step(); wraps what is the same at every
 *             step; numbers the selectors; turns @ into offsets; says which time each selector
 *             reads.
 * Invariants  after promql_prepare no duration expression and no start()/end() is left to do
 * Ownership   changes the tree in place; new nodes lie in the arena
 * Threads     one query, one tree
 * Errors      ERR_BAD_INPUT: a duration that is none
 * Format      none
 */
#ifndef EPI_PROMQL_PREPARE_H
#define EPI_PROMQL_PREPARE_H

#include "promql/ast.h"

/* info: something calls info(), which looks back from times at which a range may begin */
struct prepared { struct expr *root; size_t n_selectors; bool info; };
MUST_USE errc promql_prepare(struct prepared *out, struct expr *root, int64_t start_ms,
    int64_t end_ms, int64_t step_ms, struct arena *a, struct err *e);

/* Offsets that make @ come true when the part of the tree is evaluated from eval_ms on. */
void promql_set_offsets(struct expr *x, int64_t eval_ms);

/* Visits each vector selector with what it will read and what stands around it. */
struct selector_use {
    struct expr *selector;
    int64_t start_ms, end_ms, step_ms, range_ms;
    str func;
};
struct selector_scope { int64_t start_ms, end_ms, step_ms, lookback_ms, default_step_ms; };
void promql_each_selector(struct expr *root, const struct selector_scope *scope,
    void (*visit)(void *ctx, const struct selector_use *u), void *ctx);

#endif
