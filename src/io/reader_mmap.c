/* The mmap backend. A file that grows outgrows its map: reader_refresh then maps it again, twice as
 * long as needed, which is allowed past the end of the file (pages there become readable as it
 * grows). The maps before stay until the reader ends, because pins point into them; their lengths
 * double, so that they are few.
 *
 * A page that cannot be read is replaced by zeros (guard.h). The bytes pinned meanwhile are
 * worthless, and so may be those of every other pin of this map: all of them are told at their
 * unpin.
 */
#include "io/fs_impl.h"
#include "io/guard.h"
#include "io/reader_impl.h"
#include "io/work.h"

#include "base/clock.h"
#include "base/metric.h"

#include <errno.h>
#include <sys/mman.h>

enum {
    MAP_GROW_MIN = 1 << 20,
    LEFT_BEHIND_BYTES = 1 << 20,
    LINE_BYTES = 64,
    FETCH_AHEAD_BYTES = 4 << 10,
    /* what the kernel maps at once where a page is missed */
    AREA_BYTES = 64 << 10,
    AREAS_MAX = (4 << 20) / AREA_BYTES
};

/* passed: a bit for each area that was looked at; NULL: nobody counts. Relaxed: who misses a bit
 * counts an area twice, or not. */
struct map_part {
    uint8_t *at;
    size_t n;
    struct guard *guard;
    struct map_part *older;
    _Atomic uint64_t *passed;
    _Atomic uint32_t areas;
};
struct reader_mmap {
    struct reader base;
    enum io_pattern pattern; /* const after init */
    bool populate;           /* const after init */
    /* NULL: the file was empty; release after mapping, acquire before a pin */
    struct map_part *_Atomic newest;
    _Atomic uint64_t dropped; /* of the newest map, in bytes; relaxed */
    _Atomic uint64_t fetched; /* the same: up to where lines were asked for */
};

static struct reader_mmap *rm_of(struct reader *r)
{
    return CONTAINER_OF(r, struct reader_mmap, base);
}

static size_t area_words(const struct map_part *m) { return m->n / AREA_BYTES / 64 + 1; }

COUNTER(m_populated, "epimetheus_io_populated_bytes_total",
    "Bytes of mapped files that were read and mapped at once, as --storage.io asks.")
COUNTER(m_populate_s, "epimetheus_io_populate_seconds_total", "Time that this took.")

/* A page that cannot be read ends it; who looks at that page will learn why. Kernels before 5.14 do
 * not map, but read. */
static void map_populate(void *at, size_t n)
{
    int64_t since = clock_mono_ns();
    bool done = madvise(at, n, MADV_POPULATE_READ) == 0;
    if (!done && errno == EINVAL) madvise(at, n, MADV_WILLNEED);
    if (done) metric_add(&m_populated, (double)n);
    metric_add(&m_populate_s, (double)(clock_mono_ns() - since) / 1e9);
}

/* populate: so many bytes of it are there to be read now. */
static struct map_part *map_part_new(
    const struct file *f, uint64_t n, enum io_pattern pattern, uint64_t populate)
{
    if (n > SIZE_MAX / 4) return NULL;
    void *at = mmap(NULL, (size_t)n, PROT_READ, MAP_SHARED, file_fd(f), 0);
    if (at == MAP_FAILED) return NULL;
    struct guard *g = guard_add(at, (size_t)n);
    if (!g) {
        munmap(at, (size_t)n);
        return NULL;
    }
    /* while the kernel may still read ahead: long reads, not one a page */
    if (populate) map_populate(at, (size_t)populate);
    /* advice: its failure costs nothing */
    madvise(at, (size_t)n, pattern == IO_SEQUENTIAL ? MADV_SEQUENTIAL : MADV_RANDOM);
    struct map_part *m = NEW(struct map_part);
    *m = (struct map_part){ at, (size_t)n, g, NULL, NULL, 0 };
    if (pattern == IO_PASSING) m->passed = mem_zalloc(area_words(m) * sizeof(*m->passed));
    return m;
}

static errc rm_fault(struct reader *r, struct err *e)
{
    return err_set(e, ERR_IO, "%.*s: a mapped page could not be read", STR_ARG(file_path(r->file)));
}

/* What was read in sequence is not looked at again: its pages leave our memory (the kernel's cache
 * keeps them), a MiB or two behind. Whoever does look finds them there. */
static void rm_leave_behind(struct reader_mmap *rm, const struct map_part *m, uint64_t off)
{
    uint64_t from = atomic_load_explicit(&rm->dropped, memory_order_relaxed),
             to = off - off % LEFT_BEHIND_BYTES;
    if (to < from + 2 * LEFT_BEHIND_BYTES) return;
    to -= LEFT_BEHIND_BYTES;
    if (atomic_compare_exchange_strong_explicit(
            &rm->dropped, &from, to, memory_order_relaxed, memory_order_relaxed))
        madvise(m->at + from, (size_t)(to - from), MADV_DONTNEED);
}

/* What is read in sequence comes into the processor's cache before it is pinned: its own guesses
 * end at each page. Where a page is not mapped yet this does nothing. */
static void rm_fetch_ahead(struct reader_mmap *rm, const struct map_part *m, uint64_t end)
{
    uint64_t at = atomic_load_explicit(&rm->fetched, memory_order_relaxed),
             to = MIN(end + FETCH_AHEAD_BYTES, (uint64_t)m->n);
    if (at < end || at > to) at = end;
    for (; at < to; at += LINE_BYTES) __builtin_prefetch(m->at + at);
    atomic_store_explicit(&rm->fetched, at, memory_order_relaxed);
}

/* For who wants to know what faults cost: the pages are asked for in the kernel's books first, and
 * those that are not there are waited for here, by the clock. */
static void rm_watch(const struct map_part *m, uint64_t off, size_t n)
{
    enum { PAGE = 4096, PAGES = 64 };
    struct io_count *count = &io_work.by[IO_MMAP];
    unsigned char there[PAGES];
    bool missed = false;
    uint64_t faults = 0;
    for (uint64_t at = off - off % PAGE, end = off + n; at < end; at += PAGES * PAGE) {
        size_t pages = (size_t)((MIN(end - at, (uint64_t)PAGES * PAGE) + PAGE - 1) / PAGE);
        if (mincore(m->at + at, pages * PAGE, there) < 0) return;
        for (size_t i = 0; i < pages; i++) {
            if (there[i] & 1) continue;
            if (!missed) faults = io_major_faults();
            int64_t since = clock_mono_ns();
            (void)*(volatile const uint8_t *)(m->at + at + i * PAGE);
            count->stalled_ns += (uint64_t)(clock_mono_ns() - since);
            missed = true;
        }
    }
    if (!missed) {
        count->hits++;
        return;
    }
    count->misses++;
    count->faults += io_major_faults() - faults;
}

/* The areas of a range were looked at. When they are many, all pages leave: those that are pinned
 * are missed once more. */
static void rm_pass(struct map_part *m, uint64_t off, size_t n)
{
    for (uint64_t i = off / AREA_BYTES; i <= (off + n - 1) / AREA_BYTES; i++) {
        _Atomic uint64_t *word = &m->passed[i / 64];
        uint64_t bit = (uint64_t)1 << (i % 64);
        if (atomic_load_explicit(word, memory_order_relaxed) & bit) continue;
        atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
        if (atomic_fetch_add_explicit(&m->areas, 1, memory_order_relaxed) + 1 != AREAS_MAX)
            continue;
        for (size_t k = 0; k < area_words(m); k++)
            atomic_store_explicit(&m->passed[k], 0, memory_order_relaxed);
        atomic_store_explicit(&m->areas, 0, memory_order_relaxed);
        madvise(m->at, m->n, MADV_DONTNEED);
    }
}

static errc rm_pin(struct reader *r, uint64_t off, size_t n, struct pin *out, struct err *e)
{
    struct map_part *m = atomic_load_explicit(&rm_of(r)->newest, memory_order_acquire);
    assert(m && off + n <= m->n);
    if (guard_faulted(m->guard)) return rm_fault(r, e);
    if (rm_of(r)->pattern == IO_SEQUENTIAL) {
        rm_leave_behind(rm_of(r), m, off);
        rm_fetch_ahead(rm_of(r), m, off + n);
    }
    if (m->passed) rm_pass(m, off, n);
    if (io_work.watched) rm_watch(m, off, n);
    out->bytes = str_of(m->at + off, n);
    out->frame = m;
    return OK;
}

static errc rm_check(struct reader *r, const struct pin *p, struct err *e)
{
    const struct map_part *m = p->frame;
    return guard_faulted(m->guard) ? rm_fault(r, e) : OK;
}

static errc rm_unpin(struct reader *r, struct pin *p, struct err *e)
{
    const struct map_part *m = p->frame;
    return guard_faulted(m->guard) ? rm_fault(r, e) : OK;
}

static void map_part_free(struct map_part *m)
{
    guard_remove(m->guard);
    munmap(m->at, m->n);
    mem_free((void *)m->passed);
    mem_free(m);
}

/* Two that refresh at once both map; the second gives its map back and looks again. */
static errc rm_resize(struct reader *r, uint64_t size, struct err *e)
{
    struct reader_mmap *rm = rm_of(r);
    struct map_part *m = atomic_load_explicit(&rm->newest, memory_order_acquire);
    while (size > (m ? m->n : 0)) {
        struct map_part *longer = map_part_new(r->file, MAX(size * 2, (uint64_t)MAP_GROW_MIN),
            rm->pattern, rm->populate ? size : 0);
        if (!longer)
            return err_set(e, ERR_IO, "%.*s: mapping %" PRIu64 " bytes failed",
                STR_ARG(file_path(r->file)), size);
        longer->older = m;
        if (atomic_compare_exchange_strong_explicit(
                &rm->newest, &m, longer, memory_order_acq_rel, memory_order_acquire))
            break;
        map_part_free(longer);
    }
    return OK;
}

static void rm_free(struct reader *r)
{
    struct reader_mmap *rm = rm_of(r);
    struct map_part *m = atomic_load_explicit(&rm->newest, memory_order_acquire);
    while (m) {
        struct map_part *older = m->older;
        map_part_free(m);
        m = older;
    }
    mem_free(rm);
}

static const struct reader_ops rm_ops = {
    .backend = IO_MMAP,
    .pin = rm_pin,
    .unpin = rm_unpin,
    .check = rm_check,
    .resize = rm_resize,
    .free = rm_free,
};

struct reader *reader_mmap_new(
    struct file *f, uint64_t size, enum io_pattern pattern, bool populate)
{
    if (file_fd(f) < 0) return NULL;
    struct map_part *m = size ? map_part_new(f, size, pattern, populate ? size : 0) : NULL;
    if (size && !m) return NULL;
    struct reader_mmap *rm = NEW(struct reader_mmap);
    rm->base.ops = &rm_ops;
    rm->pattern = pattern;
    rm->populate = populate;
    atomic_init(&rm->newest, m);
    return &rm->base;
}
