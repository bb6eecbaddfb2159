/* Any bytes: taken or refused as the library does. */
#include "base/mem.h"
#include "base/snappy.h"

#include <snappy-c.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 1 << 20 };
    const char *p = size ? (const char *)data : "";
    uint32_t n = 0;
    size_t theirs_n = 0;
    bool says = snappy_length(str_of(data, size), &n);
    bool they_say = snappy_uncompressed_length(p, size, &theirs_n) == SNAPPY_OK;
    assert(says == they_say && (!says || n == theirs_n));
    if (!says || n > MOST) return 0;
    uint8_t *ours = mem_alloc(n), *theirs = mem_alloc(n);
    bool good = snappy_unpack(ours, n, str_of(data, size));
    bool they_can = snappy_uncompress(p, size, (char *)theirs, &theirs_n) == SNAPPY_OK;
    assert(good == they_can);
    assert(!good || !n || !memcmp(ours, theirs, n));
    mem_free(ours);
    mem_free(theirs);
    return 0;
}
