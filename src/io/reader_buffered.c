/* The buffered backend: extents of the page cache. A pin within one extent points into its frame. A
 * pin over several is copied into a buffer of its own, and one above BYPASS_BYTES is read straight
 * into such a buffer: it would push out more than it is likely to bring back. These private buffers
 * are bounded in sum.
 */
#include "io/page_cache.h"
#include "io/reader_impl.h"

enum { EXTENT_RANDOM = 16 << 10, EXTENT_SEQUENTIAL = 128 << 10, BYPASS_BYTES = 1 << 20 };
static const uint64_t private_max = (uint64_t)1 << 30;

ACCOUNT(pins_account, "pinned_reads")

/* const after init */
struct reader_buffered { struct reader base; uint64_t file_id; uint32_t extent_bytes; };
struct private_buf { size_t n; uint8_t at[]; };

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

static errc rb_read_around(struct reader *r, uint64_t off, struct private_buf *b, struct err *e)
{
    size_t got = 0;
    TRY(file_pread(r->file, b->at, b->n, off, &got, e));
    if (got == b->n) return OK;
    return err_set(
        e, ERR_IO, "%.*s: cut short at %" PRIu64, STR_ARG(file_path(r->file)), off + got);
}

static errc rb_copy(struct reader *r, uint64_t off, struct private_buf *b, struct err *e)
{
    const struct reader_buffered *rb = rb_of(r);
    for (size_t at = 0; at < b->n;) {
        size_t skip = (size_t)((off + at) % rb->extent_bytes),
               step = MIN(b->n - at, rb->extent_bytes - skip);
        struct cache_frame *fr;
        TRY(cache_pin(&fr, r->file, rb->file_id, (off + at) / rb->extent_bytes, rb->extent_bytes,
            skip + step, e));
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
    errc rc = n > BYPASS_BYTES ? rb_read_around(r, off, b, e) : rb_copy(r, off, b, e);
    if (rc != OK) {
        private_free(b);
        return rc;
    }
    out->bytes = str_of(b->at, n);
    out->frame = private_tag(b);
    return OK;
}

static errc rb_pin(struct reader *r, uint64_t off, size_t n, struct pin *out, struct err *e)
{
    const struct reader_buffered *rb = rb_of(r);
    uint64_t extent = off / rb->extent_bytes;
    size_t skip = (size_t)(off % rb->extent_bytes);
    if (n > rb->extent_bytes - skip) return rb_pin_private(r, off, n, out, e);
    struct cache_frame *fr;
    TRY(cache_pin(&fr, r->file, rb->file_id, extent, rb->extent_bytes, skip + n, e));
    out->bytes = str_slice(cache_bytes(fr), skip, skip + n);
    out->frame = fr;
    return OK;
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
    cache_forget(rb_of(r)->file_id);
    mem_free(rb_of(r));
}

static const struct reader_ops rb_ops = {
    .backend = IO_BUFFERED, .pin = rb_pin, .unpin = rb_unpin, .resize = rb_resize, .free = rb_free,
};

struct reader *reader_buffered_new(enum io_pattern pattern)
{
    struct reader_buffered *rb = NEW(struct reader_buffered);
    rb->base.ops = &rb_ops;
    rb->file_id = cache_file_id();
    rb->extent_bytes = pattern == IO_RANDOM ? EXTENT_RANDOM : EXTENT_SEQUENTIAL;
    return &rb->base;
}
