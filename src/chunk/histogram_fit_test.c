/* histogram_fit_test.c — which histograms go on in a chunk, and how they are widened. */
#include "chunk/histogram_fit.h"

#include "base/test.h"

static struct hist_state state_of(const struct int_histogram *h)
{
    static uint8_t bytes[1024];
    struct bits b = bits_resume(bytes, 0);
    struct hist_state s = { 0 };
    struct hist_words w = hist_words_of_int(h);
    hist_state_reset(&s, false, false, (struct xor_window){ BITS_NO_WINDOW, 0 });
    hist_state_put(&s, &b, 1, 0, &w);
    return s;
}

static struct span three[] = { { 0, 3 } }, two[] = { { 0, 2 } }, apart[] = { { 0, 1 }, { 1, 2 } },
                   split[] = { { 0, 1 }, { 0, 2 } };

#define H(spans, c, ...) { .count = (c), .zero_count = 1, .schema = 1, .zero_threshold = 0.5,      \
    .pos = { spans, ARRAY_LEN(spans), (int64_t[]){ __VA_ARGS__ },                                  \
             sizeof((int64_t[]){ __VA_ARGS__ }) / 8 } }

TEST(histogram_fit_counters)
{
    const struct int_histogram last = H(three, 10, 3, -3, 2);           /* 3 0 2 */
    const struct {
        const char *name;
        struct int_histogram h;
        enum hist_header chunk;
        bool ok, only_chunk, only_sample;
        enum hist_header header;
    } cases[] = {
        { "the same", H(three, 10, 3, -3, 2), 0, true, false, false, HIST_NOT_RESET },
        { "more", H(three, 12, 4, -4, 3), 0, true, false, false, HIST_NOT_RESET },
        { "other spans, same buckets", H(split, 12, 4, -4, 3), 0, true, false, false,
          HIST_NOT_RESET },
        { "an empty bucket went, one came", H(apart, 14, 4, -1, 1), 0, true, true, true,
          HIST_NOT_RESET },
        { "a bucket fell", H(three, 12, 4, -4, 1), 0, false, false, false, HIST_RESET },
        { "a bucket went", H(two, 12, 4, -4), 0, false, true, false, HIST_RESET },
        { "the count fell", H(three, 9, 4, -4, 3), 0, false, false, false, HIST_RESET },
        { "a gauge's chunk", H(three, 12, 4, -4, 3), HIST_GAUGE, false, false, false,
          HIST_NOT_RESET },
    };
    TEST_EACH(c, cases) {
        SCOPED(hist_state_fini) struct hist_state s = state_of(&last);
        SCOPED(hist_fit_fini) struct hist_fit f;
        struct hist_words w = hist_words_of_int(&c->h);
        hist_fit_of(&f, &s, c->chunk, &w);
        EXPECT_EQ(f.ok, c->ok);
        EXPECT_EQ(f.header, c->header);
        EXPECT_EQ(f.only_chunk, c->only_chunk);
        EXPECT_EQ(f.only_sample, c->only_sample);
    }
}

TEST(histogram_fit_layouts)
{
    struct int_histogram last = H(three, 10, 3, -3, 2), h = last;
    SCOPED(hist_state_fini) struct hist_state s = state_of(&last);
    struct hist_fit f;
    h.schema = 2;
    struct hist_words w = hist_words_of_int(&h);
    hist_fit_of(&f, &s, 0, &w);
    EXPECT(!f.ok && f.header == HIST_UNKNOWN);
    h = last;
    h.zero_threshold = 1;
    w = hist_words_of_int(&h);
    hist_fit_of(&f, &s, 0, &w);
    EXPECT(!f.ok && f.header == HIST_UNKNOWN);
    h = last;
    h.hint = RESET_YES;
    w = hist_words_of_int(&h);
    hist_fit_of(&f, &s, 0, &w);
    EXPECT(!f.ok && f.header == HIST_RESET);
    h.hint = RESET_GAUGE;
    w = hist_words_of_int(&h);
    hist_fit_of(&f, &s, 0, &w);
    EXPECT(!f.ok && f.header == HIST_GAUGE);
    hist_fit_of(&f, &s, HIST_GAUGE, &w);
    EXPECT(f.ok && !f.only_chunk && !f.only_sample);
    hist_fit_fini(&f);
}

static void expect_words(const struct hist_words *w, const struct span *spans, size_t n_spans,
                         const int64_t *deltas, size_t n)
{
    EXPECT_EQ(w->layout.side[0].n, n_spans);
    EXPECT(memcmp(w->layout.side[0].at, spans, n_spans * sizeof(*spans)) == 0);
    EXPECT_EQ(w->layout.n_buckets[0], n);
    EXPECT(memcmp(w->at[0], deltas, n * sizeof(*deltas)) == 0);
}

/* 0 1 2 in the chunk, 0 2 3 in the sample: both become 0 1 2 3. */
TEST(histogram_fit_widens_both)
{
    const struct int_histogram last = H(three, 10, 3, -3, 2), h = H(apart, 14, 4, -1, 1);
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(hist_state_fini) struct hist_state s = state_of(&last);
    SCOPED(hist_fit_fini) struct hist_fit f;
    struct hist_words w = hist_words_of_int(&h), old = hist_state_words(&s);
    hist_fit_of(&f, &s, 0, &w);
    struct hist_words wide = hist_fit_widen(&f, &s, &w, &a);
    expect_words(&wide, (struct span[]){ { 0, 4 } }, 1, (int64_t[]){ 4, -4, 3, 1 }, 4);
    struct hist_words recoded = hist_fit_recode(&f, &old, &wide.layout, &a);
    expect_words(&recoded, (struct span[]){ { 0, 4 } }, 1, (int64_t[]){ 3, -3, 2, -2 }, 4);
}
