#include "ingest/line_hash.h"

#include "base/prng.h"

uint64_t line_hash_key[LINE_HASH_KEYS];

__attribute__((constructor)) static void line_hash_draw_key(void)
{
    prng_secret(line_hash_key, sizeof(line_hash_key));
}
