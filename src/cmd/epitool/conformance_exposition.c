/* conformance_exposition.c — exposition/text, exposition/openmetrics, exposition/content_type. */
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

static void put_exemplar(struct json *j, const struct expo_exemplar *ex)
{
    JSON_KEY(j, "exemplars");
    json_arr(j);
    json_obj(j);
    put_labels(j, ex->labels);
    char text[F64_TEXT_MAX];
    json_kstr(j, S("value"), str_of(text, f64_text_g(text, ex->value)));
    if (ex->has_ts) json_ki64(j, S("ts"), ex->ts);
    json_obj_end(j);
    json_arr_end(j);
}

static void put_series(struct json *j, struct expo *x, struct arena *a)
{
    put_labels(j, expo_labels(x, a));
    if (x->has_ts) json_ki64(j, S("ts"), x->ts);
    put_float(j, x->value);
    struct expo_exemplar ex;
    if (expo_exemplar(x, a, &ex)) put_exemplar(j, &ex);
    int64_t start = expo_start_ts(x);
    if (start) json_ki64(j, S("start_ts"), start);
}

static void put_entry(struct json *j, struct expo *x, enum expo_entry kind, struct arena *a)
{
    static const str kinds[] = { S("end"), S("type"), S("help"), S("unit"), S("comment"),
        S("series") };
    json_obj(j);
    json_kstr(j, S("kind"), kinds[kind]);
    if (kind == EXPO_TYPE || kind == EXPO_HELP || kind == EXPO_UNIT)
        json_kstr(j, S("metric"), x->name);
    if (kind == EXPO_TYPE) json_kstr(j, S("type"), metric_type_name(x->type));
    if (kind == EXPO_HELP) json_kstr(j, S("help"), expo_help(x, a));
    if (kind == EXPO_UNIT) json_kstr(j, S("unit"), x->unit);
    if (kind == EXPO_COMMENT) json_kstr(j, S("comment"), x->text);
    if (kind == EXPO_SERIES) put_series(j, x, a);
    json_obj_end(j);
}

static errc ask_page(
    enum expo_format format, const json_t *q, struct arena *a, struct json *got, struct err *e)
{
    if (option(q, "convert_classic_to_nhcb"))
        return err_set(e, ERR_UNSUPPORTED, "native histograms with custom buckets");
    str input = conformance_bytes(q, "input", a);
    uint8_t *body = arena_zalloc(a, input.n + EXPO_PADDING);
    if (input.n) memcpy(body, input.p, input.n);
    struct expo_opts opts = { option(q, "type_and_unit_labels"), option(q, "skip_created_series") };
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
const struct conformance_kind conformance_exposition_content_type = {
    .name = "exposition/content_type", .ask = ask_content_type
};
