/* conformance_exposition.c — exposition/text, exposition/openmetrics, exposition/protobuf,
 * exposition/content_type. */
#include "base/f64.h"
#include "base/mem.h"
#include "cmd/epitool/conformance.h"
#include "ingest/exposition.h"
#include "ingest/negotiate.h"

static bool option(const json_t *q, const char *name)
{
    const json_t *options = json_object_get(q, "options");
    for (size_t i = 0; i < json_array_size(options); i++)
        if (strcmp(json_string_value(json_array_get(options, i)), name) == 0) return true;
    return false;
}

static void put_labels(struct json *j, struct labels l)
{
    JSON_KEY(j, "labels");
    json_arr(j);
    for (size_t i = 0; i < l.n; i++) {
        json_arr(j);
        json_str(j, l.at[i].name);
        json_str(j, l.at[i].value);
        json_arr_end(j);
    }
    json_arr_end(j);
}

static void put_float(struct json *j, double v)
{
    char text[F64_TEXT_MAX];
    json_kstr(j, S("value"), str_of(text, f64_text_g(text, v)));
    if (v == v) return;
    struct buf b = { 0 };
    buf_fmt(&b, "%016" PRIx64, f64_bits(v));
    json_kstr(j, S("bits"), buf_view(&b));
    buf_fini(&b);
}

static void put_exemplars(struct json *j, struct expo *x, struct arena *a)
{
    size_t n = 0;
    for (struct expo_exemplar ex; expo_exemplar(x, a, &ex); n++) {
        if (!n) {
            JSON_KEY(j, "exemplars");
            json_arr(j);
        }
        json_obj(j);
        put_labels(j, ex.labels);
        char text[F64_TEXT_MAX];
        json_kstr(j, S("value"), str_of(text, f64_text_g(text, ex.value)));
        if (ex.has_ts) json_ki64(j, S("ts"), ex.ts);
        json_obj_end(j);
    }
    if (n) json_arr_end(j);
}

static void put_rest(struct json *j, struct expo *x, struct arena *a)
{
    put_exemplars(j, x, a);
    int64_t start = expo_start_ts(x);
    if (start) json_ki64(j, S("start_ts"), start);
}

static void put_series(struct json *j, struct expo *x, struct arena *a)
{
    put_labels(j, expo_labels(x, a));
    if (x->has_ts) json_ki64(j, S("ts"), x->ts);
    put_float(j, x->value);
    put_rest(j, x, a);
}

static void put_number(struct json *j, double v)
{
    char text[F64_TEXT_MAX];
    json_str(j, str_of(text, f64_text_g(text, v)));
}

static void put_key_number(struct json *j, str key, double v)
{
    json_key(j, key);
    put_number(j, v);
}

static void put_spans(struct json *j, str key, const struct span *at, size_t n)
{
    if (!n) return;
    json_key(j, key);
    json_arr(j);
    for (size_t i = 0; i < n; i++) {
        json_arr(j);
        json_i64(j, at[i].offset);
        json_i64(j, at[i].length);
        json_arr_end(j);
    }
    json_arr_end(j);
}

static void put_doubles(struct json *j, str key, const double *at, size_t n)
{
    if (!n) return;
    json_key(j, key);
    json_arr(j);
    for (size_t i = 0; i < n; i++) put_number(j, at[i]);
    json_arr_end(j);
}

static void put_deltas(struct json *j, str key, const int64_t *at, size_t n, struct arena *a)
{
    if (!n) return;
    json_key(j, key);
    json_arr(j);
    for (size_t i = 0; i < n; i++) json_str(j, arena_fmt(a, "%" PRId64, at[i]));
    json_arr_end(j);
}

static void put_frame(
    struct json *j, bool floats, enum reset_hint hint, int32_t schema, double threshold)
{
    static const str hints[] = { S("unknown"), S("reset"), S("not_reset"), S("gauge") };
    json_kbool(j, S("float"), floats);
    json_kstr(j, S("counter_reset_hint"), hints[hint]);
    json_ki64(j, S("schema"), schema);
    put_key_number(j, S("zero_threshold"), threshold);
}

static void put_whole(struct json *j, const struct int_histogram *h, struct arena *a)
{
    put_frame(j, false, h->hint, h->schema, h->zero_threshold);
    json_kstr(j, S("zero_count"), arena_fmt(a, "%" PRIu64, h->zero_count));
    json_kstr(j, S("count"), arena_fmt(a, "%" PRIu64, h->count));
    put_key_number(j, S("sum"), h->sum);
    put_spans(j, S("positive_spans"), h->pos.spans, h->pos.n_spans);
    put_deltas(j, S("positive_buckets"), h->pos.deltas, h->pos.n, a);
    put_spans(j, S("negative_spans"), h->neg.spans, h->neg.n_spans);
    put_deltas(j, S("negative_buckets"), h->neg.deltas, h->neg.n, a);
    put_doubles(j, S("custom_values"), h->custom, h->n_custom);
}

static void put_floats(struct json *j, const struct histogram *h)
{
    put_frame(j, true, h->hint, h->schema, h->zero_threshold);
    put_key_number(j, S("zero_count"), h->zero_count);
    put_key_number(j, S("count"), h->count);
    put_key_number(j, S("sum"), h->sum);
    put_spans(j, S("positive_spans"), h->pos.spans, h->pos.n_spans);
    put_doubles(j, S("positive_buckets"), h->pos.at, h->pos.n);
    put_spans(j, S("negative_spans"), h->neg.spans, h->neg.n_spans);
    put_doubles(j, S("negative_buckets"), h->neg.at, h->neg.n);
    put_doubles(j, S("custom_values"), h->custom, h->n_custom);
}

static void put_histogram(struct json *j, struct expo *x, struct arena *a)
{
    put_labels(j, expo_labels(x, a));
    if (x->has_ts) json_ki64(j, S("ts"), x->ts);
    struct expo_histogram h = expo_histogram(x, a);
    JSON_KEY(j, "histogram");
    if (h.whole || h.floats) {
        json_obj(j);
        if (h.whole) put_whole(j, h.whole, a);
        else put_floats(j, h.floats);
        json_obj_end(j);
    } else {
        json_nil(j);
    }
    put_rest(j, x, a);
}

static void put_entry(struct json *j, struct expo *x, enum expo_entry kind, struct arena *a)
{
    static const str kinds[] = { S("end"), S("type"), S("help"), S("unit"), S("comment"),
        S("series"), S("histogram") };
    json_obj(j);
    json_kstr(j, S("kind"), kinds[kind]);
    if (kind == EXPO_TYPE || kind == EXPO_HELP || kind == EXPO_UNIT)
        json_kstr(j, S("metric"), x->name);
    if (kind == EXPO_TYPE) json_kstr(j, S("type"), metric_type_name(x->type));
    if (kind == EXPO_HELP) json_kstr(j, S("help"), expo_help(x, a));
    if (kind == EXPO_UNIT) json_kstr(j, S("unit"), x->unit);
    if (kind == EXPO_COMMENT) json_kstr(j, S("comment"), x->text);
    if (kind == EXPO_SERIES) put_series(j, x, a);
    if (kind == EXPO_HISTOGRAM) put_histogram(j, x, a);
    json_obj_end(j);
}

static errc ask_page(
    enum expo_format format, const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    (void)e;
    str input = conformance_bytes(q, "input", a);
    uint8_t *body = arena_zalloc(a, input.n + EXPO_PADDING);
    if (input.n) memcpy(body, input.p, input.n);
    struct expo_opts opts = { .type_and_unit_labels = option(q, "type_and_unit_labels"),
        .skip_created = option(q, "skip_created_series"),
        .ignore_native = option(q, "ignore_native"),
        .keep_classic = option(q, "keep_classic"),
        .convert_classic = option(q, "convert_classic_to_nhcb") };
    struct expo x;
    expo_init(&x, format, body, input.n, &opts);
    enum expo_entry kind;
    struct err words = { 0 };
    JSON_KEY(got, "entries");
    json_arr(got);
    while (expo_next(&x, &kind, &words) == OK && kind != EXPO_END) put_entry(got, &x, kind, a);
    json_arr_end(got);
    if (x.rc != OK) json_kstr(got, S("error"), err_str(&words));
    expo_fini(&x);
    return OK;
}

static errc ask_text(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    return ask_page(EXPO_TEXT, q, a, got, e);
}
static errc ask_openmetrics(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    return ask_page(EXPO_OPENMETRICS, q, a, got, e);
}
static errc ask_protobuf(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    return ask_page(EXPO_PROTOBUF, q, a, got, e);
}

static errc ask_content_type(const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    (void)a;
    (void)e;
    static const str names[] = { S("none"), S("prom"), S("openmetrics"), S("protobuf") };
    enum expo_format format = EXPO_NONE;
    struct err words = { 0 };
    bool warn = false;
    errc rc = expo_format_of(conformance_str(q, "content_type"),
        conformance_str(q, "fallback_media_type"), &format, &warn, &words);
    json_kstr(got, S("parser"), names[rc == OK ? format : EXPO_NONE]);
    if (warn || rc != OK) json_kstr(got, S("warning_or_error"), err_str(&words));
    return OK;
}

const struct conformance_kind conformance_exposition_text = { .name = "exposition/text",
    .ask = ask_text };
const struct conformance_kind conformance_exposition_openmetrics = {
    .name = "exposition/openmetrics", .ask = ask_openmetrics
};
const struct conformance_kind conformance_exposition_protobuf = {
    .name = "exposition/protobuf", .ask = ask_protobuf
};
const struct conformance_kind conformance_exposition_content_type = {
    .name = "exposition/content_type", .ask = ask_content_type
};
