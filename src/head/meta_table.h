/* meta_table.h — what the log was told last of each series' metadata.
 *
 * What        So that metadata are logged when they change, not with every scrape. Used where
 *             metadata are logged at all: a feature that is off by default.
 * Invariants  an entry of a series that is gone answers nothing, until it is swept away
 * Ownership   meta_table_init/meta_table_fini; text is copied
 * Threads     any. Lock: LOCK_LEAF
 * Errors      none
 * Format      none
 */
#ifndef EPI_HEAD_META_TABLE_H
#define EPI_HEAD_META_TABLE_H

#include "base/lock.h"
#include "base/map.h"
#include "model/metadata.h"

struct meta_table { struct mtx mu; struct map by_slot; };

void meta_table_init(struct meta_table *t);
void meta_table_fini(struct meta_table *t);
MUST_USE bool meta_table_has(
    struct meta_table *t, uint32_t slot, uint32_t generation, const struct metadata *m);
void meta_table_set(
    struct meta_table *t, uint32_t slot, uint32_t generation, const struct metadata *m);
/* Those go of which `lives` says no; it takes no lock. */
void meta_table_sweep(struct meta_table *t,
    bool (*lives)(const void *ctx, uint32_t slot, uint32_t generation), const void *ctx);

#endif
