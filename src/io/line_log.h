/* line_log.h — a file that lines are put at the end of.
 *
 * What        What Prometheus keeps beside its own log: failed scrapes, queries.
 * Invariants  a line is written whole, at the end of the file as it is then (others may have cut it
 *             or written to it); lines of two threads don't mix; what a full disk or pipe left of a
 *             line ends before the next one
 * Ownership   line_log_open, then refs: the last unref closes it; the path is copied
 * Threads     any; one writes at a time, and who waits for it waits for a disk, or for a pipe: at
 *             most a second, those before it included. After one that waited so long in vain none
 *             waits until the pipe has taken a line, or five seconds have gone by
 * Errors      ERR_NO_SPACE, ERR_IO: the line is lost, who asked tells of it
 * Format      lines that end in \n
 */
#ifndef EPI_IO_LINE_LOG_H
#define EPI_IO_LINE_LOG_H

#include "base/err.h"

struct line_log;
/* goes on at the end of what is there */
MUST_USE errc line_log_open(struct line_log **out, str path, struct err *e);
struct line_log *line_log_ref(struct line_log *l);             /* NULL is fine */
void line_log_unref(struct line_log *l);                       /* NULL is fine */
/* lines: with their \n */
MUST_USE errc line_log_write(struct line_log *l, str lines, struct err *e);

#endif
