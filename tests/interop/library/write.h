/* write.h — what the Go programs do to a folder that our code has opened.
 *
 * What        Samples, deletions, clean-ups and compactions, as JSON.
 * Invariants  one question is one of them
 * Ownership   borrows the database and the question
 * Threads     as engine.h
 * Errors      those of the database; a sample that is refused is one, too
 * Format      {"append":[{"labels":[[name, value],…], "t":ms, "st":ms,
 *             "v":bits or "h":histogram},…]}, bits being those of a float as a number; histogram
 *             {"whole":bool, "crh":n, "schema":n, "zt":bits, "zc":bits, "count":bits, "sum":bits,
 *             "ps":[[offset, length],…], "ns":…, "pb":[bits,…], "nb":…, "cv":[bits,…]}, with
 *             counts that are absolute also if it is one of whole numbers. {"delete":selector,
 *             "start":ms, "end":ms}, {"clean":true}, {"compact":true}
 */
#ifndef EPI_INTEROP_WRITE_H
#define EPI_INTEROP_WRITE_H

#include <jansson.h>
#include <stdbool.h>

#include "promql/parse.h"
#include "tsdb/db.h"

/* False: it is no such question. */
bool write_asked(const json_t *q);
MUST_USE errc write_do(
    struct db *db, const json_t *q, const struct parse_opts *parse, struct err *e);

#endif
