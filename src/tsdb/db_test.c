#include "tsdb/db.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/test.h"
#include "head/head.h"
#include "io/fs_sim.h"
#include "io/thread.h"
#include "storage/changes.h"
#include "storage/querier.h"

enum { SERIES = 50, ROUNDS = 300, HOUR_MS = 3600000 };

static struct db_opts opts_of(struct fs *fs)
{
    return (struct db_opts){ .fs = fs,
        .backend = IO_BUFFERED,
        .no_thread = true,
        .wal_compress = COMPRESS_SNAPPY,
        .wal_segment_bytes = 32768,
        .chunk_file_bytes = 8192,
        .samples_per_chunk = 20,
        .fsync_interval_ms = 1000 };
}

static struct db *open_with(const struct db_opts *o, struct db_opened *what)
{
    struct db *db = NULL;
    struct err e = { 0 };
    EXPECT_OK_E(db_open(&db, o, what, &e), &e);
    return db;
}

static void log_nothing(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

static void put_round(struct db *db, int round)
{
    struct appendable *s = db_appendable(db);
    struct appender *a = NULL;
    EXPECT_OK(s->ops->begin(s, &a, NULL));
    for (unsigned i = 0; i < SERIES; i++) {
        char id[16];
        struct buf b = { 0 };
        buf_fmt(&b, "%u", i);
        memcpy(id, b.p, b.n);
        struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), str_of(id, b.n) } };
        series_handle h = 0;
        EXPECT_OK(a->ops->series(a, (struct labels){ l, 2 }, &h, NULL));
        EXPECT_OK(
            a->ops->append(a, h, 1700000000000 + round * 15000, (double)(round * (int)i), 0, NULL));
        buf_fini(&b);
    }
    EXPECT_OK(a->ops->commit(a, NULL));
}

static void fill(struct fs *fs)
{
    struct db_opts o = opts_of(fs);
    struct db *db = open_with(&o, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        put_round(db, round);
        if (round == ROUNDS / 2) db_tick(db);
    }
    EXPECT_OK(db_sync(db, NULL));
    db_abandon(db);
}

/* All samples, as text in the order of the labels. */
static void dump(struct db *db, struct buf *out)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    struct matcher all = { .type = MATCH_EQ };
    struct select_hints hints = { .start = INT64_MIN, .end = INT64_MAX, .sorted = true };
    struct sample_iter *it = NULL;
    EXPECT_OK(db_queryable(db)->ops->querier(db_queryable(db), INT64_MIN, INT64_MAX, &q, NULL));
    EXPECT_OK(q->ops->select(q, (struct matchers){ &all, 1 }, &hints, &set, NULL));
    for (;;) {
        struct series *s = NULL;
        EXPECT_OK(set->ops->next(set, &s, NULL));
        if (!s) break;
        EXPECT_OK(s->ops->iterate(s, &it, NULL));
        buf_labels(out, s->labels);
        for (struct sample_batch b = { .n = 1 }; b.n;) {
            EXPECT_OK(sample_iter_fill(it, &b, NULL));
            for (size_t i = 0; i < b.n; i++) buf_fmt(out, " %" PRId64 "=%a", b.t[i], b.v[i]);
        }
    }
    sample_iter_free(it);
}

/* Opened with one thread and with several, the folder gives the same samples. */
TEST(replay_workers)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct buf want = { 0 };
    fill(fs);
    for (unsigned workers = 1; workers <= 5; workers += 2) {
        struct buf got = { 0 };
        struct db_opened what = { 0 };
        struct db_opts o = opts_of(fs);
        o.no_thread = false;
        o.replay_workers = workers;
        struct db *db = open_with(&o, &what);
        EXPECT_EQ(what.series, SERIES);
        EXPECT(what.unclean && what.chunks > 0 && what.segments > 1 && what.corruptions == 0);
        dump(db, &got);
        EXPECT(got.n > SERIES * ROUNDS);
        if (workers == 1) buf_str(&want, buf_view(&got));
        EXPECT(str_eq(buf_view(&got), buf_view(&want)));
        db_abandon(db);
        buf_fini(&got);
    }
    buf_fini(&want);
    fs_free(fs);
}

/* Batches come while sealed chunks are written: when the power goes, no chunk shows more of its
 * series than the log shows of the others. */
struct feed { struct db *db; int round; _Atomic bool stop; };

static void feed_run(void *arg)
{
    struct feed *f = arg;
    while (!atomic_load(&f->stop)) put_round(f->db, f->round++);
}

TEST(no_chunk_is_ahead_of_its_log)
{
    log_capture(log_nothing, NULL);
    for (uint64_t life = 0; life < 12; life++) {
        struct fs *fs = fs_sim_new(test_seed() + life);
        struct db_opts o = opts_of(fs);
        /* files are finished, and synced, all the time; the log is synced by the tick alone */
        o.chunk_file_bytes = 400;
        o.samples_per_chunk = 4;
        struct feed f = { .db = open_with(&o, NULL), .round = 1 };
        put_round(f.db, 0);
        EXPECT_OK(db_sync(f.db, NULL));
        struct thread *t = thread_start("feed", feed_run, &f);
        for (int tick = 0; tick < 3; tick++) {
            clock_sleep_ns(2000000);
            db_tick(f.db);
        }
        atomic_store(&f.stop, true);
        thread_join(t);
        fs_sim_power_off_after(fs, 1);
        db_abandon(f.db);
        fs_sim_crash(fs, SIM_LOSE_ALL);
        struct db *db = open_with(&o, NULL);
        SCOPED(querier_freep) struct querier *q = NULL;
        SCOPED(series_set_freep) struct series_set *set = NULL;
        struct matcher all = { .type = MATCH_EQ };
        struct sample_iter *it = NULL;
        EXPECT_OK(db_queryable(db)->ops->querier(db_queryable(db), INT64_MIN, INT64_MAX, &q, NULL));
        EXPECT_OK(q->ops->select(q, (struct matchers){ &all, 1 }, NULL, &set, NULL));
        size_t first = 0, n_series = 0;
        for (struct series *s = NULL;; n_series++) {
            EXPECT_OK(set->ops->next(set, &s, NULL));
            if (!s) break;
            size_t n = 0;
            EXPECT_OK(s->ops->iterate(s, &it, NULL));
            for (struct sample_batch b = { .n = 1 }; b.n; n += b.n)
                EXPECT_OK(sample_iter_fill(it, &b, NULL));
            if (!n_series) first = n;
            EXPECT_EQ(n, first);
        }
        EXPECT_EQ(n_series, SERIES);
        sample_iter_free(it);
        series_set_freep(&set);
        querier_freep(&q);
        set = NULL;
        q = NULL;
        db_abandon(db);
        fs_free(fs);
    }
    log_capture(NULL, NULL);
}

TEST(one_process_has_a_folder)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = opts_of(fs);
    struct db_opened what = { 0 };
    struct db *first = open_with(&o, &what), *second = NULL;
    EXPECT(!what.unclean);
    EXPECT_EQ(db_open(&second, &o, NULL, NULL), ERR_LOCKED);
    EXPECT(second == NULL);
    EXPECT_OK(db_close(first, NULL));
    EXPECT(!fs_exists(fs, S("lock")));
    second = open_with(&o, &what);
    EXPECT(!what.unclean);
    db_abandon(second);
    EXPECT(fs_exists(fs, S("lock")));
    second = open_with(&o, &what);
    EXPECT(what.unclean);
    EXPECT_OK(db_close(second, NULL));
    fs_free(fs);
}

static void make_dir(struct fs *fs, str dir, str file)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    EXPECT_OK(fs_mkdir(fs, dir, NULL));
    EXPECT_OK(fs_write_durable(fs, path_join(&a, dir, file), S("x"), NULL));
}

/* A folder without a readable meta.json is no block yet: nobody touches it. One that says it is a
 * block, and is none, is set aside. */
TEST(broken_blocks_are_told_apart)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = opts_of(fs);
    struct db_opened what = { 0 };
    log_capture(log_nothing, NULL);
    make_dir(fs, S("01BX5ZZKBKACTAV9WEVGEMMVRZ"), S("meta.json"));
    EXPECT_OK(fs_mkdir(fs, S("01M809V03WVRWWPSC5BX4W545M"), NULL));
    EXPECT_OK(fs_mkdir(fs, S("01M809V03WVRWWPSC5BX4W545M/chunks"), NULL));
    EXPECT_OK(fs_write_durable(fs, S("01M809V03WVRWWPSC5BX4W545M/meta.json"),
        S("{\"ulid\":\"01M809V03WVRWWPSC5BX4W545M\",\"version\":1}"), NULL));
    EXPECT_OK(fs_write_durable(fs, S("01M809V03WVRWWPSC5BX4W545M/index"), S("none"), NULL));
    EXPECT_OK(db_close(open_with(&o, &what), NULL));
    EXPECT(what.blocks == 0 && what.blocks_set_aside == 1 && what.blocks_skipped == 1);
    EXPECT(fs_exists(fs, S("01BX5ZZKBKACTAV9WEVGEMMVRZ/meta.json")));
    EXPECT(fs_exists(fs, S("01M809V03WVRWWPSC5BX4W545M.bad/index")) &&
           !fs_exists(fs, S("01M809V03WVRWWPSC5BX4W545M")));
    log_capture(NULL, NULL);
    fs_free(fs);
}

/* The step blocks.aside_fsync left out: it is a block again. */
TEST(what_is_set_aside_stays_so)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = opts_of(fs);
    struct db_opened what = { 0 };
    log_capture(log_nothing, NULL);
    EXPECT_OK(db_close(open_with(&o, &what), NULL));           /* its folders are there */
    EXPECT_OK(fs_mkdir(fs, S("01M809V03WVRWWPSC5BX4W545M"), NULL));
    EXPECT_OK(fs_write_durable(fs, S("01M809V03WVRWWPSC5BX4W545M/meta.json"),
        S("{\"ulid\":\"01M809V03WVRWWPSC5BX4W545M\",\"version\":1}"), NULL));
    EXPECT_OK(fs_write_durable(fs, S("01M809V03WVRWWPSC5BX4W545M/index"), S("none"), NULL));
    EXPECT_OK(fs_sync_dir(fs, S(""), NULL));
    struct db *db = open_with(&o, &what);
    EXPECT_EQ(what.blocks_set_aside, 1);
    fs_sim_crash(fs, SIM_LOSE_ALL);
    db_abandon(db);
    EXPECT(fs_exists(fs, S("01M809V03WVRWWPSC5BX4W545M.bad/index")) &&
           !fs_exists(fs, S("01M809V03WVRWWPSC5BX4W545M")));
    log_capture(NULL, NULL);
    fs_free(fs);
}

TEST(what_was_interrupted_is_removed)
{
    static const struct { const char *name; bool stays;
    } rows[] = {
        { "01BX5ZZKBKACTAV9WEVGEMMVRZ.tmp-for-creation", false },
        { "01BX5ZZKBKACTAV9WEVGEMMVRZ.tmp-for-deletion", false },
        { "01BX5ZZKBKACTAV9WEVGEMMVRZ.tmp", false },
        { "01BX5ZZKBKACTAV9WEVGEMMVRZ.other", true },
        { "81BX5ZZKBKACTAV9WEVGEMMVRZ", true },
        { "lost+found", true },
        { "wal/checkpoint.00000007.tmp", false },
    };
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = opts_of(fs);
    EXPECT_OK(fs_mkdir(fs, S("wal"), NULL));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) make_dir(fs, str_z(rows[i].name), S("file"));
    EXPECT_OK(db_close(open_with(&o, NULL), NULL));
    TEST_EACH(row, rows) EXPECT_EQ(fs_exists(fs, str_z(row->name)), row->stays);
    fs_free(fs);
}

static void spoil(struct fs *fs, str path, uint64_t off)
{
    struct file *f = NULL;
    str bytes = S("damage");
    EXPECT_OK(fs_open(&f, fs, path, FS_READ | FS_WRITE, NULL));
    EXPECT_OK(file_pwrite(f, &bytes, 1, off, NULL, NULL));
    EXPECT_OK(file_sync(f, NULL));
    file_close(f);
}

/* Two files of chunks_head have each other's names: all samples are there, from the log. */
TEST(swapped_chunk_files_cost_nothing)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opened what = { 0 };
    struct buf before = { 0 }, after = { 0 };
    log_capture(log_nothing, NULL);
    fill(fs);
    struct db_opts o = opts_of(fs);
    struct db *db = open_with(&o, &what);
    EXPECT_EQ(what.corruptions, 0);
    dump(db, &before);
    db_abandon(db);
    EXPECT_OK(fs_rename(fs, S("chunks_head/000001"), S("chunks_head/x"), NULL));
    EXPECT_OK(fs_rename(fs, S("chunks_head/000002"), S("chunks_head/000001"), NULL));
    EXPECT_OK(fs_rename(fs, S("chunks_head/x"), S("chunks_head/000002"), NULL));
    for (int turn = 0; turn < 2; turn++) {
        db = open_with(&o, &what);
        EXPECT_EQ(what.corruptions, turn ? 0 : 1);
        buf_reset(&after);
        dump(db, &after);
        EXPECT(before.n > SERIES * ROUNDS && str_eq(buf_view(&before), buf_view(&after)));
        EXPECT_OK(db_close(db, NULL));
    }
    buf_fini(&before);
    buf_fini(&after);
    log_capture(NULL, NULL);
    fs_free(fs);
}

/* A damaged segment in the middle: the rest is there, the second opening finds nothing more, and
 * the overlay shows the same. */
TEST(damage_is_mended_once)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opened what = { 0 };
    struct buf over = { 0 }, mended = { 0 }, again = { 0 };
    log_capture(log_nothing, NULL);
    fill(fs);
    spoil(fs, S("wal/00000001"), 5000);
    struct fs *overlay = fs_overlay_new(fs);
    struct db_opts o = opts_of(overlay);
    o.no_lock = true;
    struct db *db = open_with(&o, &what);
    EXPECT_EQ(what.corruptions, 1);
    dump(db, &over);
    db_abandon(db);
    fs_free(overlay);
    EXPECT(!fs_exists(fs, S("wal.00000001.bad")));
    o = opts_of(fs);
    db = open_with(&o, &what);
    EXPECT_EQ(what.corruptions, 1);
    EXPECT_EQ(what.series, SERIES);
    EXPECT(fs_exists(fs, S("wal.00000001.bad")));
    dump(db, &mended);
    EXPECT_OK(db_close(db, NULL));
    db = open_with(&o, &what);
    EXPECT(!what.unclean && what.corruptions == 0);
    dump(db, &again);
    EXPECT_OK(db_close(db, NULL));
    EXPECT(mended.n > SERIES * ROUNDS && str_eq(buf_view(&mended), buf_view(&again)) &&
           str_eq(buf_view(&mended), buf_view(&over)));
    buf_fini(&over);
    buf_fini(&mended);
    buf_fini(&again);
    log_capture(NULL, NULL);
    fs_free(fs);
}

/* What was made of samples stays true while the folder is looked at again and again. */
TEST(the_same_blocks_are_no_change)
{
    enum { HOURS4 = 4 * 240 };
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = opts_of(fs);
    struct db_opened what = { 0 };
    o.reload_interval_ms = 1;
    struct db *db = open_with(&o, &what);
    for (int round = 0; round < HOURS4; round++) put_round(db, round);
    EXPECT_OK(db_compact(db, NULL));
    struct queryable *q = db_queryable(db);
    bool by_labels;
    struct changes *c = q->ops->changes(q, 1700000000000, 1700000000000 + HOUR_MS, &by_labels);
    uint64_t before = changes_last(c);
    for (int i = 0; i < 3; i++) {
        clock_sleep_ns(2 * 1000000);
        db_tick(db);
    }
    EXPECT_EQ(changes_last(c), before);
    struct matcher m = { .type = MATCH_EQ, .name = S("id"), .value = S("7") };
    EXPECT_OK(db_delete(db, (struct matchers){ &m, 1 }, 0, 1700000000000 + HOUR_MS, NULL));
    uint64_t deleted = changes_last(c);
    EXPECT(deleted > before);
    EXPECT_OK(db_clean_tombstones(db, NULL));
    EXPECT(changes_last(c) > deleted);
    EXPECT_OK(db_close(db, NULL));
    fs_free(fs);
}
