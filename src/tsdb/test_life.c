#include "tsdb/test_life.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/test.h"

enum { BUCKETS_MAX = 12, SANITIZED_SEEDS = 1000000 };
#define LIFE_T0 1700000000000ll

/* A sanitized build lives fewer lives, of other seeds. */
enum { SANITIZED = TEST_STRIDE > 1, LIFE_SHARE = 1 + TEST_STRIDE * TEST_STRIDE / 2 };

uint64_t mix(uint64_t a, uint64_t b)
{
    struct prng r = { a * 0x9e3779b97f4a7c15u + b };
    prng_u64(&r);
    return prng_u64(&r);
}

/* ---- disks ----------------------------------------------------------------------------------- */

/* In some lives with start times, or with few exemplars. */
static struct head_keeps keeps_of(struct life *l)
{
    bool st = one_in(l, 4);
    return (struct head_keeps){ .max_exemplars = one_in(l, 3) ? 20 : 100000,
        .metadata = !one_in(l, 3),
        .start_times = st,
        .histogram_st = st,
        .float_xor2 = st };
}

void life_begin(struct life *l, uint64_t seed)
{
    static const enum compress_kind kinds[] = { COMPRESS_NONE, COMPRESS_SNAPPY, COMPRESS_ZSTD };
    *l = (struct life){ .seed = seed, .rng = { mix(seed, 7) }, .now = LIFE_T0 };
    snprintf(l->name, sizeof(l->name), "disk of SEED=%" PRIu64, seed);
    test_case(l->name);
    l->fs = fs_sim_new(mix(seed, 8));
    prng_fake_set(mix(seed, 9));
    clock_fake_set(l->now);
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
        .fsync_interval_ms = one_in(l, 4) ? 0 : 1000,
        .memory_snapshot = one_in(l, 3),
        .image_log_bytes = mix(seed, 17) % 3 ? 1 + mix(seed, 18) % 4000 : UINT64_MAX,
        .keeps = keeps_of(l),
    };
}

void life_end(struct life *l)
{
    struct err e = { 0 };
    fs_sim_power_off_after(l->fs, 0);
    life_faults_end(l);
    if (l->db) EXPECT_OK_E(db_close(STEAL(l->db), &e), &e);
    fs_free(l->fs);
    prng_fake_off();
    clock_fake_off();
    test_case(NULL);
}

void life_faults_end(struct life *l)
{
    fs_sim_fail_rate(l->fs, 0, 0, OK);
    fs_sim_capacity(l->fs, 0);
    l->failing = false;
}

void life_fault(struct life *l)
{
    l->faulty = l->failing = true;
    TELL(l, "the disk fails");
    if (one_in(l, 2)) fs_sim_capacity(l->fs, fs_sim_used(l->fs) + below(l, 20000));
    else
        fs_sim_fail_rate(l->fs, SIM_OPS_CHANGE, 50000 + (uint32_t)below(l, 400000),
            one_in(l, 3) ? ERR_NO_SPACE : ERR_IO);
}

enum fs_sim_loss life_crash(struct life *l)
{
    static const enum fs_sim_loss losses[] = { SIM_LOSE_SOME, SIM_LOSE_SOME, SIM_LOSE_ALL,
        SIM_LOSE_NOTHING, SIM_KILLED };
    enum fs_sim_loss loss = losses[below(l, ARRAY_LEN(losses))];
    /* what failed to reach the disk is still in the page cache */
    if (loss == SIM_LOSE_NOTHING && l->faulty) loss = SIM_KILLED;
    if (!is_off(l)) fs_sim_power_off_after(l->fs, 1);
    db_abandon(STEAL(l->db));
    life_faults_end(l);
    fs_sim_crash(l->fs, loss);
    TELL(l, "crash %d", loss);
    l->crashes++;
    return loss;
}

static void copy_tree(struct fs *from, str dir, struct fs *to, str as, struct arena *a)
{
    fs_entries all = { 0 };
    EXPECT_OK(fs_list(from, dir, a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) {
        str path = path_join(a, dir, all.at[i].name);
        str copy = as.n ? path_join(a, as, all.at[i].name) : all.at[i].name;
        str bytes = STR_EMPTY;
        if (all.at[i].is_dir) {
            EXPECT_OK(fs_mkdir(to, copy, NULL));
            copy_tree(from, path, to, copy, a);
        } else {
            EXPECT_OK(fs_read_all(from, path, a, 1 << 24, &bytes, NULL));
            EXPECT_OK(fs_write_durable(to, copy, bytes, NULL));
        }
    }
    vec_fini(&all);
}

struct fs *life_copy(struct life *l, str dir)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *to = fs_sim_new(l->seed);
    copy_tree(l->fs, dir, to, STR_EMPTY, &a);
    return to;
}

static void log_nothing(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

void lives(uint64_t points, uint64_t (*live)(uint64_t seed, void *ctx), void *ctx)
{
    const char *asked = getenv("CRASH_POINTS");
    uint64_t want = asked ? strtoull(asked, NULL, 10) : points / LIFE_SHARE;
    if (!getenv("TEST_VERBOSE")) log_capture(log_nothing, NULL);
    uint64_t n = 0, first = test_seed();
    if (SANITIZED && !getenv("SEED")) first += SANITIZED_SEEDS;
    for (uint64_t seed = first; n < want; seed++) n += live(seed, ctx);
    log_capture(NULL, NULL);
}

/* ---- what a series has ----------------------------------------------------------------------- */

enum flavour { PLAIN, COUNTER, GAUGE, CUSTOM };
struct shape {
    enum sample_kind kind;
    enum flavour flavour;
};

/* Four series of ten have floats, one changes every ten minutes, the others have histograms. */
static struct shape shape_of(const struct life *l, unsigned series, int64_t t)
{
    static const struct shape shapes[] = {
        { SAMPLE_HISTOGRAM, COUNTER },
        { SAMPLE_FLOAT_HISTOGRAM, COUNTER },
        { SAMPLE_HISTOGRAM, CUSTOM },
        { SAMPLE_FLOAT_HISTOGRAM, CUSTOM },
        { SAMPLE_HISTOGRAM, GAUGE },
        { SAMPLE_FLOAT, PLAIN },
    };
    uint64_t k = mix(l->seed, 500 + series) % 10;
    if (k == ARRAY_LEN(shapes) - 1) k = mix(l->seed + series, (uint64_t)t / 600000) % 6;
    return shapes[MIN(k, ARRAY_LEN(shapes) - 1)];
}

/* Constants, counters, small numbers and noise, by series. */
static double float_of(const struct life *l, unsigned series, int64_t t, uint64_t bits)
{
    switch (mix(l->seed, series) % 4) {
    case 0: return 42;
    case 1: return (double)(t / 1000);
    case 2: return (double)(bits % 100);
    default: return (double)(int64_t)bits * 0x1p-40;
    }
}

/* Buckets of a side: their spans, and counts that grow with time, or change at will. */
struct side {
    struct span spans[BUCKETS_MAX];
    uint64_t counts[BUCKETS_MAX];
    size_t n_spans, n;
};

static void side_of(struct side *s, uint64_t mask, bool gauge, uint64_t bits, uint64_t seconds)
{
    int32_t next = 0;
    for (int32_t i = 0; i < BUCKETS_MAX; i++) {
        if (!(mask >> i & 1)) continue;
        if (s->n && i == next) s->spans[s->n_spans - 1].length++;
        else s->spans[s->n_spans++] = (struct span){ i - next, 1 };
        uint64_t of = (uint64_t)i + 1;
        s->counts[s->n++] = gauge ? (bits >> i) % 50 : seconds * of;
        next = i + 1;
    }
}

static struct int_histogram_side whole_side(const struct side *s, struct arena *a)
{
    struct int_histogram_side out = { arena_array(a, s->n_spans, sizeof(struct span)), s->n_spans,
        arena_array(a, s->n, sizeof(int64_t)), s->n };
    for (size_t i = 0; i < s->n_spans; i++) out.spans[i] = s->spans[i];
    for (size_t i = 0; i < s->n; i++)
        out.deltas[i] = (int64_t)(s->counts[i] - (i ? s->counts[i - 1] : 0));
    return out;
}

static uint64_t side_sum(const struct side *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->n; i++) sum += s->counts[i];
    return sum;
}

/* More buckets come in the course of twenty minutes, then others. */
static struct int_histogram *whole_of(
    const struct life *l, unsigned series, int64_t t, enum flavour f, struct arena *a)
{
    static const double bounds[] = { 0.005, 0.1, 1, 2.5, 10, 1000 };
    uint64_t bits = mix(l->seed + series, (uint64_t)t), seconds = (uint64_t)t / 1000 - 1600000000;
    uint64_t period = (uint64_t)t / 300000, mask = mix(l->seed + series, 7 + period / 4);
    struct side pos = { .n = 0 }, neg = { .n = 0 };
    struct int_histogram *h = ANEW(a, struct int_histogram);
    *h = (struct int_histogram){ .hint = f == GAUGE ? RESET_GAUGE : RESET_UNKNOWN,
        .sum = (double)(bits % 1000) * 0.25 };
    mask &= (1u << (4 + 2 * (period % 4))) - 1;
    if (f == CUSTOM) {
        h->schema = HISTOGRAM_CUSTOM_SCHEMA;
        h->custom = bounds;
        h->n_custom = 4 + (size_t)((uint64_t)t / 3600000 % 3);
        mask &= (1u << (h->n_custom + 1)) - 1;
    } else {
        h->schema = (int32_t)(mix(l->seed, 600 + series) % 13) - 4;
        h->zero_threshold = 0.001;
        h->zero_count = f == GAUGE ? bits % 7 : seconds / 3;
        if (series % 2) side_of(&neg, mask >> 1 & 0x15, f == GAUGE, bits >> 20, seconds);
    }
    side_of(&pos, mask, f == GAUGE, bits, seconds);
    h->pos = whole_side(&pos, a), h->neg = whole_side(&neg, a);
    h->count = h->zero_count + side_sum(&pos) + side_sum(&neg);
    return h;
}

struct given given_of(const struct life *l, unsigned series, int64_t t, struct arena *a)
{
    uint64_t bits = mix(l->seed + series, (uint64_t)t);
    struct shape shape = shape_of(l, series, t);
    struct given g = { .kind = shape.kind, .t = t, .stale = bits % 29 == 0 };
    if (l->o.keeps.start_times && bits % 5) g.st = t - 1000 - (int64_t)(bits % 3) * 100;
    if (g.stale && bits % 2) g.kind = SAMPLE_FLOAT;
    if (g.kind == SAMPLE_FLOAT) {
        g.v = g.stale ? stale_nan() : float_of(l, series, t, bits);
        return g;
    }
    struct int_histogram *h = whole_of(l, series, t, shape.flavour, a);
    if (g.stale) *h = (struct int_histogram){ .sum = stale_nan() };
    if (g.kind == SAMPLE_HISTOGRAM) g.whole = h;
    else g.floats = int_histogram_to_float(a, h);
    return g;
}

unsigned given_record(const struct given *g)
{
    switch (g->kind) {
    case SAMPLE_HISTOGRAM: return g->whole->schema == HISTOGRAM_CUSTOM_SCHEMA ? 1 : 2;
    case SAMPLE_FLOAT_HISTOGRAM: return g->floats->schema == HISTOGRAM_CUSTOM_SCHEMA ? 3 : 4;
    default: return 0;
    }
}

errc given_append(const struct given *g, struct appender *a, series_handle h, struct err *e)
{
    if (g->kind == SAMPLE_FLOAT) return a->ops->append(a, h, g->t, g->v, g->st, e);
    return a->ops->histogram(a, h, g->t, g->st, g->whole, g->floats, e);
}

static double sum_of(const struct sample_batch *b, size_t i)
{
    return b->kind == SAMPLE_FLOAT       ? b->v[i]
           : b->kind == SAMPLE_HISTOGRAM ? b->ih[i]->sum
                                         : b->h[i]->sum;
}

void given_expect(const struct given *g, const struct sample_batch *b, size_t i, struct arena *a)
{
    EXPECT_EQ(b->t[i], g->t);
    EXPECT_EQ(b->st ? b->st[i] : 0, g->st);
    if (g->stale) { /* of the kind that came before */
        EXPECT(sample_is_stale(sum_of(b, i)));
        return;
    }
    if (b->kind != g->kind)
        test_fail(__FILE__, __LINE__, "the sample at %" PRId64 " is of kind %d, expected %d", g->t,
            b->kind, g->kind);
    if (g->kind == SAMPLE_FLOAT) {
        EXPECT_EQ(f64_bits(b->v[i]), f64_bits(g->v));
        return;
    }
    bool whole = g->kind == SAMPLE_HISTOGRAM;
    struct histogram *want =
        whole ? int_histogram_to_float(a, g->whole) : histogram_copy(a, g->floats);
    struct histogram *got =
        whole ? int_histogram_to_float(a, b->ih[i]) : histogram_copy(a, b->h[i]);
    histogram_compact(a, want);
    histogram_compact(a, got);
    EXPECT(histogram_equal(got, want));
    EXPECT((got->hint == RESET_GAUGE) == (want->hint == RESET_GAUGE));
}

void see_everything(struct db *db, const struct seen_ops *ops, void *ctx)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    SCOPED(sample_iter_freep) struct sample_iter *it = NULL;
    struct err e = { 0 };
    struct matcher all = { .type = MATCH_EQ };
    struct queryable *from = db_queryable(db);
    EXPECT_OK_E(from->ops->querier(from, INT64_MIN, INT64_MAX, &q, &e), &e);
    EXPECT_OK_E(q->ops->select(q, (struct matchers){ &all, 1 }, NULL, &set, &e), &e);
    for (;;) {
        struct series *s = NULL;
        EXPECT_OK_E(set->ops->next(set, &s, &e), &e);
        if (!s) return;
        ops->series(ctx, s->labels);
        EXPECT_OK_E(s->ops->iterate(s, &it, &e), &e);
        for (struct sample_batch b = { .n = 1 }; b.n;) {
            EXPECT_OK_E(sample_iter_fill(it, &b, &e), &e);
            ops->samples(ctx, &b);
        }
    }
}
