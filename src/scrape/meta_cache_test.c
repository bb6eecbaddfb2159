#include "scrape/meta_cache.h"

#include "base/test.h"

static const struct meta_family *only(struct meta_cache *c, struct arena *a)
{
    struct meta_family *all;
    EXPECT_EQ(meta_cache_list(c, a, &all), 1);
    return all;
}

TEST(meta_cache_keeps_the_newest)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct meta_cache c = { 0 };
    meta_cache_init(&c, NULL);
    meta_cache_help(&c, S("m"), S("first"));
    EXPECT_EQ(only(&c, &a)->type, TYPE_UNKNOWN);
    EXPECT_EQ(meta_cache_size(&c).bytes, 5 + 7);               /* "first", "unknown" */
    meta_cache_type(&c, S("m"), TYPE_COUNTER);
    meta_cache_help(&c, S("m"), S("second"));
    meta_cache_unit(&c, S("m"), S("bytes"));
    const struct meta_family *f = only(&c, &a);
    EXPECT_STR(f->name, S("m"));
    EXPECT_STR(f->help, S("second"));
    EXPECT_STR(f->unit, S("bytes"));
    EXPECT_EQ(f->type, TYPE_COUNTER);
    EXPECT_EQ(meta_cache_size(&c).bytes, 6 + 5 + 7);
    meta_cache_fini(&c);
}

TEST(meta_cache_forgets_what_pages_do_not_name)
{
    struct meta_cache c = { 0 };
    meta_cache_init(&c, NULL);
    meta_cache_type(&c, S("goes"), TYPE_GAUGE);
    for (int i = 0; i <= META_KEPT; i++) {
        EXPECT_EQ(meta_cache_size(&c).families, i ? 2 : 1);
        meta_cache_type(&c, S("stays"), TYPE_GAUGE);
        meta_cache_page(&c, true);
    }
    EXPECT_EQ(meta_cache_size(&c).families, 2);
    meta_cache_type(&c, S("stays"), TYPE_GAUGE);
    /* a page that failed lets nothing go */
    meta_cache_page(&c, false);
    EXPECT_EQ(meta_cache_size(&c).families, 2);
    meta_cache_type(&c, S("stays"), TYPE_GAUGE);
    meta_cache_page(&c, true);
    EXPECT_EQ(meta_cache_size(&c).families, 1);
    EXPECT_EQ(meta_cache_size(&c).bytes, 5);
    meta_cache_fini(&c);
}

TEST(meta_cache_stays_small_when_words_change)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct meta_cache c = { 0 };
    meta_cache_init(&c, NULL);
    for (int i = 0; i < 20000; i++) {
        arena_reset(&a, (struct arena_mark){ 0 });
        meta_cache_help(&c, S("m"), arena_fmt(&a, "these words have the number %d", i));
        meta_cache_page(&c, true);
    }
    EXPECT(c.a.used < 200000);
    EXPECT_STR(only(&c, &a)->help, S("these words have the number 19999"));
    meta_cache_fini(&c);
}

TEST(meta_cache_has_a_bound)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct meta_cache c = { 0 };
    meta_cache_init(&c, NULL);
    for (int i = 0; i < META_MAX + 10; i++)
        meta_cache_type(&c, arena_fmt(&a, "m%d", i), TYPE_GAUGE);
    EXPECT_EQ(meta_cache_size(&c).families, META_MAX);
    meta_cache_fini(&c);
}
