#include "base/mem.h"

#include "base/pieces.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static NORETURN void mem_exhausted(size_t n)
{
    fprintf(stderr, "out of memory: %zu bytes\n", n);
    abort();
}

void *mem_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p) mem_exhausted(n);
    return p;
}

void *mem_zalloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p) mem_exhausted(n);
    return p;
}

void *mem_alloc_array(size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) mem_exhausted(SIZE_MAX);
    return mem_alloc(bytes);
}

void *mem_realloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (!q) mem_exhausted(n);
    return q;
}

void *mem_aligned(size_t align, size_t n)
{
    void *p = NULL;
    if (posix_memalign(&p, align, n ? n : 1)) mem_exhausted(n);
    return p;
}

void mem_free(void *p) { free(p); }

void mem_freep(void *pp) { free(*(void **)pp); }

str mem_str(str s) { return (str){ (const uint8_t *)mem_cstr(s), s.n }; }

char *mem_cstr(str s)
{
    char *p = mem_alloc(s.n + 1);
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}

size_t mem_page_bytes(void)
{
    static _Atomic size_t known;           /* relaxed: a number */
    size_t n = atomic_load_explicit(&known, memory_order_relaxed);
    if (!n) {
        n = (size_t)sysconf(_SC_PAGESIZE);
        atomic_store_explicit(&known, n, memory_order_relaxed);
    }
    return n;
}

void *mem_map(size_t *n)
{
    size_t page = mem_page_bytes();
    if (*n > SIZE_MAX - page) mem_exhausted(*n);
    *n = (*n + page - 1) / page * page;
    void *p = mmap(NULL, *n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) mem_exhausted(*n);
    return p;
}

void mem_unmap(void *p, size_t n) { munmap(p, n); }

void mem_blank(void *p, size_t n)
{
    uintptr_t page = mem_page_bytes(), begin = (uintptr_t)p, end = begin + n;
    uintptr_t from = (begin + page - 1) / page * page, to = end / page * page;
    if (from >= to || madvise((void *)from, to - from, MADV_DONTNEED) != 0) {
        memset(p, 0, n);
        return;
    }
    memset(p, 0, from - begin);
    memset((void *)to, 0, end - to);
}

/* jemalloc's documented call and the number that means all arenas; absent without it. */
int mallctl(const char *name, void *old, size_t *old_n, void *new_value, size_t new_n)
    __attribute__((weak));

static bool is_small; /* const once there are threads */

void mem_be_small(void)
{
    ssize_t decay_ms = 50;
    is_small = true;
    if (mallctl) mallctl("arena.0.dirty_decay_ms", NULL, NULL, &decay_ms, sizeof(decay_ms));
    mem_thread_begin();
}

void mem_thread_begin(void)
{
    unsigned first = 0;
    if (mallctl && is_small) mallctl("thread.arena", NULL, NULL, &first, sizeof(first));
}

void mem_thread_idle(void)
{
    pieces_drop();
    if (mallctl) mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
}

void mem_give_back_old(void)
{
    if (mallctl) mallctl("arena.4096.decay", NULL, NULL, NULL, 0);
}

void mem_give_back(void)
{
    if (mallctl) mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
}
