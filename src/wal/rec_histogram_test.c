#include "wal/rec_histogram.h"

#include "base/test.h"

static struct span spans[] = { { 0, 2 }, { 1, 1 } };
static int64_t deltas[] = { 3, -1, 4 };
static double counts[] = { 3, 2, 6.5 };
static const double custom[] = { 1, 2 };

TEST(rec_histogram_there_and_back)
{
    struct arena a = { 0 };
    struct int_histogram whole = { RESET_YES, 2, 1, 12, 0.5, 9, { spans, 2, deltas, 3 },
        { spans, 1, deltas, 2 }, NULL, 0 };
    struct histogram floats = { RESET_GAUGE, -53, 0, 0, 11.5, 9, { spans, 2, counts, 3 }, { 0 },
        custom, 2 };
    struct rec_histogram r = rec_histogram_of_int(&whole);
    EXPECT_OK(rec_histogram_check(&r, NULL));
    const struct int_histogram *w = rec_histogram_int(&a, &r);
    EXPECT(int_histogram_equal(w, &whole));
    EXPECT_EQ(w->hint, RESET_YES);
    r = rec_histogram_of_float(&floats);
    EXPECT_OK(rec_histogram_check(&r, NULL));
    const struct histogram *f = rec_histogram_float(&a, &r);
    EXPECT(histogram_equal(f, &floats));
    EXPECT_EQ(f->hint, RESET_GAUGE);
    arena_fini(&a);
}

TEST(rec_histogram_checked)
{
    static const struct {
        const char *name;
        int64_t schema;
        size_t n_spans, n;
        errc want;
    } cases[] = {
        { "good", 0, 2, 3, OK },
        { "custom", -53, 2, 3, OK },
        { "reserved", 52, 2, 3, OK },
        { "unknown", 53, 2, 3, ERR_BAD_INPUT },
        { "unknown below", -10, 2, 3, ERR_BAD_INPUT },
        { "too few buckets", 0, 2, 2, ERR_BAD_INPUT },
        { "too many", 0, 1, 3, ERR_BAD_INPUT },
        { "none", 0, 0, 0, OK },
    };
    struct arena a = { 0 };
    TEST_EACH(c, cases) {
        struct rec_histogram r = { .schema = c->schema,
            .pos_spans = spans,
            .pos = deltas,
            .n_pos_spans = c->n_spans,
            .n_pos = c->n };
        EXPECT_EQ(rec_histogram_check(&r, NULL), c->want);
        if (c->want != OK) continue;
        const struct int_histogram *w = rec_histogram_int(&a, &r);
        EXPECT_EQ(w->schema, MIN(c->schema, (int64_t)HISTOGRAM_SCHEMA_MAX));
    }
    arena_fini(&a);
}

/* What no chunk can hold a log may still have. */
TEST(rec_histogram_too_far_out)
{
    static struct span far[] = { { INT32_MAX, 1 }, { INT32_MAX, 2 } };
    struct rec_histogram above = { .pos_spans = far, .pos = deltas, .n_pos_spans = 2, .n_pos = 3 };
    struct rec_histogram below = { .neg_spans = far, .neg = deltas, .n_neg_spans = 2, .n_neg = 3 };
    EXPECT_EQ(rec_histogram_check(&above, NULL), ERR_BAD_INPUT);
    EXPECT_EQ(rec_histogram_check(&below, NULL), ERR_BAD_INPUT);
}
