#include "io/reader.h"

#include "io/choice.h"
#include "io/fs_impl.h"
#include "io/reader_impl.h"
#include "io/work.h"

#include "base/metric.h"

#include <stdlib.h>
#include <sys/resource.h>

static const struct {
    const char *word;
    enum io_backend backend;
} backend_words[] = {
    { "auto", IO_AUTO },
    { "mmap", IO_MMAP },
    { "buffered", IO_BUFFERED },
    { "direct", IO_DIRECT },
};

bool io_backend_parse(str word, enum io_backend *out)
{
    for (size_t i = 0; i < ARRAY_LEN(backend_words); i++) {
        if (!str_eq(word, str_z(backend_words[i].word))) continue;
        *out = backend_words[i].backend;
        return true;
    }
    return false;
}

const char *io_backend_word(enum io_backend b)
{
    for (size_t i = 0; i < ARRAY_LEN(backend_words); i++)
        if (backend_words[i].backend == b) return backend_words[i].word;
    return "";
}

#ifdef EPI_FAULTS
enum io_backend io_forced(void)
{
    static _Atomic int known = -1; /* relaxed: each finds the same */
    int b = atomic_load_explicit(&known, memory_order_relaxed);
    if (b >= 0) return (enum io_backend)b;
    enum io_backend of = IO_AUTO;
    const char *word = getenv("EPI_TEST_IO");
    bool fine = !word || !*word || io_backend_parse(str_z(word), &of);
    assert(fine);
    atomic_store_explicit(&known, (int)of, memory_order_relaxed);
    return of;
}
#endif

/* A descriptor of its own, which takes the place of *f. */
static errc direct_open(
    struct reader **out, struct file **f, enum io_pattern pattern, struct err *e)
{
    struct file *direct = NULL;
    TRY(fs_open(&direct, (*f)->fs, file_path(*f), FS_READ | FS_DIRECT, e));
    errc rc = reader_direct_new(out, direct, pattern, e);
    if (rc == OK) {
        struct file *plain = *f;
        *f = direct;
        direct = plain;
    }
    file_close(direct);
    return rc;
}

/* What was asked for, or what can be. */
static struct reader *backend_open(
    struct file **f, uint64_t size, struct read_as as, enum io_backend asked)
{
    struct err why = { 0 };
    struct reader *r = NULL;
    if (asked == IO_MMAP) {
        bool populate = !as.backend && as.pattern == IO_RANDOM && io_populates(size, as.kind);
        r = reader_mmap_new(*f, size, as.pattern, populate);
        if (r) return r;
    }
    if (asked == IO_DIRECT && direct_open(&r, f, as.pattern, &why) == OK) return r;
    if (asked == IO_DIRECT) io_fell_back(as.kind, asked, IO_BUFFERED, err_str(&why));
    return reader_buffered_new(*f, as.pattern);
}

errc reader_open(struct reader **out, struct fs *fs, str path, struct read_as as, struct err *e)
{
    struct file *f = NULL;
    uint64_t size;
    TRY(fs_open_below(&f, fs, path, e));
    if (!f) TRY(fs_open(&f, fs, path, FS_READ, e));
    errc rc = file_size(f, &size, e);
    if (rc != OK) {
        file_close(f);
        return rc;
    }
    struct reader *r = f->ops->reader ? f->ops->reader(f) : NULL;
    if (!r) {
        enum io_backend asked = as.backend ? as.backend : io_choose(f, size, as.kind);
        if (asked == IO_BUFFERED && io_forced()) asked = io_forced();
        r = backend_open(&f, size, as, asked);
    }
    r->file = f;
    r->kind = as.kind;
    r->opened_bytes = size;
    atomic_init(&r->size, size);
    atomic_init(&r->refs, 1);
    io_opened(r->kind, r->ops->backend, 1, (int64_t)size);
    *out = r;
    return OK;
}

uint64_t reader_size(const struct reader *r)
{
    return atomic_load_explicit(&r->size, memory_order_acquire);
}
enum io_backend reader_backend(const struct reader *r) { return r->ops->backend; }

errc reader_refresh(struct reader *r, struct err *e)
{
    uint64_t size;
    TRY(file_size(r->file, &size, e));
    TRY(r->ops->resize(r, size, e));
    atomic_store_explicit(&r->size, size, memory_order_release);
    return OK;
}

static void reader_unref(struct reader *r)
{
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1) return;
    struct file *f = r->file;
    io_opened(r->kind, r->ops->backend, -1, -(int64_t)r->opened_bytes);
    r->ops->free(r);
    file_close(f);
}

/* ---- what is read, counted ---- */

_Thread_local struct io_work io_work;
_Static_assert(ARRAY_LEN(io_work.by) == (size_t)IO_WORK_BACKENDS, "one a backend, and the bucket");
_Static_assert((int)IO_WORK_BUCKET == (int)IO_BACKENDS, "for who does not see them");

const char *io_work_backend(unsigned i)
{
    return i == IO_WORK_BUCKET ? "bucket" : io_backend_word((enum io_backend)i);
}

bool io_work_maps(unsigned i) { return i == IO_MMAP; }

uint64_t io_major_faults(void)
{
    struct rusage u;
    return getrusage(RUSAGE_THREAD, &u) == 0 ? (uint64_t)u.ru_majflt : 0;
}

COUNTER_VEC(m_pins, "epimetheus_io_pins_total", "Ranges of files that were asked for.", "backend")
COUNTER_VEC(m_bytes, "epimetheus_io_pinned_bytes_total", "Bytes of these ranges.", "backend")
COUNTER_VEC(m_hits, "epimetheus_io_hits_total",
    "Reads that found their bytes in memory (mmap: as far as it was watched).", "backend")
COUNTER_VEC(m_misses, "epimetheus_io_misses_total",
    "Reads that had to wait for the disk or the kernel (mmap: as far as it was watched).",
    "backend")
COUNTER_VEC(m_stalled, "epimetheus_io_stalled_seconds_total", "Time that these waited.", "backend")

static double faults_of_all(void *ctx)
{
    struct rusage u;
    (void)ctx;
    return getrusage(RUSAGE_SELF, &u) == 0 ? (double)u.ru_majflt : 0;
}
METRIC_DEFINE(m_faults, METRIC_COUNTER, "epimetheus_io_major_faults_total",
    "Page faults of the process that waited for a disk: what mapped files cost.",
    .read = faults_of_all)

/* What a thread has counted goes to the metrics now and then: a pin pays no shared write. */
static void work_flush(unsigned b, bool missed)
{
    enum { EVERY = 16 };
    static _Thread_local struct io_count told[IO_WORK_BACKENDS];
    const struct io_count *now = &io_work.by[b];
    struct io_count *was = &told[b];
    if (LIKELY(!missed && now->pins - was->pins < EVERY)) return;
    str word = str_z(io_work_backend(b));
    metric_add_to(METRIC_WITH(&m_pins, word), (double)(now->pins - was->pins));
    metric_add_to(METRIC_WITH(&m_bytes, word), (double)(now->bytes - was->bytes));
    metric_add_to(METRIC_WITH(&m_hits, word), (double)(now->hits - was->hits));
    metric_add_to(METRIC_WITH(&m_misses, word), (double)(now->misses - was->misses));
    metric_add_to(METRIC_WITH(&m_stalled, word), (double)(now->stalled_ns - was->stalled_ns) / 1e9);
    *was = *now;
}

static errc range_check(const struct reader *r, uint64_t off, size_t n, struct err *e)
{
    uint64_t size = reader_size(r);
    if (off <= size && n <= size - off) return OK;
    return err_set(e, ERR_CORRUPT,
        "%.*s: %zu bytes at %" PRIu64 " reach past the end at %" PRIu64,
        STR_ARG(file_path(r->file)), n, off, size);
}

static unsigned count_of(const struct reader *r)
{
    return r->ops->far ? IO_WORK_BUCKET : (unsigned)r->ops->backend;
}

/* n bytes were read; misses: before it. */
static void work_count(const struct reader *r, size_t n, uint64_t misses)
{
    unsigned by = count_of(r);
    struct io_count *count = &io_work.by[by];
    io_work.pins++;
    io_work.bytes += n;
    count->pins++;
    count->bytes += n;
    if (count->misses != misses) {
        if (!r->ops->far) io_work.missed_bytes += n;
        count->missed_bytes += n;
    }
    work_flush(by, count->misses != misses);
}

errc reader_pin(struct reader *r, uint64_t off, size_t n, struct pin *out, struct err *e)
{
    struct pin p = { .bytes = S(""), .reader = r };
    uint64_t misses = io_work.by[count_of(r)].misses;
    TRY(range_check(r, off, n, e));
    if (n) TRY(r->ops->pin(r, off, n, &p, e));
    assert(p.bytes.n == n);
    work_count(r, n, misses);
    /* the caller's own reference keeps r alive until here */
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    *out = p;
    return OK;
}

static errc copy_pinned(struct reader *r, uint64_t off, struct spans to, struct err *e)
{
    struct pin p = { 0 };
    TRY(reader_pin(r, off, spans_bytes(to), &p, e));
    spans_put(to, 0, p.bytes);
    return reader_unpin(&p, e);
}

errc reader_copy(struct reader *r, uint64_t off, struct spans to, struct err *e)
{
    uint64_t misses = io_work.by[count_of(r)].misses;
    if (!r->ops->copy) return copy_pinned(r, off, to, e);
    TRY(range_check(r, off, spans_bytes(to), e));
    for (size_t i = 0; i < to.n; off += to.at[i++].n) {
        const struct byte_span *s = &to.at[i];
        if (s->p && s->n) TRY(r->ops->copy(r, off, s->p, s->n, e));
    }
    work_count(r, spans_bytes(to), misses);
    return OK;
}

errc reader_unpin(struct pin *p, struct err *e)
{
    struct reader *r = p->reader;
    if (!r) return OK;
    errc rc = p->bytes.n ? r->ops->unpin(r, p, e) : OK;
    *p = (struct pin){ 0 };
    reader_unref(r);
    return rc;
}

void reader_close(struct reader *r)
{
    if (r) reader_unref(r);
}

void reader_want(struct reader *r, uint64_t off, uint64_t n)
{
    if (n && r->ops->want) r->ops->want(r, off, n);
}
bool reader_again(struct reader *r, uint64_t off, uint64_t n)
{
    uint64_t size = reader_size(r);
    if (!r->ops->again || off >= size || !n) return false;
    return r->ops->again(r, off, MIN(n, size - off));
}
bool reader_wants(const struct reader *r) { return r->ops->want != NULL; }
bool reader_far(const struct reader *r) { return r->ops->far; }

errc reader_check(const struct pin *p, struct err *e)
{
    struct reader *r = p->reader;
    return r && p->bytes.n && r->ops->check ? r->ops->check(r, p, e) : OK;
}
