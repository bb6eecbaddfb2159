#include "promql/result_json.h"

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
        struct point *p = arena_array(a, POINTS, sizeof(*p));
        for (size_t k = 0; k < POINTS; k++)
            p[k] = (struct point){ 1000 + 500 * (int64_t)k, 0.25 * (double)(i + k), NULL };
        r.series[i] = (struct result_series){ labels_one(a, i), p, POINTS, false };
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
