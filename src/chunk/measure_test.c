/* measure_test.c — the ends of a chunk, and what is no whole chunk. */
#include "chunk/measure.h"

#include "base/test.h"
#include "chunk/chunk.h"

enum { N_MAX = 130, STEP_MS = 15, ROOM_BYTES = 4096 };

/* equal: the sample that has the time of the one before it; 0: none has */
static str xor_of(uint8_t room[ROOM_BYTES], size_t n, size_t equal)
{
    struct xor_app a;
    xor_app_init(&a, room, ROOM_BYTES);
    int64_t t = 1000;
    for (size_t i = 0; i < n; i++, t += i == equal ? 0 : STEP_MS)
        EXPECT(xor_append(&a, t, (double)i / 3));
    return xor_app_bytes(&a);
}

TEST(measure_counts_and_finds_the_ends)
{
    static uint8_t room[ROOM_BYTES];
    struct chunk_iter it;
    struct chunk_measure m;
    chunk_iter_init(&it);
    for (size_t n = 1; n < N_MAX; n += 43) {
        str chunk = xor_of(room, n, 0);
        EXPECT_OK(chunk_measure(&m, &it, CHUNK_XOR, chunk, NULL));
        EXPECT_EQ(m.n, n);
        EXPECT_EQ(m.mint, 1000);
        EXPECT_EQ(m.maxt, 1000 + STEP_MS * (int64_t)(n - 1));
        for (size_t cut = 0; cut + 1 < chunk.n; cut++)
            EXPECT_EQ(chunk_measure(&m, &it, CHUNK_XOR, str_slice(chunk, 0, cut), NULL),
                ERR_CORRUPT);
    }
    chunk_iter_fini(&it);
}

TEST(measure_refuses_what_is_not_in_order)
{
    static uint8_t room[ROOM_BYTES];
    static const uint8_t empty[2];
    struct chunk_iter it;
    struct chunk_measure m;
    chunk_iter_init(&it);
    EXPECT_EQ(chunk_measure(&m, &it, CHUNK_XOR, xor_of(room, 10, 4), NULL), ERR_CORRUPT);
    EXPECT_EQ(chunk_measure(&m, &it, 77, xor_of(room, 10, 0), NULL), ERR_CORRUPT);
    EXPECT_OK(chunk_measure(&m, &it, CHUNK_XOR, str_of(empty, sizeof(empty)), NULL));
    EXPECT_EQ(m.n, 0);
    chunk_iter_fini(&it);
}
