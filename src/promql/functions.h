/* functions.h — the table of PromQL's functions: their signatures.
 *
 * What        Name, argument types, how many of them may be left out or repeated, the result's
 *             type. What they compute lies in eval.
 * Invariants  sorted by name
 * Ownership   static
 * Threads     const
 * Errors      none
 * Format      as Prometheus 3.14's parser.Functions
 */
#ifndef EPI_PROMQL_FUNCTIONS_H
#define EPI_PROMQL_FUNCTIONS_H

#include "promql/ast.h"

enum { FUNCTION_ARGS_MAX = 5 };
struct function {
    const char *name;
    enum value_type args[FUNCTION_ARGS_MAX];
    size_t n_args;
    /* 0: exactly n_args; k > 0: up to k more than n_args - 1; -1: any number of the last */
    int variadic;
    enum value_type returns;
    bool experimental;
};
const struct function *function_find(str name);                /* NULL: unknown */
const struct function *function_table(size_t *n);

#endif
