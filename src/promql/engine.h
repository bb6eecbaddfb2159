/* engine.h — evaluates a tree over a storage.
 *
 * What        Instant and range queries with lookback, staleness, limits, cancellation, concurrency
 *             limit and statistics.
 * Invariants  results equal Prometheus 3.14's (see docs/architecture.md for the exactness promise)
 * Ownership   a result lies in its query's arena until promql_result_fini
 * Threads     the engine: any. One query: its own thread, plus the pool's for parts of it
 * Errors      ERR_BAD_INPUT (parse: bad_data), ERR_LIMIT / ERR_UNSUPPORTED (execution),
 *             ERR_TIMEOUT, ERR_CANCELED, and the storage's
 * Format      none
 */
#ifndef EPI_PROMQL_ENGINE_H
#define EPI_PROMQL_ENGINE_H

#include "promql/parse.h"
#include "promql/reads.h"
#include "storage/querier.h"

/* Where running queries are written down (queries.active); filled by cmd. All may be NULL. */
struct query_sink {
    void *ctx;
    long (*begin)(void *ctx, str query, int64_t start_ms);                 /* a slot */
    void (*end)(void *ctx, long slot);
};
/* Who is told of each query that was understood, when it ended (the query log). */
struct query_report;
struct query_watcher {
    void *ctx;
    void (*done)(void *ctx, const struct query_report *r);     /* may be NULL */
};
struct engine_opts {
    struct parse_opts parse;
    /* default_step: of subqueries without one: the evaluation interval */
    int64_t lookback_ms, timeout_ms, default_step_ms;
    uint64_t max_samples;
    /* of memory a query; 0: what max_samples samples may take, and room for labels */
    size_t max_bytes;
    /* from a bucket, a query: looked at between its series; 0: any number */
    uint64_t max_far_bytes;
    unsigned max_concurrency;
    uint64_t result_cache_bytes;           /* of answers that are kept; 0: none are */
    bool delayed_name_removal, use_start_timestamps, per_step_stats, type_and_unit_labels;
    struct query_sink sink;
    struct query_watcher watcher;
};
struct active_query;
struct engine;
struct explain;
struct kept;
struct slices;
struct engine *engine_new(const struct engine_opts *o);
void engine_free(struct engine *en);
/* of subqueries without one: the evaluation interval of a new configuration */
void engine_set_default_step(struct engine *en, int64_t step_ms);

/* Who asks: "127.0.0.1", "GET", "/api/v1/query"; path empty: nobody from outside. */
struct query_origin { str client, method, path; };
struct query_opts {
    str query;
    struct query_origin origin;
    /* instant: start == end, step 0; else a step below 1 is ERR_UNSUPPORTED */
    int64_t start_ms, end_ms, step_ms;
    bool instant;
    /* 0: the engine's; lookback below 0: less than a millisecond, but some */
    int64_t lookback_ms, timeout_ms;
    bool stats, per_step_stats, explain;
    /* set by another thread: the query ends with ERR_CANCELED; may be NULL */
    _Atomic bool *cancel;
    /* NULL, or of the caller, who let it enter and lets it leave: it is listed for longer than it
     * is evaluated */
    struct active_query *active;
    /* NULL, or where words go as a whole that a struct err may have to cut: of a query that does
     * not parse, or that fails with something of its data in them */
    struct buf *words;
};

/* A point; h NULL: a float. */
struct point { int64_t t; double v; const struct histogram *h; };
/* n points in columns. h NULL: floats alone. Series with a value at each step share their times. */
struct result_series {
    struct labels labels;
    const int64_t *t;
    const double *v;
    const struct histogram *const *h;
    size_t n;
    bool drop_name;
};
static inline struct point result_point(const struct result_series *s, size_t i)
{
    return (struct point){ s->t[i], s->v[i], s->h ? s->h[i] : NULL };
}
struct query_stats {
    double eval_total_s, result_sort_s, prepare_s, inner_eval_s, queue_s, exec_total_s;
    uint64_t total_samples, peak_samples, samples_read;
    /* n_steps of each; NULL: not counted */
    const uint64_t *per_step, *read_per_step;
    size_t n_steps;
    int64_t first_step_ms, step_ms;
    struct read_counts io;                 /* watched with per_step_stats or explain */
};
/* What a query of these options failed with. */
str query_failure(const struct query_opts *o, const struct err *e);
struct query_activity;
/* borrowed for the call; e is set when rc is not OK */
struct query_report {
    const struct query_opts *opts;
    const struct query_stats *stats;
    const struct query_activity *activity; /* as it was at the end */
    errc rc;
    const struct err *e;
};
/* What a query is at. */
struct query_activity {
    uint64_t id;
    str query;
    struct query_origin origin;
    int64_t start_ms, age_ns;
    int64_t waited_ns;                     /* in the queue, and for its turns */
    bool running, sending;                 /* or it waits in the queue */
    uint64_t samples, series, series_done, bytes, memory, memory_peak;
};
/* Those that run and wait, the oldest first. */
void engine_active(struct engine *en, struct arena *a, struct query_activity **out, size_t *n);
/* What is listed beside the engine's own: see active.h. */
void engine_active_enter(struct engine *en, struct active_query *a, const struct query_opts *o,
    void (*cut)(void *ctx), void *cut_ctx);
void engine_active_leave(struct engine *en, struct active_query *a);
/* the query of one that is listed is another */
void engine_active_query(struct engine *en, struct query_opts *o, str query);
/* Ends one: it answers with ERR_CANCELED. False: there is none of that id any more. */
bool engine_end(struct engine *en, uint64_t id);

struct result {
    /* vector: one point a series; matrix; scalar: series[0]; string: text */
    enum value_type type;
    struct result_series *series; size_t n_series;
    str text; int64_t text_t;
    str *warnings, *infos; size_t n_warnings, n_infos;
    struct query_stats stats;
    const struct explain *explain;         /* NULL: not asked for */
    /* who writes it down gives way as who computed it did: whose turns, and CPU time used so far */
    struct slices *turns;
    int64_t used_ns;
    struct kept *kept;                     /* has some of it; NULL: nothing */
    struct arena arena;                    /* owns the rest */
};
MUST_USE errc engine_query(struct engine *en, struct queryable *q, const struct query_opts *o,
    struct result *out, struct err *e);
void promql_result_fini(struct result *r);

#endif
