/* epoch.h — when is it safe to free what readers without locks may still see?
 *
 * What        Readers announce themselves (epoch_enter/epoch_leave); a writer unlinks an object and
 *             retires it; it is freed when every reader that was inside at that time has left.
 * Invariants  between enter and leave, what was reachable stays allocated
 * Ownership   a retired object belongs to the epoch domain, which frees it by the given function
 * Threads     any; enter/leave nest; a thread must not block on I/O inside (queries pin what they
 *             need first, or copy)
 * Errors      none
 * Format      none
 *
 * Built from seq_cst operations without bare fences, so that the thread sanitizer understands it.
 */
#ifndef EPI_BASE_EPOCH_H
#define EPI_BASE_EPOCH_H

#include "base/defs.h"

void epoch_enter(void);
void epoch_leave(void);
void epoch_retire(void *p, void (*free_fn)(void *p));
/* ctx outlives the retirement */
void epoch_retire_ctx(void *p, void *ctx, void (*free_fn)(void *p, void *ctx));
/* frees what may be freed; called now and then by writers */
void epoch_collect(void);
/* waits until everything retired before is freed; not inside a section */
void epoch_drain(void);

#endif
