/* Quantiles, fractions and variance of native histograms.
 *
 * Within an exponential bucket observations are taken to lie evenly on a logarithmic scale, within
 * the zero bucket and custom buckets on a linear one. A histogram whose sum is NaN may have seen
 * NaNs: they count, but lie in no bucket. */
#include "promql/quantile.h"

#include "base/f64_math.h"
#include "base/kahan.h"

#include <math.h>

/* Observations of one sign only: the zero bucket lies on their side. */
static void zero_bucket_narrow(const struct histogram *h, struct histogram_bucket *b)
{
    if (h->neg.n == 0 && h->pos.n > 0) b->lower = 0;
    else if (h->pos.n == 0 && h->neg.n > 0) b->upper = 0;
}

static double bucket_interpolate(
    const struct histogram *h, const struct histogram_bucket *b, double fraction)
{
    if (histogram_is_custom(h) || (b->lower <= 0 && b->upper >= 0))
        return b->lower + (b->upper - b->lower) * fraction;
    double lower = f64_log2(fabs(b->lower)), upper = f64_log2(fabs(b->upper));
    if (b->lower > 0) return f64_exp2(lower + (upper - lower) * fraction);
    return -f64_exp2(upper + (lower - upper) * (1 - fraction));
}

double histogram_quantile(double q, const struct histogram *h, enum histogram_note *note)
{
    *note = HISTOGRAM_FINE;
    if (q < 0) return -INFINITY;
    if (q > 1) return INFINITY;
    if (h->count == 0 || isnan(q)) return NAN;
    bool upward = isnan(h->sum) || q < 0.5;
    double rank = (upward ? q : 1 - q) * h->count, count = 0;
    struct histogram_walk w;
    struct histogram_bucket b = { 0 };
    histogram_walk_init(&w, h, !upward);
    while (histogram_walk_next(&w)) {
        b = w.bucket;
        if (b.count == 0) continue;
        count += b.count;
        if (count >= rank) break;
    }
    if (!histogram_is_custom(h) && b.lower < 0 && b.upper > 0) {
        zero_bucket_narrow(h, &b);
    } else if (histogram_is_custom(h)) {
        if (isinf(b.lower) && b.lower < 0) {
            if (b.upper <= 0) return b.upper;
            b.lower = 0;
        } else if (isinf(b.upper) && b.upper > 0) {
            return b.lower;
        }
    }
    if (count > h->count) count = h->count;
    if (count < rank) {
        if (!isnan(h->sum)) return b.upper;
        *note = HISTOGRAM_NAN_RESULT;
        return NAN;
    }
    if (upward) rank -= count - b.count;
    else rank = count - rank;
    if (isnan(h->sum)) {
        double all = count;
        /* the reference goes on with the last bucket, too */
        for (; histogram_walk_next(&w); all += b.count) b = w.bucket;
        if (all < h->count) *note = HISTOGRAM_NAN_SKEW;
    }
    return bucket_interpolate(h, &b, rank / b.count);
}

/* The observations at or below v, which lies in b; `rank` of them in the buckets before. */
static double rank_within(const struct histogram_bucket *b, double rank, double v, bool linear)
{
    if (linear)
        return isinf(b->lower) && b->lower < 0
                   ? b->count
                   : rank + b->count * ((v - b->lower) / (b->upper - b->lower));
    double lower = f64_log2(fabs(b->lower)), upper = f64_log2(fabs(b->upper));
    double at = f64_log2(fabs(v));
    return rank +
           b->count * (v > 0 ? (at - lower) / (upper - lower) : 1 - (at - upper) / (lower - upper));
}

struct rank_search { double at, rank; bool found; };

static void rank_look(
    struct rank_search *s, const struct histogram_bucket *b, double rank, bool linear)
{
    if (s->found) return;
    s->found = b->lower >= s->at || b->upper > s->at;
    if (b->lower >= s->at) s->rank = rank;
    else if (b->upper > s->at) s->rank = rank_within(b, rank, s->at, linear);
}

double histogram_fraction(
    double lower, double upper, const struct histogram *h, enum histogram_note *note)
{
    *note = HISTOGRAM_FINE;
    if (h->count == 0 || isnan(lower) || isnan(upper)) return NAN;
    if (lower >= upper) return 0;
    struct rank_search lo = { .at = lower }, hi = { .at = upper };
    struct histogram_walk w;
    double rank = 0, count = 0;
    histogram_walk_init(&w, h, false);
    while (histogram_walk_next(&w)) {
        struct histogram_bucket b = w.bucket;
        count += b.count;
        bool zero = b.lower <= 0 && b.upper >= 0;
        if (zero) zero_bucket_narrow(h, &b);
        rank_look(&lo, &b, rank, zero || histogram_is_custom(h));
        rank_look(&hi, &b, rank, zero || histogram_is_custom(h));
        if (lo.found && hi.found) break;
        rank += b.count;
    }
    if (isnan(h->sum)) {
        while (histogram_walk_next(&w)) count += w.bucket.count;
        if (count < h->count) *note = HISTOGRAM_NAN_LEFT_OUT;
    } else {
        count = h->count;
    }
    if (!lo.found || lo.rank > count) lo.rank = count;
    if (!hi.found || hi.rank > count) hi.rank = count;
    return (hi.rank - lo.rank) / h->count;
}

double histogram_variance(const struct histogram *h)
{
    double mean = h->sum / h->count;
    struct kahan sum = { 0, 0 };
    struct histogram_walk w;
    histogram_walk_init(&w, h, false);
    while (histogram_walk_next(&w)) {
        const struct histogram_bucket *b = &w.bucket;
        double at = 0;
        if (b->count == 0) continue;
        if (histogram_is_custom(h)) at = (b->upper + b->lower) / 2;
        else if (!(b->lower <= 0 && b->upper >= 0))
            at = b->upper < 0 ? -sqrt(b->upper * b->lower) : sqrt(b->upper * b->lower);
        double delta = at - mean;
        kahan_add(&sum, b->count * delta * delta);
    }
    return (sum.s + sum.c) / h->count;
}
