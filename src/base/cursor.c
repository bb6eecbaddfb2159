#include "base/cursor.h"

/* Up to 8 bytes at once: what stands behind the first byte without its high bit is cleared, then
 * the groups of 7 bits are moved together, by pairs, by fours and by eights. */
static bool uvarint_of_word(cursor *c, uint64_t *out)
{
    uint64_t x;
    memcpy(&x, c->p, sizeof(x));
    uint64_t ends = ~x & 0x8080808080808080u;
    if (!ends) return false;
    c->p += __builtin_ctzll(ends) / 8 + 1;
    x &= ends ^ (ends - 1);
    x = (x & 0x007f007f007f007fu) | (x & 0x7f007f007f007f00u) >> 1;
    x = (x & 0x00003fff00003fffu) | (x & 0x3fff00003fff0000u) >> 2;
    *out = (x & 0x000000000fffffffu) | (x & 0x0fffffff00000000u) >> 4;
    return true;
}

uint64_t cur_uvarint_slow(cursor *c)
{
    uint64_t v = 0;
    if (cur_left(c) >= sizeof(v) && uvarint_of_word(c, &v)) return v;
    for (unsigned i = 0; i < 10; i++) {
        uint8_t b = cur_u8(c);
        if (!cur_ok(c)) return 0;
        if (b < 0x80) {
            if (i == 9 && b > 1) break;
            return v | (uint64_t)b << (7 * i);
        }
        v |= (uint64_t)(b & 0x7f) << (7 * i);
    }
    cur_fail(c);
    return 0;
}
