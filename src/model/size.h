/* size.h — amounts of memory and disk as text.
 *
 * What        "512MB", "1.5GiB", "1GB512MB": units of 1024, with or without the i.
 * Invariants  size_parse(buf_size(n)) == n for 0 <= n < 2^53
 * Ownership   none
 * Threads     pure
 * Errors      ERR_BAD_INPUT with Prometheus' words
 * Format      as Prometheus' configuration and flags have them
 */
#ifndef EPI_MODEL_SIZE_H
#define EPI_MODEL_SIZE_H

#include "base/buf.h"
#include "base/err.h"

MUST_USE errc size_parse(str s, int64_t *bytes_out, struct err *e);
void buf_size(struct buf *b, int64_t bytes);                   /* "512MiB", "1GiB512MiB", "0B" */

#endif
