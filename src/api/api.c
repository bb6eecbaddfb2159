#include "api/room.h"
#include "api/write.h"

#include "base/mem.h"

#define V1 "/api/v1"
enum {
    GET_POST = HTTP_GET | HTTP_POST,
    GET_HEAD = HTTP_GET | HTTP_HEAD,
    POST_PUT = HTTP_POST | HTTP_PUT
};
enum { WRITE_BODY_MAX = 64 << 20 };

static const struct http_route routes[] = {
    { GET_HEAD, "/-/healthy", api_healthy, HTTP_IN_PLACE, 0 },
    { GET_HEAD, "/-/ready", api_ready, HTTP_IN_PLACE, 0 },
    { POST_PUT, "/-/reload", api_reload, 0, 0 },
    { POST_PUT, "/-/quit", api_quit, HTTP_IN_PLACE, 0 },
    { HTTP_GET, "/-/reload", api_lifecycle_get, HTTP_IN_PLACE, 0 },
    { HTTP_GET, "/-/quit", api_lifecycle_get, HTTP_IN_PLACE, 0 },
    { HTTP_GET, "/metrics", api_metrics, HTTP_IN_PLACE, 0 },
    { HTTP_GET, "/version", api_version, HTTP_IN_PLACE, 0 },
    { HTTP_GET, "/", api_root, HTTP_IN_PLACE, 0 },
    { HTTP_GET, "/graph", api_graph, HTTP_IN_PLACE, 0 },
    { HTTP_GET, "/query", api_page, HTTP_IN_PLACE, 0 },
    { HTTP_GET, "/favicon.svg", api_favicon, HTTP_IN_PLACE, 0 },
    { HTTP_GET, "/favicon.ico", api_favicon, HTTP_IN_PLACE, 0 },
    { GET_POST, V1 "/query", api_query, HTTP_GIVES_WAY, 0 },
    { GET_POST, V1 "/query_range", api_query_range, HTTP_GIVES_WAY, 0 },
    { GET_POST, V1 "/query_exemplars", api_query_exemplars, HTTP_GIVES_WAY, 0 },
    { GET_POST, V1 "/format_query", api_format_query, 0, 0 },
    { GET_POST, V1 "/parse_query", api_parse_query, 0, 0 },
    { GET_POST, V1 "/series", api_series, HTTP_GIVES_WAY, 0 },
    { GET_POST, V1 "/labels", api_labels, HTTP_GIVES_WAY, 0 },
    { HTTP_GET, V1 "/label/:name/values", api_label_values, HTTP_GIVES_WAY, 0 },
    { HTTP_GET, V1 "/metadata", api_metadata_get, 0, 0 },
    { HTTP_GET, V1 "/targets", api_targets_get, 0, 0 },
    { HTTP_GET, V1 "/targets/metadata", api_targets_metadata, 0, 0 },
    { HTTP_GET, V1 "/targets/relabel_steps", api_relabel_steps_get, 0, 0 },
    { HTTP_GET, V1 "/scrape_pools", api_scrape_pools, 0, 0 },
    { HTTP_GET, V1 "/scrape_pools/config", api_scrape_pool_config, 0, 0 },
    { HTTP_GET, V1 "/status/config", api_status_config, 0, 0 },
    { HTTP_GET, V1 "/status/flags", api_status_flags, 0, 0 },
    { HTTP_GET, V1 "/status/runtimeinfo", api_status_runtime, 0, 0 },
    { HTTP_GET, V1 "/status/buildinfo", api_status_build, 0, 0 },
    { HTTP_GET, V1 "/status/tsdb", api_status_tsdb, 0, 0 },
    { HTTP_GET, V1 "/status/tsdb/blocks", api_status_blocks, 0, 0 },
    { HTTP_GET, V1 "/status/storage_io", api_status_storage_io, HTTP_IN_PLACE, 0 },
    { HTTP_GET, V1 "/status/active_queries", api_active_queries, 0, 0 },
    { HTTP_DELETE, V1 "/status/active_queries/:id", api_end_query, 0, 0 },
    { HTTP_GET, V1 "/features", api_features_get, 0, 0 },
    { HTTP_GET, V1 "/status/walreplay", api_status_walreplay, HTTP_IN_PLACE, 0 },
    { HTTP_GET, V1 "/notifications", api_notifications_get, 0, 0 },
    { HTTP_POST, V1 "/read", api_read, HTTP_GIVES_WAY, WRITE_BODY_MAX },
    { HTTP_POST, V1 "/write", api_write, HTTP_UPLOADS, WRITE_BODY_MAX },
    { HTTP_POST, V1 "/otlp/v1/metrics", api_otlp_disabled, 0, 0 },
    { POST_PUT, V1 "/admin/tsdb/delete_series", api_delete_series, 0, 0 },
    { POST_PUT, V1 "/admin/tsdb/clean_tombstones", api_clean_tombstones, 0, 0 },
    { POST_PUT, V1 "/admin/tsdb/snapshot", api_snapshot, 0, 0 },
    { GET_POST, V1 "/search/metric_names", api_search_metric_names, HTTP_GIVES_WAY, 0 },
    { GET_POST, V1 "/search/label_names", api_search_label_names, HTTP_GIVES_WAY, 0 },
    { GET_POST, V1 "/search/label_values", api_search_label_values, HTTP_GIVES_WAY, 0 },
    { HTTP_OPTIONS, V1 "/*path", api_options, HTTP_IN_PLACE, 0 },
};

errc api_new(struct api **out, const struct api_opts *o, struct err *e)
{
    struct api *a = NEW(struct api);
    a->o = *o;
    str origin = o->cors_origin.n ? o->cors_origin : S(".*");
    errc rc = regex_new(&a->cors, origin, e);
    if (rc != OK) {
        mem_free(a);
        return rc;
    }
    mtx_init(&a->read_mu, LOCK_LEAF);
    cond_init(&a->read_done);
    unsent_init(&a->unsent, o->unsent_bytes_max);
    buf_pool_init(&a->bodies, &api_write_account);
    *out = a;
    return OK;
}

void api_attach(struct api *a, const struct api_storage *st)
{
    if (a->o.engine != st->engine) a->o.engine = st->engine;
    if (a->o.queryable != st->queryable) a->o.queryable = st->queryable;
    a->o.appendable = st->appendable;
    a->o.exemplars = st->exemplars;
    a->o.chunks = st->chunks;
}

void api_free(struct api *a)
{
    if (!a) return;
    unsent_fini(&a->unsent);
    regex_free(a->cors);
    buf_pool_fini(&a->bodies);
    cond_fini(&a->read_done);
    mtx_fini(&a->read_mu);
    mem_free(a);
}

str api_mount(void) { return S(V1); }

const struct http_route *api_routes(const struct api *a, size_t *n)
{
    (void)a;
    *n = ARRAY_LEN(routes);
    return routes;
}

/* Receivers tell no origins, nor does who waits for storage, but for what is answered meanwhile. */
static bool tells_origins(const struct api *a, const struct http_req *r)
{
    static const str never[] = { S("/write"), S("/read"), S("/otlp/v1/metrics") },
                     always[] = { S("/status/walreplay"), S("/notifications") };
    size_t at = str_find(r->path, S(V1 "/"));
    if (at == SIZE_MAX) return false;
    str rest = str_from(r->path, at + S(V1).n);
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        if (str_eq(rest, always[i])) return true;
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        if (str_eq(rest, never[i]) && r->method != HTTP_OPTIONS) return false;
    enum api_state state = a->o.sources->state(a->o.sources->ctx);
    return state == API_READY || state == API_REPLAYING;
}

void api_before(void *ctx, struct http_req *r, struct http_resp *w)
{
    const struct api *a = ctx;
    if (!tells_origins(a, r)) return;
    http_resp_header(w, S("Vary"), S("Origin"));
    str origin = http_header(r, "Origin");
    if (!origin.n) return;
    http_resp_header(
        w, S("Access-Control-Allow-Headers"), S("Accept, Authorization, Content-Type, Origin"));
    http_resp_header(w, S("Access-Control-Allow-Methods"), S("GET, POST, OPTIONS"));
    http_resp_header(w, S("Access-Control-Expose-Headers"), S("Date"));
    if (regex_match(a->cors, origin))
        http_resp_header(w, S("Access-Control-Allow-Origin"), arena_str(&r->arena, origin));
}

bool api_is_open(const struct api *a, struct http_resp *w)
{
    enum api_state state = a->o.sources->state(a->o.sources->ctx);
    if (state == API_READY || state == API_REPLAYING) return true;
    api_text(w, 503, S("Service Unavailable"));
    http_resp_header(w, S("X-Prometheus-Stopping"), state == API_STOPPING ? S("true") : S("false"));
    return false;
}

bool api_is_ready(const struct api *a, struct http_resp *w)
{
    const struct api_sources *s = a->o.sources;
    if (s->state(s->ctx) == API_REPLAYING && s->await) s->await(s->ctx);
    if (s->state(s->ctx) != API_REPLAYING) return api_is_open(a, w);
    api_text(w, 503, S("Service Unavailable"));
    http_resp_header(w, S("X-Prometheus-Stopping"), S("false"));
    http_resp_header(w, S("Retry-After"), S("5"));
    return false;
}
