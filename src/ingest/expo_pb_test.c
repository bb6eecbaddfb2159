#include "ingest/expo_pb.h"

#include "base/f64.h"
#include "base/test.h"

/* A classic histogram h with one bucket of le 1 (count 2 of 3), then a gauge g of 4. */
static const char page[] =
    "\x18\x0a\x01h\x18\x04\x22\x11\x3a\x0f\x08\x03\x1a\x0b\x08\x02\x11\0\0\0\0\0\0\xf0\x3f"
    "\x12\x0a\x01g\x18\x01\x22\x0b\x12\x09\x09\0\0\0\0\0\0\x10\x40";

struct seen {
    struct expo_spot spot;
    uint64_t key;
    double v;
    str name;
};

TEST(protobuf_parts_in_order)
{
    static const struct {
        const char *name;
        str series;
        double v;
    } want[] = {
        { "count", S("h_count"), 3 },
        { "sum", S("h_sum"), 0 },
        { "bucket", S("h_bucket"), 2 },
        { "+Inf", S("h_bucket"), 3 },
        { "gauge", S("g"), 4 },
    };
    struct arena a = { 0 };
    uint8_t *body = arena_zalloc(&a, sizeof(page) - 1 + EXPO_PADDING);
    memcpy(body, page, sizeof(page) - 1);
    struct expo x, again;
    struct seen seen[ARRAY_LEN(want)];
    struct err e = { 0 };
    enum expo_entry kind;
    size_t n = 0;
    expo_init(&x, EXPO_PROTOBUF, body, sizeof(page) - 1, NULL);
    for (;;) {
        EXPECT_OK_E(expo_next(&x, &kind, &e), &e);
        if (kind == EXPO_END) break;
        if (kind != EXPO_SERIES) continue;
        EXPECT(n < ARRAY_LEN(want));
        test_case(want[n].name);
        str name = labels_get(expo_labels(&x, &a), METRIC_NAME);
        EXPECT_STR(name, want[n].series);
        EXPECT(x.value == want[n].v);
        for (size_t i = 0; i < n; i++) EXPECT(seen[i].key != x.key);
        seen[n++] = (struct seen){ expo_spot(&x), x.key, x.value, name };
    }
    EXPECT_EQ(n, ARRAY_LEN(want));
    /* any of them is found again, in any order */
    expo_init(&again, EXPO_PROTOBUF, body, sizeof(page) - 1, NULL);
    for (size_t i = n; i-- > 0;) {
        EXPECT_OK(expo_return(&again, seen[i].spot, NULL));
        EXPECT_EQ(again.key, seen[i].key);
        EXPECT(again.value == seen[i].v);
        EXPECT_STR(labels_get(expo_labels(&again, &a), METRIC_NAME), seen[i].name);
    }
    expo_fini(&again);
    expo_fini(&x);
    arena_fini(&a);
}
