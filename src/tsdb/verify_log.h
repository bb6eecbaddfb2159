/* verify_log.h — the logs of a data folder, record by record.
 *
 * What        wal/ with its checkpoint, wbl/, and the folders of memory snapshots: framing,
 *             checksums, compression, that every record decodes, that no number is missing, and
 *             that what names a series comes behind the record of that series.
 * Invariants  as verify.h
 * Ownership   borrows
 * Threads     one thread
 * Errors      ERR_IO; of verify_logs none: what cannot be read is a finding
 * Format      docs/format/wal.md, docs/format/snapshot.md
 */
#ifndef EPI_TSDB_VERIFY_LOG_H
#define EPI_TSDB_VERIFY_LOG_H

#include "tsdb/verify.h"

void verify_logs(struct verified *out, const struct verify_opts *o);
/* chunk_snapshot.N.M */
MUST_USE errc verify_memory_snapshot(
    struct verified *out, const struct verify_opts *o, str dir, struct err *e);

/* What the parts of folder_verify share. */

/* What cannot be read is a finding as damage is: the rest is looked at all the same. */
void verify_unread(struct verified *out, str path, const struct err *why);
/* It is there and a folder; a file of that name is a finding. */
bool verify_is_folder(struct verified *out, const struct verify_opts *o, str dir);
/* Names in a folder of numbered files that are not those of a file. */
MUST_USE errc verify_names(
    struct verified *out, const struct verify_opts *o, str dir, int width, struct err *e);

#endif
