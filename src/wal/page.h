/* page.h — how records lie in the pages of a segment.
 *
 * What        Cuts a stored (maybe compressed) record into fragments of 32 KiB pages, and reads
 *             fragments back.
 * Invariants  (1) A page with less than 7 free bytes is finished with zeros. (2) A fragment never
 *             crosses a page.
 *             (3) The same records at the same position give the same bytes as Prometheus writes.
 * Ownership   appends to the caller's buf; borrows when reading
 * Threads     pure functions
 * Errors      frag_next says what is wrong, in Prometheus' words
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

/* Does a stored record of n bytes have to begin a segment of its own at offset off? As Prometheus
 * decides it. */
bool page_needs_segment(uint64_t off, uint64_t segment_bytes, size_t n);

/* what was written: for the metrics; may be NULL */
struct page_counts { uint64_t fragments, bytes, pages; };

/* Appends rec as fragments, as they follow offset *off of the segment, and moves *off. flags:
 * FRAG_SNAPPY or FRAG_ZSTD or 0. */
void page_put(struct buf *out, uint64_t *off, uint8_t flags, str rec, struct page_counts *counts);

/* Zeros up to the page's end; nothing at the beginning of a page. */
void page_pad(struct buf *out, uint64_t *off);

/* One fragment, or the padding up to the end of a page. */
struct frag { uint8_t header; enum frag_type type; str data; };

enum frag_step {
    FRAG_STEP_OK,              /* out is set */
    FRAG_STEP_END,             /* nothing follows (as Prometheus' reader sees it) */
    FRAG_STEP_BAD              /* damage: e has the words */
};

/* Reads the fragment at `at` of a part of a segment that begins at a page. The part ends at the end
 * of the file, or a page or more behind `at`; a last page that is short reads as if filled with
 * zeros: `room`, FRAG_HEADER_BYTES + FRAG_MAX_BYTES of the caller's, holds such data. *next is
 * where reading goes on; after damage the position of Prometheus' reader at that point. Padding,
 * length, CRC are checked, in this order; the order of types is not. A fragment over the end of a
 * page is read as Prometheus does. */
enum frag_step frag_next(
    str part, size_t at, uint8_t *room, struct frag *out, size_t *next, struct err *e);

/* The order of the types: NULL if t may follow, else Prometheus' words. open: a record has begun
 * and not ended. */
const char *frag_order(enum frag_type t, bool open);

#endif
