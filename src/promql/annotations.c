#include "promql/annotations.h"

#include "base/f64.h"
#include "base/rfc3339.h"
#include "base/strs.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>

#define WARNING "PromQL warning: "
#define INFO "PromQL info: "

enum anno_kind { ANNO_PLAIN, ANNO_MONOTONICITY, ANNO_OVERLAP };
struct annotation {
    enum anno_kind kind;
    str text;                              /* without place: the key */
    struct pos pos;
    uint64_t count;
    uint64_t last;                         /* number of the last addition, of monotonicity */
    struct monotonicity mono;
};

void annotations_init(struct annotations *an, struct arena *a)
{
    *an = (struct annotations){ .a = a };
}

void annotations_fini(struct annotations *an)
{
    map_fini(&an->by_text);
    vec_fini(&an->all);
}

static bool anno_is(const void *val, const void *key)
{
    return str_eq(((const struct annotation *)val)->text, *(const str *)key);
}

/* The annotation of this text: an old one or a fresh copy of it with count 0. */
static struct annotation *anno_get(struct annotations *an, str text, enum anno_kind kind)
{
    uint64_t hash = hash_str(text);
    struct annotation *x = map_find(&an->by_text, hash, anno_is, &text);
    if (x) return x;
    x = ANEW(an->a, struct annotation);
    x->text = arena_str(an->a, text);
    x->kind = kind;
    map_put(&an->by_text, hash, x);
    vec_push(&an->all, x);
    return x;
}

/* Of what says the same of two places the later one in the order of evaluation is told: operands
 * from left to right, then what is made of them. That is the place that ends further on, or, where
 * both end, the one that begins before. Rows may come to a node before all of those below are
 * done, so that the order in which notes are taken says nothing. */
static bool pos_is_later(struct pos a, struct pos b)
{
    return a.end != b.end ? a.end > b.end : a.start < b.start;
}

static void anno_place(struct annotation *x, struct pos p)
{
    bool first = x->kind == ANNO_OVERLAP;
    if (!x->count || pos_is_later(p, x->pos) != first) x->pos = p;
}

void annotations_take(struct annotations *an, struct annotations *from)
{
    if (!from->all.n) return;
    for (size_t i = 0; i < from->all.n; i++) {
        const struct annotation *x = from->all.at[i];
        struct annotation *to = anno_get(an, x->text, x->kind);
        assert(x->kind != ANNO_MONOTONICITY);
        anno_place(to, x->pos);
        to->count += x->count;
    }
    annotations_fini(from);
    annotations_init(from, from->a);
}

void anno_add(struct annotations *an, str text, struct pos p)
{
    struct annotation *x = anno_get(an, text, ANNO_PLAIN);
    anno_place(x, p);
    x->count++;
}

/* Adds what was written into b and ends b. */
static void anno_add_buf(struct annotations *an, struct buf *b, struct pos p)
{
    anno_add(an, buf_view(b), p);
    buf_fini(b);
}

static void buf_z(struct buf *b, const char *z) { buf_str(b, str_z(z)); }

static void buf_for_metric(struct buf *b, str metric)
{
    if (!metric.n) return;
    buf_z(b, " for metric name ");
    buf_go_quote(b, metric);
}

void anno_invalid_quantile(struct annotations *an, double q, struct pos p)
{
    struct buf b = { 0 };
    buf_z(&b, WARNING "quantile value should be between 0 and 1, got ");
    buf_f64_g(&b, q);
    anno_add_buf(an, &b, p);
}

void anno_invalid_ratio(struct annotations *an, double r, double to, struct pos p)
{
    struct buf b = { 0 };
    buf_z(&b, WARNING "ratio value should be between -1 and 1, got ");
    buf_f64_g(&b, r);
    buf_z(&b, ", capping to ");
    buf_f64_g(&b, to);
    anno_add_buf(an, &b, p);
}

void anno_bad_bucket_label(struct annotations *an, str metric, str le, struct pos p)
{
    struct buf b = { 0 };
    buf_z(&b, WARNING "bucket label \"le\" is missing or has a malformed value of ");
    buf_go_quote(&b, le);
    buf_for_metric(&b, metric);
    anno_add_buf(an, &b, p);
}

void anno_mixed_classic_native(struct annotations *an, str metric, struct pos p)
{
    struct buf b = { 0 };
    buf_z(&b, WARNING "vector contains a mix of classic and native histograms");
    buf_for_metric(&b, metric);
    anno_add_buf(an, &b, p);
}

static void anno_of_metric(struct annotations *an, const char *words, str metric, struct pos p)
{
    struct buf b = { 0 };
    buf_z(&b, words);
    buf_go_quote(&b, metric);
    anno_add_buf(an, &b, p);
}

void anno_mixed_floats_histograms(struct annotations *an, str metric, struct pos p)
{
    anno_of_metric(
        an, WARNING "encountered a mix of histograms and floats for metric name ", metric, p);
}

void anno_mixed_floats_histograms_agg(struct annotations *an, struct pos p)
{
    anno_add(an, S(WARNING "encountered a mix of histograms and floats for aggregation"), p);
}

void anno_not_counter(struct annotations *an, str metric, struct pos p)
{
    anno_of_metric(an,
        INFO "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ",
        metric, p);
}

void anno_not_counter_type(struct annotations *an, str metric, str type, struct pos p)
{
    struct buf b = { 0 };
    buf_z(&b, INFO "metric might not be a counter, __type__ label is not set to \"counter\" or "
                   "\"histogram\", got ");
    buf_go_quote(&b, type);
    buf_z(&b, ": ");
    buf_go_quote(&b, metric);
    anno_add_buf(an, &b, p);
}

void anno_sort_in_range(struct annotations *an, struct pos p)
{
    anno_add(an,
        S(WARNING
            "sort is ineffective for range queries since results are always ordered by labels"),
        p);
}

void anno_incompatible_types(
    struct annotations *an, const char *lhs, str op, const char *rhs, struct pos p)
{
    struct buf b = { 0 };
    buf_z(&b, INFO "incompatible sample types encountered for binary operator ");
    buf_go_quote(&b, op);
    buf_z(&b, ": ");
    buf_z(&b, lhs);
    buf_u8(&b, ' ');
    buf_str(&b, op);
    buf_u8(&b, ' ');
    buf_z(&b, rhs);
    anno_add_buf(an, &b, p);
}

void anno_histogram_ignored_agg(struct annotations *an, str aggregation, struct pos p)
{
    struct buf b = { 0 };
    buf_z(&b, INFO "ignored histogram in ");
    buf_str(&b, aggregation);
    buf_z(&b, " aggregation");
    anno_add_buf(an, &b, p);
}

void anno_histogram_ignored_range(struct annotations *an, str metric, struct pos p)
{
    anno_of_metric(an,
        INFO "ignored histograms in a range containing both floats and histograms for metric name ",
        metric, p);
}

void anno_start_overlap(struct annotations *an, str metric, struct pos p)
{
    struct buf b = { 0 };
    buf_z(&b,
        WARNING "sample has start time that overlaps with previous sample timestamp for metric ");
    buf_go_quote(&b, metric);
    struct annotation *x = anno_get(an, buf_view(&b), ANNO_OVERLAP);
    anno_place(x, p);
    x->count++;
    buf_fini(&b);
}

static const char *const operation_names[] = { "addition", "subtraction", "aggregation" };

void anno_native_not_counter(struct annotations *an, str metric, struct pos p)
{
    anno_of_metric(an, WARNING "this native histogram metric is not a counter: ", metric, p);
}

void anno_native_not_gauge(struct annotations *an, str metric, struct pos p)
{
    anno_of_metric(an, WARNING "this native histogram metric is not a gauge: ", metric, p);
}

void anno_mixed_schemas(struct annotations *an, str metric, struct pos p)
{
    anno_of_metric(an,
        WARNING "vector contains a mix of histograms with exponential and custom buckets schemas "
                "for metric name ",
        metric, p);
}

static void anno_of_words(struct annotations *an, const char *words, str last, struct pos p)
{
    struct buf b = { 0 };
    buf_z(&b, words);
    buf_str(&b, last);
    anno_add_buf(an, &b, p);
}

void anno_incompatible_buckets(struct annotations *an, str op, struct pos p)
{
    anno_of_words(an, WARNING "incompatible bucket layout encountered for binary operator ", op, p);
}

void anno_reset_collision(struct annotations *an, enum histogram_operation op, struct pos p)
{
    anno_of_words(
        an, WARNING "conflicting counter resets during histogram ", str_z(operation_names[op]), p);
}

void anno_bounds_reconciled(struct annotations *an, enum histogram_operation op, struct pos p)
{
    anno_of_words(an, INFO "mismatched custom buckets were reconciled during ",
        str_z(operation_names[op]), p);
}

static void anno_maybe_of_metric(
    struct annotations *an, const char *words, str metric, struct pos p)
{
    struct buf b = { 0 };
    buf_z(&b, words);
    buf_for_metric(&b, metric);
    anno_add_buf(an, &b, p);
}

void anno_quantile_nan_result(struct annotations *an, str metric, struct pos p)
{
    anno_maybe_of_metric(
        an, INFO "input to histogram_quantile has NaN observations, result is NaN", metric, p);
}

void anno_quantile_nan_skew(struct annotations *an, str metric, struct pos p)
{
    anno_maybe_of_metric(an,
        INFO "input to histogram_quantile has NaN observations, result is skewed higher", metric,
        p);
}

void anno_fraction_nan(struct annotations *an, str metric, struct pos p)
{
    anno_maybe_of_metric(an,
        INFO
        "input to histogram_fraction has NaN observations, which are excluded from all fractions",
        metric, p);
}

void monotonicity_merge(struct monotonicity *m, const struct monotonicity *more)
{
    if (!m->count) {
        *m = *more;
        return;
    }
    m->count += more->count;
    m->min_t = MIN(m->min_t, more->min_t);
    m->max_t = MAX(m->max_t, more->max_t);
    if (more->min_bucket < m->min_bucket) m->min_bucket = more->min_bucket;
    if (more->max_bucket > m->max_bucket) m->max_bucket = more->max_bucket;
    if (more->max_diff > m->max_diff) m->max_diff = more->max_diff;
}

static void buf_monotonicity_text(struct buf *b, str metric)
{
    buf_z(b, INFO
        "input to histogram_quantile needed to be fixed for monotonicity "
        "(see "
        "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)");
    buf_for_metric(b, metric);
}

uint64_t anno_forced_monotonicity_last(const struct annotations *an, str metric)
{
    struct buf b = { 0 };
    buf_monotonicity_text(&b, metric);
    str text = buf_view(&b);
    const struct annotation *x = map_find(&an->by_text, hash_str(text), anno_is, &text);
    buf_fini(&b);
    return x ? x->last : 0;
}

void anno_forced_monotonicity(
    struct annotations *an, str metric, struct pos p, const struct monotonicity *m)
{
    struct buf b = { 0 };
    buf_monotonicity_text(&b, metric);
    struct annotation *x = anno_get(an, buf_view(&b), ANNO_MONOTONICITY);
    buf_fini(&b);
    bool fresh = !x->last;
    x->last = ++an->additions;
    if (fresh) {
        x->pos = p;
        x->mono = *m;
        return;
    }
    uint64_t count = x->mono.count + m->count;
    x->mono.count = 1;                     /* the sum may wrap to 0, which would say empty */
    monotonicity_merge(&x->mono, m);
    x->mono.count = count;
}

/* Listing */

static void buf_place(struct buf *b, struct pos p, str query)
{
    size_t start = p.unplaced ? 0 : p.start, line = 1, col = start + 1;
    for (size_t i = 0; i < start && i < query.n; i++) {
        if (query.p[i] != '\n') continue;
        line++;
        col = start - i;
    }
    char text[64];
    int n = snprintf(text, sizeof(text), " (%zu:%zu)", line, col);
    buf_bytes(b, text, (size_t)n);
}

static void buf_seconds(struct buf *b, int64_t ms)
{
    struct civil c = civil_of(ms / 1000);
    char text[96];
    int n = snprintf(text, sizeof(text), "%04d-%02u-%02uT%02u:%02u:%02uZ", c.year, c.month, c.day,
        c.hour, c.minute, c.second);
    buf_bytes(b, text, (size_t)n);
}

static void buf_monotonicity(struct buf *b, const struct annotation *x)
{
    char text[128];                        /* a count of 20 digits fits */
    buf_z(b, ", from buckets ");
    buf_f64_g(b, x->mono.min_bucket);
    buf_z(b, " to ");
    buf_f64_g(b, x->mono.max_bucket);
    int n =
        snprintf(text, sizeof(text), ", with a max diff of %.2g, over %" PRId64 " samples from ",
            x->mono.max_diff, (int64_t)x->mono.count);
    assert(n > 0 && (size_t)n < sizeof(text));
    buf_bytes(b, text, (size_t)n);
    buf_seconds(b, x->mono.min_t);
    buf_z(b, " to ");
    buf_seconds(b, x->mono.max_t);
}

static void buf_annotation(struct buf *b, const struct annotation *x, str query)
{
    buf_str(b, x->text);
    if (x->kind == ANNO_MONOTONICITY) buf_monotonicity(b, x);
    if (x->kind == ANNO_OVERLAP && x->count > 1) {
        char text[64];
        int n = snprintf(text, sizeof(text), " (%" PRIu64 " occurrences)", x->count);
        buf_bytes(b, text, (size_t)n);
    }
    if (query.n) buf_place(b, x->pos, query);
}

void annotations_list(const struct annotations *an, str query, size_t max, struct arena *out_arena,
    str **warnings, size_t *n_warnings, str **infos, size_t *n_infos)
{
    static const char *const omitted[2] = { "warning", "info" };
    str *list[2];
    size_t n[2] = { 0, 0 };
    for (int k = 0; k < 2; k++) list[k] = arena_array(out_arena, an->all.n + 1, sizeof(str));
    for (size_t i = 0; i < an->all.n; i++) {
        struct buf b = { 0 };
        int k = str_has_prefix(an->all.at[i]->text, S(INFO));
        buf_annotation(&b, an->all.at[i], query);
        list[k][n[k]++] = arena_str(out_arena, buf_view(&b));
        buf_fini(&b);
    }
    for (int k = 0; k < 2; k++) {
        strs_sort(list[k], n[k]);
        if (!max || n[k] <= max) continue;
        list[k][max] =
            arena_fmt(out_arena, "%zu more %s annotations omitted", n[k] - max, omitted[k]);
        n[k] = max + 1;
    }
    *warnings = list[0];
    *n_warnings = n[0];
    *infos = list[1];
    *n_infos = n[1];
}
