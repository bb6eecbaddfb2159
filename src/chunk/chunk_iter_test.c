/* chunk_iter_test.c — chunks of every encoding, whole, cut short and damaged. */
#include "chunk/chunk_iter.h"

#include "base/mem.h"
#include "base/test.h"
#include "chunk/chunk.h"
#include "chunk/test_histograms.h"

enum { N = 200 };
static int64_t t[N], st[N];
static double v[N];
static uint8_t bytes[XOR2_ROOM(N)];

/* What begins with a sample of this time says so beforehand; first NULL: none decodes. */
static void expect_begins(struct chunk_iter *it, uint8_t enc, str chunk, const int64_t *first)
{
    int64_t at = 0;
    bool any = false;
    errc rc = chunk_iter_begin(it, enc, chunk, &at, &any, NULL);
    EXPECT(!first || (rc == OK && any && at == *first));
    EXPECT(rc == OK || rc == ERR_CORRUPT);
}

/* The samples of t and v that come out are counted; ended says whether that was known in time. */
static errc read_floats(uint8_t enc, str chunk, size_t *n)
{
    struct chunk_iter it;
    struct sample_batch b;
    chunk_iter_init(&it);
    *n = 0;
    errc rc = chunk_iter_reset(&it, enc, chunk, NULL);
    while (rc == OK) {
        rc = chunk_iter_fill(&it, &b, NULL);
        if (rc != OK || !b.n) break;
        EXPECT_EQ(b.kind, SAMPLE_FLOAT);
        for (size_t i = 0; i < b.n; i++, ++*n) {
            EXPECT_EQ(b.t[i], t[*n]);
            EXPECT_EQ(f64_bits(b.v[i]), f64_bits(v[*n]));
            EXPECT_EQ(b.st ? b.st[i] : 0, enc == CHUNK_XOR2 ? st[*n] : 0);
        }
    }
    EXPECT(rc != OK || it.ended);
    expect_begins(&it, enc, chunk, *n ? t : NULL);
    chunk_iter_fini(&it);
    return rc;
}

TEST(chunk_iter_floats)
{
    size_t got;
    for (size_t i = 0; i < N; i++) {
        t[i] = (int64_t)i * 15000;
        v[i] = (double)(i % 7);
        st[i] = i < 20 ? 0 : 5;
    }
    for (uint8_t enc = CHUNK_XOR; enc <= CHUNK_XOR2; enc += CHUNK_XOR2 - CHUNK_XOR) {
        size_t n = enc == CHUNK_XOR ? xor_encode(bytes, t, v, N) : xor2_encode(bytes, t, v, st, N);
        EXPECT_OK(read_floats(enc, str_of(bytes, n), &got));
        EXPECT_EQ(got, N);
        EXPECT_EQ(read_floats(enc, str_of(bytes, n - 1), &got), ERR_CORRUPT);
        EXPECT(got < N && got > N / 2);
    }
    EXPECT_EQ(read_floats(CHUNK_NONE, str_of(bytes, 20), &got), ERR_CORRUPT);
    EXPECT_EQ(read_floats(CHUNK_ENCODINGS, str_of(bytes, 20), &got), ERR_CORRUPT);
    EXPECT_EQ(read_floats(CHUNK_XOR, STR_EMPTY, &got), ERR_CORRUPT);
    EXPECT_OK(read_floats(CHUNK_XOR, S("\0\0"), &got));        /* a chunk without samples */
    EXPECT_EQ(got, 0);
}

static size_t read_histograms(uint8_t enc, str chunk)
{
    struct chunk_iter it;
    struct sample_batch b;
    size_t n = 0;
    int64_t first = 0;
    chunk_iter_init(&it);
    errc rc = chunk_iter_reset(&it, enc, chunk, NULL);
    while (rc == OK && (rc = chunk_iter_fill(&it, &b, NULL)) == OK && b.n) {
        bool is_float = chunk_enc_is_float_histogram(enc);
        EXPECT_EQ(b.kind, is_float ? SAMPLE_FLOAT_HISTOGRAM : SAMPLE_HISTOGRAM);
        if (!n) first = b.t[0];
        n += b.n;
    }
    expect_begins(&it, enc, chunk, n ? &first : NULL);
    EXPECT(rc == OK || rc == ERR_CORRUPT);
    EXPECT(rc != OK || n == chunk_count(enc, chunk));
    chunk_iter_fini(&it);
    return n;
}

/* Every prefix gives fewer samples and ends well, and so does what damage makes of a chunk. */
TEST(chunk_iter_histograms_damaged)
{
    static const uint8_t encodings[] = { CHUNK_HISTOGRAM, CHUNK_FLOAT_HISTOGRAM, CHUNK_HISTOGRAM_ST,
        CHUNK_FLOAT_HISTOGRAM_ST };
    struct prng r = { test_seed() };
    for (int round = 0; round < 24; round++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        uint8_t enc = encodings[round % 4];
        struct test_histograms h = test_histograms_of(&r, chunk_enc_is_float_histogram(enc));
        struct hist_app app, fresh;
        hist_app_init(&app, enc, NULL);
        for (int i = 0; i < 30; i++) {
            struct hist_words w = test_histograms_next(&h, &a);
            if (hist_append(&app, &fresh, h.t, h.st, &w) != HIST_NEW) continue;
            hist_app_fini(&fresh);
            break;
        }
        str whole = hist_app_bytes(&app);
        EXPECT_EQ(read_histograms(enc, whole), hist_app_count(&app));
        for (size_t cut = 0; cut < whole.n; cut++) {
            str part = mem_str(str_of(whole.p, cut));
            EXPECT(read_histograms(enc, part) < hist_app_count(&app));
            mem_free((void *)part.p);
        }
        for (int flips = 0; flips < 300; flips++) {
            str part = mem_str(whole);
            ((uint8_t *)part.p)[prng_below(&r, part.n)] ^= (uint8_t)(1 << prng_below(&r, 8));
            read_histograms(enc, part);
            mem_free((void *)part.p);
        }
        hist_app_fini(&app);
    }
}
