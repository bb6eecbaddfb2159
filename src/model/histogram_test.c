#include "model/histogram.h"

#include "base/f64.h"
#include "base/kahan.h"
#include "base/prng.h"
#include "base/test.h"

#include <math.h>

static struct arena room;

/* One run of buckets a side. */
struct shape {
    int32_t schema;
    double zero, zero_count, sum;
    int32_t offset;
    size_t n;
    double at[6];
    int32_t neg_offset;
    size_t n_neg;
    double neg[3];
};

static struct histogram_side side_of(int32_t offset, const double *at, size_t n)
{
    struct histogram_side s = { arena_array(&room, 1, sizeof(struct span)), n > 0,
        arena_array(&room, n, sizeof(double)), n };
    s.spans[0] = (struct span){ offset, (uint32_t)n };
    if (n) memcpy(s.at, at, n * sizeof(*at));
    return s;
}

static struct histogram *histogram_of(const struct shape *s)
{
    static const double bounds[] = { 1, 2, 5 };
    struct histogram *h = ANEW(&room, struct histogram);
    *h = (struct histogram){ .schema = s->schema,
        .zero_threshold = s->zero,
        .zero_count = s->zero_count,
        .sum = s->sum,
        .count = s->zero_count };
    h->pos = side_of(s->offset, s->at, s->n);
    h->neg = side_of(s->neg_offset, s->neg, s->n_neg);
    for (size_t i = 0; i < s->n; i++) h->count += s->at[i];
    for (size_t i = 0; i < s->n_neg; i++) h->count += s->neg[i];
    if (histogram_is_custom(h)) h->custom = bounds, h->n_custom = ARRAY_LEN(bounds);
    return h;
}

static str text_of(const struct histogram *h)
{
    struct buf b = { 0 };
    histogram_text(&b, h);
    str s = arena_str(&room, buf_view(&b));
    buf_fini(&b);
    return s;
}

#define PLAIN { 0, 0.001, 1, 5, 0, 3, { 2, 0, 4 }, 0, 1, { 3 } }
static const struct shape plain = PLAIN;

TEST(histogram_texts)
{
    static const struct { const char *name; struct shape s; const char *want;
    } cases[] = {
        { "empty", { 0 }, "{count:0, sum:0}" },
        { "both sides", { 0, 0.001, 1, 5, 0, 3, { 2, 0, 4 }, 0, 1, { 3 } },
            "{count:10, sum:5, [-1,-0.5):3, [-0.001,0.001]:1, (0.5,1]:2, (2,4]:4}" },
        { "fine", { 1, 0, 0, 1, 1, 1, { 7 }, 0, 0, { 0 } },
            "{count:7, sum:1, (1,1.414213562373095]:7}" },
        { "coarse", { -1, 0, 0, 1, 1, 1, { 7 }, 0, 0, { 0 } }, "{count:7, sum:1, (1,4]:7}" },
        { "custom", { -53, 0, 0, 1, 0, 4, { 1, 2, 3, 4 }, 0, 0, { 0 } },
            "{count:10, sum:1, [-Inf,1]:1, (1,2]:2, (2,5]:3, (5,+Inf]:4}" },
    };
    TEST_EACH(c, cases) EXPECT_STR(text_of(histogram_of(&c->s)), str_z(c->want));
    arena_fini(&room);
}

TEST(histogram_sums)
{
    static const struct {
        const char *name;
        struct shape a, b;
        double sign;
        errc rc;
        const char *want;
    } cases[] = {
        { "same layout", PLAIN, PLAIN, 1, OK,
            "{count:20, sum:10, [-1,-0.5):6, [-0.001,0.001]:2, (0.5,1]:4, (2,4]:8}" },
        { "taken away", PLAIN, PLAIN, -1, OK, "{count:0, sum:0}" },
        { "other buckets", PLAIN, { 0, 0.001, 0, 1, -1, 2, { 1, 1 }, 2, 1, { 1 } }, 1, OK,
            "{count:13, sum:6, [-4,-2):1, [-1,-0.5):3, [-0.001,0.001]:1, (0.25,0.5]:1, (0.5,1]:3, "
            "(2,4]:4}" },
        { "a coarser one", { 1, 0, 0, 1, 1, 4, { 1, 2, 3, 4 }, 0, 0, { 0 } },
            { 0, 0, 0, 1, 1, 1, { 10 }, 0, 0, { 0 } }, 1, OK,
            "{count:20, sum:2, (1,2]:13, (2,4]:7}" },
        { "a finer one", { 0, 0, 0, 1, 1, 1, { 10 }, 0, 0, { 0 } },
            { 1, 0, 0, 1, 1, 4, { 1, 2, 3, 4 }, 0, 0, { 0 } }, 1, OK,
            "{count:20, sum:2, (1,2]:13, (2,4]:7}" },
        { "a wider zero bucket", { 0, 0.5, 1, 0, 0, 2, { 1, 1 }, 0, 0, { 0 } },
            { 0, 1, 1, 0, 1, 1, { 1 }, 0, 0, { 0 } }, 1, OK,
            "{count:5, sum:0, [-1,1]:3, (1,2]:2}" },
        { "a zero bucket that cuts a bucket", { 0, 0.5, 1, 0, 0, 2, { 1, 1 }, 0, 0, { 0 } },
            { 0, 0.75, 1, 0, 1, 1, { 1 }, 0, 0, { 0 } }, 1, OK,
            "{count:5, sum:0, [-1,1]:3, (1,2]:2}" },
        { "a wider zero bucket takes buckets in", { 0, 0, 0, 0, -2, 2, { 3, 1 }, 0, 0, { 0 } },
            { 0, 0.5, 1, 0, 1, 1, { 1 }, 0, 0, { 0 } }, 1, OK,
            "{count:6, sum:0, [-0.5,0.5]:5, (1,2]:1}" },
        { "of two kinds", PLAIN, { -53, 0, 0, 1, 0, 1, { 1 }, 0, 0, { 0 } }, 1, ERR_BAD_INPUT, "" },
    };
    TEST_EACH(c, cases) {
        struct histogram *h = histogram_of(&c->a);
        struct histogram_sum s = { .h = *histogram_of(&c->a) };
        struct histogram_merge m;
        EXPECT_EQ(histogram_add(&room, h, histogram_of(&c->b), c->sign, &m), c->rc);
        if (c->rc != OK) continue;
        EXPECT_STR(text_of(h), str_z(c->want));
        if (c->sign < 0) continue;
        EXPECT_OK(histogram_sum_add(&room, &s, histogram_of(&c->b), &m));
        EXPECT_OK(histogram_sum_end(&room, &s, &m));
        EXPECT_STR(text_of(&s.h), str_z(c->want));
    }
    arena_fini(&room);
}

/* To buckets 0 and 3, each a span of its own, are added others: the spans are Prometheus', since a
 * histogram's size, which queries are limited by, counts them. */
TEST(histogram_sums_spans)
{
    static const struct {
        const char *name;
        struct span b[2];
        struct span want[3];
    } cases[] = {
        { "the same", { { 0, 1 }, { 2, 1 } }, { { 0, 1 }, { 2, 1 } } },
        { "before the first", { { -1, 1 } }, { { -1, 2 }, { 2, 1 } } },
        { "far before the first", { { -3, 1 } }, { { -3, 1 }, { 2, 1 }, { 2, 1 } } },
        { "behind a span", { { 1, 1 } }, { { 0, 2 }, { 1, 1 } } },
        { "in front of a span", { { 2, 1 } }, { { 0, 1 }, { 1, 2 } } },
        { "what was between", { { 1, 2 } }, { { 0, 3 }, { 0, 1 } } },
        { "over both", { { -1, 6 } }, { { -1, 4 }, { 0, 2 } } },
        { "far behind", { { 5, 1 } }, { { 0, 1 }, { 2, 1 }, { 1, 1 } } },
    };
    TEST_EACH(c, cases) {
        double one[] = { 1, 1 }, more[] = { 1, 1, 1, 1, 1, 1 };
        struct span mine[] = { { 0, 1 }, { 2, 1 } };
        struct histogram a = { .pos = { mine, 2, one, 2 } }, b = { .pos = { .at = more } };
        struct histogram_merge m;
        b.pos.spans = arena_array(&room, 2, sizeof(struct span));
        memcpy(b.pos.spans, c->b, sizeof(c->b));
        for (; b.pos.n_spans < 2 && c->b[b.pos.n_spans].length; b.pos.n_spans++)
            b.pos.n += c->b[b.pos.n_spans].length;
        EXPECT_OK(histogram_add(&room, &a, &b, 1, &m));
        for (size_t i = 0; i < a.pos.n_spans; i++) {
            EXPECT_EQ(a.pos.spans[i].offset, c->want[i].offset);
            EXPECT_EQ(a.pos.spans[i].length, c->want[i].length);
        }
        EXPECT_EQ(a.pos.n_spans, 1u + (c->want[1].length > 0) + (c->want[2].length > 0));
    }
    arena_fini(&room);
}

TEST(histogram_sums_of_bounds)
{
    static const double other[] = { 2, 3, 5 };
    struct histogram *a = histogram_of(
                         &(struct shape){ -53, 0, 0, 1, 0, 4, { 1, 2, 3, 4 }, 0, 0, { 0 } }),
                     *b = histogram_copy(&room, a);
    struct histogram_merge m;
    b->custom = other;
    EXPECT_OK(histogram_add(&room, a, b, 1, &m));
    EXPECT(m.bounds_reconciled);
    EXPECT_STR(text_of(a), S("{count:20, sum:2, [-Inf,2]:4, (2,5]:8, (5,+Inf]:8}"));
    arena_fini(&room);
}

TEST(histogram_resets)
{
    static const struct { const char *name; struct shape prev, now; bool want;
    } cases[] = {
        { "the same", PLAIN, PLAIN, false },
        { "grown", PLAIN, { 0, 0.001, 1, 5, 0, 3, { 2, 1, 4 }, 0, 1, { 3 } }, false },
        { "a bucket fell", PLAIN, { 0, 0.001, 9, 5, 0, 3, { 1, 1, 4 }, 0, 1, { 3 } }, true },
        { "a bucket is gone", PLAIN, { 0, 0.001, 9, 5, 0, 2, { 2, 1 }, 0, 1, { 3 } }, true },
        { "finer", PLAIN, { 1, 0.001, 90, 5, 0, 3, { 2, 1, 4 }, 0, 1, { 3 } }, true },
        { "coarser", PLAIN, { -1, 0.001, 1, 5, 0, 2, { 2, 4 }, 0, 1, { 3 } }, false },
        { "the zero bucket took a bucket in", PLAIN, { 0, 1, 6, 5, 2, 1, { 4 }, 0, 0, { 0 } },
            false },
        { "the zero bucket cuts a bucket", PLAIN,
            { 0, 0.75, 60, 5, 0, 3, { 2, 1, 4 }, 0, 0, { 0 } }, true },
    };
    TEST_EACH (c, cases)
        EXPECT_EQ(histogram_is_reset(histogram_of(&c->now), histogram_of(&c->prev)), c->want);
    struct histogram *told = histogram_of(&plain);
    told->hint = RESET_YES;
    EXPECT(histogram_is_reset(told, histogram_of(&plain)));
    arena_fini(&room);
}

TEST(histogram_trims)
{
    static const struct {
        const char *name;
        struct shape s;
        double at;
        bool upper;
        const char *want;
    } cases[] = {
        { "nothing", PLAIN, 100, true,
            "{count:10, sum:5, [-1,-0.5):3, [-0.001,0.001]:1, (0.5,1]:2, (2,4]:4}" },
        { "at a bound", { 0, 0, 0, 5, 1, 2, { 2, 4 }, 0, 0, { 0 } }, 2, true,
            "{count:2, sum:2.8284271247461903, (1,2]:2}" },
        { "half of a custom bucket", { -53, 0, 0, 1, 1, 2, { 2, 4 }, 0, 0, { 0 } }, 3.5, false,
            "{count:2, sum:8.5, (2,5]:2}" },
        { "all", PLAIN, -100, true, "{count:0, sum:0}" },
    };
    TEST_EACH(c, cases) {
        struct histogram *h = histogram_of(&c->s);
        histogram_trim(&room, h, c->at, c->upper);
        EXPECT_STR(text_of(h), str_z(c->want));
    }
    arena_fini(&room);
}

TEST(histogram_compacts_and_reduces)
{
    struct histogram *h =
        histogram_of(&(struct shape){ 1, 0, 0, 0, -1, 6, { 0, 1, 0, 0, 2, 0 }, 0, 0, { 0 } });
    histogram_compact(&room, h);
    EXPECT_EQ(h->pos.n, 2);
    EXPECT_EQ(h->pos.n_spans, 2);
    EXPECT_EQ(h->pos.spans[0].offset, 0);
    EXPECT_EQ(h->pos.spans[1].offset, 2);
    EXPECT_STR(
        text_of(histogram_copy_to_schema(&room, h, 0)), S("{count:3, sum:0, (0.5,1]:1, (2,4]:2}"));
    EXPECT(histogram_equal(h, histogram_copy(&room, h)));
    EXPECT(!histogram_equal(h, histogram_of(&plain)));
    arena_fini(&room);
}

/* A chunk may say any schema: what is finer than the counts of bits in a number falls together. */
TEST(histogram_of_a_schema_beyond_all_is_reduced)
{
    static const int32_t schemas[] = { 39, 40, 41, 52, 127 };
    static const struct shape far = { 0, 0, 0, 0, -3, 6, { 1, 2, 4, 8, 16, 32 }, 0, 0, { 0 } };
    for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
        struct histogram *h = histogram_of(&far);
        h->schema = schemas[i];
        const struct histogram *r = histogram_copy_to_schema(&room, h, HISTOGRAM_SCHEMA_MAX);
        EXPECT_EQ(r->pos.n, 2);
        EXPECT_EQ(r->pos.spans[0].offset, 0);
        EXPECT(r->pos.at[0] == 15 && r->pos.at[1] == 48);      /* numbers to 0, and those behind */
    }
    arena_fini(&room);
}

TEST(histogram_validates)
{
    static const struct { const char *name; struct shape s; const char *want;
    } cases[] = {
        { "good", { 0, 0.001, 1, 5, 0, 3, { 2, 0, 4 }, 0, 1, { 3 } }, "ok" },
        { "schema", { 9, 0, 0, 0, 0, 0, { 0 }, 0, 0, { 0 } },
            "histogram has an invalid schema, which must be between -4 and 8 for exponential "
            "buckets, or -53 for custom buckets, got schema 9" },
        { "a negative bucket", { 0, 0, 0, 0, 0, 2, { 1, -0.5 }, 0, 0, { 0 } },
            "positive side: bucket number 2 has observation count of -0.5: histogram has a bucket "
            "whose observation count is negative" },
        { "too few bounds", { -53, 0, 0, 0, 1, 4, { 1, 1, 1, 1 }, 0, 0, { 0 } },
            "custom buckets: only 3 custom bounds defined which is insufficient to cover total "
            "span length of 5: histogram custom bounds are too few" },
        { "a zero count", { -53, 0, 1, 0, 0, 1, { 1 }, 0, 0, { 0 } },
            "custom buckets: must have zero count of 0" },
    };
    TEST_EACH(c, cases) {
        struct err e = { 0 };
        EXPECT_EQ(histogram_validate(histogram_of(&c->s), &e),
            strcmp(c->want, "ok") ? ERR_BAD_INPUT : OK);
        EXPECT_STR(err_str(&e), str_z(c->want));
    }
    arena_fini(&room);
}

TEST(histogram_bounds_within)
{
    static const double thresholds[] = { 0, -0.0, 5e-324, 1e-128, 0x1p-3, 0.75, 1, 1e300, INFINITY,
        NAN, -1 };
    struct prng r = { test_seed() };
    for (int round = 0; round < 100000; round++) {
        int32_t schema = (int32_t)prng_below(&r, 13) - 4;
        int64_t most = schema < 0 ? 1200 >> -schema : 1200 << schema;
        int64_t index = (int64_t)prng_below(&r, (uint64_t)(2 * most)) - most;
        double bound = histogram_bound(schema, index), t = bound;
        uint64_t kind = prng_below(&r, 4);
        if (kind == 0) t = thresholds[prng_below(&r, ARRAY_LEN(thresholds))];
        if (kind == 1) t = nextafter(bound, 0);
        if (kind == 2) t = bound * prng_unit(&r) * 4;
        EXPECT_EQ(histogram_bound_within(schema, index, t), bound <= t);
    }
}

/* A row of buckets in up to five spans, some of which touch; what they count lies at their index in
 * `dense`. */
enum { DENSE = 64 };
static struct histogram_side random_side(struct prng *r, double *dense, const double *among)
{
    struct histogram_side s = { arena_array(&room, DENSE, sizeof(struct span)), 0,
        arena_array(&room, DENSE, sizeof(double)), 0 };
    int32_t end = 0;
    for (int32_t i = 0; i < DENSE; i++) {
        if ((among && isnan(among[i])) || prng_below(r, 3) == 0) continue;
        if (!s.n_spans || i != end || prng_below(r, 5) == 0)
            s.spans[s.n_spans++] = (struct span){ s.n_spans ? i - end : i, 0 };
        s.spans[s.n_spans - 1].length++;
        end = i + 1;
        dense[i] = s.at[s.n++] = (prng_unit(r) - 0.3) * (prng_below(r, 2) ? 1e16 : 1);
    }
    return s;
}

static void check_side(const struct histogram_side *s, const struct kahan *want, bool lost)
{
    int32_t index = 0;
    for (size_t i = 0, at = 0; i < s->n_spans; i++) {
        index += s->spans[i].offset;
        for (uint32_t k = 0; k < s->spans[i].length; k++, index++, at++)
            EXPECT_EQ(f64_bits(s->at[at]), f64_bits(lost ? want[index].c : want[index].s));
    }
}

/* Buckets that a sum has are added to where they stand: nothing moves, no span changes, and each
 * has the bits of adding it by itself. */
TEST(histogram_sums_in_place)
{
    struct prng r = { test_seed() };
    for (int round = 0; round < 3000; round++) {
        double a_at[DENSE], b_at[DENSE];
        for (size_t i = 0; i < DENSE; i++) a_at[i] = b_at[i] = NAN;
        struct histogram a = { .schema = 0, .pos = random_side(&r, a_at, NULL) }, b = a, was = a;
        struct histogram_merge m;
        b.pos = random_side(&r, b_at, a_at);
        struct kahan want[DENSE];
        double sign = prng_below(&r, 2) ? 1 : -1;
        bool lossy = prng_below(&r, 2);
        for (size_t i = 0; i < DENSE; i++) {
            want[i] = (struct kahan){ a_at[i], 0 };
            if (isnan(b_at[i])) continue;
            if (lossy) want[i].s += sign * b_at[i];
            else kahan_add(&want[i], b_at[i]);
        }
        if (lossy) {
            EXPECT_OK(histogram_add(&room, &a, &b, sign, &m));
            check_side(&a.pos, want, false);
        } else {
            struct histogram_sum s = { .h = a };
            EXPECT_OK(histogram_sum_add(&room, &s, &b, &m));
            a = s.h;
            check_side(&a.pos, want, false);
            check_side(&s.c.pos, want, true);
        }
        EXPECT(a.pos.at == was.pos.at && a.pos.spans == was.pos.spans);
        EXPECT(a.pos.n == was.pos.n && a.pos.n_spans == was.pos.n_spans);
    }
    arena_fini(&room);
}
