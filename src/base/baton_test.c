#include "base/baton.h"

#include "base/test.h"

TEST(baton_is_of_one)
{
    struct baton t;
    baton_init(&t, LOCK_LEAF);
    EXPECT(baton_try(&t));
    EXPECT(!baton_try(&t));
    EXPECT(!baton_try(&t));
    baton_give(&t);
    baton_take(&t);
    EXPECT(!baton_try(&t));
    baton_give(&t);
    EXPECT(baton_try(&t));
    baton_give(&t);
    baton_fini(&t);
}
