/* head_block.h — a block written from the head, past damage of its chunk files.
 *
 * What        Writes a range of the head, some of its series, or its late samples to a block. Where
 *             closed chunks are damaged on the disk the log is read for them, and the block is
 *             begun anew with what it has.
 * Invariants  (1) A block gets its name when all damaged chunks were looked for. (2) What the log
 *             does not have either is left out, counted, and logged as an error: one chunk stops
 *             nothing.
 * Ownership   borrows all
 * Threads     one; beside appenders and queriers
 * Errors      ERR_IO, ERR_NO_SPACE, ERR_CANCELED; ERR_CORRUPT: chunks get damaged again and again
 * Format      none
 */
#ifndef EPI_TSDB_HEAD_BLOCK_H
#define EPI_TSDB_HEAD_BLOCK_H

#include "base/err.h"
#include "base/str.h"
#include "base/ulid.h"
#include "io/reader.h"

struct block_stats;
struct block_writer_opts;
struct head;

/* only: of these n_only series, by number; NULL: of all. last_ref: of late chunks up to it; 0: of
 * what is in order. maxt inclusive. */
struct head_block_of {
    struct fs *fs;
    enum io_backend backend;
    struct head *head;
    int64_t mint, maxt;
    const uint32_t *only;
    size_t n_only;
    uint64_t last_ref;
};
MUST_USE errc head_block_write(const struct head_block_of *of, const struct block_writer_opts *wo,
    struct block_stats *stats, struct err *e);

/* An aligned range of the head as a block in `parent` (empty: the data folder). of: for the log. */
struct head_part {
    str parent;
    int64_t range_ms;
    uint64_t segment_bytes;
    unsigned hint;
    const char *of;
};
/* The begin of the range that t is in. */
int64_t head_range_begin(int64_t t, int64_t range_ms);
/* The block is put to *made if there was anything. part->maxt is the range's. */
MUST_USE errc head_part_write(const struct head_block_of *part, const struct head_part *p,
    ulid_list *made, struct err *e);
/* Each range that has late samples. all: what they are of; its times are not looked at. */
struct ooo_span;
MUST_USE errc head_late_write(const struct head_block_of *all, const struct ooo_span *span,
    const struct head_part *p, ulid_list *made, struct err *e);

#endif
