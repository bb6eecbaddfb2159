#include "base/log.h"
#include "base/mem.h"
#include "base/test.h"
#include "base/test_vectors.h"
#include "config/config.h"
#include "config/yaml.h"
#include "io/fs.h"

#include <stdlib.h>
#include <string.h>

static const char *env_of(const char *name) { return getenv(name); }

static void same_config(const json_t *o)
{
    const json_t *content = json_object_get(o, "content"),
                 *marshalled = json_object_get(o, "marshalled");
    struct arena a = { 0 };
    str path = arena_fmt(&a, "testdata/%s", json_string_value(json_object_get(o, "file")));
    struct config_opts opts = { .agent = json_is_true(json_object_get(o, "agent_mode")),
        .env = env_of };
    struct config *c = NULL;
    struct err e = { 0 };
    errc rc = config_parse(
        &c, str_of(json_string_value(content), json_string_length(content)), path, &opts, &e);
    bool want = json_is_true(json_object_get(o, "ok"));
    if (want) EXPECT_OK_E(rc, &e);
    else EXPECT(rc != OK);
    if (!want)
        EXPECT_STR(err_str(&e),
            str_slice(str_z(json_string_value(json_object_get(o, "error"))), 0, sizeof(e.msg) - 1));
    else if (marshalled)
        EXPECT_STR(c->text, str_of(json_string_value(marshalled), json_string_length(marshalled)));
    config_free(c);
    arena_fini(&a);
}

TEST_SHARED(config_vectors)
{
    struct vectors v;
    vectors_open(&v, "conformance/misc/config.jsonl");
    size_t n = 0;
    for (json_t *o; (o = vectors_next(&v)) != NULL; n++) {
        const char *file = json_string_value(json_object_get(o, "file"));
        test_case(file);
        const json_t *error = json_object_get(o, "error");
        /* of files that are not here */
        if (strstr(file, "scrape_config_files") && error && json_string_value(error)[0] == '"')
            continue;
        same_config(o);
    }
    EXPECT(n > 200);
    vectors_close(&v);
}

TEST(plain_scalars)
{
    static const struct {
        const char *name;
        enum yaml_tag want;
    } cases[] = {
        { "2001-01-01", TAG_TIMESTAMP },
        { "2001-1-1", TAG_TIMESTAMP },
        { "2000-2-29", TAG_TIMESTAMP },
        { "2001-2-29", TAG_STR },
        { "2001-13-1", TAG_STR },
        { "20011-1-1", TAG_STR },
        { "2001-1-1 1:2:3.25", TAG_TIMESTAMP },
        { "2001-1-1 1:2:3Z", TAG_STR },
        { "2001-1-1T1:2:3Z", TAG_TIMESTAMP },
        { "2001-1-1t1:2:3.5+07:00", TAG_TIMESTAMP },
        { "2001-1-1T1:2:3+25:00", TAG_STR },
        { "2001-1-1T1:2:3", TAG_STR },
        { "0x_1", TAG_INT },
        { "1__0", TAG_INT },
        { "_1", TAG_STR },
        { "08", TAG_FLOAT },
        { "0x", TAG_STR },
        { "685.230_15e+03", TAG_FLOAT },
        { ".5", TAG_FLOAT },
        { ".5_0", TAG_STR },
        { "1:20", TAG_STR },
    };
    TEST_EACH(c, cases)
        EXPECT_EQ(yaml_resolve_text(str_z(c->name)).tag, c->want);
}

/* Strings keep their quotes where another reader would see something else. */
TEST(printed_strings)
{
    static const struct {
        const char *name, *want;
    } cases[] = {
        { "2001-01-01", "\"2001-01-01\"" },
        { "1:20", "\"1:20\"" },
        { "190:20:30.15", "\"190:20:30.15\"" },
        { "1:60", "1:60" },
        { "1:", "'1:'" },
        { "-1_0:2", "\"-1_0:2\"" },
        { "0x_1", "\"0x_1\"" },
        { "<<", "<<" },
        { "=", "=" },
    };
    TEST_EACH(c, cases) {
        struct arena a = { 0 };
        struct config_opts opts = { .env = env_of };
        struct config *parsed = NULL;
        struct err e = { 0 };
        str text = arena_fmt(&a, "global: {external_labels: {a: \"%s\"}}", c->name);
        EXPECT_OK_E(config_parse(&parsed, text, S("x.yml"), &opts, &e), &e);
        str want = arena_fmt(&a, "    a: %s\n", c->want);
        EXPECT(parsed && str_find(parsed->text, want) != SIZE_MAX);
        config_free(parsed);
        arena_fini(&a);
    }
}

static void keep_line(void *ctx, enum log_level level, str line)
{
    (void)level;
    buf_reset(ctx);
    buf_str(ctx, line);
}

static const char *env_one(const char *name) { return strcmp(name, "ONE") ? NULL : "1"; }

#define BOM "\xef\xbb\xbf"

/* The mark of the order of bytes is left out at the start of a text, and is a character elsewhere,
 * as in Go's reader. */
TEST(marks_of_the_order_of_bytes)
{
    static const struct { const char *name; str text, value; const char *words; } cases[] = {
        { "first", S(BOM "a: b\n"), S("b"), NULL },
        { "twice", S(BOM BOM "a: b\n"), S("b"), NULL },
        { "behind a comment", S("# c\n" BOM "a: b\n"), S("b"), "no" },
        { "behind a blank", S(" " BOM "a: b\n"), S("b"), "no" },
        { "before a value", S("a: " BOM "b\n"), S(BOM "b"), NULL },
        { "in a value", S("a: \"x" BOM "\\ny\"\n"), S("x" BOM "\ny"), NULL },
        { "on a line of its own", S("a: >\n  x\n  " BOM "\n"), S("x " BOM "\n"), NULL },
        { "behind all", S("a: b\n" BOM "\n"), S("b"), "yaml: line 3: could not find expected ':'" },
        { "beside what stands in for it", S("a: \xee\x80\x80" BOM "b\n"),
            S("\xee\x80\x80" BOM "b"), NULL },
        { "UTF-16, low byte first", S("\xff\xfe" "a\0:\0 \0b\0\n\0"), S("b"), NULL },
        { "UTF-16, high byte first", S("\xfe\xff" "\0a\0:\0 \0b\0\n"), S("b"), NULL },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct yaml_node *n = NULL;
        struct err e = { 0 };
        errc rc = yaml_parse(&a, c->text, &n, &e);
        bool there = rc == OK && n->kind == YAML_MAP && n->n == 2 && str_eq(n->at[0]->text, S("a"));
        EXPECT_EQ(there, !c->words);
        if (there) EXPECT_STR(n->at[1]->text, c->value);
        else if (rc != OK) EXPECT_STR(err_str(&e), str_z(c->words));
    }
}

TEST(external_labels_of_the_environment)
{
    struct config_opts opts = { .env = env_one };
    struct config *parsed = NULL;
    struct buf line = { 0 };
    log_capture(keep_line, &line);
    EXPECT_OK(config_parse(&parsed,
        S("global: {external_labels: {a: '<${ONE}$$>', b: '<$NOT_THERE>'}}"), S("x.yml"), &opts,
        NULL));
    log_capture(NULL, NULL);
    EXPECT(parsed && str_find(parsed->text, S("    a: <1$>\n    b: <>\n")) != SIZE_MAX);
    EXPECT(str_find(buf_view(&line), S("Empty environment variable")) != SIZE_MAX);
    EXPECT(str_find(buf_view(&line), S("name=NOT_THERE")) != SIZE_MAX);
    buf_fini(&line);
    config_free(parsed);
}

/* A file of how to ask alone. */
TEST(config_http_options_file)
{
    static const struct { const char *name, *text; errc rc; const char *want; } cases[] = {
        { "empty", "", OK, "|0|/|1" },
        { "nothing but a comment", "# none\n", OK, "|0|/|1" },
        { "all", "{basic_auth: {username: me, password_file: p}, follow_redirects: false}", OK,
            "me|1|DIR/p|0" },
        { "unknown", "foo: 1", ERR_BAD_INPUT,
            "yaml: unmarshal errors:\n  line 1: field foo not found in type config.plain" },
        { "two ways", "{basic_auth: {}, bearer_token: b}", ERR_BAD_INPUT,
            "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be "
            "configured" },
    };
    str dir = str_z(test_tmpdir());
    struct fs *fs = fs_real_new(dir);
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct http_options o;
        struct err e = { 0 };
        EXPECT_OK(fs_write_durable(fs, S("http.yml"), str_z(c->text), NULL));
        str path = arena_fmt(&a, "%.*s/http.yml", STR_ARG(dir)), want = str_z(c->want);
        EXPECT_EQ(config_http_options(&o, path, &a, &e), c->rc);
        if (c->rc != OK) {
            EXPECT_STR(err_str(&e), want);
            continue;
        }
        str file = o.password_file;
        bool below = str_has_prefix(file, dir);
        if (below) file = arena_fmt(&a, "DIR%.*s", STR_ARG(str_from(file, dir.n)));
        EXPECT_STR(arena_fmt(&a, "%.*s|%d|%.*s|%d", STR_ARG(o.username), o.basic,
                       STR_ARG(file.n ? file : S("/")), o.follow_redirects),
            want);
    }
    fs_free(fs);
}
