#include "head/meta_table.h"

#include "base/test.h"

static bool is_even(const void *ctx UNUSED, uint32_t slot, uint32_t generation UNUSED)
{
    return slot % 2 == 0;
}

TEST(meta_table)
{
    static const struct metadata a = { TYPE_COUNTER, S("s"), S("help") };
    static const struct {
        const char *name;
        struct metadata m;
        bool want;
    } cases[] = {
        { "the same", { TYPE_COUNTER, S("s"), S("help") }, true },
        { "type", { TYPE_GAUGE, S("s"), S("help") }, false },
        { "unit", { TYPE_COUNTER, S(""), S("help") }, false },
        { "help", { TYPE_COUNTER, S("s"), S("helps") }, false },
    };
    struct meta_table t;
    meta_table_init(&t);
    EXPECT(!meta_table_has(&t, 1, 7, &a));
    meta_table_set(&t, 1, 7, &cases[2].m);
    meta_table_set(&t, 1, 7, &a);
    meta_table_set(&t, 2, 7, &a);
    TEST_EACH(c, cases) EXPECT_EQ(meta_table_has(&t, 1, 7, &c->m), c->want);
    EXPECT(!meta_table_has(&t, 1, 8, &a));
    meta_table_sweep(&t, is_even, NULL);
    EXPECT(!meta_table_has(&t, 1, 7, &a));
    EXPECT(meta_table_has(&t, 2, 7, &a));
    meta_table_fini(&t);
}
