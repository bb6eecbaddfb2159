/* block_writer.h — a block's folder, written from series in label order.
 *
 * What        begin, all symbols, all series, finish: everything goes to ULID.tmp-for-creation,
 *             which gets its name when it is whole.
 * Invariants  (1) A folder with a plain ULID as its name is complete and durable. (2) What was
 *             interrupted leaves a .tmp-for-creation that the next opening removes. (3) Same input,
 *             same bytes as Prometheus', but for the ULID. (4) Chunks are written as given.
 * Ownership   block_writer_begin allocates; finish and abort free
 * Threads     one thread
 * Errors      ERR_IO, ERR_NO_SPACE, ERR_LIMIT, ERR_BAD_INPUT (order); after a failure only abort
 * Format      docs/format/block.md
 *
 * Durability steps for fault_dropped(): those of its parts, and block.rename_fsync.
 */
#ifndef EPI_BLOCK_BLOCK_WRITER_H
#define EPI_BLOCK_BLOCK_WRITER_H

#include "block/meta_codec.h"
#include "io/fs.h"
#include "storage/chunk_series.h"

struct block_writer_opts {
    struct fs *fs;
    str parent;                                /* of the block's folder; empty: the root */
    /* id, times, compaction; stats are filled in. Copied, lists too */
    const struct block_meta *meta;
    uint64_t segment_bytes;                    /* 0: 512 MiB */
};
struct block_writer;
MUST_USE errc block_writer_begin(
    struct block_writer **out, const struct block_writer_opts *o, struct err *e);
/* ascending, before the first series */
MUST_USE errc block_writer_symbol(struct block_writer *w, str symbol, struct err *e);
/* n == 0 is left out; deleted is not looked at */
MUST_USE errc block_writer_series(
    struct block_writer *w, const struct chunk_series *s, struct err *e);
/* Ends it, and the writer. *stats: what was written; without a sample no folder is left. */
MUST_USE errc block_writer_finish(struct block_writer *w, struct block_stats *stats, struct err *e);
/* removes what was written; NULL is fine */
void block_writer_abort(struct block_writer *w);

/* All of it: symbols and series of the sets, which it frees in any case. */
MUST_USE errc block_write(const struct block_writer_opts *o, struct symbol_set *symbols,
    struct chunk_series_set *series, struct block_stats *stats, struct err *e);

#endif
