#include "grpc/flood.h"

#include "base/test.h"

enum { SECOND = 1000000000 };

static int taken(bool (*take)(struct flood *f, int64_t now_ns), struct flood *f, int64_t now_ns)
{
    int n = 0;
    while (take(f, now_ns)) n++;
    return n;
}

TEST(flood_fills_up_with_time)
{
    static const struct {
        const char *name;
        bool (*take)(struct flood *f, int64_t now_ns);
        int most, a_second;
    } cases[] = {
        { "frames", flood_frame, FLOOD_FRAMES, FLOOD_FRAMES_A_SECOND },
        { "ends", flood_end, FLOOD_ENDS, FLOOD_ENDS_A_SECOND },
    };
    TEST_EACH(c, cases) {
        struct flood f;
        flood_init(&f, 5);
        EXPECT_EQ(taken(c->take, &f, 5), c->most);
        EXPECT_EQ(taken(c->take, &f, 5 + SECOND), c->a_second);
        EXPECT_EQ(taken(c->take, &f, 5 + 2 * (int64_t)SECOND), c->a_second);
        EXPECT_EQ(taken(c->take, &f, 5 + 3600 * (int64_t)SECOND), c->most);
    }
}

TEST(flood_answers_make_room_for_frames_only)
{
    struct flood f;
    flood_init(&f, 0);
    (void)taken(flood_frame, &f, 0);
    (void)taken(flood_end, &f, 0);
    flood_answered(&f);
    EXPECT_EQ(taken(flood_frame, &f, 0), FLOOD_FRAMES);
    EXPECT_EQ(taken(flood_end, &f, 0), 0);
}
