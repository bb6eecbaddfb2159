#include "base/cpu_time.h"

#include "base/clock.h"
#include "base/test.h"

TEST(cpu_time_grows_with_work_alone)
{
    int id = cpu_time_id();
    int64_t all = cpu_time_process_ns();
    int64_t used = cpu_time_of(id);                            /* after the process */
    while (clock_cpu_ns() < used + 2000000) continue;
    EXPECT(cpu_time_of(id) >= used + 2000000);
    EXPECT(cpu_time_process_ns() >= all + 2000000);
}
