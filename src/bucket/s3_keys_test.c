#include "bucket/s3_keys.h"

#include "base/test.h"
#include "io/fs.h"

TEST(s3_keys_file)
{
    str text = S("# mine\n[default]\naws_access_key_id = A\naws_secret_access_key=B\n\n[ other ]\n"
                 "aws_access_key_id=C\naws_secret_access_key= D \naws_session_token = T=1\n");
    struct sigv4_keys k = s3_keys_of_file(text, S("default"));
    EXPECT_STR(k.access_key, S("A"));
    EXPECT_STR(k.secret_key, S("B"));
    EXPECT_STR(k.session_token, S(""));
    k = s3_keys_of_file(text, S("other"));
    EXPECT_STR(k.access_key, S("C"));
    EXPECT_STR(k.secret_key, S("D"));
    EXPECT_STR(k.session_token, S("T=1"));
    EXPECT_EQ(s3_keys_of_file(text, S("none")).access_key.n, 0);
}

static const char *const *env_rows;
static const char *env_fake(const char *name)
{
    for (const char *const *r = env_rows; *r; r += 2)
        if (str_eq(str_z(*r), str_z(name))) return r[1];
    return NULL;
}

TEST(s3_keys_order)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    EXPECT_OK(fs_write_durable(fs, S("keys"),
        S("[p]\naws_access_key_id=F\naws_secret_access_key=FS\n[half]\naws_access_key_id=F\n"),
        NULL));
    fs_free(fs);
    const char *path = arena_cstr(&a, arena_fmt(&a, "%s/keys", test_tmpdir()));
    const char *both[] = { "AWS_ACCESS_KEY", "E", "AWS_SECRET_KEY", "ES", "AWS_SESSION_TOKEN", "ET",
        NULL };
    const char *file[] = { "AWS_SHARED_CREDENTIALS_FILE", path, "AWS_PROFILE", "p", NULL };
    const char *half[] = { "AWS_SHARED_CREDENTIALS_FILE", path, "AWS_PROFILE", "half", NULL };
    const char *none[] = { NULL };
    const struct {
        const char *name, *const *env, *own, *want, *token;
        errc rc;
    } cases[] = {
        { "settings first", both, "S", "S", "", OK },
        { "environment", both, "", "E", "ET", OK },
        { "file", file, "", "F", "", OK },
        { "half a pair", half, "", "", "", ERR_BAD_INPUT },
        { "nobody", none, "", "", "", OK },
    };
    TEST_EACH (c, cases) {
        struct bucket_config b = { .env = env_fake,
            .s3 = { .access_key = str_z(c->own), .secret_key = str_z(c->own) } };
        struct sigv4_keys k = { 0 };
        env_rows = c->env;
        EXPECT_EQ(s3_keys_find(&k, &b, &a, NULL), c->rc);
        EXPECT_STR(k.access_key, str_z(c->want));
        EXPECT_STR(k.session_token, str_z(c->token));
    }
}
