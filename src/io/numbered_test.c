/* numbered_test.c — what reads as a number is a file with the number's name, or is gone. */
#include "io/numbered.h"

#include "base/log.h"
#include "base/test.h"
#include "io/fs_sim.h"

static void log_nothing(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

static void put(struct fs *fs, const char *path, bool folder)
{
    if (folder) EXPECT_OK(fs_mkdir(fs, str_z(path), NULL));
    else EXPECT_OK(fs_write_durable(fs, str_z(path), str_z(path), NULL));
}

static str content(struct fs *fs, const char *path, struct arena *a)
{
    str all = STR_EMPTY;
    EXPECT_OK(fs_read_all(fs, str_z(path), a, 1000, &all, NULL));
    return all;
}

TEST(numbered_parse)
{
    static const struct { const char *name; bool is; uint32_t n;
    } rows[] = {
        { "0", true, 0 },
        { "00000012", true, 12 },
        { "12", true, 12 },
        { "999999999", true, 999999999 },
        { "1000000000", false, 0 },
        { "", false, 0 },
        { "+1", false, 0 },
        { "-1", false, 0 },
        { "1 ", false, 0 },
        { "0x1", false, 0 },
        { "1e3", false, 0 },
        { "12.bad", false, 0 },
    };
    TEST_EACH(row, rows) {
        uint32_t n = 0;
        EXPECT_EQ(numbered_parse(str_z(row->name), &n), row->is);
        EXPECT_EQ(n, row->n);
    }
}

TEST(numbered_settle)
{
    /* in the folder: what was there -> where it is afterwards (NULL: where it was) */
    static const struct { const char *name; bool folder; const char *is; } rows[] = {
        { "d/00000001", false, NULL },          { "d/2", false, "d/00000002" },
        { "d/1", false, "d.1.bad" },            { "d/000000003", false, "d/00000003" },
        { "d/00000004", true, "d.00000004.bad" }, { "d/4", false, "d/00000004" },
        { "d/+7", false, "d.+7.bad" },          { "d/-1", false, "d.-1.bad" },
        { "d/12345678901", false, "d.12345678901.bad" }, { "d/100000000000000000000", false, NULL },
        { "d/README", false, NULL },            { "d/00000005.repair", false, NULL },
        { "d/1e3", false, NULL },               { "d/sub", true, NULL },
    };
    struct fs *fs = fs_sim_new(test_seed());
    uint32_t moved = 0;
    SCOPED(arena_fini) struct arena a = { 0 };
    log_capture(log_nothing, NULL);
    EXPECT_OK(numbered_settle(fs, S("d"), 8, &moved, NULL));   /* an absent folder */
    EXPECT_OK(fs_mkdir(fs, S("d"), NULL));
    TEST_EACH(row, rows) put(fs, row->name, row->folder);
    EXPECT_OK(numbered_settle(fs, S("d"), 8, &moved, NULL));
    EXPECT_EQ(moved, 8);
    fs_sim_crash(fs, SIM_LOSE_ALL);                            /* the renames are durable */
    TEST_EACH(row, rows) {
        const char *is = row->is ? row->is : row->name;
        EXPECT(fs_exists(fs, str_z(is)) || row->folder);
        if (!row->folder) EXPECT_STR(content(fs, is, &a), str_z(row->name));
    }
    EXPECT_OK(numbered_settle(fs, S("d"), 8, &moved, NULL));
    EXPECT_EQ(moved, 0);
    log_capture(NULL, NULL);
    fs_free(fs);
}

TEST(numbered_aside_name)
{
    struct fs *fs = fs_sim_new(test_seed());
    SCOPED(arena_fini) struct arena a = { 0 };
    str name;
    EXPECT_OK(
        numbered_aside_name(&name, &a, fs, S("wal/checkpoint.00000004"), S("00000000"), NULL));
    EXPECT_STR(name, S("wal.checkpoint.00000004.00000000.bad"));
    EXPECT_OK(numbered_aside_name(&name, &a, fs, STR_EMPTY, S("wal"), NULL));
    EXPECT_STR(name, S("wal.bad"));
    put(fs, "wal.00000001.bad", false);
    put(fs, "wal.00000001.bad.1", true);
    EXPECT_OK(numbered_aside_name(&name, &a, fs, S("wal"), S("00000001"), NULL));
    EXPECT_STR(name, S("wal.00000001.bad.2"));
    fs_free(fs);
}

TEST(numbered_want_folder)
{
    struct fs *fs = fs_sim_new(test_seed());
    SCOPED(arena_fini) struct arena a = { 0 };
    uint32_t moved = 0;
    log_capture(log_nothing, NULL);
    EXPECT_OK(numbered_want_folder(fs, STR_EMPTY, S("wal"), &moved, NULL));
    put(fs, "d", true);
    EXPECT_OK(numbered_want_folder(fs, STR_EMPTY, S("d"), &moved, NULL));
    EXPECT_EQ(moved, 0);
    put(fs, "wal", false);
    put(fs, "d/sub", false);
    EXPECT_OK(numbered_want_folder(fs, STR_EMPTY, S("wal"), &moved, NULL));
    EXPECT_OK(numbered_want_folder(fs, S("d"), S("sub"), &moved, NULL));
    EXPECT_EQ(moved, 2);
    fs_sim_crash(fs, SIM_LOSE_ALL);                            /* the renames are durable */
    EXPECT(fs_exists(fs, S("d")) && !fs_exists(fs, S("wal")) && !fs_exists(fs, S("d/sub")));
    EXPECT_STR(content(fs, "wal.bad", &a), S("wal"));
    EXPECT_STR(content(fs, "d.sub.bad", &a), S("d/sub"));
    log_capture(NULL, NULL);
    fs_free(fs);
}

/* A copy is whole when it has its name; what an interrupted one left goes. */
TEST(numbered_copies)
{
    struct arena a = { 0 };
    for (uint64_t nth = 0; nth < 12; nth++) {
        struct fs *fs = fs_sim_new(nth);
        EXPECT_OK(fs_mkdir(fs, S("d"), NULL));
        put(fs, "d/00000001", false);
        EXPECT_OK(fs_sync_dir(fs, STR_EMPTY, NULL));
        fs_sim_power_off_after(fs, nth);
        errc rc = numbered_copy_aside(fs, S("d"), S("00000001"), NULL);
        fs_sim_crash(fs, nth % 2 ? SIM_KILLED : SIM_LOSE_SOME);
        bool there = fs_exists(fs, S("d.00000001.bad"));
        EXPECT(rc != OK || there);
        if (there) EXPECT_STR(content(fs, "d.00000001.bad", &a), S("d/00000001"));
        put(fs, "notes.tmp", false);
        EXPECT_OK(numbered_tidy_copies(fs, NULL));
        EXPECT(!fs_exists(fs, S("d.00000001.bad.tmp")) && fs_exists(fs, S("notes.tmp")));
        EXPECT_EQ(fs_exists(fs, S("d.00000001.bad")), there);
        fs_free(fs);
    }
    arena_fini(&a);
}
