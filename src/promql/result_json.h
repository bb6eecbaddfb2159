/* result_json.h — a query's result as the HTTP API writes it.
 *
 * What        {"resultType":…,"result":…,"explain":…,"stats":…}: the value of "data" in the answers
 *             of /query and /query_range.
 * Invariants  byte for byte what Prometheus writes
 * Ownership   appends to the writer's buf, or to that of the part
 * Threads     pure
 * Errors      the buf's flag
 * Format      Prometheus' web/api/v1: labels bare, values as text, times in seconds
 */
#ifndef EPI_PROMQL_RESULT_JSON_H
#define EPI_PROMQL_RESULT_JSON_H

#include "base/json.h"
#include "promql/engine.h"

/* The same in parts: begin, then more until it says that nothing is left. A part is at least
 * `enough` bytes, and a row more at most; it goes to the end of `out`. r outlives the writer. */
struct result_writer {
    struct json j;
    const struct result *r;
    size_t at;                             /* the row that is next */
    int64_t used_ns;
    bool stats;
};
void promql_result_begin(
    struct result_writer *w, const struct json *to, const struct result *r, bool stats);
bool promql_result_more(struct result_writer *w, struct buf *out, size_t enough);

void promql_result_json(struct json *j, const struct result *r, bool stats);
/* the value of "stats" */
void promql_stats_json(struct json *j, const struct query_stats *s);
void promql_time_text(struct buf *b, int64_t ms);              /* 1.5 of 1500 */
void promql_labels_json(struct json *j, struct labels l);      /* {"__name__":"up"} */

#endif
