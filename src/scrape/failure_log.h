/* failure_log.h — failed scrapes as lines of JSON in a file of their own (scrape_failure_log_file).
 *
 * What        One line a failure: time, level, source, msg, job_name, target.
 * Invariants  a line is written whole, at the file's end
 * Ownership   failure_log_open/close; the path is copied
 * Threads     any (LOCK_LEAF is not held over the write; lines take their places before it)
 * Errors      a file that cannot be opened or written is logged, and the scrape goes on
 * Format      Prometheus' JSON file logger
 */
#ifndef EPI_SCRAPE_FAILURE_LOG_H
#define EPI_SCRAPE_FAILURE_LOG_H

#include "base/err.h"

struct failure_log;
/* NULL: it cannot be opened, which was logged */
struct failure_log *failure_log_open(str path);
struct failure_log *failure_log_ref(struct failure_log *f);    /* NULL is fine */
/* the last closes it; NULL is fine */
void failure_log_unref(struct failure_log *f);
/* f NULL: nothing */
void failure_log_write(struct failure_log *f, str job, str target, str words);

#endif
