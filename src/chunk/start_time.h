/* start_time.h — start timestamps of a chunk's samples, as XOR2 and the ST histograms hold them.
 *
 * What        A byte of the header and a number behind some samples: nothing while the start time
 *             is that of the sample before; from the first change on (at the latest from sample
 *             127) the distance from the time of the sample before, as its change.
 * Invariants  what start_time_put wrote for sample i, start_time_take reads for sample i
 * Ownership   values; the header byte is the caller's
 * Threads     values
 * Errors      reader: sticky `bad`
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_START_TIME_H
#define EPI_CHUNK_START_TIME_H

#include "chunk/bits.h"

enum { START_TIME_MAX_BITS = 80 };

struct start_time {
    int64_t st, diff;                      /* of the last sample; diff: from the time before it */
    uint8_t header;                        /* 0x80: sample 0 has one; index of the first change */
};

/* Sample i at t; before: the time of sample i - 1, any for the first. */
void start_time_put(struct start_time *s, struct bits *b, uint32_t i, int64_t t, int64_t before,
                    int64_t st);
void start_time_take(struct start_time *s, struct bit_reader *r, uint32_t i, int64_t t,
                     int64_t before);

#endif
