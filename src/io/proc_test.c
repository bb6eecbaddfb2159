#include "io/proc.h"

#include "base/clock.h"
#include "base/test.h"

TEST(proc_reads_this_process)
{
    proc_stop();
    proc_start();
    struct proc_sample s = proc_latest();
    double now = (double)clock_wall_ms() / 1000;
    EXPECT(
        s.rss_anon_bytes > 100000 && s.rss_file_bytes > 100000 && s.rss_bytes >= s.rss_anon_bytes);
    EXPECT(s.virtual_bytes > s.rss_bytes && s.virtual_max_bytes > s.rss_bytes);
    EXPECT(s.open_fds >= 3 && s.open_fds < 1000 && s.max_fds >= s.open_fds);
    EXPECT(s.start_time_seconds < now + 1 && s.start_time_seconds > now - 3600);
    EXPECT(s.threads >= 1);
    proc_stop();
    proc_start();
    proc_stop();
}
