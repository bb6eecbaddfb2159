/* compaction_test.c — hours of samples into a database on a simulated disk: what is asked must not
 * change when the head becomes blocks. */
#include "base/clock.h"
#include "base/log.h"
#include "base/test.h"
#include "head/head.h"
#include "io/fs_sim.h"
#include "tsdb/blocks.h"
#include "tsdb/db.h"

#include <stdio.h>

enum { SERIES = 20, STEP_MS = 60000, HOUR = 60 };              /* HOUR: rounds */
#define T0 1700000000000ll

static void log_nothing(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

static struct db_opts opts_of(struct fs *fs)
{
    return (struct db_opts){ .fs = fs,
        .backend = IO_BUFFERED,
        .no_thread = true,
        .wal_compress = COMPRESS_NONE,
        .wal_segment_bytes = 32768,
        .chunk_file_bytes = 8192,
        .samples_per_chunk = 20,
        .fsync_interval_ms = 1000 };
}

static struct db *open_db(const struct db_opts *o, struct db_opened *what)
{
    struct db *db = NULL;
    struct err e = { 0 };
    EXPECT_OK_E(db_open(&db, o, what, &e), &e);
    return db;
}

static double value_of(unsigned i, int round)
{
    return i % 3 == 0   ? (double)(round / 100)
           : i % 3 == 1 ? round * 0.1 * i
                        : (double)((round * 7919) % 1000);
}

/* Series 0 … SERIES - 1 of one generation: with each, others come and the old ones go. */
static void put_round(struct db *db, int round, int generation)
{
    struct appendable *s = db_appendable(db);
    struct appender *a = NULL;
    EXPECT_OK(s->ops->begin(s, &a, NULL));
    for (unsigned i = 0; i < SERIES; i++) {
        char id[16], gen[16];
        int n = snprintf(id, sizeof(id), "%u", i),
            m = snprintf(gen, sizeof(gen), "%d", i < SERIES / 2 ? 0 : generation);
        struct label l[] = { { METRIC_NAME, S("m") }, { S("gen"), str_of(gen, (size_t)m) },
            { S("id"), str_of(id, (size_t)n) } };
        series_handle h = 0;
        EXPECT_OK(a->ops->series(a, (struct labels){ l, 3 }, &h, NULL));
        EXPECT_OK(a->ops->append(a, h, T0 + (int64_t)round * STEP_MS, value_of(i, round), 0, NULL));
    }
    EXPECT_OK(a->ops->commit(a, NULL));
}

static void fill(struct db *db, int from, int to)
{
    for (int round = from; round < to; round++) put_round(db, round, round / (2 * HOUR));
}

static void dump(struct db *db, struct buf *out)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    SCOPED(sample_iter_freep) struct sample_iter *it = NULL;
    struct matcher all = { .type = MATCH_EQ };
    struct select_hints hints = { .start = INT64_MIN, .end = INT64_MAX, .sorted = true };
    buf_reset(out);
    EXPECT_OK(db_queryable(db)->ops->querier(db_queryable(db), INT64_MIN, INT64_MAX, &q, NULL));
    EXPECT_OK(q->ops->select(q, (struct matchers){ &all, 1 }, &hints, &set, NULL));
    for (;;) {
        struct series *s = NULL;
        struct err e = { 0 };
        EXPECT_OK_E(set->ops->next(set, &s, &e), &e);
        if (!s) return;
        EXPECT_OK(s->ops->iterate(s, &it, NULL));
        buf_labels(out, s->labels);
        for (struct sample_batch b = { .n = 1 }; b.n;) {
            EXPECT_OK_E(sample_iter_fill(it, &b, &e), &e);
            for (size_t i = 0; i < b.n; i++) buf_fmt(out, " %" PRId64 "=%a", b.t[i], b.v[i]);
        }
    }
}

static size_t count_blocks(struct fs *fs, bool whole)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    ulid id;
    size_t n = 0;
    EXPECT_OK(fs_list(fs, STR_EMPTY, &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) {
        str base = STR_EMPTY, rest = STR_EMPTY;
        bool dot = str_cut(all.at[i].name, '.', &base, &rest);
        if (ulid_parse(base, &id) && dot != whole) n++;
    }
    vec_fini(&all);
    return n;
}

TEST(head_becomes_blocks)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = opts_of(fs);
    struct db_opened what = { 0 };
    struct buf before = { 0 }, after = { 0 };
    struct err e = { 0 };
    log_capture(log_nothing, NULL);
    struct db *db = open_db(&o, &what);
    fill(db, 0, 9 * HOUR);
    dump(db, &before);
    EXPECT_OK_E(db_compact(db, &e), &e);
    dump(db, &after);
    EXPECT_EQ(after.n, before.n);
    EXPECT(str_eq(buf_view(&before), buf_view(&after)));
    EXPECT(count_blocks(fs, true) >= 2);
    EXPECT_EQ(count_blocks(fs, false), 0);
    EXPECT(!head_compactable(db_head(db)));
    /* those of the old generations are gone */
    EXPECT(head_series_count(db_head(db)) < 2 * SERIES);
    EXPECT(!fs_exists(fs, S("wal/00000000")));
    db_abandon(db);
    fs_sim_crash(fs, SIM_KILLED);
    db = open_db(&o, &what);
    EXPECT_EQ(what.corruptions, 0);
    EXPECT_EQ(what.unknown_refs, 0);
    EXPECT(what.samples < 5 * HOUR * SERIES);                  /* the log was cut */
    dump(db, &after);
    EXPECT(str_eq(buf_view(&before), buf_view(&after)));
    fill(db, 9 * HOUR, 12 * HOUR);
    dump(db, &before);
    EXPECT_OK_E(db_compact(db, &e), &e);
    dump(db, &after);
    EXPECT(str_eq(buf_view(&before), buf_view(&after)));
    EXPECT_OK(db_close(db, NULL));
    log_capture(NULL, NULL);
    buf_fini(&before);
    buf_fini(&after);
    fs_free(fs);
}

/* The power goes after a compaction, and again after old blocks went: what was written stays, what
 * was removed stays away. Each step of durability of a block (block.*, blocks.*) that is left out
 * is missed here. */
TEST(power_cuts_after_compaction)
{
    log_capture(log_nothing, NULL);
    for (uint64_t i = 0; i < 4; i++) {
        struct fs *fs = fs_sim_new(test_seed() + i);
        struct db_opts o = opts_of(fs);
        struct db_opened what = { 0 };
        struct buf before = { 0 }, after = { 0 };
        struct err e = { 0 };
        struct db *db = open_db(&o, &what);
        fill(db, 0, 9 * HOUR);
        EXPECT_OK_E(db_compact(db, &e), &e);
        EXPECT_OK(db_sync(db, NULL));
        dump(db, &before);
        int blocks = (int)count_blocks(fs, true);
        db_abandon(db);
        fs_sim_crash(fs, i % 2 ? SIM_LOSE_SOME : SIM_LOSE_ALL);
        EXPECT_EQ(count_blocks(fs, true), blocks);
        db = open_db(&o, &what);
        EXPECT_EQ(what.corruptions, 0);
        dump(db, &after);
        EXPECT(str_eq(buf_view(&before), buf_view(&after)));
        db_set_retention(db, (struct retention){ .bytes = 1 });
        db_tick(db);
        blocks = (int)count_blocks(fs, true);
        db_abandon(db);
        fs_sim_crash(fs, SIM_LOSE_ALL);
        EXPECT_EQ(count_blocks(fs, true), blocks);
        buf_fini(&before);
        buf_fini(&after);
        fs_free(fs);
    }
    log_capture(NULL, NULL);
}

TEST(blocks_become_larger_and_old_ones_go)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = opts_of(fs);
    struct db_opened what = { 0 };
    struct buf before = { 0 }, after = { 0 };
    struct err e = { 0 };
    log_capture(log_nothing, NULL);
    struct db *db = open_db(&o, &what);
    for (int hour = 0; hour < 40; hour += 2) {
        fill(db, hour * HOUR, (hour + 2) * HOUR);
        EXPECT_OK_E(db_compact(db, &e), &e);
    }
    dump(db, &before);
    EXPECT(count_blocks(fs, true) <= 8);                       /* of 18 of two hours each */
    EXPECT_OK(db_close(db, NULL));
    db = open_db(&o, &what);
    dump(db, &after);
    EXPECT(str_eq(buf_view(&before), buf_view(&after)));
    db_set_retention(db, (struct retention){ .ms = 10 * 3600000ll });
    db_tick(db);
    dump(db, &after);
    EXPECT(after.n < before.n && after.n > before.n / 8);
    db_set_retention(db, (struct retention){ .bytes = 1 });
    clock_fake_set(clock_wall_ms() + 100000);
    db_tick(db);
    EXPECT_EQ(count_blocks(fs, true), 0);
    clock_fake_off();
    EXPECT_OK(db_close(db, NULL));
    log_capture(NULL, NULL);
    buf_fini(&before);
    buf_fini(&after);
    fs_free(fs);
}

/* A day in six lives, each of them by the clock's time; the last samples are 30 hours old then, or
 * from far ahead, or the clock went back in between. */
static size_t day_by_clock(const int64_t wall_ms[6], struct buf *out)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = opts_of(fs);
    struct db_opened what = { 0 };
    struct err e = { 0 };
    o.retention.ms = 10 * 3600000ll;
    for (int i = 0; i < 6; i++) {
        clock_fake_set(wall_ms[i]);
        struct db *db = open_db(&o, &what);
        fill(db, i * 4 * HOUR, (i + 1) * 4 * HOUR);
        EXPECT_OK_E(db_compact(db, &e), &e);
        clock_fake_advance(100000);
        db_tick(db);
        if (i == 5) dump(db, out);
        EXPECT_OK_E(db_close(db, &e), &e);
    }
    clock_fake_off();
    size_t blocks = count_blocks(fs, true);
    fs_free(fs);
    return blocks;
}

/* What becomes a block, what is too old and what may be appended is decided by samples alone. */
TEST(a_clock_that_jumps_changes_nothing)
{
    enum { DAY_MS = 86400000 };
    static const struct { const char *name; int64_t wall_ms[6]; } cases[] = {
        { "1970", { 1000, 2000, 3000, 4000, 5000, 6000 } },
        { "far ahead, and back", { T0, T0 + 36500ll * DAY_MS, T0, T0, T0 + DAY_MS, T0 + DAY_MS } },
        { "back, and ahead", { T0, T0 - 5000ll * DAY_MS, T0 + DAY_MS, 0, T0, T0 + 9 * DAY_MS } },
    };
    static const int64_t right[6] = { T0, T0 + DAY_MS / 4, T0 + DAY_MS / 3, T0 + DAY_MS / 2,
        T0 + DAY_MS, T0 + DAY_MS + DAY_MS / 4 };
    struct buf want = { 0 }, got = { 0 };
    log_capture(log_nothing, NULL);
    size_t blocks = day_by_clock(right, &want);
    EXPECT(blocks > 2 && want.n > 0);
    TEST_EACH(c, cases) {
        EXPECT_EQ(day_by_clock(c->wall_ms, &got), blocks);
        EXPECT(str_eq(buf_view(&got), buf_view(&want)));
    }
    log_capture(NULL, NULL);
    buf_fini(&want);
    buf_fini(&got);
}

TEST(what_is_deleted_stays_deleted)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = opts_of(fs);
    struct db_opened what = { 0 };
    struct buf before = { 0 }, after = { 0 };
    struct err e = { 0 };
    log_capture(log_nothing, NULL);
    struct db *db = open_db(&o, &what);
    fill(db, 0, 9 * HOUR);
    EXPECT_OK_E(db_compact(db, &e), &e);
    fill(db, 9 * HOUR, 10 * HOUR);
    struct matcher m = { .type = MATCH_EQ, .name = S("id"), .value = S("3") };
    EXPECT_OK_E(db_delete(db, (struct matchers){ &m, 1 }, T0 + 2 * HOUR * STEP_MS,
                    T0 + 9 * HOUR * STEP_MS + 1, &e),
        &e);
    dump(db, &before);
    fill(db, 10 * HOUR, 10 * HOUR + 1);
    dump(db, &before);
    EXPECT_OK_E(db_compact(db, &e), &e);
    dump(db, &after);
    EXPECT(str_eq(buf_view(&before), buf_view(&after)));
    EXPECT_OK(db_close(db, NULL));
    db = open_db(&o, &what);
    dump(db, &after);
    EXPECT(str_eq(buf_view(&before), buf_view(&after)));
    /* those blocks are compacted: the deletion is done for good */
    fill(db, 10 * HOUR + 1, 24 * HOUR);
    EXPECT_OK_E(db_compact(db, &e), &e);
    dump(db, &after);
    EXPECT(str_find(buf_view(&after), S("id=\"3\"")) != SIZE_MAX);
    EXPECT_OK(db_close(db, NULL));
    log_capture(NULL, NULL);
    buf_fini(&before);
    buf_fini(&after);
    fs_free(fs);
}

static void copy_segments(struct fs *fs, str from, str to, uint32_t below)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    uint64_t n;
    EXPECT_OK(fs_mkdir(fs, to, NULL));
    EXPECT_OK(fs_list(fs, from, &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) {
        str name = all.at[i].name;
        if (all.at[i].is_dir || !str_u64(name, &n) || n > below) continue;
        EXPECT_OK(fs_copy(fs, path_join(&a, from, name), path_join(&a, to, name), NULL));
    }
    vec_fini(&all);
}

/* Few samples and many segments: each opening begins one. */
static struct db *fill_segments(struct db *db, const struct db_opts *o)
{
    struct db_opened what = { 0 };
    for (int round = 0; round < 340; round += 20) put_round(db, round, 0);
    for (int part = 0; part < 6; part++) {
        for (int round = 350 + 8 * part; round < 358 + 8 * part; round++) put_round(db, round, 0);
        EXPECT_OK(db_close(db, NULL));
        db = open_db(o, &what);
    }
    return db;
}

/* Segments that a checkpoint holds are there again, as if the power had gone before their deletion
 * was done: the next checkpoint does not take them in once more, behind what came after them. */
TEST(segments_of_a_checkpoint_are_not_read_twice)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = opts_of(fs);
    struct db_opened what = { 0 };
    struct buf before = { 0 }, after = { 0 };
    struct err e = { 0 };
    o.samples_per_chunk = 120;                 /* the log alone has them */
    log_capture(log_nothing, NULL);
    struct db *db = open_db(&o, &what);
    db = fill_segments(db, &o);
    copy_segments(fs, S("wal"), S("kept"), 1);
    EXPECT_OK_E(db_compact(db, &e), &e);
    EXPECT(!fs_exists(fs, S("wal/00000001")));
    EXPECT_OK(db_close(db, NULL));
    copy_segments(fs, S("kept"), S("wal"), 1);
    db = open_db(&o, &what);
    EXPECT_EQ(what.corruptions, 0);
    for (int round = 410; round < 450; round += 20) put_round(db, round, 0);
    EXPECT_OK_E(db_compact(db, &e), &e);
    dump(db, &before);
    EXPECT_OK(db_sync(db, NULL));
    db_abandon(db);
    fs_sim_crash(fs, SIM_LOSE_ALL);
    db = open_db(&o, &what);
    dump(db, &after);
    EXPECT(str_eq(buf_view(&before), buf_view(&after)));
    EXPECT_OK(db_close(db, NULL));
    log_capture(NULL, NULL);
    buf_fini(&before);
    buf_fini(&after);
    fs_free(fs);
}

/* The power goes at any point of a compaction of the head, of which the log is cut at the end: what
 * was synced is there. The steps checkpoint.fsync and checkpoint.dir_fsync left out: it is not. */
TEST(power_cuts_in_a_compaction)
{
    log_capture(log_nothing, NULL);
    for (uint64_t nth = 1, done = 0; !done; nth += TEST_STRIDE) {
        struct fs *fs = fs_sim_new(test_seed() + nth);
        struct db_opts o = opts_of(fs);
        struct db_opened what = { 0 };
        struct buf before = { 0 }, after = { 0 };
        o.samples_per_chunk = 120;
        struct db *db = fill_segments(open_db(&o, &what), &o);
        EXPECT_OK(db_sync(db, NULL));
        dump(db, &before);
        fs_sim_power_off_after(fs, nth);
        errc rc = db_compact(db, NULL);
        done = rc == OK;
        EXPECT(rc == OK || fs_sim_is_off(fs));
        db_abandon(db);
        fs_sim_crash(fs, nth % 3 ? SIM_LOSE_SOME : SIM_LOSE_ALL);
        db = open_db(&o, &what);
        EXPECT_EQ(what.unknown_refs, 0);
        dump(db, &after);
        EXPECT(str_eq(buf_view(&before), buf_view(&after)));
        EXPECT_OK(db_close(db, NULL));
        buf_fini(&before);
        buf_fini(&after);
        fs_free(fs);
    }
    log_capture(NULL, NULL);
}

static void put_byte(struct fs *fs, str path, uint64_t off, uint8_t is)
{
    struct file *f = NULL;
    uint64_t done;
    str byte = str_of(&is, 1);
    EXPECT_OK(fs_open(&f, fs, path, FS_READ | FS_WRITE, NULL));
    EXPECT_OK(file_pwrite(f, &byte, 1, off, &done, NULL));
    EXPECT_OK(file_sync(f, NULL));
    file_close(f);
}

/* A block as Prometheus 2.1.0 left it is repaired for good. The step blocks.version2_fsync left
 * out: its index says another version than it has. */
TEST(repaired_version_survives)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = opts_of(fs);
    struct db_opened what = { 0 };
    struct arena a = { 0 };
    struct buf before = { 0 }, after = { 0 };
    fs_entries all = { 0 };
    ulid id;
    log_capture(log_nothing, NULL);
    struct db *db = open_db(&o, &what);
    fill(db, 0, 5 * HOUR);
    EXPECT_OK(db_compact(db, NULL));
    dump(db, &before);
    EXPECT_OK(db_close(db, NULL));
    EXPECT_OK(fs_list(fs, STR_EMPTY, &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) {
        if (!ulid_parse(all.at[i].name, &id)) continue;
        str path = path_join(&a, all.at[i].name, S("meta.json")), json = STR_EMPTY;
        EXPECT_OK(fs_read_all(fs, path, &a, 1 << 20, &json, NULL));
        size_t at = str_find(json, S("\"version\": 1"));
        if (at == SIZE_MAX) at = str_find(json, S("\"version\":1")) - 1;
        EXPECT(at < json.n);
        put_byte(fs, path, at + S("\"version\": ").n, '2');
        put_byte(fs, path_join(&a, all.at[i].name, S("index")), 4, 1);
    }
    db = open_db(&o, &what);
    fs_sim_crash(fs, SIM_LOSE_ALL);
    db_abandon(db);
    db = open_db(&o, &what);
    EXPECT(what.blocks > 0 && what.blocks_set_aside + what.blocks_skipped == 0);
    dump(db, &after);
    EXPECT(str_eq(buf_view(&before), buf_view(&after)));
    EXPECT_OK(db_close(db, NULL));
    log_capture(NULL, NULL);
    vec_fini(&all);
    arena_fini(&a);
    buf_fini(&before);
    buf_fini(&after);
    fs_free(fs);
}

/* A deletion fails halfway, at any point, and the database is closed as if nothing was: what the
 * next opening shows, a power cut does not undo. */
TEST(failed_deletion_stays_as_it_is)
{
    struct matcher m = { .type = MATCH_EQ, .name = S("id"), .value = S("3") };
    log_capture(log_nothing, NULL);
    for (uint64_t nth = 1; nth < 24; nth++) {
        struct fs *fs = fs_sim_new(test_seed() + nth);
        struct db_opts o = opts_of(fs);
        struct db_opened what = { 0 };
        struct buf before = { 0 }, after = { 0 };
        struct err e = { 0 };
        struct db *db = fill_segments(open_db(&o, &what), &o);
        EXPECT_OK_E(db_compact(db, &e), &e);
        EXPECT_OK(db_sync(db, NULL));
        fs_sim_fail_nth(fs, SIM_OPS_CHANGE, nth, ERR_IO);
        (void)!db_delete(db, (struct matchers){ &m, 1 }, INT64_MIN, INT64_MAX, NULL);
        fs_sim_fail_nth(fs, 0, 0, OK);
        EXPECT_OK_E(db_close(db, &e), &e);
        db = open_db(&o, &what);
        EXPECT(!what.unclean);
        dump(db, &before);
        fs_sim_crash(fs, SIM_LOSE_ALL);
        db_abandon(db);
        db = open_db(&o, &what);
        dump(db, &after);
        EXPECT(str_eq(buf_view(&before), buf_view(&after)));
        EXPECT_OK(db_close(db, NULL));
        buf_fini(&before);
        buf_fini(&after);
        fs_free(fs);
    }
    log_capture(NULL, NULL);
}

TEST(a_head_that_is_due_waits_as_told)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = opts_of(fs);
    struct db_opened what = { 0 };
    o.compaction_delay_percent = 100;
    log_capture(log_nothing, NULL);
    clock_fake_set(T0);
    struct db *db = open_db(&o, &what);
    fill(db, 0, 4 * HOUR);
    EXPECT_OK(db_compact(db, NULL));           /* the wait begins; chance may have made it none */
    size_t early = count_blocks(fs, true);
    clock_fake_advance(INT64_C(2) * 3600 * 1000);
    EXPECT_OK(db_compact(db, NULL));
    EXPECT(count_blocks(fs, true) >= 1);
    EXPECT(early == 0 || !head_compactable(db_head(db)));
    EXPECT_OK(db_close(db, NULL));
    clock_fake_off();
    fs_free(fs);
    log_capture(NULL, NULL);
}

/* Blocks of two hours, that nothing was merged of yet. */
static void small_blocks(struct db_opts *o)
{
    struct db_opened what = { 0 };
    o->max_block_ms = 2ll * 3600 * 1000;
    struct db *db = open_db(o, &what);
    fill(db, 0, 20 * HOUR);
    EXPECT_OK(db_compact(db, NULL));
    EXPECT_OK(db_close(db, NULL));
    o->max_block_ms = 0;
}

static void count_rests(void *ctx, enum log_level level, str line)
{
    (void)level;
    *(unsigned *)ctx += str_find(line, S("left as they are for a while")) != SIZE_MAX;
}

/* A disk that is full, or that fails: it is not tried in a loop, and goes on by itself. */
TEST(failed_compactions_rest)
{
    static const struct { const char *name; errc rc; int64_t wait_ms; } cases[] = {
        { "full", ERR_NO_SPACE, 0 }, { "failing", ERR_IO, 4ll * 3600 * 1000 } };
    unsigned rests;
    log_capture(count_rests, &rests);
    TEST_EACH(c, cases) {
        struct fs *fs = fs_sim_new(test_seed());
        struct db_opts o = opts_of(fs);
        struct db_opened what = { 0 };
        small_blocks(&o);
        clock_fake_set(T0);
        size_t before = count_blocks(fs, true);
        struct db *db = open_db(&o, &what);
        uint64_t total, left;
        EXPECT_OK(fs_space(fs, &total, &left, NULL));
        if (c->rc == ERR_NO_SPACE) fs_sim_capacity(fs, total - left + 100);
        else fs_sim_fail_rate(fs, SIM_OP(STALL_READ), 1000000, ERR_IO);
        rests = 0;
        for (int second = 0; second < 1200; second++) {
            (void)!db_compact(db, NULL);
            clock_fake_advance(1000);
        }
        EXPECT_EQ(count_blocks(fs, true), before);
        EXPECT(rests > 2 && rests <= 5 * before);
        fs_sim_capacity(fs, 0);
        fs_sim_fail_rate(fs, 0, 0, OK);
        clock_fake_advance(c->wait_ms);
        EXPECT_OK(db_compact(db, NULL));
        EXPECT(count_blocks(fs, true) < before);
        EXPECT_OK(db_close(db, NULL));
        clock_fake_off();
        fs_free(fs);
    }
    log_capture(NULL, NULL);
}

/* Blocks of two hours would be merged three by three: those behind the first that the shipper has
 * not seen stay. */
TEST(blocks_wait_for_their_upload)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_sim_new(test_seed()), *real = fs_real_new(str_z(test_tmpdir()));
    struct db_opts o = opts_of(fs);
    struct db_opened what = { 0 };
    struct file *f;
    str text = S("{\"version\":1,\"uploaded\":[]}");
    uint64_t done;
    EXPECT_OK(fs_open(&f, real, S("up.json"), FS_WRITE | FS_CREATE, NULL));
    EXPECT_OK(file_pwrite(f, &text, 1, 0, &done, NULL));
    file_close(f);
    log_capture(log_nothing, NULL);
    o.uploads_path = arena_fmt(&a, "%s/up.json", test_tmpdir());
    struct db *db = open_db(&o, &what);
    fill(db, 0, 20 * HOUR);
    EXPECT_OK(db_compact(db, NULL));
    size_t waiting = count_blocks(fs, true);
    EXPECT(waiting >= 6);
    EXPECT_OK(db_close(db, NULL));
    o.uploads_path = STR_EMPTY;
    db = open_db(&o, &what);
    EXPECT_OK(db_compact(db, NULL));
    EXPECT(count_blocks(fs, true) < waiting);
    EXPECT_OK(db_close(db, NULL));
    fs_free(real);
    fs_free(fs);
    log_capture(NULL, NULL);
}
