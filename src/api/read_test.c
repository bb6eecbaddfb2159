#include "api/test_rig.h"

#include "base/compress.h"
#include "base/test.h"
#include "storage/chunk_querier.h"

#define READ S("/api/v1/read")

/* {a="b"} from mint to maxt, and hints; chunks: those are wanted. */
static void put_hinted(struct buf *b, uint64_t mint, uint64_t maxt, str hints, bool chunks)
{
    SCOPED(buf_fini) struct buf q = { 0 };
    buf_u8(&q, 0x08);
    buf_uvarint(&q, mint);
    buf_u8(&q, 0x10);
    buf_uvarint(&q, maxt);
    buf_lenstr((buf_u8(&q, 0x1a), &q), S("\x12\x01" "a" "\x1a\x01" "b"));
    if (hints.n) buf_lenstr((buf_u8(&q, 0x22), &q), hints);
    buf_u8(b, 0x0a);
    buf_lenstr(b, buf_view(&q));
    if (chunks) buf_bytes(b, "\x10\x01", 2);
}

static void put_request(struct buf *b, uint64_t mint, uint64_t maxt, bool chunks)
{
    put_hinted(b, mint, maxt, STR_EMPTY, chunks);
}

static struct test_answer ask_packed(struct rig *r, str message)
{
    SCOPED(buf_fini) struct buf body = { 0 };
    static const struct test_pair headers[] = { { S("Content-Encoding"), S("snappy") } };
    EXPECT_OK(compress_pack(&body, COMPRESS_SNAPPY, message, 0, NULL));
    return rig_ask(r, S("POST"), READ, headers, 1, buf_view(&body));
}

static struct test_answer ask_samples(struct rig *r, uint64_t mint, uint64_t maxt)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    put_request(&b, mint, maxt, false);
    return ask_packed(r, buf_view(&b));
}

TEST(read_samples)
{
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .read_samples = 2 });
    rig_add(&r, "up{a=\"b\"}", 1000, 1);
    rig_add(&r, "up{a=\"b\"}", 2000, 2);
    rig_add(&r, "up{a=\"b\"}", 3000, 3);
    rig_add(&r, "up{a=\"c\"}", 1000, 9);
    struct test_answer got = ask_samples(&r, 1, 1999);
    SCOPED(buf_fini) struct buf message = { 0 };
    EXPECT_EQ(got.status, 200);
    EXPECT_STR(test_answer_header(&got, S("Content-Encoding")), S("snappy"));
    EXPECT_STR(test_answer_header(&got, S("Content-Type")), S("application/x-protobuf"));
    EXPECT_OK(compress_unpack(&message, COMPRESS_SNAPPY, got.body, 4096, NULL));
    static const uint8_t want[] =
        "\x0a\x38\x0a\x36\x0a\x0e\x0a\x08__name__\x12\x02up\x0a\x06\x0a\x01"
        "a\x12\x01" "b\x0a\x0d\x0a\x07" "cluster\x12\x02rw\x12\x0c\x09\0\0\0\0"
        "\0\0\xf0\x3f\x10\xe8\x07";
    EXPECT_STR(str_from(buf_view(&message), 4), str_of(want + 4, sizeof(want) - 5));
    got = ask_samples(&r, 1, 9999);
    EXPECT_EQ(got.status, 400);
    EXPECT_STR(got.body, S("exceeded sample limit (2)\n"));
    got = ask_samples(&r, 1, 2999);
    EXPECT_EQ(got.status, 200);
    SCOPED(buf_fini) struct buf hinted = { 0 };
    put_hinted(&hinted, 1, 9999, S("\x12\x06series"), false);
    got = ask_packed(&r, buf_view(&hinted));
    EXPECT_EQ(got.status, 200);
    buf_reset(&message);
    EXPECT_OK(compress_unpack(&message, COMPRESS_SNAPPY, got.body, 4096, NULL));
    EXPECT_STR(buf_view(&message), S("\x0a\x00"));
    rig_stop(&r);
}

TEST(read_says_what_is_wrong)
{
    struct rig r;
    rig_start(&r, &(struct rig_opts){ 0 });
    struct test_answer got = rig_ask(&r, S("POST"), READ, NULL, 0, S("not snappy"));
    EXPECT_EQ(got.status, 400);
    EXPECT_STR(got.body, S("snappy: corrupt input\n"));
    got = rig_ask(&r, S("POST"), READ, NULL, 0, S("\x81\x80\x80\x10\x00" "a"));
    EXPECT_EQ(got.status, 400);
    EXPECT_STR(got.body, S("snappy: decoded length 33554433 exceeds limit 33554432\n"));
    got = rig_ask(&r, S("POST"), READ, NULL, 0, S("\x80\x80\x80\x80\x20\x00" "a"));
    EXPECT_EQ(got.status, 400);
    EXPECT_STR(got.body, S("snappy: corrupt input\n"));
    got = ask_packed(&r, S("\x7f"));
    EXPECT_EQ(got.status, 400);
    EXPECT_STR(got.body, S("proto: illegal wireType 7\n"));
    got = ask_packed(&r, S("\x10\x09"));
    EXPECT_EQ(got.status, 400);
    got = ask_packed(&r, S("\x0a\x04\x1a\x02\x08\x04"));
    EXPECT_EQ(got.status, 500);
    EXPECT_STR(got.body, S("invalid matcher type\n"));
    EXPECT_EQ(rig_get(&r, READ).status, 405);
    rig_stop(&r);
}

struct fake_set { struct chunk_series_set base; int given; struct chunk_series s; };

static errc fake_next(struct chunk_series_set *base, const struct chunk_series **out, struct err *e)
{
    static const struct label l[] = { { S("a"), S("b") } };
    static const struct chunk_view c[] = { { 1, 2, 1, S("chunk") } };
    struct fake_set *s = CONTAINER_OF(base, struct fake_set, base);
    s->s = (struct chunk_series){ { l, 1 }, c, 1, NULL };
    *out = s->given++ == 0 ? &s->s : NULL;
    return s->given == 3 ? err_set(e, ERR_IO, "the disk is gone") : OK;
}
static void fake_free(struct chunk_series_set *base)
{
    mem_free(CONTAINER_OF(base, struct fake_set, base));
}
static const struct chunk_series_set_ops fake_set_ops = { fake_next, fake_free };

/* One series; to a query that begins at 7 an error. */
static errc fake_select(struct chunk_queryable *q, struct matchers ms, int64_t mint, int64_t maxt,
    struct chunk_series_set **out, struct err *e)
{
    (void)q, (void)maxt;
    EXPECT_EQ(ms.n, 1);
    if (mint == 7) return err_set(e, ERR_IO, "the disk is gone");
    struct fake_set *s = NEW(struct fake_set);
    s->base.ops = &fake_set_ops;
    *out = &s->base;
    return OK;
}

TEST(read_chunks)
{
    static const struct chunk_queryable_ops ops = { fake_select };
    struct chunk_queryable q = { &ops };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .chunks = &q });
    SCOPED(buf_fini) struct buf b = { 0 };
    put_request(&b, 1, 9, true);
    put_request(&b, 2, 9, true);
    struct test_answer got = ask_packed(&r, buf_view(&b));
    EXPECT_EQ(got.status, 200);
    EXPECT_STR(test_answer_header(&got, S("Content-Type")),
        S("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"));
    EXPECT_STR(test_answer_header(&got, S("Content-Encoding")), S(""));
    EXPECT_EQ(got.body.n, 2u * got.body.p[0] + 10 + 2);        /* the second names its query */
    buf_reset(&b);
    put_request(&b, 7, 9, true);
    got = ask_packed(&r, buf_view(&b));
    EXPECT_EQ(got.status, 500);
    EXPECT_STR(got.body, S("the disk is gone\n"));
    buf_reset(&b);
    put_request(&b, 1, 9, true);
    put_request(&b, 7, 9, true);
    got = ask_packed(&r, buf_view(&b));
    EXPECT_EQ(got.status, 200);                                /* and then it was too late */
    EXPECT_STR(str_from(got.body, got.body.p[0] + 5u), S("the disk is gone\n"));
    rig_stop(&r);
}
