#include "base/fault.h"

#include "base/test.h"

static unsigned runs, failures;
static void three_points(void *ctx)
{
    (void)ctx;
    runs++;
    if (FAULT("one") || FAULT("two") || FAULT("three")) failures++;
}

TEST(fault_torture_meets_every_point)
{
    runs = failures = 0;
    fault_torture(three_points, NULL);
#ifdef EPI_FAULTS
    EXPECT_EQ(failures, 3);
    /* none, three, and the one that met no more */
    EXPECT_EQ(runs, 5);
#else
    EXPECT_EQ(failures, 0);
#endif
}
