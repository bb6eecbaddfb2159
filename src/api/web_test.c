#include "api/test_rig.h"

#include "base/compress.h"
#include "base/test.h"

#define FOUND(to) "<a href=\"" to "\">Found</a>.\n\n"

TEST(web_pages)
{
    static const struct rig_case cases[] = {
        { "healthy", "GET", "/-/healthy", .status = 200,
            .body = "Prometheus Server is Healthy.\n" },
        { "healthy, in short", "HEAD", "/-/healthy", .status = 200, .body = "" },
        { "ready", "GET", "/-/ready", .status = 200, .body = "Prometheus Server is Ready.\n" },
        { "ready, in short", "HEAD", "/-/ready", .status = 200, .body = "" },
        { "healthy by POST", "POST", "/-/healthy", .status = 405, .body = "Method Not Allowed\n" },
        { "version", "GET", "/version", .status = 200,
            .body = "{\"version\":\"3.14.0\",\"revision\":\"" EPI_VERSION "\"}" },
        { "root", "GET", "/", .status = 302, .body = FOUND("/query") },
        { "graph", "GET", "/graph?g0.expr=up&x=%3C", .status = 302,
            .body = FOUND("/query?g0.expr=up&amp;x=%3C") },
        { "no lifecycle: reload", "POST", "/-/reload", .status = 403,
            .body = "Lifecycle API is not enabled." },
        { "no lifecycle: quit", "PUT", "/-/quit", .status = 403,
            .body = "Lifecycle API is not enabled." },
        { "reload by GET", "GET", "/-/reload", .status = 405,
            .body = "Only POST or PUT requests allowed" },
        { "quit by GET", "GET", "/-/quit", .status = 405,
            .body = "Only POST or PUT requests allowed" },
        { "quit by DELETE", "DELETE", "/-/quit", .status = 405, .body = "Method Not Allowed\n" },
        { "metrics by HEAD", "HEAD", "/metrics", .status = 405, .body = "" },
        { "nothing", "GET", "/none", .status = 404, .body = "404 page not found\n" },
        { "nothing of the API", "GET", "/api/v1/none", .status = 404,
            .body = "404 page not found\n" },
        { "no other API", "GET", "/api/v2/query", .status = 404, .body = "404 page not found\n" },
        { "the API's folder", "POST", "/api/v1?x=1", .status = 307, .body = "" },
        { "a slash too many", "GET", "/version/", .status = 301,
            .body = "<a href=\"/version\">Moved Permanently</a>.\n\n" },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ 0 });
    RIG_CHECK(&r, cases);
    struct test_answer w = rig_get(&r, S("/query"));
    EXPECT_EQ(w.status, 200);
    EXPECT(str_has_prefix(w.body, S("<!doctype html>")) ||
           str_has_prefix(w.body, S("<!DOCTYPE html>")));
    EXPECT_STR(test_answer_header(&w, S("Content-Type")), S("text/html; charset=utf-8"));
    w = rig_get(&r, S("/favicon.ico"));
    EXPECT_STR(test_answer_header(&w, S("Content-Type")), S("image/svg+xml"));
    rig_stop(&r);
}

TEST(web_lifecycle)
{
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .lifecycle = true });
    static const struct rig_case good[] = {
        { "reload", "POST", "/-/reload", .status = 200, .body = "" },
        { "reload by PUT", "PUT", "/-/reload", .status = 200, .body = "" },
        { "by GET", "GET", "/-/reload", .status = 405,
            .body = "Only POST or PUT requests allowed" },
        { "quit", "POST", "/-/quit", .status = 200, .body = "Requesting termination... Goodbye!" },
        { "quit again", "PUT", "/-/quit", .status = 200,
            .body = "Termination already in progress." },
    };
    RIG_CHECK(&r, good);
    EXPECT_EQ(r.fakes.reloads, 2);
    EXPECT_EQ(r.fakes.quits, 1);
    r.fakes.reload_fails = true;
    static const struct rig_case bad[] = {
        { "a bad configuration", "POST", "/-/reload", .status = 500,
            .body = "failed to reload config: couldn't load configuration\n" },
    };
    RIG_CHECK(&r, bad);
    rig_stop(&r);
}

TEST(web_prefixes)
{
    static const struct rig_case cases[] = {
        { "the root leads to it", "GET", "/", .status = 302, .body = FOUND("/pre/fix") },
        { "its root leads to the page", "GET", "/pre/fix/", .status = 302,
            .body = FOUND("/outside/query") },
        { "without its slash", "GET", "/pre/fix", .status = 301,
            .body = "<a href=\"/pre/fix/\">Moved Permanently</a>.\n\n" },
        { "below it", "GET", "/pre/fix/-/healthy", .status = 200,
            .body = "Prometheus Server is Healthy.\n" },
        { "the API, too", "GET", "/pre/fix/api/v1/status/flags", .status = 200 },
        { "nothing elsewhere", "GET", "/-/healthy", .status = 404, .body = "404 page not found\n" },
        { "nor the API", "GET", "/api/v1/query?query=1", .status = 404,
            .body = "404 page not found\n" },
        { "a name that begins alike", "GET", "/pre/fixed/-/healthy", .status = 404,
            .body = "404 page not found\n" },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .prefix = S("/pre/fix"), .external_path = S("/outside") });
    RIG_CHECK(&r, cases);
    rig_stop(&r);
}

/* What an origin is told. */
TEST(web_origins)
{
    static const struct {
        const char *name;
        str method, target, origin, rule;
        int status;
        bool headers, allowed;
    } cases[] = {
        { "any", S("GET"), S("/api/v1/query?query=1"), S("http://a.example"), S(""), 200, true,
            true },
        { "asked before", S("OPTIONS"), S("/api/v1/query"), S("http://a.example"), S(""), 204, true,
            true },
        { "an error", S("GET"), S("/api/v1/query"), S("http://a.example"), S(""), 400, true, true },
        { "no origin", S("GET"), S("/api/v1/query?query=1"), S(""), S(""), 200, false, false },
        { "one that fits", S("GET"), S("/api/v1/query?query=1"), S("https://b.example"),
            S("https?://(a|b)\\.example"), 200, true, true },
        { "one that does not", S("GET"), S("/api/v1/query?query=1"), S("https://c.example"),
            S("https?://(a|b)\\.example"), 200, true, false },
        { "a part does not", S("GET"), S("/api/v1/query?query=1"), S("https://a.example.org"),
            S("https?://(a|b)\\.example"), 200, true, false },
        { "a receiver", S("POST"), S("/api/v1/otlp/v1/metrics"), S("http://a.example"), S(""), 404,
            false, false },
        { "asked before of a receiver", S("OPTIONS"), S("/api/v1/write"), S("http://a.example"),
            S(""), 204, true, true },
        { "not of the API", S("GET"), S("/-/healthy"), S("http://a.example"), S(""), 200, false,
            false },
    };
    TEST_EACH(c, cases) {
        struct rig r;
        rig_start(&r, &(struct rig_opts){ .cors_origin = c->rule });
        const struct test_pair origin = { S("Origin"), c->origin };
        struct test_answer w =
            rig_ask(&r, c->method, c->target, &origin, c->origin.n ? 1 : 0, STR_EMPTY);
        EXPECT_EQ(w.status, c->status);
        EXPECT_STR(test_answer_header(&w, S("Access-Control-Allow-Methods")),
            c->headers ? S("GET, POST, OPTIONS") : S(""));
        EXPECT_STR(test_answer_header(&w, S("Access-Control-Allow-Headers")),
            c->headers ? S("Accept, Authorization, Content-Type, Origin") : S(""));
        EXPECT_STR(test_answer_header(&w, S("Access-Control-Expose-Headers")),
            c->headers ? S("Date") : S(""));
        EXPECT_STR(test_answer_header(&w, S("Access-Control-Allow-Origin")),
            c->allowed ? c->origin : S(""));
        if (w.status == 204)
            EXPECT_STR(test_answer_header(&w, S("Vary")), S("Accept-Encoding"));
        rig_stop(&r);
    }
}

TEST(web_packing)
{
    static const struct { const char *name; str accept; enum compress_kind kind; } cases[] = {
        { "none", S(""), COMPRESS_NONE },
        { "gzip", S("gzip"), COMPRESS_GZIP },
        { "deflate", S("deflate"), COMPRESS_DEFLATE },
        { "the first that is known", S("br, deflate ,gzip"), COMPRESS_DEFLATE },
        { "a weight hides it", S("gzip;q=0.5"), COMPRESS_NONE },
        { "another", S("zstd, br"), COMPRESS_NONE },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ 0 });
    TEST_EACH(c, cases) {
        const struct test_pair accept = { S("Accept-Encoding"), c->accept };
        struct test_answer w = rig_ask(&r, S("GET"), S("/api/v1/query?query=1&time=1"), &accept,
            c->accept.n ? 1 : 0, STR_EMPTY);
        struct buf plain = { 0 };
        EXPECT_STR(test_answer_header(&w, S("Content-Encoding")),
            c->kind == COMPRESS_GZIP      ? S("gzip")
            : c->kind == COMPRESS_DEFLATE ? S("deflate")
                                          : S(""));
        if (c->kind == COMPRESS_NONE) buf_str(&plain, w.body);
        else EXPECT_OK(compress_unpack(&plain, c->kind, w.body, 10000, NULL));
        EXPECT_STR(buf_view(&plain), S("{\"status\":\"success\",\"data\":{\"resultType\":"
                                       "\"scalar\",\"result\":[1,\"1\"]}}"));
        buf_fini(&plain);
    }
    rig_stop(&r);
}

TEST(web_metrics)
{
    static const struct { const char *name; str accept, type, end;
    } cases[] = {
        { "text", S(""), S("text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
            S("") },
        { "OpenMetrics", S("application/openmetrics-text;version=1.0.0"),
            S("application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
            S("# EOF\n") },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ 0 });
    TEST_EACH(c, cases) {
        const struct test_pair accept = { S("Accept"), c->accept };
        struct test_answer w =
            rig_ask(&r, S("GET"), S("/metrics"), &accept, c->accept.n ? 1 : 0, STR_EMPTY);
        EXPECT_EQ(w.status, 200);
        EXPECT_STR(test_answer_header(&w, S("Content-Type")), c->type);
        EXPECT(str_find(w.body, S("prometheus_http_requests_total{code=\"200\",handler=\"/api/v1/"
                                  "label/:name/values\"} ")) != SIZE_MAX);
        EXPECT(str_find(w.body, S("promhttp_metric_handler_requests_in_flight 1")) != SIZE_MAX);
        EXPECT(str_has_suffix(w.body, c->end));
    }
    rig_stop(&r);
}
