#include "chunk/plain.h"

static uint8_t plain_of(uint8_t enc)
{
    switch (enc) {
    case CHUNK_XOR2: return CHUNK_XOR;
    case CHUNK_HISTOGRAM_ST: return CHUNK_HISTOGRAM;
    case CHUNK_FLOAT_HISTOGRAM_ST: return CHUNK_FLOAT_HISTOGRAM;
    default: return enc;
    }
}

errc chunk_plain(
    struct chunk_encoder *out, struct chunk_iter *by, uint8_t enc, str data, struct err *e)
{
    const struct chunk_rules rules = { .rule = CHUNKS_TRIMMED, .enc = plain_of(enc) };
    TRY(chunk_iter_reset(by, enc, data, e));
    chunk_encoder_begin(out, &rules);
    for (struct sample_batch b;;) {
        TRY(chunk_iter_fill(by, &b, e));
        if (!b.n) break;
        b.st = NULL;
        chunk_encoder_put(out, &b);
    }
    chunk_encoder_end(out);
    return OK;
}
