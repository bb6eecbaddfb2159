/* grid.h — which time the samples of a scrape get.
 *
 * What        Turns come a little late: within the tolerance their samples get the time of the
 *             grid, so that times differ by whole intervals and take fewer bits.
 * Invariants  As Prometheus has it when the clock jumps: one that went back gives the grid's last
 *             time until it has come there again, one that went ahead takes the grid along.
 * Ownership   values
 * Threads     pure
 * Errors      none
 * Format      none
 */
#ifndef EPI_SCRAPE_GRID_H
#define EPI_SCRAPE_GRID_H

#include "base/defs.h"

/* aligned_ms: the grid's last time. REQUIRES: interval_ms > 0 */
static inline int64_t grid_time_ms(
    int64_t *aligned_ms, int64_t now_ms, int64_t interval_ms, int64_t tolerance_ms)
{
    int64_t late = now_ms - *aligned_ms;
    if (late >= interval_ms) {
        *aligned_ms += late / interval_ms * interval_ms;
        late %= interval_ms;
    }
    return late <= MIN(tolerance_ms, interval_ms / 100) ? *aligned_ms : now_ms;
}

#endif
