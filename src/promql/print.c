/* print.c — the canonical one-line form.
 *
 * What the printer leaves out or adds (blanks after `by (…)`, matchers sorted by their text,
 * offsets as durations) is what Prometheus does; alert and rule names and the API show these
 * texts. */
#include "promql/print.h"

#include <math.h>

#include "base/f64.h"
#include "base/strs.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "model/duration.h"
#include "promql/deep.h"
#include "promql/functions.h"
#include "promql/print_int.h"

static void label_names(struct buf *b, struct strs names)
{
    for (size_t i = 0; i < names.n; i++) {
        if (i) buf_str(b, S(", "));
        if (label_name_valid_legacy(names.at[i])) buf_str(b, names.at[i]);
        else buf_go_quote(b, names.at[i]);
    }
}

void print_aggregate_op(struct buf *b, const struct expr *e)
{
    buf_str(b, promql_op_text(e->aggregate.op));
    if (!e->aggregate.without && e->aggregate.grouping.n == 0) return;
    buf_str(b, e->aggregate.without ? S(" without (") : S(" by ("));
    label_names(b, e->aggregate.grouping);
    buf_str(b, S(") "));
}

static void fill(struct buf *b, const char *word, double v)
{
    buf_fmt(b, " %s (", word);
    buf_f64_g(b, v);
    buf_u8(b, ')');
}

/* The operator with its modifiers. */
void print_binary_op(struct buf *b, const struct expr *e)
{
    const struct vector_matching *m = e->binary.matching;
    buf_str(b, promql_op_text(e->binary.op));
    if (e->binary.return_bool) buf_str(b, S(" bool"));
    if (!m) return;
    bool group = m->card == CARD_MANY_TO_ONE || m->card == CARD_ONE_TO_MANY;
    if (m->labels.n > 0 || m->on || group) {
        buf_str(b, m->on ? S(" on (") : S(" ignoring ("));
        label_names(b, m->labels);
        buf_u8(b, ')');
    }
    if (group) {
        buf_str(b, m->card == CARD_MANY_TO_ONE ? S(" group_left (") : S(" group_right ("));
        label_names(b, m->include);
        buf_u8(b, ')');
    }
    if (m->fill_lhs && m->fill_rhs && *m->fill_lhs == *m->fill_rhs) {
        fill(b, "fill", *m->fill_lhs);
        return;
    }
    if (m->fill_lhs) fill(b, "fill_left", *m->fill_lhs);
    if (m->fill_rhs) fill(b, "fill_right", *m->fill_rhs);
}

/* Milliseconds are seconds as a float in between, which may be less by two roundings (2^-52 of
 * them). */
static int64_t whole_ms(double ns)
{
    uint64_t n = ns >= 0x1p63 ? INT64_MAX : (uint64_t)round(ns);
    return (int64_t)((n + (n >> 51)) / 1000000);
}

/* The nanoseconds of the text of ms, once it is parsed. */
static double ns_parsed(int64_t ms)
{
    return ((double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9) * 1e9;
}

static int64_t cut_ms(double ns, double (*to_ns)(double))
{
    return (int64_t)fmin(to_ns(ns), (double)(INT64_MAX - 1023)) / 1000000;
}

/* Prometheus cuts a range, step or offset to whole nanoseconds by rounding, a number by not doing
 * so, and both to milliseconds then: 1001 ms is 1s as a number. Some would lose a millisecond each
 * time that they are printed and parsed; those stand here as they were written, if that is printed
 * again as itself, or else with all lost that they would lose. */
static void duration_of_ns(struct buf *b, double ns, double (*to_ns)(double))
{
    int64_t cut = cut_ms(ns, to_ns), whole = whole_ms(ns);
    if (cut_ms(ns_parsed(cut), to_ns) != cut) {
        int64_t again = cut_ms(ns_parsed(whole), to_ns);
        bool stays = again == whole || (cut_ms(ns_parsed(again), to_ns) != again &&
                                           whole_ms(ns_parsed(whole)) == whole);
        for (int64_t less = cut; !stays && (less = cut_ms(ns_parsed(cut), to_ns)) != cut;)
            cut = less;
        if (stays) cut = whole;
    }
    buf_duration(b, cut);
}

/* Of a range, step or offset. Less than a millisecond would be 0s, which is no range, and no offset
 * at all: those are seconds; none is what was less than a nanosecond. */
static void duration_ns(struct buf *b, int64_t ns)
{
    double n = fabs((double)ns);
    if (ns < 0) buf_u8(b, '-');
    if (n < 1e6) buf_f64_f(b, fmax(n, 0.1) / 1e9);
    else duration_of_ns(b, n, round);
}

static void at(struct buf *b, const struct at_offset *t)
{
    if (t->timestamp_ms) buf_fmt(b, " @ %.3f", (double)*t->timestamp_ms / 1000.0);
    else if (t->start_or_end == OP_START) buf_str(b, S(" @ start()"));
    else if (t->start_or_end == OP_END) buf_str(b, S(" @ end()"));
}

static void offset(struct buf *b, const struct at_offset *t)
{
    if (!t->offset_expr && t->original_offset_ns == 0) return;
    buf_str(b, S(" offset "));
    if (t->offset_expr) print_expr(b, t->offset_expr);
    else duration_ns(b, t->original_offset_ns);
}

static void extended(struct buf *b, const struct expr *v)
{
    if (v->vector.anchored) buf_str(b, S(" anchored"));
    else if (v->vector.smoothed) buf_str(b, S(" smoothed"));
}

/* name{…} without what is said of time. */
static void selector(struct buf *b, const struct expr *e)
{
    struct matchers ms = e->vector.matchers;
    struct arena ar = { 0 };
    VEC(str) texts = { 0 };
    struct buf one = { 0 };
    for (size_t i = 0; i < ms.n; i++) {
        const struct matcher *m = &ms.at[i];
        if (m->type == MATCH_EQ && m->value.n && str_eq(m->value, e->vector.name) &&
            str_eq(m->name, METRIC_NAME))
            continue;
        buf_reset(&one);
        buf_matcher(&one, m);
        avec_push(&ar, &texts, arena_str(&ar, buf_view(&one)));
    }
    buf_str(b, e->vector.name);
    if (texts.n) {
        strs_sort(texts.at, texts.n);
        for (size_t i = 0; i < texts.n; i++) {
            buf_u8(b, i ? ',' : '{');
            buf_str(b, texts.at[i]);
        }
        buf_u8(b, '}');
    }
    buf_fini(&one);
    arena_fini(&ar);
}

static void range(struct buf *b, const struct expr *expr, int64_t ns)
{
    if (expr) print_expr(b, expr);
    else duration_ns(b, ns);
}

void print_subquery_suffix(struct buf *b, const struct expr *e)
{
    buf_u8(b, '[');
    range(b, e->subquery.range_expr, e->subquery.range_ns);
    buf_u8(b, ':');
    if (e->subquery.step_ns != 0) duration_ns(b, e->subquery.step_ns);
    else if (e->subquery.step_expr) print_expr(b, e->subquery.step_expr);
    buf_u8(b, ']');
    at(b, &e->subquery.at);
    offset(b, &e->subquery.at);
}

static void matrix(struct buf *b, const struct expr *e)
{
    const struct expr *v = e->matrix.selector;
    selector(b, v);
    buf_u8(b, '[');
    range(b, e->matrix.range_expr, e->matrix.range_ns);
    buf_u8(b, ']');
    extended(b, v);
    at(b, &v->vector.at);
    offset(b, &v->vector.at);
}

static void duration(struct buf *b, const struct expr *e)
{
    enum promql_op op = e->duration.op;
    const struct expr *l = e->duration.lhs, *r = e->duration.rhs;
    if (e->duration.wrapped) buf_u8(b, '(');
    if (op == OP_STEP || op == OP_RANGE) {
        buf_str(b, promql_op_text(op));
        buf_str(b, S("()"));
    } else if (op == OP_MIN_OF || op == OP_MAX_OF) {
        buf_str(b, promql_op_text(op));
        buf_u8(b, '(');
        print_expr(b, l);
        buf_str(b, S(", "));
        print_expr(b, r);
        buf_u8(b, ')');
    } else if (!l) {
        if (op == OP_SUB) buf_u8(b, '-');
        print_expr(b, r);
    } else {
        print_expr(b, l);
        buf_fmt(b, " %.*s ", STR_ARG(promql_op_text(op)));
        print_expr(b, r);
    }
    if (e->duration.wrapped) buf_u8(b, ')');
}

static void number(struct buf *b, const struct expr *e)
{
    if (!e->number.duration) {
        buf_f64_f(b, e->number.val);
        return;
    }
    if (e->number.val < 0) buf_u8(b, '-');
    duration_of_ns(b, fabs(e->number.val) * 1e9, trunc);
}

static void arguments(struct buf *b, struct exprs args)
{
    for (size_t i = 0; i < args.n; i++) {
        if (i) buf_str(b, S(", "));
        print_expr(b, args.at[i]);
    }
}

void print_expr(struct buf *b, const struct expr *e)
{
    switch (e->kind) {
    case EXPR_NUMBER: number(b, e); break;
    case EXPR_STRING: buf_go_quote(b, e->string); break;
    case EXPR_VECTOR:
        selector(b, e);
        at(b, &e->vector.at);
        extended(b, e);
        offset(b, &e->vector.at);
        break;
    case EXPR_MATRIX: matrix(b, e); break;
    case EXPR_SUBQUERY:
        print_expr(b, e->subquery.expr);
        print_subquery_suffix(b, e);
        break;
    case EXPR_AGGREGATE:
        print_aggregate_op(b, e);
        buf_u8(b, '(');
        if (e->aggregate.param) {
            print_expr(b, e->aggregate.param);
            buf_str(b, S(", "));
        }
        print_expr(b, e->aggregate.expr);
        buf_u8(b, ')');
        break;
    case EXPR_BINARY:
        print_expr(b, e->binary.lhs);
        buf_u8(b, ' ');
        print_binary_op(b, e);
        buf_u8(b, ' ');
        print_expr(b, e->binary.rhs);
        break;
    case EXPR_CALL:
        buf_fmt(b, "%s(", e->call.func->name);
        arguments(b, e->call.args);
        buf_u8(b, ')');
        break;
    case EXPR_PAREN:
        buf_u8(b, '(');
        print_expr(b, e->paren.expr);
        buf_u8(b, ')');
        break;
    case EXPR_UNARY:
        buf_str(b, promql_op_text(e->unary.op));
        print_expr(b, e->unary.expr);
        break;
    case EXPR_DURATION: duration(b, e); break;
    case EXPR_STEP_INVARIANT: print_expr(b, e->paren.expr); break;
    }
}

struct printing { struct buf *b; const struct expr *e; };

static void print_run(void *ctx)
{
    struct printing *p = ctx;
    print_expr(p->b, p->e);
}

void promql_print(struct buf *b, const struct expr *e)
{
    struct printing p = { b, e };
    if (deep_run(e, print_run, &p, NULL) != OK) b->bad = true;
}
