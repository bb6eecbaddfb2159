/* backfill.h — an OpenMetrics page becomes blocks.
 *
 * What        For each span of time that has samples, a head of its own takes them and is written
 *             as a block.
 * Invariants  (1) Index and chunks of a block are those that Prometheus makes of the same page. (2)
 *             A block has its name when it is whole and durable. (3) Every sample is in one, those
 *             of before 1970, too (promtool leaves the first span of them out).
 * Ownership   borrows
 * Threads     one
 * Errors      ERR_BAD_INPUT: the page, a series without a time, one that no block can hold, a
 *             sample that its head refuses;
 *             ERR_IO, ERR_NO_SPACE
 * Format      OpenMetrics 1.0; docs/format/block.md
 */
#ifndef EPI_CMD_EPITOOL_BACKFILL_H
#define EPI_CMD_EPITOOL_BACKFILL_H

#include "base/progress.h"
#include "block/meta_codec.h"
#include "model/labels.h"

struct fs;
struct backfill_opts {
    struct fs *fs;                             /* the folder that gets the blocks */
    /* n bytes and EXPO_PADDING zero bytes behind them */
    uint8_t *page;
    size_t n;
    int64_t max_block_ms;                      /* blocks span no more; below two hours: two hours */
    const struct label *labels;                /* put to each series, instead of what it has */
    size_t n_labels;
    void (*made)(void *ctx, const struct block_meta *m, uint64_t bytes);
    void *ctx;
    const struct progress *progress;
};
MUST_USE errc backfill(const struct backfill_opts *o, struct err *e);

#endif
