/* remote_block_test.c — what of a block cannot be read is told of each object, once. */
#include "bucket/remote_block.h"

#include "base/test.h"
#include "bucket/test_blocks.h"
#include "bucket/test_s3.h"

#include <limits.h>

struct rig {
    struct arena a;
    struct fs *fs;
    struct test_s3 *s3;
    struct bucket *b;
    ulid id;
};

static struct rig *rig_new(void)
{
    struct rig *r = NEW(struct rig);
    static unsigned rigs;
    struct test_block t = { .number = 1, .chunks = 3 };
    r->fs = fs_real_new(arena_fmt(&r->a, "%s/%u", test_tmpdir(), rigs++));
    EXPECT_OK(fs_mkdir(r->fs, STR_EMPTY, NULL));
    r->s3 = test_s3_new();
    EXPECT(r->s3);
    struct bucket_config c = test_s3_config(r->s3, &r->a);
    EXPECT_OK(bucket_open(&r->b, &c, NULL));
    r->id = test_block_upload(r->b, r->fs, &t, NULL);
    return r;
}

static void rig_end(struct rig *r)
{
    bucket_close(r->b);
    test_s3_free(r->s3);
    fs_free(r->fs);
    arena_fini(&r->a);
    mem_free(r);
}

/* The findings, lines, with a dash for the block's name. */
static str texts_of(struct rig *r, const struct findings *f)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    for (size_t i = 0; i < f->all.n; i++) {
        SCOPED(buf_fini) struct buf one = { 0 };
        findings_text(&one, &f->all.at[i]);
        str left = buf_view(&one), id = str_z(ulid_text(r->id).z);
        for (size_t at; (at = str_find(left, id)) != SIZE_MAX; left = str_from(left, at + id.n))
            buf_fmt(&b, "%.*s-", (int)at, (const char *)left.p);
        buf_fmt(&b, "%.*s\n", STR_ARG(left));
    }
    return arena_str(&r->a, buf_view(&b));
}

TEST(a_meta_json_that_cannot_be_read_is_a_finding)
{
    static const struct {
        const char *name;
        struct test_s3_rule rule;
        str meta;                  /* in its place; NULL p: its own */
        str want;                  /* how the finding begins */
        errc download;
    } rows[] = {
        { "refused", { "GET", NULL, TEST_S3_STATUS, 403, "AccessDenied", 0, UINT_MAX, "meta" },
            { 0 }, S("-/meta.json: get: status 403"), ERR_BAD_INPUT },
        { "no answer", { "GET", NULL, TEST_S3_STATUS, 500, "InternalError", 0, UINT_MAX, "meta" },
            { 0 }, S("-/meta.json: get: "), ERR_IO },
        { "cut", { "GET", NULL, TEST_S3_STATUS, 500, NULL, 0, 0, "meta" }, S("{\"version\":1"),
            S("-/meta.json: "), ERR_CORRUPT },
        { "of no type", { "GET", NULL, TEST_S3_STATUS, 500, NULL, 0, 0, "meta" },
            S("{\"version\":\"1\"}"), S("-/meta.json: "), ERR_CORRUPT },
    };
    TEST_EACH(row, rows)
    {
        struct rig *r = rig_new();
        SCOPED(findings_fini) struct findings f = { 0 };
        struct err e = { 0 };
        findings_init(&f, 0);
        if (row->meta.p)
            test_s3_put(r->s3, arena_fmt(&r->a, "%s/meta.json", ulid_text(r->id).z), row->meta);
        test_s3_rules(r->s3, &row->rule, 1);
        EXPECT_OK_E(remote_block_check(r->b, r->id, &f, &e), &e);
        str got = texts_of(r, &f);
        EXPECT_EQ(findings_count(&f), 1);
        EXPECT(str_has_prefix(got, row->want));
        EXPECT_EQ(str_find(str_from(got, 1), S("meta.json")), 1); /* once: */
        EXPECT_EQ(str_find(str_from(got, S("-/meta.json").n), S("meta.json")), SIZE_MAX);
        EXPECT_EQ(remote_block_download(r->b, r->id, r->fs, S("back"), NULL, &e), row->download);
        EXPECT(!fs_exists(r->fs, S("back")));
        rig_end(r);
    }
}

TEST(each_object_that_cannot_be_read_is_a_finding)
{
    static const struct test_s3_rule rules[] = {
        { "GET", NULL, TEST_S3_STATUS, 403, "AccessDenied", 0, UINT_MAX, "/index" },
        { "GET", NULL, TEST_S3_STATUS, 404, "NoSuchKey", 0, UINT_MAX, "/chunks/" },
    };
    struct rig *r = rig_new();
    SCOPED(findings_fini) struct findings f = { 0 };
    struct err e = { 0 };
    findings_init(&f, 0);
    test_s3_rules(r->s3, rules, ARRAY_LEN(rules));
    EXPECT_OK_E(remote_block_check(r->b, r->id, &f, &e), &e);
    EXPECT_EQ(findings_count(&f), 0);
    EXPECT_OK_E(remote_block_objects(r->b, r->id, r->fs, S("back"), NULL, &f, &e), &e);
    str got = texts_of(r, &f);
    EXPECT_EQ(findings_count(&f), 2);
    EXPECT(str_has_prefix(got, S("-/chunks/000001: get: status 404")));
    EXPECT(str_find(got, S("\n-/index: get: status 403")) != SIZE_MAX);
    EXPECT(fs_exists(r->fs, S("back/meta.json")));
    EXPECT_EQ(remote_block_download(r->b, r->id, r->fs, S("other"), NULL, &e), ERR_NOT_FOUND);
    /* what cannot be listed, or written, is no finding */
    const struct test_s3_rule list = { "GET", "list-type", TEST_S3_STATUS, 403, "AccessDenied", 0,
        UINT_MAX, NULL };
    test_s3_rules(r->s3, &list, 1);
    EXPECT_EQ(remote_block_check(r->b, r->id, &f, &e), ERR_BAD_INPUT);
    EXPECT_EQ(
        remote_block_objects(r->b, r->id, r->fs, S("back"), NULL, &f, &e), ERR_BAD_INPUT);
    EXPECT_EQ(findings_count(&f), 2);
    rig_end(r);
}
