#include "tsdb/resting.h"

#include "base/test.h"

#define MINUTE INT64_C(60000000000)
#define NO_ROOM 0

static ulid id_of(uint8_t n) { return (ulid){ { n } }; }

TEST(rest_grows_and_ends)
{
    struct resting r = { 0 };
    ulid two[] = { id_of(1), id_of(2) };
    EXPECT(!resting_is(&r, two[0], NO_ROOM, 0));
    int64_t now = 7, before = 0;
    for (int i = 0; i < 12; i++) {
        int64_t pause = resting_put(&r, two, 2, 100, ERR_IO, 1000, now);
        EXPECT(pause >= MINUTE && pause <= 240 * MINUTE);
        EXPECT(pause == 2 * before || !before || pause == 240 * MINUTE);
        EXPECT(resting_is(&r, two[1], UINT64_MAX - 1, now + pause - 1));
        EXPECT(!resting_is(&r, two[1], NO_ROOM, now + pause));
        EXPECT(!resting_is(&r, id_of(3), NO_ROOM, now));
        before = pause;
        now += pause;
    }
    EXPECT_EQ(before, 240 * MINUTE);
    resting_fini(&r);
}

/* What a full disk held up goes on as soon as it has room, and not for as little as there was. */
TEST(rest_ends_with_room)
{
    struct resting r = { 0 };
    ulid one = id_of(1), other = id_of(2);
    resting_put(&r, &one, 1, 100, ERR_NO_SPACE, 20, 0);
    EXPECT(resting_is(&r, one, 99, 1));
    EXPECT(!resting_is(&r, one, 100, 1));
    resting_put(&r, &one, 1, 100, ERR_NO_SPACE, 400, 1);
    EXPECT(resting_is(&r, one, 400, 2));
    EXPECT(!resting_is(&r, one, 500, 2));
    resting_put(&r, &other, 1, 100, ERR_IO, 20, 0);
    EXPECT(resting_is(&r, other, 1u << 30, 1));
    resting_keep(&r, &other, 1);
    EXPECT(!resting_is(&r, one, NO_ROOM, 2) && resting_is(&r, other, NO_ROOM, 2));
    EXPECT_EQ(r.at.n, 1);
    resting_fini(&r);
}
