#include "io/proc.h"

#include "io/thread.h"

#include "base/budget.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/metric.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const int64_t proc_every_ns = 1000000000, proc_memory_every_ns = 100000000;
/* More than this process could ever take from the kernel. */
static const uint64_t proc_growth_bytes_per_s = (uint64_t)2 << 30;
/* Descriptors and traffic are counted at one in so many readings: the kernel writes long lists for
 * them. */
enum { COUNTS_EVERY = 5 };

static pthread_once_t proc_once = PTHREAD_ONCE_INIT;
static struct mtx proc_mu;             /* LOCK_LEAF; guards the next two */
static struct cond proc_wake;
static bool proc_stopping;
static struct proc_sample proc_last;
static struct thread *proc_thread;     /* of who starts and stops */

static void proc_init(void)
{
    mtx_init(&proc_mu, LOCK_LEAF);
    cond_init(&proc_wake);
}

/* A file of /proc whole, as a C string; empty if it cannot be read. */
static const char *proc_file(const char *path, char *room, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0;
    for (ssize_t r = 1; fd >= 0 && r > 0 && n < cap - 1; n += (size_t)MAX(r, 0))
        r = read(fd, room + n, cap - 1 - n);
    if (fd >= 0) close(fd);
    room[n] = 0;
    return room;
}

/* The number of the word at index `skip` of a text of words; false if there is none. */
static bool proc_word(str text, unsigned skip, uint64_t *out)
{
    for (unsigned i = 0;; i++) {
        str word, rest;
        text = str_trim(text);
        if (!text.n) return false;
        str_cut(text, ' ', &word, &rest);
        if (i == skip) return str_u64(word, out);
        text = rest;
    }
}

/* The number behind "\nKEY:" of a file with a line a figure. */
static bool proc_line(const char *text, const char *key, uint64_t *out)
{
    str line, rest, all = str_z(text);
    size_t at = str_find(all, str_z(key));
    if (at == SIZE_MAX) return false;
    str_cut(str_from(all, at + strlen(key)), '\n', &line, &rest);
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] == '\t' || line.p[i] == ':') line = str_from(line, i + 1), i = SIZE_MAX;
    return proc_word(line, 0, out);
}

static void proc_kb(const char *status, const char *key, uint64_t *out)
{
    uint64_t kb;
    if (proc_line(status, key, &kb)) *out = kb * 1024;
}

/* When the machine started, in seconds since the epoch. The file tells much more, and the kernel
 * takes its time for that: it is read once. */
static double proc_boot_seconds(void)
{
    static _Atomic uint64_t boot;
    uint64_t seconds = atomic_load_explicit(&boot, memory_order_relaxed);
    char room[16384];
    if (!seconds && proc_line(proc_file("/proc/stat", room, sizeof(room)), "\nbtime", &seconds))
        atomic_store_explicit(&boot, seconds, memory_order_relaxed);
    return (double)seconds;
}

static void proc_read_stat(struct proc_sample *s)
{
    enum { UTIME = 11, STIME = 12, START = 19 };               /* words behind the name, from 0 */
    char room[2048];
    uint64_t utime, stime, start;
    /* the name before it may hold anything */
    const char *at = strrchr(proc_file("/proc/self/stat", room, sizeof(room)), ')');
    if (!at) return;
    str words = str_z(at + 1);
    if (!proc_word(words, UTIME, &utime) || !proc_word(words, STIME, &stime) ||
        !proc_word(words, START, &start))
        return;
    double hz = (double)sysconf(_SC_CLK_TCK);
    s->cpu_seconds = (double)(utime + stime) / hz;
    double boot = proc_boot_seconds();
    if (boot > 0) s->start_time_seconds = boot + (double)start / hz;
}

static void proc_read_fds(struct proc_sample *s)
{
    DIR *d = opendir("/proc/self/fd");
    if (!d) return;
    uint64_t n = 0;
    for (const struct dirent *at; (at = readdir(d)) != NULL;) n += at->d_name[0] != '.';
    closedir(d);
    s->open_fds = n ? n - 1 : 0;       /* without the one that looks */
}

/* Two lines begin alike, "IpExt: NAME…" and "IpExt: NUMBER…": the number that stands where the name
 * does. */
static bool proc_column(str names, str numbers, str name, uint64_t *out)
{
    for (unsigned i = 0; names.n; i++) {
        str word;
        str_cut(names, ' ', &word, &names);
        if (str_eq(word, name)) return proc_word(numbers, i, out);
    }
    return false;
}

static void proc_read_network(struct proc_sample *s)
{
    char room[8192];
    str text = str_z(proc_file("/proc/self/net/netstat", room, sizeof(room))), names = STR_EMPTY;
    while (text.n) {
        str line;
        str_cut(text, '\n', &line, &text);
        if (!str_has_prefix(line, S("IpExt: "))) continue;
        if (!names.n) {
            names = line;
            continue;
        }
        (void)proc_column(names, line, S("InOctets"), &s->received_bytes);
        (void)proc_column(names, line, S("OutOctets"), &s->sent_bytes);
    }
}

static void proc_read_memory_and_time(struct proc_sample *out)
{
    char room[8192];
    const char *status = proc_file("/proc/self/status", room, sizeof(room));
    proc_kb(status, "\nRssAnon", &out->rss_anon_bytes);
    proc_kb(status, "\nRssFile", &out->rss_file_bytes);
    proc_kb(status, "\nVmRSS", &out->rss_bytes);
    proc_kb(status, "\nVmSize", &out->virtual_bytes);
    (void)proc_line(status, "\nThreads", &out->threads);
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0) out->max_fds = lim.rlim_cur;
    if (getrlimit(RLIMIT_AS, &lim) == 0) out->virtual_max_bytes = lim.rlim_cur;
    proc_read_stat(out);
}

void proc_read(struct proc_sample *out)
{
    proc_read_memory_and_time(out);
    proc_read_fds(out);
    proc_read_network(out);
}

static void proc_refresh(bool all)
{
    struct proc_sample s = proc_latest();
    if (all) proc_read(&s);
    else proc_read_memory_and_time(&s);
    mtx_lock(&proc_mu);
    proc_last = s;
    mtx_unlock(&proc_mu);
    budget_resident(s.rss_anon_bytes);
}

/* Between two readings, where memory has a budget: what is used may change fast. statm is the one
 * file that costs next to nothing; its descriptor is kept by who looks. Pages: all, resident, and
 * of these those of files. */
static void proc_look_at_memory(int statm)
{
    char room[256];
    uint64_t resident, files;
    ssize_t n = pread(statm, room, sizeof(room), 0);
    if (n <= 0 || !proc_word(str_of(room, (size_t)n), 1, &resident) ||
        !proc_word(str_of(room, (size_t)n), 2, &files) || files > resident)
        return;
    budget_resident((resident - files) * (uint64_t)sysconf(_SC_PAGESIZE));
}

/* How long it takes at the least until half of the budget, if there is one, is used. */
static int64_t proc_next_look_ns(void)
{
    uint64_t limit = budget_limit(), half = limit / 2, used = budget_used();
    if (!limit) return proc_every_ns;
    uint64_t left = half > used ? half - used : 0;
    if (left >= proc_growth_bytes_per_s) return proc_every_ns;
    return MAX((int64_t)(left * 1000 / proc_growth_bytes_per_s) * 1000000, proc_memory_every_ns);
}

static void proc_run(void *ctx)
{
    (void)ctx;
    int64_t due_ns = clock_mono_ns() + proc_every_ns;
    unsigned readings = 0;
    int statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    mtx_lock(&proc_mu);
    while (!proc_stopping) {
        int64_t until_ns = MIN(due_ns, clock_mono_ns() + proc_next_look_ns());
        if (cond_wait_until(&proc_wake, &proc_mu, until_ns)) continue;
        mtx_unlock(&proc_mu);
        if (clock_mono_ns() >= due_ns) {
            proc_refresh(++readings % COUNTS_EVERY == 0);
            due_ns = clock_mono_ns() + proc_every_ns;
        } else {
            proc_look_at_memory(statm);
        }
        mtx_lock(&proc_mu);
    }
    mtx_unlock(&proc_mu);
    if (statm >= 0) close(statm);
}

void proc_start(void)
{
    pthread_once(&proc_once, proc_init);
    assert(!proc_thread);
    proc_refresh(true);
    proc_stopping = false;
    proc_thread = thread_start("proc-sampler", proc_run, NULL);
}

void proc_stop(void)
{
    if (!proc_thread) return;
    mtx_lock(&proc_mu);
    proc_stopping = true;
    cond_broadcast(&proc_wake);
    mtx_unlock(&proc_mu);
    thread_join(proc_thread);
    proc_thread = NULL;
}

struct proc_sample proc_latest(void)
{
    pthread_once(&proc_once, proc_init);
    mtx_lock(&proc_mu);
    struct proc_sample s = proc_last;
    mtx_unlock(&proc_mu);
    return s;
}

/* ---- the same as metrics, named as everywhere ---- */

enum proc_figure {
    PROC_CPU,
    PROC_OPEN_FDS,
    PROC_MAX_FDS,
    PROC_RSS,
    PROC_ANON,
    PROC_FILE,
    PROC_VIRTUAL,
    PROC_VIRTUAL_MAX,
    PROC_START,
    PROC_RECEIVED,
    PROC_SENT
};
static double proc_figure(void *ctx)
{
    struct proc_sample s = proc_latest();
    switch ((enum proc_figure)(uintptr_t)ctx) {
    case PROC_CPU: return s.cpu_seconds;
    case PROC_OPEN_FDS: return (double)s.open_fds;
    case PROC_MAX_FDS: return (double)s.max_fds;
    case PROC_RSS: return (double)s.rss_bytes;
    case PROC_ANON: return (double)s.rss_anon_bytes;
    case PROC_FILE: return (double)s.rss_file_bytes;
    case PROC_VIRTUAL: return (double)s.virtual_bytes;
    case PROC_RECEIVED: return (double)s.received_bytes;
    case PROC_SENT: return (double)s.sent_bytes;
    case PROC_VIRTUAL_MAX: return (double)s.virtual_max_bytes;
    default: return s.start_time_seconds;
    }
}

#define PROC_METRIC(var, kind, name, help, figure)                                                 \
    METRIC_DEFINE(                                                                                 \
        var, kind, name, help, .read = proc_figure, .read_ctx = (void *)(uintptr_t)(figure))
PROC_METRIC(m_cpu, METRIC_COUNTER, "process_cpu_seconds_total",
    "Total user and system CPU time spent in seconds.", PROC_CPU)
PROC_METRIC(
    m_open, METRIC_GAUGE, "process_open_fds", "Number of open file descriptors.", PROC_OPEN_FDS)
PROC_METRIC(m_max, METRIC_GAUGE, "process_max_fds", "Maximum number of open file descriptors.",
    PROC_MAX_FDS)
PROC_METRIC(m_rss, METRIC_GAUGE, "process_resident_memory_bytes", "Resident memory size in bytes.",
    PROC_RSS)
PROC_METRIC(m_anon, METRIC_GAUGE, "epimetheus_process_resident_anon_bytes",
    "Resident anonymous memory in bytes.", PROC_ANON)
PROC_METRIC(m_file, METRIC_GAUGE, "epimetheus_process_resident_file_bytes",
    "Resident pages of files in bytes.", PROC_FILE)
PROC_METRIC(m_virtual, METRIC_GAUGE, "process_virtual_memory_bytes",
    "Virtual memory size in bytes.", PROC_VIRTUAL)
PROC_METRIC(m_virtual_max, METRIC_GAUGE, "process_virtual_memory_max_bytes",
    "Maximum amount of virtual memory available in bytes.", PROC_VIRTUAL_MAX)
PROC_METRIC(m_received, METRIC_COUNTER, "process_network_receive_bytes_total",
    "Number of bytes received by the process over the network.", PROC_RECEIVED)
PROC_METRIC(m_sent, METRIC_COUNTER, "process_network_transmit_bytes_total",
    "Number of bytes sent by the process over the network.", PROC_SENT)
PROC_METRIC(m_start, METRIC_GAUGE, "process_start_time_seconds",
    "Start time of the process since unix epoch in seconds.", PROC_START)
