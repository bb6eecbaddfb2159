/* active_queries.h — the file queries.active: which queries run, so that after a crash one knows
 * which one it was.
 *
 * What        One slot of 1000 bytes per query that may run at once; written when a query begins,
 *             zeroed when it ends. At opening, what an earlier process left is logged.
 * Invariants  byte 0 is '[', slot i covers bytes 1 + 1000 i … 1000 (i + 1) and ends with ','
 * Ownership   active_queries_open/close; the fs outlives it
 * Threads     begin and end: any (LOCK_LEAF, not held over the write)
 * Errors      ERR_IO, ERR_NO_SPACE at opening; later failures to write are counted in the log
 * Format      reference storage.md 10: JSON {"query":"…","timestamp_sec":n}, zeros after it
 */
#ifndef EPI_CMD_ACTIVE_QUERIES_H
#define EPI_CMD_ACTIVE_QUERIES_H

#include "io/fs.h"
#include "promql/engine.h"

struct active_queries;
MUST_USE errc active_queries_open(
    struct active_queries **out, struct fs *fs, unsigned max_concurrency, struct err *e);
void active_queries_close(struct active_queries *q);           /* NULL is fine */
struct query_sink active_queries_sink(struct active_queries *q);

#endif
