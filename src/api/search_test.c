#include "api/test_rig.h"

#include "base/test.h"

#define S1 "/api/v1/search/"
#define END(more) "{\"status\":\"success\",\"has_more\":" more "}\n"

TEST(search_lines)
{
    static const struct { const char *target, *body; } cases[] = {
        { S1 "metric_names?start=0&end=9",
            "{\"results\":[{\"name\":\"down\"},{\"name\":\"up\"}]}\n" END("false") },
        { S1 "metric_names?start=0&end=9&batch_size=1&limit=2",
            "{\"results\":[{\"name\":\"down\"}]}\n{\"results\":[{\"name\":\"up\"}]}\n"
            END("false") },
        { S1 "metric_names?start=0&end=9&limit=1&sort_by=alpha&sort_dir=dsc",
            "{\"results\":[{\"name\":\"up\"}]}\n" END("true") },
        { S1 "metric_names?start=0&end=9&search[]=p&include_score=true&fuzz_alg=jarowinkler",
            "{\"results\":[{\"name\":\"up\",\"score\":0.09999999999999998}]}\n" END("false") },
        { S1 "metric_names?start=0&end=9&search[]=none", "{\"results\":[]}\n" END("false") },
        { S1 "label_names?start=0&end=9&search[]=a",
            "{\"results\":[{\"name\":\"__name__\"},{\"name\":\"a\"}]}\n" END("false") },
        { S1 "label_values?start=0&end=9&label=a&match[]=up",
            "{\"results\":[{\"value\":\"b\"}]}\n" END("false") },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .search = true });
    rig_add(&r, "up{a=\"b\"}", 1000, 1);
    rig_add(&r, "down{a=\"c\"}", 1000, 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_answer got = rig_get(&r, str_z(cases[i].target));
        EXPECT_EQ(got.status, 200);
        EXPECT_STR(got.body, str_z(cases[i].body));
        EXPECT_STR(test_answer_header(&got, S("Content-Type")),
            S("application/x-ndjson; charset=utf-8"));
    }
    rig_stop(&r);
}

/* What is damaged is told once, in the first line, which is there even when nothing was found. */
TEST(search_tells_what_was_left_out)
{
#define TOLD ",\"warnings\":[\"block A: index\",\"block B: \\u003cchunk\\u003e\"]}\n"
    static const struct { const char *target, *body; } cases[] = {
        { S1 "metric_names?start=0&end=9&batch_size=1",
            "{\"results\":[{\"name\":\"down\"}]" TOLD
            "{\"results\":[{\"name\":\"up\"}]}\n" END("false") },
        { S1 "label_names?start=0&end=9&search[]=none", "{\"results\":[]" TOLD END("false") },
        { S1 "label_values?start=0&end=9&label=a&limit=1",
            "{\"results\":[{\"value\":\"b\"}]" TOLD END("true") },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .search = true });
    rig_add(&r, "up{a=\"b\"}", 1000, 1);
    rig_add(&r, "down{a=\"c\"}", 1000, 1);
    memstore_tell(r.store, S("block B: <chunk>"));
    memstore_tell(r.store, S("block A: index"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        EXPECT_STR(rig_get(&r, str_z(cases[i].target)).body, str_z(cases[i].body));
    rig_stop(&r);
}

TEST(search_says_what_is_wrong)
{
#define BAD(name_, query, words) \
    { name_, "GET", S1 "metric_names?" query, .status = 400, .type = "bad_data", .error = words }
    static const struct rig_case cases[] = {
        BAD("threshold", "fuzz_threshold=101", "invalid fuzz_threshold \"101\": must be 0-100"),
        BAD("algorithm", "fuzz_alg=foo",
            "unsupported fuzz_alg \"foo\": must be one of [subsequence jarowinkler]"),
        BAD("case", "case_sensitive=x", "invalid case_sensitive \"x\": must be boolean"),
        BAD("score without terms", "sort_by=score", "sort_by=score requires search[] to be set"),
        BAD("direction alone", "sort_dir=asc", "sort_dir is only valid when sort_by is set"),
        BAD("order", "sort_by=x",
            "invalid sort_by \"x\" for metric_names: must be \"alpha\" or \"score\""),
        BAD("limit", "limit=0", "invalid limit \"0\": must be a positive integer"),
        BAD("large limit", "limit=10001",
            "limit 10001 exceeds the configured maximum (10000, see --web.search.max-limit)"),
        BAD("batch", "batch_size=-1", "invalid batch_size \"-1\": must be a positive integer"),
        BAD("times", "start=2&end=1", "end timestamp must not be before start timestamp"),
        { "no label", "GET", S1 "label_values", .status = 400, .type = "bad_data",
            .error = "missing required parameter \"label\"" },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .search = true });
    RIG_CHECK(&r, cases);
    rig_stop(&r);
    static const struct rig_case off[] = { { "switched off", "GET", S1 "label_names",
        .status = 500, .type = "unavailable", .error = "search API disabled" } };
    rig_start(&r, &(struct rig_opts){ 0 });
    RIG_CHECK(&r, off);
    rig_stop(&r);
}
