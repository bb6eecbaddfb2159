#include "cmd/epitool/query_analyze.h"

#include "base/f64.h"
#include "base/map.h"
#include "base/vec.h"
#include "cmd/epitool/query_print.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* populated: of all samples together */
struct buckets { int64_t least, most, all, populated; size_t samples; };

static struct distribution distribution_begin(void)
{
    return (struct distribution){ .least = INT64_MAX };
}

struct analysis analysis_begin(void)
{
    struct distribution d = distribution_begin();
    struct bucket_distributions all = { d, d, d, d };
    return (struct analysis){ all, all };
}

static void distribution_add(struct distribution *d, int64_t n)
{
    d->least = MIN(d->least, n);
    d->most = MAX(d->most, n);
    d->count++;
    d->mean += (double)n / (double)d->count - d->mean / (double)d->count;
}

static void distributions_add(struct bucket_distributions *to, const struct buckets *s)
{
    distribution_add(&to->least, s->least);
    distribution_add(&to->mean, s->populated / (int64_t)s->samples);
    distribution_add(&to->most, s->most);
    distribution_add(&to->all, s->all);
}

static void put_buckets(struct buf *b, const struct buckets *s)
{
    buf_fmt(b, "%" PRId64 "/%.3f/%" PRId64, s->least,
        (double)s->populated / (double)s->samples, s->most);
    if (s->most != s->all) buf_fmt(b, "/%" PRId64, s->all);
    buf_u8(b, '\n');
}

static void buckets_add(struct buckets *s, int64_t populated)
{
    s->least = MIN(s->least, populated);
    s->most = MAX(s->most, populated);
    s->populated += populated;
    s->samples++;
}

/* ---- native ---- */

static double number_of(const json_t *s)
{
    double v = 0;
    return json_is_string(s) && f64_parse(str_z(json_string_value(s)), &v) ? v : 0;
}

struct bounds { double at[3]; };       /* kind, lower, upper */
typedef VEC(struct bounds) bounds_list;

static int bounds_cmp(const void *a, const void *b) { return memcmp(a, b, sizeof(struct bounds)); }

static void native_add(struct analysis *a, struct buf *b, const json_t *series)
{
    const json_t *list = json_object_get(series, "histograms");
    size_t n = json_array_size(list), i, k;
    if (n < 2) return;
    struct buckets s = { .least = INT64_MAX };
    bounds_list seen = { 0 };
    json_t *pair, *bucket;
    json_array_foreach (list, i, pair) {
        const json_t *at = json_object_get(json_array_get(pair, 1), "buckets");
        buckets_add(&s, (int64_t)json_array_size(at));
        json_array_foreach (at, k, bucket)
            vec_push(&seen, ((struct bounds){ { json_number_value(json_array_get(bucket, 0)),
                                number_of(json_array_get(bucket, 1)),
                                number_of(json_array_get(bucket, 2)) } }));
    }
    if (seen.n) qsort(seen.at, seen.n, sizeof(*seen.at), bounds_cmp);
    for (i = 0; i < seen.n; i++)
        s.all += i == 0 || bounds_cmp(&seen.at[i], &seen.at[i - 1]) != 0;
    vec_fini(&seen);
    buf_str(b, S("- "));
    put_metric(b, json_object_get(series, "metric"));
    buf_str(b, S(" (native): "));
    put_buckets(b, &s);
    distributions_add(&a->native, &s);
}

/* ---- classic: the series of one histogram, by their bounds ---- */

struct bucket_series { double le; str key; const json_t *values; };
typedef VEC(struct bucket_series) bucket_list;

static int bucket_cmp(const void *a, const void *b)
{
    const struct bucket_series *x = a, *y = b;
    int order = str_cmp(x->key, y->key);
    return order ? order : (x->le > y->le) - (x->le < y->le);
}

static int64_t count_at(const json_t *values, size_t i)
{
    return (int64_t)number_of(json_array_get(json_array_get(values, i), 1));
}

/* Populated buckets at a time; what some series lack counts as empty. */
static errc populated_at(
    const struct bucket_series *at, size_t n, size_t i, int64_t *out, struct err *e)
{
    *out = i < json_array_size(at[0].values) && count_at(at[0].values, i) != 0;
    for (size_t k = 1; k < n; k++) {
        if (i >= json_array_size(at[k].values) || i >= json_array_size(at[k - 1].values)) return OK;
        json_t *one = json_array_get(at[k].values, i),
               *before = json_array_get(at[k - 1].values, i);
        if (json_number_value(json_array_get(one, 0)) !=
            json_number_value(json_array_get(before, 0)))
            return err_set(e, ERR_CORRUPT, "matrix result is not time aligned");
        *out += count_at(at[k].values, i) != count_at(at[k - 1].values, i);
    }
    return OK;
}

static errc classic_add(struct analysis *a, struct buf *b, const struct bucket_series *at, size_t n,
    struct err *e)
{
    size_t samples = json_array_size(at[0].values);
    struct buckets s = { .least = INT64_MAX, .all = (int64_t)n };
    if (samples < 2) return OK;
    for (size_t i = 0; i < samples; i++) {
        int64_t populated;
        TRY(populated_at(at, n, i, &populated, e));
        buckets_add(&s, populated);
    }
    buf_fmt(b, "- %.*s (classic): ", STR_ARG(at[0].key));
    put_buckets(b, &s);
    distributions_add(&a->classic, &s);
    return OK;
}

/* The name and the labels of a series without its bound; false: it is no bucket. */
static bool bucket_of(struct bucket_series *out, struct arena *a, const json_t *series)
{
    json_t *labels = json_object_get(series, "metric");
    const char *le = json_string_value(json_object_get(labels, "le")),
               *name = json_string_value(json_object_get(labels, "__name__"));
    if (!le || !name || !str_has_suffix(str_z(name), S("_bucket"))) return false;
    json_t *others = json_copy(labels);
    json_object_del(others, "le");
    struct buf key = { 0 };
    put_metric(&key, others);
    if (json_object_size(others) == 1) buf_str(&key, S("{}"));
    *out = (struct bucket_series){ .key = arena_str(a, buf_view(&key)),
        .values = json_object_get(series, "values") };
    if (!f64_parse(str_z(le), &out->le)) out->le = 0;
    buf_fini(&key);
    json_decref(others);
    return true;
}

errc analysis_add(struct analysis *a, struct buf *b, const json_t *matrix, struct err *e)
{
    SCOPED(arena_fini) struct arena arena = { 0 };
    bucket_list all = { 0 };
    size_t i;
    json_t *series;
    json_array_foreach (matrix, i, series) {
        struct bucket_series one;
        if (!json_array_size(json_object_get(series, "values"))) native_add(a, b, series);
        else if (bucket_of(&one, &arena, series)) vec_push(&all, one);
    }
    if (all.n) qsort(all.at, all.n, sizeof(*all.at), bucket_cmp);
    errc rc = OK;
    for (size_t from = 0, to; from < all.n && rc == OK; from = to) {
        for (to = from + 1; to < all.n && str_eq(all.at[to].key, all.at[from].key);) to++;
        rc = classic_add(a, b, all.at + from, to - from, e);
    }
    vec_fini(&all);
    return rc;
}

/* ---- the page ---- */

void analysis_head(struct buf *b)
{
    buf_str(b, S("Bucket stats for each histogram series over time\n"
                 "------------------------------------------------\n"
                 "First the min, avg, and max number of populated buckets, followed by the total\n"
                 "number of buckets (only if different from the max number of populated buckets\n"
                 "which is typical for classic but not native histograms).\n\n"));
}

static void put_distribution(struct buf *b, const char *name, const struct distribution *d)
{
    buf_fmt(b, "\n- %s: %" PRId64 "/%.3f/%" PRId64, name, d->least, d->mean, d->most);
}

static void put_distributions(
    struct buf *b, const char *kind, const struct bucket_distributions *d)
{
    if (!d->least.count) return;
    buf_fmt(b, "\n%s histogram series (%" PRId64 " in total):", kind, d->least.count);
    put_distribution(b, "min populated", &d->least);
    put_distribution(b, "avg populated", &d->mean);
    put_distribution(b, "max populated", &d->most);
    if (memcmp(&d->most, &d->all, sizeof(d->all)) != 0) put_distribution(b, "total", &d->all);
    buf_u8(b, '\n');
}

void analysis_foot(const struct analysis *a, struct buf *b)
{
    buf_str(b, S("\nAggregated bucket stats\n"
                 "-----------------------\n"
                 "Each line shows min/avg/max over the series above.\n"));
    put_distributions(b, "Native", &a->native);
    put_distributions(b, "Classic", &a->classic);
}
