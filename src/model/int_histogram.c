#include "model/int_histogram.h"

#include "base/f64.h"

#include <math.h>

static void *array_copy(struct arena *a, const void *at, size_t n, size_t size)
{
    void *to = arena_array(a, n, size);
    if (n) memcpy(to, at, n * size);
    return to;
}

struct int_histogram *int_histogram_copy(struct arena *a, const struct int_histogram *h)
{
    struct int_histogram *c = ANEW(a, struct int_histogram);
    *c = *h;
    struct int_histogram_side *side[] = { &c->pos, &c->neg };
    for (int i = 0; i < 2; i++) {
        side[i]->spans = array_copy(a, side[i]->spans, side[i]->n_spans, sizeof(struct span));
        side[i]->deltas = array_copy(a, side[i]->deltas, side[i]->n, sizeof(int64_t));
    }
    c->custom = h->n_custom ? array_copy(a, h->custom, h->n_custom, sizeof(double)) : NULL;
    return c;
}

static struct histogram_side side_to_float(struct arena *a, const struct int_histogram_side *s)
{
    struct histogram_side f = { arena_array(a, s->n_spans, sizeof(*f.spans)), s->n_spans,
        arena_array(a, s->n, sizeof(*f.at)), s->n };
    if (s->n_spans) memcpy(f.spans, s->spans, s->n_spans * sizeof(*f.spans));
    double count = 0;
    for (size_t i = 0; i < s->n; i++) {
        count += (double)s->deltas[i];
        f.at[i] = count;
    }
    return f;
}

struct histogram *int_histogram_to_float(struct arena *a, const struct int_histogram *h)
{
    struct histogram *f = ANEW(a, struct histogram);
    *f = (struct histogram){
        .hint = h->hint, .schema = h->schema, .count = (double)h->count, .sum = h->sum
    };
    f->pos = side_to_float(a, &h->pos);
    if (!histogram_is_custom(f)) {
        f->zero_threshold = h->zero_threshold;
        f->zero_count = (double)h->zero_count;
        f->neg = side_to_float(a, &h->neg);
        return f;
    }
    double *bounds = arena_array(a, h->n_custom, sizeof(*bounds));
    if (h->n_custom) memcpy(bounds, h->custom, h->n_custom * sizeof(*bounds));
    f->custom = h->n_custom ? bounds : NULL;
    f->n_custom = h->n_custom;
    return f;
}

/* The numbers of a side's buckets, one after the other. Spans of no length and spans that touch say
 * the same in other words. */
struct bucket_numbers {
    const struct int_histogram_side *s;
    size_t span;
    uint32_t in_span;
    int64_t next;
};

static struct bucket_numbers numbers_of(const struct int_histogram_side *s)
{
    return (struct bucket_numbers){ .s = s, .next = s->n_spans ? s->spans[0].offset : 0 };
}

static bool numbers_next(struct bucket_numbers *b, int64_t *number)
{
    while (b->span < b->s->n_spans && b->in_span >= b->s->spans[b->span].length) {
        b->in_span = 0;
        if (++b->span < b->s->n_spans) b->next += b->s->spans[b->span].offset;
    }
    if (b->span >= b->s->n_spans) return false;
    b->in_span++;
    *number = b->next++;
    return true;
}

/* Counts are summed whole and become differences again. */
static struct int_histogram_side side_reduce(struct arena *a, const struct int_histogram_side *s,
                                             int32_t shift)
{
    struct int_histogram_side out = { .spans = arena_array(a, s->n, sizeof(*out.spans)),
        .deltas = arena_array(a, s->n, sizeof(*out.deltas)) };
    struct bucket_numbers numbers = numbers_of(s);
    uint64_t count = 0, last = 0, sum = 0;     /* of a bucket; of the last two that were made */
    int64_t number, end = 0;
    for (size_t i = 0; i < s->n && numbers_next(&numbers, &number); i++) {
        int64_t at = ((number - 1) >> shift) + 1;
        count += (uint64_t)s->deltas[i];
        if (out.n && at == end - 1) {
            sum += count;
        } else {
            if (out.n && at == end) out.spans[out.n_spans - 1].length++;
            else out.spans[out.n_spans++] = (struct span){ (int32_t)(at - end), 1 };
            end = at + 1;
            last = sum;
            sum = count;
            out.n++;
        }
        out.deltas[out.n - 1] = (int64_t)(sum - last);
    }
    return out;
}

static size_t spans_length(const struct int_histogram_side *s)
{
    size_t sum = 0;
    for (size_t i = 0; i < s->n_spans; i++) sum += s->spans[i].length;
    return sum;
}

/* Nothing is empty, no span begins where the one before ends. */
static bool side_is_compact(const struct int_histogram_side *s, size_t max_empty)
{
    uint64_t count = 0;
    for (size_t i = 0; i < s->n; i++)
        if ((count += (uint64_t)s->deltas[i]) == 0) return false;
    for (size_t i = 0; i < s->n_spans; i++)
        if (s->spans[i].offset <= (int64_t)max_empty || !s->spans[i].length) return false;
    return true;
}

/* One more bucket, `gap` buckets behind the last one. Small gaps are filled with empty buckets. */
static void side_put(struct int_histogram_side *out, int64_t gap, size_t max_empty,
                     uint64_t *last, uint64_t count)
{
    bool first = out->n_spans == 0;
    if (first || gap < 0 || gap > (int64_t)max_empty) {
        out->spans[out->n_spans++] = (struct span){ (int32_t)gap, 0 };
    } else {
        for (int64_t i = 0; i < gap; i++, *last = 0)
            out->deltas[out->n++] = (int64_t)(0 - *last);
        out->spans[out->n_spans - 1].length += (uint32_t)gap;
    }
    out->spans[out->n_spans - 1].length++;
    out->deltas[out->n++] = (int64_t)(count - *last);
    *last = count;
}

static void side_compact(struct arena *a, struct int_histogram_side *s, size_t max_empty)
{
    if (side_is_compact(s, max_empty) || spans_length(s) != s->n) return;
    struct int_histogram_side out = { .spans = arena_array(a, s->n, sizeof(*out.spans)),
        .deltas = arena_array(a, s->n * (1 + max_empty), sizeof(*out.deltas)) };
    struct bucket_numbers numbers = numbers_of(s);
    uint64_t count = 0, last = 0;
    int64_t number, end = 0;
    for (size_t i = 0; i < s->n && numbers_next(&numbers, &number); i++) {
        count += (uint64_t)s->deltas[i];
        if (!count) continue;
        side_put(&out, number - end, max_empty, &last, count);
        end = number + 1;
    }
    *s = out;
}

void int_histogram_compact(struct arena *a, struct int_histogram *h, size_t max_empty)
{
    side_compact(a, &h->pos, max_empty);
    side_compact(a, &h->neg, max_empty);
}

struct int_histogram *int_histogram_copy_to_schema(struct arena *a, const struct int_histogram *h,
                                                   int32_t schema)
{
    assert(schema < h->schema && h->schema != HISTOGRAM_CUSTOM_SCHEMA);
    struct int_histogram *c = ANEW(a, struct int_histogram);
    *c = *h;
    c->schema = schema;
    c->pos = side_reduce(a, &h->pos, h->schema - schema);
    c->neg = side_reduce(a, &h->neg, h->schema - schema);
    return c;
}

errc int_histogram_reducible(const struct int_histogram *h, struct err *e)
{
    TRY(histogram_spans_reducible(h->pos.spans, h->pos.n_spans, h->pos.n, e));
    return histogram_spans_reducible(h->neg.spans, h->neg.n_spans, h->neg.n, e);
}

static bool side_equal(const struct int_histogram_side *a, const struct int_histogram_side *b)
{
    if (a->n != b->n || (a->n && memcmp(a->deltas, b->deltas, a->n * sizeof(*a->deltas))))
        return false;
    struct bucket_numbers na = numbers_of(a), nb = numbers_of(b);
    for (;;) {
        int64_t x = 0, y = 0;
        bool more_a = numbers_next(&na, &x), more_b = numbers_next(&nb, &y);
        if (more_a != more_b || x != y) return false;
        if (!more_a) return true;
    }
}

bool int_histogram_equal(const struct int_histogram *a, const struct int_histogram *b)
{
    if (a->schema != b->schema || a->count != b->count || f64_bits(a->sum) != f64_bits(b->sum))
        return false;
    if (a->zero_threshold != b->zero_threshold || a->zero_count != b->zero_count ||
        a->n_custom != b->n_custom)
        return false;
    for (size_t i = 0; i < a->n_custom; i++)
        if (a->custom[i] != b->custom[i]) return false;
    return side_equal(&a->pos, &b->pos) && side_equal(&a->neg, &b->neg);
}

static errc deltas_check(const struct int_histogram_side *s, uint64_t *sum, struct err *e)
{
    int64_t count = 0;
    for (size_t i = 0; i < s->n; i++) {
        count = (int64_t)((uint64_t)count + (uint64_t)s->deltas[i]);
        if (count < 0)
            return err_set(e, ERR_BAD_INPUT,
                "bucket number %zu has observation count of %" PRId64
                ": histogram has a bucket whose observation count is "
                "negative",
                i + 1, count);
        *sum += (uint64_t)count;
    }
    return OK;
}

errc int_histogram_validate(const struct int_histogram *h, struct err *e)
{
    struct histogram layout = { .schema = h->schema,
        .zero_threshold = h->zero_threshold,
        .zero_count = (double)h->zero_count,
        .pos = { h->pos.spans, h->pos.n_spans, NULL, h->pos.n },
        .neg = { h->neg.spans, h->neg.n_spans, NULL, h->neg.n },
        .custom = h->custom,
        .n_custom = h->n_custom };
    uint64_t sum = h->zero_count;
    TRY(histogram_validate_layout(&layout, e));
    if (!histogram_is_custom(&layout)) {
        TRY_IN(e, deltas_check(&h->neg, &sum, e), "negative side");
        if (h->custom)
            return err_set(
                e, ERR_BAD_INPUT, "histogram with exponential schema must not have custom bounds");
    }
    TRY_IN(e, deltas_check(&h->pos, &sum, e), "positive side");
    if (isnan(h->sum) ? sum <= h->count : sum == h->count) return OK;
    return err_set(e, ERR_BAD_INPUT,
        "%" PRIu64 " observations found in buckets, but the Count field is %" PRIu64
        ": histogram's observation count should %s",
        sum, h->count,
        isnan(h->sum)
            ? "be at least the number of observations found in the buckets"
            : "equal the number of observations found in the buckets (in absence of NaN)");
}
