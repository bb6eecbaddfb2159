#include "base/json_far.h"

#include "base/test.h"

TEST(json_far_keeps_numbers)
{
    static const struct { const char *name; str json, want; size_t far; } cases[] = {
        { "none", S("{\"a\": [1, -2.5, \"x\"]}"), S("{\"a\": [1, -2.5, \"x\"]}"), 0 },
        { "64 bits", S("[9223372036854775807]"), S("[9223372036854775807]"), 0 },
        { "more", S("[9223372036854775808, 1]"), S("[9223372036854775808, 1]"), 1 },
        { "negative", S("[-9223372036854775809]"), S("[-9223372036854775809]"), 1 },
        { "beyond doubles", S("{\"a\": 1e999}"), S("{\"a\": 1e999}"), 1 },
        { "in a text", S("[\"9223372036854775808\", 1e999]"),
            S("[\"9223372036854775808\", 1e999]"), 1 },
        { "behind a quote in a text", S("[\"\\\"1e999\", 1e999]"), S("[\"\\\"1e999\", 1e999]"),
            1 },
        { "a text like a marked one", S("[\"\\u0001900E9\", 1e999]"),
            S("[\"\\u0001900E9\", 1e999]"), 2 },
        { "a name like a marked one", S("{\"\\u0001\\u000115\": 1e999}"),
            S("{\"\\u0001\\u000115\": 1e999}"), 3 },
        { "a marked one alone", S("[\"\\u0001900E9\"]"), S("[\"\\u0001900E9\"]"), 0 },
    };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        json_error_t why;
        size_t far = 0;
        json_t *o = json_far_load(c->json, &far, &why);
        EXPECT(o);
        EXPECT_EQ(far, c->far);
        json_far_put(&b, o, far);
        EXPECT_STR(buf_view(&b), c->want);
        json_decref(o);
    }
}

TEST(json_far_refuses_what_is_no_json)
{
    static const str cases[] = { S(""), S("{"), S("[1e999"), S("[9223372036854775808,]"),
        S("[1e999e]") };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_error_t why;
        size_t far = 0;
        EXPECT(!json_far_load(cases[i], &far, &why));
    }
}
