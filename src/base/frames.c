#include "base/frames.h"

#include "base/defs.h"
#include "base/mem.h"

struct frame_slab {
    struct frame_slab *prev, *next;            /* among the roomy ones */
    uint16_t free;                             /* a bit a frame */
    uint8_t *at;
};
enum { ALL_FREE = (1 << FRAMES_A_SLAB) - 1 };

void frames_init(struct frames *f, size_t frame_bytes)
{
    *f = (struct frames){ .bytes = frame_bytes };
}

static void slab_free(struct frames *f, struct frame_slab *s)
{
    if (!s) return;
    f->slabs--;
    mem_free(s->at);
    mem_free(s);
}

void frames_fini(struct frames *f)
{
    assert(!f->used && !f->roomy);
    slab_free(f, f->spare);
}

static void roomy_put(struct frames *f, struct frame_slab *s)
{
    s->prev = NULL;
    s->next = f->roomy;
    if (s->next) s->next->prev = s;
    f->roomy = s;
}

static void roomy_take(struct frames *f, struct frame_slab *s)
{
    if (s->prev) s->prev->next = s->next;
    else f->roomy = s->next;
    if (s->next) s->next->prev = s->prev;
}

static struct frame_slab *slab_new(struct frames *f)
{
    enum { MACHINE_PAGE = 4096 };
    struct frame_slab *s = NEW(struct frame_slab);
    s->free = ALL_FREE;
    s->at = mem_aligned(MACHINE_PAGE, FRAMES_A_SLAB * f->bytes);
    f->slabs++;
    return s;
}

uint8_t *frames_take(struct frames *f, struct frame_slab **slab)
{
    struct frame_slab *s = f->roomy;
    if (!s) {
        s = f->spare ? STEAL(f->spare) : slab_new(f);
        roomy_put(f, s);
    }
    unsigned i = (unsigned)__builtin_ctz(s->free);
    s->free &= (uint16_t)(s->free - 1);
    if (!s->free) roomy_take(f, s);
    f->used++;
    *slab = s;
    return s->at + i * f->bytes;
}

void frames_give(struct frames *f, struct frame_slab *s, uint8_t *frame)
{
    size_t i = (size_t)(frame - s->at) / f->bytes;
    assert(i < FRAMES_A_SLAB && !(s->free >> i & 1));
    bool was_full = !s->free;
    s->free |= (uint16_t)(1u << i);
    f->used--;
    if (was_full) roomy_put(f, s);
    if (s->free != ALL_FREE) return;
    roomy_take(f, s);
    slab_free(f, f->spare);
    f->spare = s;
}
