#include "wal/rec_histogram.h"

#include "base/f64.h"

/* Resolutions that a later version may write: read as the finest that is known here. */
enum { SCHEMA_RESERVED_MIN = -9, SCHEMA_RESERVED_MAX = 52 };

struct rec_histogram rec_histogram_of_int(const struct int_histogram *h)
{
    return (struct rec_histogram){ .hint = (uint8_t)h->hint,
        .schema = h->schema,
        .zero_threshold = h->zero_threshold,
        .sum = h->sum,
        .zero_count.i = h->zero_count,
        .count.i = h->count,
        .pos_spans = h->pos.spans,
        .neg_spans = h->neg.spans,
        .n_pos_spans = h->pos.n_spans,
        .n_neg_spans = h->neg.n_spans,
        .pos = h->pos.deltas,
        .neg = h->neg.deltas,
        .n_pos = h->pos.n,
        .n_neg = h->neg.n,
        .custom = h->custom,
        .n_custom = h->n_custom };
}

/* The words of the counts: a double and an integer of its bits lie in memory alike. */
struct rec_histogram rec_histogram_of_float(const struct histogram *h)
{
    return (struct rec_histogram){ .is_float = true,
        .hint = (uint8_t)h->hint,
        .schema = h->schema,
        .zero_threshold = h->zero_threshold,
        .sum = h->sum,
        .zero_count.f = h->zero_count,
        .count.f = h->count,
        .pos_spans = h->pos.spans,
        .neg_spans = h->neg.spans,
        .n_pos_spans = h->pos.n_spans,
        .n_neg_spans = h->neg.n_spans,
        .pos = (const int64_t *)(const void *)h->pos.at,
        .neg = (const int64_t *)(const void *)h->neg.at,
        .n_pos = h->pos.n,
        .n_neg = h->neg.n,
        .custom = h->custom,
        .n_custom = h->n_custom };
}

static bool spans_cover(const struct span *spans, size_t n_spans, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n_spans && sum <= n; i++) sum += spans[i].length;
    return sum == n;
}

errc rec_histogram_check(const struct rec_histogram *r, struct err *e)
{
    bool custom = r->schema == HISTOGRAM_CUSTOM_SCHEMA;
    if (!custom && (r->schema < SCHEMA_RESERVED_MIN || r->schema > SCHEMA_RESERVED_MAX))
        return err_set(e, ERR_BAD_INPUT, "a histogram of unknown schema %" PRId64, r->schema);
    if (!spans_cover(r->pos_spans, r->n_pos_spans, r->n_pos) ||
        !spans_cover(r->neg_spans, r->n_neg_spans, r->n_neg))
        return err_set(e, ERR_BAD_INPUT, "a histogram whose spans are not those of its buckets");
    if (!histogram_spans_near(r->pos_spans, r->n_pos_spans) ||
        !histogram_spans_near(r->neg_spans, r->n_neg_spans))
        return err_set(e, ERR_BAD_INPUT, "a histogram with a bucket beyond all numbers");
    return OK;
}

static struct span *spans_of(const struct span *s) { return (struct span *)(uintptr_t)s; }

struct int_histogram *rec_histogram_int(struct arena *a, const struct rec_histogram *r)
{
    struct int_histogram *h = ANEW(a, struct int_histogram);
    assert(!r->is_float);
    *h = (struct int_histogram){ .hint = r->hint & 3,
        .schema = (int32_t)r->schema,
        .zero_count = r->zero_count.i,
        .count = r->count.i,
        .zero_threshold = r->zero_threshold,
        .sum = r->sum,
        .pos = { spans_of(r->pos_spans), r->n_pos_spans, (int64_t *)(uintptr_t)r->pos, r->n_pos },
        .neg = { spans_of(r->neg_spans), r->n_neg_spans, (int64_t *)(uintptr_t)r->neg, r->n_neg },
        .custom = r->n_custom ? r->custom : NULL,
        .n_custom = r->n_custom };
    if (h->schema <= HISTOGRAM_SCHEMA_MAX) return h;
    return int_histogram_copy_to_schema(a, h, HISTOGRAM_SCHEMA_MAX);
}

struct histogram *rec_histogram_float(struct arena *a, const struct rec_histogram *r)
{
    struct histogram *h = ANEW(a, struct histogram);
    assert(r->is_float);
    double *pos = (double *)(uintptr_t)(const void *)r->pos;
    double *neg = (double *)(uintptr_t)(const void *)r->neg;
    *h = (struct histogram){ .hint = r->hint & 3,
        .schema = (int32_t)r->schema,
        .zero_threshold = r->zero_threshold,
        .zero_count = r->zero_count.f,
        .count = r->count.f,
        .sum = r->sum,
        .pos = { spans_of(r->pos_spans), r->n_pos_spans, pos, r->n_pos },
        .neg = { spans_of(r->neg_spans), r->n_neg_spans, neg, r->n_neg },
        .custom = r->n_custom ? r->custom : NULL,
        .n_custom = r->n_custom };
    if (h->schema <= HISTOGRAM_SCHEMA_MAX) return h;
    return histogram_copy_to_schema(a, h, HISTOGRAM_SCHEMA_MAX);
}
