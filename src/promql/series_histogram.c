/* series_histogram.c — the histograms of series descriptions.
 *
 * A literal has one span a side, so sums are made on dense runs of buckets: a first index and counts. The general arithmetic of native
 * histograms is not here; zero buckets of different width, which it reconciles, are refused. */
#include "promql/series_histogram.h"

#include "base/f64.h"
#include "base/vec.h"

enum { SPAN_MAX = 1 << 20 };
struct dense { int64_t first; size_t n; double *at; };

static struct dense dense_of(struct arena *ar, const struct span *spans, size_t n_spans, const double *counts)
{
    struct dense d = { 0 };
    if (n_spans == 0) return d;
    int64_t end = 0;
    for (size_t i = 0; i < n_spans; i++) end += (int64_t)spans[i].offset + spans[i].length;
    d.first = spans[0].offset;
    d.n = end > d.first && end - d.first <= SPAN_MAX ? (size_t)(end - d.first) : 0;
    d.at = arena_zalloc(ar, (d.n + 1) * sizeof(double));
    int64_t at = 0;
    for (size_t i = 0; i < n_spans; i++) {
        at += spans[i].offset;
        for (uint32_t j = 0; j < spans[i].length; j++, at++, counts++)
            if ((size_t)(at - d.first) < d.n) d.at[at - d.first] = *counts;
    }
    return d;
}

static int64_t floor_shift(int64_t v, int by) { return v >= 0 ? v >> by : -((-v + (1ll << by) - 1) >> by); }

/* Bucket i of a finer schema lies in this one of a coarser by `by` steps. */
static int64_t coarser(int64_t i, int by) { return floor_shift(i - 1, by) + 1; }

static struct dense reduce(struct arena *ar, struct dense d, int by)
{
    if (by <= 0 || d.n == 0) return d;
    int64_t first = coarser(d.first, by), last = coarser(d.first + (int64_t)d.n - 1, by);
    struct dense r = { first, (size_t)(last - first + 1), NULL };
    r.at = arena_zalloc(ar, r.n * sizeof(double));
    for (size_t i = 0; i < d.n; i++) r.at[coarser(d.first + (int64_t)i, by) - first] += d.at[i];
    return r;
}

/* Buckets of bounds `from`, counted into those of the bounds `to`, which are among them. */
static struct dense rebound(struct arena *ar, struct dense d, const double *from, size_t n_from, const double *to, size_t n_to)
{
    struct dense r = { 0, n_to + 1, arena_zalloc(ar, (n_to + 1) * sizeof(double)) };
    for (size_t i = 0; i < d.n; i++) {
        size_t bucket = (size_t)(d.first + (int64_t)i), j = 0;
        while (j < n_to && (bucket >= n_from || to[j] < from[bucket])) j++;
        r.at[j] += d.at[i];
    }
    return r;
}

static struct dense dense_add(struct arena *ar, struct dense a, struct dense b, double sign)
{
    if (b.n == 0) return a;
    if (a.n == 0) a.first = b.first;
    int64_t first = MIN(a.first, b.first), end = MAX(a.first + (int64_t)a.n, b.first + (int64_t)b.n);
    struct dense r = { first, end - first <= SPAN_MAX ? (size_t)(end - first) : 0, NULL };
    r.at = arena_zalloc(ar, (r.n + 1) * sizeof(double));
    if (r.n == 0) return r;
    for (size_t i = 0; i < a.n; i++) r.at[a.first - first + (int64_t)i] = a.at[i];
    for (size_t i = 0; i < b.n; i++) r.at[b.first - first + (int64_t)i] += sign * b.at[i];
    return r;
}

static void side_set(struct arena *ar, struct dense d, const struct span **spans, size_t *n_spans, const double **counts, size_t *n)
{
    struct span *s = ANEW(ar, struct span);
    *s = (struct span){ (int32_t)d.first, (uint32_t)d.n };
    *spans = s;
    *n_spans = d.n > 0;
    *counts = d.at;
    *n = d.n;
}

static enum reset_hint hint_of_sum(enum reset_hint a, enum reset_hint b)
{
    if (a == b) return a;
    return a == RESET_GAUGE || b == RESET_GAUGE ? RESET_GAUGE : RESET_UNKNOWN;
}

/* The bounds that both have. */
static void bounds_common(struct arena *ar, struct histogram *h, const struct histogram *a, const struct histogram *b)
{
    double *at = arena_array(ar, MIN(a->n_custom, b->n_custom) + 1, sizeof(double));
    size_t n = 0;
    for (size_t i = 0, j = 0; i < a->n_custom && j < b->n_custom;) {
        if (a->custom[i] == b->custom[j]) {
            at[n++] = a->custom[i++];
            j++;
        } else if (a->custom[i] < b->custom[j]) {
            i++;
        } else {
            j++;
        }
    }
    h->custom = at;
    h->n_custom = n;
}

static bool bounds_equal(const struct histogram *a, const struct histogram *b)
{
    return a->n_custom == b->n_custom && (a->n_custom == 0 || memcmp(a->custom, b->custom, a->n_custom * sizeof(double)) == 0);
}

errc series_histogram_add(const struct histogram **out, struct arena *ar, const struct histogram *a, const struct histogram *b,
                          double sign, struct err *e)
{
    bool custom = a->schema == HISTOGRAM_CUSTOM_SCHEMA;
    if (a->schema > b->schema)
        return err_set(e, ERR_BAD_INPUT, "error combining histograms: cannot merge from schema %d to %d", b->schema, a->schema);
    if (custom != (b->schema == HISTOGRAM_CUSTOM_SCHEMA))
        return err_set(e, ERR_BAD_INPUT, "cannot apply this operation on histograms with a mix of exponential and custom bucket schemas");
    if (!custom && a->zero_threshold != b->zero_threshold)
        return err_set(e, ERR_UNSUPPORTED, "zero buckets of different width in a series of histograms");
    struct histogram *h = ANEW(ar, struct histogram);
    *h = *a;
    h->hint = hint_of_sum(a->hint, b->hint);
    h->count += sign * b->count;
    h->sum += sign * b->sum;
    struct dense pa = dense_of(ar, a->pos_spans, a->n_pos_spans, a->pos), pb = dense_of(ar, b->pos_spans, b->n_pos_spans, b->pos);
    if (custom && !bounds_equal(a, b)) {
        bounds_common(ar, h, a, b);
        pa = rebound(ar, pa, a->custom, a->n_custom, h->custom, h->n_custom);
        pb = rebound(ar, pb, b->custom, b->n_custom, h->custom, h->n_custom);
    }
    if (!custom) {
        struct dense na = dense_of(ar, a->neg_spans, a->n_neg_spans, a->neg), nb = dense_of(ar, b->neg_spans, b->n_neg_spans, b->neg);
        int by = MIN(b->schema - a->schema, 62);
        h->zero_count += sign * b->zero_count;
        pb = reduce(ar, pb, by);
        side_set(ar, dense_add(ar, na, reduce(ar, nb, by), sign), &h->neg_spans, &h->n_neg_spans, &h->neg, &h->n_neg);
    }
    side_set(ar, dense_add(ar, pa, pb, sign), &h->pos_spans, &h->n_pos_spans, &h->pos, &h->n_pos);
    *out = h;
    return OK;
}

static void part(struct buf *b, size_t from, const char *key)
{
    if (b->n > from) buf_u8(b, ' ');
    buf_fmt(b, "%s:", key);
}
static void part_f64(struct buf *b, size_t from, const char *key, double v)
{
    if (v == 0) return;
    part(b, from, key);
    buf_f64_g(b, v);
}
static void floats(struct buf *b, const double *at, size_t n)
{
    buf_u8(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i) buf_u8(b, ' ');
        buf_f64_g(b, at[i]);
    }
    buf_u8(b, ']');
}

/* Without the empty buckets at both ends. */
static void side(struct buf *b, size_t from, const char *buckets, const char *offset, struct dense d)
{
    while (d.n > 0 && d.at[d.n - 1] == 0) d.n--;
    while (d.n > 0 && d.at[0] == 0) d.n--, d.at++, d.first++;
    if (d.n == 0) return;
    if (d.first != 0) {
        part(b, from, offset);
        buf_i64_text(b, d.first);
    }
    part(b, from, buckets);
    floats(b, d.at, d.n);
}

void buf_series_histogram(struct buf *b, const struct histogram *h)
{
    static const char *const hints[] = { [RESET_YES] = "reset", [RESET_NO] = "not_reset", [RESET_GAUGE] = "gauge" };
    struct arena ar = { 0 };
    buf_str(b, S("{{"));
    size_t from = b->n;
    if (h->schema != 0) {
        part(b, from, "schema");
        buf_i64_text(b, h->schema);
    }
    part_f64(b, from, "count", h->count);
    part_f64(b, from, "sum", h->sum);
    part_f64(b, from, "z_bucket", h->zero_count);
    part_f64(b, from, "z_bucket_w", h->zero_threshold);
    if (h->schema == HISTOGRAM_CUSTOM_SCHEMA) {
        part(b, from, "custom_values");
        floats(b, h->custom, h->n_custom);
    }
    if (h->hint != RESET_UNKNOWN) {
        part(b, from, "counter_reset_hint");
        buf_str(b, str_z(hints[h->hint]));
    }
    side(b, from, "buckets", "offset", dense_of(&ar, h->pos_spans, h->n_pos_spans, h->pos));
    side(b, from, "n_buckets", "n_offset", dense_of(&ar, h->neg_spans, h->n_neg_spans, h->neg));
    buf_str(b, S("}}"));
    arena_fini(&ar);
}
