/* line_hash.h — the hash that stands for the text of a line.
 *
 * What        64 bits of a text of any length, under a key that is drawn when the program starts:
 *             what a target writes cannot be made to collide on purpose.
 * Invariants  no byte outside [p, p + n) is read
 * Ownership   none
 * Threads     any
 * Errors      none
 * Format      none: it differs from run to run
 *
 * A line of a page has 100 to 300 bytes, and this is most of what it costs to know it again. 48
 * bytes a round in three chains, so that no multiplication waits for the one before; the last
 * round overlaps the one before it, so that texts of nearly the same length take the same way. A
 * step folds the 128-bit product of two keyed halves, as in wyhash and in the middle lengths of
 * XXH3.
 */
#ifndef EPI_INGEST_LINE_HASH_H
#define EPI_INGEST_LINE_HASH_H

#include "base/defs.h"

#include <string.h>

enum { LINE_HASH_KEYS = 5 };
extern uint64_t line_hash_key[LINE_HASH_KEYS];                 /* const after the program's start */

static inline uint64_t line_hash_load(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint64_t line_hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t line_hash_step(uint64_t h, const uint8_t *p, uint64_t key)
{
    return line_hash_fold(line_hash_load(p) ^ key, line_hash_load(p + 8) ^ h);
}

/* What is shorter than a round. */
static inline uint64_t line_hash_short(const uint8_t *p, size_t n)
{
    const uint64_t *key = line_hash_key;
    uint64_t h = key[0], last[2] = { 0 };
    if (n >= 16) {
        for (; n > 16; n -= 16, p += 16)
            h = line_hash_step(h, p, key[1]);
        last[0] = line_hash_load(p + n - 16);
        last[1] = line_hash_load(p + n - 8);
    } else if (n) {
        memcpy(last, p, n);
    }
    return line_hash_fold(last[0] ^ key[1], last[1] ^ h);
}

static inline uint64_t line_hash(const uint8_t *p, size_t n)
{
    enum { ROUND = 48 };
    const uint64_t *key = line_hash_key;
    if (UNLIKELY(n < ROUND)) return line_hash_fold(key[2] ^ n, line_hash_short(p, n) ^ key[3]);
    uint64_t h = key[0], h1 = key[4], h2 = ~h;
    for (const uint8_t *last = p + n - ROUND;; p += ROUND) {
        bool more = p < last;
        if (!more) p = last;
        h = line_hash_step(h, p, key[1]);
        h1 = line_hash_step(h1, p + 16, key[2]);
        h2 = line_hash_step(h2, p + 32, key[3]);
        if (!more) break;
    }
    return line_hash_fold(key[2] ^ n, h ^ h1 ^ h2 ^ key[3]);
}

#endif
