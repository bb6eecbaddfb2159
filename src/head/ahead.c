#include "head/ahead.h"

#include "chunk/chunk.h"
#include "chunk/xor_lanes.h"
#include "head/chunk_disk.h"

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
    buf_fini(&a->bytes);
}

void ahead_clear(struct ahead *a) { a->n = 0; }

void ahead_want(struct ahead *a, const struct closed_chunk *c)
{
    if (a->n == AHEAD_CHUNKS || c->enc != CHUNK_XOR || !c->n || c->n > RUN_MAX) return;
    a->at[a->n++] = (struct ahead_chunk){ .disk_ref = c->disk_ref };
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
    if (!disk || a->n < LEAST || !xor_lanes_quick()) {
        ahead_clear(a);
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
