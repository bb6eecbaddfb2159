/* record.c — see record.h
 *
 * Each decoder reads straight through with a cursor into the caller's batch and asks once at the
 * end: what a hostile record may do is fill the batch with nonsense that is then thrown away.
 * Counts are bounded by the bytes that are left before anything is reserved.
 */
#include "wal/record.h"

#include "base/f64.h"

enum { HISTOGRAM_CUSTOM = -53, MARK_NO_ST = 0, MARK_SAME_ST = 1, MARK_ST = 2 };

static const str names[REC_TYPES] = {
    [REC_NONE] = S("unknown"),
    [REC_SERIES] = S("series"),
    [REC_SAMPLES] = S("samples"),
    [REC_TOMBSTONES] = S("tombstones"),
    [REC_EXEMPLARS] = S("exemplars"),
    [REC_MMAP_MARKERS] = S("mmapmarkers"),
    [REC_METADATA] = S("metadata"),
    [REC_HISTOGRAMS] = S("histogram_samples"),
    [REC_FLOAT_HISTOGRAMS] = S("float_histogram_samples"),
    [REC_CUSTOM_HISTOGRAMS] = S("custom_buckets_histogram_samples"),
    [REC_CUSTOM_FLOAT_HISTOGRAMS] = S("custom_buckets_float_histogram_samples"),
    [REC_SAMPLES_V2] = S("samples_v2"),
    [REC_HISTOGRAMS_V2] = S("histogram_samples_v2"),
    [REC_FLOAT_HISTOGRAMS_V2] = S("float_histogram_samples_v2"),
};
_Static_assert(REC_TYPES == 14, "a new type needs a name, a kind and a codec");

enum rec_kind rec_kind_of(enum rec_type t)
{
    static const uint8_t kinds[REC_TYPES] = {
        [REC_SERIES] = KIND_SERIES,
        [REC_SAMPLES] = KIND_SAMPLES,
        [REC_TOMBSTONES] = KIND_TOMBSTONES,
        [REC_EXEMPLARS] = KIND_EXEMPLARS,
        [REC_MMAP_MARKERS] = KIND_MARKERS,
        [REC_METADATA] = KIND_METADATA,
        [REC_HISTOGRAMS] = KIND_HISTOGRAMS,
        [REC_FLOAT_HISTOGRAMS] = KIND_HISTOGRAMS,
        [REC_CUSTOM_HISTOGRAMS] = KIND_HISTOGRAMS,
        [REC_CUSTOM_FLOAT_HISTOGRAMS] = KIND_HISTOGRAMS,
        [REC_SAMPLES_V2] = KIND_SAMPLES,
        [REC_HISTOGRAMS_V2] = KIND_HISTOGRAMS,
        [REC_FLOAT_HISTOGRAMS_V2] = KIND_HISTOGRAMS,
    };
    return t < REC_TYPES ? (enum rec_kind)kinds[t] : KIND_NONE;
}

str record_type_name(enum rec_type t) { return t < REC_TYPES ? names[t] : names[REC_NONE]; }

static errc wrong_type(str rec, struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "%s: wrong record type %d", what, rec.n ? rec.p[0] : -1);
}
static errc cut_short(struct err *e, const char *what, size_t n)
{
    return err_set(e, ERR_CORRUPT, "%s: cut short after %zu", what, n);
}
/* a hostile delta wraps, never traps */
static inline uint64_t add(uint64_t base, int64_t delta) { return base + (uint64_t)delta; }

/* ---- series ---- */

typedef VEC(struct label) label_vec;

/* The pairs of one series, pushed on `pairs`; how many. Bounded before it reserves: a pair takes
 * two bytes at least. */
static size_t labels_decode(cursor *c, label_vec *pairs)
{
    uint64_t n = cur_uvarint(c);
    if (n > REC_LABELS_MAX || n > cur_left(c) / 2) {
        cur_fail(c);
        return 0;
    }
    vec_reserve(pairs, pairs->n + n);
    for (uint64_t i = 0; i < n; i++) {
        str name = cur_lenstr(c), value = cur_lenstr(c);
        pairs->at[pairs->n++] = (struct label){ name, value };
    }
    return (size_t)n;
}

static void labels_encode(struct buf *b, struct labels l)
{
    buf_uvarint(b, l.n);
    for (size_t i = 0; i < l.n; i++) {
        buf_lenstr(b, l.at[i].name);
        buf_lenstr(b, l.at[i].value);
    }
}

errc series_decode(struct ref_seriess *out, str rec, struct err *e)
{
    cursor c = cur_of(rec);
    label_vec pairs = { out->pairs.at, 0, out->pairs.cap };
    size_t done = 0;
    out->all.n = out->pairs.n = 0;
    if (cur_u8(&c) != REC_SERIES) return wrong_type(rec, e, "series");
    while (cur_left(&c) > 0) {
        sref ref = cur_be64(&c);
        const uint8_t *from = c.p;
        size_t n = labels_decode(&c, &pairs);
        struct ref_series s = { ref, { NULL, n }, str_of(from, (size_t)(c.p - from)) };
        if (cur_ok(&c)) vec_push(&out->all, s);
    }
    out->pairs.at = pairs.at;
    out->pairs.n = pairs.n;
    out->pairs.cap = pairs.cap;
    if (!cur_done(&c)) {
        size_t n = out->all.n;
        out->all.n = 0;
        return cut_short(e, "series", n);
    }
    for (size_t i = 0; i < out->all.n; i++) {                  /* the array has stopped moving */
        out->all.at[i].labels.at = out->pairs.at + done;
        done += out->all.at[i].labels.n;
    }
    return OK;
}

void ref_seriess_fini(struct ref_seriess *s)
{
    vec_fini(&s->all);
    vec_fini(&s->pairs);
}

void series_encode_type(struct buf *b) { buf_u8(b, REC_SERIES); }

void series_encode(struct buf *b, sref ref, struct labels l)
{
    buf_be64(b, ref);
    labels_encode(b, l);
}

/* ---- samples ---- */

enum { SAMPLE_MIN_BYTES = 10, SAMPLE_V2_MIN_BYTES = 11 };

/* A varint of up to three bytes, as the distances of one batch are. False: it has more. REQUIRES:
 * three bytes can be read */
static inline bool short_varint(const uint8_t **at, uint64_t *v)
{
    const uint8_t *p = *at;
    uint32_t u = p[0];
    *at = p + 1;
    if (UNLIKELY(u >= 0x80)) {
        u = (u & 0x7f) | (uint32_t)(p[1] & 0x7f) << 7;
        *at = p + 2;
        if (UNLIKELY(p[1] >= 0x80)) {
            if (p[2] >= 0x80) return false;
            u |= (uint32_t)p[2] << 14;
            *at = p + 3;
        }
    }
    *v = (uint64_t)(u >> 1) ^ -(uint64_t)(u & 1);
    return true;
}

/* The samples from c on, as long as all of them is short and not near the end. */
static struct ref_sample *samples_short(struct ref_sample *to, cursor *c, sref ref0, uint64_t t0)
{
    const uint8_t *p = c->p;
    while ((size_t)(c->end - p) >= SAMPLE_MAX_BYTES) {
        uint64_t ref, t, v;
        const uint8_t *q = p;
        if (!short_varint(&q, &ref) || !short_varint(&q, &t)) break;
        memcpy(&v, q, sizeof(v));
        p = q + sizeof(v);
        v = __builtin_bswap64(v);
        *to++ = (struct ref_sample){ ref0 + ref, (int64_t)(t0 + t), f64_of_bits(v), 0 };
    }
    cur_bytes(c, (size_t)(p - c->p));
    return to;
}

static errc samples_v1(ref_samples *out, cursor c, struct err *e)
{
    /* a commit of no samples writes only the type */
    if (cur_done(&c)) return OK;
    sref ref0 = cur_be64(&c);
    uint64_t t0 = cur_be64(&c);
    vec_reserve(out, cur_left(&c) / SAMPLE_MIN_BYTES);
    struct ref_sample *to = out->at;
    while (cur_left(&c) > 0) {
        to = samples_short(to, &c, ref0, t0);
        if (!cur_left(&c)) break;
        sref ref = add(ref0, cur_varint(&c));
        uint64_t t = add(t0, cur_varint(&c));
        uint64_t v = cur_be64(&c);
        if (!cur_ok(&c)) break;
        *to++ = (struct ref_sample){ ref, (int64_t)t, f64_of_bits(v), 0 };
    }
    if (!cur_done(&c)) return cut_short(e, "samples", (size_t)(to - out->at));
    out->n = (size_t)(to - out->at);
    return OK;
}

/* What all v2 records share: ref to the one before, t and st to the first. */
struct v2 { sref ref; uint64_t t0, st0; int64_t st; bool begun; };

static void v2_read(struct v2 *s, cursor *c, sref *ref, int64_t *t, int64_t *st)
{
    s->ref = add(s->ref, cur_varint(c));
    *ref = s->ref;
    if (!s->begun) {
        s->t0 = (uint64_t)cur_varint(c);
        s->st0 = (uint64_t)cur_varint(c);
        *t = (int64_t)s->t0;
        *st = s->st = (int64_t)s->st0;
        s->begun = true;
        return;
    }
    *t = (int64_t)add(s->t0, cur_varint(c));
    uint8_t mark = cur_u8(c);
    if (mark == MARK_NO_ST) s->st = 0;
    else if (mark != MARK_SAME_ST) s->st = (int64_t)add(s->st0, cur_varint(c));
    *st = s->st;
}

static void v2_write(struct v2 *s, struct buf *b, sref ref, int64_t t, int64_t st)
{
    buf_varint(b, (int64_t)(ref - s->ref));
    s->ref = ref;
    if (!s->begun) {
        *s = (struct v2){ ref, (uint64_t)t, (uint64_t)st, st, true };
        buf_varint(b, t);
        buf_varint(b, st);
        return;
    }
    buf_varint(b, (int64_t)((uint64_t)t - s->t0));
    if (st == 0) {
        buf_u8(b, MARK_NO_ST);
    } else if (st == s->st) {
        buf_u8(b, MARK_SAME_ST);
    } else {
        buf_u8(b, MARK_ST);
        buf_varint(b, (int64_t)((uint64_t)st - s->st0));
    }
    s->st = st;
}

static errc samples_v2(ref_samples *out, cursor c, struct err *e)
{
    struct v2 s = { 0 };
    vec_reserve(out, cur_left(&c) / SAMPLE_V2_MIN_BYTES + 1);
    struct ref_sample *to = out->at;
    while (cur_left(&c) > 0) {
        struct ref_sample x = { 0 };
        v2_read(&s, &c, &x.ref, &x.t, &x.st);
        x.v = f64_of_bits(cur_be64(&c));
        if (!cur_ok(&c)) break;
        *to++ = x;
    }
    if (!cur_done(&c)) return cut_short(e, "samples", (size_t)(to - out->at));
    out->n = (size_t)(to - out->at);
    return OK;
}

errc samples_decode(ref_samples *out, str rec, struct err *e)
{
    cursor c = cur_of(rec);
    out->n = 0;
    switch (cur_u8(&c)) {
    case REC_SAMPLES: return samples_v1(out, c, e);
    case REC_SAMPLES_V2: return samples_v2(out, c, e);
    default: return wrong_type(rec, e, "samples");
    }
}

uint8_t *samples_begin(struct samples_start *s, uint8_t *p, sref ref, int64_t t)
{
    const uint64_t two[] = { __builtin_bswap64(ref), __builtin_bswap64((uint64_t)t) };
    *s = (struct samples_start){ ref, t, true };
    *p = REC_SAMPLES;
    memcpy(p + 1, two, sizeof(two));
    return p + SAMPLES_HEAD_BYTES;
}

void samples_encode(struct buf *b, const struct ref_sample *at, size_t n)
{
    enum { PIECE = 512 };
    struct samples_start s = { 0 };
    if (n == 0) buf_u8(b, REC_SAMPLES);
    for (size_t i = 0; i < n;) {
        size_t stop = MIN(n, i + PIECE);
        uint8_t *from = buf_room(b, SAMPLES_HEAD_BYTES + PIECE * SAMPLE_MAX_BYTES), *p = from;
        if (!from) return;
        for (; i < stop; i++) p = sample_encode(&s, p, at[i].ref, at[i].t, at[i].v);
        buf_commit(b, (size_t)(p - from));
    }
}

void samples_encode_v2(struct buf *b, const struct ref_sample *at, size_t n)
{
    struct v2 s = { 0 };
    buf_u8(b, REC_SAMPLES_V2);
    for (size_t i = 0; i < n; i++) {
        v2_write(&s, b, at[i].ref, at[i].t, at[i].st);
        buf_be64(b, f64_bits(at[i].v));
    }
}

/* ---- tombstones, exemplars, markers, metadata ---- */

errc tombstones_decode(ref_tombstones *out, str rec, struct err *e)
{
    cursor c = cur_of(rec);
    out->n = 0;
    if (cur_u8(&c) != REC_TOMBSTONES) return wrong_type(rec, e, "tombstones");
    while (cur_left(&c) > 0) {
        struct ref_tombstone x = { .ref = cur_be64(&c) };
        x.mint = cur_varint(&c);
        x.maxt = cur_varint(&c);
        if (cur_ok(&c)) vec_push(out, x);
    }
    if (cur_done(&c)) return OK;
    size_t n = out->n;
    out->n = 0;
    return cut_short(e, "tombstones", n);
}

void tombstones_encode(struct buf *b, const struct ref_tombstone *at, size_t n)
{
    buf_u8(b, REC_TOMBSTONES);
    for (size_t i = 0; i < n; i++) {
        buf_be64(b, at[i].ref);
        buf_varint(b, at[i].mint);
        buf_varint(b, at[i].maxt);
    }
}

void deletion_encode(struct buf *b, uint32_t number)
{
    buf_u8(b, REC_DELETION);
    buf_uvarint(b, number);
}

bool deletion_decode(str rec, uint32_t *number)
{
    cursor c = cur_of(rec);
    if (cur_u8(&c) != REC_DELETION) return false;
    uint64_t n = cur_uvarint(&c);
    if (!cur_done(&c) || n == 0 || n >= UINT32_MAX) return false;
    *number = (uint32_t)n;
    return true;
}

errc exemplars_decode(struct ref_exemplars *out, str rec, struct err *e)
{
    cursor c = cur_of(rec);
    label_vec pairs = { out->pairs.at, 0, out->pairs.cap };
    size_t done = 0;
    out->all.n = out->pairs.n = 0;
    if (cur_u8(&c) != REC_EXEMPLARS) return wrong_type(rec, e, "exemplars");
    if (cur_done(&c)) return OK;
    sref ref0 = cur_be64(&c);
    uint64_t t0 = cur_be64(&c);
    while (cur_left(&c) > 0) {
        struct ref_exemplar x = { .ref = add(ref0, cur_varint(&c)) };
        x.t = (int64_t)add(t0, cur_varint(&c));
        x.v = f64_of_bits(cur_be64(&c));
        x.labels.n = labels_decode(&c, &pairs);
        if (cur_ok(&c)) vec_push(&out->all, x);
    }
    out->pairs.at = pairs.at;
    out->pairs.n = pairs.n;
    out->pairs.cap = pairs.cap;
    if (!cur_done(&c)) {
        size_t n = out->all.n;
        out->all.n = 0;
        return cut_short(e, "exemplars", n);
    }
    for (size_t i = 0; i < out->all.n; i++) {
        out->all.at[i].labels.at = out->pairs.at + done;
        done += out->all.at[i].labels.n;
    }
    return OK;
}

void ref_exemplars_fini(struct ref_exemplars *x)
{
    vec_fini(&x->all);
    vec_fini(&x->pairs);
}

void exemplars_encode(struct buf *b, const struct ref_exemplar *at, size_t n)
{
    buf_u8(b, REC_EXEMPLARS);
    if (n == 0) return;
    buf_be64(b, at[0].ref);
    buf_be64(b, (uint64_t)at[0].t);
    for (size_t i = 0; i < n; i++) {
        buf_varint(b, (int64_t)(at[i].ref - at[0].ref));
        buf_varint(b, (int64_t)((uint64_t)at[i].t - (uint64_t)at[0].t));
        buf_be64(b, f64_bits(at[i].v));
        labels_encode(b, at[i].labels);
    }
}

errc markers_decode(ref_markers *out, str rec, struct err *e)
{
    cursor c = cur_of(rec);
    out->n = 0;
    if (cur_u8(&c) != REC_MMAP_MARKERS) return wrong_type(rec, e, "mmap markers");
    while (cur_left(&c) > 0) {
        struct ref_marker x = { .ref = cur_be64(&c) };
        x.chunk = cur_be64(&c);
        if (cur_ok(&c)) vec_push(out, x);
    }
    if (cur_done(&c)) return OK;
    size_t n = out->n;
    out->n = 0;
    return cut_short(e, "mmap markers", n);
}

void markers_encode(struct buf *b, const struct ref_marker *at, size_t n)
{
    buf_u8(b, REC_MMAP_MARKERS);
    for (size_t i = 0; i < n; i++) {
        buf_be64(b, at[i].ref);
        buf_be64(b, at[i].chunk);
    }
}

errc metadata_decode(ref_metadatas *out, str rec, struct err *e)
{
    cursor c = cur_of(rec);
    out->n = 0;
    if (cur_u8(&c) != REC_METADATA) return wrong_type(rec, e, "metadata");
    while (cur_left(&c) > 0) {
        const uint8_t *from = c.p;
        struct ref_metadata x = { .ref = cur_uvarint(&c) };
        x.type_byte = cur_u8(&c);
        x.meta.type = x.type_byte < METRIC_TYPES ? (enum metric_type)x.type_byte : TYPE_UNKNOWN;
        for (uint64_t fields = cur_uvarint(&c); fields > 0 && cur_ok(&c); fields--) {
            str name = cur_lenstr(&c), value = cur_lenstr(&c);
            if (str_eq(name, S("UNIT"))) x.meta.unit = value;
            else if (str_eq(name, S("HELP"))) x.meta.help = value;
        }
        x.raw = str_of(from, (size_t)(c.p - from));
        if (cur_ok(&c)) vec_push(out, x);
    }
    if (cur_done(&c)) return OK;
    size_t n = out->n;
    out->n = 0;
    return cut_short(e, "metadata", n);
}

void metadata_encode(struct buf *b, const struct ref_metadata *at, size_t n)
{
    buf_u8(b, REC_METADATA);
    for (size_t i = 0; i < n; i++) {
        buf_uvarint(b, at[i].ref);
        buf_u8(b, at[i].type_byte);
        buf_uvarint(b, 2);
        buf_lenstr(b, S("UNIT"));
        buf_lenstr(b, at[i].meta.unit);
        buf_lenstr(b, S("HELP"));
        buf_lenstr(b, at[i].meta.help);
    }
}

/* ---- histograms ---- */

static bool is_histogram(enum rec_type t)
{
    return (t >= REC_HISTOGRAMS && t <= REC_CUSTOM_FLOAT_HISTOGRAMS) || t >= REC_HISTOGRAMS_V2;
}
static bool is_float_histogram(enum rec_type t)
{
    return t == REC_FLOAT_HISTOGRAMS || t == REC_CUSTOM_FLOAT_HISTOGRAMS ||
           t == REC_FLOAT_HISTOGRAMS_V2;
}

/* a number of elements that the rest may hold */
static size_t count_decode(cursor *c, size_t min_bytes)
{
    uint64_t n = cur_uvarint(c);
    if (n <= cur_left(c) / min_bytes) return (size_t)n;
    cur_fail(c);
    return 0;
}

static const struct span *spans_decode(cursor *c, struct arena *a, size_t *n)
{
    *n = count_decode(c, 2);
    struct span *at = arena_array(a, *n, sizeof(*at));
    for (size_t i = 0; i < *n; i++) {
        at[i].offset = (int32_t)cur_varint(c);
        at[i].length = (uint32_t)cur_uvarint(c);
    }
    return at;
}

static const int64_t *buckets_decode(cursor *c, struct arena *a, bool is_float, size_t *n)
{
    *n = count_decode(c, is_float ? 8 : 1);
    int64_t *at = arena_array(a, *n, sizeof(*at));
    for (size_t i = 0; i < *n; i++) at[i] = is_float ? (int64_t)cur_be64(c) : cur_varint(c);
    return at;
}

static void histogram_decode(struct rec_histogram *h, cursor *c, struct arena *a, bool is_float)
{
    h->is_float = is_float;
    h->hint = cur_u8(c);
    h->schema = cur_varint(c);
    h->zero_threshold = f64_of_bits(cur_be64(c));
    h->zero_count.i = is_float ? cur_be64(c) : cur_uvarint(c);
    h->count.i = is_float ? cur_be64(c) : cur_uvarint(c);
    h->sum = f64_of_bits(cur_be64(c));
    h->pos_spans = spans_decode(c, a, &h->n_pos_spans);
    h->neg_spans = spans_decode(c, a, &h->n_neg_spans);
    h->pos = buckets_decode(c, a, is_float, &h->n_pos);
    h->neg = buckets_decode(c, a, is_float, &h->n_neg);
    if (h->schema != HISTOGRAM_CUSTOM) return;
    h->n_custom = count_decode(c, 8);
    double *custom = arena_array(a, h->n_custom, sizeof(*custom));
    for (size_t i = 0; i < h->n_custom; i++) custom[i] = f64_of_bits(cur_be64(c));
    h->custom = custom;
}

static void spans_encode(struct buf *b, const struct span *at, size_t n)
{
    buf_uvarint(b, n);
    for (size_t i = 0; i < n; i++) {
        buf_varint(b, at[i].offset);
        buf_uvarint(b, at[i].length);
    }
}

static void buckets_encode(struct buf *b, const int64_t *at, size_t n, bool is_float)
{
    buf_uvarint(b, n);
    for (size_t i = 0; i < n; i++) {
        if (is_float) buf_be64(b, (uint64_t)at[i]);
        else buf_varint(b, at[i]);
    }
}

static void count_encode(struct buf *b, uint64_t v, bool is_float)
{
    if (is_float) buf_be64(b, v);
    else buf_uvarint(b, v);
}

static void histogram_encode(struct buf *b, const struct rec_histogram *h)
{
    buf_u8(b, h->hint);
    buf_varint(b, h->schema);
    buf_be64(b, f64_bits(h->zero_threshold));
    count_encode(b, h->zero_count.i, h->is_float);
    count_encode(b, h->count.i, h->is_float);
    buf_be64(b, f64_bits(h->sum));
    spans_encode(b, h->pos_spans, h->n_pos_spans);
    spans_encode(b, h->neg_spans, h->n_neg_spans);
    buckets_encode(b, h->pos, h->n_pos, h->is_float);
    buckets_encode(b, h->neg, h->n_neg, h->is_float);
    if (h->schema != HISTOGRAM_CUSTOM) return;
    buf_uvarint(b, h->n_custom);
    for (size_t i = 0; i < h->n_custom; i++) buf_be64(b, f64_bits(h->custom[i]));
}

void rec_histogram_encode(struct buf *b, const struct rec_histogram *h) { histogram_encode(b, h); }

errc rec_histogram_decode(
    struct rec_histogram *out, str bytes, bool is_float, struct arena *a, struct err *e)
{
    cursor c = cur_of(bytes);
    struct rec_histogram h = { 0 };
    histogram_decode(&h, &c, a, is_float);
    if (!cur_done(&c)) return err_set(e, ERR_CORRUPT, "histogram: cut short or too long");
    *out = h;
    return OK;
}

errc histograms_decode(struct ref_histograms *out, str rec, struct err *e)
{
    cursor c = cur_of(rec);
    enum rec_type type = (enum rec_type)cur_u8(&c);
    bool v2 = type >= REC_HISTOGRAMS_V2, is_float = is_float_histogram(type);
    out->all.n = 0;
    arena_reset(&out->a, (struct arena_mark){ 0 });
    if (!is_histogram(type) || type >= REC_TYPES) return wrong_type(rec, e, "histograms");
    if (cur_done(&c)) return OK;
    sref ref0 = v2 ? 0 : cur_be64(&c);
    uint64_t t0 = v2 ? 0 : cur_be64(&c);
    struct v2 s = { 0 };
    while (cur_left(&c) > 0) {
        struct ref_histogram x = { 0 };
        if (v2) {
            v2_read(&s, &c, &x.ref, &x.t, &x.st);
        } else {
            x.ref = add(ref0, cur_varint(&c));
            x.t = (int64_t)add(t0, cur_varint(&c));
        }
        const uint8_t *from = c.p;
        histogram_decode(&x.h, &c, &out->a, is_float);
        x.raw = str_of(from, (size_t)(c.p - from));
        if (cur_ok(&c)) vec_push(&out->all, x);
    }
    if (cur_done(&c)) return OK;
    size_t n = out->all.n;
    out->all.n = 0;
    return cut_short(e, "histograms", n);
}

void ref_histograms_fini(struct ref_histograms *h)
{
    vec_fini(&h->all);
    arena_fini(&h->a);
}

void histograms_encode(struct buf *b, enum rec_type type, sref ref0, int64_t t0,
    const struct ref_histogram *at, size_t n)
{
    assert(type >= REC_HISTOGRAMS && type <= REC_CUSTOM_FLOAT_HISTOGRAMS);
    buf_u8(b, (uint8_t)type);
    if (n == 0) return;
    buf_be64(b, ref0);
    buf_be64(b, (uint64_t)t0);
    for (size_t i = 0; i < n; i++) {
        buf_varint(b, (int64_t)(at[i].ref - ref0));
        buf_varint(b, (int64_t)((uint64_t)at[i].t - (uint64_t)t0));
        histogram_encode(b, &at[i].h);
    }
}

void histograms_encode_v2(
    struct buf *b, enum rec_type type, const struct ref_histogram *at, size_t n)
{
    struct v2 s = { 0 };
    assert(type == REC_HISTOGRAMS_V2 || type == REC_FLOAT_HISTOGRAMS_V2);
    buf_u8(b, (uint8_t)type);
    for (size_t i = 0; i < n; i++) {
        v2_write(&s, b, at[i].ref, at[i].t, at[i].st);
        histogram_encode(b, &at[i].h);
    }
}

/* ---- any record ---- */

#define CHECK(type, decode, fini) \
    ({ \
        type check_batch = { 0 }; \
        errc check_rc = decode(&check_batch, rec, e); \
        fini(&check_batch); \
        check_rc; \
    })

errc record_check(str rec, struct err *e)
{
    switch (record_kind(rec)) {
    case KIND_SERIES: return CHECK(struct ref_seriess, series_decode, ref_seriess_fini);
    case KIND_SAMPLES: return CHECK(ref_samples, samples_decode, vec_fini);
    case KIND_TOMBSTONES: return CHECK(ref_tombstones, tombstones_decode, vec_fini);
    case KIND_EXEMPLARS: return CHECK(struct ref_exemplars, exemplars_decode, ref_exemplars_fini);
    case KIND_MARKERS: return CHECK(ref_markers, markers_decode, vec_fini);
    case KIND_METADATA: return CHECK(ref_metadatas, metadata_decode, vec_fini);
    case KIND_HISTOGRAMS:
        return CHECK(struct ref_histograms, histograms_decode, ref_histograms_fini);
    case KIND_NONE: break;
    }
    return OK;
}

void record_room_fini(struct record_room *r)
{
    ref_seriess_fini(&r->series);
    vec_fini(&r->samples);
    vec_fini(&r->tombstones);
    ref_exemplars_fini(&r->exemplars);
    vec_fini(&r->markers);
    vec_fini(&r->metadatas);
    ref_histograms_fini(&r->histograms);
}
