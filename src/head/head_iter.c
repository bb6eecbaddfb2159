#include "head/head_iter.h"

#include "chunk/chunk.h"
#include "chunk/chunk_iter.h"
#include "head/ahead.h"
#include "head/chunk_disk.h"
#include "io/work.h"
#include "storage/clip.h"

ACCOUNT(iter_account, "head_iterators")

struct head_iter {
    struct sample_iter base;
    struct head *head;
    int64_t mint, maxt;                        /* mint grows with seek */
    struct left_out *leaves;                   /* NULL: damage is an error */
    VEC(struct closed_chunk) closed;           /* n of the last ones is cut by what is hidden */
    VEC(struct decoded_copy *) room;           /* the first n_room are in use */
    VEC(struct decoded_copy *) copies;         /* of the room, or of what was read ahead */
    size_t n_room, next;                       /* next source: closed first, then copies */
    intervals deleted;
    struct buf bytes;                          /* of the closed chunk being read */
    struct chunk_iter chunk;                   /* of that, or of a copy that is held as bytes */
    size_t left;                               /* samples of the source that may still be shown */
    const int64_t *t;                          /* ITER_VALUES: what is left of the source */
    const double *v;
    struct ahead ahead;
    enum { ITER_NEXT, ITER_BYTES, ITER_VALUES, ITER_END } state;
    errc failed;
    struct err words;
};

static struct chunk_copy *copies_room(struct head_iter *it)
{
    if (it->n_room == it->room.n) {
        struct decoded_copy *x = mem_alloc(sizeof(*x));
        buf_init(&x->c.bytes, &iter_account, 0);
        vec_push(&it->room, x);
        account_charge(&iter_account, sizeof(*x));
    }
    struct decoded_copy *x = it->room.at[it->n_room++];
    x->n = 0;
    vec_push(&it->copies, x);
    return &x->c;
}

static void iter_free(struct sample_iter *base)
{
    struct head_iter *it = CONTAINER_OF(base, struct head_iter, base);
    account_charge(
        &iter_account, -(int64_t)(it->room.n * sizeof(struct decoded_copy) + sizeof(*it)));
    for (size_t i = 0; i < it->room.n; i++) {
        buf_fini(&it->room.at[i]->c.bytes);
        mem_free(it->room.at[i]);
    }
    chunk_iter_fini(&it->chunk);
    vec_fini(&it->room);
    vec_fini(&it->copies);
    vec_fini(&it->closed);
    vec_fini(&it->deleted);
    buf_fini(&it->bytes);
    ahead_fini(&it->ahead);
    mem_free(it);
}

/* What the newest batches hide is cut off from the end. */
static void iter_hide(struct head_iter *it, uint64_t hidden)
{
    for (size_t i = it->copies.n; hidden && i-- > 0;) {
        struct chunk_copy *c = &it->copies.at[i]->c;
        uint64_t k = MIN(hidden, c->n);
        /* A chunk of equal values has only the last one: it stays what it is. */
        c->n -= (unsigned)k;
        hidden -= k;
    }
    for (size_t i = it->closed.n; hidden && i-- > 0;) {
        uint64_t k = MIN(hidden, it->closed.at[i].n);
        it->closed.at[i].n -= (uint32_t)k;
        hidden -= k;
    }
}

/* A chunk that is not to be read, for it lies beyond what is read: that it is there counts where
 * the newest samples are hidden. */
static void copy_nothing(struct chunk_copy *to, unsigned n)
{
    to->n = n;
    to->mint = INT64_MAX;
    to->maxt = INT64_MIN;
    to->coding = CODING_CONST;
}

static void iter_take_sealed(
    struct head_iter *it, const struct head_iter_of *of, const struct sealed *q)
{
    const struct store *st = &it->head->store;
    struct chunk_copy *to = copies_room(it);
    if (q->maxt < of->mint || sealed_mint(st, q) > of->maxt) copy_nothing(to, q->n);
    else sealed_copy(st, q, to);
}

static void iter_take_open(
    struct head_iter *it, const struct head_iter_of *of, const struct slot *s)
{
    const struct store *st = &it->head->store;
    struct decoded_copy *ahead = ahead_open_copy(&it->ahead, st, of->slot);
    if (ahead) {
        vec_push(&it->copies, ahead);
        return;
    }
    struct chunk_copy *to = copies_room(it);
    if (slot_last_t(s) < of->mint || open_mint(st, s) > of->maxt) copy_nothing(to, s->n);
    else open_copy(st, s, to);
}

static void iter_take(struct head_iter *it, const struct head_iter_of *of)
{
    struct store *st = &it->head->store;
    struct slot *s = store_slot(st, of->slot);
    slot_lock(s);
    if (series_generation(s) == of->generation) {
        for (unsigned i = 0; i < s->n_closed; i++)
            vec_push(&it->closed, store_get_closed(st, s, i));
        for (uint32_t i = s->sealed; i;) {
            const struct sealed *q = slab_at(&st->sealed, i);
            iter_take_sealed(it, of, q);
            i = q->next;
        }
        if (s->n) iter_take_open(it, of, s);
        iter_hide(it, isolation_hidden(st, s, of->reader));
    }
    slot_unlock(s);
}

void head_iter_reset(struct sample_iter *base, const struct head_iter_of *of)
{
    struct head_iter *it = CONTAINER_OF(base, struct head_iter, base);
    it->mint = of->mint;
    it->maxt = of->maxt;
    it->leaves = of->left;
    it->closed.n = it->copies.n = it->deleted.n = 0;
    it->n_room = it->next = it->left = 0;
    it->state = ITER_NEXT;
    it->failed = OK;
    it->words.n = 0;
    iter_take(it, of);
    head_tombstones_get(&it->head->tombstones, of->ref, &it->deleted);
}

static void series_ahead(struct head_iter *it, const struct head_iter_of *of)
{
    struct store *st = &it->head->store;
    struct slot *s = store_slot(st, of->slot);
    slot_lock(s);
    for (unsigned i = 0; series_generation(s) == of->generation && i < s->n_closed; i++) {
        struct closed_chunk c = store_get_closed(st, s, i);
        if (c.mint <= of->maxt && c.maxt >= of->mint) ahead_want(&it->ahead, &c);
    }
    if (rice_lanes_quick() && series_generation(s) == of->generation && s->n &&
        slot_last_t(s) >= of->mint && open_mint(st, s) <= of->maxt)
        ahead_want_open(&it->ahead, st, of->slot, of->maxt);
    slot_unlock(s);
}

void head_iter_ahead(struct sample_iter *base, const struct head_iter_of *of, size_t n)
{
    struct head_iter *it = CONTAINER_OF(base, struct head_iter, base);
    ahead_clear(&it->ahead);
    for (size_t i = 0; i < n; i++) series_ahead(it, &of[i]);
    ahead_read(&it->ahead, it->head->opts.disk);
}

/* Brings the bytes of a closed chunk into the iterator's own memory, so that an I/O error is known
 * before anything is shown. */
static errc iter_open_closed(struct head_iter *it, const struct closed_chunk *c, struct err *e)
{
    struct chunk_pin pin = { 0 };
    size_t ahead = ahead_get(&it->ahead, c->disk_ref, &it->t, &it->v);
    if (ahead) {
        io_work.chunks++;
        it->left = MIN(c->n, ahead);
        it->state = ITER_VALUES;
        return OK;
    }
    if (!it->head->opts.disk) return err_set(e, ERR_NOT_FOUND, "head: no chunk files");
    TRY(chunk_disk_pin(it->head->opts.disk, c->disk_ref, 0, &pin, e));
    io_work.chunks++;
    buf_reset(&it->bytes);
    buf_str(&it->bytes, pin.data);
    TRY(chunk_disk_unpin(it->head->opts.disk, &pin, e));
    it->left = c->n;
    it->state = ITER_BYTES;
    return chunk_iter_reset(&it->chunk, c->enc, buf_view(&it->bytes), e);
}

static errc iter_open_copy(struct head_iter *it, struct decoded_copy *x, struct err *e)
{
    const struct chunk_copy *c = &x->c;
    it->left = c->n;
    io_work.chunks++;
    io_work.head_bytes += c->coding == CODING_BYTES
                              ? c->bytes.n
                              : c->n * sizeof(*c->t) + c->n_words * sizeof(*c->words);
    if (c->coding == CODING_BYTES) {
        it->state = ITER_BYTES;
        return chunk_iter_reset(&it->chunk, chunk_copy_enc(c), buf_view(&c->bytes), e);
    }
    unsigned from = 0, n = copy_until(c, it->maxt);
    if (x->n < n) chunk_copy_values(c, x->n = n, x->v);
    while (from < n && c->t[from] < it->mint) from++;
    it->state = ITER_VALUES;
    it->left = n - from;
    it->t = c->t + from;
    it->v = x->v + from;
    return OK;
}

/* Opens the next source that may hold something to show. */
static errc iter_next_source(struct head_iter *it, struct err *e)
{
    for (; it->next < it->closed.n; it->next++) {
        const struct closed_chunk *c = &it->closed.at[it->next];
        if (c->mint > it->maxt) break;
        if (c->maxt < it->mint || !c->n) continue;
        it->next++;
        return iter_open_closed(it, c, e);
    }
    if (it->next < it->closed.n) it->next = it->closed.n;
    for (; it->next - it->closed.n < it->copies.n; it->next++) {
        struct decoded_copy *x = it->copies.at[it->next - it->closed.n];
        if (!x->c.n || x->c.maxt < it->mint || x->c.mint > it->maxt) continue;
        it->next++;
        return iter_open_copy(it, x, e);
    }
    it->state = ITER_END;
    return OK;
}

static void iter_take_values(struct head_iter *it, int64_t *t, double *v, size_t cap, size_t *n)
{
    *n = MIN(it->left, cap);
    memcpy(t, it->t, *n * sizeof(*t));
    memcpy(v, it->v, *n * sizeof(*v));
    it->t += *n;
    it->v += *n;
}

static errc iter_read(struct head_iter *it, struct sample_batch *out, struct err *e)
{
    if (it->state == ITER_BYTES) {
        TRY(chunk_iter_fill(&it->chunk, out, e));
        out->n = MIN(it->left, out->n);
    } else {
        out->kind = SAMPLE_FLOAT;          /* a batch of the chunk before may have been left out */
        out->st = NULL;
        iter_take_values(it, out->t, out->v, SAMPLE_BATCH, &out->n);
    }
    it->left -= out->n;
    if (!out->n || !it->left) it->state = ITER_NEXT;
    return OK;
}

/* Clips to [mint, maxt] and leaves out what was deleted. */
static void iter_clip(struct head_iter *it, struct sample_batch *out)
{
    int64_t *st = out->st ? it->chunk.st : NULL;
    if (sample_batch_clip(out, st, it->mint, it->maxt, it->deleted.n ? &it->deleted : NULL))
        it->state = ITER_END;
}

/* A closed chunk is damaged: the next source comes after it. */
static bool iter_leaves(struct head_iter *it, errc rc)
{
    if (!head_leaves_out(it->leaves, rc, &it->words)) return false;
    it->state = ITER_NEXT;
    it->words.n = 0;
    return true;
}

static errc iter_fill(struct sample_iter *base, struct sample_batch *out, struct err *e)
{
    struct head_iter *it = CONTAINER_OF(base, struct head_iter, base);
    out->kind = SAMPLE_FLOAT;
    out->st = NULL;
    out->n = 0;
    if (it->failed != OK) return err_set(e, it->failed, "%.*s", STR_ARG(err_str(&it->words)));
    while (!out->n && it->state != ITER_END) {
        errc rc = it->state == ITER_NEXT ? iter_next_source(it, &it->words)
                                         : iter_read(it, out, &it->words);
        if (rc != OK) out->n = 0;
        if (rc != OK && !iter_leaves(it, rc)) {
            it->failed = rc;
            return err_set(e, rc, "%.*s", STR_ARG(err_str(&it->words)));
        }
        if (out->n) iter_clip(it, out);
    }
    return OK;
}

static errc iter_read_floats(
    struct head_iter *it, int64_t *t, double *v, size_t cap, size_t *n, struct err *e)
{
    if (it->state == ITER_BYTES) {
        struct xor_iter *xor = &it->chunk.xor;
        TRY(xor_iter_fill(xor, t, v, cap, n, e));
        it->chunk.ended = xor->i == xor->n;
        *n = MIN(it->left, *n);
    } else {
        iter_take_values(it, t, v, cap, n);
    }
    it->left -= *n;
    if (!*n || !it->left) it->state = ITER_NEXT;
    return OK;
}

static errc iter_floats(
    struct sample_iter *base, int64_t *t, double *v, size_t cap, size_t *n, struct err *e)
{
    struct head_iter *it = CONTAINER_OF(base, struct head_iter, base);
    const intervals *deleted = it->deleted.n ? &it->deleted : NULL;
    *n = 0;
    while (it->failed == OK && !*n && it->state != ITER_END) {
        if (it->state == ITER_BYTES && it->chunk.enc != CHUNK_XOR) return OK;
        if (it->state == ITER_NEXT) it->failed = iter_next_source(it, &it->words);
        else it->failed = iter_read_floats(it, t, v, cap, n, &it->words);
        if (it->failed != OK) *n = 0;
        if (iter_leaves(it, it->failed)) it->failed = OK;
        if (it->failed == OK && *n && floats_clip(t, v, n, it->mint, it->maxt, deleted))
            it->state = ITER_END;
    }
    if (it->failed == OK) return OK;
    *n = 0;
    return err_set(e, it->failed, "%.*s", STR_ARG(err_str(&it->words)));
}

static errc iter_seek(struct sample_iter *base, int64_t t, struct err *e)
{
    struct head_iter *it = CONTAINER_OF(base, struct head_iter, base);
    (void)e;
    /* sources before it are skipped, the rest is clipped */
    if (t > it->mint) it->mint = t;
    return OK;
}

static const struct sample_iter_ops head_iter_ops = {
    .fill = iter_fill, .seek = iter_seek, .free = iter_free, .floats = iter_floats
};

struct sample_iter *head_iter_new(struct head *h)
{
    struct head_iter *it = NEW(struct head_iter);
    it->base.ops = &head_iter_ops;
    it->head = h;
    it->state = ITER_END;
    buf_init(&it->bytes, &iter_account, 0);
    chunk_iter_init(&it->chunk);
    ahead_init(&it->ahead);
    account_charge(&iter_account, sizeof(*it));
    return &it->base;
}

bool head_iter_is(const struct sample_iter *it) { return it && it->ops == &head_iter_ops; }
