/* test_aggr.h — chunks of aggregates as Thanos' compactor makes them: for tests.
 *
 * What        Windows of five minutes, in each aggregate a float; the counter's first and last
 *             sample stand beside those of their windows.
 * Invariants  the value of aggregate k at time t is k * 1000 + t / 1000
 * Ownership   appended to a buf
 * Threads     pure
 * Errors      none
 * Format      aggr.h
 */
#ifndef EPI_CHUNK_TEST_AGGR_H
#define EPI_CHUNK_TEST_AGGR_H

#include "base/buf.h"
#include "chunk/aggr.h"
#include "chunk/chunk.h"
#include "chunk/xor.h"

enum { TEST_AGGR_STEP_MS = 300000, TEST_AGGR_WINDOWS_MAX = 64 };

/* one aggregate; skip: there is none */
static inline void test_aggr_put(struct buf *b, int64_t mint, size_t windows, enum aggr k)
{
    int64_t t[TEST_AGGR_WINDOWS_MAX + 2];
    double v[TEST_AGGR_WINDOWS_MAX + 2];
    uint8_t bytes[XOR_ROOM(TEST_AGGR_WINDOWS_MAX + 2)];
    size_t n = 0;
    assert(windows && windows <= TEST_AGGR_WINDOWS_MAX);
    for (size_t i = 0; i < windows; i++) t[n++] = mint + (int64_t)i * TEST_AGGR_STEP_MS;
    if (k == AGGR_COUNTER) t[n++] = t[windows - 1];
    for (size_t i = 0; i < n; i++) v[i] = (double)((int64_t)k * 1000 + t[i] / 1000);
    size_t len = xor_encode(bytes, t, v, n);
    buf_uvarint(b, len);
    buf_u8(b, CHUNK_XOR);
    buf_bytes(b, bytes, len);
}

/* kinds: bit k for aggregate k */
static inline void test_aggr_chunk(struct buf *b, int64_t mint, size_t windows, unsigned kinds)
{
    for (int k = 0; k < AGGR_KINDS; k++)
        if (kinds & 1u << k) test_aggr_put(b, mint, windows, (enum aggr)k);
        else buf_uvarint(b, 0);
}

#endif
