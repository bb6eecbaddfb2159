#include "head/postings.h"

#include "base/test.h"

enum { UNIVERSE = 400 };

static void set_of(runs *out, const bool *in)
{
    out->n = 0;
    for (snum i = 1; i < UNIVERSE; i++)
        if (in[i]) runs_push(out, i, i + 1);
}

static void expect_set(const runs *r, const bool *in)
{
    for (snum i = 1; i < UNIVERSE; i++) EXPECT_EQ(runs_has(r, i), in[i]);
    for (size_t i = 1; i < r->n; i++) EXPECT(r->at[i - 1].end < r->at[i].start);
}

static void random_set(struct prng *r, bool *in)
{
    bool on = prng_below(r, 2);
    uint64_t odds = 1 + prng_below(r, 20);
    for (snum i = 0; i < UNIVERSE; i++) {
        if (!prng_below(r, odds)) on = !on;
        in[i] = on && i > 0;
    }
}

TEST(runs_model)
{
    struct prng r = { test_seed() };
    for (unsigned k = 0; k < 500; k++) {
        bool a[UNIVERSE], b[UNIVERSE], want[UNIVERSE];
        runs x = { 0 }, y = { 0 }, got = { 0 };
        random_set(&r, a);
        random_set(&r, b);
        set_of(&x, a);
        set_of(&y, b);
        for (unsigned i = 0; i < UNIVERSE; i++) want[i] = a[i] && b[i];
        runs_and(&got, &x, &y);
        expect_set(&got, want);
        for (unsigned i = 0; i < UNIVERSE; i++) want[i] = a[i] && !b[i];
        runs_sub(&got, &x, &y);
        expect_set(&got, want);
        for (unsigned i = 0; i < UNIVERSE; i++) want[i] = a[i] || b[i];
        got.n = 0;
        for (size_t i = 0; i < y.n; i++) vec_push(&got, y.at[i]);
        for (size_t i = 0; i < x.n; i++) vec_push(&got, x.at[i]);
        runs_sort(&got);
        expect_set(&got, want);
        vec_fini(&x);
        vec_fini(&y);
        vec_fini(&got);
    }
}

TEST(postings_model)
{
    struct prng r = { test_seed() };
    struct reclaim rc;
    reclaim_init(&rc);
    for (unsigned k = 0; k < 500; k++) {
        bool in[UNIVERSE], dead[UNIVERSE];
        postings p = { 0 };
        runs got = { 0 }, gone = { 0 };
        random_set(&r, in);
        struct reclaim_reader me;
        if (k % 2) reclaim_enter(&rc, &me);
        size_t n = 0;
        for (snum i = 1; i < UNIVERSE; i++) {
            if (!in[i]) continue;
            postings_append(&p, i, &rc);
            EXPECT_EQ(postings_count(&p), ++n);
        }
        postings_read(&p, &got);
        expect_set(&got, in);
        random_set(&r, dead);
        set_of(&gone, dead);
        postings_remove(&p, &gone, &rc);
        for (unsigned i = 0; i < UNIVERSE; i++) in[i] = in[i] && !dead[i];
        postings_append(&p, UNIVERSE + 5, &rc);
        got.n = 0;
        postings_gather(&p, &got);
        runs_sort(&got);
        expect_set(&got, in);
        EXPECT(runs_has(&got, UNIVERSE + 5));
        EXPECT_EQ(runs_count(&got), postings_count(&p));
        if (k % 2) reclaim_leave(&rc, &me);
        postings_fini(&p);
        vec_fini(&got);
        vec_fini(&gone);
    }
    reclaim_fini(&rc);
}
