#include "remote/read_codec.h"

#include "base/test.h"

/* Query 1000..2000 {a="b", c=~"d.*"} with hints, then one of no matchers; chunks, then samples. */
static const uint8_t request[] = { 0x0a, 0x2b, 0x08, 0xe8, 0x07, 0x10, 0xd0, 0x0f, 0x1a, 0x06, 0x12,
    0x01, 'a', 0x1a, 0x01, 'b', 0x1a, 0x0a, 0x08, 0x02, 0x12, 0x01, 'c', 0x1a, 0x03, 'd', '.', '*',
    0x22, 0x0f, 0x08, 0x0f, 0x12, 0x04, 'r', 'a', 't', 'e', 0x18, 0x64, 0x20, 0xc8, 0x01, 0x38,
    0x1e, 0x0a, 0x02, 0x08, 0x01, 0x12, 0x02, 0x01, 0x00 };

static str whole(void) { return str_of(request, sizeof(request)); }

TEST(read_request_is_taken_apart)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct read_request r = { 0 };
    struct err e = { 0 };
    EXPECT_OK_E(read_request_decode(&r, whole(), &a, &e), &e);
    EXPECT_EQ(r.n, 2);
    EXPECT_EQ(r.kind, READ_CHUNKS);
    const struct read_query *q = &r.queries[0];
    EXPECT(q->mint == 1000 && q->maxt == 2000 && q->matchers.n == 2 && q->has_hints);
    EXPECT(q->start == 100 && q->end == 200 && q->step == 15 && q->range == 30);
    EXPECT_STR(q->func, S("rate"));
    EXPECT(q->matchers.at[1].type == MATCH_RE && matcher_matches(&q->matchers.at[1], S("dx")));
    EXPECT(r.queries[1].mint == 1 && r.queries[1].matchers.n == 0);
    read_request_fini(&r);
}

TEST(read_request_prefixes_and_flips)
{
    uint8_t bytes[sizeof(request)];
    for (size_t n = 0; n <= sizeof(request); n++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct read_request r = { 0 };
        errc rc = read_request_decode(&r, str_of(request, n), &a, NULL);
        EXPECT(rc == OK || rc == ERR_BAD_INPUT);
        read_request_fini(&r);
    }
    for (size_t i = 0; i < sizeof(request) * 8; i++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct read_request r = { 0 };
        memcpy(bytes, request, sizeof(bytes));
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        errc rc = read_request_decode(&r, str_of(bytes, sizeof(bytes)), &a, NULL);
        EXPECT(rc == OK || rc == ERR_BAD_INPUT);
        read_request_fini(&r);
    }
}

TEST(read_request_says_what_is_wrong)
{
    static const struct { const char *name; str body, query, kind, error; } cases[] = {
        { "nothing", S(""), S(""), S(""), S("") },
        { "no message", { (const uint8_t *)"\x7f", 1 }, S(""), S(""),
            S("proto: illegal wireType 7") },
        { "cut", { (const uint8_t *)"\x0a\x05\x08", 3 }, S(""), S(""), S("unexpected EOF") },
        { "a kind nobody knows", { (const uint8_t *)"\x10\x09", 2 }, S(""),
            S("server does not support any of the requested response types: [9]; supported: "
              "map[SAMPLES:{} STREAMED_XOR_CHUNKS:{}]"),
            S("") },
        { "a matcher nobody knows", { (const uint8_t *)"\x0a\x04\x1a\x02\x08\x04", 6 },
            S("invalid matcher type"), S(""), S("") },
        { "no regular expression",
            { (const uint8_t *)"\x0a\x0a\x1a\x08\x08\x02\x12\x01x\x1a\x01(", 12 },
            S("error parsing regexp: missing closing ): `(`"), S(""), S("") },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct read_request r = { 0 };
        struct err e = { 0 };
        test_case(cases[i].name);
        errc rc = read_request_decode(&r, cases[i].body, &a, &e);
        EXPECT_EQ(rc, cases[i].error.n ? ERR_BAD_INPUT : OK);
        if (rc != OK) EXPECT_STR(err_str(&e), cases[i].error);
        EXPECT_STR(r.bad_kind, cases[i].kind);
        if (cases[i].query.n) EXPECT_STR(r.queries[0].bad, cases[i].query);
        read_request_fini(&r);
    }
}

TEST(read_query_without_external)
{
    struct label external[] = { { S("b"), S("x") }, { S("c"), S("y") } };
    struct matcher ms[] = { { MATCH_EQ, S("c"), S("y"), NULL }, { MATCH_EQ, S("b"), S("z"), NULL },
        { MATCH_NE, S("b"), S("x"), NULL } };
    struct read_query q = { .matchers = { ms, 3 } };
    read_query_strip(&q, (struct labels){ external, 2 });
    EXPECT_STR(ms[0].value, S(""));
    EXPECT_STR(ms[1].value, S("z"));
    EXPECT_STR(ms[2].value, S("x"));
}

TEST(read_answers_in_bytes)
{
    SCOPED(read_series_fini) struct read_series s = { 0 };
    SCOPED(buf_fini) struct buf result = { 0 }, response = { 0 }, frames = { 0 };
    struct label l = { S("a"), S("b") };
    read_series_begin(&s, &result);
    read_series_float(&s, 0, 0);
    read_series_float(&s, 1, 1);
    read_series_end(&s, (struct labels){ &l, 1 });
    read_result_end(&response, buf_view(&result));
    static const uint8_t want[] = { 0x0a, 0x19, 0x0a, 0x17, 0x0a, 0x06, 0x0a, 0x01, 'a', 0x12, 0x01,
        'b', 0x12, 0x00, 0x12, 0x0b, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0x01 };
    EXPECT_STR(buf_view(&response), str_of(want, sizeof(want)));
    struct chunk_view chunks[] = { { 1, 2, 1, S("xx") }, { 3, 4, 1, S("yy") },
        { 5, 6, 1, S("z") } };
    EXPECT_EQ(read_frame(&frames, (struct labels){ &l, 1 }, chunks, 3, 0, 100), 3);
    EXPECT_EQ(frames.p[0], frames.n - 5);                      /* all in one */
    buf_reset(&frames);
    for (size_t i = 0; i < 3; i++)
        EXPECT_EQ(read_frame(&frames, (struct labels){ &l, 1 }, chunks + i, 3 - i, 7, 1), 1);
    EXPECT_EQ(frames.n, 3 * 5 + 2 * 24 + 23);                  /* each alone, with its query */
}
