/* scrape_config.h — what the configuration says about scraping: jobs, their limits, rules and
 * discovery.
 *
 * What        One struct per job with every default filled in (global values included); config
 *             fills it, scrape reads it.
 * Invariants  0 < timeout_ms <= interval_ms; at least one protocol; rules are compiled and checked
 * Ownership   everything borrows from one arena of the loaded configuration, which outlives the
 *             jobs made from it
 * Threads     const after loading: any
 * Errors      none
 * Format      docs: configuration reference; Prometheus' scrape_config
 */
#ifndef EPI_SCRAPE_SCRAPE_CONFIG_H
#define EPI_SCRAPE_SCRAPE_CONFIG_H

#include "ingest/negotiate.h"
#include "ingest/relabel.h"
#include "model/http_options.h"

/* A static_config, or a group of a discovery file. */
struct target_group {
    /* unique within the job: "0", "1", … for static ones; path:index for files */
    str source;
    const str *targets;                /* host:port, the value of __address__ */
    size_t n_targets;
    struct labels labels;              /* common to all, may be meta labels */
};

struct file_sd_config {
    /* paths and globs, relative ones joined with the configuration's folder */
    const str *files;
    size_t n_files;
    int64_t refresh_ms;
};

/* What --enable-feature says about all jobs. */
struct scrape_features {
    bool start_times;                  /* samples get the start timestamps that pages tell */
    bool type_and_unit_labels;
    bool metadata;                     /* series get their families' metadata */
};

struct scrape_config {
    str job_name;
    /* the job as YAML with its defaults: what the API shows; equal texts are equal jobs */
    str text;
    /* of all that decides which series a page gives: equal ones may share what pages held */
    uint64_t series_hash;
    int64_t interval_ms, timeout_ms;
    str metrics_path, scheme;
    const struct http_param *params;
    size_t n_params;
    bool honor_labels, honor_timestamps, track_timestamps_staleness, enable_compression,
        extra_scrape_metrics;
    /* unless a target's labels say something else */
    bool scrape_native_histograms, convert_classic_histograms, always_scrape_classic_histograms;
    struct scrape_features features;

    enum scrape_protocol protocols[SCRAPE_PROTOCOLS];          /* in order of preference */
    size_t n_protocols;
    bool has_fallback;
    enum scrape_protocol fallback;
    bool legacy_names;                 /* metric_name_validation_scheme: legacy */
    enum escape_scheme escaping;

    uint64_t body_size_limit;          /* bytes; this and all below: 0 is no limit */
    uint64_t sample_limit, target_limit, label_limit, label_name_length_limit,
        label_value_length_limit, keep_dropped_targets;
    uint64_t histogram_bucket_limit;
    double histogram_min_bucket_factor;
    str failure_log_file;              /* empty: none */

    struct http_options http;
    struct relabel_rules relabel, metric_relabel;

    const struct target_group *static_groups;
    size_t n_static_groups;
    const struct file_sd_config *file_sd;
    size_t n_file_sd;
};

struct scrape_configs {
    const struct scrape_config *at;
    size_t n;
    struct labels external_labels;
    int64_t interval_ms, timeout_ms;   /* the global ones */
};

#endif
