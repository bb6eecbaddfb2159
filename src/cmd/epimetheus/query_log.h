/* query_log.h — each query as a line of JSON in a file (global.query_log_file).
 *
 * What        Who asked what, how long its steps took, what it read, how it failed.
 * Invariants  none
 * Ownership   query_log_new/free; the engine whose watcher it is ends first
 * Threads     query_log_set: one at a time (LOCK_RELOAD); lines: any (LOCK_LEAF for the file's
 *             reference, not held over the write)
 * Errors      a line that cannot be written is counted and logged; the query goes on
 * Format      Prometheus' query log: time, level, source, msg, params, error, stats, spanID,
 *             traceID, httpRequest
 */
#ifndef EPI_CMD_QUERY_LOG_H
#define EPI_CMD_QUERY_LOG_H

#include "promql/engine.h"

struct query_log;
struct query_log *query_log_new(void);
void query_log_free(struct query_log *q);                      /* NULL is fine */
/* Another file, or the same one anew (it may have been moved away); empty: none. A failure leaves
 * it as it was. */
MUST_USE errc query_log_set(struct query_log *q, str path, struct err *e);
struct query_watcher query_log_watcher(struct query_log *q);

#endif
