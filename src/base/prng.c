#include "base/prng.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

static _Atomic bool faked;                     /* relaxed: set with threads at rest */
static _Atomic uint64_t fake_next;             /* relaxed */

static void secret_fake(uint8_t *at, size_t n)
{
    struct prng r = { atomic_fetch_add_explicit(&fake_next, 1, memory_order_relaxed) };
    r.state = prng_u64(&r);
    while (n-- > 0) *at++ = (uint8_t)prng_u64(&r);
}

void prng_fake_set(uint64_t seed)
{
    atomic_store_explicit(&fake_next, seed, memory_order_relaxed);
    atomic_store_explicit(&faked, true, memory_order_relaxed);
}

void prng_fake_off(void) { atomic_store_explicit(&faked, false, memory_order_relaxed); }

void prng_secret(void *out, size_t n)
{
    uint8_t *at = out;
    if (atomic_load_explicit(&faked, memory_order_relaxed)) {
        secret_fake(at, n);
        return;
    }
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got <= 0) abort();
        at += got;
        n -= (size_t)got;
    }
}
