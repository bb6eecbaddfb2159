#include "head/ahead.h"

#include "chunk/chunk.h"
#include "chunk/xor_lanes.h"
#include "head/chunk_disk.h"
#include "head/series.h"

ACCOUNT(ahead_account, "head_ahead")

enum { ROOM_BYTES = AHEAD_CHUNKS * RUN_MAX * (sizeof(int64_t) + sizeof(double)) };

void ahead_init(struct ahead *a)
{
    *a = (struct ahead){ 0 };
    buf_init(&a->bytes, &ahead_account, 0);
}

void ahead_fini(struct ahead *a)
{
    if (a->t) account_charge(&ahead_account, -(int64_t)ROOM_BYTES);
    mem_free(a->t);
    mem_free(a->v);
    for (unsigned i = 0; i < a->room; i++) mem_free(a->copies[i]);
    account_charge(&ahead_account, -(int64_t)(a->room * sizeof(struct decoded_copy)));
    buf_fini(&a->bytes);
}

void ahead_clear(struct ahead *a) { a->n = a->n_open = 0; }

void ahead_want(struct ahead *a, const struct closed_chunk *c)
{
    if (a->n == AHEAD_CHUNKS || c->enc != CHUNK_XOR || !c->n || c->n > RUN_MAX) return;
    a->at[a->n++] = (struct ahead_chunk){ .disk_ref = c->disk_ref };
}

unsigned copy_until(const struct chunk_copy *c, int64_t maxt)
{
    unsigned n = c->n;
    while (n > 0 && c->t[n - 1] > maxt) n--;
    return n;
}

void ahead_want_open(struct ahead *a, const struct store *st, uint32_t slot_i, int64_t maxt)
{
    const struct slot *s = store_slot(st, slot_i);
    if (a->n_open == AHEAD_OPEN || slot_flags(s) & SLOT_BYTES) return;
    if (s->coding != CODING_UP && s->coding != CODING_DEC) return;
    if (a->n_open == a->room) {
        struct decoded_copy *x = mem_alloc(sizeof(*x));
        buf_init(&x->c.bytes, &ahead_account, 0);      /* of no use: no bytes are copied here */
        a->copies[a->room++] = x;
        account_charge(&ahead_account, sizeof(*x));
    }
    open_copy(st, s, &a->copies[a->n_open]->c);
    a->open[a->n_open++] = (struct ahead_open){
        slot_i, series_generation(s), s->run, s->n, slot_last_t(s), maxt
    };
}

/* A series that goes on is longer; a chunk that was begun since then has a newer last sample. */
struct decoded_copy *ahead_open_copy(struct ahead *a, const struct store *st, uint32_t slot_i)
{
    const struct slot *s = store_slot(st, slot_i);
    for (unsigned i = 0; i < a->n_open; i++) {
        struct ahead_open *o = &a->open[i];
        if (o->slot != slot_i) continue;
        o->slot = 0;
        bool same = o->generation == series_generation(s) && o->run == s->run && o->n == s->n &&
                    o->last_t == slot_last_t(s);
        return same ? a->copies[i] : NULL;
    }
    return NULL;
}

static void decode_open(struct ahead *a)
{
    struct rice_chain all[AHEAD_OPEN];
    for (unsigned i = 0; i < a->n_open; i++) {
        struct decoded_copy *x = a->copies[i];
        x->n = copy_until(&x->c, a->open[i].maxt);
        all[i] = chunk_copy_chain(&x->c, x->n, x->v);
    }
    rice_decode_all(all, a->n_open);
}

static bool take_bytes(struct ahead *a, struct ahead_chunk *c, struct chunk_disk *disk)
{
    struct chunk_pin pin = { 0 };
    if (chunk_disk_pin(disk, c->disk_ref, 0, &pin, NULL) != OK) return false;
    bool good = pin.enc == CHUNK_XOR && chunk_check(pin.enc, pin.data, NULL) == OK;
    size_t before = a->bytes.n;
    if (good) buf_str(&a->bytes, pin.data);
    good &= chunk_disk_unpin(disk, &pin, NULL) == OK;
    if (!good) a->bytes.n = before;
    c->from = before;
    c->len = a->bytes.n - before;
    return good;
}

static void decode(struct ahead *a)
{
    struct xor_lane lanes[AHEAD_CHUNKS];
    size_t of[AHEAD_CHUNKS], n = 0;
    for (size_t i = 0; i < a->n; i++) {
        const struct ahead_chunk *c = &a->at[i];
        struct xor_lane *l = &lanes[n];
        if (!c->len) continue;
        xor_iter_init(&l->it, str_of(a->bytes.p + c->from, c->len));
        if (l->it.n > RUN_MAX) continue;
        l->behind = a->bytes.n - c->from - c->len;
        l->t = a->t + i * RUN_MAX;
        l->v = a->v + i * RUN_MAX;
        of[n++] = i;
    }
    xor_lanes_decode(lanes, n);
    for (size_t k = 0; k < n; k++)
        if (!lanes[k].it.bad) a->at[of[k]].n = lanes[k].it.n;
}

void ahead_read(struct ahead *a, struct chunk_disk *disk)
{
    enum { LEAST = XOR_LANES / 2 };
    decode_open(a);
    if (!disk || a->n < LEAST || !xor_lanes_quick()) {
        a->n = 0;
        return;
    }
    if (!a->t) {
        a->t = mem_alloc_array(AHEAD_CHUNKS * RUN_MAX, sizeof(*a->t));
        a->v = mem_alloc_array(AHEAD_CHUNKS * RUN_MAX, sizeof(*a->v));
        account_charge(&ahead_account, ROOM_BYTES);
    }
    buf_reset(&a->bytes);
    for (size_t i = 0; i < a->n; i++)
        if (!take_bytes(a, &a->at[i], disk)) a->at[i].len = 0;
    static const uint8_t behind[XOR_LANES_BEHIND_BYTES];
    buf_bytes(&a->bytes, behind, sizeof(behind));
    decode(a);
}

size_t ahead_get(const struct ahead *a, uint64_t disk_ref, const int64_t **t, const double **v)
{
    for (size_t i = 0; i < a->n; i++) {
        if (a->at[i].disk_ref != disk_ref) continue;
        *t = a->t + i * RUN_MAX;
        *v = a->v + i * RUN_MAX;
        return a->at[i].n;
    }
    return 0;
}
