/* image_turn.h — when is the next head image due?
 *
 * What        When 64 MiB were logged since the place of the last one, and twice as much as an
 *             image has, or so many bytes as were asked for, and the last one is so long ago that
 *             writing them takes a twentieth of the time at most. A log that was truncated since
 *             makes the next one due at once.
 * Invariants  a failure is logged and tried again after a minute
 * Ownership   the caller's memory; borrows what images are made of
 * Threads     one, the background's
 * Errors      none
 * Format      none
 */
#ifndef EPI_TSDB_IMAGE_TURN_H
#define EPI_TSDB_IMAGE_TURN_H

#include "tsdb/image_file.h"

struct image_turn {
    struct image_file_of of;
    uint64_t log_bytes, segment_bytes;
    struct image_file_written last;
    int64_t not_before_ns;
};
/* log_bytes 0: see above, UINT64_MAX: never; segment_bytes 0: the usual */
void image_turn_init(struct image_turn *t, const struct image_file_of *of, uint64_t log_bytes,
    uint64_t segment_bytes);
void image_turn_take(struct image_turn *t);

#endif
