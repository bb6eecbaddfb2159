#include "head/batch.h"

#include "base/test.h"

static struct span span = { 0, 1 };
static const double bound = 1;

static void put_whole(struct batch *b, uint32_t slot, int64_t t, bool custom)
{
    int64_t one = 1;
    struct int_histogram h = { .schema = custom ? HISTOGRAM_CUSTOM_SCHEMA : 0,
        .count = 1,
        .sum = 1,
        .pos = { &span, 1, &one, 1 },
        .custom = custom ? &bound : NULL,
        .n_custom = custom };
    batch_put_whole(b, &(struct batch_histogram){ slot, 1, t, 0, { NULL } }, &h, 0);
}

static void put_floats(struct batch *b, uint32_t slot, int64_t t)
{
    double one = 1;
    struct histogram h = { .count = 1, .sum = 1, .pos = { &span, 1, &one, 1 } };
    batch_put_floats(b, &(struct batch_histogram){ slot, 1, t, 0, { NULL } }, &h, 0);
}

/* A part ends where a series would have two kinds of histograms in it. */
TEST(batch_parts)
{
    struct batch b;
    enum batch_kind kind;
    batch_init(&b, NULL);
    EXPECT(batch_is_empty(&b));
    put_whole(&b, 1, 10, false);
    put_whole(&b, 1, 20, false);
    put_floats(&b, 2, 10);
    EXPECT_EQ(b.ends.n, 0);
    EXPECT(batch_has_histogram(&b, 1, &kind) && kind == BATCH_WHOLE);
    EXPECT(batch_has_histogram(&b, 2, &kind) && kind == BATCH_FLOATS);
    EXPECT(!batch_has_histogram(&b, 3, &kind));
    put_whole(&b, 1, 30, true); /* custom buckets are logged behind the others */
    EXPECT_EQ(b.ends.n, 1);
    EXPECT_EQ(b.ends.at[0].histograms[BATCH_WHOLE], 2);
    EXPECT_EQ(b.ends.at[0].histograms[BATCH_FLOATS], 1);
    EXPECT(!batch_has_histogram(&b, 2, &kind));
    put_floats(&b, 2, 20);
    put_floats(&b, 1, 40);
    EXPECT_EQ(b.ends.n, 2);
    batch_split(&b, 7);
    EXPECT_EQ(b.ends.at[2].floats, 7);
    EXPECT_EQ(batch_now(&b, 9).histograms[BATCH_FLOATS], 3);
    EXPECT(!batch_is_empty(&b));
    batch_reset(&b);
    EXPECT(batch_is_empty(&b));
    EXPECT_EQ(b.ends.n, 0);
    batch_fini(&b);
}

TEST(batch_copies)
{
    struct batch b;
    uint8_t text[] = "ab";
    struct label l = { str_of(text, 1), str_of(text + 1, 1) };
    int64_t deltas[] = { 4 };
    struct int_histogram h = { .count = 4, .pos = { &span, 1, deltas, 1 } };
    batch_init(&b, NULL);
    batch_put_whole(&b, &(struct batch_histogram){ 1, 1, 5, 3, { NULL } }, &h, 0);
    batch_put_exemplar(&b, 1, 1, &(struct exemplar){ { &l, 1 }, 2, 5, true });
    batch_put_metadata(&b, 1, 1, &(struct metadata){ TYPE_GAUGE, str_of(text, 2), STR_EMPTY });
    text[0] = text[1] = 'x';
    deltas[0] = 5;
    EXPECT_EQ(b.histograms[BATCH_WHOLE].at[0].whole->pos.deltas[0], 4);
    EXPECT_EQ(b.histograms[BATCH_WHOLE].at[0].st, 3);
    EXPECT_STR(b.exemplars.at[0].x.labels.at[0].name, S("a"));
    EXPECT_STR(b.metadata.at[0].m.unit, S("ab"));
    batch_put_st(&b, 3, 77);
    batch_put_st(&b, 4, 0);
    EXPECT_EQ(batch_st(&b, 2), 0);
    EXPECT_EQ(batch_st(&b, 3), 77);
    EXPECT_EQ(batch_st(&b, 4), 0);
    batch_fini(&b);
}
