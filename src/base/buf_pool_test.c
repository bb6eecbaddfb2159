#include "base/buf_pool.h"

#include "base/clock.h"
#include "base/test.h"

ACCOUNT(buf_pool_account, "buf_pool_test")

enum { MIB = 1 << 20 };

static struct buf buf_with(size_t cap)
{
    struct buf b;
    buf_init(&b, &buf_pool_account, 0);
    buf_grow(&b, cap);
    return b;
}

TEST(buf_pool_use_again)
{
    struct buf_pool p;
    buf_pool_init(&p, &buf_pool_account);
    struct buf b = buf_pool_take(&p, MIB);
    EXPECT(b.cap == MIB + MIB / 8 && b.acc == &buf_pool_account);
    buf_bytes(&b, "abc", 3);
    const uint8_t *memory = b.p;
    size_t cap = b.cap;
    buf_pool_give(&p, &b);
    EXPECT(!b.p && !b.cap);
    EXPECT_EQ(account_bytes(&buf_pool_account), cap);

    static const struct { const char *name; size_t want; bool found;
    } cases[] = {
        { "larger", 2 * MIB, false },
        { "a little larger", MIB + MIB / 16, true },
        { "much smaller", MIB / 5, false },
        { "under the least", 1000, false },
        { "smaller", MIB / 3, true },
        { "the same", MIB, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].name);
        struct buf c = buf_pool_take(&p, cases[i].want);
        EXPECT_EQ(c.p == memory, cases[i].found);
        EXPECT(c.n == 0 && buf_ok(&c));
        buf_pool_give(&p, &c);
    }
    buf_pool_fini(&p);
    EXPECT_EQ(account_bytes(&buf_pool_account), 0);
}

TEST(buf_pool_idle)
{
    clock_fake_set(1700000000000);
    struct buf_pool p;
    buf_pool_init(&p, &buf_pool_account);
    struct buf a = buf_with(MIB), b = buf_with(2 * MIB);
    buf_pool_give(&p, &a);
    clock_fake_advance(BUF_POOL_IDLE_MS - 1);
    buf_pool_give(&p, &b);
    EXPECT_EQ(p.n, 2);
    clock_fake_advance(2);
    a = buf_pool_take(&p, 3 * MIB);
    EXPECT(p.n == 1 && p.bytes == 2 * MIB &&
           account_bytes(&buf_pool_account) - (int64_t)a.cap == 2 * MIB);
    buf_fini(&a);
    buf_pool_fini(&p);
    clock_fake_off();
}

TEST(buf_pool_bounds)
{
    struct buf_pool p;
    buf_pool_init(&p, &buf_pool_account);
    for (size_t i = 0; i < 3 * BUF_POOL_MAX; i++) {
        struct buf b = buf_with(i % 2 ? MIB : 5 * MIB);
        buf_pool_give(&p, &b);
        EXPECT(account_bytes(&buf_pool_account) <= BUF_POOL_MAX_BYTES);
        EXPECT_EQ(account_bytes(&buf_pool_account), p.bytes);
        EXPECT(p.n <= BUF_POOL_MAX);
    }
    EXPECT(p.n > 10);
    struct buf b = buf_pool_take(&p, MIB / 2);                 /* the one that fits best */
    EXPECT_EQ(b.cap, MIB);
    buf_pool_give(&p, &b);
    struct buf large = buf_with(BUF_POOL_MAX_BYTES + 1), small = buf_with(100);
    size_t n = p.n;
    buf_pool_give(&p, &large);
    buf_pool_give(&p, &small);
    EXPECT_EQ(p.n, n);
    buf_pool_fini(&p);
    EXPECT_EQ(account_bytes(&buf_pool_account), 0);
}
