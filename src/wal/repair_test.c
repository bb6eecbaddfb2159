/* repair_test.c — golden damaged logs, repaired: a strict reader meets no error, and every good
 * record is still there. */
#include "wal/repair.h"

#include "base/map.h"
#include "base/test.h"
#include "io/fs_sim.h"
#include "io/test_tree.h"
#include "wal/record.h"

typedef VEC(uint64_t) digests;

static void read_log(digests *out, struct fs *fs, enum wal_mode mode, bool check)
{
    struct err e = { 0 };
    struct wal_reader *r = NULL;
    struct wal_rec rec;
    struct wal_reader_opts o = {
        .fs = fs, .dir = S("wal"), .backend = IO_BUFFERED, .mode = mode, .first = 0, .last = 9
    };
    EXPECT_OK(wal_reader_open(&r, &o, &e));
    out->n = 0;
    for (bool got = true;;) {
        EXPECT_OK_E(wal_reader_next(r, &rec, &got, &e), &e);
        if (!got) break;
        if (record_check(rec.bytes, NULL) == OK) vec_push(out, hash_str(rec.bytes));
        else EXPECT(check);
    }
    wal_reader_close(r);
}

static const char *const names[] = { "bad_none", "bad_flip_seg1", "bad_flip_crc_last",
    "bad_flip_len_last", "bad_flip_type_last", "bad_type_middle", "bad_garbage_tail",
    "bad_missing_middle", "bad_missing_first", "bad_record_content", "bad_short_middle",
    "bad_torn_header", "bad_torn_middle", "bad_torn_record", "bad_zero_tail", "bad_empty_middle" };

TEST_SHARED(repair_golden)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct arena a = { 0 };
        digests before = { 0 }, after = { 0 };
        struct err e = { 0 };
        struct wal_repair_result what;
        test_case(names[i]);
        struct fs *fs = tree_golden(arena_cstr(&a, arena_fmt(&a, "wal/%s", names[i])), 1);
        read_log(&before, fs, WAL_SALVAGE, true);
        EXPECT_OK_E(wal_repair(fs, S("wal"), IO_BUFFERED, 0, 9, &what, &e), &e);
        fs_sim_crash(fs, SIM_LOSE_ALL);        /* what was repaired is durable */
        read_log(&after, fs, WAL_STRICT, false);
        EXPECT_EQ(after.n, before.n);
        for (size_t k = 0; k < after.n; k++) EXPECT_EQ(after.at[k], before.at[k]);
        EXPECT_OK(wal_repair(fs, S("wal"), IO_BUFFERED, 0, 9, &what, &e));
        EXPECT_EQ(what.segments + what.gaps + what.corruptions, 0);
        vec_fini(&before);
        vec_fini(&after);
        fs_free(fs);
        arena_fini(&a);
    }
}

/* The power goes in any step: no good record is lost. */
TEST_SHARED(repair_crashes)
{
    for (uint64_t nth = 1; nth < 25; nth++) {
        digests before = { 0 }, after = { 0 };
        struct wal_repair_result what;
        struct fs *fs = tree_golden("wal/bad_flip_seg1", nth);
        read_log(&before, fs, WAL_SALVAGE, true);
        fs_sim_power_off_after(fs, nth);
        (void)!wal_repair(fs, S("wal"), IO_BUFFERED, 0, 9, &what, NULL);
        fs_sim_crash(fs, SIM_LOSE_SOME);
        EXPECT_OK(wal_dir_tidy(fs, S("wal"), NULL));
        EXPECT_OK(wal_repair(fs, S("wal"), IO_BUFFERED, 0, 9, &what, NULL));
        read_log(&after, fs, WAL_STRICT, false);
        EXPECT_EQ(after.n, before.n);
        for (size_t k = 0; k < after.n; k++) EXPECT_EQ(after.at[k], before.at[k]);
        vec_fini(&before);
        vec_fini(&after);
        fs_free(fs);
    }
}

/* The disk does not give the bytes: nothing is dropped, and the next time everything is there. A
 * short failure does not count at all. */
TEST_SHARED(repair_of_what_cannot_be_read)
{
    for (uint64_t nth = 1; nth < 200; nth++) {
        digests before = { 0 }, after = { 0 };
        struct wal_repair_result what = { 0 };
        struct fs *fs = tree_golden("wal/bad_flip_seg1", nth);
        read_log(&before, fs, WAL_SALVAGE, true);
        if (nth % 2) fs_sim_fail_nth(fs, SIM_OP(STALL_READ), nth, ERR_IO);
        else fs_sim_fail_rate(fs, SIM_OP(STALL_READ), 300000 + (uint32_t)nth * 2000, ERR_IO);
        (void)!wal_repair(fs, S("wal"), IO_BUFFERED, 0, 9, &what, NULL);
        fs_sim_fail_nth(fs, 0, 0, OK);
        fs_sim_fail_rate(fs, 0, 0, OK);
        EXPECT_OK(wal_dir_tidy(fs, S("wal"), NULL));
        EXPECT_OK(wal_repair(fs, S("wal"), IO_BUFFERED, 0, 9, &what, NULL));
        read_log(&after, fs, WAL_STRICT, false);
        EXPECT_EQ(after.n, before.n);
        for (size_t k = 0; k < after.n; k++) EXPECT_EQ(after.at[k], before.at[k]);
        vec_fini(&before);
        vec_fini(&after);
        fs_free(fs);
    }
}
