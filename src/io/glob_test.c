#include "io/glob.h"

#include "base/test.h"
#include "io/fs.h"

static void put(struct fs *fs, const char *name)
{
    EXPECT_OK(fs_write_durable(fs, str_z(name), S("x"), NULL));
}

TEST(glob_finds_files)
{
    static const struct { const char *name, *want; } cases[] = {
        { "a.yml", "a.yml" },
        { "missing.yml", "" },
        { "*.yml", "a.yml b.yml" },
        { "[b-z].yml", "b.yml" },
        { "d?/*.yml", "d1/x.yml d2/x.yml d2/y.yml" },
        { "*/y.yml", "d2/y.yml" },
        { "d1", "d1" },
        { "none/*", "" },
        { "a.yml/*", "" },
        { "d1/../a.yml", "d1/../a.yml" },
        { "\\a.yml", "a.yml" },
    };
    SCOPED(arena_fini) struct arena a = { 0 };
    str dir = arena_str(&a, str_z(test_tmpdir()));
    struct fs *fs = fs_real_new(dir);
    EXPECT_OK(fs_mkdir(fs, S("d1"), NULL));
    EXPECT_OK(fs_mkdir(fs, S("d2"), NULL));
    const char *const files[] = { "b.yml", "a.yml", "a.json", "d1/x.yml", "d2/y.yml", "d2/x.yml" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) put(fs, files[i]);
    TEST_EACH(c, cases) {
        str_list got = { 0 };
        struct err e = { 0 };
        EXPECT_OK_E(glob_paths(path_join(&a, dir, str_z(c->name)), &a, &got, &e), &e);
        str text = STR_EMPTY;
        for (size_t i = 0; i < got.n; i++)
            text = arena_fmt(&a, "%.*s%s%.*s", STR_ARG(text), i ? " " : "",
                STR_ARG(str_from(got.at[i], dir.n + 1)));
        EXPECT_STR(text, str_z(c->want));
    }
    str_list none = { 0 };
    struct err e = { 0 };
    EXPECT_EQ(glob_paths(S("a[.yml"), &a, &none, &e), ERR_BAD_INPUT);
    EXPECT_STR(err_str(&e), S("syntax error in pattern"));
    fs_free(fs);
}

TEST(fs_real_of_any_path)
{
    static const struct { const char *name, *root, *file;
    } cases[] = {
        { "a", ".", "a" },
        { "/a", "/", "a" },
        { "/a/b", "/a", "b" },
        { "../a", "..", "a" },
        { "x/../a", "x/..", "a" },
    };
    TEST_EACH(c, cases) {
        str name;
        struct fs *fs = fs_real_of(str_z(c->name), &name);
        EXPECT_STR(name, str_z(c->file));
        EXPECT_STR(fs_root(fs), str_z(c->root));
        fs_free(fs);
    }
}
