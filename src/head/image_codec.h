/* image_codec.h — the bytes of a head image: what is open in the head at a place of the log.
 *
 * What        A header names the place. Frames of series follow, each checked by itself: a series'
 *             ref, how far its closed chunks reach, and its chunks that are in no chunk file, as
 *             the bytes that would be written there. The last frame counts the others.
 * Invariants  decode(encode(x)) is x; what was cut short anywhere has no last frame
 * Ownership   decoded bytes borrow the frame; lists are the reader's
 * Threads     pure functions
 * Errors      ERR_CORRUPT: another magic or version, a wrong checksum, cut short, something left
 *             over
 * Format      docs/format/image.md
 */
#ifndef EPI_HEAD_IMAGE_CODEC_H
#define EPI_HEAD_IMAGE_CODEC_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/vec.h"
#include "head/open_chunk.h"

enum { IMAGE_HEADER_BYTES = 37, IMAGE_FRAME_BYTES = 8, IMAGE_FRAME_MAX_BYTES = 64 << 20 };

/* All of the log before segment/offset is in the image. log_crc: of the segment up to there; it
 * tells another log from this one. last_ref: none above it was given by then. */
struct image_place { uint32_t segment; uint64_t offset; uint32_t log_crc; sref last_ref; };
void image_header_encode(struct buf *b, const struct image_place *p);
MUST_USE errc image_header_decode(struct image_place *out, str header, struct err *e);

/* A frame: its length and checksum, then so many bytes. */
struct image_frame { uint32_t n, crc; };
size_t image_frame_begin(struct buf *b);       /* the mark for image_frame_end */
void image_frame_end(struct buf *b, size_t mark);
/* REQUIRES: IMAGE_FRAME_BYTES of header */
MUST_USE errc image_frame_decode(struct image_frame *out, str header, struct err *e);
MUST_USE errc image_frame_check(const struct image_frame *f, str bytes, struct err *e);

enum image_kind { IMAGE_SERIES = 1, IMAGE_END = 2 };
void image_end_encode(struct buf *b, uint64_t frames, uint64_t series);
/* *is_end false: it is a frame of series. Of the last one: does it count as many frames? */
MUST_USE errc image_kind_decode(str frame, uint64_t frames, bool *is_end, struct err *e);

/* enc IMAGE_AS_HELD: an open chunk of plain floats as the head holds it */
enum { IMAGE_AS_HELD = 0 };
struct image_chunk { uint8_t enc; int64_t maxt; str data; };   /* maxt: 0 of one as held */
/* Its times are mostly those of the one before in the frame: the longest such list is kept by who
 * writes and by who reads; both begin a frame with the zero value. */
struct image_times { unsigned n; int64_t t[RUN_MAX]; };
void image_held_encode(struct buf *b, const struct chunk_copy *c, const struct open_state *s,
    struct image_times *before);
/* *fresh: other times than before begin. Times ascend; what the rest means is not looked at. */
MUST_USE errc image_held_decode(struct chunk_copy *c, struct open_state *s,
    struct image_times *before, bool *fresh, str data, struct err *e);
struct image_series {
    sref ref;
    VEC(int64_t) closed;                       /* max times of its closed chunks */
    VEC(struct image_chunk) chunks;            /* sealed ones and the open one, in their order */
};
void image_series_fini(struct image_series *s);

/* A frame of series: put one after the other; prev: the ref before, 0 at first. */
void image_series_begin(struct buf *b);
void image_series_encode(struct buf *b, const struct image_series *s, sref *prev);
struct image_frame_iter { cursor c; sref prev; };
MUST_USE errc image_frame_iter_init(struct image_frame_iter *it, str frame, struct err *e);
/* into the lists of *out, which are used again; *got false: the end */
MUST_USE errc image_frame_next(
    struct image_frame_iter *it, struct image_series *out, bool *got, struct err *e);

#endif
