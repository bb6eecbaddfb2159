#include "base/account.h"

static struct account *account_all;   /* written before main only */

void account_register(struct account *a)
{
    a->next = account_all;
    account_all = a;
}

struct account *account_first(void) { return account_all; }

int64_t account_sum(void)
{
    int64_t sum = 0;
    for (struct account *a = account_all; a; a = a->next) sum += account_bytes(a);
    return sum;
}
