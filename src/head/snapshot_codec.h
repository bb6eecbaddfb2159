/* snapshot_codec.h — the records of a memory snapshot: what a head holds that is in no chunk file.
 *
 * What        A series with its open chunk; deleted intervals. Exemplars are the log's record under
 *             another type byte (snapshot_exemplars_type).
 * Invariants  decode(encode(x)) is x, and the bytes are Prometheus'
 * Ownership   decoded text and bytes borrow the record, lists of labels lie in the arena
 * Threads     pure functions
 * Errors      ERR_CORRUPT: another type, cut short, something left over
 * Format      docs/format/snapshot.md
 */
#ifndef EPI_HEAD_SNAPSHOT_CODEC_H
#define EPI_HEAD_SNAPSHOT_CODEC_H

#include "base/buf.h"
#include "base/err.h"
#include "model/interval.h"
#include "model/labels.h"
#include "model/sample.h"

enum snapshot_type { SNAPSHOT_SERIES = 1, SNAPSHOT_TOMBSTONES = 2, SNAPSHOT_EXEMPLARS = 3 };

struct snapshot_series {
    sref ref;
    struct labels labels;
    bool has_chunk;
    int64_t mint, maxt;
    uint8_t enc;
    str data;                                  /* the open chunk */
    double last;                               /* of floats: their newest value */
    str last_histogram;                        /* else: the newest histogram as a log holds it */
};
void snapshot_series_encode(struct buf *b, const struct snapshot_series *s);
MUST_USE errc snapshot_series_decode(
    struct snapshot_series *out, str rec, struct arena *a, struct err *e);

struct snapshot_tombstone { sref ref; struct interval deleted; };
typedef VEC(struct snapshot_tombstone) snapshot_tombstones;
void snapshot_tombstones_encode(struct buf *b, const struct snapshot_tombstone *at, size_t n);
/* appends */
MUST_USE errc snapshot_tombstones_decode(snapshot_tombstones *out, str rec, struct err *e);

#endif
