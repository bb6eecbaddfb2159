/* look_pace_test.c — looks by a clock of the test's. */
#include "bucket/look_pace.h"

#include "base/test.h"

#define S_NS INT64_C(1000000000)

/* Asked each second: how long after the last look the next one came. */
static int64_t next_look(struct look_pace *p, int64_t *now_ns, bool amiss)
{
    int64_t last = *now_ns;
    while (!look_pace_due(p, *now_ns, amiss)) *now_ns += S_NS;
    look_pace_looked(p, *now_ns, amiss);
    return (*now_ns - last) / S_NS;
}

TEST(looks_come_each_interval)
{
    struct look_pace p;
    int64_t now = 77;
    look_pace_init(&p, 5 * S_NS, 900 * S_NS);
    EXPECT_EQ(next_look(&p, &now, false), 0);
    for (unsigned i = 0; i < 3; i++) EXPECT_EQ(next_look(&p, &now, false), 900);
}

TEST(what_stays_amiss_is_looked_at_ever_less)
{
    struct look_pace p;
    int64_t now = 0;
    const int64_t waits[] = { 0, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900 };
    look_pace_init(&p, 5 * S_NS, 900 * S_NS);
    for (size_t i = 0; i < ARRAY_LEN(waits); i++)
        EXPECT_EQ(next_look(&p, &now, true), waits[i]);
    EXPECT_EQ(next_look(&p, &now, false), 900); /* it is well again */
    EXPECT_EQ(next_look(&p, &now, true), 5);
}

TEST(what_goes_amiss_later_is_looked_at_at_once)
{
    struct look_pace p;
    int64_t now = 0;
    look_pace_init(&p, 5 * S_NS, 900 * S_NS);
    EXPECT_EQ(next_look(&p, &now, false), 0);
    for (unsigned i = 0; i < 5; i++) {
        now += 100 * S_NS;
        EXPECT_EQ(next_look(&p, &now, true), 0);
        EXPECT(!look_pace_due(&p, now + 4 * S_NS, true));
    }
}

TEST(a_short_interval_bounds_the_wait)
{
    struct look_pace p;
    int64_t now = 0;
    look_pace_init(&p, 5 * S_NS, 2 * S_NS);
    EXPECT_EQ(next_look(&p, &now, true), 0);
    for (unsigned i = 0; i < 3; i++) EXPECT_EQ(next_look(&p, &now, true), 2);
}
