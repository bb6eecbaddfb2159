/* The buffered and the direct backend: extents of the page cache, filled by pread or past the
 * kernel's cache by the ring. A pin within one extent points into its frame. A pin over several is
 * copied into a buffer of its own; a buffered one above BYPASS_BYTES is read straight into such a
 * buffer: it would push out more than it is likely to bring back; of a file that is read in
 * sequence, one of PASS_BYTES already, because nobody comes back. These private buffers are bounded
 * in sum.
 *
 * For a buffered file the kernel reads ahead, as the pattern lets it. For a direct one nobody does
 * but us: what reader_want tells, the extents of a long pin all at once, and of a file read in
 * sequence AHEAD_BYTES in front of the newest pin.
 */
#include "io/fs_impl.h"
#include "io/page_cache.h"
#include "io/reader_impl.h"
#include "io/ring.h"
#include "io/work.h"

#include "base/clock.h"

#include <sys/stat.h>

enum {
    EXTENT_RANDOM = 16 << 10,
    EXTENT_DIRECT_RANDOM = 4 << 10,
    EXTENT_SEQUENTIAL = 128 << 10,
    EXTENT_DIRECT_SEQUENTIAL = RING_READ_MAX,
    BYPASS_BYTES = 1 << 20,
    PASS_BYTES = 64 << 10,
    AHEAD_BYTES = 1 << 20
};
static const uint64_t private_max = (uint64_t)1 << 30;

ACCOUNT(pins_account, "pinned_reads")

struct reader_buffered {
    struct reader base;
    struct cache_source source;
    bool ahead;                /* read ahead; const after init */
    size_t around_bytes;       /* such pins are read around the cache; const after init */
    _Atomic uint64_t ahead_to; /* the extent up to which was read ahead; relaxed */
};
struct private_buf {
    size_t n;
    uint8_t at[];
};

/* pin.frame is a frame, or a private buffer with its lowest bit set: both are aligned. */
static void *private_tag(struct private_buf *b) { return (void *)((uintptr_t)b | 1); }
static struct private_buf *private_of(void *frame)
{
    return ((uintptr_t)frame & 1) ? (struct private_buf *)((uintptr_t)frame & ~(uintptr_t)1) : NULL;
}

static struct reader_buffered *rb_of(struct reader *r)
{
    return CONTAINER_OF(r, struct reader_buffered, base);
}

static errc private_new(struct private_buf **out, const struct reader *r, size_t n, struct err *e)
{
    account_charge(&pins_account, (int64_t)n);
    if ((uint64_t)account_bytes(&pins_account) > private_max) {
        account_charge(&pins_account, -(int64_t)n);
        return err_set(e, ERR_LIMIT, "%.*s: pinning %zu bytes more is past the limit",
            STR_ARG(file_path(r->file)), n);
    }
    struct private_buf *b = mem_alloc(sizeof(*b) + n);
    b->n = n;
    *out = b;
    return OK;
}

static void private_free(struct private_buf *b)
{
    account_charge(&pins_account, -(int64_t)b->n);
    mem_free(b);
}

static errc rb_read_around(struct reader *r, uint64_t off, uint8_t *to, size_t n, struct err *e)
{
    size_t got = 0;
    int64_t since = clock_mono_ns();
    TRY(file_pread(r->file, to, n, off, &got, e));
    io_work.by[IO_BUFFERED].misses++;
    io_work.by[IO_BUFFERED].stalled_ns += (uint64_t)(clock_mono_ns() - since);
    if (got == n) return OK;
    return err_set(
        e, ERR_IO, "%.*s: cut short at %" PRIu64, STR_ARG(file_path(r->file)), off + got);
}

static void rb_want(struct reader *r, uint64_t off, uint64_t n)
{
    struct cache_source *s = &rb_of(r)->source;
    uint64_t size = reader_size(r), to = MIN(n > size - MIN(off, size) ? size : off + n, size);
    if (off >= to) return;
    cache_want(s, off / s->extent_bytes, (to + s->extent_bytes - 1) / s->extent_bytes);
}

/* The extents of a long pin, a window at a time, the next one while this one is copied. */
static void rb_want_window(struct reader *r, uint64_t from, uint64_t to)
{
    if (r->ops->want && from < to) rb_want(r, from, MIN(to - from, (uint64_t)AHEAD_BYTES));
}

static errc rb_copy(struct reader *r, uint64_t off, struct private_buf *b, struct err *e)
{
    struct cache_source *s = &rb_of(r)->source;
    uint64_t end = off + b->n;
    rb_want_window(r, off, end);
    for (size_t at = 0; at < b->n;) {
        size_t skip = (size_t)((off + at) % s->extent_bytes),
               step = MIN(b->n - at, s->extent_bytes - skip);
        struct cache_frame *fr;
        if (at % (AHEAD_BYTES / 2) < step) rb_want_window(r, off + at + AHEAD_BYTES / 2, end);
        TRY(cache_pin(&fr, s, (off + at) / s->extent_bytes, skip + step, e));
        memcpy(b->at + at, cache_bytes(fr).p + skip, step);
        cache_unpin(fr);
        at += step;
    }
    return OK;
}

static errc rb_pin_private(struct reader *r, uint64_t off, size_t n, struct pin *out, struct err *e)
{
    struct private_buf *b;
    TRY(private_new(&b, r, n, e));
    errc rc = n >= rb_of(r)->around_bytes ? rb_read_around(r, off, b->at, n, e)
                                          : rb_copy(r, off, b, e);
    if (rc != OK) {
        private_free(b);
        return rc;
    }
    out->bytes = str_of(b->at, n);
    out->frame = private_tag(b);
    return OK;
}

/* In sequence: half of what is read ahead was used up, so the next half is asked for. */
static void rb_read_ahead(struct reader *r, uint64_t extent)
{
    struct reader_buffered *rb = rb_of(r);
    uint64_t window = AHEAD_BYTES / rb->source.extent_bytes,
             to = atomic_load_explicit(&rb->ahead_to, memory_order_relaxed);
    bool jumped = extent >= to || extent + 2 * window < to;
    if (!jumped && to - extent > window / 2) return;
    if (!atomic_compare_exchange_strong_explicit(
            &rb->ahead_to, &to, extent + window, memory_order_relaxed, memory_order_relaxed))
        return;
    uint64_t from = jumped ? extent : to, step = rb->source.extent_bytes;
    rb_want(r, from * step, (extent + window - from) * step);
}

static errc rb_pin(struct reader *r, uint64_t off, size_t n, struct pin *out, struct err *e)
{
    struct reader_buffered *rb = rb_of(r);
    uint64_t extent = off / rb->source.extent_bytes;
    size_t skip = (size_t)(off % rb->source.extent_bytes);
    if (rb->ahead) rb_read_ahead(r, extent);
    if (n > rb->source.extent_bytes - skip || n >= rb->around_bytes)
        return rb_pin_private(r, off, n, out, e);
    struct cache_frame *fr;
    TRY(cache_pin(&fr, &rb->source, extent, skip + n, e));
    out->bytes = str_slice(cache_bytes(fr), skip, skip + n);
    out->frame = fr;
    return OK;
}

/* A pin's bytes come from the disk also where they were read ahead: reader_pin counts those that
 * waited. */
static errc rd_pin(struct reader *r, uint64_t off, size_t n, struct pin *out, struct err *e)
{
    const struct io_count *count = &io_work.by[IO_DIRECT];
    uint64_t misses = count->misses, ahead = io_work.ahead;
    TRY(rb_pin(r, off, n, out, e));
    if (io_work.ahead != ahead && count->misses == misses) io_work.missed_bytes += n;
    return OK;
}

/* A private buffer was copied from frames whose sums are taken; its own bytes belong to one pin. */
static errc rb_check(struct reader *r, const struct pin *p, struct err *e)
{
    return private_of(p->frame) ? OK : cache_check(p->frame, r->file, e);
}

static errc rb_unpin(struct reader *r, struct pin *p, struct err *e)
{
    (void)r, (void)e;
    struct private_buf *b = private_of(p->frame);
    if (b) private_free(b);
    else cache_unpin(p->frame);
    return OK;
}

static errc rb_resize(struct reader *r, uint64_t size, struct err *e)
{
    /* a frame that is too short is read again when more of it is asked for */
    (void)r, (void)size, (void)e;
    return OK;
}

static void rb_free(struct reader *r)
{
    cache_forget(&rb_of(r)->source);
    mem_free(rb_of(r));
}

static const struct reader_ops rb_ops = {
    .backend = IO_BUFFERED,
    .pin = rb_pin,
    .copy = rb_read_around,
    .unpin = rb_unpin,
    .check = rb_check,
    .resize = rb_resize,
    .free = rb_free,
};
static const struct reader_ops rd_ops = {
    .backend = IO_DIRECT,
    .pin = rd_pin,
    .unpin = rb_unpin,
    .want = rb_want,
    .check = rb_check,
    .resize = rb_resize,
    .free = rb_free,
};

static struct reader_buffered *rb_new(
    struct file *f, const struct reader_ops *ops, uint32_t extent_bytes, size_t around_bytes)
{
    struct reader_buffered *rb = NEW(struct reader_buffered);
    rb->base.ops = ops;
    rb->source = (struct cache_source){ .file = f,
        .id = cache_file_id(),
        .extent_bytes = extent_bytes,
        .direct = ops->backend == IO_DIRECT };
    rb->around_bytes = around_bytes;
    return rb;
}

struct reader *reader_buffered_new(struct file *f, enum io_pattern pattern)
{
    bool random = pattern != IO_SEQUENTIAL;
    file_pool(f, !random);
    uint32_t extent = random ? EXTENT_RANDOM : EXTENT_SEQUENTIAL;
    return &rb_new(f, &rb_ops, extent, random ? BYPASS_BYTES : PASS_BYTES)->base;
}

/* Some file systems take the flag and refuse the reads. */
static errc direct_probe(struct file *f, struct err *e)
{
    SCOPED(mem_freep) void *room = mem_aligned(RING_ALIGN, RING_ALIGN);
    size_t got;
    struct err why = { 0 };
    if (file_pread(f, room, RING_ALIGN, 0, &got, &why) == OK) return OK;
    return err_set(e, ERR_UNSUPPORTED, "%s", why.msg);
}

errc reader_direct_new(struct reader **out, struct file *f, enum io_pattern pattern, struct err *e)
{
    struct stat st;
    TRY(ring_ready(e));
    TRY(direct_probe(f, e));
    bool ahead = pattern == IO_SEQUENTIAL;
    uint32_t extent = ahead ? EXTENT_DIRECT_SEQUENTIAL : EXTENT_DIRECT_RANDOM;
    struct reader_buffered *rb = rb_new(f, &rd_ops, extent, SIZE_MAX);
    rb->ahead = ahead;
    if (fstat(file_fd(f), &st) == 0) rb->source.device = st.st_dev;
    *out = &rb->base;
    return OK;
}
