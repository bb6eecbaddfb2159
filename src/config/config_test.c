#include "base/mem.h"
#include "base/test.h"
#include "base/test_vectors.h"
#include "config/config.h"

#include <stdlib.h>

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

TEST(config_vectors)
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
