/* histogram_state.h — one sample of a histogram chunk, coded against the samples before it.
 *
 * What        Both kinds of histograms as 64-bit words, what has been seen of a chunk so far, and
 *             the coding of a sample against that: integers as the change of their change, floats
 *             as the XOR with the last.
 * Invariants  what hist_state_put wrote, hist_state_take reads, and both leave the same state
 * Ownership   words borrow a histogram; a state owns its room: zero value … hist_state_fini
 * Threads     values
 * Errors      take: false, and the reader is bad; ERR_CORRUPT for the first sample
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_HISTOGRAM_STATE_H
#define EPI_CHUNK_HISTOGRAM_STATE_H

#include "base/f64.h"
#include "chunk/histogram_layout.h"
#include "chunk/start_time.h"
#include "model/sample.h"

/* A histogram of either kind: counts and bucket deltas of an integer histogram, the bits of a
 * float histogram's counts. Borrows all of it. */
enum { HIST_COUNT, HIST_ZERO_COUNT, HIST_SUM };
struct hist_words {
    bool is_float;
    enum reset_hint hint;
    uint64_t head[3];                          /* count, zero count, bits of the sum */
    struct hist_layout layout;
    const void *at[2];                         /* words of the positive and the negative buckets */
};
/* REQUIRES: the spans of each side are as long as it has buckets */
struct hist_words hist_words_of_int(const struct int_histogram *h);
struct hist_words hist_words_of_float(const struct histogram *h);
static inline bool hist_words_stale(const struct hist_words *h)
{
    return h->head[HIST_SUM] == STALE_NAN_BITS;
}
static inline uint64_t hist_word(const struct hist_words *h, int side, size_t i)
{
    uint64_t v;
    memcpy(&v, (const uint8_t *)h->at[side] + 8 * i, 8);
    return v;
}

struct hist_state {
    bool is_float, with_st;
    uint32_t n;                                /* samples */
    int64_t t;
    uint64_t t_delta;
    uint64_t head[3], head_delta[2];           /* head_delta: integers */
    struct xor_window head_window[3];
    struct start_time start;
    struct hist_layout layout;
    uint64_t *at;                              /* words of all buckets, the positive ones first */
    uint64_t *delta;                           /* integers: what each changed by */
    struct xor_window *window;                 /* floats */
    void *room;                                /* of the arrays, the layout's too */
    size_t room_bytes;
};
/* Before the first sample; what room there is, is kept. window: as a writer begins (none), or a
 * reader (all bits). */
void hist_state_reset(struct hist_state *s, bool is_float, bool with_st, struct xor_window window);
void hist_state_fini(struct hist_state *s);
static inline size_t hist_state_buckets(const struct hist_state *s)
{
    return s->layout.n_buckets[0] + s->layout.n_buckets[1];
}
/* The last sample; stale: nothing but its sum. Borrows the state. */
struct hist_words hist_state_words(const struct hist_state *s);

/* REQUIRES: h has the buckets of the layout, or is the first or stale; room for max_bytes */
size_t hist_state_max_bytes(const struct hist_state *s, const struct hist_words *h);
void hist_state_put(struct hist_state *s, struct bits *b, int64_t t, int64_t st,
                    const struct hist_words *h);

/* The next sample; s->n counts it. scratch: for the layout while it is read. */
MUST_USE errc hist_state_take(struct hist_state *s, struct bit_reader *r, struct arena *scratch,
                              struct err *e);

#endif
