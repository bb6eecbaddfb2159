#include "base/path.h"

#include "base/test.h"

TEST(path_cleaned)
{
    static const struct { const char *name, *want;
    } cases[] = {
        { "", "." },
        { "a", "a" },
        { "./a", "a" },
        { "a/", "a" },
        { "a//b", "a/b" },
        { "a/./b", "a/b" },
        { "a/../b", "b" },
        { "..", ".." },
        { "../a", "../a" },
        { "../../a", "../../a" },
        { "a/../..", ".." },
        { "a/../../b", "../b" },
        { "/", "/" },
        { "/..", "/" },
        { "/../a", "/a" },
        { "/a/b/../../c", "/c" },
        { "./../x/./y", "../x/y" },
        { ".", "." },
        { "a/..", "." },
        { "/a/..", "/" },
    };
    SCOPED(arena_fini) struct arena a = { 0 };
    TEST_EACH(c, cases) EXPECT_STR(path_clean(&a, str_z(c->name)), str_z(c->want));
}

TEST(path_parts_and_joins)
{
    static const struct { const char *name, *dir, *base;
    } parts[] = {
        { "a", ".", "a" },
        { "a/b", "a", "b" },
        { "/a", "/", "a" },
        { "/a/b", "/a", "b" },
        { "../a", "..", "a" },
    };
    SCOPED(arena_fini) struct arena a = { 0 };
    TEST_EACH(c, parts) {
        EXPECT_STR(path_dir(str_z(c->name)), str_z(c->dir));
        EXPECT_STR(path_base(str_z(c->name)), str_z(c->base));
    }
    static const struct { const char *name, *dir, *want;
    } joins[] = {
        { "a", ".", "a" },
        { "a", "..", "../a" },
        { "../a", "b", "a" },
        { "../a", "..", "../../a" },
        { "a", "/", "/a" },
        { "/a", "b", "/a" },
        { "", "b", "" },
        { "a", "/b", "/b/a" },
    };
    TEST_EACH(c, joins) EXPECT_STR(path_in(&a, str_z(c->dir), str_z(c->name)), str_z(c->want));
}

TEST(path_patterns)
{
    static const struct { const char *name, *file; bool fits, bad;
    } cases[] = {
        { "a.json", "a.json", true, false },
        { "a.json", "b.json", false, false },
        { "*.json", "a.json", true, false },
        { "a*.json", "a.json", true, false },
        { "*a*.json", "bab.json", true, false },
        { "*ab", "aab", true, false },
        { "?.json", "a.json", true, false },
        { "?.json", ".json", false, false },
        { "[a-c]x", "bx", true, false },
        { "[a-c]x", "dx", false, false },
        { "[^a-c]x", "dx", true, false },
        { "\\*", "*", true, false },
        { "\\*", "a", false, false },
        { "a", "ab", false, false },
        { "ab", "a", false, false },
        { "[a", "a", false, true },
        { "", "", true, false },
        { "*", "", true, false },
        { "*", "a/b", false, false },
        { "?", "/", false, false },
        { "a*/b", "ax/b", true, false },
        { "a*/b", "a/x/b", false, false },
        { "a?b",
            "a\xe2\x98\xba"
            "b",
            true, false },
        { "a[^a]b",
            "a\xe2\x98\xba"
            "b",
            true, false },
        { "a\?\?\?b",
            "a\xe2\x98\xba"
            "b",
            false, false },
        { "[\\]a]", "]", true, false },
        { "[\\-]", "-", true, false },
        { "[x\\-]", "x", true, false },
        { "[x\\-]", "z", false, false },
        { "[]a]", "]", false, true },
        { "[-]", "-", false, true },
        { "[x-]", "x", false, true },
        { "[a-b-c]", "a", false, true },
        { "[", "a", false, true },
        { "[^", "a", false, true },
        { "[^bc", "a", false, true },
        { "a[", "a", false, true },
        { "a[", "ab", false, true },
        { "a[", "x", false, true },
        { "a/b[", "x", false, true },
        { "*x", "xxx", true, false },
        { "\\", "a", false, true },
        { "a*b*c", "axbxbxc", true, false },
        { "*[a-z]9", "bb9", true, false },
        { "a*[", "b", false, true },
        { "[*]", "*", true, false },
        { "[[]", "[", true, false },
        { "[\xff]", "a", false, true },
    };
    TEST_EACH(c, cases) {
        bool bad;
        EXPECT_EQ(path_match(str_z(c->name), str_z(c->file), &bad), c->fits);
        EXPECT_EQ(bad, c->bad);
        EXPECT_EQ(path_match(str_z(c->name), str_z(c->file), NULL), c->fits);
    }
    EXPECT(path_has_glob(S("a?")) && path_has_glob(S("\\a")) && !path_has_glob(S("a]b/c.json")) &&
           !path_has_glob(STR_EMPTY));
}
