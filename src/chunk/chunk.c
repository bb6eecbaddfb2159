/* chunk.c — see chunk.h */
#include "chunk/chunk.h"

enum { COUNT_BYTES = 2, ST_COUNT_MASK = 0x3fff };

static const struct {
    str name;
    size_t header_bytes, sample_bits, first_bytes;
} encodings[CHUNK_ENCODINGS] = {
    [CHUNK_NONE] = { S("none"), 0, 0, 0 },
    [CHUNK_XOR] = { S("XOR"), 2, 2, 9 },
    [CHUNK_HISTOGRAM] = { S("histogram"), 3, 4, 9 },
    [CHUNK_FLOAT_HISTOGRAM] = { S("floathistogram"), 3, 4, 9 },
    [CHUNK_XOR2] = { S("XOR2"), 3, 1, 9 },
    [CHUNK_HISTOGRAM_ST] = { S("histogramST"), 3, 4, 9 },
    [CHUNK_FLOAT_HISTOGRAM_ST] = { S("floathistogramST"), 3, 4, 9 },
};

str chunk_enc_name(uint8_t enc)
{
    return enc < CHUNK_ENCODINGS ? encodings[enc].name : S("<unknown>");
}

size_t chunk_count(uint8_t enc, str data)
{
    if (data.n < COUNT_BYTES) return 0;
    size_t n = (size_t)data.p[0] << 8 | data.p[1];
    return enc == CHUNK_HISTOGRAM_ST || enc == CHUNK_FLOAT_HISTOGRAM_ST ? n & ST_COUNT_MASK : n;
}

errc chunk_check(uint8_t enc, str data, struct err *e)
{
    if (!chunk_enc_known(enc)) return err_set(e, ERR_CORRUPT, "chunk: unknown encoding %u", enc);
    size_t header = encodings[enc].header_bytes, n = chunk_count(enc, data);
    if (data.n < header) return err_set(e, ERR_CORRUPT, "chunk: %zu bytes are no header", data.n);
    if (n == 0) return OK;
    size_t least =
        header + encodings[enc].first_bytes + ((n - 1) * encodings[enc].sample_bits + 7) / 8;
    if (data.n < least)
        return err_set(e, ERR_CORRUPT, "chunk: %zu samples in %zu bytes", n, data.n);
    return OK;
}
