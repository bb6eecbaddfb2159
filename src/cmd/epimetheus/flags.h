/* flags.h — the command line of the server: Prometheus 3.14's flags, and a few of our own.
 *
 * What        One table of flags with names, defaults and help; parsed into a struct. Flags of
 *             parts that are not served yet are known and told so when they are set.
 * Invariants  the table is what --help prints and what /api/v1/status/flags lists
 * Ownership   strings point into argv or are literals; lists are the caller's to free
 * Threads     const after parsing
 * Errors      ERR_BAD_INPUT with kingpin's words
 * Format      surface.md 5 of the reference
 */
#ifndef EPI_CMD_FLAGS_H
#define EPI_CMD_FLAGS_H

#include "base/arena.h"
#include "base/opts.h"

/* Values of flags whose part is not served yet, or that mean nothing here: kept to be shown. */
struct flags_unserved {
    str user_assets, console_templates, console_libraries, agent_path;
    str agent_wal_segment_size, agent_wal_truncate, agent_min_time, agent_max_time;
    int agent_compression, wal_truncate;
    bool gomaxprocs, drain, agent_wal_compression, agent_checkpoint, agent_no_lockfile;
    int64_t gomemlimit_refresh_ms, subscribers, write_queue, flush_deadline_ms;
    int64_t outage_ms, grace_ms, resend_ms, evals, queue,
        batch, checkpoint_batch;
};

struct flags {
    str config_file, web_config, external_url, route_prefix, cors_origin, page_title, storage_path,
        delay_compact_file, objstore, objstore_file;
    str grpc_address, grpc_cert, grpc_key, grpc_client_ca;     /* of the StoreAPI */
    int64_t grpc_grace_ms;
    int64_t retention_ms, retention_bytes;     /* 0: not given */
    int exit_code;                             /* of an error of these flags */
    bool bare_words;                           /* its words stand alone */
    int log_level, log_format, wal_compression_type, head_chunks;
    str storage_io;                    /* an io_plan's text */
    int64_t descriptors;               /* of buffered reads; 0: half of what there may be */
    int64_t io_cache;                  /* bytes; 0: by default */
    str_list listen, features, proto_messages;
    bool config_given, config_strict, agent, lifecycle, admin, remote_write_receiver, otlp_receiver,
        wal_compression, no_lockfile, overlapping_compaction;
    bool adjust_timestamps, auto_reload, gomemlimit, ship_compacted, ship_out_of_order;
    double gomemlimit_ratio;
    str memory_budget;
    int64_t search_limit;
    int64_t read_samples, read_concurrent, read_frame_bytes;   /* of remote read */
    int64_t auto_reload_ms, read_timeout_ms, lookback_ms, query_timeout_ms, min_block_ms,
        max_block_ms, block_reload_ms, fsync_interval_ms, tolerance_ms, discovery_reload_ms;
    int64_t max_connections, max_concurrency, max_samples, result_cache_bytes, wal_segment_bytes,
        block_segment_bytes, samples_per_chunk, compaction_delay_percent;
    struct flags_unserved un;
};

extern const struct opt flag_table[];
extern const size_t flag_count;

/* Reads argv. *done: help or version was printed, the program ends well. The lists live in
 * run->mem. */
MUST_USE errc flags_parse(
    struct flags *f, struct opts_run *run, int argc, char **argv, bool *done, struct err *e);

/* What the flags of memory say: bytes, 0 is no limit. ERR_BAD_INPUT. */
MUST_USE errc memory_budget(const struct flags *f, uint64_t *out, struct err *e);
/* from here on it holds */
void memory_start(const struct flags *f);

/* One warning for each flag that was set and whose part is not served. */
void flags_tell_unserved(const struct opts_run *run);

/* Which --enable-feature names are on; unknown ones warn. */
struct features {
    bool experimental_functions, delayed_name_removal, extended_range_selectors, binop_fill,
        per_step_stats, use_start_timestamps, type_and_unit, exemplar_storage, st_storage,
        memory_snapshot, search, delayed_compaction,
        histogram_st, xor2, zero_at_start, metadata_records, extra_scrape_metrics;
};
struct features features_read(const struct flags *f);

#endif
