/* page.h — how records lie in the pages of a segment.
 *
 * What        Cuts a stored (maybe compressed) record into fragments of 32 KiB pages, and reads fragments back.
 * Invariants  (1) A page with less than 7 free bytes is finished with zeros. (2) A fragment never crosses a page.
 *             (3) The same records at the same position give the same bytes as Prometheus writes.
 * Ownership   appends to the caller's buf; borrows when reading
 * Threads     pure functions
 * Errors      page_next says what is wrong, in Prometheus' words
 * Format      docs/format/wal.md
 */
#ifndef EPI_WAL_PAGE_H
#define EPI_WAL_PAGE_H

#include "base/buf.h"
#include "base/compress.h"
#include "base/err.h"

enum { PAGE_BYTES = 32768, FRAG_HEADER_BYTES = 7, FRAG_MAX_BYTES = PAGE_BYTES - FRAG_HEADER_BYTES };
enum frag_type { FRAG_PAD, FRAG_FULL, FRAG_FIRST, FRAG_MIDDLE, FRAG_LAST };
enum { FRAG_TYPE_MASK = 0x07, FRAG_SNAPPY = 0x08, FRAG_ZSTD = 0x10 };

uint8_t frag_flag_of(enum compress_kind k);                    /* 0, FRAG_SNAPPY, FRAG_ZSTD */
enum compress_kind frag_compress_of(uint8_t header);

/* Does a stored record of n bytes have to begin a segment of its own at offset off? As Prometheus decides it. */
bool page_needs_segment(uint64_t off, uint64_t segment_bytes, size_t n);

struct page_counts { uint64_t fragments, bytes, pages; };      /* what was written: for the metrics; may be NULL */

/* Appends rec as fragments, as they follow offset *off of the segment, and moves *off. flags: FRAG_SNAPPY or FRAG_ZSTD or 0. */
void page_put(struct buf *out, uint64_t *off, uint8_t flags, str rec, struct page_counts *counts);

/* Zeros up to the page's end; nothing at the beginning of a page. */
void page_pad(struct buf *out, uint64_t *off);

/* One fragment of a page, or its padding. */
struct frag { uint8_t header; enum frag_type type; str data; uint32_t crc; };

/* Reads the fragment at `at` of a page whose bytes (up to PAGE_BYTES; what is missing reads as zeros) are given. *next is where the one
 * after it begins (PAGE_BYTES: the page is done). Errors are ERR_CORRUPT with *next at the reader's position. `room`: PAGE_BYTES of the
 * caller's, used only where data runs into the missing zeros. Type, length, padding and CRC are checked, in this order. */
MUST_USE errc page_next(str page, size_t at, uint8_t *room, struct frag *out, size_t *next, struct err *e);

#endif
