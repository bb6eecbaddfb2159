#include "bucket/gateway_parts.h"

#include "base/clock.h"
#include "base/test.h"
#include "bucket/bucket_config.h"
#include "bucket/test_blocks.h"
#include "bucket/test_slow.h"
#include "chunk/aggr.h"

enum { CHUNKS = 3, BLOCKS = 3, READY_MS = 10000 };

/* Block k has [k * 3000, k * 3000 + 3000), and the external label replica="k". */
struct rig {
    struct arena a;
    struct fs *blocks, *data;
    struct bucket *b;
    struct gateway *g;
    ulid ids[BLOCKS];
};

static void block_add(struct rig *r, unsigned k)
{
    struct test_block t = { .number = k + 1, .mint = (int64_t)k * CHUNKS * 1000, .chunks = CHUNKS };
    struct label l = { S("replica"), arena_fmt(&r->a, "%u", k) };
    r->ids[k] = test_block_upload(r->b, r->blocks, &t, &l);
}

/* unreadable: the block whose meta.json is not to be had; -1: none */
struct rig_opts { int unreadable; bool without_external, shard; };

/* What another store serves: block 1. */
static bool not_second(void *ctx, ulid id, struct labels external)
{
    const struct rig *r = ctx;
    (void)external;
    return !ulid_eq(id, r->ids[1]);
}

static struct rig *rig_new_opts(const struct rig_opts *w)
{
    struct rig *r = NEW(struct rig);
    struct bucket_config c = { .kind = BUCKET_FILESYSTEM };
    struct bucket *inner = NULL;
    str dir = arena_fmt(&r->a, "%s/parts%d-%d%d", test_tmpdir(), w->unreadable,
        w->without_external, w->shard);
    c.directory = arena_fmt(&r->a, "%.*s-store", STR_ARG(dir));
    r->blocks = fs_real_new(arena_fmt(&r->a, "%.*s-blocks", STR_ARG(dir)));
    r->data = fs_real_new(arena_fmt(&r->a, "%.*s-data", STR_ARG(dir)));
    EXPECT_OK(fs_mkdir(r->blocks, STR_EMPTY, NULL));
    EXPECT_OK(bucket_open(&inner, &c, NULL));
    r->b = test_slow_new(inner);
    for (unsigned k = 0; k < BLOCKS; k++) block_add(r, k);
    if (w->unreadable >= 0)
        test_slow_fail(r->b,
            arena_fmt(&r->a, "%s/meta.json", ulid_text(r->ids[w->unreadable]).z), ERR_IO);
    struct gateway_opts o = { .bucket = r->b, .fs = r->data, .backend = IO_BUFFERED,
        .ignore_deletion_ms = 1000, .without_external_labels = w->without_external,
        .wanted = w->shard ? not_second : NULL, .wanted_ctx = r };
    EXPECT_OK(gateway_open(&r->g, &o, NULL));
    int64_t until = clock_mono_ns() + READY_MS * INT64_C(1000000);
    while (!gateway_ready(r->g) && clock_mono_ns() < until) clock_sleep_ns(1000000);
    EXPECT(gateway_ready(r->g));
    return r;
}
static struct rig *rig_new(int unreadable)
{
    return rig_new_opts(&(struct rig_opts){ .unreadable = unreadable });
}

static void rig_end(struct rig *r)
{
    gateway_close(r->g);
    bucket_close(r->b);
    fs_free(r->blocks);
    fs_free(r->data);
    arena_fini(&r->a);
    mem_free(r);
}

static errc select_all(struct gateway_part *p, struct chunk_series_set **out, struct err *e)
{
    static const struct matcher all = { MATCH_EQ, { (const uint8_t *)"none", 4 },
        { (const uint8_t *)"", 0 }, NULL };
    struct matchers ms = { &all, 1 };
    return p->chunks.ops->select(&p->chunks, ms, INT64_MIN, INT64_MAX, out, e);
}

static void expect_one_series(struct gateway_part *p)
{
    struct chunk_series_set *set = NULL;
    const struct chunk_series *one = NULL;
    SCOPED(buf_fini) struct buf text = { 0 };
    struct err e = { 0 };
    EXPECT_OK_E(select_all(p, &set, &e), &e);
    EXPECT_OK(set->ops->next(set, &one, &e));
    EXPECT(one && one->n == CHUNKS);
    buf_labels(&text, one->labels);
    EXPECT_STR(buf_view(&text), S("{__name__=\"m\", job=\"j\"}"));
    EXPECT_OK(set->ops->next(set, &one, &e));
    EXPECT(!one);
    chunk_series_set_free(set);
}

TEST(gateway_parts_are_blocks)
{
    struct rig *r = rig_new(-1);
    struct gateway_parts parts;
    EXPECT_OK(gateway_parts_list(r->g, &r->a, &parts, NULL));
    EXPECT_EQ(parts.n, BLOCKS);
    for (size_t i = 0; i < parts.n; i++) gateway_part_begin(&parts.at[i]);
    for (size_t i = 0; i < parts.n; i++) {
        struct gateway_part *p = &parts.at[i];
        SCOPED(querier_freep) struct querier *q = NULL;
        str_list names = { 0 };
        bool cut;
        EXPECT_STR(p->id, str_z(ulid_text(r->ids[i]).z));
        EXPECT_EQ(p->mint, (int64_t)i * 3000);
        EXPECT_EQ(p->maxt, (int64_t)i * 3000 + 2999);
        EXPECT_STR(labels_get(p->external, S("replica")), arena_fmt(&r->a, "%zu", i));
        expect_one_series(p);
        EXPECT_OK(p->queryable.ops->querier(&p->queryable, p->mint, p->maxt, &q, NULL));
        EXPECT_OK(q->ops->label_names(q, (struct matchers){ 0 }, 0, &names, &cut, NULL));
        EXPECT_EQ(names.n, 2);
        vec_fini(&names);
    }
    gateway_parts_end(&parts);
    rig_end(r);
}

TEST(gateway_parts_tell_their_streams)
{
    struct rig *r = rig_new_opts(&(struct rig_opts){ .unreadable = -1, .without_external = true });
    struct gateway_parts parts;
    EXPECT_OK(gateway_parts_list(r->g, &r->a, &parts, NULL));
    EXPECT_EQ(parts.n, BLOCKS);
    for (size_t i = 0; i < parts.n; i++) {
        EXPECT_EQ(parts.at[i].external.n, 0);
        EXPECT_STR(
            labels_get(parts.at[i].stream, S("replica")), arena_fmt(&r->a, "%zu", i));
    }
    gateway_parts_end(&parts);
    rig_end(r);
}

TEST(gateway_parts_tell_damaged_chunks)
{
    struct rig *r = rig_new(-1);
    struct gateway_parts parts;
    struct chunk_series_set *set = NULL;
    const struct chunk_series *one = NULL;
    str_list words = { 0 };
    str bytes, object = arena_fmt(&r->a, "%s/chunks/000001", ulid_text(r->ids[1]).z);
    EXPECT_OK(bucket_get(r->b, object, 1 << 20, &r->a, &bytes, NULL));
    ((uint8_t *)bytes.p)[12] ^= 1;
    EXPECT_OK(bucket_put_bytes(r->b, object, bytes, NULL));
    EXPECT_OK(gateway_parts_list(r->g, &r->a, &parts, NULL));
    expect_one_series(&parts.at[0]);
    EXPECT_OK(select_all(&parts.at[1], &set, NULL));
    EXPECT_OK(set->ops->next(set, &one, NULL));
    EXPECT(one && one->n == CHUNKS - 1);
    chunk_series_set_warnings(set, &words);
    EXPECT_EQ(words.n, 1);
    EXPECT(words.n && str_find(words.at[0], S("damaged, and left out: block")) == 0);
    vec_fini(&words);
    chunk_series_set_free(set);
    gateway_parts_end(&parts);
    rig_end(r);
}

/* It is there, as a part that fails: whoever answers decides. */
TEST(gateway_parts_that_nobody_can_read)
{
    struct rig *r = rig_new(1);
    struct gateway_parts parts;
    struct chunk_series_set *set = NULL;
    struct err e = { 0 };
    EXPECT_OK(gateway_parts_list(r->g, &r->a, &parts, NULL));
    EXPECT_EQ(parts.n, BLOCKS);
    for (size_t i = 0; i < parts.n; i++) {
        struct gateway_part *p = &parts.at[i];
        if (p->block) {
            expect_one_series(p);
            continue;
        }
        EXPECT_STR(p->id, str_z(ulid_text(r->ids[1]).z));
        EXPECT_EQ(select_all(p, &set, &e), ERR_UNAVAILABLE);
        EXPECT(str_has_prefix(err_str(&e), S("it cannot be read: ")));
    }
    gateway_parts_end(&parts);
    rig_end(r);
}

static size_t warnings_of(struct rig *r, int64_t mint, int64_t maxt, str name, str value)
{
    struct matcher m = { MATCH_EQ, name, value, NULL };
    struct queryable *from = gateway_queryable(r->g);
    struct querier *q = NULL;
    str_list names = { 0 }, words = { 0 };
    bool cut;
    EXPECT_OK(from->ops->querier(from, mint, maxt, &q, NULL));
    EXPECT_OK(q->ops->label_names(q, (struct matchers){ &m, 1 }, 0, &names, &cut, NULL));
    querier_warnings(q, &words);
    if (words.n) EXPECT(str_has_prefix(words.at[0], S("1 downsampled blocks have what no other")));
    size_t n = words.n;
    vec_fini(&names);
    vec_fini(&words);
    querier_free(q);
    return n;
}

/* Block 3 is downsampled and has [3000, 9000) of replica 1: of that block 1 has the first half. */
TEST(gateway_parts_downsampled)
{
    struct rig *r = rig_new(-1);
    struct gateway_parts parts;
    struct chunk_series_set *set = NULL;
    const struct chunk_series *one = NULL;
    struct test_block t = { .number = 9, .mint = 3000, .chunks = 6, .aggregates = true };
    struct label l = { S("replica"), S("1") };
    ulid id = test_block_upload(r->b, r->blocks, &t, &l);
    EXPECT_OK(gateway_sync(r->g, NULL));
    EXPECT_OK(gateway_parts_list(r->g, &r->a, &parts, NULL));
    EXPECT_EQ(parts.n, BLOCKS + 1);
    for (size_t i = 0; i < parts.n; i++) {
        struct gateway_part *p = &parts.at[i];
        bool coarse = str_eq(p->id, str_z(ulid_text(id).z));
        EXPECT_EQ(p->resolution_ms, coarse ? 300000 : 0);
        if (!coarse) continue;
        EXPECT(p->block->bare_mint == 6000 && p->block->bare_maxt == 9000);
        EXPECT_OK(select_all(p, &set, NULL));
        EXPECT_OK(set->ops->next(set, &one, NULL));
        EXPECT(one && one->n == 6 && one->chunks[0].enc == CHUNK_AGGR);
        chunk_series_set_free(set);
    }
    gateway_parts_end(&parts);
    EXPECT_EQ(warnings_of(r, 0, 8999, S("replica"), S("1")), 1);
    EXPECT_EQ(warnings_of(r, 0, 5999, S("replica"), S("1")), 0);
    EXPECT_EQ(warnings_of(r, 9000, 99999, S("replica"), S("1")), 0);
    EXPECT_EQ(warnings_of(r, 0, 8999, S("replica"), S("2")), 0);
    rig_end(r);
}

/* The raw block under the first half of the downsampled one is another store's: it is not gone. */
TEST(gateway_parts_downsampled_of_a_shard)
{
    struct rig *r = rig_new_opts(&(struct rig_opts){ .unreadable = -1, .shard = true });
    struct test_block t = { .number = 9, .mint = 3000, .chunks = 6, .aggregates = true };
    struct label l = { S("replica"), S("1") };
    struct gateway_info info;
    test_block_upload(r->b, r->blocks, &t, &l);
    EXPECT_OK(gateway_sync(r->g, NULL));
    gateway_info(r->g, &r->a, &info);
    EXPECT_EQ(info.blocks, BLOCKS);
    EXPECT_EQ(warnings_of(r, 0, 5999, S("replica"), S("1")), 0);
    EXPECT_EQ(warnings_of(r, 0, 8999, S("replica"), S("1")), 1);
    test_slow_count(r->b, S("meta.json"));
    EXPECT_OK(gateway_sync(r->g, NULL));
    EXPECT_EQ(test_slow_bytes(r->b), 0); /* what is known of it was kept */
    test_slow_hide(r->b, str_z(ulid_text(r->ids[1]).z));
    for (int i = 0; i < 3; i++) { /* a list that leaves it out does not make it go, ever */
        EXPECT_OK(gateway_sync(r->g, NULL));
        EXPECT_EQ(warnings_of(r, 0, 5999, S("replica"), S("1")), 0);
    }
    EXPECT_OK(bucket_remove(r->b, arena_fmt(&r->a, "%s/meta.json", ulid_text(r->ids[1]).z), NULL));
    EXPECT_OK(gateway_sync(r->g, NULL));
    EXPECT_EQ(warnings_of(r, 0, 5999, S("replica"), S("1")), 1);
    rig_end(r);
}
