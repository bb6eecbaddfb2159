/* repair_test.c — a repair that loses power at any moment destroys nothing, invents nothing, and is
 * ended by the next one. */
#include "tsdb/repair.h"

#include "base/test.h"
#include "base/ulid.h"
#include "block/meta.h"
#include "io/fs_sim.h"
#include "tsdb/test_small.h"
#include "tsdb/verify.h"

enum { FILE_MAX_BYTES = 1 << 24, SERIES_AT = 40 };

/* A folder with one block; name: of it. */
static struct fs *with_block(uint64_t seed, char name[ULID_CHARS + 1], unsigned *whole)
{
    struct fs *fs = fs_sim_new(seed);
    struct db *db = open_db(fs, 0);
    fill(db, 0, ROUNDS);
    EXPECT_OK(db_compact(db, NULL));
    *whole = count(db, -1, 0, ROUNDS);
    close_db(db);
    block_name(fs, name);
    return fs;
}

/* at: SIZE_MAX: the last byte */
static void flip(struct fs *fs, str path, size_t at, uint8_t bits)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str bytes;
    EXPECT_OK(fs_read_all(fs, path, &a, FILE_MAX_BYTES, &bytes, NULL));
    uint8_t *copy = arena_alloc(&a, bytes.n);
    memcpy(copy, bytes.p, bytes.n);
    copy[at == SIZE_MAX ? bytes.n - 1 : at] ^= bits;
    EXPECT_OK(fs_write_durable(fs, path, str_of(copy, bytes.n), NULL));
}

/* With a block in which a byte of the TOC's checksum and one of a chunk differ. */
static struct fs *damaged(uint64_t seed, char name[ULID_CHARS + 1], unsigned *whole)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = with_block(seed, name, whole);
    flip(fs, path_join(&a, str_z(name), S("index")), SIZE_MAX, 0x40);
    flip(fs, path_join(&a, str_z(name), S("chunks/000001")), SERIES_AT, 0x40);
    return fs;
}

static errc repair(struct fs *fs, struct repaired *r)
{
    struct repair_opts o = { .fs = fs, .backend = IO_BUFFERED };
    repaired_init(r);
    return repair_blocks(r, &o, NULL);
}

static unsigned blocks_in(struct fs *fs, str suffix)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    unsigned n = 0;
    EXPECT_OK(fs_list(fs, STR_EMPTY, &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++)
        n += all.at[i].is_dir && all.at[i].name.n == ULID_CHARS + suffix.n &&
             str_has_suffix(all.at[i].name, suffix) && all.at[i].name.p[0] == '0';
    vec_fini(&all);
    return n;
}

static void expect_clean(struct fs *fs)
{
    struct verified v;
    SCOPED(buf_fini) struct buf text = { 0 };
    struct verify_opts o = { .fs = fs, .backend = IO_BUFFERED };
    verified_init(&v);
    EXPECT_OK(folder_verify(&v, &o, NULL));
    if (v.findings.all.n) findings_text(&text, &v.findings.all.at[0]);
    EXPECT_STR(buf_view(&text), STR_EMPTY);
    verified_fini(&v);
}

TEST(repair_keeps_what_survives)
{
    char name[ULID_CHARS + 1];
    unsigned whole;
    struct repaired r;
    hush(true);
    struct fs *fs = damaged(test_seed(), name, &whole);
    EXPECT_OK(repair(fs, &r));
    EXPECT_EQ(r.blocks_salvaged, 1);
    EXPECT_EQ(r.blocks_aside, 0);
    repaired_fini(&r);
    EXPECT_EQ(blocks_in(fs, STR_EMPTY), 1);
    EXPECT_EQ(blocks_in(fs, S(".salvaged")), 1);
    expect_clean(fs);
    struct db *db = open_db(fs, 0);
    unsigned kept = count(db, -1, 0, ROUNDS);
    EXPECT(kept < whole && kept >= whole - 20);                /* one chunk of 20 samples */
    close_db(db);
    EXPECT_OK(repair(fs, &r));
    EXPECT_EQ(r.blocks_whole, 1);
    EXPECT_EQ(findings_count(&r.done), 0);
    repaired_fini(&r);
    fs_free(fs);
    hush(false);
}

TEST(repair_saves_what_a_start_has_set_aside)
{
    char name[ULID_CHARS + 1];
    unsigned whole;
    struct repaired r;
    hush(true);
    struct fs *fs = damaged(test_seed(), name, &whole);
    struct db *db = open_db(fs, 0);
    close_db(db);
    EXPECT_EQ(blocks_in(fs, S(".bad")), 1);
    EXPECT_OK(repair(fs, &r));
    EXPECT_EQ(r.blocks_salvaged, 1);
    repaired_fini(&r);
    EXPECT_EQ(blocks_in(fs, S(".bad")), 0);
    EXPECT_EQ(blocks_in(fs, S(".salvaged")), 1);
    db = open_db(fs, 0);
    EXPECT(count(db, -1, 0, ROUNDS) >= whole - 20);
    close_db(db);
    fs_free(fs);
    hush(false);
}

/* A bit of meta.json that says nothing of the samples: the block is served, as by Prometheus, and
 * a repair puts it right. */
TEST(a_block_with_another_name_in_its_meta_json)
{
    static const struct { const char *name; size_t behind; uint8_t bits; bool mended;
    } rows[] = {
        { "another ULID", 2, 1, true },
        { "not a ULID", 2, 0x80, true },
        { "another member", 0, 1, true },
        { "a member in upper case", 0, 0x20, false },
    };
    hush(true);
    TEST_EACH(row, rows)
    {
        SCOPED(arena_fini) struct arena a = { 0 };
        char name[ULID_CHARS + 1];
        unsigned whole;
        struct repaired r;
        str text;
        struct fs *fs = with_block(test_seed(), name, &whole);
        str path = path_join(&a, str_z(name), S("meta.json"));
        EXPECT_OK(fs_read_all(fs, path, &a, FILE_MAX_BYTES, &text, NULL));
        size_t at = str_find(text, row->behind ? str_z(name) : S("ulid\""));
        flip(fs, path, at + row->behind, row->bits);
        for (int round = 0; round < 2; round++) {
            struct db *db = open_db(fs, 0);
            EXPECT_EQ(count(db, -1, 0, ROUNDS), whole);
            close_db(db);
        }
        EXPECT(blocks_in(fs, STR_EMPTY) == 1 && !blocks_in(fs, S(".bad")));
        EXPECT_OK(repair(fs, &r));
        EXPECT_EQ(r.blocks_mended, row->mended);
        repaired_fini(&r);
        expect_clean(fs);
        fs_free(fs);
    }
    hush(false);
}

/* It may have been one of late samples: were it taken for one in order, the next start would drop
 * what the log has of its times, here and in Prometheus. */
TEST(a_block_without_meta_json_says_nothing_of_the_head)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    char name[ULID_CHARS + 1];
    unsigned whole;
    struct repaired r;
    struct block_meta m;
    hush(true);
    struct fs *fs = with_block(test_seed(), name, &whole);
    EXPECT_OK(fs_unlink(fs, path_join(&a, str_z(name), S("meta.json")), NULL));
    EXPECT_OK(repair(fs, &r));
    EXPECT_EQ(r.blocks_mended, 1);
    repaired_fini(&r);
    EXPECT_OK(meta_read(&m, fs, str_z(name), &a, NULL));
    EXPECT_EQ(m.hints, BLOCK_HINT_OOO);
    for (int round = 0; round < 2; round++) {
        struct db *db = open_db(fs, 0);
        EXPECT_EQ(count(db, -1, 0, ROUNDS), whole);
        EXPECT_OK(db_compact(db, NULL));
        close_db(db);
    }
    expect_clean(fs);
    fs_free(fs);
    hush(false);
}

/* … and a file with the name of a folder. */
TEST(repair_of_a_folder_with_the_name_of_a_file)
{
    static const struct { const char *name; bool mended, aside;
    } rows[] = {
        { "meta.json", true, false },
        { "tombstones", false, true },
        { "index", false, true },
        { "chunks/000001", false, true },
        { "chunks", false, true },
    };
    hush(true);
    TEST_EACH(row, rows)
    {
        SCOPED(arena_fini) struct arena a = { 0 };
        char name[ULID_CHARS + 1];
        unsigned whole;
        struct repaired r;
        struct fs *fs = with_block(test_seed(), name, &whole);
        str path = path_join(&a, str_z(name), str_z(row->name));
        bool folder = fs_is_dir(fs, path);
        EXPECT_OK(fs_remove_tree(fs, path, NULL));
        if (folder) EXPECT_OK(fs_write_durable(fs, path, S("x"), NULL));
        else EXPECT_OK(fs_mkdir(fs, path, NULL));
        EXPECT_OK(repair(fs, &r));
        EXPECT_EQ(r.blocks_mended, row->mended);
        EXPECT_EQ(r.blocks_aside, row->aside);
        repaired_fini(&r);
        expect_clean(fs);
        struct db *db = open_db(fs, 0);
        if (row->mended) EXPECT_EQ(count(db, -1, 0, ROUNDS), whole);
        close_db(db);
        fs_free(fs);
    }
    hush(false);
}

TEST(power_cuts_in_a_repair)
{
    bool ended = false;
    hush(true);
    for (uint64_t seed = 0, at = 1; seed < 150 / TEST_STRIDE;
         seed++, at = ended ? 1 : at + TEST_STRIDE) {
        char name[ULID_CHARS + 1];
        unsigned whole;
        struct repaired r;
        struct fs *fs = damaged(test_seed() + seed, name, &whole);
        fs_sim_power_off_after(fs, at);
        ended = repair(fs, &r) == OK;
        repaired_fini(&r);
        fs_sim_crash(fs, seed % 2 ? SIM_LOSE_SOME : SIM_LOSE_ALL);
        bool there = fs_exists(fs, str_z(name));
        if (ended) EXPECT(!there);                             /* what was done stays done */
        EXPECT(there || blocks_in(fs, S(".salvaged")) == 1);   /* the damaged one is never lost */
        EXPECT_OK(repair(fs, &r));
        repaired_fini(&r);
        EXPECT_EQ(blocks_in(fs, STR_EMPTY), 1);
        EXPECT_EQ(blocks_in(fs, S(".salvaged")), 1);
        struct db *db = open_db(fs, 0);
        unsigned kept = count(db, -1, 0, ROUNDS);
        EXPECT(kept < whole && kept >= whole - 20);
        close_db(db);
        expect_clean(fs);
        fs_free(fs);
    }
    hush(false);
}
