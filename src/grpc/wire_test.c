#include "grpc/wire.h"

#include "base/test.h"

TEST(grpc_timeouts)
{
    static const struct { const char *name; str text; bool ok; int64_t ns; } cases[] = {
        { "hours", S("2H"), true, INT64_C(7200000000000) },
        { "minutes", S("1M"), true, INT64_C(60000000000) },
        { "seconds", S("10S"), true, INT64_C(10000000000) },
        { "ms", S("100m"), true, 100000000 },
        { "us", S("7u"), true, 7000 },
        { "ns", S("99999999n"), true, 99999999 },
        { "a very long time", S("99999999H"), true, INT64_C(31536000000000000) },
        { "nine digits", S("100000000m"), false, 0 },
        { "no unit", S("100"), false, 0 },
        { "no number", S("S"), false, 0 },
        { "negative", S("-1S"), false, 0 },
        { "empty", S(""), false, 0 },
    };
    TEST_EACH(c, cases) {
        int64_t ns = 0;
        EXPECT_EQ(grpc_timeout(c->text, &ns), c->ok);
        EXPECT_EQ(ns, c->ns);
    }
}

TEST(grpc_paths)
{
    str service, method;
    EXPECT(grpc_path(S("/thanos.Store/Series"), &service, &method));
    EXPECT_STR(service, S("thanos.Store"));
    EXPECT_STR(method, S("Series"));
    EXPECT(!grpc_path(S("thanos.Store/Series"), &service, &method));
    EXPECT(!grpc_path(S("/thanos.Store"), &service, &method));
    EXPECT(!grpc_path(S("/thanos.Store/"), &service, &method));
    EXPECT(!grpc_path(S("//Series"), &service, &method));
    EXPECT(!grpc_path(S(""), &service, &method));
}

TEST(grpc_words_and_names)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    grpc_put_words(&b, S("100% of \xc3\xbc\n~"));
    EXPECT_STR(buf_view(&b), S("100%25 of %C3%BC%0A~"));
    EXPECT_STR(grpc_code_name(GRPC_RESOURCE_EXHAUSTED), S("ResourceExhausted"));
    EXPECT_EQ(grpc_code_of(ERR_TIMEOUT), GRPC_DEADLINE_EXCEEDED);
    EXPECT_EQ(grpc_code_of(OK), GRPC_OK);
    for (int rc = 1; rc < ERRC_COUNT; rc++) EXPECT(grpc_code_of((errc)rc) != GRPC_OK);
}

TEST(grpc_frames)
{
    static const uint8_t good[] = { 0, 0, 0, 0, 3, 'a', 'b', 'c' };
    struct grpc_frame f = { 0 };
    struct err e = { 0 };
    for (size_t n = 0; n < sizeof(good); n++) {
        EXPECT_OK(grpc_frame_read(&f, str_of(good, n), false, 3, &e));
        EXPECT_EQ(grpc_frame_read(&f, str_of(good, n), true, 3, &e), ERR_BAD_INPUT);
        EXPECT_EQ(f.body.n, 0);
    }
    EXPECT_OK(grpc_frame_read(&f, str_of(good, sizeof(good)), true, 3, &e));
    EXPECT_STR(f.body, S("abc"));
    EXPECT_EQ(grpc_frame_read(&f, str_of(good, 5), false, 2, &e), ERR_LIMIT);
    EXPECT_STR(err_str(&e), S("grpc: received message larger than max (3 vs. 2)"));
    EXPECT_EQ(grpc_frame_read(&f, S("\x02\0\0\0\1x"), true, 3, &e), ERR_BAD_INPUT);
    EXPECT_EQ(grpc_frame_read(&f, S("\0\0\0\0\1xy"), true, 3, &e), ERR_BAD_INPUT);
    uint8_t head[GRPC_HEAD_BYTES];
    grpc_put_head(head, 0x010203);
    EXPECT_STR(str_of(head, sizeof(head)), S("\0\0\1\2\3"));
}
