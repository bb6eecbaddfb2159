#include "api/test_rig.h"

#include "base/test.h"
#include "io/pool.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

static void fake_targets(void *ctx, struct arena *a, struct api_targets *out)
{
    struct rig *r = ctx;
    (void)a;
    if (r->fakes.targets) *out = *r->fakes.targets;
}

static void fake_metadata(void *ctx, struct arena *a, api_metadata_list *out)
{
    struct rig *r = ctx;
    for (size_t i = 0; r->fakes.metadata && i < r->fakes.metadata->n; i++)
        avec_push(a, out, r->fakes.metadata->at[i]);
}

static void fake_pools(void *ctx, struct arena *a, str_list *out)
{
    (void)ctx;
    avec_push(a, out, S("api"));
    avec_push(a, out, S("web"));
}

static bool fake_pool_config(void *ctx, str pool, struct buf *yaml)
{
    (void)ctx;
    if (!str_eq(pool, S("api"))) return false;
    buf_str(yaml, S("job_name: api\n"));
    return true;
}

static bool fake_steps(
    void *ctx, struct arena *a, str pool, struct labels in, api_relabel_steps *out)
{
    struct rig *r = ctx;
    if (!str_eq(pool, S("api"))) return false;
    avec_push(a, out, ((struct api_relabel_step){ S("{\"action\":\"replace\"}"), in, true }));
    (void)r;
    return true;
}

static void fake_external(void *ctx, struct arena *a, struct labels *out)
{
    struct label *l = ANEW(a, struct label);
    (void)ctx;
    *l = (struct label){ S("cluster"), S("rw") };
    *out = (struct labels){ l, 1 };
}
static void fake_yaml(void *ctx, struct buf *out)
{
    (void)ctx;
    buf_str(out, S("global: {}\n"));
}

static void fake_flags(void *ctx, struct arena *a, api_flags *out)
{
    (void)ctx;
    avec_push(a, out, ((struct api_flag){ S("web.listen-address"), S("127.0.0.1:0") }));
}

static void fake_runtime(void *ctx, struct arena *a, struct api_runtime *out)
{
    (void)ctx, (void)a;
    *out = (struct api_runtime){ .start_ns = 1500000000123456789,
        .last_config_ns = 1500000001000000000,
        .cwd = S("/data"),
        .hostname = S("h"),
        .retention = S("15d"),
        .reload_ok = true,
        .threads = 4,
        .cores = 2 };
}

static errc fake_stats(
    void *ctx, struct arena *a, size_t limit, struct api_tsdb_stats *out, struct err *e)
{
    (void)ctx, (void)e;
    *out = (struct api_tsdb_stats){
        .n_series = 3, .n_label_pairs = 5, .n_chunks = 4, .mint = INT64_MAX, .maxt = INT64_MIN
    };
    for (size_t i = 0; i < MIN(limit, (size_t)20); i++)
        avec_push(a, &out->by_metric, ((struct api_count){ S("up"), i }));
    return OK;
}

static void note_tsdb(struct rig *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void note_tsdb(struct rig *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    size_t room = sizeof(r->fakes.tsdb) - r->fakes.n_tsdb;
    int n = vsnprintf(r->fakes.tsdb + r->fakes.n_tsdb, room, fmt, ap);
    va_end(ap);
    r->fakes.n_tsdb = MIN(r->fakes.n_tsdb + (size_t)n, sizeof(r->fakes.tsdb) - 1);
}
static errc tsdb_result(const struct rig *r, struct err *e)
{
    return r->fakes.tsdb_fails ? err_set(e, ERR_IO, "the disk is gone") : OK;
}
static errc fake_delete(
    void *ctx, struct matchers ms, int64_t mint, int64_t maxt, struct err *e)
{
    for (size_t i = 0; i < ms.n; i++)
        note_tsdb(ctx, "%.*s=%.*s ", STR_ARG(ms.at[i].name), STR_ARG(ms.at[i].value));
    note_tsdb(ctx, "%" PRId64 "..%" PRId64 "; ", mint, maxt);
    return tsdb_result(ctx, e);
}
static errc fake_clean(void *ctx, struct err *e)
{
    note_tsdb(ctx, "clean; ");
    return tsdb_result(ctx, e);
}
static errc fake_snapshot(void *ctx, str name, bool with_head, bool with_late, struct err *e)
{
    note_tsdb(ctx, "snapshot of %zu characters%s%s; ", name.n, with_head ? " with head" : "",
        with_late ? " and late samples" : "");
    return tsdb_result(ctx, e);
}
static void fake_blocks(void *ctx, struct arena *a, str_list *out)
{
    (void)ctx;
    avec_push(a, out, S("{\"ulid\":\"A\"}"));
    avec_push(a, out, S("{\"ulid\":\"B\"}"));
}
static void fake_features(void *ctx, struct arena *a, api_features *out)
{
    (void)ctx;
    avec_push(a, out, ((struct api_feature){ S("api"), S("admin"), false }));
    avec_push(a, out, ((struct api_feature){ S("api"), S("search"), true }));
    avec_push(a, out, ((struct api_feature){ S("ui"), S("ui_v3"), true }));
}
static void fake_notifications(void *ctx, struct arena *a, api_notifications *out)
{
    struct rig *r = ctx;
    (void)a;
    if (r->fakes.notifications) *out = *r->fakes.notifications;
}

static void fake_replay(void *ctx, int64_t *min, int64_t *max, int64_t *current)
{
    (void)ctx;
    *min = 1, *max = 9, *current = 4;
}

static errc fake_reload(void *ctx, struct err *e)
{
    struct rig *r = ctx;
    r->fakes.reloads++;
    return r->fakes.reload_fails ? err_set(e, ERR_BAD_INPUT, "couldn't load configuration") : OK;
}

static void fake_quit(void *ctx) { ((struct rig *)ctx)->fakes.quits++; }
static int fake_state(void *ctx) { return ((struct rig *)ctx)->fakes.state; }
static void fake_await(void *ctx)
{
    struct rig *r = ctx;
    r->fakes.awaited++;
    r->fakes.state = r->fakes.becomes;
}

static bool submit(void *pool, void (*fn)(void *arg), void *arg)
{
    return pool_submit(pool, fn, arg);
}
static void stand_in(void *pool, bool begins) { pool_stand_in(pool, begins); }

static void sources_of_fakes(struct rig *r)
{
    r->sources = (struct api_sources){
        .ctx = r,
        .targets = fake_targets,
        .metadata = fake_metadata,
        .pools = fake_pools,
        .pool_config = fake_pool_config,
        .relabel_steps = fake_steps,
        .config_yaml = fake_yaml,
        .external_labels = fake_external,
        .flags = fake_flags,
        .runtime = fake_runtime,
        .tsdb_stats = fake_stats,
        .tsdb_delete = fake_delete,
        .tsdb_clean = fake_clean,
        .tsdb_snapshot = fake_snapshot,
        .tsdb_blocks = fake_blocks,
        .features = fake_features,
        .notifications = fake_notifications,
        .wal_replay = fake_replay,
        .reload = fake_reload,
        .quit = fake_quit,
    };
    r->sources.state = (__typeof__(r->sources.state))fake_state;
    r->sources.await = fake_await;
}

void rig_start(struct rig *r, const struct rig_opts *o)
{
    *r = (struct rig){ .fakes.state = API_READY };
    arena_init(&r->arena, NULL, 0);
    r->store = memstore_new();
    struct engine_opts eo = { .parse.duration_expr = true,
        .lookback_ms = 300000,
        .timeout_ms = 120000,
        .default_step_ms = 60000,
        .max_samples = 50000000,
        .max_concurrency = 20 };
    r->engine = engine_new(&eo);
    r->pool = pool_new(&(struct pool_opts){
        "test", o->pool_threads ? o->pool_threads : 2, o->queue_max ? o->queue_max : 64 });
    sources_of_fakes(r);
    struct api_opts ao = {
        .engine = r->engine,
        .queryable = memstore_queryable(r->store),
        .appendable = memstore_appendable(r->store),
        .write = { .on = o->receiver,
            .v1 = true,
            .v2 = !o->only_v1,
            .accepted = S("prometheus.WriteRequest"),
            .opts = o->write_v2 },
        .parse.duration_expr = true,
        .sources = &r->sources,
        .cors_origin = o->cors_origin,
        .external_path = o->external_path,
        .lifecycle = o->lifecycle,
        .admin = o->admin,
        .search = o->search,
        .search_max = 10000,
        .exemplars = o->exemplars,
        .chunks = o->chunks,
        .read_samples = o->read_samples,
        .read_concurrent = 1,
        .read_frame_bytes = 1 << 20,
        .version = S("3.14.0"),
    };
    struct err e = { 0 };
    EXPECT_OK_E(api_new(&r->api, &ao, &e), &e);
    struct http_opts ho = {
        .address = S("127.0.0.1:0"),
        .listen_fd = -1,
        .cores = o->cores,
        .ctx = o->routes ? o->routes_ctx : r->api,
        .prefix = o->prefix,
        .mount = api_mount(),
        .submit = submit,
        .stand_in = stand_in,
        .pool = r->pool,
        .before = o->routes ? NULL : api_before,
    };
    ho.routes = o->routes ? o->routes : api_routes(r->api, &ho.n_routes);
    if (o->routes) ho.n_routes = o->n_routes;
    EXPECT_OK_E(http_server_new(&r->server, &ho, &e), &e);
    r->client = test_client_new();
}

void rig_stop(struct rig *r)
{
    test_client_free(r->client);
    http_server_free(r->server);
    pool_free(r->pool);
    api_free(r->api);
    engine_free(r->engine);
    memstore_free(r->store);
    arena_fini(&r->arena);
}

str rig_url(struct rig *r, str target)
{
    return arena_fmt(
        &r->arena, "http://%.*s%.*s", STR_ARG(http_server_address(r->server)), STR_ARG(target));
}

struct test_answer rig_ask(struct rig *r, str method, str target, const struct test_pair *headers,
    size_t n_headers, str body)
{
    struct test_answer w = test_client_ask(
        r->client, &r->arena, method, rig_url(r, target), headers, n_headers, body, 0);
    EXPECT_EQ(w.rc, OK);
    return w;
}

struct test_answer rig_get(struct rig *r, str target)
{
    return rig_ask(r, S("GET"), target, NULL, 0, STR_EMPTY);
}

struct test_answer rig_post(struct rig *r, str target, str form)
{
    const struct test_pair type = { S("Content-Type"), S("application/x-www-form-urlencoded") };
    return rig_ask(r, S("POST"), target, &type, 1, form);
}

static void check_error(const struct rig_case *c, str body)
{
    json_error_t why;
    json_t *o = json_loadb((const char *)body.p, body.n, 0, &why);
    if (!o) test_fail(__FILE__, __LINE__, "no JSON: %s: %.*s", why.text, STR_ARG(body));
    EXPECT_STR(str_z(json_string_value(json_object_get(o, "status"))), S("error"));
    EXPECT_STR(str_z(json_string_value(json_object_get(o, "errorType"))), str_z(c->type));
    EXPECT_STR(str_z(json_string_value(json_object_get(o, "error"))), str_z(c->error));
    EXPECT(!json_object_get(o, "data"));
    json_decref(o);
}

void rig_check(struct rig *r, const struct rig_case *cases, size_t n)
{
    for (const struct rig_case *c = cases; c < cases + n; c++) {
        test_case(c->name);
        struct test_answer w =
            c->form ? rig_post(r, str_z(c->target), str_z(c->form))
                    : rig_ask(r, str_z(c->method), str_z(c->target), NULL, 0, STR_EMPTY);
        if (w.status != c->status)
            test_fail(__FILE__, __LINE__, "status %d, expected %d: %.*s", w.status, c->status,
                STR_ARG(w.body));
        if (c->error) check_error(c, w.body);
        if (c->body) EXPECT_STR(w.body, str_z(c->body));
    }
}

void rig_add(struct rig *r, const char *series, int64_t t, double v)
{
    struct series_description d;
    struct err e = { 0 };
    EXPECT_OK_E(promql_parse_series(&d, arena_fmt(&r->arena, "%s 1", series), &r->arena, &e), &e);
    EXPECT_OK_E(memstore_add(r->store, d.labels, t, v, &e), &e);
}
