/* windows.c — what a function of a range costs with windows of a day beside windows of an hour: a
 * step is to cost what enters and leaves the window, so a query of a day at steps of a minute over
 * the longer ones, which reads twice as many samples, may take GOAL times as long. Samples every
 * 15 s; CPU time of the fastest of some runs.
 *
 *     bench_windows [PART_OF_A_QUERY]
 */
#include "base/clock.h"
#include "base/prng.h"
#include "promql/engine.h"
#include "storage/memstore.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SERIES = 1, GAP_MS = 15000, STEP_MS = 60000, HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };
enum { RUNS_MAX = 5, GOAL = 3, BUCKETS = 24 };
static const int64_t enough_ns = 200000000;

/* c: counters, g: gauges, h: integer histograms, f: histograms of floats that are gauges, b: custom
 * buckets, m: floats and histograms in turn */
static const char *const queries[] = {
    "sum_over_time(g[%s])", "avg_over_time(g[%s])", "min_over_time(g[%s])", "max_over_time(g[%s])",
    "count_over_time(g[%s])", "last_over_time(g[%s])", "first_over_time(g[%s])",
    "present_over_time(g[%s])", "absent_over_time(g[%s])", "stddev_over_time(g[%s])",
    "stdvar_over_time(g[%s])", "quantile_over_time(0.9, g[%s])", "mad_over_time(g[%s])",
    "deriv(g[%s])", "predict_linear(g[%s], 3600)", "double_exponential_smoothing(g[%s], 0.5, 0.5)",
    "ts_of_min_over_time(g[%s])", "ts_of_max_over_time(g[%s])", "ts_of_first_over_time(g[%s])",
    "ts_of_last_over_time(g[%s])", "changes(g[%s])", "delta(g[%s])", "idelta(g[%s])",
    "rate(c[%s])", "increase(c[%s])", "irate(c[%s])", "resets(c[%s])",
    "rate(c[%s] anchored)", "increase(c[%s] smoothed)", "delta(g[%s] smoothed)",
    "resets(c[%s] anchored)", "changes(g[%s] anchored)",
    "sum_over_time(g[%s] offset 1h)", "avg_over_time(rate(c[5m])[%s:1m])",
    "max_over_time(c[%s:15s])",
    "sum_over_time(h[%s])", "avg_over_time(h[%s])", "rate(h[%s])", "increase(h[%s])",
    "irate(h[%s])", "resets(h[%s])", "changes(h[%s])", "count_over_time(h[%s])",
    "last_over_time(h[%s])", "first_over_time(h[%s])", "ts_of_last_over_time(h[%s])",
    "rate(h[%s] anchored)", "increase(h[%s] smoothed)", "resets(h[%s] anchored)",
    "sum_over_time(f[%s])", "avg_over_time(f[%s])", "delta(f[%s])", "idelta(f[%s])",
    "delta(f[%s] smoothed)", "sum_over_time(b[%s])", "avg_over_time(b[%s])", "rate(b[%s])",
    "resets(b[%s])", "sum_over_time(rate(h[5m])[%s:1m])", "avg_over_time(rate(h[5m])[%s:1m])",
    "count_over_time(m[%s])", "resets(m[%s])", "changes(m[%s])", "max_over_time(m[%s])",
    "last_over_time(m[%s])",
};

static void die(const struct err *e)
{
    fprintf(stderr, "windows: %s\n", e->msg);
    exit(1);
}

struct load {
    struct appender *to;
    struct prng r;
    int64_t t;
    double counter;
    uint64_t counts[BUCKETS];
    struct histogram h;
    struct span span;
    double at[BUCKETS], bounds[BUCKETS];
};

static series_handle series_of(struct load *l, char name, int id)
{
    char text = (char)('0' + id);
    struct err e = { 0 };
    series_handle s;
    struct label two[] = { { METRIC_NAME, str_of(&name, 1) }, { S("id"), str_of(&text, 1) } };
    if (l->to->ops->series(l->to, (struct labels){ two, 2 }, &s, &e) != OK) die(&e);
    return s;
}

static void put(struct load *l, char name, int id, double v)
{
    struct err e = { 0 };
    if (l->to->ops->append(l->to, series_of(l, name, id), l->t, v, 0, &e) != OK) die(&e);
}

static void put_histogram(struct load *l, char name, int id, const struct histogram *h)
{
    struct err e = { 0 };
    if (l->to->ops->histogram(l->to, series_of(l, name, id), l->t, 0, NULL, h, &e) != OK) die(&e);
}

/* Buckets are added as time goes by, as those of a real histogram are. */
static void observe(struct load *l)
{
    size_t n = 6 + (size_t)(l->t / (4 * (int64_t)HOUR_MS)) % (BUCKETS - 6);
    l->h.count = 0;
    for (size_t i = 0; i < n; i++) {
        l->counts[i] += prng_below(&l->r, 5);
        l->at[i] = (double)l->counts[i];
        l->h.count += l->at[i];
    }
    l->h.sum += prng_unit(&l->r) * 10;
    l->span = (struct span){ 1, (uint32_t)n };
    l->h.pos = (struct histogram_side){ &l->span, 1, l->at, n };
}

static void load_one(struct load *l, int id)
{
    l->counter = prng_below(&l->r, 3000) ? l->counter + (double)prng_below(&l->r, 100) : 0;
    put(l, 'c', id, l->counter);
    put(l, 'g', id, prng_unit(&l->r) * 100);
    observe(l);
    put_histogram(l, 'h', id, &l->h);
    if (prng_below(&l->r, 2)) put(l, 'm', id, l->counter);
    else put_histogram(l, 'm', id, &l->h);
    struct histogram other = l->h;
    other.hint = RESET_GAUGE;
    put_histogram(l, 'f', id, &other);
    other = l->h;
    other.schema = HISTOGRAM_CUSTOM_SCHEMA;
    other.custom = l->bounds;
    other.n_custom = BUCKETS - 1;
    l->span.offset = 0;
    put_histogram(l, 'b', id, &other);
}

static void load_all(struct memstore *m)
{
    struct load l = { .r = { 1 } };
    struct err e = { 0 };
    for (int i = 0; i < BUCKETS; i++) l.bounds[i] = i;
    for (int64_t t = 0; t <= 2 * (int64_t)DAY_MS; t += GAP_MS) {
        l.t = t;
        struct appendable *to = memstore_appendable(m);
        if (to->ops->begin(to, &l.to, &e) != OK) die(&e);
        for (int id = 0; id < SERIES; id++) load_one(&l, id);
        if (l.to->ops->commit(l.to, &e) != OK) die(&e);
    }
}

/* ms of CPU */
static double ask(struct engine *en, struct memstore *m, const char *query, const char *range)
{
    char text[128];
    struct err e = { 0 };
    int n = snprintf(text, sizeof(text), query, range);
    struct query_opts o = { .query = str_of(text, (size_t)n), .start_ms = DAY_MS,
        .end_ms = 2 * (int64_t)DAY_MS, .step_ms = STEP_MS };
    double best = INFINITY;
    int64_t spent = 0;
    for (int i = 0; i < RUNS_MAX && spent < enough_ns; i++) {
        struct result r;
        int64_t began = clock_cpu_ns();
        if (engine_query(en, memstore_queryable(m), &o, &r, &e) != OK) die(&e);
        int64_t took = clock_cpu_ns() - began;
        promql_result_fini(&r);
        spent += took;
        if ((double)took / 1e6 < best) best = (double)took / 1e6;
    }
    return best;
}

int main(int argc, char **argv)
{
    struct engine_opts o = { .parse = { true, true, true, true } };
    o.max_samples = (uint64_t)1 << 40;
    struct memstore *m = memstore_new();
    size_t missed = 0, n = 0;
    load_all(m);
    struct engine *en = engine_new(&o);
    printf("%-50s %8s %8s %6s\n", "CPU ms of a day at 1 m", "[1h]", "[1d]", "times");
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        if (argc > 1 && !strstr(queries[i], argv[1])) continue;
        double hour = ask(en, m, queries[i], "1h"), day = ask(en, m, queries[i], "1d");
        bool met = day <= GOAL * hour;
        printf("%-50s %8.2f %8.2f %6.1f %s\n", queries[i], hour, day, day / hour,
            met ? "met" : "not met");
        missed += !met;
        n++;
    }
    printf("%zu queries, %zu of them more than %d times\n", n, missed, GOAL);
    engine_free(en);
    memstore_free(m);
    return missed != 0;
}
