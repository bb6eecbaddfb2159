#include "io/reader.h"

#include "io/work.h"

#include "io/reader_impl.h"

static const struct { const char *word; enum io_backend backend; } backend_words[] = {
    { "auto", IO_AUTO }, { "mmap", IO_MMAP }, { "buffered", IO_BUFFERED }, { "direct", IO_DIRECT },
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

/* auto is mmap: one copy less, and the kernel shares its cache with what writes the files. */
errc reader_open(struct reader **out, struct fs *fs, str path, enum io_backend backend,
    enum io_pattern pattern, struct err *e)
{
    if (backend == IO_DIRECT)
        return err_set(
            e, ERR_UNSUPPORTED, "%.*s: reading by direct I/O is not supported", STR_ARG(path));
    struct file *f = NULL;
    uint64_t size;
    TRY(fs_open(&f, fs, path, FS_READ, e));
    errc rc = file_size(f, &size, e);
    if (rc != OK) {
        file_close(f);
        return rc;
    }
    struct reader *r = backend == IO_BUFFERED ? NULL : reader_mmap_new(f, size, pattern);
    if (!r) r = reader_buffered_new(pattern);
    r->file = f;
    atomic_init(&r->size, size);
    atomic_init(&r->refs, 1);
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
    r->ops->free(r);
    file_close(f);
}

_Thread_local struct io_work io_work;

errc reader_pin(struct reader *r, uint64_t off, size_t n, struct pin *out, struct err *e)
{
    uint64_t size = reader_size(r);
    if (off > size || n > size - off)
        return err_set(e, ERR_CORRUPT,
            "%.*s: %zu bytes at %" PRIu64 " reach past the end at %" PRIu64,
            STR_ARG(file_path(r->file)), n, off, size);
    struct pin p = { .bytes = S(""), .reader = r };
    if (n) TRY(r->ops->pin(r, off, n, &p, e));
    assert(p.bytes.n == n);
    io_work.pins++;
    io_work.bytes += n;
    /* the caller's own reference keeps r alive until here */
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    *out = p;
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
