#include "base/cursor.h"

/* Up to 8 bytes at once: what stands behind the first byte without its high bit is cleared, then
 * the groups of 7 bits are moved together, by pairs, by fours and by eights. */
static struct uvarint uvarint_of_word(const uint8_t *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof(x));
    uint64_t ends = ~x & 0x8080808080808080u;
    if (!ends) return (struct uvarint){ 0, NULL };
    p += __builtin_ctzll(ends) / 8 + 1;
    x &= ends ^ (ends - 1);
    x = (x & 0x007f007f007f007fu) | (x & 0x7f007f007f007f00u) >> 1;
    x = (x & 0x00003fff00003fffu) | (x & 0x3fff00003fff0000u) >> 2;
    return (struct uvarint){ (x & 0x000000000fffffffu) | (x & 0x0fffffff00000000u) >> 4, p };
}

struct uvarint uvarint_long(const uint8_t *p, const uint8_t *end)
{
    uint64_t v = 0;
    if (end - p >= (ptrdiff_t)sizeof(v)) {
        struct uvarint x = uvarint_of_word(p);
        if (LIKELY(x.behind)) return x;
    }
    for (unsigned i = 0; i < 10 && p < end; i++) {
        uint8_t b = *p++;
        if (b < 0x80 && (i < 9 || b <= 1))
            return (struct uvarint){ v | (uint64_t)b << (7 * i), p };
        if (b < 0x80) break;
        v |= (uint64_t)(b & 0x7f) << (7 * i);
    }
    return (struct uvarint){ 0, NULL };
}
