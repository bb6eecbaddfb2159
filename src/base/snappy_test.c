#include "base/snappy.h"

#include "base/mem.h"
#include "base/prng.h"
#include "base/test.h"

#include <snappy-c.h>

/* Ours beside the library, both in rooms of the exact size: a sanitizer sees a step too far. */
static bool both(str packed)
{
    size_t theirs_n = 0;
    uint32_t n = 0;
    const char *p = (const char *)packed.p;
    bool says = snappy_uncompressed_length(p, packed.n, &theirs_n) == SNAPPY_OK;
    EXPECT_EQ(snappy_length(packed, &n), says);
    if (!says || n > 1 << 20) return false;
    EXPECT_EQ(n, theirs_n);
    SCOPED(mem_freep)
    uint8_t *in = mem_alloc(packed.n),
            *ours = mem_alloc(n), *theirs = mem_alloc(n);
    memcpy(in, packed.p, packed.n);
    bool good = snappy_uncompress(p, packed.n, (char *)theirs, &theirs_n) == SNAPPY_OK;
    EXPECT_EQ(snappy_unpack(ours, n, str_of(in, packed.n)), good);
    if (good) EXPECT_STR(str_of(ours, n), str_of(theirs, n));
    return good;
}

TEST(snappy_elements)
{
    static const struct {
        const char *name;
        str packed;
        bool good;
    } cases[] = {
        { "nothing at all", S(""), false },
        { "no bytes", { (const uint8_t *)"\0", 1 }, true },
        { "a byte for none", { (const uint8_t *)"\0\0x", 3 }, false },
        { "a literal", { (const uint8_t *)"\3\10abc", 5 }, true },
        { "a literal cut", { (const uint8_t *)"\3\10ab", 4 }, false },
        { "a literal too long", { (const uint8_t *)"\2\10abc", 5 }, false },
        { "its length in one byte", { (const uint8_t *)"\3\xf0\2abc", 6 }, true },
        { "in four", { (const uint8_t *)"\3\xfc\2\0\0\0abc", 9 }, true },
        { "all that four can say",
            { (const uint8_t *)"\3\xfc\xff\xff\xff\xff"
                               "abc",
                9 },
            false },
        { "a near copy", { (const uint8_t *)"\7\10abc\1\3", 7 }, true },
        { "of what is not there", { (const uint8_t *)"\7\10abc\1\4", 7 }, false },
        { "of itself", { (const uint8_t *)"\7\10abc\1\0", 7 }, false },
        { "cut", { (const uint8_t *)"\7\10abc\1", 6 }, false },
        { "a far copy", { (const uint8_t *)"\5\10abc\6\2\0", 8 }, true },
        { "from too far", { (const uint8_t *)"\5\10abc\7\1\0\0\1", 10 }, false },
        { "from anywhere", { (const uint8_t *)"\5\10abc\7\1\0\0\0", 10 }, true },
        { "too little", { (const uint8_t *)"\11\10abc", 5 }, false },
        { "a length of five bytes", { (const uint8_t *)"\x83\x80\x80\x80\0\10abc", 9 }, true },
        { "of six", { (const uint8_t *)"\x83\x80\x80\x80\x80\0\10abc", 10 }, false },
        { "beyond 32 bits", { (const uint8_t *)"\x83\x80\x80\x80\x10\10abc", 9 }, false },
    };
    TEST_EACH(c, cases) {
        EXPECT_EQ(both(c->packed), c->good);
    }
}

/* Words of a small dictionary, and noise: short and long elements of every kind. */
static size_t text(struct prng *r, uint8_t *to, size_t n)
{
    size_t at = 0;
    while (at < n) {
        size_t len = MIN(1 + prng_below(r, prng_below(r, 8) ? 12 : 300), n - at);
        size_t back = 1 + prng_below(r, prng_below(r, 3) ? 40 : 70000);
        bool copy = back <= at && prng_below(r, 4);
        for (size_t i = 0; i < len; i++, at++)
            to[at] = copy ? to[at - back] : (uint8_t)prng_u64(r);
    }
    return n;
}

TEST(snappy_is_the_library)
{
    enum { MOST = 100000, ROUNDS = 300, FLIPS = 20 };
    struct prng r = { test_seed() };
    SCOPED(mem_freep) uint8_t *in = mem_alloc(MOST), *packed = mem_alloc(MOST * 2);
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t n = text(&r, in, prng_below(&r, round % 10 ? 2000 : MOST)), m = (size_t)MOST * 2;
        EXPECT(snappy_compress((const char *)in, n, (char *)packed, &m) == SNAPPY_OK);
        EXPECT(both(str_of(packed, m)));
        for (unsigned i = 0; i < FLIPS; i++) {
            size_t at = prng_below(&r, m);
            uint8_t was = packed[at];
            packed[at] = (uint8_t)prng_u64(&r);
            both(str_of(packed, m));
            packed[at] = was;
            both(str_of(packed, prng_below(&r, m)));
        }
    }
}
