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

/* Many runs are put in order by their digits. */
TEST(runs_sort_many)
{
    static const struct {
        const char *name;
        uint32_t step;
    } cases[] = { { "no gaps", 1 }, { "near", 7 }, { "two digits", 4096 }, { "far", 3000000 } };
    struct prng r = { test_seed() };
    TEST_EACH(c, cases) {
        runs got = { 0 };
        uint64_t sum = 0;
        for (snum i = 0; i < 1400; i++) {
            snum start = 1 + i * 997 % 1400 * c->step;
            snum end = start + 1 + (snum)prng_below(&r, c->step);
            vec_push(&got, ((struct run){ start, end }));
            sum += end - start;
        }
        runs_sort(&got);
        EXPECT_EQ(runs_count(&got), sum);
        EXPECT_EQ(got.at[0].start, 1);
        for (size_t i = 1; i < got.n; i++) EXPECT(got.at[i - 1].end < got.at[i].start);
        vec_fini(&got);
    }
}

/* Lists behind one another: a list joins its own runs only. */
TEST(postings_gather_behind_others)
{
    struct reclaim rc;
    postings p = { 0 }, q = { 0 };
    runs got = { 0 };
    reclaim_init(&rc);
    for (snum i = 1; i < 10; i++) postings_append(i < 5 ? &p : &q, i, &rc);
    postings_append(&q, 20, &rc);
    EXPECT_EQ(postings_bytes(&p), 1);
    EXPECT(postings_bytes(&q) > 1);
    postings_gather(&q, &got);
    postings_gather(&p, &got);
    EXPECT_EQ(got.n, 3);
    runs_sort(&got);
    EXPECT_EQ(got.n, 2);
    EXPECT_EQ(runs_count(&got), 10);
    got.n = 0;
    postings_read(&p, &got);
    postings_read(&q, &got);
    EXPECT_EQ(got.n, 2);
    vec_fini(&got);
    postings_fini(&p);
    postings_fini(&q);
    reclaim_fini(&rc);
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
