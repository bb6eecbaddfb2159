/* store_codec.h — the messages of Thanos' StoreAPI: requests taken apart, answers put together.
 *
 * What        thanos.SeriesRequest, LabelNamesRequest, LabelValuesRequest with their hints into one
 *             struct; the answers field by field into a buf.
 * Invariants  a request is checked whole before anything is made of it; fields of value 0 are left
 *             out, as proto3 has it
 * Ownership   strings of a request borrow the body, its lists lie in the arena, regexes of matchers
 *             are freed by store_request_fini. Answers are appended to the caller's buf.
 * Threads     pure functions
 * Errors      ERR_BAD_INPUT
 * Format      thanos' rpc.proto, types.proto, hints.proto, info.proto; hints travel in Any
 */
#ifndef EPI_STOREAPI_STORE_CODEC_H
#define EPI_STOREAPI_STORE_CODEC_H

#include "base/buf.h"
#include "base/vec.h"
#include "model/matcher.h"
#include "storage/chunk_series.h"

/* Series are kept whose hash over the labels listed (by), or over all others, falls on index. */
struct store_shard { int64_t index, total; bool by; str_list labels; };   /* total < 1: all */

struct store_request {
    int64_t mint, maxt;
    struct matchers matchers;
    str_list without;                  /* labels to be left out, ascending */
    bool abort;                        /* no partial response */
    int64_t limit;                     /* < 1: none */
    bool hints;                        /* some were given, so some are answered */
    struct matchers blocks;            /* of the hints: on external labels and __block_id */
    /* of Series */
    int64_t window_ms;                 /* the coarsest resolution that will do */
    unsigned aggregates;               /* bit k: enum aggr k is wanted of what is downsampled */
    bool skip_chunks;
    int64_t batch;
    struct store_shard shard;
    str label;                         /* of LabelValues */
};
MUST_USE errc store_series_request(
    struct store_request *out, str body, struct arena *a, struct err *e);
MUST_USE errc store_names_request(
    struct store_request *out, str body, struct arena *a, struct err *e);
MUST_USE errc store_values_request(
    struct store_request *out, str body, struct arena *a, struct err *e);
void store_request_fini(struct store_request *r);

/* A message is put together from its fields. */
void store_put_labels(struct buf *b, unsigned field, struct labels l);

/* AggrChunk as a field: raw, or those of the aggregates that are there; with hashes of the data.
 * REQUIRES: an encoding of 1 to 3, or CHUNK_AGGR with what aggr_split takes */
void store_put_chunk(
    struct buf *b, unsigned field, const struct chunk_view *c, unsigned aggregates);

/* What the answers of the three methods are made of, beside series. */
enum {
    STORE_SERIES = 1,
    STORE_WARNING = 2,                 /* of all three answers */
    STORE_BATCH = 4,
    STORE_VALUES = 1,                  /* names or values */
    STORE_SERIES_LABELS = 1,           /* of thanos.Series, which is a field of two answers */
    STORE_SERIES_CHUNKS = 2
};
enum store_kind { STORE_KIND_SERIES, STORE_KIND_NAMES, STORE_KIND_VALUES };
/* field 3: which blocks were asked */
void store_put_hints(struct buf *b, enum store_kind kind, const str *blocks, size_t n);

/* thanos.info.InfoResponse */
struct store_info_part { struct labels labels; int64_t mint, maxt; };
void store_put_info(
    struct buf *b, str component, const struct store_info_part *parts, size_t n);

#endif
