#include "block/plan.h"

#include "base/test.h"

enum { BLOCKS_MAX = 6, H = 3600000 };

/* A table of blocks in hours, and which of them are picked. */
TEST(plan_of_blocks)
{
    static const struct {
        const char *name;
        struct {
            int64_t from, to;
            uint64_t tombstones;
            bool failed;
            unsigned hints;
        } b[BLOCKS_MAX];
        size_t n;
        bool no_overlapping;
        const char *want;
    } cases[] = {
        { "nothing", { { 0, 0, 0, false, 0 } }, 0, false, "" },
        { "the newest waits",
            { { 0, 2, 0, false, 0 }, { 2, 4, 0, false, 0 }, { 4, 6, 0, false, 0 } }, 3, false, "" },
        { "a window is full",
            { { 0, 2, 0, false, 0 }, { 2, 4, 0, false, 0 }, { 4, 6, 0, false, 0 },
                { 6, 8, 0, false, 0 } },
            4, false, "012" },
        { "a window is past",
            { { 0, 2, 0, false, 0 }, { 4, 6, 0, false, 0 }, { 6, 8, 0, false, 0 } }, 3, false,
            "01" },
        { "unsorted",
            { { 6, 8, 0, false, 0 }, { 4, 6, 0, false, 0 }, { 0, 2, 0, false, 0 },
                { 2, 4, 0, false, 0 } },
            4, false, "231" },
        { "one failed",
            { { 0, 2, 0, false, 0 }, { 2, 4, 0, true, 0 }, { 4, 6, 0, false, 0 },
                { 6, 8, 0, false, 0 } },
            4, false, "" },
        { "overlapping",
            { { 0, 2, 0, false, 0 }, { 1, 3, 0, false, 0 }, { 2, 4, 0, false, 0 },
                { 4, 6, 0, false, 0 } },
            4, false, "012" },
        { "overlapping stays", { { 0, 2, 0, false, 0 }, { 1, 3, 0, false, 0 } }, 2, true, "" },
        { "negative times",
            { { -6, -4, 0, false, 0 }, { -4, -2, 0, false, 0 }, { -2, 0, 0, false, 0 },
                { 0, 2, 0, false, 0 } },
            4, false, "012" },
        { "tombstones", { { 0, 6, 10, false, 0 }, { 6, 12, 0, false, 0 } }, 2, false, "0" },
        { "few tombstones", { { 0, 6, 5, false, 0 }, { 6, 12, 0, false, 0 } }, 2, false, "" },
        { "classes apart",
            { { 0, 2, 0, false, 0 }, { 0, 2, 0, false, BLOCK_HINT_STALE },
                { 2, 4, 0, false, BLOCK_HINT_SELECTED } },
            3, false, "" },
    };
    TEST_EACH(c, cases) {
        struct block_meta metas[BLOCKS_MAX] = { 0 };
        const struct block_meta *at[BLOCKS_MAX];
        struct plan_opts o = { .overlapping = !c->no_overlapping };
        block_picks picks = { 0 };
        plan_ranges(&o, 2 * H, 20 * H);
        EXPECT_EQ(o.n_ranges, 3);
        for (size_t i = 0; i < c->n; i++) {
            metas[i] = (struct block_meta){ .id = ulid_of(0, 0, i + 1),
                .mint = c->b[i].from * H,
                .maxt = c->b[i].to * H,
                .failed = c->b[i].failed,
                .hints = c->b[i].hints,
                .stats = { .series = 100, .tombstones = c->b[i].tombstones } };
            at[i] = &metas[i];
        }
        plan_blocks(&picks, &o, at, c->n);
        EXPECT_EQ(picks.n, strlen(c->want));
        for (size_t i = 0; i < picks.n; i++) EXPECT_EQ(picks.at[i], c->want[i] - '0');
        vec_fini(&picks);
    }
}
