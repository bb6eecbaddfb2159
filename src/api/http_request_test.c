/* http_request_test.c — targets, parameters and headers, as Go's server reads and refuses them. */
#include "api/http_request.h"

#include "base/test.h"

TEST(http_parse_query_as_go)
{
    static const struct { const char *name; str query; bool ok; str want; } cases[] = {
        { "empty", S(""), true, S("") },
        { "two", S("a=1&b=2"), true, S("a=1 b=2 ") },
        { "blanks and escapes", S("a=x+y%20z&%61=%2B"), true, S("a=x y z a=+ ") },
        { "no value", S("a&b="), true, S("a= b= ") },
        { "empty pairs", S("&&a=1&"), true, S("a=1 ") },
        { "equals in a value", S("a=b=c"), true, S("a=b=c ") },
        { "a bad escape", S("a=%zz&b=2"), false, S("b=2 ") },
        { "a cut escape", S("b=2&a=%2"), false, S("b=2 ") },
        { "a semicolon", S("a=1;b=2&c=3"), false, S("c=3 ") },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        http_pairs got = { 0 };
        str text = STR_EMPTY;
        EXPECT_EQ(http_parse_query(&got, c->query, &a, NULL) == OK, c->ok);
        for (size_t i = 0; i < got.n; i++)
            text = arena_fmt(&a, "%.*s%.*s=%.*s ", STR_ARG(text), STR_ARG(got.at[i].name),
                STR_ARG(got.at[i].value));
        EXPECT_STR(text, c->want);
        vec_fini(&got);
    }
}

TEST(http_targets)
{
    static const struct { const char *name; str target; bool ok; str path, query; } cases[] = {
        { "a path", S("/a/b"), true, S("/a/b"), S("") },
        { "its query is raw", S("/a?b=%20&c"), true, S("/a"), S("b=%20&c") },
        { "escapes; a plus is one", S("/a%2Fb+c"), true, S("/a/b+c"), S("") },
        { "of a proxy", S("http://host:1/a?b"), true, S("/a"), S("b") },
        { "of a proxy, encrypted", S("https://host/a"), true, S("/a"), S("") },
        { "no path at all", S("http://host"), true, S("/"), S("") },
        { "a path within the query only", S("http://host?a=/b"), true, S("/"), S("") },
        { "a bad escape", S("/a%zz?b"), false, S(""), S("b") },
        { "a cut escape", S("/a%2"), false, S(""), S("") },
        { "all of them", S("*"), true, S("*"), S("") },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        str path, query;
        EXPECT_EQ(http_target_cut(c->target, &a, &path, &query), c->ok);
        EXPECT_STR(path, c->path);
        EXPECT_STR(query, c->query);
    }
}

TEST(http_refusals)
{
    static const struct { const char *name, *headers[4]; str method, version; unsigned want;
    } cases[] = {
        { "a plain one", { "Host:a" }, S("GET"), S("HTTP/1.1"), 0 },
        { "1.0 needs no host", { NULL }, S("GET"), S("HTTP/1.0"), 0 },
        { "1.1 does", { NULL }, S("GET"), S("HTTP/1.1"), 400 },
        { "two hosts", { "Host:a", "host:b" }, S("GET"), S("HTTP/1.1"), 400 },
        { "one length, twice", { "Host:a", "Content-Length: 3", "content-length:3 " }, S("PUT"),
            S("HTTP/1.1"), 0 },
        { "two lengths", { "Host:a", "Content-Length:3", "Content-Length:4" }, S("PUT"),
            S("HTTP/1.1"), 400 },
        { "chunked", { "Host:a", "Transfer-Encoding:Chunked" }, S("PUT"), S("HTTP/1.1"), 0 },
        { "packed", { "Host:a", "Transfer-Encoding:gzip" }, S("PUT"), S("HTTP/1.1"), 501 },
        { "chunked twice", { "Host:a", "Transfer-Encoding:chunked", "Transfer-Encoding:chunked" },
            S("PUT"), S("HTTP/1.1"), 501 },
        { "no token", { "Host:a", "A b:c" }, S("GET"), S("HTTP/1.1"), 400 },
        { "a control", { "Host:a", "A:b\x01" "c" }, S("GET"), S("HTTP/1.1"), 400 },
        { "a tab", { "Host:a", "A:b\tc" }, S("GET"), S("HTTP/1.1"), 0 },
        { "a bad method", { "Host:a" }, S("G ET"), S("HTTP/1.1"), 400 },
        { "waits to be told", { "Host:a", "Expect:100-continue" }, S("PUT"), S("HTTP/1.1"), 0 },
        { "expects more", { "Host:a", "Expect:a miracle" }, S("PUT"), S("HTTP/1.1"), 417 },
    };
    TEST_EACH(c, cases) {
        struct http_framing f = { 0 };
        for (size_t i = 0; i < ARRAY_LEN(c->headers) && c->headers[i]; i++) {
            str name, value;
            str_cut(str_z(c->headers[i]), ':', &name, &value);
            http_framing_note(&f, name, value);
        }
        EXPECT_EQ(http_refusal_of(&f, c->method, c->version).status, c->want);
    }
}

TEST(http_methods)
{
    EXPECT_EQ(http_method_of(S("GET")), HTTP_GET);
    EXPECT_EQ(http_method_of(S("DELETE")), HTTP_DELETE);
    EXPECT_EQ(http_method_of(S("get")), HTTP_OTHER);
    EXPECT_EQ(http_method_of(S("")), HTTP_OTHER);
}
