/* part_set.h — the series of one part, as they are called outside and in that order.
 *
 * What        A set of series with their chunks in plain encodings or as aggregates, or without
 *             chunks, under their outer labels.
 * Invariants  labels ascend; equal ones, of series that lost what told them apart, follow each
 *             other
 * Ownership   as chunk_series.h; borrows what part_select points to
 * Threads     one thread at a time
 * Errors      as chunk_querier.h; ERR_UNSUPPORTED: an aggregate is not there; ERR_LIMIT: what must
 *             be sorted is more than resort allows; ERR_UNAVAILABLE: a label came up meanwhile that
 *             changes the order: ask again; what grpc_over says
 * Format      none
 *
 * The order inside is that of the series' own labels. With external labels put in it is the same,
 * but for a series whose labels are the beginning of another's: {a} comes before {a, b}, but {a, z}
 * after {a, b, z}. Those that a name before the last external one may follow wait on a stack until
 * a greater series comes; it is as deep as a series has labels. Where labels are taken away all
 * series are gathered and sorted.
 */
#ifndef EPI_STOREAPI_PART_SET_H
#define EPI_STOREAPI_PART_SET_H

#include "grpc/service.h"
#include "storeapi/outer.h"
#include "storeapi/store_source.h"

/* Series that are held to be sorted, of all parts of one call. */
struct resort { size_t bytes_max; _Atomic size_t bytes; };

struct part_select {
    const struct store_part *part;
    const struct outer *outer;
    struct matchers matchers;          /* of the part's own labels; none: all series */
    int64_t mint, maxt;
    bool skip_chunks;
    unsigned aggregates;               /* as in store_request; of what is downsampled */
    struct resort *resort;             /* borrowed */
    struct grpc_call *call;            /* whose end ends long work */
};
MUST_USE errc part_set_open(
    struct chunk_series_set **out, const struct part_select *by, struct err *e);

#endif
