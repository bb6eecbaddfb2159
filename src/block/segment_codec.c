#include "block/segment_codec.h"

#include "base/crc32c.h"
#include "base/cursor.h"

enum { SEGMENT_VERSION = 1, SEGMENT_PADDING = 3, CRC_BYTES = 4 };

void segment_header_encode(struct buf *b)
{
    static const uint8_t padding[SEGMENT_PADDING];
    buf_be32(b, SEGMENT_MAGIC);
    buf_u8(b, SEGMENT_VERSION);
    buf_bytes(b, padding, sizeof(padding));
}

errc segment_header_check(str file_head, struct err *e)
{
    cursor c = cur_of(file_head);
    uint32_t magic = cur_be32(&c);
    uint8_t version = cur_u8(&c);
    (void)cur_bytes(&c, SEGMENT_PADDING);
    if (!cur_ok(&c)) return err_set(e, ERR_CORRUPT, "%zu bytes are no chunk segment", file_head.n);
    if (magic != SEGMENT_MAGIC) return err_set(e, ERR_CORRUPT, "wrong magic number %08x", magic);
    if (version != SEGMENT_VERSION)
        return err_set(e, ERR_CORRUPT, "unknown chunk segment version %u", version);
    return OK;
}

void segment_record_encode(struct buf *b, uint8_t enc, str data)
{
    buf_uvarint(b, data.n);
    size_t from = b->n;
    buf_u8(b, enc);
    buf_str(b, data);
    if (buf_ok(b)) buf_be32(b, crc32c_str(str_from(buf_view(b), from)));
}

static errc length_of(cursor *c, uint64_t *n, struct err *e)
{
    const uint8_t *from = c->p;
    *n = cur_uvarint(c);
    bool good = cur_ok(c) && c->p - from <= SEGMENT_LENGTH_MAX_BYTES && *n <= UINT32_MAX;
    return good ? OK : err_set(e, ERR_CORRUPT, "a chunk's length is cut short or too great");
}

errc segment_record_bytes(str bytes, uint64_t *out, struct err *e)
{
    cursor c = cur_of(bytes);
    uint64_t n;
    TRY(length_of(&c, &n, e));
    *out = (bytes.n - cur_left(&c)) + n + SEGMENT_RECORD_EXTRA_BYTES;
    return OK;
}

errc segment_record_split(struct segment_record *out, str bytes, struct err *e)
{
    cursor c = cur_of(bytes);
    uint64_t n;
    TRY(length_of(&c, &n, e));
    str body = cur_bytes(&c, n + 1);
    uint32_t crc = cur_be32(&c);
    if (!cur_ok(&c)) return err_set(e, ERR_CORRUPT, "a chunk of %" PRIu64 " bytes is cut short", n);
    *out = (struct segment_record){ body.p[0], crc, str_from(body, 1), bytes.n - cur_left(&c) };
    return OK;
}

uint8_t segment_record_head(const struct segment_record *r)
{
    size_t head = r->used - r->data.n - CRC_BYTES, least = 2;
    for (size_t n = r->data.n; n >= 0x80; n >>= 7) least++;
    return head == least ? (uint8_t)head : 0;
}

/* What the CRC is of: the encoding stands before the data. */
static str body_of(const struct segment_record *r) { return str_of(r->data.p - 1, r->data.n + 1); }

errc segment_record_decode(struct segment_record *out, str bytes, struct err *e)
{
    TRY(segment_record_split(out, bytes, e));
    if (out->crc == crc32c_str(body_of(out))) return OK;
    return err_set(e, ERR_CORRUPT, "a chunk has the wrong checksum");
}

bool segment_data_check(str data)
{
    cursor c = cur_of(str_of(data.p + data.n, CRC_BYTES));
    return cur_be32(&c) == crc32c(0, data.p - 1, data.n + 1);
}

bool segment_records_check(const struct segment_record *r, size_t n)
{
    bool good = true;
    for (size_t i = 0; i < n; i++) good &= r[i].crc == crc32c_str(body_of(&r[i]));
    return good;
}
