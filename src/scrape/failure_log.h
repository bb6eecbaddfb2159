/* failure_log.h — failed scrapes as lines of JSON in a file of their own (scrape_failure_log_file).
 *
 * What        One line a failure: time, level, source, msg, job_name, target.
 * Invariants  those of io/line_log
 * Ownership   none: the file is a struct line_log
 * Threads     any
 * Errors      a file that cannot be opened or written is logged, and the scrape goes on
 * Format      Prometheus' JSON file logger
 */
#ifndef EPI_SCRAPE_FAILURE_LOG_H
#define EPI_SCRAPE_FAILURE_LOG_H

#include "io/line_log.h"

/* NULL: it cannot be opened, which was logged */
struct line_log *failure_log_open(str path);
/* l NULL: nothing */
void failure_log_write(struct line_log *l, str job, str target, str words);

#endif
