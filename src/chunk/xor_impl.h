/* xor_impl.h — the bits of XOR chunks, as the loops that decode them read them.
 *
 * What        Words from any bit position, and the codes of time that are rare.
 * Invariants  a load reads 8 bytes from the byte of the position on, xor_bits() one more
 * Ownership   borrows
 * Threads     pure functions
 * Errors      none: who calls knows that the bytes are there
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_XOR_IMPL_H
#define EPI_CHUNK_XOR_IMPL_H

#include "base/defs.h"

#include <string.h>

enum { XOR_WINDOW_BITS = 57 };             /* that a load at any bit position has at least */

static inline uint64_t xor_load(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return __builtin_bswap64(w);
}

/* The bits from position `bit` on, at the top of the word; the last 7 may be missing. */
static inline uint64_t xor_word(const uint8_t *p, uint64_t bit)
{
    return xor_load(p + (bit >> 3)) << (bit & 7);
}

/* k bits from position `bit` on, 1 <= k <= 64. */
static inline uint64_t xor_bits(const uint8_t *p, uint64_t bit, unsigned k)
{
    uint64_t w = xor_word(p, bit);
    unsigned off = (unsigned)(bit & 7);
    if (off) w |= (uint64_t)p[(bit >> 3) + 8] >> (8 - off);
    return w >> (64 - k);
}

/* An n-bit class of the delta of delta: -(2^(n-1)-1) … 2^(n-1). Its bits are the low ones of x;
 * what is above them does not matter. */
static inline uint64_t xor_class(uint64_t x, unsigned n)
{
    uint64_t bias = ((uint64_t)1 << (n - 1)) - 1;
    return ((x + bias) & (((uint64_t)1 << n) - 1)) - bias;
}

/* The rare codes of time: 110, 1110, 1111. w: the bits at *bit. */
static inline uint64_t xor_time_slow(const uint8_t *p, uint64_t *bit, uint64_t w)
{
    unsigned ones = (unsigned)__builtin_clzll(~w | 1);
    if (ones == 2) { *bit += 20; return xor_class(w >> 44, 17); }
    if (ones == 3) { *bit += 24; return xor_class(w >> 40, 20); }
    uint64_t dod = xor_bits(p, *bit + 4, 64);
    *bit += 68;
    return dod;
}

#endif
