/* prng_test.c — splitmix64's own numbers, and the shapes of what is made of them. */
#include "base/prng.h"

#include "base/test.h"

/* Vectors of splitmix64 (Steele, Lea, Flood 2014; seed 1234567). */
TEST(prng_vectors)
{
    static const uint64_t want[] = { 6457827717110365317u, 3203168211198807973u,
        9817491932198370423u, 4593380528125082431u, 16408922859458223821u };
    struct prng r = { 1234567 };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) EXPECT(prng_u64(&r) == want[i]);
}

TEST(prng_below_reaches_all_and_no_more)
{
    struct prng r = { test_seed() };
    EXPECT_EQ(prng_below(&r, 0), 0);
    EXPECT_EQ(prng_below(&r, 1), 0);
    for (uint64_t n = 2; n <= 64; n++) {
        uint64_t seen = 0, all = n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
        for (size_t i = 0; i < 4000; i++) {
            uint64_t v = prng_below(&r, n);
            EXPECT(v < n);
            seen |= UINT64_C(1) << v;
        }
        EXPECT(seen == all);
    }
    EXPECT(prng_below(&r, UINT64_MAX) < UINT64_MAX);
}

TEST(prng_unit_is_below_one)
{
    struct prng r = { test_seed() };
    double sum = 0;
    for (size_t i = 0; i < 20000; i++) {
        double v = prng_unit(&r);
        EXPECT(v >= 0 && v < 1);
        sum += v;
    }
    EXPECT(sum > 9500 && sum < 10500);
}

/* A length of the kernel's that is given in pieces, too; two secrets are not the same. */
TEST(prng_secret_fills_all)
{
    static uint8_t a[4096], b[4096];
    prng_secret(a, 0);
    for (size_t i = 0; i < sizeof(a); i++) EXPECT_EQ(a[i], 0);
    prng_secret(a, sizeof(a));
    prng_secret(b, sizeof(b));
    EXPECT(memcmp(a, b, sizeof(a)) != 0);
    size_t zeros = 0;
    for (size_t i = sizeof(a) - 64; i < sizeof(a); i++) zeros += a[i] == 0;
    EXPECT(zeros < 32);
}

TEST(prng_secret_follows_a_seed)
{
    uint64_t a[3], b[3], c[3];
    prng_fake_set(7);
    prng_secret(a, sizeof(a));
    prng_secret(b, sizeof(b));
    prng_fake_set(7);
    prng_secret(c, sizeof(c));
    prng_fake_off();
    EXPECT(memcmp(a, c, sizeof(a)) == 0 && memcmp(a, b, sizeof(a)) != 0);
    prng_secret(b, sizeof(b));
    EXPECT(memcmp(b, c, sizeof(b)) != 0);
}
