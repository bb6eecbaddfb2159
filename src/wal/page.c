/* page.c — see page.h
 *
 *     fragment   u8 flags and type | u16 BE length | u32 BE CRC-32C of the data as stored | data
 *     page       fragments, then zeros as soon as less than a header is free
 */
#include "wal/page.h"

#include "base/crc32c.h"
#include "base/cursor.h"

uint8_t frag_flag_of(enum compress_kind k)
{
    return k == COMPRESS_SNAPPY ? FRAG_SNAPPY : k == COMPRESS_ZSTD ? FRAG_ZSTD : 0;
}

enum compress_kind frag_compress_of(uint8_t header)
{
    return header & FRAG_SNAPPY ? COMPRESS_SNAPPY
           : header & FRAG_ZSTD ? COMPRESS_ZSTD
                                : COMPRESS_NONE;
}

bool page_needs_segment(uint64_t off, uint64_t segment_bytes, size_t n)
{
    int64_t pages = (int64_t)(segment_bytes / PAGE_BYTES), done = (int64_t)(off / PAGE_BYTES);
    int64_t room = PAGE_BYTES - (int64_t)(off % PAGE_BYTES) - FRAG_HEADER_BYTES;
    return (int64_t)n > room + FRAG_MAX_BYTES * (pages - done - 1);
}

static void put_zeros(struct buf *out, size_t n)
{
    uint8_t *at = buf_room(out, n);
    if (!at) return;
    memset(at, 0, n);
    buf_commit(out, n);
}

void page_pad(struct buf *out, uint64_t *off)
{
    size_t used = (size_t)(*off % PAGE_BYTES);
    if (used == 0) return;
    put_zeros(out, PAGE_BYTES - used);
    *off += PAGE_BYTES - used;
}

void page_put(struct buf *out, uint64_t *off, uint8_t flags, str rec, struct page_counts *counts)
{
    bool first = true;
    /* once at least: an empty record has a fragment, too */
    do {
        size_t free_bytes = PAGE_BYTES - (size_t)(*off % PAGE_BYTES);
        assert(free_bytes >= FRAG_HEADER_BYTES);
        str part = str_slice(rec, 0, free_bytes - FRAG_HEADER_BYTES);
        rec = str_from(rec, part.n);
        enum frag_type type = first   ? rec.n ? FRAG_FIRST : FRAG_FULL
                              : rec.n ? FRAG_MIDDLE
                                      : FRAG_LAST;
        buf_u8(out, (uint8_t)type | flags);
        buf_be16(out, (uint16_t)part.n);
        buf_be32(out, crc32c_str(part));
        buf_str(out, part);
        *off += FRAG_HEADER_BYTES + part.n;
        if (counts) {
            counts->fragments++;
            counts->bytes += FRAG_HEADER_BYTES + part.n;
        }
        if (free_bytes - FRAG_HEADER_BYTES - part.n < FRAG_HEADER_BYTES) {
            page_pad(out, off);
            if (counts) counts->pages++;
        }
        first = false;
    } while (rec.n > 0);
}

/* The n bytes at `at`, of which those behind the file's end but within its last page are zeros.
 * False: they run past that. */
static bool part_bytes(str part, size_t at, size_t n, uint8_t *room, str *out)
{
    size_t filled = (part.n + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    if (at > filled || n > filled - at) return false;
    *out = str_slice(part, at, at + n);
    if (out->n == n) return true;
    if (out->n) memcpy(room, out->p, out->n);
    memset(room + out->n, 0, n - out->n);
    *out = str_of(room, n);
    return true;
}

/* Prometheus reads the rest of the header or the data from a stream: with nothing left at all that
 * is the end, with too little an error. */
static enum frag_step runs_out(str part, size_t at, size_t *next, struct err *e, const char *what)
{
    size_t filled = (part.n + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    *next = filled;
    if (at >= filled) return FRAG_STEP_END;
    err_set(e, ERR_CORRUPT, "%sunexpected EOF", what);
    return FRAG_STEP_BAD;
}

static enum frag_step padding_next(
    str part, size_t at, struct frag *out, size_t *next, struct err *e)
{
    size_t end = (at / PAGE_BYTES + 1) * PAGE_BYTES;
    str zeros = str_slice(part, at, end);
    *next = end;
    /* the first byte is the header, of which only the type counts */
    for (size_t i = 1; i < zeros.n; i++) {
        if (zeros.p[i] == 0) continue;
        err_set(e, ERR_CORRUPT, "unexpected non-zero byte in padded page");
        return FRAG_STEP_BAD;
    }
    *out = (struct frag){ 0, FRAG_PAD, zeros };
    return FRAG_STEP_OK;
}

enum frag_step frag_next(
    str part, size_t at, uint8_t *room, struct frag *out, size_t *next, struct err *e)
{
    str header, data;
    if (!part_bytes(part, at, 1, room, &header)) return runs_out(part, at, next, e, "");
    if ((header.p[0] & FRAG_TYPE_MASK) == FRAG_PAD) return padding_next(part, at, out, next, e);
    if (!part_bytes(part, at, FRAG_HEADER_BYTES, room, &header))
        return runs_out(part, at + 1, next, e, "read remaining header: ");
    cursor c = cur_of(header);
    uint8_t flags = cur_u8(&c);
    size_t n = cur_be16(&c);
    uint32_t want = cur_be32(&c);
    at += FRAG_HEADER_BYTES;
    *next = at;
    if (n > FRAG_MAX_BYTES) {
        err_set(e, ERR_CORRUPT, "invalid record size %zu", n);
        return FRAG_STEP_BAD;
    }
    if (!part_bytes(part, at, n, room, &data)) return runs_out(part, at, next, e, "");
    *next = at + n;
    uint32_t got = crc32c_str(data);
    if (got != want) {
        err_set(e, ERR_CORRUPT, "unexpected checksum %" PRIx32 ", expected %" PRIx32, got, want);
        return FRAG_STEP_BAD;
    }
    *out = (struct frag){ flags, (enum frag_type)(flags & FRAG_TYPE_MASK), data };
    return FRAG_STEP_OK;
}

const char *frag_order(enum frag_type t, bool open)
{
    switch (t) {
    case FRAG_PAD: return NULL;
    case FRAG_FULL: return open ? "unexpected full record" : NULL;
    case FRAG_FIRST: return open ? "unexpected first record, dropping buffer" : NULL;
    case FRAG_MIDDLE: return open ? NULL : "unexpected middle record, dropping buffer";
    case FRAG_LAST: return open ? NULL : "unexpected last record, dropping buffer";
    }
    return "unexpected record type";
}
