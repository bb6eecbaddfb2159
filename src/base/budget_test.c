/* budget_test.c — caches give way first, then heavy queries, then new series. */
#include "base/budget.h"

#include "base/arena.h"
#include "base/test.h"

ACCOUNT_YIELDING(budget_test_account, "budget_test")

static uint64_t asked;
static bool was_asked;
static void test_yield(uint64_t too_much)
{
    asked = too_much;
    was_asked = true;
}
BUDGET_CACHE(test_cache, test_yield)

enum { MIB = 1 << 20 };

/* A budget of 100 MiB, of which so many are used. */
static void use(unsigned mib) { budget_resident((uint64_t)mib * MIB); }

static void end(void)
{
    use(0);
    budget_set(0);
}

TEST(budget_gives_way_in_order)
{
    static const struct {
        const char *name;
        unsigned used;
        bool caches, heavy, series; /* which give way; a heavy query holds 20 MiB */
    } cases[] = {
        { "plenty", 50, false, false, false },
        { "a heavy query takes what is left", 66, false, true, false },
        { "caches", 71, true, true, false },
        { "queries", 86, true, true, false },
        { "series", 91, true, true, true },
        { "beyond", 150, true, true, true },
    };
    budget_set(100 * (uint64_t)MIB);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].name);
        was_asked = false;
        use(cases[i].used);
        EXPECT_EQ(was_asked, cases[i].caches);
        if (was_asked) EXPECT((asked >> 20) + 1 >= cases[i].used - BUDGET_CACHES_PCT);
        EXPECT_EQ(budget_ends_query(20 * MIB), cases[i].heavy);
        EXPECT(!budget_ends_query(BUDGET_LIGHT_BYTES));
        EXPECT_EQ(!budget_has_room(), cases[i].series);
    }
    use(10); /* told once that all is well again */
    EXPECT(was_asked && asked == 0);
    was_asked = false;
    use(10);
    EXPECT(!was_asked);
    end();
}

TEST(budget_knows_what_accounts_took_since)
{
    budget_set(100 * (uint64_t)MIB);
    use(80);
    uint64_t before = budget_used();
    EXPECT(before >= 79 * (uint64_t)MIB);
    account_charge(&budget_test_account, 15 * MIB);
    EXPECT_EQ((int64_t)(budget_used() - before), 15 * MIB);
    EXPECT(!budget_has_room());
    EXPECT_EQ(budget_series_error(NULL), ERR_LIMIT);
    account_charge(&budget_test_account, -15 * MIB);
    EXPECT(budget_has_room());
    end();
}

TEST(budget_spends_arenas_of_those_who_yield)
{
    struct arena a;
    arena_init(&a, &budget_test_account, 0);
    arena_alloc(&a, 4 * MIB);
    EXPECT(!arena_spent(&a)); /* no budget */
    budget_set(100 * (uint64_t)MIB);
    use(50);
    arena_alloc(&a, 4 * MIB);
    EXPECT(!arena_spent(&a));
    use(90);
    arena_alloc(&a, 4 * MIB);
    EXPECT(arena_spent(&a));
    arena_reset(&a, (struct arena_mark){ 0 });
    EXPECT(!arena_spent(&a));
    arena_fini(&a);
    end();
}
