#include "storeapi/store_codec.h"

#include "base/pb_put.h"
#include "base/test.h"
#include "chunk/aggr.h"
#include "chunk/chunk.h"
#include "storeapi/test_golden.h"

#define GOLDEN(name) str_of(golden_##name, sizeof(golden_##name))

typedef errc (*decoder)(struct store_request *, str, struct arena *, struct err *);

static void expect_matcher(const struct matcher *m, enum match_type type, str name, str value)
{
    EXPECT_EQ(m->type, type);
    EXPECT_STR(m->name, name);
    EXPECT_STR(m->value, value);
}

TEST(store_series_request_golden)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct store_request r = { 0 };
    struct err e = { 0 };
    EXPECT_OK_E(store_series_request(&r, GOLDEN(series_request), &a, &e), &e);
    EXPECT(r.mint == -1000 && r.maxt == INT64_C(1) << 40 && r.abort && r.skip_chunks);
    EXPECT_EQ(r.matchers.n, 4);
    expect_matcher(&r.matchers.at[0], MATCH_EQ, S("a"), S("b"));
    expect_matcher(&r.matchers.at[1], MATCH_NE, S("c"), S(""));
    expect_matcher(&r.matchers.at[2], MATCH_RE, S("d"), S("x.*"));
    expect_matcher(&r.matchers.at[3], MATCH_NRE, S("e"), S("y|z"));
    EXPECT(r.hints && r.blocks.n == 1 && matcher_matches(&r.blocks.at[0], S("01ARZ")));
    EXPECT(r.shard.index == 1 && r.shard.total == 3 && r.shard.by && r.shard.labels.n == 2);
    EXPECT_STR(r.shard.labels.at[1], S("pod"));
    EXPECT_EQ(r.without.n, 2);
    EXPECT_STR(r.without.at[0], S("a"));
    EXPECT_STR(r.without.at[1], S("replica"));
    EXPECT(r.limit == 77 && r.batch == 0);
    EXPECT(r.window_ms == 300000 && r.aggregates == 1u << AGGR_COUNTER);
    store_request_fini(&r);
    EXPECT_OK(store_series_request(&r, str_of("\x80\x01\x40", 3), &a, &e));
    EXPECT_EQ(r.batch, 64);
    store_request_fini(&r);
    EXPECT_OK(store_series_request(&r, str_of("\x28\x01\x2a\x03\x03\x06\x00\x28\x02", 9), &a, &e));
    EXPECT_EQ(r.aggregates, 1u << AGGR_COUNT | 1u << AGGR_SUM | 1u << AGGR_MIN);
}

TEST(store_label_requests_golden)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct store_request r = { 0 };
    struct err e = { 0 };
    EXPECT_OK_E(store_names_request(&r, GOLDEN(names_request), &a, &e), &e);
    EXPECT(r.abort && r.mint == 1 && r.maxt == INT64_MAX && r.limit == 5 && r.hints);
    EXPECT(r.matchers.n == 2 && r.blocks.n == 1 && r.without.n == 1);
    store_request_fini(&r);
    EXPECT_OK_E(store_values_request(&r, GOLDEN(values_request), &a, &e), &e);
    EXPECT_STR(r.label, S("job"));
    EXPECT(r.abort && r.mint == 1 && r.maxt == 2 && r.limit == 6 && r.hints);
    EXPECT(r.matchers.n == 2 && r.blocks.n == 0 && r.without.n == 1);
    store_request_fini(&r);
}

/* Nothing that begins like a request, or differs by a bit, is read beyond its end or half. */
TEST(store_requests_prefixes_and_flips)
{
    const struct { const char *name; decoder decode; str good; } cases[] = {
        { "series", store_series_request, GOLDEN(series_request) },
        { "names", store_names_request, GOLDEN(names_request) },
        { "values", store_values_request, GOLDEN(values_request) },
    };
    TEST_EACH(c, cases) {
        uint8_t bytes[1024];
        EXPECT(c->good.n <= sizeof(bytes));
        for (size_t n = 0; n <= c->good.n; n++) {
            SCOPED(arena_fini) struct arena a = { 0 };
            struct store_request r = { 0 };
            uint8_t *exact = mem_alloc(n);
            memcpy(exact, c->good.p, n);
            errc rc = c->decode(&r, str_of(exact, n), &a, NULL);
            EXPECT(rc == OK || rc == ERR_BAD_INPUT);
            store_request_fini(&r);
            mem_free(exact);
        }
        for (size_t i = 0; i < c->good.n * 8; i++) {
            SCOPED(arena_fini) struct arena a = { 0 };
            struct store_request r = { 0 };
            memcpy(bytes, c->good.p, c->good.n);
            bytes[i / 8] ^= (uint8_t)(1 << i % 8);
            errc rc = c->decode(&r, str_of(bytes, c->good.n), &a, NULL);
            EXPECT(rc == OK || rc == ERR_BAD_INPUT);
            store_request_fini(&r);
        }
    }
}

TEST(store_requests_say_what_is_wrong)
{
    static const struct { const char *name; str body, error; } cases[] = {
        { "cut", { (const uint8_t *)"\x1a\x05\x08", 3 }, S("unexpected EOF") },
        { "a matcher nobody knows", { (const uint8_t *)"\x1a\x02\x08\x04", 4 },
            S("unsupported type of label matcher") },
        { "no regular expression", { (const uint8_t *)"\x1a\x08\x08\x02\x12\x01x\x1a\x01(", 10 },
            S("error parsing regexp: missing closing ): `(`") },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct store_request r = { 0 };
        struct err e = { 0 };
        EXPECT_EQ(store_series_request(&r, c->body, &a, &e), ERR_BAD_INPUT);
        EXPECT_STR(err_str(&e), c->error);
    }
}

/* One matcher of hints. */
static void put_hints(struct buf *q, unsigned field, str url, uint64_t type, str name, str value)
{
    SCOPED(buf_fini) struct buf m = { 0 }, hints = { 0 }, any = { 0 };
    pb_put_u64(&m, 1, type);
    pb_put_bytes(&m, 2, name);
    pb_put_bytes(&m, 3, value);
    pb_put_bytes(&hints, 1, buf_view(&m));
    pb_put_bytes(&any, 1, url);
    pb_put_bytes(&any, 2, buf_view(&hints));
    pb_put_bytes(q, field, buf_view(&any));
}

TEST(store_requests_hints)
{
    static const str own[] = { S("type.googleapis.com/hintspb.SeriesRequestHints"),
        S("type.googleapis.com/hintspb.LabelNamesRequestHints"),
        S("type.googleapis.com/hintspb.LabelValuesRequestHints") };
    static const struct { decoder decode; unsigned field; } methods[] = {
        { store_series_request, 9 }, { store_names_request, 5 }, { store_values_request, 6 } };
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        SCOPED(buf_fini) struct buf q = { 0 };
        struct store_request r = { 0 };
        struct err e = { 0 };
        unsigned field = methods[i].field;
        put_hints(&q, field, S("type.googleapis.com/other.Hints"), 2, S("__block_id"), S("("));
        EXPECT_OK_E(methods[i].decode(&r, buf_view(&q), &a, &e), &e);
        EXPECT(!r.hints && !r.blocks.n);                       /* somebody else's: not looked at */
        put_hints(&q, field, own[i], 2, S("__block_id"), S("01A|01B"));
        EXPECT_OK_E(methods[i].decode(&r, buf_view(&q), &a, &e), &e);
        EXPECT(r.hints && r.blocks.n == 1 && !r.matchers.n);
        expect_matcher(&r.blocks.at[0], MATCH_RE, S("__block_id"), S("01A|01B"));
        store_request_fini(&r);
        put_hints(&q, field, own[i], 0, S("zone"), S("x"));    /* the last one counts */
        EXPECT_OK_E(methods[i].decode(&r, buf_view(&q), &a, &e), &e);
        EXPECT_EQ(r.blocks.n, 1);
        expect_matcher(&r.blocks.at[0], MATCH_EQ, S("zone"), S("x"));
        store_request_fini(&r);
        put_hints(&q, field, own[i], 3, S("__block_id"), S("("));
        EXPECT_EQ(methods[i].decode(&r, buf_view(&q), &a, &e), ERR_BAD_INPUT);
        EXPECT_STR(err_str(&e), S("error parsing regexp: missing closing ): `(`"));
        buf_reset(&q);
        put_hints(&q, field, own[i], 9, S("__block_id"), S("x"));
        EXPECT_EQ(methods[i].decode(&r, buf_view(&q), &a, &e), ERR_BAD_INPUT);
        EXPECT_STR(err_str(&e), S("unsupported type of label matcher"));
        SCOPED(buf_fini) struct buf any = { 0 };
        pb_put_bytes(&any, 1, own[i]);
        pb_put_bytes(&any, 2, S("\x0a\x7f"));
        buf_reset(&q);
        pb_put_bytes(&q, field, buf_view(&any));
        EXPECT_EQ(methods[i].decode(&r, buf_view(&q), &a, &e), ERR_BAD_INPUT);
        EXPECT_STR(err_str(&e), S("unmarshal series request hints: unexpected EOF"));
    }
}

TEST(store_series_golden)
{
    SCOPED(buf_fini) struct buf b = { 0 }, series = { 0 };
    static const struct label labels[] = { { S("__name__"), S("up") }, { S("cluster"), S("eu") } };
    struct chunk_view chunks[] = { { -5, 1000, CHUNK_XOR, S("xor"), 0 },
        { 1001, 2000, CHUNK_FLOAT_HISTOGRAM, S("histogram"), 0 } };
    store_put_labels(&series, STORE_SERIES_LABELS, (struct labels){ labels, 2 });
    for (size_t i = 0; i < 2; i++) store_put_chunk(&series, STORE_SERIES_CHUNKS, &chunks[i], 0);
    pb_put_bytes(&b, STORE_SERIES, buf_view(&series));
    EXPECT_STR(buf_view(&b), GOLDEN(series_frame));
}

/* Of all that there are, those that are wanted. */
TEST(store_aggregates_golden)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    static const uint8_t all[] = { 2, CHUNK_XOR, 0, 0, 3, CHUNK_FLOAT_HISTOGRAM, 0, 0, 0, 0, 0, 2,
        CHUNK_XOR, 0, 0 };
    struct chunk_view c = { 1000, 2000, CHUNK_AGGR, str_of(all, sizeof(all)), 0 };
    unsigned wanted = 1u << AGGR_SUM | 1u << AGGR_MIN | 1u << AGGR_COUNTER;
    store_put_chunk(&b, STORE_SERIES_CHUNKS, &c, wanted);
    EXPECT_STR(buf_view(&b), GOLDEN(aggregates));
}

TEST(store_answers_golden)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    static const str blocks[] = { S("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        S("01ARZ3NDEKTSV4RRFFQ69G5FAW") };
    static const struct label eu[] = { { S("cluster"), S("eu") } },
                              us[] = { { S("cluster"), S("us") }, { S("replica"), S("0") } };
    pb_put_bytes(&b, STORE_WARNING, S("a warning"));
    EXPECT_STR(buf_view(&b), GOLDEN(warning));
    buf_reset(&b);
    store_put_hints(&b, STORE_KIND_SERIES, blocks, 2);
    EXPECT_STR(buf_view(&b), GOLDEN(series_hints));
    buf_reset(&b);
    pb_put_bytes(&b, STORE_VALUES, S("a"));
    pb_put_bytes(&b, STORE_VALUES, S("b"));
    pb_put_bytes(&b, STORE_WARNING, S("w"));
    store_put_hints(&b, STORE_KIND_NAMES, blocks, 1);
    EXPECT_STR(buf_view(&b), GOLDEN(names_response));
    buf_reset(&b);
    pb_put_bytes(&b, STORE_VALUES, S("x"));
    store_put_hints(&b, STORE_KIND_VALUES, NULL, 0);
    EXPECT_STR(buf_view(&b), GOLDEN(values_response));
    buf_reset(&b);
    struct store_info_part parts[] = { { { eu, 1 }, 1000, INT64_MAX }, { { us, 2 }, 2000, 3000 } };
    store_put_info(&b, S("sidecar"), parts, 2);
    EXPECT_STR(buf_view(&b), GOLDEN(info_response));
}
