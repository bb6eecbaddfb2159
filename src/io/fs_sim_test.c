#include "io/fs_check.h"
#include "io/fs_sim.h"
#include "io/reader.h"

#include "base/test.h"

#include <stdlib.h>

TEST(fs_sim_check)
{
    struct fs *fs = fs_sim_new(test_seed());
    fs_check(fs, S("d"));
    fs_model_check(fs, S("m"), test_seed(), 2000);
    /* until here a crash could bring the files back */
    EXPECT_OK(fs_sync_dir(fs, STR_EMPTY, NULL));
    EXPECT_EQ(fs_sim_used(fs), 0);
    fs_free(fs);
}

static struct file *sim_file(struct fs *fs, str path)
{
    struct file *f = NULL;
    EXPECT_OK(fs_open(&f, fs, path, FS_READ | FS_WRITE | FS_CREATE, NULL));
    return f;
}

static void put(struct file *f, uint64_t off, uint8_t with, size_t n)
{
    uint8_t *p = mem_alloc(n);
    memset(p, with, n);
    str s = str_of(p, n);
    EXPECT_OK(file_pwrite(f, &s, 1, off, NULL, NULL));
    mem_free(p);
}

static str content(struct fs *fs, str path, struct arena *a)
{
    str got = STR_EMPTY;
    struct err e = { 0 };
    EXPECT_OK_E(fs_read_all(fs, path, a, 1 << 24, &got, &e), &e);
    return got;
}

TEST(fs_sim_keeps_what_was_synced_and_loses_the_rest)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_sim_new(1);
    struct file *f = sim_file(fs, S("f"));
    put(f, 0, 'a', 1000);
    EXPECT_OK(file_sync(f, NULL));
    EXPECT_OK(fs_sync_dir(fs, STR_EMPTY, NULL));
    put(f, 500, 'b', 1000);
    fs_sim_crash(fs, SIM_LOSE_ALL);
    size_t got;
    uint8_t room[4];
    EXPECT_EQ(file_pread(f, room, 4, 0, &got, NULL), ERR_IO);  /* a file of before the crash */
    EXPECT_EQ(file_sync(f, NULL), ERR_IO);
    file_close(f);
    str s = content(fs, S("f"), &a);
    EXPECT_EQ(s.n, 1000);
    EXPECT_EQ(s.p[999], 'a');
    file_close(sim_file(fs, S("g")));
    /* the process dies, the machine does not */
    fs_sim_crash(fs, SIM_LOSE_NOTHING);
    EXPECT(fs_exists(fs, S("g")));
    file_close(sim_file(fs, S("h")));
    fs_sim_crash(fs, SIM_LOSE_ALL);
    EXPECT(!fs_exists(fs, S("h")));                            /* its name was not synced */
    EXPECT(fs_exists(fs, S("g")));
    fs_free(fs);
}

/* Every sector of the file is one that it had at some moment since the sync, or zeros past the
 * synced size. */
static void expect_sectors(str s, uint8_t versions[][64], size_t n_versions)
{
    for (size_t at = 0; at < s.n; at += 512) {
        size_t n = MIN((size_t)512, s.n - at);
        bool known = false;
        for (size_t v = 0; v < n_versions && !known; v++) known = s.p[at] == versions[v][at / 512];
        EXPECT(known);
        for (size_t i = 1; i < n; i++) EXPECT_EQ(s.p[at + i], s.p[at]);
    }
}

TEST(fs_sim_torn_writes_invent_nothing)
{
    enum { SECTORS = 40, WRITES = 6 };
    unsigned lost = 0, kept = 0, mixed = 0, holes = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct prng r = { seed };
        struct fs *fs = fs_sim_new(seed);
        struct file *f = sim_file(fs, S("f"));
        uint8_t versions[WRITES + 2][64] = { { 0 } };
        put(f, 0, 'A', 10 * 512);
        memset(versions[0], 'A', 10);
        EXPECT_OK(file_sync(f, NULL));
        EXPECT_OK(fs_sync_dir(fs, STR_EMPTY, NULL));
        for (size_t w = 0; w < WRITES; w++) {
            size_t at = (size_t)prng_below(&r, SECTORS),
                   n = 1 + (size_t)prng_below(&r, SECTORS - at);
            put(f, at * 512, (uint8_t)('a' + w), n * 512);
            memcpy(versions[w + 1], versions[w], sizeof(versions[w]));
            memset(versions[w + 1] + at, 'a' + (int)w, n);
        }
        file_close(f);
        fs_sim_crash(fs, SIM_LOSE_SOME);
        str s = content(fs, S("f"), &a);
        EXPECT(s.n >= 10 * 512 && s.n <= SECTORS * 512 && s.n % 512 == 0);
        expect_sectors(s, versions, WRITES + 2);               /* the last row is zeros */
        bool all = true, none = s.n == 10 * 512;
        for (size_t i = 0; i < s.n; i += 512) {
            all = all && s.p[i] == versions[WRITES][i / 512];
            none = none && s.p[i] == 'A';
            holes += i >= 10 * 512 && s.p[i] == 0 && versions[WRITES][i / 512];
        }
        lost += none, kept += all, mixed += !none && !all;
        fs_free(fs);
    }
    /* every kind of loss is met */
    EXPECT(lost > 100 && kept > 100 && mixed > 1000 && holes > 1000);
}

TEST(fs_sim_truncation_is_not_undone_behind_a_size)
{
    for (uint64_t seed = 0; seed < 2000; seed++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs = fs_sim_new(seed);
        struct file *f = sim_file(fs, S("f"));
        put(f, 0, 'A', 4096);
        EXPECT_OK(file_sync(f, NULL));
        EXPECT_OK(fs_sync_dir(fs, STR_EMPTY, NULL));
        EXPECT_OK(file_truncate(f, 0, NULL));
        put(f, 0, 'b', 8192);
        file_close(f);
        fs_sim_crash(fs, SIM_LOSE_SOME);
        str s = content(fs, S("f"), &a);
        EXPECT(s.n == 0 || s.n == 4096 || s.n == 8192);
        for (size_t i = 0; i < s.n; i++)
            EXPECT(s.n == 4096 ? s.p[i] == 'A' : s.p[i] == 'b' || s.p[i] == 0);
        fs_free(fs);
    }
}

TEST(fs_sim_names_survive_by_any_subset_in_order)
{
    unsigned seen[4] = { 0 }, late_only = 0;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct fs *fs = fs_sim_new(seed);
        struct file *f = sim_file(fs, S("a.tmp"));
        put(f, 0, 'x', 100);
        EXPECT_OK(file_sync(f, NULL));
        file_close(f);
        EXPECT_OK(fs_rename(fs, S("a.tmp"), S("a"), NULL));
        file_close(sim_file(fs, S("b")));
        fs_sim_crash(fs, SIM_LOSE_SOME);
        bool tmp = fs_exists(fs, S("a.tmp")), a = fs_exists(fs, S("a")), b = fs_exists(fs, S("b"));
        EXPECT(!(tmp && a));
        struct fs_stat st = { 0 };
        if (a) EXPECT_OK(fs_stat(fs, S("a"), &st, NULL));
        if (a) EXPECT_EQ(st.size_bytes, 100);
        seen[a ? 2 : tmp ? 1 : 0]++;
        late_only += b && !a && !tmp;
        fs_free(fs);
    }
    EXPECT(seen[0] > 100 && seen[1] > 50 && seen[2] > 100 && late_only > 20);
}

TEST(fs_sim_a_file_moved_between_folders_is_never_lost)
{
    unsigned both = 0;
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct fs *fs = fs_sim_new(seed);
        EXPECT_OK(fs_mkdir(fs, S("d"), NULL));
        EXPECT_OK(fs_mkdir(fs, S("t"), NULL));
        EXPECT_OK(fs_write_durable(fs, S("d/f"), S("x"), NULL));
        EXPECT_OK(fs_sync_dir(fs, STR_EMPTY, NULL));
        EXPECT_OK(fs_rename(fs, S("d/f"), S("t/f"), NULL));
        if (seed % 3) EXPECT_OK(fs_sync_dir(fs, seed % 3 == 1 ? S("t") : S("d"), NULL));
        fs_sim_crash(fs, SIM_LOSE_SOME);
        bool in_d = fs_exists(fs, S("d/f")), in_t = fs_exists(fs, S("t/f"));
        EXPECT(in_d || in_t);
        if (seed % 3) EXPECT(in_t);
        if (seed % 3 == 2) EXPECT(!in_d);
        both += in_d && in_t;
        fs_free(fs);
    }
    EXPECT(both > 20);
}

TEST(fs_sim_durable_write_is_old_or_new_at_every_crash_point)
{
    unsigned points = 0;
    for (uint64_t n = 1;; n++) {
        bool reached = false;
        for (uint64_t seed = 0; seed < 50; seed++) {
            SCOPED(arena_fini) struct arena a = { 0 };
            struct fs *fs = fs_sim_new(seed * 1000 + n);
            EXPECT_OK(fs_write_durable(fs, S("f"), S("the old content"), NULL));
            fs_sim_power_off_after(fs, n);
            errc rc = fs_write_durable(fs, S("f"), S("new"), NULL);
            reached = fs_sim_is_off(fs);
            EXPECT_EQ(rc == OK, !reached);
            fs_sim_crash(fs, SIM_LOSE_SOME);
            str s = content(fs, S("f"), &a);
            EXPECT(str_eq(s, S("new")) || (rc != OK && str_eq(s, S("the old content"))));
            fs_free(fs);
        }
        if (!reached) break;
        points++;
    }
    /* open, write, sync, rename, sync of the folder */
    EXPECT_EQ(points, 5);
}

TEST(fs_sim_failures_can_be_asked_for)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_sim_new(7);
    struct file *f = sim_file(fs, S("f"));
    EXPECT_OK(fs_sync_dir(fs, STR_EMPTY, NULL));
    const str s = S("0123456789");
    uint64_t done = 0;
    fs_sim_fail_nth(fs, SIM_OP(STALL_WRITE), 2, ERR_IO);
    EXPECT_OK(file_pwrite(f, &s, 1, 0, &done, NULL));
    EXPECT_EQ(file_pwrite(f, &s, 1, 10, &done, NULL), ERR_IO);
    EXPECT(done <= 10);
    uint64_t size;
    EXPECT_OK(file_size(f, &size, NULL));
    EXPECT_EQ(size, 10 + done);                                /* a part of it was written */
    EXPECT_OK(file_pwrite(f, &s, 1, 10, &done, NULL));
    fs_sim_fail_rate(fs, SIM_OP(STALL_READ), 1000000, ERR_IO);
    EXPECT_EQ(file_pread(f, (uint8_t[4]){ 0 }, 4, 0, &(size_t){ 0 }, NULL), ERR_IO);
    fs_sim_fail_rate(fs, 0, 0, ERR_IO);
    EXPECT_EQ(content(fs, S("f"), &a).n, 20);
    file_close(f);
    fs_free(fs);
}

TEST(fs_sim_a_failed_sync_is_not_made_good_by_the_next)
{
    unsigned lost = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs = fs_sim_new(seed);
        struct file *f = sim_file(fs, S("f"));
        EXPECT_OK(fs_sync_dir(fs, STR_EMPTY, NULL));
        put(f, 0, 'x', 2000);
        fs_sim_fail_nth(fs, SIM_OP(STALL_SYNC), 1, ERR_IO);
        EXPECT_EQ(file_sync(f, NULL), ERR_IO);
        EXPECT_OK(file_sync(f, NULL));
        file_close(f);
        EXPECT_EQ(content(fs, S("f"), &a).n, 2000);            /* the cache still shows them */
        fs_sim_crash(fs, SIM_LOSE_ALL);
        str s = content(fs, S("f"), &a);
        lost += s.n < 2000 || memchr(s.p, 0, s.n) != NULL;
        fs_free(fs);
    }
    EXPECT(lost > 50);
}

TEST(fs_sim_a_full_disk_can_be_left)
{
    struct fs *fs = fs_sim_new(1);
    struct file *f = sim_file(fs, S("f"));
    uint64_t total, unused, done = 0;
    struct err e = { 0 };
    uint8_t room[800] = { 1 };
    const str s = str_of(room, sizeof(room));
    fs_sim_capacity(fs, 1000);
    EXPECT_OK(file_pwrite(f, &s, 1, 0, &done, NULL));
    EXPECT_EQ(file_pwrite(f, &s, 1, 800, &done, &e), ERR_NO_SPACE);
    EXPECT_STR(err_str(&e), S("write disk/f: no space left on device"));
    EXPECT_EQ(done, 200);
    EXPECT_EQ(file_reserve(f, 0, 2000, NULL), ERR_NO_SPACE);
    EXPECT_OK(file_pwrite(f, &s, 1, 0, &done, NULL));          /* what lies within needs no room */
    EXPECT_OK(fs_space(fs, &total, &unused, NULL));
    EXPECT_EQ(total, 1000);
    EXPECT_EQ(unused, 0);
    fs_sim_capacity(fs, 3000);
    EXPECT_OK(file_reserve(f, 0, 2000, NULL));
    EXPECT_EQ(fs_sim_used(fs), 2000);
    EXPECT_OK(file_pwrite(f, &s, 1, 1000, &done, NULL));
    EXPECT_EQ(fs_sim_used(fs), 2000);
    file_close(f);
    EXPECT_OK(fs_unlink(fs, S("f"), NULL));
    EXPECT_OK(fs_sync_dir(fs, STR_EMPTY, NULL));
    EXPECT_EQ(fs_sim_used(fs), 0);
    fs_free(fs);
}

TEST(fs_sim_lock_is_freed_by_a_crash)
{
    struct fs *fs = fs_sim_new(1);
    struct fs_lock *a = NULL, *b = NULL;
    bool existed;
    EXPECT_OK(fs_lock_take(&a, fs, S("lock"), &existed, NULL));
    EXPECT_EQ(fs_lock_take(&b, fs, S("lock"), &existed, NULL), ERR_LOCKED);
    fs_sim_crash(fs, SIM_LOSE_NOTHING);
    EXPECT_OK(fs_lock_take(&b, fs, S("lock"), &existed, NULL));
    EXPECT(existed);
    /* of before the crash: leaves the lock alone */
    fs_lock_release(a, true);
    EXPECT(fs_exists(fs, S("lock")));
    fs_lock_release(b, true);
    EXPECT(!fs_exists(fs, S("lock")));
    fs_free(fs);
}

TEST(fs_sim_is_read_through_the_cache)
{
    struct fs *fs = fs_sim_new(1);
    struct reader *r = NULL;
    struct pin p = { 0 };
    struct file *f = sim_file(fs, S("f"));
    put(f, 0, 'q', 50000);
    EXPECT_OK(reader_open(&r, fs, S("f"), (struct read_as){ IO_MMAP, IO_LOG, IO_RANDOM }, NULL));
    EXPECT_EQ(reader_backend(r), IO_BUFFERED);
    EXPECT_OK(reader_pin(r, 20000, 30000, &p, NULL));
    EXPECT_EQ(p.bytes.p[29999], 'q');
    EXPECT_OK(reader_unpin(&p, NULL));
    reader_close(r);
    file_close(f);
    fs_free(fs);
}

#ifdef EPI_FAULTS
/* How many of 400 crashes in fs_write_durable leave neither the old content nor the new one. */
static unsigned torn_durable_writes(void)
{
    unsigned bad = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs = fs_sim_new(seed);
        str s = STR_EMPTY;
        EXPECT_OK(fs_write_durable(fs, S("f"), S("the old content"), NULL));
        EXPECT_OK(fs_sync_dir(fs, STR_EMPTY, NULL));
        errc rc = fs_write_durable(fs, S("f"), S("new"), NULL);
        EXPECT_OK(rc);
        fs_sim_crash(fs, SIM_LOSE_SOME);
        errc read = fs_read_all(fs, S("f"), &a, 1000, &s, NULL);
        bad += read != OK || !str_eq(s, S("new"));
        fs_free(fs);
    }
    return bad;
}

TEST(fs_sim_finds_each_dropped_step_of_a_durable_write)
{
    static const struct {
        const char *name;
    } steps[] = { { "fs.write_durable.sync" }, { "fs.write_durable.sync_dir" } };
    EXPECT_EQ(torn_durable_writes(), 0);
    TEST_EACH(c, steps) {
        setenv("EPI_DROP", c->name, 1);
        unsigned bad = torn_durable_writes();
        unsetenv("EPI_DROP");
        EXPECT(bad > 10);
    }
}
#endif

/* After each power cut the file has the newest content that was answered with OK, or the one whose
 * writing the cut met: never a mixture. */
TEST(write_durable_survives)
{
    struct prng r = { test_seed() };
    for (int round = 0; round < 200; round++) {
        struct fs *fs = fs_sim_new(prng_u64(&r));
        uint8_t known = 0, next = 0;
        for (int cut = 0; cut < 5; cut++) {
            SCOPED(arena_fini) struct arena a = { 0 };
            fs_sim_power_off_after(fs, 1 + prng_below(&r, 20));
            for (errc rc = OK; rc == OK;) {
                uint8_t bytes[3000];
                memset(bytes, ++next, sizeof(bytes));
                rc = fs_write_durable(fs, S("f"), str_of(bytes, sizeof(bytes)), NULL);
                if (rc == OK) known = next;
            }
            fs_sim_crash(fs, SIM_LOSE_SOME);
            EXPECT(known == 0 || fs_exists(fs, S("f")));
            if (!fs_exists(fs, S("f"))) continue;
            str got = content(fs, S("f"), &a);
            EXPECT_EQ(got.n, 3000);
            EXPECT(got.p[0] == known || got.p[0] == next);
            for (size_t i = 1; i < got.n; i++) EXPECT_EQ(got.p[i], got.p[0]);
            known = got.p[0];
        }
        fs_free(fs);
    }
}
