/* xor_lanes.h — several XOR chunks decoded side by side.
 *
 * What        What a chunk's next sample is depends on where the one before ended, so a chunk is
 *             decoded as fast as that chain goes. The chunks of a series are chains of their own:
 *             eight of them go in the lanes of one register.
 * Invariants  gives the samples, and finds the damage, that xor_iter_fill() does
 * Ownership   borrows the chunks and writes into the caller's arrays
 * Threads     pure
 * Errors      none: a lane whose iterator is bad was cut short after it.i samples
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_XOR_LANES_H
#define EPI_CHUNK_XOR_LANES_H

#include "chunk/xor.h"

enum { XOR_LANES = 8 };

/* An iterator from xor_iter_init(), and room for its it.n samples. */
struct xor_lane { struct xor_iter it; int64_t *t; double *v; };

/* Each of the n <= XOR_LANES to its end. */
void xor_lanes_decode(struct xor_lane *lanes, size_t n);

void xor_lanes_use_plain(bool plain);      /* tests: one after the other; nobody else decodes */

#endif
