#include "base/crc32c.h"
#include "base/test.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

TEST(crc32c_known)
{
    static const uint8_t zeros[32];
    uint8_t ones[32], rising[32];
    memset(ones, 0xff, sizeof(ones));
    for (unsigned i = 0; i < 32; i++) rising[i] = (uint8_t)i;
    const struct { const char *name; str in; uint32_t want; } cases[] = {
        { "empty", STR_EMPTY, 0 },
        { "digits", S("123456789"), 0xe3069283 },
        { "32 zeros (RFC 3720)", { zeros, 32 }, 0x8a9136aa },
        { "32 ones (RFC 3720)", { ones, 32 }, 0x62a8ab43 },
        { "32 rising (RFC 3720)", { rising, 32 }, 0x46dd794e },
    };
    TEST_EACH(c, cases) EXPECT_EQ(crc32c_str(c->in), c->want);
}

TEST(crc32c_goes_on)
{
    uint8_t bytes[300];
    struct prng r = { test_seed() };
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)prng_u64(&r);
    uint32_t whole = crc32c(0, bytes, sizeof(bytes));
    for (size_t cut = 0; cut <= sizeof(bytes); cut++)
        EXPECT_EQ(crc32c(crc32c(0, bytes, cut), bytes + cut, sizeof(bytes) - cut), whole);
}

/* By all ways the same, whatever came before and wherever it lies. */
TEST(crc32c_by_either_way)
{
    enum { LONGEST = 900, PLACES = 9 };
    static uint8_t room[LONGEST + PLACES];
    struct prng r = { test_seed() };
    for (size_t i = 0; i < sizeof(room); i++) room[i] = (uint8_t)prng_u64(&r);
    for (size_t n = 0; n <= LONGEST; n++) {
        uint32_t before = n % 3 ? (uint32_t)prng_u64(&r) : 0;
        const uint8_t *at = room + n % PLACES;
        uint32_t got = crc32c(before, at, n);
        crc32c_use_plain(true);
        EXPECT_EQ(got, crc32c(before, at, n));
        crc32c_use_plain(false);
    }
}

#if defined(__x86_64__)
/* Which parts of the vector registers are not as they were at the start: false, nobody can tell. */
__attribute__((target("avx,xsave"))) static bool uppers_after(str text, uint64_t *used)
{
    enum { XSAVE_LEAF = 0xd, IN_USE_IS_TOLD = 1 << 2 };
    unsigned a = 0, b, c, d;
    if (!__builtin_cpu_supports("avx") || !__get_cpuid_count(XSAVE_LEAF, 1, &a, &b, &c, &d) ||
        !(a & IN_USE_IS_TOLD))
        return false;
    _mm256_zeroupper();
    (void)crc32c_str(text);
    *used = _xgetbv(1);
    return true;
}

TEST(crc32c_leaves_no_upper_halves)
{
    enum { UPPER_HALVES = 1 << 2 | 1 << 6 }; /* of 256 bits, and of 512 */
    static uint8_t bytes[1000];
    uint64_t used = 0;
    for (size_t n = 100; n <= sizeof(bytes); n += 300)
        if (uppers_after(str_of(bytes, n), &used)) EXPECT_EQ(used & UPPER_HALVES, 0);
}
#endif
