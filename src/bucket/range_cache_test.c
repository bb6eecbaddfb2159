/* range_cache_test.c — bytes are those of the file, in few reads, within the budget, in time. */
#include "bucket/range_cache.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/test.h"
#include "bucket/page_file.h"
#include "io/fs_sim.h"
#include "io/thread.h"
#include "io/work.h"

enum {
    PAGE = 64,
    FILE_BYTES = 64 * 100 + 10,
    GAP = 128,
    PATIENCE_MS = 50,
    MIB = 1 << 20,
    LARGE_BYTES = 3 * MIB
};

struct file {
    struct mtx mu;
    struct cond changed;
    bool hang, freed;
    bool wrong; /* until it is asked anew */
    errc fail;
    unsigned reads;
    uint64_t last_off;
    size_t last_n;
};

static uint8_t byte_at(uint64_t off) { return (uint8_t)(off * 7 + off / 256); }

static errc fill(void *ctx, uint64_t off, struct spans to, bool anew, struct err *e)
{
    size_t n = spans_bytes(to);
    struct file *f = ctx;
    mtx_lock(&f->mu);
    f->reads++;
    f->last_off = off;
    f->last_n = n;
    while (f->hang) cond_wait(&f->changed, &f->mu);
    errc rc = f->fail;
    f->wrong = f->wrong && !anew;
    uint8_t flip = f->wrong ? 0xff : 0;
    mtx_unlock(&f->mu);
    for (size_t k = 0; k < to.n; off += to.at[k++].n)
        for (size_t i = 0; to.at[k].p && i < to.at[k].n; i++)
            to.at[k].p[i] = byte_at(off + i) ^ flip;
    return rc == OK ? OK : err_set(e, rc, "it was to fail");
}
static void freed(void *ctx) { ((struct file *)ctx)->freed = true; }

struct rig {
    struct file f;
    struct fs *disk;   /* of what is behind; NULL: nothing is */
    struct pool *pool;
    struct range_cache *c;
    struct range_source *s;
};

static void rig_over(
    struct rig *r, struct page_file *behind, uint64_t budget, uint64_t size, size_t queue)
{
    *r = (struct rig){ 0 };
    mtx_init(&r->f.mu, LOCK_LEAF);
    cond_init(&r->f.changed);
    r->pool = pool_new(&(struct pool_opts){ "test", 2, queue });
    r->c = range_cache_new(budget, PAGE, behind);
    r->s = range_source_new(&(struct range_source_opts){ .cache = r->c,
        .pool = r->pool,
        .what = "a file",
        .size_bytes = size,
        .gap_bytes = GAP,
        .patience_ms = PATIENCE_MS,
        .fill = fill,
        .free = freed,
        .ctx = &r->f });
    range_source_patient(r->s, true); /* who tests waiting sets it otherwise */
}
static void rig_sized(struct rig *r, uint64_t budget, uint64_t size, size_t queue)
{
    rig_over(r, NULL, budget, size, queue);
}
static void rig_init(struct rig *r, uint64_t budget) { rig_sized(r, budget, FILE_BYTES, 100); }

static void rig_behind(struct rig *r, uint64_t budget, uint64_t disk_bytes)
{
    struct page_file *behind = NULL;
    struct err e = { 0 };
    struct fs *disk = fs_sim_new(test_seed());
    EXPECT_OK_E(page_file_open(&behind, disk, S("pages"), PAGE, disk_bytes, &e), &e);
    rig_over(r, behind, budget, FILE_BYTES, 100);
    r->disk = disk;
}

static void rig_fini(struct rig *r)
{
    range_source_unref(r->s);
    pool_free(r->pool);
    EXPECT(r->f.freed);
    range_cache_free(r->c);
    EXPECT(!r->disk || !fs_exists(r->disk, S("pages")));
    fs_free(r->disk);
    cond_fini(&r->f.changed);
    mtx_fini(&r->f.mu);
}

static void set_hang(struct rig *r, bool hang)
{
    mtx_lock(&r->f.mu);
    r->f.hang = hang;
    cond_broadcast(&r->f.changed);
    mtx_unlock(&r->f.mu);
}

static void expect_bytes(struct rig *r, uint64_t off, size_t n)
{
    struct range_pin p;
    struct err e = { 0 };
    EXPECT_OK_E(range_pin(r->s, off, n, &p, &e), &e);
    EXPECT_EQ(p.bytes.n, n);
    for (size_t i = 0; i < n; i++) EXPECT_EQ(p.bytes.p[i], byte_at(off + i));
    range_unpin(r->s, p.frame);
}

TEST(any_range_is_read)
{
    struct rig r;
    struct prng rng = { test_seed() };
    rig_init(&r, 20 * PAGE);
    for (int i = 0; i < 2000; i++) {
        uint64_t off = prng_below(&rng, FILE_BYTES);
        expect_bytes(&r, off, 1 + (size_t)prng_below(&rng, MIN(FILE_BYTES - off, 600u)));
    }
    expect_bytes(&r, 0, FILE_BYTES);
    EXPECT(range_cache_stats(r.c).bytes <= 20 * PAGE);
    EXPECT(range_cache_stats(r.c).evicted > 0);
    rig_fini(&r);
}

/* Pages in [from, to) come by stretches, those outside alone. */
TEST(what_lies_beside_comes_along)
{
    struct rig r;
    rig_init(&r, 1 << 20);
    struct range_source *s = range_source_new(&(struct range_source_opts){ .cache = r.c,
        .pool = r.pool,
        .what = "the same file",
        .size_bytes = FILE_BYTES,
        .gap_bytes = GAP,
        .along = { 8 * PAGE, 10 * PAGE + 1, 30 * PAGE + 1 },
        .fill = fill,
        .ctx = &r.f });
    range_source_patient(s, true);
    struct range_source *other = r.s;
    r.s = s;
    expect_bytes(&r, 12 * PAGE + 7, 3);
    EXPECT(r.f.last_off == 11 * PAGE && r.f.last_n == 5 * PAGE);
    expect_bytes(&r, 11 * PAGE, 5 * PAGE);
    EXPECT_EQ(r.f.reads, 1);
    expect_bytes(&r, 10 * PAGE, 1);
    EXPECT(r.f.last_off == 10 * PAGE && r.f.last_n == PAGE);
    expect_bytes(&r, 29 * PAGE, 1);
    EXPECT(r.f.last_off == 24 * PAGE && r.f.last_n == 6 * PAGE);
    expect_bytes(&r, 30 * PAGE, 1);
    EXPECT(r.f.last_off == 30 * PAGE && r.f.last_n == PAGE);
    r.s = other;
    range_source_unref(s);
    rig_fini(&r);
}

/* Only pages that came whole, within the budget. */
TEST(what_came_otherwise_is_not_read)
{
    struct rig r;
    uint8_t bytes[FILE_BYTES];
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = byte_at(i);
    rig_init(&r, 20 * PAGE);
    range_put(r.s, 2 * PAGE + 1, str_of(bytes + 2 * PAGE + 1, 3 * PAGE));
    range_put(r.s, FILE_BYTES - PAGE, str_of(bytes + FILE_BYTES - PAGE, PAGE));
    expect_bytes(&r, 3 * PAGE, 2 * PAGE);
    expect_bytes(&r, FILE_BYTES - 10, 10);
    EXPECT_EQ(r.f.reads, 0);
    expect_bytes(&r, 2 * PAGE, 1);
    expect_bytes(&r, 5 * PAGE, 1);
    EXPECT_EQ(r.f.reads, 2);
    range_put(r.s, 0, str_of(bytes, sizeof(bytes)));
    EXPECT(range_cache_stats(r.c).bytes <= 20 * PAGE);
    range_put(r.s, 0, STR_EMPTY);
    range_put(r.s, FILE_BYTES, STR_EMPTY);
    rig_fini(&r);
}

TEST(what_was_announced_comes_along)
{
    struct rig r;
    rig_init(&r, 1 << 20);
    range_want(r.s, 10 * PAGE, PAGE);
    range_want(r.s, 12 * PAGE + 5, 10); /* within the gap */
    range_want(r.s, 40 * PAGE, 2 * PAGE);
    EXPECT_EQ(r.f.reads, 0);
    expect_bytes(&r, 9 * PAGE, 3);
    EXPECT(r.f.reads >= 1);
    expect_bytes(&r, 10 * PAGE, PAGE);
    expect_bytes(&r, 12 * PAGE, PAGE);
    expect_bytes(&r, 40 * PAGE, 2 * PAGE);
    EXPECT_EQ(r.f.reads, 2);
    rig_fini(&r);
}

/* A page is fetched by some thread, once; its bytes are those of who used it first. */
/* Though less is to be loaded at once than they are. */
TEST(few_that_were_announced_come_along_in_any_case)
{
    struct rig r;
    rig_init(&r, 2 * PAGE);
    range_want(r.s, 0, 10 * PAGE);
    expect_bytes(&r, 10 * PAGE, 5);
    EXPECT(r.f.reads == 1 && r.f.last_off == 0 && r.f.last_n == 11 * PAGE);
    rig_fini(&r);
}

static void piece_of_hanging(void *ctx, size_t i)
{
    struct rig *r = ctx;
    if (i == 3) set_hang(r, false);
    expect_bytes(r, i * 10 * PAGE, 5);
}

/* Three wait, with two threads for them on a small machine: the fourth, which ends it, runs. */
TEST(who_waits_has_another_piece_run)
{
    struct rig r;
    struct pool *p = pool_new(&(struct pool_opts){ "pieces", 4, 10 });
    rig_init(&r, MIB);
    set_hang(&r, true);
    pool_each_far(p, 4, piece_of_hanging, &r);
    pool_free(p);
    rig_fini(&r);
}

TEST(bytes_are_told_to_who_asked)
{
    struct rig r;
    rig_init(&r, 1 << 20);
    uint64_t before = io_work.bucket_bytes;
    range_want(r.s, 12 * PAGE, PAGE);
    expect_bytes(&r, 10 * PAGE, 5);
    EXPECT_EQ(io_work.bucket_bytes - before, PAGE);
    expect_bytes(&r, 10 * PAGE + 7, 5);
    EXPECT_EQ(io_work.bucket_bytes - before, PAGE);
    expect_bytes(&r, 12 * PAGE, 5);
    expect_bytes(&r, 11 * PAGE, 2 * PAGE);
    EXPECT_EQ(io_work.bucket_bytes - before, 3 * PAGE);
    rig_fini(&r);
}

TEST(who_asks_waits_for_a_time)
{
    struct rig r;
    struct range_pin p;
    struct err e = { 0 };
    rig_init(&r, 1 << 20);
    range_source_patient(r.s, false);
    set_hang(&r, true);
    int64_t since = clock_mono_ns();
    EXPECT_EQ(range_pin(r.s, 0, 1, &p, &e), ERR_TIMEOUT);
    EXPECT(clock_mono_ns() - since >= (PATIENCE_MS - 1) * INT64_C(1000000));
    EXPECT_EQ(range_pin(r.s, 0, 1, &p, &e), ERR_UNAVAILABLE);
    EXPECT_EQ(range_pin(r.s, 50 * PAGE, 1, &p, &e), ERR_UNAVAILABLE);
    set_hang(&r, false);
    errc rc = ERR_UNAVAILABLE;
    for (int i = 0; i < 1000 && rc != OK; i++) {
        rc = range_pin(r.s, 0, 1, &p, &e);
        if (rc != OK) clock_sleep_ns(1000000);
    }
    EXPECT_OK(rc);
    range_unpin(r.s, p.frame);
    rig_fini(&r);
}

TEST(a_failure_is_told_and_forgotten)
{
    struct rig r;
    struct range_pin p;
    struct err e = { 0 };
    rig_init(&r, 1 << 20);
    r.f.fail = ERR_CORRUPT;
    EXPECT_EQ(range_pin(r.s, 100, 300, &p, &e), ERR_CORRUPT);
    EXPECT_STR(err_str(&e), S("a file: it was to fail"));
    r.f.fail = OK;
    expect_bytes(&r, 100, 300);
    rig_fini(&r);
}

/* ---- reads that are too large for the pages: each is its waiter's alone */

static bool bytes_right(str bytes, uint64_t off)
{
    for (size_t i = 0; i < bytes.n; i++)
        if (bytes.p[i] != byte_at(off + i)) return false;
    return true;
}

static void large_right(struct rig *r, uint64_t off, size_t n)
{
    struct range_pin p;
    struct err e = { 0 };
    EXPECT_OK_E(range_pin(r->s, off, n, &p, &e), &e);
    EXPECT_EQ(p.bytes.n, n);
    EXPECT(bytes_right(p.bytes, off));
    range_unpin(r->s, p.frame);
}

TEST(large_reads_go_past_the_pages)
{
    static const struct {
        const char *name;
        uint64_t off;
        size_t n;
        bool alone;
    } rows[] = {
        { "as much as pages take", 0, MIB, false },
        { "one byte more", 0, MIB + 1, true },
        { "within", 12345, MIB + 777, true },
        { "to the end", LARGE_BYTES - MIB - 5, MIB + 5, true },
        { "all", 0, LARGE_BYTES, true },
    };
    TEST_EACH(row, rows)
    {
        struct rig r;
        rig_sized(&r, LARGE_BYTES, LARGE_BYTES, 100);
        large_right(&r, row->off, row->n);
        struct range_stats s = range_cache_stats(r.c);
        EXPECT_EQ(s.reads, 1);
        EXPECT_EQ(s.read_bytes, row->n);
        EXPECT_EQ(s.bytes, row->alone ? 0 : row->n);
        large_right(&r, row->off, row->n);
        EXPECT_EQ(range_cache_stats(r.c).reads, row->alone ? 2 : 1);
        rig_fini(&r);
    }
}

struct reading { struct rig *r; uint64_t seed; bool right; };
static void read_many(void *ctx)
{
    struct reading *x = ctx;
    struct prng rng = { x->seed };
    x->right = true;
    for (int i = 0; i < 20; i++) {
        struct range_pin p;
        size_t n = MIB + 1 + (size_t)prng_below(&rng, 4096);
        uint64_t off = prng_below(&rng, LARGE_BYTES - n);
        if (i % 4 == 3) n = 1 + (size_t)prng_below(&rng, 4096); /* pages between them */
        errc rc = range_pin(x->r->s, off, n, &p, NULL);
        if (rc != OK) x->right = false;
        if (rc != OK) continue;
        /* the first and last bytes: the middle is for large_right */
        x->right = x->right && p.bytes.n == n && bytes_right(str_slice(p.bytes, 0, 500), off) &&
                   bytes_right(str_from(p.bytes, n - MIN(n, 500u)), off + n - MIN(n, 500u));
        range_unpin(x->r->s, p.frame);
    }
}

TEST(large_reads_of_many_at_once)
{
    enum { READERS = 4 };
    struct rig r;
    struct reading x[READERS];
    struct thread *t[READERS];
    rig_sized(&r, MIB, LARGE_BYTES, 100);
    for (unsigned i = 0; i < READERS; i++) {
        x[i] = (struct reading){ &r, test_seed() + i, false };
        t[i] = thread_start("reader", read_many, &x[i]);
    }
    for (unsigned i = 0; i < READERS; i++) {
        thread_join(t[i]);
        EXPECT(x[i].right);
    }
    EXPECT(range_cache_stats(r.c).bytes <= MIB);
    rig_fini(&r);
}

TEST(a_large_read_that_hangs_is_left_alone)
{
    struct rig r;
    struct range_pin p;
    struct err e = { 0 };
    rig_sized(&r, MIB, LARGE_BYTES, 100);
    range_source_patient(r.s, false);
    set_hang(&r, true);
    EXPECT_EQ(range_pin(r.s, 5, MIB + 1, &p, &e), ERR_TIMEOUT);
    EXPECT_EQ(range_pin(r.s, 5, MIB + 1, &p, &e), ERR_UNAVAILABLE);
    EXPECT_EQ(range_pin(r.s, 5, 1, &p, &e), ERR_UNAVAILABLE);
    set_hang(&r, false);
    /* the read that nobody waits for ends by itself, and its bytes go */
    range_source_patient(r.s, true);
    large_right(&r, 7, MIB + 1);
    rig_fini(&r);
}

TEST(a_large_read_that_fails_is_told_and_forgotten)
{
    struct rig r;
    struct range_pin p;
    struct err e = { 0 };
    rig_sized(&r, MIB, LARGE_BYTES, 100);
    r.f.fail = ERR_IO;
    EXPECT_EQ(range_pin(r.s, 0, 2 * MIB, &p, &e), ERR_IO);
    EXPECT_STR(err_str(&e), S("a file: it was to fail"));
    r.f.fail = OK;
    large_right(&r, 0, 2 * MIB);
    rig_fini(&r);
}

static void reads_await(struct rig *r, unsigned n)
{
    for (unsigned seen = 0; seen < n;) {
        mtx_lock(&r->f.mu);
        seen = r->f.reads;
        mtx_unlock(&r->f.mu);
        if (seen < n) clock_sleep_ns(1000000);
    }
}

/* A read for each of the pool's two threads, one that waits: what comes then is refused. */
TEST(where_too_many_reads_wait_more_are_refused)
{
    struct rig r;
    struct range_pin p;
    struct err e = { 0 };
    rig_sized(&r, MIB, LARGE_BYTES, 1);
    set_hang(&r, true);
    struct range_source *other[3];
    for (unsigned i = 0; i < 3; i++) {
        other[i] = range_source_new(&(struct range_source_opts){ .cache = r.c,
            .pool = r.pool,
            .what = "another",
            .size_bytes = FILE_BYTES,
            .patience_ms = 1,
            .fill = fill,
            .ctx = &r.f });
        EXPECT_EQ(range_pin(other[i], 0, 1, &p, &e), ERR_TIMEOUT);
        reads_await(&r, MIN(i + 1, 2u));
    }
    EXPECT_EQ(range_pin(r.s, 0, 2 * MIB, &p, &e), ERR_LIMIT);
    EXPECT_STR(err_str(&e), S("a file: too many reads wait for a bucket"));
    EXPECT_EQ(range_pin(r.s, 0, 100, &p, &e), ERR_LIMIT);
    set_hang(&r, false);
    for (int i = 0; i < 3; i++) range_source_unref(other[i]);
    rig_fini(&r);
}

/* ---- a file behind */

static void ranges_expect(struct rig *r, int times)
{
    struct prng rng = { test_seed() };
    for (int i = 0; i < times; i++) {
        uint64_t off = prng_below(&rng, FILE_BYTES);
        expect_bytes(r, off, 1 + (size_t)prng_below(&rng, MIN(FILE_BYTES - off, 600u)));
    }
}

/* Memory for four pages, a disk for all: each byte comes once. */
TEST(what_memory_has_no_room_for_comes_from_the_file_behind)
{
    struct rig r;
    rig_behind(&r, 4 * PAGE, MIB);
    ranges_expect(&r, 1000);
    expect_bytes(&r, 0, FILE_BYTES);
    struct range_stats s = range_cache_stats(r.c);
    EXPECT(s.read_bytes <= FILE_BYTES + GAP * s.reads);
    EXPECT(s.disk_hits > 100);
    unsigned reads = r.f.reads;
    ranges_expect(&r, 1000);
    EXPECT_EQ(r.f.reads, reads);
    rig_fini(&r);
}

/* Memory for four pages, a disk for twenty: pages make room there, too. */
TEST(pages_make_room_in_the_file_behind)
{
    struct rig r;
    rig_behind(&r, 4 * PAGE, 20 * PAGE + PAGE / 2);
    ranges_expect(&r, 3000);
    struct range_stats s = range_cache_stats(r.c);
    EXPECT(s.disk_bytes <= 20 * PAGE);
    EXPECT(s.disk_hits > 0);
    uint64_t n;
    struct file *f;
    struct err e = { 0 };
    EXPECT_OK_E(fs_open(&f, r.disk, S("pages"), FS_READ, &e), &e);
    EXPECT_OK_E(file_size(f, &n, &e), &e);
    EXPECT(n <= 20 * PAGE);
    file_close(f);
    rig_fini(&r);
}

TEST(pages_that_were_put_are_behind_too)
{
    struct rig r;
    uint8_t all[FILE_BYTES];
    for (size_t i = 0; i < sizeof(all); i++) all[i] = byte_at(i);
    rig_behind(&r, 4 * PAGE, MIB);
    range_put(r.s, 0, str_of(all, sizeof(all)));
    ranges_expect(&r, 100);
    EXPECT_EQ(r.f.reads, 0);
    rig_fini(&r);
}

/* What comes back from there is not what was written: it is read anew. */
TEST(damage_of_the_file_behind_is_not_believed)
{
    struct rig r;
    struct file *f;
    uint64_t done;
    struct err e = { 0 };
    static const uint8_t wrong[FILE_BYTES];
    str bytes = str_of(wrong, sizeof(wrong));
    rig_behind(&r, 4 * PAGE, MIB);
    expect_bytes(&r, 0, FILE_BYTES);
    unsigned reads = r.f.reads;
    while (range_cache_stats(r.c).disk_bytes < FILE_BYTES) clock_sleep_ns(1000000);
    EXPECT_OK_E(fs_open(&f, r.disk, S("pages"), FS_READ | FS_WRITE, &e), &e);
    EXPECT_OK_E(file_pwrite(f, &bytes, 1, 0, &done, &e), &e);
    ranges_expect(&r, 1000);
    expect_bytes(&r, 0, FILE_BYTES);
    EXPECT(r.f.reads > reads);
    while (range_cache_stats(r.c).disk_bytes < FILE_BYTES) clock_sleep_ns(1000000);
    EXPECT_OK_E(file_truncate(f, 0, &e), &e);
    ranges_expect(&r, 1000);
    file_close(f);
    rig_fini(&r);
}

/* A disk that fails now and then, and one that fills up. */
TEST(a_disk_that_fails_costs_reads_alone)
{
    struct rig r;
    rig_behind(&r, 4 * PAGE, MIB);
    fs_sim_fail_rate(r.disk, SIM_OP(STALL_READ), 300000, ERR_IO);
    ranges_expect(&r, 500);
    fs_sim_capacity(r.disk, fs_sim_used(r.disk) + 1);
    ranges_expect(&r, 500);
    fs_sim_fail_rate(r.disk, SIM_OPS_ALL, 0, OK);
    rig_fini(&r);
}

TEST(what_is_forgotten_is_read_anew_with_a_file_behind)
{
    struct rig r;
    struct range_pin p;
    struct err e = { 0 };
    rig_behind(&r, 4 * PAGE, MIB);
    expect_bytes(&r, 0, 10 * PAGE);
    EXPECT_OK_E(range_pin(r.s, 0, 5, &p, &e), &e); /* this page is held meanwhile */
    unsigned reads = r.f.reads;
    range_source_forget(r.s);
    expect_bytes(&r, 0, 10 * PAGE);
    EXPECT_EQ(r.f.reads, reads + 1);
    EXPECT_EQ(r.f.last_n, 10 * PAGE);
    range_unpin(r.s, p.frame);
    rig_fini(&r);
}

static uint8_t first_of(struct rig *r, uint64_t off, size_t n)
{
    struct range_pin p;
    struct err e = { 0 };
    EXPECT_OK_E(range_pin(r->s, off, n, &p, &e), &e);
    uint8_t one = p.bytes.p[0];
    range_unpin(r->s, p.frame);
    return one;
}

/* In memory, in the file behind, and read past both; held by somebody or not. */
TEST(what_came_wrong_is_read_anew_once)
{
    static const struct {
        const char *name;
        uint64_t budget, disk, off, n;
        bool held;
    } rows[] = {
        { "in memory", MIB, 0, 3 * PAGE + 5, 2 * PAGE, false },
        { "held", MIB, 0, 3 * PAGE + 5, 2 * PAGE, true },
        { "on the disk", 1, MIB, 3 * PAGE + 5, 2 * PAGE, false },
        { "gone meanwhile", 1, 0, 3 * PAGE + 5, 2 * PAGE, false },
        { "alone", MIB, 0, 7, 2 * MIB, false },
    };
    TEST_EACH(row, rows)
    {
        struct rig r;
        struct range_pin held = { 0 };
        struct err e = { 0 };
        if (row->disk) rig_behind(&r, row->budget, row->disk);
        else rig_sized(&r, row->budget, row->n > PAGE * 100 ? LARGE_BYTES : FILE_BYTES, 100);
        uint8_t right = byte_at(row->off), wrong = right ^ 0xff;
        r.f.wrong = true;
        EXPECT_EQ(first_of(&r, row->off, row->n), wrong);
        EXPECT_EQ(first_of(&r, row->off, row->n), wrong); /* nobody told */
        if (row->held) EXPECT_OK_E(range_pin(r.s, row->off, 1, &held, &e), &e);
        EXPECT(range_again(r.s, row->off, row->n));
        expect_bytes(&r, row->off, row->n);
        EXPECT(!r.f.wrong);
        if (row->held) {
            EXPECT_EQ(held.bytes.p[0], wrong); /* as long as it is pinned */
            range_unpin(r.s, held.frame);
        }
        /* wrong again: what was read anew just now is not read anew for ever */
        bool kept = row->budget > 1 || row->disk;
        EXPECT_EQ(range_again(r.s, row->off, row->n), !kept);
        expect_bytes(&r, row->off, row->n);
        rig_fini(&r);
    }
}
