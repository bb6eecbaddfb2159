#include "api/gate.h"

#include "base/clock.h"
#include "base/test.h"

/* Of "secret". */
#define SECRET "$2b$04$.rjyzivbayImgm54ej2eb.Fz5czLnjc0NqYwEFu6s0r0r5/Gtd986"

static str authorization;
static str header(const struct http_req *r, const char *name)
{
    (void)r;
    return strcmp(name, "Authorization") == 0 ? authorization : STR_EMPTY;
}

/* One request as the server asks; *waited: it was asked twice. */
static enum http_guard ask(struct gate *g, str auth, struct http_resp *w, bool *waited)
{
    static const struct http_req_ops ops = { header };
    struct http_req r = { .ops = &ops };
    authorization = auth;
    arena_init(&r.arena, NULL, 0);
    enum http_guard rc = gate_guard(g, &r, w, false);
    *waited = rc == HTTP_LATER;
    if (*waited) rc = gate_guard(g, &r, w, true);
    EXPECT(rc != HTTP_LATER);
    /* headers of the answer point into it: values are not looked at after */
    arena_fini(&r.arena);
    return rc;
}

static void resp_fini(struct http_resp *w)
{
    buf_fini(&w->body);
    vec_fini(&w->headers);
}

TEST(gate_users)
{
    static const struct web_pair users[] = { { S("ann"), S(SECRET) }, { S("odd"), S("no hash") } };
    static const struct web_options o = { .users = users, .n_users = ARRAY_LEN(users) };
    static const struct { const char *name; str auth; bool in, waits; } cases[] = {
        { "good", S("Basic YW5uOnNlY3JldA=="), true, true },
        { "known as good", S("Basic YW5uOnNlY3JldA=="), true, false },
        { "in other cases", S("bASIC YW5uOnNlY3JldA=="), true, false },
        { "a wrong password", S("Basic YW5uOndyb25n"), false, true },
        { "known as wrong", S("Basic YW5uOndyb25n"), false, false },
        { "nobody of that name", S("Basic ZXZlOnNlY3JldA=="), false, true },
        { "who knows what nobody's hash is of", S("Basic ZXZlOmZha2VwYXNzd29yZA=="), false, true },
        { "a hash that is none", S("Basic b2RkOm5vIGhhc2g="), false, true },
        { "a password with a zero", S("Basic YW5uOnNlY3JldAA="), false, true },
        { "nothing", S(""), false, false },
        { "another scheme", S("Bearer YW5uOnNlY3JldA=="), false, false },
        { "no colon", S("Basic YW5u"), false, false },
        { "not base64", S("Basic YW5uOnNlY3Jld!=="), false, false },
        { "cut", S("Basic YW5uOnNlY3JldA="), false, false },
        { "more behind the end", S("Basic YW5=OnNlY3JldA=="), false, false },
    };
    struct gate *g = gate_new(&o);
    TEST_EACH(c, cases) {
        SCOPED(resp_fini) struct http_resp w = { 0 };
        bool waited;
        EXPECT_EQ(ask(g, c->auth, &w, &waited), c->in ? HTTP_PASS : HTTP_ANSWERED);
        EXPECT_EQ(waited, c->waits);
        if (c->in) continue;
        EXPECT_EQ(w.status, 401);
        EXPECT_STR(buf_view(&w.body), S("Unauthorized\n"));
        EXPECT_STR(w.headers.at[0].name, S("Www-Authenticate"));
    }
    gate_free(g);
}

TEST(gate_options_change)
{
    static const struct web_pair users[] = { { S("ann"), S(SECRET) } },
                                 headers[] = { { S("X-XSS-Protection"), S("1") } };
    static const struct web_options closed = { .users = users, .n_users = 1 },
                                    open = { .headers = headers, .n_headers = 1 };
    struct gate *g = gate_new(&closed);
    bool waited;
    static const struct {
        const char *name;
        const struct web_options *o;
        enum http_guard want;
        unsigned status;
        size_t headers;
    } cases[] = {
        { "users", &closed, HTTP_ANSWERED, 401, 3 },
        { "none any more, and a header", &open, HTTP_PASS, 0, 1 },
        { "no configuration", NULL, HTTP_ANSWERED, 500, 2 },
        { "users again", &closed, HTTP_ANSWERED, 401, 3 },
    };
    TEST_EACH(c, cases) {
        SCOPED(resp_fini) struct http_resp w = { 0 };
        gate_set(g, c->o);
        EXPECT_EQ(ask(g, S(""), &w, &waited), c->want);
        EXPECT_EQ(w.status, c->status);
        EXPECT_EQ(w.headers.n, c->headers);
    }
    gate_free(g);
}

TEST(gate_rate)
{
    static const struct web_options slow = { .rate_interval_ns = INT64_C(3600) * 1000000000,
        .rate_burst = 2 },
                                    none = { .rate_interval_ns = 1 },
                                    backwards = { .rate_interval_ns = INT64_C(-5) * 1000000000 };
    struct gate *g = gate_new(&slow);
    bool waited;
    for (int i = 0; i < 4; i++) {
        SCOPED(resp_fini) struct http_resp w = { 0 };
        EXPECT_EQ(ask(g, S(""), &w, &waited), i < 2 ? HTTP_PASS : HTTP_ANSWERED);
        EXPECT_EQ(w.status, i < 2 ? 0 : 429);
    }
    gate_free(g);
    g = gate_new(&none);                       /* a burst of 0 lets nobody in */
    SCOPED(resp_fini) struct http_resp w = { 0 };
    EXPECT_EQ(ask(g, S(""), &w, &waited), HTTP_ANSWERED);
    gate_free(g);
    g = gate_new(&backwards);                  /* as Go's: no limit */
    SCOPED(resp_fini) struct http_resp passed = { 0 };
    EXPECT_EQ(ask(g, S(""), &passed, &waited), HTTP_PASS);
    gate_free(g);
}
