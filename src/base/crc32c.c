#include "base/crc32c.h"

#include <isa-l/crc.h>

enum { CRC32C_STEP = 1 << 30 };            /* the library counts in int */

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    const uint8_t *at = p;
    uint32_t state = ~crc;
    while (n > 0) {
        size_t step = MIN(n, (size_t)CRC32C_STEP);
        /* reads only, though it takes no const */
        state = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)step, state);
        at += step;
        n -= step;
    }
    return ~state;
}
