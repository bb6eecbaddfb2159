/* db_early_test.c — while a database opens its blocks can be asked, and nobody is left behind when
 * that fails. */
#include "base/test.h"
#include "block/meta_codec.h"
#include "io/thread.h"
#include "tsdb/test_small.h"

struct early { unsigned samples, begun, ended; struct queryable *q; };

static unsigned samples_of(struct queryable *all)
{
    struct matcher m = { .type = MATCH_EQ, .name = METRIC_NAME, .value = S("m") };
    return count_in(all, m, INT64_MIN, INT64_MAX);
}

static void told(void *ctx, struct queryable *q)
{
    struct early *k = ctx;
    if (!q) {
        k->ended++;
        return;
    }
    k->begun++;
    k->q = q;
    k->samples = samples_of(q);
}

TEST(blocks_answer_before_the_log_is_replayed)
{
    struct fs *fs;
    struct db *db;
    struct block_stats sum;
    struct early k = { 0 };
    struct err e = { 0 };
    begin(&fs, &db);
    metas_of(db, &sum);
    close_db(db);
    struct db_opts o = { .fs = fs, .backend = IO_BUFFERED, .no_thread = true, .early = told,
        .early_ctx = &k };
    EXPECT_OK_E(db_open(&db, &o, NULL, &e), &e);
    EXPECT_EQ(k.begun, 1);
    EXPECT_EQ(k.samples, sum.samples);
    EXPECT_EQ(samples_of(k.q), SERIES * ROUNDS);               /* the same, with the head by now */
    EXPECT_EQ(k.ended, 0);
    end(fs, db);
}

TEST(a_failed_opening_takes_the_blocks_back)
{
    struct fs *fs;
    struct db *db = NULL;
    struct early k = { 0 };
    unsigned failed = 0;
    begin(&fs, &db);
    close_db(db);
    for (uint64_t at = 1; at < 40; at++) {
        struct db_opts o = { .fs = fs, .backend = IO_BUFFERED, .no_thread = true, .early = told,
            .early_ctx = &k };
        unsigned begun = k.begun, ended = k.ended;
        fs_sim_power_off_after(fs, at);
        errc rc = db_open(&db, &o, NULL, NULL);
        if (rc == OK) db_abandon(db);
        else EXPECT_EQ(k.ended - ended, k.begun - begun);
        failed += rc != OK && k.begun > begun;
        fs_sim_crash(fs, SIM_KILLED);
    }
    EXPECT(failed > 0);
    fs_free(fs);
    hush(false);
}

/* Somebody who asks while the head is rebuilt. */
struct asker { struct queryable *q; struct thread *thread; errc rc; unsigned samples, in_blocks; };

static void ask(void *arg)
{
    struct asker *k = arg;
    SCOPED(querier_freep) struct querier *q = NULL;
    k->rc = k->q->ops->querier(k->q, INT64_MIN, INT64_MAX, &q, NULL);
    if (k->rc == OK) k->samples = samples_of(k->q);
}

static void ask_early(void *ctx, struct queryable *q)
{
    struct asker *k = ctx;
    SCOPED(querier_freep) struct querier *old = NULL;
    if (!q) {
        thread_join(STEAL(k->thread));         /* as a server waits for its requests */
        return;
    }
    k->q = q;
    EXPECT_OK(q->ops->querier(q, T0, T0 + STEP_MS, &old, NULL));   /* who need not wait does not */
    k->thread = thread_start("asker", ask, k);
}

TEST(who_asks_for_the_head_waits_for_it)
{
    struct fs *fs;
    struct db *db;
    struct asker k = { 0 };
    struct err e = { 0 };
    begin(&fs, &db);
    close_db(db);
    struct db_opts o = { .fs = fs, .backend = IO_BUFFERED, .no_thread = true, .early = ask_early,
        .early_ctx = &k, .early_patience_ms = 60000 };
    EXPECT_OK_E(db_open(&db, &o, NULL, &e), &e);
    thread_join(STEAL(k.thread));
    EXPECT_EQ(k.rc, OK);
    EXPECT_EQ(k.samples, SERIES * ROUNDS);
    end(fs, db);
}

TEST(who_waits_for_a_head_that_does_not_come_is_told)
{
    struct fs *fs;
    struct db *db = NULL;
    unsigned told_so = 0;
    begin(&fs, &db);
    close_db(db);
    for (uint64_t at = 1; at < 40; at++) {
        struct asker k = { 0 };
        struct db_opts o = { .fs = fs, .backend = IO_BUFFERED, .no_thread = true,
            .early = ask_early, .early_ctx = &k, .early_patience_ms = 60000 };
        fs_sim_power_off_after(fs, at);
        if (db_open(&db, &o, NULL, NULL) == OK) {
            thread_join(STEAL(k.thread));
            db_abandon(db);
        }
        told_so += k.rc == ERR_UNAVAILABLE;
        fs_sim_crash(fs, SIM_KILLED);
    }
    EXPECT(told_so > 0);
    fs_free(fs);
    hush(false);
}
