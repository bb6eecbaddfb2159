#include "cmd/epimetheus/parts.h"

#include "base/clock.h"
#include "base/f64.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/version.h"
#include "head/head.h"
#include "io/choice.h"
#include "io/descriptors.h"
#include "io/page_cache.h"
#include "io/memory_limit.h"
#include "io/pool.h"
#include "io/proc.h"
#include "io/socket.h"
#include "model/duration.h"
#include "model/size.h"

#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
    REQUEST_THREADS_SPARE = 8,
    REQUEST_THREADS_HANG = 1024, /* in place of those that hang in reads */
    REQUEST_QUEUE = 1024,
    SCRAPE_QUEUE = 65536,
    SCRAPE_THREADS_MIN = 2,
    AWAIT_MS = 30000,
    AWAITING_MAX = 12,
    CONFIG_MAX_BYTES = 256 << 20
};

GAUGE(m_reload_ok, "prometheus_config_last_reload_successful",
    "Whether the last configuration reload attempt was successful.")
GAUGE(m_reload_time, "prometheus_config_last_reload_success_timestamp_seconds",
    "Timestamp of the last successful configuration reload.")
GAUGE(m_limit_time, "prometheus_tsdb_retention_limit_seconds",
    "How long to retain samples in storage.")
GAUGE(m_limit_bytes, "prometheus_tsdb_retention_limit_bytes",
    "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled")
GAUGE(m_limit_percent, "prometheus_tsdb_retention_limit_percentage",
    "Max percentage of total storage space to be retained in the tsdb blocks, configured 0 means "
    "disabled")
GAUGE(m_ready, "prometheus_ready",
    "Whether Prometheus startup was fully completed and the server is ready for normal operation.")
GAUGE_VEC(m_build, "prometheus_build_info",
    "A metric with a constant '1' value labeled by version, revision, branch, goversion from which "
    "prometheus was built, and the goos and goarch for the build.",
    "branch", "goarch", "goos", "goversion", "revision", "tags", "version")
GAUGE(m_alertmanagers, "prometheus_notifications_alertmanagers_discovered",
    "The number of alertmanagers discovered and active.")
GAUGE_VEC(m_unsupported, "epimetheus_config_unsupported",
    "Sections of the configuration that are valid but not served.", "section")

static const char built_in_config[] =
    "global:\n  scrape_interval: 15s\nscrape_configs:\n- job_name: epimetheus\n  metrics_path: "
    "%.*smetrics\n  static_configs:\n  - targets: ['%.*s']\n";

/* ---- configurations in use */

struct loaded { struct scrape_generation gen; struct config *config; };

static void loaded_release(void *ctx)
{
    struct loaded *l = ctx;
    config_free(l->config);
    mem_free(l);
}

static const char *env_get(const char *name) { return getenv(name); }

static errc load_text(struct server *s, struct config **out, struct err *e)
{
    struct config_opts o = { .env = env_get,
        .read_files = true,
        .retention_time = s->retention_time,
        .retention_size = s->retention_size,
        .exemplars = s->on.exemplar_storage,
        .extra_scrape_metrics = s->on.extra_scrape_metrics,
        .protobuf_first = s->on.st_storage || s->on.zero_at_start,
        .scrape = { .start_times = s->on.st_storage || s->on.zero_at_start,
            .type_and_unit_labels = s->on.type_and_unit,
            .metadata = s->on.metadata_records } };
    if (!o.retention_time.n && !o.retention_size.n) o.retention_time = S("15d");
    if (s->built_in.n) return config_parse(out, s->built_in, S("built-in"), &o, e);
    struct err why = { 0 };
    errc rc = config_load(out, s->flags.config_file, &o, &why);
    if (rc == OK) return OK;
    return err_set(e, rc == ERR_IO ? ERR_BAD_INPUT : rc, "%.*s", STR_ARG(err_str(&why)));
}

static errc config_prepare(struct server *s, struct config **out, struct err *e)
{
    struct config *c = NULL;
    TRY(load_text(s, &c, e));
    errc rc = config_served(c, s->flags.config_strict, e);
    if (rc == OK) rc = query_log_set(s->query_log, c->query_log_file, e);
    if (rc != OK) {
        config_free(c);
        return rc;
    }
    *out = c;
    return OK;
}

/* Which retention holds, in words; of what is 0 nothing is said. */
static void retention_text(struct buf *b, const struct config *c)
{
    buf_reset(b);
    if (c->retention_ms) buf_duration(b, c->retention_ms);
    if (c->retention_bytes) {
        if (b->n) buf_str(b, S(" or "));
        buf_size(b, c->retention_bytes);
    }
    if (c->retention_percent != 0) {
        if (b->n) buf_str(b, S(" or "));
        buf_f64_g(b, c->retention_percent);
        buf_u8(b, '%');
    }
}

static void config_told(struct server *s, const struct config *c)
{
    for (size_t i = 0; i < c->unsupported.n; i++) {
        LOG(WARN, "this section of the configuration is not served by this version",
            kv_str("section", c->unsupported.at[i]));
        metric_set_of(METRIC_WITH(&m_unsupported, c->unsupported.at[i]), 1);
    }
    mtx_lock(&s->mu);
    buf_reset(&s->config_text);
    buf_str(&s->config_text, c->text);
    retention_text(&s->retention, c);
    arena_reset(&s->external_arena, (struct arena_mark){ 0 });
    s->external = labels_copy(&s->external_arena, c->scrape.external_labels);
    s->reload_ok = true;
    s->last_config_ns = clock_wall_ns();
    s->notes.n = 0;
    mtx_unlock(&s->mu);
    metric_set(&m_reload_ok, 1);
    metric_set(&m_reload_time, (double)clock_wall_ms() / 1000);
}

/* The configuration goes before the flag. */
static bool floats_are_xor2(const struct server *s, const struct config *c)
{
    return c->floats == FLOATS_AS_STARTED ? s->on.xor2 : c->floats == FLOATS_XOR2;
}

/* What of a configuration the features of this start do not allow. */
static errc config_allowed(const struct server *s, const struct config *c, struct err *e)
{
    if (c->floats == FLOATS_XOR2 && !s->on.xor2)
        return err_set(e, ERR_BAD_INPUT,
            "'storage.tsdb.chunk_encoding.floats: xor2' requires the xor2-encoding feature flag to "
            "be enabled at startup");
    if (c->floats == FLOATS_XOR && s->on.st_storage)
        return err_set(e, ERR_BAD_INPUT,
            "'storage.tsdb.chunk_encoding.floats: xor' is incompatible with st-storage; XOR chunks "
            "do not store start timestamps");
    return OK;
}

static struct retention retention_of(const struct config *c)
{
    return (struct retention){ .ms = c->retention_ms,
        .bytes = (uint64_t)c->retention_bytes,
        .percent = c->retention_percent };
}

/* Without the feature there are none, whatever the configuration says. */
static size_t exemplars_of(const struct server *s, const struct config *c)
{
    return s->on.exemplar_storage ? (size_t)MAX(c->max_exemplars, 0) : 0;
}

static void limits_show(const struct config *c)
{
    metric_set(&m_limit_time, (double)c->retention_ms / 1000);
    metric_set(&m_limit_bytes, (double)c->retention_bytes);
    metric_set(&m_limit_percent, c->retention_percent);
}

/* What the storage takes of a configuration that was checked. */
static void config_store(struct server *s, const struct config *c)
{
    limits_show(c);
    if (c->retention_percent > 0 && c->retention_bytes)
        LOG(WARN, "storage.tsdb.retention.size is ignored, because "
                  "storage.tsdb.retention.percentage is specified");
    db_set_retention(s->db, retention_of(c));
    db_set_stale_threshold(s->db, c->stale_threshold);
    head_set_max_exemplars(db_head(s->db), exemplars_of(s, c));
    head_set_float_xor2(db_head(s->db), floats_are_xor2(s, c));
    struct err e = { 0 };
    if (db_set_ooo_window(s->db, c->out_of_order_window_ms, &e) != OK)
        LOG(ERROR, "storage.tsdb.out_of_order_time_window cannot be had", kv_err(&e));
}

/* Hands it to all others. */
static void config_apply(struct server *s, struct config *c)
{
    config_told(s, c);
    engine_set_default_step(s->engine, c->evaluation_interval_ms);
    struct loaded *l = NEW(struct loaded);
    l->config = c;
    l->gen =
        (struct scrape_generation){ .configs = &c->scrape, .release = loaded_release, .ctx = l };
    atomic_init(&l->gen.refs, 1);
    scrape_manager_apply(s->scrape, &l->gen);
}

errc server_reload(struct server *s, struct err *e)
{
    mtx_lock(&s->reload_mu);
    web_front_look(s->front);
    grpc_front_look(s->grpc);
    LOG(INFO, "Loading configuration file", kv_str("filename", s->flags.config_file));
    struct config *c = NULL;
    errc rc = s->db ? config_prepare(s, &c, e)
                    : err_set(e, ERR_UNAVAILABLE, "the storage did not open");
    if (rc == OK && (rc = config_allowed(s, c, e)) != OK) config_free(c);
    if (rc == OK) {
        config_store(s, c);
        config_apply(s, c);
        LOG(INFO, "Completed loading of configuration file",
            kv_str("filename", s->flags.config_file));
    } else {
        rc = err_in(e, rc, "couldn't load configuration (--config.file=\"%.*s\")",
            STR_ARG(s->flags.config_file));
        LOG(ERROR, "Error reloading config", kv_err(e));
        metric_set(&m_reload_ok, 0);
        mtx_lock(&s->mu);
        s->reload_ok = false;
        if (!s->notes.n)
            vec_push(&s->notes, ((struct api_notification){
                                    S("Configuration reload has failed."), clock_wall_ns() }));
        mtx_unlock(&s->mu);
    }
    mtx_unlock(&s->reload_mu);
    return rc;
}

/* By content: a file that was only touched is no new configuration. Files that it names are not
 * looked at. */
bool server_config_changed(struct server *s)
{
    if (s->built_in.n) return false;
    struct arena a;
    arena_init(&a, NULL, 0);
    str text;
    bool read = fs_read_path(s->flags.config_file, &a, CONFIG_MAX_BYTES, &text, NULL) == OK;
    uint64_t hash = read ? hash_str(text) : s->config_hash;
    bool changed = s->config_hash && hash != s->config_hash;
    s->config_hash = hash;
    arena_fini(&a);
    return changed;
}

/* ---- start */

static str working_folder(struct arena *a)
{
    char cwd[4096];
    return arena_str(a, str_z(getcwd(cwd, sizeof(cwd)) ? cwd : "/"));
}

static str host_name(struct arena *a)
{
    char name[256] = "localhost";
    if (gethostname(name, sizeof(name) - 1) != 0) return S("localhost");
    return arena_str(a, str_z(name));
}

/* As Go names it. */
static str machine_name(struct arena *a)
{
    static const struct {
        str kernel, go;
    } names[] = { { S("x86_64"), S("amd64") }, { S("aarch64"), S("arm64") } };
    struct utsname u;
    if (uname(&u) != 0) return STR_EMPTY;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(names[i].kernel, str_z(u.machine))) return names[i].go;
    return arena_str(a, str_z(u.machine));
}

static bool submit_request(void *pool, void (*fn)(void *arg), void *arg)
{
    return pool_submit(pool, fn, arg);
}
static void stand_in(void *pool, bool begins) { pool_stand_in(pool, begins); }

/* "/prefix" of a URL or path: one slash in front, none behind; empty for the root. */
static str clean_prefix(str p, struct arena *a)
{
    while (p.n && p.p[p.n - 1] == '/') p.n--;
    while (p.n && p.p[0] == '/') p = str_from(p, 1);
    return p.n ? arena_fmt(a, "/%.*s", STR_ARG(p)) : STR_EMPTY;
}

static void urls_make(struct server *s, str listening)
{
    struct arena *a = &s->arena;
    str url = s->flags.external_url, port;
    if (!url.n) {
        size_t colon = str_rindex(listening, ':');
        port = str_from(listening, colon + 1);
        url = arena_fmt(a, "http://%.*s:%.*s/", STR_ARG(s->hostname), STR_ARG(port));
    }
    /* Scheme and host may be missing; what is behind a question mark or a hash is no path. */
    size_t scheme = str_find(url, S("://"));
    bool no_scheme = str_has_prefix(url, S("//"));
    str rest = scheme != SIZE_MAX ? str_from(url, scheme + 3) : no_scheme ? str_from(url, 2) : url;
    for (size_t i = 0; i < rest.n; i++)
        if (rest.p[i] == '?' || rest.p[i] == '#') rest = str_slice(rest, 0, i);
    size_t slash = scheme == SIZE_MAX && !no_scheme ? 0 : str_index(rest, '/');
    s->external_url = url;
    s->external_path = clean_prefix(slash == SIZE_MAX ? STR_EMPTY : str_from(rest, slash), a);
    s->route_prefix =
        s->flags.route_prefix.n ? clean_prefix(s->flags.route_prefix, a) : s->external_path;
}

static bool file_there(str path)
{
    str name;
    struct fs *fs = fs_real_of(path, &name);
    bool there = fs_exists(fs, name);
    fs_free(fs);
    return there;
}

/* Without a file and without its flag the server watches itself. */
static void config_choose(struct server *s, str listening)
{
    str path = s->flags.config_file;
    if (s->flags.config_given || file_there(path)) return;
    size_t colon = str_rindex(listening, ':');
    str host = str_slice(listening, 0, colon), port = str_from(listening, colon + 1);
    if (str_eq(host, S("0.0.0.0")) || str_eq(host, S("[::]"))) host = S("127.0.0.1");
    str target = arena_fmt(&s->arena, "%.*s:%.*s", STR_ARG(host), STR_ARG(port)),
        prefix = arena_fmt(&s->arena, "%.*s/", STR_ARG(s->route_prefix));
    s->built_in = arena_fmt(&s->arena, built_in_config, STR_ARG(prefix), STR_ARG(target));
    LOG(INFO, "no configuration file: the server watches itself with a built-in configuration",
        kv_str("filename", path));
}

static struct parse_opts parse_of(const struct features *on)
{
    return (struct parse_opts){
        .experimental_functions = on->experimental_functions,
        .duration_expr = true,
        .extended_range_selectors = on->extended_range_selectors,
        .binop_fill_modifiers = on->binop_fill,
    };
}

static struct api_write_opts write_of(struct server *s)
{
    struct api_write_opts o = { .on = s->flags.remote_write_receiver,
        .opts = { .start_times = s->on.st_storage || s->on.zero_at_start,
            .typed = s->on.type_and_unit,
            .metadata = s->on.metadata_records } };
    for (size_t i = 0; i < s->flags.proto_messages.n; i++) {
        str m = s->flags.proto_messages.at[i];
        if (str_eq(m, S("prometheus.WriteRequest"))) o.v1 = true;
        else o.v2 = true;
        o.accepted = arena_fmt(
            &s->arena, "%.*s%s%.*s", STR_ARG(o.accepted), i ? ", " : "", STR_ARG(m));
    }
    return o;
}

static errc http_one(struct server *s, int fd, struct err *e)
{
    size_t n;
    const struct http_route *routes = api_routes(s->api, &n);
    struct http_opts ho = {
        .listen_fd = fd,
        .max_connections = (unsigned)s->flags.max_connections,
        .read_timeout_s = (unsigned)MAX(s->flags.read_timeout_ms / 1000, 1),
        .routes = routes,
        .n_routes = n,
        .ctx = s->api,
        .prefix = s->route_prefix,
        .mount = api_mount(),
        .submit = submit_request,
        .stand_in = stand_in,
        .pool = s->requests,
        .before = api_before,
    };
    web_front_put(s->front, &ho);
    TRY(http_server_new(&s->http[s->n_http], &ho, e));
    LOG(INFO, "Listening on", kv_str("address", http_server_address(s->http[s->n_http])));
    LOG(INFO, web_front_tls(s->front) ? "TLS is enabled." : "TLS is disabled.",
        kv_bool("http2", false));
    s->n_http++;
    return OK;
}

/* Before storage is opened: health and progress are answered while the log is replayed. */
static errc http_start(struct server *s, struct err *e)
{
    size_t n = MIN(s->flags.listen.n, ARRAY_LEN(s->http));
    int fds[ARRAY_LEN(s->http)];
    for (size_t i = 0; i < n; i++) {
        errc rc = sock_listen(&fds[i], s->flags.listen.at[i], e);
        while (rc != OK && i > 0) sock_close(fds[--i]);
        TRY(rc);
    }
    str address;
    errc rc = sock_local_addr(&address, fds[0], &s->arena, e);
    if (rc == OK) urls_make(s, address);
    struct api_opts ao = {
        .search = s->on.search,
        .search_max = s->flags.search_limit,
        .read_samples = (uint64_t)MAX(s->flags.read_samples, 0),
        .read_concurrent = (unsigned)MAX(s->flags.read_concurrent, 0),
        .read_frame_bytes = (size_t)MAX(s->flags.read_frame_bytes, 0),
        .write = write_of(s),
        .sources = &s->sources,
        .cors_origin = s->flags.cors_origin,
        .external_path = s->external_path,
        .page_title = s->flags.page_title,
        .lifecycle = s->flags.lifecycle,
        .admin = s->flags.admin,
        .version = VERSION_PROMETHEUS,
        .parse = parse_of(&s->on),
    };
    if (rc == OK) rc = api_new(&s->api, &ao, e);
    size_t i = 0;
    /* takes its descriptor also when it fails */
    while (rc == OK && i < n) rc = http_one(s, fds[i++], e);
    while (i < n) sock_close(fds[i++]);
    if (rc == OK) config_choose(s, address);
    return rc;
}

static errc engine_start(struct server *s, struct err *e)
{
    const struct features on = s->on;
    TRY(active_queries_open(&s->active, s->data_fs, (unsigned)s->flags.max_concurrency, e));
    struct engine_opts o = {
        .parse = parse_of(&on),
        .lookback_ms = s->flags.lookback_ms,
        .timeout_ms = s->flags.query_timeout_ms,
        .default_step_ms = 60000,
        .max_samples = (uint64_t)s->flags.max_samples,
        .result_cache_bytes = (uint64_t)MAX(s->flags.result_cache_bytes, 0),
        .max_concurrency = (unsigned)s->flags.max_concurrency,
        .delayed_name_removal = on.delayed_name_removal,
        .use_start_timestamps = on.use_start_timestamps,
        .per_step_stats = on.per_step_stats,
        .type_and_unit_labels = on.type_and_unit,
        .sink = active_queries_sink(s->active),
        .watcher = query_log_watcher(s->query_log),
    };
    s->engine = engine_new(&o);
    return OK;
}

static void state_set(struct server *s, enum api_state state)
{
    mtx_lock(&s->mu);
    atomic_store_explicit(&s->state, state, memory_order_release);
    cond_broadcast(&s->changed);
    mtx_unlock(&s->mu);
}

void server_await(struct server *s)
{
    int64_t until = clock_mono_ns() + AWAIT_MS * INT64_C(1000000);
    mtx_lock(&s->mu);
    bool in_time = s->awaiting < AWAITING_MAX;
    if (in_time) {
        s->awaiting++;
        while (in_time && atomic_load_explicit(&s->state, memory_order_relaxed) == API_REPLAYING)
            in_time = cond_wait_until(&s->changed, &s->mu, until);
        s->awaiting--;
    }
    mtx_unlock(&s->mu);
}

/* Scrapes begin; what they bring is held until the storage can be written to. */
static errc scrape_start(struct server *s, struct err *e)
{
    struct scrape_manager_opts o = {
        .pool = s->scrapes,
        .adjust_timestamps = s->flags.adjust_timestamps,
        .timestamp_tolerance_ms = s->flags.tolerance_ms,
        .hostname = s->hostname,
        .watch = watch_new,
    };
    TRY(scrape_manager_new(&s->scrape, &o, e));
    config_apply(s, STEAL(s->first));
    return OK;
}

/* The blocks can be asked while the log is replayed; NULL: the opening failed, nobody may ask. */
static void storage_early(void *ctx, struct queryable *q)
{
    struct server *s = ctx;
    struct err e = { 0 };
    if (!q) {
        state_set(s, API_STOPPING);
        for (size_t i = 0; i < s->n_http; i++) http_server_stop(s->http[i]);
        return;
    }
    if (engine_start(s, &e) != OK) {           /* told again when the storage is open */
        LOG(WARN, "blocks are not served while the log is replayed", kv_err(&e));
        return;
    }
    struct api_storage st = { .engine = s->engine, .queryable = q };
    api_attach(s->api, &st);
    if (scrape_start(s, &e) != OK) LOG(WARN, "scrapes have to wait", kv_err(&e));
    state_set(s, API_REPLAYING);
    LOG(INFO, "Blocks can be queried, scrapes begin; replaying the write-ahead log");
}

static unsigned delay_percent(const struct flags *f)
{
    enum { DEFAULT_PERCENT = 10 };
    if (f->compaction_delay_percent > 0 && f->compaction_delay_percent <= 100)
        return (unsigned)f->compaction_delay_percent;
    LOG(WARN, "The --storage.tsdb.delayed-compaction.max-percent should have a value between 1 and "
              "100. Using default",
        kv_i64("default", DEFAULT_PERCENT));
    return DEFAULT_PERCENT;
}

/* An open chunk has room for twice as many; 0: as many as usual. */
static uint32_t samples_per_chunk(const struct flags *f)
{
    enum { LEAST = 4, MOST = 128 };
    int64_t asked = f->samples_per_chunk, used = MIN(MAX(asked, (int64_t)LEAST), (int64_t)MOST);
    if (asked <= 0) return 0;
    if (used != asked)
        LOG(WARN, "--storage.tsdb.samples-per-chunk is not what a chunk of the head can have",
            kv_i64("asked", asked), kv_i64("used", used));
    return (uint32_t)used;
}

/* The kernel's cache has what the limits of the process leave, whatever its budget is. */
static errc io_plan_start(const struct server *s, struct err *e)
{
    struct io_plan plan;
    TRY_IN(e, io_plan_parse(&plan, s->flags.storage_io, e), "--storage.io");
    struct fs *root = fs_real_new(S("/"));
    io_plan_memory(memory_limit(root));
    fs_free(root);
    io_plan_set(&plan);
    descriptors_allow();
    descriptors_set_limit((uint64_t)MAX(s->flags.descriptors, 0));
    cache_set_most((uint64_t)MAX(s->flags.io_cache, 0));
    return OK;
}

static errc storage_start(struct server *s, const struct config *c, struct err *e)
{
    static const enum compress_kind kinds[] = { COMPRESS_SNAPPY, COMPRESS_ZSTD };
    TRY(config_allowed(s, c, e));
    if (s->on.st_storage && !floats_are_xor2(s, c))
        return err_set(e, ERR_BAD_INPUT,
            "float chunk encoding \"xor\" is incompatible with start-timestamp storage; XOR chunks "
            "do not store start timestamps, use \"xor2\"");
    struct db_opts o = {
        .memory_snapshot = s->on.memory_snapshot,
        .early = storage_early,
        .early_ctx = s,
        .early_patience_ms = AWAIT_MS,
        .fs = s->data_fs,
        .retention = retention_of(c),
        .keeps = { .max_exemplars = exemplars_of(s, c),
            .metadata = s->on.metadata_records,
            .start_times = s->on.st_storage,
            .zero_at_start = s->on.zero_at_start,
            .histogram_st = s->on.histogram_st,
            .float_xor2 = floats_are_xor2(s, c) },
        .backend = IO_AUTO,                    /* as the plan has it */
        .wal_compress =
            s->flags.wal_compression ? kinds[s->flags.wal_compression_type] : COMPRESS_NONE,
        .wal_segment_bytes = (uint64_t)s->flags.wal_segment_bytes,
        .fsync_interval_ms = s->flags.fsync_interval_ms,
        .chunk_range_ms = s->flags.min_block_ms,
        .max_block_ms = s->flags.max_block_ms,
        .block_segment_bytes = (uint64_t)s->flags.block_segment_bytes,
        .reload_interval_ms = s->flags.block_reload_ms,
        .no_overlapping_compaction = !s->flags.overlapping_compaction,
        .compaction_delay_percent = s->on.delayed_compaction ? delay_percent(&s->flags) : 0,
        .uploads_path = s->flags.delay_compact_file.n ? s->flags.delay_compact_file
                                                      : shipping_state(s->shipping),
        .samples_per_chunk = samples_per_chunk(&s->flags),
        .chunks_in_memory = s->flags.head_chunks != 0,
        .no_lock = s->flags.no_lockfile,
    };
    TRY(io_plan_start(s, e));
    if (o.uploads_path.n)
        LOG(INFO, "Compactions will be delayed for blocks not marked as uploaded in the file "
                  "tracking uploads",
            kv_str("path", o.uploads_path));
    struct db_opened what = { 0 };
    LOG(INFO, "Starting TSDB ...", kv_str("path", s->flags.storage_path));
    TRY_IN(e, db_open(&s->db, &o, &what, e), "opening storage failed");
    s->corruptions = what.corruptions;
    LOG(INFO, "TSDB started", kv_u64("series", what.series),
        kv_u64("samples_replayed", what.samples), kv_u64("chunks", what.chunks),
        kv_u64("segments", what.segments), kv_u64("blocks", what.blocks),
        kv_u64("corruptions", what.corruptions), kv_bool("unclean", what.unclean),
        kv_i64("took_ms", what.took_ms));
    return OK;
}

static void pools_start(struct server *s)
{
    unsigned threads = (unsigned)s->flags.max_concurrency + REQUEST_THREADS_SPARE;
    s->requests = pool_new(&(struct pool_opts){
        "requests", threads, REQUEST_QUEUE, .threads_most = threads + REQUEST_THREADS_HANG });
    s->scrapes = pool_new(&(struct pool_opts){
        "scrapes", MAX(pool_cores(), (unsigned)SCRAPE_THREADS_MIN), SCRAPE_QUEUE });
}

/* As it would stand in a configuration; 0: it was not given. */
static str flag_text(struct arena *a, int64_t v, void (*put)(struct buf *b, int64_t v))
{
    SCOPED(buf_fini) struct buf b = { 0 };
    if (v) put(&b, v);
    return arena_str(a, buf_view(&b));
}

static void retention_show(struct server *s, const struct config *c)
{
    static const int64_t BLOCK_MAX_MS = INT64_C(31) * 86400 * 1000;
    s->shown_time = flag_text(&s->arena, c->retention_ms, buf_duration);
    s->shown_size = flag_text(&s->arena, c->retention_bytes, buf_size);
    s->shown_block = flag_text(&s->arena,
        c->retention_ms ? MIN(c->retention_ms / 10, BLOCK_MAX_MS) : BLOCK_MAX_MS, buf_duration);
}

/* As HTTP, before storage is: a client is told that it is not ready. */
static errc grpc_start(struct server *s, struct err *e)
{
    s->store = db_store_new(s);
    struct grpc_front_opts o = { .address = s->flags.grpc_address,
        .cert = s->flags.grpc_cert,
        .key = s->flags.grpc_key,
        .client_ca = s->flags.grpc_client_ca,
        .api = { .source = db_store_source(s->store), .component = "sidecar" } };
    return grpc_front_open(&s->grpc, &o, e);
}

static errc server_open(struct server *s, int *exit_code, struct err *e)
{
    *exit_code = 2;
    if (!s->flags.listen.n) return err_set(e, ERR_BAD_INPUT, "no --web.listen-address");
    if (s->flags.config_given && !file_there(s->flags.config_file))
        return err_set(e, ERR_NOT_FOUND,
            "Error loading config (--config.file=%.*s): open %.*s: no such file or directory",
            STR_ARG(s->flags.config_file), STR_ARG(s->flags.config_file));
    *exit_code = 1;
    TRY_IN(e, web_front_open(&s->front, s->flags.web_config, e),
        "Unable to validate web configuration file");
    TRY(http_start(s, e));
    TRY(grpc_start(s, e));
    *exit_code = 2;
    TRY_IN(e, config_prepare(s, &s->first, e), "Error loading config (--config.file=%.*s)",
        STR_ARG(s->flags.config_file));
    *exit_code = 1;
    const struct config *c = s->first;         /* in use until the next one is */
    limits_show(c);
    TRY(shipping_open(&s->shipping, s, c->scrape.external_labels.n > 0, e));
    TRY(storage_start(s, c, e));
    if (!s->engine) TRY(engine_start(s, e));
    retention_show(s, c);
    struct api_storage st = {
        .engine = s->engine,
        .queryable = db_queryable(s->db),
        .appendable = db_appendable(s->db),
        .chunks = db_chunk_queryable(s->db),
        .exemplars = s->on.exemplar_storage ? head_exemplars(db_head(s->db)) : NULL,
    };
    api_attach(s->api, &st);
    config_store(s, c);
    if (s->first) TRY(scrape_start(s, e));
    state_set(s, API_READY);
    scrape_manager_open(s->scrape, db_appendable(s->db));
    TRY(shipping_start(s->shipping, e));
    db_store_attach(s->store);
    metric_set(&m_ready, 1);
    LOG(INFO, "Server is ready to receive web requests.");
    return OK;
}

errc server_start(struct server **out, const struct flags *f, int *exit_code, struct err *e)
{
    struct server *s = NEW(struct server);
    s->flags = *f;
    arena_init(&s->arena, NULL, 0);
    mtx_init(&s->reload_mu, LOCK_RELOAD);
    mtx_init(&s->mu, LOCK_LEAF);
    cond_init(&s->changed);
    s->start_ns = clock_wall_ns();
    s->cwd = working_folder(&s->arena);
    s->hostname = host_name(&s->arena);
    s->retention_time = flag_text(&s->arena, f->retention_ms, buf_duration);
    s->retention_size = flag_text(&s->arena, f->retention_bytes, buf_size);
    atomic_init(&s->state, API_STARTING);
    s->on = features_read(&s->flags);
    sources_init(s);
    s->query_log = query_log_new();
    metric_set_of(METRIC_WITH(&m_build, S("epimetheus"), machine_name(&s->arena), S("linux"),
                      STR_EMPTY, VERSION_OWN, STR_EMPTY, VERSION_PROMETHEUS),
        1);
    memory_start(f);
    proc_start();
    pools_start(s);
    s->data_fs = fs_real_new(f->storage_path);
    mtx_lock(&s->reload_mu);                   /* who reloads waits until all is there */
    errc rc = server_open(s, exit_code, e);
    mtx_unlock(&s->reload_mu);
    if (rc != OK) {
        server_stop(s);
        return rc;
    }
    *out = s;
    return OK;
}

void server_stop(struct server *s)
{
    if (!s) return;
    state_set(s, API_STOPPING);
    metric_set(&m_ready, 0);
    grpc_front_drain(s->grpc, s->flags.grpc_grace_ms);
    /* first: its own page may be what is scraped */
    scrape_manager_stop(s->scrape);
    for (size_t i = 0; i < s->n_http; i++) http_server_stop(s->http[i]);
    scrape_manager_free(s->scrape);
    for (size_t i = 0; i < s->n_http; i++) http_server_free(s->http[i]);
    web_front_close(s->front);
    grpc_front_close(s->grpc);
    db_store_free(s->store);
    api_free(s->api);
    pool_free(s->requests);
    pool_free(s->scrapes);
    shipping_close(s->shipping);
    engine_free(s->engine);
    active_queries_close(s->active);
    query_log_free(s->query_log);
    struct err e = { 0 };
    if (db_close(s->db, &e) != OK) LOG(ERROR, "closing storage failed", kv_err(&e));
    config_free(s->first);
    fs_free(s->data_fs);
    proc_stop();
    buf_fini(&s->config_text);
    buf_fini(&s->retention);
    arena_fini(&s->external_arena);
    vec_fini(&s->notes);
    cond_fini(&s->changed);
    mtx_fini(&s->mu);
    mtx_fini(&s->reload_mu);
    arena_fini(&s->arena);
    mem_free(s);
}
