/* rice.h — the code of an open chunk's steps, and what reads it.
 *
 * What        The values of a chunk are whole units; what is held are the steps from one to the
 *             next. The code of a step z (of either sign: folded, so that small ones are small):
 *             with k = state / 4, z >> k ones, a zero, the low k bits of z. From RICE_ESCAPE ones
 *             on: so many ones, the length of z in six bits, z. Length 0: the stale marker. The
 *             state follows what was seen: down by a quarter bit without ones, up by as many as
 *             there are from two on, to the length after an escape; it stays at a value that stands
 *             alone (the first, or after a stale marker). After Malvar's "Adaptive
 *             Run-Length/Golomb-Rice Encoding", without the runs.
 *             Where a step begins depends on the one before, so a chunk is decoded as fast as that
 *             chain goes; those of several series go side by side, in the lanes of two registers.
 * Invariants  side by side gives the bits that one after the other gives
 * Ownership   borrows the words, writes into the caller's arrays
 * Threads     pure
 * Errors      none: of words that are no steps values come that are none
 * Format      in memory only
 */
#ifndef EPI_HEAD_RICE_H
#define EPI_HEAD_RICE_H

#include "base/defs.h"

enum {
    RICE_ESCAPE = 8,
    RICE_LENGTH_BITS = 6,
    RICE_SHIFT = 2,
    RICE_LENGTH_MAX = 56,
    RICE_STATE_MAX = (RICE_LENGTH_MAX - 1) << RICE_SHIFT
};

static inline uint8_t rice_next(uint8_t state, unsigned ones)
{
    if (!ones) return (uint8_t)(state - (state > 0));
    return ones == 1 ? state : (uint8_t)MIN(state + ones, (unsigned)RICE_STATE_MAX);
}
static inline uint8_t rice_escaped(unsigned length)
{
    return (uint8_t)((length - 1) << RICE_SHIFT);
}

/* Bits in words, the highest first. Three words behind the one that is read may be read, too. */
struct rice_bits { const uint32_t *w; uint32_t at; };
static inline uint64_t rice_bits_peek(const struct rice_bits *b)
{
    const uint32_t *w = b->w + (b->at >> 5);
    unsigned sh = b->at & 31;
    uint64_t top = (uint64_t)w[0] << 32 | w[1];
    return sh ? top << sh | w[2] >> (32 - sh) : top;
}
static inline uint64_t rice_bits_take(struct rice_bits *b, unsigned n)   /* 1 … 64 */
{
    uint64_t v = rice_bits_peek(b) >> (64 - n);
    b->at += n;
    return v;
}

/* The first n values of a chunk, v[i] = units / per_one; up: no step is folded. */
struct rice_chain {
    const uint32_t *words;
    unsigned n;
    bool up;
    double per_one;
    double *v;
};
void rice_decode(const struct rice_chain *c);

enum { RICE_LANES = 16 };
/* n <= RICE_LANES of them. */
void rice_decode_all(const struct rice_chain *c, size_t n);
/* Do they go side by side? */
bool rice_lanes_quick(void);
/* tests; nobody else decodes. False: not on this machine. */
bool rice_lanes_use(bool lanes);

#endif
