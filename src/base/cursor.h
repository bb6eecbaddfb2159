/* cursor.h — how bytes are read: no read past the end is expressible.
 *
 * What        A position in a run of bytes. Every read stands on cur_bytes; after the first failure
 *             every read gives zero, so a decoder reads straight through and asks once (cur_ok,
 *             cur_done) before it believes.
 * Invariants  p <= end, always; bad is sticky.
 * Ownership   borrows the bytes
 * Threads     values
 * Errors      sticky flag `bad`; the caller makes ERR_CORRUPT of it, with file, part and offset
 * Format      big-endian and LEB128 integers as the formats of the TSDB use them
 */
#ifndef EPI_BASE_CURSOR_H
#define EPI_BASE_CURSOR_H

#include "base/str.h"

typedef struct cursor { const uint8_t *p, *end; bool bad; } cursor;

static inline cursor cur_of(str s) { return (cursor){ s.p, s.p ? s.p + s.n : s.p, false }; }
static inline size_t cur_left(const cursor *c) { return (size_t)(c->end - c->p); }
static inline bool cur_ok(const cursor *c) { return !c->bad; }
/* all read, nothing failed */
static inline bool cur_done(const cursor *c) { return !c->bad && c->p == c->end; }
static inline void cur_fail(cursor *c) { c->bad = true; c->p = c->end; }

/* borrows; too long: bad, and empty from then on */
static inline str cur_bytes(cursor *c, uint64_t n)
{
    if (n > cur_left(c)) { cur_fail(c); return (str){ c->end, 0 }; }
    str s = { c->p, (size_t)n };
    c->p += n;
    return s;
}
static inline str cur_rest(cursor *c) { return cur_bytes(c, cur_left(c)); }

static inline uint8_t cur_u8(cursor *c)
{
    str s = cur_bytes(c, 1);
    return s.n ? s.p[0] : 0;
}
static inline uint16_t cur_be16(cursor *c)
{
    str s = cur_bytes(c, 2);
    uint16_t v = 0;
    if (s.n) memcpy(&v, s.p, 2);
    return __builtin_bswap16(v);
}
static inline uint32_t cur_be32(cursor *c)
{
    str s = cur_bytes(c, 4);
    uint32_t v = 0;
    if (s.n) memcpy(&v, s.p, 4);
    return __builtin_bswap32(v);
}
static inline uint64_t cur_be64(cursor *c)
{
    str s = cur_bytes(c, 8);
    uint64_t v = 0;
    if (s.n) memcpy(&v, s.p, 8);
    return __builtin_bswap64(v);
}
static inline uint32_t cur_le32(cursor *c) { return __builtin_bswap32(cur_be32(c)); }
static inline uint64_t cur_le64(cursor *c) { return __builtin_bswap64(cur_be64(c)); }

/* Go's rules: at most 10 bytes, the 10th at most 1. behind NULL: there is none. By value, so that
 * who reads many keeps the cursor in registers. */
struct uvarint { uint64_t v; const uint8_t *behind; };
struct uvarint uvarint_long(const uint8_t *p, const uint8_t *end);
static inline uint64_t cur_uvarint_long(cursor *c)
{
    struct uvarint x = uvarint_long(c->p, c->end);
    if (LIKELY(x.behind)) c->p = x.behind;
    else cur_fail(c);
    return x.v;
}
static inline uint64_t cur_uvarint(cursor *c)
{
    const uint8_t *p = c->p;
    if (LIKELY(p < c->end && p[0] < 0x80)) return *c->p++;
    if (LIKELY(c->end - p >= 2 && p[1] < 0x80)) {
        c->p += 2;
        return (p[0] & 0x7fu) | (uint64_t)p[1] << 7;
    }
    return cur_uvarint_long(c);
}
/* The same, soonest where 2 or 3 bytes are as frequent as one and 4 bytes stand there. */
static inline uint64_t cur_uvarint_of_4(cursor *c)
{
    uint32_t x;
    if (UNLIKELY(cur_left(c) < sizeof(x))) return cur_uvarint_long(c);
    memcpy(&x, c->p, sizeof(x));
    if (!(x & 0x80)) {
        c->p += 1;
        return x & 0x7f;
    }
    if (!(x & 0x8000)) {
        c->p += 2;
        return (x & 0x7f) | (x & 0x7f00) >> 1;
    }
    if (!(x & 0x800000)) {
        c->p += 3;
        return (x & 0x7f) | (x & 0x7f00) >> 1 | (x & 0x7f0000) >> 2;
    }
    return cur_uvarint_long(c);
}
static inline int64_t cur_varint(cursor *c)                    /* zigzag */
{
    uint64_t u = cur_uvarint(c);
    return (int64_t)((u >> 1) ^ (0 - (u & 1)));
}
/* uvarint length, bytes */
static inline str cur_lenstr(cursor *c) { return cur_bytes(c, cur_uvarint(c)); }

#endif
