#include "head/replay_item.h"

#include "base/test.h"
#include "head/exemplars.h"
#include "head/head_impl.h"
#include "wal/rec_histogram.h"

static struct span span = { 0, 2 };
static int64_t deltas[] = { 1, 2 };

TEST(replay_items)
{
    static const struct {
        const char *name;
        bool is_float;
        int64_t schema;
        size_t n;
        bool want;
    } cases[] = {
        { "integers", false, 0, 2, true },
        { "floats", true, 0, 2, true },
        { "a finer schema", false, 9, 2, true },
        { "unknown schema", false, 99, 2, false },
        { "spans of other buckets", true, 0, 1, false },
    };
    struct arena a = { 0 };
    TEST_EACH(c, cases) {
        struct ref_histogram r = { .ref = 1,
            .t = 10,
            .st = 5,
            .h = { .is_float = c->is_float,
                .schema = c->schema,
                .pos_spans = &span,
                .n_pos_spans = 1,
                .pos = deltas,
                .n_pos = c->n } };
        const struct replay_item *x = replay_item_histogram(&a, &r);
        EXPECT_EQ(x != NULL, c->want);
        if (!x) continue;
        EXPECT_EQ(x->t, 10);
        EXPECT_EQ(x->st, 5);
        EXPECT_EQ(x->kind, c->is_float ? SAMPLE_FLOAT_HISTOGRAM : SAMPLE_HISTOGRAM);
        if (!c->is_float) EXPECT(x->whole->schema <= HISTOGRAM_SCHEMA_MAX);
    }
    arena_fini(&a);
}

TEST(replay_others)
{
    struct head *h;
    struct arena a = { 0 };
    struct label l = { METRIC_NAME, S("m") };
    uint32_t slot;
    bool made;
    struct head_opts o = { .keeps = { .max_exemplars = 4, .metadata = true } };
    EXPECT_OK(head_open(&h, &o, NULL));
    EXPECT_OK(series_get(&h->series, (struct labels){ &l, 1 }, NULL, 7, &slot, &made, NULL));
    struct exemplar ex = { { &l, 1 }, 2, 1000, false };
    struct metadata m = { TYPE_GAUGE, S("s"), S("help") };
    replay_other_apply(h, replay_other_exemplar(&a, slot, &ex));
    replay_other_apply(h, replay_other_metadata(&a, slot, &m));
    uint32_t generation = series_generation(store_slot(&h->store, slot));
    EXPECT(meta_table_has(&h->metadata, slot, generation, &m));
    bool take = true;
    EXPECT_OK(exemplars_check(h->exemplars, (struct labels){ &l, 1 }, &ex, &take, NULL));
    EXPECT(!take); /* it is there */
    head_close(h);
    arena_fini(&a);
}
