/* image_turn.h — when is the next head image due?
 *
 * What        When 64 MiB were logged since the place of the last one, and as much as an image has,
 *             or so many bytes as were asked for, and the last one is so long ago that writing them
 *             takes a twentieth of the time at most. A log that was truncated since makes the next
 *             one due at once.
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
    uint64_t log_bytes;
    struct image_file_written last;
    int64_t not_before_ns;
};
/* log_bytes 0: see above, UINT64_MAX: never. last: the one that the folder has, place.offset 0: it
 * has none. */
void image_turn_init(struct image_turn *t, const struct image_file_of *of, uint64_t log_bytes,
    const struct image_file_written *last);
void image_turn_take(struct image_turn *t);
/* At once, without rest: the last one is of a log that was written anew, and may have what damage
 * took of it. Before the background begins. */
void image_turn_renew(struct image_turn *t);

#endif
