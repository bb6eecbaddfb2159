/* ooo_crash_test.c — a data folder with late samples lives through power cuts, kills and full or
 * failing disks.
 *
 * Each disk is a life from one seed, as in crash_test.c; here batches bring late samples among
 * those in order, arrays become chunks, chunks become blocks, and blocks merge, with a crash in the
 * midst of any of it. The ledger is of single samples, because late ones are not seen as a batch:
 *
 *   LOGGED   commit answered OK: a kill loses nothing of it, a power cut may   -> SYNCED by db_sync
 *   SYNCED   it is there after every crash
 *   MAYBE    commit failed, or it was LOGGED when the power went: there, or not
 *
 * Whatever is seen was asked for, with its value, once, in the order of times. In a life with
 * injected faults nothing is promised over a crash but that.
 *
 * SEED=n begins with the disk of seed n. CRASH_POINTS=n in place of the usual number. EPI_DROP=step
 * leaves a step of durability out: then this test must fail (tests/e2e/crash_prove).
 */
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/test.h"
#include "head/head.h"
#include "io/fs_sim.h"
#include "tsdb/db.h"

#include <stdio.h>
#include <stdlib.h>

enum { SERIES_MAX = 12, CRASH_POINTS = 700, BATCH_MAX = 60 };

enum state { MAYBE, LOGGED, SYNCED };
struct put { int64_t t; unsigned series; enum state state; bool seen; };

struct life {
    uint64_t seed;
    struct prng rng;
    struct fs *fs;
    struct db *db;
    struct db_opts o;
    VEC(struct put *) puts;
    struct map by_key;                 /* (series, t) -> put */
    int64_t now;
    unsigned n_series;
    bool faulty, failing;
    uint64_t crashes, late;
};

static char where[96];

#define TELL(l, ...)                                                                               \
    do {                                                                                           \
        if (getenv("TEST_VERBOSE")) {                                                              \
            fprintf(stderr, "# %" PRId64 " ", (l)->now);                                           \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
        }                                                                                          \
    } while (0)

static uint64_t mix(uint64_t a, uint64_t b)
{
    struct prng r = { a * 0x9e3779b97f4a7c15u + b };
    prng_u64(&r);
    return prng_u64(&r);
}

static uint64_t below(struct life *l, uint64_t n) { return prng_below(&l->rng, n); }
static bool one_in(struct life *l, uint64_t n) { return below(l, n) == 0; }
static bool is_off(struct life *l) { return fs_sim_is_off(l->fs); }

static double value_of(const struct life *l, unsigned series, int64_t t)
{
    uint64_t bits = mix(l->seed + series, (uint64_t)t);
    return series % 2 ? (double)(bits % 100) : (double)(int64_t)bits * 0x1p-40;
}

static struct put *put_find(const struct life *l, unsigned series, int64_t t)
{
    return map_find(&l->by_key, mix(series, (uint64_t)t), NULL, NULL);
}

/* The sample of that series and time, put there by now. */
static struct put *put_of(struct life *l, unsigned series, int64_t t)
{
    struct put *p = put_find(l, series, t);
    if (p) return p;
    p = NEW(struct put);
    *p = (struct put){ .t = t, .series = series };
    vec_push(&l->puts, p);
    map_put(&l->by_key, mix(series, (uint64_t)t), p);
    return p;
}

/* ---- what is there, against the ledger ------------------------------------------------------- */

static void see_samples(struct life *l, struct series *s, unsigned series, struct sample_iter **it)
{
    struct err e = { 0 };
    int64_t last = INT64_MIN;
    EXPECT_OK_E(s->ops->iterate(s, it, &e), &e);
    for (struct sample_batch b = { .n = 1 }; b.n;) {
        EXPECT_OK_E(sample_iter_fill(*it, &b, &e), &e);
        for (size_t i = 0; i < b.n; i++) {
            struct put *p = put_find(l, series, b.t[i]);
            EXPECT(b.t[i] > last);
            EXPECT(p && !p->seen);                             /* nothing is invented */
            EXPECT_EQ(f64_bits(b.v[i]), f64_bits(value_of(l, series, b.t[i])));
            p->seen = true;
            last = b.t[i];
        }
    }
}

static void see_all(struct life *l)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    struct err e = { 0 };
    struct matcher all = { .type = MATCH_EQ };
    struct sample_iter *it = NULL;
    struct queryable *from = db_queryable(l->db);
    for (size_t i = 0; i < l->puts.n; i++) l->puts.at[i]->seen = false;
    EXPECT_OK_E(from->ops->querier(from, INT64_MIN, INT64_MAX, &q, &e), &e);
    EXPECT_OK_E(q->ops->select(q, (struct matchers){ &all, 1 }, NULL, &set, &e), &e);
    for (;;) {
        struct series *s = NULL;
        uint64_t id = SERIES_MAX;
        EXPECT_OK_E(set->ops->next(set, &s, &e), &e);
        if (!s) break;
        EXPECT(str_u64(labels_get(s->labels, S("id")), &id) && id < SERIES_MAX);
        see_samples(l, s, (unsigned)id, &it);
    }
    sample_iter_free(it);
}

/* again: after an opening what was open is decided: it stays as it is seen. */
static void check_all(struct life *l, bool again, bool killed)
{
    see_all(l);
    for (size_t i = 0; i < l->puts.n; i++) {
        struct put *p = l->puts.at[i];
        if (p->state != MAYBE && !p->seen)
            test_fail(__FILE__, __LINE__, "the %s sample of series %u at %" PRId64 " is lost",
                p->state == SYNCED ? "synced" : "committed", p->series, p->t);
        if (again && p->state == MAYBE && p->seen)
            p->state = killed || l->faulty ? LOGGED : SYNCED;
    }
}

/* ---- one generation -------------------------------------------------------------------------- */

static void faults_end(struct life *l)
{
    fs_sim_fail_rate(l->fs, 0, 0, OK);
    fs_sim_capacity(l->fs, 0);
    l->failing = false;
}

static void mark_synced(struct life *l)
{
    for (size_t i = 0; i < l->puts.n; i++)
        if (l->puts.at[i]->state == LOGGED) l->puts.at[i]->state = SYNCED;
}

/* Answers whether it was a kill: the page cache stays. */
static bool crash(struct life *l)
{
    static const enum fs_sim_loss losses[] = { SIM_LOSE_SOME, SIM_LOSE_SOME, SIM_LOSE_ALL,
        SIM_LOSE_NOTHING, SIM_KILLED };
    enum fs_sim_loss loss = losses[below(l, ARRAY_LEN(losses))];
    bool power = loss == SIM_LOSE_SOME || loss == SIM_LOSE_ALL;
    if (!is_off(l)) fs_sim_power_off_after(l->fs, 1);          /* what dies writes nothing more */
    db_abandon(STEAL(l->db));
    faults_end(l);
    fs_sim_crash(l->fs, loss);
    TELL(l, "crash %d", loss);
    for (size_t i = 0; i < l->puts.n; i++) {
        struct put *p = l->puts.at[i];
        if (l->faulty || (power && p->state == LOGGED)) p->state = MAYBE;
    }
    l->crashes++;
    return loss == SIM_KILLED;
}

static void open_db(struct life *l, bool killed)
{
    struct err e = { 0 };
    struct db_opened what = { 0 };
    EXPECT_OK_E(db_open(&l->db, &l->o, &what, &e), &e);
    EXPECT_EQ(what.blocks_set_aside + what.blocks_skipped, 0);
    TELL(l, "open: %" PRIu64 " series, %" PRIu64 " samples, %" PRIu64 " corruptions", what.series,
        what.samples, what.corruptions);
    check_all(l, true, killed);
}

/* The power may go while the folder is opened and repaired; then again, and at last it stays. */
static void open_again(struct life *l, bool killed)
{
    for (int i = 0; i < 4 && one_in(l, 3); i++) {
        struct err e = { 0 };
        struct db_opened what;
        fs_sim_power_off_after(l->fs, 1 + below(l, 24));
        errc rc = db_open(&l->db, &l->o, &what, &e);
        EXPECT(rc == OK || l->db == NULL);
        TELL(l, "open: %s", rc == OK ? "OK" : e.msg);
        killed = crash(l) && killed;
    }
    fs_sim_power_off_after(l->fs, 0);
    open_db(l, killed);
}

/* One sample: behind the newest, a little late, or as late as the window goes and beyond. */
static int64_t any_time(struct life *l)
{
    if (one_in(l, 3)) return l->now - (int64_t)below(l, 3);
    uint64_t far = one_in(l, 4) ? (uint64_t)l->o.ooo_window_ms * 9 / 8 : 20000;
    return l->now - (int64_t)below(l, far) / 250 * 250;
}

static errc append_some(struct life *l, struct put **taken, size_t *n, struct err *e)
{
    struct appendable *s = db_appendable(l->db);
    struct appender *a = NULL;
    TRY(s->ops->begin(s, &a, e));
    for (size_t want = 1 + below(l, BATCH_MAX); want > 0; want--) {
        char id[8];
        unsigned series = (unsigned)below(l, l->n_series);
        int len = snprintf(id, sizeof(id), "%u", series);
        struct label labels[] = { { METRIC_NAME, S("late") },
            { S("id"), str_of(id, (size_t)len) } };
        int64_t t = any_time(l);
        series_handle h = 0;
        errc rc = a->ops->series(a, (struct labels){ labels, 2 }, &h, e);
        if (rc == OK) rc = a->ops->append(a, h, t, value_of(l, series, t), 0, e);
        EXPECT(rc == OK || rc == ERR_TOO_OLD || rc == ERR_OUT_OF_BOUNDS);
        if (rc == OK) taken[(*n)++] = put_of(l, series, t);
    }
    return a->ops->commit(a, e);
}

static void do_append(struct life *l)
{
    struct err e = { 0 };
    struct put *taken[BATCH_MAX];
    size_t n = 0;
    int64_t oldest = l->now - l->o.ooo_window_ms;
    if (l->n_series < SERIES_MAX && one_in(l, 4)) l->n_series++;
    l->now += 1 + (int64_t)below(l, one_in(l, 30) ? 600000 : 20000);
    errc rc = append_some(l, taken, &n, &e);
    EXPECT(rc == OK || is_off(l) || l->failing);
    for (size_t i = 0; i < n && rc == OK; i++) {
        /* What was in order when it was asked for may have become too old by others of the batch:
         * the window is as wide as that, so it never has. */
        enum state was = taken[i]->state;
        taken[i]->state = MAX(was, l->o.fsync_interval_ms == 0 ? SYNCED : LOGGED);
        l->late += taken[i]->t < l->now - 3 && taken[i]->t >= oldest;
    }
    if (rc == OK && l->o.fsync_interval_ms == 0) mark_synced(l);
    TELL(l, "append of %zu: %s", n, rc == OK ? "OK" : e.msg);
}

static void do_sync(struct life *l)
{
    struct err e = { 0 };
    errc rc = db_sync(l->db, &e);
    EXPECT(rc == OK || is_off(l) || l->failing);
    TELL(l, "sync: %s", rc == OK ? "OK" : e.msg);
    if (rc == OK && !l->faulty) mark_synced(l);
}

static void do_compact(struct life *l)
{
    struct err e = { 0 };
    if (one_in(l, 2)) fs_sim_power_off_after(l->fs, 1 + below(l, 1ull << below(l, 9)));
    errc rc = db_compact(l->db, &e);
    TELL(l, "compact: %s", rc == OK ? "OK" : e.msg);
    EXPECT(rc == OK || is_off(l) || l->failing);
}

static void do_fault(struct life *l)
{
    l->faulty = l->failing = true;
    TELL(l, "the disk fails");
    if (one_in(l, 2)) fs_sim_capacity(l->fs, fs_sim_used(l->fs) + below(l, 20000));
    else
        fs_sim_fail_rate(l->fs, SIM_OPS_CHANGE, 50000 + (uint32_t)below(l, 400000),
            one_in(l, 3) ? ERR_NO_SPACE : ERR_IO);
}

static void step(struct life *l, bool may_fail)
{
    uint64_t dice = below(l, 100);
    if (dice < 72) do_append(l);
    else if (dice < 77) do_compact(l);
    else if (dice < 85) do_sync(l);
    else if (dice < 94) db_tick(l->db);
    else if (dice < 97 && !is_off(l) && !l->failing) check_all(l, false, false);
    else if (may_fail && !l->failing) do_fault(l);
    else if (l->failing) faults_end(l);
}

static void close_clean(struct life *l)
{
    struct err e = { 0 };
    struct db_opened what = { 0 };
    fs_sim_power_off_after(l->fs, 0);
    faults_end(l);
    EXPECT_OK_E(db_close(STEAL(l->db), &e), &e);
    if (!l->faulty) mark_synced(l);
    EXPECT_OK_E(db_open(&l->db, &l->o, &what, &e), &e);
    EXPECT(!what.unclean);
    EXPECT_EQ(what.corruptions, 0);
    EXPECT_EQ(what.unknown_refs, 0);
    check_all(l, true, false);
}

static void life_begin(struct life *l, uint64_t seed)
{
    static const enum compress_kind kinds[] = { COMPRESS_NONE, COMPRESS_SNAPPY, COMPRESS_ZSTD };
    *l = (struct life){ .seed = seed, .rng = { mix(seed, 7) }, .n_series = 1 };
    l->now = 1700000000000;
    l->fs = fs_sim_new(mix(seed, 8));
    prng_fake_set(mix(seed, 9));
    int64_t range = 60000 * (1 + (int64_t)below(l, one_in(l, 2) ? 120 : 10));
    l->o = (struct db_opts){
        .fs = l->fs,
        .backend = IO_BUFFERED,
        .no_thread = true,
        .wal_compress = kinds[below(l, 3)],
        .wal_segment_bytes = 32768 * (1 + below(l, 2)),
        .chunk_file_bytes = 200 + below(l, 4000),
        .chunk_range_ms = range,
        .block_segment_bytes = 300 + below(l, 3000),
        .samples_per_chunk = 4 + (uint32_t)below(l, 12),
        .fsync_interval_ms = one_in(l, 4) ? 0 : 1000,
        .ooo_window_ms = range * (1 + (int64_t)below(l, 4)),
    };
}

static uint64_t live(uint64_t seed, uint64_t *late)
{
    struct life l;
    struct err e = { 0 };
    snprintf(where, sizeof(where), "disk of SEED=%" PRIu64, seed);
    test_case(where);
    life_begin(&l, seed);
    bool may_fail = one_in(&l, 3);
    open_db(&l, false);
    for (uint64_t gen = 2 + below(&l, 8); gen > 0; gen--) {
        uint64_t steps = 1 + below(&l, 1ull << below(&l, 8));
        if (!one_in(&l, 4)) fs_sim_power_off_after(l.fs, 1 + below(&l, 1 + 3 * steps));
        while (steps-- > 0 && !is_off(&l)) {
            step(&l, may_fail);
            if (getenv("CHECK_EACH") && !is_off(&l) && !l.failing) check_all(&l, false, false);
        }
        if (is_off(&l) || !one_in(&l, 8)) {
            bool killed = crash(&l);
            open_again(&l, killed);
        } else {
            close_clean(&l);
        }
    }
    fs_sim_power_off_after(l.fs, 0);
    faults_end(&l);
    EXPECT_OK_E(db_close(STEAL(l.db), &e), &e);
    fs_free(l.fs);
    for (size_t i = 0; i < l.puts.n; i++) mem_free(l.puts.at[i]);
    vec_fini(&l.puts);
    map_fini(&l.by_key);
    *late += l.late;
    return l.crashes;
}

static void log_nothing(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

TEST(ooo_crash_torture)
{
    const char *points = getenv("CRASH_POINTS");
    uint64_t want = points ? strtoull(points, NULL, 10) : CRASH_POINTS, seen = 0, late = 0;
    if (!getenv("TEST_VERBOSE")) log_capture(log_nothing, NULL);
    for (uint64_t seed = test_seed(); seen < want; seed++) seen += live(seed, &late);
    log_capture(NULL, NULL);
    EXPECT(seen >= want && late > want);
}

/* ---- crashes at each step of a compaction ---------------------------------------------------- */

enum { CUTS_RANGE_MS = 60000, CUTS_LATE = 40 };

/* One series in order over two ranges, forty late samples of another, all durable. */
static void cuts_begin(struct life *l, uint64_t seed)
{
    *l = (struct life){ .seed = seed, .now = 1700000000000, .n_series = 2 };
    l->fs = fs_sim_new(seed);
    l->o = (struct db_opts){ .fs = l->fs,
        .backend = IO_BUFFERED,
        .no_thread = true,
        .fsync_interval_ms = 1000,
        .chunk_range_ms = CUTS_RANGE_MS,
        .ooo_window_ms = 4 * CUTS_RANGE_MS };
    open_db(l, false);
}

static void cuts_put(struct life *l, unsigned series, int64_t t)
{
    struct appendable *s = db_appendable(l->db);
    struct appender *a = NULL;
    char id[8];
    int len = snprintf(id, sizeof(id), "%u", series);
    struct label labels[] = { { METRIC_NAME, S("late") }, { S("id"), str_of(id, (size_t)len) } };
    series_handle h = 0;
    EXPECT_OK(s->ops->begin(s, &a, NULL));
    EXPECT_OK(a->ops->series(a, (struct labels){ labels, 2 }, &h, NULL));
    EXPECT_OK(a->ops->append(a, h, t, value_of(l, series, t), 0, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
    put_of(l, series, t)->state = LOGGED;
}

static void cuts_fill(struct life *l)
{
    for (int i = 0; i < 13; i++) cuts_put(l, 0, l->now + i * CUTS_RANGE_MS / 6);
    l->now += 2 * CUTS_RANGE_MS;
    cuts_put(l, 1, l->now);                    /* so that the other log does not bring them */
    for (int i = 0; i < CUTS_LATE; i++)
        cuts_put(l, 1, l->now - 2 * CUTS_RANGE_MS + i * (CUTS_RANGE_MS / CUTS_LATE));
    EXPECT_OK(db_sync(l->db, NULL));
    mark_synced(l);
}

static void cuts_end(struct life *l, enum fs_sim_loss loss)
{
    struct err e = { 0 };
    if (!is_off(l)) fs_sim_power_off_after(l->fs, 1);
    db_abandon(STEAL(l->db));
    fs_sim_crash(l->fs, loss);
    fs_sim_power_off_after(l->fs, 0);
    open_db(l, false);
    EXPECT_OK_E(db_close(STEAL(l->db), &e), &e);
    fs_free(l->fs);
    for (size_t i = 0; i < l->puts.n; i++) mem_free(l->puts.at[i]);
    vec_fini(&l->puts);
    map_fini(&l->by_key);
}

TEST(ooo_crash_torture_in_compaction)
{
    log_capture(log_nothing, NULL);
    bool done = false;
    for (uint64_t cut = 1; !done; cut++) {
        struct life l;
        cuts_begin(&l, cut);
        cuts_fill(&l);
        fs_sim_power_off_after(l.fs, cut);
        done = db_compact(l.db, NULL) == OK;
        fs_sim_power_off_after(l.fs, 0);
        EXPECT(!done || cut > 50);
        cuts_end(&l, cut % 4 ? SIM_LOSE_SOME : SIM_LOSE_ALL);
    }
    log_capture(NULL, NULL);
}

/* A compaction fails when the arrays are chunks already; what comes then must not make the log say
 * that the chunks are there for good. */
TEST(ooo_crash_torture_after_failed_compaction)
{
    if (!getenv("TEST_VERBOSE")) log_capture(log_nothing, NULL);
    bool done = false;
    for (uint64_t nth = 1; !done; nth++) {
        struct life l;
        cuts_begin(&l, nth);
        cuts_fill(&l);
        fs_sim_fail_nth(l.fs, SIM_OP(STALL_MKDIR), nth, ERR_IO);
        done = db_compact(l.db, NULL) == OK;
        fs_sim_fail_nth(l.fs, SIM_OP(STALL_MKDIR), 0, OK);
        cuts_put(&l, 1, l.now - 1000);
        EXPECT_OK(db_sync(l.db, NULL));
        mark_synced(&l);
        cuts_end(&l, SIM_LOSE_ALL);
    }
    log_capture(NULL, NULL);
}
