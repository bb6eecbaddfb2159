/* verify.h — is a data folder what it should be, to the last byte?
 *
 * What        Every block (block/verify), the logs with their checkpoints, the chunk files of the
 *             head, memory snapshots.
 * Invariants  (1) Nothing is changed. (2) What a server leaves that is stopped or killed has no
 *             findings. (3) In a folder that a server writes to at the moment, what is not yet
 *             written whole, and what goes away meanwhile, is no finding.
 * Ownership   verified_init … verified_fini
 * Threads     one thread
 * Errors      ERR_IO, ERR_NOT_FOUND (no folder, or none of a database). Damage is no error, nor is
 *             a file that cannot be read.
 * Format      docs/format/
 */
#ifndef EPI_TSDB_VERIFY_H
#define EPI_TSDB_VERIFY_H

#include "base/findings.h"
#include "base/progress.h"
#include "io/reader.h"

struct verify_opts { struct fs *fs; enum io_backend backend; const struct progress *progress; };

struct verified {
    bool live;                                 /* a server has the folder */
    uint64_t blocks, series, chunks, samples, segments, records, head_chunks, bytes;
    struct findings findings;
    struct findings notes;                     /* nothing is wrong with these, but look at them */
};
void verified_init(struct verified *v);
void verified_fini(struct verified *v);
/* ERR_NOT_FOUND: nothing in it is of a database. Nothing at all is fine: so begins a database, and
 * so is the snapshot of one without blocks. */
MUST_USE errc folder_check(struct fs *fs, struct err *e);
MUST_USE errc folder_verify(struct verified *out, const struct verify_opts *o, struct err *e);

#endif
