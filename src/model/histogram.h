/* histogram.h — native histograms: the noun and its arithmetic.
 *
 * What        Schema, zero bucket, spans and buckets as Prometheus' FloatHistogram has them
 *             (absolute bucket counts); an integer histogram is turned into this form when it is
 *             read. Sums with and without compensation, resolution, resets, trimming, text.
 * Invariants  the lengths of a side's spans sum up to its number of buckets; a span's offset counts
 *             from the end of the one before, the first one's from bucket 0
 * Ownership   arrays are borrowed from an arena; a function that changes a histogram in place
 *             writes into them, so it is for copies
 * Threads     values
 * Errors      ERR_BAD_INPUT: histograms that cannot be combined; validation says why in Prometheus'
 *             words
 * Format      histogram_text is Prometheus' String()
 */
#ifndef EPI_MODEL_HISTOGRAM_H
#define EPI_MODEL_HISTOGRAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { HISTOGRAM_CUSTOM_SCHEMA = -53, HISTOGRAM_SCHEMA_MIN = -4, HISTOGRAM_SCHEMA_MAX = 8 };
enum reset_hint { RESET_UNKNOWN, RESET_YES, RESET_NO, RESET_GAUGE };
struct span { int32_t offset; uint32_t length; };

/* The positive or the negative buckets; n counts. */
struct histogram_side { struct span *spans; size_t n_spans; double *at; size_t n; };
struct histogram {
    enum reset_hint hint;
    int32_t schema;
    double zero_threshold, zero_count, count, sum;
    struct histogram_side pos, neg;
    const double *custom;                  /* upper bounds of custom buckets, schema -53 */
    size_t n_custom;
};
static inline bool histogram_is_custom(const struct histogram *h)
{
    return h->schema == HISTOGRAM_CUSTOM_SCHEMA;
}
static inline bool histogram_schema_is_exponential(int32_t s)
{
    return s >= HISTOGRAM_SCHEMA_MIN && s <= HISTOGRAM_SCHEMA_MAX;
}

/* Of a later version: to be read as the finest that is known. */
static inline bool histogram_schema_is_reserved(int32_t s)
{
    return s > HISTOGRAM_SCHEMA_MAX && s <= 52;
}

struct histogram *histogram_copy(struct arena *a, const struct histogram *h);
/* Do spans and buckets fit together, so that a coarser schema can be made of it? Says it in the
 * words that the reference has for this, which are not those of validation. */
MUST_USE errc histogram_reducible(const struct histogram *h, struct err *e);
MUST_USE errc histogram_spans_reducible(
    const struct span *spans, size_t n_spans, size_t n_buckets, struct err *e);
/* schema <= h's */
struct histogram *histogram_copy_to_schema(
    struct arena *a, const struct histogram *h, int32_t schema);
/* the same layout and the same bits; not the hint */
bool histogram_equal(const struct histogram *a, const struct histogram *b);
/* of custom buckets */
bool histogram_bounds_equal(const struct histogram *a, const struct histogram *b);
/* bytes, as max-samples counts them */
size_t histogram_size(const struct histogram *h);

/* In place. */
void histogram_scale(struct histogram *h, double factor);
void histogram_divide(struct histogram *h, double by);
/* drops empty buckets */
void histogram_compact(struct arena *a, struct histogram *h);

/* What adding had to do. */
struct histogram_merge { bool reset_collision, bounds_reconciled; };
/* h += sign * other; h's arrays may be replaced by ones of the arena. */
MUST_USE errc histogram_add(struct arena *a, struct histogram *h, const struct histogram *other,
    double sign, struct histogram_merge *m);

/* A sum that carries its rounding errors; c has the layout of h where it is used. Start with a copy
 * in h and with_c false. */
struct histogram_sum { struct histogram h, c; bool with_c; };
MUST_USE errc histogram_sum_add(struct arena *a, struct histogram_sum *s,
    const struct histogram *other, struct histogram_merge *m);
/* s += x, as if what x was made of were added. REQUIRES: the same kind of buckets, resolution, zero
 * threshold and bounds */
void histogram_sum_join(struct arena *a, struct histogram_sum *s, const struct histogram_sum *x);
/* adds c to h */
MUST_USE errc histogram_sum_end(
    struct arena *a, struct histogram_sum *s, struct histogram_merge *m);
void histogram_sum_copy(struct arena *a, struct histogram_sum *out, const struct histogram_sum *s);
/* is anything in it infinite? */
bool histogram_overflows(const struct histogram *h);
/* the greatest magnitude of its numbers; NaN is none */
double histogram_greatest(const struct histogram *h);

/* Was a counter with the value `prev` reset before it had h? */
bool histogram_is_reset(const struct histogram *h, const struct histogram *prev);

/* Buckets with their bounds */
struct histogram_bucket { double lower, upper, count; bool lower_inclusive, upper_inclusive; };
/* of an exponential schema: upper bound of bucket `index` */
double histogram_bound(int32_t schema, int64_t index);
/* histogram_bound() <= threshold */
bool histogram_bound_within(int32_t schema, int64_t index, double threshold);
/* All buckets in ascending (or descending) order, the zero bucket if it counts anything among them;
 * bounds are cut at the zero bucket's. */
struct histogram_walk {
    const struct histogram *h;
    bool reverse;
    int state;
    size_t span, in_span, at;              /* of the side at hand */
    int32_t index;
    struct histogram_bucket bucket;
};
void histogram_walk_init(struct histogram_walk *w, const struct histogram *h, bool reverse);
bool histogram_walk_next(struct histogram_walk *w);
struct histogram_bucket histogram_side_bucket(
    const struct histogram *h, bool positive, int32_t index, double count);

/* Removes what lies above (or below) `at`, in place; count and sum are estimated anew if anything
 * went. */
void histogram_trim(struct arena *a, struct histogram *h, double at, bool upper);

/* {count:1, sum:2, [-0.001,0.001]:1, (1,2]:3} */
void histogram_text(struct buf *b, const struct histogram *h);
/* that of a histogram of integers; exact below 2^53 */
void histogram_text_whole(struct buf *b, const struct histogram *h);
MUST_USE errc histogram_validate(const struct histogram *h, struct err *e);
/* No bucket's index is beyond HISTOGRAM_INDEX_MAX on either side of 0: what two such histograms lie
 * apart, which chunks tell, is a number of 32 bits. (At the finest schema a double's index is at
 * most 2^18 + 1.) */
enum { HISTOGRAM_INDEX_MAX = 1 << 30 };
bool histogram_spans_near(const struct span *spans, size_t n);
/* schema, spans and bounds; no count is looked at */
MUST_USE errc histogram_validate_layout(const struct histogram *h, struct err *e);

#endif
