#include "promql/timefn.h"

#include "base/test.h"

#include <math.h>

TEST(time_functions)
{
    static const struct {
        const char *name;
        double s, year, month, day, yearday, weekday, hour, minute, days;
    } cases[] = {
        { "epoch", 0, 1970, 1, 1, 1, 4, 0, 0, 31 },
        { "a second before", -1, 1969, 12, 31, 365, 3, 23, 59, 31 },
        { "leap day", 1709210096, 2024, 2, 29, 60, 4, 12, 34, 29 },
        { "after it", 1709251200, 2024, 3, 1, 61, 5, 0, 0, 31 },
        { "end of a leap year", 1735689599, 2024, 12, 31, 366, 2, 23, 59, 31 },
        { "no leap century", 4107542400, 2100, 3, 1, 60, 1, 0, 0, 31 },
        { "fractions are cut", 59.9, 1970, 1, 1, 1, 4, 0, 0, 31 },
        { "infinite", INFINITY, 292277026596, 12, 4, 339, 0, 15, 30, 31 },
    };
    TEST_EACH(c, cases) {
        EXPECT_EQ(time_function_find("year")(c->s), c->year);
        EXPECT_EQ(time_function_find("month")(c->s), c->month);
        EXPECT_EQ(time_function_find("day_of_month")(c->s), c->day);
        EXPECT_EQ(time_function_find("day_of_year")(c->s), c->yearday);
        EXPECT_EQ(time_function_find("day_of_week")(c->s), c->weekday);
        EXPECT_EQ(time_function_find("hour")(c->s), c->hour);
        EXPECT_EQ(time_function_find("minute")(c->s), c->minute);
        EXPECT_EQ(time_function_find("days_in_month")(c->s), c->days);
    }
    EXPECT(time_function_find("second") == NULL);
}
