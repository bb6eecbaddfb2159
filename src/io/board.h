/* board.h — a small file that is written as memory.
 *
 * What        Notes that another process reads after this one has died, as queries.active: each is
 *             a copy into the kernel's page, not a call of it.
 * Invariants  What was written is in the file when board_write() returned OK, whatever becomes of
 *             the process; no more is promised of a power cut.
 * Ownership   board_open/board_close; the file is the caller's, and outlives the board
 * Threads     any, each on bytes of its own
 * Errors      as file_pwrite. A disk that cannot take a page (SIGBUS) is one of them
 * Format      none
 */
#ifndef EPI_IO_BOARD_H
#define EPI_IO_BOARD_H

#include "base/err.h"

struct board;
struct file;
/* REQUIRES: the file has n bytes, all written once */
struct board *board_open(struct file *f, size_t n);
/* REQUIRES: within the n bytes */
MUST_USE errc board_write(struct board *b, size_t at, str bytes, struct err *e);
void board_close(struct board *b);                             /* NULL is fine */

#endif
