/* clock_test.c — the real clocks go on, the test's clock stands. */
#include "base/clock.h"

#include "base/test.h"

TEST(clock_goes_on)
{
    int64_t wall = clock_wall_ms(), mono = clock_mono_ns(), cpu = clock_cpu_ns();
    /* later than this line was written, and ns and ms are of one clock */
    EXPECT(wall > INT64_C(1700000000000));
    int64_t ns = clock_wall_ns();
    EXPECT(ns / 1000000 >= wall - 1000 && ns / 1000000 < wall + 60000);
    clock_sleep_ns(2000000);
    EXPECT(clock_mono_ns() - mono >= 2000000);
    for (volatile size_t i = 0; clock_cpu_ns() == cpu;) i++;
    EXPECT(clock_cpu_ns() > cpu);
    clock_sleep_ns(0);
    clock_sleep_ns(-1);
}

TEST(clock_mono_never_goes_back)
{
    int64_t last = clock_mono_ns();
    for (size_t i = 0; i < 10000; i++) {
        int64_t now = clock_mono_ns();
        EXPECT(now >= last);
        last = now;
    }
}

TEST(clock_fake_stands)
{
    clock_fake_set(1000);
    EXPECT_EQ(clock_wall_ms(), 1000);
    EXPECT_EQ(clock_wall_ns(), 1000000000);
    EXPECT_EQ(clock_mono_ns(), 1000000000);
    int64_t cpu = clock_cpu_ns();
    clock_sleep_ns(1000000);
    EXPECT_EQ(clock_wall_ms(), 1000);
    EXPECT(clock_cpu_ns() >= cpu);
    clock_fake_advance(15000);
    EXPECT_EQ(clock_wall_ms(), 16000);
    EXPECT_EQ(clock_mono_ns(), INT64_C(16000000000));
    clock_fake_off();
    EXPECT(clock_wall_ms() > INT64_C(1700000000000));
}
