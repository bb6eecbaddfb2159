/* xor2.h — float samples with start timestamps <-> the bytes of an XOR2 chunk (encoding 4).
 *
 * What        An appender for an open chunk in the caller's bytes, and an iterator that decodes in
 *             batches. Time and value share one prefix; a stale marker is a code of its own.
 * Invariants  (1) Bytes are Prometheus'. (2) After every append the bytes are a whole chunk: count
 *             and start-time header written, last byte padded with zeros. (3) Values are bits.
 * Ownership   borrows the caller's bytes and arrays
 * Threads     values; pure functions
 * Errors      decoding: ERR_CORRUPT. Spare bytes behind the last sample are accepted.
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_XOR2_H
#define EPI_CHUNK_XOR2_H

#include "base/err.h"
#include "base/f64.h"
#include "chunk/start_time.h"

enum {
    XOR2_HEADER_BYTES = 3,
    XOR2_SAMPLES_MAX = 65535,
    XOR2_SAMPLE_MAX_BYTES = 29             /* 230 bits: the second sample at its longest */
};
/* Room that n samples never exceed. */
#define XOR2_ROOM(n) ((size_t)(n) * XOR2_SAMPLE_MAX_BYTES + XOR2_HEADER_BYTES + BITS_SLACK)

/* An open chunk. */
struct xor2_app {
    uint8_t *at;
    size_t cap;
    uint64_t bits;                             /* written, header included */
    int64_t t;
    uint64_t delta, v;                         /* v: of the last value that was no stale marker */
    struct start_time start;
    uint16_t n;
    struct xor_window window;
};
void xor2_app_init(struct xor2_app *a, uint8_t *at, size_t cap);   /* REQUIRES: XOR2_ROOM(0) */
/* False: no room (XOR2_ROOM(1) are asked for) or 65535 samples. st 0: none */
MUST_USE bool xor2_append(struct xor2_app *a, int64_t t, double v, int64_t st);
static inline str xor2_app_bytes(const struct xor2_app *a)
{
    return str_of(a->at, (size_t)((a->bits + 7) / 8));
}

/* n samples from scratch; how many bytes. st NULL: none has one. REQUIRES: room for XOR2_ROOM(n) */
size_t xor2_encode(uint8_t *out, const int64_t *t, const double *v, const int64_t *st, size_t n);

struct xor2_iter {
    struct bit_reader in;
    struct start_time start;
    int64_t t;
    uint64_t delta, v;
    uint32_t i, n;
    struct xor_window window;
};
void xor2_iter_init(struct xor2_iter *it, str chunk);
/* Up to cap samples, *n 0 at the end. st: room for cap, or NULL. A chunk that is cut short gives
 * its good samples first, then the error. */
MUST_USE errc xor2_iter_fill(struct xor2_iter *it, int64_t *t, double *v, int64_t *st, size_t cap,
                             size_t *n, struct err *e);

#endif
