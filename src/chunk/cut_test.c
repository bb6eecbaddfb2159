/* cut_test.c — where chunks end. */
#include "chunk/cut.h"

#include "base/test.h"

TEST(cut_align)
{
    static const struct { const char *name; int64_t t, w, want; } cases[] = {
        { "inside", 1, 7200000, 7200000 },
        { "on the edge", 7200000, 7200000, 14400000 },
        { "zero", 0, 10, 10 },
        { "negative: towards zero", -1, 10, 10 },
        { "negative edge", -10, 10, 0 },
        { "negative inside", -15, 10, 0 },
    };
    TEST_EACH(c, cases) EXPECT_EQ(cut_align(c->t, c->w), c->want);
}

TEST(cut_end)
{
    static const struct {
        const char *name;
        int64_t start, cur, max;
        double ratio;
        int64_t want;
    } cases[] = {
        { "a quarter: the rest is one chunk", 0, 250, 1000, 4, 1000 },
        { "two fit", 0, 100, 1000, 4, 500 },
        { "almost three", 0, 99, 1000, 4, 500 },
        { "more than two, times 3", 100, 200, 1000, 3, 550 },
        { "stood long", 0, 5000, 1000, 4, 1000 },
        { "7200 s at 15 s, 30 samples", 0, 29 * 15000, 7200000, 4, 1800000 },
    };
    TEST_EACH(c, cases) EXPECT_EQ(cut_end(c->start, c->cur, c->max, c->ratio), c->want);
}

/* Samples every 15 s from a 2 h edge on: four chunks of 120. */
TEST(cut_regular)
{
    enum { STEP = 15000, RANGE = 7200000 };
    struct cut_state s = cut_begin(0, RANGE);
    size_t cuts = 0;
    s.n = 1;
    s.bytes = 30;
    for (int64_t t = STEP; t <= RANGE; t += STEP) {
        if (cut_float(&s, t, RANGE, CUT_SAMPLES)) {
            EXPECT_EQ(s.n, 120);
            s = cut_begin(t, RANGE);
            s.n = 1;
            s.bytes = 30;
            cuts++;
        } else {
            s.n++;
            s.maxt = t;
        }
    }
    EXPECT_EQ(cuts, 4);
}

TEST(cut_by_size_and_count)
{
    struct cut_state s = { 0, 100, 1 << 30, 10, CUT_BYTES };
    EXPECT(!cut_float(&s, 101, 1 << 30, CUT_SAMPLES));
    s.bytes++;
    EXPECT(cut_float(&s, 101, 1 << 30, CUT_SAMPLES));
    s = (struct cut_state){ 0, 100, 1 << 30, 239, 100 };
    EXPECT(!cut_float(&s, 101, 1 << 30, CUT_SAMPLES));
    s.n++;
    EXPECT(cut_float(&s, 101, 1 << 30, CUT_SAMPLES));
    /* a chunk without samples starts over */
    s = (struct cut_state){ 5, 5, 0, 0, 2 };
    EXPECT(!cut_float(&s, 77, 1000, CUT_SAMPLES));
    EXPECT_EQ(s.mint, 77);
    EXPECT_EQ(s.next_at, 1000);
}

TEST(cut_histograms)
{
    enum { RANGE = 1000 };
    struct cut_state s = { .mint = 0, .maxt = 100, .next_at = RANGE, .n = 5, .bytes = 255 };
    bool estimated = false;
    EXPECT(!cut_histogram(&s, &estimated, 200, RANGE) && !estimated);
    s.bytes = 256;                             /* a quarter full at 100: two chunks of 500 */
    EXPECT(!cut_histogram(&s, &estimated, 499, RANGE) && estimated);
    EXPECT_EQ(s.next_at, 500);
    EXPECT(!cut_histogram(&s, &estimated, 500, RANGE));        /* too few samples */
    s.n = 10;
    EXPECT(cut_histogram(&s, &estimated, 500, RANGE) && !estimated);
    s = (struct cut_state){ .mint = 0, .maxt = 100, .next_at = RANGE, .n = 10, .bytes = 2048 };
    EXPECT(cut_histogram(&s, &estimated, 101, RANGE));
    s = (struct cut_state){ .mint = 0, .maxt = 100, .next_at = RANGE, .n = 2, .bytes = 2048 };
    EXPECT(!cut_histogram(&s, &estimated, 101, RANGE) && estimated);
    EXPECT(cut_histogram(&s, &estimated, RANGE, RANGE));       /* the range ends for all */
    s = (struct cut_state){ .mint = 0, .maxt = 100, .next_at = 100, .n = 2, .bytes = 100 };
    EXPECT(cut_histogram(&s, &estimated, 101, RANGE));         /* as loaded from a snapshot */
}
