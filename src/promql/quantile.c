#include "promql/quantile.h"

#include "promql/gosort.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Many values, and who is asked between some of them whether they are still wanted. */
enum { ASK_EVERY = 1 << 15 };
struct asking { const struct arena *asks; size_t n; bool over; };
static inline bool asking_over(struct asking *a, size_t done)
{
    a->n += done;
    if (LIKELY(a->n < ASK_EVERY)) return a->over;
    a->n = 0;
    return a->over = a->over || (a->asks && arena_over(a->asks));
}

struct sorting { double *v; struct asking *asking; };

static bool value_less(void *ctx, size_t i, size_t j)
{
    const struct sorting *s = ctx;
    if (asking_over(s->asking, 1)) return false;
    return isnan(s->v[i]) || s->v[i] < s->v[j];
}

static void value_swap(void *ctx, size_t i, size_t j)
{
    double *v = ((struct sorting *)ctx)->v, t = v[i];
    v[i] = v[j];
    v[j] = t;
}

static int value_cmp(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y)) return isnan(y) - isnan(x);
    return (x > y) - (x < y);
}

/* Puts the value that sorting would put at `k` there, none greater before it and none less behind
 * it. No NaN among them. Hoare's selection around a median of three; a sort where the pivots keep
 * being bad. */
static void values_select(double *v, size_t n, size_t k, struct asking *asking)
{
    enum { SMALL = 16 };
    size_t lo = 0, hi = n, bad = 0;
    while (hi - lo > SMALL && bad < 64) {
        double a = v[lo], b = v[lo + (hi - lo) / 2], c = v[hi - 1],
               pivot = a < b ? (b < c      ? b
                                   : a < c ? c
                                           : a)
                             : (a < c      ? a
                                   : b < c ? c
                                           : b);
        size_t i = lo, j = hi - 1;
        for (;;) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i >= j) break;
            if (asking_over(asking, 1)) return;
            double t = v[i];
            v[i++] = v[j];
            v[j--] = t;
        }
        size_t cut = j + 1;                /* [lo, cut) <= pivot <= [cut, hi) */
        if (cut == hi) cut--;              /* the greatest is alone at the end */
        if (k < cut) hi = cut;
        else lo = cut;
        bad++;
        if (asking_over(asking, hi - lo)) return;
    }
    if (hi > lo) qsort(v + lo, hi - lo, sizeof(*v), value_cmp);
}

static size_t values_nan_first(double *v, size_t n)
{
    size_t nans = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(v[i])) continue;
        double t = v[nans];
        v[nans++] = v[i];
        v[i] = t;
    }
    return nans;
}

/* v[k] and v[k + 1] become what a sort makes of them. Only zeros of both signs are equal and
 * different: their order needs the literal sort. */
static void values_order(double *v, size_t n, size_t k, const struct arena *asks)
{
    static const struct gosort_ops ops = { value_less, value_swap };
    struct asking asking = { .asks = asks };
    struct sorting all = { v, &asking };
    bool plus = false, minus = false, nan = false;
    for (size_t i = 0; i < n && !asking_over(&asking, 1); i++) {
        nan |= v[i] != v[i];
        plus |= v[i] == 0 && !signbit(v[i]);
        minus |= v[i] == 0 && signbit(v[i]);
    }
    if (plus && minus) {
        gosort(&ops, &all, n);
        return;
    }
    size_t nans = nan ? values_nan_first(v, n) : 0, next = k + 1;
    if (asking.over) return;
    if (k >= nans) values_select(v + nans, n - nans, k - nans, &asking);
    else next = MAX(next, nans);
    if (next >= n || (k < nans && k + 1 < nans)) return;
    size_t least = next;
    for (size_t i = next; i < n && !asking_over(&asking, 1); i++)
        if (v[i] < v[least]) least = i;
    double t = v[next];
    v[next] = v[least];
    v[least] = t;
}

/* The two values that a quantile lies between, and how near it is to the second. */
struct between { size_t lower, upper; double weight; };

/* False: *result is it. */
static bool quantile_between(struct between *b, double q, size_t n, double *result)
{
    *result = n == 0 || isnan(q) ? NAN : q < 0 ? -INFINITY : INFINITY;
    if (n == 0 || !(q >= 0 && q <= 1)) return false;
    double rank = q * ((double)n - 1), floor_rank = floor(rank);
    b->weight = rank - floor_rank;
    b->lower = floor_rank > 0 ? (size_t)floor_rank : 0;
    b->upper = MIN(n - 1, b->lower + 1);
    return true;
}

double quantile_of_column(double q, const double *v, size_t n, size_t apart)
{
    struct between b;
    double result;
    if (!quantile_between(&b, q, n, &result)) return result;
    return v[b.lower * apart] * (1 - b.weight) + v[b.upper * apart] * b.weight;
}

double quantile_of_sorted(double q, const double *v, size_t n)
{
    return quantile_of_column(q, v, n, 1);
}

double quantile_of(double q, double *v, size_t n, const struct arena *asks)
{
    struct between b;
    double result;
    if (!quantile_between(&b, q, n, &result)) return result;
    values_order(v, n, b.lower, asks);
    return v[b.lower] * (1 - b.weight) + v[b.upper] * b.weight;
}

double quantile_mad(double *v, size_t n, const struct arena *asks)
{
    struct asking asking = { .asks = asks };
    for (size_t i = 0; i < n && !asking_over(&asking, 1); i++)
        if (isnan(v[i])) return NAN;
    double median = quantile_of(0.5, v, n, asks);
    for (size_t i = 0; i < n && !asking_over(&asking, 1); i++) v[i] = fabs(v[i] - median);
    return quantile_of(0.5, v, n, asks);
}

/* Around its median an ascending row is two runs of deviations, both ascending away from it:
 * rounding keeps the order of differences from one number. `below` values are less than the
 * median. */
struct deviations { const double *v; size_t n, below; double median; };

static double deviation_below(const struct deviations *d, size_t i)
{
    return i < d->below ? fabs(d->v[d->below - 1 - i] - d->median) : INFINITY;
}
static double deviation_above(const struct deviations *d, size_t i)
{
    return d->below + i < d->n ? fabs(d->v[d->below + i] - d->median) : INFINITY;
}

/* How many of the k least deviations are below: the least number for which what comes next below is
 * no less than the last one taken above. */
static size_t deviations_split(const struct deviations *d, size_t k)
{
    size_t above = d->n - d->below, lo = k > above ? k - above : 0, hi = MIN(k, d->below);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (deviation_below(d, mid) < deviation_above(d, k - mid - 1)) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

double quantile_mad_of_sorted(const double *v, size_t n, double *room)
{
    struct between b;
    double result;
    if (!quantile_between(&b, 0.5, n, &result)) return result;
    if (isinf(v[0]) || isinf(v[n - 1])) {
        memcpy(room, v, n * sizeof(*room));
        return quantile_mad(room, n, NULL);
    }
    struct deviations d = { v, n, 0, quantile_of_sorted(0.5, v, n) };
    for (size_t lo = 0, hi = n; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        if (v[mid] < d.median) d.below = lo = mid + 1;
        else hi = mid;
    }
    size_t i = deviations_split(&d, b.lower), k = b.lower - i;
    double x = deviation_below(&d, i), y = deviation_above(&d, k), lower = MIN(x, y), upper = lower;
    if (b.upper > b.lower)
        upper = x <= y ? MIN(deviation_below(&d, i + 1), y) : MIN(x, deviation_above(&d, k + 1));
    return lower * (1 - b.weight) + upper * b.weight;
}

/* Classic buckets */

static bool bucket_less(void *ctx, size_t i, size_t j)
{
    const struct bucket *b = ctx;
    return b[i].upper < b[j].upper;
}

static void bucket_swap(void *ctx, size_t i, size_t j)
{
    struct bucket *b = ctx, t = b[i];
    b[i] = b[j];
    b[j] = t;
}

static bool buckets_ascend(const struct bucket *b, size_t n)
{
    size_t i = 1;
    while (i < n && b[i - 1].upper < b[i].upper) i++;
    return i == n;
}

/* Sorted by bound, equal bounds added up. The new count of buckets; 0: the highest is not +Inf. */
static size_t buckets_normalize(struct bucket *b, size_t n)
{
    static const struct gosort_ops ops = { bucket_less, bucket_swap };
    bool ascend = buckets_ascend(b, n);
    if (!ascend) gosort(&ops, b, n);
    if (!(isinf(b[n - 1].upper) && b[n - 1].upper > 0)) return 0;
    if (ascend) return n;
    size_t last = 0;
    for (size_t i = 1; i < n; i++) {
        if (b[i].upper == b[last].upper) b[last].count += b[i].count;
        else b[++last] = b[i];
    }
    return last + 1;
}

static bool almost_equal(double a, double b, double epsilon)
{
    if (isnan(a) && isnan(b)) return true;
    if (a == b) return true;
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN) return diff < epsilon * DBL_MIN;
    return diff / (sum < DBL_MAX ? sum : DBL_MAX) < epsilon;
}

/* Counts never fall from bucket to bucket: differences within rounding are smoothed silently,
 * others noted. */
static void buckets_make_monotonic(struct bucket *b, size_t n, struct bucket_fix *fix)
{
    static const double tolerance = 1e-12;
    *fix = (struct bucket_fix){ false, INFINITY, -INFINITY, 0 };
    double prev = b[0].count;
    for (size_t i = 1; i < n; i++) {
        double curr = b[i].count;
        if (curr == prev) continue;
        if (almost_equal(prev, curr, tolerance)) {
            b[i].count = prev;
            continue;
        }
        if (!(curr < prev)) {
            prev = curr;
            continue;
        }
        b[i].count = prev;
        fix->forced = true;
        if (b[i].upper < fix->min_bucket) fix->min_bucket = b[i].upper;
        if (b[i].upper > fix->max_bucket) fix->max_bucket = b[i].upper;
        if (prev - curr > fix->max_diff) fix->max_diff = prev - curr;
    }
}

double bucket_quantile(double q, struct bucket *b, size_t n, struct bucket_fix *fix)
{
    assert(n > 0);
    fix->forced = false;
    if (isnan(q)) return NAN;
    if (q < 0) return -INFINITY;
    if (q > 1) return INFINITY;
    n = buckets_normalize(b, n);
    if (n == 0) return NAN;
    buckets_make_monotonic(b, n, fix);
    if (n < 2) return NAN;
    double observations = b[n - 1].count, rank = q * observations;
    if (observations == 0) return NAN;
    size_t lo = 0, hi = n - 1;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (b[mid].count >= rank) hi = mid;
        else lo = mid + 1;
    }
    if (lo == n - 1) return b[n - 2].upper;
    if (lo == 0 && b[0].upper <= 0) return b[0].upper;
    double start = 0, end = b[lo].upper, count = b[lo].count;
    if (lo > 0) {
        start = b[lo - 1].upper;
        count -= b[lo - 1].count;
        rank -= b[lo - 1].count;
    }
    return start + (end - start) * (rank / count);
}

/* How many observations lie at or below v, which falls into bucket i. */
static double bucket_rank(const struct bucket *b, double lower_bound, double rank, double v)
{
    if (isinf(lower_bound) && lower_bound < 0) return b->count;
    return rank + (b->count - rank) * (v - lower_bound) / (b->upper - lower_bound);
}

double bucket_fraction(double lower, double upper, struct bucket *b, size_t n)
{
    assert(n > 0);
    n = buckets_normalize(b, n);
    if (n == 0) return NAN;
    double count = b[n - 1].count;
    if (count == 0 || isnan(lower) || isnan(upper)) return NAN;
    if (lower >= upper) return 0;
    double rank = 0, lower_rank = 0, upper_rank = 0, bound = b[0].upper <= 0 ? -INFINITY : 0;
    bool have_lower = false, have_upper = false;
    for (size_t i = 0; i < n; i++) {
        if (i > 0) bound = b[i - 1].upper;
        if (!have_lower && bound >= lower) {
            lower_rank = rank;
            have_lower = true;
        }
        if (!have_upper && bound >= upper) {
            upper_rank = rank;
            have_upper = true;
        }
        if (!have_lower && bound < lower && b[i].upper > lower) {
            lower_rank = bucket_rank(&b[i], bound, rank, lower);
            have_lower = true;
        }
        if (!have_upper && bound < upper && b[i].upper > upper) {
            upper_rank = bucket_rank(&b[i], bound, rank, upper);
            have_upper = true;
        }
        if (have_lower && have_upper) break;
        rank = b[i].count;
    }
    if (!have_lower || lower_rank > count) lower_rank = count;
    if (!have_upper || upper_rank > count) upper_rank = count;
    return (upper_rank - lower_rank) / count;
}
