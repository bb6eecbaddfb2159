/* The steps of Prometheus' parser, with their names there:
 *
 *      FAMILY --> HELP --> [UNIT] --> TYPE --+--> SERIES <--> SERIES …
 *        ^                                   +--> HISTOGRAM <--> HISTOGRAM …
 *        +--- no more metrics ------------------------+
 *
 * A summary or classic histogram stays in SERIES and walks its parts: PART_COUNT, PART_SUM, then
 * each quantile or bucket from 0. A native histogram whose classic buckets are wanted, too, goes to
 * SERIES afterwards, and from there back. A classic histogram that is converted goes to HISTOGRAM
 * once, for what it became.
 *
 * The reference does not start anew with the exemplars of the second and later native histograms
 * of a family: it goes on counting where the one before ended. What is stored has to be the same,
 * so this does the same. */
#include "ingest/expo_pb.h"

#include "base/f64.h"
#include "base/utf8.h"
#include "ingest/line_hash.h"
#include "ingest/pb_family.h"
#include "model/classic_histogram.h"

#include <math.h>

enum { PART_NOTHING = -3, PART_COUNT = -2, PART_SUM = -1 };
enum step { FAMILY, HELP, UNIT, TYPE, SERIES, HISTOGRAM };

struct expo_pb {
    struct pb_page page;
    enum step step;
    int64_t part;
    bool parts_done, redo_classic;
    const uint8_t *checked; /* the metric whose labels were looked at */
    size_t exemplars;       /* of the native histogram, told */
    uint64_t family_key;
    struct classic_histogram classic;
    struct arena made; /* what became of a classic histogram */
    struct int_histogram *whole;
    struct histogram *floats;
};

struct expo_pb *expo_pb_new(str page)
{
    struct expo_pb *p = NEW(struct expo_pb);
    pb_page_init(&p->page, page);
    return p;
}

void expo_pb_free(struct expo_pb *p)
{
    if (!p) return;
    pb_page_fini(&p->page);
    classic_fini(&p->classic);
    arena_fini(&p->made);
    mem_free(p);
}

static bool is_histogram(const struct expo_pb *p)
{
    return p->page.type == PB_HISTOGRAM || p->page.type == PB_GAUGE_HISTOGRAM;
}

/* Without a span, a zero threshold and anything in the zero bucket it is a classic one. */
static bool is_native(const struct pb_metric *m)
{
    return m->pos.spans.n || m->neg.spans.n || m->zero_threshold > 0 || m->zero_count > 0;
}

static bool is_classic(const struct expo *x)
{
    return x->opts.ignore_native || !is_native(&x->pb->page.m);
}

static bool is_float(const struct pb_metric *m)
{
    return m->count_float > 0 || m->zero_count_float > 0;
}

/* Families */

static errc family_check(const struct pb_page *p, struct err *e)
{
    struct buf name = { 0 };
    errc rc = OK;
    if (!p->name.n || !utf8_valid(p->name))
        return err_set(e, ERR_BAD_INPUT, "invalid metric name: %.*s", STR_ARG(p->name));
    buf_go_quote(&name, p->name);
    if (!utf8_valid(p->help))
        rc = err_set(e, ERR_BAD_INPUT, "invalid help for metric %.*s: %.*s",
            STR_ARG(buf_view(&name)), STR_ARG(p->help));
    else if (p->type < 0 || p->type >= PB_FAMILY_TYPES)
        rc = err_set(e, ERR_BAD_INPUT, "unknown metric type for metric %.*s: %" PRId32,
            STR_ARG(buf_view(&name)), p->type);
    buf_fini(&name);
    return rc;
}

static void family_begin(struct expo *x)
{
    static const enum metric_type types[PB_FAMILY_TYPES] = {
        [PB_COUNTER] = TYPE_COUNTER,
        [PB_GAUGE] = TYPE_GAUGE,
        [PB_SUMMARY] = TYPE_SUMMARY,
        [PB_UNTYPED] = TYPE_UNKNOWN,
        [PB_HISTOGRAM] = TYPE_HISTOGRAM,
        [PB_GAUGE_HISTOGRAM] = TYPE_GAUGE_HISTOGRAM,
    };
    const struct pb_page *p = &x->pb->page;
    x->name = p->name;
    x->unit = p->unit;
    x->type = types[p->type];
    uint64_t key = line_hash(p->name.p, p->name.n);
    if (x->opts.type_and_unit_labels)
        key = line_hash_fold(
            key ^ line_hash_key[2], line_hash(p->unit.p, p->unit.n) + (uint64_t)p->type);
    x->pb->family_key = key;
}

/* The key of a comment is that of all it says. */
static errc tell(struct expo *x, enum expo_entry kind, enum step step, str text)
{
    x->pb->step = step;
    x->kind = kind;
    x->text = text;
    x->key = line_hash_fold(x->pb->family_key ^ line_hash_key[3 + (kind == EXPO_UNIT)],
        line_hash(text.p, text.n) + (kind == EXPO_TYPE ? (uint64_t)x->type + 1 : 0));
    x->key_len = (uint32_t)kind;
    return OK;
}

/* Series */

static double float_or(double floats, uint64_t whole)
{
    return floats == 0 ? (double)whole : floats;
}

static double histogram_value(const struct expo_pb *p)
{
    const struct pb_metric *m = &p->page.m;
    if (p->part == PART_SUM) return m->sum[PB_HISTOGRAM];
    if (p->part < 0 || (size_t)p->part >= m->buckets.n)
        return float_or(m->count_float, m->count[PB_HISTOGRAM]);
    const struct pb_bucket *b = &m->buckets.at[p->part];
    return float_or(b->count_float, b->count);
}

static double summary_value(const struct expo_pb *p)
{
    const struct pb_metric *m = &p->page.m;
    if (p->part == PART_COUNT) return (double)m->count[PB_SUMMARY];
    if (p->part == PART_SUM) return m->sum[PB_SUMMARY];
    return m->quantiles.at[p->part].value;
}

/* The value of `quantile` or `le`; false: the part has none. */
static bool part_bound(const struct expo_pb *p, double *out)
{
    const struct pb_metric *m = &p->page.m;
    if (p->step == HISTOGRAM || p->part < 0) return false;
    bool summary = p->page.type == PB_SUMMARY;
    if (!summary && !is_histogram(p)) return false;
    size_t i = (size_t)p->part, n = summary ? m->quantiles.n : m->buckets.n;
    if (summary && i >= n) return false;
    *out = summary ? m->quantiles.at[i].quantile : i < n ? m->buckets.at[i].upper : INFINITY;
    return true;
}

static bool last_part(const struct expo_pb *p)
{
    const struct pb_metric *m = &p->page.m;
    if (p->step == HISTOGRAM) return p->parts_done;
    if (p->page.type == PB_SUMMARY) return p->part + 1 >= (int64_t)m->quantiles.n && p->part >= -1;
    return p->part >= 0 &&
           (p->part >= (int64_t)m->buckets.n || m->buckets.at[p->part].upper == INFINITY);
}

static void series_key(struct expo *x)
{
    const struct expo_pb *p = x->pb;
    const struct pb_metric *m = &p->page.m;
    double bound = 0;
    uint64_t part = p->step == HISTOGRAM ? 1 : p->part < 0 ? (uint64_t)(p->part + 4) : 4;
    if (part_bound(p, &bound)) part += f64_bits(bound) << 3 | f64_bits(bound) >> 61;
    x->key = line_hash_fold(p->family_key ^ line_hash_key[4],
        line_hash_fold(m->labels_hash ^ line_hash_key[3], part ^ line_hash_key[0]));
    x->key_len = m->labels_bytes;
}

/* Of a counter or of a classic bucket. */
static str series_exemplar(struct expo *x)
{
    const struct expo_pb *p = x->pb;
    const struct pb_metric *m = &p->page.m;
    str none = { NULL, 0 };
    if (x->exemplars_told) return none;
    if (p->page.type == PB_COUNTER) return m->exemplar;
    bool bucket = is_histogram(p) && p->part >= 0 && (size_t)p->part < m->buckets.n;
    return bucket ? m->buckets.at[p->part].exemplar : none;
}

/* The entry that the step and the part say. */
static errc series_tell(struct expo *x, struct err *e)
{
    struct expo_pb *p = x->pb;
    struct pb_metric *m = &p->page.m;
    if (p->checked != m->message.p) {
        TRY(pb_metric_check_labels(m, e));
        p->checked = m->message.p;
    }
    x->has_ts = m->ts != 0;
    x->ts = m->ts;
    series_key(x);
    if (p->step == HISTOGRAM) {
        x->kind = EXPO_HISTOGRAM;
        if (!is_classic(x) && x->opts.keep_classic && m->buckets.n) p->redo_classic = true;
        return OK;
    }
    x->kind = EXPO_SERIES;
    x->has_exemplar = series_exemplar(x).p;
    switch (p->page.type) {
    case PB_SUMMARY:
        p->parts_done = last_part(p);
        x->value = summary_value(p);
        break;
    case PB_HISTOGRAM:
    case PB_GAUGE_HISTOGRAM:
        p->parts_done = last_part(p);
        x->value = histogram_value(p);
        break;
    default: x->value = m->value[p->page.type];
    }
    return OK;
}

/* Histograms */

static errc spans_fit(const char *side, const struct pb_buckets *b, bool floats, struct err *e)
{
    uint64_t sum = 0;
    size_t n = floats ? b->counts.n : b->deltas.n;
    for (size_t i = 0; i < b->spans.n; i++) sum += b->spans.at[i].length;
    if (sum == n) return OK;
    return err_set(
        e, ERR_BAD_INPUT, "%s side: spans require %" PRIu64 " buckets, have %zu", side, sum, n);
}

static errc histogram_check(const struct pb_page *p, struct err *e)
{
    bool floats = is_float(&p->m);
    struct err why = { 0 };
    errc rc = spans_fit("positive", &p->m.pos, floats, &why);
    if (rc == OK) rc = spans_fit("negative", &p->m.neg, floats, &why);
    if (rc == OK) return OK;
    struct buf name = { 0 };
    buf_go_quote(&name, p->name);
    err_set(e, rc, "histogram %.*s: %s", STR_ARG(buf_view(&name)), why.msg);
    buf_fini(&name);
    return rc;
}

static errc convert(struct expo_pb *p, struct err *e)
{
    const struct pb_metric *m = &p->page.m;
    struct classic_histogram *c = &p->classic;
    classic_reset(c);
    classic_put_count(c, float_or(m->count_float, m->count[PB_HISTOGRAM]));
    classic_put_sum(c, m->sum[PB_HISTOGRAM]);
    for (size_t i = 0; i < m->buckets.n; i++)
        classic_put_bucket(c, m->buckets.at[i].upper,
            float_or(m->buckets.at[i].count_float, m->buckets.at[i].count));
    arena_reset(&p->made, (struct arena_mark){ 0 });
    TRY(classic_convert(c, &p->made, &p->whole, &p->floats, e));
    if (p->page.type != PB_GAUGE_HISTOGRAM) return OK;
    if (p->whole) p->whole->hint = RESET_GAUGE;
    else p->floats->hint = RESET_GAUGE;
    return OK;
}

/* The steps. *again: the step only led to another one. */

static errc step_family(struct expo *x, bool *again, struct err *e)
{
    struct expo_pb *p = x->pb;
    bool more;
    p->exemplars = 0;
    p->part = PART_COUNT;
    TRY(pb_page_family(&p->page, &more, e));
    x->kind = EXPO_END;
    if (!more) return OK;
    TRY(pb_page_metric(&p->page, &more, e));
    *again = !more; /* a family without metrics is passed over */
    if (!more) return OK;
    TRY(family_check(&p->page, e));
    family_begin(x);
    return tell(x, EXPO_HELP, HELP, p->page.help);
}

static errc step_type(struct expo *x, bool *again, struct err *e)
{
    struct expo_pb *p = x->pb;
    p->step = SERIES;
    if (!is_histogram(p)) return series_tell(x, e);
    if (is_classic(x)) {
        p->part = PART_NOTHING;
        *again = true;
        return OK;
    }
    TRY(histogram_check(&p->page, e));
    p->step = HISTOGRAM;
    return series_tell(x, e);
}

static errc next_metric(struct expo *x, bool *again, struct err *e)
{
    bool more;
    TRY(pb_page_metric(&x->pb->page, &more, e));
    if (!more) x->pb->step = FAMILY;
    *again = !more;
    return OK;
}

static errc step_series(struct expo *x, bool *again, struct err *e)
{
    struct expo_pb *p = x->pb;
    bool decode = true, histogram = is_histogram(p);
    if (histogram || p->page.type == PB_SUMMARY) {
        bool classic = histogram && is_classic(x);
        bool skip = x->opts.convert_classic && classic && !x->opts.keep_classic;
        if (!p->parts_done && !skip) {
            p->part++;
            return series_tell(x, e);
        }
        p->part = PART_COUNT;
        p->parts_done = false;
        p->exemplars = 0;
        if (histogram && !classic) {
            TRY(histogram_check(&p->page, e));
            p->step = HISTOGRAM;
        } else if (histogram && x->opts.convert_classic) {
            TRY(convert(p, e));
            p->step = HISTOGRAM;
            decode = false;
        }
    }
    if (decode) TRY(next_metric(x, again, e));
    return *again ? OK : series_tell(x, e);
}

static errc step_histogram(struct expo *x, bool *again, struct err *e)
{
    struct expo_pb *p = x->pb;
    bool redo = p->redo_classic;
    if (!redo) TRY(next_metric(x, again, e));
    if (*again) return OK;
    if (!redo && !is_classic(x)) return series_tell(x, e);
    p->redo_classic = p->parts_done = false;
    p->part = PART_NOTHING;
    p->step = SERIES;
    *again = true;
    return OK;
}

errc expo_pb_next(struct expo *x, struct err *e)
{
    struct expo_pb *p = x->pb;
    p->whole = NULL;
    p->floats = NULL;
    for (;;) {
        bool again = false;
        switch (p->step) {
        case FAMILY: TRY(step_family(x, &again, e)); break;
        case HELP:
            if (p->page.unit.n) return tell(x, EXPO_UNIT, UNIT, p->page.unit);
            return tell(x, EXPO_TYPE, TYPE, STR_EMPTY);
        case UNIT: return tell(x, EXPO_TYPE, TYPE, STR_EMPTY);
        case TYPE: TRY(step_type(x, &again, e)); break;
        case SERIES: TRY(step_series(x, &again, e)); break;
        case HISTOGRAM: TRY(step_histogram(x, &again, e)); break;
        }
        if (!again) return OK;
    }
}

/* On demand */

str expo_pb_name(const struct expo *x, struct arena *a)
{
    const struct expo_pb *p = x->pb;
    bool parts = is_histogram(p) || p->page.type == PB_SUMMARY;
    if (p->step == HISTOGRAM || !parts) return p->page.name;
    if (p->part >= 0 && p->page.type == PB_SUMMARY) return p->page.name;
    str name = p->page.name, suffix = p->part == PART_COUNT ? S("_count")
                                      : p->part == PART_SUM ? S("_sum")
                                                            : S("_bucket");
    uint8_t *at = arena_alloc(a, name.n + suffix.n);           /* a name may hold any rune */
    memcpy(at, name.p, name.n);
    memcpy(at + name.n, suffix.p, suffix.n);
    return str_of(at, name.n + suffix.n);
}

size_t expo_pb_labels_max(const struct expo *x) { return x->pb->page.m.n_labels + 1; }

size_t expo_pb_labels(const struct expo *x, struct arena *a, struct label *at)
{
    const struct expo_pb *p = x->pb;
    size_t n = pb_metric_labels(&p->page.m, at);
    double bound;
    if (!part_bound(p, &bound)) return n;
    char text[F64_TEXT_MAX];
    str value = arena_str(a, str_of(text, f64_text_openmetrics(text, bound)));
    at[n++] = (struct label){ p->page.type == PB_SUMMARY ? S("quantile") : S("le"), value };
    return n;
}

static struct histogram_side floats_of(struct arena *a, const struct pb_buckets *b)
{
    struct histogram_side s = { arena_array(a, b->spans.n, sizeof(*s.spans)), b->spans.n,
        arena_array(a, b->counts.n, sizeof(*s.at)), b->counts.n };
    if (s.n_spans) memcpy(s.spans, b->spans.at, s.n_spans * sizeof(*s.spans));
    if (s.n) memcpy(s.at, b->counts.at, s.n * sizeof(*s.at));
    return s;
}

static struct int_histogram_side whole_of(struct arena *a, const struct pb_buckets *b)
{
    struct int_histogram_side s = { arena_array(a, b->spans.n, sizeof(*s.spans)), b->spans.n,
        arena_array(a, b->deltas.n, sizeof(*s.deltas)), b->deltas.n };
    if (s.n_spans) memcpy(s.spans, b->spans.at, s.n_spans * sizeof(*s.spans));
    if (s.n) memcpy(s.deltas, b->deltas.at, s.n * sizeof(*s.deltas));
    return s;
}

static struct histogram *native_floats(
    const struct pb_metric *m, enum reset_hint hint, struct arena *a)
{
    struct histogram *h = ANEW(a, struct histogram);
    *h = (struct histogram){ .hint = hint,
        .schema = m->schema,
        .zero_threshold = m->zero_threshold,
        .zero_count = m->zero_count_float,
        .count = m->count_float,
        .sum = m->sum[PB_HISTOGRAM],
        .pos = floats_of(a, &m->pos),
        .neg = floats_of(a, &m->neg) };
    if (spans_fit("", &m->pos, true, NULL) == OK && spans_fit("", &m->neg, true, NULL) == OK)
        histogram_compact(a, h);
    return h;
}

static struct int_histogram *native_whole(
    const struct pb_metric *m, enum reset_hint hint, struct arena *a)
{
    struct int_histogram *h = ANEW(a, struct int_histogram);
    *h = (struct int_histogram){ .hint = hint,
        .schema = m->schema,
        .zero_threshold = m->zero_threshold,
        .zero_count = m->zero_count,
        .count = m->count[PB_HISTOGRAM],
        .sum = m->sum[PB_HISTOGRAM],
        .pos = whole_of(a, &m->pos),
        .neg = whole_of(a, &m->neg) };
    int_histogram_compact(a, h, 0);
    return h;
}

struct expo_histogram expo_pb_histogram(const struct expo *x, struct arena *a)
{
    const struct expo_pb *p = x->pb;
    const struct pb_metric *m = &p->page.m;
    if (is_classic(x)) return (struct expo_histogram){ p->whole, p->floats };
    enum reset_hint hint = p->page.type == PB_GAUGE_HISTOGRAM ? RESET_GAUGE : RESET_UNKNOWN;
    if (is_float(m)) return (struct expo_histogram){ .floats = native_floats(m, hint, a) };
    return (struct expo_histogram){ .whole = native_whole(m, hint, a) };
}

int64_t expo_pb_start_ts(const struct expo *x)
{
    const struct pb_page *p = &x->pb->page;
    if (p->type == PB_GAUGE || p->type == PB_UNTYPED) return 0;
    str at = p->m.start[MIN(p->type, PB_HISTOGRAM)];
    return at.p ? pb_instant_ms(at) : 0;
}

/* A native histogram's own, or else those of its classic buckets; those without a time are passed
 * over. */
static str native_exemplar(struct expo_pb *p)
{
    const struct pb_metric *m = &p->page.m;
    str none = { NULL, 0 };
    if (m->exemplars.n) {
        while (p->exemplars < m->exemplars.n) {
            str x = m->exemplars.at[p->exemplars++];
            if (pb_example_time(x).p) return x;
        }
        return none;
    }
    p->part = MAX(p->part, 0);
    while (p->part < (int64_t)m->buckets.n) {
        str x = m->buckets.at[p->part++].exemplar;
        if (x.p && pb_example_time(x).p) return x;
    }
    return none;
}

bool expo_pb_exemplar(struct expo *x, struct arena *a, struct expo_exemplar *out)
{
    str found = x->kind == EXPO_HISTOGRAM ? native_exemplar(x->pb) : series_exemplar(x);
    if (!found.p) return false;
    x->exemplars_told++;
    struct pb_example read = pb_example_read(found, a);
    bool has_ts = read.timestamp.p;
    *out = (struct expo_exemplar){ read.labels, read.value,
        has_ts ? pb_instant_ms(read.timestamp) : 0, has_ts };
    return true;
}

struct expo_spot expo_pb_spot(const struct expo *x)
{
    const struct pb_page *p = &x->pb->page;
    return (struct expo_spot){ p->message, p->m.message, x->pb->part };
}

errc expo_pb_return(struct expo *x, struct expo_spot spot, struct err *e)
{
    struct expo_pb *p = x->pb;
    TRY(pb_page_return(&p->page, spot.family, spot.metric, e));
    family_begin(x);
    p->step = SERIES;
    p->part = spot.part;
    return series_tell(x, e);
}
