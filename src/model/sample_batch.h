/* sample_batch.h — many samples of one series at a time.
 *
 * What        Up to SAMPLE_BATCH samples of one kind, in the order of their times: how samples go
 *             from decoders to those who ask for them.
 * Invariants  n <= SAMPLE_BATCH; t ascends; `kind` says which member of the union is in use
 * Ownership   st and what h and ih point to belong to who filled the batch, until he fills again
 * Threads     values
 * Errors      none
 * Format      none
 */
#ifndef EPI_MODEL_SAMPLE_BATCH_H
#define EPI_MODEL_SAMPLE_BATCH_H

#include "model/histogram.h"
#include "model/int_histogram.h"
#include "model/sample.h"

enum { SAMPLE_BATCH = 128 };
struct sample_batch {
    enum sample_kind kind;
    size_t n;
    int64_t t[SAMPLE_BATCH];
    const int64_t *st;                     /* start timestamps; NULL: none has one */
    union {
        double v[SAMPLE_BATCH];                           /* SAMPLE_FLOAT */
        const struct int_histogram *ih[SAMPLE_BATCH];     /* SAMPLE_HISTOGRAM */
        const struct histogram *h[SAMPLE_BATCH];          /* SAMPLE_FLOAT_HISTOGRAM */
    };
};

#endif
