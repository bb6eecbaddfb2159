/* histogram_buckets.c — histograms seen as a row of buckets with bounds: walking, text, trimming,
 * validation. */
#include "model/histogram.h"

#include "base/f64_math.h"

#include <math.h>

/* Bounds */

static double side_bound(const struct histogram *h, int64_t index)
{
    if (!histogram_is_custom(h)) return histogram_bound(h->schema, index);
    if (index < 0) return -INFINITY;
    return (uint64_t)index < h->n_custom ? h->custom[index] : INFINITY;
}

struct histogram_bucket histogram_side_bucket(
    const struct histogram *h, bool positive, int32_t index, double count)
{
    double far = side_bound(h, index), near = side_bound(h, (int64_t)index - 1);
    struct histogram_bucket b = {
        .count = count, .lower = positive ? near : -far, .upper = positive ? far : -near
    };
    b.lower_inclusive = histogram_is_custom(h) ? index == 0 : b.lower < 0;
    b.upper_inclusive = histogram_is_custom(h) || b.upper > 0;
    return b;
}

/* Walking */

/* FAR: the side that is walked towards zero */
enum { WALK_FAR, WALK_ZERO, WALK_NEAR, WALK_END };

static const struct histogram_side *walk_side(const struct histogram_walk *w, bool far)
{
    return far == w->reverse ? &w->h->pos : &w->h->neg;
}

/* From the last bucket of the far side. */
static void walk_start_far(struct histogram_walk *w)
{
    const struct histogram_side *s = walk_side(w, true);
    w->at = s->n;
    w->span = s->n_spans;
    w->in_span = 0;
    w->index = 0;
    for (size_t i = 0; i < s->n_spans; i++)
        w->index += s->spans[i].offset + (int32_t)s->spans[i].length;
}

static bool walk_far(struct histogram_walk *w, double *count)
{
    const struct histogram_side *s = walk_side(w, true);
    while (w->in_span == 0) {
        if (w->span == 0) return false;
        if (w->span < s->n_spans) w->index -= s->spans[w->span].offset;
        w->in_span = s->spans[--w->span].length;
    }
    if (w->at == 0) return false;
    w->in_span--;
    w->index--;
    *count = s->at[--w->at];
    return true;
}

static void walk_start_near(struct histogram_walk *w)
{
    const struct histogram_side *s = walk_side(w, false);
    w->at = w->span = w->in_span = 0;
    w->index = s->n_spans ? s->spans[0].offset - 1 : 0;
}

static bool walk_near(struct histogram_walk *w, double *count)
{
    const struct histogram_side *s = walk_side(w, false);
    while (w->span < s->n_spans && w->in_span >= s->spans[w->span].length) {
        w->in_span = 0;
        if (++w->span < s->n_spans) w->index += s->spans[w->span].offset;
    }
    if (w->span >= s->n_spans || w->at >= s->n) return false;
    w->in_span++;
    w->index++;
    *count = s->at[w->at++];
    return true;
}

void histogram_walk_init(struct histogram_walk *w, const struct histogram *h, bool reverse)
{
    *w = (struct histogram_walk){ .h = h, .reverse = reverse, .state = WALK_FAR };
    walk_start_far(w);
}

/* Bounds inside of the zero bucket are its own. */
static void bucket_cut_at_zero(struct histogram_bucket *b, double threshold)
{
    if (b->upper < 0 && b->upper > -threshold) b->upper = -threshold;
    else if (b->lower > 0 && b->lower < threshold) b->lower = threshold;
}

bool histogram_walk_next(struct histogram_walk *w)
{
    const struct histogram *h = w->h;
    double count;
    if (w->state == WALK_FAR) {
        if (walk_far(w, &count)) {
            w->bucket = histogram_side_bucket(h, w->reverse, w->index, count);
            bucket_cut_at_zero(&w->bucket, h->zero_threshold);
            return true;
        }
        w->state = WALK_ZERO;
    }
    if (w->state == WALK_ZERO) {
        w->state = WALK_NEAR;
        walk_start_near(w);
        if (h->zero_count > 0) {
            w->bucket = (struct histogram_bucket){ -h->zero_threshold, h->zero_threshold,
                h->zero_count, true, true };
            return true;
        }
    }
    if (w->state == WALK_NEAR && walk_near(w, &count)) {
        w->bucket = histogram_side_bucket(h, !w->reverse, w->index, count);
        bucket_cut_at_zero(&w->bucket, h->zero_threshold);
        return true;
    }
    w->state = WALK_END;
    return false;
}

/* Text */

static void count_text(struct buf *b, double count, bool whole)
{
    if (whole) buf_u64_text(b, (uint64_t)count);
    else buf_f64_g(b, count);
}

static void bucket_text(struct buf *b, const struct histogram_bucket *k, bool whole)
{
    if (k->count == 0) return;
    buf_str(b, k->lower_inclusive ? S(", [") : S(", ("));
    buf_f64_g(b, k->lower);
    buf_u8(b, ',');
    buf_f64_g(b, k->upper);
    buf_str(b, k->upper_inclusive ? S("]:") : S("):"));
    count_text(b, k->count, whole);
}

static void text(struct buf *b, const struct histogram *h, bool whole)
{
    struct histogram_walk w;
    double count;
    buf_str(b, S("{count:"));
    count_text(b, h->count, whole);
    buf_str(b, S(", sum:"));
    buf_f64_g(b, h->sum);
    histogram_walk_init(&w, h, false);
    while (walk_far(&w, &count)) {
        struct histogram_bucket k = histogram_side_bucket(h, false, w.index, count);
        bucket_text(b, &k, whole);
    }
    if (h->zero_count != 0)
        bucket_text(b, &(struct histogram_bucket){ -h->zero_threshold, h->zero_threshold,
                           h->zero_count, true, true },
            whole);
    walk_start_near(&w);
    while (walk_near(&w, &count)) {
        struct histogram_bucket k = histogram_side_bucket(h, true, w.index, count);
        bucket_text(b, &k, whole);
    }
    buf_u8(b, '}');
}

void histogram_text(struct buf *b, const struct histogram *h) { text(b, h, false); }
void histogram_text_whole(struct buf *b, const struct histogram *h) { text(b, h, true); }

/* Trimming */

struct trimming { double count, sum; bool any, populated[2]; };

static double midpoint(double lower, double upper, bool positive, bool linear)
{
    if (isinf(lower)) return isinf(upper) ? 0 : upper > 0 ? upper / 2 : upper;
    if (isinf(upper)) return lower;
    if (linear) return (lower + upper) / 2;
    double mean = sqrt(fabs(lower * upper));
    return positive ? mean : -mean;
}

static double zero_if_inf(double v) { return isinf(v) ? 0 : v; }

/* How much of a bucket without an end stays, and where its middle is taken to be. */
static double infinite_trim(const struct histogram_bucket *b, double at, bool upper, double *mid)
{
    if (isinf(b->lower) && b->lower < 0) {
        if (upper) {
            *mid = 0;
            if (at >= b->upper) return b->count;
            if (at > 0 && b->upper > 0 && !isinf(b->upper)) {
                *mid = at / 2;
                return b->count * at / b->upper;
            }
            *mid = b->upper <= 0 ? at : zero_if_inf(b->upper);
            return b->upper <= 0 ? b->count : 0;
        }
        *mid = 0;
        if (at <= b->lower) return b->count;
        if (at >= 0 && b->upper > at && !isinf(b->upper)) {
            *mid = (at + b->upper) / 2;
            return b->count * (1 - at / b->upper);
        }
        *mid = zero_if_inf(b->upper);
        return 0;
    }
    bool keep = !upper && at >= b->lower;
    *mid = keep ? at : zero_if_inf(b->lower);
    return keep ? b->count : 0;
}

/* The share of a bucket's width that lies at or below v. */
static double share_below(const struct histogram_bucket *b, double v, bool linear)
{
    if (linear) return (v - b->lower) / (b->upper - b->lower);
    double lower = f64_log2(fabs(b->lower)), upper = f64_log2(fabs(b->upper));
    double at = f64_log2(fabs(v));
    return v > 0 ? (at - lower) / (upper - lower) : 1 - (at - upper) / (lower - upper);
}

static double bucket_trim(const struct histogram_bucket *b, double at, bool upper, bool positive,
    bool linear, double *mid)
{
    if ((isinf(b->lower) && b->lower < 0) || (isinf(b->upper) && b->upper > 0))
        return infinite_trim(b, at, upper, mid);
    double under = at <= b->lower   ? 0
                   : at >= b->upper ? b->count
                                    : b->count * share_below(b, at, linear);
    *mid =
        upper ? midpoint(b->lower, at, positive, linear) : midpoint(at, b->upper, positive, linear);
    return upper ? under : b->count - under;
}

static void side_trim(struct trimming *t, struct histogram *h, bool positive, double at, bool upper)
{
    struct histogram_side *s = positive ? &h->pos : &h->neg;
    bool linear = histogram_is_custom(h);
    struct histogram_walk w = { .h = h, .reverse = !positive };
    double count;
    walk_start_near(&w);
    while (walk_near(&w, &count)) {
        struct histogram_bucket b = histogram_side_bucket(h, positive, w.index, count);
        if (count == 0) continue;
        t->populated[positive] = true;
        double keep = 0, mid = 0;
        if (upper ? b.upper <= at : b.lower >= at) {
            keep = count;
            mid = midpoint(b.lower, b.upper, positive, linear);
        } else if (upper ? b.lower < at : b.upper > at) {
            keep = bucket_trim(&b, at, upper, positive, linear, &mid);
            t->any |= keep != count;
        } else {
            t->any = true;
            s->at[w.at - 1] = 0;
            continue;
        }
        s->at[w.at - 1] = keep;
        t->count += keep;
        t->sum += mid * keep;
    }
}

/* The zero bucket lies on the side where there are observations, if only one has any. */
static void zero_trim(struct trimming *t, struct histogram *h, double at, bool upper)
{
    double lo = -h->zero_threshold, hi = h->zero_threshold, keep, mid = 0;
    if (!(h->zero_count > 0)) return;
    if (t->populated[0] && !t->populated[1]) hi = 0;
    if (t->populated[1] && !t->populated[0]) lo = 0;
    if (at <= lo) keep = upper ? 0 : h->zero_count;
    else if (at >= hi) keep = upper ? h->zero_count : 0;
    else keep = h->zero_count * (upper ? (at - lo) / (hi - lo) : (hi - at) / (hi - lo));
    if (at <= lo || at >= hi) mid = keep != 0 ? (lo + hi) / 2 : 0;
    else mid = upper ? (lo + at) / 2 : (at + hi) / 2;
    t->any |= h->zero_count != keep;
    h->zero_count = keep;
    t->sum += mid * keep;
    t->count += keep;
}

void histogram_trim(struct arena *a, struct histogram *h, double at, bool upper)
{
    struct trimming t = { 0 };
    side_trim(&t, h, true, at, upper);
    side_trim(&t, h, false, at, upper);
    zero_trim(&t, h, at, upper);
    if (!t.any) return;
    h->count = t.count;
    h->sum = t.sum;
    histogram_compact(a, h);
}

/* Validation */

bool histogram_spans_near(const struct span *spans, size_t n)
{
    int64_t reach = 0;
    for (size_t i = 0; i < n; i++) {
        reach += spans[i].offset;
        if (reach < -HISTOGRAM_INDEX_MAX || reach > HISTOGRAM_INDEX_MAX) return false;
        reach += spans[i].length;
        if (reach > HISTOGRAM_INDEX_MAX) return false;
    }
    return true;
}

static errc spans_check(const struct histogram_side *s, bool first_too, struct err *e)
{
    uint64_t buckets = 0;
    for (size_t i = 0; i < s->n_spans; i++) {
        if ((i > 0 || first_too) && s->spans[i].offset < 0)
            return err_set(e, ERR_BAD_INPUT,
                "span number %zu with offset %d: histogram has a span whose offset is negative",
                i + 1, s->spans[i].offset);
        buckets += s->spans[i].length;
    }
    if (buckets == s->n && !histogram_spans_near(s->spans, s->n_spans))
        return err_set(e, ERR_BAD_INPUT, "histogram has a bucket beyond all numbers");
    if (buckets == s->n) return OK;
    return err_set(e, ERR_BAD_INPUT,
        "spans need %" PRIu64 " buckets, have %zu buckets: histogram spans specify different "
                              "number of buckets than provided",
        buckets, s->n);
}

errc histogram_spans_reducible(
    const struct span *spans, size_t n_spans, size_t n_buckets, struct err *e)
{
    uint64_t buckets = 0;
    for (size_t i = 0; i < n_spans; i++) {
        if (i > 0 && spans[i].offset < 0)
            return err_set(e, ERR_BAD_INPUT,
                "span number %zu with offset %d: histogram has a span whose offset is negative",
                i + 1, spans[i].offset);
        buckets += spans[i].length;
        if (buckets > n_buckets)
            return err_set(e, ERR_BAD_INPUT,
                "have %zu buckets but spans need more: histogram spans specify different number "
                "of buckets than provided",
                n_buckets);
    }
    if (buckets == n_buckets) return OK;
    return err_set(e, ERR_BAD_INPUT,
        "spans need %" PRIu64 " buckets, have %zu buckets: histogram spans specify different "
                              "number of buckets than provided",
        buckets, n_buckets);
}

errc histogram_reducible(const struct histogram *h, struct err *e)
{
    TRY(histogram_spans_reducible(h->pos.spans, h->pos.n_spans, h->pos.n, e));
    return histogram_spans_reducible(h->neg.spans, h->neg.n_spans, h->neg.n, e);
}

static errc counts_check(const struct histogram_side *s, struct err *e)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!(s->at[i] < 0)) continue;
        char text[F64_TEXT_MAX];
        str v = str_of(text, f64_text_g(text, s->at[i]));
        return err_set(e, ERR_BAD_INPUT,
            "bucket number %zu has observation count of %.*s: histogram has a bucket whose "
            "observation count is negative",
            i + 1, STR_ARG(v));
    }
    return OK;
}

static errc custom_check(const struct histogram *h, struct err *e)
{
    for (size_t i = 0; i < h->n_custom; i++) {
        if (isnan(h->custom[i]))
            return err_set(
                e, ERR_BAD_INPUT, "custom buckets: histogram custom bounds must not be NaN");
        if (i && h->custom[i] <= h->custom[i - 1])
            return err_set(e, ERR_BAD_INPUT,
                "custom buckets: previous bound is %f and current is %f: histogram custom bounds "
                "must be in strictly "
                "increasing order",
                h->custom[i - 1], h->custom[i]);
    }
    if (h->n_custom && isinf(h->custom[h->n_custom - 1]) && h->custom[h->n_custom - 1] > 0)
        return err_set(e, ERR_BAD_INPUT,
            "custom buckets: last +Inf bound must not be explicitly defined: histogram custom "
            "bounds must be finite");
    TRY_IN(e, spans_check(&h->pos, true, e), "custom buckets");
    uint64_t length = 0;
    for (size_t i = 0; i < h->pos.n_spans; i++)
        length += (uint64_t)h->pos.spans[i].offset + h->pos.spans[i].length;
    if (h->n_custom + 1 < length)
        return err_set(e, ERR_BAD_INPUT,
            "custom buckets: only %zu custom bounds defined which is insufficient to cover total "
            "span length of %" PRIu64 ": histogram custom bounds are too few",
            h->n_custom, length);
    if (h->zero_count != 0)
        return err_set(e, ERR_BAD_INPUT, "custom buckets: must have zero count of 0");
    if (h->zero_threshold != 0)
        return err_set(e, ERR_BAD_INPUT, "custom buckets: must have zero threshold of 0");
    if (h->neg.n_spans)
        return err_set(e, ERR_BAD_INPUT, "custom buckets: must not have negative spans");
    if (h->neg.n)
        return err_set(e, ERR_BAD_INPUT, "custom buckets: must not have negative buckets");
    return OK;
}

errc histogram_validate_layout(const struct histogram *h, struct err *e)
{
    if (histogram_is_custom(h)) return custom_check(h, e);
    if (!histogram_schema_is_exponential(h->schema))
        return err_set(e, ERR_BAD_INPUT,
            "histogram has an invalid schema, which must be between -4 and 8 for exponential "
            "buckets, or -53 for custom "
            "buckets, got schema %d",
            h->schema);
    TRY_IN(e, spans_check(&h->pos, false, e), "positive side");
    TRY_IN(e, spans_check(&h->neg, false, e), "negative side");
    return OK;
}

errc histogram_validate(const struct histogram *h, struct err *e)
{
    char text[F64_TEXT_MAX];
    TRY(histogram_validate_layout(h, e));
    if (!histogram_is_custom(h)) {
        TRY_IN(e, counts_check(&h->neg, e), "negative side");
        if (h->zero_count < 0) {
            str v = str_of(text, f64_text_g(text, h->zero_count));
            return err_set(e, ERR_BAD_INPUT,
                "zero bucket has observation count of %.*s: histogram has a bucket whose "
                "observation count is negative",
                STR_ARG(v));
        }
        if (h->custom)
            return err_set(
                e, ERR_BAD_INPUT, "histogram with exponential schema must not have custom bounds");
    }
    if (h->count < 0) {
        str v = str_of(text, f64_text_g(text, h->count));
        return err_set(e, ERR_BAD_INPUT,
            "observation count is  %.*s: histogram's observation count is negative", STR_ARG(v));
    }
    TRY_IN(e, counts_check(&h->pos, e), "positive side");
    return OK;
}
