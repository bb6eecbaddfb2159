#include "bucket/page_file.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdatomic.h>

#define REST_NS (INT64_C(60) * 1000000000)
enum { SHARE_OF_FREE = 4 }; /* two caches have one each */

struct page_file {
    struct fs *fs;
    struct file *file;
    str path;                  /* heap */
    size_t page_bytes;
    uint32_t n, most;          /* slots that were taken once; all; the owner locks, with free */
    VEC(uint32_t) free;
    _Atomic int64_t rests_until_ns;
};

static errc room_of(struct page_file *f, uint64_t max_bytes, struct err *e)
{
    uint64_t all, free;
    TRY(fs_space(f->fs, &all, &free, e));
    uint64_t slots = MIN(max_bytes, free / SHARE_OF_FREE) / f->page_bytes;
    f->most = (uint32_t)MIN(slots, (uint64_t)UINT32_MAX - 1);
    return OK;
}

errc page_file_open(struct page_file **out, struct fs *fs, str path, size_t page_bytes,
    uint64_t max_bytes, struct err *e)
{
    struct page_file *f = NEW(struct page_file);
    f->fs = fs;
    f->path = mem_str(path);
    f->page_bytes = page_bytes;
    errc rc = fs_open(&f->file, fs, path, FS_READ | FS_WRITE | FS_CREATE | FS_TRUNC, e);
    if (rc == OK) rc = room_of(f, max_bytes, e);
    if (rc == OK) *out = f;
    else page_file_close(f);
    return rc;
}

void page_file_close(struct page_file *f)
{
    if (!f) return;
    struct err e = { 0 };
    bool was_open = f->file != NULL;
    file_close(f->file);
    if (was_open && fs_unlink(f->fs, f->path, &e) != OK)
        LOG(WARN, "the pages of a cache stay on the disk until the next start", kv_err(&e));
    vec_fini(&f->free);
    mem_free((void *)f->path.p);
    mem_free(f);
}

bool page_file_rests(const struct page_file *f)
{
    int64_t until = atomic_load_explicit(&f->rests_until_ns, memory_order_relaxed);
    return until && clock_mono_ns() < until;
}

uint32_t page_file_take(struct page_file *f)
{
    if (f->n < f->most) return ++f->n;
    return f->free.n ? vec_pop(&f->free) : 0;
}

void page_file_give(struct page_file *f, uint32_t slot)
{
    assert(slot && slot <= f->n);
    vec_push(&f->free, slot);
}

static uint64_t place_of(const struct page_file *f, uint32_t slot)
{
    return (uint64_t)(slot - 1) * f->page_bytes;
}

bool page_file_put(struct page_file *f, uint32_t slot, const str *pages, size_t n)
{
    struct err e = { 0 };
    uint64_t done;
    if (file_pwrite(f->file, pages, n, place_of(f, slot), &done, &e) == OK) return true;
    if (!page_file_rests(f))
        LOG(WARN, "a cache keeps nothing on the disk for a minute", kv_err(&e));
    atomic_store_explicit(&f->rests_until_ns, clock_mono_ns() + REST_NS, memory_order_relaxed);
    return false;
}

bool page_file_get(struct page_file *f, uint32_t slot, uint8_t *to, size_t n)
{
    size_t got;
    return file_pread(f->file, to, n, place_of(f, slot), &got, NULL) == OK && got == n;
}
