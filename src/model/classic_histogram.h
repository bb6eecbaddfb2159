/* classic_histogram.h — a classic histogram while its parts come in, and the native one with custom
 * buckets (NHCB) that it becomes.
 *
 * What        Takes the cumulative counts of the buckets in any order, count and sum. What comes
 *             out is a histogram of integers if all counts are whole, else one of floats.
 * Invariants  the first part that does not fit the others decides: the conversion fails with its
 *             words. A bucket that is there already is passed over.
 * Ownership   the zero value is empty; classic_fini frees; what is made lies in the caller's arena
 * Threads     values
 * Errors      ERR_BAD_INPUT with Prometheus' words
 * Format      none
 */
#ifndef EPI_MODEL_CLASSIC_HISTOGRAM_H
#define EPI_MODEL_CLASSIC_HISTOGRAM_H

#include "base/vec.h"
#include "model/int_histogram.h"

struct classic_bucket { double le, count; };
struct classic_histogram {
    VEC(struct classic_bucket) buckets;    /* by le */
    double count, sum;
    bool has_count;
    struct err e;                          /* of the first part that does not fit */
};

void classic_reset(struct classic_histogram *c);               /* keeps the room */
void classic_fini(struct classic_histogram *c);

void classic_put_bucket(struct classic_histogram *c, double le, double count);
void classic_put_count(struct classic_histogram *c, double count);
void classic_put_sum(struct classic_histogram *c, double sum);

/* One of the two is set. They are not validated. */
MUST_USE errc classic_convert(struct classic_histogram *c, struct arena *a,
    struct int_histogram **whole, struct histogram **floats, struct err *e);

enum classic_part { CLASSIC_NONE, CLASSIC_BUCKET, CLASSIC_SUM, CLASSIC_COUNT };
/* By the suffix of a series' name; base: the name without it. */
enum classic_part classic_part_of(str name, str *base);

#endif
