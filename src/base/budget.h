/* budget.h — how much memory the process may take, and who gives way when it runs short.
 *
 * What        What is used is the larger of the accounts' sum and the anonymous resident memory as
 *             it was last read, moved on by what the accounts grew since. At BUDGET_CACHES_PCT of
 *             the budget caches shrink; past BUDGET_QUERIES_PCT a query fails that holds more than
 *             what is left below it (and more than BUDGET_LIGHT_BYTES); past BUDGET_SERIES_PCT no
 *             new series is made. Samples of series that are known are always taken.
 * Invariants  without a budget nobody gives way
 * Ownership   caches register themselves before main and never go away
 * Threads     any; budget_resident: one at a time, it calls the caches
 * Errors      ERR_LIMIT
 * Format      none
 */
#ifndef EPI_BASE_BUDGET_H
#define EPI_BASE_BUDGET_H

#include "base/err.h"

enum {
    BUDGET_CACHES_PCT = 70,
    BUDGET_QUERIES_PCT = 85,
    BUDGET_SERIES_PCT = 90,
    BUDGET_LIGHT_BYTES = 1 << 20
};

void budget_set(uint64_t bytes); /* 0: none */
uint64_t budget_limit(void);
uint64_t budget_used(void);
/* RssAnon, read just now */
void budget_resident(uint64_t bytes);

/* Has a query that holds so much to end? */
bool budget_ends_query(size_t held);
/* its words; counts it */
MUST_USE errc budget_query_error(struct err *e);
/* May a new series be made? */
bool budget_has_room(void);
/* its words; counts it */
MUST_USE errc budget_series_error(struct err *e);

/* A cache that gives way. too_much: bytes that have to go, of all caches; 0: nothing is short. */
struct budget_cache {
    void (*yield)(uint64_t too_much);
    struct budget_cache *next; /* const after registration */
};
#define BUDGET_CACHE(var, fn)                                                                      \
    static struct budget_cache var = { .yield = (fn) };                                            \
    __attribute__((constructor)) static void var##_register(void) { budget_cache_register(&var); }
void budget_cache_register(struct budget_cache *c);

#endif
