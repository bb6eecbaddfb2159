#include "io/runner.h"

#include "base/clock.h"
#include "base/cpu_time.h"
#include "base/str.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* hardly: less than one part in so many */
enum { RAN_PART = 16 };

/* The number of a thread's clock is made of the thread's (clock_getcpuclockid(3)): to ask for that
 * is a system call more for each query. */
static int tid_of_clock(int cpu) { return ~cpu >> 3; }

void runner_init(struct runner *r)
{
    int cpu = cpu_time_id();
    *r = (struct runner){ .cpu = cpu,
        .tid = tid_of_clock(cpu),
        .used_ns = clock_cpu_ns(),
        .since_ns = clock_real_mono_ns() };
}

void runner_look(struct runner *r)
{
    r->used_ns = cpu_time_of(r->cpu);
    r->since_ns = clock_real_mono_ns();
    r->stands = false;
}

/* "12 (its name) S ...": the name may have anything in it. Who cannot be looked at sleeps: its CPU
 * time stands. */
static bool runner_sleeps(const struct runner *r)
{
    char path[64], text[256];
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", r->tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return true;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *at = strrchr(text, ')');
    return !at || strncmp(at, ") R", 3) != 0;
}

bool runner_stands(struct runner *r, int64_t for_ns)
{
    int64_t ran = cpu_time_of(r->cpu) - r->used_ns, past = clock_real_mono_ns() - r->since_ns;
    if (r->stands && !ran) return true;
    if (r->stands || ran > past / RAN_PART) runner_look(r);
    else if (past >= for_ns && runner_sleeps(r)) r->stands = true;
    if (r->stands) r->used_ns += ran;
    return r->stands;
}
