/* exemplars.c — /api/v1/query_exemplars: the exemplars of all selectors of an expression. */
#include "api/room.h"

#include "base/f64.h"

typedef VEC(struct matchers) matchers_list;

struct gathering { struct arena *a; matchers_list sets; };

static void gather(void *ctx, struct expr *e)
{
    struct gathering *g = ctx;
    if (e->kind == EXPR_VECTOR) avec_push(g->a, &g->sets, e->vector.matchers);
}

static void write_series(struct json *j, const struct exemplar_series *s)
{
    json_obj(j);
    JSON_KEY(j, "seriesLabels");
    promql_labels_json(j, s->labels);
    JSON_KEY(j, "exemplars");
    json_arr(j);
    for (size_t i = 0; i < s->n; i++) {
        SCOPED(buf_fini) struct buf text = { 0 };
        json_obj(j);
        JSON_KEY(j, "labels");
        promql_labels_json(j, s->at[i].labels);
        buf_f64_api(&text, s->at[i].v);
        json_kstr(j, S("value"), buf_view(&text));
        buf_reset(&text);
        promql_time_text(&text, s->at[i].t);
        JSON_KEY(j, "timestamp");
        json_raw(j, buf_view(&text));
        json_obj_end(j);
    }
    json_arr_end(j);
    json_obj_end(j);
}

static void answer(const struct api *a, struct expr *x, int64_t start, int64_t end,
    struct http_req *r, struct http_resp *w)
{
    struct gathering g = { .a = &r->arena };
    struct exemplar_result found = { 0 };
    struct err e = { 0 };
    expr_each(x, gather, &g);
    if (!g.sets.n) {
        w->status = 204;
        return;
    }
    struct exemplar_queryable *q = a->o.exemplars;
    errc rc = q ? q->ops->select(q, start, end, g.sets.at, g.sets.n, &r->arena, &found, &e) : OK;
    if (rc != OK) {
        api_error_of(w, rc, &e);
        return;
    }
    struct json j = api_begin(w);
    json_arr(&j);
    for (size_t i = 0; i < found.n; i++) write_series(&j, &found.at[i]);
    json_arr_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

void api_query_exemplars(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    SCOPED(params_fini) struct params p;
    struct instant start, end;
    struct err e = { 0 };
    params_read(&p, r);
    if (param_instant(&p, S("start"), INSTANT_MIN, &start, &e) != OK) {
        api_invalid_param(w, "start", &e);
        return;
    }
    if (param_instant(&p, S("end"), INSTANT_MAX, &end, &e) != OK) {
        api_invalid_param(w, "end", &e);
        return;
    }
    if (instant_before(end, start)) {
        api_error(w, API_BAD_DATA, S("end timestamp must not be before start timestamp"));
        return;
    }
    struct expr *x = NULL;
    struct parse_errors errors = { 0 };
    errc rc = promql_parse(&x, param(&p, S("query")), &a->o.parse, &r->arena, &errors, &e);
    if (rc == OK) answer(a, x, instant_ms(start), instant_ms(end), r, w);
    else api_error(w, API_BAD_DATA, err_str(&e));
    promql_tree_fini(x);
}
