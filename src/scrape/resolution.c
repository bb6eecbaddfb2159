#include "scrape/resolution.h"

#include "base/f64_math.h"

#include <math.h>

/* The finest schema's own growth is 1.0027. */
#define FACTOR_OF_THE_FINEST 1.00271

int32_t resolution_schema(double min_bucket_factor)
{
    double factor = min_bucket_factor <= 1 ? FACTOR_OF_THE_FINEST : min_bucket_factor;
    double schema = floor(-f64_log2(f64_log2(factor)));
    return schema >= HISTOGRAM_SCHEMA_MAX   ? HISTOGRAM_SCHEMA_MAX
           : schema <= HISTOGRAM_SCHEMA_MIN ? HISTOGRAM_SCHEMA_MIN
                                            : (int32_t)schema;
}

static int32_t schema_of(const struct expo_histogram *h)
{
    return h->whole ? h->whole->schema : h->floats->schema;
}

static size_t buckets_of(const struct expo_histogram *h)
{
    return h->whole ? h->whole->pos.n + h->whole->neg.n : h->floats->pos.n + h->floats->neg.n;
}

static errc coarsen(struct expo_histogram *h, int32_t schema, struct arena *a, struct err *e)
{
    if (h->whole) {
        TRY(int_histogram_reducible(h->whole, e));
        h->whole = int_histogram_copy_to_schema(a, h->whole, schema);
        return OK;
    }
    TRY(histogram_reducible(h->floats, e));
    enum reset_hint hint = h->floats->hint;
    h->floats = histogram_copy_to_schema(a, h->floats, schema);
    h->floats->hint = hint;
    return OK;
}

errc resolution_keep(
    struct expo_histogram *h, int32_t schema_max, uint64_t limit, struct arena *a, struct err *e)
{
    enum { RESERVED_MIN = -9 }; /* of schemas that are or may become exponential */
    int32_t schema = schema_of(h);
    bool exponential = schema >= RESERVED_MIN &&
                       (schema <= HISTOGRAM_SCHEMA_MAX || histogram_schema_is_reserved(schema));
    if (schema_max < HISTOGRAM_SCHEMA_MAX && exponential && schema > schema_max)
        TRY(coarsen(h, schema_max, a, e));
    if (!limit || buckets_of(h) <= limit) return OK;
    bool fixed = !histogram_schema_is_exponential(schema_of(h));
    while (buckets_of(h) > limit) {
        if (fixed || schema_of(h) <= HISTOGRAM_SCHEMA_MIN)
            return err_set(e, ERR_LIMIT, "histogram bucket limit exceeded");
        TRY(coarsen(h, schema_of(h) - 1, a, e));
    }
    return OK;
}
