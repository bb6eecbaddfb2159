#include "base/prng.h"

#include <stdlib.h>
#include <sys/random.h>

void prng_secret(void *out, size_t n)
{
    uint8_t *at = out;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got <= 0) abort();
        at += got;
        n -= (size_t)got;
    }
}
