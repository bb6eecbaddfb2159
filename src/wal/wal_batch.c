/* wal_batch.c — records on their way into the log (see wal.h).
 *
 * A caller encodes and compresses in its own thread. A small stock keeps the rooms of batches that
 * went, so that a commit allocates nothing but what is stored.
 */
#include "wal/wal_impl.h"

#include "base/mem.h"
#include "wal/samples_pack.h"

ACCOUNT(wal_account, "wal")

void wal_buf_init(struct buf *b) { buf_init(b, &wal_account, 0); }

void wal_batches_init(struct wal_batch_list *l) { *l = (struct wal_batch_list){ NULL, &l->first }; }
void wal_batches_push(struct wal_batch_list *l, struct wal_batch *b)
{
    b->next = NULL;
    if (!l->first) l->last = &l->first;
    *l->last = b;
    l->last = &b->next;
}
struct wal_batch *wal_batches_pop(struct wal_batch_list *l)
{
    struct wal_batch *b = l->first;
    if (b) l->first = b->next;
    return b;
}

void wal_batch_free(struct wal_batch *b)
{
    if (!b) return;
    buf_fini(&b->room);
    buf_fini(&b->stored);
    vec_fini(&b->pieces);
    mem_free(b);
}

static void batch_reset(struct wal_batch *b)
{
    buf_reset(&b->room);
    buf_reset(&b->stored);
    b->pieces.n = 0;
    b->saved_bytes = 0;
    b->waiter = NULL;
}

/* Memory of so many bytes is given to the system and taken from it anew, page by page, each time it
 * is freed and allocated. A few of the larger pieces are kept. */
static void settled_give_locked(struct wal *w, struct buf *b) REQUIRES(w->mu);
static void settled_give_locked(struct wal *w, struct buf *b)
{
    mtx_assert_held(&w->mu);
    if (b->cap < WAL_SETTLED_MIN_BYTES || b->cap > WAL_SPARE_BATCH_MAX_BYTES) return;
    for (size_t i = 0; i < WAL_SETTLED_KEPT && b->cap; i++) {
        if (w->settled[i].cap) continue;
        w->settled[i] = *b;
        buf_reset(&w->settled[i]);
        wal_buf_init(b);
    }
}

/* An empty buffer for n bytes; of the kept ones one that is at most twice as large. */
static void settled_take(struct wal *w, struct buf *out, size_t n)
{
    wal_buf_init(out);
    mtx_lock(&w->mu);
    for (size_t i = 0; i < WAL_SETTLED_KEPT && !out->cap; i++) {
        if (w->settled[i].cap < n || w->settled[i].cap / 2 > n) continue;
        *out = w->settled[i];
        wal_buf_init(&w->settled[i]);
    }
    mtx_unlock(&w->mu);
    if (!out->cap) buf_grow(out, n >= WAL_SETTLED_MIN_BYTES ? n + n / 8 : n);
}

void wal_batch_give_locked(struct wal *w, struct wal_batch *b)
{
    mtx_assert_held(&w->mu);
    if (!b->room.cap) settled_give_locked(w, &b->stored);
    if (!b->room.cap || w->n_spare >= WAL_SPARE_BATCHES ||
        b->stored.cap + b->room.cap > WAL_SPARE_BATCH_MAX_BYTES) {
        wal_batch_free(b);
        return;
    }
    batch_reset(b);
    wal_batches_push(&w->spare, b);
    w->n_spare++;
}

struct wal_batch *wal_batch_new(struct wal *w)
{
    mtx_lock(&w->mu);
    struct wal_batch *b = wal_batches_pop(&w->spare);
    if (b) w->n_spare--;
    mtx_unlock(&w->mu);
    if (!b) {
        b = NEW(struct wal_batch);
        wal_buf_init(&b->room);
        wal_buf_init(&b->stored);
    }
    b->compress = w->o.compress;
    return b;
}

void wal_buf_rest(struct buf *b)
{
    if (b->cap > WAL_SPARE_BATCH_MAX_BYTES) buf_fini(b);
    buf_reset(b);
}

struct wal_batch *wal_batch_settle(struct wal *w, struct wal_batch *made)
{
    struct wal_batch *b = NEW(struct wal_batch);
    *b = (struct wal_batch){
        .compress = made->compress, .saved_bytes = made->saved_bytes, .pieces = made->pieces
    };
    settled_take(w, &b->stored, made->stored.n);
    buf_str(&b->stored, buf_view(&made->stored));
    b->stored.bad = !buf_ok(&made->stored) || !buf_ok(&made->room);
    made->pieces.at = NULL;
    made->pieces.n = made->pieces.cap = 0;
    mtx_lock(&w->mu);
    wal_batch_give_locked(w, made);
    mtx_unlock(&w->mu);
    return b;
}

struct buf *wal_batch_room(struct wal_batch *b) { return &b->room; }
size_t wal_batch_bytes(const struct wal_batch *b) { return b->stored.n; }

void wal_batch_add_stored(struct wal_batch *b, uint8_t flags, str stored)
{
    buf_str(&b->stored, stored);
    vec_push(&b->pieces, ((struct wal_piece){ (uint32_t)stored.n, flags }));
}

void wal_batch_add(struct wal_batch *b, str rec)
{
    size_t before = b->stored.n;
    assert(rec.n < UINT32_MAX);
    if (b->compress != COMPRESS_NONE && rec.n > 0) {
        bool done = b->compress == COMPRESS_SNAPPY && samples_pack(&b->stored, rec);
        errc rc = done ? OK : compress_pack(&b->stored, b->compress, rec, 0, NULL);
        if (rc == OK && b->stored.n - before < rec.n) {
            b->saved_bytes += (int64_t)(rec.n - (b->stored.n - before));
            uint32_t n = (uint32_t)(b->stored.n - before);
            vec_push(&b->pieces, ((struct wal_piece){ n, frag_flag_of(b->compress) }));
            return;
        }
        b->stored.n = before;                  /* no gain: as it is */
    }
    wal_batch_add_stored(b, 0, rec);
}

void wal_batch_seal(struct wal_batch *b)
{
    if (b->room.n > 0) wal_batch_add(b, buf_view(&b->room));
    buf_reset(&b->room);
}

void wal_batch_drop(struct wal *w, struct wal_batch *b)
{
    if (!b) return;
    mtx_lock(&w->mu);
    wal_batch_give_locked(w, b);
    mtx_unlock(&w->mu);
}
