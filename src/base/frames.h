/* frames.h — room for pages of one size, side by side.
 *
 * What        Slabs of FRAMES_A_SLAB frames. An allocator puts what is as large as a few pages of
 *             the machine anywhere among them, so that it lies in one more of them than it fills:
 *             for pages of 16 KiB that is a fifth of the memory.
 * Invariants  a frame never moves; a slab without frames in use is given back, but for one
 * Ownership   frames_init/frames_fini (REQUIRES: none is in use)
 * Threads     none: the owner locks
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_FRAMES_H
#define EPI_BASE_FRAMES_H

#include <stddef.h>
#include <stdint.h>

enum { FRAMES_A_SLAB = 16 };
struct frame_slab;
struct frames {
    size_t bytes;              /* of a frame */
    struct frame_slab *roomy;  /* slabs with free frames, those in use first */
    struct frame_slab *spare;  /* one of which no frame is in use; may be NULL */
    size_t slabs, used;        /* used: frames */
};
void frames_init(struct frames *f, size_t frame_bytes);
void frames_fini(struct frames *f);
/* A frame, not zeroed, and the slab to give it back to. */
uint8_t *frames_take(struct frames *f, struct frame_slab **slab);
void frames_give(struct frames *f, struct frame_slab *slab, uint8_t *frame);

#endif
