#include "block/tombstones_codec.h"

#include "base/crc32c.h"
#include "base/cursor.h"

#include <stdlib.h>

enum { TOMBSTONES_FORMAT = 1, HEAD_BYTES = 5, CRC_BYTES = 4 };

void tombstones_fini(struct tombstones *t)
{
    for (size_t i = 0; i < t->at.n; i++) vec_fini(&t->at.at[i].deleted);
    vec_fini(&t->at);
}

/* The place of ref, or where it would stand. */
static size_t place_of(const struct tombstones *t, uint64_t ref)
{
    size_t lo = 0, hi = t->at.n;
    if (hi && t->at.at[hi - 1].ref <= ref) return hi - (t->at.at[hi - 1].ref == ref);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t->at.at[mid].ref < ref) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

void tombstones_add(struct tombstones *t, uint64_t ref, struct interval deleted)
{
    size_t i = place_of(t, ref);
    if (i == t->at.n || t->at.at[i].ref != ref) {
        vec_push(&t->at, (struct tombstone){ 0 });
        memmove(&t->at.at[i + 1], &t->at.at[i], (t->at.n - 1 - i) * sizeof(*t->at.at));
        t->at.at[i] = (struct tombstone){ .ref = ref };
    }
    intervals_add(&t->at.at[i].deleted, deleted);
}

static void merge_one(struct tombstones *out, const struct tombstone *from)
{
    struct tombstone *to = out->at.n ? &vec_last(&out->at) : NULL;
    if (!to || to->ref != from->ref) {
        vec_push(&out->at, ((struct tombstone){ .ref = from->ref }));
        to = &vec_last(&out->at);
        vec_reserve(&to->deleted, from->deleted.n);
    }
    for (size_t i = 0; i < from->deleted.n; i++) intervals_add(&to->deleted, from->deleted.at[i]);
}

void tombstones_merge(
    struct tombstones *out, const struct tombstones *a, const struct tombstones *b)
{
    size_t i = 0, k = 0;
    vec_reserve(&out->at, a->at.n + b->at.n);
    while (i < a->at.n || k < b->at.n) {
        bool first = k == b->at.n || (i < a->at.n && a->at.at[i].ref <= b->at.at[k].ref);
        merge_one(out, first ? &a->at.at[i++] : &b->at.at[k++]);
    }
}

const intervals *tombstones_of(const struct tombstones *t, uint64_t ref)
{
    size_t i = place_of(t, ref);
    return i < t->at.n && t->at.at[i].ref == ref ? &t->at.at[i].deleted : NULL;
}

uint64_t tombstones_count(const struct tombstones *t)
{
    uint64_t n = 0;
    for (size_t i = 0; i < t->at.n; i++) n += t->at.at[i].deleted.n;
    return n;
}

struct record { uint64_t ref; struct interval deleted; };
typedef VEC(struct record) records;

static int record_cmp(const void *a, const void *b)
{
    uint64_t x = ((const struct record *)a)->ref, y = ((const struct record *)b)->ref;
    return (x > y) - (x < y);
}

/* The reference writes series in any order: sorted, each is the greatest when it is added. */
static bool records_decode(struct tombstones *out, str bytes)
{
    records all = { 0 };
    cursor c = cur_of(bytes);
    bool sorted = true;
    while (cur_left(&c)) {
        struct record r = { cur_uvarint(&c), { 0 } };
        r.deleted.mint = cur_varint(&c);
        r.deleted.maxt = cur_varint(&c);
        if (!cur_ok(&c)) break;
        sorted = sorted && (!all.n || all.at[all.n - 1].ref <= r.ref);
        vec_push(&all, r);
    }
    if (!sorted) qsort(all.at, all.n, sizeof(*all.at), record_cmp);
    for (size_t i = 0; i < all.n; i++) tombstones_add(out, all.at[i].ref, all.at[i].deleted);
    vec_fini(&all);
    return cur_done(&c);
}

errc block_tombstones_decode(struct tombstones *out, str file, struct err *e)
{
    if (file.n < HEAD_BYTES + CRC_BYTES)
        return err_set(e, ERR_CORRUPT, "tombstones: %zu bytes are no file", file.n);
    cursor head = cur_of(str_slice(file, 0, HEAD_BYTES)),
           tail = cur_of(str_from(file, file.n - CRC_BYTES));
    str bytes = str_slice(file, HEAD_BYTES, file.n - CRC_BYTES);
    if (cur_be32(&head) != TOMBSTONES_MAGIC)
        return err_set(e, ERR_CORRUPT, "tombstones: wrong magic number");
    uint8_t format = cur_u8(&head);
    if (format != TOMBSTONES_FORMAT)
        return err_set(e, ERR_CORRUPT, "tombstones: unknown format %u", format);
    if (cur_be32(&tail) != crc32c_str(bytes))
        return err_set(e, ERR_CORRUPT, "tombstones: wrong checksum");
    return records_decode(out, bytes)
               ? OK
               : err_set(e, ERR_CORRUPT, "tombstones: a record is cut short");
}

/* Two files with the same checksum differ in four bits at least, at these lengths: so there is one
 * bit at most that makes it right. */
errc block_tombstones_mend(struct tombstones *out, str file, struct err *e)
{
    enum { BITS = 8 };
    SCOPED(buf_fini) struct buf copy = { 0 };
    if (file.n == HEAD_BYTES + CRC_BYTES) return OK;
    errc rc = block_tombstones_decode(out, file, e);
    if (rc == OK || file.n > TOMBSTONES_MENDABLE_BYTES) return rc;
    buf_str(&copy, file);
    for (size_t bit = 0; bit < file.n * BITS; bit++) {
        tombstones_fini(out);
        copy.p[bit / BITS] ^= (uint8_t)(1u << bit % BITS);
        if (block_tombstones_decode(out, buf_view(&copy), NULL) == OK) return OK;
        copy.p[bit / BITS] ^= (uint8_t)(1u << bit % BITS);
    }
    tombstones_fini(out);
    return rc;
}

void block_tombstones_encode(struct buf *b, const struct tombstones *t)
{
    buf_be32(b, TOMBSTONES_MAGIC);
    buf_u8(b, TOMBSTONES_FORMAT);
    size_t from = b->n;
    for (size_t i = 0; i < t->at.n; i++) {
        const struct tombstone *s = &t->at.at[i];
        for (size_t k = 0; k < s->deleted.n; k++) {
            buf_uvarint(b, s->ref);
            buf_varint(b, s->deleted.at[k].mint);
            buf_varint(b, s->deleted.at[k].maxt);
        }
    }
    if (buf_ok(b)) buf_be32(b, crc32c_str(str_from(buf_view(b), from)));
}
