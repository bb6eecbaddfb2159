/* ahead.h — closed chunks of series that are read next, decoded side by side.
 *
 * What        A series has few chunks in a query's interval, and one chunk is decoded as fast as
 *             the chain from sample to sample goes (chunk/xor_lanes). So chunks of several series
 *             are read and decoded at once, before the first of them is asked for.
 * Invariants  what is found here is what the chunk, read alone, gives; what is damaged, cannot be
 *             read or is no XOR chunk is not found, and is to be read alone
 * Ownership   ahead_init/ahead_fini; samples are borrowed until the next ahead_read
 * Threads     one at a time
 * Errors      none
 * Format      docs/format/chunks.md
 */
#ifndef EPI_HEAD_AHEAD_H
#define EPI_HEAD_AHEAD_H

#include "head/store.h"

struct chunk_disk;

enum { AHEAD_CHUNKS = 32 };
struct ahead_chunk {
    uint64_t disk_ref;
    size_t from, len;                          /* its bytes */
    unsigned n;                                /* samples; 0: not here */
};
struct ahead {
    struct ahead_chunk at[AHEAD_CHUNKS];
    size_t n;
    struct buf bytes;
    int64_t *t;                                /* RUN_MAX of each; NULL: none was ever read */
    double *v;
};

void ahead_init(struct ahead *a);
void ahead_fini(struct ahead *a);
void ahead_clear(struct ahead *a);
/* One more, if there is room and it can be read here. */
void ahead_want(struct ahead *a, const struct closed_chunk *c);
/* What is wanted is read and decoded; where it is too little to gain by that nothing is. */
void ahead_read(struct ahead *a, struct chunk_disk *disk);
/* How many samples; 0: not here. */
size_t ahead_get(const struct ahead *a, uint64_t disk_ref, const int64_t **t, const double **v);

#endif
