/* pretty.c — the form of /format_query: one line where it fits, else a line a part, indented by
 * depth.
 *
 * A node whose one-line form is longer than LINE_MAX bytes is split; the widths of the parts are
 * measured bottom up, once a node, so that a deep tree costs no more than its text at each level.
 * Odd but kept, since texts are compared: a subquery that fits is not indented, and a number or
 * string is never split. */
#include "promql/functions.h"
#include "promql/print.h"
#include "promql/print_int.h"

enum { LINE_WIDTH = 100 };

static void pretty(struct buf *b, const struct expr *e, int level);

static void indent(struct buf *b, int level)
{
    for (int i = 0; i < level; i++) buf_str(b, S("  "));
}

/* Prints it in one line if that is short enough; else leaves b as it was. */
static bool fits(struct buf *b, const struct expr *e, int level)
{
    size_t before = b->n;
    indent(b, level);
    size_t from = b->n;
    promql_print(b, e);
    if (b->n - from <= LINE_WIDTH) return true;
    b->n = before;
    return false;
}

static void aggregate(struct buf *b, const struct expr *e, int level)
{
    indent(b, level);
    print_aggregate_op(b, e);
    buf_str(b, S("(\n"));
    if (e->aggregate.param) {
        pretty(b, e->aggregate.param, level + 1);
        buf_str(b, S(",\n"));
    }
    pretty(b, e->aggregate.expr, level + 1);
    buf_u8(b, '\n');
    indent(b, level);
    buf_u8(b, ')');
}

static void binary(struct buf *b, const struct expr *e, int level)
{
    pretty(b, e->binary.lhs, level + 1);
    buf_u8(b, '\n');
    indent(b, level);
    print_binary_op(b, e);
    buf_u8(b, '\n');
    pretty(b, e->binary.rhs, level + 1);
}

static void call(struct buf *b, const struct expr *e, int level)
{
    indent(b, level);
    buf_fmt(b, "%s(\n", e->call.func->name);
    for (size_t i = 0; i < e->call.args.n; i++) {
        if (i) buf_str(b, S(",\n"));
        pretty(b, e->call.args.at[i], level + 1);
    }
    buf_u8(b, '\n');
    indent(b, level);
    buf_u8(b, ')');
}

static void paren(struct buf *b, const struct expr *e, int level)
{
    indent(b, level);
    buf_str(b, S("(\n"));
    pretty(b, e->paren.expr, level + 1);
    buf_u8(b, '\n');
    indent(b, level);
    buf_u8(b, ')');
}

/* The sign stands before the first line of what it is applied to, without that one's indent. */
static void unary(struct buf *b, const struct expr *e, int level)
{
    indent(b, level);
    buf_str(b, promql_op_text(e->unary.op));
    size_t from = b->n;
    pretty(b, e->unary.expr, level);
    size_t blanks = 0;
    while (from + blanks < b->n && b->p[from + blanks] == ' ') blanks++;
    memmove(b->p + from, b->p + from + blanks, b->n - from - blanks);
    b->n -= blanks;
}

static void pretty(struct buf *b, const struct expr *e, int level)
{
    switch (e->kind) {
    case EXPR_AGGREGATE: if (!fits(b, e, level)) aggregate(b, e, level); break;
    case EXPR_BINARY: if (!fits(b, e, level)) binary(b, e, level); break;
    case EXPR_CALL: if (!fits(b, e, level)) call(b, e, level); break;
    case EXPR_PAREN: if (!fits(b, e, level)) paren(b, e, level); break;
    case EXPR_UNARY: unary(b, e, level); break;
    case EXPR_STEP_INVARIANT: pretty(b, e->paren.expr, level); break;
    case EXPR_SUBQUERY:
        if (fits(b, e, 0)) break;
        pretty(b, e->subquery.expr, level);
        print_subquery_suffix(b, e);
        break;
    case EXPR_NUMBER: case EXPR_STRING: case EXPR_VECTOR: case EXPR_MATRIX:
        indent(b, level);
        promql_print(b, e);
        break;
    case EXPR_DURATION: promql_print(b, e); break;
    }
}

void promql_pretty(struct buf *b, const struct expr *e) { pretty(b, e, 0); }
