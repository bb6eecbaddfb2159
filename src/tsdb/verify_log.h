/* verify_log.h — the logs of a data folder, record by record.
 *
 * What        wal/ with its checkpoint, wbl/, and the folders of memory snapshots: framing,
 *             checksums, compression, that every record decodes, that no number is missing, and
 *             that what names a series comes behind the record of that series.
 * Invariants  as verify.h
 * Ownership   borrows
 * Threads     one thread
 * Errors      ERR_IO
 * Format      docs/format/wal.md, docs/format/snapshot.md
 */
#ifndef EPI_TSDB_VERIFY_LOG_H
#define EPI_TSDB_VERIFY_LOG_H

#include "tsdb/verify.h"

MUST_USE errc verify_logs(struct verified *out, const struct verify_opts *o, struct err *e);
/* chunk_snapshot.N.M */
MUST_USE errc verify_memory_snapshot(
    struct verified *out, const struct verify_opts *o, str dir, struct err *e);

#endif
