#include "api/http_router.h"

#include "base/test.h"

static const struct http_route routes[] = {
    { .methods = HTTP_GET | HTTP_POST, .pattern = "/api/v1/query" },
    { .methods = HTTP_GET, .pattern = "/api/v1/label/:name/values" },
    { .methods = HTTP_DELETE, .pattern = "/api/v1/query" },
    { .methods = HTTP_GET, .pattern = "/static/*rest" },
    { .methods = HTTP_GET, .pattern = "/-/ready" },
};
enum { NONE = -1 };

static str header_of(const struct http_resp *w, str name)
{
    for (size_t i = 0; i < w->headers.n; i++)
        if (str_eq(w->headers.at[i].name, name)) return w->headers.at[i].value;
    return STR_EMPTY;
}

/* status 0: nothing was said, which is 200 */
TEST(http_router_finds)
{
    static const struct {
        const char *name, *prefix, *mount;
        enum http_method method;
        const char *path, *query;
        int route;
        unsigned status;
        const char *param, *location, *allow;
    } cases[] = {
        { "plain", "", "", HTTP_GET, "/api/v1/query", "", 0, 0, "", "", "" },
        { "by method", "", "", HTTP_DELETE, "/api/v1/query", "", 2, 0, "", "", "" },
        { "a segment", "", "", HTTP_GET, "/api/v1/label/job/values", "", 1, 0, "job", "", "" },
        { "no empty segment", "", "", HTTP_GET, "/api/v1/label//values", "", NONE, 307, "",
            "/api/v1/label/values", "" },
        { "the rest", "", "", HTTP_GET, "/static/a/b.js", "", 3, 0, "/a/b.js", "", "" },
        { "unknown", "", "", HTTP_GET, "/nope", "", NONE, 404, "", "", "" },
        { "wrong method", "", "", HTTP_PUT, "/api/v1/query", "", NONE, 405, "", "",
            "DELETE, GET, OPTIONS, POST" },
        { "options", "", "", HTTP_OPTIONS, "/-/ready", "", NONE, 0, "", "", "GET, OPTIONS" },
        { "options of the server", "", "", HTTP_OPTIONS, "*", "", NONE, 0, "", "", "" },
        { "dots", "", "", HTTP_GET, "/x/../-/./ready", "a=b", NONE, 307, "", "/-/ready?a=b", "" },
        { "above the root", "", "", HTTP_GET, "/../-/ready", "", NONE, 307, "", "/-/ready", "" },
        { "a slash too many", "", "", HTTP_GET, "/-/ready/", "x=1", NONE, 301, "", "/-/ready?x=1",
            "" },
        { "other cases", "", "", HTTP_GET, "/-/Ready", "", NONE, 301, "", "/-/ready", "" },
        { "a form moves with its method", "", "", HTTP_POST, "/api/v1/query/", "", NONE, 307, "",
            "/api/v1/query", "" },
        { "below the prefix", "/p", "", HTTP_GET, "/p/-/ready", "", 4, 0, "", "", "" },
        { "the root leads to the prefix", "/p", "", HTTP_GET, "/", "", NONE, 302, "", "/p", "" },
        { "not below it", "/p", "", HTTP_GET, "/-/ready", "", NONE, 404, "", "", "" },
        { "beside it", "/p", "", HTTP_GET, "/px/-/ready", "", NONE, 404, "", "", "" },
        { "the mount's folder", "", "/api/v1", HTTP_GET, "/api/v1", "", NONE, 307, "", "/api/v1/",
            "" },
        { "a mounted router leaves it away", "", "/api/v1", HTTP_GET, "/api/v1/query/", "", NONE,
            301, "", "/query", "" },
    };
    TEST_EACH(c, cases) {
        struct http_opts o = { .routes = routes, .n_routes = ARRAY_LEN(routes),
            .prefix = str_z(c->prefix), .mount = str_z(c->mount) };
        struct http_req r = { .method = c->method, .path = str_z(c->path),
            .query = str_z(c->query) };
        struct http_resp early = { 0 };
        const struct http_route *found = http_router_find(&o, &r, &early);
        EXPECT_EQ(found ? found - routes : NONE, c->route);
        EXPECT_EQ(early.status, c->status);
        if (*c->param) EXPECT_STR(r.path_params.at[0].value, str_z(c->param));
        EXPECT_STR(header_of(&early, S("Location")), str_z(c->location));
        EXPECT_STR(header_of(&early, S("Allow")), str_z(c->allow));
        vec_fini(&r.path_params);
        vec_fini(&early.headers);
        buf_fini(&early.body);
        arena_fini(&r.arena);
    }
}
