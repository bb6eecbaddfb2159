/* deletion_test.c — what was deleted is gone from blocks and head, now and after a power cut; and
 * snapshots hold what there was. */
#include "base/log.h"
#include "base/test.h"
#include "head/head.h"
#include "io/fs_sim.h"
#include "tsdb/blocks.h"
#include "tsdb/db.h"

#include <stdio.h>

enum { SERIES = 6, STEP_MS = 60000, ROUNDS = 300 };            /* five hours: a block and a head */
#define T0 1700006400000ll

static void log_nothing(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

static struct db *open_db(struct fs *fs, int64_t fsync_interval_ms)
{
    struct db *db = NULL;
    struct err e = { 0 };
    struct db_opts o = { .fs = fs,
        .backend = IO_BUFFERED,
        .no_thread = true,
        .wal_compress = COMPRESS_NONE,
        .wal_segment_bytes = 32768,
        .samples_per_chunk = 20,
        .fsync_interval_ms = fsync_interval_ms };
    EXPECT_OK_E(db_open(&db, &o, NULL, &e), &e);
    return db;
}

static void close_db(struct db *db)
{
    struct err e = { 0 };
    EXPECT_OK_E(db_close(db, &e), &e);
}

static void fill(struct db *db, int from, int to)
{
    struct appendable *s = db_appendable(db);
    for (int round = from; round < to; round++) {
        struct appender *a = NULL;
        EXPECT_OK(s->ops->begin(s, &a, NULL));
        for (unsigned i = 0; i < SERIES; i++) {
            char id[16];
            int n = snprintf(id, sizeof(id), "%u", i);
            struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), str_of(id, (size_t)n) } };
            series_handle h = 0;
            int64_t t = T0 + (int64_t)round * STEP_MS;
            EXPECT_OK(a->ops->series(a, (struct labels){ l, 2 }, &h, NULL));
            EXPECT_OK(a->ops->append(a, h, t, round * 0.5 + i, 0, NULL));
        }
        EXPECT_OK(a->ops->commit(a, NULL));
    }
}

/* Samples of series id, or of all (-1), in [from, to] rounds. */
static unsigned count(struct db *db, int id, int from, int to)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    SCOPED(sample_iter_freep) struct sample_iter *it = NULL;
    char text[16];
    int len = snprintf(text, sizeof(text), "%d", id);
    struct matcher m = { .type = id < 0 ? MATCH_NE : MATCH_EQ, .name = S("id"),
        .value = str_of(text, (size_t)len) };
    int64_t mint = T0 + (int64_t)from * STEP_MS, maxt = T0 + (int64_t)to * STEP_MS;
    struct queryable *all = db_queryable(db);
    unsigned n = 0;
    EXPECT_OK(all->ops->querier(all, mint, maxt, &q, NULL));
    EXPECT_OK(q->ops->select(q, (struct matchers){ &m, 1 }, NULL, &set, NULL));
    for (;;) {
        struct series *s = NULL;
        EXPECT_OK(set->ops->next(set, &s, NULL));
        if (!s) return n;
        EXPECT_OK(s->ops->iterate(s, &it, NULL));
        for (struct sample_batch b = { .n = 1 }; b.n; n += (unsigned)b.n)
            EXPECT_OK(sample_iter_fill(it, &b, NULL));
    }
}

static errc delete_of(struct db *db, unsigned id, int from, int to)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", id);
    struct matcher m = { .type = MATCH_EQ, .name = S("id"), .value = str_of(text, (size_t)len) };
    return db_delete(db, (struct matchers){ &m, 1 }, T0 + (int64_t)from * STEP_MS,
        T0 + (int64_t)to * STEP_MS, NULL);
}

static void add_meta(void *ctx, const struct block_meta *m)
{
    struct block_stats *sum = ctx;
    sum->samples += m->stats.samples;
    sum->tombstones += m->stats.tombstones;
    sum->series += m->level;
}

static struct block_stats metas_of(struct db *db)
{
    struct block_stats sum = { 0 };
    db_block_metas(db, add_meta, &sum);
    return sum;
}

static void begin(struct fs **fs, struct db **db)
{
    log_capture(log_nothing, NULL);
    *fs = fs_sim_new(test_seed());
    *db = open_db(*fs, 0);
    fill(*db, 0, ROUNDS);
    EXPECT_OK(db_compact(*db, NULL));
    EXPECT(metas_of(*db).samples > 0);
}

static void end(struct fs *fs, struct db *db)
{
    close_db(db);
    fs_free(fs);
    log_capture(NULL, NULL);
}

TEST(deletion_in_block_and_head)
{
    struct fs *fs;
    struct db *db;
    begin(&fs, &db);
    EXPECT_OK(delete_of(db, 1, 10, 19));                       /* in the block */
    EXPECT_OK(delete_of(db, 1, ROUNDS - 10, ROUNDS + 100));    /* in the head, and beyond it */
    EXPECT_OK(delete_of(db, 2, -1000, ROUNDS + 1000));         /* all of it */
    EXPECT_OK(delete_of(db, 77, 0, ROUNDS));                   /* nobody */
    EXPECT_OK(delete_of(db, 3, 50, 40));                       /* no time */
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(count(db, 0, 0, ROUNDS), ROUNDS);
        EXPECT_EQ(count(db, 1, 0, ROUNDS), ROUNDS - 20);
        EXPECT_EQ(count(db, 1, 9, 20), 2);
        EXPECT_EQ(count(db, 2, 0, ROUNDS), 0);
        EXPECT_EQ(count(db, 3, 0, ROUNDS), ROUNDS);
        if (round == 0) EXPECT_EQ(metas_of(db).tombstones, 2);
        if (round == 0) {
            close_db(db);
            db = open_db(fs, 0);
        }
        if (round == 1) {
            uint64_t before = metas_of(db).samples, levels = metas_of(db).series;
            EXPECT_OK(db_clean_tombstones(db, NULL));
            EXPECT_EQ(metas_of(db).tombstones, 0);
            EXPECT(metas_of(db).samples < before);
            EXPECT_EQ(metas_of(db).series, levels);            /* still of level 1 */
        }
    }
    fill(db, ROUNDS, ROUNDS + 10);                             /* what comes later is not deleted */
    EXPECT_EQ(count(db, 2, ROUNDS, ROUNDS + 10), 10);
    end(fs, db);
}

TEST(deletion_of_all_leaves_no_block)
{
    struct fs *fs;
    struct db *db;
    begin(&fs, &db);
    for (unsigned i = 0; i < SERIES; i++) EXPECT_OK(delete_of(db, i, 0, ROUNDS));
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 0);
    EXPECT_OK(db_clean_tombstones(db, NULL));
    EXPECT_EQ(metas_of(db).series, 0);
    EXPECT_OK(db_clean_tombstones(db, NULL));                  /* nothing to do */
    close_db(db);
    db = open_db(fs, 0);
    EXPECT_EQ(metas_of(db).series, 0);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 0);
    end(fs, db);
}

static struct db *open_snapshot(struct fs *fs, str name, struct fs **copy)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries blocks = { 0 };
    str from = path_join(&a, S("snapshots"), name);
    *copy = fs_sim_new(1);
    EXPECT_OK(fs_list(fs, from, &a, &blocks, NULL));
    for (size_t i = 0; i < blocks.n; i++) {
        static const str files[] = { S("meta.json"), S("index"), S("tombstones"),
            S("chunks/000001") };
        str dir = path_join(&a, from, blocks.at[i].name);
        EXPECT_OK(fs_mkdir(*copy, blocks.at[i].name, NULL));
        EXPECT_OK(fs_mkdir(*copy, path_join(&a, blocks.at[i].name, S("chunks")), NULL));
        for (size_t k = 0; k < ARRAY_LEN(files); k++) {
            str content;
            struct err e = { 0 };
            EXPECT_OK_E(
                fs_read_all(fs, path_join(&a, dir, files[k]), &a, 1 << 20, &content, &e), &e);
            EXPECT_OK(fs_write_durable(*copy,
                path_join(&a, blocks.at[i].name, files[k]), content, NULL));
        }
    }
    vec_fini(&blocks);
    return open_db(*copy, 0);
}

TEST(snapshot_holds_what_there_was)
{
    struct fs *fs, *copy;
    struct db *db, *seen;
    begin(&fs, &db);
    EXPECT_OK(delete_of(db, 1, 0, 9));
    EXPECT_OK(delete_of(db, 1, ROUNDS - 5, ROUNDS));
    unsigned in_blocks = (unsigned)metas_of(db).samples;
    EXPECT_OK(db_snapshot(db, S("one"), true, NULL));
    EXPECT_OK(db_snapshot(db, S("two"), false, NULL));
    EXPECT_EQ(db_snapshot(db, S("two"), false, NULL), ERR_EXISTS);
    EXPECT_OK(delete_of(db, 0, 0, ROUNDS));                    /* does not reach into it */
    EXPECT_OK(db_clean_tombstones(db, NULL));
    seen = open_snapshot(fs, S("one"), &copy);
    EXPECT_EQ(count(seen, 0, 0, ROUNDS), ROUNDS);
    EXPECT_EQ(count(seen, 1, 0, ROUNDS), ROUNDS - 15);
    EXPECT_EQ(count(seen, -1, 0, ROUNDS), SERIES * ROUNDS - 15);
    close_db(seen);
    fs_free(copy);
    seen = open_snapshot(fs, S("two"), &copy);
    EXPECT_EQ(count(seen, -1, 0, ROUNDS), in_blocks - 10);
    close_db(seen);
    fs_free(copy);
    end(fs, db);
}

/* The power goes at every step of a deletion, a clean-up or a snapshot. What was answered stays. */
static void cut(struct fs *fs, uint64_t seed)
{
    fs_sim_crash(fs, seed % 4 ? SIM_LOSE_SOME : SIM_LOSE_ALL);
}

TEST(power_cuts_after_deletion)
{
    log_capture(log_nothing, NULL);
    for (uint64_t at = 1, seed = 0; seed < 240; seed++) {
        struct fs *fs = fs_sim_new(test_seed() + seed);
        struct db *db = open_db(fs, 0);
        fill(db, 0, ROUNDS);
        EXPECT_OK(db_compact(db, NULL));
        EXPECT_OK(db_sync(db, NULL));
        fs_sim_power_off_after(fs, at);
        bool gone = delete_of(db, 1, 5, ROUNDS - 5) == OK;
        bool clean = gone && db_clean_tombstones(db, NULL) == OK;
        bool kept = clean && db_snapshot(db, S("s"), true, NULL) == OK;
        at = kept ? 1 : at + 1;
        db_abandon(db);
        cut(fs, seed);
        db = open_db(fs, 0);
        unsigned n = count(db, 1, 0, ROUNDS);
        EXPECT_EQ(count(db, -1, 0, ROUNDS), (SERIES - 1) * ROUNDS + n);
        EXPECT(n >= 9 && n <= ROUNDS);
        if (gone) EXPECT_EQ(n, 9);
        if (kept) {
            struct fs *copy;
            struct db *snap = open_snapshot(fs, S("s"), &copy);
            EXPECT_EQ(count(snap, -1, 0, ROUNDS), (SERIES - 1) * ROUNDS + 9);
            close_db(snap);
            fs_free(copy);
        }
        EXPECT(kept || !fs_exists(fs, S("snapshots/s.tmp-for-creation")));
        close_db(db);
        fs_free(fs);
    }
    log_capture(NULL, NULL);
}
