#include "api/test_rig.h"

#include "base/clock.h"
#include "base/compress.h"
#include "base/pb_put.h"
#include "base/test.h"

/* ---- messages */

/* series: "name value name value …", samples after it. */
struct sample_in { int64_t t; double v; };
static void put_series(struct buf *b, const char *labels, const struct sample_in *samples, size_t n)
{
    SCOPED(buf_fini) struct buf ts = { 0 };
    for (str rest = str_z(labels), name, value; rest.n;) {
        SCOPED(buf_fini) struct buf l = { 0 };
        str_cut(rest, ' ', &name, &rest);
        str_cut(rest, ' ', &value, &rest);
        pb_put_bytes(&l, 1, name);
        pb_put_bytes(&l, 2, str_eq(value, S("-")) ? STR_EMPTY : value);
        pb_put_bytes(&ts, 1, buf_view(&l));
    }
    for (size_t i = 0; i < n; i++) {
        SCOPED(buf_fini) struct buf s = { 0 };
        buf_u8(&s, 1 << 3 | 1);
        buf_le64(&s, f64_bits(samples[i].v));
        buf_u8(&s, 2 << 3);
        buf_uvarint(&s, (uint64_t)samples[i].t);
        pb_put_bytes(&ts, 2, buf_view(&s));
    }
    pb_put_bytes(b, 1, buf_view(&ts));
}

static struct test_answer post(struct rig *r, str type, str encoding, str body)
{
    const struct test_pair headers[] = { { S("Content-Type"), type },
        { S("Content-Encoding"), encoding } };
    return rig_ask(r, S("POST"), S("/api/v1/write"), headers, encoding.n ? 2 : 1, body);
}

static struct test_answer post_message(struct rig *r, str message)
{
    SCOPED(buf_fini) struct buf packed = { 0 };
    EXPECT_OK(compress_pack(&packed, COMPRESS_SNAPPY, message, 1, NULL));
    return post(r, S("application/x-protobuf"), S("snappy"), buf_view(&packed));
}

#define PROTO "application/x-protobuf"
#define UNKNOWN(type, name)                                                                        \
    "got " type " content type; unknown type for remote write protobuf message " name              \
    ", supported: prometheus.WriteRequest, io.prometheus.write.v2.Request\n"
#define NO_PAIR(part, type)                                                                        \
    "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be "           \
    "key-values, got " part " in " type " content-type\n"

TEST(write_types)
{
    static const struct { const char *name; str type, encoding; int status; str body;
    } cases[] = {
        { "bare", S(PROTO), S("snappy"), 204, S("") },
        { "not packed, it says", S(PROTO), S(""), 204, S("") },
        { "named", S(PROTO ";proto=prometheus.WriteRequest"), S("snappy"), 204, S("") },
        { "another parameter", S(PROTO ";a=b"), S("snappy"), 204, S("") },
        { "a blank makes another parameter", S(PROTO "; proto=x"), S("snappy"), 204, S("") },
        { "unknown", S(PROTO ";proto=x"), S("snappy"), 415, S(UNKNOWN(PROTO ";proto=x", "x")) },
        { "no name", S(PROTO ";proto="), S("snappy"), 415, S(UNKNOWN(PROTO ";proto=", "")) },
        { "no pair", S(PROTO ";proto"), S("snappy"), 415, S(NO_PAIR("proto", PROTO ";proto")) },
        { "nothing", S(PROTO ";"), S("snappy"), 415, S(NO_PAIR("", PROTO ";")) },
        { "too much", S(PROTO ";a=b=c"), S("snappy"), 415, S(NO_PAIR("a=b=c", PROTO ";a=b=c")) },
        { "JSON", S("application/json"), S("snappy"), 415,
            S("expected " PROTO
              " as the first (media) part, got application/json content-type\n") },
        { "in capitals", S("Application/X-Protobuf"), S("snappy"), 415,
            S("expected " PROTO
              " as the first (media) part, got Application/X-Protobuf content-type\n") },
        { "gzip", S(PROTO), S("gzip"), 415,
            S("gzip encoding (compression) is not accepted by this server; only snappy is "
              "acceptable\n") },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .receiver = true });
    TEST_EACH(c, cases) {
        /* an empty message */
        struct test_answer w = post(&r, c->type, c->encoding, S("\x00"));
        EXPECT_EQ(w.status, c->status);
        EXPECT_STR(w.body, c->body);
    }
    rig_stop(&r);
}

TEST(write_packing)
{
    static const struct { const char *name; str body, words;
    } cases[] = {
        { "nothing", S(""), S("s2: corrupt input\n") },
        { "cut",
            { (const uint8_t *)"\x05\x10"
                               "abc",
                5 },
            S("s2: corrupt input\n") },
        { "more than it says",
            { (const uint8_t *)"\x01\x08"
                               "abc",
                5 },
            S("s2: corrupt input\n") },
        { "a length without end",
            { (const uint8_t *)"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 11 },
            S("s2: corrupt input\n") },
        { "32 MiB and one", { (const uint8_t *)"\x81\x80\x80\x10", 4 },
            S("decoded size exceeds the 33554432 bytes limit\n") },
        { "32 MiB that are not there", { (const uint8_t *)"\x80\x80\x80\x10\x00", 5 },
            S("s2: corrupt input\n") },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .receiver = true });
    TEST_EACH(c, cases) {
        struct test_answer w = post(&r, S(PROTO), S("snappy"), c->body);
        EXPECT_EQ(w.status, 400);
        EXPECT_STR(w.body, c->words);
    }
    rig_stop(&r);
}

TEST(write_messages)
{
    static const struct { const char *name; str message; int status; str words;
    } cases[] = {
        { "empty", S(""), 204, S("") },
        { "an unknown field", { (const uint8_t *)"\x78\x01", 2 }, 204, S("") },
        { "an unknown group", { (const uint8_t *)"\x7b\x08\x01\x7c", 4 }, 204, S("") },
        { "metadata", { (const uint8_t *)"\x1a\x05\x08\x01\x12\x01m", 7 }, 204, S("") },
        { "tag 0", { (const uint8_t *)"\x00", 1 }, 400,
            S("proto: WriteRequest: illegal tag 0 (wire type 0)\n") },
        { "a group that ends", { (const uint8_t *)"\x7c", 1 }, 400,
            S("proto: WriteRequest: wiretype end group for non-group\n") },
        { "a group without end", { (const uint8_t *)"\x7b\x08", 2 }, 400, S("unexpected EOF\n") },
        { "wrong type", { (const uint8_t *)"\x08\x01", 2 }, 400,
            S("proto: wrong wireType = 0 for field Timeseries\n") },
        { "no type", { (const uint8_t *)"\x7f", 1 }, 400, S("proto: illegal wireType 7\n") },
        { "cut",
            { (const uint8_t *)"\x0a\x05"
                               "abc",
                5 },
            400, S("unexpected EOF\n") },
        { "longer than half of all",
            { (const uint8_t *)"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 }, 400,
            S("proto: negative length found during unmarshaling\n") },
        { "longer than all",
            { (const uint8_t *)"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 }, 400,
            S("proto: integer overflow\n") },
        { "a label", { (const uint8_t *)"\x0a\x04\x0a\x02\x08\x01", 6 }, 400,
            S("proto: wrong wireType = 0 for field Name\n") },
        { "a sample", { (const uint8_t *)"\x0a\x04\x12\x02\x09\x00", 6 }, 400,
            S("unexpected EOF\n") },
        { "a sample's time", { (const uint8_t *)"\x0a\x04\x12\x02\x15\x00", 6 }, 400,
            S("proto: wrong wireType = 5 for field Timestamp\n") },
        { "an exemplar",
            { (const uint8_t *)"\x0a\x06\x1a\x04\x0a\x05"
                               "ab",
                8 },
            400, S("unexpected EOF\n") },
        { "metadata that is cut", { (const uint8_t *)"\x1a\x01\x08", 3 }, 400,
            S("unexpected EOF\n") },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .receiver = true });
    TEST_EACH(c, cases) {
        struct test_answer w = post_message(&r, c->message);
        EXPECT_EQ(w.status, c->status);
        EXPECT_STR(w.body, c->words);
        if (c->status >= 400)
            EXPECT_STR(test_answer_header(&w, S("X-Content-Type-Options")), S("nosniff"));
    }
    rig_stop(&r);
}

/* Each request goes to the same store, whose words are shorter than the head's; what is refused
 * leaves nothing of its request behind. */
TEST(write_samples)
{
    static const struct {
        const char *name, *labels;
        struct sample_in samples[3];
        size_t n;
        int status;
        str words;
    } cases[] = {
        { "one", "__name__ m a 1", { { 1000, 1 } }, 1, 204, S("") },
        { "the same again", "__name__ m a 1", { { 1000, 1 } }, 1, 204, S("") },
        { "unsorted labels are sorted", "a 1 __name__ m", { { 2000, 2 } }, 1, 204, S("") },
        { "an empty label is none", "__name__ m a 1 b -", { { 3000, 3 } }, 1, 204, S("") },
        { "another value", "__name__ m a 1", { { 3000, 4 } }, 1, 400, S("duplicate\n") },
        { "older", "__name__ n b 1", { { 4000, 4 }, { 2500, 1 } }, 2, 400,
            S("out of order sample\n") },
        { "too far ahead", "__name__ m a 1", { { INT64_MAX / 2, 1 } }, 1, 400,
            S("out of bounds: timestamp is too far in the future\n") },
        { "no name is left out", "a 1", { { 1000, 1 } }, 1, 204, S("") },
        { "an empty name, too", "__name__ - a 1", { { 1000, 1 } }, 1, 204, S("") },
        { "a label twice, too", "__name__ m a 1 a 2", { { 9000, 1 } }, 1, 204, S("") },
        { "no labels, too", "", { { 1000, 1 } }, 1, 204, S("") },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .receiver = true });
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        put_series(&b, c->labels, c->samples, c->n);
        struct test_answer w = post_message(&r, buf_view(&b));
        EXPECT_EQ(w.status, c->status);
        EXPECT_STR(w.body, c->words);
    }
    static const struct rig_case asked[] = {
        { "what is there", "GET", "/api/v1/query?query=%7Ba=%221%22%7D%5B1h%5D&time=60",
            .status = 200,
            .body = "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{"
                    "\"metric\":{\"__name__\":\"m\",\"a\":\"1\"},\"values\":"
                    "[[1,\"1\"],[2,\"2\"],[3,\"3\"]]}]}}" },
        { "what is not", "GET", "/api/v1/query?query=n%5B1h%5D&time=60", .status = 200,
            .body = "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}" },
    };
    RIG_CHECK(&r, asked);
    rig_stop(&r);
}

TEST(write_receivers_that_are_off)
{
    static const struct rig_case cases[] = {
        { "write", "POST", "/api/v1/write", .status = 404,
            .body = "remote write receiver needs to be enabled with "
                    "--web.enable-remote-write-receiver\n" },
        { "OTLP", "POST", "/api/v1/otlp/v1/metrics", .status = 404,
            .body = "otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n" },
        { "by GET", "GET", "/api/v1/write", .status = 405, .body = "Method Not Allowed\n" },
    };
    struct rig r;
    rig_start(&r, &(struct rig_opts){ 0 });
    RIG_CHECK(&r, cases);
    rig_stop(&r);
}
