/* batch.h — what an appender holds beside plain floats: histograms, exemplars, metadata, and the
 * start timestamps of floats.
 *
 * What        Lists in the order of appending, cut into parts where the kinds of one series
 *             change: within a part all floats are logged and applied before all histograms, so a
 *             series has one kind of sample in it, or floats before histograms.
 * Invariants  (1) Applied part by part, kind by kind, the samples of a series keep their order. (2)
 *             A batch without any of it costs a look at two counts.
 * Ownership   batch_init … batch_fini, batch_reset between; what is put in is copied
 * Threads     its appender's
 * Errors      none
 * Format      the records: docs/format/wal.md
 */
#ifndef EPI_HEAD_BATCH_H
#define EPI_HEAD_BATCH_H

#include "base/map.h"
#include "model/exemplar.h"
#include "model/int_histogram.h"
#include "model/metadata.h"
#include "model/sample.h"

/* a float */
struct pending { uint32_t slot, generation; int64_t t; double v; };
/* histograms of integers, of floats */
enum batch_kind { BATCH_WHOLE, BATCH_FLOATS, BATCH_KINDS };
struct batch_histogram {
    uint32_t slot, generation;
    int64_t t, st;
    union { const struct int_histogram *whole; const struct histogram *floats; };
};
struct batch_exemplar { uint32_t slot, generation; struct exemplar x; };
struct batch_metadata { uint32_t slot, generation; struct metadata m; };

/* Where a part ends in each of the lists; floats are the appender's own. */
struct batch_end { size_t floats, histograms[BATCH_KINDS], exemplars, metadata; };

struct batch {
    VEC(struct batch_histogram) histograms[BATCH_KINDS];
    VEC(struct batch_exemplar) exemplars;
    VEC(struct batch_metadata) metadata;
    VEC(int64_t) st;                           /* of the first floats; the others have none */
    VEC(struct batch_end) ends;                /* of all parts but the last */
    struct map types;                          /* slot -> which kind of histograms, in this part */
    struct arena a;
};

void batch_init(struct batch *b, struct account *acc);
void batch_reset(struct batch *b);
void batch_fini(struct batch *b);

/* The part that all of it is, or the last one; n_floats: how many floats the appender has. */
struct batch_end batch_now(const struct batch *b, size_t n_floats);
bool batch_is_empty(const struct batch *b);

/* A float of this series comes: a part ends if the series has histograms in it. *kind: which. */
bool batch_has_histogram(const struct batch *b, uint32_t slot, enum batch_kind *kind);
void batch_split(struct batch *b, size_t n_floats);

void batch_put_whole(struct batch *b, const struct batch_histogram *at,
    const struct int_histogram *h, size_t n_floats);
void batch_put_floats(
    struct batch *b, const struct batch_histogram *at, const struct histogram *h, size_t n_floats);
void batch_put_exemplar(
    struct batch *b, uint32_t slot, uint32_t generation, const struct exemplar *x);
void batch_put_metadata(
    struct batch *b, uint32_t slot, uint32_t generation, const struct metadata *m);

/* The start timestamp of float i, which is about to be put. */
void batch_put_st(struct batch *b, size_t i, int64_t st);
static inline int64_t batch_st(const struct batch *b, size_t i)
{
    return i < b->st.n ? b->st.at[i] : 0;
}

#endif
