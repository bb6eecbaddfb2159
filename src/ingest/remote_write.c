#include "ingest/remote_write.h"

#include "base/f64.h"
#include "ingest/pb_histogram.h"
#include "ingest/protobuf.h"

enum { REQ_TIMESERIES = 1, REQ_METADATA = 3 };
enum { TS_LABELS = 1, TS_SAMPLES = 2, TS_EXEMPLARS = 3, TS_HISTOGRAMS = 4 };
enum { LABEL_NAME = 1, LABEL_VALUE = 2 };
enum { SAMPLE_VALUE = 1, SAMPLE_TIMESTAMP = 2 };
enum { LABELS_MAX = 1 << 16 };

void write_request_init(struct write_request *r, str body)
{
    *r = (struct write_request){ .c = cur_of(body) };
}
void write_request_again(struct write_request *r, str body)
{
    *r = (struct write_request){ .c = cur_of(body), .checked = true };
}

/* As every sender writes it: value, then time, each once. */
static inline bool write_sample_plain(str m, int64_t *t, double *v)
{
    enum {
        VALUE_TAG = SAMPLE_VALUE << 3 | PB_FIXED64,
        TIME_TAG = SAMPLE_TIMESTAMP << 3 | PB_VARINT,
        TIME_AT = 10
    };
    if (m.n <= TIME_AT || m.p[0] != VALUE_TAG || m.p[TIME_AT - 1] != TIME_TAG) return false;
    cursor value = cur_of(str_slice(m, 1, TIME_AT - 1)), time = cur_of(str_from(m, TIME_AT));
    uint64_t bits = cur_le64(&value), ms = cur_uvarint(&time);
    if (!cur_done(&time)) return false;
    *v = f64_of_bits(bits);
    *t = (int64_t)ms;
    return true;
}

/* Value and time in either order; what comes later counts, what is missing is 0. */
static errc write_sample_decode(str message, int64_t *t, double *v, struct err *e)
{
    if (LIKELY(write_sample_plain(message, t, v))) return OK;
    cursor c = cur_of(message);
    struct pb_field f;
    *t = 0;
    *v = 0;
    while (pb_next(&c, &f)) {
        if (f.number == SAMPLE_VALUE) {
            if (f.wire != PB_FIXED64) return pb_wrong_wire(e, &f, "Value");
            *v = f64_of_bits(f.u);
        } else if (f.number == SAMPLE_TIMESTAMP) {
            if (f.wire != PB_VARINT) return pb_wrong_wire(e, &f, "Timestamp");
            *t = (int64_t)f.u;
        }
    }
    return cur_ok(&c) ? OK : pb_error(e);
}

/* As every sender writes it: name, then value, each once and shorter than 128 bytes. */
static inline bool write_label_plain(str m, struct label *out)
{
    enum { NAME_TAG = LABEL_NAME << 3 | PB_BYTES, VALUE_TAG = LABEL_VALUE << 3 | PB_BYTES };
    if (m.n < 4 || m.p[0] != NAME_TAG || m.p[1] >= 0x80) return false;
    size_t name = m.p[1];
    if (m.n < 4 + name || m.p[2 + name] != VALUE_TAG) return false;
    size_t value = m.p[3 + name];
    if (value >= 0x80 || m.n != 4 + name + value) return false;
    *out = (struct label){ str_of(m.p + 2, name), str_of(m.p + 4 + name, value) };
    return true;
}

static errc write_label_decode(str message, struct label *out, struct err *e)
{
    if (LIKELY(write_label_plain(message, out))) return OK;
    cursor c = cur_of(message);
    struct pb_field f;
    *out = (struct label){ STR_EMPTY, STR_EMPTY };
    while (pb_next(&c, &f)) {
        if (f.number != LABEL_NAME && f.number != LABEL_VALUE) continue;
        if (f.wire != PB_BYTES)
            return pb_wrong_wire(e, &f, f.number == LABEL_NAME ? "Name" : "Value");
        if (f.number == LABEL_NAME) out->name = f.bytes;
        else out->value = f.bytes;
    }
    return cur_ok(&c) ? OK : pb_error(e);
}

/* checked: the message was scanned before; what is inside labels and samples is not looked at
 * again. */
static errc write_series_scan(struct write_series *s, str message, bool checked, struct err *e)
{
    cursor c = cur_of(message);
    const uint8_t *raw = NULL, *raw_end = NULL;
    bool torn = false;
    *s = (struct write_series){ .message = message };
    struct pb_field f;
    for (const uint8_t *at = c.p; pb_next(&c, &f); at = c.p) {
        if (f.number < TS_LABELS || f.number > TS_HISTOGRAMS) continue;
        static const char *const names[] = { "", "Labels", "Samples", "Exemplars", "Histograms" };
        if (f.wire != PB_BYTES) return pb_wrong_wire(e, &f, names[f.number]);
        switch (f.number) {
        case TS_LABELS: {
            struct label l;
            if (!checked) TRY(write_label_decode(f.bytes, &l, e));
            if (!raw) raw = at;
            else torn |= raw_end != at;
            raw_end = c.p;
            s->n_labels++;
            break;
        }
        case TS_SAMPLES: {
            int64_t t;
            double v;
            if (!checked) TRY(write_sample_decode(f.bytes, &t, &v, e));
            if (s->n_samples++ == 0) s->samples = (cursor){ at, message.p + message.n, false };
            break;
        }
        case TS_EXEMPLARS: s->n_exemplars++; break;
        default: s->n_histograms++; break;
        }
    }
    if (!cur_ok(&c)) return pb_error(e);
    if (s->n_labels > LABELS_MAX)
        return err_set(e, ERR_LIMIT, "a series has more than %d labels", LABELS_MAX);
    if (raw && !torn) s->labels_raw = str_of(raw, (size_t)(raw_end - raw));
    return OK;
}

void write_series_of(struct write_series *out, str message)
{
    errc rc = write_series_scan(out, message, true, NULL);
    assert(rc == OK);
}

errc write_request_next(
    struct write_request *r, struct write_series *out, bool *more, struct err *e)
{
    struct pb_field f;
    while (pb_next(&r->c, &f)) {
        if (f.number == REQ_METADATA) {
            if (f.wire != PB_BYTES) return pb_wrong_wire(e, &f, "Metadata");
            r->n_metadata++;
        }
        if (f.number != REQ_TIMESERIES) continue;
        if (f.wire != PB_BYTES) return pb_wrong_wire(e, &f, "Timeseries");
        TRY(write_series_scan(out, f.bytes, r->checked, e));
        r->n_series++;
        r->n_samples += out->n_samples;
        r->n_exemplars += out->n_exemplars;
        r->n_histograms += out->n_histograms;
        *more = true;
        return OK;
    }
    *more = false;
    return cur_ok(&r->c) ? OK : pb_error(e);
}

/* ---- the whole message, as the reference takes it */

PB_SHAPE(label_shape, "Label", { LABEL_NAME, "Name", PB_BYTES },
    { LABEL_VALUE, "Value", PB_BYTES })
PB_SHAPE(sample_shape, "Sample", { SAMPLE_VALUE, "Value", PB_FIXED64 },
    { SAMPLE_TIMESTAMP, "Timestamp", PB_VARINT })
PB_SHAPE(exemplar_shape, "Exemplar", { 1, "Labels", PB_BYTES, &label_shape },
    { 2, "Value", PB_FIXED64 }, { 3, "Timestamp", PB_VARINT })
PB_SHAPE(metadata_shape, "MetricMetadata", { 1, "Type", PB_VARINT },
    { 2, "MetricFamilyName", PB_BYTES }, { 4, "Help", PB_BYTES }, { 5, "Unit", PB_BYTES })
PB_SHAPE(series_shape, "TimeSeries", { TS_LABELS, "Labels", PB_BYTES, &label_shape },
    { TS_SAMPLES, "Samples", PB_BYTES, &sample_shape },
    { TS_EXEMPLARS, "Exemplars", PB_BYTES, &exemplar_shape },
    { TS_HISTOGRAMS, "Histograms", PB_BYTES, &pb_histogram_shape })
PB_SHAPE(request_shape, "WriteRequest",
    { REQ_TIMESERIES, "Timeseries", PB_BYTES, &series_shape },
    { REQ_METADATA, "Metadata", PB_BYTES, &metadata_shape })

errc write_request_check(str body, struct err *e) { return pb_check(body, &request_shape, e); }

bool write_series_sample(struct write_series *s, int64_t *t, double *v)
{
    struct pb_field f;
    while (pb_next(&s->samples, &f))
        if (f.number == TS_SAMPLES) return write_sample_decode(f.bytes, t, v, NULL) == OK;
    return false;
}

cursor write_series_others(const struct write_series *s) { return cur_of(s->message); }

bool write_series_other(cursor *c, enum write_other kind, str *message)
{
    _Static_assert((int)WRITE_EXEMPLAR == TS_EXEMPLARS, "as the message has it");
    _Static_assert((int)WRITE_HISTOGRAM == TS_HISTOGRAMS, "as the message has it");
    for (struct pb_field f; pb_next(c, &f);) {
        if (f.number != (uint32_t)kind) continue;
        *message = f.bytes;
        return true;
    }
    return false;
}

struct write_labels write_series_labels(const struct write_series *s, struct arena *a)
{
    struct label *at = arena_array(a, s->n_labels, sizeof(*at));
    size_t n = 0;
    cursor c = cur_of(s->message);
    for (struct pb_field f; n < s->n_labels && pb_next(&c, &f);)
        if (f.number == TS_LABELS && write_label_decode(f.bytes, &at[n], NULL) == OK) n++;
    return write_labels_of(a, at, n);
}
