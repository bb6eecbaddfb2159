/* tombstones_codec_fuzz.c — any bytes as a tombstones file, with and without a right checksum. */
#include "block/tombstones_codec.h"

#include "base/crc32c.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void decode(str file)
{
    struct tombstones t = { 0 };
    struct buf b = { 0 };
    errc rc = block_tombstones_decode(&t, file, NULL);
    assert(rc == OK || rc == ERR_CORRUPT);
    if (rc == OK) {
        struct tombstones back = { 0 };
        block_tombstones_encode(&b, &t);
        rc = block_tombstones_decode(&back, buf_view(&b), NULL);
        assert(rc == OK && tombstones_count(&back) == tombstones_count(&t));
        tombstones_fini(&back);
    }
    tombstones_fini(&t);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct buf b = { 0 };
    decode(str_of(p, n));
    buf_be32(&b, TOMBSTONES_MAGIC);
    buf_u8(&b, 1);
    buf_bytes(&b, p, n);
    buf_be32(&b, crc32c(0, p, n));
    decode(buf_view(&b));
    buf_fini(&b);
    return 0;
}
