#include "scrape/grid.h"

#include "base/test.h"

enum { BEGIN = 1000000, INTERVAL = 15000, TOLERANCE = 2 };

TEST(grid_time)
{
    static const struct { const char *name; int64_t now[4], want[4]; } cases[] = {
        { "in time", { 0, 15000, 30000, 45000 }, { 0, 15000, 30000, 45000 } },
        { "a little late", { 1, 15002, 30000, 45001 }, { 0, 15000, 30000, 45000 } },
        { "too late", { 3, 15003, 30002, 45100 }, { 3, 15003, 30000, 45100 } },
        { "too early", { 0, 14999, 29999, 45000 }, { 0, 14999, 29999, 45000 } },
        { "turns left out", { 0, 60001, 75005, 150000 }, { 0, 60000, 75005, 150000 } },
        { "the clock went back", { 0, 15000, 5000, 20003 }, { 0, 15000, 15000, 20003 } },
        { "far back", { 0, -900000, -885000, -870000 }, { 0, 0, 0, 0 } },
        { "back, and there again", { 0, -10000, 5000, 20000 }, { 0, 0, 5000, 20000 } },
        { "ahead by whole turns", { 0, 900015000, 900030001, 900045000 },
            { 0, 900015000, 900030000, 900045000 } },
        { "ahead by less", { 0, 22000, 37000, 52000 }, { 0, 22000, 37000, 52000 } },
    };
    TEST_EACH(c, cases) {
        int64_t aligned = BEGIN;
        for (size_t i = 0; i < 4; i++)
            EXPECT_EQ(grid_time_ms(&aligned, BEGIN + c->now[i], INTERVAL, TOLERANCE) - BEGIN,
                c->want[i]);
    }
}

TEST(grid_tolerance_is_a_hundredth_at_most)
{
    int64_t aligned = 0;
    EXPECT_EQ(grid_time_ms(&aligned, 1002, 1000, 50), 1000);
    EXPECT_EQ(grid_time_ms(&aligned, 2010, 1000, 50), 2000);
    EXPECT_EQ(grid_time_ms(&aligned, 3011, 1000, 50), 3011);
    EXPECT_EQ(grid_time_ms(&aligned, 4001, 1000, 0), 4001);
}
