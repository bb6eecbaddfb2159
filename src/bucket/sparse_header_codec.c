#include "bucket/sparse_header_codec.h"

#include "base/compress.h"
#include "base/cursor.h"
#include "base/pb_put.h"

#include <stdlib.h>

enum { SECTION_HEAD_BYTES = 8, /* the first string or entry is behind it */
    LEVEL = 1 /* of gzip: written once a block, and small */ };

void sparse_header_fini(struct sparse_header *s)
{
    vec_fini(&s->symbols);
    vec_fini(&s->names);
    vec_fini(&s->places);
    vec_fini(&s->values);
}

/* ---- reading */

/* What stands in one field: v, or bytes. */
struct field {
    unsigned number, wire;
    uint64_t v;
    str bytes;
};
static bool field_is(const struct field *f, unsigned number, unsigned wire)
{
    return f->number == number && f->wire == wire;
}

/* The next field of a message; false: its end, or c->bad. */
static bool field_next(cursor *c, struct field *f)
{
    if (!cur_left(c)) return false;
    uint64_t tag = cur_uvarint(c);
    *f = (struct field){ .number = (unsigned)(tag >> 3), .wire = (unsigned)(tag & 7) };
    if (f->wire == PB_VARINT) f->v = cur_uvarint(c);
    else if (f->wire == PB_BYTES) f->bytes = cur_lenstr(c);
    else if (f->wire == PB_FIXED64) f->v = cur_le64(c);
    else if (f->wire == PB_FIXED32) f->v = cur_le32(c);
    else cur_fail(c);
    if (tag >> 3 == 0 || tag >> 32) cur_fail(c);
    return cur_ok(c);
}

static bool place_push(struct sparse_header *s, bool symbol, uint64_t v)
{
    if (v < SECTION_HEAD_BYTES || v > UINT32_MAX) return false;
    if (symbol) {
        if (s->symbols.n && vec_last(&s->symbols) >= v) return false;
        vec_push(&s->symbols, (uint32_t)v);
    } else vec_push(&s->places, (uint32_t)v);
    return true;
}

static bool symbols_read(struct sparse_header *s, str message)
{
    cursor c = cur_of(message);
    struct field f;
    bool good = true;
    while (good && field_next(&c, &f)) {
        if (field_is(&f, 2, PB_VARINT)) s->n_symbols = f.v;
        if (field_is(&f, 1, PB_VARINT)) good = place_push(s, true, f.v);
        if (!field_is(&f, 1, PB_BYTES)) continue;
        cursor packed = cur_of(f.bytes);
        while (good && cur_left(&packed))
            good = place_push(s, true, cur_uvarint(&packed)) && cur_ok(&packed);
    }
    return good && cur_ok(&c);
}

/* PostingValueOffsets: its values and their places. */
static bool offsets_read(struct sparse_header *s, str message, struct arena *a)
{
    cursor c = cur_of(message);
    struct field f;
    bool good = true;
    while (good && field_next(&c, &f)) {
        if (!field_is(&f, 1, PB_BYTES)) continue;
        cursor one = cur_of(f.bytes);
        uint64_t place = 0;
        str value = STR_EMPTY;
        while (field_next(&one, &f)) {
            if (field_is(&f, 1, PB_BYTES)) value = f.bytes;
            if (field_is(&f, 2, PB_VARINT)) place = f.v;
        }
        good = cur_ok(&one) && place_push(s, false, place);
        if (good) vec_push(&s->values, arena_str(a, value));
    }
    return good && cur_ok(&c);
}

static bool name_read(struct sparse_header *s, str entry, struct arena *a)
{
    cursor c = cur_of(entry);
    struct field f;
    str name = STR_EMPTY, offsets = STR_EMPTY;
    while (field_next(&c, &f)) {
        if (field_is(&f, 1, PB_BYTES)) name = f.bytes;
        if (field_is(&f, 2, PB_BYTES)) offsets = f.bytes;
    }
    struct sparse_name n = { .first = (uint32_t)s->places.n };
    if (!cur_ok(&c) || !offsets_read(s, offsets, a)) return false;
    n.n = (uint32_t)s->places.n - n.first;
    n.name = arena_str(a, name);
    if (n.n) vec_push(&s->names, n);
    return true;
}

static bool table_read(struct sparse_header *s, str message, struct arena *a)
{
    cursor c = cur_of(message);
    struct field f;
    bool good = true;
    while (good && field_next(&c, &f)) {
        if (field_is(&f, 1, PB_BYTES)) good = name_read(s, f.bytes, a);
        if (field_is(&f, 2, PB_VARINT)) s->sampling = (int64_t)f.v;
    }
    return good && cur_ok(&c);
}

static int by_name(const void *x, const void *y)
{
    return str_cmp(((const struct sparse_name *)x)->name, ((const struct sparse_name *)y)->name);
}

/* The message is a map: its names come in any order. Places are put in theirs. */
static bool names_tidy(struct sparse_header *s)
{
    VEC(uint32_t) all = { 0 };
    str_list values = { 0 };
    bool good = true;
    if (s->names.n) qsort(s->names.at, s->names.n, sizeof(*s->names.at), by_name);
    for (size_t i = 0; good && i < s->names.n; i++) {
        struct sparse_name *n = &s->names.at[i];
        good = !i || str_cmp(n[-1].name, n->name) < 0;
        uint32_t first = (uint32_t)all.n;
        for (uint32_t k = 0; good && k < n->n; k++) {
            uint32_t place = s->places.at[n->first + k];
            good = !all.n || vec_last(&all) < place;
            vec_push(&all, place);
            vec_push(&values, s->values.at[n->first + k]);
        }
        n->first = first;
    }
    vec_fini(&s->places);
    vec_fini(&s->values);
    s->values = values;
    s->places.at = all.at;
    s->places.n = all.n;
    s->places.cap = all.cap;
    return good;
}

static bool sparse_read(struct sparse_header *s, str message, struct arena *a)
{
    cursor c = cur_of(message);
    struct field f;
    bool good = true;
    while (good && field_next(&c, &f)) {
        if (field_is(&f, 1, PB_BYTES)) good = symbols_read(s, f.bytes);
        if (field_is(&f, 2, PB_BYTES)) good = table_read(s, f.bytes, a);
    }
    uint64_t want = (s->n_symbols + SPARSE_SYMBOL_STEP - 1) / SPARSE_SYMBOL_STEP;
    return good && cur_ok(&c) && s->n_symbols <= UINT32_MAX && s->symbols.n == want &&
           names_tidy(s);
}

errc sparse_header_decode(struct sparse_header *out, str file, struct arena *a, struct err *e)
{
    SCOPED(buf_fini) struct buf plain = { 0 };
    struct sparse_header s = { 0 };
    TRY(compress_unpack(&plain, COMPRESS_GZIP, file, SPARSE_HEADER_BYTES_MAX, e));
    if (sparse_read(&s, buf_view(&plain), a)) return *out = s, OK;
    sparse_header_fini(&s);
    return err_set(e, ERR_CORRUPT, "the sparse index-header does not decode");
}

/* ---- writing */

struct name_bufs {
    struct buf one, offsets, entry;
};

static errc put_name(struct buf *table, const struct sparse_header *s, const struct sparse_name *n,
    uint64_t end, struct name_bufs *b,
    errc (*value_of)(void *ctx, uint32_t place, str *value, struct err *e), void *ctx,
    struct err *e)
{
    buf_reset(&b->offsets);
    buf_reset(&b->entry);
    for (uint32_t k = 0; k < n->n; k++) {
        uint32_t place = s->places.at[n->first + k];
        str value;
        TRY(value_of(ctx, place, &value, e));
        buf_reset(&b->one);
        pb_put_bytes(&b->one, 1, value);
        pb_put_u64(&b->one, 2, place);
        pb_put_bytes(&b->offsets, 1, buf_view(&b->one));
    }
    pb_put_u64(&b->offsets, 2, end);
    pb_put_bytes(&b->entry, 1, n->name);
    pb_put_bytes(&b->entry, 2, buf_view(&b->offsets));
    pb_put_bytes(table, 1, buf_view(&b->entry));
    return OK;
}

errc sparse_header_encode(struct buf *out, const struct sparse_header *s, const uint64_t *ends,
    errc (*value_of)(void *ctx, uint32_t place, str *value, struct err *e), void *ctx,
    struct err *e)
{
    SCOPED(buf_fini) struct buf packed = { 0 }, symbols = { 0 }, table = { 0 }, all = { 0 };
    struct name_bufs b = { 0 };
    errc rc = OK;
    for (size_t i = 0; i < s->symbols.n; i++)
        buf_uvarint(&packed, s->symbols.at[i]);
    pb_put_bytes(&symbols, 1, buf_view(&packed));
    pb_put_u64(&symbols, 2, s->n_symbols);
    for (size_t i = 0; rc == OK && i < s->names.n; i++)
        rc = put_name(&table, s, &s->names.at[i], ends[i], &b, value_of, ctx, e);
    pb_put_u64(&table, 2, (uint64_t)s->sampling);
    pb_put_bytes(&all, 1, buf_view(&symbols));
    pb_put_bytes(&all, 2, buf_view(&table));
    buf_fini(&b.one);
    buf_fini(&b.offsets);
    buf_fini(&b.entry);
    return rc == OK ? compress_pack(out, COMPRESS_GZIP, buf_view(&all), LEVEL, e) : rc;
}
