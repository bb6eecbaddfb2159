/* chain_test.c — the series of several blocks, read as one and merged: the same samples, but for
 * those that nobody wants, between windows. */
#include "block/block.h"
#include "block/test_folder.h"

#include "base/test.h"
#include "chunk/chunk.h"
#include "chunk/chunk_encoder.h"
#include "chunk/test_histograms.h"
#include "io/fs_sim.h"
#include "storage/merge_iter.h"

enum { BLOCKS = 4, BATCHES_MAX = 20 };
static const int64_t BLOCK_MS = 3600000;
static const struct label only = { S("l"), S("v") };

/* Floats or histograms, some of them right at the block's ends. */
static void batch_make(struct sample_batch *b, struct prng *r, struct arena *a, int64_t *t,
    int64_t end, double *v)
{
    struct test_histograms h = test_histograms_of(r, false);
    b->kind = prng_below(r, 6) ? SAMPLE_FLOAT : SAMPLE_HISTOGRAM;
    b->st = NULL;
    for (b->n = 0; b->n < SAMPLE_BATCH && *t < end; b->n++) {
        b->t[b->n] = *t;
        *t += 1 + (int64_t)prng_below(r, 2) * (int64_t)prng_below(r, 9000);
        if (b->kind == SAMPLE_FLOAT) b->v[b->n] = *v += (double)prng_below(r, 100);
        else {
            struct hist_words w = test_histograms_next(&h, a);
            b->ih[b->n] = test_histogram_int(a, &w);
        }
    }
}

static struct block *block_make(struct fs *fs, struct prng *r, uint64_t number, int64_t from)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(chunk_encoder_fini) struct chunk_encoder w = { 0 };
    struct block_meta meta = { .id = ulid_of(number, 7, 7), .mint = from, .maxt = from + BLOCK_MS };
    int64_t t = from + (int64_t)prng_below(r, 3) * 1000;
    double v = 0;
    chunk_encoder_begin(&w, &(struct chunk_rules){ CHUNKS_JOINED, CHUNK_XOR, false, CHUNK_NONE });
    for (int i = 0; i < BATCHES_MAX && t < from + BLOCK_MS; i++) {
        struct sample_batch b;
        batch_make(&b, r, &a, &t, from + BLOCK_MS, &v);
        chunk_encoder_put(&w, &b);
    }
    chunk_encoder_end(&w);
    str dir = test_block_of_one(fs, &meta, &w, &a);
    struct block *b = NULL;
    struct err e = { 0 };
    struct block_opts open = { .fs = fs, .backend = IO_BUFFERED };
    EXPECT_OK_E(block_open(&b, &open, dir, &e), &e);
    return b;
}

static enum reset_hint hint_of(const struct sample_batch *b, size_t i)
{
    return b->kind == SAMPLE_FLOAT ? RESET_UNKNOWN : b->ih[i]->hint;
}

/* The next batch, by whichever way gives one. */
static void batch_next(struct sample_iter *it, bool direct, struct sample_batch *b)
{
    static int64_t t[8 * SAMPLE_BATCH];
    static double v[8 * SAMPLE_BATCH];
    static size_t at, n;
    struct err e = { 0 };
    if (direct && at == n) {
        at = n = 0;
        EXPECT_OK_E(sample_iter_floats(it, t, v, ARRAY_LEN(t), &n, &e), &e);
    }
    b->st = NULL;
    if (!direct || at == n) {
        EXPECT_OK_E(sample_iter_fill(it, b, &e), &e);
        return;
    }
    b->kind = SAMPLE_FLOAT;
    b->n = MIN(n - at, (size_t)SAMPLE_BATCH);
    memcpy(b->t, t + at, b->n * sizeof(*t));
    memcpy(b->v, v + at, b->n * sizeof(*v));
    at += b->n;
}

static bool windows_hold(const struct sample_windows *w, int64_t t)
{
    bool holds = false;
    for (size_t k = 0; k < w->n && !holds; k++) {
        int64_t lo = w->lo + (int64_t)k * w->interval;
        holds = t > lo && t <= lo + w->width;
    }
    return holds;
}

/* w->n 0: all are wanted. How many were left out. */
static size_t same_samples(struct sample_iter *chain, struct sample_iter *merged, bool direct,
    const struct sample_windows *w)
{
    size_t left_out = 0;
    struct sample_batch x = { .n = 0 }, y = { .n = 0 };
    size_t i = 0, k = 0;
    for (;;) {
        if (i == x.n) {
            batch_next(chain, direct, &x);
            i = 0;
        }
        if (k == y.n) {
            EXPECT_OK(sample_iter_fill(merged, &y, NULL));
            k = 0;
        }
        if (w->n && y.n && (!x.n || y.t[k] < x.t[i])) {
            EXPECT(!windows_hold(w, y.t[k++]));
            left_out++;
            continue;
        }
        EXPECT_EQ(!x.n, !y.n);
        if (!x.n || !y.n) return left_out;
        EXPECT_EQ(x.t[i], y.t[k]);
        EXPECT_EQ(x.kind, y.kind);
        if (!left_out) EXPECT_EQ(hint_of(&x, i), hint_of(&y, k));
        if (x.kind == SAMPLE_FLOAT) EXPECT(x.v[i] == y.v[k]);
        else EXPECT_EQ(x.ih[i]->count, y.ih[k]->count);
        i++;
        k++;
    }
}

static void block_cut(struct block *b, int64_t mint, int64_t maxt)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct matcher m = { 0 };
    uint64_t n;
    EXPECT_OK(matcher_init(&m, &a, MATCH_EQ, only.name, only.value, NULL));
    EXPECT_OK(block_delete(b, (struct matchers){ &m, 1 }, mint, maxt, &n, NULL));
    matcher_fini(&m);
}

static struct sample_windows windows_make(struct prng *r, int64_t mint)
{
    int64_t width = (int64_t)prng_below(r, 600000), interval = 1 + (int64_t)prng_below(r, 1800000);
    struct sample_windows w = { mint - width, width, interval, 1 + prng_below(r, 12) };
    if (prng_below(r, 8) == 0) w.lo = INT64_MIN + (int64_t)prng_below(r, 3);
    return w;
}

/* One set of blocks. Disjoint ones are read as one, others are not. How many were left out. */
static size_t chain_once(struct prng *r, bool windows)
{
    size_t left_out = 0;
    struct fs *fs = fs_sim_new(prng_u64(r));
    struct block *blocks[BLOCKS];
    struct querier *queriers[BLOCKS];
    struct series_set *sets[BLOCKS];
    struct series *series[BLOCKS];
    struct sample_iter *chain = NULL, *merged = NULL;
    size_t n = 2 + prng_below(r, BLOCKS - 1), shift = prng_below(r, n);
    bool overlap = prng_below(r, 6) == 0;
    int64_t mint = (int64_t)prng_below(r, 2 * (uint64_t)BLOCK_MS);
    int64_t maxt = mint + (int64_t)prng_below(r, BLOCKS * (uint64_t)BLOCK_MS) + 20000;
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        size_t place = (i + shift) % n;
        blocks[i] = block_make(fs, r, i + 1, overlap ? 0 : (int64_t)place * BLOCK_MS);
        int64_t from = (int64_t)place * BLOCK_MS;
        int64_t cut = from + (int64_t)prng_below(r, (uint64_t)BLOCK_MS);
        if (prng_below(r, 4) == 0) block_cut(blocks[i], cut, cut + 800000);
        struct queryable *q = block_queryable(blocks[i]);
        EXPECT_OK(q->ops->querier(q, mint, maxt, &queriers[i], NULL));
        EXPECT_OK(queriers[i]->ops->select(
            queriers[i], (struct matchers){ 0 }, NULL, &sets[i], NULL));
        EXPECT_OK(sets[i]->ops->next(sets[i], &series[found], NULL));
        if (series[found]) found++;
    }
    if (found > 1) {
        bool one = series[0]->ops->chain(series, found, &chain);
        EXPECT_EQ(one, !overlap);
        EXPECT_OK(merge_iter_open(&merged, series, found, NULL));
        if (one && prng_below(r, 2)) {
            int64_t t = mint + (int64_t)prng_below(r, (uint64_t)BLOCK_MS);
            EXPECT_OK(sample_iter_seek(chain, t, NULL));
            EXPECT_OK(sample_iter_seek(merged, t, NULL));
        }
        struct sample_windows w = { 0 };
        if (windows) w = windows_make(r, mint);
        if (one && windows) chain->ops->windows(chain, &w);
        if (one) left_out = same_samples(chain, merged, prng_below(r, 2), &w);
    }
    sample_iter_free(chain);
    sample_iter_free(merged);
    for (size_t i = 0; i < n; i++) {
        series_set_free(sets[i]);
        querier_free(queriers[i]);
        block_unref(blocks[i]);
    }
    fs_free(fs);
    return left_out;
}

TEST(blocks_are_read_as_one)
{
    struct prng r = { test_seed() };
    for (int i = 0; i < 60; i++) EXPECT_EQ(chain_once(&r, false), 0);
}

TEST(chunks_between_windows_are_left_out)
{
    struct prng r = { test_seed() };
    size_t left_out = 0;
    for (int i = 0; i < 200; i++) left_out += chain_once(&r, true);
    EXPECT(left_out > 0);
}
