#include "promql/slices.h"

#include "base/clock.h"
#include "base/test.h"
#include "io/pool.h"

#include <stdatomic.h>

enum { QUERIES = 6, PLACES = 2, SLICES = 20 };

struct crowd { struct slices all; _Atomic int heavy, most; _Atomic int64_t light_ns; };

static bool never_gone(void *ctx UNUSED) { return false; }
static bool always_gone(void *ctx UNUSED) { return true; }

static void busy(int64_t ns)
{
    for (int64_t end = clock_cpu_ns() + ns; clock_cpu_ns() < end;) {
    }
}

static void heavy(struct crowd *c)
{
    struct slice t;
    slice_begin(&t, &c->all);
    busy(SLICE_NS);
    for (int i = 0; i < SLICES; i++) {
        slice_take(&t, never_gone, NULL);
        int now = atomic_fetch_add(&c->heavy, 1) + 1, most = atomic_load(&c->most);
        while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now)) {
        }
        busy(SLICE_NS);
        atomic_fetch_sub(&c->heavy, 1);
    }
    slice_end(&t);
}

static void query(void *ctx, size_t i)
{
    struct crowd *c = ctx;
    if (i) {
        heavy(c);
        return;
    }
    struct slice t;
    slice_begin(&t, &c->all);
    slice_take(&t, never_gone, NULL);
    atomic_store(&c->light_ns, t.waited_ns);
    slice_end(&t);
}

TEST(slices_are_as_many_as_places)
{
    struct crowd c = { .most = 0 };
    struct pool *p = pool_new(
        &(struct pool_opts){ .name = "test", .threads = QUERIES, .queue_max = QUERIES });
    slices_init(&c.all, PLACES);
    pool_each(p, QUERIES, query, &c);
    EXPECT(c.most >= 1 && c.most <= PLACES);
    EXPECT_EQ(c.all.free, PLACES);
    EXPECT_EQ(c.light_ns, 0);
    slices_fini(&c.all);
    pool_free(p);
}

TEST(slice_ends_where_the_query_is_gone)
{
    struct slices all;
    struct slice a, b;
    slices_init(&all, 1);
    slice_begin(&a, &all);
    slice_begin(&b, &all);
    busy(SLICE_NS);
    slice_take(&a, never_gone, NULL);
    slice_take(&b, always_gone, NULL);
    EXPECT(a.placed && !b.placed && !all.first);
    slice_end(&b);
    slice_end(&a);
    EXPECT_EQ(all.free, 1);
    slices_fini(&all);
}
