#include "head/ooo_parts.h"

#include "head/ooo_commit.h"
#include "head/test_ooo.h"

/* Where times are equal one value is shown; of a late chunk and the array the array's, as
 * Prometheus has it. */
TEST(equal_times_show_one_value)
{
    struct rig r;
    samples all = { 0 };
    rig_open(&r, 3 * HOUR);
    put(r.head, S("a"), 10 * HOUR, 1);
    put(r.head, S("a"), 10 * HOUR + 10, 1);
    put(r.head, S("a"), 10 * HOUR, 2);         /* late: as old as the first of what is in order */
    put(r.head, S("a"), 9 * HOUR, 3);
    EXPECT_OK(ooo_seal_all(r.head, NULL));
    put(r.head, S("a"), 9 * HOUR, 4);
    read_back(r.head, S("a"), INT64_MIN, INT64_MAX, INT64_MIN, &all);
    EXPECT_EQ(all.n, 3);
    EXPECT(all.at[0].t == 9 * HOUR && all.at[0].v == 4);
    EXPECT(all.at[1].t == 10 * HOUR && all.at[2].t == 10 * HOUR + 10);
    vec_fini(&all);
    rig_close(&r);
}

TEST(groups_do_not_overlap)
{
    struct rig r;
    struct ooo_parts p;
    struct isolation_reader reader;
    rig_open(&r, 3 * HOUR);
    for (int i = 0; i < 40; i++) put(r.head, S("a"), 10 * HOUR + i * MINUTE, i);
    for (int i = 0; i < 3; i++) {              /* late chunks within the first hour, one by one */
        for (int k = 0; k < 5; k++) put(r.head, S("a"), 8 * HOUR + i * HOUR / 4 + k, k);
        EXPECT_OK(ooo_seal_all(r.head, NULL));
    }
    put(r.head, S("a"), 10 * HOUR + 30 * MINUTE + 1, 5);
    ooo_parts_init(&p, r.head);
    isolation_enter(&r.head->isolation, &reader);
    uint32_t slot = series_slot_of(&r.head->series, 1);
    ooo_parts_take(&p, &(struct ooo_parts_of){ .slot = slot,
                           .generation = series_generation(store_slot(&r.head->store, slot)),
                           .ref = 1,
                           .mint = INT64_MIN,
                           .maxt = INT64_MAX,
                           .reader = &reader });
    int64_t reach = INT64_MIN;
    size_t groups = 0, late = 0;
    for (size_t i = 0, end; i < p.all.n; i = end, groups++) {
        end = ooo_parts_group(&p, i);
        EXPECT(end > i && (!i || p.all.at[i].mint > reach));
        for (size_t k = i; k < end; k++) {
            reach = MAX(reach, p.all.at[k].maxt);
            late += !p.all.at[k].in_order;
        }
    }
    EXPECT_EQ(late, 4);
    EXPECT_EQ(groups + 1, p.all.n);            /* the last late one lies in the chunks in order */
    isolation_leave(&r.head->isolation, &reader);
    ooo_parts_fini(&p);
    rig_close(&r);
}
