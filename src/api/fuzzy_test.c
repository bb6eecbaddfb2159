#include "api/fuzzy.h"

#include "base/test.h"

#include <math.h>

TEST(fuzzy_scores)
{
    static const struct { const char *name; enum fuzzy_kind kind; double threshold; bool fold;
        const char *term, *value; double score; } cases[] = {                  /* score < 0: no */
        { "the same", FUZZY_SUBSEQUENCE, 0, false, "up", "up", 1 },
        { "a beginning", FUZZY_SUBSEQUENCE, 0, false, "up", "uptime", 1 },
        { "letters apart", FUZZY_SUBSEQUENCE, 0, false, "ac", "abc", (2 - 1 / 3.0) / 4 * 0.999 },
        { "a run inside", FUZZY_SUBSEQUENCE, 0, false, "bc", "abcd",
            (4 - 1 / 4.0 - 1 / 4.0 * 0.5) / 4 * 0.999 },
        { "not in order", FUZZY_SUBSEQUENCE, 0, false, "ca", "abc", -1 },
        { "below the threshold", FUZZY_SUBSEQUENCE, 0.5, false, "ac", "abc", -1 },
        { "upper case", FUZZY_SUBSEQUENCE, 0, false, "UP", "up", -1 },
        { "folded", FUZZY_SUBSEQUENCE, 0, true, "UP", "up", 1 },
        { "folded, beyond ASCII", FUZZY_SUBSEQUENCE, 0, true, "\xc3\x84", "\xc3\xa4x", 1 },
        { "substring", FUZZY_JARO_WINKLER, 0, false, "c", "abcde", 1 - 0.9 * 2 / 4 },
        { "no substring", FUZZY_JARO_WINKLER, 0, false, "x", "abcde", -1 },
        { "similar", FUZZY_JARO_WINKLER, 0.8, false, "martha", "marhta", 0.9611111111111111 },
        { "not similar enough", FUZZY_JARO_WINKLER, 0.97, false, "martha", "marhta", -1 },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        str term = str_z(c->term);
        struct fuzzy *f = fuzzy_new(
            &a, &(struct fuzzy_opts){ c->kind, c->threshold, c->fold }, &term, 1);
        double score;
        bool yes = fuzzy_accepts(f, str_z(c->value), &score);
        EXPECT_EQ(yes, c->score >= 0);
        if (yes) EXPECT(fabs(score - c->score) < 1e-15);
        fuzzy_fini(f);
    }
}

TEST(fuzzy_of_several_terms)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    static const str terms[] = { S("zz"), S(""), S("b"), S("ab") }, none[] = { S("") };
    double score;
    struct fuzzy *f = fuzzy_new(&a, &(struct fuzzy_opts){ 0 }, terms, ARRAY_LEN(terms));
    EXPECT(fuzzy_accepts(f, S("abc"), &score) && score == 1);  /* the best of them */
    EXPECT(!fuzzy_accepts(f, S("xyz"), &score));
    fuzzy_fini(f);
    EXPECT(!fuzzy_new(&a, &(struct fuzzy_opts){ 0 }, none, 1));
}
