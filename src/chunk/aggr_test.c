#include "chunk/aggr.h"

#include "base/test.h"
#include "chunk/test_aggr.h"

enum { ALL = (1 << AGGR_KINDS) - 1, WINDOWS = 24, MINT = 600000 };

static errc measure(struct chunk_measure *m, str data, struct err *e)
{
    struct chunk_iter it;
    chunk_iter_init(&it);
    errc rc = aggr_measure(m, &it, data, e);
    chunk_iter_fini(&it);
    return rc;
}

TEST(aggr_split_and_measure)
{
    for (unsigned kinds = 0; kinds <= ALL; kinds++) {
        SCOPED(buf_fini) struct buf b = { 0 };
        struct aggr_one all[AGGR_KINDS];
        struct chunk_measure m;
        struct err e = { 0 };
        bool windows = kinds & (ALL - (1u << AGGR_COUNTER));
        test_aggr_chunk(&b, MINT, WINDOWS, kinds);
        EXPECT_OK_E(aggr_split(all, buf_view(&b), &e), &e);
        for (unsigned k = 0; k < AGGR_KINDS; k++)
            EXPECT_EQ(all[k].enc, kinds & 1u << k ? CHUNK_XOR : CHUNK_NONE);
        EXPECT_OK_E(measure(&m, buf_view(&b), &e), &e);
        EXPECT_EQ(m.n, windows ? WINDOWS : 0);
        if (windows)
            EXPECT(m.mint == MINT && m.maxt == MINT + (WINDOWS - 1) * TEST_AGGR_STEP_MS);
    }
}

/* Whatever is cut off or changed ends in an answer, and nothing behind the end is read. */
TEST(aggr_prefixes_and_flips)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    struct chunk_measure m;
    test_aggr_chunk(&b, MINT, WINDOWS, ALL);
    for (size_t n = 0; n < b.n; n++) {
        uint8_t *exact = mem_alloc(n);
        if (n) memcpy(exact, b.p, n);
        EXPECT_EQ(measure(&m, str_of(exact, n), NULL), ERR_CORRUPT);
        mem_free(exact);
    }
    for (size_t i = 0; i < b.n * 8; i++) {
        b.p[i / 8] ^= (uint8_t)(1 << i % 8);
        errc rc = measure(&m, buf_view(&b), NULL);
        EXPECT(rc == OK || rc == ERR_CORRUPT);
        b.p[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    buf_u8(&b, 0);
    EXPECT_EQ(measure(&m, buf_view(&b), NULL), ERR_CORRUPT);
}

TEST(aggr_says_what_is_wrong)
{
    static const struct { const char *name; str data, error; } cases[] = {
        { "empty", { (const uint8_t *)"", 0 }, S("chunk of aggregates: it has another length") },
        { "an aggregate of aggregates", { (const uint8_t *)"\0\1\xff\0\0\0\0", 7 },
            S("chunk of aggregates: sum: unknown encoding 255") },
        { "no header", { (const uint8_t *)"\1\1\0\0\0\0\0", 7 },
            S("chunk of aggregates: count: chunk: 1 bytes are no header") },
    };
    TEST_EACH(c, cases) {
        struct aggr_one all[AGGR_KINDS];
        struct err e = { 0 };
        EXPECT_EQ(aggr_split(all, c->data, &e), ERR_CORRUPT);
        EXPECT_STR(err_str(&e), c->error);
    }
}
