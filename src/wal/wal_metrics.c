/* wal_metrics.c — see wal_metrics.h */
#include "wal/wal_metrics.h"

#include "base/clock.h"
#include "base/metric.h"

static const double quantiles[] = { 0.5, 0.9, 0.99 };

/* words: of the two that Prometheus words by the log's name */
#define WAL_FAMILIES(v, prefix, corrupt_words, truncate_words)                                     \
    COUNTER(v##_pages, prefix "completed_pages_total", "Total number of completed pages.")         \
    COUNTER(v##_corruptions, prefix "corruptions_total", corrupt_words)                            \
    SUMMARY(v##_fsync, prefix "fsync_duration_seconds", "Duration of write log fsync.", quantiles) \
    COUNTER(v##_flushes, prefix "page_flushes_total", "Total number of page flushes.")             \
    COUNTER_VEC(v##_saved, prefix "record_bytes_saved_total",                                      \
        "Total number of bytes saved by the optional record compression. Use this metric to learn "\
        "about the effectiveness compression.", "compression")                                     \
    COUNTER(v##_parts, prefix "record_part_writes_total",                                          \
        "Total number of record parts written before flushing.")                                   \
    COUNTER(v##_part_bytes, prefix "record_parts_bytes_written_total",                             \
        "Total number of record part bytes written before flushing, including CRC and "            \
        "compression headers.")                                                                    \
    GAUGE(v##_segment, prefix "segment_current",                                                   \
        "Write log segment index that TSDB is currently writing to.")                              \
    GAUGE(v##_size, prefix "storage_size_bytes", "Size of the write log directory.")               \
    SUMMARY(v##_truncate, prefix "truncate_duration_seconds", truncate_words, quantiles)           \
    COUNTER(v##_truncations, prefix "truncations_total",                                           \
        "Total number of write log truncations attempted.")                                        \
    COUNTER(v##_truncations_failed, prefix "truncations_failed_total",                             \
        "Total number of write log truncations that failed.")                                      \
    COUNTER(v##_failed, prefix "writes_failed_total",                                              \
        "Total number of write log writes that failed.")

WAL_FAMILIES(main_log, "prometheus_tsdb_wal_", "Total number of WAL corruptions.",
    "Duration of WAL truncation.")
WAL_FAMILIES(ooo_log, "prometheus_tsdb_out_of_order_wbl_", "Total number of WBL corruptions.",
    "Duration of WBL truncation.")

/* of the main log; 0: all is synced; relaxed: a figure */
static _Atomic int64_t unsynced_since_ns;

static double unsynced_read(void *ctx)
{
    (void)ctx;
    int64_t since = atomic_load_explicit(&unsynced_since_ns, memory_order_relaxed);
    return since ? (double)(clock_mono_ns() - since) * 1e-9 : 0;
}
METRIC_DEFINE(unsynced, METRIC_GAUGE, "epimetheus_wal_unsynced_seconds",
    "Age of the oldest byte of the log that no fsync covers.", .read = unsynced_read)

struct wal_metrics {
    struct metric_family *pages, *corruptions, *fsync, *flushes, *saved, *parts, *part_bytes,
        *segment, *size, *truncate, *truncations, *truncations_failed, *failed;
    bool main;
};

#define WAL_TABLE(v, is_main)                                                                      \
    {                                                                                              \
        &v##_pages, &v##_corruptions, &v##_fsync, &v##_flushes, &v##_saved, &v##_parts,            \
            &v##_part_bytes, &v##_segment, &v##_size, &v##_truncate, &v##_truncations,             \
            &v##_truncations_failed, &v##_failed, is_main                                          \
    }
static struct wal_metrics tables[] = {
    [WAL_MAIN] = WAL_TABLE(main_log, true), [WAL_OUT_OF_ORDER] = WAL_TABLE(ooo_log, false)
};

struct wal_metrics *wal_metrics_of(enum wal_kind kind)
{
    return kind == WAL_PLAIN ? NULL : &tables[kind];
}

void wal_metrics_written(struct wal_metrics *m, const struct page_counts *counts)
{
    if (!m) return;
    metric_add(m->pages, (double)counts->pages);
    metric_add(m->parts, (double)counts->fragments);
    metric_add(m->part_bytes, (double)counts->bytes);
    metric_inc(m->flushes);
}

void wal_metrics_saved(struct wal_metrics *m, enum compress_kind kind, int64_t bytes)
{
    if (m && kind != COMPRESS_NONE)
        metric_add_to(
            METRIC_WITH(m->saved, kind == COMPRESS_ZSTD ? S("zstd") : S("snappy")), (double)bytes);
}

void wal_metrics_fsync(struct wal_metrics *m, int64_t took_ns)
{
    if (m) metric_observe(m->fsync, (double)took_ns * 1e-9);
}

void wal_metrics_failed(struct wal_metrics *m)
{
    if (m) metric_inc(m->failed);
}

void wal_metrics_segment(struct wal_metrics *m, uint32_t n)
{
    if (m) metric_set(m->segment, n);
}

void wal_metrics_size(struct wal_metrics *m, uint64_t bytes)
{
    if (m) metric_set(m->size, (double)bytes);
}

void wal_metrics_unsynced(struct wal_metrics *m, int64_t since_ns)
{
    if (m && m->main) atomic_store_explicit(&unsynced_since_ns, since_ns, memory_order_relaxed);
}

void wal_metrics_truncated(struct wal_metrics *m, bool failed)
{
    if (!m) return;
    metric_inc(m->truncations);
    if (failed) metric_inc(m->truncations_failed);
}

void wal_metrics_truncate_took(struct wal_metrics *m, int64_t took_ns)
{
    if (m) metric_observe(m->truncate, (double)took_ns * 1e-9);
}

void wal_metrics_corruptions(struct wal_metrics *m, uint64_t n)
{
    if (m) metric_add(m->corruptions, (double)n);
}
