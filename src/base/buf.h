/* buf.h — a growable run of bytes: how bytes are written.
 *
 * What        Appends bytes, big- and little-endian integers, varints and text. The mirror of
 *             cursor.h.
 * Invariants  n <= cap <= limit; after the limit was hit `bad` stays set and nothing more is
 *             appended.
 * Ownership   buf_init/buf_fini; buf_take hands the bytes over. The zero value is an empty buffer
 *             with no limit.
 * Threads     none
 * Errors      sticky: buf_ok() once per record; then ERR_LIMIT.
 * Format      varints: LEB128; signed ones zigzag (Go's encoding/binary).
 */
#ifndef EPI_BASE_BUF_H
#define EPI_BASE_BUF_H

#include <stdarg.h>

#include "base/account.h"
#include "base/str.h"

struct buf { uint8_t *p; size_t n, cap, limit; struct account *acc; bool bad; };

/* acc may be NULL; limit 0: none */
void buf_init(struct buf *b, struct account *acc, size_t limit_bytes);
void buf_fini(struct buf *b);
void buf_grow(struct buf *b, size_t more);                     /* room for `more` bytes, or bad */
static inline bool buf_ok(const struct buf *b) { return !b->bad; }
static inline void buf_reset(struct buf *b) { b->n = 0; b->bad = false; }
/* until the next append */
static inline str buf_view(const struct buf *b) { return (str){ b->p, b->n }; }

/* Pointer to `n` bytes at the end, which the caller fills, then says how many by buf_commit; NULL
 * when bad. */
static inline uint8_t *buf_room(struct buf *b, size_t n)
{
    if (UNLIKELY(b->cap - b->n < n)) buf_grow(b, n);
    return b->bad ? NULL : b->p + b->n;
}
static inline void buf_commit(struct buf *b, size_t n)
{
    assert(n <= b->cap - b->n);
    b->n += n;
}

static inline void buf_bytes(struct buf *b, const void *p, size_t n)
{
    /* nothing is not added to a buffer that has no bytes yet */
    if (n == 0) return;
    uint8_t *at = buf_room(b, n);
    if (!at) return;
    memcpy(at, p, n);
    b->n += n;
}
static inline void buf_str(struct buf *b, str s) { buf_bytes(b, s.p, s.n); }
static inline void buf_u8(struct buf *b, uint8_t v) { buf_bytes(b, &v, 1); }
static inline void buf_be16(struct buf *b, uint16_t v)
{
    v = __builtin_bswap16(v);
    buf_bytes(b, &v, 2);
}
static inline void buf_be32(struct buf *b, uint32_t v)
{
    v = __builtin_bswap32(v);
    buf_bytes(b, &v, 4);
}
static inline void buf_be64(struct buf *b, uint64_t v)
{
    v = __builtin_bswap64(v);
    buf_bytes(b, &v, 8);
}
static inline void buf_le32(struct buf *b, uint32_t v) { buf_bytes(b, &v, 4); }
static inline void buf_le64(struct buf *b, uint64_t v) { buf_bytes(b, &v, 8); }

enum { UVARINT_MAX_BYTES = 10 };
/* Behind what was put. REQUIRES: room for UVARINT_MAX_BYTES, of which it may write more than it
 * counts. */
static inline uint8_t *uvarint_put(uint8_t *at, uint64_t v)
{
    if (v < 1 << 7) {
        *at = (uint8_t)v;
        return at + 1;
    }
    if (v < 1 << 21) {
        bool three = v >= 1 << 14;
        uint32_t x = 0x80 | (v & 0x7f) | (v << 1 & 0x7f00) | (uint32_t)three << 15 |
                     (v << 2 & 0x7f0000);
        memcpy(at, &x, sizeof(x));
        return at + 2 + three;
    }
    for (; v >= 0x80; v >>= 7) *at++ = (uint8_t)(v | 0x80);
    *at++ = (uint8_t)v;
    return at;
}
static inline void buf_uvarint(struct buf *b, uint64_t v)
{
    uint8_t *at = buf_room(b, UVARINT_MAX_BYTES);
    if (at) b->n += (size_t)(uvarint_put(at, v) - at);
}
static inline void buf_varint(struct buf *b, int64_t v)
{
    buf_uvarint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}
/* uvarint length, bytes */
static inline void buf_lenstr(struct buf *b, str s) { buf_uvarint(b, s.n); buf_str(b, s); }

void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vfmt(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_u64_text(struct buf *b, uint64_t v);                  /* decimal */
void buf_i64_text(struct buf *b, int64_t v);

#endif
