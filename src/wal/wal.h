/* wal.h — the write-ahead log: what was acknowledged survives a crash.
 *
 * What        A folder of numbered segments of 128 MiB, each of 32 KiB pages of framed records.
 *             Group commit: callers encode and compress in their own thread, queue under LOCK_WAL,
 *             and one of them writes what is queued with one vectored write.
 * Invariants  (1) A record is never split over two segments. (2) After wal_commit() returned OK,
 *             kill -9 loses nothing of the batch; after a successful fsync that began later (at the
 *             latest fsync_interval_ms after; with 0 before the answer) a power cut does not
 *             either. (3) A batch that failed is not in the log: the segment is cut back to the
 *             last record before it.
 *             (4) Segments are only appended to, or deleted whole from the low end. (5) A series
 *                 record given to wal_series() is in
 *             the log before every batch that was committed after it, exactly once; when its write
 *             fails it waits for the next one.
 * Ownership   wal_open() allocates, wal_close() frees. A batch belongs to its maker until
 *             wal_commit() or wal_batch_drop() takes it.
 *             Records are copied before wal_series() and wal_batch_add() return.
 * Threads     wal_batch_*: each batch one thread. wal_commit(), wal_series(), wal_sync(),
 *             wal_stat(): any. wal_rotate(), wal_truncate(): one at a time, beside the others.
 *             wal_close(): alone. Lock: LOCK_WAL, never held over I/O; wal_series() may be called
 *             under LOCK_HEAD_CREATE or any other lock above LOCK_WAL: it never waits for I/O.
 * Errors      ERR_NO_SPACE: the log is full, left by itself when a later write works. ERR_IO: the
 *             write (or with interval 0 the fsync) failed. After a failed fsync the segment is
 *             given up, and what was not synced is written again to the next one.
 *             ERR_LIMIT: too many series records wait for a log that cannot be written.
 * Format      docs/format/wal.md
 *
 * Durability steps for fault_dropped(): wal.segment_fsync, wal.dir_fsync, wal.series_order,
 * wal.cut_fsync, wal.undo_order, wal.recover_order, wal.recover_fsync,
 * wal.rescue_order, wal.truncate_order, wal.parent_fsync; of a checkpoint: checkpoint.fsync,
 * checkpoint.dir_fsync.
 */
#ifndef EPI_WAL_WAL_H
#define EPI_WAL_WAL_H

#include "base/compress.h"
#include "base/err.h"
#include "io/fs.h"
#include "model/labels.h"
#include "model/sample.h"

enum {
    WAL_SEGMENT_BYTES = 128 << 20,
    WAL_UNSYNCED_MAX_BYTES = 64 << 20,
    WAL_SERIES_WAITING_MAX_BYTES = 256 << 20
};
/* whose metrics: prometheus_tsdb_wal_*, …_out_of_order_wbl_*, none (checkpoints) */
enum wal_kind { WAL_MAIN, WAL_OUT_OF_ORDER, WAL_PLAIN };

struct wal_opts {
    struct fs *fs;                             /* outlives the log */
    str dir;                                   /* made if it is missing */
    enum wal_kind kind;
    uint64_t segment_bytes;                    /* a multiple of 32 KiB; 0: WAL_SEGMENT_BYTES */
    enum compress_kind compress;               /* NONE, SNAPPY, ZSTD */
    int64_t fsync_interval_ms;                 /* 0: fsync before the answer */
    /* stored bytes kept for a failed fsync; beyond it a commit syncs first; 0: the default */
    size_t unsynced_max_bytes;
    /* nobody syncs in the background: the owner calls wal_sync() (tests on a simulated disk) */
    bool no_thread;
};

struct wal;
struct wal_batch;                              /* records on their way into the log */

/* Begins a new segment after the highest one (0 in an empty folder). Reads nothing: reading and
 * repair are wal_reader's. */
MUST_USE errc wal_open(struct wal **out, const struct wal_opts *o, struct err *e);
void wal_close(struct wal *w);                 /* pads the page, fsyncs; NULL is fine */
/* the same, says whether everything is durable; w is gone in any case */
MUST_USE errc wal_close_synced(struct wal *w, struct err *e);

/* A batch: encode a record into wal_batch_room()'s empty buf, then wal_batch_seal() compresses it
 * into the batch; or add a finished one. */
struct wal_batch *wal_batch_new(struct wal *w);
struct buf *wal_batch_room(struct wal_batch *b);
void wal_batch_seal(struct wal_batch *b);      /* an empty room adds nothing */
void wal_batch_add(struct wal_batch *b, str rec);
/* A record as it was stored (wal_reader's `stored` and `flags`): not packed again. */
void wal_batch_add_stored(struct wal_batch *b, uint8_t flags, str stored);
size_t wal_batch_bytes(const struct wal_batch *b);             /* stored bytes so far */
/* takes b, also on failure; an empty batch is OK */
MUST_USE errc wal_commit(struct wal *w, struct wal_batch *b, struct err *e);
/* Likewise; *place, set before anything is written, is greater than that of any batch that lies
 * before it in the log. An empty batch leaves it as it is. */
MUST_USE errc wal_commit_placed(
    struct wal *w, struct wal_batch *b, _Atomic uint64_t *place, struct err *e);
void wal_batch_drop(struct wal *w, struct wal_batch *b);       /* NULL is fine */
/* a batch of finished records */
MUST_USE errc wal_log(struct wal *w, const str *recs, size_t n, struct err *e);

/* Queues the record of a new series. Call it in the critical section that publishes the series: who
 * finds the series later then necessarily commits behind it. It is written with the next commit;
 * wal_flush_series() makes one. */
MUST_USE errc wal_series(struct wal *w, sref ref, struct labels l, struct err *e);
/* Queues that a series ended: replay drops what the log has of its ref so far. In the critical
 * section that unpublishes it, so that it stands before the record of a series with the same
 * labels. */
void wal_series_end(struct wal *w, sref ref);
MUST_USE errc wal_flush_series(struct wal *w, struct err *e);

/* Returns when everything committed before the call is durable. */
MUST_USE errc wal_sync(struct wal *w, struct err *e);

/* Begins a new segment; *last is the number of the one before (finished: a checkpoint may read up
 * to it). */
MUST_USE errc wal_rotate(struct wal *w, uint32_t *last, struct err *e);

/* Deletes the segments with numbers <= upto; never the current one. What got a name in the folder
 * before the call is durable first. */
MUST_USE errc wal_truncate(struct wal *w, uint32_t upto, struct err *e);

struct wal_stat {
    uint32_t segment; uint64_t offset;         /* where the next record goes */
    uint64_t bytes;                            /* of all segments */
    /* age of the oldest byte that no fsync covers; 0: none */
    uint64_t unsynced_bytes; double unsynced_s;
    /* the last write met ENOSPC; the last write or fsync failed otherwise */
    bool full, failed;
};
void wal_stat(struct wal *w, struct wal_stat *out);

#endif
