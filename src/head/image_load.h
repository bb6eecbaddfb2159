/* image_load.h — a head image into the head that is rebuilt.
 *
 * What        When the log before the image's place was read for its series and deletions only, the
 *             series take what the image has of them, as if those samples came out of the log.
 * Invariants  (1) A series ends up with what the log would have given it: samples that a closed
 *             chunk or a block covers are passed over, chunks end where they would end. (2) A
 *             series whose closed chunks are not all in the chunk files any more is not loaded:
 *             ERR_CORRUPT, and the log has to be read. (3) What is in no series record is passed
 *             over.
 * Ownership   image_load_new allocates, image_load_free frees; borrows the replay
 * Threads     image_load_frame: any, with different frames; no router and no decoder beside it
 * Errors      ERR_CORRUPT: the head is to be thrown away
 * Format      head/image_codec.h
 */
#ifndef EPI_HEAD_IMAGE_LOAD_H
#define EPI_HEAD_IMAGE_LOAD_H

#include "base/err.h"
#include "base/str.h"
#include "model/sample.h"

struct head_replay;
struct image_load;

/* last_ref: of the image's place; it and all below are never given. */
struct image_load *image_load_new(struct head_replay *r, sref last_ref);
/* bytes that passed their check */
MUST_USE errc image_load_frame(struct image_load *l, str frame, struct err *e);

/* unknown: series of the image that the log has not */
struct image_loaded { uint64_t series, samples, unknown; };
/* what was loaded counts from here on; NULL is fine */
struct image_loaded image_load_free(struct image_load *l);

#endif
