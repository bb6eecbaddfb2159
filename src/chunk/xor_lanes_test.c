/* xor_lanes_test.c — chunks side by side are what they are one by one. */
#include "chunk/xor_lanes.h"

#include "base/mem.h"
#include "base/test.h"
#include "chunk/test_samples.h"

enum { ROOM = 2048 };
static int64_t t[XOR_LANES_CHUNKS][ROOM], want_t[ROOM];
static double v[XOR_LANES_CHUNKS][ROOM], want_v[ROOM];

/* An exact copy with as much behind it, so that a sanitizer sees reads past the end. */
static str random_chunk(struct prng *r, bool damaged, size_t behind)
{
    static uint8_t bytes[XOR_ROOM(TEST_SAMPLES_MAX)];
    size_t n = test_samples(r, want_t, want_v), len = xor_encode(bytes, want_t, want_v, n);
    if (damaged && prng_below(r, 2)) len = 2 + prng_below(r, len - 1);
    for (uint64_t flips = damaged ? prng_below(r, 4) : 0; flips > 0; flips--) {
        uint64_t bit = prng_below(r, 8 * len);
        if (bit >= 5 && bit < 16) continue;    /* as many samples as there is room for */
        if (bit >= 16) bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t k = 20; damaged && k < len && prng_below(r, 8) == 0; k++)
        bytes[k] = prng_below(r, 3) ? bytes[k - 1] : (uint8_t)prng_u64(r);
    uint8_t *copy = mem_alloc(len + behind);
    memcpy(copy, bytes, len);
    for (size_t k = 0; k < behind; k++)
        copy[len + k] = (uint8_t)prng_u64(r);
    return str_of(copy, len);
}

static void expect_as_alone(const struct xor_lane *lane, str chunk)
{
    struct xor_iter it;
    size_t at = 0, got = 1;
    xor_iter_init(&it, chunk);
    while (got > 0 && xor_iter_fill(&it, want_t + at, want_v + at, ROOM - at, &got, NULL) == OK)
        at += got;
    EXPECT_EQ(lane->it.i, at);
    EXPECT_EQ(lane->it.bad, it.bad);
    EXPECT(!memcmp(lane->t, want_t, at * sizeof(*want_t)));
    EXPECT(!memcmp(lane->v, want_v, at * sizeof(*want_v)));
}

static void expect_lanes(struct prng *r, size_t n, unsigned damaged_of)
{
    static const size_t behinds[] = { 0, 10, XOR_LANES_BEHIND_BYTES };
    struct xor_lane lanes[XOR_LANES_CHUNKS];
    str chunks[XOR_LANES_CHUNKS];
    for (size_t i = 0; i < n; i++) {
        size_t behind = behinds[prng_below(r, ARRAY_LEN(behinds))];
        chunks[i] = random_chunk(r, damaged_of && prng_below(r, damaged_of) == 0, behind);
        /* nothing is written behind what there is */
        for (size_t k = 0; k < ROOM; k++) t[i][k] = -1;
        lanes[i] = (struct xor_lane){ .behind = behind, .t = t[i], .v = v[i] };
        xor_iter_init(&lanes[i].it, chunks[i]);
    }
    xor_lanes_decode(lanes, n);
    for (size_t i = 0; i < n; i++) {
        expect_as_alone(&lanes[i], chunks[i]);
        for (size_t k = xor_count(chunks[i]); k < ROOM; k++) EXPECT_EQ(t[i][k], -1);
        mem_free((void *)chunks[i].p);
    }
}

/* As the machine does it best, as older ones do it, and as one without wide registers. */
static void expect_all_ways(void (*check)(struct prng *r, int i))
{
    struct prng r = { test_seed() };
    for (int i = 0; i < 2000; i++)
        check(&r, i);
    xor_lanes_use(XOR_LANES_WIDE);
    for (int i = 0; i < 1000; i++)
        check(&r, i);
    xor_lanes_use(XOR_LANES_PLAIN);
    for (int i = 0; i < 200; i++)
        check(&r, i);
    xor_lanes_use(XOR_LANES_BEST);
}

static void expect_good(struct prng *r, int i)
{
    expect_lanes(r, (size_t)i % (XOR_LANES_CHUNKS + 1), 0);
}

static void expect_damaged(struct prng *r, int i)
{
    expect_lanes(r, 1 + prng_below(r, XOR_LANES_CHUNKS), 1 + (unsigned)i % 8);
}

TEST(xor_lanes_good)
{
    expect_all_ways(expect_good);
}
TEST(xor_lanes_damaged)
{
    expect_all_ways(expect_damaged);
}
