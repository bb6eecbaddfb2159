/* deep_test.c — trees of as many levels as are taken, of each kind of node that holds others:
 * parsed, printed, explained, evaluated at one time and at some. */
#include "promql/deep.h"

#include "base/test.h"
#include "promql/engine.h"
#include "promql/explain.h"
#include "promql/parse.h"
#include "promql/print.h"
#include "promql/script_run.h"
#include "promql/test_script_store.h"

static const struct parse_opts all_opts = { true, true, true, true };

/* open n times, middle, close n times; want: the sum of the values at minute 1 */
struct kind { const char *name, *open, *middle, *close; unsigned levels; double want; };
static const struct kind kinds[] = {
    { "parentheses of a scalar", "(", "2", ")", 1, 2 },
    { "parentheses of a vector", "(", "z", ")", 1, 5 },
    { "signs", "-(-", "z", ")", 3, 5 },
    { "scalars", "", "2", "*1", 1, 2 },
    { "scalars to the right", "1^", "1", "", 1, 1 },
    { "scalars compared", "1==bool(", "1", ")", 2, 1 },
    { "vector and scalar", "", "z", "*1", 1, 5 },
    { "scalar and vector", "1*(", "z", ")", 2, 5 },
    { "vectors", "", "z", "*on()one", 1, 5 },
    { "vectors in parentheses", "one*on()(", "z", ")", 2, 5 },
    { "one or other", "", "z", " or z", 1, 5 },
    { "other to the right", "z and (", "z", ")", 2, 5 },
    { "fillings", "", "z", "*ignoring(a)group_left fill_right(1)none", 1, 5 },
    { "calls", "abs(", "z", ")", 1, 5 },
    { "calls of several arguments", "clamp(", "z", ",0,9)", 1, 5 },
    { "calls of times", "hour(", "z", ")", 1, 0 },
    { "timestamps", "timestamp(", "z", ")", 1, 60 },
    { "scalars and vectors", "vector(scalar(", "z", "))", 2, 5 },
    { "labels", "label_replace(", "z", ",'b','$1','a','(.*)')", 1, 5 },
    { "labels joined", "label_join(", "z", ",'b','-','a')", 1, 5 },
    { "sorts", "sort(", "z", ")", 1, 5 },
    { "sorts by label", "sort_by_label(", "z", ",'a')", 1, 5 },
    { "absence", "absent(absent(", "z", "))", 2, 1 },
    { "infos", "info(", "z", ")", 1, 5 },
    { "quantiles of histograms", "histogram_quantile(0.5,", "h", ")", 1, 0 },
    { "counts of histograms", "histogram_count(", "h", ")", 1, 0 },
    { "fractions of histograms", "histogram_fraction(0,1,", "h", ")", 1, 0 },
    { "several quantiles", "histogram_quantiles(", "h", ",'q',0.5)", 1, 0 },
    { "sums", "sum(", "z", ")", 1, 5 },
    { "groups", "max by(a)(", "z", ")", 1, 5 },
    { "quantiles", "quantile(0.5,", "z", ")", 1, 5 },
    { "greatest", "topk(1,", "z", ")", 1, 5 },
    { "some", "limitk(1,", "z", ")", 1, 5 },
    { "counted values", "count_values('v',", "z", ")", 1, 1 },
    { "parameters", "topk(scalar(", "z", "),one)", 2, 1 },
    { "subqueries", "last_over_time(", "z", "[1m:1m])", 2, 5 },
    { "subqueries of another time", "sum_over_time(", "z", "[1m:1m]@60)", 2, 5 },
    { "quantiles of subqueries", "quantile_over_time(0.5,", "z", "[1m:1m])", 2, 5 },
    { "absence over time", "absent_over_time(absent_over_time(", "z", "[1m:1m])[1m:1m])", 4, 1 },
    { "durations to the right", "1*(", "1m", ")", 1, 5 },
    { "durations", "1s+", "1m", "", 1, 5 },
};

static str text_of(struct arena *a, const struct kind *k, size_t times)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    bool duration = str_eq(str_z(k->middle), S("1m"));
    if (duration) buf_str(&b, S("last_over_time(z["));
    for (size_t i = 0; i < times; i++) buf_str(&b, str_z(k->open));
    buf_str(&b, str_z(k->middle));
    for (size_t i = 0; i < times; i++) buf_str(&b, str_z(k->close));
    if (duration) buf_str(&b, S("])"));
    return arena_str(a, buf_view(&b));
}

static double sum_at(const struct result *r, int64_t t)
{
    double sum = 0;
    for (size_t i = 0; i < r->n_series; i++)
        for (size_t k = 0; k < r->series[i].n; k++)
            if (r->series[i].t[k] == t) sum += r->series[i].v[k];
    return sum;
}

/* How many lists of a JSON text have no end. */
static int lists_open(str text)
{
    int n = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        if (quoted && text.p[i] == '\\') i++;
        else if (text.p[i] == '"') quoted = !quoted;
        else if (!quoted) n += (text.p[i] == '[') - (text.p[i] == ']');
    }
    return n;
}

static void expect_answers(
    struct engine *en, struct memstore *m, str query, const struct kind *k, bool instant)
{
    struct query_opts o = { .query = query, .start_ms = 60000, .end_ms = 60000, .instant = instant,
        .step_ms = instant ? 0 : 60000, .explain = true };
    struct result r = { 0 };
    struct err e = { 0 };
    if (!instant) o.end_ms = 120000;
    EXPECT_OK_E(engine_query(en, memstore_queryable(m), &o, &r, &e), &e);
    EXPECT(sum_at(&r, 60000) == k->want);
    struct buf b = { 0 };
    struct json j = json_to(&b);
    explain_json(&j, r.explain);
    EXPECT(buf_ok(&b));
    EXPECT_EQ(lists_open(buf_view(&b)), 0);
    buf_fini(&b);
    promql_result_fini(&r);
}

/* What was printed is parsed to what prints the same. */
static void expect_printed(str query, uint32_t depth)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    struct buf line = { 0 }, again = { 0 }, other = { 0 };
    struct expr *tree = NULL, *second = NULL;
    EXPECT_OK_E(promql_parse(&tree, query, &all_opts, &a, NULL, &e), &e);
    EXPECT(tree->depth >= depth);
    promql_print(&line, tree);
    EXPECT_OK_E(promql_parse(&second, buf_view(&line), &all_opts, &a, NULL, &e), &e);
    promql_print(&again, second);
    EXPECT(buf_ok(&again) && str_eq(buf_view(&line), buf_view(&again)));
    buf_init(&other, NULL, 1 << 20);
    promql_pretty(&other, tree);
    EXPECT(other.n <= 1 << 20);
    buf_reset(&again);
    struct json j = json_to(&again);
    promql_json(&j, tree);
    EXPECT(buf_ok(&again));
    buf_fini(&line);
    buf_fini(&again);
    buf_fini(&other);
    promql_tree_fini(tree);
    promql_tree_fini(second);
    arena_fini(&a);
}

static void try_kind(
    struct engine *en, struct memstore *m, const struct kind *k, uint32_t depth)
{
    enum { ENDS = 4 };                     /* levels that the ends of a query may have */
    struct arena a = { 0 };
    str query = text_of(&a, k, (depth - ENDS) / k->levels);
    expect_printed(query, depth - 2 * ENDS);
    expect_answers(en, m, query, k, true);
    expect_answers(en, m, query, k, false);
    arena_fini(&a);
}

static const char data[] = "load 1m\n  z{a=\"x\"} 5x5\n  one 1x5\n  h{le=\"1\"} 1x5\n";

/* Stacks are made by the depth, so what suffices here suffices at any. */
TEST(trees_of_many_levels)
{
    enum { LEVELS = 3000 };
    struct memstore *m = store_of(data);
    struct engine *en = engine_new(&(struct engine_opts){ .parse = all_opts });
    TEST_EACH(k, kinds) try_kind(en, m, k, LEVELS);
    engine_free(en);
    memstore_free(m);
}

/* The thread sanitizer has books of 65,536 calls within one another. */
TEST(trees_of_all_levels)
{
    static const struct kind deepest[] = {
        { "parentheses", "(", "z", ")", 1, 5 },
        { "calls", "abs(", "z", ")", 1, 5 },
        { "operators", "", "2", "*1", 1, 2 },
        { "signs", "-(-", "z", ")", 3, 5 },
    };
    struct memstore *m = store_of(data);
    struct engine *en = engine_new(&(struct engine_opts){ .parse = all_opts });
    TEST_EACH(k, deepest)
        try_kind(en, m, k, TEST_STRIDE > 3 ? EXPR_DEPTH_MAX / 5 : EXPR_DEPTH_MAX);
    engine_free(en);
    memstore_free(m);
}
