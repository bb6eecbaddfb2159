#include "cmd/epimetheus/store.h"

#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rfc3339.h"
#include "base/version.h"
#include "bucket/gateway.h"
#include "cmd/epimetheus/flags.h"
#include "cmd/epimetheus/gateway_store.h"
#include "cmd/epimetheus/grpc_front.h"
#include "cmd/epimetheus/last_resort.h"
#include "cmd/epimetheus/web_front.h"
#include "config/cache_config.h"
#include "config/config.h"
#include "config/objstore.h"
#include "ingest/relabel.h"
#include "io/choice.h"
#include "io/descriptors.h"
#include "io/page_cache.h"
#include "io/memory_limit.h"
#include "io/pool.h"
#include "io/proc.h"
#include "io/socket.h"
#include "model/duration.h"
#include "model/opt_kinds.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    STORE_PARTS = 16,                  /* blocks that StoreAPI calls ask at once */
    STORE_PARTS_QUEUE = 65536
};
enum { CHUNK_SAMPLES = 120, SELECTOR_BYTES = 1 << 20 };
/* SPARE: for requests that are no queries; HANG: in place of those that hang in reads */
enum {
    REQUEST_THREADS_SPARE = 64,
    REQUEST_THREADS_HANG = 1024,
    REQUEST_QUEUE = 1024,
    ADDRESSES_MAX = 8
};

#define MIN_TIME "0000-01-01T00:00:00Z" /* all that there is */
#define MAX_TIME "9999-12-31T23:59:59Z"

static const char *const log_levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const log_formats[] = { "logfmt", "json", NULL };
static const char *const backends[] = { "auto", "mmap", "mmap+populate", "buffered", "direct",
    NULL };

struct store_flags {
    str objstore, objstore_file, data_dir, web_config, cors_origin;
    str grpc_address, grpc_cert, grpc_key, grpc_client_ca;
    str_list listen, features;
    int log_level, log_format, backend;
    int64_t grpc_grace_ms, sync_ms, ignore_deletion_ms, idle_ms, patience_ms;
    int64_t index_cache, chunk_cache, index_disk, chunk_disk, opens, meta_fetches, descriptors;
    int64_t io_cache;
    int64_t series_max, samples_max, touched_max, grpc_samples_max, bytes_max, calls_max;
    int64_t sync_block_ms, consistency_ms, far_bytes_max;
    str index_cache_config, index_cache_file, chunk_cache_config, chunk_cache_file;
    str mark_delay, min_time, max_time, selector, selector_file;
    int64_t max_connections, read_timeout_ms, max_concurrency, max_samples, lookback_ms, timeout_ms;
    bool external_labels, partial;
};

#define AT(field) OPT_AT(struct store_flags, field)
static const struct opt table[] = {
    { "objstore.config", "YAML", "The object storage, in Thanos' YAML.", AT(objstore), &opt_str,
        .def = "" },
    { "objstore.config-file", "FILE", "The same in a file.", AT(objstore_file), &opt_str,
        .def = "" },
    { "data-dir", .help = "Index-headers and a cache of meta.json are kept here.", AT(data_dir),
        &opt_str, .def = "data-store/" },
    { "web.listen-address", .help = "Address to listen on. Can be repeated.", AT(listen),
        &opt_strs, .def = "0.0.0.0:10902" },
    { "web.config.file", .help = "TLS and authentication, as for the server.", AT(web_config),
        &opt_str, .def = "" },
    { "web.cors.origin", .help = "Regex for CORS origin. It is fully anchored.", AT(cors_origin),
        &opt_str, .def = ".*" },
    { "grpc-address", "ADDRESS", "Address to serve Thanos' StoreAPI on; empty: it is not served.",
        AT(grpc_address), &opt_str, .def = "" },
    { "grpc-server-tls-cert", "FILE", "TLS certificate of the gRPC server; empty: no TLS.",
        AT(grpc_cert), &opt_str, .def = "" },
    { "grpc-server-tls-key", "FILE", "TLS key of the gRPC server.", AT(grpc_key), &opt_str,
        .def = "" },
    { "grpc-server-tls-client-ca", "FILE",
        "Authority that the certificates of gRPC clients are verified by.", AT(grpc_client_ca),
        &opt_str, .def = "" },
    { "grpc-grace-period", .help = "How long a stop waits for gRPC calls that run.",
        AT(grpc_grace_ms), &opt_duration, .def = "2m" },
    { "web.max-connections", .help = "Maximum number of simultaneous connections.",
        AT(max_connections), &opt_num, .def = "512" },
    { "web.read-timeout", .help = "Maximum duration before a request that is read times out.",
        AT(read_timeout_ms), &opt_duration, .def = "5m" },
    { "store.sync-interval", .help = "How often the bucket is looked at.", AT(sync_ms),
        &opt_duration, .def = "15m" },
    { "sync-block-duration", .help = "The same, by Thanos' name; 0: as store.sync-interval says.",
        AT(sync_block_ms), &opt_duration, .def = "0s" },
    { "store.ignore-deletion-marks-delay",
        .help = "A block is left out so long after it was marked for deletion.",
        AT(ignore_deletion_ms), &opt_duration, .def = "1d" },
    { "ignore-deletion-marks-delay", .help = "The same, as Thanos calls it.", AT(mark_delay),
        &opt_str, .def = "" },
    { "consistency-delay",
        .help = "A block is left out until it is so old, unless a compactor or a repair made it.",
        AT(consistency_ms), &opt_duration, .def = "0s" },
    { "min-time",
        .help = "What lies before is not served: a time (RFC 3339), or one relative to now (-6w).",
        AT(min_time), &opt_str, .def = MIN_TIME },
    { "max-time", .help = "What lies behind is not served.", AT(max_time), &opt_str,
        .def = MAX_TIME },
    { "selector.relabel-config", "YAML",
        "Relabel rules over blocks' external labels and __block_id: those dropped are not served.",
        AT(selector), &opt_str, .def = "" },
    { "selector.relabel-config-file", "FILE", "The same in a file.", AT(selector_file), &opt_str,
        .def = "" },
    { "store.idle-timeout",
        .help = "A block that nobody asked for so long is closed; 0: it stays open.", AT(idle_ms),
        &opt_duration, .def = "1h" },
    { "store.patience", .help = "How long a query waits for one block, at most.", AT(patience_ms),
        &opt_duration, .def = "30s" },
    { "index-cache-size",
        .help = "Memory for postings and series; 0: 2MB if there is room on the disk, else 250MB.",
        AT(index_cache), &opt_size, .def = "0B" },
    { "store.index-cache-disk-size",
        .help = "Room for them in a file of data-dir, at most a quarter of what is free; 0: none.",
        AT(index_disk), &opt_size, .def = "1GB" },
    { "index-cache.config", "YAML",
        "A cache for postings and series as Thanos has it: IN-MEMORY, MEMCACHED or REDIS.",
        AT(index_cache_config), &opt_str, .def = "" },
    { "index-cache.config-file", "FILE", "The same in a file.", AT(index_cache_file), &opt_str,
        .def = "" },
    { "store.caching-bucket.config", "YAML", "A cache for chunks as Thanos has it.",
        AT(chunk_cache_config), &opt_str, .def = "" },
    { "store.caching-bucket.config-file", "FILE", "The same in a file.", AT(chunk_cache_file),
        &opt_str, .def = "" },
    { "chunk-pool-size",
        .help = "Memory for chunks; 0: 4MB if there is room on the disk, else 250MB.",
        AT(chunk_cache), &opt_size, .def = "0B" },
    { "store.chunk-cache-disk-size",
        .help = "Room for them in a file of data-dir, at most a quarter of what is free; 0: none.",
        AT(chunk_disk), &opt_size, .def = "1GB" },
    { "store.limits.request-series", .help = "Series of one selection; 0: any number.",
        AT(series_max), &opt_num, .def = "0" },
    { "store.limits.request-samples",
        .help = "Samples of one Series call, a chunk counted as 120; 0: any number.",
        AT(samples_max), &opt_num, .def = "0" },
    { "store.grpc.series-sample-limit", .help = "The same, as Thanos called it before.",
        AT(grpc_samples_max), &opt_num, .def = "0" },
    { "store.grpc.touched-series-limit",
        .help = "Series of one selection, one that several blocks have counted in each; 0: any "
                "number.",
        AT(touched_max), &opt_num, .def = "0" },
    { "store.grpc.downloaded-bytes-limit", .help = "Bytes of chunks of one Series call; 0: any.",
        AT(bytes_max), &opt_size, .def = "0B" },
    { "store.grpc.series-max-concurrency", .help = "Series calls that run at once; others wait.",
        AT(calls_max), &opt_num, .def = "20" },
    { "block-meta-fetch-concurrency", .help = "meta.json that are fetched at once.",
        AT(meta_fetches), &opt_num, .def = "32" },
    { "block-sync-concurrency", .help = "Blocks that are opened at once.", AT(opens), &opt_num,
        .def = "20" },
    { "store.external-labels", .help = "Series carry the external labels of their blocks.",
        AT(external_labels), &opt_bool, .def = "true" },
    { "store.partial-response",
        .help = "Queries go on without blocks whose meta.json cannot be read.", AT(partial),
        &opt_bool, .def = "false" },
    { "store.io",
        .help = "How index-headers are read: auto, mmap, mmap+populate (maps are filled when they "
                "are made), buffered or direct.",
        AT(backend), &opt_choice, .def = "buffered", .choices = backends },
    { "store.io.descriptors",
        .help = "Descriptors of buffered reads that stay open; those used least go first and come "
                "back by name. 0: half of what the process may have.",
        AT(descriptors), &opt_num, .def = "0" },
    { "store.io.cache",
        .help = "Memory for what buffered and direct reads of index-headers brought in. 0: 40MB.",
        AT(io_cache), &opt_size, .def = "0B" },
    { "query.lookback-delta", .help = "The maximum lookback duration.", AT(lookback_ms),
        &opt_duration, .def = "5m" },
    { "query.timeout", .help = "Maximum time a query may take.", AT(timeout_ms), &opt_duration,
        .def = "2m" },
    { "query.max-concurrency", .help = "Maximum number of queries at once.", AT(max_concurrency),
        &opt_num, .def = "20" },
    { "query.max-samples", .help = "Maximum number of samples of one query.", AT(max_samples),
        &opt_num, .def = "50000000" },
    { "query.max-bucket-bytes",
        .help = "Bytes that one query may read from the bucket, what the caches have not counted; "
                "0: any number.",
        AT(far_bytes_max), &opt_size, .def = "0B" },
    { "enable-feature", .help = "Features of PromQL, as for the server.", AT(features), &opt_words,
        .def = "" },
    { "log.level", .help = "Only log messages with this severity or above.", AT(log_level),
        &opt_choice, .def = "info", .choices = log_levels },
    { "log.format", .help = "Output format of log messages.", AT(log_format), &opt_choice,
        .def = "logfmt", .choices = log_formats },
};

struct store {
    struct store_flags f;
    struct arena arena;
    struct bucket *bucket;
    struct fs *fs;
    struct gateway *g;
    struct gateway_bound mint, maxt;
    struct relabel_rules selector;
    struct far_cache *far_index, *far_chunks;
    struct gateway_store source;
    struct grpc_front *grpc;
    struct pool *parts;
    struct engine *engine;
    struct pool *requests;
    struct web_front *front;
    struct api *api;
    struct api_sources sources;
    struct http_server *http[ADDRESSES_MAX];
    size_t n_http;
    int64_t start_ns;
    _Atomic bool stopping;
};

/* ---- what the API asks */

static enum api_state show_state(void *ctx)
{
    const struct store *s = ctx;
    if (atomic_load_explicit(&s->stopping, memory_order_relaxed)) return API_STOPPING;
    return gateway_ready(s->g) ? API_READY : API_STARTING;
}

static void show_runtime(void *ctx, struct arena *a, struct api_runtime *out)
{
    const struct store *s = ctx;
    (void)a;
    *out = (struct api_runtime){ .start_ns = s->start_ns,
        .reload_ok = true,
        .threads = proc_latest().threads,
        .cores = pool_cores() };
}

struct flag_sink {
    struct arena *a;
    api_flags *out;
};
static void take_flag(void *ctx, str name, str value)
{
    struct flag_sink *k = ctx;
    bool secret = value.n && (str_eq(name, S("objstore.config")) ||
                                 str_eq(name, S("index-cache.config")) ||
                                 str_eq(name, S("store.caching-bucket.config")));
    struct api_flag f = { arena_str(k->a, name), secret ? S("<secret>") : arena_str(k->a, value) };
    avec_push(k->a, k->out, f);
}
static void show_flags(void *ctx, struct arena *a, api_flags *out)
{
    struct store *s = ctx;
    struct flag_sink k = { a, out };
    opts_each(&s->f, table, ARRAY_LEN(table), take_flag, &k);
}

/* There is no scraping here, no head, and nothing that could be changed. */
static void no_targets(void *ctx, struct arena *a, struct api_targets *out)
{
    (void)ctx, (void)a, (void)out;
}
static void no_metadata(void *ctx, struct arena *a, api_metadata_list *out)
{
    (void)ctx, (void)a, (void)out;
}
static void no_pools(void *ctx, struct arena *a, str_list *out) { (void)ctx, (void)a, (void)out; }
static bool no_pool_config(void *ctx, str pool, struct buf *yaml)
{
    (void)ctx, (void)pool, (void)yaml;
    return false;
}
static bool no_relabel_steps(
    void *ctx, struct arena *a, str pool, struct labels in, api_relabel_steps *out)
{
    (void)ctx, (void)a, (void)pool, (void)in, (void)out;
    return false;
}
/* Series have those of their blocks already. */
static void no_external_labels(void *ctx, struct arena *a, struct labels *out)
{
    (void)ctx, (void)a;
    *out = (struct labels){ 0 };
}
static void no_config(void *ctx, struct buf *out)
{
    (void)ctx;
    buf_str(out, S("{}\n"));
}
static void no_features(void *ctx, struct arena *a, api_features *out)
{
    (void)ctx, (void)a, (void)out;
}
static void no_notifications(void *ctx, struct arena *a, api_notifications *out)
{
    (void)ctx, (void)a, (void)out;
}
static void no_replay(void *ctx, int64_t *min, int64_t *max, int64_t *current)
{
    (void)ctx;
    *min = *max = *current = 0;
}
static errc no_change(struct err *e)
{
    return err_set(e, ERR_UNSUPPORTED, "blocks in a bucket are not changed");
}
static errc no_delete(void *ctx, struct matchers ms, int64_t mint, int64_t maxt, struct err *e)
{
    (void)ctx, (void)ms, (void)mint, (void)maxt;
    return no_change(e);
}
static errc no_clean(void *ctx, struct err *e) { return (void)ctx, no_change(e); }
static errc no_snapshot(void *ctx, str name, bool with_head, bool with_late, struct err *e)
{
    (void)ctx, (void)name, (void)with_head, (void)with_late;
    return no_change(e);
}

static errc show_tsdb(
    void *ctx, struct arena *a, size_t limit, struct api_tsdb_stats *out, struct err *e)
{
    struct gateway_info info;
    (void)limit, (void)e;
    gateway_info(((struct store *)ctx)->g, a, &info);
    out->mint = info.mint;
    out->maxt = info.maxt;
    return OK;
}
static void show_blocks(void *ctx, struct arena *a, str_list *out)
{
    gateway_metas(((struct store *)ctx)->g, a, out);
}
static void do_quit(void *ctx)
{
    (void)ctx;
    kill(getpid(), SIGTERM);
}

/* A look at the bucket at once, and at the keys: what a reload is, here. */
static errc do_reload(void *ctx, struct err *e)
{
    struct store *s = ctx;
    grpc_front_look(s->grpc);
    return gateway_sync(s->g, e);
}

static struct api_sources sources_of(struct store *s)
{
    return (struct api_sources){ .ctx = s,
        .targets = no_targets,
        .metadata = no_metadata,
        .pools = no_pools,
        .pool_config = no_pool_config,
        .relabel_steps = no_relabel_steps,
        .external_labels = no_external_labels,
        .config_yaml = no_config,
        .flags = show_flags,
        .runtime = show_runtime,
        .tsdb_stats = show_tsdb,
        .features = no_features,
        .tsdb_blocks = show_blocks,
        .tsdb_delete = no_delete,
        .tsdb_clean = no_clean,
        .tsdb_snapshot = no_snapshot,
        .notifications = no_notifications,
        .wal_replay = no_replay,
        .reload = do_reload,
        .quit = do_quit,
        .state = show_state };
}

/* ---- begin and end */

static bool submit_request(void *pool, void (*fn)(void *arg), void *arg)
{
    return pool_submit(pool, fn, arg);
}
static void stand_in(void *pool, bool begins) { pool_stand_in(pool, begins); }

static const char *env_get(const char *name) { return getenv(name); }

/* Samples are counted as Thanos does it: by chunks that are taken to be full. */
static uint64_t chunks_most(const struct store_flags *f)
{
    int64_t a = f->samples_max / CHUNK_SAMPLES, b = f->grpc_samples_max / CHUNK_SAMPLES;
    if (f->samples_max > 0 && f->grpc_samples_max > 0) return (uint64_t)MAX(MIN(a, b), 1);
    return f->samples_max > 0 || f->grpc_samples_max > 0 ? (uint64_t)MAX(MAX(a, b), 1) : 0;
}

/* PromQL has one limit for both: series of one selection. */
static uint64_t series_most(const struct store_flags *f)
{
    if (f->series_max > 0 && f->touched_max > 0)
        return (uint64_t)MIN(f->series_max, f->touched_max);
    return (uint64_t)MAX(MAX(f->series_max, f->touched_max), 0);
}

static errc bound_read(struct gateway_bound *out, str flag, str text, str all, struct err *e)
{
    struct err why = { 0 };
    *out = (struct gateway_bound){ .set = !str_eq(text, all) };
    if (!out->set || rfc3339_parse(text, &out->ms)) return OK;
    out->relative = true;
    if (duration_parse_signed(text, &out->ms, &why) == OK) return OK;
    return err_set(e, ERR_BAD_INPUT, "--%.*s: '%.*s' is neither a time nor a duration: %s",
        STR_ARG(flag), STR_ARG(text), why.msg);
}

static errc bounds_read(struct store *s, struct err *e)
{
    const struct store_flags *f = &s->f;
    int64_t now = clock_wall_ms();
    TRY(bound_read(&s->mint, S("min-time"), f->min_time, S(MIN_TIME), e));
    TRY(bound_read(&s->maxt, S("max-time"), f->max_time, S(MAX_TIME), e));
    if (!s->mint.set || !s->maxt.set ||
        (s->mint.relative ? now : 0) + s->mint.ms <= (s->maxt.relative ? now : 0) + s->maxt.ms)
        return OK;
    return err_set(e, ERR_BAD_INPUT,
        "invalid argument: --min-time '%.*s' can't be greater than --max-time '%.*s'",
        STR_ARG(f->min_time), STR_ARG(f->max_time));
}

static errc selector_read(struct store *s, struct err *e)
{
    str text = s->f.selector;
    if (text.n && s->f.selector_file.n)
        return err_set(e, ERR_BAD_INPUT,
            "--selector.relabel-config and --selector.relabel-config-file exclude each other");
    if (s->f.selector_file.n) {
        struct fs *fs = fs_real_new(STR_EMPTY);
        errc rc = fs_read_all(fs, s->f.selector_file, &s->arena, SELECTOR_BYTES, &text, e);
        fs_free(fs);
        TRY(rc);
    }
    if (!text.n) return OK;
    TRY_IN(e, config_relabel_rules(&s->arena, text, false, &s->selector, e),
        "selector.relabel-config");
    return OK;
}

/* As Thanos has it: rules over the external labels and the block's name; nothing is left of one
 * that is not asked for. */
static bool block_selected(void *ctx, ulid id, struct labels external)
{
    struct store *s = ctx;
    SCOPED(arena_fini) struct arena a = { 0 };
    struct labels_builder lb;
    if (!s->selector.n) return true;
    labels_builder_init(&lb, &a);
    labels_builder_from(&lb, external);
    labels_builder_set(&lb, S("__block_id"), arena_fmt(&a, "%s", ulid_text(id).z));
    return relabel_apply(s->selector, &lb) && labels_builder_done(&lb).n > 0;
}

/* A cache of another process stands behind the memory's, which keeps its size. */
static errc cache_begin(struct store *s, const char *flag, str text, str file,
    struct far_cache **far, int64_t *bytes, struct err *e)
{
    struct cache_config c;
    TRY_IN(e, cache_config_load(&c, flag, text, file, &s->arena, e), "%s", flag);
    if (c.kind == CACHE_FAR) TRY_IN(e, far_cache_new(far, &c.far, e), "%s", flag);
    else if (c.max_bytes) *bytes = c.max_bytes;
    return OK;
}

static errc caches_begin(struct store *s, struct err *e)
{
    struct store_flags *f = &s->f;
    TRY(cache_begin(s, "index-cache.config", f->index_cache_config, f->index_cache_file,
        &s->far_index, &f->index_cache, e));
    return cache_begin(s, "store.caching-bucket.config", f->chunk_cache_config,
        f->chunk_cache_file, &s->far_chunks, &f->chunk_cache, e);
}

/* Of the files that the store reads only index-headers lie here. */
static errc io_begin(const struct store *s, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct io_plan plan;
    TRY(io_plan_parse(&plan, arena_fmt(&a, "header=%s", backends[s->f.backend]), e));
    struct fs *root = fs_real_new(S("/"));
    io_plan_memory(memory_limit(root));
    fs_free(root);
    io_plan_set(&plan);
    descriptors_allow();
    descriptors_set_limit((uint64_t)MAX(s->f.descriptors, 0));
    cache_set_most((uint64_t)MAX(s->f.io_cache, 0));
    return OK;
}

static errc bucket_begin(struct store *s, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct bucket_config c;
    TRY(objstore_load(&c, s->f.objstore, s->f.objstore_file, env_get, &a, e));
    TRY(bounds_read(s, e));
    TRY(selector_read(s, e));
    TRY(caches_begin(s, e));
    TRY(bucket_open(&s->bucket, &c, e));
    TRY(io_begin(s, e));
    s->fs = fs_real_new(s->f.data_dir);
    struct gateway_opts o = { .bucket = s->bucket,
        .fs = s->fs,
        .backend = IO_AUTO, /* as the plan has it */
        .sync_interval_ms = s->f.sync_block_ms ? s->f.sync_block_ms : s->f.sync_ms,
        .ignore_deletion_ms = s->f.ignore_deletion_ms,
        .idle_ms = s->f.idle_ms,
        .patience_ms = s->f.patience_ms,
        .index_cache_bytes = (uint64_t)MAX(s->f.index_cache, 0),
        .chunk_cache_bytes = (uint64_t)MAX(s->f.chunk_cache, 0),
        .index_disk_bytes = (uint64_t)MAX(s->f.index_disk, 0),
        .chunk_disk_bytes = (uint64_t)MAX(s->f.chunk_disk, 0),
        .consistency_ms = s->f.consistency_ms,
        .mint = s->mint,
        .maxt = s->maxt,
        .wanted = block_selected,
        .wanted_ctx = s,
        .far_index = s->far_index,
        .far_chunks = s->far_chunks,
        .series_max = series_most(&s->f),
        .meta_fetches = (unsigned)s->f.meta_fetches,
        .opens = (unsigned)s->f.opens,
        .without_external_labels = !s->f.external_labels,
        .partial = s->f.partial };
    return gateway_open(&s->g, &o, e);
}

static void engine_begin(struct store *s, struct parse_opts *parse)
{
    struct flags words = { .features = s->f.features };
    struct features on = features_read(&words);
    *parse = (struct parse_opts){ .experimental_functions = on.experimental_functions,
        .duration_expr = true,
        .extended_range_selectors = on.extended_range_selectors,
        .binop_fill_modifiers = on.binop_fill };
    s->engine = engine_new(&(struct engine_opts){ .parse = *parse,
        .lookback_ms = s->f.lookback_ms,
        .timeout_ms = s->f.timeout_ms,
        .default_step_ms = 60000,
        .max_samples = (uint64_t)s->f.max_samples,
        .max_far_bytes = (uint64_t)MAX(s->f.far_bytes_max, 0),
        .max_concurrency = (unsigned)s->f.max_concurrency,
        .delayed_name_removal = on.delayed_name_removal,
        .per_step_stats = on.per_step_stats,
        .type_and_unit_labels = on.type_and_unit });
}

static errc http_one(struct store *s, str address, struct err *e)
{
    size_t n;
    const struct http_route *routes = api_routes(s->api, &n);
    struct http_opts o = { .address = address,
        .listen_fd = -1,
        .max_connections = (unsigned)s->f.max_connections,
        .read_timeout_s = (unsigned)MAX(s->f.read_timeout_ms / 1000, 1),
        .routes = routes,
        .n_routes = n,
        .ctx = s->api,
        .mount = api_mount(),
        .submit = submit_request,
        .stand_in = stand_in,
        .pool = s->requests,
        .before = api_before };
    web_front_put(s->front, &o);
    TRY(http_server_new(&s->http[s->n_http], &o, e));
    LOG(INFO, "Listening on", kv_str("address", http_server_address(s->http[s->n_http])));
    s->n_http++;
    return OK;
}

static errc store_begin(struct store *s, struct err *e)
{
    struct parse_opts parse;
    TRY(web_front_open(&s->front, s->f.web_config, e));
    TRY(bucket_begin(s, e));
    engine_begin(s, &parse);
    s->sources = sources_of(s);
    struct api_opts o = { .engine = s->engine,
        .queryable = gateway_queryable(s->g),
        .chunks = gateway_chunks(s->g),
        .sources = &s->sources,
        .cors_origin = s->f.cors_origin,
        .version = VERSION_PROMETHEUS,
        .parse = parse };
    TRY(api_new(&s->api, &o, e));
    gateway_store_init(&s->source, s->g);
    s->parts = pool_new(&(struct pool_opts){ "store-parts", STORE_PARTS, STORE_PARTS_QUEUE });
    struct grpc_front_opts go = { .address = s->f.grpc_address,
        .cert = s->f.grpc_cert,
        .key = s->f.grpc_key,
        .client_ca = s->f.grpc_client_ca,
        .api = { .source = &s->source.base,
            .pool = s->parts,
            .max_series = (uint64_t)MAX(s->f.series_max, 0),
            .max_touched = (uint64_t)MAX(s->f.touched_max, 0),
            .max_chunks = chunks_most(&s->f),
            .max_chunk_bytes = (uint64_t)MAX(s->f.bytes_max, 0),
            .max_calls = (unsigned)s->f.calls_max,
            .component = "store" } };
    TRY(grpc_front_open(&s->grpc, &go, e));
    size_t n = MIN(s->f.listen.n, (size_t)ADDRESSES_MAX);
    for (size_t i = 0; i < n; i++) TRY(http_one(s, s->f.listen.at[i], e));
    return OK;
}

static void store_end(struct store *s)
{
    atomic_store_explicit(&s->stopping, true, memory_order_relaxed);
    grpc_front_drain(s->grpc, s->f.grpc_grace_ms);
    /* what waits for the bucket waits no more, so that requests end */
    if (s->bucket) bucket_stop(s->bucket);
    for (size_t i = 0; i < s->n_http; i++) http_server_stop(s->http[i]);
    for (size_t i = 0; i < s->n_http; i++) http_server_free(s->http[i]);
    web_front_close(s->front);
    grpc_front_close(s->grpc);
    pool_free(s->parts);
    api_free(s->api);
    pool_free(s->requests);
    engine_free(s->engine);
    gateway_close(s->g);
    far_cache_free(s->far_index);
    far_cache_free(s->far_chunks);
    bucket_close(s->bucket);
    fs_free(s->fs);
    relabel_fini(s->selector);
    arena_fini(&s->arena);
}

static errc flags_check(struct store_flags *f, struct err *e)
{
    if (f->mark_delay.n)
        TRY_IN(e, duration_parse(f->mark_delay, &f->ignore_deletion_ms, e),
            "--ignore-deletion-marks-delay");
    if (!f->objstore.n && !f->objstore_file.n)
        return err_set(
            e, ERR_BAD_INPUT, "one of --objstore.config and --objstore.config-file is needed");
    if (!f->data_dir.n) return err_set(e, ERR_BAD_INPUT, "--data-dir is empty");
    if (!f->listen.n) return err_set(e, ERR_BAD_INPUT, "no --web.listen-address");
    if (f->max_concurrency < 1 || f->max_concurrency > 10000)
        return err_set(e, ERR_BAD_INPUT, "--query.max-concurrency must be between 1 and 10000");
    if (f->max_samples < 1 || f->max_connections < 1 || f->lookback_ms < 1 || f->timeout_ms < 1)
        return err_set(e, ERR_BAD_INPUT, "--query.max-samples, --web.max-connections, "
                                         "--query.lookback-delta and --query.timeout must be "
                                         "positive");
    if (f->meta_fetches < 1 || f->meta_fetches > 1000)
        return err_set(
            e, ERR_BAD_INPUT, "--block-meta-fetch-concurrency must be between 1 and 1000");
    if (f->calls_max < 1 || f->calls_max > 10000)
        return err_set(
            e, ERR_BAD_INPUT, "--store.grpc.series-max-concurrency must be between 1 and 10000");
    if (f->opens < 1 || f->opens > 1000)
        return err_set(e, ERR_BAD_INPUT, "--block-sync-concurrency must be between 1 and 1000");
    if (f->patience_ms < 1 || f->sync_ms < 1)
        return err_set(
            e, ERR_BAD_INPUT, "--store.patience and --store.sync-interval must be positive");
    return OK;
}

/* false: the program ends, with *code. */
static bool flags_take(
    struct store_flags *f, struct opts_run *run, int argc, char **argv, int *code)
{
    struct err e = { 0 };
    errc rc = opts_parse(f, table, ARRAY_LEN(table), argc, argv, run, &e);
    *code = 0;
    if (rc == OK && run->help) {
        SCOPED(buf_fini) struct buf b = { 0 };
        opts_help(&b, "epimetheus store", "Queries over the blocks of a bucket", table,
            ARRAY_LEN(table));
        printf("%.*s", STR_ARG(buf_view(&b)));
        return false;
    }
    if (rc == OK && run->version) {
        printf("epimetheus, version %.*s\n", STR_ARG(VERSION_OWN));
        return false;
    }
    if (rc == OK) rc = flags_check(f, &e);
    if (rc == OK) return true;
    fprintf(stderr, "Error parsing command line arguments: %.*s\n", STR_ARG(err_str(&e)));
    *code = 2;
    return false;
}

static void serve(struct store *s, const sigset_t *set)
{
    for (;;) {
        int sig = 0;
        struct err e = { 0 };
        if (sigwait(set, &sig) != 0) continue;
        if (sig != SIGHUP) return;
        if (do_reload(s, &e) != OK) LOG(ERROR, "the bucket cannot be looked at", kv_err(&e));
    }
}

int store_main(int argc, char **argv)
{
    mem_be_small();
    struct store *s = NEW(struct store);
    struct opts_run run = { 0 };
    struct err e = { 0 };
    sigset_t set;
    int code;
    if (flags_take(&s->f, &run, argc, argv, &code)) {
        sigemptyset(&set);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
        log_set((enum log_level)s->f.log_level, (enum log_format)s->f.log_format);
        log_start();
        proc_start();
        s->start_ns = clock_wall_ns();
        unsigned threads = (unsigned)s->f.max_concurrency + REQUEST_THREADS_SPARE;
        s->requests = pool_new(&(struct pool_opts){ "requests", threads, REQUEST_QUEUE,
            .threads_most = threads + REQUEST_THREADS_HANG });
        code = store_begin(s, &e) == OK ? 0 : 1;
        if (code) LOG(ERROR, "the store did not start", kv_err(&e));
        else serve(s, &set);
        struct last_resort *r = last_resort_begin();
        store_end(s);
        last_resort_end(r);
        proc_stop();
        log_stop();
    }
    opts_fini(&run);
    mem_free(s);
    return code;
}
