#include "head/snapshot_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct snapshot_series s;
    snapshot_tombstones t = { 0 };
    errc rc = snapshot_series_decode(&s, str_of(data, n), &a, NULL);
    rc = snapshot_tombstones_decode(&t, str_of(data, n), NULL);
    (void)rc;
    vec_fini(&t);
    return 0;
}
