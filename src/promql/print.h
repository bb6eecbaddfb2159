/* print.h — tree to text.
 *
 * What        The canonical one-line form (Expr.String), the pretty form of /format_query, and the
 *             JSON of /parse_query.
 * Invariants  parse(print(t)) is t but for positions
 * Ownership   appends to the caller's buf
 * Threads     pure
 * Errors      the buf's flag: it is full, or there is no room for the stack of a deep tree
 * Format      promql/parser/printer.go and prettier.go of Prometheus 3.14
 */
#ifndef EPI_PROMQL_PRINT_H
#define EPI_PROMQL_PRINT_H

#include "base/json.h"
#include "promql/ast.h"

void promql_print(struct buf *b, const struct expr *e);
/* fills e's widths; a buf without a limit gets one */
void promql_pretty(struct buf *b, struct expr *e);
void promql_json(struct json *j, const struct expr *e);

#endif
