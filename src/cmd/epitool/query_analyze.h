/* query_analyze.h — how full the buckets of histograms are.
 *
 * What        For each histogram series of a range vector the least, mean and greatest number of
 *             populated buckets, and how many there are; then the same over all series.
 * Invariants  none
 * Ownership   borrows the answers; the analysis owns nothing
 * Threads     one
 * Errors      ERR_CORRUPT: buckets of a classic histogram that have samples at other times
 * Format      promtool's query analyze
 */
#ifndef EPI_CMD_EPITOOL_QUERY_ANALYZE_H
#define EPI_CMD_EPITOOL_QUERY_ANALYZE_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

struct distribution { int64_t least, most, count; double mean; };
/* of the populated buckets' least, mean, greatest number; of all buckets */
struct bucket_distributions { struct distribution least, mean, most, all; };
struct analysis { struct bucket_distributions native, classic; };
struct analysis analysis_begin(void);
void analysis_head(struct buf *b);
/* matrix: the result of SELECTOR[RANGE] */
MUST_USE errc analysis_add(
    struct analysis *a, struct buf *b, const json_t *matrix, struct err *e);
void analysis_foot(const struct analysis *a, struct buf *b);

#endif
