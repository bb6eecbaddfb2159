/* chunk_encoder_test.c — where rows of samples are cut, and what is left of a chunk. */
#include "chunk/chunk_encoder.h"

#include "base/test.h"
#include "chunk/chunk.h"
#include "chunk/chunk_iter.h"
#include "chunk/test_histograms.h"

static struct sample_batch floats(size_t n, int64_t from, int64_t *st, int64_t start)
{
    struct sample_batch b = { .kind = SAMPLE_FLOAT, .n = n, .st = start ? st : NULL };
    for (size_t i = 0; i < n; i++) {
        b.t[i] = from + (int64_t)i;
        b.v[i] = (double)i * 1.1;
        st[i] = start;
    }
    return b;
}

static const struct chunk_rules joined = { CHUNKS_JOINED, .floats = CHUNK_XOR };
static const struct chunk_rules joined2 = { CHUNKS_JOINED, .floats = CHUNK_XOR2 };

struct want { uint8_t enc; size_t n; };

static void expect_chunks(const struct chunk_encoder *w, const struct want *want, size_t n)
{
    EXPECT_EQ(w->chunks.n, n);
    for (size_t i = 0; i < n; i++) {
        EXPECT_EQ(w->chunks.at[i].enc, want[i].enc);
        EXPECT_OK(chunk_check(want[i].enc, encoded_chunk_data(w, i), NULL));
        EXPECT_EQ(chunk_count(want[i].enc, encoded_chunk_data(w, i)), want[i].n);
        EXPECT(i == 0 || w->chunks.at[i].mint > w->chunks.at[i - 1].maxt);
    }
}

TEST(chunk_encoder_cuts)
{
    struct chunk_encoder w = { 0 };
    struct histogram f = { .count = 1 };
    struct int_histogram whole = { .count = 1 };
    struct sample_batch b;
    int64_t st[SAMPLE_BATCH];
    static const struct want by_count[] = { { CHUNK_XOR, 120 }, { CHUNK_XOR, 120 },
        { CHUNK_XOR, 16 } };
    chunk_encoder_begin(&w, &joined);
    for (int64_t from = 0; from < 256; from += 128) {
        b = floats(128, from, st, 0);
        chunk_encoder_put(&w, &b);
    }
    chunk_encoder_end(&w);
    expect_chunks(&w, by_count, ARRAY_LEN(by_count));

    static const struct want by_kind[] = { { CHUNK_XOR, 10 }, { CHUNK_XOR2, 20 },
        { CHUNK_HISTOGRAM, 1 }, { CHUNK_FLOAT_HISTOGRAM_ST, 1 }, { CHUNK_FLOAT_HISTOGRAM, 1 },
        { CHUNK_XOR, 10 } };
    chunk_encoder_begin(&w, &joined);
    for (int i = 0; i < 3; i++) {              /* the third goes on in what holds start times */
        b = floats(10, 10 * i, st, i == 1 ? 5 : 0);
        chunk_encoder_put(&w, &b);
    }
    b = (struct sample_batch){ .kind = SAMPLE_HISTOGRAM, .n = 1, .t = { 30 }, .ih = { &whole } };
    chunk_encoder_put(&w, &b);
    st[0] = 7;
    b = (struct sample_batch){ .kind = SAMPLE_FLOAT_HISTOGRAM, .n = 1, .t = { 31 }, .st = st };
    b.h[0] = &f;
    chunk_encoder_put(&w, &b);
    b.t[0] = 32;
    b.st = NULL;
    chunk_encoder_put(&w, &b);
    b = floats(10, 40, st, 0);
    chunk_encoder_put(&w, &b);
    chunk_encoder_end(&w);
    expect_chunks(&w, by_kind, ARRAY_LEN(by_kind));

    static const struct want as_xor2[] = { { CHUNK_XOR2, 10 } };
    chunk_encoder_begin(&w, &joined2);
    b = floats(10, 0, st, 0);
    chunk_encoder_put(&w, &b);
    chunk_encoder_end(&w);
    expect_chunks(&w, as_xor2, 1);
    chunk_encoder_fini(&w);
}

/* The sums of the histograms of the chunks, in order. */
static size_t sums_of(const struct chunk_encoder *w, uint64_t *sums)
{
    struct chunk_iter it;
    struct sample_batch b;
    size_t n = 0;
    chunk_iter_init(&it);
    for (size_t i = 0; i < w->chunks.n; i++) {
        EXPECT_OK(chunk_iter_reset(&it, w->chunks.at[i].enc, encoded_chunk_data(w, i), NULL));
        do {
            EXPECT_OK(chunk_iter_fill(&it, &b, NULL));
            for (size_t k = 0; k < b.n; k++)
                sums[n++] = f64_bits(b.kind == SAMPLE_HISTOGRAM ? b.ih[k]->sum : b.h[k]->sum);
        } while (!it.ended);
    }
    chunk_iter_fini(&it);
    return n;
}

/* Rows of histograms: every one is found again, and no chunk has more than its share. */
TEST(chunk_encoder_histograms)
{
    enum { N = 300 };
    struct prng r = { test_seed() };
    struct chunk_encoder w = { 0 };
    for (int round = 0; round < 20; round++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct test_histograms h = test_histograms_of(&r, round & 1);
        uint64_t sums[N], got[N];
        chunk_encoder_begin(&w, &joined);
        for (size_t i = 0; i < N; i++) {
            struct hist_words x = test_histograms_next(&h, &a);
            struct sample_batch b = { .n = 1, .t = { h.t } };
            b.kind = h.is_float ? SAMPLE_FLOAT_HISTOGRAM : SAMPLE_HISTOGRAM;
            if (h.is_float) b.h[0] = test_histogram_float(&a, &x);
            else b.ih[0] = test_histogram_int(&a, &x);
            sums[i] = x.head[HIST_SUM];
            chunk_encoder_put(&w, &b);
        }
        chunk_encoder_end(&w);
        EXPECT_EQ(sums_of(&w, got), N);
        EXPECT(memcmp(sums, got, sizeof(got)) == 0);
        for (size_t i = 0; i < w.chunks.n; i++)
            EXPECT(chunk_count(w.chunks.at[i].enc, encoded_chunk_data(&w, i)) <= 120);
    }
    chunk_encoder_fini(&w);
}

/* What is left of one chunk is one chunk of its encoding, however long. */
TEST(chunk_encoder_trims)
{
    struct chunk_encoder w = { 0 };
    int64_t st[SAMPLE_BATCH];
    static const struct want one[] = { { CHUNK_XOR, 256 } }, two[] = { { CHUNK_XOR2, 256 } };
    for (uint8_t enc = CHUNK_XOR; enc <= CHUNK_XOR2; enc += CHUNK_XOR2 - CHUNK_XOR) {
        chunk_encoder_begin(&w, &(struct chunk_rules){ CHUNKS_TRIMMED, .enc = enc });
        for (int64_t from = 0; from < 256; from += 128) {
            struct sample_batch b = floats(128, from, st, enc == CHUNK_XOR2 && from ? 3 : 0);
            chunk_encoder_put(&w, &b);
        }
        chunk_encoder_end(&w);
        expect_chunks(&w, enc == CHUNK_XOR ? one : two, 1);
    }
    chunk_encoder_begin(&w, &(struct chunk_rules){ CHUNKS_TRIMMED, .enc = CHUNK_HISTOGRAM });
    chunk_encoder_end(&w);
    EXPECT_EQ(w.chunks.n, 0);
    chunk_encoder_fini(&w);
}

/* Late samples: by length for a block, and as few chunks as can be for the head's files. */
TEST(chunk_encoder_late_samples)
{
    struct chunk_encoder w = { 0 };
    struct histogram f = { .count = 1 };
    int64_t st[SAMPLE_BATCH];
    struct sample_batch hist = { .kind = SAMPLE_FLOAT_HISTOGRAM, .n = 2, .t = { 1000, 1001 } };
    hist.st = (int64_t[]){ 9, 0 };
    hist.h[0] = hist.h[1] = &f;
    static const struct want by_bytes[] = { { CHUNK_XOR, 0 }, { CHUNK_XOR, 0 },
        { CHUNK_FLOAT_HISTOGRAM_ST, 2 }, { CHUNK_XOR2, 128 } };
    chunk_encoder_begin(&w, &(struct chunk_rules){ CHUNKS_BY_BYTES, .floats = CHUNK_XOR });
    for (int64_t from = 0; from < 256; from += 128) {
        struct sample_batch b = floats(128, from, st, 0);
        chunk_encoder_put(&w, &b);
    }
    chunk_encoder_put(&w, &hist);
    struct sample_batch b = floats(128, 2000, st, 7);
    b.n = 100;
    chunk_encoder_put(&w, &b);
    b = floats(28, 2200, st, 0);               /* goes on where start times are held */
    chunk_encoder_put(&w, &b);
    chunk_encoder_end(&w);
    EXPECT_EQ(w.chunks.n, ARRAY_LEN(by_bytes));
    for (size_t i = 0; i < w.chunks.n; i++) EXPECT_EQ(w.chunks.at[i].enc, by_bytes[i].enc);
    EXPECT(w.chunks.at[0].n > 1005 && w.chunks.at[0].n <= 1005 + XOR_SAMPLE_MAX_BYTES);
    EXPECT_EQ(chunk_count(CHUNK_XOR2, encoded_chunk_data(&w, 3)), 128);
    EXPECT_EQ(chunk_count(CHUNK_FLOAT_HISTOGRAM_ST, encoded_chunk_data(&w, 2)), 2);

    static const struct want fixed[] = { { CHUNK_XOR, 256 }, { CHUNK_FLOAT_HISTOGRAM, 2 } };
    chunk_encoder_begin(&w, &(struct chunk_rules){ CHUNKS_FIXED, .floats = CHUNK_XOR });
    for (int64_t from = 0; from < 256; from += 128) {
        b = floats(128, from, st, 3);
        chunk_encoder_put(&w, &b);
    }
    chunk_encoder_put(&w, &hist);
    chunk_encoder_end(&w);
    expect_chunks(&w, fixed, ARRAY_LEN(fixed));
    chunk_encoder_fini(&w);
}
