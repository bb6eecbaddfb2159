#include "scrape/resolution.h"

#include "base/test.h"

TEST(resolution_schema_of_a_factor)
{
    static const struct {
        const char *name;
        double factor;
        int32_t schema;
    } cases[] = {
        { "none", 0, 8 },
        { "any", 1, 8 },
        { "the finest", 1.002, 8 },
        { "1.1", 1.1, 2 },
        { "2^(1/8)", 1.09, 3 },
        { "2", 2, 0 },
        { "4", 4, -1 },
        { "1.2", 1.2, 1 },
        { "65536", 65536, -4 },
        { "beyond", 1e300, -4 },
    };
    TEST_EACH (c, cases) EXPECT_EQ(resolution_schema(c->factor), c->schema);
}

TEST(resolution_is_kept)
{
    static const struct {
        const char *name;
        int32_t schema, schema_max;
        uint64_t limit;
        errc rc;
        int32_t want;
        size_t buckets;
    } cases[] = {
        { "nothing to keep to", 1, 8, 0, OK, 1, 8 },
        { "within both", 1, 1, 8, OK, 1, 8 },
        { "a coarser schema", 1, 0, 0, OK, 0, 5 },
        { "fewer buckets", 1, 8, 4, OK, -1, 3 },
        { "both", 1, 0, 4, OK, -1, 3 },
        { "not that few", 1, 8, 1, ERR_LIMIT, 0, 0 },
        { "custom buckets are what they are", HISTOGRAM_CUSTOM_SCHEMA, 0, 7, ERR_LIMIT, 0, 0 },
        { "custom buckets within", HISTOGRAM_CUSTOM_SCHEMA, 0, 8, OK, HISTOGRAM_CUSTOM_SCHEMA, 8 },
    };
    TEST_EACH (c, cases) {
        struct arena a = { 0 };
        struct err e = { 0 };
        struct span span = { 0, 8 };
        int64_t deltas[8] = { 1 };
        double counts[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
        struct int_histogram whole = {
            .schema = c->schema, .count = 8, .pos = { &span, 1, deltas, 8 }
        };
        struct histogram floats = {
            .hint = RESET_GAUGE, .schema = c->schema, .count = 8, .pos = { &span, 1, counts, 8 }
        };
        struct expo_histogram both[] = { { .whole = &whole }, { .floats = &floats } };
        for (int i = 0; i < 2; i++) {
            struct expo_histogram h = both[i];
            EXPECT_EQ(resolution_keep(&h, c->schema_max, c->limit, &a, &e), c->rc);
            if (c->rc != OK) {
                EXPECT_STR(err_str(&e), S("histogram bucket limit exceeded"));
                continue;
            }
            EXPECT_EQ(h.whole ? h.whole->schema : h.floats->schema, c->want);
            EXPECT_EQ(h.whole ? h.whole->pos.n : h.floats->pos.n, c->buckets);
            if (h.floats) EXPECT_EQ(h.floats->hint, RESET_GAUGE);
        }
        arena_fini(&a);
    }
}
