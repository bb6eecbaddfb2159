/* pretty.c — the form of /format_query: one line where it fits, else a line a part, indented by
 * depth.
 *
 * A node whose one-line form is longer than LINE_WIDTH bytes is split; the widths of the parts are
 * measured bottom up, once a node, so that a deep tree costs no more than its text.
 * Odd but kept, since texts are compared: a subquery that fits is not indented, and a number or
 * string is never split. */
#include "promql/deep.h"
#include "promql/functions.h"
#include "promql/print.h"
#include "promql/print_int.h"

enum { LINE_WIDTH = 100 };

/* a tree of many levels is indented so far that its text is far longer than its query */
enum { PRETTY_MAX_BYTES = 64 << 20 };

static void pretty(struct buf *b, const struct expr *e, int level);

static void indent(struct buf *b, int level)
{
    size_t n = (size_t)level * 2;
    uint8_t *room = n ? buf_room(b, n) : NULL;
    if (!room) return;
    memset(room, ' ', n);
    buf_commit(b, n);
}

/* Prints it in one line if that is short enough. */
static bool fits(struct buf *b, const struct expr *e, int level)
{
    if (e->width > LINE_WIDTH) return false;
    indent(b, level);
    size_t from = b->n;
    print_expr(b, e);
    assert(!buf_ok(b) || b->n - from == e->width);
    return true;
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
    if (!buf_ok(b)) return;
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

/* What a node has of its own in one line, without its children. */
static size_t own_width(struct buf *room, const struct expr *e)
{
    buf_reset(room);
    switch (e->kind) {
    case EXPR_AGGREGATE:
        print_aggregate_op(room, e);
        return room->n + (e->aggregate.param ? 4 : 2);
    case EXPR_BINARY: print_binary_op(room, e); return room->n + 2;
    case EXPR_CALL: return strlen(e->call.func->name) + 2 * MAX(e->call.args.n, (size_t)1);
    case EXPR_PAREN: return 2;
    case EXPR_UNARY: return promql_op_text(e->unary.op).n;
    case EXPR_SUBQUERY: print_subquery_suffix(room, e); return room->n;
    case EXPR_STEP_INVARIANT: return 0;
    case EXPR_NUMBER: case EXPR_STRING: case EXPR_VECTOR: case EXPR_MATRIX: case EXPR_DURATION:
        print_expr(room, e);
        return room->n;
    }
    return 0;
}

static size_t measure(struct buf *room, struct expr *e)
{
    size_t n = own_width(room, e);
    for (size_t i = 0; e->kind != EXPR_MATRIX && expr_child(e, i); i++)
        n += measure(room, expr_child(e, i));
    e->width = (uint32_t)MIN(n, (size_t)UINT32_MAX);
    return n;
}

struct prettying { struct buf *b; struct expr *e; };

static void pretty_run(void *ctx)
{
    struct prettying *p = ctx;
    SCOPED(buf_fini) struct buf room = { 0 };
    measure(&room, p->e);
    pretty(p->b, p->e, 0);
}

void promql_pretty(struct buf *b, struct expr *e)
{
    struct prettying p = { b, e };
    if (!b->limit) b->limit = PRETTY_MAX_BYTES;
    if (deep_run(e, pretty_run, &p, NULL) != OK) b->bad = true;
}
