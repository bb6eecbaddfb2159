#include "api/params.h"

#include "base/test.h"

TEST(params_instants)
{
    static const struct {
        const char *name;
        str text;
        errc rc;
        int64_t ms;
        const char *words;
    } cases[] = {
        { "seconds", S("1785558600"), OK, 1785558600000, "" },
        { "decimals", S("1785558600.123"), OK, 1785558600123, "" },
        { "rounded to the millisecond", S("1.0009"), OK, 1001, "" },
        { "exponent", S("1e3"), OK, 1000000, "" },
        { "negative", S("-1.5"), OK, -1500, "" },
        { "RFC 3339", S("2026-08-01T04:30:00Z"), OK, 1785558600000, "" },
        { "with an offset", S("2026-08-01T06:30:00.5+02:00"), OK, 1785558600500, "" },
        { "without a zone", S("2026-08-01T04:30:00"), ERR_BAD_INPUT, 0,
            "cannot parse \"2026-08-01T04:30:00\" to a valid timestamp" },
        { "empty", S(""), ERR_BAD_INPUT, 0, "cannot parse \"\" to a valid timestamp" },
        { "word", S("now"), ERR_BAD_INPUT, 0, "cannot parse \"now\" to a valid timestamp" },
    };
    TEST_EACH(c, cases) {
        struct instant t;
        struct err e = { 0 };
        EXPECT_EQ(parse_instant(c->text, &t, &e), c->rc);
        if (c->rc == OK) EXPECT_EQ(instant_ms(t), c->ms);
        else EXPECT_STR(err_str(&e), str_z(c->words));
    }
    EXPECT(instant_before(INSTANT_MIN, INSTANT_MAX));
}

TEST(params_durations)
{
    static const struct { const char *name; str text; errc rc; int64_t ns; } cases[] = {
        { "seconds", S("15"), OK, INT64_C(15000000000) },
        { "a part of one", S("0.5"), OK, 500000000 },
        { "with units", S("1h30m"), OK, INT64_C(5400000000000) },
        { "milliseconds", S("400ms"), OK, 400000000 },
        { "negative", S("-1"), OK, INT64_C(-1000000000) },
        { "no such unit", S("1ns"), ERR_BAD_INPUT, 0 },
        { "a part of a unit", S("1.5s"), ERR_BAD_INPUT, 0 },
        { "too long", S("9999999999999"), ERR_BAD_INPUT, 0 },
        { "empty", S(""), ERR_BAD_INPUT, 0 },
    };
    TEST_EACH(c, cases) {
        int64_t ns = 0;
        struct err e = { 0 };
        EXPECT_EQ(parse_api_duration(c->text, &ns, &e), c->rc);
        EXPECT_EQ(ns, c->ns);
    }
}

TEST(params_limits)
{
    static const struct {
        const char *name;
        str text;
        errc rc;
        uint64_t n;
        const char *words;
    } cases[] = {
        { "none", S(""), OK, 0, "" },
        { "zero", S("0"), OK, 0, "" },
        { "some", S("17"), OK, 17, "" },
        { "signed", S("+1"), OK, 1, "" },
        { "negative", S("-1"), ERR_BAD_INPUT, 0, "limit must be non-negative" },
        { "word", S("foo"), ERR_BAD_INPUT, 0, "strconv.Atoi: parsing \"foo\": invalid syntax" },
        { "decimals", S("1.5"), ERR_BAD_INPUT, 0, "strconv.Atoi: parsing \"1.5\": invalid syntax" },
        { "too large", S("99999999999999999999"), ERR_BAD_INPUT, 0,
            "strconv.Atoi: parsing \"99999999999999999999\": value out of range" },
    };
    TEST_EACH(c, cases) {
        uint64_t n = 0;
        struct err e = { 0 };
        EXPECT_EQ(parse_limit(c->text, &n, &e), c->rc);
        if (c->rc == OK) EXPECT_EQ(n, c->n);
        else EXPECT_STR(err_str(&e), str_z(c->words));
    }
}

/* ---- forms */

static str asked_type;
static str type_header(const struct http_req *r, const char *name)
{
    (void)r;
    return strcmp(name, "Content-Type") == 0 ? asked_type : STR_EMPTY;
}

TEST(params_forms)
{
    static const struct http_req_ops ops = { type_header };
    static const struct {
        const char *name;
        enum http_method method;
        str type, query, body, a;
        const char *words;
    } cases[] = {
        { "of the URL", HTTP_GET, S(""), S("a=1"), S(""), S("1"), "" },
        { "a form comes first", HTTP_POST, S("application/x-www-form-urlencoded; charset=utf-8"),
            S("a=1"), S("a=2"), S("2"), "" },
        { "another type is no form", HTTP_POST, S("text/plain"), S("a=1"), S("a=2"), S("1"), "" },
        { "a body of GET is no form", HTTP_GET, S("application/x-www-form-urlencoded"), S(""),
            S("a=2"), S(""), "" },
        { "parts", HTTP_POST, S("multipart/form-data; boundary=XX"), S(""),
            S("--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n7\r\n--XX--\r\n"), S("7"),
            "" },
        { "parts after the URL", HTTP_POST, S("multipart/form-data; boundary=\"XX\""), S("a=1"),
            S("--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n7\r\n--XX--\r\n"), S("1"),
            "" },
        { "a file is no parameter", HTTP_POST, S("multipart/form-data; boundary=XX"), S(""),
            S("--XX\r\nContent-Disposition: form-data; name=\"a\"; "
              "filename=\"f\"\r\n\r\n7\r\n--XX--\r\n"),
            S(""), "" },
        { "parts that are cut", HTTP_POST, S("multipart/form-data; boundary=XX"), S(""),
            S("--XX\r\nContent-Disp"), S(""), "" },
        { "no boundary", HTTP_POST, S("multipart/form-data"), S(""), S("--XX\r\n"), S(""), "" },
        { "a bad escape", HTTP_GET, S(""), S("b=%zz&a=1"), S(""), S("1"),
            "invalid URL escape \"%zz\"" },
        { "a cut escape", HTTP_GET, S(""), S("a=1&b%2"), S(""), S("1"),
            "invalid URL escape \"%2\"" },
        { "the first counts", HTTP_POST, S("application/x-www-form-urlencoded"), S("c=%x1"),
            S("a=3&b=%zz&%yy"), S("3"), "invalid URL escape \"%zz\"" },
        { "a semicolon is no separator", HTTP_GET, S(""), S("b=%zz&a=1;c=2"), S(""), S(""),
            "invalid semicolon separator in query" },
    };
    TEST_EACH(c, cases) {
        struct http_req r = {
            .method = c->method, .query = c->query, .body = c->body, .ops = &ops
        };
        SCOPED(params_fini) struct params p;
        asked_type = c->type;
        arena_init(&r.arena, NULL, 0);
        params_read(&p, &r);
        EXPECT_STR(param(&p, S("a")), c->a);
        EXPECT_STR(str_z(p.why.msg), str_z(c->words));
        EXPECT_EQ(p.rc, c->words[0] ? ERR_BAD_INPUT : OK);
        arena_fini(&r.arena);
    }
}
