#include "base/compress.h"
#include "bucket/sparse_header_codec.h"

/* The message: packing it first lets the fuzzer reach what is inside. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena a = { 0 };
    struct buf file = { 0 };
    struct sparse_header s = { 0 };
    if (n && p[0] & 1) buf_bytes(&file, p, n);
    else if (compress_pack(&file, COMPRESS_GZIP, str_of(p, n), 0, NULL) != OK) n = 0;
    if (sparse_header_decode(&s, buf_view(&file), &a, NULL) == OK) {
        for (size_t i = 0; i < s.names.n; i++)
            assert(s.names.at[i].first + s.names.at[i].n <= s.places.n);
        for (size_t i = 1; i < s.places.n; i++)
            assert(s.places.at[i - 1] < s.places.at[i]);
        sparse_header_fini(&s);
    }
    buf_fini(&file);
    arena_fini(&a);
    return 0;
}
