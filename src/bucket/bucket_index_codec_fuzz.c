#include "bucket/bucket_index_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena a = { 0 };
    struct bucket_index x;
    if (bucket_index_json_decode(&x, str_of(p, n), &a, NULL) == OK)
        for (size_t i = 0; i < x.n; i++) {
            assert(x.blocks[i].mint <= x.blocks[i].maxt);
            assert(!i || ulid_cmp(x.blocks[i - 1].id, x.blocks[i].id) < 0);
        }
    if (bucket_index_decode(&x, str_of(p, n), &a, NULL) == OK) assert(x.n == 0 || x.blocks);
    arena_fini(&a);
    return 0;
}
