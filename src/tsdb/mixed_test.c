/* mixed_test.c — series that change between floats and histograms, through restarts and
 * compaction: what was committed is what is read, at every stage. */
#include "base/log.h"
#include "base/mem.h"
#include "base/test.h"
#include "head/head.h"
#include "io/fs_sim.h"
#include "storage/exemplars.h"
#include "tsdb/db.h"

enum { SERIES = 12, COMMITS = 240, STEP_MS = 60000 };
enum kind { A_FLOAT, A_WHOLE, A_FLOATS, A_STALE, KINDS };

/* What was given: a line a sample, the kind as it is stored. */
struct twin {
    struct buf text;
    enum kind last;
    double grown;
};
struct rig {
    struct twin series[SERIES];
    struct prng rnd;
};

static struct db *open_db(struct fs *fs, bool st, bool snapshot, struct db_opened *what)
{
    struct db_opts o = { .fs = fs,
        .backend = IO_BUFFERED,
        .no_thread = true,
        .wal_compress = COMPRESS_SNAPPY,
        .wal_segment_bytes = 65536,
        .chunk_range_ms = 3600000,
        .memory_snapshot = snapshot,
        .keeps = { .max_exemplars = 100,
            .metadata = true,
            .start_times = st,
            .histogram_st = st,
            .float_xor2 = st } };
    struct db *db = NULL;
    struct err e = { 0 };
    EXPECT_OK_E(db_open(&db, &o, what, &e), &e);
    return db;
}

static void note(struct twin *w, enum kind k, int64_t t, int64_t st, double sum, double count)
{
    static const char names[] = "fhF";
    buf_fmt(&w->text, "%c %" PRId64 " %" PRId64 " %016" PRIx64 " %g\n", names[k], t, st,
        f64_bits(sum), count);
    w->last = k;
}

static void put_histogram(
    struct appender *a, struct twin *w, series_handle h, enum kind k, int64_t t, int64_t st)
{
    struct span span = { 2, 2 };
    int64_t deltas[] = { (int64_t)w->grown, 1 };
    double counts[] = { w->grown, w->grown + 1 }, count = 2 * w->grown + 1;
    struct int_histogram whole = {
        .count = (uint64_t)count, .sum = w->grown, .pos = { &span, 1, deltas, 2 }
    };
    struct histogram floats = { .count = count, .sum = w->grown, .pos = { &span, 1, counts, 2 } };
    struct err e = { 0 };
    bool is_float = k == A_FLOATS;
    EXPECT_OK_E(
        a->ops->histogram(a, h, t, st, is_float ? NULL : &whole, is_float ? &floats : NULL, &e),
        &e);
    note(w, k, t, st, w->grown, count);
}

static void put(struct rig *g, struct appender *a, unsigned i, int64_t t, bool with_st)
{
    struct twin *w = &g->series[i];
    uint8_t id = (uint8_t)('a' + i);
    struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), str_of(&id, 1) } };
    struct exemplar ex = { { l + 1, 1 }, (double)t, t, true };
    struct metadata meta = { TYPE_COUNTER, S(""), prng_below(&g->rnd, 9) ? S("help") : S("other") };
    enum kind k = prng_below(&g->rnd, 12) ? w->last : (enum kind)prng_below(&g->rnd, KINDS);
    int64_t st = with_st ? t - 1000 : 0;
    series_handle h;
    EXPECT_OK(a->ops->series(a, (struct labels){ l, 2 }, &h, NULL));
    w->grown += (double)prng_below(&g->rnd, 4);
    if (prng_below(&g->rnd, 50) == 0) w->grown = 0;
    if (k == A_FLOAT || k == A_STALE) {
        double v = k == A_STALE ? stale_nan() : w->grown;
        EXPECT_OK(a->ops->append(a, h, t, v, st, NULL));
        note(w, k == A_STALE ? w->last : A_FLOAT, t, st, v, 0);
    } else {
        put_histogram(a, w, h, k, t, st);
    }
    if (k != A_STALE && prng_below(&g->rnd, 3) == 0) EXPECT_OK(a->ops->exemplar(a, h, &ex, NULL));
    EXPECT_OK(a->ops->metadata(a, h, &meta, NULL));
}

/* Some commits hold two samples of a series, of any two kinds. */
static void fill(struct rig *g, struct db *db, int from, int to, bool with_st)
{
    struct appendable *s = db_appendable(db);
    for (int c = from; c < to; c++) {
        struct appender *a = NULL;
        struct err e = { 0 };
        int64_t t = 1700000000000 + (int64_t)c * STEP_MS;
        EXPECT_OK(s->ops->begin(s, &a, NULL));
        for (unsigned i = 0; i < SERIES; i++) {
            put(g, a, i, t, with_st);
            if (prng_below(&g->rnd, 4) == 0) put(g, a, i, t + STEP_MS / 2, with_st);
        }
        EXPECT_OK_E(a->ops->commit(a, &e), &e);
        if (c % 17 == 0) db_tick(db);
    }
}

static void read_batch(struct buf *out, const struct sample_batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct twin line = { 0 };
        int64_t st = b->st ? b->st[i] : 0;
        if (b->kind == SAMPLE_FLOAT) note(&line, A_FLOAT, b->t[i], st, b->v[i], 0);
        else if (b->kind == SAMPLE_HISTOGRAM)
            note(&line, A_WHOLE, b->t[i], st, b->ih[i]->sum, (double)b->ih[i]->count);
        else note(&line, A_FLOATS, b->t[i], st, b->h[i]->sum, b->h[i]->count);
        buf_str(out, buf_view(&line.text));
        buf_fini(&line.text);
    }
}

static void expect_all(const struct rig *g, struct db *db)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    struct matcher all = { .type = MATCH_EQ };
    struct select_hints hints = { .start = INT64_MIN, .end = INT64_MAX, .sorted = true };
    struct sample_iter *it = NULL;
    struct sample_batch b;
    EXPECT_OK(db_queryable(db)->ops->querier(db_queryable(db), INT64_MIN, INT64_MAX, &q, NULL));
    EXPECT_OK(q->ops->select(q, (struct matchers){ &all, 1 }, &hints, &set, NULL));
    for (unsigned i = 0; i < SERIES; i++) {
        struct series *s = NULL;
        struct buf got = { 0 };
        EXPECT_OK(set->ops->next(set, &s, NULL));
        EXPECT(s != NULL);
        EXPECT_OK(s->ops->iterate(s, &it, NULL));
        do {
            EXPECT_OK(sample_iter_fill(it, &b, NULL));
            read_batch(&got, &b);
        } while (b.n);
        EXPECT_STR(buf_view(&got), buf_view(&g->series[i].text));
        buf_fini(&got);
    }
    sample_iter_free(it);
}

/* Exemplars of all series, as text. */
static str exemplars_of(struct db *db, struct arena *a)
{
    struct matcher every = { .type = MATCH_NE, .name = S("none"), .value = S("x") };
    struct matchers sets = { &every, 1 };
    struct exemplar_queryable *q = head_exemplars(db_head(db));
    struct exemplar_result r;
    struct buf text = { 0 };
    EXPECT_OK(q->ops->select(q, INT64_MIN, INT64_MAX, &sets, 1, a, &r, NULL));
    for (size_t i = 0; i < r.n; i++)
        for (size_t k = 0; k < r.at[i].n; k++) {
            buf_labels(&text, r.at[i].labels);
            buf_labels(&text, r.at[i].at[k].labels);
            buf_fmt(&text, "%" PRId64 " %g\n", r.at[i].at[k].t, r.at[i].at[k].v);
        }
    str out = arena_str(a, buf_view(&text));
    buf_fini(&text);
    return out;
}

static void log_nothing(void *ctx UNUSED, enum log_level level UNUSED, str line UNUSED) {}

TEST(mixed_series_stay)
{
    static const struct {
        const char *name;
        bool st, kill, snapshot;
    } cases[] = {
        { "stopped", false, false, false },
        { "killed", false, true, false },
        { "start timestamps, stopped", true, false, false },
        { "start timestamps, killed", true, true, false },
        { "memory snapshots", false, false, true },
        { "memory snapshots, start timestamps", true, false, true },
    };
    log_capture(log_nothing, NULL);
    TEST_EACH(c, cases) {
        struct rig *g = NEW(struct rig);
        struct fs *fs = fs_sim_new(1);
        struct arena a = { 0 };
        g->rnd = (struct prng){ test_seed() };
        struct db_opened what = { 0 };
        struct db *db = open_db(fs, c->st, c->snapshot, &what);
        for (int stage = 0; stage < 3; stage++) {
            fill(g, db, stage * COMMITS / 3, (stage + 1) * COMMITS / 3, c->st);
            expect_all(g, db);
            str before = exemplars_of(db, &a);
            EXPECT(before.n > 0);
            if (c->kill) db_abandon(db);
            else EXPECT_OK(db_close(db, NULL));
            db = open_db(fs, c->st, c->snapshot, &what);
            EXPECT(what.records == 0 || !c->snapshot);
            expect_all(g, db);
            if (stage == 0) EXPECT_STR(exemplars_of(db, &a), before);
            EXPECT_OK(db_compact(db, NULL));
            expect_all(g, db);
        }
        EXPECT_OK(db_close(db, NULL));
        for (unsigned i = 0; i < SERIES; i++) buf_fini(&g->series[i].text);
        arena_fini(&a);
        fs_free(fs);
        mem_free(g);
    }
}
