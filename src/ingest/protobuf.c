#include "ingest/protobuf.h"

enum { PB_GROUPS_MAX = 100 };

/* Passes over a group, whose fields nobody knows, to its end. */
static void pb_skip_group(cursor *c)
{
    for (int depth = 1; depth > 0 && cur_ok(c);) {
        uint64_t tag = cur_uvarint(c);
        switch ((enum pb_wire)(tag & 7)) {
        case PB_VARINT: (void)cur_uvarint(c); break;
        case PB_FIXED64: (void)cur_bytes(c, 8); break;
        case PB_BYTES: (void)cur_lenstr(c); break;
        case PB_GROUP: depth++; break;
        case PB_GROUP_END: depth--; break;
        case PB_FIXED32: (void)cur_bytes(c, 4); break;
        default: cur_fail(c); break;
        }
        if (depth > PB_GROUPS_MAX || tag >> 3 == 0) cur_fail(c);
    }
}

bool pb_next_slow(cursor *c, struct pb_field *f, uint64_t tag)
{
    f->bytes = STR_EMPTY;
    f->u = 0;
    if (tag >> 3 == 0 || tag >> 3 > UINT32_MAX) cur_fail(c);
    switch (f->wire) {
    case PB_VARINT: f->u = cur_uvarint(c); break;
    case PB_FIXED64: f->u = cur_le64(c); break;
    case PB_BYTES: f->bytes = cur_lenstr(c); break;
    case PB_GROUP: pb_skip_group(c); break;
    case PB_FIXED32: f->u = cur_le32(c); break;
    default: cur_fail(c); break;
    }
    return cur_ok(c);
}

errc pb_error(struct err *e) { return err_set(e, ERR_BAD_INPUT, "unexpected EOF"); }

errc pb_wrong_wire(struct err *e, const struct pb_field *f, const char *field)
{
    return err_set(e, ERR_BAD_INPUT, "proto: wrong wireType = %d for field %s", (int)f->wire, field);
}
