/* segments.h — the chunk segments of a block, read by chunk ref.
 *
 * What        Opens all files of chunks/ whose names are numbers, in their order; pins a chunk's
 *             bytes.
 * Invariants  opened means: every file has the right header; of those far away (reader_far) it is
 *             not read. Each chunk's CRC is checked when it is pinned.
 * Ownership   segments_open allocates, segments_close frees (REQUIRES: no pins). A pin borrows
 *             until its unpin.
 * Threads     any, once open
 * Errors      ERR_CORRUPT (file and offset), ERR_IO; a ref to a segment that is not there is
 *             ERR_CORRUPT
 * Format      segment_codec.h
 */
#ifndef EPI_BLOCK_SEGMENTS_H
#define EPI_BLOCK_SEGMENTS_H

#include "base/findings.h"
#include "block/segment_codec.h"
#include "io/reader.h"

struct segments;
MUST_USE errc segments_open(struct segments **out, struct fs *fs, str dir, enum io_backend backend,
    enum io_pattern pattern, struct err *e);
/* For who looks at damage: a file's number is its place whatever is missing before it, and one
 * without the right header is read all the same. */
MUST_USE errc segments_open_damaged(struct segments **out, struct fs *fs, str dir,
    enum io_backend backend, struct findings *f, struct err *e);
void segments_close(struct segments *s);                       /* NULL is fine */
size_t segments_count(const struct segments *s);
uint64_t segments_bytes(const struct segments *s);             /* of all files */
/* of one; 0: it is missing */
uint64_t segments_size(const struct segments *s, uint32_t segment);

struct segment_pin { uint8_t enc; str data; struct pin pin; };
/* What does not check is read anew first, where that may help (reader_again). */
MUST_USE errc segments_pin(
    struct segments *s, uint64_t ref, struct segment_pin *out, struct err *e);
/* ERR_IO: throw away what was decoded; the zero pin is fine */
MUST_USE errc segments_unpin(struct segment_pin *p, struct err *e);

/* The chunks from the first of these refs to the last, which lie in one segment, will be pinned
 * soon: io/reader's reader_want. */
void segments_want(struct segments *s, uint64_t first, uint64_t last);
bool segments_wants(const struct segments *s);                 /* it means something */

/* Chunks that follow each other, as those of a series do, at one go: from the first of them to the
 * last, which lie in one segment. Both refs and those between are asked for one by one. */
struct segment_run { uint64_t first; struct pin pin; };
MUST_USE errc segments_pin_run(
    struct segments *s, uint64_t first, uint64_t last, struct segment_run *out, struct err *e);
/* The same, with what lies behind, for who reads on: SEGMENT_WIDE_BYTES, or as many as the reader
 * has in one piece. */
enum { SEGMENT_WIDE_BYTES = 64 << 10 };
bool segments_far(const struct segments *s);                   /* reader_far */
MUST_USE errc segments_pin_wide(
    struct segments *s, uint64_t first, uint64_t last, struct segment_run *out, struct err *e);
/* Are all of these in it, whole? */
bool segment_run_holds(const struct segment_run *r, uint64_t first, uint64_t last);
MUST_USE errc segment_run_chunk(
    const struct segment_run *r, uint64_t ref, struct segment_record *out, struct err *e);
/* The same, but its CRC is not checked: segment_records_check(). */
MUST_USE errc segment_run_split(
    const struct segment_run *r, uint64_t ref, struct segment_record *out, struct err *e);
MUST_USE errc segments_unpin_run(struct segment_run *r, struct err *e);

#endif
