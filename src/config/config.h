/* config.h — the configuration file, loaded.
 *
 * What        Text to checked structs: YAML, strictly by the tables of sections.h, defaults,
 *             Prometheus' checks, environment variables in external labels, relative paths joined
 *             with the file's folder; and back to the text that /status/config shows.
 * Invariants  a loaded configuration is complete and never changes; one that does not load leaves
 *             nothing behind
 * Ownership   config_load allocates one arena for all of it, config_free frees it with the regexes
 *             inside
 * Threads     const after loading: any
 * Errors      ERR_BAD_INPUT with Prometheus' words; ERR_IO, ERR_NOT_FOUND for files
 * Format      docs: configuration reference
 */
#ifndef EPI_CONFIG_CONFIG_H
#define EPI_CONFIG_CONFIG_H

#include "base/vec.h"
#include "scrape/scrape_config.h"

struct config {
    struct arena a;
    struct scrape_configs scrape;
    int64_t evaluation_interval_ms, rule_query_offset_ms;
    str query_log_file;                /* empty: none */
    str_list rule_files;               /* globs */
    int64_t out_of_order_window_ms;
    int64_t retention_ms, retention_bytes;             /* 0: not set here */
    double retention_percent;
    double stale_threshold; /* storage.tsdb.stale_series_compaction_threshold */
    int64_t max_exemplars;
    /* storage.tsdb.chunk_encoding.floats; absent: as the flags say */
    enum { FLOATS_AS_STARTED, FLOATS_XOR, FLOATS_XOR2 } floats;
    /* sections that are valid but not served: "remote_write", "scrape_configs.dns_sd_configs" */
    str_list unsupported;
    /* jobs all of whose targets would come from an unserved discovery */
    str_list unserved_jobs;
    str text;                          /* as /status/config prints it */
    struct relabel_rules *rules;       /* every list made, for the end */
    size_t n_rules;
};

struct config_opts {
    bool agent;                        /* --agent: no rules, alerting, remote read */
    const char *(*env)(const char *name);   /* getenv; NULL: no variables are set */
    /* where storage.tsdb.retention is absent: durations and sizes as text; empty: 0 */
    str retention_time, retention_size;
    /* exemplar storage is on: storage.exemplars has its default where it is absent */
    bool exemplars;
    /* the feature is on: the default of global.extra_scrape_metrics */
    bool extra_scrape_metrics;
    /* a feature is on: jobs ask for protobuf first, native histograms or not */
    bool protobuf_first;
    struct scrape_features scrape;     /* of all jobs */
    bool read_files;                   /* scrape_config_files are read */
};

/* text: the file's content; path: its name, for words and for the folder that relative paths are
 * joined with. */
MUST_USE errc config_parse(
    struct config **out, str text, str path, const struct config_opts *o, struct err *e);
/* Reads the file, then as config_parse; the path may be relative to the working folder and hold
 * "..". */
MUST_USE errc config_load(
    struct config **out, str path, const struct config_opts *o, struct err *e);
/* A YAML list of relabel rules, as a job has it; compiled and checked. relabel_fini frees the
 * regexes, also after a failure. */
MUST_USE errc config_relabel_rules(
    struct arena *a, str text, bool legacy_names, struct relabel_rules *out, struct err *e);
/* A file of the HTTP client block alone: promtool's --http.config.file. All lies in the arena. */
MUST_USE errc config_http_options(
    struct http_options *out, str path, struct arena *a, struct err *e);
void config_free(struct config *c);                            /* NULL is fine */

/* What a server must refuse although Prometheus would take it: a job without any served discovery;
 * with strict: any unserved section. */
MUST_USE errc config_served(const struct config *c, bool strict, struct err *e);

#endif
