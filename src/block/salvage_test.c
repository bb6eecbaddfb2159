/* salvage_test.c — what is saved of damaged blocks is part of what they were, chunk by chunk. */
#include "block/salvage.h"

#include "base/test.h"
#include "block/block.h"
#include "block/test_folder.h"
#include "block/tombstones_codec.h"
#include "block/verify.h"
#include "io/fs_sim.h"
#include "io/test_tree.h"

enum { FILE_MAX_BYTES = 1 << 28, FLIPS = 60 / TEST_STRIDE };

struct chunk_copy { struct labels labels; int64_t mint, maxt; str data; };
typedef VEC(struct chunk_copy) chunk_copies;

static void chunks_of(chunk_copies *out, struct arena *a, struct fs *fs, str dir)
{
    struct block *b = NULL;
    struct block_opts o = { .fs = fs, .backend = IO_BUFFERED };
    struct chunk_series_set *set = NULL;
    EXPECT_OK(block_open(&b, &o, dir, NULL));
    EXPECT_OK(block_chunks(b, NULL, 0, &set, NULL));
    for (const struct chunk_series *s;;) {
        EXPECT_OK(set->ops->next(set, &s, NULL));
        if (!s) break;
        struct labels l = labels_copy(a, s->labels);
        for (size_t i = 0; i < s->n; i++)
            vec_push(out, ((struct chunk_copy){ l, s->chunks[i].mint, s->chunks[i].maxt,
                              arena_str(a, s->chunks[i].data) }));
    }
    chunk_series_set_free(set);
    block_unref(b);
}

static bool has_chunk(const chunk_copies *all, const struct chunk_copy *c)
{
    for (size_t i = 0; i < all->n; i++)
        if (labels_eq(all->at[i].labels, c->labels) && all->at[i].mint == c->mint &&
            all->at[i].maxt == c->maxt && str_eq(all->at[i].data, c->data))
            return true;
    return false;
}

/* Saves the block; gives how many chunks there are, all of which are of `before`. */
static size_t saved(struct fs *fs, str dir, const chunk_copies *before)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct block_salvage_opts o = { .fs = fs, .backend = IO_BUFFERED };
    struct block_salvaged got;
    struct err e = { 0 };
    ulid id;
    EXPECT(ulid_parse(dir, &id));
    EXPECT_OK_E(block_salvage(&got, &o, dir, id, NULL, &e), &e);
    if (ulid_is_zero(got.id)) return 0;
    chunk_copies after = { 0 };
    str made = arena_fmt(&a, "%s", ulid_text(got.id).z);
    chunks_of(&after, &a, fs, made);
    for (size_t i = 0; i < after.n; i++) EXPECT(has_chunk(before, &after.at[i]));
    struct block_verified v;
    struct findings f;
    struct block_verify_opts vo = { .fs = fs, .backend = IO_BUFFERED };
    findings_init(&f, 0);
    EXPECT_OK(block_verify(&v, &vo, made, &f, NULL));
    EXPECT_EQ(v.wrong, 0);
    findings_fini(&f);
    EXPECT_OK(fs_remove_tree(fs, made, NULL));
    size_t n = after.n;
    vec_fini(&after);
    return n;
}

/* One bit anywhere costs one series' chunks, or one chunk. */
TEST_SHARED(salvage_of_a_block_with_one_bit_changed)
{
    static const struct { const char *name, *file; size_t lost_max; } cases[] = {
        { "dirs/bad_block_none", "index", 4 }, { "dirs/bad_block_none", "chunks/000001", 1 },
        { "blocks/index_v1", "index", 2 }, { "blocks/mixed", "index", 40 } };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs = tree_golden(c->name, 1);
        struct prng r = { test_seed() };
        chunk_copies before = { 0 };
        str dir = test_block_dir(fs, &a), path = path_join(&a, dir, str_z(c->file)), bytes;
        chunks_of(&before, &a, fs, dir);
        EXPECT_EQ(saved(fs, dir, &before), before.n);
        EXPECT_OK(fs_read_all(fs, path, &a, FILE_MAX_BYTES, &bytes, NULL));
        uint8_t *copy = arena_alloc(&a, bytes.n);
        for (size_t i = 0; i < FLIPS; i++) {
            memcpy(copy, bytes.p, bytes.n);
            size_t at = prng_below(&r, bytes.n);
            copy[at] ^= (uint8_t)(1u << prng_below(&r, 8));
            EXPECT_OK(fs_write_durable(fs, path, str_of(copy, bytes.n), NULL));
            size_t n = saved(fs, dir, &before);
            if (n + c->lost_max < before.n)
                test_fail(__FILE__, __LINE__, "byte %zu: %zu of %zu chunks", at, n, before.n);
        }
        vec_fini(&before);
        fs_free(fs);
    }
}

TEST_SHARED(salvage_of_a_block_that_is_cut)
{
    static const struct { const char *name; } cases[] = { { "index" }, { "chunks/000001" } };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs = tree_golden("dirs/bad_block_none", 1);
        chunk_copies before = { 0 };
        str dir = test_block_dir(fs, &a), path = path_join(&a, dir, str_z(c->name)), bytes;
        chunks_of(&before, &a, fs, dir);
        EXPECT_OK(fs_read_all(fs, path, &a, FILE_MAX_BYTES, &bytes, NULL));
        size_t last = 0;
        for (size_t n = 0; n <= bytes.n; n += 1 + bytes.n / 40) {
            EXPECT_OK(fs_write_durable(fs, path, str_slice(bytes, 0, n), NULL));
            size_t kept = saved(fs, dir, &before);
            EXPECT(kept >= last);
            last = kept;
        }
        EXPECT(last > before.n / 2);
        vec_fini(&before);
        fs_free(fs);
    }
}

TEST(tombstones_with_one_wrong_bit_are_read)
{
    SCOPED(buf_fini) struct buf file = { 0 };
    struct tombstones t = { 0 }, got = { 0 };
    for (uint64_t ref = 1; ref < 20; ref++)
        tombstones_add(&t, ref * 7, (struct interval){ -(int64_t)ref, (int64_t)ref * 1000 });
    block_tombstones_encode(&file, &t);
    for (size_t bit = 0; bit < file.n * 8; bit++) {
        file.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        EXPECT_EQ(block_tombstones_decode(&got, buf_view(&file), NULL), ERR_CORRUPT);
        tombstones_fini(&got);
        EXPECT_OK(block_tombstones_mend(&got, buf_view(&file), NULL));
        EXPECT_EQ(tombstones_count(&got), tombstones_count(&t));
        EXPECT_EQ(got.at.at[5].ref, t.at.at[5].ref);
        tombstones_fini(&got);
        file.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    file.p[9] ^= 3;
    EXPECT_EQ(block_tombstones_mend(&got, buf_view(&file), NULL), ERR_CORRUPT);
    EXPECT_EQ(got.at.n, 0);
    tombstones_fini(&t);
}
