/* segment_codec.h — the bytes of a chunk segment: header and records.
 *
 * What        Encodes and decodes the header, and the records of length, encoding, data and CRC.
 * Invariants  nothing outside of the slice is read
 * Ownership   decoded data borrows the bytes
 * Threads     pure functions
 * Errors      ERR_CORRUPT
 * Format      docs/format/block.md
 */
#ifndef EPI_BLOCK_SEGMENT_CODEC_H
#define EPI_BLOCK_SEGMENT_CODEC_H

#include "base/buf.h"
#include "base/err.h"

#define SEGMENT_MAGIC 0x85BD40DDu
/* extra: encoding and CRC */
enum { SEGMENT_HEADER_BYTES = 8, SEGMENT_LENGTH_MAX_BYTES = 5, SEGMENT_RECORD_EXTRA_BYTES = 5 };

/* A chunk ref: place of the segment in the sorted folder (from 0), offset of the record. */
static inline uint64_t segment_ref(uint32_t segment, uint32_t offset)
{
    return (uint64_t)segment << 32 | offset;
}
static inline uint32_t segment_of(uint64_t ref) { return (uint32_t)(ref >> 32); }
static inline uint32_t segment_offset(uint64_t ref) { return (uint32_t)ref; }

void segment_header_encode(struct buf *b);
MUST_USE errc segment_header_check(str file_head, struct err *e);

void segment_record_encode(struct buf *b, uint8_t enc, str data);
/* The length of the record that begins with these bytes (at most SEGMENT_LENGTH_MAX_BYTES are
 * looked at). */
MUST_USE errc segment_record_bytes(str bytes, uint64_t *out, struct err *e);
struct segment_record { uint8_t enc; uint32_t crc; str data; size_t used; };
/* CRC checked */
MUST_USE errc segment_record_decode(struct segment_record *out, str bytes, struct err *e);
/* The bytes in front of its data; 0: segment_record_encode() would write it otherwise. */
uint8_t segment_record_head(const struct segment_record *r);
/* CRC not checked: segment_records_check() does it. */
MUST_USE errc segment_record_split(struct segment_record *out, str bytes, struct err *e);
bool segment_records_check(const struct segment_record *r, size_t n);  /* all right? */
/* The data of a record where it lies, its encoding before it and its CRC behind: are they as they
 * were written? */
bool segment_data_check(str data);

#endif
