/* result_cache.h — answers of range queries that are still true.
 *
 * What        Keeps the rows of range queries, with the number of the last change of the data
 *             before they were computed (storage/changes.h). A query that asks the same finds as
 *             many of its first steps as nothing has changed of since; of one whose steps hang
 *             together (steps.h) all or none. What is used least goes when there is no room.
 * Invariants  (1) What is found is what an evaluation gives now, to the last bit. (2) size <=
 *             limit. (3) Nothing is kept that came with an annotation or has a histogram in it.
 * Ownership   result_cache_new/result_cache_free. Answers are counted: who found one holds it, and
 *             a result made of one until promql_result_fini.
 * Threads     any. Lock: LOCK_LEAF
 * Errors      none
 * Format      none
 */
#ifndef EPI_PROMQL_RESULT_CACHE_H
#define EPI_PROMQL_RESULT_CACHE_H

#include "promql/engine.h"
#include "promql/steps.h"

struct result_cache;
struct result_cache *result_cache_new(uint64_t limit_bytes);
void result_cache_free(struct result_cache *c);                /* NULL is fine */

/* A range query; steps >= 1. */
struct result_ask {
    str query;
    int64_t start_ms, end_ms, step_ms, lookback_ms, default_step_ms;
    size_t steps;
};
/* What an answer was made of. */
struct result_origin {
    uint64_t data, since;                  /* changes.id, changes_last() before its querier began */
    bool by_labels;                        /* the order of its series */
    bool apart;                            /* its steps do not hang together */
    struct steps_reach reach;
    uint64_t peak;                         /* samples that were held, at the most */
};

struct kept;
uint64_t kept_peak(const struct kept *k);
void kept_unref(struct kept *k);                               /* NULL is fine */
/* Are its first n steps of the query still true? */
bool kept_holds(
    const struct kept *k, const struct result_ask *ask, size_t n, struct queryable *storage);
/* An answer and how many of the first steps of the query it has, *n >= 1; NULL: none, *n is 0. */
struct kept *result_cache_find(struct result_cache *c, const struct result_ask *ask,
    struct queryable *storage, size_t *n);
/* Counts what a query found. */
void result_cache_note(const struct result_ask *ask, size_t n);
/* Its first n steps are the result, a matrix; it holds k from then on. r's arena is there. */
void kept_give(struct kept *k, const struct result_ask *ask, size_t n, struct result *r);
/* The result of the other steps gets the first n before its own, and holds k. */
void kept_put_before(struct kept *k, const struct result_ask *ask, size_t n, struct result *r);
void result_cache_put(struct result_cache *c, const struct result_ask *ask, const struct result *r,
    const struct result_origin *from);

struct result_cache_stats { uint64_t bytes, entries; };
struct result_cache_stats result_cache_stats(struct result_cache *c);

#endif
