/* conformance_promql.c — kind "promql": queries over one data set, answered as /api/v1/query and
 * /query_range answer them. */
#include <math.h>

#include "base/f64.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/conformance.h"
#include "cmd/epitool/script_store.h"
#include "model/duration.h"
#include "promql/result_json.h"

static struct script_store store;
static struct script_storage storage;

static errc load_script(const struct script *s, struct err *e)
{
    storage = script_store_of(&store);
    TRY(storage.reset(storage.ctx, e));
    for (size_t i = 0; i < s->n; i++) {
        if (s->at[i].kind != SCRIPT_LOAD)
            return err_set(
                e, ERR_BAD_INPUT, "line %zu: a data set holds load commands only", s->at[i].line);
        TRY(script_load_into(&s->at[i].load, storage.appendable(storage.ctx), e));
    }
    return OK;
}

static errc begin(const struct conformance_args *args, struct err *e)
{
    struct arena a = { 0 };
    struct script s = { 0 };
    str text;
    if (!args->dataset) return err_set(e, ERR_BAD_INPUT, "promql needs --dataset FILE");
    errc rc = cmd_read_file(args->dataset, &a, &text, e);
    if (rc == OK) rc = script_parse(&s, text, e);
    if (rc == OK) rc = load_script(&s, e);
    script_fini(&s);
    arena_fini(&a);
    return rc;
}

static void end(void) { script_store_fini(&store); }

static struct engine_opts opts_of(const json_t *q)
{
    struct engine_opts o = script_engine_opts();
    o.parse = (struct parse_opts){ .duration_expr = true };
    o.max_samples = 50000000;
    o.delayed_name_removal = o.use_start_timestamps = false;
    const json_t *features = json_object_get(q, "features");
    for (size_t i = 0; i < json_array_size(features); i++) {
        str name = str_z(json_string_value(json_array_get(features, i)));
        if (str_eq(name, S("promql-experimental-functions"))) o.parse.experimental_functions = true;
        else if (str_eq(name, S("promql-extended-range-selectors")))
            o.parse.extended_range_selectors = true;
        else if (str_eq(name, S("promql-binop-fill-modifiers")))
            o.parse.binop_fill_modifiers = true;
        else if (str_eq(name, S("promql-delayed-name-removal"))) o.delayed_name_removal = true;
    }
    return o;
}

/* Seconds, or a duration, in milliseconds. */
static errc time_of(const json_t *q, const char *key, int64_t *ms, struct err *e)
{
    double s;
    str text = conformance_str(q, key);
    if (f64_parse(text, &s)) {
        *ms = (int64_t)llround(s * 1000);
        return OK;
    }
    return duration_parse(text, ms, e);
}

static errc query_of(const json_t *q, struct query_opts *o, struct err *e)
{
    *o = (struct query_opts){ .query = conformance_str(q, "query"),
        .instant = str_eq(conformance_str(q, "kind"), S("instant")) };
    if (conformance_str(q, "lookback_delta").n)
        TRY(time_of(q, "lookback_delta", &o->lookback_ms, e));
    if (o->instant) {
        TRY(time_of(q, "time", &o->start_ms, e));
        o->end_ms = o->start_ms;
        return OK;
    }
    TRY(time_of(q, "start", &o->start_ms, e));
    TRY(time_of(q, "end", &o->end_ms, e));
    return time_of(q, "step", &o->step_ms, e);
}

static void put_list(struct json *j, str key, const str *at, size_t n)
{
    if (n == 0) return;
    json_key(j, key);
    json_arr(j);
    for (size_t i = 0; i < n; i++) json_str(j, at[i]);
    json_arr_end(j);
}

static void put_success(struct json *j, const struct result *r)
{
    json_ki64(j, S("http_status"), 200);
    JSON_KEY(j, "response");
    json_obj(j);
    json_kstr(j, S("status"), S("success"));
    JSON_KEY(j, "data");
    promql_result_json(j, r, false);
    put_list(j, S("warnings"), r->warnings, r->n_warnings);
    put_list(j, S("infos"), r->infos, r->n_infos);
    json_obj_end(j);
}

static void put_failure(struct json *j, struct arena *a, errc rc, const struct err *why)
{
    bool bad_data = rc == ERR_BAD_INPUT, late = rc == ERR_TIMEOUT || rc == ERR_CANCELED;
    str words = err_str(why);
    if (bad_data) words = arena_fmt(a, "invalid parameter \"query\": %.*s", STR_ARG(words));
    json_ki64(j, S("http_status"), bad_data ? 400 : late ? 503 : 422);
    JSON_KEY(j, "response");
    json_obj(j);
    json_kstr(j, S("status"), S("error"));
    json_kstr(j, S("errorType"),
        bad_data            ? S("bad_data")
        : rc == ERR_TIMEOUT ? S("timeout")
        : late              ? S("canceled")
                            : S("execution"));
    json_kstr(j, S("error"), words);
    json_obj_end(j);
}

static errc ask(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    struct engine_opts eo = opts_of(q);
    struct query_opts o;
    struct result r = { 0 };
    struct err why = { 0 };
    TRY(query_of(q, &o, e));
    struct engine *en = engine_new(&eo);
    errc rc = engine_query(en, storage.queryable(storage.ctx), &o, &r, &why);
    if (rc == OK) put_success(got, &r);
    else put_failure(got, a, rc, &why);
    if (rc == OK) promql_result_fini(&r);
    engine_free(en);
    return OK;
}

const struct conformance_kind conformance_promql = {
    .name = "promql", .ask = ask, .begin = begin, .end = end
};
