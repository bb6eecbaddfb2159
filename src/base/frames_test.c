#include "base/frames.h"

#include "base/prng.h"
#include "base/test.h"

enum { FRAME = 4096, FRAMES = 200, STEPS = 20000 };

/* Frames that are taken and given at random keep what is written into them; slabs are as few as
 * that allows in the end. */
TEST(frames_are_apart)
{
    struct { uint8_t *at; struct frame_slab *slab; } have[FRAMES] = { { 0 } };
    struct prng r = { test_seed() };
    struct frames f;
    size_t used = 0;
    frames_init(&f, FRAME);
    for (unsigned k = 0; k < STEPS; k++) {
        size_t i = prng_below(&r, FRAMES);
        if (have[i].at) {
            EXPECT(have[i].at[0] == (uint8_t)i && have[i].at[FRAME - 1] == (uint8_t)i);
            frames_give(&f, have[i].slab, have[i].at);
            have[i].at = NULL;
            used--;
        } else {
            have[i].at = frames_take(&f, &have[i].slab);
            memset(have[i].at, (uint8_t)i, FRAME);
            used++;
        }
        EXPECT_EQ(f.used, used);
        EXPECT(f.slabs * FRAMES_A_SLAB >= used && f.slabs <= FRAMES / 2 + 1);
    }
    for (size_t i = 0; i < FRAMES; i++)
        if (have[i].at) frames_give(&f, have[i].slab, have[i].at);
    EXPECT_EQ(f.used, 0);
    EXPECT_EQ(f.slabs, 1);
    frames_fini(&f);
}

TEST(frames_lie_side_by_side)
{
    struct frame_slab *slab[2 * FRAMES_A_SLAB];
    uint8_t *at[2 * FRAMES_A_SLAB];
    struct frames f;
    frames_init(&f, FRAME);
    for (size_t i = 0; i < ARRAY_LEN(at); i++) at[i] = frames_take(&f, &slab[i]);
    EXPECT_EQ(f.slabs, 2);
    for (size_t i = 1; i < FRAMES_A_SLAB; i++) EXPECT_EQ(at[i] - at[i - 1], FRAME);
    for (size_t i = 0; i < ARRAY_LEN(at); i++) frames_give(&f, slab[i], at[i]);
    EXPECT_EQ(f.slabs, 1);
    frames_fini(&f);
}
