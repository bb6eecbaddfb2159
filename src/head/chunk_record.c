/* chunk_record.c — the bytes of chunks_head files (see chunk_disk.h)
 *
 *     file     u32 BE magic | u8 version | 3 zeros | records | zeros
 *     record   u64 BE series ref | u64 BE mint | u64 BE maxt | u8 encoding, 0x80: out of order |
 *     uvarint length | data
 *              | u32 BE CRC-32C of all that
 */
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/cursor.h"
#include "chunk/chunk.h"
#include "head/chunk_disk.h"

enum { VERSION = 1, FIXED_BYTES = 25, CRC_BYTES = 4, LENGTH_MAX = 1 << 26 };

void chunk_file_header_encode(struct buf *b)
{
    buf_be32(b, CHUNK_FILE_MAGIC);
    buf_u8(b, VERSION);
    buf_bytes(b, "\0\0\0", 3);
}

errc chunk_file_header_check(str file, struct err *e)
{
    cursor c = cur_of(file);
    if (file.n < CHUNK_FILE_HEADER_BYTES)
        return err_set(e, ERR_CORRUPT, "invalid head chunk file header: invalid size");
    uint32_t magic = cur_be32(&c);
    uint8_t version = cur_u8(&c);
    if (magic != CHUNK_FILE_MAGIC)
        return err_set(e, ERR_CORRUPT, "invalid magic number %" PRIx32, magic);
    if (version != VERSION)
        return err_set(e, ERR_CORRUPT, "invalid chunk format version %d", version);
    return OK;
}

static size_t uvarint_bytes(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7) n++;
    return n;
}

size_t chunk_record_bytes(size_t data_len)
{
    return FIXED_BYTES + uvarint_bytes(data_len) + data_len + CRC_BYTES;
}

void chunk_record_encode(struct buf *b, const struct chunk_desc *c)
{
    size_t from = b->n;
    assert(chunk_enc_known(c->enc) && c->data.n <= LENGTH_MAX);
    buf_be64(b, c->series);
    buf_be64(b, (uint64_t)c->mint);
    buf_be64(b, (uint64_t)c->maxt);
    buf_u8(b, c->enc | (c->ooo ? CHUNK_OOO_BIT : 0));
    buf_lenstr(b, c->data);
    if (buf_ok(b)) buf_be32(b, crc32c(0, b->p + from, b->n - from));
}

static bool all_zero(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i]) return false;
    return true;
}

enum chunk_step chunk_record_next(
    str bytes, size_t at, struct chunk_desc *out, size_t *next, struct err *e)
{
    str rest = str_from(bytes, at);
    cursor c = cur_of(rest);
    *next = at + CHUNK_RECORD_MIN_BYTES;
    if (rest.n < CHUNK_RECORD_MIN_BYTES) return all_zero(rest) ? CHUNK_STEP_END : CHUNK_STEP_SHORT;
    struct chunk_desc d = { .series = cur_be64(&c) };
    d.mint = (int64_t)cur_be64(&c);
    d.maxt = (int64_t)cur_be64(&c);
    uint8_t enc = cur_u8(&c);
    d.enc = enc & (uint8_t)~CHUNK_OOO_BIT;
    d.ooo = enc & CHUNK_OOO_BIT;
    uint64_t len = cur_uvarint(&c);
    if (d.series == 0 && d.mint == 0 && d.maxt == 0) return CHUNK_STEP_END;
    if (!cur_ok(&c) || len > LENGTH_MAX) {
        err_set(e, ERR_CORRUPT, "invalid length of a chunk");
        return CHUNK_STEP_BAD;
    }
    *next = at + (size_t)(c.p - rest.p) + len + CRC_BYTES;
    if (cur_left(&c) < len + CRC_BYTES) return CHUNK_STEP_SHORT;
    d.data = cur_bytes(&c, len);
    uint32_t got = crc32c(0, rest.p, (size_t)(c.p - rest.p)), want = cur_be32(&c);
    if (got != want) {
        err_set(
            e, ERR_CORRUPT, "checksum mismatch expected:%" PRIx32 ", actual:%" PRIx32, want, got);
        return CHUNK_STEP_BAD;
    }
    *out = d;
    return CHUNK_STEP_RECORD;
}
