/* pb_put.h — protocol buffers written field by field.
 *
 * What        The kinds of fields on the wire, and functions that append one field each. Numbers
 *             that are zero are left out, as the reference's encoder has it, but for pb_put_one;
 *             bytes are written even if there are none, but for pb_put_text.
 * Invariants  what is appended reads back as the same field
 * Ownership   borrows the buf
 * Threads     none
 * Errors      the buf's sticky flag
 * Format      protobuf.dev/programming-guides/encoding
 */
#ifndef EPI_BASE_PB_PUT_H
#define EPI_BASE_PB_PUT_H

#include "base/buf.h"
#include "base/f64.h"

enum pb_wire {
    PB_VARINT = 0,
    PB_FIXED64 = 1,
    PB_BYTES = 2,
    PB_GROUP = 3,
    PB_GROUP_END = 4,
    PB_FIXED32 = 5,
    /* in shapes alone: repeated numbers, one by one or packed */
    PB_VARINTS = 8,
    PB_FIXED64S = 9
};

static inline void pb_put_tag(struct buf *b, unsigned number, enum pb_wire wire)
{
    buf_uvarint(b, number << 3 | wire);
}

/* also when it is zero: one of a repeated field */
static inline void pb_put_one(struct buf *b, unsigned number, uint64_t v)
{
    pb_put_tag(b, number, PB_VARINT);
    buf_uvarint(b, v);
}

static inline void pb_put_u64(struct buf *b, unsigned number, uint64_t v)
{
    if (v) pb_put_one(b, number, v);
}

/* int64, int32, enum, bool */
static inline void pb_put_i64(struct buf *b, unsigned number, int64_t v)
{
    pb_put_u64(b, number, (uint64_t)v);
}

/* sint64, sint32: zigzag */
static inline void pb_put_sint(struct buf *b, unsigned number, int64_t v)
{
    if (!v) return;
    pb_put_tag(b, number, PB_VARINT);
    buf_varint(b, v);
}

/* -0 is not zero */
static inline void pb_put_f64(struct buf *b, unsigned number, double v)
{
    if (!f64_bits(v)) return;
    pb_put_tag(b, number, PB_FIXED64);
    buf_le64(b, f64_bits(v));
}

/* a field of n bytes, which the caller appends behind it */
static inline void pb_put_head(struct buf *b, unsigned number, size_t n)
{
    pb_put_tag(b, number, PB_BYTES);
    buf_uvarint(b, n);
}

static inline void pb_put_bytes(struct buf *b, unsigned number, str s)
{
    pb_put_head(b, number, s.n);
    buf_str(b, s);
}

static inline void pb_put_text(struct buf *b, unsigned number, str s)
{
    if (s.n) pb_put_bytes(b, number, s);
}

/* how many bytes buf_uvarint appends */
static inline size_t pb_uvarint_bytes(uint64_t v)
{
    size_t n = 1;
    while (v >>= 7) n++;
    return n;
}

#endif
