#include "cmd/epimetheus/flags.h"

#include "base/log.h"
#include "base/version.h"
#include "model/opt_kinds.h"

#include <stdio.h>

static const char *const log_levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const log_formats[] = { "logfmt", "json", NULL };
static const char *const compressions[] = { "snappy", "zstd", NULL };
static const char *const backends[] = { "auto", "mmap", "buffered", "direct", NULL };

#define AT(field) OPT_AT(struct flags, field)

const struct opt flag_table[] = {
    { "config.file", .help = "Prometheus configuration file path.", AT(config_file), &opt_str, .def = "prometheus.yml" },
    { "config.auto-reload", .help = "Enable automatic configuration file reloading.", AT(auto_reload), &opt_bool, .def = "false" },
    { "config.auto-reload-interval", .help = "Interval for checking the configuration file for changes.", AT(auto_reload_ms), &opt_duration, .def = "30s" },
    { "config.strict", .help = "Refuse a configuration with sections that are valid but not served.", AT(config_strict), &opt_bool, .def = "false" },
    { "web.listen-address", .help = "Address to listen on for UI, API, and telemetry. Can be repeated.", AT(listen), &opt_strs, .def = "0.0.0.0:9090" },
    { "auto-gomaxprocs", .help = "Accepted; threads follow the cores.", AT(un.gomaxprocs), &opt_bool, .def = "true" },
    { "auto-gomemlimit", .help = "Accepted; has no effect.", AT(un.gomemlimit), &opt_bool, .def = "true" },
    { "auto-gomemlimit.ratio", .help = "Accepted; has no effect.", AT(un.gomemlimit_ratio), &opt_f64, .def = "0.9" },
    { "auto-gomemlimit.refresh-interval", .help = "Accepted; has no effect.", AT(un.gomemlimit_refresh_ms), &opt_duration, .def = "0s" },
    { "web.config.file", .help = "Path to configuration file that can enable TLS or authentication.", AT(web_config), &opt_str, .def = "" },
    { "web.read-timeout", .help = "Maximum duration before timing out read of the request, and closing idle connections.", AT(read_timeout_ms), &opt_duration, .def = "5m" },
    { "web.max-connections", .help = "Maximum number of simultaneous connections across all listeners.", AT(max_connections), &opt_int, .def = "512" },
    { "web.max-notifications-subscribers", .help = "Limit of live notification subscribers.", AT(un.subscribers), &opt_int, .def = "16" },
    { "web.external-url", .arg = "<URL>", .help = "The URL under which the server is externally reachable. If it has a path, that prefixes all endpoints.", AT(external_url), &opt_str, .def = "" },
    { "web.route-prefix", .arg = "<path>", .help = "Prefix for the internal routes of web endpoints. Defaults to path of --web.external-url.", AT(route_prefix), &opt_str, .def = "" },
    { "web.user-assets", .arg = "<path>", .help = "Path to static asset directory; not served yet.", AT(un.user_assets), &opt_str, .def = "" },
    { "web.enable-lifecycle", .help = "Enable shutdown and reload via HTTP request.", AT(lifecycle), &opt_bool, .def = "false" },
    { "web.enable-admin-api", .help = "Enable API endpoints for admin control actions.", AT(admin), &opt_bool, .def = "false" },
    { "web.enable-remote-write-receiver", .help = "Enable API endpoint accepting remote write requests.", AT(remote_write_receiver), &opt_bool, .def = "false" },
    { "web.remote-write-receiver.accepted-protobuf-messages", .help = "List of the remote write protobuf messages to accept.", AT(proto_messages), &opt_strs,
      .def = "prometheus.WriteRequest,io.prometheus.write.v2.Request" },
    { "web.enable-otlp-receiver", .help = "Enable API endpoint accepting OTLP write requests; not served yet.", AT(otlp_receiver), &opt_bool, .def = "false" },
    { "web.console.templates", .help = "Path to the console template directory; not served.", AT(un.console_templates), &opt_str, .def = "consoles" },
    { "web.console.libraries", .help = "Path to the console library directory; not served.", AT(un.console_libraries), &opt_str, .def = "console_libraries" },
    { "web.page-title", .help = "Document title of the instance.", AT(page_title), &opt_str, .def = "Prometheus Time Series Collection and Processing Server" },
    { "web.cors.origin", .arg = "<regex>", .help = "Regex for CORS origin. It is fully anchored. Example: 'https?://(domain1|domain2)\\.com'", AT(cors_origin), &opt_str, .def = ".*" },
    { "web.search.max-limit", .help = "Upper bound of the limit of the search API; not served yet.", AT(un.search_limit), &opt_int, .def = "10000" },
    { "storage.tsdb.path", .help = "Base path for metrics storage. Use with server mode only.", AT(storage_path), &opt_str, .def = "data/" },
    { "storage.tsdb.min-block-duration", .help = "Range of a block of the head.", AT(min_block_ms), &opt_duration, .def = "2h", .flags = OPT_HIDDEN },
    { "storage.tsdb.max-block-duration", .help = "Longest range of a block.", AT(un.max_block_duration), &opt_str, .flags = OPT_HIDDEN },
    { "storage.tsdb.max-block-chunk-segment-size", .help = "Largest chunk segment of a block.", AT(un.segment_size), &opt_str, .flags = OPT_HIDDEN },
    { "storage.tsdb.wal-segment-size", .help = "Size at which to split the tsdb WAL segment files. Example: 100MB", AT(wal_segment_bytes), &opt_size, .flags = OPT_HIDDEN },
    { "storage.tsdb.retention.time", .help = "How long to retain samples in storage.", AT(retention_time), &opt_str, .def = "" },
    { "storage.tsdb.retention.size", .help = "Maximum number of bytes that can be stored for blocks.", AT(retention_size), &opt_str, .def = "" },
    { "storage.tsdb.no-lockfile", .help = "Do not create lockfile in data directory.", AT(no_lockfile), &opt_bool, .def = "false" },
    { "storage.tsdb.allow-overlapping-compaction", .help = "Allow compaction of overlapping blocks.", AT(un.overlapping), &opt_bool, .def = "true", .flags = OPT_HIDDEN },
    { "storage.tsdb.wal-compression", .help = "Compress the tsdb WAL.", AT(wal_compression), &opt_bool, .def = "true", .flags = OPT_HIDDEN },
    { "storage.tsdb.wal-compression-type", .help = "Compression algorithm for the tsdb WAL.", AT(wal_compression_type), &opt_choice, .def = "snappy", .flags = OPT_HIDDEN, .choices = compressions },
    { "storage.tsdb.head-chunks-write-queue-size", .help = "Accepted; closed chunks are written in batches.", AT(un.write_queue), &opt_int, .def = "0" },
    { "storage.tsdb.samples-per-chunk", .help = "Target number of samples per chunk.", AT(samples_per_chunk), &opt_int, .def = "120", .flags = OPT_HIDDEN },
    { "storage.tsdb.delayed-compaction.max-percent", .help = "Upper limit for the random compaction delay.", AT(un.compaction_delay), &opt_int, .def = "10", .flags = OPT_HIDDEN },
    { "storage.tsdb.delay-compact-file.path", .help = "Path to a JSON file with uploaded blocks.", AT(un.delay_compact_file), &opt_str, .def = "" },
    { "storage.tsdb.block-reload-interval", .help = "Interval at which to check for new or removed blocks in storage.", AT(un.reload_interval_ms), &opt_duration, .def = "1m", .flags = OPT_HIDDEN },
    { "storage.io", .help = "How storage is read: auto, mmap, buffered or direct.", AT(storage_io), &opt_choice, .def = "auto", .choices = backends },
    { "storage.wal.fsync-interval", .help = "How long a power cut may reach back; 0 syncs before each answer.", AT(fsync_interval_ms), &opt_duration, .def = "1s" },
    { "storage.agent.path", .help = "Base path for metrics storage. Use with agent mode only.", AT(un.agent_path), &opt_str, .def = "data-agent/" },
    { "storage.agent.wal-segment-size", .help = "Agent mode.", AT(un.agent_wal_segment_size), &opt_str, .flags = OPT_HIDDEN },
    { "storage.agent.wal-compression", .help = "Agent mode.", AT(un.agent_wal_compression), &opt_bool, .def = "true" },
    { "storage.agent.wal-compression-type", .help = "Agent mode.", AT(un.agent_compression), &opt_choice, .def = "snappy", .flags = OPT_HIDDEN, .choices = compressions },
    { "storage.agent.wal-truncate-frequency", .help = "Agent mode.", AT(un.agent_wal_truncate), &opt_str, .flags = OPT_HIDDEN },
    { "storage.agent.retention.min-time", .help = "Agent mode.", AT(un.agent_min_time), &opt_str },
    { "storage.agent.retention.max-time", .help = "Agent mode.", AT(un.agent_max_time), &opt_str },
    { "storage.agent.no-lockfile", .help = "Agent mode.", AT(un.agent_no_lockfile), &opt_bool, .def = "false" },
    { "storage.agent.checkpoint-from-in-memory-series", .help = "Agent mode.", AT(un.agent_checkpoint), &opt_bool, .def = "false" },
    { "storage.agent.checkpoint-batch-size", .help = "Agent mode.", AT(un.checkpoint_batch), &opt_int, .def = "1000" },
    { "storage.remote.flush-deadline", .arg = "<duration>", .help = "How long to wait flushing sample on shutdown or config reload.", AT(un.flush_deadline_ms), &opt_duration, .def = "1m" },
    { "storage.remote.read-sample-limit", .help = "Remote read is not served yet.", AT(un.read_samples), &opt_num, .def = "5e7" },
    { "storage.remote.read-concurrent-limit", .help = "Remote read is not served yet.", AT(un.read_concurrent), &opt_int, .def = "10" },
    { "storage.remote.read-max-bytes-in-frame", .help = "Remote read is not served yet.", AT(un.read_frame), &opt_int, .def = "1048576" },
    { "rules.alert.for-outage-tolerance", .help = "Rules are not served yet.", AT(un.outage_ms), &opt_duration, .def = "1h" },
    { "rules.alert.for-grace-period", .help = "Rules are not served yet.", AT(un.grace_ms), &opt_duration, .def = "10m" },
    { "rules.alert.resend-delay", .help = "Rules are not served yet.", AT(un.resend_ms), &opt_duration, .def = "1m" },
    { "rules.max-concurrent-evals", .help = "Rules are not served yet.", AT(un.evals), &opt_int, .def = "4" },
    { "alertmanager.notification-queue-capacity", .help = "Alerting is not served yet.", AT(un.queue), &opt_int, .def = "10000" },
    { "alertmanager.notification-batch-size", .help = "Alerting is not served yet.", AT(un.batch), &opt_int, .def = "256" },
    { "alertmanager.drain-notification-queue-on-shutdown", .help = "Alerting is not served yet.", AT(un.drain), &opt_bool, .def = "true" },
    { "scrape.adjust-timestamps", .help = "Adjust scrape timestamps by up to --scrape.timestamp-tolerance to align them to the intended schedule.", AT(adjust_timestamps), &opt_bool, .def = "true", .flags = OPT_HIDDEN },
    { "scrape.timestamp-tolerance", .help = "Timestamp tolerance.", AT(tolerance_ms), &opt_duration, .def = "2ms", .flags = OPT_HIDDEN },
    { "scrape.discovery-reload-interval", .help = "Interval used by scrape manager to throttle target groups updates.", AT(discovery_reload_ms), &opt_duration, .def = "5s", .flags = OPT_HIDDEN },
    { "query.lookback-delta", .help = "The maximum lookback duration for retrieving metrics during expression evaluations and federation.", AT(lookback_ms), &opt_duration, .def = "5m" },
    { "query.timeout", .help = "Maximum time a query may take before being aborted.", AT(query_timeout_ms), &opt_duration, .def = "2m" },
    { "query.max-concurrency", .help = "Maximum number of queries executed concurrently.", AT(max_concurrency), &opt_int, .def = "20" },
    { "query.max-samples", .help = "Maximum number of samples a single query can load into memory.", AT(max_samples), &opt_int, .def = "50000000" },
    { "enable-feature", .arg = "...", .help = "Comma separated feature names to enable.", AT(features), &opt_words },
    { "agent", .help = "Run in 'Agent mode'; not served yet.", AT(agent), &opt_bool },
    { "log.level", .help = "Only log messages with the given severity or above. One of: [debug, info, warn, error]", AT(log_level), &opt_choice, .def = "info", .choices = log_levels },
    { "log.format", .help = "Output format of log messages. One of: [logfmt, json]", AT(log_format), &opt_choice, .def = "logfmt", .choices = log_formats },
};
const size_t flag_count = ARRAY_LEN(flag_table);

static errc flags_check(const struct flags *f, struct err *e)
{
    if (f->agent) return err_set(e, ERR_BAD_INPUT, "agent mode is not served by this version");
    if (f->max_concurrency < 1 || f->max_concurrency > 10000)
        return err_set(e, ERR_BAD_INPUT, "--query.max-concurrency must be between 1 and 10000");
    if (f->max_samples < 1) return err_set(e, ERR_BAD_INPUT, "--query.max-samples must be positive");
    if (f->max_connections < 1) return err_set(e, ERR_BAD_INPUT, "--web.max-connections must be positive");
    if (f->lookback_ms < 1 || f->query_timeout_ms < 1) return err_set(e, ERR_BAD_INPUT, "--query.lookback-delta and --query.timeout must be positive");
    if (f->samples_per_chunk < 4 || f->samples_per_chunk > 128)
        return err_set(e, ERR_BAD_INPUT, "--storage.tsdb.samples-per-chunk must be between 4 and 128");
    int64_t seg = f->wal_segment_bytes;
    if (seg && (seg < (10 << 20) || seg > (256 << 20)))
        return err_set(e, ERR_BAD_INPUT, "flag 'storage.tsdb.wal-segment-size' must be set between 10MB and 256MB");
    return OK;
}

errc flags_parse(struct flags *f, struct opts_run *run, int argc, char **argv, bool *done, struct err *e)
{
    *done = false;
    TRY(opts_parse(f, flag_table, flag_count, argc, argv, run, e));
    if (run->help) {
        struct buf b = { 0 };
        opts_help(&b, "epimetheus", "The Epimetheus monitoring server", flag_table, flag_count);
        printf("%.*s", STR_ARG(buf_view(&b)));
        buf_fini(&b);
    }
    if (run->version) printf("epimetheus, version %.*s (serving as Prometheus %.*s)\n", STR_ARG(VERSION_OWN), STR_ARG(VERSION_PROMETHEUS));
    *done = run->help || run->version;
    if (*done) return OK;
    f->config_given = opts_given(run, flag_table, flag_count, "config.file");
    return flags_check(f, e);
}

struct features features_read(const struct flags *f)
{
    struct features on = { 0 };
    const struct { str name; bool *on; } all[] = {
        { S("promql-experimental-functions"), &on.experimental_functions },
        { S("promql-delayed-name-removal"), &on.delayed_name_removal },
        { S("promql-extended-range-selectors"), &on.extended_range_selectors },
        { S("promql-binop-fill-modifiers"), &on.binop_fill },
        { S("promql-per-step-stats"), &on.per_step_stats },
        { S("use-start-timestamps"), &on.use_start_timestamps },
        { S("type-and-unit-labels"), &on.type_and_unit },
    };
    static const str known[] = {                               /* without effect here: no-ops of old, or parts that are not served yet */
        S("auto-reload-config"), S("native-histograms"), S("ooo-native-histograms"), S("promql-duration-expr"), S("concurrent-rule-eval"),
        S("created-timestamp-zero-ingestion"), S("delayed-compaction"), S("exemplar-storage"), S("extra-scrape-metrics"), S("fast-startup"),
        S("histograms-st-encoding"), S("memory-snapshot-on-shutdown"), S("metadata-wal-records"), S("old-ui"), S("otlp-deltatocumulative"),
        S("otlp-native-delta-ingestion"), S("search-api"), S("st-storage"), S("st-synthesis"), S("use-uncached-io"), S("xor2-encoding"),
    };
    for (size_t i = 0; i < f->features.n; i++) {
        bool found = false;
        for (size_t k = 0; k < ARRAY_LEN(all); k++)
            if (str_eq(all[k].name, f->features.at[i])) found = *all[k].on = true;
        bool idle = false;
        for (size_t k = 0; k < ARRAY_LEN(known) && !idle; k++) idle = str_eq(known[k], f->features.at[i]);
        if (idle) LOG(WARN, "this feature has no effect in this version", kv_str("option", f->features.at[i]));
        else if (!found) LOG(WARN, "Unknown option for --enable-feature", kv_str("option", f->features.at[i]));
    }
    return on;
}
