#include "api/room.h"

#include "base/budget.h"
#include "base/clock.h"
#include "base/rfc3339.h"
#include "io/choice.h"

void api_status_config(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    (void)r;
    if (!api_is_ready(a, w)) return;
    SCOPED(buf_fini) struct buf yaml = { 0 };
    a->o.sources->config_yaml(a->o.sources->ctx, &yaml);
    struct json j = api_begin(w);
    json_obj(&j);
    json_kstr(&j, S("yaml"), buf_view(&yaml));
    json_obj_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

void api_status_flags(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    api_flags flags = { 0 };
    a->o.sources->flags(a->o.sources->ctx, &r->arena, &flags);
    struct json j = api_begin(w);
    json_obj(&j);
    for (size_t i = 0; i < flags.n; i++) json_kstr(&j, flags.at[i].name, flags.at[i].value);
    json_obj_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

static void write_ktime(struct json *j, str key, int64_t ns)
{
    struct buf text = { 0 };
    buf_rfc3339_ns(&text, ns);
    json_kstr(j, key, buf_view(&text));
    buf_fini(&text);
}

void api_status_runtime(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    struct api_runtime rt = { 0 };
    a->o.sources->runtime(a->o.sources->ctx, &r->arena, &rt);
    struct json j = api_begin(w);
    json_obj(&j);
    write_ktime(&j, S("startTime"), rt.start_ns);
    json_kstr(&j, S("CWD"), rt.cwd);
    json_kstr(&j, S("hostname"), rt.hostname);
    write_ktime(&j, S("serverTime"), clock_wall_ns());
    json_kbool(&j, S("reloadConfigSuccess"), rt.reload_ok);
    write_ktime(&j, S("lastConfigTime"), rt.last_config_ns);
    json_ki64(&j, S("corruptionCount"), (int64_t)rt.corruptions);
    /* threads: clients only need a number there */
    json_ki64(&j, S("goroutineCount"), (int64_t)rt.threads);
    json_ki64(&j, S("GOMAXPROCS"), (int64_t)rt.cores);
    json_ki64(&j, S("GOMEMLIMIT"), budget_limit() ? (int64_t)budget_limit() : INT64_MAX);
    json_kstr(&j, S("GOGC"), STR_EMPTY);
    json_kstr(&j, S("GODEBUG"), STR_EMPTY);
    json_kstr(&j, S("storageRetention"), rt.retention);
    json_obj_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

void api_status_build(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    (void)r;
    if (!api_is_ready(a, w)) return;
    struct json j = api_begin(w);
    json_obj(&j);
    json_kstr(&j, S("version"), a->o.version);
    json_kstr(&j, S("revision"), S(EPI_VERSION));
    json_kstr(&j, S("branch"), S("epimetheus"));
    json_kstr(&j, S("buildUser"), STR_EMPTY);
    json_kstr(&j, S("buildDate"), STR_EMPTY);
    json_kstr(&j, S("goVersion"), STR_EMPTY);
    json_obj_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

#define WRITE_COUNTS(j, key, list) \
    do { \
        json_key((j), S(key)); \
        json_arr(j); \
        for (size_t i = 0; i < (list)->n; i++) { \
            json_obj(j); \
            json_kstr((j), S("name"), (list)->at[i].name); \
            json_ki64((j), S("value"), (int64_t)(list)->at[i].n); \
            json_obj_end(j); \
        } \
        json_arr_end(j); \
    } while (0)

enum { TSDB_LIMIT = 10, TSDB_LIMIT_MAX = 10000 };

void api_status_tsdb(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    SCOPED(params_fini) struct params p;
    params_read(&p, r);
    int64_t limit = TSDB_LIMIT;
    str text = param(&p, S("limit"));
    if (text.n && (!str_i64(text, &limit) || limit < 1)) {
        api_error(w, API_BAD_DATA, S("limit must be a positive number"));
        return;
    }
    if (limit > TSDB_LIMIT_MAX) {
        api_error_fmt(w, API_BAD_DATA, "limit must not exceed %d", TSDB_LIMIT_MAX);
        return;
    }
    struct api_tsdb_stats st = { 0 };
    struct err e = { 0 };
    errc rc = a->o.sources->tsdb_stats(a->o.sources->ctx, &r->arena, (size_t)limit, &st, &e);
    if (rc != OK) {
        api_error(w, API_INTERNAL, err_str(&e));
        return;
    }
    struct json j = api_begin(w);
    json_obj(&j);
    JSON_KEY(&j, "headStats");
    json_obj(&j);
    json_ki64(&j, S("numSeries"), (int64_t)st.n_series);
    json_ki64(&j, S("numLabelPairs"), (int64_t)st.n_label_pairs);
    json_ki64(&j, S("chunkCount"), st.n_chunks);
    json_ki64(&j, S("minTime"), st.mint);
    json_ki64(&j, S("maxTime"), st.maxt);
    json_obj_end(&j);
    WRITE_COUNTS(&j, "seriesCountByMetricName", &st.by_metric);
    WRITE_COUNTS(&j, "labelValueCountByLabelName", &st.values_by_label);
    WRITE_COUNTS(&j, "memoryInBytesByLabelName", &st.bytes_by_label);
    WRITE_COUNTS(&j, "seriesCountByLabelValuePair", &st.by_pair);
    json_obj_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

void api_status_walreplay(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    (void)r;
    int64_t min = 0, max = 0, current = 0;
    a->o.sources->wal_replay(a->o.sources->ctx, &min, &max, &current);
    struct json j = api_begin(w);
    json_obj(&j);
    json_ki64(&j, S("min"), min);
    json_ki64(&j, S("max"), max);
    json_ki64(&j, S("current"), current);
    json_obj_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

void api_notifications_get(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    api_notifications list = { 0 };
    a->o.sources->notifications(a->o.sources->ctx, &r->arena, &list);
    struct json j = api_begin(w);
    json_arr(&j);
    for (size_t i = 0; i < list.n; i++) {
        json_obj(&j);
        json_kstr(&j, S("text"), list.at[i].text);
        write_ktime(&j, S("date"), list.at[i].date_ns);
        json_kbool(&j, S("active"), true);
        json_obj_end(&j);
    }
    json_arr_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

/* How files are read, and why so; `files` are those that are open. */
void api_status_storage_io(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct io_state states[IO_STATES_MAX];
    size_t n = io_states(states);
    (void)ctx, (void)r;
    struct json j = api_begin(w);
    json_arr(&j);
    for (size_t i = 0; i < n; i++) {
        const struct io_state *s = &states[i];
        json_obj(&j);
        json_kstr(&j, S("kind"), str_z(io_kind_word(s->kind)));
        json_kstr(&j, S("asked"), str_z(io_backend_word(s->asked)));
        json_kstr(&j, S("backend"), str_z(io_backend_word(s->runs)));
        json_kstr(&j, S("reason"), str_z(s->why));
        json_ku64(&j, S("files"), s->files);
        json_ku64(&j, S("bytes"), s->bytes);
        json_obj_end(&j);
    }
    json_arr_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}
