#include "model/int_histogram.h"

#include "base/test.h"

#include <math.h>

static struct span one[] = { { 0, 3 } }, split[] = { { 0, 1 }, { 0, 0 }, { 0, 2 } },
                   apart[] = { { 0, 1 }, { 2, 2 } };
static int64_t up[] = { 1, 2, -1 }, down[] = { 1, -2, 5 };

static struct int_histogram of(struct span *spans, size_t n_spans, int64_t *deltas, uint64_t count)
{
    return (struct int_histogram){ .zero_threshold = 0.001,
        .zero_count = 2,
        .count = count,
        .sum = 3,
        .pos = { spans, n_spans, deltas, 3 } };
}

TEST(int_histogram_becomes_float)
{
    struct arena a = { 0 };
    struct buf b = { 0 };
    struct int_histogram h = of(apart, 2, up, 8);
    histogram_text(&b, int_histogram_to_float(&a, &h));
    EXPECT_STR(buf_view(&b), S("{count:8, sum:3, [-0.001,0.001]:2, (0.5,1]:1, (4,8]:3, (8,16]:2}"));
    buf_fini(&b);
    arena_fini(&a);
}

TEST(int_histogram_layouts_are_compared)
{
    struct int_histogram h = of(one, 1, up, 8), same = of(split, 3, up, 8),
                         other = of(apart, 2, up, 8);
    EXPECT(int_histogram_equal(&h, &h));
    EXPECT(int_histogram_equal(&h, &same));
    EXPECT(!int_histogram_equal(&h, &other));
    other = of(one, 1, down, 8);
    EXPECT(!int_histogram_equal(&h, &other));
}

TEST(int_histogram_is_validated)
{
    static const struct {
        const char *name;
        int64_t *deltas;
        uint64_t count;
        double sum;
        int32_t schema;
        size_t n;
        const char *want;
    } cases[] = {
        { "good", up, 8, 1, 0, 3, "ok" },
        { "NaNs count beside the buckets", up, 9, NAN, 0, 3, "ok" },
        { "a negative bucket", down, 8, 1, 0, 3,
            "positive side: bucket number 2 has observation count of -1: histogram has a bucket "
            "whose observation count is negative" },
        { "another count", up, 9, 1, 0, 3,
            "8 observations found in buckets, but the Count field is 9: histogram's observation "
            "count should equal the "
            "number of observations found in the buckets (in absence of NaN)" },
        { "too small a count", up, 7, NAN, 0, 3,
            "8 observations found in buckets, but the Count field is 7: histogram's observation "
            "count should be at "
            "least the number of observations found in the buckets" },
        { "spans", up, 8, 1, 0, 2,
            "positive side: spans need 3 buckets, have 2 buckets: histogram spans specify "
            "different number of buckets than provided" },
        { "schema", up, 8, 1, -5, 3,
            "histogram has an invalid schema, which must be between -4 and 8 for exponential "
            "buckets, or -53 for custom buckets, "
            "got schema -5" },
    };
    TEST_EACH(c, cases) {
        struct int_histogram h = of(one, 1, c->deltas, c->count);
        struct err e = { 0 };
        h.sum = c->sum;
        h.schema = c->schema;
        h.pos.n = c->n;
        EXPECT_EQ(int_histogram_validate(&h, &e), strcmp(c->want, "ok") ? ERR_BAD_INPUT : OK);
        EXPECT_STR(err_str(&e), str_z(c->want));
    }
}

TEST(int_histogram_of_buckets_too_far_out_is_refused)
{
    static const struct { const char *name; struct span spans[2]; errc want; } cases[] = {
        { "the last above", { { HISTOGRAM_INDEX_MAX - 1, 1 }, { 0, 0 } }, OK },
        { "beyond it", { { HISTOGRAM_INDEX_MAX, 1 }, { 0, 0 } }, ERR_BAD_INPUT },
        { "beyond it by two spans", { { 0x40000000 - 5, 0 }, { 5, 1 } }, ERR_BAD_INPUT },
        { "round and round", { { INT32_MAX, 0 }, { INT32_MAX, 1 } }, ERR_BAD_INPUT },
        { "the last below", { { -HISTOGRAM_INDEX_MAX, 1 }, { 0, 0 } }, OK },
        { "beyond that", { { -HISTOGRAM_INDEX_MAX - 1, 1 }, { 9, 0 } }, ERR_BAD_INPUT },
    };
    int64_t seven = 7;
    TEST_EACH(c, cases) {
        struct int_histogram_side side = { (struct span *)c->spans, 2, &seven, 1 };
        struct int_histogram above = { .count = 7, .pos = side };
        struct int_histogram below = { .count = 7, .neg = side };
        EXPECT_EQ(int_histogram_validate(&above, NULL), c->want);
        EXPECT_EQ(int_histogram_validate(&below, NULL), c->want);
    }
}

/* Each case as spans and differences, before and after. */
TEST(int_histogram_drops_empty_buckets)
{
    static const struct {
        const char *name;
        size_t max_empty;
        struct span in[3];
        size_t n_in;
        int64_t deltas[8];
        size_t n;
        struct span out[3];
        size_t n_out;
        int64_t left[8];
        size_t n_left;
    } cases[] = {
        { "nothing to do", 0, { { 1, 2 } }, 1, { 1, 1 }, 2, { { 1, 2 } }, 1, { 1, 1 }, 2 },
        { "at both ends", 0, { { 0, 4 } }, 1, { 0, 2, 0, -2 }, 4, { { 1, 2 } }, 1, { 2, 0 }, 2 },
        { "in the middle", 0, { { 0, 3 } }, 1, { 2, -2, 3 }, 3, { { 0, 1 }, { 1, 1 } }, 2,
            { 2, 1 }, 2 },
        { "in the middle, kept", 1, { { 0, 3 } }, 1, { 2, -2, 3 }, 3, { { 0, 3 } }, 1,
            { 2, -2, 3 }, 3 },
        { "a small gap is filled", 2, { { 0, 1 }, { 2, 1 } }, 2, { 2, 3 }, 2, { { 0, 4 } }, 1,
            { 2, -2, 0, 5 }, 4 },
        { "spans that touch", 0, { { 0, 1 }, { 0, 0 }, { 0, 1 } }, 3, { 2, 3 }, 2, { { 0, 2 } }, 1,
            { 2, 3 }, 2 },
        { "all of them", 0, { { 0, 2 } }, 1, { 0, 0 }, 2, { { 0 } }, 0, { 0 }, 0 },
        { "does not fit", 0, { { 0, 3 } }, 1, { 0, 1 }, 2, { { 0, 3 } }, 1, { 0, 1 }, 2 },
        { "a step back stays one", 0, { { 0, 2 }, { -1, 1 } }, 2, { 1, 0, 0 }, 3,
            { { 0, 2 }, { -1, 1 } }, 2, { 1, 0, 0 }, 3 },
    };
    TEST_EACH(c, cases) {
        struct arena a = { 0 };
        struct int_histogram h = { .neg = { (struct span *)c->in, c->n_in, (int64_t *)c->deltas,
                                       c->n } };
        int_histogram_compact(&a, &h, c->max_empty);
        EXPECT_EQ(h.neg.n_spans, c->n_out);
        EXPECT_EQ(h.neg.n, c->n_left);
        for (size_t i = 0; i < c->n_out; i++) {
            EXPECT_EQ(h.neg.spans[i].offset, c->out[i].offset);
            EXPECT_EQ(h.neg.spans[i].length, c->out[i].length);
        }
        for (size_t i = 0; i < c->n_left; i++) EXPECT_EQ(h.neg.deltas[i], c->left[i]);
        arena_fini(&a);
    }
}
