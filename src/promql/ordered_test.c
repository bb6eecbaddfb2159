#include "promql/ordered.h"

#include "base/mem.h"
#include "base/prng.h"
#include "base/test.h"

#include <stdlib.h>

struct looks { size_t n, fail_at; };

static errc look(void *ctx)
{
    struct looks *l = ctx;
    return ++l->n == l->fail_at ? ERR_CANCELED : OK;
}

static int value_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void expect_window(const struct ordered *o, const double *column, size_t lo, size_t hi)
{
    size_t n = hi - lo;
    double *want = mem_alloc_array(n + 1, sizeof(*want));
    if (n) memcpy(want, column + lo, n * sizeof(*want));
    if (n) qsort(want, n, sizeof(*want), value_order);
    EXPECT_EQ(o->n, n);
    EXPECT_EQ(memcmp(o->v, want, n * sizeof(*want)), 0);
    mem_free(want);
}

/* Windows that grow, shrink, jump, and move by little and by much; values of which many are
 * equal. */
TEST(ordered_is_the_window_in_order)
{
    enum { COLUMN = 60000, MOVES = 60 };
    struct prng r = { test_seed() };
    double *column = mem_alloc_array(COLUMN, sizeof(*column));
    for (unsigned kinds = 0; kinds < 3; kinds++) {
        static const uint64_t of[] = { 1, 50, UINT64_C(1) << 40 };
        for (size_t i = 0; i < COLUMN; i++) column[i] = (double)prng_below(&r, of[kinds]) - 20;
        for (unsigned round = 0; round < 10; round++) {
            struct arena a = { 0 };
            struct ordered o;
            struct looks l = { 0 };
            size_t lo = 0, hi = 0;
            ordered_init(&o, &a, COLUMN);
            for (unsigned m = 0; m < MOVES && lo < COLUMN; m++) {
                size_t most = prng_below(&r, 3) ? 20 : COLUMN / 2;
                size_t enter = prng_below(&r, most), leave = prng_below(&r, most);
                hi = MIN(hi + enter, (size_t)COLUMN);
                lo = MIN(lo + leave, (size_t)COLUMN);
                hi = MAX(hi, lo);
                EXPECT_OK(ordered_move(&o, column, lo, hi, look, &l));
                expect_window(&o, column, lo, hi);
            }
            arena_fini(&a);
        }
    }
    mem_free(column);
}

/* A first window of many values is no insertion sort, and looks up. */
TEST(ordered_looks_while_it_begins)
{
    enum { COLUMN = 1 << 20 };
    struct prng r = { test_seed() };
    double *column = mem_alloc_array(COLUMN, sizeof(*column));
    for (size_t i = 0; i < COLUMN; i++) column[i] = (double)prng_below(&r, UINT64_C(1) << 50);
    struct arena a = { 0 };
    struct ordered o;
    struct looks l = { 0 }, failing = { .fail_at = 3 };
    ordered_init(&o, &a, COLUMN);
    EXPECT_OK(ordered_move(&o, column, 0, COLUMN - 9, look, &l));
    EXPECT(l.n >= 32);
    expect_window(&o, column, 0, COLUMN - 9);
    EXPECT_OK(ordered_move(&o, column, 8, COLUMN - 1, look, &l));
    expect_window(&o, column, 8, COLUMN - 1);
    ordered_init(&o, &a, COLUMN);
    EXPECT_EQ(ordered_move(&o, column, 0, COLUMN, look, &failing), ERR_CANCELED);
    EXPECT_EQ(failing.n, 3);
    arena_fini(&a);
    mem_free(column);
}
