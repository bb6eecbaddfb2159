/* eval.h — the evaluator: what its parts share.
 *
 * What        One struct eval per grid of steps (the query's, each subquery's, the single step of a
 *             step-invariant part). eval_expr pushes the rows of a node into a sink, series by
 *             series; only what must see all rows at once keeps them.
 * Invariants  (1) Rows come in Prometheus' order of visiting, where it has one. (2) `samples`
 *             follows Prometheus' count of samples in memory, which decides max-samples and the
 *             peak, though fewer are really held.
 * Ownership   query->arena lives as long as the query; query->scratch is a stack: who allocates
 *             there resets it before returning
 * Threads     one query, one thread
 * Errors      ERR_UNSUPPORTED: the evaluation fails with words for the user; ERR_LIMIT,
 *             ERR_TIMEOUT, ERR_CANCELED; the storage's
 * Format      none
 */
#ifndef EPI_PROMQL_EVAL_H
#define EPI_PROMQL_EVAL_H

#include "promql/active.h"
#include "promql/annotations.h"
#include "promql/engine.h"
#include "promql/explain.h"
#include "promql/functions.h"
#include "promql/rows.h"
#include "promql/slices.h"

/* Statistics of one evaluation; per-step arrays only where somebody asks for them. */
struct eval_stats { uint64_t total, read, peak; uint64_t *total_at, *read_at; };

/* of one vector selector */
struct selection { struct series_set *set; struct series **at; size_t n; bool expanded; };

struct query {
    struct arena *arena;                   /* the result's */
    struct arena scratch;
    struct annotations annotations;
    struct querier *querier;
    struct selection *selections;          /* by expr.vector.index */
    size_t n_selections;
    uint64_t max_samples, max_far_bytes;
    uint64_t far_seen;                     /* io_work.bucket_bytes of this thread when noted */
    int64_t samples;                       /* below 0 where Prometheus' count is */
    int64_t lookback_ms;                   /* 0: less than a millisecond */
    int64_t default_step_ms;
    bool delayed_names, start_timestamps, type_and_unit;
    /* something was met by which steps may hang together (steps.h) */
    bool entangled;
    errc ended;                            /* not OK: eval_check said so, and will again */
    int64_t deadline_ns;                   /* 0: none */
    _Atomic bool *cancel;                  /* may be NULL */
    struct explain *explain;               /* NULL: nobody asked for it */
    struct active_query *active;           /* figures of it; shared with its lanes */
    struct read_sums *reads;               /* the same */
    struct slice slice;
    /* what gives way in its checks: its own slice; of a lane the query's, or NULL beside helpers */
    struct slice *turn;
    struct pool *pool;                     /* helpers; NULL: none */
    struct err *e;
    struct buf *words;                     /* what does not fit e; NULL: in a lane, or not wanted */
};

struct eval { struct query *q; struct grid g; struct eval_stats *stats; };

MUST_USE errc eval_expr(struct eval *ev, struct expr *x, struct sink *out);
/* a scalar: its value at each step */
MUST_USE errc eval_column(struct eval *ev, struct expr *x, const double **out);
/* cancelled? timed out? */
/* Also gives way to lighter queries. Once it failed it always does, so what is half done by then,
 * columns among it, is never answered. */
MUST_USE errc eval_check(struct query *q);
/* An arena of the query's account, whose long work asks eval_check; it ends before the query, or
 * with it once that has ended. */
/* What an evaluation that came back with rc is answered with: what ended it, also if what went on
 * then failed otherwise, or not at all. */
MUST_USE errc eval_end(struct query *q, errc rc);
void eval_arena_init(struct query *q, struct arena *a);
void eval_arenas_ask(struct query *q);     /* the query's two, too, until their `over` is NULL */
void eval_arena_fini(struct query *q, struct arena *a);
/* What this thread read from a bucket since far_seen is the query's. */
void far_note(struct query *q);
/* For what is done very often and cannot fail, as a sort's comparisons or the rows of a match: true
 * once the query has to end, and rc says why. done: what a sort's comparison costs is 1. */
enum { WATCH_EVERY = 256 };
struct watch {
    struct query *q;
    size_t asked;
    errc rc;
};
static inline bool watch_ends_after(struct watch *w, size_t done)
{
    w->asked += done;
    if (LIKELY(w->asked < WATCH_EVERY)) return w->rc != OK;
    w->asked = 0;
    if (w->rc == OK) w->rc = eval_check(w->q);
    return w->rc != OK;
}
static inline bool watch_ends(struct watch *w) { return watch_ends_after(w, 1); }
/* A row may have millions of steps: they are walked in parts, and between two of them it is asked
 * whether the query has to end. False: that was the last one, or rc says why.
 *     struct steps_part p = { q, n };
 *     while (steps_part_next(&p)) for (size_t i = p.from; i < p.to; i++) …
 * Where values alone are left undone rc need not be looked at: the next check says it again. What
 * are pointers, or say which steps have a value, is to be whole.
 */
enum { STEPS_PART = 1 << 14 };
struct steps_part { struct query *q; size_t n, from, to; errc rc; };
static inline bool steps_part_next(struct steps_part *p)
{
    if (p->to && p->to < p->n) p->rc = eval_check(p->q);
    p->from = p->to;
    p->to = MIN(p->n, p->to + STEPS_PART);
    return p->rc == OK && p->from < p->n;
}
#define STEPS_PARTS(p, q, n) for (struct steps_part p = { (q), (n) }; steps_part_next(&p);)
#define STEPS_EACH(i, q, n)                                                                        \
    STEPS_PARTS(steps_part_of_##i, q, n)                                                           \
    for (size_t i = steps_part_of_##i.from; i < steps_part_of_##i.to; i++)
/* ERR_UNSUPPORTED with these words */
errc eval_fail(struct query *q, const char *fmt, ...) PRINTF_LIKE(2, 3);
errc eval_fail_same_labels(struct query *q);
/* A scalar that is evaluated before the vector it stands behind: it is counted when it would have
 * been evaluated. */
/* samples: the most while it was, and of it */
struct late { uint64_t inner, made; };
MUST_USE errc eval_column_late(struct eval *ev, struct expr *x, const double **out, struct late *l);
MUST_USE errc late_count(struct eval *ev, const struct late *l);
/* A scalar failed that stands behind `vector`, which would have been evaluated first: if that fails
 * too, its words are the ones to say. */
MUST_USE errc eval_fail_behind(struct eval *ev, struct expr *vector, errc rc);
void stats_init(struct eval_stats *s, struct arena *a, size_t n_steps, bool per_step);

/* Counting of samples. */
/* too many? */
MUST_USE errc samples_check(struct query *q, int64_t samples);
static inline void samples_peak(struct eval *ev, int64_t samples)
{
    if (samples > (int64_t)ev->stats->peak) ev->stats->peak = (uint64_t)samples;
}
static inline void stats_total(struct eval *ev, size_t step, uint64_t n)
{
    ev->stats->total += n;
    if (ev->stats->total_at) ev->stats->total_at[step] += n;
}
static inline void stats_read(struct eval *ev, size_t step, uint64_t n)
{
    ev->stats->read += n;
    if (ev->stats->read_at) ev->stats->read_at[step] += n;
}
/* A node that gathered `in` rows and made `out` rows at each step ends: q->samples becomes `before`
 * + what it made. in may be NULL. */
MUST_USE errc samples_node_end(struct eval *ev, int64_t before,
    const struct step_counts *const *in, size_t n_in, const struct step_counts *out);

/* Output of a node that works step by step: rows of equal labels become one row, a step that two of
 * them have is an error; a single step keeps its rows apart (and in order), and fails on equal
 * labels unless names are dropped at the end. */
struct joiner {
    struct eval *ev;
    struct rows rows;
    struct label_set set;
    struct step_counts counts;
    size_t clash;
    /* set: no two rows can be called the same, so each goes on at once */
    struct sink *direct;
    uint64_t above;                        /* samples that nodes above counted meanwhile */
};
void joiner_init(struct joiner *j, struct eval *ev);
void joiner_fini(struct joiner *j);
/* The output of a function that only drops names from the rows of `input`: if what is left still
 * tells them apart, nothing is kept. */
MUST_USE errc joiner_direct(struct joiner *j, struct expr *input, struct sink *out);
MUST_USE errc joiner_put(struct joiner *j, struct row *r);     /* adds, or hands on */
void joiner_add(struct joiner *j, const struct row *r);
/* The same of columns in the query's arena, which nobody else writes to. */
void joiner_add_staying(struct joiner *j, const struct row *r);
MUST_USE errc joiner_check(const struct joiner *j);            /* after the last row */
MUST_USE errc joiner_push(struct joiner *j, struct sink *out);
/* Joins rows of equal labels whatever the number of steps (label_replace, unary minus, names
 * dropped at the end). */
MUST_USE errc rows_join_equal(struct eval *ev, struct rows *rs);
MUST_USE errc rows_push(struct eval *ev, const struct rows *rs, struct sink *out);

/* Drops the metadata labels at once, or leaves that to the end of the query. */
void row_drop_name(struct query *q, struct row *r);

/* The kinds of nodes. */
/* Do the rows of x stay apart without their metadata labels? May expand x's selector. */
MUST_USE errc eval_rows_differ(struct eval *ev, struct expr *x, bool *differ);
/* Has any series of the storage __type__ or __unit__? */
MUST_USE errc storage_has_metadata(struct query *q, bool *yes);
/* of an instant vector, a function that drops names and joins rows that are then equal */
bool instant_function_drops_name(const char *name);
/* a function of a range vector that does */
bool range_function_drops_name(const char *name);
MUST_USE errc selection_differs(struct query *q, size_t index, bool *differ);
MUST_USE errc eval_vector_selector(struct eval *ev, struct expr *x, struct sink *out);
MUST_USE errc eval_timestamp_of_selector(
    struct eval *ev, struct expr *call, struct expr *x, struct sink *out);
MUST_USE errc eval_range_call(
    struct eval *ev, struct expr *call, size_t range_arg, struct sink *out);
MUST_USE errc eval_call(struct eval *ev, struct expr *x, struct sink *out);
MUST_USE errc eval_aggregate(struct eval *ev, struct expr *x, struct sink *out);
MUST_USE errc eval_count_values(struct eval *ev, struct expr *x, struct sink *out);
MUST_USE errc eval_binary(struct eval *ev, struct expr *x, struct sink *out);
MUST_USE errc eval_label_replace(struct eval *ev, struct expr *x, struct sink *out);
MUST_USE errc eval_label_join(struct eval *ev, struct expr *x, struct sink *out);
MUST_USE errc eval_sort(struct eval *ev, struct expr *x, struct sink *out);
MUST_USE errc eval_info(struct eval *ev, struct expr *x, struct sink *out);
MUST_USE errc eval_histogram_quantile(struct eval *ev, struct expr *x, struct sink *out);
MUST_USE errc eval_histogram_quantiles(struct eval *ev, struct expr *x, struct sink *out);
MUST_USE errc eval_histogram_fraction(struct eval *ev, struct expr *x, struct sink *out);

/* A subquery's own grid and its evaluation; the caller adds the child's statistics. */
MUST_USE errc eval_subquery(struct eval *ev, struct expr *x, struct eval *child,
    struct eval_stats *child_stats, struct sink *out);
struct grid subquery_grid(const struct eval *ev, const struct expr *x);
void stats_merge_read(
    struct eval *ev, const struct eval *child, int64_t outer_offset_ms, int64_t outer_range_ms);

/* Points of a range vector at the top of an instant query. */
struct point_sink {
    errc (*points)(
        struct point_sink *s, struct labels l, bool drop_name, const struct point *at, size_t n);
};
MUST_USE errc eval_range_vector(struct eval *ev, struct expr *x, struct point_sink *out);

/* of scalars: comparisons give 0 or 1 */
double binary_op(enum promql_op op, double a, double b);
/* Go's math.Min: -Inf, then NaN, then the less; -0 below 0 */
double go_min(double a, double b);
double go_max(double a, double b);
/* of absent() and absent_over_time() over x */
struct labels labels_of_absent(struct query *q, struct expr *x);
struct expr *expr_unparen(struct expr *x);
static inline int64_t ns_to_ms(int64_t ns) { return ns / 1000000; }
double ns_to_seconds(int64_t ns);                              /* as Go's Duration.Seconds */

#endif
