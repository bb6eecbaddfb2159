/* index_codec.h — the bytes of an index file: header, TOC, symbols, series, postings, postings
 * offset table.
 *
 * What        Encodes and decodes each section's records. Version 2 is written; 1 and 2 are read.
 *             In version 1 symbol refs are file offsets and series refs byte offsets; in version 2
 *             ordinals, and offsets / 16.
 * Invariants  a decoder reads nothing outside of the slice it is given; what it accepts it has read
 *             whole
 * Ownership   decoded strings borrow the bytes; struct index_series owns its vectors (init zero,
 *             index_series_fini)
 * Threads     pure functions
 * Errors      ERR_CORRUPT with the section's name
 * Format      docs/format/block.md
 */
#ifndef EPI_BLOCK_INDEX_CODEC_H
#define EPI_BLOCK_INDEX_CODEC_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/vec.h"
#include "model/label_num.h"

#define INDEX_MAGIC 0xBAAAD700u
enum {
    INDEX_HEADER_BYTES = 5, INDEX_TOC_BYTES = 52, INDEX_SERIES_ALIGN = 16, INDEX_POSTINGS_ALIGN = 4,
    INDEX_V1 = 1, INDEX_V2 = 2, INDEX_V3 = 3,
    INDEX_CRC_BYTES = 4,
    INDEX_UVARINT32_MAX_BYTES = 5
};

void index_header_encode(struct buf *b);
MUST_USE errc index_header_check(str file_head, uint8_t *version, struct err *e);

/* file offsets; 0: no such section */
struct index_toc {
    uint64_t symbols, series, label_indices, label_table, postings, postings_table;
};
void index_toc_encode(struct buf *b, const struct index_toc *t);
/* bytes: the last 52 */
MUST_USE errc index_toc_decode(
    struct index_toc *out, str bytes, uint64_t file_bytes, struct err *e);

/* A section of u32 length, body and CRC: gives the body of bytes, which start at the length and may
 * be longer. check: is its CRC. */
MUST_USE errc index_section_body(str bytes, bool check, str *body, struct err *e);

/* Series. Labels are pairs of symbol refs; chunks ascend. */
struct index_chunk { int64_t mint, maxt; uint64_t ref; };      /* maxt inclusive */
/* ERR_CORRUPT: where the index has this chunk lies one with samples of other times. */
MUST_USE errc index_chunk_other(const struct index_chunk *c, struct err *e);
struct index_series { label_num_list labels; VEC(struct index_chunk) chunks; };
void index_series_fini(struct index_series *s);
void index_series_encode(
    struct buf *b, struct label_nums labels, const struct index_chunk *chunks, size_t n_chunks);
/* The record at the start of bytes, which may be longer; *used: its length with CRC. labels_only:
 * chunks are left out (their bytes are still covered by the CRC). */
MUST_USE errc index_series_decode(
    struct index_series *out, str bytes, bool labels_only, size_t *used, struct err *e);
/* How long the record is whose first bytes these are; 0: even the length is cut off. */
size_t index_series_bytes(str bytes);

/* Postings: count and big-endian refs. */
/* length, body, CRC */
void index_postings_encode(struct buf *b, const uint32_t *refs, size_t n);
MUST_USE errc index_postings_decode(str body, str *refs_be, struct err *e);    /* n * 4 bytes */

/* Entries of the postings offset table; the cursor stands after the count. */
struct index_entry { str name, value; uint64_t offset; };
void index_entry_encode(struct buf *b, const struct index_entry *entry);
/* false: c->bad, or no name-value pair */
MUST_USE bool index_entry_next(cursor *c, struct index_entry *out);

#endif
