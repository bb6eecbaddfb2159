/* recover.h — from the files of a folder to its head: the memory snapshot and the chunk files
 * first, then the checkpoint, then the log.
 *
 * What        Reads past damage, hands what it reads to the head's replay, and makes the survivors
 *             durable.
 * Invariants  (1) Records are applied in the order of the log. (2) After it returned OK the log has
 *             no damage left: bad segments are set aside outside of wal/, their good records
 *             written again.
 * Ownership   borrows everything
 * Threads     one; its workers (replay_log) run within it
 * Errors      ERR_IO, ERR_NO_SPACE
 * Format      none of its own
 */
#ifndef EPI_TSDB_RECOVER_H
#define EPI_TSDB_RECOVER_H

#include "head/chunk_disk.h"
#include "head/replay_refs.h"
#include "tsdb/db.h"
#include "tsdb/replay_log.h"

/* Where the replay stands: told by recover.c, read through db_replay_progress. */
void db_replay_range(uint32_t first, uint32_t last);
void db_replay_at(uint32_t segment);

/* Collects the chunks that chunk_disk_open finds; recover_chunk_found is its callback, ctx the
 * collector. A chunk that does not follow the one before it of its series is damage. */
struct recover_chunks {
    VEC(struct chunk_found) all;
    VEC(int64_t) last_maxt;
    struct replay_refs by_series;
    bool ordered;                              /* by_series is there */
    size_t n_series;                           /* that have chunks; of recover_chunks_found */
};
errc recover_chunk_found(void *ctx, const struct chunk_found *c, struct err *e);
void recover_chunks_found(struct recover_chunks *c);   /* all: their order is no more looked at */
void recover_chunks_fini(struct recover_chunks *c);

/* last_segment: the newest that may be read (the writer has begun a later one); has_segments false:
 * the log is empty. */
struct recover_in {
    struct fs *fs; enum io_backend backend;
    /* Makes the head that is filled; called again where a memory snapshot turned out to be broken:
     * the head before is to be closed then. */
    errc (*new_head)(void *ctx, struct head **out, struct err *e);
    void *ctx;
    const struct recover_chunks *chunks;
    bool memory_snapshot;                              /* may be read; the chunk files are whole */
    bool has_segments; uint32_t last_segment;
    const struct replay_place *damage;                 /* of the log that is known; NULL: none */
    bool check_all;                                    /* each record is decoded, needed or not */
    bool has_late; uint32_t first_late, last_late;     /* the log of late samples, likewise */
    unsigned workers;
};
/* image: the head image that was read and stays; place.offset 0: there is none */
struct image_file_written;
MUST_USE errc recover_head(const struct recover_in *in, struct db_opened *what,
    struct image_file_written *image, struct err *e);

#endif
