/* deep.c — see deep.h.
 *
 * Prometheus' goroutines grow their stacks up to a gigabyte, so it answers ten thousand levels of
 * anything. A thread has eight megabytes: enough for queries that people write. A deeper one gets a
 * stack of its own for as long as it runs, by its depth; what it does not touch is no memory. */
#include "promql/deep.h"

#include "io/stack.h"

/* What a level takes was measured (deep_test): at most a third of it, the rest is for compilers to
 * come. A walk's last level calls others, which have no idea of levels. */
#if defined(__SANITIZE_ADDRESS__)
#define DEEP_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DEEP_CHECKED 1
#endif
#endif
#ifdef DEEP_CHECKED
enum { LEVEL_BYTES = 32 << 10, PLAIN_LEVELS = 100 };
#else
enum { LEVEL_BYTES = 4 << 10, PLAIN_LEVELS = 500 };
#endif
enum { LAST_BYTES = 2 << 20 };

errc deep_run(const struct expr *e, void (*run)(void *ctx), void *ctx, struct err *why)
{
    if (e->depth <= PLAIN_LEVELS) {
        run(ctx);
        return OK;
    }
    errc rc = stack_run((size_t)e->depth * LEVEL_BYTES + LAST_BYTES, run, ctx);
    if (rc != OK)
        return err_set(why, rc, "no room for a query that is nested %u levels deep", e->depth);
    return OK;
}
