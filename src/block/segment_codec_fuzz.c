/* segment_codec_fuzz.c — any bytes as the records of a chunk segment. */
#include "block/segment_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    str rest = str_of(p, n);
    struct segment_record r;
    uint64_t bytes;
    errc head = segment_header_check(rest, NULL);
    assert(head == OK || head == ERR_CORRUPT);
    while (rest.n && segment_record_decode(&r, rest, NULL) == OK) {
        errc rc = segment_record_bytes(rest, &bytes, NULL);
        assert(rc == OK && bytes == r.used && r.used > 0);
        rest = str_from(rest, r.used);
    }
    return 0;
}
