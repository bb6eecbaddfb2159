#include "ingest/protobuf.h"

uint64_t pb_varint_slow(cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = cur_u8(c);
        if (!cur_ok(c)) return 0;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) return v;
    }
    cur_fail(c);
    return 0;
}

/* Passes over a group, whose fields nobody knows, to its end. */
static void pb_skip_group(cursor *c)
{
    for (size_t depth = 1; depth > 0 && cur_ok(c);) {
        switch ((enum pb_wire)(pb_varint(c) & 7)) {
        case PB_VARINT: (void)pb_varint(c); break;
        case PB_FIXED64: (void)cur_bytes(c, 8); break;
        case PB_BYTES: (void)cur_bytes(c, pb_varint(c)); break;
        case PB_GROUP: depth++; break;
        case PB_GROUP_END: depth--; break;
        case PB_FIXED32: (void)cur_bytes(c, 4); break;
        default: cur_fail(c); break;
        }
    }
}

bool pb_next_slow(cursor *c, struct pb_field *f)
{
    f->bytes = STR_EMPTY;
    f->u = 0;
    if ((int32_t)f->number <= 0) cur_fail(c);
    switch (f->wire) {
    case PB_VARINT: f->u = pb_varint(c); break;
    case PB_FIXED64: f->u = cur_le64(c); break;
    case PB_BYTES: f->bytes = cur_bytes(c, pb_varint(c)); break;
    case PB_GROUP: pb_skip_group(c); break;
    case PB_FIXED32: f->u = cur_le32(c); break;
    default: cur_fail(c); break;
    }
    return cur_ok(c);
}

errc pb_error(struct err *e) { return err_set(e, ERR_BAD_INPUT, "unexpected EOF"); }

/* ---- checking, in the reference's words */

enum { PB_VARINT_SHIFT_END = 64 };

static errc check_varint(cursor *c, uint64_t *out, struct err *e)
{
    uint64_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (shift >= PB_VARINT_SHIFT_END)
            return err_set(e, ERR_BAD_INPUT, "proto: integer overflow");
        if (cur_left(c) == 0) return pb_error(e);
        uint8_t b = cur_u8(c);
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) break;
    }
    *out = v;
    return OK;
}

static errc check_bytes(cursor *c, uint64_t n, str *out, struct err *e)
{
    if ((int64_t)n < 0)
        return err_set(e, ERR_BAD_INPUT, "proto: negative length found during unmarshaling");
    if (n > cur_left(c)) return pb_error(e);
    *out = cur_bytes(c, n);
    return OK;
}

static errc check_value(cursor *c, unsigned wire, str *bytes, struct err *e)
{
    uint64_t n;
    *bytes = STR_EMPTY;
    switch (wire) {
    case PB_VARINT: return check_varint(c, &n, e);
    case PB_FIXED64: return check_bytes(c, 8, bytes, e);
    case PB_FIXED32: return check_bytes(c, 4, bytes, e);
    case PB_BYTES: TRY(check_varint(c, &n, e)); return check_bytes(c, n, bytes, e);
    default: return err_set(e, ERR_BAD_INPUT, "proto: illegal wireType %u", wire);
    }
}

/* A field that nobody knows; a group with all that is in it. */
static errc check_unknown(cursor *c, unsigned wire, struct err *e)
{
    str bytes;
    if (wire != PB_GROUP) return check_value(c, wire, &bytes, e);
    for (int depth = 1; depth > 0;) {
        uint64_t tag;
        if (cur_left(c) == 0) return pb_error(e);
        TRY(check_varint(c, &tag, e));
        wire = (unsigned)(tag & 7);
        if (wire == PB_GROUP) depth++;
        else if (wire == PB_GROUP_END) depth--;
        else TRY(check_value(c, wire, &bytes, e));
    }
    return OK;
}

/* Repeated numbers. Packed ones are read as the reference does it: until the packed bytes are used
 * up, whatever the last one takes of what follows. */
static errc check_numbers(
    cursor *c, const struct pb_shape_field *f, unsigned wire, struct err *e)
{
    str bytes;
    unsigned one = f->wire == PB_VARINTS ? PB_VARINT : PB_FIXED64;
    if (wire == one) return check_value(c, wire, &bytes, e);
    if (wire != PB_BYTES)
        return err_set(e, ERR_BAD_INPUT, "proto: wrong wireType = %u for field %s", wire, f->name);
    TRY(check_value(c, wire, &bytes, e));
    const uint8_t *end = bytes.p + bytes.n;
    for (c->p = bytes.p; c->p < end;) TRY(check_value(c, one, &bytes, e));
    return OK;
}

errc pb_check(str message, const struct pb_shape *shape, struct err *e)
{
    cursor c = cur_of(message);
    while (cur_left(&c)) {
        uint64_t tag;
        TRY(check_varint(&c, &tag, e));
        int32_t number = (int32_t)(uint32_t)(tag >> 3);
        unsigned wire = (unsigned)(tag & 7);
        if (wire == PB_GROUP_END)
            return err_set(
                e, ERR_BAD_INPUT, "proto: %s: wiretype end group for non-group", shape->name);
        if (number <= 0)
            return err_set(e, ERR_BAD_INPUT,
                "proto: %s: illegal tag %" PRId32 " (wire type %" PRIu64 ")", shape->name, number,
                tag);
        const struct pb_shape_field *f = NULL;
        for (size_t i = 0; i < shape->n && !f; i++)
            if (shape->fields[i].number == (uint32_t)number) f = &shape->fields[i];
        if (!f) {
            TRY(check_unknown(&c, wire, e));
            continue;
        }
        if (f->wire >= PB_VARINTS) {
            TRY(check_numbers(&c, f, wire, e));
            continue;
        }
        if (wire != f->wire)
            return err_set(
                e, ERR_BAD_INPUT, "proto: wrong wireType = %u for field %s", wire, f->name);
        str bytes;
        TRY(check_value(&c, wire, &bytes, e));
        if (f->inside) TRY(pb_check(bytes, f->inside, e));     /* shapes are not recursive */
    }
    return OK;
}

errc pb_wrong_wire(struct err *e, const struct pb_field *f, const char *field)
{
    return err_set(
        e, ERR_BAD_INPUT, "proto: wrong wireType = %d for field %s", (int)f->wire, field);
}
