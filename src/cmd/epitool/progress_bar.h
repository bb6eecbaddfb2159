/* progress_bar.h — one line on a terminal that says how far long work has come.
 *
 * What        A bar of done and total, drawn anew a few times a second, gone when the work ends.
 * Invariants  where stderr is no terminal nothing is written
 * Ownership   progress_bar_begin in the caller's memory, progress_bar_end
 * Threads     the worker's
 * Errors      none
 * Format      none
 */
#ifndef EPI_CMD_EPITOOL_PROGRESS_BAR_H
#define EPI_CMD_EPITOOL_PROGRESS_BAR_H

#include "base/buf.h"
#include "base/progress.h"

struct progress_bar { struct progress base; bool on, drawn; int64_t next_ns, began_ns; };
void progress_bar_begin(struct progress_bar *b);
void progress_bar_end(struct progress_bar *b);                 /* the line is empty again */

/* "wal  [=====>    ]  50 % (5/10)", without the way back to the line's begin; shorter than so many
 * columns, if they are 40 or more */
void progress_bar_draw(struct buf *out, size_t columns, str what, uint64_t done, uint64_t total);
size_t terminal_columns(int fd);       /* 80 where nobody says */

#endif
