#include "api/test_rig.h"

#include "base/test.h"

#define OK_OF(data) "{\"status\":\"success\",\"data\":" data "}"
#define ST "/api/v1/status/"

TEST(status_pages)
{
    static const struct rig_case cases[] = {
        { "config", "GET", ST "config", .status = 200,
            .body = OK_OF("{\"yaml\":\"global: {}\\n\"}") },
        { "flags", "GET", ST "flags", .status = 200,
            .body = OK_OF("{\"web.listen-address\":\"127.0.0.1:0\"}") },
        { "build", "GET", ST "buildinfo", .status = 200,
            .body = OK_OF("{\"version\":\"3.14.0\",\"revision\":\"" EPI_VERSION
                          "\",\"branch\":\"epimetheus\",\"buildUser\":\"\",\"buildDate\":\"\","
                          "\"goVersion\":\"\"}") },
        { "how files are read: none is open", "GET", ST "storage_io", .status = 200,
            .body = "{\"status\":\"success\",\"data\":[]}" },
        { "replay", "GET", ST "walreplay", .status = 200,
            .body = OK_OF("{\"min\":1,\"max\":9,\"current\":4}") },
        { "tsdb", "GET", ST "tsdb?limit=2", .status = 200,
            .body = OK_OF("{\"headStats\":{\"numSeries\":3,\"numLabelPairs\":5,\"chunkCount\":4,"
                          "\"minTime\":9223372036854775807,\"maxTime\":-9223372036854775808},"
                          "\"seriesCountByMetricName\":[{\"name\":\"up\",\"value\":0},{\"name\":"
                          "\"up\",\"value\":1}],\"labelValueCountByLabelName\":[],"
                          "\"memoryInBytesByLabelName\":[],\"seriesCountByLabelValuePair\":[]}") },
        { "tsdb: a word", "GET", ST "tsdb?limit=x", .status = 400, .type = "bad_data",
            .error = "limit must be a positive number" },
        { "tsdb: none", "GET", ST "tsdb?limit=0", .status = 400, .type = "bad_data",
            .error = "limit must be a positive number" },
        { "tsdb: below", "GET", ST "tsdb?limit=-1", .status = 400, .type = "bad_data",
            .error = "limit must be a positive number" },
        { "tsdb: too many", "GET", ST "tsdb?limit=10001", .status = 400, .type = "bad_data",
            .error = "limit must not exceed 10000" },
        { "by POST", .target = ST "tsdb", .form = "limit=1", .status = 405,
            .body = "Method Not Allowed\n" },
        { "no such page", "GET", ST "none", .status = 404, .body = "404 page not found\n" },
        { "no admin API", "POST", "/api/v1/admin/tsdb/delete_series?match[]=up", .status = 500,
            .type = "unavailable", .error = "admin APIs disabled" },
        { "by PUT", "PUT", "/api/v1/admin/tsdb/snapshot", .status = 500, .type = "unavailable",
            .error = "admin APIs disabled" },
        { "by GET", "GET", "/api/v1/admin/tsdb/clean_tombstones", .status = 405,
            .body = "Method Not Allowed\n" },
        { "no search API", "GET", "/api/v1/search/metric_names", .status = 500,
            .type = "unavailable", .error = "search API disabled" },
        { "no notes", "GET", "/api/v1/notifications", .status = 200, .body = OK_OF("[]") },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ 0 });
    RIG_CHECK(&r, cases);
    struct test_answer w = rig_get(&r, S(ST "tsdb"));
    size_t n = 0;
    for (str rest = w.body; str_find(rest, S("\"up\"")) != SIZE_MAX; n++)
        rest = str_from(rest, str_find(rest, S("\"up\"")) + 4);
    EXPECT_EQ(n, 10);
    rig_stop(&r);
}

TEST(status_runtime)
{
    struct rig r;
    rig_start(&r, &(struct rig_opts){ 0 });
    struct test_answer w = rig_get(&r, S(ST "runtimeinfo"));
    EXPECT_EQ(w.status, 200);
    static const struct { const char *name; str part;
    } cases[] = {
        { "start", S("{\"startTime\":\"2017-07-14T02:40:00.123456789Z\",\"CWD\":\"/"
                     "data\",\"hostname\":\"h\",\"serverTime\":\"20") },
        { "configuration", S("Z\",\"reloadConfigSuccess\":true,\"lastConfigTime\":\"2017-07-14T02:"
                             "40:01Z\",\"corruptionCount\":0,") },
        { "threads", S("\"goroutineCount\":4,\"GOMAXPROCS\":2,\"GOMEMLIMIT\":9223372036854775807,"
                       "\"GOGC\":\"\",\"GODEBUG\":\"\",") },
        { "retention", S("\"storageRetention\":\"15d\"}}") },
    };
    TEST_EACH(c, cases) {
        if (str_find(w.body, c->part) == SIZE_MAX)
            test_fail(__FILE__, __LINE__, "%.*s", STR_ARG(w.body));
    }
    rig_stop(&r);
}

TEST(status_notes)
{
    struct api_notification notes[] = { { S("Configuration reload has failed."),
        1500000000000000000 } };
    api_notifications list = { .at = notes, .n = 1, .cap = 1 };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ 0 });
    r.fakes.notifications = &list;
    struct test_answer w = rig_get(&r, S("/api/v1/notifications"));
    EXPECT_STR(w.body, S(OK_OF("[{\"text\":\"Configuration reload has "
                               "failed.\",\"date\":\"2017-07-14T02:40:00Z\",\"active\":true}]")));
    rig_stop(&r);
}

/* Whatever waits for storage says so; health, progress and notes are answered. */
TEST(status_while_starting)
{
    static const struct { const char *name, *method; str target; bool waits; } cases[] = {
        { "query", "GET", S("/api/v1/query?query=1"), true },
        { "range", "POST", S("/api/v1/query_range"), true },
        { "format", "GET", S("/api/v1/format_query?query=1"), true },
        { "parse", "GET", S("/api/v1/parse_query?query=1"), true },
        { "series", "GET", S("/api/v1/series?match[]=up"), true },
        { "labels", "GET", S("/api/v1/labels"), true },
        { "values", "GET", S("/api/v1/label/a/values"), true },
        { "metadata", "GET", S("/api/v1/metadata"), true },
        { "targets", "GET", S("/api/v1/targets"), true },
        { "of targets", "GET", S("/api/v1/targets/metadata"), true },
        { "steps", "GET", S("/api/v1/targets/relabel_steps"), true },
        { "pools", "GET", S("/api/v1/scrape_pools"), true },
        { "of a pool", "GET", S("/api/v1/scrape_pools/config"), true },
        { "config", "GET", S(ST "config"), true },
        { "flags", "GET", S(ST "flags"), true },
        { "build", "GET", S(ST "buildinfo"), true },
        { "runtime", "GET", S(ST "runtimeinfo"), true },
        { "tsdb", "GET", S(ST "tsdb"), true },
        { "admin", "POST", S("/api/v1/admin/tsdb/snapshot"), true },
        { "search", "GET", S("/api/v1/search/label_names"), true },
        { "write", "POST", S("/api/v1/write"), true },
        { "otlp", "POST", S("/api/v1/otlp/v1/metrics"), true },
        { "options", "OPTIONS", S("/api/v1/query"), true },
        { "ready", "GET", S("/-/ready"), true },
        { "healthy", "GET", S("/-/healthy"), false },
        { "replay", "GET", S(ST "walreplay"), false },
        { "notes", "GET", S("/api/v1/notifications"), false },
        { "metrics", "GET", S("/metrics"), false },
        { "version", "GET", S("/version"), false },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .receiver = true });
    for (int stopping = 0; stopping < 2; stopping++) {
        r.fakes.state = stopping ? API_STOPPING : API_STARTING;
        TEST_EACH(c, cases) {
            struct test_answer w = rig_ask(&r, str_z(c->method), c->target, NULL, 0, STR_EMPTY);
            EXPECT_EQ(w.status, c->waits ? 503 : 200);
            if (!c->waits) continue;
            EXPECT_STR(w.body, S("Service Unavailable"));
            EXPECT_STR(test_answer_header(&w, S("X-Prometheus-Stopping")),
                stopping ? S("true") : S("false"));
        }
    }
    rig_stop(&r);
}

TEST(status_while_the_log_is_replayed)
{
    static const struct rig_case cases[] = {
        { "blocks are asked", "GET", "/api/v1/query?query=up&time=10", .status = 200,
            .body = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
                    "{\"metric\":{\"__name__\":\"up\"},\"value\":[10,\"1\"]}]}}" },
        { "their labels", "GET", "/api/v1/labels", .status = 200,
            .body = "{\"status\":\"success\",\"data\":[\"__name__\"]}" },
    };
    static const char *const waiting[] = { "/api/v1/status/tsdb",
        "/api/v1/query_exemplars?query=up", "/api/v1/targets" };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ 0 });
    rig_add(&r, "up", 10000, 1);
    for (int comes = 0; comes < 2; comes++) {
        r.fakes.becomes = comes ? API_READY : API_REPLAYING;
        r.fakes.state = API_REPLAYING;
        RIG_CHECK(&r, cases);
        EXPECT_EQ(rig_get(&r, S("/-/ready")).status, 200);
        EXPECT_EQ(rig_get(&r, S("/-/healthy")).status, 200);
        for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
            r.fakes.state = API_REPLAYING;
            unsigned awaited = r.fakes.awaited;
            struct test_answer got = rig_get(&r, str_z(waiting[i]));
            EXPECT_EQ(r.fakes.awaited, awaited + 1);
            EXPECT_EQ(got.status, comes ? 200 : 503);
            if (!comes) EXPECT_STR(test_answer_header(&got, S("Retry-After")), S("5"));
        }
    }
    rig_stop(&r);
}
