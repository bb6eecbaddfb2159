#include "bucket/index_header_codec.h"

#include "base/crc32c.h"
#include "base/cursor.h"
#include "block/index_codec.h"

enum { HEADER_VERSION = 1, SECTION_MIN_BYTES = 12 }; /* length, count, CRC */

errc index_header_layout_decode(
    struct index_header_layout *out, str head, str tail, uint64_t file_bytes, struct err *e)
{
    cursor h = cur_of(head), t = cur_of(tail);
    uint32_t magic = cur_be32(&h);
    uint8_t version = cur_u8(&h);
    struct index_header_layout l = { .index_version = cur_u8(&h) };
    l.postings_end = cur_be64(&h);
    uint32_t crc = crc32c_str(str_slice(tail, 0, 16));
    l.symbols = cur_be64(&t);
    l.table = cur_be64(&t);
    uint32_t want = cur_be32(&t);
    if (!cur_done(&h) || !cur_done(&t) || magic != INDEX_HEADER_MAGIC)
        return err_set(e, ERR_CORRUPT, "it is no index-header");
    if (version != HEADER_VERSION)
        return err_set(e, ERR_UNSUPPORTED, "index-header version %u", version);
    if (l.index_version != INDEX_V2)
        return err_set(e, ERR_UNSUPPORTED, "index version %u", l.index_version);
    if (crc != want) return err_set(e, ERR_CORRUPT, "TOC: wrong checksum");
    uint64_t behind = INDEX_TOC_BYTES + INDEX_HEADER_TOC_BYTES;
    bool fits = file_bytes >= INDEX_HEADER_HEAD_BYTES + behind + 2 * SECTION_MIN_BYTES &&
                l.symbols == INDEX_HEADER_HEAD_BYTES && l.table <= file_bytes - behind &&
                l.table >= l.symbols + SECTION_MIN_BYTES &&
                file_bytes - behind - l.table >= SECTION_MIN_BYTES;
    if (!fits) return err_set(e, ERR_CORRUPT, "TOC: sections outside of the file");
    l.symbols_end = l.table;
    l.table_end = file_bytes - behind;
    *out = l;
    return OK;
}

void index_header_head_encode(struct buf *b, uint8_t index_version, uint64_t postings_end)
{
    buf_be32(b, INDEX_HEADER_MAGIC);
    buf_u8(b, HEADER_VERSION);
    buf_u8(b, index_version);
    buf_be64(b, postings_end);
}

void index_header_toc_encode(struct buf *b, uint64_t symbols, uint64_t table)
{
    size_t from = b->n;
    buf_be64(b, symbols);
    buf_be64(b, table);
    buf_be32(b, crc32c_str(str_from(buf_view(b), from)));
}
