/* What a deletion hides: what was there. */
#include "head/deletions.h"

#include "head/ooo_commit.h"
#include "head/ooo_compact.h"
#include "head/test_ooo.h"

static void delete_span(struct head *h, int64_t mint, int64_t maxt)
{
    struct matcher m = { .type = MATCH_EQ, .name = METRIC_NAME, .value = S("a") };
    EXPECT_OK(head_delete(h, (struct matchers){ &m, 1 }, mint, maxt, NULL));
}

/* The value at a time; -1: nothing is there. */
static double value_at(struct head *h, int64_t t)
{
    samples all = { 0 };
    read_back(h, S("a"), t, t, t, &all);
    double v = all.n ? all.at[0].v : -1;
    vec_fini(&all);
    return v;
}

TEST(late_samples_behind_a_deletion_are_shown)
{
    struct rig r;
    rig_open(&r, 5 * HOUR);
    put(r.head, S("a"), 10 * HOUR, 1);
    for (int i = 0; i < 10; i++) put(r.head, S("a"), 8 * HOUR + i * MINUTE, i);
    for (int sealed = 0; sealed < 2; sealed++) {
        delete_span(r.head, 8 * HOUR, 8 * HOUR + 4 * MINUTE);
        EXPECT_EQ(count_of(r.head, S("a")), 6);
        put(r.head, S("a"), 8 * HOUR + 30000, 7);              /* between */
        put(r.head, S("a"), 8 * HOUR, 8);                      /* at a time that it had */
        EXPECT_EQ(count_of(r.head, S("a")), 8);
        EXPECT(value_at(r.head, 8 * HOUR) == 8 && value_at(r.head, 8 * HOUR + 30000) == 7);
        EXPECT(value_at(r.head, 8 * HOUR + MINUTE) == -1);
        EXPECT_OK(ooo_seal_all(r.head, NULL));                 /* the same of chunks */
        EXPECT_EQ(count_of(r.head, S("a")), 8);
        EXPECT(value_at(r.head, 8 * HOUR) == 8);
    }
    delete_span(r.head, INT64_MIN, INT64_MAX);
    EXPECT_EQ(count_of(r.head, S("a")), 0);
    put(r.head, S("a"), 9 * HOUR, 9);
    EXPECT_EQ(count_of(r.head, S("a")), 1);
    rig_close(&r);
}

TEST(what_a_deletion_does_not_reach_stays_in_its_array)
{
    struct rig r;
    rig_open(&r, 5 * HOUR);
    put(r.head, S("a"), 10 * HOUR, 1);
    for (int i = 0; i < 10; i++) put(r.head, S("a"), 8 * HOUR + i * MINUTE, i);
    delete_span(r.head, 9 * HOUR, 10 * HOUR);  /* nothing late */
    put(r.head, S("a"), 9 * HOUR, 5);
    struct ooo *o = ooo_of(&r.head->ooo, store_slot(&r.head->store, 1), 1);
    EXPECT(o && o->n == 11 && !o->closed.n && o->after == 1);
    delete_span(r.head, 8 * HOUR, 8 * HOUR);
    put(r.head, S("a"), 9 * HOUR + 1, 5);      /* not where something was deleted since */
    EXPECT(o->n == 12 && !o->closed.n && o->after == 1);
    put(r.head, S("a"), 8 * HOUR, 6);
    EXPECT(o->n == 1 && o->closed.n == 1 && o->after == 2 && o->closed.at[0].after == 1);
    EXPECT_EQ(count_of(r.head, S("a")), 12);
    rig_close(&r);
}

/* Tombstones that somebody else logged: they came before what comes now. */
TEST(tombstones_without_a_number_get_one)
{
    struct rig r;
    rig_open(&r, 5 * HOUR);
    put(r.head, S("a"), 10 * HOUR, 1);
    put(r.head, S("a"), 8 * HOUR, 1);
    head_tombstones_add(&r.head->tombstones, 1, (struct interval){ 0, 9 * HOUR }, DELETION_UNKNOWN);
    EXPECT_EQ(count_of(r.head, S("a")), 1);
    put(r.head, S("a"), 8 * HOUR, 2);
    EXPECT_EQ(count_of(r.head, S("a")), 2);
    EXPECT(value_at(r.head, 8 * HOUR) == 2);
    head_tombstones_add(&r.head->tombstones, 1, (struct interval){ 0, 9 * HOUR }, DELETION_UNKNOWN);
    EXPECT_EQ(count_of(r.head, S("a")), 1);
    rig_close(&r);
}
