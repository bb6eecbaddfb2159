#include "ingest/pb_family.h"

#include "base/f64.h"
#include "base/utf8.h"
#include "ingest/line_hash.h"

/* What the reference's decoder knows, to say in its words what is wrong. */

#define SHAPE(name_, ...)                                                                          \
    static const struct pb_shape_field name_##_fields[] = { __VA_ARGS__ };                         \
    static const struct pb_shape name_ = { #name_, name_##_fields, ARRAY_LEN(name_##_fields) };
SHAPE(Timestamp, { 1, "Seconds", PB_VARINT, NULL }, { 2, "Nanos", PB_VARINT, NULL })
SHAPE(LabelPair, { 1, "Name", PB_BYTES, NULL }, { 2, "Value", PB_BYTES, NULL })
SHAPE(Exemplar, { 1, "Label", PB_BYTES, &LabelPair }, { 2, "Value", PB_FIXED64, NULL },
    { 3, "Timestamp", PB_BYTES, &Timestamp })
SHAPE(Gauge, { 1, "Value", PB_FIXED64, NULL })
SHAPE(Counter, { 1, "Value", PB_FIXED64, NULL }, { 2, "Exemplar", PB_BYTES, &Exemplar },
    { 3, "StartTimestamp", PB_BYTES, &Timestamp })
SHAPE(Quantile, { 1, "Quantile", PB_FIXED64, NULL }, { 2, "Value", PB_FIXED64, NULL })
SHAPE(Summary, { 1, "SampleCount", PB_VARINT, NULL }, { 2, "SampleSum", PB_FIXED64, NULL },
    { 3, "Quantile", PB_BYTES, &Quantile }, { 4, "StartTimestamp", PB_BYTES, &Timestamp })
SHAPE(Untyped, { 1, "Value", PB_FIXED64, NULL })
SHAPE(Bucket, { 1, "CumulativeCount", PB_VARINT, NULL }, { 2, "UpperBound", PB_FIXED64, NULL },
    { 3, "Exemplar", PB_BYTES, &Exemplar }, { 4, "CumulativeCountFloat", PB_FIXED64, NULL })
SHAPE(BucketSpan, { 1, "Offset", PB_VARINT, NULL }, { 2, "Length", PB_VARINT, NULL })
SHAPE(Histogram, { 1, "SampleCount", PB_VARINT, NULL }, { 2, "SampleSum", PB_FIXED64, NULL },
    { 3, "Bucket", PB_BYTES, &Bucket }, { 4, "SampleCountFloat", PB_FIXED64, NULL },
    { 5, "Schema", PB_VARINT, NULL }, { 6, "ZeroThreshold", PB_FIXED64, NULL },
    { 7, "ZeroCount", PB_VARINT, NULL }, { 8, "ZeroCountFloat", PB_FIXED64, NULL },
    { 9, "NegativeSpan", PB_BYTES, &BucketSpan }, { 10, "NegativeDelta", PB_VARINTS, NULL },
    { 11, "NegativeCount", PB_FIXED64S, NULL }, { 12, "PositiveSpan", PB_BYTES, &BucketSpan },
    { 13, "PositiveDelta", PB_VARINTS, NULL }, { 14, "PositiveCount", PB_FIXED64S, NULL },
    { 15, "StartTimestamp", PB_BYTES, &Timestamp }, { 16, "Exemplars", PB_BYTES, &Exemplar })
SHAPE(Metric, { 1, "Label", PB_BYTES, NULL }, { 2, "Gauge", PB_BYTES, &Gauge },
    { 3, "Counter", PB_BYTES, &Counter }, { 4, "Summary", PB_BYTES, &Summary },
    { 5, "Untyped", PB_BYTES, &Untyped }, { 6, "TimestampMs", PB_VARINT, NULL },
    { 7, "Histogram", PB_BYTES, &Histogram })
SHAPE(MetricFamily, { 1, "Name", PB_BYTES, NULL }, { 2, "Help", PB_BYTES, NULL },
    { 3, "Type", PB_VARINT, NULL }, { 4, "Metric", PB_BYTES, NULL }, { 5, "Unit", PB_BYTES, NULL })

/* A walk failed: the words are those of the slower check. */
static errc refuse(str message, const struct pb_shape *shape, struct err *e)
{
    TRY(pb_check(message, shape, e));
    return pb_error(e);
}

void pb_page_init(struct pb_page *p, str page) { *p = (struct pb_page){ .c = cur_of(page) }; }

void pb_page_fini(struct pb_page *p)
{
    struct pb_buckets *side[] = { &p->m.pos, &p->m.neg };
    for (int i = 0; i < 2; i++) {
        vec_fini(&side[i]->spans);
        vec_fini(&side[i]->deltas);
        vec_fini(&side[i]->counts);
    }
    vec_fini(&p->m.quantiles);
    vec_fini(&p->m.buckets);
    vec_fini(&p->m.exemplars);
}

/* Families */

static errc family_read(struct pb_page *p, str message, struct err *e)
{
    static const enum pb_wire wires[] = { 0, PB_BYTES, PB_BYTES, PB_VARINT, PB_BYTES, PB_BYTES };
    p->message = message;
    p->name = p->help = p->unit = STR_EMPTY;
    p->type = 0;
    p->metrics = cur_of(message);
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number >= ARRAY_LEN(wires)) continue;
        if (f.wire != wires[f.number]) return refuse(message, &MetricFamily, e);
        switch (f.number) {
        case 1: p->name = f.bytes; break;
        case 2: p->help = f.bytes; break;
        case 3: p->type = (int32_t)(uint32_t)f.u; break;
        case 5: p->unit = f.bytes; break;
        default: break;
        }
    }
    return cur_ok(&c) ? OK : refuse(message, &MetricFamily, e);
}

errc pb_page_family(struct pb_page *p, bool *more, struct err *e)
{
    enum { LENGTH_BYTES_MAX = 5 };
    *more = cur_left(&p->c) > 0;
    if (!*more) return OK;
    cursor c = p->c;
    uint64_t n = pb_varint(&c);
    size_t varint = (size_t)(c.p - p->c.p);
    if (!cur_ok(&c) || varint > LENGTH_BYTES_MAX)
        return err_set(e, ERR_BAD_INPUT, "clientpb: invalid varint encountered");
    if (n > cur_left(&c))
        return err_set(e, ERR_BAD_INPUT,
            "clientpb: insufficient length of buffer, expected at least %" PRIu64
            " bytes, got %zu bytes",
            n + varint, cur_left(&p->c));
    str message = cur_bytes(&c, n);
    p->c = c;
    return family_read(p, message, e);
}

/* Metrics. Each walk answers false when it comes to something that the reference refuses. */

static bool timestamp_walk(str message, struct pb_instant *out)
{
    *out = (struct pb_instant){ 0 };
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number > 2) continue;
        if (f.wire != PB_VARINT) return false;
        if (f.number == 1) out->seconds = (int64_t)f.u;
        else out->nanos = (int32_t)(uint32_t)f.u;
    }
    return cur_ok(&c);
}

static bool pair_walk(str message, struct label *out)
{
    *out = (struct label){ 0 };
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number > 2) continue;
        if (f.wire != PB_BYTES) return false;
        if (f.number == 1) out->name = f.bytes;
        else out->value = f.bytes;
    }
    return cur_ok(&c);
}

static bool exemplar_walk(str message)
{
    cursor c = cur_of(message);
    struct label pair;
    struct pb_instant at;
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number > 3) continue;
        if (f.wire != (f.number == 2 ? PB_FIXED64 : PB_BYTES)) return false;
        if (f.number == 1 && !pair_walk(f.bytes, &pair)) return false;
        if (f.number == 3 && !timestamp_walk(f.bytes, &at)) return false;
    }
    return cur_ok(&c);
}

static bool number_walk(double *out, str message)
{
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number != 1) continue;
        if (f.wire != PB_FIXED64) return false;
        *out = f64_of_bits(f.u);
    }
    return cur_ok(&c);
}

static bool counter_walk(struct pb_metric *m, str message)
{
    cursor c = cur_of(message);
    struct pb_instant at;
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number > 3) continue;
        if (f.wire != (f.number == 1 ? PB_FIXED64 : PB_BYTES)) return false;
        if (f.number == 1) m->value[PB_COUNTER] = f64_of_bits(f.u);
        if (f.number == 2) {
            m->exemplar = f.bytes;
            if (!exemplar_walk(f.bytes)) return false;
        }
        if (f.number == 3) {
            m->start[PB_COUNTER] = f.bytes;
            if (!timestamp_walk(f.bytes, &at)) return false;
        }
    }
    return cur_ok(&c);
}

static bool quantile_walk(struct pb_metric *m, str message)
{
    struct pb_quantile q = { 0 };
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number > 2) continue;
        if (f.wire != PB_FIXED64) return false;
        if (f.number == 1) q.quantile = f64_of_bits(f.u);
        else q.value = f64_of_bits(f.u);
    }
    vec_push(&m->quantiles, q);
    return cur_ok(&c);
}

static bool summary_walk(struct pb_metric *m, str message)
{
    static const enum pb_wire wires[] = { 0, PB_VARINT, PB_FIXED64, PB_BYTES, PB_BYTES };
    cursor c = cur_of(message);
    struct pb_instant at;
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number >= ARRAY_LEN(wires)) continue;
        if (f.wire != wires[f.number]) return false;
        switch (f.number) {
        case 1: m->count[PB_SUMMARY] = f.u; break;
        case 2: m->sum[PB_SUMMARY] = f64_of_bits(f.u); break;
        case 3:
            if (!quantile_walk(m, f.bytes)) return false;
            break;
        default:
            m->start[PB_SUMMARY] = f.bytes;
            if (!timestamp_walk(f.bytes, &at)) return false;
        }
    }
    return cur_ok(&c);
}

static bool bucket_walk(struct pb_metric *m, str message)
{
    static const enum pb_wire wires[] = { 0, PB_VARINT, PB_FIXED64, PB_BYTES, PB_FIXED64 };
    struct pb_bucket b = { 0 };
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number >= ARRAY_LEN(wires)) continue;
        if (f.wire != wires[f.number]) return false;
        switch (f.number) {
        case 1: b.count = f.u; break;
        case 2: b.upper = f64_of_bits(f.u); break;
        case 3:
            b.exemplar = f.bytes;
            if (!exemplar_walk(f.bytes)) return false;
            break;
        default: b.count_float = f64_of_bits(f.u);
        }
    }
    vec_push(&m->buckets, b);
    return cur_ok(&c);
}

static bool span_walk(struct pb_buckets *side, str message)
{
    struct span s = { 0 };
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number > 2) continue;
        if (f.wire != PB_VARINT) return false;
        if (f.number == 1) s.offset = (int32_t)pb_zigzag((uint32_t)f.u);
        else s.length = (uint32_t)f.u;
    }
    vec_push(&side->spans, s);
    return cur_ok(&c);
}

/* A repeated number: one, or packed, and then read until the packed bytes are used up, whatever the
 * last one takes of what follows. */
static bool numbers_walk(struct pb_buckets *side, cursor *c, const struct pb_field *f, bool fixed)
{
    if (f->wire != PB_BYTES) {
        if (f->wire != (fixed ? PB_FIXED64 : PB_VARINT)) return false;
        if (fixed) vec_push(&side->counts, f64_of_bits(f->u));
        else vec_push(&side->deltas, pb_zigzag(f->u));
        return true;
    }
    const uint8_t *end = f->bytes.p + f->bytes.n;
    for (c->p = f->bytes.p; c->p < end && cur_ok(c);) {
        if (fixed) vec_push(&side->counts, f64_of_bits(cur_le64(c)));
        else vec_push(&side->deltas, pb_zigzag(pb_varint(c)));
    }
    return cur_ok(c);
}

static bool histogram_field(struct pb_metric *m, const struct pb_field *f)
{
    struct pb_instant at;
    switch (f->number) {
    case 1: m->count[PB_HISTOGRAM] = f->u; return true;
    case 2: m->sum[PB_HISTOGRAM] = f64_of_bits(f->u); return true;
    case 3: return bucket_walk(m, f->bytes);
    case 4: m->count_float = f64_of_bits(f->u); return true;
    case 5: m->schema = (int32_t)pb_zigzag((uint32_t)f->u); return true;
    case 6: m->zero_threshold = f64_of_bits(f->u); return true;
    case 7: m->zero_count = f->u; return true;
    case 8: m->zero_count_float = f64_of_bits(f->u); return true;
    case 9: return span_walk(&m->neg, f->bytes);
    case 12: return span_walk(&m->pos, f->bytes);
    case 15: m->start[PB_HISTOGRAM] = f->bytes; return timestamp_walk(f->bytes, &at);
    default: vec_push(&m->exemplars, f->bytes); return exemplar_walk(f->bytes);
    }
}

static bool histogram_walk(struct pb_metric *m, str message)
{
    static const enum pb_wire wires[] = { 0, PB_VARINT, PB_FIXED64, PB_BYTES, PB_FIXED64, PB_VARINT,
        PB_FIXED64, PB_VARINT, PB_FIXED64, PB_BYTES, PB_VARINTS, PB_FIXED64S, PB_BYTES, PB_VARINTS,
        PB_FIXED64S, PB_BYTES, PB_BYTES };
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number >= ARRAY_LEN(wires)) continue;
        enum pb_wire want = wires[f.number];
        if (want >= PB_VARINTS) {
            struct pb_buckets *side = f.number > 12 ? &m->pos : &m->neg;
            if (!numbers_walk(side, &c, &f, want == PB_FIXED64S)) return false;
        } else if (f.wire != want || !histogram_field(m, &f)) {
            return false;
        }
    }
    return cur_ok(&c);
}

static void metric_reset(struct pb_metric *m)
{
    struct pb_metric fresh = { .pos = m->pos,
        .neg = m->neg,
        .quantiles = m->quantiles,
        .buckets = m->buckets,
        .exemplars = m->exemplars };
    struct pb_buckets *side[] = { &fresh.pos, &fresh.neg };
    for (int i = 0; i < 2; i++) side[i]->spans.n = side[i]->deltas.n = side[i]->counts.n = 0;
    fresh.quantiles.n = fresh.buckets.n = fresh.exemplars.n = 0;
    *m = fresh;
}

/* The bytes of labels that stand side by side are hashed in one go. */
struct label_run {
    const uint8_t *from, *to;
};

static void run_hash(struct pb_metric *m, const struct label_run *run)
{
    if (!run->from) return;
    uint64_t h = line_hash(run->from, (size_t)(run->to - run->from));
    m->labels_hash = m->labels_hash ? line_hash_fold(m->labels_hash ^ line_hash_key[1], h) : h;
    m->labels_bytes += (uint32_t)(run->to - run->from);
}

static bool metric_field(struct pb_metric *m, const struct pb_field *f)
{
    if (f->number == 6) {
        m->ts = (int64_t)f->u;
        return f->wire == PB_VARINT;
    }
    if (f->wire != PB_BYTES) return false;
    switch (f->number) {
    case 2: return number_walk(&m->value[PB_GAUGE], f->bytes);
    case 3: return counter_walk(m, f->bytes);
    case 4: return summary_walk(m, f->bytes);
    case 5: return number_walk(&m->value[PB_UNTYPED], f->bytes);
    default: return histogram_walk(m, f->bytes);
    }
}

static errc metric_read(struct pb_metric *m, str message, struct err *e)
{
    metric_reset(m);
    m->message = message;
    struct label_run run = { 0 };
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number > 7) continue;
        if (f.number != 1) {
            if (!metric_field(m, &f)) return refuse(message, &Metric, e);
            continue;
        }
        if (f.wire != PB_BYTES) return refuse(message, &Metric, e);
        m->n_labels++;
        if (run.to != f.bytes.p - 2) { /* a tag and a length of one byte each */
            run_hash(m, &run);
            run.from = f.bytes.p - 2;
        }
        run.to = f.bytes.p + f.bytes.n;
    }
    run_hash(m, &run);
    return cur_ok(&c) ? OK : refuse(message, &Metric, e);
}

errc pb_page_metric(struct pb_page *p, bool *more, struct err *e)
{
    enum { METRIC = 4 };
    *more = true;
    for (struct pb_field f; pb_next(&p->metrics, &f);)
        if (f.number == METRIC) return metric_read(&p->m, f.bytes, e);
    *more = false;
    return OK;
}

errc pb_page_return(struct pb_page *p, str family, str metric, struct err *e)
{
    if (p->message.p != family.p) TRY(family_read(p, family, e));
    return metric_read(&p->m, metric, e);
}

/* Labels. The reference reads them again for each sample, and looks at their text then. */

static errc pair_refuse(str message, struct err *e)
{
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number > 2) continue;
        if (f.wire != PB_BYTES) break;
        if (f.number == 1 && (!f.bytes.n || !utf8_valid(f.bytes)))
            return err_set(e, ERR_BAD_INPUT, "invalid label name: %.*s", STR_ARG(f.bytes));
        if (f.number == 2 && !utf8_valid(f.bytes))
            return err_set(e, ERR_BAD_INPUT, "invalid label value: %.*s", STR_ARG(f.bytes));
    }
    return refuse(message, &LabelPair, e);
}

static errc pair_check(str message, struct err *e)
{
    cursor c = cur_of(message);
    for (struct pb_field f; pb_next(&c, &f);) {
        if (f.number > 2) continue;
        if (f.wire != PB_BYTES || !utf8_valid(f.bytes) || (f.number == 1 && !f.bytes.n))
            return pair_refuse(message, e);
    }
    return cur_ok(&c) ? OK : pair_refuse(message, e);
}

errc pb_metric_check_labels(const struct pb_metric *m, struct err *e)
{
    cursor c = cur_of(m->message);
    size_t left = m->n_labels;
    for (struct pb_field f; left && pb_next(&c, &f);) {
        if (f.number != 1) continue;
        TRY(pair_check(f.bytes, e));
        left--;
    }
    return OK;
}

size_t pb_metric_labels(const struct pb_metric *m, struct label *at)
{
    cursor c = cur_of(m->message);
    size_t n = 0;
    for (struct pb_field f; n < m->n_labels && pb_next(&c, &f);)
        if (f.number == 1) (void)pair_walk(f.bytes, &at[n++]);
    assert(n == m->n_labels);
    return n;
}

/* Times and exemplars: they were walked before. */

int64_t pb_instant_ms(str timestamp)
{
    struct pb_instant at;
    (void)timestamp_walk(timestamp, &at);
    return (int64_t)((uint64_t)at.seconds * 1000 + (uint64_t)(int64_t)(at.nanos / 1000000));
}

str pb_example_time(str exemplar)
{
    str at = { NULL, 0 };
    cursor c = cur_of(exemplar);
    for (struct pb_field f; pb_next(&c, &f);)
        if (f.number == 3) at = f.bytes;
    return at;
}

struct pb_example pb_example_read(str exemplar, struct arena *a)
{
    struct pb_example x = { .timestamp = { NULL, 0 } };
    VEC(struct label) all = { 0 };
    cursor c = cur_of(exemplar);
    for (struct pb_field f; pb_next(&c, &f);) {
        struct label l;
        if (f.number == 2) x.value = f64_of_bits(f.u);
        if (f.number == 3) x.timestamp = f.bytes;
        if (f.number != 1 || !pair_walk(f.bytes, &l)) continue;
        avec_push(a, &all, l);
    }
    for (size_t i = 1; i < all.n; i++) {
        struct label l = all.at[i];
        size_t k = i;
        for (; k > 0 && str_cmp(all.at[k - 1].name, l.name) > 0; k--) all.at[k] = all.at[k - 1];
        all.at[k] = l;
    }
    x.labels = (struct labels){ all.at, all.n };
    return x;
}
