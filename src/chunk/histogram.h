/* histogram.h — native histograms <-> the bytes of chunks (encodings 2, 3, 5 and 6).
 *
 * What        An appender for an open chunk, and an iterator. A chunk holds samples of one layout
 *             (schema, zero threshold, spans, custom bounds): hist_append says whether a sample
 *             fits, makes the chunk wider where it brings new buckets, widens the sample where it
 *             lacks some, and begins a new chunk where neither will do.
 * Invariants  (1) Bytes, steps and counter-reset headers are Prometheus'. (2) After every append
 *             the bytes are a whole chunk: count written, last byte padded with zeros. (3) A chunk
 *             of counters holds no reset: every sample has at least what the one before had, in
 *             every bucket. (4) Floats are bits: NaN payloads survive.
 * Ownership   hist_app: init/open … fini; it owns its bytes and state, may be moved by assignment,
 *             and copies what it keeps of a sample. hist_iter: init … fini; borrows the chunk;
 *             what it hands out lives until the next fill.
 * Threads     one thread at a time
 * Errors      decoding: ERR_CORRUPT. Spare bytes behind the last sample are accepted.
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_HISTOGRAM_H
#define EPI_CHUNK_HISTOGRAM_H

#include "chunk/histogram_fit.h"
#include "model/sample_batch.h"

enum {
    HIST_HEADER_BYTES = 3,
    HIST_SAMPLES_MAX = 65535,                  /* with start timestamps 16383 */
    HIST_ST_SAMPLES_MAX = 16383
};
enum hist_header hist_chunk_header(uint8_t enc, str chunk);    /* REQUIRES: chunk_check passed */
/* A chunk of counters no longer says how it began: as its samples alone would be written. */
void hist_chunk_forget(uint8_t enc, uint8_t *chunk);

/* An open chunk. */
struct hist_app {
    uint8_t enc;
    uint64_t bits;                             /* written, header included */
    struct buf bytes;
    struct hist_state s;
};
void hist_app_init(struct hist_app *a, uint8_t enc, struct account *acc);      /* without samples */
/* Takes up a chunk that was closed; to go on with it is possible, but not what Prometheus does. */
MUST_USE errc hist_app_open(struct hist_app *a, uint8_t enc, str chunk, struct account *acc,
                            struct err *e);
void hist_app_fini(struct hist_app *a);        /* the zero value is fine */
static inline str hist_app_bytes(const struct hist_app *a) { return buf_view(&a->bytes); }
static inline uint32_t hist_app_count(const struct hist_app *a) { return a->s.n; }
size_t hist_app_memory(const struct hist_app *a);              /* bytes on the heap */

enum hist_step {
    HIST_SAME,                                 /* appended */
    HIST_RECODED,                              /* appended; the chunk's bytes are other ones now */
    HIST_NEW                                   /* stands in *fresh, made by this; a is as it was */
};
/* st: start timestamp, 0: none; encodings without ST leave it out. REQUIRES: h is of the kind of
 * the encoding; t is greater than the last; fewer samples than the maximum. */
enum hist_step hist_append(struct hist_app *a, struct hist_app *fresh, int64_t t, int64_t st,
                           const struct hist_words *h);
/* The first sample of a chunk that was cut by time or size. prev: the chunk before it in the same
 * series, if it is at hand: the header then says whether there was a reset. May be NULL, or of
 * another encoding (then it is not looked at). REQUIRES: a has no samples */
void hist_append_first(struct hist_app *a, const struct hist_app *prev, int64_t t, int64_t st,
                       const struct hist_words *h);

/* ---- reading ---- */

struct hist_iter {
    uint8_t enc;
    bool bad;
    uint32_t n;                                /* samples that the header claims */
    enum hist_header header;
    struct bit_reader in;
    struct hist_state s;
    struct arena arena;                        /* a batch's samples */
};
void hist_iter_init(struct hist_iter *it);
void hist_iter_reset(struct hist_iter *it, uint8_t enc, str chunk);    /* any number of times */
void hist_iter_fini(struct hist_iter *it);

/* Up to SAMPLE_BATCH samples into out's kind, n, t and ih or h; out->n 0: the end. st: room for
 * SAMPLE_BATCH, or NULL. A chunk that is cut short gives its good samples first, then the error.
 * Hints are those of a chunk by itself: the first sample of a counter is RESET_UNKNOWN, the others
 * are RESET_NO. Resolutions finer than schema 8 come as schema 8. */
MUST_USE errc hist_iter_fill(struct hist_iter *it, struct sample_batch *out, int64_t *st,
                             struct err *e);

#endif
