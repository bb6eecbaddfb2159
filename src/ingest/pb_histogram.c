#include "ingest/pb_histogram.h"

#include "base/f64.h"
#include "ingest/protobuf.h"

static const struct {
    const char *name;
    enum pb_wire wire;
    bool repeated;
} fields[PBH_FIELDS] = {
    [PBH_COUNT_INT] = { "CountInt", PB_VARINT, false },
    [PBH_COUNT_FLOAT] = { "CountFloat", PB_FIXED64, false },
    [PBH_SUM] = { "Sum", PB_FIXED64, false },
    [PBH_SCHEMA] = { "Schema", PB_VARINT, false },
    [PBH_ZERO_THRESHOLD] = { "ZeroThreshold", PB_FIXED64, false },
    [PBH_ZERO_INT] = { "ZeroCountInt", PB_VARINT, false },
    [PBH_ZERO_FLOAT] = { "ZeroCountFloat", PB_FIXED64, false },
    [PBH_NEG_SPANS] = { "NegativeSpans", PB_BYTES, false },
    [PBH_NEG_DELTAS] = { "NegativeDeltas", PB_VARINT, true },
    [PBH_NEG_COUNTS] = { "NegativeCounts", PB_FIXED64, true },
    [PBH_POS_SPANS] = { "PositiveSpans", PB_BYTES, false },
    [PBH_POS_DELTAS] = { "PositiveDeltas", PB_VARINT, true },
    [PBH_POS_COUNTS] = { "PositiveCounts", PB_FIXED64, true },
    [PBH_HINT] = { "ResetHint", PB_VARINT, false },
    [PBH_TIMESTAMP] = { "Timestamp", PB_VARINT, false },
    [PBH_CUSTOM] = { "CustomValues", PB_FIXED64, true },
    [PBH_START] = { "StartTimestamp", PB_VARINT, false },
};

PB_SHAPE(span_shape, "BucketSpan", { 1, "Offset", PB_VARINT }, { 2, "Length", PB_VARINT })
#define HISTOGRAM_SHAPE                                                                            \
    { PBH_COUNT_INT, "CountInt", PB_VARINT }, { PBH_COUNT_FLOAT, "CountFloat", PB_FIXED64 },       \
        { PBH_SUM, "Sum", PB_FIXED64 }, { PBH_SCHEMA, "Schema", PB_VARINT },                       \
        { PBH_ZERO_THRESHOLD, "ZeroThreshold", PB_FIXED64 },                                       \
        { PBH_ZERO_INT, "ZeroCountInt", PB_VARINT },                                               \
        { PBH_ZERO_FLOAT, "ZeroCountFloat", PB_FIXED64 },                                          \
        { PBH_NEG_SPANS, "NegativeSpans", PB_BYTES, &span_shape },                                 \
        { PBH_NEG_DELTAS, "NegativeDeltas", PB_VARINTS },                                          \
        { PBH_NEG_COUNTS, "NegativeCounts", PB_FIXED64S },                                         \
        { PBH_POS_SPANS, "PositiveSpans", PB_BYTES, &span_shape },                                 \
        { PBH_POS_DELTAS, "PositiveDeltas", PB_VARINTS },                                          \
        { PBH_POS_COUNTS, "PositiveCounts", PB_FIXED64S },                                         \
        { PBH_HINT, "ResetHint", PB_VARINT }, { PBH_TIMESTAMP, "Timestamp", PB_VARINT },           \
        { PBH_CUSTOM, "CustomValues", PB_FIXED64S }
static const struct pb_shape_field shape_fields[] = { HISTOGRAM_SHAPE };
static const struct pb_shape_field shape_2_fields[] = { HISTOGRAM_SHAPE,
    { PBH_START, "StartTimestamp", PB_VARINT } };
const struct pb_shape pb_histogram_shape = { "Histogram", shape_fields, ARRAY_LEN(shape_fields) };
const struct pb_shape pb_histogram_2_shape = { "Histogram", shape_2_fields,
    ARRAY_LEN(shape_2_fields) };

typedef VEC(struct span) spans;
typedef VEC(int64_t) words; /* integers, or the bits of floats */
struct reading {
    struct arena *a;
    struct err *e;
    bool is_float;
    struct int_histogram whole; /* all but the buckets; zero and count if integers */
    double count, zero_count;
    spans spans[2]; /* positive, negative */
    words deltas[2], counts[2], custom;
    int64_t t, st;
};

static errc take_span(struct reading *r, spans *to, str message)
{
    enum { OFFSET = 1, LENGTH = 2 };
    struct span s = { 0 };
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number != OFFSET && f.number != LENGTH) continue;
        if (f.wire != PB_VARINT)
            return pb_wrong_wire(r->e, &f, f.number == OFFSET ? "Offset" : "Length");
        if (f.number == OFFSET) s.offset = (int32_t)pb_zigzag((uint32_t)f.u);
        else s.length = (uint32_t)f.u;
    }
    if (!cur_ok(&c)) return pb_error(r->e);
    avec_push(r->a, to, s);
    return OK;
}

/* A repeated number: one, or as many as there are in a packed field. */
static errc take_numbers(struct reading *r, words *to, const struct pb_field *f, bool fixed)
{
    cursor c = cur_of(f->bytes);
    if (f->wire != PB_BYTES) {
        avec_push(r->a, to, fixed ? (int64_t)f->u : pb_zigzag(f->u));
        return OK;
    }
    while (cur_left(&c) > 0) {
        int64_t v = fixed ? (int64_t)cur_le64(&c) : pb_zigzag(cur_uvarint(&c));
        if (!cur_ok(&c)) return pb_error(r->e);
        avec_push(r->a, to, v);
    }
    return OK;
}

static errc take_scalar(struct reading *r, const struct pb_field *f)
{
    switch (f->number) {
    case PBH_COUNT_INT:
        r->whole.count = f->u;
        r->is_float = false;
        break;
    case PBH_COUNT_FLOAT:
        r->count = f64_of_bits(f->u);
        r->is_float = true;
        break;
    case PBH_SUM: r->whole.sum = f64_of_bits(f->u); break;
    case PBH_SCHEMA: r->whole.schema = (int32_t)pb_zigzag((uint32_t)f->u); break;
    case PBH_ZERO_THRESHOLD: r->whole.zero_threshold = f64_of_bits(f->u); break;
    case PBH_ZERO_INT: r->whole.zero_count = f->u; break;
    case PBH_ZERO_FLOAT: r->zero_count = f64_of_bits(f->u); break;
    case PBH_NEG_SPANS: return take_span(r, &r->spans[1], f->bytes);
    case PBH_POS_SPANS: return take_span(r, &r->spans[0], f->bytes);
    case PBH_HINT: r->whole.hint = (enum reset_hint)(f->u & 3); break;
    case PBH_START: r->st = (int64_t)f->u; break;
    default: r->t = (int64_t)f->u; break;
    }
    return OK;
}

static errc take_field(struct reading *r, const struct pb_field *f)
{
    bool packed = fields[f->number].repeated && f->wire == PB_BYTES;
    if (f->wire != fields[f->number].wire && !packed)
        return pb_wrong_wire(r->e, f, fields[f->number].name);
    switch (f->number) {
    case PBH_NEG_DELTAS: return take_numbers(r, &r->deltas[1], f, false);
    case PBH_POS_DELTAS: return take_numbers(r, &r->deltas[0], f, false);
    case PBH_NEG_COUNTS: return take_numbers(r, &r->counts[1], f, true);
    case PBH_POS_COUNTS: return take_numbers(r, &r->counts[0], f, true);
    case PBH_CUSTOM: return take_numbers(r, &r->custom, f, true);
    default: return take_scalar(r, f);
    }
}

static struct int_histogram *whole_of(struct reading *r)
{
    struct int_histogram *h = ANEW(r->a, struct int_histogram);
    struct int_histogram_side side[2];
    for (int i = 0; i < 2; i++)
        side[i] = (struct int_histogram_side){ r->spans[i].at, r->spans[i].n, r->deltas[i].at,
            r->deltas[i].n };
    *h = r->whole;
    h->pos = side[0];
    h->neg = side[1];
    h->custom = (const double *)(const void *)r->custom.at;
    h->n_custom = r->custom.n;
    return h;
}

static struct histogram *floats_of(struct reading *r)
{
    struct histogram *h = ANEW(r->a, struct histogram);
    struct histogram_side side[2];
    for (int i = 0; i < 2; i++)
        side[i] = (struct histogram_side){ r->spans[i].at, r->spans[i].n,
            (double *)(void *)r->counts[i].at, r->counts[i].n };
    *h = (struct histogram){ .hint = r->whole.hint,
        .schema = r->whole.schema,
        .zero_threshold = r->whole.zero_threshold,
        .zero_count = r->zero_count,
        .count = r->count,
        .sum = r->whole.sum,
        .pos = side[0],
        .neg = side[1],
        .custom = (const double *)(const void *)r->custom.at,
        .n_custom = r->custom.n };
    return h;
}

errc pb_histogram_decode(struct pb_histogram *out, str message, struct arena *a, struct err *e)
{
    struct reading r = { .a = a, .e = e };
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);)
        if (f.number > 0 && f.number < PBH_FIELDS) TRY(take_field(&r, &f));
    if (!cur_ok(&c)) return pb_error(e);
    *out = (struct pb_histogram){ .t = r.t, .st = r.st };
    if (r.is_float) out->floats = floats_of(&r);
    else out->whole = whole_of(&r);
    return OK;
}

/* ---- exemplars ---- */

static errc take_label(struct labels_builder *lb, str message, struct err *e)
{
    enum { NAME = 1, VALUE = 2 };
    str name = STR_EMPTY, value = STR_EMPTY;
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number != NAME && f.number != VALUE) continue;
        if (f.wire != PB_BYTES) return pb_wrong_wire(e, &f, f.number == NAME ? "Name" : "Value");
        if (f.number == NAME) name = f.bytes;
        else value = f.bytes;
    }
    if (!cur_ok(&c)) return pb_error(e);
    labels_builder_set(lb, name, value);
    return OK;
}

errc pb_exemplar_decode(struct exemplar *out, str message, struct arena *a, struct err *e)
{
    enum { LABELS = 1, VALUE = 2, TIMESTAMP = 3 };
    static const enum pb_wire wires[] = { PB_BYTES, PB_FIXED64, PB_VARINT };
    static const char *const names[] = { "Labels", "Value", "Timestamp" };
    struct exemplar x = { 0 };
    struct labels_builder lb;
    cursor c = cur_of(message);
    labels_builder_init(&lb, a);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number < LABELS || f.number > TIMESTAMP) continue;
        if (f.wire != wires[f.number - 1]) return pb_wrong_wire(e, &f, names[f.number - 1]);
        if (f.number == LABELS) TRY(take_label(&lb, f.bytes, e));
        else if (f.number == VALUE) x.v = f64_of_bits(f.u);
        else x.t = (int64_t)f.u;
    }
    if (!cur_ok(&c)) return pb_error(e);
    x.has_t = x.t != 0;
    x.labels = labels_builder_done(&lb);
    *out = x;
    return OK;
}
