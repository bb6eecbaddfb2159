/* defs.h — the few macros that every file may use.
 *
 * What        Attributes, scope helpers and arithmetic helpers of gnu17.
 * Invariants  none
 * Ownership   none
 * Threads     none
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_DEFS_H
#define EPI_BASE_DEFS_H

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result)) /* on every function that returns errc */
#define SCOPED(fini) __attribute__((cleanup(fini)))  /* fini(T *var) runs on every way out */
#define STEAL(p) ({ __typeof__(p) steal_v = (p); (p) = NULL; steal_v; })
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define MIN(a, b) ((a) < (b) ? (a) : (b))            /* evaluates its arguments twice */
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* A static assert on a whole header's assumption: we only run on 64-bit machines with IEEE
 * doubles. */
_Static_assert(sizeof(void *) == 8, "64-bit only");
_Static_assert(sizeof(double) == 8, "IEEE binary64");

#endif
