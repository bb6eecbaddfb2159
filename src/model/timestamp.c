#include "model/timestamp.h"

void buf_time_s(struct buf *b, int64_t ms)
{
    uint64_t mag = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    if (ms < 0) buf_u8(b, '-');
    buf_u64_text(b, mag / 1000);
    unsigned frac = mag % 1000;
    if (frac == 0) return;
    buf_bytes(b,
        (uint8_t[]){ '.', (uint8_t)('0' + frac / 100), (uint8_t)('0' + frac / 10 % 10),
            (uint8_t)('0' + frac % 10) },
        4);
}
