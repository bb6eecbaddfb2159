#include "block/tombstones_codec.h"

#include "base/crc32c.h"
#include "base/cursor.h"

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
    if (hi && t->at.at[hi - 1].ref < ref) return hi;           /* a file has them ascending */
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

errc block_tombstones_decode(struct tombstones *out, str file, struct err *e)
{
    if (file.n < HEAD_BYTES + CRC_BYTES)
        return err_set(e, ERR_CORRUPT, "tombstones: %zu bytes are no file", file.n);
    cursor head = cur_of(str_slice(file, 0, HEAD_BYTES)),
           tail = cur_of(str_from(file, file.n - CRC_BYTES));
    str records = str_slice(file, HEAD_BYTES, file.n - CRC_BYTES);
    if (cur_be32(&head) != TOMBSTONES_MAGIC)
        return err_set(e, ERR_CORRUPT, "tombstones: wrong magic number");
    uint8_t format = cur_u8(&head);
    if (format != TOMBSTONES_FORMAT)
        return err_set(e, ERR_CORRUPT, "tombstones: unknown format %u", format);
    if (cur_be32(&tail) != crc32c_str(records))
        return err_set(e, ERR_CORRUPT, "tombstones: wrong checksum");
    cursor c = cur_of(records);
    while (cur_left(&c)) {
        uint64_t ref = cur_uvarint(&c);
        int64_t mint = cur_varint(&c), maxt = cur_varint(&c);
        if (!cur_ok(&c)) break;
        tombstones_add(out, ref, (struct interval){ mint, maxt });
    }
    return cur_done(&c) ? OK : err_set(e, ERR_CORRUPT, "tombstones: a record is cut short");
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
