#include "io/http_parts.h"

static size_t parts_show(struct http_parts *f, const uint8_t *p, size_t n)
{
    size_t used = f->show(f->ctx, p, n);
    if (used == HTTP_PART_END) {
        f->over = true;
        return 0;
    }
    assert(used <= n);
    f->taken += used;
    return used;
}

size_t http_parts_follow(struct http_parts *f, const uint8_t *p, size_t n)
{
    enum { JOIN = 4096 };
    size_t before = f->rest.n, used = 0;
    assert(!f->over);
    if (before) {
        buf_bytes(&f->rest, p, MIN(n, (size_t)JOIN));
        used = parts_show(f, f->rest.p, f->rest.n);
        /* not completed: all that is new goes behind it */
        if (used < before) {
            memmove(f->rest.p, f->rest.p + used, f->rest.n - used);
            f->rest.n -= used;
            if (n > JOIN) buf_bytes(&f->rest, p + JOIN, n - JOIN);
            return n;
        }
        f->rest.n = 0;
        used -= before;
    }
    if (used < n) used += parts_show(f, p + used, n - used);
    if (f->over) return used;
    buf_bytes(&f->rest, p + used, n - used);
    return n;
}
