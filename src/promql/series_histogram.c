/* series_histogram.c — the histograms of series descriptions.
 *
 * A literal has one span a side, so a side is written as a dense run of buckets: a first index and
 * counts. */
#include "promql/series_histogram.h"

#include "base/f64.h"
#include "base/vec.h"

enum { SPAN_MAX = 1 << 20 };
struct dense { int64_t first; size_t n; double *at; };

static struct dense dense_of(struct arena *ar, const struct histogram_side *side)
{
    struct dense d = { 0 };
    const struct span *spans = side->spans;
    const double *counts = side->at;
    size_t n_spans = side->n_spans;
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

errc series_histogram_add(const struct histogram **out, struct arena *ar, const struct histogram *a,
    const struct histogram *b, double sign, struct err *e)
{
    if (a->schema > b->schema)
        return err_set(e, ERR_BAD_INPUT,
            "error combining histograms: cannot merge from schema %d to %d", b->schema, a->schema);
    struct histogram *h = histogram_copy(ar, a);
    struct histogram_merge m;
    if (histogram_add(ar, h, b, sign, &m) != OK)
        return err_set(e, ERR_BAD_INPUT,
            "cannot apply this operation on histograms with a mix of exponential and custom bucket "
            "schemas");
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
static void side(
    struct buf *b, size_t from, const char *buckets, const char *offset, struct dense d)
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
    static const char *const hints[] = {
        [RESET_YES] = "reset", [RESET_NO] = "not_reset", [RESET_GAUGE] = "gauge"
    };
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
    side(b, from, "buckets", "offset", dense_of(&ar, &h->pos));
    side(b, from, "n_buckets", "n_offset", dense_of(&ar, &h->neg));
    buf_str(b, S("}}"));
    arena_fini(&ar);
}
