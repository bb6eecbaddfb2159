/* check.c — do the types fit?
 *
 * Walks a tree without syntax errors once, children before their parent's verdict, in the order in
 * which Prometheus finds errors. It also settles what only types can settle: set operators match
 * many to many, and operators with a scalar side have no matching. */
#include "promql/functions.h"
#include "promql/parse_int.h"

static enum value_type check(struct parser *p, struct expr *e);

static void check_aggregate_part(
    struct parser *p, struct expr *e, enum value_type want, const char *part)
{
    enum value_type t = check(p, e);
    if (t == want) return;
    str w = value_type_documented(want), got = value_type_documented(t);
    parser_error(p, e->pos, "expected type %.*s in %s, got %.*s", STR_ARG(w), part, STR_ARG(got));
}

static void check_aggregate(struct parser *p, struct expr *e)
{
    check_aggregate_part(p, e->aggregate.expr, VALUE_VECTOR, "aggregation expression");
    if (e->aggregate.param)
        check_aggregate_part(p, e->aggregate.param,
            e->aggregate.op == OP_COUNT_VALUES ? VALUE_STRING : VALUE_SCALAR,
            "aggregation parameter");
}

static bool is_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/* The operator and its modifiers, without the blanks around them. */
static struct pos operator_pos(const struct parser *p, const struct expr *e)
{
    str in = p->lex.in;
    uint32_t from = e->binary.lhs->pos.end, to = e->binary.rhs->pos.start;
    while (from < in.n && is_space(in.p[from])) from++;
    if (to > 0) to--;
    while (to > 0 && to < in.n && is_space(in.p[to])) to--;
    return (struct pos){ from, to };
}

static void check_matching_labels(
    struct parser *p, const struct expr *e, const struct vector_matching *m)
{
    if (!m->on) return;
    for (size_t i = 0; i < m->labels.n; i++)
        for (size_t j = 0; j < m->include.n; j++)
            if (str_eq(m->labels.at[i], m->include.at[j])) {
                str q = parser_quote(p, m->labels.at[i]);
                parser_error(p, operator_pos(p, e),
                    "label %.*s must not occur in ON and GROUP clause at once", STR_ARG(q));
            }
}

static void check_set(struct parser *p, const struct expr *e, const struct vector_matching *m)
{
    str op = promql_op_text(e->binary.op);
    if (m->card == CARD_ONE_TO_MANY || m->card == CARD_MANY_TO_ONE)
        parser_error(p, e->pos, "no grouping allowed for \"%.*s\" operation", STR_ARG(op));
    if (m->card != CARD_MANY_TO_MANY)
        parser_error(p, e->pos, "set operations must always be many-to-many");
    if (m->fill_lhs || m->fill_rhs)
        parser_error(p, e->pos, "filling in missing series not allowed for set operators");
}

static enum value_type check_binary(struct parser *p, struct expr *e)
{
    enum value_type l = check(p, e->binary.lhs), r = check(p, e->binary.rhs);
    enum promql_op op = e->binary.op;
    bool set = promql_op_is_set(op);
    if (e->binary.return_bool && !promql_op_is_comparison(op))
        parser_error(
            p, operator_pos(p, e), "bool modifier can only be used on comparison operators");
    if (promql_op_is_comparison(op) && !e->binary.return_bool && l == VALUE_SCALAR &&
        r == VALUE_SCALAR)
        parser_error(p, operator_pos(p, e), "comparisons between scalars must use BOOL modifier");
    struct vector_matching *m = ANEW(p->a, struct vector_matching);
    *m = *e->binary.matching;
    e->binary.matching = m;
    if (set && m->card == CARD_ONE_TO_ONE) m->card = CARD_MANY_TO_MANY;
    check_matching_labels(p, e, m);
    if (l != VALUE_SCALAR && l != VALUE_VECTOR)
        parser_error(p, e->binary.lhs->pos,
            "binary expression must contain only scalar and instant vector types");
    if (r != VALUE_SCALAR && r != VALUE_VECTOR)
        parser_error(p, e->binary.rhs->pos,
            "binary expression must contain only scalar and instant vector types");
    if (l != VALUE_VECTOR || r != VALUE_VECTOR) {
        if (m->labels.n > 0)
            parser_error(p, e->pos, "vector matching only allowed between instant vectors");
        if (m->fill_lhs || m->fill_rhs)
            parser_error(
                p, e->pos, "filling in missing series only allowed between instant vectors");
        e->binary.matching = NULL;
    } else if (set) {
        check_set(p, e, m);
    }
    if ((l == VALUE_SCALAR || r == VALUE_SCALAR) && set) {
        str text = promql_op_text(op);
        parser_error(p, e->pos, "set operator \"%.*s\" not allowed in binary scalar expression",
            STR_ARG(text));
    }
    return l == VALUE_SCALAR && r == VALUE_SCALAR ? VALUE_SCALAR : VALUE_VECTOR;
}

static void check_arity(struct parser *p, const struct expr *e)
{
    const struct function *f = e->call.func;
    size_t got = e->call.args.n;
    if (f->variadic == 0) {
        if (got != f->n_args)
            parser_error(p, e->pos, "expected %zu argument(s) in call to \"%s\", got %zu",
                f->n_args, f->name, got);
        return;
    }
    size_t least = f->n_args - 1, most = least + (f->variadic > 0 ? (size_t)f->variadic : 0);
    if (got < least)
        parser_error(p, e->pos, "expected at least %zu argument(s) in call to \"%s\", got %zu",
            least, f->name, got);
    else if (f->variadic > 0 && got > most)
        parser_error(p, e->pos, "expected at most %zu argument(s) in call to \"%s\", got %zu", most,
            f->name, got);
}

/* info's second argument names labels, not a metric, and may be empty. */
static void check_info(struct parser *p, struct expr *e)
{
    struct expr *arg = e->call.args.at[1];
    enum value_type t = expr_type(arg);
    if (t != VALUE_VECTOR) {
        str got = value_type_documented(t);
        parser_error(p, e->pos,
            "expected type instant vector in call to function \"info\", got %.*s", STR_ARG(got));
    }
    if (arg->kind != EXPR_VECTOR) parser_error(p, arg->pos, "expected label selectors only");
    else if (arg->vector.name.n)
        parser_error(p, arg->pos, "expected label selectors only, got vector selector instead");
    else arg->vector.bypass_empty_check = true;
}

static void check_call(struct parser *p, struct expr *e)
{
    const struct function *f = e->call.func;
    check_arity(p, e);
    if (str_eq(str_z(f->name), S("info")) && e->call.args.n > 1) check_info(p, e);
    for (size_t i = 0; i < e->call.args.n; i++) {
        if (i >= f->n_args && f->variadic == 0) break;
        enum value_type want = f->args[MIN(i, f->n_args - 1)], t = check(p, e->call.args.at[i]);
        if (t == want) continue;
        str w = value_type_documented(want), got = value_type_documented(t);
        parser_error(p, e->call.args.at[i]->pos,
            "expected type %.*s in call to function \"%s\", got %.*s", STR_ARG(w), f->name,
            STR_ARG(got));
    }
}

static void check_vector(struct parser *p, const struct expr *e)
{
    struct matchers ms = e->vector.matchers;
    /* the last matcher is the one of the name */
    if (e->vector.name.n) {
        for (size_t i = 0; i + 1 < ms.n; i++) {
            if (!str_eq(ms.at[i].name, METRIC_NAME)) continue;
            str q = parser_quote(p, e->vector.name), other = parser_quote(p, ms.at[i].value);
            parser_error(p, e->pos, "metric name must not be set twice: %.*s or %.*s", STR_ARG(q),
                STR_ARG(other));
        }
        return;
    }
    if (e->vector.bypass_empty_check) return;
    for (size_t i = 0; i < ms.n; i++)
        if (!matcher_matches_empty(&ms.at[i])) return;
    parser_error(p, e->pos, "vector selector must contain at least one non-empty matcher");
}

static enum value_type check(struct parser *p, struct expr *e)
{
    enum value_type t;
    switch (e->kind) {
    case EXPR_AGGREGATE: check_aggregate(p, e); break;
    case EXPR_BINARY: return check_binary(p, e);
    case EXPR_CALL: check_call(p, e); break;
    case EXPR_PAREN: return check(p, e->paren.expr);
    case EXPR_UNARY:
        t = check(p, e->unary.expr);
        if (t != VALUE_SCALAR && t != VALUE_VECTOR) {
            str got = value_type_documented(t);
            parser_error(p, e->pos,
                "unary expression only allowed on expressions of type scalar or instant vector, "
                "got \"%.*s\"",
                STR_ARG(got));
        }
        return t;
    case EXPR_SUBQUERY:
        t = check(p, e->subquery.expr);
        if (t != VALUE_VECTOR) {
            str got = value_type_name(t);
            parser_error(p, e->pos, "subquery is only allowed on instant vector, got %.*s instead",
                STR_ARG(got));
        }
        break;
    case EXPR_MATRIX: check(p, e->matrix.selector); break;
    case EXPR_VECTOR: check_vector(p, e); break;
    case EXPR_DURATION: parser_error(p, e->pos, "unknown node type: *parser.DurationExpr"); break;
    case EXPR_NUMBER: case EXPR_STRING: case EXPR_STEP_INVARIANT: break;
    }
    return expr_type(e);
}

void parse_check(struct parser *p, struct expr *e) { check(p, e); }
