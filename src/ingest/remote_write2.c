#include "ingest/remote_write2.h"

#include "base/f64.h"
#include "ingest/pb_histogram.h"
#include "ingest/protobuf.h"

enum { REQ_SYMBOLS = 4, REQ_TIMESERIES = 5 };
enum { TS_REFS = 1, TS_SAMPLES, TS_HISTOGRAMS, TS_EXEMPLARS, TS_METADATA };
enum { SAMPLE_VALUE = 1, SAMPLE_TIMESTAMP, SAMPLE_START };
enum { EXEMPLAR_REFS = 1, EXEMPLAR_VALUE, EXEMPLAR_TIMESTAMP };
enum { META_TYPE = 1, META_HELP = 3, META_UNIT = 4 };
#define TYPE_LABEL S("__type__")
#define UNIT_LABEL S("__unit__")

PB_SHAPE(sample_shape, "Sample", { SAMPLE_VALUE, "Value", PB_FIXED64 },
    { SAMPLE_TIMESTAMP, "Timestamp", PB_VARINT }, { SAMPLE_START, "StartTimestamp", PB_VARINT })
PB_SHAPE(exemplar_shape, "Exemplar", { EXEMPLAR_REFS, "LabelsRefs", PB_VARINTS },
    { EXEMPLAR_VALUE, "Value", PB_FIXED64 }, { EXEMPLAR_TIMESTAMP, "Timestamp", PB_VARINT })
PB_SHAPE(metadata_shape, "Metadata", { META_TYPE, "Type", PB_VARINT },
    { META_HELP, "HelpRef", PB_VARINT }, { META_UNIT, "UnitRef", PB_VARINT })
PB_SHAPE(series_shape, "TimeSeries", { TS_REFS, "LabelsRefs", PB_VARINTS },
    { TS_SAMPLES, "Samples", PB_BYTES, &sample_shape },
    { TS_HISTOGRAMS, "Histograms", PB_BYTES, &pb_histogram_2_shape },
    { TS_EXEMPLARS, "Exemplars", PB_BYTES, &exemplar_shape },
    { TS_METADATA, "Metadata", PB_BYTES, &metadata_shape })
PB_SHAPE(request_shape, "Request", { REQ_SYMBOLS, "Symbols", PB_BYTES },
    { REQ_TIMESERIES, "Timeseries", PB_BYTES, &series_shape })

errc write2_request_read(struct write2_request *r, str body, struct arena *a, struct err *e)
{
    TRY(pb_check(body, &request_shape, e));
    *r = (struct write2_request){ .c = cur_of(body), .a = a };
    cursor c = cur_of(body);
    struct pb_field f;
    for (const uint8_t *at = c.p; pb_next(&c, &f); at = c.p) {
        if (f.number != REQ_SYMBOLS) continue;
        cursor tag = { at, c.end, false };
        (void)pb_varint(&tag);
        uint32_t head = (uint32_t)((size_t)(c.p - tag.p) - f.bytes.n);
        avec_push(
            a, &r->symbols, ((struct write2_symbol){ c.p - f.bytes.n, (uint32_t)f.bytes.n, head }));
    }
    return cur_ok(&c) ? OK : pb_error(e);
}

/* Packed numbers are read as pb_check does: until their bytes are used up, whatever the last one
 * takes of what follows. c: stands behind the field. */
static bool packed_next(cursor *c, const uint8_t *end, uint32_t *ref)
{
    if (c->p >= end || !cur_ok(c)) return false;
    *ref = (uint32_t)pb_varint(c);
    return cur_ok(c);
}

static void take_refs(struct arena *a, write2_refs *to, const struct pb_field *f, cursor *c)
{
    uint32_t ref;
    if (f->wire == PB_VARINT) avec_push(a, to, (uint32_t)f->u);
    if (f->wire != PB_BYTES) return;
    c->p = f->bytes.p;
    while (packed_next(c, f->bytes.p + f->bytes.n, &ref)) avec_push(a, to, ref);
}

/* The next field of a series; its references are passed over. */
static bool series_next(cursor *c, struct pb_field *f)
{
    uint32_t ref;
    if (!pb_next(c, f)) return false;
    if (LIKELY(f->number != TS_REFS || f->wire != PB_BYTES)) return true;
    c->p = f->bytes.p;
    while (packed_next(c, f->bytes.p + f->bytes.n, &ref)) {}
    return true;
}

static enum metric_type type_of(uint64_t n)
{
    static const enum metric_type types[] = { TYPE_UNKNOWN, TYPE_COUNTER, TYPE_GAUGE,
        TYPE_HISTOGRAM, TYPE_GAUGE_HISTOGRAM, TYPE_SUMMARY, TYPE_INFO, TYPE_STATESET };
    uint32_t i = (uint32_t)n;                  /* an enum has 32 bits */
    return i < ARRAY_LEN(types) ? types[i] : TYPE_UNKNOWN;
}

static void take_metadata(struct write2_series *s, str message)
{
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number == META_TYPE) s->type = type_of(f.u);
        else if (f.number == META_HELP) s->help_ref = (uint32_t)f.u;
        else if (f.number == META_UNIT) s->unit_ref = (uint32_t)f.u;
    }
}

void write2_series_again(struct write2_request *r, str message, struct write2_series *out)
{
    cursor c = cur_of(message);
    struct pb_field f;
    *out = (struct write2_series){ .message = message };
    r->refs.n = 0;
    for (const uint8_t *at = c.p; pb_next(&c, &f); at = c.p) {
        switch (f.number) {
        case TS_REFS: take_refs(r->a, &r->refs, &f, &c); break;
        case TS_SAMPLES:
            if (out->n_samples++ == 0) out->samples = (cursor){ at, c.end, false };
            break;
        case TS_HISTOGRAMS: out->n_histograms++; break;
        case TS_EXEMPLARS: out->n_exemplars++; break;
        case TS_METADATA: take_metadata(out, f.bytes); break;
        default: break;
        }
    }
    out->refs = r->refs.at;
    out->n_refs = r->refs.n;
}

bool write2_request_next(struct write2_request *r, struct write2_series *out)
{
    for (struct pb_field f; pb_next(&r->c, &f);) {
        if (f.number != REQ_TIMESERIES) continue;
        write2_series_again(r, f.bytes, out);
        return true;
    }
    return false;
}

bool write2_series_sample(struct write2_series *s, struct write2_sample *out)
{
    for (struct pb_field f; series_next(&s->samples, &f);) {
        if (f.number != TS_SAMPLES) continue;
        *out = (struct write2_sample){ 0 };
        cursor c = cur_of(f.bytes);
        for (struct pb_field x; pb_next(&c, &x);) {
            if (x.number == SAMPLE_VALUE) out->v = f64_of_bits(x.u);
            else if (x.number == SAMPLE_TIMESTAMP) out->t = (int64_t)x.u;
            else if (x.number == SAMPLE_START) out->st = (int64_t)x.u;
        }
        return true;
    }
    return false;
}

bool write2_series_other(cursor *c, enum write2_other kind, str *message)
{
    _Static_assert((int)WRITE2_HISTOGRAM == TS_HISTOGRAMS, "as the message has it");
    _Static_assert((int)WRITE2_EXEMPLAR == TS_EXEMPLARS, "as the message has it");
    for (struct pb_field f; series_next(c, &f);) {
        if (f.number != (uint32_t)kind) continue;
        *message = f.bytes;
        return true;
    }
    return false;
}

/* ---- from references to strings */

static str symbol_at(const struct write2_request *r, uint32_t ref)
{
    return str_of(r->symbols.at[ref].p, r->symbols.at[ref].n);
}

static errc check_refs(
    const struct write2_request *r, const uint32_t *refs, size_t n, struct err *e)
{
    if (n % 2) return err_set(e, ERR_BAD_INPUT, "invalid labelRefs length %zu", n);
    for (size_t i = 0; i < n; i += 2)
        if (refs[i] >= r->symbols.n || refs[i + 1] >= r->symbols.n)
            return err_set(e, ERR_BAD_INPUT,
                "labelRefs %" PRIu32 " (name) = %" PRIu32
                " (value) outside of symbols table (size %zu)",
                refs[i], refs[i + 1], r->symbols.n);
    return OK;
}

/* What the metadata add to the labels; false: nothing, and nothing gives way to them. */
static bool typed_labels(const struct write2_request *r, const struct write2_series *s,
    struct label add[2], size_t *n)
{
    str unit = s->unit_ref < r->symbols.n ? symbol_at(r, s->unit_ref) : STR_EMPTY;
    *n = 0;
    if (s->type != TYPE_UNKNOWN)
        add[(*n)++] = (struct label){ TYPE_LABEL, metric_type_name(s->type) };
    if (unit.n) add[(*n)++] = (struct label){ UNIT_LABEL, unit };
    return *n != 0;
}

static bool gives_way(str name) { return str_eq(name, TYPE_LABEL) || str_eq(name, UNIT_LABEL); }

errc write2_series_labels(struct write2_request *r, const struct write2_series *s, bool typed,
    struct write_labels *out, struct err *e)
{
    struct label add[2];
    size_t n = 0, n_add = 0;
    TRY(check_refs(r, s->refs, s->n_refs, e));
    struct label *at = arena_array(r->a, s->n_refs / 2 + ARRAY_LEN(add), sizeof(*at));
    typed = typed && typed_labels(r, s, add, &n_add);
    for (size_t i = 0; i < s->n_refs; i += 2) {
        struct label l = { symbol_at(r, s->refs[i]), symbol_at(r, s->refs[i + 1]) };
        if (!typed || !gives_way(l.name)) at[n++] = l;
    }
    for (size_t i = 0; i < n_add; i++) at[n++] = add[i];
    *out = write_labels_of(r->a, at, n);
    return OK;
}

errc write2_series_metadata(const struct write2_request *r, const struct write2_series *s,
    struct metadata *out, struct err *e)
{
    const struct { const char *name; uint32_t ref; } refs[] = { { "unit_ref", s->unit_ref },
        { "help_ref", s->help_ref } };
    for (size_t i = 0; i < ARRAY_LEN(refs); i++)
        if (refs[i].ref >= r->symbols.n)
            return err_set(e, ERR_BAD_INPUT,
                "metadata %s %" PRIu32 " outside of symbols table (size %zu)", refs[i].name,
                refs[i].ref, r->symbols.n);
    *out = (struct metadata){ s->type, symbol_at(r, s->unit_ref), symbol_at(r, s->help_ref) };
    return OK;
}

errc write2_exemplar(struct write2_request *r, str message, struct exemplar *out, struct err *e)
{
    struct exemplar x = { 0 };
    write2_refs refs = { 0 };
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number == EXEMPLAR_REFS) take_refs(r->a, &refs, &f, &c);
        else if (f.number == EXEMPLAR_VALUE) x.v = f64_of_bits(f.u);
        else if (f.number == EXEMPLAR_TIMESTAMP) x.t = (int64_t)f.u;
    }
    TRY(check_refs(r, refs.at, refs.n, e));
    struct label *at = arena_array(r->a, refs.n / 2, sizeof(*at));
    for (size_t i = 0; i < refs.n; i += 2)
        at[i / 2] = (struct label){ symbol_at(r, refs.at[i]), symbol_at(r, refs.at[i + 1]) };
    write_labels_sort(at, refs.n / 2);
    x.labels = (struct labels){ at, refs.n / 2 };
    x.has_t = x.t != 0;
    *out = x;
    return OK;
}

/* ---- the key */

enum { LABEL_TAG = 1 << 3 | PB_BYTES, NAME_TAG = 1 << 3 | PB_BYTES, VALUE_TAG = 2 << 3 | PB_BYTES };

static inline void put_pair(
    struct buf *key, const uint8_t *name, size_t n, const uint8_t *value, size_t m)
{
    buf_u8(key, LABEL_TAG);
    buf_uvarint(key, n + m + 2);
    uint8_t *to = buf_room(key, n + m + 2);
    if (!to) return;
    *to++ = NAME_TAG;
    memcpy(to, name, n);
    to[n] = VALUE_TAG;
    memcpy(to + n + 1, value, m);
    buf_commit(key, n + m + 2);
}

static size_t uvarint_bytes(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7) n++;
    return n;
}

static void put_added(struct buf *key, str name, str value)
{
    buf_u8(key, LABEL_TAG);
    buf_uvarint(key, 2 + uvarint_bytes(name.n) + name.n + uvarint_bytes(value.n) + value.n);
    buf_u8(key, NAME_TAG);
    buf_lenstr(key, name);
    buf_u8(key, VALUE_TAG);
    buf_lenstr(key, value);
}

bool write2_series_key(
    const struct write2_request *r, const struct write2_series *s, bool typed, struct buf *key)
{
    struct label add[2];
    size_t n_add = 0;
    buf_reset(key);
    if (s->n_refs % 2) return false;
    typed = typed && typed_labels(r, s, add, &n_add);
    for (size_t i = 0; i < s->n_refs; i += 2) {
        uint32_t name = s->refs[i], value = s->refs[i + 1];
        if (UNLIKELY(name >= r->symbols.n || value >= r->symbols.n)) return false;
        const struct write2_symbol *x = &r->symbols.at[name], *y = &r->symbols.at[value];
        if (typed && gives_way(str_of(x->p, x->n))) continue;
        put_pair(key, x->p - x->head, x->n + x->head, y->p - y->head, y->n + y->head);
    }
    for (size_t i = 0; i < n_add; i++) put_added(key, add[i].name, add[i].value);
    return buf_ok(key) && key->n > 0;
}

void write2_refs_text(struct buf *b, const uint32_t *refs, size_t n)
{
    buf_u8(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i) buf_u8(b, ' ');
        buf_u64_text(b, refs[i]);
    }
    buf_u8(b, ']');
}
