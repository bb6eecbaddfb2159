#include "remote/read_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct read_request r = { 0 };
    struct label l = { S("cluster"), S("rw") };
    if (read_request_decode(&r, str_of(data, n), &a, NULL) != OK) return 0;
    for (size_t i = 0; i < r.n; i++) read_query_strip(&r.queries[i], (struct labels){ &l, 1 });
    read_request_fini(&r);
    return 0;
}
