#include "scrape/family.h"

#include "base/test.h"

TEST(family_of_a_series)
{
    static const struct {
        const char *name;
        str family, series;
        enum metric_type type;
        bool has;
    } cases[] = {
        { "counter", S("a"), S("a_total"), TYPE_COUNTER, true },
        { "counter that is called _total", S("a_total"), S("a_total"), TYPE_COUNTER, true },
        { "counter without", S("a"), S("a"), TYPE_COUNTER, true },
        { "another counter", S("a"), S("ab_total"), TYPE_COUNTER, false },
        { "bucket", S("a"), S("a_bucket"), TYPE_HISTOGRAM, true },
        { "native", S("a"), S("a"), TYPE_HISTOGRAM, true },
        { "gsum of no gauge histogram", S("a"), S("a_gsum"), TYPE_HISTOGRAM, false },
        { "gcount", S("a"), S("a_gcount"), TYPE_GAUGE_HISTOGRAM, true },
        { "quantile", S("a"), S("a"), TYPE_SUMMARY, true },
        { "summary's count", S("a"), S("a_count"), TYPE_SUMMARY, true },
        { "summary has no buckets", S("a"), S("a_bucket"), TYPE_SUMMARY, false },
        { "info", S("a"), S("a_info"), TYPE_INFO, true },
        { "gauge", S("a"), S("a"), TYPE_GAUGE, true },
        { "gauge's suffix is its own", S("a"), S("a_total"), TYPE_GAUGE, false },
        { "other words", S("b"), S("a"), TYPE_GAUGE, false },
    };
    TEST_EACH (c, cases) EXPECT_EQ(family_has(c->family, c->type, c->series), c->has);
}

TEST(family_changes_until_another_is_named)
{
    struct meta_cache m = { 0 };
    struct family f;
    meta_cache_init(&m, NULL);
    family_init(&f, &m);
    family_named(&f, S("a"), true);
    EXPECT(family_changed(&f));
    family_named(&f, S("a"), false);
    EXPECT(family_changed(&f));
    family_named(&f, S("b"), false);
    EXPECT(!family_changed(&f));
    family_fini(&f);
    meta_cache_fini(&m);
}
