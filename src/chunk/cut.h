/* cut.h — when does an open chunk end?
 *
 * What        The rules by which Prometheus' head cuts chunks, as pure functions of times,
 *             counts and lengths.
 * Invariants  the same samples are cut at the same places as there, so that blocks hold the same
 *             chunks
 * Ownership   none
 * Threads     pure functions
 * Errors      none
 * Format      storage rule, not bytes
 */
#ifndef EPI_CHUNK_CUT_H
#define EPI_CHUNK_CUT_H

#include "base/defs.h"

enum {
    CUT_SAMPLES = 120,                         /* the target of a chunk (option) */
    /* a chunk longer than this takes no further float sample: 1024 minus the longest sample */
    CUT_BYTES = 1005
};

/* The end of the range of width w in which t lies; truncating division: for t < 0 not the floor. */
int64_t cut_align(int64_t t, int64_t w);

/* Spreads chunk ends evenly: where the chunk that began at start and stands at cur, 1/ratio full,
 * should end before max. */
int64_t cut_end(int64_t start, int64_t cur, int64_t max, double ratio);

/* One open float chunk, before sample t (which is greater than maxt) is appended. */
/* bytes: header included, last partial byte counted */
struct cut_state { int64_t mint, maxt, next_at; size_t n, bytes; };

/* True: t begins a chunk of its own, whose state cut_begin() makes. False: append; next_at may have
 * been moved (at the 30th sample).
 * samples: the target, CUT_SAMPLES by default; at twice that a chunk ends in any case. */
bool cut_float(struct cut_state *s, int64_t t, int64_t chunk_range_ms, size_t samples);
/* The same for an open chunk of histograms, which ends by its length. *estimated belongs to the
 * series, from chunk to chunk: false when a chunk is begun that this function or a change of the
 * encoding cut, left alone when the codec itself began one (HIST_NEW). */
bool cut_histogram(struct cut_state *s, bool *estimated, int64_t t, int64_t chunk_range_ms);
static inline struct cut_state cut_begin(int64_t t, int64_t chunk_range_ms)
{
    return (struct cut_state){ .mint = t, .maxt = t, .next_at = cut_align(t, chunk_range_ms) };
}

#endif
