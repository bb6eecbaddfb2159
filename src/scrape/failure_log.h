/* failure_log.h — failed scrapes as lines of JSON in a file of their own (scrape_failure_log_file).
 *
 * What        One line a failure: time, level, source, msg, job_name, target.
 * Invariants  those of io/line_log
 * Ownership   the file is a struct line_log; failure_files_open allocates, failure_files_fini frees
 * Threads     any
 * Errors      a file that cannot be opened or written is logged, and the scrape goes on
 * Format      Prometheus' JSON file logger
 */
#ifndef EPI_SCRAPE_FAILURE_LOG_H
#define EPI_SCRAPE_FAILURE_LOG_H

#include "base/vec.h"
#include "io/line_log.h"

/* NULL: it cannot be opened, which was logged */
struct line_log *failure_log_open(str path);
/* l NULL: nothing */
void failure_log_write(struct line_log *l, str job, str target, str words);

/* The files of all jobs by path: jobs may share one. Opened anew at each reload, so that they may
 * be moved away. A zero value is empty. */
struct scrape_configs;
struct failure_file { str path; struct line_log *log; };
typedef VEC(struct failure_file) failure_files;
failure_files failure_files_open(const struct scrape_configs *c);
void failure_files_fini(failure_files *l);
/* NULL: it is none of them, or could not be opened */
struct line_log *failure_files_find(const failure_files *l, str path);

#endif
