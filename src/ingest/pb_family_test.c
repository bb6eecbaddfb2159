#include "ingest/pb_family.h"

#include "base/test.h"

/* name "a", type counter, a metric with the label x="y", the value 1 and the time 5 */
#define METRIC "\x0a\x06\x0a\x01x\x12\x01y\x1a\x09\x09\0\0\0\0\0\0\xf0\x3f\x30\x05"
#define FAMILY                                                                                     \
    "\x0a\x01"                                                                                     \
    "a\x18\0\x22\x15" METRIC

static errc read_all(str page, size_t *metrics, struct err *e)
{
    struct pb_page p;
    bool more = true;
    errc rc = OK;
    *metrics = 0;
    pb_page_init(&p, page);
    while (rc == OK && (rc = pb_page_family(&p, &more, e)) == OK && more) {
        for (bool metric = true; rc == OK && metric;) {
            rc = pb_page_metric(&p, &metric, e);
            if (rc == OK && metric) rc = pb_metric_check_labels(&p.m, e);
            *metrics += rc == OK && metric;
        }
    }
    pb_page_fini(&p);
    return rc;
}

TEST(pb_family_is_read)
{
    struct pb_page p;
    struct label at[1];
    bool more;
    pb_page_init(&p, S("\x1c" FAMILY));
    EXPECT_OK(pb_page_family(&p, &more, NULL));
    EXPECT(more);
    EXPECT_STR(p.name, S("a"));
    EXPECT_EQ(p.type, PB_COUNTER);
    EXPECT_OK(pb_page_metric(&p, &more, NULL));
    EXPECT(more);
    EXPECT(p.m.value[PB_COUNTER] == 1);
    EXPECT_EQ(p.m.ts, 5);
    EXPECT_EQ(p.m.n_labels, 1);
    EXPECT_OK(pb_metric_check_labels(&p.m, NULL));
    EXPECT_EQ(pb_metric_labels(&p.m, at), 1);
    EXPECT_STR(at[0].name, S("x"));
    EXPECT_STR(at[0].value, S("y"));
    EXPECT_OK(pb_page_metric(&p, &more, NULL));
    EXPECT(!more);
    EXPECT_OK(pb_page_family(&p, &more, NULL));
    EXPECT(!more);
    pb_page_fini(&p);
}

TEST(pb_family_words)
{
    static const struct {
        const char *name;
        str page;
        const char *words;
    } cases[] = {
        { "good", S("\x1c" FAMILY), NULL },
        { "nothing", { (const uint8_t *)"", 0 }, NULL },
        { "a length without an end", S("\xff\xff\xff\xff\xff\x01"),
            "clientpb: invalid varint encountered" },
        { "too long", S("\x05\x0a\x01"),
            "clientpb: insufficient length of buffer, expected at least 6 bytes, got 3 bytes" },
        { "name is no bytes", S("\x02\x08\x01"), "proto: wrong wireType = 0 for field Name" },
        { "type is no varint", S("\x03\x1a\x01\x01"), "proto: wrong wireType = 2 for field Type" },
        { "end of no group", S("\x01\x0c"),
            "proto: MetricFamily: wiretype end group for non-group" },
        { "number 0", S("\x02\x02\0"), "proto: MetricFamily: illegal tag 0 (wire type 2)" },
        { "name cut",
            S("\x03\x0a\x05"
              "a"),
            "unexpected EOF" },
        { "metric: gauge is a varint", S("\x04\x22\x02\x10\x01"),
            "proto: wrong wireType = 0 for field Gauge" },
        { "metric: unknown fields", S("\x05\x22\x03\x60\x05\x60"), "unexpected EOF" },
        { "metric: gauge's value cut", S("\x06\x22\x04\x12\x02\x09\x01"), "unexpected EOF" },
        { "packed counts cut", S("\x09\x22\x07\x3a\x05\x72\x03\x01\x02\x03"), "unexpected EOF" },
        { "deltas as floats", S("\x06\x22\x04\x3a\x02\x6d\x01"),
            "proto: wrong wireType = 5 for field PositiveDelta" },
        { "label without a name", S("\x06\x22\x04\x0a\x02\x0a\0"), "invalid label name: " },
        { "label value is no UTF-8", S("\x07\x22\x05\x0a\x03\x12\x01\xff"),
            "invalid label value: \xff" },
        { "label cut", S("\x06\x22\x04\x0a\x02\x0a\x05"), "unexpected EOF" },
        { "ten bytes of a varint are fine",
            S("\x0d\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f\x18\0"), NULL },
        { "eleven are not", S("\x0c\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            "proto: integer overflow" },
    };
    TEST_EACH (c, cases) {
        struct err e = { 0 };
        size_t n;
        EXPECT_EQ(read_all(c->page, &n, &e), c->words ? ERR_BAD_INPUT : OK);
        if (c->words) EXPECT_STR(err_str(&e), str_z(c->words));
    }
}

/* What the last packed number takes of the field behind it, that field has not. */
TEST(pb_family_packed_numbers_may_overrun)
{
    struct pb_page p;
    bool more;
    /* a histogram of three packed bytes of counts, where the third begins a delta of two bytes */
    pb_page_init(&p, S("\x08\x22\x06\x3a\x04\x6a\x01\x82\x01"));
    EXPECT_OK(pb_page_family(&p, &more, NULL));
    EXPECT_OK(pb_page_metric(&p, &more, NULL));
    EXPECT_EQ(p.m.pos.deltas.n, 1);
    EXPECT_EQ(p.m.pos.deltas.at[0], 65);
    pb_page_fini(&p);
}

TEST(pb_family_prefixes_and_flips)
{
    static const char good[] = "\x1c" FAMILY "\x1c" FAMILY;
    size_t n;
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        uint8_t *copy = mem_zalloc(sizeof(good));
        memcpy(copy, good, i);
        EXPECT_EQ(read_all(str_of(copy, i), &n, NULL), i == 0 || i == 29 ? OK : ERR_BAD_INPUT);
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(copy, good, sizeof(good) - 1);
            copy[i] ^= (uint8_t)(1u << bit);
            (void)read_all(str_of(copy, sizeof(good) - 1), &n, NULL);
        }
        mem_free(copy);
    }
}

TEST(pb_family_exemplars)
{
    struct arena a = { 0 };
    str x = S("\x0a\x06\x0a\x01z\x12\x01"
              "1\x0a\x06\x0a\x01"
              "b\x12\x01"
              "2"
              "\x11\0\0\0\0\0\0\0\x40\x1a\x06\x08\x02\x10\x80\x89\x7a");
    struct pb_example got = pb_example_read(x, &a);
    EXPECT(got.value == 2);
    EXPECT_EQ(got.labels.n, 2);
    EXPECT_STR(got.labels.at[0].name, S("b"));
    EXPECT_STR(got.labels.at[1].value, S("1"));
    EXPECT_EQ(pb_instant_ms(got.timestamp), 2002);
    EXPECT(pb_example_time(x).p == got.timestamp.p);
    EXPECT(pb_example_time(S("\x11\0\0\0\0\0\0\0\x40")).p == NULL);
    arena_fini(&a);
}
