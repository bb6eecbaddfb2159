/* ast_json.c — the tree as /api/v1/parse_query shows it; keys in the order in which Go's encoder
 * sorts them. */
#include "base/f64.h"
#include "promql/deep.h"
#include "promql/functions.h"
#include "promql/print.h"

#include <math.h>

static void put_expr(struct json *j, const struct expr *e);

static void key_json(struct json *j, str key, const struct expr *e)
{
    json_key(j, key);
    if (e) put_expr(j, e);
    else json_nil(j);
}

static void number_text(struct json *j, double v)
{
    char text[F64_TEXT_MAX];
    json_str(j, str_of(text, f64_text_f(text, v)));
}

static void strings(struct json *j, str key, struct strs s)
{
    json_key(j, key);
    json_arr(j);
    for (size_t i = 0; i < s.n; i++) json_str(j, s.at[i]);
    json_arr_end(j);
}

/* Of a duration: numbers say whether they were written as one. */
static void duration(struct json *j, str key, const struct expr *e)
{
    json_key(j, key);
    if (!e) {
        json_nil(j);
    } else if (e->kind == EXPR_NUMBER) {
        json_obj(j);
        json_kbool(j, S("duration"), e->number.duration);
        json_kstr(j, S("type"), S("numberLiteral"));
        JSON_KEY(j, "val");
        number_text(j, e->number.val);
        json_obj_end(j);
    } else {
        put_expr(j, e);
    }
}

static void duration_expr(struct json *j, const struct expr *e)
{
    duration(j, S("lhs"), e->duration.lhs);
    json_kstr(j, S("op"), promql_op_text(e->duration.op));
    duration(j, S("rhs"), e->duration.rhs);
    json_kstr(j, S("type"), S("durationExpr"));
    json_kbool(j, S("wrapped"), e->duration.wrapped);
}

/* What JSON has no number for is a text, as other numbers of the tree are. (Prometheus fails.) */
static void fill_value(struct json *j, str key, const double *v)
{
    json_key(j, key);
    if (!v) json_nil(j);
    else if (isfinite(*v)) json_f64(j, *v);
    else number_text(j, *v);
}

static void matching(struct json *j, const struct vector_matching *m)
{
    static const char *const cards[] = { "one-to-one", "many-to-one", "one-to-many",
        "many-to-many" };
    JSON_KEY(j, "matching");
    if (!m) {
        json_nil(j);
        return;
    }
    json_obj(j);
    json_kstr(j, S("card"), str_z(cards[m->card]));
    JSON_KEY(j, "fillValues");
    json_obj(j);
    fill_value(j, S("lhs"), m->fill_lhs);
    fill_value(j, S("rhs"), m->fill_rhs);
    json_obj_end(j);
    strings(j, S("include"), m->include);
    strings(j, S("labels"), m->labels);
    json_kbool(j, S("on"), m->on);
    json_obj_end(j);
}

static void matchers(struct json *j, struct matchers ms)
{
    static const char *const types[] = {
        [MATCH_EQ] = "=", [MATCH_NE] = "!=", [MATCH_RE] = "=~", [MATCH_NRE] = "!~"
    };
    JSON_KEY(j, "matchers");
    json_arr(j);
    for (size_t i = 0; i < ms.n; i++) {
        json_obj(j);
        json_kstr(j, S("name"), ms.at[i].name);
        json_kstr(j, S("type"), str_z(types[ms.at[i].type]));
        json_kstr(j, S("value"), ms.at[i].value);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static void offset(struct json *j, const struct at_offset *at)
{
    json_ki64(j, S("offset"), at->original_offset_ns / 1000000);
    duration(j, S("offsetExpr"), at->offset_expr);
}

static void start_or_end(struct json *j, const struct at_offset *at)
{
    JSON_KEY(j, "startOrEnd");
    if (at->start_or_end == OP_NONE) json_nil(j);
    else json_str(j, promql_op_text(at->start_or_end));
}

static void timestamp(struct json *j, const struct at_offset *at)
{
    JSON_KEY(j, "timestamp");
    if (at->timestamp_ms) json_i64(j, *at->timestamp_ms);
    else json_nil(j);
}

/* m: the brackets after the selector; NULL: none. */
static void selector(struct json *j, const struct expr *v, const struct expr *m)
{
    json_kbool(j, S("anchored"), v->vector.anchored);
    matchers(j, v->vector.matchers);
    json_kstr(j, S("name"), v->vector.name);
    offset(j, &v->vector.at);
    if (m) {
        json_ki64(j, S("range"), m->matrix.range_ns / 1000000);
        duration(j, S("rangeExpr"), m->matrix.range_expr);
    }
    json_kbool(j, S("smoothed"), v->vector.smoothed);
    start_or_end(j, &v->vector.at);
    timestamp(j, &v->vector.at);
    json_kstr(j, S("type"), m ? S("matrixSelector") : S("vectorSelector"));
}

static void subquery(struct json *j, const struct expr *e)
{
    key_json(j, S("expr"), e->subquery.expr);
    offset(j, &e->subquery.at);
    json_ki64(j, S("range"), e->subquery.range_ns / 1000000);
    duration(j, S("rangeExpr"), e->subquery.range_expr);
    start_or_end(j, &e->subquery.at);
    json_ki64(j, S("step"), e->subquery.step_ns / 1000000);
    duration(j, S("stepExpr"), e->subquery.step_expr);
    timestamp(j, &e->subquery.at);
    json_kstr(j, S("type"), S("subquery"));
}

static void call(struct json *j, const struct expr *e)
{
    const struct function *f = e->call.func;
    JSON_KEY(j, "args");
    json_arr(j);
    for (size_t i = 0; i < e->call.args.n; i++) put_expr(j, e->call.args.at[i]);
    json_arr_end(j);
    JSON_KEY(j, "func");
    json_obj(j);
    JSON_KEY(j, "argTypes");
    json_arr(j);
    for (size_t i = 0; i < f->n_args; i++) json_str(j, value_type_name(f->args[i]));
    json_arr_end(j);
    json_kstr(j, S("name"), str_z(f->name));
    json_kstr(j, S("returnType"), value_type_name(f->returns));
    json_ki64(j, S("variadic"), f->variadic);
    json_obj_end(j);
    json_kstr(j, S("type"), S("call"));
}

static void aggregate(struct json *j, const struct expr *e)
{
    key_json(j, S("expr"), e->aggregate.expr);
    strings(j, S("grouping"), e->aggregate.grouping);
    json_kstr(j, S("op"), promql_op_text(e->aggregate.op));
    key_json(j, S("param"), e->aggregate.param);
    json_kstr(j, S("type"), S("aggregation"));
    json_kbool(j, S("without"), e->aggregate.without);
}

static void binary(struct json *j, const struct expr *e)
{
    json_kbool(j, S("bool"), e->binary.return_bool);
    key_json(j, S("lhs"), e->binary.lhs);
    matching(j, e->binary.matching);
    json_kstr(j, S("op"), promql_op_text(e->binary.op));
    key_json(j, S("rhs"), e->binary.rhs);
    json_kstr(j, S("type"), S("binaryExpr"));
}

static void put_expr(struct json *j, const struct expr *e)
{
    if (e->kind == EXPR_STEP_INVARIANT) {
        put_expr(j, e->paren.expr);
        return;
    }
    json_obj(j);
    switch (e->kind) {
    case EXPR_NUMBER:
        json_kstr(j, S("type"), S("numberLiteral"));
        JSON_KEY(j, "val");
        number_text(j, e->number.val);
        break;
    case EXPR_STRING:
        json_kstr(j, S("type"), S("stringLiteral"));
        json_kstr(j, S("val"), e->string);
        break;
    case EXPR_VECTOR: selector(j, e, NULL); break;
    case EXPR_MATRIX: selector(j, e->matrix.selector, e); break;
    case EXPR_SUBQUERY: subquery(j, e); break;
    case EXPR_AGGREGATE: aggregate(j, e); break;
    case EXPR_BINARY: binary(j, e); break;
    case EXPR_CALL: call(j, e); break;
    case EXPR_PAREN:
        key_json(j, S("expr"), e->paren.expr);
        json_kstr(j, S("type"), S("parenExpr"));
        break;
    case EXPR_UNARY:
        key_json(j, S("expr"), e->unary.expr);
        json_kstr(j, S("op"), promql_op_text(e->unary.op));
        json_kstr(j, S("type"), S("unaryExpr"));
        break;
    case EXPR_DURATION: duration_expr(j, e); break;
    case EXPR_STEP_INVARIANT: break;
    }
    json_obj_end(j);
}

struct putting { struct json *j; const struct expr *e; };

static void put_run(void *ctx)
{
    struct putting *p = ctx;
    put_expr(p->j, p->e);
}

void promql_json(struct json *j, const struct expr *e)
{
    struct putting p = { j, e };
    if (deep_run(e, put_run, &p, NULL) != OK) j->b->bad = true;
}
