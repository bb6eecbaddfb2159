/* verify_test.c — blocks that Prometheus wrote have no findings; with one bit changed they have. */
#include "block/verify.h"

#include "base/prng.h"
#include "base/test.h"
#include "io/fs_sim.h"
#include "io/test_tree.h"

enum { FILE_MAX_BYTES = 1 << 28, FLIPS = 300 / TEST_STRIDE };

static void expect_clean(struct fs *fs, str dir)
{
    struct block_verified v;
    struct findings f;
    struct err e = { 0 };
    SCOPED(buf_fini) struct buf text = { 0 };
    struct block_verify_opts o = { .fs = fs, .backend = IO_BUFFERED };
    findings_init(&f, 0);
    EXPECT_OK_E(block_verify(&v, &o, dir, &f, &e), &e);
    if (f.all.n) findings_text(&text, &f.all.at[0]);
    EXPECT_STR(buf_view(&text), S(""));
    EXPECT_EQ(v.wrong, 0);
    EXPECT(v.stats.series > 0);
    findings_fini(&f);
}

static unsigned wrong_of(struct fs *fs, str dir)
{
    struct block_verified v;
    struct findings f;
    struct err e = { 0 };
    struct block_verify_opts o = { .fs = fs, .backend = IO_BUFFERED };
    findings_init(&f, 20);
    EXPECT_OK_E(block_verify(&v, &o, dir, &f, &e), &e);
    EXPECT_EQ(v.wrong != 0, findings_count(&f) > 0);
    findings_fini(&f);
    return v.wrong;
}

/* Every folder of the case that is a block; the first one's name. */
static str each_block(struct fs *fs, struct arena *a, void (*fn)(struct fs *fs, str dir))
{
    fs_entries all = { 0 };
    ulid id;
    str first = STR_EMPTY;
    EXPECT_OK(fs_list(fs, STR_EMPTY, a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) {
        if (!ulid_parse(all.at[i].name, &id)) continue;
        if (!first.n) first = all.at[i].name;
        if (fn) fn(fs, all.at[i].name);
    }
    vec_fini(&all);
    return first;
}

TEST_SHARED(verify_finds_nothing_in_whole_blocks)
{
    static const struct { const char *name; } cases[] = { { "blocks/floats" },
        { "blocks/floats_gaps" }, { "blocks/negative_time" }, { "blocks/hist_int" },
        { "blocks/hist_float_gauge" }, { "blocks/hist_nhcb" }, { "blocks/mixed" },
        { "blocks/utf8_labels" }, { "blocks/tombstones" }, { "blocks/multi_segment" },
        { "blocks/overlapping" }, { "blocks/compacted" }, { "blocks/xor2_nost" },
        { "blocks/xor2_st" }, { "blocks/index_v1" }, { "blocks/thanos_meta" },
        { "dirs/bad_block_none" } };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs = tree_golden(c->name, 1);
        EXPECT(each_block(fs, &a, expect_clean).n > 0);
        fs_free(fs);
    }
}

TEST_SHARED(verify_names_the_part_that_is_damaged)
{
    static const struct { const char *name; unsigned wrong; } cases[] = {
        { "dirs/bad_block_chunk_data", BLOCK_CHUNKS },
        { "dirs/bad_block_chunk_magic", BLOCK_CHUNKS },
        { "dirs/bad_block_chunk_short", BLOCK_CHUNKS },
        { "dirs/bad_block_no_chunks", BLOCK_CHUNKS },
        { "dirs/bad_block_index_magic", BLOCK_INDEX },
        { "dirs/bad_block_index_version", BLOCK_INDEX },
        { "dirs/bad_block_index_toc", BLOCK_INDEX },
        { "dirs/bad_block_index_symbols", BLOCK_INDEX },
        { "dirs/bad_block_index_series", BLOCK_INDEX | BLOCK_CHUNKS },
        { "dirs/bad_block_index_short", BLOCK_INDEX | BLOCK_CHUNKS },
        { "dirs/bad_block_tombstones_crc", BLOCK_TOMBSTONES },
        { "dirs/bad_block_no_tombstones", BLOCK_NO_TOMBSTONES },
        { "dirs/bad_block_meta_json", BLOCK_NO_META },
        { "dirs/bad_block_no_meta", BLOCK_NO_META },
        { "dirs/bad_block_meta_version", BLOCK_META },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        fs_entries all = { 0 };
        ulid id;
        unsigned wrong = 0;
        struct fs *fs = tree_golden(c->name, 1);
        EXPECT_OK(fs_list(fs, STR_EMPTY, &a, &all, NULL));
        for (size_t i = 0; i < all.n; i++)
            if (ulid_parse(all.at[i].name, &id)) wrong |= wrong_of(fs, all.at[i].name);
        EXPECT_EQ(wrong, c->wrong);
        vec_fini(&all);
        fs_free(fs);
    }
}

static void put_byte(struct fs *fs, str path, uint64_t at, uint8_t byte)
{
    struct file *f = NULL;
    uint64_t done;
    str one = str_of(&byte, 1);
    EXPECT_OK(fs_open(&f, fs, path, FS_READ | FS_WRITE, NULL));
    EXPECT_OK(file_pwrite(f, &one, 1, at, &done, NULL));
    file_close(f);
}

/* n bits here and there; n 0: each one. The padding of a segment's header is nobody's. */
static void flip(struct fs *fs, str dir, const char *name, size_t n, unsigned part)
{
    enum { PADDING_AT = 5, PADDING_END = 8, BITS = 8 };
    SCOPED(arena_fini) struct arena a = { 0 };
    struct prng r = { test_seed() };
    str path = path_join(&a, dir, str_z(name)), bytes;
    EXPECT_OK(fs_read_all(fs, path, &a, FILE_MAX_BYTES, &bytes, NULL));
    bool chunks = part == BLOCK_CHUNKS;
    for (size_t i = 0; i < (n ? n : bytes.n * BITS); i++) {
        size_t bit = n ? prng_below(&r, bytes.n * BITS) : i, at = bit / BITS;
        if (chunks && at >= PADDING_AT && at < PADDING_END) continue;
        put_byte(fs, path, at, (uint8_t)(bytes.p[at] ^ 1u << bit % BITS));
        unsigned wrong = wrong_of(fs, dir);
        if (!(wrong & part))
            test_fail(__FILE__, __LINE__, "%s: bit %zu of byte %zu is not found", name, bit % BITS,
                at);
        put_byte(fs, path, at, bytes.p[at]);
    }
    EXPECT_EQ(wrong_of(fs, dir), 0);
}

TEST_SHARED(verify_finds_any_bit_that_differs)
{
    static const struct { const char *name; } cases[] = { { "dirs/bad_block_none" },
        { "blocks/index_v1" }, { "blocks/mixed" } };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs = tree_golden(c->name, 1);
        str dir = each_block(fs, &a, NULL);
        flip(fs, dir, "index", FLIPS, BLOCK_INDEX);
        flip(fs, dir, "chunks/000001", FLIPS, BLOCK_CHUNKS);
        fs_free(fs);
    }
}
