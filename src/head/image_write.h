/* image_write.h — what is open in the head, frame by frame, while it goes on.
 *
 * What        The series that were there at the beginning, in the order of their creation: how far
 *             each is in the chunk files, and what it has that is not there.
 * Invariants  A series' share is as it was at one moment between image_write_new and its frame: it
 *             has all that was applied before image_write_new, and perhaps more.
 * Ownership   image_write_new allocates, image_write_free frees; borrows the head
 * Threads     one, beside appenders and readers: a series is locked for as long as its chunks are
 *             copied. Not beside head_write_sealed or head_truncate.
 * Errors      none
 * Format      head/image_codec.h
 */
#ifndef EPI_HEAD_IMAGE_WRITE_H
#define EPI_HEAD_IMAGE_WRITE_H

#include "model/sample.h"

struct buf;
struct head;
struct image_write;

/* Waits until all that was logged before the call is applied. */
struct image_write *image_write_new(struct head *h);
void image_write_free(struct image_write *w);  /* NULL is fine */
sref image_write_last_ref(const struct image_write *w);
/* The next frame, appended; false: there is no further one. */
bool image_write_frame(struct image_write *w, struct buf *to);
uint64_t image_write_series(const struct image_write *w);      /* in the frames so far */

#endif
