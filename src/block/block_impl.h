/* block_impl.h — the open block from inside: what its modules share.
 *
 * What        struct block, and what querier, iterator and set of chunks call of each other.
 * Invariants  see block.h
 * Ownership   see block.h
 * Threads     each field says
 * Errors      none
 * Format      none
 */
#ifndef EPI_BLOCK_BLOCK_IMPL_H
#define EPI_BLOCK_BLOCK_IMPL_H

#include "base/lock.h"
#include "base/map.h"
#include "block/block.h"
#include "block/index_reader.h"
#include "block/segments.h"
#include "block/tombstones_codec.h"
#include "storage/left_out.h"

/* The tombstones at one time: a deletion puts others in their place, who reads keeps those it
 * found. */
struct block_deleted { struct tombstones all; _Atomic uint32_t refs; };

struct block {
    struct queryable queryable;
    _Atomic uint32_t refs;
    struct fs *fs;                             /* const after init, all down to bytes */
    uint64_t id;                               /* of float_cache.h */
    bool salvage;
    bool aggregates;                           /* as block_opts has it */
    enum io_backend backend;
    struct arena arena;
    struct block_meta meta;
    str dir;
    struct index_reader *index;
    struct segments *segments;
    uint64_t bytes;
    struct mtx mu;                             /* LOCK_LEAF */
    struct block_deleted *deleted;             /* GUARDED_BY(mu): which one */
    bool deletable, failed;                    /* GUARDED_BY(mu): as meta.json says now */
};

/* Is this failure damage, of which only the damaged part is left out? Then it is noted. */
bool block_leaves_out(const struct block *b, struct left_out *l, errc rc, const struct err *why);

struct block_deleted *block_deleted_ref(struct block *b);
void block_deleted_unref(struct block_deleted *d);             /* NULL is fine */
struct block_deleted *block_deleted_new(void);                 /* one reference, nothing deleted */
/* gives what was, with its reference */
struct block_deleted *block_deleted_swap(struct block *b, struct block_deleted *now);

/* Symbols that one reader looked up, by groups: in its arena, each group once. */
enum { SYMBOL_GROUPS_NEAR = 128 };
struct symbol_memo {
    struct block *block;
    struct arena *arena;
    struct map found;                          /* by index_reader_symbol_group_of */
    const struct symbol_group *near[SYMBOL_GROUPS_NEAR];       /* met last */
};
MUST_USE errc symbol_memo_get(struct symbol_memo *m, uint32_t ref, str *out, struct err *e);
MUST_USE errc symbol_memo_labels(
    struct symbol_memo *m, const struct index_series *s, struct label *out, struct err *e);
void symbol_memo_fini(struct symbol_memo *m);

/* Before the series found->at[at] is read, of those that are read in order: now and then the next
 * ones are told, where the index is far away. */
void block_series_want(struct block *b, const postings_list *found, size_t at);

errc block_querier(
    struct queryable *s, int64_t mint, int64_t maxt, struct querier **out, struct err *e);

/* Samples of these chunks in [mint, maxt] that are not in deleted (NULL: nothing is). Borrows all
 * of it. */
struct block_iter_of {
    struct block *block;
    const struct index_chunk *chunks;
    size_t n;
    int64_t mint, maxt;
    const intervals *deleted;
    struct left_out *left;
    bool few;                                  /* the series is one of a few that are read */
};
struct sample_iter *block_iter_new(void);
bool block_iter_is(const struct sample_iter *it);              /* one of ours; NULL is not */
void block_iter_reset(struct sample_iter *it, const struct block_iter_of *of);
/* After a reset: these as well, of another block. The first histogram of each block has no hint
 * then. REQUIRES: all of them lie before, or behind, those of each block before. */
void block_iter_add(struct sample_iter *it, const struct block_iter_of *of);

#endif
