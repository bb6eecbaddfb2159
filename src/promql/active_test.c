#include "promql/active.h"

#include "base/clock.h"
#include "base/test.h"
#include "io/pool.h"

static void count_cut(void *ctx) { ++*(unsigned *)ctx; }

TEST(active_list_of_queries)
{
    unsigned cuts = 0;
    struct active_list l;
    struct arena a;
    struct active_query one, two;
    const struct query_opts first = { .query = S("up"),
        .origin = { S("127.0.0.1"), S("GET"), S("/api/v1/query") } };
    const struct query_opts second = { .query = S("sum(up)") };
    active_init(&l);
    arena_init(&a, NULL, 0);
    active_enter(&l, &one, &first, count_cut, &cuts);
    active_enter(&l, &two, &second, NULL, NULL);
    atomic_store(&two.entered_ns, two.began_ns + 5);
    atomic_store(&two.waited_ns, 7);
    active_add(&two.samples, 40);
    active_add(&two.samples, 2);
    active_memory(&two, 100);
    active_memory(&two, 60);

    struct query_activity *at;
    size_t n;
    active_copy(&l, &a, &at, &n);
    EXPECT_EQ(n, 2);
    EXPECT_STR(at[0].query, S("up"));
    EXPECT_STR(at[0].origin.path, S("/api/v1/query"));
    EXPECT(!at[0].running && at[0].waited_ns >= 0);
    EXPECT_STR(at[1].query, S("sum(up)"));
    EXPECT(at[1].running && at[1].id > at[0].id);
    EXPECT_EQ(at[1].waited_ns, 12);
    EXPECT_EQ(at[1].samples, 42);
    EXPECT_EQ(at[1].memory, 60);
    EXPECT_EQ(at[1].memory_peak, 100);

    EXPECT(active_end(&l, at[0].id));
    EXPECT(active_ended(&one) && !active_ended(&two));
    EXPECT_EQ(cuts, 1);
    active_leave(&l, &one);
    EXPECT(!active_end(&l, at[0].id));
    active_leave(&l, &two);
    active_copy(&l, &a, &at, &n);
    EXPECT_EQ(n, 0);
    arena_fini(&a);
    active_fini(&l);
}

enum { TIMES = 300, ASKERS = 3 };

static void looks(struct active_list *l)
{
    for (uint64_t last = 0; last < ASKERS * TIMES;) {
        struct arena a;
        struct query_activity *at;
        size_t n;
        arena_init(&a, NULL, 0);
        active_copy(l, &a, &at, &n);
        EXPECT(n <= ASKERS);
        for (size_t i = 0; i < n; i++) {
            EXPECT_STR(at[i].query, S("x"));
            EXPECT(i == 0 || at[i].id > at[i - 1].id);
            (void)active_end(l, at[i].id);
        }
        arena_fini(&a);
        mtx_lock(&l->mu);
        last = l->first ? 0 : l->last_id;
        mtx_unlock(&l->mu);
    }
}

static void comes_and_goes(void *ctx)
{
    struct active_list *l = ctx;
    const struct query_opts o = { .query = S("x") };
    for (int i = 0; i < TIMES; i++) {
        struct active_query q;
        active_enter(l, &q, &o, NULL, NULL);
        active_add(&q.samples, 1);
        while (i % 8 == 0 && !active_ended(&q)) clock_sleep_ns(1000);
        active_leave(l, &q);
    }
}

/* Some queries end only when somebody ends them; lists are taken all the while. */
TEST(active_list_under_threads)
{
    struct active_list l;
    active_init(&l);
    struct pool *p = pool_new(
        &(struct pool_opts){ .name = "query", .threads = ASKERS, .queue_max = ASKERS });
    for (int i = 0; i < ASKERS; i++) EXPECT(pool_submit(p, comes_and_goes, &l));
    looks(&l);
    pool_free(p);
    active_fini(&l);
}
