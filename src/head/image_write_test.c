/* image_write_test.c — a head whose open chunks went through an image is the same head. */
#include "head/image_write.h"

#include "base/prng.h"
#include "base/test.h"
#include "chunk/chunk.h"
#include "head/head.h"
#include "head/image_codec.h"
#include "head/image_load.h"
#include "head/replay.h"
#include "model/histogram.h"

#include <stdio.h>

enum { N = 40 };
#define T0 1700000000000ll

static struct labels labels_of(unsigned i, struct label *at, char id[16])
{
    int n = snprintf(id, 16, "%03u", i);
    at[0] = (struct label){ METRIC_NAME, S("m") };
    at[1] = (struct label){ S("id"), str_of(id, (size_t)n) };
    return (struct labels){ at, 2 };
}

static void append_one(struct appender *a, unsigned i, int64_t t, struct prng *r)
{
    struct label room[2];
    char id[16];
    series_handle h = 0;
    double v = i % 3 == 0 ? 7 : i % 3 == 1 ? (double)t / 1000 : f64_of_bits(prng_u64(r) >> 2);
    EXPECT_OK(a->ops->series(a, labels_of(i, room, id), &h, NULL));
    if (i % 5 == 4) {
        struct span span = { 0, 2 };
        int64_t deltas[] = { (t - T0) / 1000, 3 };
        struct int_histogram w = { .schema = 1, .sum = 3.5, .pos = { &span, 1, deltas, 2 } };
        w.count = (uint64_t)(2 * deltas[0] + 3);
        EXPECT_OK(a->ops->histogram(a, h, t, 0, &w, NULL, NULL));
        return;
    }
    EXPECT_OK(a->ops->append(a, h, t, prng_below(r, 20) ? v : stale_nan(), 0, NULL));
}

static void fill(struct head *h, int rounds, uint64_t seed)
{
    struct appendable *s = head_appendable(h);
    struct prng r = { seed };
    for (int round = 0; round < rounds; round++) {
        struct appender *a = NULL;
        EXPECT_OK(s->ops->begin(s, &a, NULL));
        for (unsigned i = 0; i < N; i++)
            if (!round || prng_below(&r, 8)) append_one(a, i, T0 + round * 15000, &r);
        EXPECT_OK(a->ops->commit(a, NULL));
    }
}

/* Chunk files that have of each second series what it holds, then the series records of the log,
 * then the image. */
static errc restore(
    struct head *h, struct image_write *from, bool each_second, uint64_t *samples)
{
    struct head_replay *r = head_replay_begin(h);
    struct buf frames = { 0 };
    errc rc = OK;
    for (unsigned i = 0; each_second && i < N; i += 2) {
        struct head_replay_chunk c = { i + 1, T0, INT64_MAX - 1, (uint64_t)(i + 1) << 32, 5,
            CHUNK_XOR, false };
        head_replay_chunk(r, &c);
    }
    for (unsigned i = 0; i < N; i++) {
        struct label room[2];
        char id[16];
        struct replay_reset reset;
        EXPECT_OK(head_replay_series(r, i + 1, i + 1, labels_of(i, room, id), &reset, NULL));
    }
    struct image_load *l = image_load_new(r, image_write_last_ref(from));
    for (bool more = true; more && rc == OK;) {
        buf_reset(&frames);
        more = image_write_frame(from, &frames);
        str frame = str_from(buf_view(&frames), MIN(frames.n, (size_t)IMAGE_FRAME_BYTES));
        if (frame.n) rc = image_load_frame(l, frame, NULL);
    }
    struct image_loaded n = image_load_free(l);
    EXPECT_EQ(n.unknown, 0);
    *samples = n.samples;
    head_replay_finish(r, NULL);
    buf_fini(&frames);
    return rc;
}

struct all { struct querier *q; struct series_set *set; };
static void all_of(struct all *a, struct head *h, struct matcher which)
{
    struct queryable *from = head_queryable(h);
    EXPECT_OK(from->ops->querier(from, INT64_MIN, INT64_MAX, &a->q, NULL));
    EXPECT_OK(a->q->ops->select(a->q, (struct matchers){ &which, 1 }, NULL, &a->set, NULL));
}
static void all_end(struct all *a)
{
    series_set_freep(&a->set);
    querier_freep(&a->q);
}

static void expect_same_sample(const struct sample_batch *x, const struct sample_batch *y, size_t i)
{
    EXPECT_EQ(x->kind, y->kind);
    EXPECT_EQ(x->t[i], y->t[i]);
    if (x->kind == SAMPLE_FLOAT) EXPECT_EQ(f64_bits(x->v[i]), f64_bits(y->v[i]));
    else EXPECT(int_histogram_equal(x->ih[i], y->ih[i]));
}

static uint64_t expect_same_series(struct series *x, struct series *y)
{
    SCOPED(sample_iter_freep) struct sample_iter *a = NULL;
    SCOPED(sample_iter_freep) struct sample_iter *b = NULL;
    struct sample_batch p = { .n = 1 }, q;
    uint64_t n = 0;
    EXPECT(labels_eq(x->labels, y->labels));
    EXPECT_OK(x->ops->iterate(x, &a, NULL));
    EXPECT_OK(y->ops->iterate(y, &b, NULL));
    while (p.n) {
        EXPECT_OK(sample_iter_fill(a, &p, NULL));
        EXPECT_OK(sample_iter_fill(b, &q, NULL));
        EXPECT_EQ(p.n, q.n);
        for (size_t i = 0; i < p.n; i++) expect_same_sample(&p, &q, i);
        n += p.n;
    }
    return n;
}

static uint64_t expect_same(struct head *x, struct head *y, struct matcher which)
{
    struct all a, b;
    struct series *p = NULL, *q = NULL;
    uint64_t n = 0;
    all_of(&a, x, which);
    all_of(&b, y, which);
    do {
        EXPECT_OK(a.set->ops->next(a.set, &p, NULL));
        EXPECT_OK(b.set->ops->next(b.set, &q, NULL));
        EXPECT_EQ(!p, !q);
        if (p) n += expect_same_series(p, q);
    } while (p);
    all_end(&a);
    all_end(&b);
    return n;
}

/* As they were, and after further samples: chunks go on where they were. */
TEST(image_through_a_head)
{
    static const int rounds[] = { 1, 2, 30, 119, 121, 300 };
    for (size_t k = 0; k < ARRAY_LEN(rounds); k++) {
        struct head *was = NULL, *is = NULL;
        struct head_opts o = { .samples_per_chunk = 40 };
        uint64_t samples = 0;
        EXPECT_OK(head_open(&was, &o, NULL));
        EXPECT_OK(head_open(&is, &o, NULL));
        fill(was, rounds[k], test_seed());
        struct image_write *w = image_write_new(was);
        EXPECT_OK(restore(is, w, false, &samples));
        EXPECT_EQ(expect_same(was, is, (struct matcher){ .type = MATCH_EQ }), samples);
        struct head_stats x, y;
        SCOPED(arena_fini) struct arena a = { 0 };
        head_stats(was, 1, &a, &x);
        head_stats(is, 1, &a, &y);
        EXPECT_EQ(x.chunks, y.chunks);
        EXPECT(x.min_time == y.min_time && x.max_time == y.max_time);
        image_write_free(w);
        head_close(was);
        head_close(is);
    }
}

/* Two neighbours have the same times, and others than the two before them. */
static void fill_in_pairs(struct head *h, int rounds)
{
    struct appendable *s = head_appendable(h);
    struct prng r = { test_seed() };
    for (int round = 0; round < rounds; round++) {
        struct appender *a = NULL;
        EXPECT_OK(s->ops->begin(s, &a, NULL));
        for (unsigned i = 0; i < N; i++)
            if (!round || (unsigned)round % 7 != i / 2 % 7)
                append_one(a, i, T0 + round * 15000, &r);
        EXPECT_OK(a->ops->commit(a, NULL));
    }
}

/* What was written down after the image passes by, and takes no times from who comes after it. */
TEST(image_and_chunk_files)
{
    struct head *was = NULL, *is = NULL;
    uint64_t samples = 0, n = 0;
    EXPECT_OK(head_open(&was, &(struct head_opts){ 0 }, NULL));
    EXPECT_OK(head_open(&is, &(struct head_opts){ 0 }, NULL));
    fill_in_pairs(was, 50);
    struct image_write *w = image_write_new(was);
    EXPECT_OK(restore(is, w, true, &samples));
    for (unsigned i = 1; i < N; i += 2) {
        struct label room[2];
        char id[16];
        struct label l = labels_of(i, room, id).at[1];
        n += expect_same(was, is, (struct matcher){ MATCH_EQ, l.name, l.value });
    }
    EXPECT_EQ(n, samples);
    EXPECT(n >= 50 * N / 4);
    image_write_free(w);
    head_close(was);
    head_close(is);
}
