/* histogram_fit.h — can a histogram go on in the chunk of those before it?
 *
 * What        Compares a sample with the last one of a chunk: the same layout, the same one with
 *             buckets added on either side, a counter that was reset, or something else.
 * Invariants  decides as Prometheus does, in its order of asking
 * Ownership   hist_fit_fini ends what hist_fit_of made; the rest is borrowed
 * Threads     values
 * Errors      none
 * Format      none
 */
#ifndef EPI_CHUNK_HISTOGRAM_FIT_H
#define EPI_CHUNK_HISTOGRAM_FIT_H

#include "chunk/histogram_state.h"

/* The counter-reset header of a chunk: how it began. */
enum hist_header { HIST_UNKNOWN = 0, HIST_NOT_RESET = 0x40, HIST_RESET = 0x80, HIST_GAUGE = 0xc0 };

struct hist_fit {
    bool ok;                                   /* it can be appended */
    enum hist_header header;                   /* otherwise, of the chunk that it begins */
    bool only_chunk, only_sample;              /* buckets that the other does not have */
    bool differ[2];                            /* the side's spans are other ones: u says how */
    struct hist_union u[2];
};
/* s: with at least one sample. chunk: the header of its chunk. */
void hist_fit_of(struct hist_fit *f, const struct hist_state *s, enum hist_header chunk,
                 const struct hist_words *h);
void hist_fit_fini(struct hist_fit *f);

/* The sample with the buckets of both, in the arena. REQUIRES: f->ok */
struct hist_words hist_fit_widen(const struct hist_fit *f, const struct hist_state *s,
                                 const struct hist_words *h, struct arena *a);
/* A sample of the chunk with the buckets of both, laid out as `wide` is. */
struct hist_words hist_fit_recode(const struct hist_fit *f, const struct hist_words *h,
                                  const struct hist_layout *wide, struct arena *a);

#endif
