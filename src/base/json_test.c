#include "base/json.h"
#include "base/test.h"

TEST(json_commas)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    struct json j = json_to(&b);
    json_obj(&j);
    json_ki64(&j, S("a"), -1);
    JSON_KEY(&j, "b");
    json_arr(&j);
    json_u64(&j, UINT64_MAX);
    json_arr(&j);
    json_arr_end(&j);
    json_obj(&j);
    json_obj_end(&j);
    json_nil(&j);
    json_raw(&j, S("[1]"));
    json_arr_end(&j);
    json_kbool(&j, S("c"), true);
    json_kstr(&j, S("d"), S("e"));
    json_obj_end(&j);
    EXPECT_STR(buf_view(&b),
        S("{\"a\":-1,\"b\":[18446744073709551615,[],{},null,[1]],\"c\":true,\"d\":\"e\"}"));
}

TEST(json_escapes)
{
    static const struct { const char *name; str in, bare, html;
    } cases[] = {
        { "plain", S("abc é"), S("\"abc é\""), S("\"abc é\"") },
        { "quote and backslash", S("\"\\"), S("\"\\\"\\\\\""), S("\"\\\"\\\\\"") },
        { "control", S("\n\r\t\b\x01\x7f"), S("\"\\n\\r\\t\\u0008\\u0001\x7f\""),
            S("\"\\n\\r\\t\\u0008\\u0001\x7f\"") },
        { "html", S("<a&b>"), S("\"<a&b>\""), S("\"\\u003ca\\u0026b\\u003e\"") },
        { "line separators", S("\u2028\u2029"), S("\"\u2028\u2029\""), S("\"\\u2028\\u2029\"") },
        { "invalid",
            S("a\xff"
              "b\xe2\x82"),
            S("\"a\xff"
              "b\xe2\x82\""),
            S("\"a\\ufffdb\\ufffd\\ufffd\"") },
        { "long", S("0123456789abcdef\n0123456789abcdef"),
            S("\"0123456789abcdef\\n0123456789abcdef\""),
            S("\"0123456789abcdef\\n0123456789abcdef\"") },
    };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        struct json j = json_to(&b);
        json_str(&j, c->in);
        EXPECT_STR(buf_view(&b), c->bare);
        buf_reset(&b);
        j = (struct json){ .b = &b, .html = true };
        json_str(&j, c->in);
        EXPECT_STR(buf_view(&b), c->html);
    }
}

TEST(json_numbers)
{
    static const struct { const char *name; double v; str want;
    } cases[] = {
        { "zero", 0, S("0") },
        { "tenth", 0.1, S("0.1") },
        { "small", 1e-7, S("1e-7") },
        { "smaller", 1.5e-10, S("1.5e-10") },
        { "large", 1e21, S("1e+21") },
        { "below large", 1e20, S("100000000000000000000") },
    };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        struct json j = json_to(&b);
        json_f64(&j, c->v);
        EXPECT_STR(buf_view(&b), c->want);
    }
}
