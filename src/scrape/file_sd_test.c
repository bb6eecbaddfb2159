#include "scrape/file_sd.h"

#include "base/test.h"
#include "io/fs.h"

static str groups_text(struct arena *a, const target_groups *g)
{
    str s = STR_EMPTY;
    for (size_t i = 0; i < g->n; i++) {
        s = arena_fmt(a, "%.*s%s[", STR_ARG(s), i ? " " : "");
        for (size_t k = 0; k < g->at[i].n_targets; k++)
            s = arena_fmt(a, "%.*s%s%.*s", STR_ARG(s), k ? "," : "", STR_ARG(g->at[i].targets[k]));
        s = arena_fmt(a, "%.*s]", STR_ARG(s));
        for (size_t k = 0; k < g->at[i].labels.n; k++)
            if (!str_eq(g->at[i].labels.at[k].name, S("__meta_filepath")))
                s = arena_fmt(a, "%.*s %.*s=%.*s", STR_ARG(s), STR_ARG(g->at[i].labels.at[k].name),
                    STR_ARG(g->at[i].labels.at[k].value));
    }
    return s;
}

TEST(file_sd_contents)
{
    static const struct {
        const char *name, *path, *content;
        errc rc;
        const char *want;
    } cases[] = {
        { "json", "a.json",
            "[{\"targets\":[\"h:1\",\"h:2\"],\"labels\":{\"x\":\"y\"}},{\"targets\":[\"h:3\"]}]",
            OK, "[h:1,h:2] x=y [h:3]" },
        { "yaml", "a.yml", "- targets: ['h:1', h:2]\n  labels: {x: y, n: 1}\n- targets: []\n", OK,
            "[h:1,h:2] n=1 x=y []" },
        { "yaml, nothing", "a.yaml", "", OK, "" },
        { "yaml, a comment", "a.yaml", "# later\n", OK, "" },
        { "json, null", "a.json", "null", OK, "" },
        { "json, an empty list", "a.json", "[]", OK, "" },
        { "json, empty", "a.json", "", ERR_BAD_INPUT, "" },
        { "json, cut", "a.json", "[{\"targets\":[", ERR_BAD_INPUT, "" },
        { "json, garbage behind", "a.json", "[] x", ERR_BAD_INPUT, "" },
        { "a mapping", "a.yml", "targets: [a]\n", ERR_BAD_INPUT, "" },
        { "a nil group", "a.json", "[null]", ERR_BAD_INPUT, "" },
        { "an unknown field", "a.yml", "- target: [a]\n", ERR_BAD_INPUT, "" },
        { "targets that are no strings", "a.json", "[{\"targets\":[1]}]", ERR_BAD_INPUT, "" },
        { "targets that are no list", "a.yml", "- targets: x\n", ERR_BAD_INPUT, "" },
        { "labels that are no mapping", "a.yml", "- labels: x\n", ERR_BAD_INPUT, "" },
        { "a label that is a list", "a.yml", "- labels: {a: [b]}\n", ERR_BAD_INPUT, "" },
        { "yaml, broken", "a.yml", "- targets: [a\n", ERR_BAD_INPUT, "" },
        { "yaml, an alias to itself", "a.yml", "- &a [*a]\n", ERR_BAD_INPUT, "" },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        target_groups got = { 0 };
        struct err e = { 0 };
        errc rc = file_sd_parse(&got, str_z(c->path), str_z(c->content), &a, &e);
        EXPECT_EQ(rc, c->rc);
        if (rc == OK) EXPECT_STR(groups_text(&a, &got), str_z(c->want));
        else EXPECT(err_str(&e).n > 0);
        for (size_t i = 0; rc == OK && i < got.n; i++) {
            EXPECT_STR(got.at[i].source, arena_fmt(&a, "%s:%zu", c->path, i));
            EXPECT_STR(labels_get(got.at[i].labels, S("__meta_filepath")), str_z(c->path));
        }
        vec_fini(&got);
    }
}

static void put(struct fs *fs, const char *name, const char *text)
{
    struct err e = { 0 };
    EXPECT_OK_E(fs_write_durable(fs, str_z(name), str_z(text), &e), &e);
}

/* changed: what the scan said. */
static str scan(struct file_sd *f, bool *changed, struct arena *a)
{
    *changed = file_sd_scan(f).changed;
    file_groups_list files = { 0 };
    file_sd_groups(f, &files);
    target_groups all = { 0 };
    for (size_t i = 0; i < files.n; i++)
        for (size_t k = 0; k < files.at[i]->groups.n; k++)
            vec_push(&all, files.at[i]->groups.at[k]);
    str s = groups_text(a, &all);
    vec_fini(&all);
    for (size_t i = 0; i < files.n; i++) file_groups_unref(files.at[i]);
    vec_fini(&files);
    return s;
}

TEST(file_sd_keeps_what_a_bad_file_gave)
{
    static const struct { const char *name, *file, *text, *want; bool changed; } steps[] = {
        { "nothing is there", NULL, NULL, "", false },
        { "a file", "a.json", "[{\"targets\":[\"a:1\"]}]", "[a:1]", true },
        { "a file by name", "one.yml", "- targets: [y:1]\n", "[a:1] [y:1]", true },
        { "one that fits no pattern", "two.yml", "- targets: [never:1]\n", "[a:1] [y:1]", false },
        { "a broken one", "a.json", "[{\"targets\":", "[a:1] [y:1]", false },
        { "another one changes", "one.yml", "- targets: [y:2]\n", "[a:1] [y:2]", true },
        { "the broken one is mended", "a.json", "[{\"targets\":[\"a:2\"]}]", "[a:2] [y:2]", true },
        { "the same again", "a.json", "[{\"targets\":[\"a:2\"]}]", "[a:2] [y:2]", false },
        { "one goes", "a.json", NULL, "[y:2]", true },
        { "it comes back broken", "a.json", "x", "[y:2]", false },
        { "it empties", "one.yml", "", "", true },
    };
    SCOPED(arena_fini) struct arena a = { 0 };
    str dir = str_z(test_tmpdir());
    const str files[] = { arena_fmt(&a, "%.*s/*.json", STR_ARG(dir)),
        arena_fmt(&a, "%.*s/one.yml", STR_ARG(dir)) };
    struct file_sd_config c = { files, 2, 300000 };
    struct fs *fs = fs_real_new(dir);
    struct file_sd *f = file_sd_new(&c);
    TEST_EACH(s, steps) {
        if (s->text) put(fs, s->file, s->text);
        else if (s->file) EXPECT_OK(fs_unlink(fs, str_z(s->file), NULL));
        bool changed;
        EXPECT_STR(scan(f, &changed, &a), str_z(s->want));
        EXPECT_EQ(changed, s->changed);
    }
    str_list folders = { 0 };
    file_sd_folders(f, &a, &folders);
    EXPECT_EQ(folders.n, 1);
    EXPECT_STR(folders.at[0], dir);
    EXPECT(file_sd_in(f, dir) && !file_sd_in(f, S("/")));
    struct file_sd *same = file_sd_new(&c);
    c.refresh_ms++;
    struct file_sd *other = file_sd_new(&c);
    EXPECT(file_sd_same(f, same) && !file_sd_same(f, other));
    file_sd_free(other);
    file_sd_free(same);
    file_sd_free(f);
    fs_free(fs);
}
