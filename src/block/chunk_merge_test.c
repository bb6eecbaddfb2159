/* chunk_merge_test.c — chunks of several sources: copied, joined, trimmed. */
#include "block/chunk_merge.h"
#include "block/segment_codec.h"

#include "base/test.h"
#include "chunk/chunk.h"
#include "chunk/test_histograms.h"

/* n floats from t0 on, all of the value v. */
static struct chunk_view floats(struct arena *a, int64_t t0, int64_t step, size_t n, double v)
{
    int64_t *t = arena_array(a, n, sizeof(*t));
    double *values = arena_array(a, n, sizeof(*values));
    uint8_t *at = arena_alloc(a, XOR_ROOM(n));
    for (size_t i = 0; i < n; i++) {
        t[i] = t0 + step * (int64_t)i;
        values[i] = v;
    }
    return (struct chunk_view){ t[0], t[n - 1], CHUNK_XOR,
        str_of(at, xor_encode(at, t, values, n)) };
}

/* One histogram of `count` in a single bucket, at each of the times. */
static struct chunk_view histograms(
    struct arena *a, int64_t t0, int64_t step, size_t n, int64_t count)
{
    static struct span one[] = { { 0, 1 } };
    struct hist_app app, fresh;
    hist_app_init(&app, CHUNK_HISTOGRAM, NULL);
    for (size_t i = 0; i < n; i++, count++) {
        struct int_histogram h = { .count = (uint64_t)count, .pos = { one, 1, &count, 1 } };
        struct hist_words w = hist_words_of_int(&h);
        EXPECT(hist_append(&app, &fresh, t0 + step * (int64_t)i, 0, &w) == HIST_SAME);
    }
    struct chunk_view c = { t0, t0 + step * ((int64_t)n - 1), CHUNK_HISTOGRAM,
        arena_str(a, hist_app_bytes(&app)) };
    hist_app_fini(&app);
    return c;
}

struct point { int64_t t; double v; };

/* The samples of the result; of a histogram its count. */
static size_t points_of(const struct chunk_merge *m, struct point *out)
{
    struct chunk_iter it;
    struct sample_batch b;
    size_t n = 0;
    chunk_iter_init(&it);
    for (size_t i = 0; i < m->out.n; i++) {
        const struct chunk_view *c = &m->out.at[i];
        size_t from = n;
        EXPECT_OK(chunk_iter_reset(&it, c->enc, c->data, NULL));
        do {
            EXPECT_OK(chunk_iter_fill(&it, &b, NULL));
            for (size_t k = 0; k < b.n; k++) {
                double v = b.kind == SAMPLE_FLOAT ? b.v[k] : (double)b.ih[k]->count;
                out[n++] = (struct point){ b.t[k], v };
            }
        } while (!it.ended);
        EXPECT(n > from && out[from].t == c->mint && out[n - 1].t == c->maxt);
    }
    chunk_iter_fini(&it);
    return n;
}

static void merge(struct chunk_merge *m, const struct chunk_series *a, const struct chunk_series *b)
{
    const struct chunk_series *sources[] = { a, b };
    EXPECT_OK(chunk_merge(m, sources, b ? 2 : 1, NULL));
}

TEST(chunk_merge_copies)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct chunk_merge m = { 0 };
    struct chunk_view x[] = { floats(&a, 0, 10, 5, 1), floats(&a, 50, 10, 5, 1) };
    struct chunk_view y[] = { histograms(&a, 100, 10, 5, 1) };
    struct chunk_series first = { .chunks = x, .n = 2 }, second = { .chunks = y, .n = 1 };
    merge(&m, &first, &second);
    EXPECT_EQ(m.out.n, 3);
    EXPECT(m.out.at[0].data.p == x[0].data.p && m.out.at[2].data.p == y[0].data.p);
    merge(&m, &second, &first);                /* in any order of the sources */
    EXPECT_EQ(m.out.n, 3);
    EXPECT(m.out.at[0].data.p == x[0].data.p && m.out.at[2].data.p == y[0].data.p);
    merge(&m, &first, &first);                 /* equal chunks are one */
    EXPECT_EQ(m.out.n, 2);
    EXPECT(m.out.at[1].data.p == x[1].data.p);
    x[1].mint = 0;                             /* what one source has is its own business */
    merge(&m, &first, NULL);
    EXPECT_EQ(m.out.n, 2);
    chunk_merge_fini(&m);
}

TEST(chunk_merge_joins)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct chunk_merge m = { 0 };
    struct point got[600];
    struct chunk_view x = floats(&a, 0, 10, 100, 1), y = floats(&a, 5, 10, 100, 2);
    struct chunk_view z = floats(&a, 990, 10, 50, 3);
    struct chunk_view xz[] = { x, z };
    struct chunk_series first = { .chunks = xz, .n = 2 }, second = { .chunks = &y, .n = 1 };
    merge(&m, &first, &second);
    size_t n = points_of(&m, got);
    EXPECT_EQ(n, 250 - 1);                     /* 990 is in two of them */
    EXPECT_EQ(m.out.n, 3);
    EXPECT_EQ(chunk_count(CHUNK_XOR, m.out.at[0].data), 120);
    for (size_t i = 1; i < n; i++) EXPECT(got[i].t > got[i - 1].t);
    for (size_t i = 0; i < 190; i++) EXPECT_EQ(got[i].v, got[i].t % 10 ? 2 : 1);
    chunk_merge_fini(&m);
}

/* Floats between histograms: chunks of either kind, and no header that says more than is known. */
TEST(chunk_merge_joins_kinds)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct chunk_merge m = { 0 };
    struct point got[600];
    struct chunk_view x = histograms(&a, 0, 10, 20, 5), y = floats(&a, 95, 1, 3, 2);
    struct chunk_series first = { .chunks = &x, .n = 1 }, second = { .chunks = &y, .n = 1 };
    merge(&m, &first, &second);
    EXPECT_EQ(points_of(&m, got), 23);
    EXPECT_EQ(m.out.n, 3);
    EXPECT(m.out.at[0].enc == CHUNK_HISTOGRAM && m.out.at[1].enc == CHUNK_XOR);
    EXPECT_EQ(hist_chunk_header(CHUNK_HISTOGRAM, m.out.at[2].data), HIST_UNKNOWN);

    struct chunk_view low = histograms(&a, 5, 10, 20, 1);      /* falls at every turn */
    struct chunk_series third = { .chunks = &low, .n = 1 };
    merge(&m, &first, &third);
    EXPECT_EQ(points_of(&m, got), 40);
    EXPECT(m.out.n > 10);
    EXPECT_EQ(hist_chunk_header(CHUNK_HISTOGRAM, m.out.at[0].data), HIST_UNKNOWN);
    EXPECT_EQ(hist_chunk_header(CHUNK_HISTOGRAM, m.out.at[1].data), HIST_RESET);
    chunk_merge_fini(&m);
}

TEST(chunk_merge_trims)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct chunk_merge m = { 0 };
    struct point got[600];
    intervals deleted = { 0 };
    vec_push(&deleted, ((struct interval){ 20, 49 }));
    vec_push(&deleted, ((struct interval){ 200, 1000 }));
    struct chunk_view x[] = { floats(&a, 0, 10, 10, 1), histograms(&a, 100, 10, 15, 1),
        floats(&a, 300, 10, 5, 1) };
    struct chunk_series s = { .chunks = x, .n = 3, .deleted = &deleted };
    merge(&m, &s, NULL);
    EXPECT_EQ(m.out.n, 2);                     /* the last one is gone as a whole */
    EXPECT_EQ(points_of(&m, got), 7 + 10);
    EXPECT(m.out.at[0].maxt == 90 && m.out.at[1].maxt == 190);
    EXPECT_EQ(m.out.at[1].enc, CHUNK_HISTOGRAM);
    deleted.at[0] = (struct interval){ 1, 9 };                 /* between two samples: as it was */
    deleted.n = 1;
    merge(&m, &s, NULL);
    EXPECT_EQ(m.out.n, 3);
    EXPECT_STR(m.out.at[0].data, x[0].data);
    deleted.at[0] = (struct interval){ 0, 0 };
    struct chunk_series other = { .chunks = x + 1, .n = 1 };
    s.n = 1;
    merge(&m, &s, &other);
    EXPECT_EQ(m.out.n, 2);
    EXPECT_EQ(m.out.at[0].mint, 10);
    vec_fini(&deleted);
    chunk_merge_fini(&m);
}

enum { TIMES = 2000, MOST_CHUNKS = 5 };

/* Some chunks that follow one another, of floats or histograms, some of them with what was deleted;
 * marks the times that are left of them. */
static void random_source(
    struct chunk_series *s, intervals *deleted, bool *left, struct arena *a, struct prng *r)
{
    struct chunk_view *x = arena_array(a, MOST_CHUNKS, sizeof(*x));
    bool *mine = arena_zalloc(a, TIMES);
    int64_t t = (int64_t)prng_below(r, 200);
    *s = (struct chunk_series){ .chunks = x, .deleted = deleted };
    for (; s->n < MOST_CHUNKS && prng_below(r, 5); s->n++) {
        int64_t step = 1 + (int64_t)prng_below(r, 7);
        size_t n = 1 + prng_below(r, 40);
        x[s->n] = prng_below(r, 3) ? floats(a, t, step, n, 1)
                                   : histograms(a, t, step, n, (int64_t)prng_below(r, 9));
        for (size_t i = 0; i < n; i++, t += step) mine[t] = true;
    }
    for (size_t n = prng_below(r, 4); n; n--) {
        int64_t from = (int64_t)prng_below(r, TIMES), to = from + (int64_t)prng_below(r, 100);
        intervals_add(deleted, (struct interval){ from, to });
        for (t = from; t <= to && t < TIMES; t++) mine[t] = false;
    }
    for (t = 0; t < TIMES; t++) left[t] |= mine[t];
}

/* Whatever is copied, trimmed or joined: the times that stand beside a chunk are those of its first
 * and last sample (points_of looks), and there is exactly what is left. */
TEST(chunk_merge_times_hold_the_samples)
{
    struct prng r = { test_seed() };
    for (int round = 0; round < 2000; round++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct chunk_merge m = { 0 };
        struct chunk_series s[3];
        const struct chunk_series *sources[3] = { &s[0], &s[1], &s[2] };
        intervals deleted[3] = { 0 };
        struct point *got = arena_array(&a, (size_t)TIMES * 3, sizeof(*got));
        bool *left = arena_zalloc(&a, TIMES);
        size_t n_sources = 1 + prng_below(&r, 3), at = 0;
        for (size_t i = 0; i < n_sources; i++) random_source(&s[i], &deleted[i], left, &a, &r);
        EXPECT_OK(chunk_merge(&m, sources, n_sources, NULL));
        size_t n = points_of(&m, got);
        for (int64_t t = 0; t < TIMES; t++)
            if (left[t]) EXPECT(at < n && got[at++].t == t);
        EXPECT_EQ(at, n);
        for (size_t i = 0; i < n_sources; i++) vec_fini(&deleted[i]);
        chunk_merge_fini(&m);
    }
}

TEST(chunk_merge_damaged)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct chunk_merge m = { 0 };
    struct chunk_view x = floats(&a, 0, 10, 100, 1.5), y = histograms(&a, 5, 10, 100, 2);
    struct chunk_series first = { .chunks = &x, .n = 1 }, second = { .chunks = &y, .n = 1 };
    const struct chunk_series *both[] = { &first, &second };
    y.data.n -= 3;
    EXPECT_EQ(chunk_merge(&m, both, 2, NULL), ERR_CORRUPT);
    y.data.n += 3;
    EXPECT_OK(chunk_merge(&m, both, 2, NULL));                 /* and it can be used again */
    x.data.n = 5;
    EXPECT_EQ(chunk_merge(&m, both, 2, NULL), ERR_CORRUPT);
    chunk_merge_fini(&m);
}

/* A chunk as it lies in a segment. */
static struct chunk_view as_record(struct arena *a, struct chunk_view c)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    struct segment_record r;
    segment_record_encode(&b, c.enc, c.data);
    str bytes = arena_str(a, buf_view(&b));
    EXPECT_OK(segment_record_decode(&r, bytes, NULL));
    c.data = r.data;
    c.head = segment_record_head(&r);
    EXPECT(c.head > 0);
    return c;
}

TEST(chunk_merge_writes_nothing_of_bytes_that_changed)
{
    static const struct {
        const char *name;
        bool deleted, joined, decodes;
    } cases[] = { { "trimmed", true, false, true }, { "joined", false, true, true },
        { "trimmed, no chunk any more", true, false, false },
        { "joined, no chunk any more", false, true, false } };
    TEST_EACH (c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct chunk_merge m = { 0 };
        intervals gone = { 0 };
        struct err e = { 0 };
        struct chunk_view x[] = { as_record(&a, floats(&a, 0, 10, 50, 1)) };
        struct chunk_view y[] = { as_record(&a, floats(&a, c->joined ? 5 : 1000, 10, 50, 2)) };
        struct chunk_series first = { .chunks = x, .n = 1 }, second = { .chunks = y, .n = 1 };
        const struct chunk_series *both[] = { &first, &second };
        intervals_add(&gone, (struct interval){ 0, 100 });
        if (c->deleted) first.deleted = &gone;
        EXPECT_OK(chunk_merge(&m, both, 2, NULL));
        /* of its checksum; or of the number of its samples */
        uint8_t *at = (uint8_t *)(uintptr_t)x[0].data.p;
        at[c->decodes ? x[0].data.n : 0] ^= c->decodes ? 1 : 0x7f;
        EXPECT_EQ(chunk_merge(&m, both, 2, &e), ERR_IO);
        EXPECT_STR(err_str(&e), S("a chunk was changed in memory while it was read"));
        chunk_merge_fini(&m);
        vec_fini(&gone);
    }
}
