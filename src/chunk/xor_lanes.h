/* xor_lanes.h — several XOR chunks decoded side by side.
 *
 * What        What a chunk's next sample is depends on where the one before ended, so a chunk is
 *             decoded as fast as that chain goes. The chunks of a series are chains of their own:
 *             sixteen of them go in the lanes of two registers.
 * Invariants  gives the samples, and finds the damage, that xor_iter_fill() does
 * Ownership   borrows the chunks and writes into the caller's arrays
 * Threads     pure
 * Errors      none: a lane whose iterator is bad was cut short after it.i samples
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_XOR_LANES_H
#define EPI_CHUNK_XOR_LANES_H

#include "chunk/xor.h"

enum {
    XOR_LANES = 16,
    XOR_LANES_CHUNKS = 64, /* of one call */
    /* That many bytes behind a chunk may be read, and it need not be copied. */
    XOR_LANES_BEHIND_BYTES = 256
};

/* An iterator from xor_iter_init(), and room for its it.n samples. behind: bytes that can be read
 * behind the chunk, be they what they will; 0 is fine. */
struct xor_lane {
    struct xor_iter it;
    size_t behind;
    int64_t *t;
    double *v;
};

/* Each of the n <= XOR_LANES_CHUNKS to its end. */
void xor_lanes_decode(struct xor_lane *lanes, size_t n);

/* Sixteen take no longer than to copy what was decoded before would. */
bool xor_lanes_quick(void);

/* tests; nobody else decodes. PLAIN: one after the other. WIDE: without what only newer processors
 * have. */
enum xor_lanes_way { XOR_LANES_BEST, XOR_LANES_WIDE, XOR_LANES_PLAIN };
void xor_lanes_use(enum xor_lanes_way way);

#endif
