#include "promql/result_json.h"

#include "base/f64.h"
#include "base/test.h"

enum { SERIES = 5, POINTS = 3 };

static struct labels labels_one(struct arena *a, size_t i)
{
    struct label *l = ANEW(a, struct label);
    *l = (struct label){ S("n"), arena_fmt(a, "%zu", i) };
    return (struct labels){ l, 1 };
}

static struct result result_of(struct arena *a, enum value_type type, size_t n)
{
    struct result r = { .type = type, .n_series = n };
    r.series = arena_array(a, MAX(n, (size_t)1), sizeof(*r.series));
    for (size_t i = 0; i < MAX(n, (size_t)1); i++) {
        int64_t *t = arena_array(a, POINTS, sizeof(*t));
        double *v = arena_array(a, POINTS, sizeof(*v));
        for (size_t k = 0; k < POINTS; k++) {
            t[k] = 1000 + 500 * (int64_t)k;
            v[k] = 0.25 * (double)(i + k);
        }
        r.series[i] = (struct result_series){ labels_one(a, i), t, v, NULL, POINTS, false };
    }
    return r;
}

/* However small the parts are: together they are the whole. */
TEST(result_json_in_parts)
{
    static const struct { const char *name; enum value_type type; size_t series;
    } cases[] = {
        { "matrix", VALUE_MATRIX, SERIES },
        { "vector", VALUE_VECTOR, SERIES },
        { "one row", VALUE_MATRIX, 1 },
        { "no rows", VALUE_MATRIX, 0 },
        { "scalar", VALUE_SCALAR, 1 },
        { "string", VALUE_STRING, 0 },
    };
    SCOPED(arena_fini) struct arena a = { 0 };
    TEST_EACH(c, cases) {
        struct result r = result_of(&a, c->type, c->series);
        for (size_t enough = 1; enough < 400; enough += 37) {
            SCOPED(buf_fini) struct buf whole = { 0 }, parts = { 0 };
            struct json to_whole = json_to(&whole), to_parts = json_to(&parts);
            struct result_writer w;
            promql_result_json(&to_whole, &r, true);
            promql_result_begin(&w, &to_parts, &r, true);
            size_t n = 1;
            for (size_t before = parts.n; promql_result_more(&w, &parts, enough); n++) {
                EXPECT(parts.n - before >= enough);
                before = parts.n;
            }
            EXPECT_STR(buf_view(&parts), buf_view(&whole));
            if (enough == 1 && c->series) EXPECT(n >= c->series);
        }
    }
}

/* Point by point: what a row of floats is, however many of them are written together. */
TEST(result_json_points)
{
    static const struct { const char *name; int64_t from, step; size_t n;
    } cases[] = {
        { "one", 1700000000000, 15000, 1 },
        { "seven", 1700000000000, 15000, 7 },
        { "eight", 1700000000000, 15000, 8 },
        { "four digits turn over", 1699999999000, 1000, 1000 },
        { "around zero, with fractions", -20250, 125, 400 },
        { "small", 0, 7000, 3000 },
        { "far", INT64_C(9223372036854700000), 100, 50 },
    };
    SCOPED(arena_fini) struct arena a = { 0 };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf got = { 0 }, want = { 0 };
        struct json j = json_to(&got);
        int64_t *t = arena_array(&a, c->n, sizeof(*t));
        double *v = arena_array(&a, c->n, sizeof(*v));
        struct result_series row = { { 0 }, t, v, NULL, c->n, false };
        struct result r = { .type = VALUE_MATRIX, .n_series = 1, .series = &row };
        buf_str(&want, S("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":["));
        for (size_t i = 0; i < c->n; i++) {
            v[i] = i % 3 ? (double)i / 7 : i % 2 ? -(double)i : (double)i * 1e18;
            t[i] = c->from + (int64_t)i * c->step;
            buf_str(&want, i ? S(",[") : S("["));
            promql_time_text(&want, t[i]);
            buf_str(&want, S(",\""));
            buf_f64_api(&want, v[i]);
            buf_str(&want, S("\"]"));
        }
        buf_str(&want, S("]}]}"));
        promql_result_json(&j, &r, false);
        EXPECT_STR(buf_view(&got), buf_view(&want));
    }
}
