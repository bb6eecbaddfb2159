/* thread.h — a thread with a name.
 *
 * What        Starts and joins a thread of the kernel; all signals are blocked in it.
 * Invariants  none
 * Ownership   thread_start allocates, thread_join waits and frees
 * Threads     start and join by the owner
 * Errors      thread_start: none, a machine that cannot start a thread ends the process
 * Format      none
 */
#ifndef EPI_IO_THREAD_H
#define EPI_IO_THREAD_H

struct thread;
/* name: at most 15 characters are shown */
struct thread *thread_start(const char *name, void (*run)(void *ctx), void *ctx);
/* NULL: this process may have no more of them now. */
struct thread *thread_try(const char *name, void (*run)(void *ctx), void *ctx);
void thread_join(struct thread *t);            /* NULL is fine */

#endif
