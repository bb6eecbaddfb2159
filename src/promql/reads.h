/* reads.h — what a query read of files and buckets, by backend.
 *
 * What        Each thread counts its own reads (io/work.h): what a thread did for a query between
 *             begin and end is added to the query's.
 * Invariants  hits, misses and the time stalled of mapped files are known only where reads are
 *             watched; page faults that waited for a disk always are
 * Ownership   none
 * Threads     any; a begin and its end are one thread's
 * Errors      none
 * Format      reads_json: {"majorFaults", and of each backend that was asked {"reads", "bytes",
 *             "hits", "misses", "stalledSeconds"}}; "mmap" has "majorFaults", too
 */
#ifndef EPI_PROMQL_READS_H
#define EPI_PROMQL_READS_H

#include "io/work.h"

#include <stdatomic.h>

/* What is told. */
struct read_counts {
    struct io_count by[IO_WORK_BACKENDS];
    uint64_t major_faults;
    bool watched;
};
/* relaxed: figures */
struct read_sums {
    struct {
        _Atomic uint64_t pins, bytes, hits, misses, stalled_ns, faults;
    } by[IO_WORK_BACKENDS];
    _Atomic uint64_t major_faults;
    bool watched;       /* const */
    const void *thread; /* the query's own; const */
};
struct reads_since {
    struct io_work work;
    uint64_t faults;
};

/* Of the query's own thread, from here on. */
void reads_init(struct read_sums *s, bool watched);
bool reads_are_own(const struct read_sums *s);  /* this is that thread */
struct reads_since reads_begin(bool watched);
void reads_end(struct read_sums *s, const struct reads_since *since);
struct read_counts reads_told(const struct read_sums *s);

struct json;
void reads_json(struct json *j, const struct read_counts *c);

#endif
