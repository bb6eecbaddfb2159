#include "head/reclaim.h"

#include "base/test.h"

enum { MANY = 500 };

static void count(void *ctx, void *p)
{
    (void)p;
    ++*(unsigned *)ctx;
}

/* Who leaves ends a few of the light ones, in their order, and none of the heavy ones. */
TEST(what_is_retired_ends_when_its_readers_left)
{
    struct reclaim r;
    struct reclaim_reader a, b;
    unsigned light = 0, heavy = 0, late = 0;
    reclaim_init(&r);
    reclaim_retire(&r, NULL, &light, count);
    reclaim_retire_heavy(&r, NULL, &heavy, count);
    EXPECT(light == 1 && heavy == 1);          /* nobody looks */
    reclaim_enter(&r, &a);
    for (int i = 0; i < MANY; i++) {
        reclaim_retire(&r, NULL, &light, count);
        reclaim_retire_heavy(&r, NULL, &heavy, count);
    }
    reclaim_enter(&r, &b);
    reclaim_retire(&r, NULL, &late, count);
    reclaim_run(&r);
    EXPECT(light == 1 && heavy == 1 && late == 0);
    reclaim_leave(&r, &a);
    EXPECT(light > 1 && light < MANY && heavy == 1);
    reclaim_run(&r);
    EXPECT(light == MANY + 1 && heavy == MANY + 1 && late == 0);
    reclaim_leave(&r, &b);
    EXPECT_EQ(late, 1);
    reclaim_enter(&r, &a);
    reclaim_retire_heavy(&r, NULL, &late, count);
    reclaim_leave(&r, &a);
    EXPECT_EQ(late, 1);
    reclaim_fini(&r);                          /* ends what waits */
    EXPECT_EQ(late, 2);
}
