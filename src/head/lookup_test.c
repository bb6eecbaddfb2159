#include "head/lookup.h"

#include "base/account.h"
#include "base/test.h"

#include <stdio.h>

static str raw_of(char (*room)[32], uint32_t i)
{
    int n = snprintf(*room, sizeof(*room), "labels of series %u", i);
    return str_of(*room, (size_t)n);
}

static int64_t lookup_bytes(void)
{
    for (struct account *a = account_first(); a; a = a->next)
        if (strcmp(a->name, "lookup") == 0) return account_bytes(a);
    return -1;
}

/* Nothing is forgotten while there is room, and an entry costs little more than its 16 bytes. */
TEST(lookup_holds_all)
{
    enum { N = 200000, FEW = 20000, MOST_BYTES_EACH = 24 };
    struct lookup l;
    char room[32];
    lookup_init(&l, 64 << 20);
    for (uint32_t i = 1; i <= N; i++) {
        EXPECT_EQ(lookup_get(&l, raw_of(&room, i)), 0);
        lookup_put(&l, raw_of(&room, i), i);
        if (i < FEW) continue;
        EXPECT(lookup_bytes() <= (int64_t)i * MOST_BYTES_EACH);
    }
    for (uint32_t i = 1; i <= N; i++) EXPECT_EQ(lookup_get(&l, raw_of(&room, i)), i);
    /* taught again */
    for (uint32_t i = 1; i <= N; i += 7) lookup_put(&l, raw_of(&room, i), N + i);
    for (uint32_t i = 1; i <= N; i++)
        EXPECT_EQ(lookup_get(&l, raw_of(&room, i)), i % 7 == 1 ? N + i : i);
    lookup_fini(&l);
    EXPECT_EQ(lookup_bytes(), 0);
}

/* At its bound it forgets, and what is used stays longer than what is not. */
TEST(lookup_forgets_at_its_bound)
{
    enum { BYTES = 256 << 10, USED = 2000, OTHERS = 100000 };
    struct lookup l;
    char room[32];
    lookup_init(&l, BYTES);
    for (uint32_t i = 1; i <= USED; i++) lookup_put(&l, raw_of(&room, i), i);
    for (uint32_t i = 1; i <= OTHERS; i++) {
        lookup_put(&l, raw_of(&room, USED + i), USED + i);
        if (i % 100 == 0)
            for (uint32_t k = 1; k <= USED; k++)
                if (!lookup_get(&l, raw_of(&room, k))) lookup_put(&l, raw_of(&room, k), k);
        EXPECT(lookup_bytes() <= BYTES);
    }
    size_t used = 0, others = 0;
    for (uint32_t i = 1; i <= USED + OTHERS; i++) {
        uint32_t num = lookup_get(&l, raw_of(&room, i));
        EXPECT(!num || num == i);
        *(i <= USED ? &used : &others) += num != 0;
    }
    EXPECT(used > USED * 9 / 10);
    EXPECT(others > BYTES / 16 / 2);
    lookup_fini(&l);
}

static bool is_third(const void *ctx, uint32_t num)
{
    (void)ctx;
    return num % 3 == 0;
}

TEST(lookup_sweeps_the_dead)
{
    enum { N = 60000 };
    struct lookup l;
    char room[32];
    lookup_init(&l, 64 << 20);
    for (uint32_t i = 1; i <= N; i++) lookup_put(&l, raw_of(&room, i), i);
    int64_t before = lookup_bytes();
    lookup_sweep(&l, is_third, NULL);
    EXPECT(lookup_bytes() < before / 2);
    for (uint32_t i = 1; i <= N; i++) EXPECT_EQ(lookup_get(&l, raw_of(&room, i)), i % 3 ? 0 : i);
    lookup_sweep(&l, is_third, NULL);
    str all[LOOKUP_BATCH];
    char rooms[LOOKUP_BATCH][32];
    uint32_t nums[LOOKUP_BATCH];
    for (uint32_t i = 0; i < LOOKUP_BATCH; i++) all[i] = raw_of(&rooms[i], i + 1);
    lookup_get_batch(&l, all, LOOKUP_BATCH, nums);
    for (uint32_t i = 0; i < LOOKUP_BATCH; i++) EXPECT_EQ(nums[i], (i + 1) % 3 ? 0 : i + 1);
    lookup_fini(&l);
}
