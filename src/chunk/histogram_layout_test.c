/* histogram_layout_test.c — layouts as bytes, and two of them as one. */
#include "chunk/histogram_layout.h"

#include "base/f64.h"
#include "base/mem.h"
#include "base/test.h"

#include <math.h>

static struct hist_layout round_trip(const struct hist_layout *l, struct arena *a, uint64_t *bits)
{
    uint8_t *bytes = arena_alloc(a, hist_layout_max_bytes(l) + BITS_SLACK);
    struct bits b = bits_resume(bytes, 0);
    struct hist_layout got;
    hist_layout_put(&b, l);
    *bits = bits_count(&b, bytes);
    size_t n = (size_t)((*bits + 7) / 8);
    EXPECT(n <= hist_layout_max_bytes(l));
    for (size_t cut = 0; cut < n; cut++) {                     /* no prefix is a layout */
        struct bit_reader r = bit_reader_of(str_of(bytes, cut));
        EXPECT_EQ(hist_layout_take(&got, &r, a, NULL), ERR_CORRUPT);
    }
    struct bit_reader r = bit_reader_of(str_of(bytes, n));
    EXPECT_OK(hist_layout_take(&got, &r, a, NULL));
    EXPECT_EQ(r.bit, *bits);
    return got;
}

TEST(histogram_layout_thresholds)
{
    static const struct { const char *name; double v; unsigned bytes; } cases[] = {
        { "none", 0, 1 }, { "2^-128", 0x1p-128, 1 }, { "least power", 0x1p-243, 1 },
        { "too small a power", 0x1p-244, 9 }, { "greatest power", 1024, 1 },
        { "too great a power", 2048, 9 }, { "no power", 0.001, 9 }, { "negative", -0.5, 9 },
        { "NaN", NAN, 9 }, { "infinite", INFINITY, 9 },
    };
    SCOPED(arena_fini) struct arena a = { 0 };
    TEST_EACH(c, cases) {
        uint64_t bits;
        struct hist_layout l = { .zero_threshold = c->v };
        l = round_trip(&l, &a, &bits);
        EXPECT_EQ(f64_bits(l.zero_threshold), f64_bits(c->v));
        EXPECT_EQ(bits, 8 * c->bytes + 3);     /* schema 0, no spans on either side */
    }
}

TEST(histogram_layout_bounds)
{
    static const double bounds[] = { -1, 0, 0.001, 0.0005, 1, 2.5, 33554.43, 33554.431, 1e300 };
    static const struct span spans[] = { { 0, 3 }, { 1, 2 }, { 0, 0 } };
    SCOPED(arena_fini) struct arena a = { 0 };
    uint64_t bits;
    struct hist_layout l = { .schema = HISTOGRAM_CUSTOM_SCHEMA, .side = { { spans, 3 } },
        .n_buckets = { 5 }, .custom = bounds, .n_custom = ARRAY_LEN(bounds) };
    struct hist_layout got = round_trip(&l, &a, &bits);
    EXPECT(hist_layout_bounds_equal(&l, &got));
    EXPECT_EQ(got.n_buckets[0], 5);
    EXPECT_EQ(got.side[0].n, 3);
    EXPECT(memcmp(got.side[0].at, spans, sizeof(spans)) == 0);
    got.n_custom--;
    EXPECT(!hist_layout_bounds_equal(&l, &got));
}

TEST(histogram_layout_schemas)
{
    static const struct { const char *name; int32_t schema; errc want; } cases[] = {
        { "least", -9, OK }, { "too coarse", -10, ERR_CORRUPT }, { "finest", 52, OK },
        { "too fine", 53, ERR_CORRUPT }, { "custom", -53, OK },
        { "beside custom", -54, ERR_CORRUPT },
    };
    SCOPED(arena_fini) struct arena a = { 0 };
    TEST_EACH(c, cases) {
        uint8_t bytes[64];
        struct hist_layout l = { .schema = c->schema }, got;
        struct bits b = bits_resume(bytes, 0);
        hist_layout_put(&b, &l);
        struct bit_reader r = bit_reader_of(str_of(bytes, 16));
        EXPECT_EQ(hist_layout_take(&got, &r, &a, NULL), c->want);
    }
}

/* Spans that reach out of 32 bits, or cover more buckets than the chunk has bits. */
TEST(histogram_layout_hostile)
{
    static const struct { const char *name; struct span spans[2]; } cases[] = {
        { "too long", { { 0, 1000000 }, { 0, 1 } } },
        { "beyond", { { INT32_MAX, 1 }, { 0, 1 } } },
        { "below", { { INT32_MIN, 1 }, { -5, 1 } } },
    };
    SCOPED(arena_fini) struct arena a = { 0 };
    TEST_EACH(c, cases) {
        uint8_t bytes[128];
        struct hist_layout l = { .side = { { c->spans, 2 } } }, got;
        struct bits b = bits_resume(bytes, 0);
        hist_layout_put(&b, &l);
        struct bit_reader r = bit_reader_of(str_of(bytes, 64));
        EXPECT_EQ(hist_layout_take(&got, &r, &a, NULL), ERR_CORRUPT);
    }
}

TEST(histogram_layout_union)
{
    static const struct span a[] = { { -1, 2 }, { 0, 0 }, { 3, 1 } };          /* -1 0 4 */
    static const struct span b[] = { { 0, 1 }, { 0, 1 }, { 7, 2 } };           /* 0 1 9 10 */
    static const struct hist_pair want[] = { { -1, 0, -1 }, { 0, 1, 0 }, { 1, -1, 1 }, { 4, 2, -1 },
        { 9, -1, 2 }, { 10, -1, 3 } };
    struct hist_union u = { 0 };
    struct span out[6];
    hist_union_of(&u, (struct hist_spans){ a, 3 }, (struct hist_spans){ b, 3 });
    EXPECT(u.only_a && u.only_b);
    EXPECT_EQ(u.all.n, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        EXPECT_EQ(u.all.at[i].index, want[i].index);
        EXPECT_EQ(u.all.at[i].a, want[i].a);
        EXPECT_EQ(u.all.at[i].b, want[i].b);
    }
    static const struct span fewest[] = { { -1, 3 }, { 2, 1 }, { 4, 2 } };
    EXPECT_EQ(hist_union_spans(&u, out), 3);
    EXPECT(memcmp(out, fewest, sizeof(fewest)) == 0);
    hist_union_of(&u, (struct hist_spans){ a, 3 }, (struct hist_spans){ a, 3 });
    EXPECT(!u.only_a && !u.only_b && u.all.n == 3);
    hist_union_of(&u, (struct hist_spans){ a, 0 }, (struct hist_spans){ a, 0 });
    EXPECT_EQ(u.all.n, 0);
    hist_union_fini(&u);
}
