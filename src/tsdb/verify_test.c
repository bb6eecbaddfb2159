/* verify_test.c — recorded folders have no findings as they are; damaged ones have some, and none
 * when they were repaired; and what this database leaves has none, whole or killed. */
#include "tsdb/verify.h"

#include "base/test.h"
#include "io/fs_sim.h"
#include "io/test_tree.h"
#include "tsdb/repair.h"
#include "tsdb/test_small.h"
#include "wal/page.h"
#include "wal/record.h"
#include "wal/wal_reader.h"

enum { WORDS_MAX = 512 };

static uint64_t findings_of(struct fs *fs, char first[WORDS_MAX])
{
    struct verified v;
    struct err e = { 0 };
    SCOPED(buf_fini) struct buf text = { 0 };
    struct verify_opts o = { .fs = fs, .backend = IO_BUFFERED };
    verified_init(&v);
    EXPECT_OK_E(folder_verify(&v, &o, &e), &e);
    if (v.findings.all.n) findings_text(&text, &v.findings.all.at[0]);
    size_t n = MIN(text.n, (size_t)WORDS_MAX - 1);
    if (n) memcpy(first, text.p, n);
    first[n] = 0;
    uint64_t all = findings_count(&v.findings);
    verified_fini(&v);
    return all;
}

static void expect_clean(struct fs *fs)
{
    char first[WORDS_MAX];
    EXPECT_EQ(findings_of(fs, first), 0);
    EXPECT_STR(str_z(first), STR_EMPTY);
}

TEST_SHARED(folder_verify_of_whole_folders)
{
    static const struct { const char *name; } cases[] = { { "wal/all_types_none" },
        { "wal/all_types_snappy" }, { "wal/all_types_zstd" }, { "wal/st_v2" }, { "wal/clean" },
        { "wal/checkpoint" }, { "wal/wbl" }, { "wal/odd_records" }, { "wal/big_records" },
        { "dirs/crash_full" }, { "dirs/clean_full" }, { "dirs/snapshot" },
        { "dirs/snapshot_then_crash" }, { "dirs/st_crash" }, { "dirs/leftovers" } };
    TEST_EACH(c, cases) {
        struct fs *fs = tree_golden(c->name, 1);
        expect_clean(fs);
        fs_free(fs);
    }
}

TEST_SHARED(folder_verify_before_and_after_a_repair)
{
    static const struct { const char *name, *says; } cases[] = {
        { "wal/bad_flip_seg1", "wal/00000001" },
        { "wal/bad_torn_record", "wal/00000002" },
        { "wal/bad_record_content", "wal/00000002" },
        { "wal/bad_missing_middle", "wal/00000001: there is none" },
        { "wal/bad_missing_first", "wal/00000000: there is none" },
        { "wal/bad_checkpoint_flip", "wal/checkpoint.00000004/00000000" },
        { "wal/bad_checkpoint_no_segment", "wal/00000005: there is none" },
        { "wal/bad_wbl_flip", "wbl/00000000" },
        { "wal/bad_chunks_head_flip", "chunks_head/000002" },
        { "wal/bad_chunks_head_cut", "chunks_head/000003" },
        { "wal/bad_chunks_head_gap", "chunks_head/000002: there is none" },
        { "dirs/bad_snapshot", "chunk_snapshot.000011.0000065536/00000000" },
        { "dirs/bad_block_index_toc", "01M80B7QK020VJRS8N3VXXKN68/index" },
        { "dirs/bad_block_chunk_data", "01M80B7R0P1E5CTK9T0XMEJ1QJ/chunks/000001" },
        { "dirs/bad_block_no_meta", "01M80B7RAYG1HR6414JHHNJYRG/meta.json" },
        { "dirs/bad_block_tombstones_crc", "01M80B7RQYMHCYPK26SGJ695ND/tombstones" },
    };
    hush(true);
    TEST_EACH(c, cases) {
        char first[WORDS_MAX];
        struct err e = { 0 };
        struct repaired r;
        struct fs *fs = tree_golden(c->name, 1);
        struct repair_opts o = { .fs = fs, .backend = IO_BUFFERED };
        EXPECT(findings_of(fs, first) > 0);
        EXPECT_STR(str_slice(str_z(first), 0, strlen(c->says)), str_z(c->says));
        repaired_init(&r);
        EXPECT_OK_E(folder_repair(&r, &o, &e), &e);
        repaired_fini(&r);
        expect_clean(fs);
        fs_free(fs);
    }
    hush(false);
}

TEST(folder_verify_of_what_this_database_leaves)
{
    struct fs *fs;
    struct db *db;
    begin(&fs, &db);
    expect_clean(fs);                          /* as a kill leaves it */
    EXPECT_OK(delete_of(db, 1, 0, 9));
    EXPECT_OK(db_snapshot(db, S("one"), true, false, NULL));
    expect_clean(fs);
    close_db(db);
    expect_clean(fs);
    fs_free(fs);
    hush(false);
}

/* The next segment of a log, with one record that is nothing but its type and three bytes. */
static void put_bad_record(struct fs *fs, str dir, enum rec_type type)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf file = { 0 };
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    const uint8_t rec[] = { type, 0xff, 0xff, 0xff };
    uint64_t off = 0;
    if (!fs_exists(fs, dir)) EXPECT_OK(fs_mkdir(fs, dir, NULL));
    EXPECT_OK(wal_dir_list(&d, fs, dir, NULL));
    uint32_t seg = d.segments.n ? vec_last(&d.segments) + 1 : 0;
    page_put(&file, &off, 0, str_of(rec, sizeof(rec)), NULL);
    page_pad(&file, &off);
    EXPECT_OK(fs_write_durable(fs, wal_segment_path(&a, dir, seg), buf_view(&file), NULL));
}

/* What nobody reads in a log is no damage of it, and no repair finds any. */
TEST(folder_verify_of_records_by_type)
{
    static const struct { const char *name; enum rec_type type; uint64_t findings; } rows[] = {
        { "wal", REC_MMAP_MARKERS, 0 }, { "wal", REC_EXEMPLARS, 1 }, { "wal", REC_METADATA, 1 },
        { "wal", REC_SERIES, 1 }, { "wal", REC_TOMBSTONES, 1 }, { "wal", REC_HISTOGRAMS, 1 },
        { "wbl", REC_MMAP_MARKERS, 1 }, { "wbl", REC_EXEMPLARS, 0 }, { "wbl", REC_METADATA, 0 },
        { "wbl", REC_SERIES, 0 }, { "wbl", REC_TOMBSTONES, 0 }, { "wbl", REC_HISTOGRAMS, 1 } };
    TEST_EACH(row, rows) {
        char first[WORDS_MAX];
        struct fs *fs;
        struct db *db;
        struct repaired r;
        begin(&fs, &db);
        close_db(db);
        put_bad_record(fs, str_z(row->name), row->type);
        EXPECT_EQ(findings_of(fs, first), row->findings);
        struct repair_opts o = { .fs = fs, .backend = IO_BUFFERED };
        repaired_init(&r);
        EXPECT_OK(folder_repair(&r, &o, NULL));
        EXPECT_EQ(r.head.corruptions, row->findings);
        repaired_fini(&r);
        expect_clean(fs);
        fs_free(fs);
        hush(false);
    }
}

TEST(folder_verify_of_an_empty_folder)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct verified v;
    struct verify_opts o = { .fs = fs, .backend = IO_BUFFERED };
    verified_init(&v);
    EXPECT_OK(folder_verify(&v, &o, NULL));
    EXPECT_EQ(findings_count(&v.findings), 0);
    EXPECT_EQ(findings_count(&v.notes), 1);
    verified_fini(&v);
    fs_free(fs);
}

/* A folder where a file should be, or the other way: named, and the rest is looked at. */
TEST(folder_verify_of_what_is_no_file)
{
    static const struct { const char *name; bool log; } rows[] = { { "index", false },
        { "meta.json", false }, { "tombstones", false }, { "chunks/000001", false },
        { "chunks", false }, { "wal/00000000", true }, { "chunks_head/000001", true },
        { "wal", true }, { "chunks_head", true } };
    TEST_EACH(row, rows) {
        SCOPED(arena_fini) struct arena a = { 0 };
        char first[WORDS_MAX], block[ULID_CHARS + 1];
        struct fs *fs;
        struct db *db;
        struct repaired r;
        begin(&fs, &db);
        close_db(db);
        block_name(fs, block);
        str path = row->log ? str_z(row->name) : path_join(&a, str_z(block), str_z(row->name));
        bool folder = fs_is_dir(fs, path);
        EXPECT(fs_exists(fs, path));
        EXPECT_OK(fs_remove_tree(fs, path, NULL));
        if (folder) EXPECT_OK(fs_write_durable(fs, path, S("x"), NULL));
        else EXPECT_OK(fs_mkdir(fs, path, NULL));
        EXPECT(findings_of(fs, first) > 0);
        EXPECT_STR(str_slice(str_z(first), 0, path.n), path);
        struct repair_opts o = { .fs = fs, .backend = IO_BUFFERED };
        repaired_init(&r);
        EXPECT_OK(folder_repair(&r, &o, NULL));
        repaired_fini(&r);
        expect_clean(fs);
        fs_free(fs);
        hush(false);
    }
}

/* A disk that does not give something is no reason to look at nothing more. */
TEST(folder_verify_of_what_cannot_be_read)
{
    struct fs *fs;
    struct db *db;
    char first[WORDS_MAX];
    begin(&fs, &db);
    close_db(db);
    fs_sim_fail_rate(fs, SIM_OP(STALL_READ), 1000000, ERR_IO);
    EXPECT(findings_of(fs, first) > 0);        /* how many: as much as is not read by a map */
    fs_sim_fail_rate(fs, 0, 0, OK);
    expect_clean(fs);
    fs_free(fs);
    hush(false);
}

TEST(folder_verify_of_another_folder)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct err e = { 0 };
    struct verified v;
    struct repaired r;
    struct verify_opts vo = { .fs = fs, .backend = IO_BUFFERED };
    struct repair_opts ro = { .fs = fs, .backend = IO_BUFFERED };
    EXPECT_OK(fs_write_durable(fs, S("index"), S("x"), NULL));
    EXPECT_OK(fs_mkdir(fs, S("chunks"), NULL));
    verified_init(&v);
    EXPECT_EQ(folder_verify(&v, &vo, &e), ERR_NOT_FOUND);
    EXPECT(str_find(err_str(&e), S("no data folder")) != SIZE_MAX);
    verified_fini(&v);
    repaired_init(&r);
    EXPECT_EQ(folder_repair(&r, &ro, NULL), ERR_NOT_FOUND);
    EXPECT(!fs_exists(fs, S("wal")) && !fs_exists(fs, S("lock")));     /* nothing is begun there */
    repaired_fini(&r);
    fs_free(fs);
}
