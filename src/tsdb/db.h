/* db.h — the data folder as a whole: what `--storage.tsdb.path` names.
 *
 * What        Opens (and where it must, repairs) a data folder, keeps its blocks, head, log and
 *             chunk files together, and looks after them while it is open: sealed chunks go to
 *             chunks_head, the head to blocks, old blocks away, memory that readers left is freed.
 * Invariants  (1) One process has a folder open (lock file). (2) After db_open the folder is one
 *             that Prometheus opens without a warning.
 *             (3) Opened over an overlay, the folder below is untouched. (4) Damage costs the
 *                 records that are damaged, nothing else.
 * Ownership   db_open allocates, db_close frees; it borrows the fs, which outlives it. No querier
 *             or appender may be open at db_close.
 * Threads     any, but for db_open and db_close. One background thread unless no_thread.
 * Errors      ERR_LOCKED (another process), ERR_IO, ERR_NO_SPACE. Damage is no error: it is logged
 *             and counted.
 * Format      docs/format/
 *
 * Durability steps for fault_dropped(): tsdb.log_first, ooo.sync.
 */
#ifndef EPI_TSDB_DB_H
#define EPI_TSDB_DB_H

#include "base/compress.h"
#include "head/keeps.h"
#include "io/reader.h"
#include "storage/appender.h"
#include "storage/chunk_querier.h"
#include "storage/querier.h"
#include "tsdb/retention.h"

struct head;

struct db_opts {
    struct fs *fs;                     /* rooted at the data folder */
    enum io_backend backend;
    enum compress_kind wal_compress;
    uint64_t wal_segment_bytes;        /* 0: 128 MiB */
    uint64_t chunk_file_bytes;         /* 0: 128 MiB */
    int64_t fsync_interval_ms;         /* 0: fsync before the answer */
    int64_t chunk_range_ms;            /* 0: two hours; also the range of a block of the head */
    int64_t max_block_ms;              /* 0: 31 days, or a tenth of the retention by time */
    uint64_t block_segment_bytes;      /* 0: 512 MiB */
    /* how often the folder is looked at for blocks; 0: a minute */
    int64_t reload_interval_ms;
    bool no_overlapping_compaction;
    /* a head that is due waits, up to this share of its chunk range, as chance has it; 0: not */
    unsigned compaction_delay_percent;
    /* a shipper's file: blocks of the head that it has not uploaded are not compacted; empty: all
     * may be */
    str uploads_path;
    struct retention retention;        /* zero: everything is kept */
    bool memory_snapshot;              /* the head is written down when the database is closed */
    int64_t ooo_window_ms;             /* see db_set_ooo_window */
    struct head_keeps keeps;           /* exemplars, metadata, start times; see head/keeps.h */
    uint32_t samples_per_chunk;        /* 0: 120 */
    /* An image of the head's open chunks is written when so much was logged since the last one; 0:
     * see image_turn.h, UINT64_MAX: never. One that is there is read in any case. */
    uint64_t image_log_bytes;
    /* closed chunks of the head stay in memory: what that costs is measured with this */
    bool chunks_in_memory;
    unsigned replay_workers;           /* 0: one per core; 1: no threads */
    /* Told when the blocks can be asked, before the log is replayed, and with NULL when that ends
     * because the opening failed: then nobody may hold a querier when it returns. NULL: nobody. */
    void (*early)(void *ctx, struct queryable *q);
    void *early_ctx;
    /* how long who asks it for times that may be in the log waits for the head; 0: not at all */
    int64_t early_patience_ms;
    /* no_thread: the owner calls db_tick (tests on a simulated disk) */
    bool no_lock, no_thread;
    /* each record of the log is decoded, also where a head image stands for it: damage that only a
     * decoder finds is found */
    bool check_all;
    /* damaged parts of blocks are left out of answers instead of failing them (tools) */
    bool salvage;
};

/* What an opening found. */
struct db_opened {
    bool unclean;                      /* the lock file was there */
    uint64_t series, samples, chunks, records, corruptions, unknown_refs;
    uint64_t torn;                     /* of the corruptions: writes that a kill cut short */
    uint32_t segments;
    uint64_t blocks, blocks_set_aside, blocks_skipped;
    bool image;                        /* the log was read from a head image on */
    int64_t took_ms;
};

struct db;
MUST_USE errc db_open(
    struct db **out, const struct db_opts *o, struct db_opened *what, struct err *e);
/* writes out what is sealed, syncs, unlocks; frees in any case; NULL is fine */
MUST_USE errc db_close(struct db *db, struct err *e);
/* frees without writing: as a crash leaves it (tests, overlays) */
void db_abandon(struct db *db);

struct head *db_head(struct db *db);
struct appendable *db_appendable(struct db *db);
struct queryable *db_queryable(struct db *db);
struct chunk_queryable *db_chunk_queryable(struct db *db);
/* what was committed before is durable afterwards */
MUST_USE errc db_sync(struct db *db, struct err *e);
/* one round of the background work */
void db_tick(struct db *db);
/* Waits until the background began a round after this call and ended it. REQUIRES: not no_thread */
void db_settle(struct db *db);
void db_set_retention(struct db *db, struct retention r);
/* Looked at with the folder: when this part of the head's series have ended they leave it early,
 * into blocks; 0: none do. */
void db_set_stale_threshold(struct db *db, double part);
/* How much older than the newest sample a sample may be that is taken out of order; 0: none is. One
 * at a time. Fails where the log for such samples cannot be begun; the window is as before then. */
MUST_USE errc db_set_ooo_window(struct db *db, int64_t window_ms, struct err *e);

/* All compactions that are due, now. REQUIRES: no_thread, and no querier of this thread is open. */
MUST_USE errc db_compact(struct db *db, struct err *e);

/* Deletes [mint, maxt] of the series that match, from blocks and head. What it did before a failure
 * stays done. A compaction that runs ends early and is done again later. */
MUST_USE errc db_delete(
    struct db *db, struct matchers ms, int64_t mint, int64_t maxt, struct err *e);
/* Writes the blocks anew of which something was deleted. */
MUST_USE errc db_clean_tombstones(struct db *db, struct err *e);
/* Everything as it is now, in snapshots/<name>; late samples of the head only where asked for, as
 * Prometheus leaves them out. */
MUST_USE errc db_snapshot(
    struct db *db, str name, bool with_head, bool with_late, struct err *e);

/* What the blocks say of themselves, in the order of their times; valid within the call. */
struct block_meta;
typedef void (*db_meta_fn)(void *ctx, const struct block_meta *m);
void db_block_metas(struct db *db, db_meta_fn fn, void *ctx);

/* Progress of the replay: segment numbers, as /api/v1/status/walreplay shows them. Any thread, also
 * during db_open. */
void db_replay_progress(int64_t *min, int64_t *max, int64_t *current);

#endif
