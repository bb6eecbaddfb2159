/* meta_codec_fuzz.c — any bytes as meta.json; what is accepted is written and read again. */
#include "block/meta_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena a = { 0 };
    struct block_meta m, back;
    struct buf b = { 0 }, again = { 0 };
    errc rc = meta_decode(&m, str_of(p, n), &a, NULL);
    assert(rc == OK || rc == ERR_CORRUPT);
    if (rc == OK) {
        meta_encode(&b, &m);
        rc = meta_decode(&back, buf_view(&b), &a, NULL);
        assert(rc == OK);
        meta_encode(&again, &back);
        assert(str_eq(buf_view(&b), buf_view(&again)));
    }
    buf_fini(&b);
    buf_fini(&again);
    arena_fini(&a);
    return 0;
}
