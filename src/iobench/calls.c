/* calls.c — 4 KiB anywhere in a file that memory has no room for, by the system's calls alone.
 *
 * No reader, no cache of ours, no decoder: what the kernel takes for a page that it has to fetch
 * and, since memory is full, to take from another. So these are the floors of what reads.c measures
 * through the interface of storage, and what a small program of one's own would find. Each page is
 * asked for once in a round, in no order, and each line of it is looked at; maps and descriptors
 * are told that reads are random, or the kernel would read far ahead.
 */
#include "base/clock.h"
#include "io/fs_impl.h"
#include "io/ring.h"
#include "iobench/lab.h"
#include "iobench/limit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, LINE = 64, BATCH = 32 };
enum way { BY_MAP, BY_PREAD, BY_DIRECT, BY_RING, WAYS };
static const char *const way_words[WAYS] = { "mapped", "pread", "O_DIRECT",
    "io_uring, 32 O_DIRECT" };
#define WHAT "4 KiB, less memory than data, the call alone"

size_t lab_calls_steps(const struct lab *l)
{
    return l->in_memory ? 0 : WAYS;
}

struct asked {
    struct ring_read read;
    uint64_t sum;
    int errnum;
    _Atomic bool there; /* set by the thread that reaps: this one, for nobody else reads */
};
struct calls {
    enum way way;
    struct file *file;
    int fd;
    const uint8_t *map; /* BY_MAP */
    uint8_t *room;      /* a page, aligned; BY_PREAD, BY_DIRECT */
    uint64_t pages, next, step;
    uint64_t sum; /* or nobody would look */
    int errnum;   /* of a read that failed; EIO: it was short */
};

/* A sanitizer's shadow of a map would be memory of ours, and the group would be out of it. */
__attribute__((no_sanitize("thread")))
static uint64_t look(const uint8_t *p, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i += LINE) sum += *(const volatile uint8_t *)(p + i);
    return sum;
}

static void asked_done(struct ring_read *r, str bytes, int errnum)
{
    struct asked *a = CONTAINER_OF(r, struct asked, read);
    a->sum = look(bytes.p, bytes.n);
    a->errnum = errnum ? errnum : bytes.n == PAGE ? 0 : EIO;
    atomic_store_explicit(&a->there, true, memory_order_release);
}

static bool all_there(void *ctx)
{
    struct asked *all = ctx;
    for (size_t i = 0; i < BATCH; i++)
        if (!atomic_load_explicit(&all[i].there, memory_order_acquire)) return false;
    return true;
}

/* Each page once in a round: the step shares no factor with their number. */
static uint64_t next_place(struct calls *c)
{
    c->next = (c->next + c->step) % c->pages;
    return c->next * PAGE;
}

static void step_choose(struct calls *c)
{
    c->step = c->pages * 5 / 13 | 1;
    for (;; c->step += 2) {
        uint64_t a = c->pages, b = c->step % c->pages;
        while (b) {
            uint64_t r = a % b;
            a = b;
            b = r;
        }
        if (a == 1) return;
    }
}

static void batch_ring(struct calls *c)
{
    struct asked all[BATCH];
    struct ring_read *reads[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        all[i].read = (struct ring_read){
            .fd = c->fd, .n = PAGE, .off = next_place(c), .done = asked_done
        };
        atomic_init(&all[i].there, false);
        reads[i] = &all[i].read;
    }
    ring_submit(reads, BATCH);
    ring_await(all_there, all);
    for (size_t i = 0; i < BATCH; i++) {
        c->sum += all[i].sum;
        if (all[i].errnum) c->errnum = all[i].errnum;
    }
}

static void batch(struct calls *c)
{
    if (c->way == BY_RING) {
        batch_ring(c);
        return;
    }
    for (size_t i = 0; i < BATCH; i++) {
        uint64_t at = next_place(c);
        ssize_t n = c->way == BY_MAP ? PAGE : pread(c->fd, c->room, PAGE, (off_t)at);
        if (n != PAGE) c->errnum = n < 0 ? errno : EIO;
        c->sum += look(c->way == BY_MAP ? c->map + at : c->room, PAGE);
    }
}

static void calls_close(struct calls *c)
{
    if (c->map) munmap((void *)(uintptr_t)c->map, (size_t)c->pages * PAGE);
    mem_free(c->room);
    file_close(c->file);
}

/* ERR_UNSUPPORTED: this way there is none here. */
static errc calls_open(struct lab *l, struct calls *c, enum way way, struct err *e)
{
    bool direct = way >= BY_DIRECT;
    *c = (struct calls){ .way = way, .pages = l->file_bytes / PAGE };
    if (way == BY_RING) TRY(ring_ready(e));
    TRY(fs_open(&c->file, l->fs, S(LAB_FILE), FS_READ | (direct ? FS_DIRECT : 0), e));
    c->fd = file_fd(c->file);
    c->room = mem_aligned(PAGE, PAGE);
    step_choose(c);
    if (!direct) posix_fadvise(c->fd, 0, 0, POSIX_FADV_RANDOM);
    if (way != BY_MAP) return OK;
    void *at = mmap(NULL, (size_t)c->pages * PAGE, PROT_READ, MAP_SHARED, c->fd, 0);
    if (at == MAP_FAILED) {
        calls_close(c);
        return err_set(e, ERR_IO, "%s: cannot be mapped", LAB_FILE);
    }
    c->map = at;
    madvise(at, (size_t)c->pages * PAGE, MADV_RANDOM);
    return OK;
}

/* evict_every: bytes, where there is no group; 0: never. Memory is full before it is measured. */
static void calls_measure(struct lab *l, struct calls *c, uint64_t evict_every)
{
    uint64_t most = l->memory_limit / PAGE, reads = 0, evicted_at = 0;
    int64_t until = clock_mono_ns() + 2 * l->slice_ns;
    for (uint64_t n = 0; c->way < BY_DIRECT && n < most && clock_mono_ns() < until; n += BATCH)
        batch(c);
    int64_t began = clock_mono_ns(), cpu = lab_cpu_ns(), now;
    do {
        batch(c);
        reads += BATCH;
        now = clock_mono_ns();
        if (!evict_every || (reads - evicted_at) * PAGE < evict_every) continue;
        evicted_at = reads;
        lab_evict(l, S(LAB_FILE));
    } while (!c->errnum && now < began + l->slice_ns);
    if (c->errnum) {
        lab_note(l, "%s, %s: a read failed: %s", WHAT, way_words[c->way], strerror(c->errnum));
        return;
    }
    lab_add(l, LAB_READS, WHAT, way_words[c->way], "reads/s",
        (double)reads * 1e9 / (double)MAX(now - began, (int64_t)1));
    lab_last(l)->cpu_us = (double)(lab_cpu_ns() - cpu) / 1000 / (double)reads;
}

static errc one_way(struct lab *l, enum way way, struct err *e)
{
    struct calls c;
    struct limit limit = { 0 };
    struct err why = { 0 };
    lab_step(l, "calls that read");
    lab_evict(l, S(LAB_FILE));
    errc rc = calls_open(l, &c, way, &why);
    if (rc == ERR_UNSUPPORTED) {
        lab_note(l, "%s is not measured: %s", way_words[way], why.msg);
        return OK;
    }
    if (rc != OK) return err_set(e, rc, "%s", why.msg);
    bool grouped = limit_begin(&limit, l->memory_limit);
    calls_measure(l, &c, grouped ? 0 : l->memory_limit);
    limit_end(&limit);
    calls_close(&c);
    return OK;
}

errc lab_calls(struct lab *l, struct err *e)
{
    for (unsigned way = 0; way < WAYS && !l->in_memory; way++) TRY(one_way(l, (enum way)way, e));
    return OK;
}
