/* late_reached_test.c — which late chunks a start passes over. */
#include "tsdb/late_reached.h"

#include "base/test.h"
#include "head/ooo_compact.h"
#include "io/fs_sim.h"
#include "tsdb/recover.h"

TEST(late_reached_counts_while_its_chunk_is_there)
{
    static const struct {
        const char *name;
        struct chunk_found chunk;
        uint64_t want;
    } cases[] = {
        { "the chunk", { .ref = 77, .series = 5, .mint = -10, .maxt = 20, .ooo = true }, 77 },
        { "of another series", { .ref = 77, .series = 6, .mint = -10, .maxt = 20, .ooo = true },
            0 },
        { "of another time", { .ref = 77, .series = 5, .mint = -10, .maxt = 21, .ooo = true }, 0 },
        { "in order", { .ref = 77, .series = 5, .mint = -10, .maxt = 20 }, 0 },
        { "elsewhere", { .ref = 78, .series = 5, .mint = -10, .maxt = 20, .ooo = true }, 0 },
    };
    struct fs *fs = fs_sim_new(test_seed());
    struct ooo_span none = { .mint = 1 },
                    span = { .mint = -10, .maxt = 90, .last_ref = 77, .last = { 5, -10, 20 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct recover_chunks all = { 0 };
        vec_push(&all.all, cases[i].chunk);
        test_case(cases[i].name);
        if (i == 0) EXPECT_EQ(late_reached(fs, &all), 0); /* nothing is written down */
        EXPECT_OK(late_reached_note(fs, &span, NULL));
        EXPECT_OK(late_reached_note(fs, &none, NULL)); /* changes nothing */
        EXPECT_EQ((int64_t)late_reached(fs, &all), (int64_t)cases[i].want);
        recover_chunks_fini(&all);
    }
    fs_free(fs);
}

TEST(late_reached_reads_anything)
{
    static const char *const texts[] = { "", "\n", "77", "77 5", "77 5 -10", "77 5 -10 x",
        "x 5 -10 20", "77 -5 -10 20", "77  5 -10 20", "99999999999999999999 5 -10 20" };
    struct fs *fs = fs_sim_new(test_seed());
    struct recover_chunks all = { 0 };
    vec_push(&all.all,
        ((struct chunk_found){ .ref = 77, .series = 5, .mint = -10, .maxt = 20, .ooo = true }));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        EXPECT_OK(fs_write_durable(fs, S("late.reached"), str_z(texts[i]), NULL));
        EXPECT_EQ(late_reached(fs, &all), 0);
    }
    recover_chunks_fini(&all);
    fs_free(fs);
}
