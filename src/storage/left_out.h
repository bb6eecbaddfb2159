/* left_out.h — what a reader met damaged, and went on without.
 *
 * What        One damaged entry or chunk takes nothing with it but itself: who reads a block or the
 *             head notes it here and goes on, and who asked is told in words.
 * Invariants  (1) Only damage is left out: a file that cannot be read, or a folder that is gone, is
 *             an error. (2) Each text is there once; beyond LEFT_OUT_SHOWN texts one line says
 *             that there are more.
 * Ownership   left_out_init, left_out_fini; texts live in between
 * Threads     left_out_add: any. left_out_list: while nobody adds. Lock: LOCK_LEAF.
 * Errors      none
 * Format      none
 */
#ifndef EPI_STORAGE_LEFT_OUT_H
#define EPI_STORAGE_LEFT_OUT_H

#include "base/err.h"
#include "base/lock.h"
#include "base/vec.h"

enum { LEFT_OUT_SHOWN = 8, LEFT_OUT_WARN_EVERY_MS = 1000 };
struct left_out { struct mtx mu; struct arena a; str_list texts; bool more; };
void left_out_init(struct left_out *l);
void left_out_fini(struct left_out *l);
/* of: where it lay, as "block 01H…", in two parts; the name may be empty */
void left_out_add(struct left_out *l, str of, str name, const struct err *why);
void left_out_list(struct left_out *l, str_list *out);

#endif
