/* index_header_codec.h — the bytes around an index-header's two tables.
 *
 * What        An index-header is the part of a block's index that a gateway keeps at hand: the
 *             symbols, and the postings offset table with the index's own TOC, as they stand
 *             there, between a head and a TOC of its own.
 * Invariants  what decodes has its sections within the file, in order, with room for their lengths
 * Ownership   values
 * Threads     pure
 * Errors      ERR_CORRUPT; ERR_UNSUPPORTED: a version, of the header or of the index
 * Format      Thanos' binary index-header, version 1:
 *             magic, 1, index version, u64 end of the postings | symbols | table, TOC of the
 *             index | u64 symbols, u64 table, CRC32C of the two
 */
#ifndef EPI_BUCKET_INDEX_HEADER_CODEC_H
#define EPI_BUCKET_INDEX_HEADER_CODEC_H

#include "base/buf.h"
#include "base/err.h"

#define INDEX_HEADER_MAGIC 0xBAAAD792u
enum { INDEX_HEADER_HEAD_BYTES = 14, INDEX_HEADER_TOC_BYTES = 20 };

struct index_header_layout {
    uint8_t index_version;
    uint64_t postings_end;           /* in the index: where the last postings list ends */
    uint64_t symbols, table;         /* where the sections begin here */
    uint64_t symbols_end, table_end; /* bytes behind the section of each; table_end: the index's
                                          TOC is behind it */
};
/* head: the first 14 bytes; tail: the last 20 */
MUST_USE errc index_header_layout_decode(
    struct index_header_layout *out, str head, str tail, uint64_t file_bytes, struct err *e);
void index_header_head_encode(struct buf *b, uint8_t index_version, uint64_t postings_end);
void index_header_toc_encode(struct buf *b, uint64_t symbols, uint64_t table);

#endif
