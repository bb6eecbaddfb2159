#include "promql/histogramslide.h"

#include "base/f64.h"
#include "base/test.h"

#include <math.h>

enum { SAMPLES = 400, SPANS_MAX = 4 };
/* What the samples of a series are like. */
struct shape { bool custom, resolutions, sparse, odd, cancelling; };

static void side_fill(struct histogram_side *s, struct prng *r, struct arena *a, bool sparse)
{
    s->n_spans = prng_below(r, SPANS_MAX);
    s->spans = arena_array(a, s->n_spans, sizeof(*s->spans));
    for (size_t i = 0; i < s->n_spans; i++) {
        s->spans[i] = (struct span){ (int32_t)prng_below(r, 4) + !i,
            1 + (uint32_t)prng_below(r, sparse ? 3 : 1) };
        s->n += s->spans[i].length;
    }
    s->at = arena_zalloc(a, s->n * sizeof(*s->at));
}

static struct histogram *layout_new(const struct shape *x, struct prng *r, struct arena *a)
{
    struct histogram *h = ANEW(a, struct histogram);
    h->schema = x->resolutions ? (int32_t)prng_below(r, 3) : 1;
    h->zero_threshold = x->odd && prng_below(r, 4) == 0 ? 3 : 1e-3;
    if (x->custom) {
        double *bounds = arena_array(a, 3, sizeof(*bounds));
        for (int i = 0; i < 3; i++) bounds[i] = i + (x->resolutions && prng_below(r, 3) == 0);
        h->schema = HISTOGRAM_CUSTOM_SCHEMA;
        h->zero_threshold = 0;
        h->custom = bounds;
        h->n_custom = 3;
        h->pos.n_spans = 1;
        h->pos.n = 1 + prng_below(r, 4);
        h->pos.spans = ANEW(a, struct span);
        h->pos.spans[0].length = (uint32_t)h->pos.n;
        h->pos.at = arena_zalloc(a, h->pos.n * sizeof(*h->pos.at));
        return h;
    }
    side_fill(&h->pos, r, a, x->sparse);
    side_fill(&h->neg, r, a, x->sparse);
    return h;
}

static const struct histogram *next(
    const struct shape *x, const struct histogram *like, struct prng *r, struct arena *a)
{
    static const double odd[] = { INFINITY, NAN, -1, 1e300, -0.0, 0.1 };
    struct histogram *h = histogram_copy(a, like);
    h->hint = prng_below(r, 10) ? RESET_NO : (enum reset_hint)prng_below(r, 4);
    for (size_t i = 0; i < h->pos.n; i++) h->pos.at[i] = (double)prng_below(r, 1000);
    for (size_t i = 0; i < h->neg.n; i++) h->neg.at[i] = (double)prng_below(r, 10) / 3;
    if (!x->custom) h->zero_count = (double)prng_below(r, 50);
    h->count = (double)prng_below(r, 100000);
    h->sum = prng_unit(r) * 100 - 50;
    if (x->cancelling && prng_below(r, 4) == 0) h->sum = prng_below(r, 2) ? 1e30 : -1e30;
    if (x->odd && prng_below(r, 60) == 0) h->sum = odd[prng_below(r, ARRAY_LEN(odd))];
    if (x->odd && h->pos.n && prng_below(r, 60) == 0) h->pos.at[0] = odd[prng_below(r, 6)];
    return h;
}

static void samples_make(
    struct histogram_samples *hs, const struct shape *x, struct prng *r, struct arena *a)
{
    enum { LAYOUTS = 5 };
    struct histogram *known[LAYOUTS];
    for (size_t i = 0; i < LAYOUTS; i++) known[i] = layout_new(x, r, a);
    const struct histogram *like = known[0];
    hs->n = 0;
    for (int64_t i = 0; i < SAMPLES; i++) {
        if (prng_below(r, 15) == 0) like = known[prng_below(r, LAYOUTS)];
        histogram_samples_push(hs, i, next(x, like, r, a));
    }
}

static bool near(double a, double b)
{
    return f64_bits(a) == f64_bits(b) || (isnan(a) && isnan(b)) ||
           fabs(a - b) <= 1e-12 * fmax(fabs(a), fabs(b));
}

static void expect_side(const struct histogram_side *a, const struct histogram_side *b)
{
    EXPECT_EQ(a->n_spans, b->n_spans);
    EXPECT_EQ(a->n, b->n);
    for (size_t i = 0; i < a->n_spans; i++) {
        EXPECT_EQ(a->spans[i].offset, b->spans[i].offset);
        EXPECT_EQ(a->spans[i].length, b->spans[i].length);
    }
    for (size_t i = 0; i < a->n; i++) EXPECT(near(a->at[i], b->at[i]));
}

/* The sum that slides is the one that is made one by one. */
static void expect_sum(struct histogram_sum *got, const struct histogram_samples *hs, size_t lo,
    size_t hi, struct arena *a)
{
    struct histogram_sum want = { .h = *histogram_copy(a, hs->h[lo]) };
    struct histogram_merge m;
    for (size_t i = lo + 1; i < hi; i++) EXPECT_OK(histogram_sum_add(a, &want, hs->h[i], &m));
    EXPECT_OK(histogram_sum_end(a, &want, &m));
    EXPECT_OK(histogram_sum_end(a, got, &m));
    EXPECT_EQ(got->h.hint, want.h.hint);
    EXPECT_EQ(got->h.schema, want.h.schema);
    EXPECT(near(got->h.zero_threshold, want.h.zero_threshold));
    EXPECT(near(got->h.count, want.h.count));
    EXPECT(near(got->h.sum, want.h.sum));
    EXPECT(near(got->h.zero_count, want.h.zero_count));
    EXPECT(histogram_bounds_equal(&got->h, &want.h));
    expect_side(&got->h.pos, &want.h.pos);
    expect_side(&got->h.neg, &want.h.neg);
}

static bool has_hint(
    const struct histogram_samples *hs, size_t lo, size_t hi, enum reset_hint hint)
{
    for (size_t i = lo; i < hi; i++)
        if (hs->h[i]->hint == hint) return true;
    return false;
}

/* Windows of `width` samples, `by` apart; some steps see nothing. How many slid. */
static size_t check_windows(struct histogram_slide *s, const struct histogram_samples *hs,
    size_t width, size_t by, struct prng *r)
{
    uint32_t lo[SAMPLES * 2], hi[SAMPLES * 2];
    size_t n = 0, slid = 0;
    struct arena room = { 0 };
    for (size_t end = 1; end < SAMPLES + width; end += by, n++) {
        hi[n] = (uint32_t)MIN(end, SAMPLES);
        lo[n] = (uint32_t)MIN(end - MIN(end, width), SAMPLES);
        if (prng_below(r, 9) == 0) hi[n] = lo[n];
    }
    if (!histogram_slide_begin(s, hs, lo, hi, n)) return 0;
    for (size_t k = 0; k < n; k++) {
        struct histogram_sum sum;
        if (lo[k] == hi[k] || !histogram_slide_sum(s, k, &room, &sum)) continue;
        expect_sum(&sum, hs, lo[k], hi[k], &room);
        for (enum reset_hint hint = RESET_YES; hint <= RESET_NO; hint++)
            EXPECT_EQ(histogram_slide_has(s, k, hint), has_hint(hs, lo[k], hi[k], hint));
        arena_reset(&room, (struct arena_mark){ 0 });
        slid++;
    }
    arena_fini(&room);
    return slid;
}

TEST(histogram_sums_slide)
{
    static const struct { const char *name; struct shape shape; size_t least; } cases[] = {
        { "one resolution", { .sparse = true }, 300 },
        { "custom buckets", { .custom = true }, 300 },
        { "bounds", { .custom = true, .resolutions = true }, 1 },
        { "resolutions", { .sparse = true, .resolutions = true }, 1 },
        { "odd", { .sparse = true, .odd = true }, 1 },
        { "cancelling", { .sparse = true, .cancelling = true }, 300 },
    };
    struct prng r = { test_seed() };
    struct histogram_slide s;
    histogram_slide_init(&s, NULL, 0);
    TEST_EACH(c, cases) {
        struct arena a = { 0 };
        struct samples all = { 0 };
        samples_make(&all.hist, &c->shape, &r, &a);
        size_t slid = check_windows(&s, &all.hist, 60, 1, &r);
        slid += check_windows(&s, &all.hist, 37, 3, &r);
        (void)check_windows(&s, &all.hist, 300, 11, &r);
        EXPECT(slid >= c->least);
        samples_fini(&all);
        arena_fini(&a);
    }
    EXPECT(!histogram_slide_spent(&s));
    histogram_slide_fini(&s);
}
