/* account.h — memory accounts: who holds how many bytes.
 *
 * What        Each consumer (series, open chunks, postings, caches, queries, scrape buffers) has
 *             one static account; arenas, slabs, buffers and caches charge it per page, never per
 *             object. The sum is shown on /metrics.
 * Invariants  bytes >= 0 when every user is at rest; an account is registered once, before main().
 * Ownership   accounts are static objects and never go away.
 * Threads     any: one relaxed atomic per charge
 * Errors      none; the budget (base/budget) decides on the sum
 * Format      none
 */
#ifndef EPI_BASE_ACCOUNT_H
#define EPI_BASE_ACCOUNT_H

#include "base/defs.h"

#include <stdatomic.h>

struct account {
    const char *name;                  /* label value of epimetheus_memory_account_bytes{account} */
    _Atomic int64_t bytes;             /* relaxed: a figure, orders nothing */
    struct account *next;              /* const after registration */
    /* const: its arenas end when memory is short (base/budget) */
    bool yields;
};

/* Defines `var` at file scope and registers it before main. */
#define ACCOUNT(var, label) \
    struct account var = { .name = (label) }; \
    __attribute__((constructor)) static void var##_register(void) { account_register(&var); }

/* The same for what a query holds. */
#define ACCOUNT_YIELDING(var, label) \
    struct account var = { .name = (label), .yields = true }; \
    __attribute__((constructor)) static void var##_register(void) { account_register(&var); }

void account_register(struct account *a);

static inline void account_charge(struct account *a, int64_t bytes)
{
    if (a) atomic_fetch_add_explicit(&a->bytes, bytes, memory_order_relaxed);
}
static inline int64_t account_bytes(const struct account *a)
{
    return atomic_load_explicit(&a->bytes, memory_order_relaxed);
}

struct account *account_first(void);   /* the list of all, by next; fixed once main runs */
int64_t account_sum(void);

#endif
