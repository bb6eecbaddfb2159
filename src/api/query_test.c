#include "api/test_rig.h"

#include "base/test.h"

/* Three series of up, and one of many samples. */
static void load(struct rig *r)
{
    rig_start(r, &(struct rig_opts){ 0 });
    rig_add(r, "up{job=\"a\"}", 1000000, 1);
    rig_add(r, "up{job=\"b\"}", 1000000, 0);
    rig_add(r, "up{job=\"c\"}", 1000000, 1);
    for (int64_t t = 1000; t <= 1060; t += 15) rig_add(r, "n_total", t * 1000, (double)(t - 1000));
}

#define DATA(type, result)                                                                         \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"" type "\",\"result\":" result "}}"
#define Q "/api/v1/query"
#define A "{\"metric\":{\"__name__\":\"up\",\"job\":\"a\"},\"value\":[1000,\"1\"]}"
#define B "{\"metric\":{\"__name__\":\"up\",\"job\":\"b\"},\"value\":[1000,\"0\"]}"
#define C "{\"metric\":{\"__name__\":\"up\",\"job\":\"c\"},\"value\":[1000,\"1\"]}"
#define CUT "\"warnings\":[\"results truncated due to limit\"]"

TEST(query_answers)
{
    static const struct rig_case cases[] = {
        { "a vector", "GET", Q "?query=up&time=1000", .status = 200,
            .body = DATA("vector", "[" A "," B "," C "]") },
        { "by form", .target = Q, .form = "query=up%7Bjob%3D%22b%22%7D&time=1000", .status = 200,
            .body = DATA("vector", "[" B "]") },
        { "the form comes before the URL", .target = Q "?query=1&time=1", .form = "query=2",
            .status = 200, .body = DATA("scalar", "[1,\"2\"]") },
        { "a scalar", "GET", Q "?query=1%2B1&time=12.345", .status = 200,
            .body = DATA("scalar", "[12.345,\"2\"]") },
        { "a string", "GET", Q "?query=%22a%3Cb%22&time=1", .status = 200,
            .body = DATA("string", "[1,\"a\\u003cb\"]") },
        { "a matrix", "GET", Q "?query=n_total%5B20s%5D&time=1030", .status = 200,
            .body = DATA("matrix", "[{\"metric\":{\"__name__\":\"n_total\"},\"values\":[[1015,"
                                   "\"15\"],[1030,\"30\"]]}]") },
        { "nothing", "GET", Q "?query=absent_one&time=1000", .status = 200,
            .body = DATA("vector", "[]") },
        { "RFC 3339", "GET", Q "?query=time()&time=1970-01-01T00:16:40.5Z", .status = 200,
            .body = DATA("scalar", "[1000.5,\"1000.5\"]") },
        { "no number", "GET", Q "?query=0/0&time=1", .status = 200,
            .body = DATA("scalar", "[1,\"NaN\"]") },
        { "limit 2", "GET", Q "?query=up&time=1000&limit=2", .status = 200,
            .body = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" A
                    "," B "]}," CUT "}" },
        { "limit that is enough", "GET", Q "?query=up&time=1000&limit=3", .status = 200,
            .body = DATA("vector", "[" A "," B "," C "]") },
        { "limit 0 is none", "GET", Q "?query=up&time=1000&limit=0", .status = 200,
            .body = DATA("vector", "[" A "," B "," C "]") },
        { "limit of a scalar", "GET", Q "?query=1&time=1&limit=1", .status = 200,
            .body = DATA("scalar", "[1,\"1\"]") },
        { "a longer look back", "GET", Q "?query=up%7Bjob%3D%22a%22%7D&time=1600", .status = 200,
            .body = DATA("vector", "[]") },
        { "as told", "GET", Q "?query=count(up)&time=1600&lookback_delta=11m", .status = 200,
            .body = DATA("vector", "[{\"metric\":{},\"value\":[1600,\"3\"]}]") },
        { "in seconds", "GET", Q "?query=count(up)&time=1600&lookback_delta=660.5", .status = 200,
            .body = DATA("vector", "[{\"metric\":{},\"value\":[1600,\"3\"]}]") },
        { "a negative one is the engine's own", "GET",
            Q "?query=count(up)&time=1100&lookback_delta=-1", .status = 200,
            .body = DATA("vector", "[{\"metric\":{},\"value\":[1100,\"3\"]}]") },
        { "less than a millisecond", "GET", Q "?query=up&time=1000&lookback_delta=0.0001",
            .status = 200, .body = DATA("vector", "[]") },
        { "time enough", "GET", Q "?query=1&time=1&timeout=1m", .status = 200,
            .body = DATA("scalar", "[1,\"1\"]") },
        { "time without end", "GET", Q "?query=1&time=1&timeout=9223372036", .status = 200,
            .body = DATA("scalar", "[1,\"1\"]") },
        { "an info", "GET", Q "?query=rate(up%5B1m%5D)&time=1000", .status = 200,
            .body = DATA("vector", "[]") },
    };
    struct rig r;
    load(&r);
    RIG_CHECK(&r, cases);
    rig_stop(&r);
}

TEST(query_plan)
{
    struct rig r;
    load(&r);
    struct test_answer w = rig_get(&r, S(Q "?query=sum(up)&time=1000&explain=true"));
    EXPECT_EQ(w.status, 200);
    str plan = str_from(w.body, MIN(str_find(w.body, S("\"explain\":")), w.body.n));
    EXPECT(str_has_prefix(plan,
        S("\"explain\":{\"node\":\"sum(up)\",\"type\":\"aggregation\",\"cpuSeconds\":")));
    EXPECT(str_find(plan, S("\"children\":[{\"node\":\"up\",\"type\":\"vectorSelector\"")) !=
           SIZE_MAX);
    EXPECT(str_find(plan, S("\"read\":{\"series\":3,")) != SIZE_MAX);
    w = rig_get(&r, S(Q "?query=sum(up)&time=1000&explain=false"));
    EXPECT(str_find(w.body, S("explain")) == SIZE_MAX);
    rig_stop(&r);
}

TEST(query_refusals)
{
    static const struct rig_case cases[] = {
        { "no query", "GET", Q, .status = 400, .type = "bad_data",
            .error = "invalid parameter \"query\": unknown position: parse error: no expression "
                     "found in input" },
        { "no PromQL", "GET", Q "?query=up%7B", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"query\": 1:4: parse error: unexpected end of input "
                     "inside braces" },
        { "limit: a word", "GET", Q "?query=1&limit=x", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax" },
        { "limit: below 0", "GET", Q "?query=1&limit=-1", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"limit\": limit must be non-negative" },
        { "time", "GET", Q "?query=1&time=now", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"time\": invalid time value for 'time': cannot parse "
                     "\"now\" to a valid timestamp" },
        { "limit comes before time", "GET", Q "?limit=-1&time=now", .status = 400,
            .type = "bad_data",
            .error = "invalid parameter \"limit\": limit must be non-negative" },
        { "timeout", "GET", Q "?query=1&timeout=soon", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"timeout\": cannot parse \"soon\" to a valid duration" },
        { "timeout that overflows", "GET", Q "?query=1&timeout=1e40", .status = 400,
            .type = "bad_data",
            .error = "invalid parameter \"timeout\": cannot parse \"1e40\" to a valid duration. It "
                     "overflows int64" },
        { "timeout comes before lookback", "GET", Q "?timeout=soon&lookback_delta=x", .status = 400,
            .type = "bad_data",
            .error = "invalid parameter \"timeout\": cannot parse \"soon\" to a valid duration" },
        { "lookback", "GET", Q "?query=1&lookback_delta=x", .status = 400, .type = "bad_data",
            .error =
                "error parsing lookback delta duration: cannot parse \"x\" to a valid duration" },
        { "too late, and no query", "GET", Q "?query=up%28&timeout=-1", .status = 400,
            .type = "bad_data",
            .error = "invalid parameter \"query\": 1:4: parse error: unclosed left parenthesis" },
        { "too late before it begins", "GET", Q "?query=up&timeout=0", .status = 503,
            .type = "timeout", .error = "query timed out in query execution" },
        { "nearly", "GET", Q "?query=up&timeout=1e-9", .status = 503, .type = "timeout",
            .error = "query timed out in query execution" },
        { "execution", "GET",
            Q "?query=label_replace(up,%22job%22,%22x%22,%22%22,%22%22)&time=1000", .status = 422,
            .type = "execution", .error = "vector cannot contain metrics with the same labelset" },
        { "many to many", "GET", Q "?query=up%2Bon()up&time=1000", .status = 422,
            .type = "execution",
            .error = "found duplicate series for the match group {} on the right hand-side of the "
                     "operation: [{__name__=\"up\", job=\"a\"}, "
                     "{__name__=\"up\", job=\"b\"}];many-to-many matching not allowed: matching "
                     "labels must be unique on one side" },
    };
    struct rig r;
    load(&r);
    RIG_CHECK(&r, cases);
    rig_stop(&r);
}

#define R "/api/v1/query_range"
TEST(query_range_answers)
{
    static const struct rig_case cases[] = {
        { "steps", "GET", R "?query=n_total&start=1000&end=1030&step=15", .status = 200,
            .body = DATA("matrix", "[{\"metric\":{\"__name__\":\"n_total\"},\"values\":[[1000,"
                                   "\"0\"],[1015,\"15\"],[1030,\"30\"]]}]") },
        { "one step", "GET", R "?query=n_total&start=1015&end=1015&step=1h", .status = 200,
            .body = DATA(
                "matrix", "[{\"metric\":{\"__name__\":\"n_total\"},\"values\":[[1015,\"15\"]]}]") },
        { "by form", .target = R, .form = "query=1&start=1&end=2&step=1", .status = 200,
            .body = DATA("matrix", "[{\"metric\":{},\"values\":[[1,\"1\"],[2,\"1\"]]}]") },
        { "limit", "GET", R "?query=up&start=1000&end=1000&step=1&limit=1", .status = 200,
            .body = "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{"
                    "\"metric\":{\"__name__\":\"up\",\"job\":\"a\"},"
                    "\"values\":[[1000,\"1\"]]}]}," CUT "}" },
        { "11,000 steps and the first", "GET", R "?query=absent_one&start=0&end=11000&step=1",
            .status = 200, .body = DATA("matrix", "[]") },
        { "a part of a step more is none", "GET", R "?query=absent_one&start=0&end=11000.9&step=1",
            .status = 200, .body = DATA("matrix", "[]") },
    };
    struct rig r;
    load(&r);
    RIG_CHECK(&r, cases);
    rig_stop(&r);
}

TEST(query_range_refusals)
{
    static const struct rig_case cases[] = {
        { "no start", "GET", R "?query=1", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"start\": cannot parse \"\" to a valid timestamp" },
        { "no end", "GET", R "?query=1&start=1", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"end\": cannot parse \"\" to a valid timestamp" },
        { "no step", "GET", R "?query=1&start=1&end=2", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"step\": cannot parse \"\" to a valid duration" },
        { "end before start", "GET", R "?query=1&start=2&end=1.999&step=x", .status = 400,
            .type = "bad_data",
            .error = "invalid parameter \"end\": end timestamp must not be before start time" },
        { "step 0", "GET", R "?query=1&start=1&end=2&step=0", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"step\": zero or negative query resolution step widths "
                     "are not accepted. Try a positive integer" },
        { "step below 0", "GET", R "?query=1&start=1&end=2&step=-3", .status = 400,
            .type = "bad_data",
            .error = "invalid parameter \"step\": zero or negative query resolution step widths "
                     "are not accepted. Try a positive integer" },
        { "lookback below a millisecond", "GET",
            R "?query=n_total&start=1000&end=1030&step=15&lookback_delta=0.0001", .status = 200,
            .body = DATA("matrix",
                "[{\"metric\":{\"__name__\":\"n_total\"},"
                "\"values\":[[1015,\"15\"],[1030,\"30\"]]}]") },
        { "step below a millisecond", "GET", R "?query=1&start=1&end=1.001&step=0.0009",
            .status = 422, .type = "execution",
            .error = "the step of a range query must be at least a millisecond" },
        { "step below a millisecond of what is no query", "GET",
            R "?query=1%2B&start=1&end=1.001&step=0.0009", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"query\": 1:3: parse error: unexpected end of input" },
        { "too many steps", "GET", R "?query=1&start=0&end=11001&step=1", .status = 400,
            .type = "bad_data",
            .error = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing "
                     "the query resolution (?step=XX)" },
        { "no number is the beginning of time", "GET", R "?query=1&start=NaN&end=1&step=1",
            .status = 400, .type = "bad_data",
            .error = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing "
                     "the query resolution (?step=XX)" },
        { "steps are counted before the query is read", "GET",
            R "?query=up%7B&start=0&end=11001&step=1", .status = 400, .type = "bad_data",
            .error = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing "
                     "the query resolution (?step=XX)" },
        { "a range has no steps", "GET", R "?query=up%5B1m%5D&start=0&end=1&step=1", .status = 400,
            .type = "bad_data",
            .error = "invalid parameter \"query\": invalid expression type \"range vector\" for "
                     "range query, must be Scalar or instant Vector" },
        { "nor has a string", "GET", R "?query=%22a%22&start=0&end=1&step=1", .status = 400,
            .type = "bad_data",
            .error = "invalid parameter \"query\": invalid expression type \"string\" for range "
                     "query, must be Scalar or instant Vector" },
        { "limit", "GET", R "?query=1&limit=1.5", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"limit\": strconv.Atoi: parsing \"1.5\": invalid syntax" },
        { "lookback", "GET", R "?query=1&start=0&end=1&step=1&lookback_delta=1y1y", .status = 400,
            .type = "bad_data",
            .error = "error parsing lookback delta duration: cannot parse \"1y1y\" to a valid "
                     "duration" },
    };
    struct rig r;
    load(&r);
    RIG_CHECK(&r, cases);
    rig_stop(&r);
}

TEST(query_statistics)
{
    static const struct {
        const char *name;
        str target;
        bool stats, samples_read, warns;
    } cases[] = {
        { "not asked for", S(Q "?query=up&time=1000"), false, false, false },
        { "true", S(Q "?query=up&time=1000&stats=true"), true, true, false },
        { "all", S(Q "?query=up&time=1000&stats=all"), true, true, false },
        { "anything", S(Q "?query=up&time=1000&stats=a%22b"), true, true, true },
        { "of a range", S(R "?query=up&start=1000&end=1060&step=15&stats=true"), true, true,
            false },
    };
    struct rig r;
    load(&r);
    TEST_EACH(c, cases) {
        struct test_answer w = rig_get(&r, c->target);
        EXPECT_EQ(w.status, 200);
        EXPECT_EQ(str_find(w.body, S("\"stats\":{\"timings\":{\"evalTotalTime\":")) != SIZE_MAX,
            c->stats);
        EXPECT_EQ(str_find(w.body, S("\"totalQueryableSamples\":")) != SIZE_MAX, c->samples_read);
        EXPECT_EQ(str_find(w.body, S("\"warnings\":[\"value \\\"a\\\\\\\"b\\\" for parameter "
                                     "\\\"stats\\\" is deprecated and will be rejected in the "
                                     "next major release, use \\\"true\\\" or \\\"all\\\"\"]")) !=
                      SIZE_MAX,
            c->warns);
    }
    rig_stop(&r);
}

TEST(query_notes)
{
    struct rig r;
    load(&r);
    struct test_answer w = rig_get(&r, S(Q "?query=rate(up%5B10s%5D)&time=1000"));
    EXPECT_EQ(w.status, 200);
    w = rig_get(&r, S(Q "?query=rate(up%5B1h%5D)&time=1001"));
    EXPECT_EQ(w.status, 200);
    for (int64_t t = 1000; t < 1100; t += 10) rig_add(&r, "odd", t * 1000, 1);
    w = rig_get(&r, S(Q "?query=rate(odd%5B1m%5D)&time=1100"));
    EXPECT_STR(w.body, S("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{"
                         "\"metric\":{},\"value\":[1100,\"0\"]}]},\"infos\":[\"PromQL info: "
                         "metric might not be a counter, name does not end in "
                         "_total/_sum/_count/_bucket: \\\"odd\\\" (1:6)\"]}"));
    w = rig_get(&r, S(Q "?query=quantile(2,up)&time=1000"));
    EXPECT_STR(w.body, S("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{"
                         "\"metric\":{},\"value\":[1000,\"+Inf\"]}]},\"warnings\":[\"PromQL "
                         "warning: quantile value should be between 0 and 1, got 2 (1:10)\"]}"));
    rig_stop(&r);
}

TEST(query_texts)
{
    static const struct rig_case cases[] = {
        { "format", "GET", "/api/v1/format_query?query=foo/bar", .status = 200,
            .body = "{\"status\":\"success\",\"data\":\"foo / bar\"}" },
        { "format by form", .target = "/api/v1/format_query", .form = "query=sum(a)by(b)",
            .status = 200, .body = "{\"status\":\"success\",\"data\":\"sum by (b) (a)\"}" },
        { "no PromQL to format", "GET", "/api/v1/format_query?query=invalid_expression/",
            .status = 400, .type = "bad_data",
            .error = "invalid parameter \"query\": 1:20: parse error: unexpected end of input" },
        { "nothing to format", "GET", "/api/v1/format_query", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"query\": unknown position: parse error: no expression "
                     "found in input" },
        { "parse", "GET", "/api/v1/parse_query?query=1", .status = 200,
            .body =
                "{\"status\":\"success\",\"data\":{\"type\":\"numberLiteral\",\"val\":\"1\"}}" },
        { "no PromQL to parse", .target = "/api/v1/parse_query", .form = "query=foo(1)",
            .status = 400, .type = "bad_data",
            .error = "invalid parameter \"query\": 1:1: parse error: unknown function with name "
                     "\"foo\"" },
    };
    struct rig r;
    load(&r);
    RIG_CHECK(&r, cases);
    rig_stop(&r);
}

/* text with 3,000 digits in the place of each @ */
static const char *lengthened(struct arena *a, const char *text)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    for (; *text; text++)
        for (size_t n = *text == '@' ? 3000 : 1; n; n--) buf_u8(&b, *text == '@' ? '7' : *text);
    buf_u8(&b, 0);
    return (const char *)arena_str(a, buf_view(&b)).p;
}

TEST(query_words_are_whole)
{
    static const struct rig_case cases[] = {
        { "regular expression", .target = "/api/v1/format_query", .form = "query=up{a=~\"(@\"}",
            .status = 400, .type = "bad_data",
            .error = "invalid parameter \"query\": 1:4: parse error: error parsing regexp: missing "
                     "closing ): `(@`" },
        { "of a selector", .target = "/api/v1/series", .form = "match[]=up{a=~\"@(\"}",
            .status = 400, .type = "bad_data",
            .error = "invalid parameter \"match[]\": 1:4: parse error: error parsing regexp: "
                     "missing closing ): `@(`" },
        { "duration", .target = Q, .form = "query=up[@s]", .status = 400, .type = "bad_data",
            .error = "invalid parameter \"query\": 1:4: parse error: not a valid duration string: "
                     "\"@s\"" },
        { "of a function", .target = Q,
            .form = "query=label_replace(up, \"a\", \"\", \"b\", \"(@\")", .status = 422,
            .type = "execution",
            .error = "invalid regular expression in label_replace(): (@" },
        { "behind what comes first", .target = Q,
            .form = "time=1000&query=clamp_max(up %2B on() label_replace(up, \"c\", \"@\", \"\", "
                    "\"\"), scalar(label_replace(up, \"a\", \"\", \"b\", \"(@\")))",
            .status = 422, .type = "execution",
            .error = "found duplicate series for the match group {} on the right hand-side of the "
                     "operation: [{__name__=\"up\", c=\"@\", job=\"a\"}, {__name__=\"up\", "
                     "c=\"@\", job=\"b\"}];many-to-many matching not allowed: matching labels "
                     "must be unique on one side" },
        { "behind what is fine", .target = Q,
            .form = "time=1000&query=clamp_max(up, scalar(label_replace(up, \"a\", \"\", \"b\", "
                    "\"(@\")))",
            .status = 422, .type = "execution",
            .error = "invalid regular expression in label_replace(): (@" },
    };
    struct rig r;
    load(&r);
    TEST_EACH(c, cases) {
        struct rig_case longer = *c;
        longer.form = lengthened(&r.arena, c->form);
        longer.error = lengthened(&r.arena, c->error);
        rig_check(&r, &longer, 1);
    }
    rig_stop(&r);
}
