/* ahead.h — chunks of series that are read next, decoded side by side.
 *
 * What        A series has few chunks in a query's interval, and one chunk is decoded as fast as
 *             the chain from sample to sample goes (chunk/xor_lanes). So chunks of several series
 *             are read and decoded at once, before the first of them is asked for. Open chunks
 *             are copied for that, and the copy stands for the chunk if it is the same still.
 * Invariants  what is found here is what the chunk, read alone, gives; what is damaged, cannot be
 *             read or is no XOR chunk is not found, and is to be read alone
 * Ownership   ahead_init/ahead_fini; samples are borrowed until the next ahead_read
 * Threads     one at a time
 * Errors      none
 * Format      docs/format/chunks.md
 */
#ifndef EPI_HEAD_AHEAD_H
#define EPI_HEAD_AHEAD_H

#include "head/open_chunk.h"

struct chunk_disk;

/* A copy, and the first n of its values. */
struct decoded_copy { struct chunk_copy c; unsigned n; double v[RUN_MAX]; };
/* The first samples that lie in [.., maxt]: how many. REQUIRES: plain floats */
unsigned copy_until(const struct chunk_copy *c, int64_t maxt);

/* As it was copied: which, and how far it was. slot 0: it was taken. */
struct ahead_open {
    uint32_t slot, generation, run;
    unsigned n;
    int64_t last_t, maxt;                      /* maxt: of what will be read */
};

enum { AHEAD_CHUNKS = 32, AHEAD_OPEN = RICE_LANES };
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
    struct ahead_open open[AHEAD_OPEN];
    struct decoded_copy *copies[AHEAD_OPEN];   /* the first `room` of them are there */
    unsigned n_open, room;
};

void ahead_init(struct ahead *a);
void ahead_fini(struct ahead *a);
void ahead_clear(struct ahead *a);
/* One more, if there is room and it can be read here. */
void ahead_want(struct ahead *a, const struct closed_chunk *c);
/* The slot's open chunk, if there is room and it is of steps. REQUIRES: slot locked, with an open
 * chunk; rice_lanes_quick() */
void ahead_want_open(struct ahead *a, const struct store *st, uint32_t slot, int64_t maxt);
/* The copy of the slot's open chunk, once; NULL: not here. Borrowed until ahead_clear. REQUIRES:
 * slot locked */
struct decoded_copy *ahead_open_copy(struct ahead *a, const struct store *st, uint32_t slot);
/* What is wanted is read and decoded; where it is too little to gain by that nothing is. */
void ahead_read(struct ahead *a, struct chunk_disk *disk);
/* How many samples; 0: not here. */
size_t ahead_get(const struct ahead *a, uint64_t disk_ref, const int64_t **t, const double **v);

#endif
