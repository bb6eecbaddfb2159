/* expo_pb.h — a protobuf page as the entries that a text page would have.
 *
 * What        Each family tells its help, unit and type; each metric its series: a counter is one,
 *             a summary or classic histogram one for count, sum and each of its parts, a native
 *             histogram one histogram (and the classic ones beside it where they are wanted).
 * Invariants  the order of entries is that of Prometheus' parser, and so are its steps: also what
 *             it forgets (see expo_pb.c)
 * Ownership   expo_pb_new/free; borrows the page
 * Threads     one thread at a time
 * Errors      ERR_BAD_INPUT with Prometheus' words
 * Format      ingest/pb_family.h
 */
#ifndef EPI_INGEST_EXPO_PB_H
#define EPI_INGEST_EXPO_PB_H

#include "ingest/exposition.h"

struct expo_pb *expo_pb_new(str page);
void expo_pb_free(struct expo_pb *p);                          /* NULL is fine */

MUST_USE errc expo_pb_next(struct expo *x, struct err *e);
/* Appends the labels of the entry that the page gives, but for __name__, __type__ and __unit__;
 * at has room for expo_pb_labels_max. */
size_t expo_pb_labels_max(const struct expo *x);
size_t expo_pb_labels(const struct expo *x, struct arena *a, struct label *at);
str expo_pb_name(const struct expo *x, struct arena *a);
bool expo_pb_exemplar(struct expo *x, struct arena *a, struct expo_exemplar *out);
struct expo_histogram expo_pb_histogram(const struct expo *x, struct arena *a);
int64_t expo_pb_start_ts(const struct expo *x);
struct expo_spot expo_pb_spot(const struct expo *x);
MUST_USE errc expo_pb_return(struct expo *x, struct expo_spot spot, struct err *e);

#endif
