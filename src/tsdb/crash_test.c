/* crash_test.c — a data folder lives through power cuts, kills, full and failing disks.
 *
 * Each disk is a life from one seed: generations of opening, appending, syncing, writing chunk
 * files, deleting and closing, each ended by a clean close or by a crash at a random change of the
 * disk. What runs is db_open, its appenders and its replay, on the simulated disk (io/fs_sim.h).
 * After every opening all samples are read and held against a ledger of what was asked for:
 *
 *   a batch     has one time of its own, at most one sample a series, and values that follow from
 *   (seed, series, time) its state   LOGGED   commit answered OK: a kill loses nothing of it, a
 *   power cut may           -> SYNCED by db_sync
 *               SYNCED   it is there after every crash
 *               MAYBE    commit failed as the power went, or it was LOGGED when the power went:
 *               there as a whole, or not at
 *                        all (but where the log itself was torn)
 *               ABSENT   refused, or not found once: never there again
 *
 * After a failed fsync the kernel believes pages clean that never reached the disk. The process
 * that saw it writes them again; if it is killed first, no later fsync helps: such batches (shaky)
 * are there until the power goes.
 *
 * What the harness demands beside: files of chunks_head that were finished, and files set aside as
 * *.bad, are there byte for byte after every crash (litter that it lays into the folders among
 * them); what was repaired once opens without damage the next time; commits work again as soon as
 * the disk does.
 *
 * SEED=n begins with the disk of seed n. CRASH_POINTS=n in place of the usual number. EPI_DROP=step
 * leaves a step of durability out:
 * then this test must fail (tests/e2e/crash_prove).
 */
#include "tsdb/db.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/test.h"
#include "head/head.h"
#include "io/fs_sim.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SERIES_MAX = 40,
    PAD_MAX = 1500,
    PAD_HEAVY_MAX = 12000,
    CRASH_POINTS = 2100,
    KEEP_MAX_BYTES = 16 << 20
};

enum state { ABSENT, MAYBE, LOGGED, SYNCED };
/* a batch: bit s of mask: it has a sample of series s */
struct put { int64_t t; uint64_t mask, seen; enum state state; bool shaky; };
struct del { unsigned series; int64_t maxt; enum state state; bool shaky; };
/* a file that may not change any more */
struct kept { char path[64]; uint64_t size, sum; };

struct life {
    uint64_t seed;
    struct prng rng;
    struct fs *fs;
    struct db *db;
    struct db_opts o;
    VEC(struct put) puts;
    VEC(struct del) dels;
    VEC(struct kept) kept;
    series_handle handles[SERIES_MAX];
    unsigned n_series;
    int64_t now;
    /* long labels and few syncs: unsynced pages and segments pile up, and a crash tears a log in
     * its middle */
    bool heavy;
    /* a fault was injected in this life: files may have been given up */
    bool faulty;
    bool failing;                      /* … and is injected at this moment */
    /* the opening met damage: of what was never synced, a series record may be lost and the samples
     * not */
    bool torn;
    bool killed;                       /* the last crash left the page cache as it was */
    /* … after a fault: what no later fsync reaches may be what later records stand on, such as a
     * series record */
    bool hollow;
    bool forgets;                      /* the head may have let go of old chunk files */
    uint64_t crashes;
};

static char where[96];

/* TEST_VERBOSE tells the life of the disk. */
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

/* Constants, counters, noise and stale markers, by series. */
static double value_of(const struct life *l, unsigned series, int64_t t)
{
    uint64_t bits = mix(l->seed + series, (uint64_t)t);
    if (bits % 29 == 0) return stale_nan();
    switch (mix(l->seed, series) % 4) {
    case 0: return 42;
    case 1: return (double)(t / 1000);
    case 2: return (double)(bits % 100);
    default: return (double)(int64_t)bits * 0x1p-40;
    }
}

/* Half of the series carry a long random label, so that a few of them fill a segment. */
static struct labels labels_of(struct life *l, unsigned series, struct arena *a)
{
    struct label *at = arena_alloc(a, 3 * sizeof(*at));
    size_t n = 0;
    at[n++] = (struct label){ METRIC_NAME, S("crash_test_metric") };
    at[n++] = (struct label){ S("id"), arena_fmt(a, "%u", series) };
    struct prng r = { mix(l->seed, 1000 + series) };
    size_t pad = (size_t)prng_below(&r, l->heavy ? PAD_HEAVY_MAX : PAD_MAX);
    if (series % 2 == 0 && pad) {
        char *p = arena_alloc(a, pad);
        for (size_t i = 0; i < pad; i++) p[i] = (char)('0' + prng_below(&r, 75));
        at[n++] = (struct label){ S("pad"), str_of(p, pad) };
    }
    return (struct labels){ at, n };
}

/* ---- what is there, against the ledger ---- */

static struct put *put_at(struct life *l, int64_t t)
{
    size_t lo = 0, hi = l->puts.n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (l->puts.at[mid].t < t) lo = mid + 1;
        else hi = mid;
    }
    return lo < l->puts.n && l->puts.at[lo].t == t ? &l->puts.at[lo] : NULL;
}

static void see_samples(struct life *l, struct series *s, unsigned series, struct sample_iter **it)
{
    struct err e = { 0 };
    int64_t last = INT64_MIN;
    EXPECT_OK_E(s->ops->iterate(s, it, &e), &e);
    for (struct sample_batch b = { .n = 1 }; b.n;) {
        EXPECT_OK_E(sample_iter_fill(*it, &b, &e), &e);
        EXPECT(b.n == 0 || b.kind == SAMPLE_FLOAT);
        for (size_t i = 0; i < b.n; i++) {
            struct put *p = put_at(l, b.t[i]);
            EXPECT(b.t[i] > last);
            EXPECT(p && (p->mask >> series & 1));              /* nothing is invented */
            EXPECT_EQ(f64_bits(b.v[i]), f64_bits(value_of(l, series, b.t[i])));
            p->seen |= 1ull << series;
            last = b.t[i];
        }
    }
}

static void see_all(struct life *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    struct err e = { 0 };
    struct matcher all = { .type = MATCH_EQ };
    struct select_hints hints = { .start = INT64_MIN, .end = INT64_MAX };
    struct sample_iter *it = NULL;
    for (size_t i = 0; i < l->puts.n; i++) l->puts.at[i].seen = 0;
    EXPECT_OK_E(
        db_queryable(l->db)->ops->querier(db_queryable(l->db), INT64_MIN, INT64_MAX, &q, &e), &e);
    EXPECT_OK_E(q->ops->select(q, (struct matchers){ &all, 1 }, &hints, &set, &e), &e);
    for (;;) {
        struct series *s = NULL;
        uint64_t id = SERIES_MAX;
        EXPECT_OK_E(set->ops->next(set, &s, &e), &e);
        if (!s) break;
        EXPECT(str_u64(labels_get(s->labels, S("id")), &id) && id < l->n_series);
        EXPECT(labels_eq(s->labels, labels_of(l, (unsigned)id, &a)));
        see_samples(l, s, (unsigned)id, &it);
        arena_reset(&a, (struct arena_mark){ 0 });
    }
    sample_iter_free(it);
}

/* Retention may have deleted it, and a crash may have undone that. */
static bool is_old(const struct life *l, int64_t t)
{
    return l->o.retention.ms && t <= l->now + l->o.chunk_range_ms - l->o.retention.ms;
}

/* Which samples of a batch a deletion covers, for sure and perhaps. */
static void deleted(struct life *l, const struct put *p, uint64_t *sure, uint64_t *perhaps)
{
    *sure = *perhaps = 0;
    for (size_t i = 0; i < l->dels.n; i++) {
        const struct del *d = &l->dels.at[i];
        if (p->t > d->maxt || d->state == ABSENT) continue;
        *(d->state == MAYBE ? perhaps : sure) |= 1ull << d->series & p->mask;
    }
    *perhaps &= ~*sure;
}

/* `again`: after an opening, when what was open is decided. Within a process what was refused is
 * not seen. */
static void check_put(struct life *l, struct put *p, bool again)
{
    if (is_old(l, p->t)) return;
    uint64_t sure, perhaps;
    deleted(l, p, &sure, &perhaps);
    uint64_t must = p->mask & ~sure & ~perhaps;
    EXPECT((p->seen & sure) == 0);                             /* deleted stays deleted */
    if (p->state >= LOGGED) {
        if ((p->seen & must) != must)                          /* what was promised is there */
            test_fail(__FILE__, __LINE__,
                "the batch at %" PRId64 " (%s) has lost the series %" PRIx64 " of %" PRIx64, p->t,
                p->state == SYNCED ? "synced" : "committed", must & ~p->seen, must);
    } else if (p->state == ABSENT || !again) {
        uint64_t there = p->state == ABSENT ? p->seen : p->seen & ~perhaps;
        if (there)
            test_fail(__FILE__, __LINE__,
                "the refused or lost batch at %" PRId64 " is there: series %" PRIx64, p->t, there);
    } else if (must) {
        bool whole = p->seen == 0 || (p->seen & must) == must;
        if (!whole && !l->torn)
            test_fail(__FILE__, __LINE__,
                "of the batch at %" PRId64 " only the series %" PRIx64 " of %" PRIx64 " are there",
                p->t, p->seen & must, must);
        p->state = !p->seen ? ABSENT : l->killed ? LOGGED : SYNCED;
        p->shaky = l->killed && l->faulty;
        if (!whole) p->mask &= p->seen | sure | perhaps;
    } else if (p->seen == 0 && !perhaps) {
        p->mask = 0;                                           /* deleted whole: nobody can tell */
    }
}

static bool has_blocks(struct life *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    bool any = false;
    ulid id;
    EXPECT_OK(fs_list(l->fs, S(""), &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) any |= all.at[i].is_dir && ulid_parse(all.at[i].name, &id);
    vec_fini(&all);
    return any;
}

/* A deletion reaches blocks one after the other, and the head last: of one that was cut short some
 * is done, and stays so. */
static void del_in_part(struct life *l, struct del *d)
{
    for (size_t k = 0; k < l->puts.n; k++) {
        struct put *p = &l->puts.at[k];
        if (p->t <= d->maxt && p->state >= LOGGED && !(p->seen >> d->series & 1))
            p->mask &= ~(1ull << d->series);
    }
    d->state = ABSENT;
}

static void decide_dels(struct life *l)
{
    bool blocks = has_blocks(l);
    for (size_t i = 0; i < l->dels.n; i++) {
        struct del *d = &l->dels.at[i];
        if (d->state != MAYBE) continue;
        size_t gone = 0, there = 0;
        for (size_t k = 0; k < l->puts.n; k++) {
            const struct put *p = &l->puts.at[k];
            if (p->t > d->maxt || p->state == ABSENT || !(p->mask >> d->series & 1) ||
                is_old(l, p->t))
                continue;
            /* even of a batch that nothing was promised of */
            if (p->seen >> d->series & 1) there++;
            else gone += p->state >= LOGGED;
        }
        /* another deletion of that series: nobody can tell them apart */
        bool other = false;
        for (size_t k = 0; k < l->dels.n; k++)
            other |= k != i && l->dels.at[k].series == d->series && l->dels.at[k].state != ABSENT;
        EXPECT(other || blocks || !gone || !there);
        if (other) continue;
        if (gone && there) {
            del_in_part(l, d);
            continue;
        }
        d->state = there ? ABSENT : l->killed ? LOGGED : SYNCED;
        d->shaky = l->killed && l->faulty;
    }
}

static void check_all(struct life *l, bool again)
{
    see_all(l);
    for (size_t i = 0; i < l->puts.n; i++) check_put(l, &l->puts.at[i], again);
    if (!again) return;
    decide_dels(l);
    for (size_t i = 0; i < l->puts.n; i++)                     /* what hung on a deletion */
        if (l->puts.at[i].state == MAYBE) check_put(l, &l->puts.at[i], true);
}

/* ---- files that stay ---- */

static void file_sum(struct life *l, str path, struct kept *out)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str all = STR_EMPTY;
    struct err e = { 0 };
    EXPECT_OK_E(fs_read_all(l->fs, path, &a, KEEP_MAX_BYTES, &all, &e), &e);
    *out = (struct kept){ .size = all.n, .sum = 14695981039346656037u };
    for (size_t i = 0; i < all.n; i++) out->sum = (out->sum ^ all.p[i]) * 1099511628211u;
    snprintf(out->path, sizeof(out->path), "%.*s", STR_ARG(path));
}

static void keep(struct life *l, str path)
{
    for (size_t i = 0; i < l->kept.n; i++)
        if (str_eq(str_z(l->kept.at[i].path), path)) return;
    struct kept k;
    file_sum(l, path, &k);
    TELL(l, "kept %s", k.path);
    vec_push(&l->kept, k);
}

/* Finished chunk files (all but the newest) and what was set aside. REQUIRES: the disk works. What
 * the head wrote to blocks, or found deleted, it needs no chunk files for: those may go. */
static void keep_finished(struct life *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    if (l->faulty) return;
    EXPECT_OK(fs_list(l->fs, S(""), &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++)
        if (!all.at[i].is_dir && str_find(all.at[i].name, S(".bad")) != SIZE_MAX)
            keep(l, all.at[i].name);
    vec_fini(&all);
    EXPECT_OK(fs_list(l->fs, S("chunks_head"), &a, &all, NULL));
    for (size_t i = 0; i + 1 < all.n && !l->forgets; i++)
        keep(l, path_join(&a, S("chunks_head"), all.at[i].name));
    vec_fini(&all);
}

static void check_kept(struct life *l)
{
    for (size_t i = 0; !l->faulty && i < l->kept.n; i++) {
        const struct kept *was = &l->kept.at[i];
        struct kept is;
        if (l->forgets && str_has_prefix(str_z(was->path), S("chunks_head/"))) continue;
        EXPECT(fs_exists(l->fs, str_z(was->path)));
        file_sum(l, str_z(was->path), &is);
        EXPECT(is.size == was->size && is.sum == was->sum);
    }
}

/* ---- one generation ---- */

static bool is_off(struct life *l) { return fs_sim_is_off(l->fs); }

static void faults_end(struct life *l)
{
    fs_sim_fail_rate(l->fs, 0, 0, OK);
    fs_sim_capacity(l->fs, 0);
    l->failing = false;
}

static void crash(struct life *l)
{
    static const enum fs_sim_loss losses[] = { SIM_LOSE_SOME, SIM_LOSE_SOME, SIM_LOSE_ALL,
        SIM_LOSE_NOTHING, SIM_KILLED };
    enum fs_sim_loss loss = losses[below(l, ARRAY_LEN(losses))];
    /* what failed to reach the disk is still in the page cache */
    if (loss == SIM_LOSE_NOTHING && l->faulty) loss = SIM_KILLED;
    if (!is_off(l)) fs_sim_power_off_after(l->fs, 1);          /* what dies writes nothing more */
    db_abandon(STEAL(l->db));
    faults_end(l);
    fs_sim_crash(l->fs, loss);
    TELL(l, "crash %d", loss);
    bool power = loss == SIM_LOSE_SOME || loss == SIM_LOSE_ALL;
    l->killed = loss == SIM_KILLED;
    l->hollow |= l->killed && l->faulty;
    l->torn |= power && l->hollow;
    for (size_t i = 0; i < l->puts.n; i++) {
        struct put *p = &l->puts.at[i];
        if (power && l->hollow && p->state == SYNCED) p->state = MAYBE;
        if (p->state != LOGGED) continue;
        if (power) p->state = MAYBE;
        p->shaky = l->faulty;
    }
    for (size_t i = 0; i < l->dels.n; i++) {
        struct del *d = &l->dels.at[i];
        if (power && l->hollow && d->state == SYNCED) d->state = MAYBE;
        if (d->state != LOGGED) continue;
        if (power) d->state = MAYBE;
        d->shaky = l->faulty;
    }
    l->crashes++;
    check_kept(l);
}

static void mark_synced(struct life *l)
{
    for (size_t i = 0; i < l->puts.n; i++)
        if (l->puts.at[i].state == LOGGED && !l->puts.at[i].shaky) l->puts.at[i].state = SYNCED;
    for (size_t i = 0; i < l->dels.n; i++)
        if (l->dels.at[i].state == LOGGED && !l->dels.at[i].shaky) l->dels.at[i].state = SYNCED;
}

/* REQUIRES: no power cut is ordered */
static void open_db(struct life *l)
{
    struct err e = { 0 };
    struct db_opened what = { 0 };
    EXPECT_OK_E(db_open(&l->db, &l->o, &what, &e), &e);
    memset(l->handles, 0, sizeof(l->handles));
    EXPECT_EQ(what.blocks_set_aside + what.blocks_skipped, 0); /* a block is whole or not there */
    /* zeros in a log are padding to its reader: a lost series tells */
    l->torn |= what.corruptions > 0 || what.unknown_refs > 0;
    TELL(l, "open: %" PRIu64 " series, %" PRIu64 " samples, %" PRIu64 " corruptions", what.series,
        what.samples, what.corruptions);
    check_all(l, true);
    l->torn = false;
    keep_finished(l);
}

/* Something that no log has lies in its folder: it is set aside, and stays there. */
static void litter(struct life *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    if (l->faulty || !one_in(l, 8)) return;
    str path =
        arena_fmt(&a, "%s/+%u", one_in(l, 2) ? "wal" : "chunks_head", (unsigned)below(l, 100));
    struct err e = { 0 };
    EXPECT_OK_E(fs_write_durable(l->fs, path, S("nobody's"), &e), &e);
    TELL(l, "litter");
    l->torn = true;
}

/* The power may go while the folder is opened and repaired; then again, and at last it stays. */
static void open_again(struct life *l)
{
    litter(l);
    for (int i = 0; i < 4 && one_in(l, 3); i++) {
        struct err e = { 0 };
        struct db_opened what;
        fs_sim_power_off_after(l->fs, 1 + below(l, 24));
        if (one_in(l, 4)) {
            l->faulty = true;
            fs_sim_fail_rate(
                l->fs, SIM_OPS_CHANGE | (one_in(l, 2) ? SIM_OP(STALL_READ) : 0), 100000, ERR_IO);
        }
        errc rc = db_open(&l->db, &l->o, &what, &e);
        EXPECT(rc == OK || l->db == NULL);
        /* it may have mended what the next opening would have met */
        l->torn = true;
        TELL(l, "open: %s", rc == OK ? "OK" : e.msg);
        crash(l);
    }
    fs_sim_power_off_after(l->fs, 0);
    open_db(l);
}

static errc append_put(struct life *l, struct put *p, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct appendable *s = db_appendable(l->db);
    struct appender *app = NULL;
    TRY(s->ops->begin(s, &app, e));
    for (unsigned i = 0; i < l->n_series; i++) {
        if (!(p->mask >> i & 1)) continue;
        errc rc =
            l->handles[i] ? OK : app->ops->series(app, labels_of(l, i, &a), &l->handles[i], e);
        if (rc == OK) rc = app->ops->append(app, l->handles[i], p->t, value_of(l, i, p->t), 0, e);
        if (rc == ERR_NOT_FOUND) l->handles[i--] = 0;
        else if (rc != OK) {
            app->ops->rollback(app);
            return rc;
        }
    }
    return app->ops->commit(app, e);
}

static void do_append(struct life *l)
{
    struct err e = { 0 };
    if (l->n_series == 0 || one_in(l, l->heavy ? 2 : 6)) {
        unsigned more = 1 + (unsigned)below(l, 4);
        l->n_series = MIN(l->n_series + more, (unsigned)SERIES_MAX);
    }
    l->now += 1 + (int64_t)below(l, one_in(l, 50) ? 3600000 : 30000);
    clock_fake_set(l->now);
    struct put p = { .t = l->now, .mask = prng_u64(&l->rng) | 1 };
    if (one_in(l, 3)) p.mask = UINT64_MAX;
    p.mask &= (1ull << l->n_series) - 1;
    errc rc = append_put(l, &p, &e);
    /* as soon as the disk works, commits do */
    EXPECT(rc == OK || is_off(l) || l->failing);
    if (rc == OK) p.state = l->o.fsync_interval_ms == 0 ? SYNCED : LOGGED;
    else p.state = MAYBE;
    if (rc == OK && p.state == SYNCED) mark_synced(l);
    TELL(l, "append: %s", rc == OK ? "OK" : e.msg);
    vec_push(&l->puts, p);
}

static void do_sync(struct life *l)
{
    struct err e = { 0 };
    errc rc = db_sync(l->db, &e);
    EXPECT(rc == OK || is_off(l) || l->failing);
    TELL(l, "sync: %s", rc == OK ? "OK" : e.msg);
    if (rc == OK) mark_synced(l);
}

static void do_delete(struct life *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    if (l->n_series == 0 || l->dels.n >= 8) return;
    struct del d = { .series = (unsigned)below(l, l->n_series),
        .maxt = l->now - (int64_t)below(l, 100000) };
    struct matcher m = {
        .type = MATCH_EQ, .name = S("id"), .value = arena_fmt(&a, "%u", d.series)
    };
    struct err e = { 0 };
    errc rc = db_delete(l->db, (struct matchers){ &m, 1 }, INT64_MIN, d.maxt, &e);
    EXPECT(rc == OK || is_off(l) || l->failing);
    TELL(l, "delete: series %u to %" PRId64 ": %s", d.series, d.maxt, rc == OK ? "OK" : e.msg);
    d.state = rc != OK ? MAYBE : l->o.fsync_interval_ms == 0 ? SYNCED : LOGGED;
    vec_push(&l->dels, d);
}

static void do_compact(struct life *l)
{
    struct err e = { 0 };
    if (one_in(l, 2)) fs_sim_power_off_after(l->fs, 1 + below(l, 1ull << below(l, 9)));
    uint64_t had = fs_sim_changes(l->fs);
    l->forgets |= head_compactable(db_head(l->db));
    errc rc = db_compact(l->db, &e);
    TELL(l, "compact: %s, %" PRIu64 " changes of the disk", rc == OK ? "OK" : e.msg,
        fs_sim_changes(l->fs) - had);
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
    if (dice < 67 || (l->heavy && dice < 87)) do_append(l);
    else if (dice < 70 || (l->heavy && dice < 90)) do_compact(l);
    else if (dice < 78) do_sync(l);
    else if (dice < 92) {
        l->forgets |= head_compactable(db_head(l->db));
        db_tick(l->db);
        if (!is_off(l) && !l->failing) keep_finished(l);
    } else if (dice < 94) do_delete(l);
    else if (dice < 96 && !is_off(l) && !l->failing) check_all(l, false);
    else if (may_fail && !l->failing) do_fault(l);
    else if (l->failing) faults_end(l);
}

/* A clean end: everything is durable, and the next opening finds nothing to mend. */
static void close_clean(struct life *l)
{
    struct err e = { 0 };
    struct db_opened what = { 0 };
    fs_sim_power_off_after(l->fs, 0);
    faults_end(l);
    EXPECT_OK_E(db_close(STEAL(l->db), &e), &e);
    mark_synced(l);
    EXPECT_OK_E(db_open(&l->db, &l->o, &what, &e), &e);
    EXPECT(!what.unclean);
    EXPECT_EQ(what.corruptions, 0);
    check_all(l, true);
    memset(l->handles, 0, sizeof(l->handles));
}

static void life_begin(struct life *l, uint64_t seed)
{
    static const enum compress_kind kinds[] = { COMPRESS_NONE, COMPRESS_SNAPPY, COMPRESS_ZSTD };
    *l = (struct life){ .seed = seed, .rng = { mix(seed, 7) }, .now = 1700000000000 };
    l->fs = fs_sim_new(mix(seed, 8));
    prng_fake_set(mix(seed, 9));
    clock_fake_set(l->now);
    l->heavy = one_in(l, 4);
    l->o = (struct db_opts){
        .fs = l->fs,
        .backend = IO_BUFFERED,
        .no_thread = true,
        .wal_compress = kinds[below(l, 3)],
        .wal_segment_bytes = 32768 * (1 + below(l, 2)),
        .chunk_file_bytes = 200 + below(l, 4000),
        .chunk_range_ms = 60000 * (1 + (int64_t)below(l, one_in(l, 2) ? 120 : 10)),
        .block_segment_bytes = 300 + below(l, 3000),
        .samples_per_chunk = 4 + (uint32_t)below(l, 12),
        .fsync_interval_ms = one_in(l, 4) && !l->heavy ? 0 : 1000,
    };
    if (one_in(l, 3)) l->o.retention.ms = l->o.chunk_range_ms * (1 + (int64_t)below(l, 4));
}

static void life_end(struct life *l)
{
    struct err e = { 0 };
    EXPECT_OK_E(db_close(STEAL(l->db), &e), &e);
    fs_free(l->fs);
    vec_fini(&l->puts);
    vec_fini(&l->dels);
    vec_fini(&l->kept);
}

static uint64_t live(uint64_t seed)
{
    struct life l;
    snprintf(where, sizeof(where), "disk of SEED=%" PRIu64, seed);
    test_case(where);
    life_begin(&l, seed);
    bool may_fail = one_in(&l, 3);
    open_db(&l);
    for (uint64_t gen = 2 + below(&l, 8); gen > 0; gen--) {
        uint64_t steps = 1 + below(&l, 1ull << below(&l, 8));
        if (!one_in(&l, 4)) fs_sim_power_off_after(l.fs, 1 + below(&l, 1 + steps));
        while (steps-- > 0 && !is_off(&l)) step(&l, may_fail);
        if (is_off(&l) || !one_in(&l, 8)) {
            crash(&l);
            open_again(&l);
        } else {
            close_clean(&l);
        }
    }
    uint64_t crashes = l.crashes;
    fs_sim_power_off_after(l.fs, 0);
    faults_end(&l);
    life_end(&l);
    prng_fake_off();
    clock_fake_off();
    return crashes;
}

static void log_nothing(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

TEST(crash_torture)
{
    const char *points = getenv("CRASH_POINTS");
    uint64_t want = points ? strtoull(points, NULL, 10) : CRASH_POINTS, seen = 0;
    if (!getenv("TEST_VERBOSE")) log_capture(log_nothing, NULL);
    for (uint64_t seed = test_seed(); seen < want; seed++) seen += live(seed);
    log_capture(NULL, NULL);
    EXPECT(seen >= want);
}
