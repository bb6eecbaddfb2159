/* parse_test.c — the parser against what the reference made of the same texts. */
#include "promql/parse.h"

#include "base/f64.h"
#include "base/test.h"
#include "base/test_vectors.h"
#include "model/sample.h"
#include "promql/functions.h"
#include "promql/print.h"
#include "promql/series_histogram.h"

static const struct parse_opts all_opts = { true, true, true, true };

static struct parse_opts opts_of(const json_t *q)
{
    struct parse_opts o = { .duration_expr = true };
    if (json_array_size(json_object_get(q, "features")) > 0) o = all_opts;
    return o;
}

static void expect_printed(struct expr *e, str line_wanted, str pretty_wanted)
{
    struct buf line = { 0 }, pretty = { 0 };
    promql_print(&line, e);
    EXPECT_STR(buf_view(&line), line_wanted);
    promql_pretty(&pretty, e);
    EXPECT_STR(buf_view(&pretty), pretty_wanted);
    buf_fini(&line);
    buf_fini(&pretty);
}

static void expect_json(const struct expr *e, json_t *want)
{
    struct buf b = { 0 };
    struct json j = { .b = &b, .html = true };
    promql_json(&j, e);
    json_error_t je;
    json_t *got = json_loadb((const char *)b.p, b.n, JSON_ALLOW_NUL, &je);
    EXPECT(got);
    EXPECT(json_equal(got, want));
    json_decref(got);
    buf_fini(&b);
}

TEST_SHARED(valid_queries)
{
    struct vectors v;
    vectors_open(&v, "conformance/parser/valid.jsonl");
    for (json_t *q; (q = vectors_next(&v)) != NULL;) {
        struct parse_opts o = opts_of(q);
        struct err e = { 0 };
        struct expr *tree = NULL;
        str query = json_str_of(q, "query");
        test_case((const char *)query.p);
        EXPECT_OK_E(promql_parse(&tree, query, &o, &v.a, NULL, &e), &e);
        expect_printed(tree, json_str_of(q, "string"), json_str_of(q, "pretty"));
        EXPECT_STR(value_type_name(expr_type(tree)), json_str_of(q, "type"));
        expect_json(tree, json_object_get(q, "ast"));
        promql_tree_fini(tree);
    }
    EXPECT(v.n > 0);
    vectors_close(&v);
}

/* Seconds as a float lack a little of what was written: the text of a number is Prometheus', a
 * millisecond short, unless it would get shorter each time that it is parsed, or be no duration. */
TEST(durations_of_milliseconds)
{
    static const struct {
        const char *query, *printed;
    } cases[] = {
        { "1001ms", "1s" },
        { "1002ms", "1s2ms" },
        { "-1001ms", "-1s" },
        { "1009ms + 1013ms", "1s8ms + 1s12ms" },
        { "128s4ms", "2m8s4ms" },
        { "x[0.0005:0.0004] offset -0.0003", "x[0.0005:0.0004] offset -0.0003" },
        { "x[1.0005] offset 0.000000001", "x[1s] offset 0.000000001" },
        { "x[1e-10]", "x[0.0000000001]" },
        { "x[5m:999999999.9995]", "x[5m:11574d1h46m39s998ms]" },
        { "x[1e-12]", "x[0.0000000001]" },
        { "x offset 1001ms", "x offset 1s1ms" },
        { "x offset -1001ms", "x offset -1s1ms" },
        { "x[1001ms:1001ms]", "x[1s1ms:1s1ms]" },
        { "44050120m5100ms", "30590d8h40m5s100ms" },
        { "x[44050120m5100ms]", "x[30590d8h40m5s100ms]" },
        { "x offset -44050120m5100ms", "x offset -30590d8h40m5s100ms" },
        { "x[30590d8h40m5s99ms:30590d8h40m5s1ms]", "x[30590d8h40m5s99ms:30590d8h40m5s]" },
        { "x[106580d1ms] offset 36135d999ms", "x[292y] offset 36135d999ms" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena a = { 0 };
        struct expr *tree = NULL;
        struct err e = { 0 };
        str want = str_z(cases[i].printed);
        test_case(cases[i].query);
        EXPECT_OK_E(promql_parse(&tree, str_z(cases[i].query), &all_opts, &a, NULL, &e), &e);
        expect_printed(tree, want, want);
        promql_tree_fini(tree);
        EXPECT_OK_E(promql_parse(&tree, want, &all_opts, &a, NULL, &e), &e);
        expect_printed(tree, want, want);
        promql_tree_fini(tree);
        arena_fini(&a);
    }
}

TEST(fills_that_json_has_no_number_for)
{
    static const struct { const char *name, *query, *lhs, *rhs; } cases[] = {
        { "NaN", "x + fill(NaN) y", "NaN", "NaN" },
        { "infinities", "x + fill_left(Inf) fill_right(-Inf) y", "+Inf", "-Inf" },
    };
    TEST_EACH(c, cases) {
        struct arena a = { 0 };
        struct expr *tree = NULL;
        struct buf b = { 0 };
        struct json j = json_to(&b);
        json_error_t je;
        EXPECT_OK(promql_parse(&tree, str_z(c->query), &all_opts, &a, NULL, NULL));
        promql_json(&j, tree);
        json_t *got = json_loadb((const char *)b.p, b.n, 0, &je);
        EXPECT(got);
        const json_t *fills = json_object_get(json_object_get(got, "matching"), "fillValues");
        EXPECT_STR(json_str_of(fills, "lhs"), str_z(c->lhs));
        EXPECT_STR(json_str_of(fills, "rhs"), str_z(c->rhs));
        json_decref(got);
        buf_fini(&b);
        promql_tree_fini(tree);
        arena_fini(&a);
    }
}

TEST_SHARED(invalid_queries)
{
    struct vectors v;
    vectors_open(&v, "conformance/parser/invalid.jsonl");
    for (json_t *q; (q = vectors_next(&v)) != NULL;) {
        struct parse_opts o = opts_of(q);
        struct parse_errors errors = { 0 };
        struct expr *tree = NULL;
        str query = json_str_of(q, "query");
        const json_t *want = json_object_get(q, "errors");
        test_case((const char *)query.p);
        EXPECT_EQ(promql_parse(&tree, query, &o, &v.a, &errors, NULL), ERR_BAD_INPUT);
        EXPECT_EQ(errors.n, json_array_size(want));
        EXPECT_STR(parse_error_text(&errors.at[0], query, &v.a), json_str_of(q, "error"));
        for (size_t i = 0; i < errors.n; i++) {
            const json_t *w = json_array_get(want, i);
            EXPECT_STR(errors.at[i].message, json_str_of(w, "message"));
            EXPECT_EQ(errors.at[i].pos.start, json_i64_of(w, "start"));
            EXPECT_EQ(errors.at[i].pos.end, json_i64_of(w, "end"));
        }
    }
    EXPECT(v.n > 0);
    vectors_close(&v);
}

static void expect_value(const struct seq_value *got, str want)
{
    struct buf b = { 0 };
    if (got->kind == SEQ_OMITTED) buf_u8(&b, '_');
    else if (got->kind == SEQ_HISTOGRAM) buf_series_histogram(&b, got->h);
    else if (sample_is_stale(got->v)) buf_str(&b, S("stale"));
    else buf_f64_g(&b, got->v);
    if (got->hint_set) buf_str(&b, S(" hint-set"));
    EXPECT_STR(buf_view(&b), want);
    buf_fini(&b);
}

TEST_SHARED(series_descriptions)
{
    struct vectors v;
    vectors_open(&v, "conformance/parser/series_descriptions.jsonl");
    for (json_t *q; (q = vectors_next(&v)) != NULL;) {
        struct series_description d = { 0 };
        struct err e = { 0 };
        str input = json_str_of(q, "input");
        const json_t *labels = json_object_get(q, "labels"), *values = json_object_get(q, "values");
        test_case((const char *)input.p);
        errc rc = promql_parse_series(&d, input, &v.a, &e);
        EXPECT_EQ(rc == OK, json_is_true(json_object_get(q, "ok")));
        if (rc != OK) {
            EXPECT_STR(err_str(&e), json_str_of(q, "error"));
            continue;
        }
        EXPECT_EQ(d.labels.n, json_array_size(labels));
        for (size_t i = 0; i < d.labels.n; i++) {
            const json_t *pair = json_array_get(labels, i), *name = json_array_get(pair, 0),
                         *value = json_array_get(pair, 1);
            EXPECT_STR(
                d.labels.at[i].name, str_of(json_string_value(name), json_string_length(name)));
            EXPECT_STR(
                d.labels.at[i].value, str_of(json_string_value(value), json_string_length(value)));
        }
        EXPECT_EQ(d.n, json_array_size(values));
        for (size_t i = 0; i < d.n; i++) {
            const json_t *text = json_array_get(values, i);
            expect_value(&d.values[i], str_of(json_string_value(text), json_string_length(text)));
        }
    }
    EXPECT(v.n > 0);
    vectors_close(&v);
}

/* `open` n times, then the middle, then `close` n times. */
static str nested(
    struct arena *a, const char *open, const char *middle, const char *close, size_t n)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < n; i++) buf_str(&b, str_z(open));
    buf_str(&b, str_z(middle));
    for (size_t i = 0; i < n; i++) buf_str(&b, str_z(close));
    str s = arena_str(a, buf_view(&b));
    buf_fini(&b);
    return s;
}

TEST(deep_queries)
{
    static const struct { const char *name, *open, *middle, *close; } cases[] = {
        { "parentheses", "(", "a", ")" },
        { "signs", "-", "a", "" },
        { "right operands", "a^", "a", "" },
        { "left operands", "", "a", "+a" },
        { "calls", "abs(", "a", ")" },
        { "subqueries", "", "a", "[5m:]" },
    };
    TEST_EACH(c, cases) {
        struct arena a = { 0 };
        struct err e = { 0 };
        struct expr *tree = NULL;
        bool subquery = c->close[0] == '[';
        errc shallow = promql_parse(
            &tree, nested(&a, c->open, c->middle, c->close, 1500), &all_opts, &a, NULL, &e);
        /* a subquery of a subquery has no type, but is read */
        EXPECT_EQ(shallow, subquery ? ERR_BAD_INPUT : OK);
        promql_tree_fini(tree);
        str deeper = nested(&a, c->open, c->middle, c->close, EXPR_DEPTH_MAX);
        EXPECT_EQ(promql_parse(&tree, deeper, &all_opts, &a, NULL, &e), ERR_BAD_INPUT);
        EXPECT(str_find(err_str(&e), S("nested more than")) != SIZE_MAX);
        arena_fini(&a);
    }
}

TEST(every_prefix_ends)
{
    static const char query[] =
        "sum by (a, \"b c\") (rate(x{l=~\"a|b\", 'm'!=\"\\u00e9\"}[5m:1m] @ end() offset -1h30m)) "
        "/ on (a) group_left (b) fill_left (-1) topk(2, y[min_of(1m, 2 * step())] anchored) # end";
    for (size_t n = 0; n < sizeof(query); n++) {
        struct arena a = { 0 };
        struct expr *tree = NULL;
        struct parse_errors errors = { 0 };
        errc rc = promql_parse(&tree, str_of(query, n), &all_opts, &a, &errors, NULL);
        EXPECT_EQ(rc == OK, errors.n == 0);
        for (size_t i = 0; i < errors.n; i++) EXPECT(errors.at[i].pos.start <= n);
        promql_tree_fini(tree);
        arena_fini(&a);
    }
}

TEST(selectors)
{
    static const struct { const char *name, *text; bool ok; size_t n; } cases[] = {
        { "name", "up", true, 1 },
        { "name and matchers", "up{job=\"a\",instance!~\"b.*\"}", true, 3 },
        { "quoted name", "{\"a.b\"}", true, 1 },
        { "empty braces", "{}", true, 0 },
        { "an expression", "up + 1", false, 0 },
        { "a bad regex", "up{a=~\"(\"}", false, 0 },
        { "nothing", "", false, 0 },
    };
    TEST_EACH(c, cases) {
        struct arena a = { 0 };
        struct matchers ms = { 0 };
        errc rc = promql_parse_selector(&ms, str_z(c->text), &all_opts, &a, NULL);
        EXPECT_EQ(rc == OK, c->ok);
        if (rc == OK) {
            EXPECT_EQ(ms.n, c->n);
            promql_matchers_fini(ms);
        }
        arena_fini(&a);
    }
}

TEST(functions_are_sorted)
{
    size_t n;
    const struct function *f = function_table(&n);
    for (size_t i = 0; i < n; i++) {
        EXPECT(function_find(str_z(f[i].name)) == &f[i]);
        if (i) EXPECT(str_cmp(str_z(f[i - 1].name), str_z(f[i].name)) < 0);
    }
    EXPECT(!function_find(S("sum")));
    EXPECT(!function_find(S("")));
}
