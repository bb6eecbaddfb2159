#include "io/test_far.h"

/* Whatever a server of memcached says to three keys and to a put. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    far_fuzz(&far_memcached, str_of(p, n));
    return 0;
}
