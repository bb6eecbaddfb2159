/* wal_metrics.h — what a log says of itself on /metrics.
 *
 * What        prometheus_tsdb_wal_*, the same set as prometheus_tsdb_out_of_order_wbl_*,
 *             epimetheus_wal_unsynced_seconds.
 * Invariants  a log of kind WAL_PLAIN (a checkpoint) counts nowhere
 * Ownership   static
 * Threads     any
 * Errors      none
 * Format      none
 */
#ifndef EPI_WAL_WAL_METRICS_H
#define EPI_WAL_WAL_METRICS_H

#include "wal/page.h"
#include "wal/wal.h"

struct wal_metrics;
/* NULL for WAL_PLAIN; all functions take it */
struct wal_metrics *wal_metrics_of(enum wal_kind kind);
void wal_metrics_written(struct wal_metrics *m, const struct page_counts *counts);
void wal_metrics_saved(struct wal_metrics *m, enum compress_kind kind, int64_t bytes);
void wal_metrics_fsync(struct wal_metrics *m, int64_t took_ns);
void wal_metrics_failed(struct wal_metrics *m);
void wal_metrics_segment(struct wal_metrics *m, uint32_t n);
void wal_metrics_size(struct wal_metrics *m, uint64_t bytes);
/* monotonic; 0: all is synced */
void wal_metrics_unsynced(struct wal_metrics *m, int64_t since_ns);

void wal_metrics_truncated(struct wal_metrics *m, bool failed);

/* For the owner of the log: how long a checkpoint and the truncation after it took, and what its
 * opening met. */
void wal_metrics_truncate_took(struct wal_metrics *m, int64_t took_ns);
void wal_metrics_corruptions(struct wal_metrics *m, uint64_t n);

#endif
