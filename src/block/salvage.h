/* salvage.h — a damaged block written anew with what survives of it.
 *
 * What        Every good chunk of every series whose entry can be read, under the labels that the
 *             symbols say; where the symbol table is damaged, under those that the postings name.
 * Invariants  (1) Nothing is invented: a chunk counts when its checksum and the times that the
 *             index says are right and every sample decodes, a series when all its labels are
 *             known. (2) What was deleted stays deleted. (3) The damaged block is not changed. (4)
 *             The new one names it (salvage_origin), so that nobody does the same again.
 * Ownership   borrows; what could not be saved is added to the caller's findings
 * Threads     one thread
 * Errors      ERR_IO, ERR_NO_SPACE; ERR_CORRUPT: what was deleted of it cannot be read, so nothing
 *             may be shown
 * Format      docs/format/block.md: "epimetheus" in meta.json
 */
#ifndef EPI_BLOCK_SALVAGE_H
#define EPI_BLOCK_SALVAGE_H

#include "base/findings.h"
#include "block/meta_codec.h"
#include "io/reader.h"

struct block_salvage_opts {
    struct fs *fs;
    enum io_backend backend;
    uint64_t segment_bytes;                    /* 0: 512 MiB */
};
/* id: zero when nothing survived, and nothing was written */
struct block_salvaged { ulid id; struct block_stats kept; uint64_t series_found, chunks_found; };

/* origin: the damaged block's ULID, whatever its folder is called by now */
MUST_USE errc block_salvage(struct block_salvaged *out, const struct block_salvage_opts *o, str dir,
    ulid origin, struct findings *f, struct err *e);

/* What a block was salvaged from, by its meta.json; false: it was not. */
bool salvage_origin(const struct block_meta *m, ulid *out);

/* meta.json of a block that has none, or a wrong one: figures as counted, what else is known of
 * `known` (NULL: nothing). m's lists lie in the arena or are known's. */
struct block_verified;
void salvage_meta(struct block_meta *m, const struct block_meta *known,
    const struct block_verified *counted, ulid id, struct arena *a);

#endif
