#include "model/classic_histogram.h"

#include "base/f64.h"

#include <math.h>

void classic_reset(struct classic_histogram *c)
{
    c->buckets.n = 0;
    c->count = c->sum = 0;
    c->has_count = false;
    c->e.code = OK;
}

void classic_fini(struct classic_histogram *c) { vec_fini(&c->buckets); }

static void classic_refuse(
    struct classic_histogram *c, const char *words, double a, const char *between, double b)
{
    char x[F64_TEXT_MAX], y[F64_TEXT_MAX];
    str ta = str_of(x, f64_text_g(x, a)), tb = str_of(y, f64_text_g(y, b));
    err_set(&c->e, ERR_BAD_INPUT, "%s%.*s%s%.*s", words, STR_ARG(ta), between, STR_ARG(tb));
}

void classic_put_bucket(struct classic_histogram *c, double le, double count)
{
    static const char not_cumulative[] = "count is not cumulative: ";
    if (c->e.code) return;
    if (isnan(le)) {
        err_set(&c->e, ERR_BAD_INPUT, "bucket boundary must not be NaN");
        return;
    }
    if (count < 0) {
        classic_refuse(c, "bucket count must be non-negative: le=", le, ", count=", count);
        return;
    }
    size_t i = c->buckets.n;
    while (i > 0 && c->buckets.at[i - 1].le >= le) i--;
    if (i < c->buckets.n && c->buckets.at[i].le == le) return;
    if (i > 0 && count < c->buckets.at[i - 1].count) {
        classic_refuse(c, not_cumulative, count, " < ", c->buckets.at[i - 1].count);
        return;
    }
    if (i < c->buckets.n && count > c->buckets.at[i].count) {
        classic_refuse(c, not_cumulative, count, " > ", c->buckets.at[i].count);
        return;
    }
    vec_push(&c->buckets, ((struct classic_bucket){ le, count }));
    for (size_t k = c->buckets.n - 1; k > i; k--) c->buckets.at[k] = c->buckets.at[k - 1];
    c->buckets.at[i] = (struct classic_bucket){ le, count };
}

void classic_put_count(struct classic_histogram *c, double count)
{
    if (c->e.code) return;
    if (count < 0) {
        char text[F64_TEXT_MAX];
        str s = str_of(text, f64_text_g(text, count));
        err_set(&c->e, ERR_BAD_INPUT, "count must be non-negative: count=%.*s", STR_ARG(s));
        return;
    }
    c->count = count;
    c->has_count = true;
}

void classic_put_sum(struct classic_histogram *c, double sum)
{
    if (!c->e.code) c->sum = sum;
}

static bool is_whole(double v) { return v < 0x1p63 && v == (double)(int64_t)v; }

static bool all_whole(const struct classic_histogram *c)
{
    for (size_t i = 0; i < c->buckets.n; i++)
        if (!is_whole(c->buckets.at[i].count)) return false;
    return is_whole(c->count);
}

static errc counts_match(const struct classic_histogram *c, bool whole, struct err *e)
{
    const struct classic_bucket *last = &vec_last(&c->buckets);
    if (c->count == last->count) return OK;
    char x[F64_TEXT_MAX], y[F64_TEXT_MAX], z[F64_TEXT_MAX];
    str count = str_of(x, whole ? f64_text_f(x, c->count) : f64_text_g(x, c->count)),
        le = str_of(y, f64_text_g(y, last->le)), other = str_of(z, f64_text_g(z, last->count));
    return err_set(e, ERR_BAD_INPUT, "count mismatch: count=%.*s != le=%.*s count=%.*s",
        STR_ARG(count), STR_ARG(le), STR_ARG(other));
}

/* One span over all buckets, and all bounds but +Inf. */
static struct span *span_of(const struct classic_histogram *c, struct arena *a)
{
    struct span *s = ANEW(a, struct span);
    s->length = (uint32_t)c->buckets.n;
    return s;
}

static double *bounds_of(const struct classic_histogram *c, struct arena *a)
{
    if (c->buckets.n < 2) return NULL;
    double *at = arena_array(a, c->buckets.n - 1, sizeof(*at));
    for (size_t i = 0; i + 1 < c->buckets.n; i++) at[i] = c->buckets.at[i].le;
    return at;
}

static struct int_histogram *convert_whole(const struct classic_histogram *c, struct arena *a)
{
    enum { EMPTY_KEPT = 2 };
    size_t n = c->buckets.n;
    struct int_histogram *h = ANEW(a, struct int_histogram);
    *h = (struct int_histogram){ .schema = HISTOGRAM_CUSTOM_SCHEMA,
        .count = (uint64_t)c->count,
        .sum = c->sum,
        .custom = bounds_of(c, a),
        .n_custom = n - 1 };
    h->pos = (struct int_histogram_side){ span_of(c, a), 1,
        arena_array(a, n, sizeof(*h->pos.deltas)), n };
    int64_t before = 0, last = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t count = (int64_t)c->buckets.at[i].count - before;
        h->pos.deltas[i] = count - last;
        before += count;
        last = count;
    }
    int_histogram_compact(a, h, EMPTY_KEPT);
    return h;
}

static struct histogram *convert_floats(const struct classic_histogram *c, struct arena *a)
{
    size_t n = c->buckets.n;
    struct histogram *h = ANEW(a, struct histogram);
    *h = (struct histogram){ .schema = HISTOGRAM_CUSTOM_SCHEMA,
        .count = c->count,
        .sum = c->sum,
        .custom = bounds_of(c, a),
        .n_custom = n - 1 };
    h->pos = (struct histogram_side){ span_of(c, a), 1, arena_array(a, n, sizeof(*h->pos.at)), n };
    double before = 0;
    for (size_t i = 0; i < n; i++) {
        h->pos.at[i] = c->buckets.at[i].count - before;
        before = c->buckets.at[i].count;
    }
    histogram_compact(a, h);
    return h;
}

errc classic_convert(struct classic_histogram *c, struct arena *a, struct int_histogram **whole,
    struct histogram **floats, struct err *e)
{
    if (c->e.code) return err_set(e, c->e.code, "%s", c->e.msg);
    if (!c->has_count && c->buckets.n) c->count = vec_last(&c->buckets).count;
    if (!c->buckets.n || vec_last(&c->buckets).le != INFINITY)
        vec_push(&c->buckets, ((struct classic_bucket){ INFINITY, c->count }));
    bool is_int = all_whole(c);
    TRY(counts_match(c, is_int, e));
    *whole = is_int ? convert_whole(c, a) : NULL;
    *floats = is_int ? NULL : convert_floats(c, a);
    return OK;
}

enum classic_part classic_part_of(str name, str *base)
{
    static const struct {
        str suffix;
        enum classic_part part;
    } parts[] = { { S("_bucket"), CLASSIC_BUCKET }, { S("_sum"), CLASSIC_SUM },
        { S("_count"), CLASSIC_COUNT } };
    *base = name;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!str_has_suffix(name, parts[i].suffix)) continue;
        *base = str_slice(name, 0, name.n - parts[i].suffix.n);
        return parts[i].part;
    }
    return CLASSIC_NONE;
}
