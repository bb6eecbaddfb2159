/* image_codec_test.c — the bytes of a head image. */
#include "head/image_codec.h"

#include "base/crc32c.h"
#include "base/prng.h"
#include "base/test.h"

/* A header of the version before, all else in order: it is passed over. */
static void expect_no_other_version(const struct buf *b)
{
    enum { VERSION_AT = 8, CRC_BYTES = 4 };
    uint8_t old[IMAGE_HEADER_BYTES];
    struct image_place got;
    memcpy(old, b->p, sizeof(old));
    old[VERSION_AT]--;
    uint32_t crc = crc32c(0, old, sizeof(old) - CRC_BYTES);
    for (unsigned i = 0; i < CRC_BYTES; i++)
        old[sizeof(old) - 1 - i] = (uint8_t)(crc >> 8 * i);
    struct err e = { 0 };
    EXPECT_EQ(image_header_decode(&got, str_of(old, sizeof(old)), &e), ERR_CORRUPT);
    EXPECT(strstr(e.msg, "unknown version 1") != NULL);
}

TEST(image_header_codec)
{
    struct buf b = { 0 };
    struct image_place at = { 7, 1 << 20, 0xdeadbeef, 1234567 }, got;
    image_header_encode(&b, &at);
    EXPECT_EQ(b.n, IMAGE_HEADER_BYTES);
    EXPECT_OK(image_header_decode(&got, buf_view(&b), NULL));
    EXPECT(got.segment == at.segment && got.offset == at.offset);
    EXPECT(got.log_crc == at.log_crc && got.last_ref == at.last_ref);
    for (size_t n = 0; n < b.n; n++)
        EXPECT_EQ(image_header_decode(&got, str_of(b.p, n), NULL), ERR_CORRUPT);
    expect_no_other_version(&b);
    for (size_t bit = 0; bit < 8 * b.n; bit++) {
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        EXPECT_EQ(image_header_decode(&got, buf_view(&b), NULL), ERR_CORRUPT);
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buf_fini(&b);
}

static uint64_t some(struct prng *r) { return prng_u64(r) >> prng_below(r, 64); }

static void series_random(struct image_series *s, struct prng *r, const uint8_t *from, size_t max)
{
    s->closed.n = s->chunks.n = 0;
    s->ref = some(r);
    for (uint64_t n = prng_below(r, 5); n; n--) vec_push(&s->closed, (int64_t)some(r));
    for (uint64_t n = prng_below(r, 3); n; n--) {
        struct image_chunk c = { .enc = (uint8_t)prng_below(r, 9) };
        if (c.enc != IMAGE_AS_HELD) c.maxt = (int64_t)some(r);
        c.data = str_of(from, (size_t)prng_below(r, max));
        vec_push(&s->chunks, c);
    }
}

static bool series_eq(const struct image_series *a, const struct image_series *b)
{
    bool same = a->ref == b->ref && a->closed.n == b->closed.n && a->chunks.n == b->chunks.n;
    for (size_t i = 0; same && i < a->closed.n; i++) same = a->closed.at[i] == b->closed.at[i];
    for (size_t i = 0; same && i < a->chunks.n; i++)
        same = a->chunks.at[i].enc == b->chunks.at[i].enc &&
               a->chunks.at[i].maxt == b->chunks.at[i].maxt &&
               str_eq(a->chunks.at[i].data, b->chunks.at[i].data);
    return same;
}

/* Any prefix of a frame's series is some of them, or refused. */
static void check_prefixes(const struct buf *b, size_t n_series)
{
    struct image_series got = { 0 };
    for (size_t n = 1; n < b->n; n++) {
        struct image_frame_iter it;
        bool more = true;
        size_t seen = 0;
        EXPECT_OK(image_frame_iter_init(&it, str_of(b->p, n), NULL));
        while (more && image_frame_next(&it, &got, &more, NULL) == OK) seen += more;
        EXPECT(seen < n_series);
    }
    image_series_fini(&got);
}

TEST(image_series_codec)
{
    static const uint8_t bytes[40] = "what a chunk may look like, more or less";
    struct prng r = { test_seed() };
    for (int round = 0; round < 200; round++) {
        struct image_series all[4] = { 0 }, got = { 0 };
        struct buf b = { 0 };
        struct image_frame_iter it;
        sref prev = 0;
        bool more;
        image_series_begin(&b);
        for (int i = 0; i < 4; i++) {
            series_random(&all[i], &r, bytes, sizeof(bytes));
            image_series_encode(&b, &all[i], &prev);
        }
        EXPECT_OK(image_frame_iter_init(&it, buf_view(&b), NULL));
        for (int i = 0; i < 4; i++) {
            EXPECT_OK(image_frame_next(&it, &got, &more, NULL));
            EXPECT(more && series_eq(&got, &all[i]));
        }
        EXPECT_OK(image_frame_next(&it, &got, &more, NULL));
        EXPECT(!more);
        check_prefixes(&b, 4);
        for (int i = 0; i < 4; i++) image_series_fini(&all[i]);
        image_series_fini(&got);
        buf_fini(&b);
    }
}

TEST(image_frames)
{
    struct buf b = { 0 };
    struct image_frame f;
    bool is_end = false;
    image_end_encode(&b, 3, 100);
    str head = str_of(b.p, IMAGE_FRAME_BYTES), bytes = str_from(buf_view(&b), IMAGE_FRAME_BYTES);
    EXPECT_OK(image_frame_decode(&f, head, NULL));
    EXPECT_EQ(f.n, bytes.n);
    EXPECT_OK(image_frame_check(&f, bytes, NULL));
    EXPECT_OK(image_kind_decode(bytes, 3, &is_end, NULL));
    EXPECT(is_end);
    EXPECT_EQ(image_kind_decode(bytes, 2, &is_end, NULL), ERR_CORRUPT);
    EXPECT_EQ(image_kind_decode(str_slice(bytes, 0, bytes.n - 1), 3, &is_end, NULL), ERR_CORRUPT);
    EXPECT_EQ(image_kind_decode(STR_EMPTY, 0, &is_end, NULL), ERR_CORRUPT);
    b.p[IMAGE_FRAME_BYTES] ^= 1;
    EXPECT_EQ(image_frame_check(&f, bytes, NULL), ERR_CORRUPT);
    memset(b.p, 0, IMAGE_FRAME_BYTES);
    EXPECT_EQ(image_frame_decode(&f, head, NULL), ERR_CORRUPT);
    memset(b.p, 0xff, IMAGE_FRAME_BYTES);
    EXPECT_EQ(image_frame_decode(&f, head, NULL), ERR_CORRUPT);
    buf_fini(&b);
}
