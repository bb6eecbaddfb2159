#include "io/test_far.h"

/* Whatever a server of redis says to a greeting, to three keys and to a put. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    far_fuzz(&far_redis, str_of(p, n));
    return 0;
}
