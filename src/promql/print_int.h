/* print_int.h — parts of the one-line form that the pretty form shares.
 *
 * What        The form itself, operators with their modifiers, and the brackets of a subquery.
 * Invariants  none
 * Ownership   append to the caller's buf
 * Threads     pure
 * Errors      the buf's flag
 * Format      none
 */
#ifndef EPI_PROMQL_PRINT_INT_H
#define EPI_PROMQL_PRINT_INT_H

#include "base/buf.h"
#include "promql/ast.h"

/* REQUIRES: stack for all its levels */
void print_expr(struct buf *b, const struct expr *e);
void print_aggregate_op(struct buf *b, const struct expr *e);
void print_binary_op(struct buf *b, const struct expr *e);
void print_subquery_suffix(struct buf *b, const struct expr *e);

#endif
