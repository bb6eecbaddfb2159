/* resolver.h — names to addresses, asked on a few threads and remembered for a while.
 *
 * What        resolver_get answers from memory and never waits. What it does not know is asked of
 *             the system's resolver on threads of its own; `news` is called when answers came, then
 *             one looks again.
 * Invariants  (1) One question a name at a time. (2) An answer counts RESOLVER_TTL_MS, a failure
 *             RESOLVER_FAILED_MS; forgotten before by resolver_forget, e.g. when an address did not
 *             answer. (3) At most RESOLVER_NAMES_MAX names are remembered.
 * Ownership   resolver_new/free; answers are copied into the caller's arena
 * Threads     any; `news` is called on the resolver's threads with no lock held. resolver_free
 *             waits for questions under way.
 * Errors      RESOLVED_FAILED with the words of Go's resolver
 * Format      none
 */
#ifndef EPI_IO_RESOLVER_H
#define EPI_IO_RESOLVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { RESOLVER_TTL_MS = 30000, RESOLVER_FAILED_MS = 1000, RESOLVER_NAMES_MAX = 65536 };

/* The system's question, or a test's: addresses as text with commas between ("127.0.0.1,[::1]"), or
 * the reason. Runs on the threads. */
typedef errc (*resolver_ask)(void *ctx, const char *name, struct buf *out, struct err *e);
struct resolver_opts {
    void (*news)(void *ctx);
    void *ctx;
    resolver_ask ask;                      /* NULL: the system's */
    void *ask_ctx;
};
struct resolver;
struct resolver *resolver_new(const struct resolver_opts *o);
void resolver_free(struct resolver *r);                        /* NULL is fine */

enum resolved { RESOLVED_YES, RESOLVED_FAILED, RESOLVED_ASKED };
enum resolved resolver_get(
    struct resolver *r, str name, struct arena *a, str *addresses, struct err *e);
void resolver_forget(struct resolver *r, str name);

#endif
