#include "model/regex_height.h"
#include "base/test.h"

/* Heights as Go's regexp/syntax has them. */
TEST(regex_heights)
{
    static const struct { str in; size_t itself, anchored;
    } cases[] = {
        { S(""), 1, 2 },
        { S("a"), 1, 2 },
        { S("abc"), 1, 2 },
        { S("abc*"), 3, 3 },
        { S("\u00e9*"), 2, 3 },
        { S("a\u00e9*"), 3, 3 },
        { S("(a)"), 2, 3 },
        { S("((a))"), 3, 4 },
        { S("(?:(?:a))"), 1, 2 },
        { S("(a)(b)"), 3, 3 },
        { S("a(b(c(d)))"), 7, 7 },
        { S("(?:a*)+"), 3, 4 },
        { S("(?:ab*)c"), 3, 3 },
        { S("(?:ab*)*c"), 5, 5 },
        { S("ab|cd"), 2, 3 },
        { S("ab|(cd)"), 3, 4 },
        { S("(?:ab|cd)|ef"), 2, 3 },
        { S("(?:ab|cd)x|ef"), 4, 5 },
        { S("x(ab|cd)"), 4, 4 },
        { S("a{2}"), 2, 3 },
        { S("a{2,3}?b"), 3, 3 },
        { S("a{b"), 1, 2 },
        { S("[a-z]+x"), 3, 3 },
        { S("\\Q(((\\E"), 1, 2 },
        { S("\\(\\("), 1, 2 },
        { S("\\d+\\.x"), 3, 3 },
        { S("(?i)(a)"), 2, 3 },
        { S("(?i:(a))"), 2, 3 },
        { S("(?P<n>a(?<m>b))"), 4, 5 },
        { S("(|a)"), 3, 4 },
        { S("()"), 2, 3 },
        { S(".*a.*"), 3, 3 },
        { S("(a+)+$"), 5, 5 },
        { S("(?:)"), 1, 2 },
        { S("^a$"), 2, 2 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const typeof(*cases) *c = &cases[i];
        struct regex_height h = regex_height(c->in);
        if (h.itself != c->itself || h.anchored != c->anchored)
            test_fail(__FILE__, __LINE__, "%.*s: %zu, %zu", STR_ARG(c->in), h.itself, h.anchored);
    }
}
