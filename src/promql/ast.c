/* ast.c — what can be said of a node by itself. */
#include "promql/ast.h"

#include "base/vec.h"
#include "promql/functions.h"

str value_type_name(enum value_type t)
{
    switch (t) {
    case VALUE_SCALAR: return S("scalar");
    case VALUE_VECTOR: return S("vector");
    case VALUE_MATRIX: return S("matrix");
    case VALUE_STRING: return S("string");
    case VALUE_NONE: break;
    }
    return S("none");
}

str value_type_documented(enum value_type t)
{
    switch (t) {
    case VALUE_VECTOR: return S("instant vector");
    case VALUE_MATRIX: return S("range vector");
    case VALUE_NONE: case VALUE_SCALAR: case VALUE_STRING: break;
    }
    return value_type_name(t);
}

str promql_op_text(enum promql_op op)
{
    static const char *const texts[] = {
        [OP_NONE] = "",
        [OP_ADD] = "+",
        [OP_SUB] = "-",
        [OP_MUL] = "*",
        [OP_DIV] = "/",
        [OP_MOD] = "%",
        [OP_POW] = "^",
        [OP_ATAN2] = "atan2",
        [OP_EQL] = "==",
        [OP_NEQ] = "!=",
        [OP_LSS] = "<",
        [OP_LTE] = "<=",
        [OP_GTR] = ">",
        [OP_GTE] = ">=",
        [OP_AND] = "and",
        [OP_OR] = "or",
        [OP_UNLESS] = "unless",
        [OP_TRIM_UPPER] = "</",
        [OP_TRIM_LOWER] = ">/",
        [OP_SUM] = "sum",
        [OP_AVG] = "avg",
        [OP_COUNT] = "count",
        [OP_MIN] = "min",
        [OP_MAX] = "max",
        [OP_GROUP] = "group",
        [OP_STDDEV] = "stddev",
        [OP_STDVAR] = "stdvar",
        [OP_TOPK] = "topk",
        [OP_BOTTOMK] = "bottomk",
        [OP_COUNT_VALUES] = "count_values",
        [OP_QUANTILE] = "quantile",
        [OP_LIMITK] = "limitk",
        [OP_LIMIT_RATIO] = "limit_ratio",
        [OP_START] = "start",
        [OP_END] = "end",
        [OP_STEP] = "step",
        [OP_RANGE] = "range",
        [OP_MIN_OF] = "min_of",
        [OP_MAX_OF] = "max_of",
    };
    _Static_assert(ARRAY_LEN(texts) == OP_MAX_OF + 1, "every operator has a text");
    return str_z(texts[op]);
}

enum value_type expr_type(const struct expr *e)
{
    for (;;) {
        if (e->kind == EXPR_PAREN || e->kind == EXPR_STEP_INVARIANT) e = e->paren.expr;
        else if (e->kind == EXPR_UNARY) e = e->unary.expr;
        else break;
    }
    switch (e->kind) {
    case EXPR_STRING: return VALUE_STRING;
    case EXPR_VECTOR: case EXPR_AGGREGATE: return VALUE_VECTOR;
    case EXPR_MATRIX: case EXPR_SUBQUERY: return VALUE_MATRIX;
    case EXPR_CALL: return e->call.func ? e->call.func->returns : VALUE_NONE;
    case EXPR_BINARY: return e->binary.scalar ? VALUE_SCALAR : VALUE_VECTOR;
    case EXPR_NUMBER: case EXPR_DURATION: break;
    case EXPR_PAREN: case EXPR_STEP_INVARIANT: case EXPR_UNARY: break;
    }
    return VALUE_SCALAR;
}

struct expr *expr_child(const struct expr *e, size_t i)
{
    switch (e->kind) {
    case EXPR_AGGREGATE: return i == 0 ? e->aggregate.expr : i == 1 ? e->aggregate.param : NULL;
    case EXPR_BINARY: return i == 0 ? e->binary.lhs : i == 1 ? e->binary.rhs : NULL;
    case EXPR_CALL: return i < e->call.args.n ? e->call.args.at[i] : NULL;
    case EXPR_MATRIX: return i == 0 ? e->matrix.selector : NULL;
    case EXPR_SUBQUERY: return i == 0 ? e->subquery.expr : NULL;
    case EXPR_PAREN: case EXPR_STEP_INVARIANT: return i == 0 ? e->paren.expr : NULL;
    case EXPR_UNARY: return i == 0 ? e->unary.expr : NULL;
    case EXPR_NUMBER: case EXPR_STRING: case EXPR_VECTOR: case EXPR_DURATION: break;
    }
    return NULL;
}

void expr_each(struct expr *e, void (*visit)(void *ctx, struct expr *x), void *ctx)
{
    VEC(struct expr *) left = { 0 };
    vec_push(&left, e);
    while (left.n) {
        struct expr *x = vec_pop(&left);
        size_t from = left.n;
        visit(ctx, x);
        for (size_t i = 0; expr_child(x, i); i++) vec_push(&left, expr_child(x, i));
        for (size_t to = left.n; from + 1 < to; from++) {
            struct expr *first = left.at[from];
            left.at[from] = left.at[--to];
            left.at[to] = first;
        }
    }
    vec_fini(&left);
}
