/* maps.c — kinds of memory: what the first touch of each page costs, read or written. */
#include "base/clock.h"
#include "io/fs_impl.h"
#include "iobench/lab.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, MAP_BYTES = 64 << 20, HUGE = 2 << 20 };

struct kind {
    const char *how;
    int flags, advice; /* advice 0: none */
    bool file, shm, writes;
};
static const struct kind kinds[] = {
    { "MAP_SHARED file, read", MAP_SHARED, 0, .file = true },
    { "MAP_SHARED, MAP_POPULATE", MAP_SHARED | MAP_POPULATE, 0, .file = true },
    { "MAP_PRIVATE file, read", MAP_PRIVATE, 0, .file = true },
    { "MAP_PRIVATE file, copy on write", MAP_PRIVATE, 0, .file = true, .writes = true },
    { "MAP_ANONYMOUS", MAP_PRIVATE | MAP_ANONYMOUS, MADV_NOHUGEPAGE, .writes = true },
    { "MAP_ANONYMOUS, huge advised", MAP_PRIVATE | MAP_ANONYMOUS, MADV_HUGEPAGE, .writes = true },
    { "MAP_ANONYMOUS, populated", MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, 0, .writes = true },
    { "MAP_HUGETLB", MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, 0, .writes = true },
    { "shm_open", MAP_SHARED, 0, .shm = true, .writes = true },
};

size_t lab_maps_steps(const struct lab *l)
{
    (void)l;
    return ARRAY_LEN(kinds);
}

static int shm_make(void)
{
    char name[64];
    snprintf(name, sizeof(name), "/epitool-iobench-%d", (int)getpid());
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return -1;
    shm_unlink(name);
    if (ftruncate(fd, MAP_BYTES) == 0) return fd;
    close(fd);
    return -1;
}

/* The map and the touch of all its pages, both; <0: it cannot be had. */
static int64_t measure(const struct kind *k, int fd, size_t bytes)
{
    int prot = PROT_READ | (k->writes ? PROT_WRITE : 0);
    int64_t began = clock_mono_ns();
    uint8_t *p = mmap(NULL, bytes, prot, k->flags, fd, 0);
    if (p == MAP_FAILED) return -1;
    if (k->advice) madvise(p, bytes, k->advice);
    for (size_t i = 0; i < bytes; i += PAGE) {
        volatile uint8_t *at = p + i;
        if (k->writes) *at = 1;
        else (void)*at;
    }
    int64_t took = clock_mono_ns() - began;
    munmap(p, bytes);
    return took;
}

static errc measure_kind(struct lab *l, const struct kind *k, struct err *e)
{
    enum { ROUNDS = 3 };
    struct file *f = NULL;
    size_t bytes = MIN((size_t)MAP_BYTES, (size_t)l->file_bytes);
    int64_t best = INT64_MAX;
    lab_step(l, "kinds of memory");
    if (k->file) TRY(fs_open(&f, l->fs, S(LAB_FILE), FS_READ, e));
    int shm = k->shm ? shm_make() : -1, fd = k->file ? file_fd(f) : shm;
    /* the first round brings a file into the cache */
    for (int i = 0; i < ROUNDS + 1 && best >= 0 && !(k->shm && shm < 0); i++) {
        int64_t took = measure(k, fd, bytes);
        if (took < 0) best = took;
        else if (i) best = MIN(best, took);
    }
    if (shm >= 0) close(shm);
    file_close(f);
    if (best > 0 && best < INT64_MAX)
        lab_add(l, LAB_MAPS, "map 64 MiB and touch all of it, a 4 KiB page", k->how, "ns",
            (double)best / ((double)bytes / PAGE));
    else lab_note(l, "%s: not allowed or none free here", k->how);
    return OK;
}

errc lab_maps(struct lab *l, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) TRY(measure_kind(l, &kinds[i], e));
    return OK;
}
