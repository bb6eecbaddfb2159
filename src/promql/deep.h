/* deep.h — walks of trees that are deeper than a thread's stack.
 *
 * What        Who walks a tree may recurse: here it gets a stack that is as deep as the tree.
 * Invariants  a tree of EXPR_DEPTH_MAX levels, of whatever kind of node, is walked and evaluated
 *             within the stack that it gets
 * Ownership   none
 * Threads     any; what runs, runs in the calling thread
 * Errors      ERR_LIMIT: there is no room for the stack, and nothing ran
 * Format      none
 */
#ifndef EPI_PROMQL_DEEP_H
#define EPI_PROMQL_DEEP_H

#include "promql/ast.h"

MUST_USE errc deep_run(const struct expr *e, void (*run)(void *ctx), void *ctx, struct err *why);

#endif
