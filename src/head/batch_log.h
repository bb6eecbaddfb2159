/* batch_log.h — the records of a commit.
 *
 * What        What an appender holds, as records in the order in which they are replayed: of each
 *             part metadata, floats, histograms of integers and of floats (those with custom
 *             buckets behind the others), exemplars.
 * Invariants  the bytes are those that Prometheus logs for the same samples, but that long lists
 *             are cut into several records
 * Ownership   adds to the caller's batch of the log
 * Threads     the appender's
 * Errors      none
 * Format      docs/format/wal.md
 */
#ifndef EPI_HEAD_BATCH_LOG_H
#define EPI_HEAD_BATCH_LOG_H

#include "head/batch.h"
#include "wal/record.h"

struct store;
struct wal_batch;

/* Floats on their way into records without start timestamps, some at a time: while what they need
 * is in the cache. `to` set, else zero to begin with. */
struct float_log {
    struct wal_batch *to;
    size_t n;                                  /* of the list, encoded */
    struct samples_start record;               /* the one that is being made */
    size_t record_n;                           /* floats in it */
};
void float_log_more(
    struct float_log *l, const struct store *s, const struct pending *floats, size_t n_floats);
void float_log_end(struct float_log *l);

/* Histograms of one kind; their order is changed. */
void batch_log_histograms(
    struct wal_batch *to, struct ref_histogram *at, size_t n, bool is_float, bool with_st);

/* with_st: records that have start timestamps. */
void batch_log(const struct store *s, const struct batch *b, const struct pending *floats,
    size_t n_floats, bool with_st, struct wal_batch *to);

#endif
