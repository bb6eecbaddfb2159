/* protobuf.h — protocol buffers walked in place.
 *
 * What        Field by field over the bytes of one message: number, wire type, and the value as an
 *             integer or a slice. Nothing is allocated, a nested message is a slice to walk in
 *             turn, so depth is the caller's.
 * Invariants  a slice lies within its message; an unknown field costs its bytes once
 * Ownership   borrows
 * Threads     values
 * Errors      sticky in the cursor; pb_error gives the words of the reference's decoder
 * Format      protobuf.dev/programming-guides/encoding; groups are passed over
 */
#ifndef EPI_INGEST_PROTOBUF_H
#define EPI_INGEST_PROTOBUF_H

#include "base/cursor.h"
#include "base/err.h"
#include "base/pb_put.h"

/* The fields of prometheus.Histogram, which remote write (both versions) and remote read share. */
enum pb_histogram_field {
    PBH_COUNT_INT = 1,
    PBH_COUNT_FLOAT,
    PBH_SUM,
    PBH_SCHEMA,
    PBH_ZERO_THRESHOLD,
    PBH_ZERO_INT,
    PBH_ZERO_FLOAT,
    PBH_NEG_SPANS,
    PBH_NEG_DELTAS,
    PBH_NEG_COUNTS,
    PBH_POS_SPANS,
    PBH_POS_DELTAS,
    PBH_POS_COUNTS,
    PBH_HINT,
    PBH_TIMESTAMP,
    PBH_CUSTOM,
    PBH_START,                                 /* remote write 2.0 alone */
    PBH_FIELDS
};

struct pb_field { uint32_t number; enum pb_wire wire; uint64_t u; str bytes; };

/* As the reference's generated decoders read them: up to 10 bytes, bits beyond 64 are lost. */
uint64_t pb_varint_slow(cursor *c);
static inline uint64_t pb_varint(cursor *c)
{
    const uint8_t *p = c->p;
    if (LIKELY(p < c->end && p[0] < 0x80)) return *c->p++;
    if (LIKELY(c->end - p >= 2 && p[1] < 0x80)) {
        c->p += 2;
        return (p[0] & 0x7fu) | (uint64_t)p[1] << 7;
    }
    return pb_varint_slow(c);
}
static inline int64_t pb_zigzag(uint64_t u) { return (int64_t)(u >> 1 ^ -(u & 1)); }

/* of a field whose tag was read */
bool pb_next_slow(cursor *c, struct pb_field *f);

/* The next field; false at the end, or when the message is broken (then the cursor is bad). */
static inline bool pb_next(cursor *c, struct pb_field *f)
{
    if (cur_left(c) == 0) return false;
    uint64_t tag = pb_varint(c);
    f->number = (uint32_t)(tag >> 3);
    f->wire = (enum pb_wire)(tag & 7);
    if (LIKELY(f->wire == PB_BYTES && (int32_t)f->number > 0)) {
        f->bytes = cur_bytes(c, pb_varint(c));
        return cur_ok(c);
    }
    return pb_next_slow(c, f);
}

/* What a message may hold: known fields with their wire type, and what is inside of them. */
struct pb_shape;
/* inside NULL: any bytes */
struct pb_shape_field {
    uint32_t number;
    const char *name;
    enum pb_wire wire;
    const struct pb_shape *inside;
};
struct pb_shape { const char *name; const struct pb_shape_field *fields; size_t n; };
/* Rows of fields: number, name, wire, inside. */
#define PB_SHAPE(var, name_, ...)                                                                  \
    static const struct pb_shape_field var##_fields[] = { __VA_ARGS__ };                           \
    static const struct pb_shape var = { name_, var##_fields, ARRAY_LEN(var##_fields) };

/* The whole message, all that is inside included, with the words of the reference's decoder for
 * what is wrong first. Slower than a walk. */
MUST_USE errc pb_check(str message, const struct pb_shape *shape, struct err *e);

errc pb_error(struct err *e);                                  /* unexpected EOF */
errc pb_wrong_wire(struct err *e, const struct pb_field *f, const char *field);

#endif
