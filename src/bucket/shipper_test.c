/* shipper_test.c — what is in the bucket, and what is written down, wherever shipping was
 * stopped. */
#include "bucket/shipper.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/test.h"
#include "bucket/plain_block.h"
#include "bucket/remote_block.h"
#include "bucket/test_blocks.h"
#include "bucket/test_s3.h"

#include <limits.h>

enum { BYTES_MAX = 1 << 24 };

static const struct label own[] = { { S("cluster"), S("eu") }, { S("replica"), S("a") } };
static struct labels labels_now(void *ctx, struct arena *a)
{
    return labels_copy(a, (struct labels){ own, *(const size_t *)ctx });
}

struct rig {
    struct arena a;
    struct fs *fs;
    struct test_s3 *s3;
    struct bucket *b;
    size_t n_labels;
    struct shipper_opts o;
};

static void log_nowhere(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

static struct rig *rig_new(void)
{
    struct rig *r = NEW(struct rig);
    static unsigned rigs;
    r->fs = fs_real_new(arena_fmt(&r->a, "%s/data%u", test_tmpdir(), rigs++));
    EXPECT_OK(fs_mkdir(r->fs, STR_EMPTY, NULL));
    r->s3 = test_s3_new();
    EXPECT(r->s3);
    struct bucket_config c = test_s3_config(r->s3, &r->a);
    EXPECT_OK(bucket_open(&r->b, &c, NULL));
    r->n_labels = 2;
    r->o = (struct shipper_opts){ .bucket = r->b,
        .fs = r->fs,
        .backend = IO_BUFFERED,
        .labels = labels_now,
        .labels_ctx = &r->n_labels,
        .no_thread = true };
    log_capture(log_nowhere, NULL);
    return r;
}

static void rig_end(struct rig *r)
{
    log_capture(NULL, NULL);
    bucket_close(r->b);
    test_s3_free(r->s3);
    fs_free(r->fs);
    arena_fini(&r->a);
    mem_free(r);
}

static errc sync_once(struct rig *r, size_t *n, struct err *e)
{
    struct shipper *s = NULL;
    TRY(shipper_open(&s, &r->o, e));
    errc rc = shipper_sync(s, n, e);
    shipper_close(s);
    return rc;
}

static void expect_sync(struct rig *r, size_t want)
{
    struct err e = { 0 };
    size_t n = 0;
    EXPECT_OK_E(sync_once(r, &n, &e), &e);
    EXPECT_EQ(n, want);
}

static ulid add(struct rig *r, uint64_t number, int64_t mint, uint32_t level)
{
    struct test_block t = { .number = number, .mint = mint, .level = level, .chunks = 3 };
    return test_block_write(r->fs, STR_EMPTY, &t);
}

static void expect_state(struct rig *r, const ulid *ids, size_t n)
{
    SCOPED(buf_fini) struct buf want = { 0 };
    str got;
    uploaded_encode(&want, ids, n);
    EXPECT_OK(fs_read_all(r->fs, S(SHIPPER_STATE), &r->a, BYTES_MAX, &got, NULL));
    EXPECT_STR(got, buf_view(&want));
}

/* There as Thanos wants it, and readable. */
static void expect_there(struct rig *r, ulid id)
{
    SCOPED(findings_fini) struct findings f = { 0 };
    struct remote_meta m;
    struct err e = { 0 };
    findings_init(&f, 0);
    EXPECT_OK_E(remote_block_check(r->b, id, &f, &e), &e);
    EXPECT_EQ(findings_count(&f), 0);
    EXPECT_OK_E(remote_block_meta(r->b, id, &r->a, &m, &e), &e);
    EXPECT(labels_eq(m.thanos.labels, (struct labels){ own, 2 }));
    EXPECT_STR(m.thanos.source, S("sidecar"));
    EXPECT_EQ(m.thanos.n_files, 3);
    EXPECT(m.thanos.upload_ms > 0);
    struct fs *back = fs_real_new(arena_fmt(&r->a, "%s/back", test_tmpdir()));
    EXPECT_OK(fs_mkdir(back, STR_EMPTY, NULL));
    EXPECT_OK(fs_remove_tree(back, str_z(ulid_text(id).z), NULL));
    EXPECT_OK_E(remote_block_download(r->b, id, back, STR_EMPTY, NULL, &e), &e);
    str dir = arena_fmt(&r->a, "%s", ulid_text(id).z);
    EXPECT_STR(test_block_samples(back, dir, &r->a), test_block_samples(r->fs, dir, &r->a));
    fs_free(back);
}

TEST(shipper_ships)
{
    struct rig *r = rig_new();
    ulid ids[3] = { add(r, 1, 0, 1) };
    expect_sync(r, 1);
    expect_there(r, ids[0]);
    expect_state(r, ids, 1);
    /* meta.json last; the index before it */
    str log = test_s3_log(r->s3, &r->a);
    size_t chunk = str_find(log, S("/chunks/000001?")), index = str_find(log, S("/index?"));
    size_t meta = str_find(str_from(log, index), S("PUT "));
    EXPECT(chunk < index && meta != SIZE_MAX);
    EXPECT(str_find(str_from(log, index + meta), S("/meta.json?")) < 40);
    expect_sync(r, 0);
    EXPECT_EQ(str_find(test_s3_log(r->s3, &r->a), S("PUT")), SIZE_MAX);
    ids[1] = add(r, 2, 5000, 1);
    ids[2] = add(r, 3, 10000, 2); /* merged here: stays */
    expect_sync(r, 1);
    expect_state(r, ids, 2);
    EXPECT(!fs_exists(r->fs, arena_fmt(&r->a, "thanos/upload/%s", ulid_text(ids[1]).z)));
    EXPECT_OK(fs_remove_tree(r->fs, str_z(ulid_text(ids[0]).z), NULL));
    expect_sync(r, 0); /* what is gone here is forgotten */
    expect_state(r, &ids[1], 1);
    rig_end(r);
}

TEST(shipper_state_lost)
{
    struct rig *r = rig_new();
    ulid id = add(r, 1, 0, 1);
    expect_sync(r, 1);
    EXPECT_OK(fs_unlink(r->fs, S(SHIPPER_STATE), NULL));
    expect_sync(r, 0);
    expect_state(r, &id, 1);
    EXPECT_OK(fs_write_durable(r->fs, S(SHIPPER_STATE), S("{\"version\": 1, \"upl"), NULL));
    expect_sync(r, 0);
    expect_state(r, &id, 1);
    rig_end(r);
}

TEST(shipper_merged_blocks)
{
    struct rig *r = rig_new();
    struct err e = { 0 };
    size_t n;
    ulid first = add(r, 1, 0, 1), merged = add(r, 2, 2000, 2);
    r->o.upload_compacted = true;
    EXPECT_EQ(sync_once(r, &n, &e), ERR_EXISTS);
    EXPECT_EQ(n, 1);
    EXPECT(str_find(err_str(&e), S("overlap spotted")) != SIZE_MAX);
    expect_state(r, &first, 1);
    r->o.allow_out_of_order = true;
    expect_sync(r, 1);
    expect_there(r, merged);
    add(r, 3, 20000, 2);
    r->o.allow_out_of_order = false;
    expect_sync(r, 1); /* it meets nothing */
    rig_end(r);
}

TEST(shipper_labels)
{
    struct rig *r = rig_new();
    struct err e = { 0 };
    size_t n;
    add(r, 1, 0, 1);
    r->n_labels = 0;
    EXPECT_EQ(sync_once(r, &n, &e), ERR_BAD_INPUT);
    EXPECT_EQ(test_s3_objects(r->s3), 0);
    rig_end(r);
}

/* Start timestamps stay here: the bucket gets the same samples in an encoding that Thanos reads. */
TEST(shipper_plain)
{
    struct rig *r = rig_new();
    struct test_block t = { .number = 1, .chunks = 3, .xor2 = true };
    ulid id = test_block_write(r->fs, STR_EMPTY, &t);
    expect_sync(r, 1);
    expect_there(r, id);
    SCOPED(block_unrefp) struct block *b = NULL;
    struct fs *back = fs_real_new(arena_fmt(&r->a, "%s/back", test_tmpdir()));
    struct block_opts o = { .fs = back, .backend = IO_BUFFERED };
    bool plain = false;
    EXPECT_OK(block_open(&b, &o, str_z(ulid_text(id).z), NULL));
    EXPECT_OK(plain_block_check(b, &plain, NULL));
    EXPECT(plain);
    block_unref(STEAL(b));
    o.fs = r->fs;
    EXPECT_OK(block_open(&b, &o, str_z(ulid_text(id).z), NULL));
    EXPECT_OK(plain_block_check(b, &plain, NULL));
    EXPECT(!plain);
    fs_free(back);
    block_unref(STEAL(b));
    rig_end(r);
}

/* A block with a damaged chunk is not shipped, and holds those behind it back. */
TEST(shipper_damaged)
{
    struct rig *r = rig_new();
    struct err e = { 0 };
    size_t n;
    ulid bad = add(r, 1, 0, 1);
    add(r, 2, 5000, 1);
    str path = arena_fmt(&r->a, "%s/chunks/000001", ulid_text(bad).z), bytes;
    EXPECT_OK(fs_read_all(r->fs, path, &r->a, BYTES_MAX, &bytes, NULL));
    ((uint8_t *)(uintptr_t)bytes.p)[bytes.n - 8] ^= 1;
    EXPECT_OK(fs_write_durable(r->fs, path, bytes, NULL));
    EXPECT_EQ(sync_once(r, &n, &e), ERR_CORRUPT);
    EXPECT_EQ(n, 0);
    EXPECT_EQ(test_s3_objects(r->s3), 0);
    r->o.allow_out_of_order = true;
    EXPECT_EQ(sync_once(r, &n, &e), ERR_IO);
    EXPECT_EQ(n, 1);
    rig_end(r);
}

/* A failed upload leaves nothing; the store refuses for a while, then it goes. */
TEST(shipper_refused)
{
    struct rig *r = rig_new();
    struct err e = { 0 };
    size_t n;
    ulid id = add(r, 1, 0, 1);
    const struct test_s3_rule rule = { "PUT", NULL, TEST_S3_STATUS, 403, "AccessDenied", 1, 1 };
    test_s3_rules(r->s3, &rule, 1);
    EXPECT_EQ(sync_once(r, &n, &e), ERR_BAD_INPUT);
    EXPECT_EQ(test_s3_objects(r->s3), 0);
    expect_state(r, NULL, 0);
    expect_sync(r, 1);
    expect_there(r, id);
    rig_end(r);
}

/* What the store says in place of an object is no block, and no name of it leads elsewhere. */
TEST(shipper_download_of_what_is_not_it)
{
    static const struct {
        const char *name;
        struct test_s3_rule rule;
    } cases[] = {
        { "an empty index", { "GET", NULL, TEST_S3_STATUS, 200, NULL, 0, UINT_MAX, "/index" } },
        { "behind its end", { "GET", NULL, TEST_S3_STATUS, 416, NULL, 0, UINT_MAX, "/index" } },
        { "half a chunk file", { "GET", NULL, TEST_S3_CUT, 0, NULL, 0, UINT_MAX, "/chunks/" } },
    };
    struct rig *r = rig_new();
    ulid id = add(r, 1, 0, 1);
    struct fs *back = fs_real_new(arena_fmt(&r->a, "%s/fetched", test_tmpdir()));
    struct fs *all = fs_real_new(str_z(test_tmpdir()));
    struct err e = { 0 };
    fs_entries left = { 0 };
    expect_sync(r, 1);
    test_s3_put(r->s3, arena_fmt(&r->a, "%s/../../outside", ulid_text(id).z), S("x"));
    test_s3_put(r->s3, arena_fmt(&r->a, "%s/chunks/", ulid_text(id).z), S(""));
    EXPECT_OK(fs_mkdir(back, STR_EMPTY, NULL));
    TEST_EACH (c, cases) {
        test_s3_rules(r->s3, &c->rule, 1);
        EXPECT(remote_block_download(r->b, id, back, STR_EMPTY, NULL, &e) != OK);
        EXPECT_OK(fs_list(back, STR_EMPTY, &r->a, &left, NULL));
        EXPECT_EQ(left.n, 0);
        vec_fini(&left);
    }
    test_s3_rules(r->s3, NULL, 0);
    EXPECT_OK_E(remote_block_download(r->b, id, back, STR_EMPTY, NULL, &e), &e);
    EXPECT(!fs_exists(all, S("outside")));
    fs_free(all);
    fs_free(back);
    rig_end(r);
}

#ifdef EPI_FAULTS
/* What was stopped at any step: no block with a meta.json that is not whole; the next start ends
 * it, and nothing is there twice. */
static void killed(void *ctx)
{
    struct rig *r = rig_new();
    unsigned *runs = ctx;
    size_t n;
    ulid ids[2] = { add(r, 1, 0, 1), add(r, 2, 5000, 1) };
    errc rc = sync_once(r, &n, NULL); /* the point is in here */
    (void)rc;
    for (size_t i = 0; i < 2; i++) {
        str meta = arena_fmt(&r->a, "%s/meta.json", ulid_text(ids[i]).z);
        if (test_s3_get(r->s3, meta, &r->a).p) expect_there(r, ids[i]);
    }
    EXPECT_OK(sync_once(r, &n, NULL));
    for (size_t i = 0; i < 2; i++) expect_there(r, ids[i]);
    EXPECT_EQ(test_s3_objects(r->s3), 6);
    expect_state(r, ids, 2);
    for (size_t i = 0; i < 2; i++)
        EXPECT(!fs_exists(r->fs, arena_fmt(&r->a, "thanos/upload/%s", ulid_text(ids[i]).z)));
    ++*runs;
    rig_end(r);
}

TEST(shipper_killed_at_each_step)
{
    unsigned runs = 0;
    fault_torture(killed, &runs);
    EXPECT(runs > 10);
}
#endif
