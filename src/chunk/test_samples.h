/* test_samples.h — floats for the tests of their codecs.
 *
 * What        Series of random samples of many shapes.
 * Invariants  the same seed gives the same samples
 * Ownership   writes into the caller's arrays
 * Threads     pure
 * Errors      none
 * Format      none
 */
#ifndef EPI_CHUNK_TEST_SAMPLES_H
#define EPI_CHUNK_TEST_SAMPLES_H

#include "base/f64.h"
#include "base/prng.h"

enum { TEST_SAMPLES_MAX = 300 };

/* Samples of every kind that the codes tell apart. */
static inline size_t test_samples(struct prng *r, int64_t *out_t, double *out_v)
{
    size_t n = prng_below(r, TEST_SAMPLES_MAX);
    uint64_t t = prng_u64(r) >> prng_below(r, 64), step = prng_below(r, 100000);
    double v = 0;
    unsigned shape = (unsigned)prng_below(r, 8), jitter = (unsigned)prng_below(r, 7);
    for (size_t i = 0; i < n; i++) {
        static const uint64_t widths[] = { 1, 3, 16384, 131072, 1048576, 0 };
        if (jitter == 6) t += step + (prng_below(r, 24) == 0); /* equal steps, mostly */
        else t += step + (widths[jitter] ? prng_below(r, widths[jitter]) : prng_u64(r));
        if (shape == 0) v += 1;
        if (shape == 1) v += (double)prng_below(r, 100);
        if (shape == 2 && prng_below(r, 3) == 0) v += 1e9 * prng_unit(r);
        if (shape == 3) v = f64_of_bits(prng_u64(r));
        if (shape == 4) v = prng_below(r, 2) ? f64_of_bits(0x7ff0000000000002u) : -0.0;
        if (shape == 5) v = (double)prng_below(r, 1000) / 1000;
        if (shape == 6)
            v = f64_of_bits(f64_bits(v) ^ (prng_u64(r) >> prng_below(r, 64)) << prng_below(r, 64));
        out_t[i] = (int64_t)t;
        out_v[i] = v;
    }
    return n;
}

#endif
