/* out_test.c — a file in pieces: what was appended is there, what failed stays failed. */
#include "io/out.h"

#include "base/test.h"
#include "io/fs_sim.h"

static void expect_file(struct fs *fs, str want)
{
    struct arena a = { 0 };
    str got;
    struct err e = { 0 };
    EXPECT_OK_E(fs_read_all(fs, S("x"), &a, 1 << 24, &got, &e), &e);
    EXPECT_STR(got, want);
    arena_fini(&a);
}

/* Records of all sizes, padded now and then, with a patch of what was flushed, against one run of
 * bytes. */
TEST(out_is_what_was_appended)
{
    struct prng r = { test_seed() };
    struct fs *fs = fs_sim_new(1);
    struct out o;
    struct err e = { 0 };
    struct buf want = { 0 };
    EXPECT_OK_E(out_open(&o, fs, S("x"), &e), &e);
    while (out_at(&o) < 3 * OUT_PIECE_BYTES) {
        static uint8_t record[70000];
        size_t n = prng_below(&r, sizeof(record));
        memset(record, (int)prng_below(&r, 256), n);
        buf_bytes(out_buf(&o), record, n);
        buf_bytes(&want, record, n);
        if (prng_below(&r, 3) == 0) {
            out_pad(&o, 8);
            while (want.n % 8) buf_u8(&want, 0);
        }
        EXPECT_OK_E(out_step(&o, &e), &e);
        EXPECT(o.waiting.n < OUT_PIECE_BYTES);
        EXPECT_EQ(out_at(&o), want.n);
        if (prng_below(&r, 5) == 0 && want.n > 100) {
            uint64_t at = prng_below(&r, want.n - 3);
            EXPECT_OK_E(out_patch(&o, at, S("abc"), &e), &e);
            memcpy(want.p + at, "abc", 3);
        }
    }
    EXPECT_OK_E(out_sync(&o, &e), &e);
    out_close(&o);
    expect_file(fs, buf_view(&want));
    EXPECT_OK_E(out_open(&o, fs, S("x"), &e), &e);   /* a file that is there is cut */
    EXPECT_OK_E(out_flush(&o, &e), &e);
    out_close(&o);
    expect_file(fs, STR_EMPTY);
    buf_fini(&want);
    fs_free(fs);
}

TEST(out_bytes_are_durable_after_sync)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct out o;
    struct err e = { 0 };
    EXPECT_OK_E(out_open(&o, fs, S("x"), &e), &e);
    EXPECT_OK_E(fs_sync_dir(fs, S(""), &e), &e);
    buf_str(out_buf(&o), S("synced"));
    EXPECT_OK_E(out_sync(&o, &e), &e);
    buf_str(out_buf(&o), S(" never flushed"));
    fs_sim_crash(fs, SIM_LOSE_ALL);
    out_close(&o);
    expect_file(fs, S("synced"));
    fs_free(fs);
}

/* After a failure nothing is written any more, and each call says the same. */
TEST(out_failure_sticks)
{
    static const struct { const char *name; unsigned op; errc rc; } cases[] = {
        { "a write", SIM_OP(STALL_WRITE), ERR_NO_SPACE },
        { "a sync", SIM_OP(STALL_SYNC), ERR_IO },
    };
    TEST_EACH(c, cases) {
        struct fs *fs = fs_sim_new(1);
        struct out o;
        struct err e = { 0 };
        EXPECT_OK_E(out_open(&o, fs, S("x"), &e), &e);
        buf_str(out_buf(&o), S("before"));
        EXPECT_OK_E(out_flush(&o, &e), &e);
        buf_str(out_buf(&o), S(" some"));
        fs_sim_fail_nth(fs, c->op, 1, c->rc);
        EXPECT_EQ(out_sync(&o, &e), c->rc);
        str words = str_z(e.msg);
        EXPECT(words.n > 0);
        buf_str(out_buf(&o), S("after"));
        for (size_t i = 0; i < 3; i++) {
            struct err again = { 0 };
            EXPECT_EQ(i == 0 ? out_flush(&o, &again) : out_sync(&o, &again), c->rc);
            EXPECT_STR(str_z(again.msg), words);
        }
        out_close(&o);
        /* a part of what failed may be there; of what came after it, nothing */
        struct fs_stat st;
        EXPECT_OK_E(fs_stat(fs, S("x"), &st, &e), &e);
        EXPECT(st.size_bytes <= strlen("before some"));
        fs_free(fs);
    }
    struct out none = { 0 };
    out_close(&none);
}
