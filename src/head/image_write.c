#include "head/image_write.h"

#include "head/head_impl.h"
#include "head/image_codec.h"

/* A frame is some 128 KiB, and no longer than a fraction of a millisecond's looking at series that
 * have nothing. */
enum { FRAME_BYTES = 128 << 10, FRAME_SERIES = 4096 };

struct image_write {
    struct head *h;
    snum next, last;
    sref last_ref;
    uint64_t series;
    struct chunk_copy copy;
    struct open_state state;
    struct image_times times;                  /* of the frame */
    struct image_series now;                   /* the series at hand; its data in `bytes` */
    VEC(size_t) ends;                          /* of the chunks, in `bytes` */
    struct buf bytes;
};

struct image_write *image_write_new(struct head *h)
{
    struct image_write *w = NEW(struct image_write);
    w->h = h;
    w->next = 1;
    w->last = atomic_load_explicit(&h->series.last_num, memory_order_acquire);
    mtx_lock(&h->series.create);
    w->last_ref = atomic_load_explicit(&h->series.last_ref, memory_order_relaxed);
    mtx_unlock(&h->series.create);
    head_wait_appenders(h);
    return w;
}

void image_write_free(struct image_write *w)
{
    if (!w) return;
    image_series_fini(&w->now);
    vec_fini(&w->ends);
    buf_fini(&w->bytes);
    buf_fini(&w->copy.bytes);
    mem_free(w);
}

sref image_write_last_ref(const struct image_write *w) { return w->last_ref; }
uint64_t image_write_series(const struct image_write *w) { return w->series; }

static void put_copy(struct image_write *w, bool as_held)
{
    struct image_chunk chunk = { IMAGE_AS_HELD, 0, STR_EMPTY };
    if (!as_held) chunk = (struct image_chunk){ chunk_copy_enc(&w->copy), w->copy.maxt, STR_EMPTY };
    if (as_held) image_held_encode(&w->bytes, &w->copy, &w->state, &w->times);
    else (void)chunk_copy_encode(&w->copy, &w->bytes);
    vec_push(&w->now.chunks, chunk);
    vec_push(&w->ends, w->bytes.n);
}

/* Sealed chunks are few: they wait for a second. What is open is encoded without the lock. */
static void take_locked(struct image_write *w, struct slot *s, bool *open)
{
    const struct store *st = &w->h->store;
    for (unsigned i = 0; i < s->n_closed; i++)
        vec_push(&w->now.closed, store_get_closed(st, s, i).maxt);
    for (uint32_t q = s->sealed; q;) {
        const struct sealed *sealed = slab_at(&st->sealed, q);
        sealed_copy(st, sealed, &w->copy);
        put_copy(w, false);
        q = sealed->next;
    }
    *open = s->n > 0;
    if (!*open) return;
    open_copy(st, s, &w->copy);
    w->state = open_state_of(s);
}

/* false: there is nothing of it */
static bool take_series(struct image_write *w, snum num)
{
    bool open;
    uint32_t slot = series_slot_of(&w->h->series, num);
    w->now.closed.n = w->now.chunks.n = w->ends.n = 0;
    buf_reset(&w->bytes);
    if (!slot) return false;
    struct slot *s = store_slot(&w->h->store, slot);
    slot_lock(s);
    bool there = series_generation(s) == series_generation_of(&w->h->series, num);
    if (there) take_locked(w, s, &open);
    w->now.ref = store_cold(&w->h->store, slot)->ref;
    slot_unlock(s);
    if (!there) return false;
    if (open) put_copy(w, w->copy.coding != CODING_BYTES);
    for (size_t i = 0, from = 0; i < w->ends.n; from = w->ends.at[i++])
        w->now.chunks.at[i].data = str_of(w->bytes.p + from, w->ends.at[i] - from);
    return w->now.closed.n + w->now.chunks.n > 0;
}

bool image_write_frame(struct image_write *w, struct buf *to)
{
    struct reclaim_reader me;
    sref prev = 0;
    uint64_t before = w->series;
    w->times.n = 0;
    size_t mark = image_frame_begin(to);
    image_series_begin(to);
    reclaim_enter(&w->h->reclaim, &me);
    for (snum end = MIN(w->last, w->next + FRAME_SERIES - 1);
         w->next <= end && to->n - mark < FRAME_BYTES; w->next++) {
        if (w->next + 8 <= end)
            __builtin_prefetch(
                store_slot(&w->h->store, series_slot_of(&w->h->series, w->next + 8)));
        if (!take_series(w, w->next)) continue;
        image_series_encode(to, &w->now, &prev);
        w->series++;
    }
    reclaim_leave(&w->h->reclaim, &me);
    if (w->series > before) image_frame_end(to, mark);
    else to->n = mark - IMAGE_FRAME_BYTES;
    return w->next <= w->last;
}
