#include "head/ooo_replay.h"

#include "head/test_ooo.h"

static uint32_t slot_of(struct rig *r) { return series_slot_of(&r->head->series, 1); }

static void replay_puts(struct rig *r, int64_t from, int n)
{
    for (int i = 0; i < n; i++) {
        struct ooo_value x = ooo_float(i);
        EXPECT_OK(ooo_replay_put(r->head, slot_of(r), from + i * 1000, &x, 0, NULL));
    }
}

static struct ooo *late_of(struct rig *r)
{
    uint32_t slot = slot_of(r);
    return ooo_of(&r->head->ooo, store_slot(&r->head->store, slot), slot);
}

TEST(replayed_arrays_become_chunks)
{
    struct rig r;
    rig_open(&r, 0);
    put(r.head, S("a"), 10 * HOUR, 1);
    replay_puts(&r, 8 * HOUR, 70);
    EXPECT_EQ(late_of(&r)->closed.n, 2);
    EXPECT_EQ(late_of(&r)->n, 70 - 2 * OOO_CAP);
    EXPECT_EQ(count_of(r.head, S("a")), 71);
    /* Replayed once more, as after a crash that lost the markers: no chunk is written twice. */
    static const struct ooo_array none = { 0 };
    ooo_set_open(late_of(&r), &none);
    replay_puts(&r, 8 * HOUR, 70);
    EXPECT_EQ(late_of(&r)->closed.n, 2);
    EXPECT_EQ(count_of(r.head, S("a")), 71);
    rig_close(&r);
}

TEST(a_marker_needs_its_chunk)
{
    struct rig r;
    rig_open(&r, 0);
    put(r.head, S("a"), 10 * HOUR, 1);
    replay_puts(&r, 8 * HOUR, OOO_CAP + 5);
    uint64_t ref = late_of(&r)->closed.at[0].disk_ref;
    ooo_replay_cut(r.head, slot_of(&r), ref + 1);              /* lost with a crash */
    EXPECT_EQ(late_of(&r)->n, 5);
    ooo_replay_cut(r.head, slot_of(&r), ref);
    EXPECT_EQ(late_of(&r)->n, 0);
    EXPECT_EQ(late_of(&r)->closed.n, 1);
    replay_puts(&r, 7 * HOUR, 3);
    ooo_replay_cut(r.head, slot_of(&r), 0);
    EXPECT_EQ(late_of(&r)->n, 0);
    rig_close(&r);
}

TEST(chunks_belong_to_a_ref)
{
    struct rig r;
    struct ooo_found f = { 0 };
    rig_open(&r, 0);
    put(r.head, S("a"), 10 * HOUR, 1);
    replay_puts(&r, 8 * HOUR, OOO_CAP + 1);
    struct ooo_chunk c = late_of(&r)->closed.at[0];
    ooo_found_add(&f, 7, &c);
    ooo_found_attach(&f, r.head, slot_of(&r), 6);              /* another ref: it has none */
    EXPECT(!late_of(&r));
    ooo_found_attach(&f, r.head, slot_of(&r), 7);
    EXPECT_EQ(late_of(&r)->closed.n, 1);
    EXPECT_EQ(count_of(r.head, S("a")), OOO_CAP + 1);
    ooo_found_attach(&f, r.head, slot_of(&r), 0);
    EXPECT(!late_of(&r));
    EXPECT_EQ(count_of(r.head, S("a")), 1);
    ooo_found_fini(&f);
    rig_close(&r);
}
