#include "base/account.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/test.h"

static errc inner(struct err *e) { return err_set(e, ERR_CORRUPT, "wrong checksum at %d", 1048); }
static errc outer(struct err *e)
{
    TRY_IN(e, inner(e), "block %s", "01H");
    return OK;
}

TEST(err_reads_from_outside_inward)
{
    struct err e = { 0 };
    EXPECT_EQ(outer(&e), ERR_CORRUPT);
    EXPECT_EQ(e.code, ERR_CORRUPT);
    EXPECT_STR(err_str(&e), S("block 01H: wrong checksum at 1048"));
    EXPECT_EQ(outer(NULL), ERR_CORRUPT);
}

TEST(err_without_words)
{
    struct err e = { .code = ERR_IO };
    EXPECT_STR(err_str(&e), S("i/o error"));
    struct err none = { 0 };
    EXPECT_EQ(err_in(&none, ERR_LOCKED, "folder"), ERR_LOCKED);
    EXPECT_STR(err_str(&none), S("folder: locked"));
    for (int rc = 0; rc < ERRC_COUNT; rc++) EXPECT(errc_name((errc)rc)[0] != 0);
}

TEST(err_words_of_any_bytes)
{
    struct err e = { 0 };
    EXPECT_EQ(err_set_str(&e, ERR_BAD_INPUT, S("a\0b")), ERR_BAD_INPUT);
    EXPECT_STR(err_str(&e), S("a\0b"));
    EXPECT_EQ(err_in(&e, ERR_BAD_INPUT, "in"), ERR_BAD_INPUT);
    EXPECT_STR(err_str(&e), S("in: a\0b"));
    EXPECT_EQ(err_set_str(NULL, ERR_IO, S("x")), ERR_IO);
}

TEST(err_words_are_cut_at_the_end)
{
    struct err e = { 0 };
    char longer[2 * sizeof(e.msg)];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    (void)err_set(&e, ERR_LIMIT, "%s", longer);
    EXPECT_EQ(e.n, sizeof(e.msg) - 1);
    for (int i = 0; i < 3; i++) (void)err_in(&e, ERR_LIMIT, "outside");
    EXPECT_EQ(e.n, sizeof(e.msg) - 1);
    EXPECT_EQ(strlen(e.msg), e.n);
    EXPECT(str_has_prefix(err_str(&e), S("outside: outside: outside: xxx")));
}

TEST(clock_is_driven)
{
    clock_fake_set(1700000000000);
    EXPECT_EQ(clock_wall_ms(), 1700000000000);
    int64_t mono = clock_mono_ns();
    clock_fake_advance(250);
    EXPECT_EQ(clock_wall_ms(), 1700000000250);
    EXPECT_EQ(clock_mono_ns() - mono, 250000000);
    EXPECT_EQ(clock_wall_ns(), 1700000000250000000);
    clock_fake_off();
    int64_t a = clock_mono_ns();
    clock_sleep_ns(1000000);
    EXPECT(clock_mono_ns() - a >= 1000000);
}

TEST(prng_is_replayed_and_even)
{
    struct prng a = { 7 }, b = { 7 };
    size_t hits[10] = { 0 };
    for (int i = 0; i < 100000; i++) {
        uint64_t x = prng_below(&a, 10);
        EXPECT(x == prng_below(&b, 10) && x < 10);
        hits[x]++;
        double u = prng_unit(&a);
        EXPECT(u == prng_unit(&b) && u >= 0 && u < 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(hits); i++) EXPECT(hits[i] > 9500 && hits[i] < 10500);
    EXPECT_EQ(prng_below(&a, 0), 0);
    uint8_t x[32] = { 0 }, y[32] = { 0 };
    prng_secret(x, sizeof(x));
    prng_secret(y, sizeof(y));
    EXPECT(memcmp(x, y, sizeof(x)) != 0);
}

ACCOUNT(one, "test_one")
ACCOUNT(two, "test_two")

TEST(account_is_listed_and_summed)
{
    int64_t before = account_sum();
    account_charge(&one, 100);
    account_charge(&two, 30);
    account_charge(&two, -10);
    account_charge(NULL, 5);
    EXPECT_EQ(account_bytes(&two), 20);
    EXPECT_EQ(account_sum() - before, 120);
    unsigned found = 0;
    for (const struct account *a = account_first(); a; a = a->next) found += a == &one || a == &two;
    EXPECT_EQ(found, 2);
    account_charge(&one, -100);
    account_charge(&two, -20);
}
