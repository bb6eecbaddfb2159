/* block.h — one block's folder, open: immutable samples of a span of time.
 *
 * What        meta.json, index, chunk segments and tombstones of one folder, read through io
 *             readers, behind a queryable; and its series with their chunks as they are, for the
 *             compactor.
 * Invariants  (1) A block that opened has whole tables (see index_reader.h, segments.h); what is
 *             found damaged later is left out of answers, and told (querier_warnings); a damaged
 *             list of series costs nothing but time. Sets of chunks end with it: what is written
 *             anew has all. (2) An open block answers as long as somebody holds it, also when its
 *             folder has been renamed away.
 * Ownership   counted: block_open gives one reference, queriers and sets hold their own. The fs
 *             outlives all.
 * Threads     any; deletions: one at a time beside readers
 * Errors      ERR_CORRUPT, ERR_IO, ERR_NOT_FOUND (no meta.json). A float sample that would have to
 *             be decoded from an encoding that cannot be is ERR_UNSUPPORTED, told by the iterator.
 * Format      docs/format/block.md
 */
#ifndef EPI_BLOCK_BLOCK_H
#define EPI_BLOCK_BLOCK_H

#include "block/index_reader.h"
#include "block/meta_codec.h"
#include "io/reader.h"
#include "storage/chunk_series.h"
#include "storage/querier.h"

struct block;
/* salvage: chunks of an encoding that nobody knows are left out like damaged ones, instead of
 * failing the query: for tools that look at a broken folder. */
struct block_opts {
    struct fs *fs;
    enum io_backend backend;
    bool salvage;
    bool aggregates;                           /* downsampled: its sets of chunks hold CHUNK_AGGR */
    const struct index_samples *samples;       /* of its index; NULL: it is walked */
};

MUST_USE errc block_open(struct block **out, const struct block_opts *o, str dir, struct err *e);
struct block *block_ref(struct block *b);
/* NULL is fine; the last one closes */
void block_unref(struct block *b);
static inline void block_unrefp(struct block **b) { block_unref(*b); }

const struct block_meta *block_meta(const struct block *b);    /* as read at opening */
struct block_meta block_meta_now(struct block *b);             /* with what was noted since */
str block_dir(const struct block *b);
/* of all its files, for retention by size */
uint64_t block_bytes(const struct block *b);
/* deleted intervals, of all series */
uint64_t block_tombstones(struct block *b);

/* Writes into meta.json that the block is to be deleted, or that compacting it failed. One at a
 * time; seen by block_meta_now at once. */
MUST_USE errc block_mark(struct block *b, bool deletable, bool failed, struct err *e);

/* Lives as long as the block; its queriers hold a reference of their own. */
struct queryable *block_queryable(struct block *b);

/* Lives as long as the block. */
struct index_reader *block_index(struct block *b);
/* Series refs that match, ascending. */
MUST_USE errc block_select(struct block *b, struct matchers ms, postings_list *out, struct err *e);

/* All symbols, and all series with chunks, whatever their times, for writing a block anew: read
 * once, from first to last. Labels are given as numbers: nums[i] is that of the i-th symbol,
 * borrowed; NULL: as texts. Each holds a reference. */
MUST_USE errc block_chunks(struct block *b, const uint32_t *nums, size_t n_nums,
    struct chunk_series_set **out, struct err *e);
struct symbol_set *block_symbols(struct block *b);

/* Series that match, with the chunks that meet [mint, maxt]; what of them lies outside of it is
 * named as deleted. Damaged entries and chunks are left out, and the set's warnings tell them: a
 * series may be without chunks. */
MUST_USE errc block_chunks_select(struct block *b, struct matchers ms, int64_t mint, int64_t maxt,
    struct chunk_series_set **out, struct err *e);

/* The same of these series, in this order; takes over the list. */
void block_chunks_list(struct block *b, postings_list *refs, int64_t mint, int64_t maxt,
    struct chunk_series_set **out);

/* Deletes [mint, maxt] of the series that match: the file tombstones is replaced, then queries that
 * begin see it. *n: series touched. */
MUST_USE errc block_delete(
    struct block *b, struct matchers ms, int64_t mint, int64_t maxt, uint64_t *n, struct err *e);

#endif
