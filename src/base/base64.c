#include "base/base64.h"

static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void buf_base64(struct buf *b, str s, enum base64_kind kind)
{
    const char *letters = kind == BASE64_URL ? url : plain;
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = MIN(s.n - i, (size_t)3);
        uint32_t v = (uint32_t)s.p[i] << 16;
        if (left > 1) v |= (uint32_t)s.p[i + 1] << 8;
        if (left > 2) v |= s.p[i + 2];
        for (size_t k = 0; k <= left; k++) buf_u8(b, (uint8_t)letters[v >> (18 - 6 * k) & 63]);
        for (size_t k = left; kind == BASE64_PLAIN && k < 3; k++) buf_u8(b, '=');
    }
}

void buf_hex(struct buf *b, str s)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < s.n; i++) {
        buf_u8(b, (uint8_t)digits[s.p[i] >> 4]);
        buf_u8(b, (uint8_t)digits[s.p[i] & 15]);
    }
}
