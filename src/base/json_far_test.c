#include "base/json_far.h"

#include "base/test.h"

TEST(json_far_keeps_numbers)
{
    static const struct { const char *name; str json, want; bool far; } cases[] = {
        { "none", S("{\"a\": [1, -2.5, \"x\"]}"), S("{\"a\": [1, -2.5, \"x\"]}"), false },
        { "64 bits", S("[9223372036854775807]"), S("[9223372036854775807]"), false },
        { "more", S("[9223372036854775808, 1]"), S("[9223372036854775808, 1]"), true },
        { "negative", S("[-9223372036854775809]"), S("[-9223372036854775809]"), true },
        { "beyond doubles", S("{\"a\": 1e999}"), S("{\"a\": 1e999}"), true },
        { "in a text", S("[\"9223372036854775808\", 1e999]"),
            S("[\"9223372036854775808\", 1e999]"), true },
        { "behind a quote in a text", S("[\"\\\"1e999\", 1e999]"), S("[\"\\\"1e999\", 1e999]"),
            true },
    };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        json_error_t why;
        bool far = false;
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
        bool far = false;
        EXPECT(!json_far_load(cases[i], &far, &why));
    }
}
