/* blocks.h — the blocks of a data folder: which are open, and what becomes of those that cannot be.
 *
 * What        Opens all block folders, keeps them as lists that never change, replaces the list
 *             when blocks come and go.
 * Invariants  (1) A broken block costs that block: at start it is set aside as ULID.bad, later left
 *             where it is; one without a readable meta.json is left out. (2) A block named as
 *             parent by an open one is deleted, for its samples are in that one. (3) A list is
 *             sorted by minTime. (4) A list that is referenced keeps its blocks open. (5) Before
 *             the newest block goes for good, how far blocks reached is written down: the log may
 *             still have what was deleted of it. (6) So is which block was replaced, where no other
 *             tells (tsdb/replaced).
 * Ownership   blocks_open allocates, blocks_close frees; lists are counted
 * Threads     blocks_reload: one at a time (LOCK_DB is held for a moment only); blocks_now, lists:
 *             any
 * Errors      ERR_IO, ERR_NO_SPACE: the folder cannot be listed, or what is to be deleted cannot
 * Format      the data folder: <ULID>/, <ULID>.tmp-for-deletion, <ULID>.tmp-for-creation,
 *             <ULID>.tmp, <ULID>.bad; blocks.reached (milliseconds, as text)
 */
#ifndef EPI_TSDB_BLOCKS_H
#define EPI_TSDB_BLOCKS_H

#include "block/block.h"

struct block_list { _Atomic uint32_t refs; size_t n; struct block *at[]; };
struct block_list *block_list_ref(struct block_list *l);
void block_list_unref(struct block_list *l);                   /* NULL is fine */

struct blocks;
struct changes;
/* salvage: see block.h */
/* changes: told when other blocks are in the list; may be NULL */
struct blocks_opts {
    struct fs *fs;
    enum io_backend backend;
    bool salvage;
    struct changes *changes;
};
struct blocks_found { size_t blocks, set_aside, skipped; };

MUST_USE errc blocks_open(
    struct blocks **out, const struct blocks_opts *o, struct blocks_found *found, struct err *e);
/* NULL is fine. REQUIRES: no list is referenced */
void blocks_close(struct blocks *b);

/* Prometheus 2.1.0 wrote 2 as the version of meta.json, and 1 into an index of version 2: both are
 * put right. By who has the folder; blocks_open does it, too. */
MUST_USE errc blocks_mend_version(struct fs *fs, str dir, struct err *e);

struct block_list *blocks_now(struct blocks *b);               /* with a reference */

/* Looks at the folder again: opens what came, drops what went, deletes what is deletable, and
 * `doomed` (e.g. by retention). */
MUST_USE errc blocks_reload(struct blocks *b, const ulid *doomed, size_t n, struct err *e);

/* The same after `made` were written, of what lies elsewhere still: those that cannot be opened, or
 * were not looked at, are deleted again (*undone: so many), since they would be written once more.
 * ERR_IO then. */
MUST_USE errc blocks_take(
    struct blocks *b, const ulid *made, size_t n, size_t *undone, struct err *e);
/* How many of these, which failed half way, were not open and are deleted. */
size_t blocks_undo(struct blocks *b, const ulid *made, size_t n);

/* How far blocks without hints reach, or did before they were deleted; exclusive; INT64_MIN: there
 * were none. By the thread that reloads. */
int64_t blocks_reached(const struct blocks *b);
uint64_t block_list_bytes(const struct block_list *l);

/* Waits until nobody holds a list before the present one; false: `stop` became true first. By the
 * thread that reloads. */
bool blocks_wait_old(struct blocks *b, const _Atomic bool *stop);

#endif
