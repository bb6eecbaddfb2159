/* ooo_crash_test.c — a data folder with late samples lives through power cuts, kills and full or
 * failing disks.
 *
 * Each disk is a life from one seed (test_life.h), as in crash_test.c; here batches bring late
 * samples among those in order, floats and histograms, arrays become chunks, chunks become blocks,
 * and blocks merge, series are deleted in part and blocks cleaned of that, with a crash in the
 * midst of any of it. The ledger is of single samples, because late ones are not seen as a batch:
 *
 *   LOGGED   commit answered OK: a kill loses nothing of it, a power cut may   -> SYNCED by db_sync
 *   SYNCED   it is there after every crash
 *   MAYBE    commit failed, or it was LOGGED when the power went, or somebody asked for its
 *            deletion: there, or not. Put again behind its deletion it is there.
 *   GONE     its deletion was synced, and nobody put it again: it is not there.
 *
 * Whatever is seen was asked for, with its value, once, in the order of times. In a life with
 * injected faults nothing is promised over a crash but that.
 *
 * EPI_DROP=step leaves a step of durability out: then this test must fail (tests/e2e/crash_prove).
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/test.h"
#include "head/head.h"
#include "tsdb/test_life.h"

enum { SERIES_MAX = 12, CRASH_POINTS = 3500, BATCH_MAX = 60, DELS_MAX = 6 };

enum state { GONE, MAYBE, LOGGED, SYNCED };
struct put {
    int64_t t;
    unsigned series;
    enum state state;
    bool seen;
};
/* Somebody deleted that; open: it may have been in vain. */
struct del {
    unsigned series;
    int64_t mint, maxt;
    bool open;
};

struct late {
    struct life life;
    VEC(struct put *) puts;
    VEC(struct del) dels;
    struct map by_key; /* (series, t) -> put */
    unsigned n_series;
    unsigned seeing; /* the series whose samples are read */
    int64_t last;
    struct arena scratch;
    uint64_t late;
};

static struct put *put_find(const struct late *l, unsigned series, int64_t t)
{
    return map_find(&l->by_key, mix(series, (uint64_t)t), NULL, NULL);
}

/* The sample of that series and time, put there by now. */
static struct put *put_of(struct late *l, unsigned series, int64_t t)
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

static void see_series(void *ctx, struct labels labels)
{
    struct late *l = ctx;
    uint64_t id = SERIES_MAX;
    EXPECT(str_u64(labels_get(labels, S("id")), &id) && id < SERIES_MAX);
    l->seeing = (unsigned)id;
    l->last = INT64_MIN;
}

static void see_samples(void *ctx, const struct sample_batch *b)
{
    struct late *l = ctx;
    for (size_t i = 0; i < b->n; i++) {
        struct put *p = put_find(l, l->seeing, b->t[i]);
        EXPECT(b->t[i] > l->last);
        EXPECT(p && !p->seen); /* nothing is invented */
        struct given g = given_of(&l->life, l->seeing, b->t[i], &l->scratch);
        given_expect(&g, b, i, &l->scratch);
        arena_reset(&l->scratch, (struct arena_mark){ 0 });
        p->seen = true;
        l->last = b->t[i];
    }
}

static void see_all(struct late *l)
{
    static const struct seen_ops ops = { see_series, see_samples };
    for (size_t i = 0; i < l->puts.n; i++) l->puts.at[i]->seen = false;
    see_everything(l->life.db, &ops, l);
}

static bool is_deleted(const struct late *l, const struct put *p)
{
    for (size_t i = 0; i < l->dels.n; i++) {
        const struct del *d = &l->dels.at[i];
        if (d->series == p->series && d->mint <= p->t && p->t <= d->maxt) return true;
    }
    return false;
}

/* again: after an opening what was open is decided: it stays as it is seen. */
static void check_all(struct late *l, bool again, bool killed)
{
    see_all(l);
    for (size_t i = 0; i < l->puts.n; i++) {
        struct put *p = l->puts.at[i];
        if (p->state == GONE && p->seen)
            test_fail(__FILE__, __LINE__, "the deleted sample of series %u at %" PRId64 " is there",
                p->series, p->t);
        if (p->state > MAYBE && !p->seen) {
            struct given g = given_of(&l->life, p->series, p->t, &l->scratch);
            test_fail(__FILE__, __LINE__,
                "the %s sample (kind %d%s) of series %u at %" PRId64 " is lost",
                p->state == SYNCED ? "synced" : "committed", g.kind, g.stale ? ", stale" : "",
                p->series, p->t);
        }
        if (again && p->state == MAYBE && p->seen && !is_deleted(l, p))
            p->state = killed || l->life.faulty ? LOGGED : SYNCED;
    }
}

/* ---- one generation -------------------------------------------------------------------------- */

static void mark_synced(struct late *l)
{
    for (size_t i = 0; i < l->puts.n; i++)
        if (l->puts.at[i]->state == LOGGED) l->puts.at[i]->state = SYNCED;
}

/* Answers whether it was a kill: the page cache stays. */
static bool crash(struct late *l)
{
    enum fs_sim_loss loss = life_crash(&l->life);
    bool power = loss_is_power(loss);
    for (size_t i = 0; i < l->puts.n; i++) {
        struct put *p = l->puts.at[i];
        if (l->life.faulty || (power && p->state == LOGGED)) p->state = MAYBE;
    }
    return loss == SIM_KILLED;
}

static void open_db(struct late *l, bool killed)
{
    struct err e = { 0 };
    struct db_opened what = { 0 };
    EXPECT_OK_E(db_open(&l->life.db, &l->life.o, &what, &e), &e);
    EXPECT_EQ(what.blocks_set_aside + what.blocks_skipped, 0);
    TELL(&l->life, "open: %" PRIu64 " series, %" PRIu64 " samples, %" PRIu64 " corruptions",
        what.series, what.samples, what.corruptions);
    check_all(l, true, killed);
}

/* The power may go while the folder is opened and repaired; then again, and at last it stays. */
static void open_again(struct late *l, bool killed)
{
    for (int i = 0; i < 4 && one_in(&l->life, 3); i++) {
        struct err e = { 0 };
        struct db_opened what;
        fs_sim_power_off_after(l->life.fs, 1 + below(&l->life, 24));
        errc rc = db_open(&l->life.db, &l->life.o, &what, &e);
        EXPECT(rc == OK || l->life.db == NULL);
        TELL(&l->life, "open: %s", rc == OK ? "OK" : e.msg);
        killed = crash(l) && killed;
    }
    fs_sim_power_off_after(l->life.fs, 0);
    open_db(l, killed);
}

/* One sample: behind the newest, a little late, or as late as the window goes and beyond. */
static int64_t any_time(struct late *l)
{
    if (one_in(&l->life, 3)) return l->life.now - (int64_t)below(&l->life, 3);
    uint64_t far = one_in(&l->life, 4) ? (uint64_t)l->life.o.ooo_window_ms * 9 / 8 : 20000;
    return l->life.now - (int64_t)below(&l->life, far) / 250 * 250;
}

static errc append_some(struct late *l, struct put **taken, size_t *n, struct err *e)
{
    struct appendable *s = db_appendable(l->life.db);
    struct appender *a = NULL;
    TRY(s->ops->begin(s, &a, e));
    for (size_t want = 1 + below(&l->life, BATCH_MAX); want > 0; want--) {
        char id[8];
        unsigned series = (unsigned)below(&l->life, l->n_series);
        int len = snprintf(id, sizeof(id), "%u", series);
        struct label labels[] = { { METRIC_NAME, S("late") },
            { S("id"), str_of(id, (size_t)len) } };
        int64_t t = any_time(l);
        series_handle h = 0;
        errc rc = a->ops->series(a, (struct labels){ labels, 2 }, &h, e);
        struct given g = given_of(&l->life, series, t, &l->scratch);
        if (rc == OK) rc = given_append(&g, a, h, e);
        arena_reset(&l->scratch, (struct arena_mark){ 0 });
        EXPECT(rc == OK || rc == ERR_TOO_OLD || rc == ERR_OUT_OF_BOUNDS ||
               (rc == ERR_DUPLICATE && g.stale)); /* stored as a histogram */
        if (rc == OK) taken[(*n)++] = put_of(l, series, t);
        if (rc == OK) TELL(&l->life, "  series %u at %" PRId64 ", kind %d", series, t, g.kind);
    }
    return a->ops->commit(a, e);
}

/* Has the series a newer one for certain? Then the sample is a late one, and no deletion before it
 * hides it. One that may be the newest may also be the one that is there and deleted, once more. */
static bool is_late(const struct late *l, const struct put *p)
{
    bool late = false;
    for (size_t i = 0; i < l->puts.n && !late; i++) {
        const struct put *x = l->puts.at[i];
        late = x->series == p->series && x->t > p->t && x->state >= LOGGED;
    }
    return late;
}

static void do_append(struct late *l)
{
    struct err e = { 0 };
    struct put *taken[BATCH_MAX];
    size_t n = 0;
    int64_t oldest = l->life.now - l->life.o.ooo_window_ms;
    if (l->n_series < SERIES_MAX && one_in(&l->life, 4)) l->n_series++;
    l->life.now += 1 + (int64_t)below(&l->life, one_in(&l->life, 30) ? 600000 : 20000);
    clock_fake_set(l->life.now);
    errc rc = append_some(l, taken, &n, &e);
    EXPECT(rc == OK || may_refuse(&l->life));
    for (size_t i = 0; i < n; i++) {
        if (rc != OK || (is_deleted(l, taken[i]) && !is_late(l, taken[i]))) {
            if (taken[i]->state == GONE) taken[i]->state = MAYBE;
            continue;
        }
        /* What was in order when it was asked for may have become too old by others of the batch:
         * the window is as wide as that, so it never has. */
        enum state was = taken[i]->state;
        taken[i]->state = MAX(was, l->life.o.fsync_interval_ms == 0 ? SYNCED : LOGGED);
        l->late += taken[i]->t < l->life.now - 3 && taken[i]->t >= oldest;
    }
    if (rc == OK && l->life.o.fsync_interval_ms == 0) mark_synced(l);
    TELL(&l->life, "append of %zu: %s", n, rc == OK ? "OK" : e.msg);
}

static void do_sync(struct late *l)
{
    struct err e = { 0 };
    errc rc = db_sync(l->life.db, &e);
    EXPECT(rc == OK || may_refuse(&l->life));
    TELL(&l->life, "sync: %s", rc == OK ? "OK" : e.msg);
    if (rc == OK && !l->life.faulty) mark_synced(l);
}

static void do_compact(struct late *l)
{
    struct err e = { 0 };
    if (one_in(&l->life, 2))
        fs_sim_power_off_after(l->life.fs, 1 + below(&l->life, 1ull << below(&l->life, 9)));
    errc rc = db_compact(l->life.db, &e);
    TELL(&l->life, "compact: %s", rc == OK ? "OK" : e.msg);
    EXPECT(rc == OK || may_refuse(&l->life));
}

/* Of what it covers nothing is promised, until it is synced: then that is gone. Late samples that
 * come to where it was are there as any. */
static void do_delete(struct late *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    if (l->dels.n >= DELS_MAX) return;
    struct del d = { .series = (unsigned)below(&l->life, l->n_series) };
    d.maxt = l->life.now - (int64_t)below(&l->life, (uint64_t)l->life.o.ooo_window_ms);
    d.mint = one_in(&l->life, 3) ? INT64_MIN : d.maxt - (int64_t)below(&l->life, 600000);
    struct matcher m = {
        .type = MATCH_EQ, .name = S("id"), .value = arena_fmt(&a, "%u", d.series)
    };
    struct err e = { 0 };
    errc rc = db_delete(l->life.db, (struct matchers){ &m, 1 }, d.mint, d.maxt, &e);
    EXPECT(rc == OK || may_refuse(&l->life));
    TELL(&l->life, "delete of series %u, %" PRId64 " to %" PRId64 ": %s", d.series, d.mint, d.maxt,
        rc == OK ? "OK" : e.msg);
    vec_push(&l->dels, d);
    if (rc == OK) see_all(l);
    for (size_t i = 0; i < l->puts.n; i++) {
        struct put *p = l->puts.at[i];
        if (p->series != d.series || p->t < d.mint || p->t > d.maxt) continue;
        EXPECT(rc != OK || !p->seen);
        p->state = MAYBE;
    }
    if (rc != OK || l->life.faulty || db_sync(l->life.db, NULL) != OK) return;
    mark_synced(l);
    for (size_t i = 0; i < l->puts.n; i++) {
        struct put *p = l->puts.at[i];
        if (p->series == d.series && p->t >= d.mint && p->t <= d.maxt) p->state = GONE;
    }
}

static void do_clean_up(struct late *l)
{
    struct err e = { 0 };
    errc rc = db_clean_tombstones(l->life.db, &e);
    TELL(&l->life, "clean tombstones: %s", rc == OK ? "OK" : e.msg);
    EXPECT(rc == OK || may_refuse(&l->life));
}

/* Its folder, opened, has all of it. */
static void do_snapshot(struct late *l)
{
    struct err e = { 0 };
    str name = S("all"), dir = S("snapshots/all");
    bool old = fs_exists(l->life.fs, dir) && fs_remove_tree(l->life.fs, dir, NULL) != OK;
    errc rc = old ? ERR_IO : db_snapshot(l->life.db, name, true, true, &e);
    TELL(&l->life, "snapshot: %s", rc == OK ? "OK" : e.msg);
    EXPECT(rc == OK || may_refuse(&l->life));
    if (rc != OK || may_refuse(&l->life)) return;
    struct fs *copy = life_copy(&l->life, dir);
    struct db_opts o = {
        .fs = copy, .backend = IO_BUFFERED, .no_thread = true, .keeps = l->life.o.keeps
    };
    struct db *seen = NULL, *lives_on = l->life.db;
    EXPECT_OK_E(db_open(&seen, &o, NULL, &e), &e);
    l->life.db = seen;
    check_all(l, false, false);
    l->life.db = lives_on;
    db_abandon(seen);
    fs_free(copy);
}

static void step(struct late *l, bool faults)
{
    uint64_t dice = below(&l->life, 100);
    if (dice < 72) do_append(l);
    else if (dice < 77) do_compact(l);
    else if (dice < 85) do_sync(l);
    else if (dice < 92) db_tick(l->life.db);
    else if (dice < 93) do_delete(l);
    else if (dice < 94) do_clean_up(l);
    else if (dice < 95) do_snapshot(l);
    else if (dice < 97 && !may_refuse(&l->life)) check_all(l, false, false);
    else if (faults && !l->life.failing) life_fault(&l->life);
    else if (l->life.failing) life_faults_end(&l->life);
}

static void close_clean(struct late *l)
{
    struct err e = { 0 };
    struct db_opened what = { 0 };
    fs_sim_power_off_after(l->life.fs, 0);
    life_faults_end(&l->life);
    EXPECT_OK_E(db_close(STEAL(l->life.db), &e), &e);
    if (!l->life.faulty) mark_synced(l);
    EXPECT_OK_E(db_open(&l->life.db, &l->life.o, &what, &e), &e);
    EXPECT(!what.unclean);
    EXPECT_EQ(what.corruptions, 0);
    EXPECT_EQ(what.unknown_refs, 0);
    check_all(l, true, false);
}

static void late_begin(struct late *l, uint64_t seed)
{
    *l = (struct late){ .n_series = 1 };
    life_begin(&l->life, seed);
    l->life.o.ooo_window_ms = l->life.o.chunk_range_ms * (1 + (int64_t)below(&l->life, 4));
}

static void late_end(struct late *l)
{
    life_end(&l->life);
    arena_fini(&l->scratch);
    for (size_t i = 0; i < l->puts.n; i++) mem_free(l->puts.at[i]);
    vec_fini(&l->puts);
    vec_fini(&l->dels);
    map_fini(&l->by_key);
}

static uint64_t live(uint64_t seed, void *ctx)
{
    uint64_t *late = ctx;
    struct late l;
    late_begin(&l, seed);
    bool faults = one_in(&l.life, 3);
    open_db(&l, false);
    for (uint64_t gen = 2 + below(&l.life, 8); gen > 0; gen--) {
        uint64_t steps = 1 + below(&l.life, 1ull << below(&l.life, 8));
        if (!one_in(&l.life, 4))
            fs_sim_power_off_after(l.life.fs, 1 + below(&l.life, 1 + 3 * steps));
        while (steps-- > 0 && !is_off(&l.life)) {
            step(&l, faults);
            if (getenv("CHECK_EACH") && !may_refuse(&l.life)) check_all(&l, false, false);
        }
        if (is_off(&l.life) || !one_in(&l.life, 8)) {
            bool killed = crash(&l);
            open_again(&l, killed);
        } else {
            close_clean(&l);
        }
    }
    late_end(&l);
    *late += l.late;
    return l.life.crashes;
}

TEST(ooo_crash_torture)
{
    uint64_t late = 0;
    lives(CRASH_POINTS, live, &late);
    EXPECT(late > 0);
}

/* ---- crashes at each step of a compaction ---------------------------------------------------- */

enum { CUTS_RANGE_MS = 60000, CUTS_LATE = 40 };

/* One series in order over two ranges, forty late samples of another, all durable. */
static void cuts_begin(struct late *l, uint64_t seed)
{
    *l = (struct late){ .life = { .seed = seed, .now = 1700000000000 }, .n_series = 2 };
    l->life.fs = fs_sim_new(seed);
    l->life.o = (struct db_opts){ .fs = l->life.fs,
        .backend = IO_BUFFERED,
        .no_thread = true,
        .fsync_interval_ms = 1000,
        .chunk_file_bytes = 200,
        .chunk_range_ms = CUTS_RANGE_MS,
        .ooo_window_ms = 4 * CUTS_RANGE_MS };
    open_db(l, false);
}

static void cuts_put(struct late *l, unsigned series, int64_t t)
{
    struct appendable *s = db_appendable(l->life.db);
    struct appender *a = NULL;
    char id[8];
    int len = snprintf(id, sizeof(id), "%u", series);
    struct label labels[] = { { METRIC_NAME, S("late") }, { S("id"), str_of(id, (size_t)len) } };
    series_handle h = 0;
    EXPECT_OK(s->ops->begin(s, &a, NULL));
    EXPECT_OK(a->ops->series(a, (struct labels){ labels, 2 }, &h, NULL));
    struct given g = given_of(&l->life, series, t, &l->scratch);
    EXPECT_OK(given_append(&g, a, h, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
    put_of(l, series, t)->state = LOGGED;
}

static void cuts_fill(struct late *l)
{
    for (int i = 0; i < 13; i++) cuts_put(l, 0, l->life.now + i * CUTS_RANGE_MS / 6);
    l->life.now += 2 * CUTS_RANGE_MS;
    cuts_put(l, 1, l->life.now); /* so that the other log does not bring them */
    for (int i = 0; i < CUTS_LATE; i++)
        cuts_put(l, 1, l->life.now - 2 * CUTS_RANGE_MS + i * (CUTS_RANGE_MS / CUTS_LATE));
    EXPECT_OK(db_sync(l->life.db, NULL));
    mark_synced(l);
}

static void cuts_end(struct late *l, enum fs_sim_loss loss)
{
    if (!is_off(&l->life)) fs_sim_power_off_after(l->life.fs, 1);
    db_abandon(STEAL(l->life.db));
    fs_sim_crash(l->life.fs, loss);
    fs_sim_power_off_after(l->life.fs, 0);
    open_db(l, false);
    late_end(l);
}

static void log_nothing(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

TEST(ooo_crash_torture_in_compaction)
{
    log_capture(log_nothing, NULL);
    bool done = false;
    for (uint64_t cut = 1; !done; cut++) {
        struct late l;
        cuts_begin(&l, cut);
        cuts_fill(&l);
        fs_sim_power_off_after(l.life.fs, cut);
        done = db_compact(l.life.db, NULL) == OK;
        fs_sim_power_off_after(l.life.fs, 0);
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
        struct late l;
        cuts_begin(&l, nth);
        cuts_fill(&l);
        fs_sim_fail_nth(l.life.fs, SIM_OP(STALL_MKDIR), nth, ERR_IO);
        done = db_compact(l.life.db, NULL) == OK;
        fs_sim_fail_nth(l.life.fs, SIM_OP(STALL_MKDIR), 0, OK);
        cuts_put(&l, 1, l.life.now - 1000);
        EXPECT_OK(db_sync(l.life.db, NULL));
        mark_synced(&l);
        cuts_end(&l, SIM_LOSE_ALL);
    }
    log_capture(NULL, NULL);
}

/* An array of histograms becomes several chunks, of which a power cut leaves some: the log has what
 * was in the others. */
TEST(ooo_crash_torture_chunks_of_an_array)
{
    log_capture(log_nothing, NULL);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct late l;
        struct arena a = { 0 };
        unsigned series = 0;
        cuts_begin(&l, seed);
        while (given_of(&l.life, series, l.life.now, &a).kind != SAMPLE_HISTOGRAM) series++;
        l.life.o.ooo_window_ms = 3600000;
        EXPECT_OK(db_set_ooo_window(l.life.db, l.life.o.ooo_window_ms, NULL));
        cuts_put(&l, series, l.life.now);
        for (int i = 0; i <= CUTS_LATE; i++) cuts_put(&l, series, l.life.now - 3000000 + i * 60000);
        EXPECT_OK(db_sync(l.life.db, NULL));
        mark_synced(&l);
        arena_fini(&a);
        cuts_end(&l, seed % 2 ? SIM_LOSE_SOME : SIM_LOSE_ALL);
    }
    log_capture(NULL, NULL);
}

/* Compactions move late samples, of which some were deleted, into blocks. The next ones, whose
 * checkpoint forgets the deletion, end in their cut-th step. True: they came to their end. */
static bool forget_deletion(uint64_t cut)
{
    enum { SEGMENTS = 5 };                     /* so that each run writes a checkpoint */
    struct late l;
    cuts_begin(&l, cut);
    cuts_fill(&l);
    struct matcher m = { .type = MATCH_EQ, .name = S("id"), .value = S("1") };
    int64_t maxt = l.life.now - CUTS_RANGE_MS, mint = maxt - CUTS_RANGE_MS / 8; /* in an array */
    EXPECT_OK(db_delete(l.life.db, (struct matchers){ &m, 1 }, mint, maxt, NULL));
    for (size_t i = 0; i < l.puts.n; i++) {
        struct put *p = l.puts.at[i];
        if (p->series == 1 && p->t >= mint && p->t <= maxt) p->state = GONE;
    }
    for (int i = 0; i < SEGMENTS; i++) {
        EXPECT_OK(db_close(STEAL(l.life.db), NULL));
        open_db(&l, false);
    }
    EXPECT_OK(db_compact(l.life.db, NULL));
    EXPECT(fs_exists(l.life.fs, S("wal/checkpoint.00000002")));
    l.life.now += 2 * CUTS_RANGE_MS;
    for (unsigned series = 0; series < 2; series++) {          /* both live on */
        cuts_put(&l, series, l.life.now);
        put_of(&l, series, l.life.now)->state = MAYBE;         /* a sync would hide it */
    }
    fs_sim_power_off_after(l.life.fs, cut);
    errc rc = db_compact(l.life.db, NULL);
    EXPECT(rc == OK || is_off(&l.life));
    cuts_end(&l, SIM_LOSE_SOME);
    return rc == OK;
}

TEST(ooo_crash_torture_of_a_forgotten_deletion)
{
    log_capture(log_nothing, NULL);
    bool ended = false;
    for (uint64_t cut = 1; !ended; cut++) ended = forget_deletion(cut);
    log_capture(NULL, NULL);
}
