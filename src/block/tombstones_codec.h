/* tombstones_codec.h — the file tombstones: what was deleted of a block's series.
 *
 * What        Decodes and encodes the whole file; records are (series ref, interval).
 * Invariants  decoded: refs ascend strictly, each with a set of intervals (model/interval.h)
 * Ownership   struct tombstones owns its vectors; tombstones_fini
 * Threads     pure functions
 * Errors      ERR_CORRUPT
 * Format      docs/format/block.md
 */
#ifndef EPI_BLOCK_TOMBSTONES_CODEC_H
#define EPI_BLOCK_TOMBSTONES_CODEC_H

#include "base/buf.h"
#include "base/err.h"
#include "model/interval.h"

#define TOMBSTONES_MAGIC 0x0130BA30u
struct tombstone { uint64_t ref; intervals deleted; };
struct tombstones { VEC(struct tombstone) at; };               /* zero: none */

void tombstones_fini(struct tombstones *t);
/* out is zero, or what came of it */
MUST_USE errc block_tombstones_decode(struct tombstones *out, str file, struct err *e);
/* A file that does not check, read all the same: its length says that nothing was deleted, or one
 * bit of it is wrong, which the checksum finds. Looks at files of up to
 * TOMBSTONES_MENDABLE_BYTES. */
enum { TOMBSTONES_MENDABLE_BYTES = 16 << 10 };
MUST_USE errc block_tombstones_mend(struct tombstones *out, str file, struct err *e);
void block_tombstones_encode(struct buf *b, const struct tombstones *t);
/* at the place of its ref: cheap for the greatest one */
void tombstones_add(struct tombstones *t, uint64_t ref, struct interval deleted);
/* out is zero; what either says is deleted, copied */
void tombstones_merge(
    struct tombstones *out, const struct tombstones *a, const struct tombstones *b);
const intervals *tombstones_of(const struct tombstones *t, uint64_t ref);      /* NULL: none */
uint64_t tombstones_count(const struct tombstones *t);         /* intervals of all series */

#endif
