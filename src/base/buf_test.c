/* buf_test.c — bytes as the formats have them, limits that stick, accounts that end at nothing.
 * That cursor reads what buf writes is cursor_test's. */
#include "base/buf.h"

#include "base/mem.h"
#include "base/test.h"

ACCOUNT(buf_test_account, "test_buf")

TEST(buf_bytes_of_integers)
{
    struct buf b = { 0 };
    buf_u8(&b, 0x01);
    buf_be16(&b, 0x0203);
    buf_be32(&b, 0x04050607);
    buf_be64(&b, 0x08090a0b0c0d0e0f);
    buf_le32(&b, 0x13121110);
    buf_le64(&b, 0x1b1a191817161514);
    EXPECT_EQ(b.n, 27);
    for (size_t i = 0; i < b.n; i++) EXPECT_EQ(b.p[i], i + 1);
    buf_fini(&b);
}

/* LEB128 and zigzag, as Go's encoding/binary has them. */
TEST(buf_varints)
{
    static const struct { const char *name; bool zigzag; uint64_t v; const char *bytes; size_t n; }
    cases[] = {
        { "0", false, 0, "\x00", 1 },
        { "127", false, 127, "\x7f", 1 },
        { "128", false, 128, "\x80\x01", 2 },
        { "300", false, 300, "\xac\x02", 2 },
        { "2^14-1", false, 16383, "\xff\x7f", 2 },
        { "2^14", false, 16384, "\x80\x80\x01", 3 },
        { "2^21-1", false, 2097151, "\xff\xff\x7f", 3 },
        { "2^21", false, 2097152, "\x80\x80\x80\x01", 4 },
        { "2^63", false, UINT64_C(1) << 63, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 10 },
        { "2^64-1", false, UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10 },
        { "zigzag 0", true, 0, "\x00", 1 },
        { "zigzag -1", true, (uint64_t)-1, "\x01", 1 },
        { "zigzag 1", true, 1, "\x02", 1 },
        { "zigzag -64", true, (uint64_t)-64, "\x7f", 1 },
        { "zigzag 64", true, 64, "\x80\x01", 2 },
        { "zigzag min", true, (uint64_t)INT64_MIN, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10 },
    };
    TEST_EACH(c, cases) {
        struct buf b = { 0 };
        if (c->zigzag) buf_varint(&b, (int64_t)c->v);
        else buf_uvarint(&b, c->v);
        EXPECT_STR(buf_view(&b), str_of(c->bytes, c->n));
        buf_fini(&b);
    }
}

TEST(buf_text)
{
    static const struct { const char *name; int64_t v; const char *text; } cases[] = {
        { "0", 0, "0" }, { "-1", -1, "-1" }, { "10", 10, "10" },
        { "max", INT64_MAX, "9223372036854775807" }, { "min", INT64_MIN, "-9223372036854775808" },
    };
    TEST_EACH(c, cases) {
        struct buf b = { 0 };
        buf_i64_text(&b, c->v);
        buf_fmt(&b, " %s %d", "and", 7);
        EXPECT_EQ(b.n, strlen(c->text) + 6);
        EXPECT_STR(str_of(b.p, b.n - 6), str_z(c->text));
        EXPECT_STR(str_of(b.p + b.n - 6, 6), S(" and 7"));
        buf_reset(&b);
        buf_u64_text(&b, UINT64_MAX);
        EXPECT_STR(buf_view(&b), S("18446744073709551615"));
        buf_fini(&b);
    }
}

/* Whatever does not fit leaves the buffer as it was, bad, until it is reset. */
TEST(buf_limit_sticks)
{
    for (size_t limit = 1; limit < 200; limit++) {
        struct buf b;
        buf_init(&b, &buf_test_account, limit);
        size_t n = 0;
        while (buf_ok(&b)) {
            buf_bytes(&b, "abcdefg", n % 7 + 1);
            if (buf_ok(&b)) n = b.n;
            EXPECT(b.n <= limit && b.cap <= limit);
        }
        EXPECT_EQ(b.n, n);
        buf_u8(&b, 1);
        EXPECT(b.n == n && !buf_ok(&b) && !buf_room(&b, 1));
        EXPECT_EQ(account_bytes(&buf_test_account), b.cap);
        buf_reset(&b);
        buf_u8(&b, 1);
        EXPECT(buf_ok(&b) && b.n == 1);
        buf_fini(&b);
        EXPECT_EQ(account_bytes(&buf_test_account), 0);
    }
    struct buf b = { 0 };
    EXPECT(!buf_room(&b, SIZE_MAX));
    EXPECT(!buf_ok(&b));
    buf_fini(&b);
}

/* Random pieces, grown in place or by room and commit, are the same as one run of bytes. */
TEST(buf_grows_and_keeps)
{
    enum { ALL = 50000 };
    struct prng r = { test_seed() };
    uint8_t *want = mem_alloc(ALL);
    for (size_t i = 0; i < ALL; i++) want[i] = (uint8_t)prng_u64(&r);
    struct buf b;
    buf_init(&b, &buf_test_account, 0);
    while (b.n < ALL) {
        size_t n = MIN(prng_below(&r, 1000), ALL - b.n);
        if (prng_below(&r, 2)) {
            uint8_t *at = buf_room(&b, n + 10);
            EXPECT(at);
            memcpy(at, want + b.n, n);
            buf_commit(&b, n);
        } else buf_bytes(&b, want + b.n, n);
    }
    EXPECT_STR(buf_view(&b), str_of(want, ALL));
    EXPECT(account_bytes(&buf_test_account) >= ALL);
    buf_fini(&b);
    EXPECT_EQ(account_bytes(&buf_test_account), 0);
    mem_free(want);
}
