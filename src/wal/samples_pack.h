/* samples_pack.h — records of samples of one time, packed into snappy's block format.
 *
 * What        What the general library gives for such a record, never more than a fiftieth larger
 *             and often smaller, in half to nine tenths of the time: most of what a scrape's commit
 *             costs.
 * Invariants  what is packed unpacks to the same bytes, whatever they are
 * Ownership   none: appends to the caller's buffer
 * Threads     pure
 * Errors      false: not a record of this shape, nothing was appended; the general library takes it
 * Format      https://github.com/google/snappy/blob/main/format_description.txt
 */
#ifndef EPI_WAL_SAMPLES_PACK_H
#define EPI_WAL_SAMPLES_PACK_H

#include "base/buf.h"

MUST_USE bool samples_pack(struct buf *out, str rec);

#endif
