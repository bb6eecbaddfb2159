#include "model/matcher.h"
#include "base/test.h"

TEST(matcher_kinds)
{
    static const struct {
        const char *name;
        enum match_type type;
        str label, value, text;
        bool a, b, none;
    } cases[] = {
        { "equal", MATCH_EQ, S("x"), S("a"), S("x=\"a\""), true, false, false },
        { "not equal", MATCH_NE, S("x"), S("a"), S("x!=\"a\""), false, true, true },
        { "equal to nothing", MATCH_EQ, S("x"), S(""), S("x=\"\""), false, false, true },
        { "regex", MATCH_RE, S("x"), S("a|c"), S("x=~\"a|c\""), true, false, false },
        { "not regex", MATCH_NRE, S("x.y"), S("a.?"), S("\"x.y\"!~\"a.?\""), false, true, true },
        { "quoted value", MATCH_EQ, S("x"), S("\"\n"), S("x=\"\\\"\\n\""), false, false, false },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a;
        SCOPED(buf_fini) struct buf b = { 0 };
        arena_init(&a, NULL, 0);
        struct matcher m;
        EXPECT_OK(matcher_init(&m, &a, c->type, c->label, c->value, NULL));
        EXPECT_EQ(matcher_matches(&m, S("a")), c->a);
        EXPECT_EQ(matcher_matches(&m, S("b")), c->b);
        EXPECT_EQ(matcher_matches_empty(&m), c->none);
        buf_matcher(&b, &m);
        EXPECT_STR(buf_view(&b), c->text);
        const struct label with_a = { c->label, S("a") };
        EXPECT_EQ(matchers_match((struct matchers){ &m, 1 }, (struct labels){ &with_a, 1 }), c->a);
        EXPECT_EQ(matchers_match((struct matchers){ &m, 1 }, (struct labels){ 0 }), c->none);
        matcher_fini(&m);
    }
}

TEST(matcher_refuses)
{
    SCOPED(arena_fini) struct arena a;
    arena_init(&a, NULL, 0);
    struct matcher m;
    struct err e = { 0 };
    EXPECT_EQ(matcher_init(&m, &a, MATCH_RE, S("x"), S("("), &e), ERR_BAD_INPUT);
    EXPECT_STR(err_str(&e), S("error parsing regexp: missing closing ): `(`"));
}

TEST(matchers_left_to_ask)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    const struct label external[] = { { S("cluster"), S("eu") }, { S("r"), S("0") } };
    struct labels fixed = { external, 2 };
    struct matcher ms[] = { { MATCH_EQ, S("cluster"), S("eu"), NULL },
        { MATCH_NE, S("job"), S("x"), NULL }, { MATCH_NE, S("r"), S("1"), NULL } };
    struct matchers left = { 0 };
    EXPECT(matchers_left(&left, (struct matchers){ ms, 3 }, fixed, &a));
    EXPECT_EQ(left.n, 1);
    EXPECT_STR(left.at[0].name, S("job"));
    ms[2].value = S("0");
    EXPECT(!matchers_left(&left, (struct matchers){ ms, 3 }, fixed, &a));
    EXPECT(matchers_left(&left, (struct matchers){ ms, 1 }, fixed, &a) && left.n == 0);
    EXPECT(matchers_left(&left, (struct matchers){ ms, 3 }, (struct labels){ 0 }, &a));
    EXPECT_EQ(left.n, 3);
}
