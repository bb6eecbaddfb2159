/* xor.h — float samples <-> the bytes of an XOR chunk (encoding 1).
 *
 * What        An appender for an open chunk, the exact length of a sample without encoding it, a
 *             batch encoder, and a batch decoder into t[] and v[].
 * Invariants  (1) Bytes are Prometheus': append one by one, in batches, or stopped and resumed from
 *             the same xor_app, the result is the same. (2) After every append the bytes are a
 *             whole chunk: count written, last byte padded with zeros; bits once written never
 *             change, only the count and the free bits of the last byte. (3) xor_len_add() adds
 *             exactly the bits that xor_append() writes. (4) Values are bits: NaN payloads survive.
 * Ownership   borrows the caller's bytes and arrays
 * Threads     values; pure functions
 * Errors      decoding: ERR_CORRUPT (cut short), ERR_LIMIT (more samples than room). Spare bytes
 *             after the last sample are accepted.
 * Format      docs/format/chunks.md; a chunk is u16 BE count, then the bit stream
 */
#ifndef EPI_CHUNK_XOR_H
#define EPI_CHUNK_XOR_H

#include "base/err.h"
#include "base/f64.h"

enum {
    XOR_HEADER_BYTES = 2,
    XOR_SAMPLES_MAX = 65535,
    /* 157 bits: the second sample with a ten-byte delta and a 64-bit window */
    XOR_SAMPLE_MAX_BYTES = 20,
    /* lead: no window yet, the first change writes one */
    XOR_NO_WINDOW = 0xff
};
/* Room that n samples never exceed; the 8 are for the encoder's whole-word stores. */
#define XOR_ROOM(n) ((size_t)(n) * XOR_SAMPLE_MAX_BYTES + XOR_HEADER_BYTES + 8)

/* How long a chunk is, without its bytes: what a sample adds depends on this and nothing else. An
 * owner that keeps parts of it elsewhere (last t and v in its series) may build one, add, and take
 * the parts back. */
struct xor_len {
    int64_t t;                                 /* of the last sample */
    uint64_t delta;                            /* last t minus the one before */
    uint64_t v;                                /* bits of the last value */
    uint32_t bits;                             /* of the whole chunk, header included */
    uint16_t n;
    uint8_t lead, trail;                       /* the window; lead XOR_NO_WINDOW: none */
};
static inline struct xor_len xor_len_zero(void)
{
    return (struct xor_len){ .bits = XOR_HEADER_BYTES * 8, .lead = XOR_NO_WINDOW };
}
static inline size_t xor_len_bytes(const struct xor_len *l) { return (l->bits + 7) / 8; }
void xor_len_add(struct xor_len *l, int64_t t, double v);      /* REQUIRES: n < XOR_SAMPLES_MAX */
/* What of these bits a value after the first one takes that differs by x from the one before; moves
 * the window. */
static inline unsigned xor_value_bits(uint64_t x, uint8_t *lead, uint8_t *trail)
{
    if (!x) return 1;
    unsigned l = (unsigned)__builtin_clzll(x), t = (unsigned)__builtin_ctzll(x), control = 2;
    if (l > 31) l = 31;
    if (l < *lead || t < *trail) {             /* XOR_NO_WINDOW is more than 31 */
        *lead = (uint8_t)l;
        *trail = (uint8_t)t;
        control = 13;
    }
    return control + 64 - *lead - *trail;
}

/* An open chunk in the caller's bytes. */
struct xor_app { struct xor_len len; uint8_t *at; size_t cap; };
/* writes an empty chunk; REQUIRES: cap >= XOR_ROOM(0) */
void xor_app_init(struct xor_app *a, uint8_t *at, size_t cap);
/* false: no room (XOR_SAMPLE_MAX_BYTES + 8 are asked for) or 65535 samples */
MUST_USE bool xor_append(struct xor_app *a, int64_t t, double v);
static inline str xor_app_bytes(const struct xor_app *a)
{
    return str_of(a->at, xor_len_bytes(&a->len));
}

/* n samples from scratch; how many bytes. REQUIRES: room for XOR_ROOM(n), n <= XOR_SAMPLES_MAX */
size_t xor_encode(uint8_t *out, const int64_t *t, const double *v, size_t n);

static inline size_t xor_count(str chunk)
{
    return chunk.n < XOR_HEADER_BYTES ? 0 : (size_t)chunk.p[0] << 8 | chunk.p[1];
}

/* The whole chunk. *n is how many; t and v have room for cap. On failure nothing is promised about
 * t and v. */
MUST_USE errc xor_decode(str chunk, int64_t *t, double *v, size_t cap, size_t *n, struct err *e);

/* In batches: fill() hands out up to cap samples, 0 at the end. A chunk that is cut short gives its
 * good samples first, then the error. */
struct xor_iter {
    str chunk;
    uint64_t bit;
    int64_t t;
    uint64_t delta, v;
    uint32_t i, n;
    uint8_t skip, trail;
    bool bad;
};
void xor_iter_init(struct xor_iter *it, str chunk);
MUST_USE errc xor_iter_fill(
    struct xor_iter *it, int64_t *t, double *v, size_t cap, size_t *n, struct err *e);

/* tests: the build of the loops that runs on any machine; REQUIRES: nobody decodes or encodes */
void xor_use_plain(bool plain);

#endif
