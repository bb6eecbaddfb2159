#include "block/float_cache.h"

#include "base/prng.h"
#include "base/test.h"

enum { N = 120, ROOM = 200 };
static int64_t t[ROOM];
static double v[ROOM];

static void make(struct float_key k)
{
    for (size_t i = 0; i < N; i++) {
        t[i] = (int64_t)(k.ref * 1000 + i * 15);
        v[i] = (double)k.block + (double)(i * k.ref) / 8;
    }
}

/* The samples, or that it is not there and whether it is to be kept. */
static bool look(struct float_key k, enum float_found *found)
{
    int64_t got_t[ROOM];
    double got_v[ROOM];
    size_t n = float_cache_get(k, got_t, got_v, ROOM, found);
    if (!n) return false;
    make(k);
    EXPECT_EQ(n, N);
    EXPECT_EQ(*found, FLOATS_THERE);
    EXPECT(!memcmp(t, got_t, N * sizeof(*t)) && !memcmp(v, got_v, N * sizeof(*v)));
    return true;
}

static void put(struct float_key k)
{
    make(k);
    float_cache_put(k, t, v, N);
}

TEST(float_cache_keeps_what_comes_again)
{
    enum float_found found;
    struct float_key k = { float_cache_block_id(), 77 }, other = { float_cache_block_id(), 77 };
    EXPECT(k.block != other.block);
    EXPECT(!look(k, &found) && found == FLOATS_UNKNOWN);
    EXPECT(!look(k, &found) && found == FLOATS_WANTED);
    put(k);
    put(k);
    EXPECT(look(k, &found));
    EXPECT(!look(other, &found));
    EXPECT_EQ(float_cache_get(k, t, v, N - 1, &found), 0);
    EXPECT_EQ(found, FLOATS_THERE);
    float_cache_forget(other.block);
    EXPECT(look(k, &found));
    float_cache_forget(k.block);
    EXPECT(!look(k, &found));
    EXPECT_EQ(float_cache_stats().size_bytes, 0);
}

TEST(float_cache_lets_go_of_what_rests)
{
    enum float_found found;
    uint64_t block = float_cache_block_id();
    struct float_key used = { block, 1 }, idle = { block, 2 }, later = { block, 3 };
    int64_t now_ns = 1ll << 61;            /* later than all tests before */
    put(used);
    put(idle);
    float_cache_age(now_ns);
    EXPECT(look(used, &found));
    put(later);
    float_cache_age(now_ns + FLOAT_CACHE_IDLE_NS - 1); /* not yet */
    EXPECT_EQ(float_cache_get(idle, t, v, 1, &found), 0);
    EXPECT_EQ(found, FLOATS_THERE);
    float_cache_age(now_ns + FLOAT_CACHE_IDLE_NS);
    EXPECT(!look(idle, &found));
    EXPECT(look(used, &found));
    EXPECT(look(later, &found));
    float_cache_age(now_ns + 2 * FLOAT_CACHE_IDLE_NS);
    float_cache_age(now_ns + 3 * FLOAT_CACHE_IDLE_NS);
    EXPECT_EQ(float_cache_stats().size_bytes, 0);
}

TEST(float_cache_limit)
{
    enum { LIMIT = 256 << 10, CHUNKS = 2000 };
    struct prng r = { test_seed() };
    enum float_found found;
    uint64_t block = float_cache_block_id(), hits = float_cache_stats().hits;
    float_cache_set_limit(LIMIT);
    for (int i = 0; i < 20000; i++) {
        /* some are asked for more often */
        struct float_key k = { block, prng_below(&r, prng_below(&r, 2) ? CHUNKS : 50) };
        if (!look(k, &found) && found == FLOATS_WANTED) put(k);
        EXPECT(float_cache_stats().size_bytes <= LIMIT);
    }
    EXPECT(float_cache_stats().hits - hits > 9000);
    EXPECT(float_cache_stats().evictions > 0);
    float_cache_set_limit(0);
    EXPECT_EQ(float_cache_stats().size_bytes, 0);
    EXPECT(!look((struct float_key){ block, 1 }, &found) && found == FLOATS_UNKNOWN);
    float_cache_set_limit(24 << 20);
}
