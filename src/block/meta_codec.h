/* meta_codec.h — meta.json: what a block says of itself.
 *
 * What        Decodes and encodes the JSON text. Members that we do not know are kept, at the top
 *             and inside stats and compaction, and written again after ours, in their order.
 * Invariants  decode(encode(m)) is m; without unknown members the bytes are Prometheus'
 * Ownership   lists, hints and unknown members lie in the arena
 * Threads     pure functions
 * Errors      ERR_CORRUPT: no JSON, a member of the wrong type, a version other than 1 (2 of blocks
 *             of 2.1.0 is taken as 1). Whatever Go's reader takes is taken
 * Format      docs/format/block.md; JSON indented by tabs
 */
#ifndef EPI_BLOCK_META_CODEC_H
#define EPI_BLOCK_META_CODEC_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/ulid.h"
#include "base/vec.h"

struct block_desc { ulid id; int64_t mint, maxt; };
struct block_stats {
    uint64_t samples, float_samples, histogram_samples, series, chunks, tombstones;
};
/* bits, in the order of their names */
enum block_hints { BLOCK_HINT_OOO = 1, BLOCK_HINT_SELECTED = 2, BLOCK_HINT_STALE = 4 };

struct block_meta {
    ulid id;                                   /* zero: missing, or with wrong characters */
    int64_t mint, maxt;                        /* ms; maxt is exclusive */
    struct block_stats stats;
    uint32_t level;
    const ulid *sources;                       /* blocks of level 1 that it was made of, sorted */
    size_t n_sources;
    /* direct inputs; those with a zero ULID are left out when read */
    const struct block_desc *parents;
    size_t n_parents;
    bool deletable, failed;
    unsigned hints;                            /* enum block_hints */
    const str *other_hints;                    /* unknown ones */
    size_t n_other_hints;
    /* unknown members: `"name": value` joined by commas, compact; empty: none */
    str more, more_stats, more_compaction;
    /* as read: the index's version byte is not to be trusted */
    bool version2;
    bool misnamed;                             /* by meta_read(): the text has another id */
};

enum { META_MAX_BYTES = 64 << 20 };
MUST_USE errc meta_decode(struct block_meta *out, str json, struct arena *a, struct err *e);
void meta_encode(struct buf *b, const struct block_meta *m);
/* on one line, without unknown members */
void meta_encode_line(struct buf *b, const struct block_meta *m);

#endif
