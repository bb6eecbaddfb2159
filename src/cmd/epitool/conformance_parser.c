/* conformance_parser.c — parser/valid, parser/invalid, parser/series_descriptions. */
#include "base/f64.h"
#include "cmd/epitool/conformance.h"
#include "model/sample.h"
#include "promql/parse.h"
#include "promql/print.h"
#include "promql/series_histogram.h"

static struct parse_opts opts_of(const json_t *q)
{
    struct parse_opts o = { .duration_expr = true };
    const json_t *features = json_object_get(q, "features");
    for (size_t i = 0; i < json_array_size(features); i++) {
        str name = str_z(json_string_value(json_array_get(features, i)));
        if (str_eq(name, S("promql-experimental-functions"))) o.experimental_functions = true;
        else if (str_eq(name, S("promql-extended-range-selectors")))
            o.extended_range_selectors = true;
        else if (str_eq(name, S("promql-binop-fill-modifiers"))) o.binop_fill_modifiers = true;
    }
    return o;
}

static void put_printed(struct json *j, struct expr *e)
{
    SCOPED(buf_fini) struct buf line = { 0 }, pretty = { 0 };
    promql_print(&line, e);
    json_kstr(j, S("string"), buf_view(&line));
    promql_pretty(&pretty, e);
    json_kstr(j, S("pretty"), buf_view(&pretty));
}

static void put_errors(struct json *j, const struct parse_errors *errors)
{
    JSON_KEY(j, "errors");
    json_arr(j);
    for (size_t i = 0; i < errors->n; i++) {
        json_obj(j);
        json_ki64(j, S("start"), errors->at[i].pos.start);
        json_ki64(j, S("end"), errors->at[i].pos.end);
        json_kstr(j, S("message"), errors->at[i].message);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static errc ask_query(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    struct parse_opts o = opts_of(q);
    struct parse_errors errors = { 0 };
    struct expr *tree = NULL;
    str query = conformance_str(q, "query");
    errc rc = promql_parse(&tree, query, &o, a, &errors, e);
    json_kbool(got, S("ok"), rc == OK);
    if (rc != OK) {
        if (errors.n) json_kstr(got, S("error"), parse_error_text(&errors.at[0], query, a));
        put_errors(got, &errors);
        return OK;
    }
    put_printed(got, tree);
    json_kstr(got, S("type"), value_type_name(expr_type(tree)));
    JSON_KEY(got, "ast");
    promql_json(got, tree);
    promql_tree_fini(tree);
    return OK;
}

static void put_value(struct json *j, const struct seq_value *v)
{
    struct buf b = { 0 };
    if (v->kind == SEQ_OMITTED) buf_u8(&b, '_');
    else if (v->kind == SEQ_HISTOGRAM) buf_series_histogram(&b, v->h);
    else if (sample_is_stale(v->v)) buf_str(&b, S("stale"));
    else buf_f64_g(&b, v->v);
    if (v->hint_set) buf_str(&b, S(" hint-set"));
    json_str(j, buf_view(&b));
    buf_fini(&b);
}

static errc ask_series(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    struct series_description d = { 0 };
    errc rc = promql_parse_series(&d, conformance_str(q, "input"), a, e);
    json_kbool(got, S("ok"), rc == OK);
    if (rc != OK) {
        json_kstr(got, S("error"), err_str(e));
        return OK;
    }
    if (d.labels.n) JSON_KEY(got, "labels"), json_arr(got);
    for (size_t i = 0; i < d.labels.n; i++) {
        json_arr(got);
        json_str(got, d.labels.at[i].name);
        json_str(got, d.labels.at[i].value);
        json_arr_end(got);
    }
    if (d.labels.n) json_arr_end(got);
    if (d.n) JSON_KEY(got, "values"), json_arr(got);
    for (size_t i = 0; i < d.n; i++) put_value(got, &d.values[i]);
    if (d.n) json_arr_end(got);
    return OK;
}

const struct conformance_kind conformance_parser_valid = { .name = "parser/valid",
    .ask = ask_query };
const struct conformance_kind conformance_parser_invalid = { .name = "parser/invalid",
    .ask = ask_query };
const struct conformance_kind conformance_parser_series = { .name = "parser/series_descriptions",
    .ask = ask_series };
