#include "model/regex_globs.h"
#include "base/buf.h"
#include "base/test.h"

static void buf_globs(struct buf *b, const struct globs *g)
{
    static const char *const gaps[] = { [GLOB_ANY] = "*", [GLOB_SOME] = "+", [GLOB_OPAQUE] = "?" };
    for (size_t i = 0; i < g->all.n; i++) {
        if (i) buf_u8(b, '|');
        for (size_t k = 0; k < g->all.at[i].n; k++) {
            struct glob_part p = g->all.at[i].at[k];
            if (p.kind == GLOB_LITERAL) buf_str(b, p.lit);
            else buf_str(b, str_z(gaps[p.kind]));
        }
    }
}

TEST(globs_read)
{
    static const struct { const char *name; str in, want, prefix, suffix;
    } cases[] = {
        { "empty", S(""), S(""), S(""), S("") },
        { "a literal", S("foo"), S("foo"), S("foo"), S("foo") },
        { "escapes", S("a\\.b\\-\\n\\x41\\x{e9}"), S("a.b-\nA\u00e9"), S("a.b-\nA\u00e9"),
            S("a.b-\nA\u00e9") },
        { "alternatives", S("foo|bar|"), S("foo|bar|"), S(""), S("") },
        { "common ends", S("foo1x|foo2x"), S("foo1x|foo2x"), S("foo"), S("x") },
        { "a group", S("a(b|c)d"), S("abd|acd"), S("a"), S("d") },
        { "nested groups", S("((a)|(?:b(?P<n>c)))"), S("a|bc"), S(""), S("") },
        { "an optional part", S("ab?c"), S("abc|ac"), S("a"), S("c") },
        { "gaps", S("foo.*bar.+"), S("foo*bar+"), S("foo"), S("") },
        { "lazy gaps", S(".*?x.+?"), S("*x+"), S(""), S("") },
        { "gaps side by side", S(".*.+"), S("+"), S(""), S("") },
        { "two counting gaps", S(".+.+"), S("?"), S(""), S("") },
        { "a set in front of a gap", S("(prod|dev)-.+"), S("prod-+|dev-+"), S(""), S("") },
        { "a class", S("[ac-e]x"), S("ax|cx|dx|ex"), S(""), S("x") },
        { "a class with brackets", S("[]a]"), S("]|a"), S(""), S("") },
        { "a class with a dash", S("[a-]"), S("a|-"), S(""), S("") },
        { "a negated class", S("a[^]b]c"), S("a?c"), S("a"), S("c") },
        { "a class of classes", S("a[\\d.]c"), S("a?c"), S("a"), S("c") },
        { "a named class", S("a[[:alpha:]]"), S("?"), S(""), S("") },
        { "a perl class", S("a\\d+"), S("a?"), S("a"), S("") },
        { "repetition", S("fo*"), S("f?"), S("f"), S("") },
        { "counted", S("fo{2}x"), S("f?x"), S("f"), S("x") },
        { "braces that count nothing", S("a{,3}"), S("a{,3}"), S("a{,3}"), S("a{,3}") },
        { "a dot", S("a.c"), S("a?c"), S("a"), S("c") },
        { "anchors at the ends", S("^foo$"), S("foo"), S("foo"), S("foo") },
        { "anchors of branches", S("^a|b$"), S("a|b"), S(""), S("") },
        { "anchors within", S("a$b"), S("a?b"), S("a"), S("b") },
        { "folded case", S("(?i)foo"), S("?"), S(""), S("") },
        { "folded group", S("foo(?i:bar)baz"), S("foo?baz"), S("foo"), S("baz") },
        { "folded to the end of its group", S("a((?i)b|c)d"), S("a?d|a?d"), S("a"), S("d") },
        { "not folded again", S("(?i)a(?-i:b|c)"), S("?b|?c"), S(""), S("") },
        { "gaps in a folded group", S("(?i:x.*)y"), S("?y"), S(""), S("y") },
        { "lines", S("(?m)^a$"), S("?"), S(""), S("") },
        { "dot matches newline anyway", S("(?s)a.*(?s:b)"), S("a*b"), S("a"), S("b") },
        { "word boundary", S("a\\bc"), S("?"), S(""), S("") },
        { "the replacement", S("a\\x{fffd}b"), S("a?b"), S("a"), S("b") },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a;
        SCOPED(buf_fini) struct buf b = { 0 };
        arena_init(&a, NULL, 0);
        struct globs g = globs_of(&a, c->in);
        buf_globs(&b, &g);
        EXPECT_STR(buf_view(&b), c->want);
        EXPECT_STR(globs_prefix(&g), c->prefix);
        EXPECT_STR(globs_suffix(&g), c->suffix);
        EXPECT_EQ(g.opaque, str_index(c->want, '?') != SIZE_MAX);
    }
}

TEST(globs_match)
{
    static const struct { const char *name; str in, text; bool want;
    } cases[] = {
        { "empty", S(""), S(""), true },
        { "empty against some", S(""), S("a"), false },
        { "any", S(".*"), S(""), true },
        { "some", S(".+"), S(""), false },
        { "some of one", S(".+"), S("a"), true },
        { "prefix", S("foo.*"), S("foo"), true },
        { "prefix and more", S("foo.+"), S("foo"), false },
        { "suffix", S(".*foo"), S("foo"), true },
        { "suffix and more", S(".+foo"), S("foo"), false },
        { "suffix found later", S(".+foo"), S("foofoo"), true },
        { "ends overlap", S("aba.*aba"), S("ababa"), false },
        { "ends meet", S("aba.*aba"), S("abaaba"), true },
        { "in between", S(".*foo.*"), S("xfoox"), true },
        { "in order", S(".*a.*b.*"), S("ba"), false },
        { "some in between", S("a.+b.+c"), S("abbbc"), true },
        { "too little in between", S("a.+b.+c"), S("abbc"), false },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a;
        arena_init(&a, NULL, 0);
        struct globs g = globs_of(&a, c->in);
        EXPECT_EQ(g.all.n, 1);
        EXPECT_EQ(glob_match(g.all.at[0], c->text), c->want);
    }
}

/* Patterns whose alternatives would multiply stay within the arena's limit. */
TEST(globs_are_bounded)
{
    static const struct { const char *name, *piece;
    } cases[] = {
        { "products", "[a-z]" },
        { "gaps", ".*a" },
        { "escapes", "\\." },
        { "groups", "(a|b)" },
        { "depth", "(" },
        { "options", "a?" },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a;
        SCOPED(buf_fini) struct buf b = { 0 };
        arena_init(&a, NULL, 1 << 20);
        for (int i = 0; i < 4000; i++) buf_str(&b, str_z(c->piece));
        struct globs g = globs_of(&a, buf_view(&b));
        EXPECT(g.all.n > 0 && g.all.n <= 4096);
        EXPECT(a.used < 8 << 20);
    }
}
