/* costs.c — what the machine takes for the steps of which everything else is made.
 *
 * getpid is called past the C library, which would remember it. Who hands a byte over to a thread
 * that waits for it on the same core pays a context switch, and nothing else but two calls; on
 * another core it pays a wake-up between cores. A shootdown is paid by who takes a page out of an
 * address space that runs on other cores as well.
 */
#include "base/clock.h"
#include "base/prng.h"
#include "io/fs_impl.h"
#include "io/thread.h"
#include "iobench/lab.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, SPIN_THREADS_MAX = 8, CACHED_BYTES = 48 << 20 };

/* Threads that map at once, whatever the cores: who waits for the lock of an address space waits
 * for all of them. */
static const unsigned mappers[] = { 1, 2, 4, SPIN_THREADS_MAX };

size_t lab_costs_steps(const struct lab *l)
{
    enum { ALWAYS = 10 }; /* and one that a second core adds */
    return ALWAYS + ARRAY_LEN(mappers) + (l->cores > 1);
}

static int order_f64(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of short batches of one step, each by the clock; the figure is their median: a batch during which
 * another program had the core says nothing of the step. */
struct batches {
    int64_t until_ns, since_ns;
    size_t n;
    double ns[2048]; /* a step, of the newest batches */
};

static void batches_begin(struct batches *b, const struct lab *l)
{
    b->n = 0;
    b->since_ns = clock_mono_ns();
    b->until_ns = b->since_ns + l->slice_ns;
}

/* One more, of so many steps; false: that was enough. */
static bool batch_done(struct batches *b, uint64_t steps)
{
    int64_t now = clock_mono_ns();
    b->ns[b->n++ % ARRAY_LEN(b->ns)] = (double)(now - b->since_ns) / (double)steps;
    b->since_ns = now;
    return now < b->until_ns;
}

static double batches_median(struct batches *b)
{
    size_t n = MIN(b->n, ARRAY_LEN(b->ns));
    qsort(b->ns, n, sizeof(*b->ns), order_f64);
    return n ? b->ns[n / 2] : 0;
}

static void costs_getpid(struct lab *l)
{
    enum { BATCH = 1000 };
    struct batches b;
    lab_step(l, "system calls");
    batches_begin(&b, l);
    do
        for (int i = 0; i < BATCH; i++) syscall(SYS_getpid);
    while (batch_done(&b, BATCH));
    lab_add(l, LAB_COSTS, "getpid, a system call", "raw", "ns", batches_median(&b));
}

/* ---- context switches ---- */

static void stay_on(unsigned core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    /* where it is not allowed the figure is what the scheduler makes of it */
    sched_setaffinity(0, sizeof(set), &set);
}

struct pong {
    int in, out;
    unsigned core;
};
static void pong_run(void *ctx)
{
    const struct pong *p = ctx;
    char c;
    stay_on(p->core);
    while (read(p->in, &c, 1) == 1 && c)
        if (write(p->out, &c, 1) != 1) return;
}

static void costs_pipe(struct lab *l, unsigned other_core, const char *how)
{
    enum { BATCH = 50 }; /* there and back */
    int there[2], back[2];
    char c = 1;
    cpu_set_t before;
    struct batches b;
    lab_step(l, "context switches");
    if (pipe(there) < 0) return;
    if (pipe(back) < 0) return (void)close(there[0]), (void)close(there[1]);
    bool kept = sched_getaffinity(0, sizeof(before), &before) == 0;
    struct pong p = { there[0], back[1], other_core };
    struct thread *t = thread_start("pong", pong_run, &p);
    stay_on(0);
    bool good = true;
    batches_begin(&b, l);
    do
        for (int i = 0; i < BATCH && good; i++)
            good = write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1;
    while (good && batch_done(&b, 2 * BATCH));
    c = 0;
    if (write(there[1], &c, 1) == 1) thread_join(t);
    if (kept) sched_setaffinity(0, sizeof(before), &before);
    for (int i = 0; i < 2; i++) close(there[i]), close(back[i]);
    if (b.n)
        lab_add(l, LAB_COSTS, "hand-over by a pipe (context switch)", how, "ns",
            batches_median(&b));
}

/* ---- page faults ---- */

static void touch(volatile uint8_t *at) { *at = 1; }

static void costs_first_touch(struct lab *l)
{
    enum { BYTES = 32 << 20, BATCH = 256 * PAGE };
    struct batches b;
    bool more = true;
    lab_step(l, "page faults");
    batches_begin(&b, l);
    while (more) {
        uint8_t *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) return;
        madvise(p, BYTES, MADV_NOHUGEPAGE);
        b.since_ns = clock_mono_ns();
        for (size_t at = 0; at < BYTES && more; at += BATCH) {
            for (size_t i = 0; i < BATCH; i += PAGE) touch(p + at + i);
            more = batch_done(&b, BATCH / PAGE);
        }
        munmap(p, BYTES);
    }
    lab_add(l, LAB_COSTS, "page fault", "first touch", "us", batches_median(&b) / 1000);
}

/* Of a mapped file, page by page in no order; cold: pages that the cache does not have. */
static void costs_file_fault(struct lab *l, int fd, bool cold)
{
    enum { SAMPLES_MAX = 4096, STRIDE = 769 };
    static double took[SAMPLES_MAX];
    size_t pages = (size_t)(l->file_bytes / PAGE), n = 0;
    lab_step(l, cold ? "major faults" : "minor faults");
    if (cold && l->in_memory) return; /* there are none */
    if (cold) lab_evict(l, S(LAB_FILE));
    uint8_t *p = mmap(NULL, (size_t)l->file_bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return;
    madvise(p, (size_t)l->file_bytes, MADV_RANDOM);
    int64_t began = clock_mono_ns();
    for (size_t i = 1; n < SAMPLES_MAX && n < pages / 2; i++) {
        int64_t since = clock_mono_ns();
        (void)*(volatile uint8_t *)(p + i * STRIDE % pages * PAGE);
        int64_t now = clock_mono_ns();
        took[n++] = (double)(now - since) / 1000;
        if (now - began > l->slice_ns) break;
    }
    munmap(p, (size_t)l->file_bytes);
    if (!n) return;
    qsort(took, n, sizeof(*took), order_f64);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += took[i];
    lab_add(l, LAB_COSTS, cold ? "page fault, major" : "page fault",
        cold ? "mapped file, cold" : "mapped file, cached", "us", sum / (double)n);
    lab_last(l)->p50_us = took[n / 2];
    lab_last(l)->p99_us = took[n * 99 / 100];
}

/* 4 KiB anywhere in what the kernel has in memory, by the calls themselves: copied by pread, or
 * looked at in a map whose pages were all touched before. Each word of it is looked at. */
static void costs_cached(struct lab *l, int fd, const uint8_t *map)
{
    enum { BATCH = 256 };
    static uint64_t room[PAGE / sizeof(uint64_t)];
    static volatile uint64_t seen UNUSED;
    struct prng rng = { 1 };
    struct batches b;
    size_t pages = MIN((size_t)l->file_bytes, (size_t)CACHED_BYTES) / PAGE;
    uint64_t sum = 0;
    lab_step(l, "cached reads");
    for (size_t i = 0; i < pages; i++)
        if (pread(fd, room, PAGE, (off_t)(i * PAGE)) == PAGE) sum += map ? map[i * PAGE] : *room;
    batches_begin(&b, l);
    do {
        for (int i = 0; i < BATCH; i++) {
            size_t at = (size_t)prng_below(&rng, pages);
            const uint64_t *words = map ? (const void *)(map + at * PAGE) : room;
            if (!map && pread(fd, room, PAGE, (off_t)(at * PAGE)) != PAGE) return;
            for (size_t k = 0; k < ARRAY_LEN(room); k++) sum += words[k];
        }
    } while (batch_done(&b, BATCH));
    seen = sum;
    lab_add(l, LAB_COSTS, "4 KiB of a cached file, the call alone", map ? "mapped" : "pread", "ns",
        batches_median(&b));
}

static void costs_cached_both(struct lab *l, int fd)
{
    size_t bytes = MIN((size_t)l->file_bytes, (size_t)CACHED_BYTES);
    costs_cached(l, fd, NULL);
    uint8_t *p = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return;
    madvise(p, bytes, MADV_RANDOM);
    costs_cached(l, fd, p);
    munmap(p, bytes);
}

static errc costs_faults(struct lab *l, struct err *e)
{
    struct file *f = NULL;
    costs_first_touch(l);
    TRY(fs_open(&f, l->fs, S(LAB_FILE), FS_READ, e));
    costs_file_fault(l, file_fd(f), false);
    costs_cached_both(l, file_fd(f));
    costs_file_fault(l, file_fd(f), true);
    file_close(f);
    return OK;
}

/* ---- what threads of one address space do to each other ---- */

struct worker {
    int64_t until_ns;
    uint64_t n;
    _Atomic bool *stop;
};

static void map_run(void *ctx)
{
    enum { BYTES = 64 << 10 };
    struct worker *w = ctx;
    while (clock_mono_ns() < w->until_ns) {
        uint8_t *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) return;
        touch(p);
        munmap(p, BYTES);
        w->n++;
    }
}

static void costs_maps(struct lab *l, unsigned threads)
{
    struct worker w[SPIN_THREADS_MAX];
    struct thread *t[SPIN_THREADS_MAX];
    char how[LAB_HOW_MAX];
    uint64_t n = 0;
    lab_step(l, "maps by many threads");
    int64_t until = clock_mono_ns() + l->slice_ns;
    for (unsigned i = 0; i < threads; i++) {
        w[i] = (struct worker){ .until_ns = until };
        t[i] = thread_start("maps", map_run, &w[i]);
    }
    for (unsigned i = 0; i < threads; i++) {
        thread_join(t[i]);
        n += w[i].n;
    }
    snprintf(how, sizeof(how), "%u thread%s", threads, threads > 1 ? "s" : "");
    if (n)
        lab_add(l, LAB_COSTS, "mmap, touch, munmap of 64 KiB, each thread (mmap_lock)", how, "us",
            (double)l->slice_ns * threads / (double)n / 1000);
}

static void spin_run(void *ctx)
{
    const struct worker *w = ctx;
    while (!atomic_load_explicit(w->stop, memory_order_relaxed)) {}
}

static void costs_shootdown(struct lab *l, unsigned beside)
{
    enum { BATCH = 100 };
    _Atomic bool stop = false;
    struct worker w = { .stop = &stop };
    struct thread *t[SPIN_THREADS_MAX];
    struct batches b;
    char how[LAB_HOW_MAX];
    lab_step(l, "TLB shootdowns");
    uint8_t *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return;
    for (unsigned i = 0; i < beside; i++) t[i] = thread_start("spins", spin_run, &w);
    batches_begin(&b, l);
    int64_t began = b.since_ns;
    do
        for (int i = 0; i < BATCH; i++) {
            touch(p);
            madvise(p, PAGE, MADV_DONTNEED);
        }
    while (batch_done(&b, BATCH));
    /* more threads than cores: that they take turns is part of it */
    double ns = beside < l->cores ? batches_median(&b)
                                  : (double)(b.since_ns - began) / (double)(b.n * BATCH);
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (unsigned i = 0; i < beside; i++) thread_join(t[i]);
    munmap(p, PAGE);
    snprintf(how, sizeof(how), "beside %u running", beside);
    lab_add(l, LAB_COSTS, "touch a page and give it back (TLB shootdown)", how, "us",
        ns / 1000);
}

errc lab_costs(struct lab *l, struct err *e)
{
    costs_getpid(l);
    costs_pipe(l, 0, "on one core");
    if (l->cores > 1) costs_pipe(l, 1, "across cores");
    TRY(costs_faults(l, e));
    for (size_t i = 0; i < ARRAY_LEN(mappers); i++) costs_maps(l, mappers[i]);
    for (unsigned beside = 0; beside <= 2; beside++) costs_shootdown(l, beside);
    return OK;
}
