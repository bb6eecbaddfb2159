/* ooo_parts.h — the chunks of a series with late ones among them, in groups that do not overlap.
 *
 * What        A snapshot of what a series holds in a span of time: chunks in order, closed late
 *             chunks, the open array; sorted by their first times and grouped, a group being chunks
 *             that overlap one after the other. A group is read through one iterator.
 * Invariants  (1) The groups ascend and do not overlap. (2) Of samples with equal times in a group
 *             the one is kept that Prometheus keeps: chunks stand as there, and are merged as
 *             there. (3) What was deleted and what lies out of [mint, maxt] is not shown.
 * Ownership   ooo_parts_init/ooo_parts_fini; iterators borrow it and end before it is taken anew
 * Threads     one; the slot's lock is taken in ooo_parts_take
 * Errors      iterators: ERR_IO, ERR_CORRUPT of a closed chunk
 * Format      none
 */
#ifndef EPI_HEAD_OOO_PARTS_H
#define EPI_HEAD_OOO_PARTS_H

#include "head/head_impl.h"
#include "storage/querier.h"

struct ooo_parts_of {
    uint32_t slot, generation;
    sref ref;
    int64_t mint, maxt;
    const struct isolation_reader *reader;     /* of what is in order; NULL: late chunks only */
    struct left_out *left;                     /* as head_iter_of */
    struct head_mend *mend;                    /* asked for late chunks that are damaged, or NULL */
    uint64_t last_ref;                         /* late chunks up to it, and no array; 0: all */
};
struct ooo_parts;
struct ooo_part {
    struct series base;
    struct ooo_parts *of;
    int64_t mint, maxt;
    bool in_order;
    struct ooo_chunk chunk;                    /* disk_ref 0: of the open array */
    str bytes;                                 /* of a chunk of the open array, in the encoder */
    size_t hidden;                             /* of a late one: which of the sets hides it */
};
/* Hides what came after that deletion, or those before it. */
struct ooo_hidden { uint32_t after; intervals by; };
struct ooo_parts {
    struct head *head;
    struct ooo_parts_of of;
    VEC(struct ooo_part) all;                  /* by mint; at equal times in order first */
    VEC(struct series *) sources;              /* the same, as series */
    struct ooo_array open;
    struct chunk_encoder encoder;              /* of the array, where it has histograms */
    head_deletions deleted;
    VEC(struct ooo_hidden) hidden;             /* the first n_hidden are in use */
    size_t n_hidden;
};
static inline const intervals *ooo_part_hidden(const struct ooo_part *p)
{
    return &p->of->hidden.at[p->hidden].by;
}


void ooo_parts_init(struct ooo_parts *p, struct head *h);
void ooo_parts_fini(struct ooo_parts *p);
void ooo_parts_take(struct ooo_parts *p, const struct ooo_parts_of *of);

/* The group that begins with part `first` ends before this one. */
size_t ooo_parts_group(const struct ooo_parts *p, size_t first);

/* The samples of the parts first … end - 1, a group or single groups in order; *it: NULL or an
 * iterator that this gave before. */
MUST_USE errc ooo_parts_open(
    struct ooo_parts *p, size_t first, size_t end, struct sample_iter **it, struct err *e);

#endif
