#include "base/str.h"
#include "base/test.h"

TEST(str_u64)
{
    static const struct { const char *name; str in; bool ok; uint64_t want; } cases[] = {
        { "empty", S(""), false, 0 },
        { "zero", S("0"), true, 0 },
        { "largest", S("18446744073709551615"), true, UINT64_MAX },
        { "one above", S("18446744073709551616"), false, 0 },
        { "a sign", S("+1"), false, 0 },
        { "a letter", S("12a"), false, 0 },
    };
    TEST_EACH(c, cases) {
        uint64_t got = 7;
        EXPECT_EQ(str_u64(c->in, &got), c->ok);
        EXPECT_EQ(got, c->ok ? c->want : 7);
    }
}

TEST(str_i64)
{
    static const struct { const char *name; str in; bool ok; int64_t want; } cases[] = {
        { "least", S("-9223372036854775808"), true, INT64_MIN },
        { "below least", S("-9223372036854775809"), false, 0 },
        { "largest", S("9223372036854775807"), true, INT64_MAX },
        { "above largest", S("9223372036854775808"), false, 0 },
        { "plus", S("+5"), true, 5 },
        { "only a sign", S("-"), false, 0 },
    };
    TEST_EACH(c, cases) {
        int64_t got = 7;
        EXPECT_EQ(str_i64(c->in, &got), c->ok);
        EXPECT_EQ(got, c->ok ? c->want : 7);
    }
}

TEST(str_order)
{
    EXPECT(str_cmp(S("a"), S("ab")) < 0);
    EXPECT(str_cmp(S("b"), S("ab")) > 0);
    EXPECT(str_cmp(S("\x80"), S("a")) > 0);
    EXPECT_EQ(str_cmp(S(""), STR_EMPTY), 0);
}

TEST(str_search)
{
    EXPECT_EQ(str_find(S("hello world"), S("o w")), 4);
    EXPECT_EQ(str_find(S("hello"), S("x")), SIZE_MAX);
    EXPECT_EQ(str_rindex(S("a/b/c"), '/'), 3);
    EXPECT_STR(str_trim(S(" \t x y\n ")), S("x y"));
    str l, r;
    EXPECT(str_cut(S("k=v=w"), '=', &l, &r));
    EXPECT_STR(l, S("k"));
    EXPECT_STR(r, S("v=w"));
    EXPECT(!str_cut(S("k"), '=', &l, &r));
}
