/* account_test.c — what is registered is found and counted, once. */
#include "base/account.h"

#include "base/test.h"

ACCOUNT(one_account, "test_one")
ACCOUNT(two_account, "test_two")

static size_t times_listed(const struct account *want)
{
    size_t n = 0;
    for (struct account *a = account_first(); a; a = a->next) n += a == want;
    return n;
}

TEST(account_registered_before_main)
{
    EXPECT_EQ(times_listed(&one_account), 1);
    EXPECT_EQ(times_listed(&two_account), 1);
    struct account never = { .name = "test_never" };
    EXPECT_EQ(times_listed(&never), 0);
}

TEST(account_sum_follows_the_charges)
{
    int64_t before = account_sum();
    account_charge(&one_account, 4096);
    account_charge(&two_account, 100);
    account_charge(&one_account, -96);
    EXPECT_EQ(account_bytes(&one_account), 4000);
    EXPECT_EQ(account_sum() - before, 4100);
    account_charge(NULL, 1 << 20);
    EXPECT_EQ(account_sum() - before, 4100);
    account_charge(&one_account, -4000);
    account_charge(&two_account, -100);
    EXPECT_EQ(account_sum(), before);
}
