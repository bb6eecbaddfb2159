#include "base/f64.h"
#include "base/test.h"
#include "base/test_vectors.h"
#include "base/utf8.h"
#include "ingest/exposition.h"

#include <stdio.h>
#include <stdlib.h>

/* A body with its padding. */
static uint8_t *body_of(str s)
{
    uint8_t *b = mem_zalloc(s.n + EXPO_PADDING);
    if (s.n) memcpy(b, s.p, s.n);
    return b;
}

static str text_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return v ? str_of(json_string_value(v), json_string_length(v)) : STR_EMPTY;
}

static uint8_t base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') return (uint8_t)(c - 'A');
    if (c >= 'a' && c <= 'z') return (uint8_t)(c - 'a' + 26);
    if (c >= '0' && c <= '9') return (uint8_t)(c - '0' + 52);
    return c == '+' ? 62 : 63;
}

static str base64_of(struct arena *a, str s)
{
    uint8_t *p = arena_alloc(a, s.n);
    size_t n = 0;
    uint32_t bits = 0, have = 0;
    for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
        bits = bits << 6 | base64_digit(s.p[i]);
        have += 6;
        if (have < 8) continue;
        have -= 8;
        p[n++] = (uint8_t)(bits >> have);
    }
    return str_of(p, n);
}

/* The vectors were written by a JSON encoder that puts U+FFFD for a byte that is no UTF-8. */
static str as_json(struct arena *a, str s)
{
    struct buf b = { 0 };
    for (size_t i = 0, width; i < s.n; i += width) buf_rune(&b, utf8_rune(str_from(s, i), &width));
    str out = arena_str(a, buf_view(&b));
    buf_fini(&b);
    return out;
}

/* A string of a vector: KEY, or KEY_b64 where it is no UTF-8. */
static str any_text(struct arena *a, const json_t *o, const char *key)
{
    char b64[64];
    snprintf(b64, sizeof(b64), "%s_b64", key);
    if (json_object_get(o, b64)) return base64_of(a, text_of(o, b64));
    return text_of(o, key);
}

static void same_labels(const json_t *want, struct arena *a, struct labels got)
{
    EXPECT_EQ(got.n, json_array_size(want));
    for (size_t i = 0; i < got.n; i++) {
        const json_t *pair = json_array_get(want, i);
        for (size_t k = 0; k < 2; k++) {
            const json_t *s = json_array_get(pair, k);
            EXPECT_STR(as_json(a, k ? got.at[i].value : got.at[i].name),
                str_of(json_string_value(s), json_string_length(s)));
        }
    }
}

static void same_float(const json_t *entry, double got)
{
    char text[F64_TEXT_MAX];
    EXPECT_STR(str_of(text, f64_text_g(text, got)), text_of(entry, "value"));
    const json_t *bits = json_object_get(entry, "bits");
    if (bits) EXPECT_EQ(f64_bits(got), strtoull(json_string_value(bits), NULL, 16));
}

static double number_of(const json_t *v)
{
    double out = 0;
    EXPECT(f64_parse(str_z(json_string_value(v)), &out));
    return out;
}

static void same_spans(const json_t *want, const struct span *at, size_t n)
{
    EXPECT_EQ(n, json_array_size(want));
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(want, i);
        EXPECT_EQ(at[i].offset, json_integer_value(json_array_get(pair, 0)));
        EXPECT_EQ(at[i].length, json_integer_value(json_array_get(pair, 1)));
    }
}

static void same_numbers(const json_t *want, const double *at, size_t n)
{
    EXPECT_EQ(n, json_array_size(want));
    for (size_t i = 0; i < n; i++)
        EXPECT_EQ(f64_bits(at[i]), f64_bits(number_of(json_array_get(want, i))));
}

static void same_deltas(const json_t *want, const int64_t *at, size_t n)
{
    EXPECT_EQ(n, json_array_size(want));
    for (size_t i = 0; i < n; i++)
        EXPECT_EQ(at[i], strtoll(json_string_value(json_array_get(want, i)), NULL, 10));
}

/* The buckets as they were recorded: differences of an integer histogram. */
static void same_histogram(const json_t *want, struct expo_histogram got)
{
    struct histogram none = { 0 }, *f = got.floats ? got.floats : &none;
    struct int_histogram *w = got.whole;
    EXPECT_EQ(json_is_true(json_object_get(want, "float")), got.floats != NULL);
    enum reset_hint hint = w ? w->hint : f->hint;
    EXPECT_STR(
        text_of(want, "counter_reset_hint"), hint == RESET_GAUGE ? S("gauge") : S("unknown"));
    EXPECT_EQ(w ? w->schema : f->schema, json_integer_value(json_object_get(want, "schema")));
    double numbers[] = { w ? w->zero_threshold : f->zero_threshold,
        w ? (double)w->zero_count : f->zero_count, w ? (double)w->count : f->count,
        w ? w->sum : f->sum };
    static const char *const keys[] = { "zero_threshold", "zero_count", "count", "sum" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        EXPECT_EQ(f64_bits(numbers[i]), f64_bits(number_of(json_object_get(want, keys[i]))));
    const json_t *pos = json_object_get(want, "positive_spans"),
                 *neg = json_object_get(want, "negative_spans");
    same_spans(pos, w ? w->pos.spans : f->pos.spans, w ? w->pos.n_spans : f->pos.n_spans);
    same_spans(neg, w ? w->neg.spans : f->neg.spans, w ? w->neg.n_spans : f->neg.n_spans);
    pos = json_object_get(want, "positive_buckets");
    neg = json_object_get(want, "negative_buckets");
    if (w) same_deltas(pos, w->pos.deltas, w->pos.n);
    else same_numbers(pos, f->pos.at, f->pos.n);
    if (w) same_deltas(neg, w->neg.deltas, w->neg.n);
    else same_numbers(neg, f->neg.at, f->neg.n);
    same_numbers(json_object_get(want, "custom_values"), w ? w->custom : f->custom,
        w ? w->n_custom : f->n_custom);
}

static void same_series(struct expo *x, struct arena *a, const json_t *want)
{
    same_labels(json_object_get(want, "labels"), a, expo_labels(x, a));
    if (x->kind == EXPO_SERIES) same_float(want, x->value);
    else same_histogram(json_object_get(want, "histogram"), expo_histogram(x, a));
    const json_t *ts = json_object_get(want, "ts");
    EXPECT_EQ(x->has_ts, ts != NULL);
    if (ts) EXPECT_EQ(x->ts, json_integer_value(ts));

    const json_t *exemplars = json_object_get(want, "exemplars");
    struct expo_exemplar ex;
    size_t n = 0;
    for (; expo_exemplar(x, a, &ex); n++) {
        const json_t *e = json_array_get(exemplars, n);
        EXPECT(e != NULL);
        same_labels(json_object_get(e, "labels"), a, ex.labels);
        same_float(e, ex.value);
        EXPECT_EQ(ex.has_ts, json_object_get(e, "ts") != NULL);
        EXPECT_EQ(ex.ts, json_integer_value(json_object_get(e, "ts")));
    }
    EXPECT_EQ(n, json_array_size(exemplars));
    EXPECT_EQ(expo_start_ts(x), json_integer_value(json_object_get(want, "start_ts")));
}

static void same_entry(struct expo *x, struct arena *a, enum expo_entry kind, const json_t *want)
{
    static const char *const kinds[] = { "end", "type", "help", "unit", "comment", "series",
        "histogram" };
    EXPECT_STR(str_z(kinds[kind]), text_of(want, "kind"));
    if (kind == EXPO_TYPE || kind == EXPO_HELP || kind == EXPO_UNIT)
        EXPECT_STR(as_json(a, x->name), any_text(a, want, "metric"));
    if (kind == EXPO_TYPE) EXPECT_STR(metric_type_name(x->type), text_of(want, "type"));
    if (kind == EXPO_HELP) EXPECT_STR(expo_help(x, a), text_of(want, "help"));
    if (kind == EXPO_UNIT) EXPECT_STR(as_json(a, x->unit), any_text(a, want, "unit"));
    if (kind == EXPO_COMMENT) EXPECT_STR(as_json(a, x->text), any_text(a, want, "comment"));
    if (kind == EXPO_SERIES || kind == EXPO_HISTOGRAM) same_series(x, a, want);
}

static bool option(const json_t *o, const char *name)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(o, "options"), i, v)
        if (strstr(json_string_value(v), name)) return true;
    return false;
}

static void same_page(enum expo_format format, const json_t *o, struct arena *a)
{
    str input = any_text(a, o, "input");
    uint8_t *body = body_of(input);
    struct expo_opts opts = { .type_and_unit_labels = option(o, "type_and_unit"),
        .skip_created = option(o, "skip_created"),
        .ignore_native = option(o, "ignore_native"),
        .keep_classic = option(o, "keep_classic"),
        .convert_classic = option(o, "nhcb") };
    struct expo x;
    expo_init(&x, format, body, input.n, &opts);
    const json_t *entries = json_object_get(o, "entries");
    const json_t *error = json_object_get(o, "error");
    struct err e = { 0 };
    enum expo_entry kind;
    size_t n = 0;
    while (expo_next(&x, &kind, &e) == OK && kind != EXPO_END) {
        EXPECT(n < json_array_size(entries));
        same_entry(&x, a, kind, json_array_get(entries, n++));
    }
    EXPECT_EQ(n, json_array_size(entries));
    EXPECT_EQ(x.rc != OK, json_is_string(error));
    if (json_is_string(error) && !str_has_prefix(text_of(o, "error"), S("PANIC")))
        EXPECT_STR(as_json(a, err_str(&e)), str_slice(text_of(o, "error"), 0, sizeof(e.msg) - 1));
    expo_fini(&x);
    mem_free(body);
}

static void same_pages(enum expo_format format, const char *path, size_t at_least)
{
    struct vectors v;
    vectors_open(&v, path);
    size_t n = 0;
    for (json_t *o; (o = vectors_next(&v)) != NULL;) {
        test_case(json_string_value(json_object_get(o, "id")));
        struct arena a = { 0 };
        same_page(format, o, &a);
        arena_fini(&a);
        n++;
    }
    EXPECT(n >= at_least);
    vectors_close(&v);
}

TEST_SHARED(text_vectors) { same_pages(EXPO_TEXT, "conformance/exposition/text.jsonl", 500); }
TEST_SHARED(openmetrics_vectors)
{
    same_pages(EXPO_OPENMETRICS, "conformance/exposition/openmetrics.jsonl", 500);
}
TEST_SHARED(protobuf_vectors)
{
    same_pages(EXPO_PROTOBUF, "conformance/exposition/protobuf.jsonl", 200);
}

/* Every prefix of a page is read without a step beyond its padding, and gives a start of the page's
 * entries. */
static void prefixes_from(enum expo_format format, str page, size_t from)
{
    for (size_t n = from; n <= page.n; n++) {
        uint8_t *body = body_of(str_slice(page, 0, n));
        struct expo x;
        expo_init(&x, format, body, n, NULL);
        enum expo_entry kind;
        struct arena a = { 0 };
        for (size_t steps = 0; expo_next(&x, &kind, NULL) == OK && kind != EXPO_END; steps++) {
            EXPECT(steps < 200);
            if (kind == EXPO_SERIES) EXPECT(expo_labels(&x, &a).n >= 1);
            if (kind == EXPO_HISTOGRAM) (void)expo_histogram(&x, &a);
        }
        arena_fini(&a);
        expo_fini(&x);
        mem_free(body);
    }
}

static void prefixes(enum expo_format format, str page) { prefixes_from(format, page, 0); }

TEST(exposition_prefixes)
{
    prefixes(EXPO_TEXT, S("# HELP a b\\n\n# TYPE a counter\n# c\na{x=\"1\\\"\",y=\"\xc3\xbc\n\"} "
                          "1e5 123\n{\"q r\", z = \"2\" } NaN\nb +Inf\n"));
    prefixes(EXPO_OPENMETRICS, S("# HELP a_s b\n# TYPE a_s counter\n# UNIT a_s "
                                 "s\na_s_total{x=\"1\"} 1 2.5 # {t=\"x\"} 3 4\n"
                                 "a_s_created{x=\"1\"} 5\n{\"q\",z=\"2\"} 4\n# EOF\n"));
}

/* Every prefix of a protobuf page is refused, but where a family ends; every byte may change to
 * anything. */
TEST_SHARED(protobuf_prefixes)
{
    struct vectors v;
    vectors_open(&v, "conformance/exposition/protobuf.jsonl");
    for (json_t *o; (o = vectors_next(&v)) != NULL;) {
        struct arena a = { 0 };
        str page = any_text(&a, o, "input");
        if (page.n < 400 && !json_object_get(o, "options")) {
            test_case(json_string_value(json_object_get(o, "id")));
            prefixes(EXPO_PROTOBUF, page);
            uint8_t *copy = arena_alloc(&a, page.n + 1);
            for (size_t i = 0; i < page.n; i++) {
                memcpy(copy, page.p, page.n);
                copy[i] ^= (uint8_t)(1u << i % 8);
                prefixes_from(EXPO_PROTOBUF, str_of(copy, page.n), page.n);
            }
        }
        arena_fini(&a);
    }
    vectors_close(&v);
}
