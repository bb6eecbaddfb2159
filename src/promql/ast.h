/* ast.h — the tree of a PromQL expression.
 *
 * What        One tagged struct per node, as Prometheus' parser builds it; printer, checker and
 *             planner walk it by a switch.
 * Invariants  After a parse without errors: types fit (checked), a matrix selector holds a vector
 *             selector, a call's arguments fit its function. Byte positions are into the query
 *             text, end exclusive.
 * Ownership   every node, list and string lies in the arena of its parse; regexes of matchers are
 *             freed by promql_tree_fini
 * Threads     const after parse, except the fields that the preparation fills (marked): one query,
 *             one tree
 * Errors      none
 * Format      none
 */
#ifndef EPI_PROMQL_AST_H
#define EPI_PROMQL_AST_H

#include "model/matcher.h"

enum value_type { VALUE_NONE, VALUE_SCALAR, VALUE_VECTOR, VALUE_MATRIX, VALUE_STRING };
str value_type_name(enum value_type t);                        /* "scalar" … */
/* "instant vector", "range vector" … */
str value_type_documented(enum value_type t);

enum expr_kind {
    EXPR_NUMBER,
    EXPR_STRING,
    EXPR_VECTOR,
    EXPR_MATRIX,
    EXPR_SUBQUERY,
    EXPR_AGGREGATE,
    EXPR_BINARY,
    EXPR_CALL,
    EXPR_PAREN,
    EXPR_UNARY,
    EXPR_DURATION,
    /* made by the preparation only: the same at every step */
    EXPR_STEP_INVARIANT
};

/* Operators, aggregations and the keywords that are values of a node. promql_op_text gives the
 * text. */
enum promql_op {
    OP_NONE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_POW,
    OP_ATAN2,
    OP_EQL,
    OP_NEQ,
    OP_LSS,
    OP_LTE,
    OP_GTR,
    OP_GTE, /* EQL is == */
    OP_AND,
    OP_OR,
    OP_UNLESS,
    /* </ and >/ : trimming of native histograms */
    OP_TRIM_UPPER,
    OP_TRIM_LOWER,
    OP_SUM,
    OP_AVG,
    OP_COUNT,
    OP_MIN,
    OP_MAX,
    OP_GROUP,
    OP_STDDEV,
    OP_STDVAR,
    OP_TOPK,
    OP_BOTTOMK,
    OP_COUNT_VALUES,
    OP_QUANTILE,
    OP_LIMITK,
    OP_LIMIT_RATIO,
    /* @ start()/end(); step(), range(), min(), max() of durations */
    OP_START,
    OP_END,
    OP_STEP,
    OP_RANGE,
    OP_MIN_OF,
    OP_MAX_OF
};
str promql_op_text(enum promql_op op);
static inline bool promql_op_is_comparison(enum promql_op op)
{
    return op >= OP_EQL && op <= OP_GTE;
}
static inline bool promql_op_is_set(enum promql_op op) { return op >= OP_AND && op <= OP_UNLESS; }
static inline bool promql_op_is_aggregation(enum promql_op op)
{
    return op >= OP_SUM && op <= OP_LIMIT_RATIO;
}

struct expr;
/* unplaced: what is said of it stands at the begin of the query, whatever its place */
struct pos { uint32_t start, end : 31, unplaced : 1; };
struct exprs { struct expr **at; size_t n; };
struct strs { const str *at; size_t n; };

enum match_card { CARD_ONE_TO_ONE, CARD_MANY_TO_ONE, CARD_ONE_TO_MANY, CARD_MANY_TO_MANY };
struct vector_matching {
    enum match_card card;
    struct strs labels, include;           /* include: group_left/right labels */
    /* labels are what must be equal, rather than what must be ignored */
    bool on;
    const double *fill_lhs, *fill_rhs;     /* NULL: no fill */
};

/* Where a selector or subquery looks in time. */
struct at_offset {
    int64_t original_offset_ns;            /* as written */
    struct expr *offset_expr;              /* EXPR_DURATION or NULL */
    /* filled by the preparation: with @ and outer subqueries worked in */
    int64_t offset_ns;
    /* @ <time>; NULL: none; the preparation fills it for start() and end() */
    const int64_t *timestamp_ms;
    enum promql_op start_or_end;           /* OP_NONE, OP_START, OP_END */
};

/* promql/functions.h: name, argument types, variadic, return type, experimental */
struct function;

/* deeper ones are refused; who recurses over a tree does so by promql/deep.h */
enum { EXPR_DEPTH_MAX = 25000 };

struct expr {
    enum expr_kind kind;
    struct pos pos;
    uint32_t depth;                        /* 1: a leaf */
    uint32_t node;                         /* explain.h's number of it */
    uint32_t width;                        /* in one line; filled by promql_pretty */
    union {
        /* duration: written as one, printed as one */
        struct { double val; bool duration; } number;
        str string;
        struct {
            /* of metric{…}; empty when written as {…} */
            str name;
            /* with __name__ = name, in the parser's order */
            struct matchers matchers;
            struct at_offset at;
            bool anchored, smoothed, bypass_empty_check, skip_histogram_buckets;
            /* the engine's number of this selector in its tree */
            size_t index;
        } vector;
        struct { struct expr *selector; int64_t range_ns; struct expr *range_expr; } matrix;
        struct {
            struct expr *expr; int64_t range_ns; struct expr *range_expr;
            int64_t step_ns; struct expr *step_expr;             /* 0 and NULL: the default step */
            struct at_offset at;
        } subquery;
        struct {
            enum promql_op op;
            struct expr *expr, *param;
            struct strs grouping;
            bool without;
        } aggregate;
        struct {
            enum promql_op op;
            struct expr *lhs, *rhs;
            const struct vector_matching *matching;
            bool return_bool;
            bool scalar;                   /* both sides are */
        } binary;
        struct { const struct function *func; struct exprs args; } call;
        struct { struct expr *expr; } paren;                     /* also EXPR_STEP_INVARIANT */
        struct { enum promql_op op; struct expr *expr; } unary;
        /* lhs NULL: unary, or step(), range() */
        struct { enum promql_op op; struct expr *lhs, *rhs; bool wrapped; } duration;
    };
};

/* VALUE_NONE: a call of no function, which the parser complains of */
enum value_type expr_type(const struct expr *e);

/* The i-th expression below e, from 0, in Prometheus' order of walking (an aggregation's expression
 * before its parameter); NULL: no more. Duration expressions are not among them. */
struct expr *expr_child(const struct expr *e, size_t i);
/* Visits e and all below it in that order, however deep. visit() may change what lies below its
 * node: that is what is visited next. */
void expr_each(struct expr *e, void (*visit)(void *ctx, struct expr *x), void *ctx);

#endif
