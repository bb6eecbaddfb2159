#include "cmd/epimetheus/flags.h"

#include "base/log.h"
#include "base/utf8.h"
#include "base/version.h"
#include "io/choice.h"
#include "model/opt_kinds.h"
#include "model/regex.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const log_levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const log_formats[] = { "logfmt", "json", NULL };
static const char *const compressions[] = { "snappy", "zstd", NULL };
static const char *const head_chunks[] = { "mapped", "memory", NULL };

static errc named_choice(void *at, const struct opt *o, str text, const char *what, struct err *e)
{
    struct err words = { 0 };
    if (opt_choice.set(at, o, text, NULL, &words) == OK) return OK;
    return err_set(e, ERR_BAD_INPUT, "unrecognized log %s %.*s", what, STR_ARG(text));
}

static errc log_level_set(void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    (void)mem;
    for (const char *const *level = log_levels; *level; level++)
        if (str_eq_nocase(text, str_z(*level))) text = str_z(*level);
    return named_choice(at, o, text, "level", e);
}

static errc log_format_set(
    void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    (void)mem;
    return named_choice(at, o, text, "format", e);
}

static errc io_plan_set_flag(
    void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    struct io_plan plan;
    TRY(io_plan_parse(&plan, text, e));
    return opt_str.set(at, o, text, mem, e);
}

static void io_plan_show(struct buf *b, const struct opt *o, const void *at)
{
    opt_str.show(b, o, at);
}

static errc secret_set(void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    return opt_str.set(at, o, text, mem, e);
}

/* Everybody may see the flags, and nobody the keys in one. */
static void secret_show(struct buf *b, const struct opt *o, const void *at)
{
    (void)o;
    if (((const str *)at)->n) buf_str(b, S("<secret>"));
}

static void choice_show(struct buf *b, const struct opt *o, const void *at)
{
    opt_choice.show(b, o, at);
}
static const struct opt_kind log_level_kind = { .set = log_level_set, .show = choice_show },
                             log_format_kind = { .set = log_format_set, .show = choice_show },
                             secret_kind = {
                                 .quoted = true, .set = secret_set, .show = secret_show
                             },
                             io_plan_kind = {
                                 .quoted = true, .set = io_plan_set_flag, .show = io_plan_show
                             };

#define AT(field) OPT_AT(struct flags, field)

const struct opt flag_table[] = {
    { "config.file", .help = "Prometheus configuration file path.", AT(config_file), &opt_str,
        .def = "prometheus.yml" },
    { "config.auto-reload", .help = "Enable automatic configuration file reloading.",
        AT(auto_reload), &opt_bool, .def = "false" },
    { "config.auto-reload-interval",
        .help = "Interval for checking the configuration file for changes.", AT(auto_reload_ms),
        &opt_duration, .def = "30s" },
    { "config.strict",
        .help = "Refuse a configuration with sections that are valid but not served.",
        AT(config_strict), &opt_bool, .def = "false" },
    { "web.listen-address",
        .help = "Address to listen on for UI, API, and telemetry. Can be repeated.", AT(listen),
        &opt_strs, .def = "0.0.0.0:9090" },
    { "auto-gomaxprocs", .help = "Accepted; threads follow the cores.", AT(un.gomaxprocs),
        &opt_bool, .def = "true" },
    { "auto-gomemlimit",
        .help = "Without --memory.budget: a budget from the memory of the container or machine.",
        AT(gomemlimit), &opt_bool, .def = "true" },
    { "auto-gomemlimit.ratio", .help = "The part of that memory.", AT(gomemlimit_ratio), &opt_f64,
        .def = "0.9" },
    { "memory.budget",
        .help = "How much memory the server may take: a size as 512MB, or a percentage of the "
                "memory of the container or machine. Near it caches shrink, then queries that hold "
                "much fail, then new series are refused. 0 is no limit.",
        .arg = "MEMORY.BUDGET", AT(memory_budget), &opt_str },
    { "auto-gomemlimit.refresh-interval", .help = "Accepted; has no effect.",
        AT(un.gomemlimit_refresh_ms), &opt_duration, .def = "0s" },
    { "web.config.file",
        .help = "Path to configuration file that can enable TLS or authentication.", AT(web_config),
        &opt_str, .def = "" },
    { "web.read-timeout",
        .help =
            "Maximum duration before timing out read of the request, and closing idle connections.",
        AT(read_timeout_ms), &opt_duration, .def = "5m" },
    { "web.max-connections",
        .help = "Maximum number of simultaneous connections across all listeners.",
        AT(max_connections), &opt_num, .def = "512" },
    { "web.max-notifications-subscribers", .help = "Limit of live notification subscribers.",
        AT(un.subscribers), &opt_num, .def = "16" },
    { "web.external-url", .arg = "<URL>",
        .help = "The URL under which the server is externally reachable. If it has a path, that "
                "prefixes all endpoints.",
        AT(external_url), &opt_str, .def = "" },
    { "web.route-prefix", .arg = "<path>",
        .help = "Prefix for the internal routes of web endpoints. Defaults to path of "
                "--web.external-url.",
        AT(route_prefix), &opt_str, .def = "" },
    { "web.user-assets", .arg = "<path>", .help = "Path to static asset directory; not served yet.",
        AT(un.user_assets), &opt_str, .def = "" },
    { "web.enable-lifecycle", .help = "Enable shutdown and reload via HTTP request.", AT(lifecycle),
        &opt_bool, .def = "false" },
    { "web.enable-admin-api", .help = "Enable API endpoints for admin control actions.", AT(admin),
        &opt_bool, .def = "false" },
    { "web.enable-remote-write-receiver",
        .help = "Enable API endpoint accepting remote write requests.", AT(remote_write_receiver),
        &opt_bool, .def = "false" },
    { "web.remote-write-receiver.accepted-protobuf-messages",
        .help = "List of the remote write protobuf messages to accept.", AT(proto_messages),
        &opt_strs, .def = "prometheus.WriteRequest,io.prometheus.write.v2.Request" },
    { "web.enable-otlp-receiver",
        .help = "Enable API endpoint accepting OTLP write requests; not served yet.",
        AT(otlp_receiver), &opt_bool, .def = "false" },
    { "web.console.templates", .help = "Path to the console template directory; not served.",
        AT(un.console_templates), &opt_str, .def = "consoles" },
    { "web.console.libraries", .help = "Path to the console library directory; not served.",
        AT(un.console_libraries), &opt_str, .def = "console_libraries" },
    { "web.page-title", .help = "Document title of the instance.", AT(page_title), &opt_str,
        .def = "Prometheus Time Series Collection and Processing Server" },
    { "web.cors.origin", .arg = "<regex>",
        .help = "Regex for CORS origin. It is fully anchored. Example: "
                "'https?://(domain1|domain2)\\.com'",
        AT(cors_origin), &opt_str, .def = ".*" },
    { "web.search.max-limit", .help = "Upper bound of the limit of the search API; 0 means none.",
        AT(search_limit), &opt_num, .def = "10000" },
    { "storage.tsdb.path", .help = "Base path for metrics storage. Use with server mode only.",
        AT(storage_path), &opt_str, .def = "data/" },
    { "storage.tsdb.min-block-duration", .help = "Range of a block of the head.", AT(min_block_ms),
        &opt_duration, .def = "2h", .flags = OPT_HIDDEN },
    { "storage.tsdb.max-block-duration", .help = "Longest range of a block.", AT(max_block_ms),
        &opt_duration, .def = "0s", .flags = OPT_HIDDEN },
    { "storage.tsdb.max-block-chunk-segment-size", .help = "Largest chunk segment of a block.",
        AT(block_segment_bytes), &opt_size, .def = "0B", .flags = OPT_HIDDEN },
    { "storage.tsdb.wal-segment-size",
        .help = "Size at which to split the tsdb WAL segment files. Example: 100MB",
        AT(wal_segment_bytes), &opt_size, .flags = OPT_HIDDEN },
    { "storage.tsdb.retention.time", .help = "How long to retain samples in storage.",
        AT(retention_ms), &opt_duration, .def = "0s" },
    { "storage.tsdb.retention.size",
        .help = "Maximum number of bytes that can be stored for blocks.", AT(retention_bytes),
        &opt_size, .def = "0B" },
    { "storage.tsdb.no-lockfile", .help = "Do not create lockfile in data directory.",
        AT(no_lockfile), &opt_bool, .def = "false" },
    { "storage.tsdb.allow-overlapping-compaction",
        .help = "Allow compaction of overlapping blocks.", AT(overlapping_compaction), &opt_bool,
        .def = "true", .flags = OPT_HIDDEN },
    { "storage.tsdb.wal-compression", .help = "Compress the tsdb WAL.", AT(wal_compression),
        &opt_bool, .def = "true", .flags = OPT_HIDDEN },
    { "storage.tsdb.wal-compression-type", .help = "Compression algorithm for the tsdb WAL.",
        AT(wal_compression_type), &opt_choice, .def = "snappy", .flags = OPT_HIDDEN,
        .choices = compressions },
    { "storage.tsdb.head-chunks-write-queue-size",
        .help = "Accepted; closed chunks are written in batches.", AT(un.write_queue), &opt_num,
        .def = "0" },
    { "storage.tsdb.samples-per-chunk", .help = "Target number of samples per chunk.",
        AT(samples_per_chunk), &opt_num, .def = "120", .flags = OPT_HIDDEN },
    { "storage.tsdb.delayed-compaction.max-percent",
        .help = "Upper limit for the random compaction delay.", AT(compaction_delay_percent),
        &opt_num, .def = "10", .flags = OPT_HIDDEN },
    { "storage.tsdb.delay-compact-file.path", .help = "Path to a JSON file with uploaded blocks.",
        AT(delay_compact_file), &opt_str, .def = "" },
    { "storage.tsdb.block-reload-interval",
        .help = "Interval at which to check for new or removed blocks in storage.",
        AT(block_reload_ms), &opt_duration, .def = "1m", .flags = OPT_HIDDEN },
    { "objstore.config", "YAML",
        "Object storage that finished blocks are uploaded to, in Thanos' YAML.", AT(objstore),
        &secret_kind, .def = "" },
    { "objstore.config-file", "FILE", "The same in a file.", AT(objstore_file), &opt_str,
        .def = "" },
    { "shipper.upload-compacted", .help = "Upload blocks that were compacted here, too.",
        AT(ship_compacted), &opt_bool, .def = "false" },
    { "shipper.allow-out-of-order-uploads",
        .help = "Go on with later blocks when one cannot be uploaded.", AT(ship_out_of_order),
        &opt_bool, .def = "false" },
    { "grpc-address", "ADDRESS",
        "Address to serve Thanos' StoreAPI on, over gRPC. Empty: it is not served.",
        AT(grpc_address), &opt_str, .def = "" },
    { "grpc-server-tls-cert", "FILE", "TLS certificate of the gRPC server; empty: no TLS.",
        AT(grpc_cert), &opt_str, .def = "" },
    { "grpc-server-tls-key", "FILE", "TLS key of the gRPC server.", AT(grpc_key), &opt_str,
        .def = "" },
    { "grpc-server-tls-client-ca", "FILE",
        "Authority that the certificates of gRPC clients are verified by; empty: none is asked "
        "for.",
        AT(grpc_client_ca), &opt_str, .def = "" },
    { "grpc-grace-period", .help = "How long a stop waits for gRPC calls that run.",
        AT(grpc_grace_ms), &opt_duration, .def = "2m" },
    { "storage.io",
        .help = "How storage is read: auto, mmap, mmap+populate (maps are filled when they are "
                "made), buffered or direct, or one of them for each kind of file: "
                "index=...,chunks=...,head=...,header=...",
        .arg = "STORAGE.IO", AT(storage_io), &io_plan_kind, .def = "auto" },
    { "storage.io.descriptors",
        .help = "Descriptors of buffered reads that stay open; those used least go first and come "
                "back by name. 0: half of what the process may have.",
        AT(descriptors), &opt_num, .def = "0" },
    { "storage.io.cache",
        .help = "Memory for what buffered and direct reads brought in. 0: 40MB, or a quarter of "
                "the memory budget if that is less.",
        AT(io_cache), &opt_size, .def = "0B" },
    { "storage.tsdb.head-chunks",
        .help = "Where the head's closed chunks are: mapped (chunks_head), or in memory.",
        AT(head_chunks), &opt_choice, .def = "mapped", .choices = head_chunks },
    { "storage.wal.fsync-interval",
        .help = "How long a power cut may reach back; 0 syncs before each answer.",
        AT(fsync_interval_ms), &opt_duration, .def = "1s" },
    { "storage.agent.path", .help = "Base path for metrics storage. Use with agent mode only.",
        AT(un.agent_path), &opt_str, .def = "data-agent/" },
    { "storage.agent.wal-segment-size", .help = "Agent mode.", AT(un.agent_wal_segment_size),
        &opt_str, .def = "0B", .flags = OPT_HIDDEN },
    { "storage.agent.wal-compression", .help = "Agent mode.", AT(un.agent_wal_compression),
        &opt_bool, .def = "true" },
    { "storage.agent.wal-compression-type", .help = "Agent mode.", AT(un.agent_compression),
        &opt_choice, .def = "snappy", .flags = OPT_HIDDEN, .choices = compressions },
    { "storage.agent.wal-truncate-frequency", .help = "Agent mode.", AT(un.agent_wal_truncate),
        &opt_str, .def = "0s", .flags = OPT_HIDDEN },
    { "storage.agent.retention.min-time", .help = "Agent mode.", AT(un.agent_min_time), &opt_str,
        .def = "5m" },
    { "storage.agent.retention.max-time", .help = "Agent mode.", AT(un.agent_max_time), &opt_str,
        .def = "4h" },
    { "storage.agent.no-lockfile", .help = "Agent mode.", AT(un.agent_no_lockfile), &opt_bool,
        .def = "false" },
    { "storage.agent.checkpoint-from-in-memory-series", .help = "Agent mode.",
        AT(un.agent_checkpoint), &opt_bool, .def = "false" },
    { "storage.agent.checkpoint-batch-size", .help = "Agent mode.", AT(un.checkpoint_batch),
        &opt_num, .def = "1000" },
    { "storage.remote.flush-deadline", .arg = "<duration>",
        .help = "How long to wait flushing sample on shutdown or config reload.",
        AT(un.flush_deadline_ms), &opt_duration, .def = "1m" },
    { "storage.remote.read-sample-limit",
        .help = "Maximum overall number of samples to return via the remote read interface, in a "
                "single query. 0 means no limit. This limit is ignored for streamed response "
                "types.",
        AT(read_samples), &opt_num, .def = "5e7" },
    { "storage.remote.read-concurrent-limit",
        .help = "Maximum number of concurrent remote read calls. 0 means no limit.",
        AT(read_concurrent), &opt_num, .def = "10" },
    { "storage.remote.read-max-bytes-in-frame",
        .help = "Maximum number of bytes in a single frame for streaming remote read response "
                "types before marshalling.",
        AT(read_frame_bytes), &opt_num, .def = "1048576" },
    { "rules.alert.for-outage-tolerance", .help = "Rules are not served yet.", AT(un.outage_ms),
        &opt_duration, .def = "1h" },
    { "rules.alert.for-grace-period", .help = "Rules are not served yet.", AT(un.grace_ms),
        &opt_duration, .def = "10m" },
    { "rules.alert.resend-delay", .help = "Rules are not served yet.", AT(un.resend_ms),
        &opt_duration, .def = "1m" },
    { "rules.max-concurrent-evals", .help = "Rules are not served yet.", AT(un.evals), &opt_num,
        .def = "4" },
    { "alertmanager.notification-queue-capacity", .help = "Alerting is not served yet.",
        AT(un.queue), &opt_num, .def = "10000" },
    { "alertmanager.notification-batch-size", .help = "Alerting is not served yet.", AT(un.batch),
        &opt_num, .def = "256" },
    { "alertmanager.drain-notification-queue-on-shutdown", .help = "Alerting is not served yet.",
        AT(un.drain), &opt_bool, .def = "true" },
    { "scrape.adjust-timestamps",
        .help = "Adjust scrape timestamps by up to --scrape.timestamp-tolerance to align them to "
                "the intended schedule.",
        AT(adjust_timestamps), &opt_bool, .def = "true", .flags = OPT_HIDDEN },
    { "scrape.timestamp-tolerance", .help = "Timestamp tolerance.", AT(tolerance_ms), &opt_duration,
        .def = "2ms", .flags = OPT_HIDDEN },
    { "scrape.discovery-reload-interval",
        .help = "Interval used by scrape manager to throttle target groups updates.",
        AT(discovery_reload_ms), &opt_duration, .def = "5s", .flags = OPT_HIDDEN },
    { "query.lookback-delta",
        .help = "The maximum lookback duration for retrieving metrics during expression "
                "evaluations and federation.",
        AT(lookback_ms), &opt_duration, .def = "5m" },
    { "query.timeout", .help = "Maximum time a query may take before being aborted.",
        AT(query_timeout_ms), &opt_duration, .def = "2m" },
    { "query.max-concurrency", .help = "Maximum number of queries executed concurrently.",
        AT(max_concurrency), &opt_num, .def = "20" },
    { "query.max-samples", .help = "Maximum number of samples a single query can load into memory.",
        AT(max_samples), &opt_num, .def = "50000000" },
    { "query.result-cache-size",
        .help = "How much of the answers of range queries is kept, for as long as the data that "
                "they were made of has not changed. 0 keeps nothing.",
        AT(result_cache_bytes), &opt_size, .def = "16MB" },
    { "enable-feature", .arg = "...", .help = "Comma separated feature names to enable.",
        AT(features), &opt_words },
    { "agent", .help = "Run in 'Agent mode'; not served yet.", AT(agent), &opt_bool },
    { "log.level",
        .help = "Only log messages with the given severity or above. One of: [debug, info, warn, "
                "error]",
        AT(log_level), &log_level_kind, .def = "info", .choices = log_levels },
    { "log.format", .help = "Output format of log messages. One of: [logfmt, json]", AT(log_format),
        &log_format_kind, .def = "logfmt", .choices = log_formats },
};
const size_t flag_count = ARRAY_LEN(flag_table);

/* Flags whose part is not served: whoever sets one is told. */
#define AUTO_RELOAD "auto-reload-config"               /* a feature, and --config.auto-reload */
enum { LOOKBACK_DEFAULT_MS = 300000 };                 /* 0 means that, too */

static const char *const unserved[] = {
    "web.enable-otlp-receiver",
    "web.user-assets",
    "web.console.templates",
    "web.console.libraries",
    "web.max-notifications-subscribers",
    "storage.tsdb.head-chunks-write-queue-size",
    "storage.remote.flush-deadline",
    "rules.alert.for-outage-tolerance",
    "rules.alert.for-grace-period",
    "rules.alert.resend-delay",
    "rules.max-concurrent-evals",
    "alertmanager.notification-queue-capacity",
    "alertmanager.notification-batch-size",
    "alertmanager.drain-notification-queue-on-shutdown",
    "auto-gomaxprocs",
    "auto-gomemlimit.refresh-interval",
};
/* Flags of a server that an agent has not; those of an agent begin with storage.agent. */
static const char *const server_only[] = {
    "storage.tsdb.",
    "storage.remote.read-",
    "web.search.max-limit",
    "rules.",
    "alertmanager.",
    "query.",
};

static bool is_server_only(str name)
{
    for (size_t i = 0; i < ARRAY_LEN(server_only); i++)
        if (str_has_prefix(name, str_z(server_only[i]))) return true;
    return false;
}

/* Words that stand alone, as Prometheus prints them, and the way out. */
static errc flags_end(struct flags *f, int code, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
static errc flags_end(struct flags *f, int code, struct err *e, const char *fmt, ...)
{
    char words[sizeof(e->msg)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    f->exit_code = code;
    f->bare_words = true;
    return err_set(e, ERR_BAD_INPUT, "%s", words);
}

static errc mode_check(struct flags *f, const struct opts_run *run, struct err *e)
{
    SCOPED(buf_fini) struct buf list = { 0 };
    for (size_t i = 0; i < flag_count; i++) {
        str name = str_z(flag_table[i].name);
        bool wrong = f->agent ? is_server_only(name) : str_has_prefix(name, S("storage.agent."));
        if (run->given[i] && wrong)
            buf_fmt(&list, "%s\"--%.*s\"", list.n ? " " : "", STR_ARG(name));
    }
    if (list.n)
        return flags_end(f, 3, e, "The following flag(s) can %s be used in agent mode: [%.*s]",
            f->agent ? "not" : "only", STR_ARG(buf_view(&list)));
    return f->agent ? err_set(e, ERR_BAD_INPUT, "agent mode is not served by this version") : OK;
}

/* The words of Go's net/url, for what can be wrong with an address of one's own. */
static errc url_check(struct flags *f, struct err *e)
{
    str url = f->external_url;
    SCOPED(buf_fini) struct buf q = { 0 };
    buf_go_quote(&q, url);
    if (!url.n) {
        str first = f->listen.n ? f->listen.at[0] : STR_EMPTY;
        size_t colon = str_rindex(first, ':');
        if (first.n && (colon == SIZE_MAX || first.p[first.n - 1] == ']'))
            return flags_end(f, 2, e,
                "parse external URL \"\": address %.*s: missing port in address", STR_ARG(first));
        return first.n ? OK
                       : flags_end(f, 2, e, "parse external URL \"\": missing port in address");
    }
    const char *quotes = "\"'";
    if (strchr(quotes, url.p[0]) || strchr(quotes, url.p[url.n - 1]))
        return flags_end(f, 2, e, "parse external URL %.*s: URL must not begin or end with quotes",
            STR_ARG(buf_view(&q)));
    if (url.p[0] == ':')
        return flags_end(f, 2, e, "parse external URL %.*s: parse %.*s: missing protocol scheme",
            STR_ARG(buf_view(&q)), STR_ARG(buf_view(&q)));
    for (size_t i = 0; i < url.n; i++) {
        bool hex = url.n - i > 2 && strchr("0123456789abcdefABCDEF", url.p[i + 1]) &&
                   strchr("0123456789abcdefABCDEF", url.p[i + 2]);
        if (url.p[i] == '%' && !hex)
            return flags_end(f, 2, e,
                "parse external URL %.*s: parse %.*s: invalid URL escape \"%.*s\"",
                STR_ARG(buf_view(&q)), STR_ARG(buf_view(&q)),
                STR_ARG(str_slice(url, i, MIN(i + 3, url.n))));
    }
    size_t open = str_find(url, S("://["));
    if (open != SIZE_MAX && str_index(str_from(url, open), ']') == SIZE_MAX)
        return flags_end(f, 2, e, "parse external URL %.*s: parse %.*s: missing ']' in host",
            STR_ARG(buf_view(&q)), STR_ARG(buf_view(&q)));
    return OK;
}

/* The reference compiles it anchored, and says so in its words. */
static errc cors_check(struct flags *f, struct err *e)
{
    struct regex *re = NULL;
    struct err why = { 0 };
    if (regex_new(&re, f->cors_origin, &why) == OK) {
        regex_free(re);
        return OK;
    }
    SCOPED(buf_fini) struct buf q = { 0 }, whole = { 0 };
    buf_go_quote(&q, f->cors_origin);
    buf_fmt(&whole, "`%.*s`", STR_ARG(f->cors_origin));
    str words = err_str(&why);
    bool all = str_has_suffix(words, buf_view(&whole));
    if (all) words = str_slice(words, 0, words.n - whole.n);
    return flags_end(f, 2, e, "could not compile CORS regex string %.*s: %.*s%s%.*s%s",
        STR_ARG(buf_view(&q)), STR_ARG(words), all ? "`^(?s:" : "", all ? (int)f->cors_origin.n : 0,
        (const char *)f->cors_origin.p, all ? ")$`" : "");
}

static errc messages_check(const struct flags *f, struct err *e)
{
    static const str known[] = { S("prometheus.WriteRequest"),
        S("io.prometheus.write.v2.Request") };
    for (size_t i = 0; i < f->proto_messages.n; i++) {
        str m = f->proto_messages.at[i];
        bool twice = false;
        SCOPED(buf_fini) struct buf before = { 0 };
        for (size_t k = 0; k < i; k++) {
            twice |= str_eq(m, f->proto_messages.at[k]);
            if (k) buf_u8(&before, ' ');
            buf_str(&before, f->proto_messages.at[k]);
        }
        if (twice)
            return err_set(e, ERR_BAD_INPUT, "duplicated %.*s flag value, got [%.*s] already",
                STR_ARG(m), STR_ARG(buf_view(&before)));
        if (str_eq(m, known[0]) || str_eq(m, known[1])) continue;
        return err_set(e, ERR_BAD_INPUT,
            "unknown type for remote write protobuf message %.*s, supported: %.*s, %.*s",
            STR_ARG(m), STR_ARG(known[0]), STR_ARG(known[1]));
    }
    return OK;
}

static errc flags_check(struct flags *f, const struct opts_run *run, struct err *e)
{
    TRY(mode_check(f, run, e));
    TRY(messages_check(f, e));
    if (f->max_concurrency < 1 || f->max_concurrency > 10000)
        return err_set(e, ERR_BAD_INPUT, "--query.max-concurrency must be between 1 and 10000");
    if (f->max_samples < 1)
        return err_set(e, ERR_BAD_INPUT, "--query.max-samples must be positive");
    if (f->max_connections < 1)
        return err_set(e, ERR_BAD_INPUT, "--web.max-connections must be positive");
    if (f->lookback_ms < 1 || f->query_timeout_ms < 1)
        return err_set(
            e, ERR_BAD_INPUT, "--query.lookback-delta and --query.timeout must be positive");
    if (!(f->gomemlimit_ratio > 0 && f->gomemlimit_ratio <= 1))
        return flags_end(
            f, 2, e, "--auto-gomemlimit.ratio must be greater than 0 and less than or equal to 1.");
    uint64_t budget;
    TRY(memory_budget(f, &budget, e));
    int64_t seg = f->wal_segment_bytes;
    if (seg && (seg < (10 << 20) || seg > (256 << 20)))
        return err_set(e, ERR_BAD_INPUT,
            "flag 'storage.tsdb.wal-segment-size' must be set between 10MB and 256MB");
    if (f->block_segment_bytes && f->block_segment_bytes < 1 << 20)
        return err_set(e, ERR_BAD_INPUT,
            "flag 'storage.tsdb.max-block-chunk-segment-size' must be set over 1MB");
    TRY(url_check(f, e));
    return cors_check(f, e);
}

errc flags_parse(
    struct flags *f, struct opts_run *run, int argc, char **argv, bool *done, struct err *e)
{
    *done = false;
    f->exit_code = 2;
    TRY(opts_parse(f, flag_table, flag_count, argc, argv, run, e));
    if (run->help) {
        struct buf b = { 0 };
        opts_help(&b, "epimetheus", "The Epimetheus monitoring server", flag_table, flag_count);
        printf("%.*s", STR_ARG(buf_view(&b)));
        buf_fini(&b);
    }
    if (run->version)
        printf("epimetheus, version %.*s (serving as Prometheus %.*s)\n", STR_ARG(VERSION_OWN),
            STR_ARG(VERSION_PROMETHEUS));
    *done = run->help || run->version;
    if (*done) return OK;
    f->config_given = opts_given(run, flag_table, flag_count, "config.file");
    for (size_t i = 0; i < f->features.n; i++)
        if (str_eq(f->features.at[i], S(AUTO_RELOAD))) f->auto_reload = true;
    if (!f->lookback_ms) f->lookback_ms = LOOKBACK_DEFAULT_MS;
    return flags_check(f, run, e);
}

void flags_tell_unserved(const struct opts_run *run)
{
    for (size_t i = 0; i < ARRAY_LEN(unserved); i++)
        if (opts_given(run, flag_table, flag_count, unserved[i]))
            LOG(WARN, "this flag has no effect in this version", kv_z("flag", unserved[i]));
}

#define OPTION "This option for --enable-feature is "

/* What to say of a name that switches nothing on here: the past of some is told in the words of the
 * reference. */
static void tell_feature(str name)
{
    static const struct { str name; const char *words; } known[] = {
        { S(AUTO_RELOAD), OPTION "deprecated. Use --config.auto-reload instead." },
        { S("native-histograms"),
            OPTION "a no-op. To scrape native histograms, set the scrape_native_histograms scrape "
                   "config setting to true." },
        { S("ooo-native-histograms"), OPTION "now permanently enabled and therefore a no-op." },
        { S("promql-duration-expr"), OPTION "now permanently enabled and therefore a no-op." },
        { S("concurrent-rule-eval"), NULL },
        { S("fast-startup"), NULL },
        { S("old-ui"), NULL },
        { S("otlp-deltatocumulative"), NULL },
        { S("otlp-native-delta-ingestion"), NULL },
        { S("st-synthesis"), NULL },
        { S("use-uncached-io"), NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (!str_eq(known[i].name, name)) continue;
        const char *words = known[i].words;
        LOG(WARN, words ? words : "this feature has no effect in this version",
            kv_str("option", name));
        return;
    }
    LOG(WARN, "Unknown option for --enable-feature", kv_str("option", name));
}

struct features features_read(const struct flags *f)
{
    struct features on = { 0 };
    const struct {
        str name;
        bool *on;
    } all[] = {
        { S("promql-experimental-functions"), &on.experimental_functions },
        { S("promql-delayed-name-removal"), &on.delayed_name_removal },
        { S("promql-extended-range-selectors"), &on.extended_range_selectors },
        { S("promql-binop-fill-modifiers"), &on.binop_fill },
        { S("promql-per-step-stats"), &on.per_step_stats },
        { S("use-start-timestamps"), &on.use_start_timestamps },
        { S("type-and-unit-labels"), &on.type_and_unit },
        { S("exemplar-storage"), &on.exemplar_storage },
        { S("st-storage"), &on.st_storage },
        { S("memory-snapshot-on-shutdown"), &on.memory_snapshot },
        { S("search-api"), &on.search },
        { S("delayed-compaction"), &on.delayed_compaction },
        { S("histograms-st-encoding"), &on.histogram_st },
        { S("xor2-encoding"), &on.xor2 },
        { S("created-timestamp-zero-ingestion"), &on.zero_at_start },
        { S("metadata-wal-records"), &on.metadata_records },
        { S("extra-scrape-metrics"), &on.extra_scrape_metrics },
    };
    for (size_t i = 0; i < f->features.n; i++) {
        bool found = false;
        for (size_t k = 0; k < ARRAY_LEN(all); k++)
            if (str_eq(all[k].name, f->features.at[i])) found = *all[k].on = true;
        if (!found) tell_feature(f->features.at[i]);
    }
    return on;
}
