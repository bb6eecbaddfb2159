/* Bytes of any kind behind a record's type: what is packed unpacks to them. */
#include "base/compress.h"
#include "base/mem.h"
#include "wal/record.h"
#include "wal/samples_pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input again and again, so that it is long enough to be packed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { LONG = 20 << 10 };
    struct buf rec = { 0 }, packed = { 0 }, back = { 0 };
    if (!size) return 0;
    buf_u8(&rec, REC_SAMPLES);
    while (rec.n < LONG) buf_bytes(&rec, data, size);
    if (samples_pack(&packed, buf_view(&rec))) {
        errc rc = compress_unpack(&back, COMPRESS_SNAPPY, buf_view(&packed), rec.n, NULL);
        assert(rc == OK && str_eq(buf_view(&back), buf_view(&rec)));
    }
    buf_fini(&rec);
    buf_fini(&packed);
    buf_fini(&back);
    return 0;
}
