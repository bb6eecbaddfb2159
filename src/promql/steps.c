/* steps.c — what makes steps hang together.
 *
 * Windows, operators and aggregations look at one step at a time. But
 *  - start(), end() and range() are those of the query;
 *  - rows come in an order, in which sums are rounded and ties are broken. Where rows become one
 *    (a group, a match, labels that are written anew), its place is that of its first row that has
 *    a value at any of the steps. So what looks at the order must not stand above what makes one,
 *    unless it sees by itself that the order told nothing (topk);
 *  - a function of ranges that drops names fails when two of its rows are then called the same,
 *    also at different steps.
 */
#include "promql/steps.h"

#include "promql/eval.h"

/* fixed: rows come in the order of the storage. unlike: no two rows are called the same without
 * their names. */
struct apart { bool yes, fixed, unlike; };

static struct apart apart_of(const struct expr *x);

static bool is_metric_name(const struct matcher *m)
{
    return m->type == MATCH_EQ && m->value.n && str_eq(m->name, METRIC_NAME);
}

static struct apart apart_selector(const struct expr *x)
{
    struct apart a = { x->vector.at.start_or_end == OP_NONE, true, false };
    for (size_t i = 0; i < x->vector.matchers.n; i++)
        a.unlike |= is_metric_name(&x->vector.matchers.at[i]);
    return a;
}

/* Has a duration expression range() in it? */
static bool duration_of_range(const struct expr *x)
{
    if (!x) return false;
    if (x->kind == EXPR_PAREN) return duration_of_range(x->paren.expr);
    if (x->kind != EXPR_DURATION) return false;
    return x->duration.op == OP_RANGE || duration_of_range(x->duration.lhs) ||
           duration_of_range(x->duration.rhs);
}

static struct apart apart_subquery(const struct expr *x)
{
    struct apart a = apart_of(x->subquery.expr);
    a.yes &= x->subquery.at.start_or_end == OP_NONE && !duration_of_range(x->subquery.range_expr) &&
             !duration_of_range(x->subquery.step_expr) &&
             !duration_of_range(x->subquery.at.offset_expr);
    return a;
}

/* One row, or rows that a node makes one of where they are called the same. */
static const struct apart apart_one = { true, true, true }, apart_no = { false, false, false };
static struct apart apart_joined(struct apart in)
{
    return (struct apart){ in.yes, in.fixed && in.unlike, true };
}

static bool name_is_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(name, *list)) return true;
    return false;
}

static struct apart apart_call(const struct expr *x)
{
    static const char *const of_query[] = { "start", "end", "range", "info", NULL };
    static const char *const one_row[] = { "absent", "absent_over_time", "scalar", "vector",
        "time", "pi", NULL };
    static const char *const renames[] = { "label_replace", "label_join", NULL };
    static const char *const reorders[] = { "sort", "sort_desc", "sort_by_label",
        "sort_by_label_desc", NULL };
    static const char *const histograms[] = { "histogram_quantile", "histogram_quantiles",
        "histogram_fraction", NULL };
    const char *name = x->call.func->name;
    struct apart rows = apart_one;
    bool yes = !name_is_of(name, of_query), ranges = false;
    for (size_t i = 0; i < x->call.args.n; i++) {
        const struct expr *arg = x->call.args.at[i];
        enum value_type t = expr_type(arg);
        struct apart a = apart_of(arg);
        yes &= a.yes;
        ranges |= t == VALUE_MATRIX;
        if (t == VALUE_MATRIX || t == VALUE_VECTOR) rows = a;
    }
    if (!yes) return apart_no;
    if (name_is_of(name, one_row)) return apart_one;
    if (name_is_of(name, renames)) return (struct apart){ true, false, false };
    if (name_is_of(name, reorders)) return (struct apart){ true, false, rows.unlike };
    if (name_is_of(name, histograms)) return (struct apart){ true, false, true };
    if (!ranges) return apart_joined(rows);
    if (!range_function_drops_name(name)) return rows;
    return (struct apart){ rows.unlike, rows.fixed, true };
}

static struct apart apart_aggregate(const struct expr *x)
{
    enum promql_op op = x->aggregate.op;
    struct apart in = apart_of(x->aggregate.expr);
    if (!in.yes || (x->aggregate.param && !apart_of(x->aggregate.param).yes)) return apart_no;
    /* of topk and bottomk the order tells among equal values alone: they see whether it did */
    bool ordered = op != OP_COUNT && op != OP_GROUP && op != OP_COUNT_VALUES &&
                   op != OP_LIMIT_RATIO && op != OP_TOPK && op != OP_BOTTOMK;
    bool chooses = op == OP_TOPK || op == OP_BOTTOMK || op == OP_LIMITK || op == OP_LIMIT_RATIO;
    if (ordered && !in.fixed) return apart_no;
    if (chooses) return (struct apart){ true, false, in.unlike };
    bool names = op == OP_COUNT_VALUES;
    for (size_t i = 0; i < x->aggregate.grouping.n; i++)
        names |= label_is_metadata(x->aggregate.grouping.at[i]);
    bool single = !x->aggregate.without && !x->aggregate.grouping.n && op != OP_COUNT_VALUES;
    return (struct apart){ true, single, !names };
}

static struct apart apart_binary(const struct expr *x)
{
    enum promql_op op = x->binary.op;
    bool ls = expr_type(x->binary.lhs) == VALUE_SCALAR;
    bool rs = expr_type(x->binary.rhs) == VALUE_SCALAR;
    struct apart l = apart_of(x->binary.lhs), r = apart_of(x->binary.rhs);
    if (!l.yes || !r.yes) return apart_no;
    bool filters = promql_op_is_comparison(op) && !x->binary.return_bool;
    if (ls && rs) return apart_one;
    if (ls || rs) return filters ? (ls ? r : l) : apart_joined(ls ? r : l);
    if (op == OP_AND || op == OP_UNLESS) return (struct apart){ true, false, l.unlike };
    return (struct apart){ true, false, !filters && op != OP_OR };
}

static struct apart apart_of(const struct expr *x)
{
    switch (x->kind) {
    case EXPR_NUMBER: case EXPR_STRING: return apart_one;
    case EXPR_VECTOR: {
        struct apart a = apart_selector(x);
        a.yes &= !duration_of_range(x->vector.at.offset_expr);
        return a;
    }
    case EXPR_MATRIX: {
        struct apart a = apart_of(x->matrix.selector);
        a.yes &= !duration_of_range(x->matrix.range_expr);
        return a;
    }
    case EXPR_SUBQUERY: return apart_subquery(x);
    case EXPR_AGGREGATE: return apart_aggregate(x);
    case EXPR_BINARY: return apart_binary(x);
    case EXPR_CALL: return apart_call(x);
    case EXPR_PAREN: case EXPR_STEP_INVARIANT: return apart_of(x->paren.expr);
    case EXPR_UNARY: return apart_joined(apart_of(x->unary.expr));
    case EXPR_DURATION: break;
    }
    return apart_no;
}

bool promql_steps_apart(const struct expr *x) { return apart_of(x).yes; }

/* Reach: where a selector looks for a step at 0 tells how far around a step, if it looks elsewhere
 * for a step at another time; else where all look. */

struct reaching { struct steps_reach *r; VEC(struct selector_use) at_zero; size_t n; };

static void reach_zero(void *ctx, const struct selector_use *u)
{
    struct reaching *s = ctx;
    vec_push(&s->at_zero, *u);
}

static void reach_later(void *ctx, const struct selector_use *u)
{
    struct reaching *s = ctx;
    struct steps_reach *r = s->r;
    const struct selector_use *zero = &s->at_zero.at[s->n++];
    assert(zero->selector == u->selector);
    if (zero->start_ms == u->start_ms) {
        r->mint = MIN(r->mint, u->start_ms);
        r->maxt = MAX(r->maxt, u->end_ms);
        return;
    }
    r->behind = r->moves ? MAX(r->behind, -zero->start_ms) : -zero->start_ms;
    r->ahead = r->moves ? MAX(r->ahead, zero->end_ms) : zero->end_ms;
    r->moves = true;
}

struct steps_reach promql_steps_reach(struct expr *x, struct selector_scope scope)
{
    enum { LATER_MS = 1 };
    struct steps_reach r = { .mint = INT64_MAX, .maxt = INT64_MIN };
    struct reaching s = { .r = &r };
    scope.start_ms = scope.end_ms = 0;
    promql_each_selector(x, &scope, reach_zero, &s);
    scope.start_ms = scope.end_ms = LATER_MS;
    promql_each_selector(x, &scope, reach_later, &s);
    vec_fini(&s.at_zero);
    return r;
}

bool steps_reach_span(
    const struct steps_reach *r, int64_t start, int64_t end, int64_t *mint, int64_t *maxt)
{
    *mint = r->mint;
    *maxt = r->maxt;
    if (r->moves) {
        *mint = MIN(*mint, start - r->behind);
        *maxt = MAX(*maxt, end + r->ahead);
    }
    return *mint <= *maxt;
}
