#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

void buf_init(struct buf *b, struct account *acc, size_t limit_bytes)
{
    *b = (struct buf){ .acc = acc, .limit = limit_bytes };
}

void buf_fini(struct buf *b)
{
    account_charge(b->acc, -(int64_t)b->cap);
    mem_free(b->p);
    *b = (struct buf){ .acc = b->acc, .limit = b->limit };
}

void buf_grow(struct buf *b, size_t more)
{
    size_t limit = b->limit ? b->limit : SIZE_MAX / 4;
    if (b->bad || more > limit || b->n > limit - more) {
        b->bad = true;
        return;
    }
    size_t want = b->n + more;
    if (want <= b->cap) return;
    size_t cap = MIN(limit, MAX(want, MAX(b->cap + b->cap / 2, (size_t)64)));
    b->p = mem_realloc(b->p, cap);
    account_charge(b->acc, (int64_t)(cap - b->cap));
    b->cap = cap;
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vfmt(b, fmt, ap);
    va_end(ap);
}

void buf_vfmt(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    size_t len = n < 0 ? 0 : (size_t)n;
    uint8_t *at = buf_room(b, len + 1);
    if (at) {
        vsnprintf((char *)at, len + 1, fmt, again);
        b->n += len;
    }
    va_end(again);
}

void buf_u64_text(struct buf *b, uint64_t v)
{
    uint8_t digits[20];
    size_t at = sizeof(digits);
    do digits[--at] = (uint8_t)('0' + v % 10); while (v /= 10);
    buf_bytes(b, digits + at, sizeof(digits) - at);
}

void buf_i64_text(struct buf *b, int64_t v)
{
    if (v < 0) buf_u8(b, '-');
    buf_u64_text(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}
