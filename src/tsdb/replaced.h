/* replaced.h — blocks that are gone without a block left to tell that it was made of them.
 *
 * What        A block that loses what was deleted of it becomes another one, whose meta.json names
 *             it as parent, but not where that came from; or nothing is left of it. When the other
 *             one is compacted away nobody tells any more that the first was replaced. A backup has
 *             to know, or it would keep what was deleted. So such blocks are noted when they go.
 * Invariants  (1) A note is durable before its block goes. (2) The newest notes stay, up to a size.
 * Ownership   replaced_read: the list is the caller's, what it holds is in the arena
 * Threads     one thread that notes; readers beside it, of other processes, too
 * Errors      ERR_IO, ERR_NO_SPACE. Lines that make no sense are left out.
 * Format      blocks.replaced: a line for each block, its ULID, level, and the ULIDs of its sources
 */
#ifndef EPI_TSDB_REPLACED_H
#define EPI_TSDB_REPLACED_H

#include "base/err.h"
#include "base/vec.h"
#include "block/meta_codec.h"

#define REPLACED_FILE S("blocks.replaced")

struct fs;

/* Of each only id, level and sources count. */
typedef VEC(struct block_meta) replaced_list;
MUST_USE errc replaced_note(
    struct fs *fs, const struct block_meta *const *all, size_t n, struct err *e);
/* no file: none */
MUST_USE errc replaced_read(
    replaced_list *out, struct fs *fs, str path, struct arena *a, struct err *e);

/* By their sources: was y, or a block that y was made of, made of x, too? */
bool replaced_by(const struct block_meta *y, const struct block_meta *x);

#endif
