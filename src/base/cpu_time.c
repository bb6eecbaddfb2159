#include "base/cpu_time.h"

#include "base/lock.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts = { 0 };
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t cpu_time_process_ns(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }
int64_t cpu_time_of(int id) { return read_clock((clockid_t)id); }

int cpu_time_id(void)
{
    clockid_t id = CLOCK_THREAD_CPUTIME_ID;
    int rc = pthread_getcpuclockid(pthread_self(), &id);
    assert(rc == 0);
    return (int)id;
}
