#include "base/compress.h"
#include "base/mem.h"
#include "base/test.h"

static const struct { const char *name; enum compress_kind kind; } kinds[] = {
    { "none", COMPRESS_NONE }, { "snappy", COMPRESS_SNAPPY }, { "zstd", COMPRESS_ZSTD },
    { "gzip", COMPRESS_GZIP }, { "deflate", COMPRESS_DEFLATE },
};

static void buf_noise(struct buf *b, struct prng *r, size_t n, unsigned letters)
{
    for (size_t i = 0; i < n; i++) buf_u8(b, (uint8_t)prng_below(r, letters));
}

TEST(compress_round_trip)
{
    struct prng r = { test_seed() };
    static const size_t sizes[] = { 0, 1, 100, 5000, 300000 };
    TEST_EACH(k, kinds) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            SCOPED(buf_fini) struct buf in = { 0 }, packed = { 0 }, out = { 0 };
            buf_noise(&in, &r, sizes[i], i % 2 ? 3 : 256);
            buf_str(&out, S("before"));
            EXPECT_OK(compress_pack(&packed, k->kind, buf_view(&in), 0, NULL));
            struct err e = { 0 };
            EXPECT_OK_E(compress_unpack(&out, k->kind, buf_view(&packed), sizes[i], &e), &e);
            EXPECT_STR(str_from(buf_view(&out), 6), buf_view(&in));
            if (sizes[i] == 0) continue;
            buf_reset(&out);
            EXPECT_EQ(
                compress_unpack(&out, k->kind, buf_view(&packed), sizes[i] - 1, &e), ERR_LIMIT);
            EXPECT_EQ(out.n, 0);
        }
    }
}

TEST(compress_prefixes_and_flips)
{
    struct prng r = { test_seed() };
    SCOPED(buf_fini) struct buf in = { 0 };
    buf_noise(&in, &r, 400, 4);
    TEST_EACH(k, kinds) {
        if (k->kind == COMPRESS_NONE) continue;
        SCOPED(buf_fini) struct buf packed = { 0 };
        EXPECT_OK(compress_pack(&packed, k->kind, buf_view(&in), 0, NULL));
        for (size_t n = 0; n < packed.n; n++) {
            SCOPED(buf_fini) struct buf out = { 0 };
            /* exactly sized: a sanitizer sees a read past it */
            SCOPED(mem_freep) uint8_t *copy = mem_alloc(n);
            memcpy(copy, packed.p, n);
            EXPECT(compress_unpack(&out, k->kind, str_of(copy, n), 1 << 20, NULL) != OK);
            copy[n / 2] ^= 0x40;
            size_t got;
            uint8_t room[512];
            errc rc =
                compress_unpack_into(room, sizeof(room), &got, k->kind, str_of(copy, n), NULL);
            EXPECT(rc != OK || got <= sizeof(room));
        }
    }
}

TEST(compress_declared_size_is_checked_first)
{
    struct err e = { 0 };
    SCOPED(buf_fini) struct buf out = { 0 };
    EXPECT_EQ(
        compress_unpack(&out, COMPRESS_SNAPPY, S("\xff\xff\xff\xff\x0f"), 1000, &e), ERR_LIMIT);
    EXPECT_EQ(out.cap, 0);
    EXPECT_EQ(compress_unpack(&out, COMPRESS_SNAPPY, S("\xff\xff"), 1000, &e), ERR_CORRUPT);
}

TEST(compress_gzip_members_follow_each_other)
{
    SCOPED(buf_fini) struct buf packed = { 0 }, out = { 0 };
    EXPECT_OK(compress_pack(&packed, COMPRESS_GZIP, S("first,"), 1, NULL));
    EXPECT_OK(compress_pack(&packed, COMPRESS_GZIP, S("second"), 9, NULL));
    EXPECT_OK(compress_unpack(&out, COMPRESS_GZIP, buf_view(&packed), 100, NULL));
    EXPECT_STR(buf_view(&out), S("first,second"));
}

TEST(compress_zstd_frames_follow_each_other)
{
    SCOPED(buf_fini) struct buf packed = { 0 }, out = { 0 };
    EXPECT_OK(compress_pack(&packed, COMPRESS_ZSTD, S(""), 0, NULL));
    EXPECT_OK(compress_pack(&packed, COMPRESS_ZSTD, S("one,"), 0, NULL));
    EXPECT_OK(compress_pack(&packed, COMPRESS_ZSTD, S("two"), 0, NULL));
    EXPECT_OK(compress_unpack(&out, COMPRESS_ZSTD, buf_view(&packed), 100, NULL));
    EXPECT_STR(buf_view(&out), S("one,two"));
}
