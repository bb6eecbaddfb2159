#include "remote/read_codec.h"

#include "base/crc32c.h"
#include "base/f64.h"
#include "ingest/protobuf.h"

#define SHAPE(name_, ...) \
    static const struct pb_shape_field name_##_fields[] = { __VA_ARGS__ }; \
    static const struct pb_shape name_ = { #name_, name_##_fields, ARRAY_LEN(name_##_fields) };
SHAPE(LabelMatcher, { 1, "Type", PB_VARINT, NULL }, { 2, "Name", PB_BYTES, NULL },
    { 3, "Value", PB_BYTES, NULL })
SHAPE(ReadHints, { 1, "StepMs", PB_VARINT, NULL }, { 2, "Func", PB_BYTES, NULL },
    { 3, "StartMs", PB_VARINT, NULL }, { 4, "EndMs", PB_VARINT, NULL },
    { 5, "Grouping", PB_BYTES, NULL }, { 6, "By", PB_VARINT, NULL },
    { 7, "RangeMs", PB_VARINT, NULL })
SHAPE(Query, { 1, "StartTimestampMs", PB_VARINT, NULL }, { 2, "EndTimestampMs", PB_VARINT, NULL },
    { 3, "Matchers", PB_BYTES, &LabelMatcher }, { 4, "Hints", PB_BYTES, &ReadHints })
SHAPE(ReadRequest, { 1, "Queries", PB_BYTES, &Query })

/* The request. */

struct wanted { VEC(int32_t) types; };

static errc read_matcher(struct matcher *out, str message, struct arena *a, struct err *e)
{
    static const enum match_type types[] = { MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE };
    cursor c = cur_of(message);
    uint64_t type = 0;
    str name = STR_EMPTY, value = STR_EMPTY;
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number == 1) type = f.u;
        else if (f.number == 2) name = f.bytes;
        else if (f.number == 3) value = f.bytes;
    }
    if ((uint32_t)type >= ARRAY_LEN(types))
        return err_set(e, ERR_BAD_INPUT, "invalid matcher type");
    return matcher_init(out, a, types[(uint32_t)type], name, value, e);
}

static void read_hints(struct read_query *q, str message)
{
    cursor c = cur_of(message);
    q->has_hints = true;
    for (struct pb_field f; pb_next(&c, &f);) {
        switch (f.number) {
        case 1: q->step = (int64_t)f.u; break;
        case 2: q->func = f.bytes; break;
        case 3: q->start = (int64_t)f.u; break;
        case 4: q->end = (int64_t)f.u; break;
        case 7: q->range = (int64_t)f.u; break;
        default: break;
        }
    }
}

static struct read_query read_query_decode(str message, struct arena *a)
{
    struct read_query q = { 0 };
    VEC(struct matcher) all = { 0 };
    struct err why = { 0 };
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        struct matcher m;
        if (f.number == 1) q.mint = (int64_t)f.u;
        else if (f.number == 2) q.maxt = (int64_t)f.u;
        else if (f.number == 4) read_hints(&q, f.bytes);
        else if (f.number == 3 && !q.bad.n) {
            if (read_matcher(&m, f.bytes, a, &why) == OK) avec_push(a, &all, m);
            else q.bad = arena_str(a, err_str(&why));
        }
    }
    q.matchers = (struct matchers){ all.at, all.n };
    return q;
}

/* Repeated, packed or not. */
static errc wanted_add(struct wanted *w, const struct pb_field *f, struct err *e)
{
    if (f->wire == PB_VARINT) {
        vec_push(&w->types, (int32_t)f->u);
        return OK;
    }
    if (f->wire != PB_BYTES) return pb_wrong_wire(e, f, "AcceptedResponseTypes");
    cursor c = cur_of(f->bytes);
    while (cur_left(&c)) vec_push(&w->types, (int32_t)cur_uvarint(&c));
    return cur_ok(&c) ? OK : pb_error(e);
}

static void choose_kind(struct read_request *r, const struct wanted *w, struct arena *a)
{
    for (size_t i = 0; i < w->types.n; i++) {
        r->kind = w->types.at[i] == READ_CHUNKS ? READ_CHUNKS : READ_SAMPLES;
        if (w->types.at[i] == READ_SAMPLES || w->types.at[i] == READ_CHUNKS) return;
    }
    if (!w->types.n) return;
    SCOPED(buf_fini) struct buf b = { 0 };
    buf_str(&b, S("server does not support any of the requested response types: ["));
    for (size_t i = 0; i < w->types.n; i++) buf_fmt(&b, i ? " %d" : "%d", w->types.at[i]);
    buf_str(&b, S("]; supported: map[SAMPLES:{} STREAMED_XOR_CHUNKS:{}]"));
    r->bad_kind = arena_str(a, buf_view(&b));
}

errc read_request_decode(struct read_request *out, str body, struct arena *a, struct err *e)
{
    struct wanted w = { 0 };
    VEC(struct read_query) all = { 0 };
    struct read_request r = { 0 };
    TRY(pb_check(body, &ReadRequest, e));
    cursor c = cur_of(body);
    errc rc = OK;
    for (struct pb_field f; rc == OK && pb_next(&c, &f);) {
        if (f.number == 1) avec_push(a, &all, read_query_decode(f.bytes, a));
        else if (f.number == 2) rc = wanted_add(&w, &f, e);
    }
    r.queries = all.at;
    r.n = all.n;
    choose_kind(&r, &w, a);
    vec_fini(&w.types);
    if (rc == OK) *out = r;
    else read_request_fini(&r);
    return rc;
}

void read_request_fini(struct read_request *r)
{
    for (size_t i = 0; i < r->n; i++) matchers_fini(r->queries[i].matchers);
    *r = (struct read_request){ 0 };
}

void read_query_strip(struct read_query *q, struct labels external)
{
    for (size_t i = 0; i < q->matchers.n; i++) {
        struct matcher *m = (struct matcher *)&q->matchers.at[i];
        for (size_t k = 0; k < external.n && m->type == MATCH_EQ; k++)
            if (str_eq(m->name, external.at[k].name) && str_eq(m->value, external.at[k].value))
                m->value = STR_EMPTY;
    }
}

/* Writing. */

static size_t text_bytes(str s) { return s.n ? 1 + pb_uvarint_bytes(s.n) + s.n : 0; }

static size_t label_bytes(const struct label *l)
{
    return text_bytes(l->name) + text_bytes(l->value);
}

static void put_labels(struct buf *b, struct labels labels)
{
    for (size_t i = 0; i < labels.n; i++) {
        pb_put_tag(b, 1, PB_BYTES);
        buf_uvarint(b, label_bytes(&labels.at[i]));
        pb_put_text(b, 1, labels.at[i].name);
        pb_put_text(b, 2, labels.at[i].value);
    }
}

/* Samples. */

void read_series_begin(struct read_series *s, struct buf *out)
{
    s->out = out;
    buf_reset(&s->samples);
    buf_reset(&s->histograms);
}

void read_series_fini(struct read_series *s)
{
    buf_fini(&s->samples);
    buf_fini(&s->histograms);
}

void read_series_float(struct read_series *s, int64_t t, double v)
{
    struct buf *b = &s->samples;
    size_t n = (f64_bits(v) ? 9 : 0) + (t ? 1 + pb_uvarint_bytes((uint64_t)t) : 0);
    pb_put_tag(b, 2, PB_BYTES);
    buf_uvarint(b, n);
    pb_put_f64(b, 1, v);
    pb_put_u64(b, 2, (uint64_t)t);
}

static void put_spans(struct buf *b, unsigned number, const struct span *at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        SCOPED(buf_fini) struct buf one = { 0 };
        pb_put_sint(&one, 1, at[i].offset);
        pb_put_u64(&one, 2, at[i].length);
        pb_put_bytes(b, number, buf_view(&one));
    }
}

static void put_deltas(struct buf *b, unsigned number, const struct int_histogram_side *side)
{
    SCOPED(buf_fini) struct buf packed = { 0 };
    for (size_t i = 0; i < side->n; i++) buf_varint(&packed, side->deltas[i]);
    if (side->n) pb_put_bytes(b, number, buf_view(&packed));
}

static void put_f64s(struct buf *b, unsigned number, const double *at, size_t n)
{
    SCOPED(buf_fini) struct buf packed = { 0 };
    for (size_t i = 0; i < n; i++) buf_le64(&packed, f64_bits(at[i]));
    if (n) pb_put_bytes(b, number, buf_view(&packed));
}

/* Members of a oneof are written also when they are 0. */
static void put_count(struct buf *b, unsigned number, uint64_t v)
{
    pb_put_tag(b, number, PB_VARINT);
    buf_uvarint(b, v);
}

static void put_count_f64(struct buf *b, unsigned number, double v)
{
    pb_put_tag(b, number, PB_FIXED64);
    buf_le64(b, f64_bits(v));
}

void read_series_whole(struct read_series *s, int64_t t, const struct int_histogram *h)
{
    SCOPED(buf_fini) struct buf m = { 0 };
    put_count(&m, PBH_COUNT_INT, h->count);
    pb_put_f64(&m, PBH_SUM, h->sum);
    pb_put_sint(&m, PBH_SCHEMA, h->schema);
    pb_put_f64(&m, PBH_ZERO_THRESHOLD, h->zero_threshold);
    put_count(&m, PBH_ZERO_INT, h->zero_count);
    put_spans(&m, PBH_NEG_SPANS, h->neg.spans, h->neg.n_spans);
    put_deltas(&m, PBH_NEG_DELTAS, &h->neg);
    put_spans(&m, PBH_POS_SPANS, h->pos.spans, h->pos.n_spans);
    put_deltas(&m, PBH_POS_DELTAS, &h->pos);
    pb_put_u64(&m, PBH_HINT, (uint64_t)h->hint);
    pb_put_u64(&m, PBH_TIMESTAMP, (uint64_t)t);
    put_f64s(&m, PBH_CUSTOM, h->custom, h->n_custom);
    pb_put_bytes(&s->histograms, 4, buf_view(&m));
}

void read_series_floats(struct read_series *s, int64_t t, const struct histogram *h)
{
    SCOPED(buf_fini) struct buf m = { 0 };
    put_count_f64(&m, PBH_COUNT_FLOAT, h->count);
    pb_put_f64(&m, PBH_SUM, h->sum);
    pb_put_sint(&m, PBH_SCHEMA, h->schema);
    pb_put_f64(&m, PBH_ZERO_THRESHOLD, h->zero_threshold);
    put_count_f64(&m, PBH_ZERO_FLOAT, h->zero_count);
    put_spans(&m, PBH_NEG_SPANS, h->neg.spans, h->neg.n_spans);
    put_f64s(&m, PBH_NEG_COUNTS, h->neg.at, h->neg.n);
    put_spans(&m, PBH_POS_SPANS, h->pos.spans, h->pos.n_spans);
    put_f64s(&m, PBH_POS_COUNTS, h->pos.at, h->pos.n);
    pb_put_u64(&m, PBH_HINT, (uint64_t)h->hint);
    pb_put_u64(&m, PBH_TIMESTAMP, (uint64_t)t);
    put_f64s(&m, PBH_CUSTOM, h->custom, h->n_custom);
    pb_put_bytes(&s->histograms, 4, buf_view(&m));
}

static size_t labels_bytes(struct labels labels)
{
    size_t sum = 0;
    for (size_t i = 0; i < labels.n; i++) {
        size_t n = label_bytes(&labels.at[i]);
        sum += 1 + pb_uvarint_bytes(n) + n;
    }
    return sum;
}

void read_series_end(struct read_series *s, struct labels labels)
{
    pb_put_tag(s->out, 1, PB_BYTES);
    buf_uvarint(s->out, labels_bytes(labels) + s->samples.n + s->histograms.n);
    put_labels(s->out, labels);
    buf_str(s->out, buf_view(&s->samples));
    buf_str(s->out, buf_view(&s->histograms));
}

void read_result_end(struct buf *response, str result) { pb_put_bytes(response, 1, result); }

/* Chunks. */

static size_t time_bytes(int64_t t) { return t ? 1 + pb_uvarint_bytes((uint64_t)t) : 0; }

static size_t chunk_bytes(const struct chunk_view *c)
{
    return time_bytes(c->mint) + time_bytes(c->maxt) + (c->enc ? 2 : 0) + text_bytes(c->data);
}

static void put_chunk(struct buf *b, const struct chunk_view *c)
{
    pb_put_tag(b, 2, PB_BYTES);
    buf_uvarint(b, chunk_bytes(c));
    pb_put_u64(b, 1, (uint64_t)c->mint);
    pb_put_u64(b, 2, (uint64_t)c->maxt);
    pb_put_u64(b, 3, c->enc);
    pb_put_text(b, 4, c->data);
}

static void put_frame(
    struct buf *out, struct labels labels, const struct chunk_view *chunks, size_t n, size_t query)
{
    SCOPED(buf_fini) struct buf message = { 0 };
    size_t series_bytes = labels_bytes(labels);
    for (size_t i = 0; i < n; i++) {
        size_t bytes = chunk_bytes(&chunks[i]);
        series_bytes += 1 + pb_uvarint_bytes(bytes) + bytes;
    }
    pb_put_tag(&message, 1, PB_BYTES);
    buf_uvarint(&message, series_bytes);
    put_labels(&message, labels);
    for (size_t i = 0; i < n; i++) put_chunk(&message, &chunks[i]);
    pb_put_u64(&message, 2, query);
    buf_uvarint(out, message.n);
    buf_be32(out, crc32c(0, message.p, message.n));
    buf_str(out, buf_view(&message));
}

size_t read_frame(struct buf *out, struct labels labels, const struct chunk_view *chunks, size_t n,
    size_t query, size_t max_bytes)
{
    int64_t left = (int64_t)max_bytes;
    size_t taken = 0;
    for (size_t i = 0; i < labels.n; i++) left -= (int64_t)label_bytes(&labels.at[i]);
    do left -= (int64_t)chunk_bytes(&chunks[taken]);
    while (++taken < n && left > 0);
    put_frame(out, labels, chunks, taken, query);
    return taken;
}
