/* tls.h — what a thread keeps for itself, and gives back when it ends.
 *
 * What        tls_on_exit(fn, arg): fn(arg) runs when the calling thread ends, the latest first.
 *             For caches in _Thread_local variables.
 * Invariants  each registered call runs once; not at the end of the main thread, whose memory ends
 *             with the process
 * Ownership   arg stays the caller's
 * Threads     any
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_TLS_H
#define EPI_BASE_TLS_H

void tls_on_exit(void (*fn)(void *arg), void *arg);

#endif
