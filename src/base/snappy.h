/* snappy.h — snappy's block format, unpacked.
 *
 * What        What the general library gives, in half the time where elements are short: the
 *             records of a log, the bodies of remote write.
 * Invariants  (1) Takes what the library takes, and refuses what it refuses. (2) Never writes
 *             behind the room, never reads behind the input.
 * Ownership   none
 * Threads     pure
 * Errors      false: damaged; what is in the room then means nothing
 * Format      https://github.com/google/snappy/blob/main/format_description.txt
 */
#ifndef EPI_BASE_SNAPPY_H
#define EPI_BASE_SNAPPY_H

#include "base/defs.h"
#include "base/str.h"

/* How many bytes it says that it unpacks to. */
MUST_USE bool snappy_length(str packed, uint32_t *n);
/* REQUIRES: n is what snappy_length said, and the room has so many */
MUST_USE bool snappy_unpack(void *room, size_t n, str packed);

#endif
