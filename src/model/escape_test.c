#include "model/escape.h"
#include "base/test.h"
#include "model/labels.h"

TEST(escape_and_back)
{
    static const struct { const char *name; str in, underscores, dots, undots, values;
    } cases[] = {
        { "empty", S(""), S(""), S(""), S(""), S("") },
        { "legacy", S("no:escaping_required"), S("no:escaping_required"),
            S("no:escaping__required"), S("no:escaping_required"), S("no:escaping_required") },
        { "dots", S("mysystem.prod.west"), S("mysystem_prod_west"), S("mysystem_dot_prod_dot_west"),
            S("mysystem.prod.west"), S("U__mysystem_2e_prod_2e_west") },
        { "dots and underscores", S("a.b_c"), S("a_b_c"), S("a_dot_b__c"), S("a.b_c"),
            S("U__a_2e_b__c") },
        { "digit first", S("1a"), S("_a"), S("__a"), S("_a"), S("U___31_a") },
        { "two bytes", S("é!"), S("__"), S("____"), S("__"), S("U___e9__21_") },
        { "an invalid byte", S("a\xff"), S("a_"), S("a__"), S("a_"), S("U__a_fffd_") },
    };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 }, back = { 0 };
        const str want[ESCAPE_SCHEMES] = { c->in, c->underscores, c->dots, c->values };
        for (unsigned s = 0; s < ESCAPE_SCHEMES; s++) {
            buf_reset(&b);
            buf_reset(&back);
            buf_name_escape(&b, c->in, (enum escape_scheme)s);
            EXPECT_STR(buf_view(&b), want[s]);
            if (s != ESCAPE_NONE && c->in.n) EXPECT(metric_name_valid_legacy(buf_view(&b)));
            buf_name_unescape(&back, buf_view(&b), (enum escape_scheme)s);
            if (s == ESCAPE_DOTS) EXPECT_STR(buf_view(&back), c->undots);
            if (s == ESCAPE_VALUES && str_find(c->in, S("\xff")) == SIZE_MAX)
                EXPECT_STR(buf_view(&back), c->in);
        }
    }
}

TEST(unescape_what_no_one_wrote)
{
    static const struct { const char *name; enum escape_scheme s; str in, want; } cases[] = {
        { "not ours", ESCAPE_VALUES, S("a_2e_b"), S("a_2e_b") },
        { "no closing underscore", ESCAPE_VALUES, S("U__a_2e"), S("U__a_2e") },
        { "ends in an underscore", ESCAPE_VALUES, S("U__a_"), S("U__a_") },
        { "not hex", ESCAPE_VALUES, S("U__a_2g_"), S("U__a_2g_") },
        { "too long", ESCAPE_VALUES, S("U__a_000002e_"), S("U__a_000002e_") },
        { "a surrogate", ESCAPE_VALUES, S("U__a_d800_"), S("U__a_d800_") },
        { "capitals", ESCAPE_VALUES, S("U__a_2E_"), S("a.") },
        { "dots around", ESCAPE_DOTS, S("__dot__"), S("_._") },
        { "underscores stay", ESCAPE_UNDERSCORES, S("a__b"), S("a__b") },
    };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        buf_str(&b, S("x"));
        buf_name_unescape(&b, c->in, c->s);
        EXPECT_STR(str_from(buf_view(&b), 1), c->want);
    }
}

TEST(escape_scheme_words)
{
    enum escape_scheme s;
    for (unsigned i = 0; i < ESCAPE_SCHEMES; i++) {
        EXPECT(escape_scheme_parse(escape_scheme_name((enum escape_scheme)i), &s));
        EXPECT_EQ(s, i);
    }
    EXPECT(!escape_scheme_parse(S("Dots"), &s));
}
