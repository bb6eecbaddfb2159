#include "base/ulid.h"

#include "base/clock.h"
#include "base/prng.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static unsigned __int128 bits_of(ulid id)
{
    unsigned __int128 v = 0;
    for (size_t i = 0; i < ULID_BYTES; i++) v = v << 8 | id.b[i];
    return v;
}

static ulid of_bits(unsigned __int128 v)
{
    ulid id;
    for (size_t i = ULID_BYTES; i-- > 0; v >>= 8) id.b[i] = (uint8_t)v;
    return id;
}

bool ulid_parse(str text, ulid *out)
{
    unsigned __int128 v = 0;
    if (text.n != ULID_CHARS || text.p[0] > '7') return false;
    for (size_t i = 0; i < ULID_CHARS; i++) {
        const char *at = memchr(alphabet, text.p[i], sizeof(alphabet) - 1);
        if (!at) return false;
        v = v << 5 | (unsigned)(at - alphabet);
    }
    *out = of_bits(v);
    return true;
}

struct ulid_text ulid_text(ulid id)
{
    struct ulid_text t = { .z[ULID_CHARS] = 0 };
    unsigned __int128 v = bits_of(id);
    for (size_t i = ULID_CHARS; i-- > 0; v >>= 5) t.z[i] = alphabet[v & 31];
    return t;
}

ulid ulid_of(int64_t time_ms, uint64_t random_high16, uint64_t random_low64)
{
    uint64_t high = (uint64_t)time_ms << 16 | (random_high16 & 0xffff);
    return of_bits((unsigned __int128)high << 64 | random_low64);
}

int64_t ulid_time_ms(ulid id) { return (int64_t)(uint64_t)(bits_of(id) >> 80); }

ulid ulid_new(void)
{
    uint64_t random[2];
    prng_secret(random, sizeof(random));
    return ulid_of(clock_wall_ms(), random[0], random[1]);
}
