/* jsonl.h — the canonical JSON of epitool's lines.
 *
 * What        Pieces of one-line JSON that diff can compare: no white space, floats as bits, only
 *             what must be escaped is.
 * Invariants  the same value gives the same bytes
 * Ownership   appends to the caller's buf
 * Threads     pure
 * Errors      the buf's sticky flag
 * Format      strings escape " \ and control characters (\u00xx); one that is not UTF-8 is
 *             "\ufffdhex:…"; a float is its 16 hex digits
 */
#ifndef EPI_CMD_EPITOOL_JSONL_H
#define EPI_CMD_EPITOOL_JSONL_H

#include "base/buf.h"
#include "model/histogram.h"
#include "model/labels.h"

void jsonl_hex(struct buf *b, str bytes);                      /* without quotes */
void jsonl_str(struct buf *b, str s);
void jsonl_bits(struct buf *b, double v);
void jsonl_labels(struct buf *b, struct labels l);             /* [["name","value"],…] */
/* {"t":…,"v":"bits","x":"text"}; st is left out when 0 */
void jsonl_sample(struct buf *b, int64_t t, int64_t st, double v);

/* A histogram of either kind: counts and bucket deltas as integers, or the bits of counts. */
struct jsonl_histogram {
    bool is_float;
    unsigned hint;
    int64_t schema;
    double zero_threshold, sum;
    uint64_t zero_count, count;
    struct { const struct span *spans; size_t n_spans; const void *at; size_t n; } side[2];
    const double *custom;
    size_t n_custom;
};
void jsonl_histogram(struct buf *b, const struct jsonl_histogram *h);  /* {"crh":…,…,"cv":[…]} */

#endif
