/* stack.h — a function on a stack of its own.
 *
 * What        Runs a function in the calling thread, but on as much stack as it asked for: what
 *             recurses as deep as its input is not bound by what the thread was started with.
 * Invariants  (1) Locks, thread-local variables and signal masks are the thread's as ever. (2)
 *             Below the stack lies a page that nobody may touch: who needs more than was asked for
 *             dies there, and overwrites nothing.
 * Ownership   the stack is there for the call, and is charged to the account "stacks"
 * Threads     any
 * Errors      ERR_LIMIT: there is no room for it
 * Format      none
 */
#ifndef EPI_IO_STACK_H
#define EPI_IO_STACK_H

#include "base/err.h"

#include <stddef.h>

MUST_USE errc stack_run(size_t bytes, void (*run)(void *ctx), void *ctx);

#endif
