#include "api/respond.h"

#include "base/test.h"

static void resp_fini(struct http_resp *w)
{
    buf_fini(&w->body);
    vec_fini(&w->headers);
}

TEST(respond_envelopes)
{
    static const str warnings[] = { S("w1"), S("<w2>") }, infos[] = { S("i") };
    static const struct { const char *name; size_t n_warnings, n_infos; str body;
    } cases[] = {
        { "bare", 0, 0, S("{\"status\":\"success\",\"data\":7}") },
        { "warnings", 2, 0,
            S("{\"status\":\"success\",\"data\":7,\"warnings\":[\"w1\",\"\\u003cw2\\u003e\"]}") },
        { "both", 1, 1,
            S("{\"status\":\"success\",\"data\":7,\"warnings\":[\"w1\"],\"infos\":[\"i\"]}") },
    };
    TEST_EACH(c, cases) {
        SCOPED(resp_fini) struct http_resp w = { 0 };
        struct json j = api_begin(&w);
        json_i64(&j, 7);
        api_end(&j, &w, warnings, c->n_warnings, infos, c->n_infos);
        EXPECT_STR(buf_view(&w.body), c->body);
        EXPECT_EQ(w.status, 200);
        EXPECT(w.compress && w.vary);
    }
}

TEST(respond_errors)
{
    static const struct { const char *name; errc rc; unsigned status; str type;
    } cases[] = {
        { "bad input", ERR_BAD_INPUT, 400, S("bad_data") },
        { "out of order", ERR_OUT_OF_ORDER, 400, S("bad_data") },
        { "a limit", ERR_LIMIT, 422, S("execution") },
        { "not served", ERR_UNSUPPORTED, 422, S("execution") },
        { "hung up", ERR_CANCELED, 499, S("canceled") },
        { "too late", ERR_TIMEOUT, 503, S("timeout") },
        { "the disk", ERR_IO, 500, S("internal") },
        { "damage", ERR_CORRUPT, 500, S("internal") },
        { "not there", ERR_NOT_FOUND, 404, S("not_found") },
        { "not yet", ERR_UNAVAILABLE, 500, S("unavailable") },
    };
    TEST_EACH(c, cases) {
        SCOPED(resp_fini) struct http_resp w = { 0 };
        struct err e = { 0 };
        (void)err_set(&e, c->rc, "a \"word\" & more");
        /* an answer that was begun is thrown away */
        struct json j = api_begin(&w);
        json_arr(&j);
        api_error_of(&w, c->rc, &e);
        EXPECT_EQ(w.status, c->status);
        SCOPED(buf_fini) struct buf want = { 0 };
        buf_fmt(&want,
            "{\"status\":\"error\",\"errorType\":\"%.*s\",\"error\":\"a \\\"word\\\" \\u0026 "
            "more\"}",
            STR_ARG(c->type));
        EXPECT_STR(buf_view(&w.body), buf_view(&want));
    }
}

TEST(respond_texts)
{
    SCOPED(resp_fini) struct http_resp w = { 0 };
    buf_str(&w.body, S("what was there"));
    api_http_error(&w, 404, S("gone\n"));
    EXPECT_STR(buf_view(&w.body), S("gone\n"));
    EXPECT_EQ(w.status, 404);
    EXPECT_EQ(w.headers.n, 2);
    EXPECT_STR(w.headers.at[0].value, S("text/plain; charset=utf-8"));
    EXPECT_STR(w.headers.at[1].name, S("X-Content-Type-Options"));
    struct err e = { 0 };
    (void)err_set(&e, ERR_BAD_INPUT, "no");
    api_invalid_param(&w, "step", &e);
    EXPECT_STR(buf_view(&w.body), S("{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":"
                                    "\"invalid parameter \\\"step\\\": no\"}"));
    EXPECT_EQ(w.headers.n, 2);
    EXPECT_STR(w.headers.at[0].value, S("application/json"));
}
