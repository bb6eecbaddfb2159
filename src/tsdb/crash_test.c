/* crash_test.c — a data folder lives through power cuts, kills, full and failing disks.
 *
 * Each disk is a life from one seed (test_life.h): generations of opening, appending, syncing,
 * compacting, deleting, cleaning up, writing snapshots and closing, each ended by a clean close or
 * by a crash at a random change of the disk. What runs is db_open, its appenders and its replay, on
 * the simulated disk (io/fs_sim.h). After every opening all samples and exemplars are read and held
 * against a ledger of what was asked for:
 *
 *   a batch     has one time of its own, at most one sample a series, and values that follow from
 *   (seed, series, time) its state   LOGGED   commit answered OK: a kill loses nothing of it, a
 *   power cut may           -> SYNCED by db_sync
 *               SYNCED   it is there after every crash
 *               MAYBE    commit failed as the power went, or it was LOGGED when the power went:
 *               there as a whole, or not at
 *                        all (by kinds of samples after a power cut; not where the log was torn)
 *               ABSENT   refused, or not found once: never there again
 *
 * After a failed fsync the kernel believes pages clean that never reached the disk. The process
 * that saw it writes them again; if it is killed first, no later fsync helps: such batches (shaky)
 * are there until the power goes.
 *
 * What the harness demands beside: files of chunks_head that were finished, files set aside as
 * *.bad, and whole snapshots, are there byte for byte after every crash (litter that it lays into
 * the folders among them); a snapshot holds what was there; what was repaired once opens without
 * damage the next time; commits work again as soon as the disk does.
 *
 * EPI_DROP=step leaves a step of durability out: then this test must fail (tests/e2e/crash_prove).
 */
#include "tsdb/db.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/test.h"
#include "head/head.h"
#include "storage/exemplars.h"
#include "tsdb/test_life.h"

enum {
    SERIES_MAX = 40,
    PAD_MAX = 1500,
    PAD_HEAVY_MAX = 12000,
    CRASH_POINTS = 5000,
    KEEP_MAX_BYTES = 16 << 20,
    SNAPSHOTS_MAX = 3
};

enum state { ABSENT, MAYBE, LOGGED, SYNCED };
/* A batch: bit s of mask: it has a sample of series s; of examples: and an exemplar, which is there
 * where the sample is. */
struct put {
    int64_t t;
    uint64_t mask, seen, examples, shown;
    enum state state;
    bool shaky;
};
struct del {
    unsigned series;
    int64_t maxt;
    enum state state;
    bool shaky;
};
/* a file that may not change any more */
struct kept {
    char path[96];
    uint64_t size, sum;
};

struct batches {
    struct life life;
    VEC(struct put) puts;
    VEC(struct del) dels;
    VEC(struct kept) kept;
    series_handle handles[SERIES_MAX];
    unsigned n_series, n_snapshots;
    unsigned seeing; /* the series whose samples are read */
    int64_t last;
    struct arena scratch;
    /* long labels and few syncs: unsynced pages and segments pile up, and a crash tears a log in
     * its middle */
    bool heavy;
    /* the opening met damage: of what was never synced, a series record may be lost and the samples
     * not */
    bool torn;
    bool killed; /* the last crash left the page cache as it was */
    /* … after a fault: what no later fsync reaches may be what later records stand on, such as a
     * series record */
    bool hollow;
    bool forgets; /* the head may have let go of old chunk files */
    bool ends;    /* series that ended leave the head early */
};

/* Half of the series carry a long random label, so that a few of them fill a segment. */
static struct labels labels_of(struct batches *l, unsigned series, struct arena *a)
{
    struct label *at = arena_alloc(a, 3 * sizeof(*at));
    size_t n = 0;
    at[n++] = (struct label){ METRIC_NAME, S("crash_test_metric") };
    at[n++] = (struct label){ S("id"), arena_fmt(a, "%u", series) };
    struct prng r = { mix(l->life.seed, 1000 + series) };
    size_t pad = (size_t)prng_below(&r, l->heavy ? PAD_HEAVY_MAX : PAD_MAX);
    if (series % 2 == 0 && pad) {
        char *p = arena_alloc(a, pad);
        for (size_t i = 0; i < pad; i++) p[i] = (char)('0' + prng_below(&r, 75));
        at[n++] = (struct label){ S("pad"), str_of(p, pad) };
    }
    return (struct labels){ at, n };
}

/* ---- what is there, against the ledger ---- */

static struct put *put_at(struct batches *l, int64_t t)
{
    size_t lo = 0, hi = l->puts.n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (l->puts.at[mid].t < t) lo = mid + 1;
        else hi = mid;
    }
    return lo < l->puts.n && l->puts.at[lo].t == t ? &l->puts.at[lo] : NULL;
}

static void see_series(void *ctx, struct labels labels)
{
    struct batches *l = ctx;
    uint64_t id = SERIES_MAX;
    EXPECT(str_u64(labels_get(labels, S("id")), &id) && id < l->n_series);
    EXPECT(labels_eq(labels, labels_of(l, (unsigned)id, &l->scratch)));
    arena_reset(&l->scratch, (struct arena_mark){ 0 });
    l->seeing = (unsigned)id;
    l->last = INT64_MIN;
}

static void see_samples(void *ctx, const struct sample_batch *b)
{
    struct batches *l = ctx;
    for (size_t i = 0; i < b->n; i++) {
        struct put *p = put_at(l, b->t[i]);
        EXPECT(b->t[i] > l->last);
        EXPECT(p && (p->mask >> l->seeing & 1)); /* nothing is invented */
        struct given g = given_of(&l->life, l->seeing, b->t[i], &l->scratch);
        given_expect(&g, b, i, &l->scratch);
        arena_reset(&l->scratch, (struct arena_mark){ 0 });
        p->seen |= 1ull << l->seeing;
        l->last = b->t[i];
    }
}

static struct exemplar example_of(struct batches *l, unsigned series, int64_t t, struct arena *a)
{
    struct label *label = ANEW(a, struct label);
    *label = (struct label){ S("trace"), arena_fmt(a, "%u-%" PRId64, series, t) };
    return (
        struct exemplar){ { label, 1 }, (double)(mix(l->life.seed, (uint64_t)t) % 1000), t, true };
}

static void see_examples(struct batches *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct matcher every = { .type = MATCH_NE, .name = S("none"), .value = S("x") };
    struct matchers sets = { &every, 1 };
    struct exemplar_queryable *q = head_exemplars(db_head(l->life.db));
    struct exemplar_result r;
    struct err e = { 0 };
    EXPECT_OK_E(q->ops->select(q, INT64_MIN, INT64_MAX, &sets, 1, &a, &r, &e), &e);
    for (size_t s = 0; s < r.n; s++) {
        uint64_t id = SERIES_MAX;
        EXPECT(str_u64(labels_get(r.at[s].labels, S("id")), &id) && id < l->n_series);
        for (size_t i = 0; i < r.at[s].n; i++) {
            const struct exemplar *x = &r.at[s].at[i];
            struct put *p = put_at(l, x->t);
            EXPECT(p && (p->examples >> id & 1)); /* nothing is invented */
            struct exemplar want = example_of(l, (unsigned)id, x->t, &a);
            EXPECT(exemplar_same(&want, x));
            EXPECT(!(p->shown >> id & 1)); /* or there twice */
            p->shown |= 1ull << id;
        }
    }
}

static void see_all(struct batches *l)
{
    static const struct seen_ops ops = { see_series, see_samples };
    for (size_t i = 0; i < l->puts.n; i++) l->puts.at[i].seen = l->puts.at[i].shown = 0;
    see_everything(l->life.db, &ops, l);
    see_examples(l);
}

/* Retention may have deleted it, and a crash may have undone that. */
static bool is_old(const struct batches *l, int64_t t)
{
    return l->life.o.retention.ms &&
           t <= l->life.now + l->life.o.chunk_range_ms - l->life.o.retention.ms;
}

/* Which samples of a batch a deletion covers, for sure and perhaps. */
static void deleted(struct batches *l, const struct put *p, uint64_t *sure, uint64_t *perhaps)
{
    *sure = *perhaps = 0;
    for (size_t i = 0; i < l->dels.n; i++) {
        const struct del *d = &l->dels.at[i];
        if (p->t > d->maxt || d->state == ABSENT) continue;
        *(d->state == MAYBE ? perhaps : sure) |= 1ull << d->series & p->mask;
    }
    *perhaps &= ~*sure;
}

/* The log has a record for each kind of samples: each is there whole, or is not. Of which a stale
 * marker becomes, its series knows. */
static bool by_records(struct batches *l, const struct put *p, uint64_t must)
{
    uint64_t kinds[GIVEN_RECORDS] = { 0 };
    for (unsigned i = 0; i < l->n_series; i++) {
        struct given g = given_of(&l->life, i, p->t, &l->scratch);
        if ((must >> i & 1) && !g.stale) kinds[given_record(&g)] |= 1ull << i;
    }
    arena_reset(&l->scratch, (struct arena_mark){ 0 });
    for (size_t k = 0; k < GIVEN_RECORDS; k++)
        if ((p->seen & kinds[k]) && (p->seen & kinds[k]) != kinds[k]) return false;
    return true;
}

/* `again`: after an opening, when what was open is decided. Within a process what was refused is
 * not seen. */
static void check_put(struct batches *l, struct put *p, bool again)
{
    if (is_old(l, p->t)) return;
    uint64_t sure, perhaps;
    deleted(l, p, &sure, &perhaps);
    uint64_t must = p->mask & ~sure & ~perhaps;
    EXPECT((p->seen & sure) == 0); /* deleted stays deleted */
    if (p->state >= LOGGED) {
        if ((p->seen & must) != must) /* what was promised is there */
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
        if (!whole && !l->torn && !by_records(l, p, must))
            test_fail(__FILE__, __LINE__,
                "of the batch at %" PRId64 " only the series %" PRIx64 " of %" PRIx64 " are there",
                p->t, p->seen & must, must);
        p->state = !p->seen ? ABSENT : l->killed ? LOGGED : SYNCED;
        p->shaky = l->killed && l->life.faulty;
        /* what is not there was lost, or deleted: nobody can tell */
        p->mask &= p->seen | sure;
    } else if (p->seen == 0 && !perhaps) {
        p->mask = 0; /* deleted whole: nobody can tell */
    }
}

static bool has_blocks(struct batches *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    bool any = false;
    ulid id;
    EXPECT_OK(fs_list(l->life.fs, S(""), &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) any |= all.at[i].is_dir && ulid_parse(all.at[i].name, &id);
    vec_fini(&all);
    return any;
}

/* A deletion reaches blocks one after the other, and the head last: of one that was cut short some
 * is done, and stays so. */
static void del_in_part(struct batches *l, struct del *d)
{
    for (size_t k = 0; k < l->puts.n; k++) {
        struct put *p = &l->puts.at[k];
        if (p->t <= d->maxt && p->state >= LOGGED && !(p->seen >> d->series & 1))
            p->mask &= ~(1ull << d->series);
    }
    d->state = ABSENT;
}

static void decide_dels(struct batches *l)
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
        d->shaky = l->killed && l->life.faulty;
    }
}

/* Exemplars of the time that the head has, as long as there is room for all; those of a series that
 * was deleted may go with it. */
static void check_examples(struct batches *l, struct put *p, bool was_open)
{
    if (is_old(l, p->t)) return;
    bool few = l->life.o.keeps.max_exemplars < 1000;
    uint64_t sure, perhaps;
    deleted(l, p, &sure, &perhaps);
    uint64_t must = p->examples & p->seen & ~sure & ~perhaps;
    /* where a log was torn, an exemplar may outlive its sample */
    if (p->state == MAYBE && !was_open) EXPECT(!(p->shown & p->mask & ~sure & ~perhaps));
    if (was_open) p->examples &= p->shown;
    else if (p->state >= LOGGED && !few && p->t >= head_min_time(db_head(l->life.db)) &&
             (p->shown & must) != must)
        test_fail(__FILE__, __LINE__,
            "the batch at %" PRId64 " has lost the exemplars of the series %" PRIx64 " of %" PRIx64,
            p->t, must & ~p->shown, must);
}

static void check_all(struct batches *l, bool again)
{
    see_all(l);
    for (size_t i = 0; i < l->puts.n; i++) {
        struct put *p = &l->puts.at[i];
        bool was_open = again && p->state == MAYBE;
        check_put(l, p, again);
        check_examples(l, p, was_open);
    }
    if (!again) return;
    decide_dels(l);
    for (size_t i = 0; i < l->puts.n; i++) /* what hung on a deletion */
        if (l->puts.at[i].state == MAYBE) check_put(l, &l->puts.at[i], true);
}

/* ---- files that stay ---- */

static void file_sum(struct batches *l, str path, struct kept *out)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str all = STR_EMPTY;
    struct err e = { 0 };
    EXPECT_OK_E(fs_read_all(l->life.fs, path, &a, KEEP_MAX_BYTES, &all, &e), &e);
    *out = (struct kept){ .size = all.n, .sum = 14695981039346656037u };
    for (size_t i = 0; i < all.n; i++) out->sum = (out->sum ^ all.p[i]) * 1099511628211u;
    snprintf(out->path, sizeof(out->path), "%.*s", STR_ARG(path));
}

static void keep(struct batches *l, str path)
{
    for (size_t i = 0; i < l->kept.n; i++)
        if (str_eq(str_z(l->kept.at[i].path), path)) return;
    struct kept k;
    file_sum(l, path, &k);
    TELL(&l->life, "kept %s", k.path);
    vec_push(&l->kept, k);
}

/* Finished chunk files (all but the newest) and what was set aside. REQUIRES: the disk works. What
 * the head wrote to blocks, or found deleted, it needs no chunk files for: those may go. */
static void keep_finished(struct batches *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    if (l->life.faulty) return;
    EXPECT_OK(fs_list(l->life.fs, S(""), &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++)
        if (!all.at[i].is_dir && str_find(all.at[i].name, S(".bad")) != SIZE_MAX)
            keep(l, all.at[i].name);
    vec_fini(&all);
    EXPECT_OK(fs_list(l->life.fs, S("chunks_head"), &a, &all, NULL));
    for (size_t i = 0; i + 1 < all.n && !l->forgets; i++)
        keep(l, path_join(&a, S("chunks_head"), all.at[i].name));
    vec_fini(&all);
}

static void check_kept(struct batches *l)
{
    for (size_t i = 0; !l->life.faulty && i < l->kept.n; i++) {
        const struct kept *was = &l->kept.at[i];
        struct kept is;
        if (l->forgets && str_has_prefix(str_z(was->path), S("chunks_head/"))) continue;
        EXPECT(fs_exists(l->life.fs, str_z(was->path)));
        file_sum(l, str_z(was->path), &is);
        EXPECT(is.size == was->size && is.sum == was->sum);
    }
}

/* ---- one generation ---- */

static void crash(struct batches *l)
{
    enum fs_sim_loss loss = life_crash(&l->life);
    bool power = loss_is_power(loss);
    l->killed = loss == SIM_KILLED;
    l->hollow |= l->killed && l->life.faulty;
    l->torn |= power && l->hollow;
    for (size_t i = 0; i < l->puts.n; i++) {
        struct put *p = &l->puts.at[i];
        if (power && l->hollow && p->state == SYNCED) p->state = MAYBE;
        if (p->state != LOGGED) continue;
        if (power) p->state = MAYBE;
        p->shaky = l->life.faulty;
    }
    for (size_t i = 0; i < l->dels.n; i++) {
        struct del *d = &l->dels.at[i];
        if (power && l->hollow && d->state == SYNCED) d->state = MAYBE;
        if (d->state != LOGGED) continue;
        if (power) d->state = MAYBE;
        d->shaky = l->life.faulty;
    }
    check_kept(l);
}

static void mark_synced(struct batches *l)
{
    for (size_t i = 0; i < l->puts.n; i++)
        if (l->puts.at[i].state == LOGGED && !l->puts.at[i].shaky) l->puts.at[i].state = SYNCED;
    for (size_t i = 0; i < l->dels.n; i++)
        if (l->dels.at[i].state == LOGGED && !l->dels.at[i].shaky) l->dels.at[i].state = SYNCED;
}

/* REQUIRES: no power cut is ordered */
static void open_db(struct batches *l)
{
    struct err e = { 0 };
    struct db_opened what = { 0 };
    EXPECT_OK_E(db_open(&l->life.db, &l->life.o, &what, &e), &e);
    memset(l->handles, 0, sizeof(l->handles));
    db_set_stale_threshold(l->life.db, l->ends ? 0.01 : 0);
    EXPECT_EQ(what.blocks_set_aside + what.blocks_skipped, 0); /* a block is whole or not there */
    /* zeros in a log are padding to its reader: a lost series tells */
    l->torn |= what.corruptions > 0 || what.unknown_refs > 0;
    TELL(&l->life, "open: %" PRIu64 " series, %" PRIu64 " samples, %" PRIu64 " corruptions",
        what.series, what.samples, what.corruptions);
    check_all(l, true);
    l->torn = false;
    keep_finished(l);
}

/* Something that no log has lies in its folder: it is set aside, and stays there. */
static void litter(struct batches *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    if (l->life.faulty || !one_in(&l->life, 8)) return;
    str path = arena_fmt(
        &a, "%s/+%u", one_in(&l->life, 2) ? "wal" : "chunks_head", (unsigned)below(&l->life, 100));
    struct err e = { 0 };
    EXPECT_OK_E(fs_write_durable(l->life.fs, path, S("nobody's"), &e), &e);
    TELL(&l->life, "litter");
    l->torn = true;
}

/* The power may go while the folder is opened and repaired; then again, and at last it stays. */
static void open_again(struct batches *l)
{
    litter(l);
    for (int i = 0; i < 4 && one_in(&l->life, 3); i++) {
        struct err e = { 0 };
        struct db_opened what;
        fs_sim_power_off_after(l->life.fs, 1 + below(&l->life, 24));
        if (one_in(&l->life, 4)) {
            l->life.faulty = true;
            fs_sim_fail_rate(l->life.fs,
                SIM_OPS_CHANGE | (one_in(&l->life, 2) ? SIM_OP(STALL_READ) : 0), 100000, ERR_IO);
        }
        errc rc = db_open(&l->life.db, &l->life.o, &what, &e);
        EXPECT(rc == OK || l->life.db == NULL);
        /* it may have mended what the next opening would have met */
        l->torn = true;
        TELL(&l->life, "open: %s", rc == OK ? "OK" : e.msg);
        crash(l);
    }
    fs_sim_power_off_after(l->life.fs, 0);
    open_db(l);
}

/* Whatever goes with it. */
static errc append_sample(struct batches *l, struct appender *app, unsigned series,
    const struct put *p, struct arena *a, struct err *e)
{
    series_handle h = l->handles[series];
    struct given g = given_of(&l->life, series, p->t, a);
    TRY(given_append(&g, app, h, e));
    if (p->examples >> series & 1) {
        struct exemplar x = example_of(l, series, p->t, a);
        TRY(app->ops->exemplar(app, h, &x, e));
    }
    if (mix(l->life.seed, (uint64_t)p->t + series) % 6) return OK;
    struct metadata m = { TYPE_GAUGE, S("seconds"), arena_fmt(a, "since %" PRId64, p->t) };
    return app->ops->metadata(app, h, &m, e);
}

static errc append_put(struct batches *l, struct put *p, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct appendable *s = db_appendable(l->life.db);
    struct appender *app = NULL;
    TRY(s->ops->begin(s, &app, e));
    for (unsigned i = 0; i < l->n_series; i++) {
        if (!(p->mask >> i & 1)) continue;
        errc rc =
            l->handles[i] ? OK : app->ops->series(app, labels_of(l, i, &a), &l->handles[i], e);
        if (rc == OK) rc = append_sample(l, app, i, p, &a, e);
        if (rc == ERR_NOT_FOUND) l->handles[i--] = 0;
        else if (rc != OK) {
            app->ops->rollback(app);
            return rc;
        }
    }
    return app->ops->commit(app, e);
}

static void do_append(struct batches *l)
{
    struct err e = { 0 };
    if (l->n_series == 0 || one_in(&l->life, l->heavy ? 2 : 6)) {
        unsigned more = 1 + (unsigned)below(&l->life, 4);
        l->n_series = MIN(l->n_series + more, (unsigned)SERIES_MAX);
    }
    l->life.now += 1 + (int64_t)below(&l->life, one_in(&l->life, 50) ? 3600000 : 30000);
    clock_fake_set(l->life.now);
    struct put p = { .t = l->life.now, .mask = prng_u64(&l->life.rng) | 1 };
    if (one_in(&l->life, 3)) p.mask = UINT64_MAX;
    p.mask &= (1ull << l->n_series) - 1;
    if (l->life.o.keeps.max_exemplars)
        p.examples = p.mask & prng_u64(&l->life.rng) & prng_u64(&l->life.rng);
    errc rc = append_put(l, &p, &e);
    /* as soon as the disk works, commits do */
    EXPECT(rc == OK || may_refuse(&l->life));
    if (rc == OK) p.state = l->life.o.fsync_interval_ms == 0 ? SYNCED : LOGGED;
    else p.state = MAYBE;
    if (rc == OK && p.state == SYNCED) mark_synced(l);
    TELL(&l->life, "append: %s", rc == OK ? "OK" : e.msg);
    vec_push(&l->puts, p);
}

static void do_sync(struct batches *l)
{
    struct err e = { 0 };
    errc rc = db_sync(l->life.db, &e);
    EXPECT(rc == OK || may_refuse(&l->life));
    TELL(&l->life, "sync: %s", rc == OK ? "OK" : e.msg);
    if (rc == OK) mark_synced(l);
}

static void do_delete(struct batches *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    if (l->n_series == 0 || l->dels.n >= 8) return;
    struct del d = { .series = (unsigned)below(&l->life, l->n_series),
        .maxt = l->life.now - (int64_t)below(&l->life, 100000) };
    struct matcher m = {
        .type = MATCH_EQ, .name = S("id"), .value = arena_fmt(&a, "%u", d.series)
    };
    struct err e = { 0 };
    errc rc = db_delete(l->life.db, (struct matchers){ &m, 1 }, INT64_MIN, d.maxt, &e);
    EXPECT(rc == OK || may_refuse(&l->life));
    TELL(&l->life, "delete: series %u to %" PRId64 ": %s", d.series, d.maxt,
        rc == OK ? "OK" : e.msg);
    d.state = rc != OK ? MAYBE : l->life.o.fsync_interval_ms == 0 ? SYNCED : LOGGED;
    vec_push(&l->dels, d);
}

static void do_compact(struct batches *l)
{
    struct err e = { 0 };
    if (one_in(&l->life, 2))
        fs_sim_power_off_after(l->life.fs, 1 + below(&l->life, 1ull << below(&l->life, 9)));
    uint64_t had = fs_sim_changes(l->life.fs);
    l->forgets |= head_compactable(db_head(l->life.db));
    errc rc = db_compact(l->life.db, &e);
    TELL(&l->life, "compact: %s, %" PRIu64 " changes of the disk", rc == OK ? "OK" : e.msg,
        fs_sim_changes(l->life.fs) - had);
    EXPECT(rc == OK || may_refuse(&l->life));
}

static void do_clean_up(struct batches *l)
{
    struct err e = { 0 };
    errc rc = db_clean_tombstones(l->life.db, &e);
    TELL(&l->life, "clean tombstones: %s", rc == OK ? "OK" : e.msg);
    EXPECT(rc == OK || may_refuse(&l->life));
}

static void keep_tree(struct batches *l, str dir)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    EXPECT_OK(fs_list(l->life.fs, dir, &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) {
        str path = path_join(&a, dir, all.at[i].name);
        if (all.at[i].is_dir) keep_tree(l, path);
        else keep(l, path);
    }
    vec_fini(&all);
}

/* What is there is in a snapshot, too, and nothing else is. */
static void check_snapshot(struct batches *l, str dir)
{
    struct fs *copy = life_copy(&l->life, dir);
    struct db_opts o = {
        .fs = copy, .backend = IO_BUFFERED, .no_thread = true, .keeps = l->life.o.keeps
    };
    struct db *db = NULL, *lives_on = l->life.db;
    struct err e = { 0 };
    EXPECT_OK_E(db_open(&db, &o, NULL, &e), &e);
    l->life.db = db;
    check_all(l, false);
    l->life.db = lives_on;
    db_abandon(db);
    fs_free(copy);
}

static void do_snapshot(struct batches *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    if (l->n_snapshots >= SNAPSHOTS_MAX) return;
    str name = arena_fmt(&a, "s%u", l->n_snapshots++), dir = path_join(&a, S("snapshots"), name);
    struct err e = { 0 };
    errc rc = db_snapshot(l->life.db, name, true, false, &e);
    TELL(&l->life, "snapshot: %s", rc == OK ? "OK" : e.msg);
    EXPECT(rc == OK || may_refuse(&l->life));
    if (rc != OK || may_refuse(&l->life)) return;
    if (!l->life.faulty) keep_tree(l, dir);
    check_snapshot(l, dir);
}

static void step(struct batches *l, bool faults)
{
    uint64_t dice = below(&l->life, 100);
    if (dice < 67 || (l->heavy && dice < 87)) do_append(l);
    else if (dice < 70 || (l->heavy && dice < 90)) do_compact(l);
    else if (dice < 78) do_sync(l);
    else if (dice < 92) {
        l->forgets |= head_compactable(db_head(l->life.db));
        db_tick(l->life.db);
        if (!may_refuse(&l->life)) keep_finished(l);
    } else if (dice < 94) do_delete(l);
    else if (dice < 95) do_clean_up(l);
    else if (dice < 96) do_snapshot(l);
    else if (dice < 97 && !may_refuse(&l->life)) check_all(l, false);
    else if (faults && !l->life.failing) life_fault(&l->life);
    else if (l->life.failing) life_faults_end(&l->life);
}

/* A clean end: everything is durable, and the next opening finds nothing to mend. */
static void close_clean(struct batches *l)
{
    struct err e = { 0 };
    struct db_opened what = { 0 };
    fs_sim_power_off_after(l->life.fs, 0);
    life_faults_end(&l->life);
    EXPECT_OK_E(db_close(STEAL(l->life.db), &e), &e);
    mark_synced(l);
    EXPECT_OK_E(db_open(&l->life.db, &l->life.o, &what, &e), &e);
    EXPECT(!what.unclean);
    EXPECT_EQ(what.corruptions, 0);
    check_all(l, true);
    memset(l->handles, 0, sizeof(l->handles));
}

static void batches_begin(struct batches *l, uint64_t seed)
{
    *l = (struct batches){ .n_series = 0 };
    life_begin(&l->life, seed);
    l->heavy = one_in(&l->life, 4);
    l->ends = one_in(&l->life, 4);
    if (l->heavy) l->life.o.fsync_interval_ms = 1000;
    if (one_in(&l->life, 3))
        l->life.o.retention.ms = l->life.o.chunk_range_ms * (1 + (int64_t)below(&l->life, 4));
}

static void batches_end(struct batches *l)
{
    life_end(&l->life);
    arena_fini(&l->scratch);
    vec_fini(&l->puts);
    vec_fini(&l->dels);
    vec_fini(&l->kept);
}

static uint64_t live(uint64_t seed, void *ctx UNUSED)
{
    struct batches l;
    batches_begin(&l, seed);
    bool faults = one_in(&l.life, 3);
    open_db(&l);
    for (uint64_t gen = 2 + below(&l.life, 8); gen > 0; gen--) {
        uint64_t steps = 1 + below(&l.life, 1ull << below(&l.life, 8));
        if (!one_in(&l.life, 4)) fs_sim_power_off_after(l.life.fs, 1 + below(&l.life, 1 + steps));
        while (steps-- > 0 && !is_off(&l.life)) step(&l, faults);
        if (is_off(&l.life) || !one_in(&l.life, 8)) {
            crash(&l);
            open_again(&l);
        } else {
            close_clean(&l);
        }
    }
    batches_end(&l);
    return l.life.crashes;
}

TEST(crash_torture)
{
    lives(CRASH_POINTS, live, NULL);
}
