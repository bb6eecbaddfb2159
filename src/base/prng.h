/* prng.h — seeded random numbers; every use can be replayed.
 *
 * What        splitmix64: one 64-bit state, good enough for jitter, tests and sampling, not for
 *             secrets (prng_secret is).
 * Invariants  the same seed gives the same numbers on every machine
 * Ownership   values
 * Threads     each owner has its own; prng_secret(): any; prng_fake_*: with threads at rest
 * Errors      prng_secret aborts if the kernel gives no randomness
 * Format      none
 */
#ifndef EPI_BASE_PRNG_H
#define EPI_BASE_PRNG_H

#include "base/defs.h"

struct prng { uint64_t state; };

static inline uint64_t prng_u64(struct prng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static inline uint64_t prng_below(struct prng *r, uint64_t n)  /* 0 … n-1; n == 0 gives 0 */
{
    return (uint64_t)(((unsigned __int128)prng_u64(r) * n) >> 64);
}
/* [0, 1) */
static inline double prng_unit(struct prng *r) { return (double)(prng_u64(r) >> 11) * 0x1p-53; }

void prng_secret(void *out, size_t n);                         /* bytes of the kernel's generator */

void prng_fake_set(uint64_t seed);             /* tests: from now on secrets follow from the seed */
void prng_fake_off(void);

#endif
