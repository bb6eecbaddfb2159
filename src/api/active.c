/* What Prometheus has only as a file for after a crash: the queries that run and wait, and their
 * end. */
#include "api/room.h"

#include "base/rfc3339.h"

static void put_seconds(struct json *j, str key, int64_t ns)
{
    json_key(j, key);
    json_f64(j, (double)ns / 1e9);
}

static void put_query(struct json *j, const struct query_activity *q)
{
    SCOPED(buf_fini) struct buf start = { 0 };
    buf_rfc3339_ms(&start, q->start_ms);
    json_obj(j);
    json_ku64(j, S("id"), q->id);
    json_kstr(j, S("query"), q->query);
    json_kstr(j, S("client"), q->origin.client);
    json_kstr(j, S("method"), q->origin.method);
    json_kstr(j, S("path"), q->origin.path);
    json_kstr(j, S("state"), q->sending   ? S("sending")
                              : q->running ? S("running")
                                           : S("waiting"));
    json_kstr(j, S("start"), buf_view(&start));
    put_seconds(j, S("ageSeconds"), q->age_ns);
    put_seconds(j, S("waitSeconds"), q->waited_ns);
    JSON_KEY(j, "progress");
    json_f64(j, q->series ? MIN((double)q->series_done / (double)q->series, 1) : 0);
    json_ku64(j, S("series"), q->series);
    json_ku64(j, S("samples"), q->samples);
    json_ku64(j, S("bytesRead"), q->bytes);
    json_ku64(j, S("memoryBytes"), q->memory);
    json_ku64(j, S("peakMemoryBytes"), q->memory_peak);
    json_obj_end(j);
}

void api_active_queries(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_open(a, w)) return;
    struct query_activity *at;
    size_t n;
    engine_active(a->o.engine, &r->arena, &at, &n);
    struct json j = api_begin(w);
    json_arr(&j);
    for (size_t i = 0; i < n; i++) put_query(&j, &at[i]);
    json_arr_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

void api_end_query(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    uint64_t id;
    if (!api_lifecycle_on(a, w) || !api_is_open(a, w)) return;
    if (!str_u64(r->path_params.at[0].value, &id))
        api_error(w, API_BAD_DATA, S("the id of a query is a number"));
    else if (!engine_end(a->o.engine, id)) api_error(w, API_NOT_FOUND, S("no such query"));
    else w->status = 204;
}
