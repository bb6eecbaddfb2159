#include "api/test_rig.h"

#include "base/test.h"

TEST(active_queries_listed_and_ended)
{
    static const struct {
        const char *name, *method, *path;
        bool lifecycle;
        int status;
        const char *body;
    } cases[] = {
        { "nothing runs", "GET", "/api/v1/status/active_queries", false, 200,
            "{\"status\":\"success\",\"data\":[]}" },
        { "not without the lifecycle API", "DELETE", "/api/v1/status/active_queries/1", false, 403,
            "Lifecycle API is not enabled." },
        { "gone", "DELETE", "/api/v1/status/active_queries/1", true, 404,
            "{\"status\":\"error\",\"errorType\":\"not_found\",\"error\":\"no such query\"}" },
        { "no number", "DELETE", "/api/v1/status/active_queries/x", true, 400,
            "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"the id of a query is a "
            "number\"}" },
        { "one is not read", "GET", "/api/v1/status/active_queries/1", true, 405,
            "Method Not Allowed\n" },
    };
    TEST_EACH(c, cases) {
        struct rig r;
        rig_start(&r, &(struct rig_opts){ .lifecycle = c->lifecycle });
        struct test_answer w =
            rig_ask(&r, str_z(c->method), str_z(c->path), NULL, 0, STR_EMPTY);
        EXPECT_EQ(w.status, c->status);
        EXPECT_STR(w.body, str_z(c->body));
        rig_stop(&r);
    }
}
