/* test_ask.h — a queryable's answer as a text: for tests.
 *
 * What        Asks for the series of a metric "m" with all their samples.
 * Invariants  none
 * Ownership   texts lie in the arena
 * Threads     any
 * Errors      those of the queryable
 * Format      a line a series: its labels, then " t=v" for each sample
 *
 * Linked into unit tests (test_support_src) only.
 */
#ifndef EPI_BUCKET_TEST_ASK_H
#define EPI_BUCKET_TEST_ASK_H

#include "base/arena.h"
#include "storage/querier.h"

struct test_answer {
    str text;          /* what came until the error, if there was one */
    const str *words;  /* warnings */
    size_t n_words;
};
errc test_ask(struct test_answer *out, struct queryable *from, int64_t mint, int64_t maxt,
    struct arena *a, struct err *e);

#endif
