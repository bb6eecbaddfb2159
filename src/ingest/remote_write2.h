/* remote_write2.h — the body of a remote write 2.0 request, series by series.
 *
 * What        Walks a decompressed io.prometheus.write.v2.Request in place. Strings are numbers
 *             of a table that lies somewhere in the message, so all of it is read once first; then
 *             series come one by one. A series is known by its labels spelled out as remote write
 *             1.0 has them on the wire: that is the key for appendable.lookup, and both versions
 *             share what was taught.
 * Invariants  every slice lies within the body; what is per series is reused for the next
 * Ownership   borrows the body; symbols, references and labels go into the caller's arena
 * Threads     one thread at a time
 * Errors      ERR_BAD_INPUT: no such message (write2_request_read), or references that lead
 *             nowhere, in the words of the reference
 * Format      io/prometheus/write/v2/types.proto; conformance/remote/exchanges.jsonl
 */
#ifndef EPI_INGEST_REMOTE_WRITE2_H
#define EPI_INGEST_REMOTE_WRITE2_H

#include "base/cursor.h"
#include "base/err.h"
#include "ingest/write_labels.h"
#include "model/exemplar.h"
#include "model/metadata.h"

/* n bytes at p; the `head` bytes before them are their length, as it stands in the message. */
struct write2_symbol { const uint8_t *p; uint32_t n, head; };
typedef VEC(uint32_t) write2_refs;
struct write2_request {
    cursor c;
    struct arena *a;
    VEC(struct write2_symbol) symbols;
    write2_refs refs;                          /* of the series at hand */
};
struct write2_series {
    str message;                               /* the TimeSeries */
    const uint32_t *refs;                      /* until the next series */
    size_t n_refs;
    cursor samples;                            /* stands before the first sample */
    uint32_t n_samples, n_exemplars, n_histograms;
    enum metric_type type;
    uint32_t unit_ref, help_ref;
};
struct write2_sample { int64_t t, st; double v; };         /* st 0: none */

/* The whole message is looked at, all that is inside of it included. */
MUST_USE errc write2_request_read(
    struct write2_request *r, str body, struct arena *a, struct err *e);
/* False: the end. */
bool write2_request_next(struct write2_request *r, struct write2_series *out);
/* The series of a message that came before; it takes the place of the one at hand. */
void write2_series_again(struct write2_request *r, str message, struct write2_series *out);

bool write2_series_sample(struct write2_series *s, struct write2_sample *out); /* false: no more */
/* The messages of a series' histograms or exemplars: each, in their order; false: no more. c: of
 * the series' message. */
enum write2_other { WRITE2_HISTOGRAM = 3, WRITE2_EXEMPLAR = 4 };
bool write2_series_other(cursor *c, enum write2_other kind, str *message);

/* typed: type and unit of the metadata become labels. */
MUST_USE errc write2_series_labels(struct write2_request *r, const struct write2_series *s,
    bool typed, struct write_labels *out, struct err *e);
MUST_USE errc write2_series_metadata(const struct write2_request *r, const struct write2_series *s,
    struct metadata *out, struct err *e);
/* Labels sorted; a time of 0 is none. */
MUST_USE errc write2_exemplar(
    struct write2_request *r, str message, struct exemplar *out, struct err *e);

/* Replaces what is in the buffer. False: there is none, because references lead nowhere or it would
 * be longer than the buffer's limit. */
bool write2_series_key(
    const struct write2_request *r, const struct write2_series *s, bool typed, struct buf *key);

/* [1 2 3] */
void write2_refs_text(struct buf *b, const uint32_t *refs, size_t n);

#endif
