/* evict.c — what it costs that a new page puts another one out of memory.
 *
 * What is read is a hole: a file that was only made long. Its pages are zeros that no disk is asked
 * for, so that what is measured is memory alone: finding room for a page, and taking it from
 * another. Each page is asked for by itself, by pread or by a look at a map.
 *
 * In a memory control group it is the reading thread that takes pages back: a group has no kswapd.
 * That one wakes when the memory of the whole machine runs out, which is brought about only when it
 * is asked for, since whatever else was cached then is gone as well.
 */
#include "base/clock.h"
#include "io/fs_impl.h"
#include "iobench/lab.h"
#include "iobench/limit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, STEPS = 2 };
static const char *const ways[STEPS] = { "pread", "mmap" };
#define WHAT "a new page of a file, no disk asked (eviction)"

size_t lab_evictions_steps(const struct lab *l)
{
    if (l->in_memory) return 0;
    return l->o->fill_memory ? 2 * STEPS : STEPS;
}

struct hole {
    struct file *file;
    int fd;
    const uint8_t *map; /* NULL: by pread */
    uint64_t bytes;
};

static void hole_close(struct lab *l, struct hole *h)
{
    if (h->map) munmap((void *)(uintptr_t)h->map, (size_t)h->bytes);
    file_close(h->file);
    errc rc = fs_unlink(l->fs, S(LAB_HOLE), NULL);
    (void)rc; /* it takes no room */
}

static errc hole_open(struct lab *l, struct hole *h, bool mapped, uint64_t bytes, struct err *e)
{
    *h = (struct hole){ .bytes = bytes };
    TRY(fs_open(&h->file, l->fs, S(LAB_HOLE), FS_READ | FS_WRITE | FS_CREATE | FS_TRUNC, e));
    errc rc = file_truncate(h->file, bytes, e);
    h->fd = file_fd(h->file);
    void *at = MAP_FAILED;
    if (rc == OK && mapped) {
        at = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, h->fd, 0);
        if (at == MAP_FAILED) rc = err_set(e, ERR_IO, "%s: cannot be mapped", LAB_HOLE);
    }
    if (at != MAP_FAILED) {
        h->map = at;
        madvise(at, (size_t)bytes, MADV_RANDOM); /* one page a fault */
    }
    posix_fadvise(h->fd, 0, 0, POSIX_FADV_RANDOM);
    if (rc != OK) hole_close(l, h);
    return rc;
}

/* All pages of [from, to), each by itself. A sanitizer's shadow of them would be memory of ours,
 * and the group would be out of it. */
__attribute__((no_sanitize("thread")))
static void hole_read(const struct hole *h, uint64_t from, uint64_t to)
{
    static uint8_t room[PAGE];
    for (uint64_t at = from; at < to; at += PAGE) {
        if (h->map) (void)*(volatile const uint8_t *)(h->map + at);
        else if (pread(h->fd, room, PAGE, (off_t)at) != PAGE) return;
    }
}

/* The same, as a row. */
static void hole_measure(
    struct lab *l, const struct hole *h, const char *when, uint64_t from, uint64_t to)
{
    char how[LAB_HOW_MAX];
    double pages = (double)((to - from) / PAGE);
    int64_t began = clock_mono_ns(), cpu = lab_cpu_ns();
    hole_read(h, from, to);
    snprintf(how, sizeof(how), "%s, %s", ways[h->map != NULL], when);
    lab_add(
        l, LAB_COSTS, WHAT, how, "us", (double)(clock_mono_ns() - began) / 1000 / pages);
    lab_last(l)->cpu_us = (double)(lab_cpu_ns() - cpu) / 1000 / pages;
}

/* ---- in a control group */

static errc in_group(struct lab *l, bool mapped, struct err *e)
{
    struct limit limit = { 0 };
    struct hole h;
    uint64_t part = l->memory_limit / 4 / PAGE * PAGE;
    lab_step(l, "eviction");
    if (!limit_begin(&limit, l->memory_limit)) {
        if (!mapped)
            lab_note(l, "eviction within a limit is not measured: no memory control group can be "
                        "made here");
        return OK;
    }
    errc rc = hole_open(l, &h, mapped, 6 * part, e);
    if (rc == OK) {
        hole_measure(l, &h, "memory is free", 0, part);
        hole_read(&h, part, 5 * part); /* from here on each page puts another out */
        struct reclaim was = reclaim_now();
        uint64_t left = limit_left(&limit);
        hole_measure(l, &h, "memory is full", 5 * part, 6 * part);
        struct reclaim now = reclaim_now();
        lab_note(l,
            "eviction, %s: %" PRIu64 " new pages in a group that was full put %" PRIu64
            " out of it; kswapd took %" PRIu64 " of the whole machine's meanwhile",
            ways[mapped], part / PAGE, limit_left(&limit) - left,
            now.by_kswapd - was.by_kswapd);
        hole_close(l, &h);
    }
    limit_end(&limit);
    return rc;
}

/* ---- by kswapd */

/* Reads on until kswapd takes pages back; how far it came. All: it never did. */
static uint64_t fill_memory(const struct hole *h, uint64_t most)
{
    enum { STEP = 64 << 20, AWAKE_PAGES = 4096 };
    uint64_t at = 0, was = reclaim_now().by_kswapd;
    while (at < most && reclaim_now().by_kswapd - was < AWAKE_PAGES) {
        hole_read(h, at, MIN(at + STEP, most));
        at = MIN(at + STEP, most);
    }
    return at;
}

static errc by_kswapd(struct lab *l, bool mapped, struct err *e)
{
    struct hole h;
    uint64_t most = (l->memory_bytes + l->memory_bytes / 4) / PAGE * PAGE,
             part = MAX(l->memory_bytes / 16, LAB_MEMORY_MIN) / PAGE * PAGE;
    lab_step(l, "eviction by kswapd");
    TRY(hole_open(l, &h, mapped, most + part, e));
    uint64_t at = fill_memory(&h, most);
    struct reclaim was = reclaim_now();
    hole_measure(l, &h, "machine is full", at, at + part);
    struct reclaim now = reclaim_now();
    uint64_t pages = now.by_kswapd - was.by_kswapd;
    if (pages) {
        lab_add(l, LAB_COSTS, "kswapd: CPU time of a page that it takes back", ways[mapped], "us",
            (double)(now.kswapd_cpu_ns - was.kswapd_cpu_ns) / 1000 / (double)pages);
    }
    lab_note(l,
        "eviction, %s, the machine's memory full: of %" PRIu64 " new pages kswapd made room for "
        "%" PRIu64 ", the reading thread itself for %" PRIu64,
        ways[mapped], part / PAGE, pages, now.directly - was.directly);
    hole_close(l, &h);
    return OK;
}

errc lab_evictions(struct lab *l, struct err *e)
{
    if (l->in_memory) return OK;
    for (int i = 0; i < STEPS; i++) TRY(in_group(l, i == 1, e));
    for (int i = 0; i < STEPS && l->o->fill_memory; i++) TRY(by_kswapd(l, i == 1, e));
    return OK;
}
