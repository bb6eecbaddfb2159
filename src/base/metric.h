/* metric.h — the server's own metrics, as Prometheus names them.
 *
 * What        Counters, gauges, histograms and summaries, with or without labels, defined at file
 *             scope, registered before main and collected family by family in name order.
 * Invariants  a name is defined once; label values are bounded in number; counters never fall
 * Ownership   static objects; children of a labelled family live as long as the family, or until
 *             they are forgotten
 * Threads     any: relaxed atomics (an observation of a summary takes a leaf lock)
 * Errors      none
 * Format      collection is abstract (metric_each); text forms are made by ingest's writers in api
 */
#ifndef EPI_BASE_METRIC_H
#define EPI_BASE_METRIC_H

#include "base/lock.h"
#include "base/str.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_SUMMARY };
enum { METRIC_LABELS_MAX = 7, METRIC_BUCKETS_MAX = 24, METRIC_SUMMARY_WINDOW = 512 };

/* One series: a family without labels is one. The value of a counter or gauge is the double in
 * `bits`. */
struct metric {
    _Atomic uint64_t bits;                     /* counter, gauge; histogram and summary: the sum */
    _Atomic uint64_t count;                    /* histogram, summary */
    /* histogram: one per bound and +Inf, not cumulative */
    _Atomic uint64_t *buckets;
    /* summary: the newest observations, guarded by a leaf lock */
    struct metric_window *window;
    const struct metric_family *family;
    /* label values, in the order of the family's names */
    char *values[METRIC_LABELS_MAX];
    /* written under the lock of children, release; walked inside an epoch section */
    struct metric *_Atomic next;
};
struct metric_family {
    const char *name, *help;
    enum metric_kind kind;
    const char *labels[METRIC_LABELS_MAX];     /* names, sorted; NULL ends */
    /* histogram: ascending upper bounds; summary: quantiles */
    const double *bounds;
    size_t n_bounds;
    double (*read)(void *ctx);                 /* set: a value made when collected (no labels) */
    void *read_ctx;
    struct metric self;                        /* the series of a family without labels */
    /* of a family with labels: pushed, never removed but by metric_forget */
    struct metric *_Atomic children;
    struct metric_family *next;
};

void metric_register(struct metric_family *f);

#define METRIC_DEFINE(var, kind_, name_, help_, ...)                                               \
    static struct metric_family var = {                                                            \
        .name = (name_), .help = (help_), .kind = (kind_), __VA_ARGS__                             \
    };                                                                                             \
    __attribute__((constructor)) static void var##_register(void) { metric_register(&var); }

#define COUNTER(var, name, help) METRIC_DEFINE(var, METRIC_COUNTER, name, help)
#define GAUGE(var, name, help) METRIC_DEFINE(var, METRIC_GAUGE, name, help)
#define COUNTER_VEC(var, name, help, ...)                                                          \
    METRIC_DEFINE(var, METRIC_COUNTER, name, help, .labels = { __VA_ARGS__ })
#define GAUGE_VEC(var, name, help, ...)                                                            \
    METRIC_DEFINE(var, METRIC_GAUGE, name, help, .labels = { __VA_ARGS__ })
/* bounds: a static const double array */
#define HISTOGRAM(var, name, help, b)                                                              \
    METRIC_DEFINE(var, METRIC_HISTOGRAM, name, help, .bounds = (b), .n_bounds = ARRAY_LEN(b))
#define HISTOGRAM_VEC(var, name, help, b, ...)                                                     \
    METRIC_DEFINE(var, METRIC_HISTOGRAM, name, help, .bounds = (b), .n_bounds = ARRAY_LEN(b),      \
        .labels = { __VA_ARGS__ })
/* quantiles: a static const double array; they are of the newest METRIC_SUMMARY_WINDOW observations
 * of the last 10 minutes */
#define SUMMARY(var, name, help, q)                                                                \
    METRIC_DEFINE(var, METRIC_SUMMARY, name, help, .bounds = (q), .n_bounds = ARRAY_LEN(q))
#define SUMMARY_VEC(var, name, help, q, ...)                                                       \
    METRIC_DEFINE(var, METRIC_SUMMARY, name, help, .bounds = (q), .n_bounds = ARRAY_LEN(q),        \
        .labels = { __VA_ARGS__ })

/* The child with these label values (as many as names), made on first use at 0. Keep the pointer on
 * hot paths. */
struct metric *metric_with(struct metric_family *f, const str *values, size_t n);
#define METRIC_WITH(f, ...)                                                                        \
    metric_with((f), (const str[]){ __VA_ARGS__ }, ARRAY_LEN(((const str[]){ __VA_ARGS__ })))

/* Takes a child off its family, e.g. of a job that is gone. Pointers to it die, but for those taken
 * in an epoch section that still runs. */
void metric_forget(struct metric_family *f, const str *values, size_t n);

void metric_add_to(struct metric *m, double v);                /* counter: v >= 0 */
void metric_set_of(struct metric *m, double v);                /* gauge */
void metric_observe_in(struct metric *m, double v);            /* histogram, summary */
double metric_value(const struct metric *m);
static inline void metric_add(struct metric_family *f, double v) { metric_add_to(&f->self, v); }
static inline void metric_inc(struct metric_family *f) { metric_add_to(&f->self, 1); }
static inline void metric_set(struct metric_family *f, double v) { metric_set_of(&f->self, v); }
static inline void metric_observe(struct metric_family *f, double v)
{
    metric_observe_in(&f->self, v);
}

/* Collection: families by name; of each, the points of its series by label values. The sink copies
 * what it keeps. */
struct metric_point {
    const struct metric_family *family;
    const char *const *values;                 /* label values */
    double value;                              /* counter, gauge; else the sum */
    uint64_t count;                            /* histogram, summary */
    /* histogram: n_bounds + 1 counts; the last is +Inf's */
    const uint64_t *cumulative;
    /* summary: n_bounds values, NaN without observations */
    const double *quantiles;
};
void metric_each(void (*sink)(void *ctx, const struct metric_point *p), void *ctx);

#endif
