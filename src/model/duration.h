/* duration.h — Prometheus durations as text.
 *
 * What        1h30m, units y w d h m s ms in falling order, each at most once; in milliseconds.
 * Invariants  parse(text(d)) == d for d >= 0
 * Ownership   none
 * Threads     pure
 * Errors      ERR_BAD_INPUT with Prometheus' words
 * Format      github.com/prometheus/common model.ParseDuration and Duration.String
 *             (conformance/misc/durations.jsonl)
 */
#ifndef EPI_MODEL_DURATION_H
#define EPI_MODEL_DURATION_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

MUST_USE errc duration_parse(str s, int64_t *ms_out, struct err *e);
/* The same, its words as a whole: they hold s, which an err may have to cut. */
MUST_USE errc duration_parse_words(str s, int64_t *ms_out, struct buf *words);
/* a leading '-' allowed */
MUST_USE errc duration_parse_signed(str s, int64_t *ms_out, struct err *e);
void buf_duration(struct buf *b, int64_t ms);                  /* "1h30m", "0s" */
str arena_duration(struct arena *a, int64_t ms);               /* the same, in the arena */
/* Go's time.Duration: "1h30m0s", "1.5s", "20ms", "0s" */
void buf_go_duration(struct buf *b, int64_t ns);
/* "-1m30s", "1.5h", "300ms", "0"; false: none of these */
MUST_USE bool go_duration_parse(str s, int64_t *ns_out);

#endif
