/* annotations.h — warnings and infos that come with a result.
 *
 * What        A set of texts, each with a place in the query; equal texts are one, at the place
 *             that is evaluated last; some of them count.
 * Invariants  a text without its place is in the set once
 * Ownership   texts lie in the set's arena, which outlives it
 * Threads     one query, one thread
 * Errors      none
 * Format      the words are those of Prometheus' util/annotations; " (line:column)" is added when
 *             listed
 */
#ifndef EPI_PROMQL_ANNOTATIONS_H
#define EPI_PROMQL_ANNOTATIONS_H

#include "base/map.h"
#include "base/vec.h"
#include "promql/ast.h"

enum { ANNOTATIONS_SHOWN = 10 };           /* of each kind; the rest is counted */

struct annotation;
struct annotations {
    struct arena *a;
    struct map by_text;
    VEC(struct annotation *) all;
    uint64_t additions;
};
void annotations_init(struct annotations *an, struct arena *a);
void annotations_fini(struct annotations *an);
/* Adds all that was noted of ranges in `from`, as if it had been noted here, and empties that. */
void annotations_take(struct annotations *an, struct annotations *from);

/* Sorted texts with places, at most `max` of each kind (0: all) and a line that counts what is left
 * out. They lie in out_arena. */
void annotations_list(const struct annotations *an, str query, size_t max, struct arena *out_arena,
    str **warnings, size_t *n_warnings, str **infos, size_t *n_infos);

void anno_invalid_quantile(struct annotations *an, double q, struct pos p);
void anno_invalid_ratio(struct annotations *an, double r, double to, struct pos p);
void anno_bad_bucket_label(struct annotations *an, str metric, str le, struct pos p);
void anno_mixed_classic_native(struct annotations *an, str metric, struct pos p);
void anno_mixed_floats_histograms(struct annotations *an, str metric, struct pos p);
void anno_mixed_floats_histograms_agg(struct annotations *an, struct pos p);
/* by the suffix of its name */
void anno_not_counter(struct annotations *an, str metric, struct pos p);
/* by __type__ */
void anno_not_counter_type(struct annotations *an, str metric, str type, struct pos p);
void anno_sort_in_range(struct annotations *an, struct pos p);
void anno_incompatible_types(
    struct annotations *an, const char *lhs, str op, const char *rhs, struct pos p);
void anno_histogram_ignored_agg(struct annotations *an, str aggregation, struct pos p);
void anno_histogram_ignored_range(struct annotations *an, str metric, struct pos p);
void anno_start_overlap(struct annotations *an, str metric, struct pos p);

/* What was noted of `count` histograms of a metric: over which times, and the widest that had to be
 * mended. */
struct monotonicity {
    int64_t min_t, max_t;
    double min_bucket, max_bucket, max_diff;
    uint64_t count;
};
/* count 0: empty */
void monotonicity_merge(struct monotonicity *m, const struct monotonicity *more);
void anno_forced_monotonicity(
    struct annotations *an, str metric, struct pos p, const struct monotonicity *m);
/* its last addition's number; 0: none */
uint64_t anno_forced_monotonicity_last(const struct annotations *an, str metric);


/* Of native histograms. */
enum histogram_operation { HISTOGRAM_ADDITION, HISTOGRAM_SUBTRACTION, HISTOGRAM_AGGREGATION };
void anno_native_not_counter(struct annotations *an, str metric, struct pos p);
void anno_native_not_gauge(struct annotations *an, str metric, struct pos p);
/* exponential and custom buckets */
void anno_mixed_schemas(struct annotations *an, str metric, struct pos p);
void anno_incompatible_buckets(struct annotations *an, str op, struct pos p);
void anno_reset_collision(struct annotations *an, enum histogram_operation op, struct pos p);
void anno_bounds_reconciled(struct annotations *an, enum histogram_operation op, struct pos p);
void anno_quantile_nan_result(struct annotations *an, str metric, struct pos p);
void anno_quantile_nan_skew(struct annotations *an, str metric, struct pos p);
void anno_fraction_nan(struct annotations *an, str metric, struct pos p);

/* For words that no function above has: text begins with "PromQL warning: " or "PromQL info: ". */
void anno_add(struct annotations *an, str text, struct pos p);

#endif
