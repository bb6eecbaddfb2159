#include "api/room.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "promql/active.h"
#include "promql/print.h"

enum { POINTS_MAX = 11000, NOTES_MAX = 64 };
static const int64_t MS_NS = 1000000, PASSED_NS = 100000,
                     TIMEOUT_MAX_MS = INT64_C(365) * 86400 * 1000;

/* What /query and /query_range have in common. */
struct ask { struct params p; uint64_t limit; struct query_opts o; bool expired; };

/* The engine reads durations of 0 as "its own"; a time-out that is over before anything can begin
 * is answered here. */
static bool read_timeout(struct ask *k, struct http_resp *w)
{
    str text = param(&k->p, S("timeout"));
    struct err e = { 0 };
    int64_t ns;
    if (!text.n) return true;
    if (parse_api_duration(text, &ns, &e) != OK) {
        api_invalid_param(w, "timeout", &e);
        return false;
    }
    k->expired = ns < PASSED_NS;
    k->o.timeout_ms = MIN(MAX(ns / MS_NS, 1), TIMEOUT_MAX_MS);
    return true;
}

static bool read_lookback(struct ask *k, struct http_resp *w)
{
    str text = param(&k->p, S("lookback_delta"));
    struct err e = { 0 };
    int64_t ns;
    if (!text.n) return true;
    if (parse_api_duration(text, &ns, &e) != OK) {
        err_in(&e, ERR_BAD_INPUT, "error parsing lookback delta duration");
        api_error(w, API_BAD_DATA, err_str(&e));
        return false;
    }
    k->o.lookback_ms = ns <= 0 ? 0 : ns < MS_NS ? -1 : ns / MS_NS;
    return true;
}

static bool read_limit(struct ask *k, struct http_resp *w)
{
    struct err e = { 0 };
    if (parse_limit(param(&k->p, S("limit")), &k->limit, &e) == OK) return true;
    api_invalid_param(w, "limit", &e);
    return false;
}

static void read_stats(struct ask *k)
{
    str stats = param(&k->p, S("stats"));
    k->o.stats = stats.n > 0;
    k->o.per_step_stats = str_eq(stats, S("all"));
    k->o.explain = str_eq(param(&k->p, S("explain")), S("true"));
}

static bool read_instant(struct ask *k, struct http_resp *w)
{
    struct err e = { 0 };
    struct instant t, now = { clock_wall_ns() / 1000000000, clock_wall_ns() % 1000000000 };
    if (param_instant(&k->p, S("time"), now, &t, &e) != OK) {
        api_invalid_param(w, "time", &e);
        return false;
    }
    k->o.start_ms = k->o.end_ms = instant_query_ms(t);
    k->o.instant = true;
    return true;
}

static bool read_range(struct ask *k, struct http_resp *w)
{
    struct err e = { 0 };
    struct instant start, end;
    int64_t step_ns;
    const char *bad = NULL;
    if (parse_instant(param(&k->p, S("start")), &start, &e) != OK) bad = "start";
    else if (parse_instant(param(&k->p, S("end")), &end, &e) != OK) bad = "end";
    else if (instant_before(end, start)) {
        err_set(&e, ERR_BAD_INPUT, "end timestamp must not be before start time");
        bad = "end";
    } else if (parse_api_duration(param(&k->p, S("step")), &step_ns, &e) != OK) bad = "step";
    else if (step_ns <= 0) {
        err_set(&e, ERR_BAD_INPUT,
            "zero or negative query resolution step widths are not accepted. Try a positive "
            "integer");
        bad = "step";
    }
    if (bad) {
        api_invalid_param(w, bad, &e);
        return false;
    }
    if (instant_sub(end, start) / step_ns > POINTS_MAX) {
        api_error(w, API_BAD_DATA,
            S("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
              "query resolution (?step=XX)"));
        return false;
    }
    k->o.start_ms = instant_query_ms(start);
    k->o.end_ms = instant_query_ms(end);
    k->o.step_ms = step_ns / MS_NS;
    return true;
}

/* Words of a bad query stand behind the parameter's name; all else is an error of the execution. */
static void answer_failure(
    struct http_resp *w, errc rc, const struct err *e, const struct query_opts *o)
{
    if (rc == ERR_BAD_INPUT) api_invalid_param_str(w, "query", query_failure(o, e));
    else if (rc == ERR_UNAVAILABLE || rc == ERR_TIMEOUT || rc == ERR_CANCELED || rc == ERR_IO ||
             rc == ERR_CORRUPT)
        api_error_of(w, rc, e);
    else api_error(w, API_EXECUTION, query_failure(o, e));
}

/* An answer longer than a part is written while it is sent: it never lies in memory whole. It is
 * listed as what its query was until then. */
struct answer {
    struct http_stream base;
    struct api *api;
    struct active_query active;
    struct unsent unsent;
    struct query_opts o;
    struct result res;
    struct result_writer w;
    str notes[NOTES_MAX];
    size_t n_notes;
};

/* False: that was the end; where out is bad, because somebody asked for it. */
static bool answer_part(struct answer *a, struct buf *out)
{
    enum { PART_BYTES = 512 << 10 };
    if (active_ended(&a->active)) {
        out->bad = true;
        return false;
    }
    if (promql_result_more(&a->w, out, PART_BYTES)) return true;
    api_notes(&a->w.j, S("warnings"), a->notes, a->n_notes);
    api_notes(&a->w.j, S("infos"), a->res.infos, a->res.n_infos);
    json_obj_end(&a->w.j);
    return false;
}

static bool answer_more(struct http_stream *base, struct buf *out)
{
    return answer_part(CONTAINER_OF(base, struct answer, base), out);
}

static void answer_free(struct http_stream *base)
{
    struct answer *a = CONTAINER_OF(base, struct answer, base);
    unsent_leave(&a->api->unsent, &a->unsent);
    engine_active_leave(a->api->o.engine, &a->active);
    promql_result_fini(&a->res);
    mem_free(a);
}

static const struct http_stream_ops answer_ops = { answer_more, answer_free };

static void answer_cut(void *r) { http_cut(r); }

static void answer_write(struct answer *a, struct http_req *r, struct http_resp *w, bool stats)
{
    struct json j = api_begin(w);
    promql_result_begin(&a->w, &j, &a->res, stats);
    bool more = answer_part(a, &w->body);
    while (more && r->method == HTTP_HEAD) more = answer_part(a, &w->body);
    if (active_ended(&a->active)) api_error(w, API_CANCELED, S("query was canceled"));
    else if (!buf_ok(&w->body)) api_error(w, API_INTERNAL, S("the answer is too large"));
    else if (more) w->stream = &a->base;
    atomic_store_explicit(&a->active.sending, w->stream != NULL, memory_order_relaxed);
    if (w->stream)
        unsent_enter(&a->api->unsent, &a->unsent, r, a->res.arena.used, clock_mono_ns());
}

static void answer_result(
    struct answer *a, struct ask *k, struct http_req *r, struct http_resp *w)
{
    struct result *res = &a->res;
    str *notes = a->notes;
    size_t n = 0;
    while (n < res->n_warnings && n < NOTES_MAX - 2) {
        notes[n] = res->warnings[n];
        n++;
    }
    bool list = res->type == VALUE_VECTOR || res->type == VALUE_MATRIX;
    if (k->limit && list && res->n_series > k->limit) {
        res->n_series = (size_t)k->limit;
        notes[n++] = S("results truncated due to limit");
    }
    str stats = param(&k->p, S("stats"));
    if (stats.n && !str_eq(stats, S("true")) && !str_eq(stats, S("all"))) {
        struct buf q = { 0 };
        buf_go_quote(&q, stats);
        notes[n++] = arena_fmt(&r->arena,
            "value %.*s for parameter \"stats\" is deprecated and will be rejected in the next "
            "major release, use \"true\" or \"all\"",
            STR_ARG(buf_view(&q)));
        buf_fini(&q);
    }
    a->n_notes = n;
    answer_write(a, r, w, stats.n > 0);
}

static struct answer *answer_new(struct api *api, const struct ask *k, struct http_req *r)
{
    struct answer *a = NEW(struct answer);
    a->base.ops = &answer_ops;
    a->api = api;
    a->o = k->o;
    a->o.active = &a->active;
    engine_active_enter(api->o.engine, &a->active, &a->o, answer_cut, r);
    return a;
}

/* Parses the parameter query; NULL: the error is written. */
static struct expr *parse_param(struct api *a, struct http_req *r, struct http_resp *w)
{
    SCOPED(params_fini) struct params p;
    params_read(&p, r);
    struct expr *e = NULL;
    struct parse_errors errors = { 0 };
    struct err why = { 0 };
    if (promql_parse(&e, param(&p, S("query")), &a->o.parse, &r->arena, &errors, &why) == OK)
        return e;
    str words = parse_error_text(&errors.at[0], param(&p, S("query")), &r->arena);
    api_invalid_param_str(w, "query", words);
    return NULL;
}

/* A query that is none is told so, however little time it has. */
static void answer_expired(struct api *a, struct http_req *r, struct http_resp *w)
{
    struct expr *e = parse_param(a, r, w);
    if (!e) return;
    promql_tree_fini(e);
    api_error(w, API_TIMEOUT, S("query timed out in query execution"));
}

static void run(struct api *a, struct ask *k, struct http_req *r, struct http_resp *w)
{
    k->o.query = param(&k->p, S("query"));
    k->o.cancel = &r->gone;
    k->o.origin = (struct query_origin){ http_client_ip(r), r->method_name, r->path };
    if (k->expired) {
        answer_expired(a, r, w);
        return;
    }
    struct err e = { 0 };
    SCOPED(buf_fini) struct buf words = { 0 };
    k->o.words = &words;
    struct answer *answer = answer_new(a, k, r);
    errc rc = engine_query(a->o.engine, a->o.queryable, &answer->o, &answer->res, &e);
    if (rc != OK) answer_failure(w, rc, &e, &answer->o);
    else answer_result(answer, k, r, w);
    if (!w->stream) answer_free(&answer->base);
}

void api_query(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_open(a, w)) return;
    struct ask k = { 0 };
    params_read(&k.p, r);
    read_stats(&k);
    if (read_limit(&k, w) && read_instant(&k, w) && read_timeout(&k, w) && read_lookback(&k, w))
        run(a, &k, r, w);
    params_fini(&k.p);
}

void api_query_range(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_open(a, w)) return;
    struct ask k = { 0 };
    params_read(&k.p, r);
    read_stats(&k);
    if (read_limit(&k, w) && read_range(&k, w) && read_timeout(&k, w) && read_lookback(&k, w))
        run(a, &k, r, w);
    params_fini(&k.p);
}

void api_format_query(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    struct expr *e = parse_param(a, r, w);
    if (!e) return;
    SCOPED(buf_fini) struct buf text = { 0 };
    promql_pretty(&text, e);
    promql_tree_fini(e);
    if (!buf_ok(&text)) {
        api_error(w, API_EXECUTION, S("the query is too long when it is formatted"));
        return;
    }
    struct json j = api_begin(w);
    json_str(&j, buf_view(&text));
    api_end(&j, w, NULL, 0, NULL, 0);
}

void api_parse_query(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    struct expr *e = parse_param(a, r, w);
    if (!e) return;
    struct json j = api_begin(w);
    promql_json(&j, e);
    api_end(&j, w, NULL, 0, NULL, 0);
    promql_tree_fini(e);
}
