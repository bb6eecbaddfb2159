#include "base/cursor.h"

uint64_t cur_uvarint_slow(cursor *c)
{
    uint64_t v = 0;
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
