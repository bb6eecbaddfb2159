#include "model/classic_histogram.h"

#include "base/test.h"

#include <math.h>

enum kind { BUCKET, COUNT, SUM };
struct given {
    enum kind kind;
    double le, v;
};
#define B(le, v)                                                                                   \
    {                                                                                              \
        BUCKET, (le), (v)                                                                          \
    }
#define C(v)                                                                                       \
    {                                                                                              \
        COUNT, 0, (v)                                                                              \
    }
#define S_(v)                                                                                      \
    {                                                                                              \
        SUM, 0, (v)                                                                                \
    }

static void put_all(struct classic_histogram *c, const struct given *at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (at[i].kind == BUCKET) classic_put_bucket(c, at[i].le, at[i].v);
        else if (at[i].kind == COUNT) classic_put_count(c, at[i].v);
        else classic_put_sum(c, at[i].v);
    }
}

TEST(classic_becomes_nhcb)
{
    static const struct {
        const char *name;
        struct given at[6];
        size_t n;
        bool floats;
        const char *text;
    } cases[] = {
        { "whole", { B(1, 1), B(2, 3), B(INFINITY, 4), C(4), S_(7) }, 5, false,
            "{count:4, sum:7, [-Inf,1]:1, (1,2]:2, (2,+Inf]:1}" },
        { "in any order, one twice", { B(2, 3), C(4), B(1, 1), B(2, 9), B(INFINITY, 4) }, 5, false,
            "{count:4, sum:0, [-Inf,1]:1, (1,2]:2, (2,+Inf]:1}" },
        { "no +Inf: the count's", { B(1, 1), C(4) }, 2, false,
            "{count:4, sum:0, [-Inf,1]:1, (1,+Inf]:3}" },
        { "no count: the last bucket's", { B(1, 1), B(INFINITY, 5) }, 2, false,
            "{count:5, sum:0, [-Inf,1]:1, (1,+Inf]:4}" },
        { "floats", { B(1, 0.5), B(INFINITY, 2), C(2) }, 3, true,
            "{count:2, sum:0, [-Inf,1]:0.5, (1,+Inf]:1.5}" },
        { "nothing but a count", { C(3) }, 1, false, "{count:3, sum:0, [-Inf,+Inf]:3}" },
    };
    struct classic_histogram c = { 0 };
    TEST_EACH (t, cases) {
        struct arena a = { 0 };
        struct buf b = { 0 };
        struct err e = { 0 };
        struct int_histogram *whole = NULL;
        struct histogram *floats = NULL;
        classic_reset(&c);
        put_all(&c, t->at, t->n);
        EXPECT_OK_E(classic_convert(&c, &a, &whole, &floats, &e), &e);
        EXPECT_EQ(floats != NULL, t->floats);
        EXPECT_EQ(whole == NULL, t->floats);
        histogram_text(&b, floats ? floats : int_histogram_to_float(&a, whole));
        EXPECT_STR(buf_view(&b), str_z(t->text));
        buf_fini(&b);
        arena_fini(&a);
    }
    classic_fini(&c);
}

TEST(classic_parts_that_do_not_fit)
{
    static const struct {
        const char *name;
        struct given at[3];
        size_t n;
        const char *words;
    } cases[] = {
        { "fewer than below", { B(1, 3), B(2, 2) }, 2, "count is not cumulative: 2 < 3" },
        { "more than above", { B(2, 2), B(1, 3) }, 2, "count is not cumulative: 3 > 2" },
        { "negative bucket", { B(0.5, -1) }, 1,
            "bucket count must be non-negative: le=0.5, count=-1" },
        { "negative count", { C(-2) }, 1, "count must be non-negative: count=-2" },
        { "no bound", { B(NAN, 1) }, 1, "bucket boundary must not be NaN" },
        { "another count", { B(INFINITY, 3), C(4) }, 2,
            "count mismatch: count=4 != le=+Inf count=3" },
        { "the first of two", { C(-2), B(NAN, 1) }, 2, "count must be non-negative: count=-2" },
    };
    struct classic_histogram c = { 0 };
    TEST_EACH (t, cases) {
        struct arena a = { 0 };
        struct err e = { 0 };
        struct int_histogram *whole;
        struct histogram *floats;
        classic_reset(&c);
        put_all(&c, t->at, t->n);
        EXPECT_EQ(classic_convert(&c, &a, &whole, &floats, &e), ERR_BAD_INPUT);
        EXPECT_STR(err_str(&e), str_z(t->words));
        arena_fini(&a);
    }
    classic_fini(&c);
}

TEST(classic_parts_by_name)
{
    static const struct {
        const char *name;
        const char *base;
        enum classic_part part;
    } cases[] = {
        { "a_bucket", "a", CLASSIC_BUCKET },
        { "a_sum", "a", CLASSIC_SUM },
        { "a_count", "a", CLASSIC_COUNT },
        { "a_created", "a_created", CLASSIC_NONE },
        { "_count", "", CLASSIC_COUNT },
    };
    TEST_EACH (c, cases) {
        str base;
        EXPECT_EQ(classic_part_of(str_z(c->name), &base), c->part);
        EXPECT_STR(base, str_z(c->base));
    }
}
