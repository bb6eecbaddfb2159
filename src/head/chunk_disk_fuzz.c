/* chunk_disk_fuzz.c — any bytes as a file of chunks_head. */
#include "base/buf.h"
#include "chunk/chunk.h"
#include "head/chunk_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    str file = str_of(p, n);
    struct chunk_desc c;
    struct buf b;
    size_t next = 0;
    (void)!chunk_file_header_check(file, NULL);
    buf_init(&b, NULL, 0);
    for (size_t at = MIN(n, (size_t)CHUNK_FILE_HEADER_BYTES); at < n; at = next) {
        if (chunk_record_next(file, at, &c, &next, NULL) != CHUNK_STEP_RECORD) break;
        assert(next > at && next <= n);
        if (!chunk_enc_known(c.enc)) continue;
        buf_reset(&b);
        chunk_record_encode(&b, &c);
        assert(b.n <= next - at);              /* shorter only when the length was padded */
    }
    buf_fini(&b);
    return 0;
}
