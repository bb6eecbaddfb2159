#include "chunk/plain.h"

#include "base/test.h"

enum { SAMPLES = 100 };

TEST(chunk_plain_floats)
{
    struct xor2_app app;
    uint8_t *room = mem_alloc(XOR2_ROOM(SAMPLES));
    struct chunk_encoder out = { 0 };
    struct chunk_iter it;
    struct err e = { 0 };
    xor2_app_init(&app, room, XOR2_ROOM(SAMPLES));
    for (int i = 0; i < SAMPLES; i++) EXPECT(xor2_append(&app, 1000 * i, i * 0.5, 1000 * i - 7));
    chunk_iter_init(&it);
    EXPECT_OK_E(chunk_plain(&out, &it, CHUNK_XOR2, xor2_app_bytes(&app), &e), &e);
    EXPECT_EQ(out.chunks.n, 1);
    EXPECT(out.chunks.at[0].enc == CHUNK_XOR && out.chunks.at[0].mint == 0);
    EXPECT_EQ(out.chunks.at[0].maxt, 1000 * (SAMPLES - 1));
    int seen = 0;
    struct sample_batch b = { .n = 1 };
    struct chunk_iter back;
    chunk_iter_init(&back);
    EXPECT_OK(chunk_iter_reset(&back, CHUNK_XOR, encoded_chunk_data(&out, 0), &e));
    while (b.n) {
        EXPECT_OK_E(chunk_iter_fill(&back, &b, &e), &e);
        for (size_t i = 0; i < b.n; i++, seen++)
            EXPECT(b.t[i] == 1000 * seen && b.v[i] == seen * 0.5);
    }
    EXPECT_EQ(seen, SAMPLES);
    EXPECT_EQ(chunk_plain(&out, &it, CHUNK_XOR2, S("\x00"), &e), ERR_CORRUPT);
    chunk_iter_fini(&back);
    chunk_iter_fini(&it);
    chunk_encoder_fini(&out);
    mem_free(room);
}

TEST(chunk_plain_encodings)
{
    EXPECT(chunk_enc_plain(CHUNK_XOR) && chunk_enc_plain(CHUNK_HISTOGRAM));
    EXPECT(chunk_enc_plain(CHUNK_FLOAT_HISTOGRAM) && !chunk_enc_plain(CHUNK_XOR2));
    EXPECT(!chunk_enc_plain(CHUNK_HISTOGRAM_ST) && !chunk_enc_plain(CHUNK_FLOAT_HISTOGRAM_ST));
    EXPECT(!chunk_enc_plain(CHUNK_NONE) && !chunk_enc_plain(0xff));
}
