/* The engine: what is around one evaluation. A query waits for one of max_concurrency places, is
 * written down by the sink, parsed, prepared, given a querier over all that its selectors read,
 * evaluated, and its rows become points. */
#include "promql/engine.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/metric.h"
#include "base/waits.h"
#include "io/pool.h"
#include "io/work.h"
#include "promql/deep.h"
#include "promql/eval.h"
#include "promql/prepare.h"
#include "promql/result_cache.h"
#include "promql/result_rows.h"
#include "storage/changes.h"

static const double slice_quantiles[] = { 0.5, 0.9, 0.99 };
static const double slice_bounds[] = { .01, .1, 1, 10 };
GAUGE(engine_queries, "prometheus_engine_queries",
    "The current number of queries being executed or waiting.")
GAUGE(engine_concurrent_max, "prometheus_engine_queries_concurrent_max",
    "The max number of concurrent queries.")
COUNTER(engine_samples, "prometheus_engine_query_samples_total",
        "The total number of samples loaded by all queries (full window per step for "
    "range-vector).")
COUNTER(engine_samples_read, "prometheus_engine_query_samples_read_total",
    "The total number of samples read by all queries (only new points per step for "
    "range-vector).")
SUMMARY_VEC(engine_duration, "prometheus_engine_query_duration_seconds", "Query timings",
    slice_quantiles, "slice")
static const double wait_bounds[] = { .000001, .00001, .0001, .001, .005, .01, .025, .05, .1, 1 };
HISTOGRAM(query_waits, "epimetheus_query_wait_seconds",
    "Time that a query waited for locks, queues and turns.", wait_bounds)
HISTOGRAM_VEC(engine_duration_histogram, "prometheus_engine_query_duration_histogram_seconds",
    "The duration of various parts of PromQL query execution.", slice_bounds, "slice")
ACCOUNT_YIELDING(query_account, "queries")

/* The parts of a query are there from the start, before one ran. */
__attribute__((constructor)) static void engine_metrics_begin(void)
{
    static const str slices[] = { S("inner_eval"), S("prepare_time"), S("queue_time"),
        S("result_sort") };
    for (size_t i = 0; i < ARRAY_LEN(slices); i++) {
        (void)metric_with(&engine_duration, &slices[i], 1);
        (void)metric_with(&engine_duration_histogram, &slices[i], 1);
    }
}

struct engine {
    struct engine_opts o;
    /* relaxed: a new configuration changes it between queries */
    _Atomic int64_t default_step_ms;
    struct mtx mu;                         /* LOCK_QUERY */
    struct cond freed;
    unsigned running;                      /* GUARDED_BY(mu) */
    struct place *places;                  /* GUARDED_BY(mu): of those */
    unsigned standing;                     /* GUARDED_BY(mu): of those, at the last look */
    int64_t looked_ns;                     /* GUARDED_BY(mu) */
    unsigned waiting;                      /* GUARDED_BY(mu): for a place */
    unsigned lent;                         /* GUARDED_BY(mu): places on top of those */
    struct slices slices;
    struct active_list active;
    struct result_cache *kept;             /* NULL: nothing is kept */
    struct pool *pool;                     /* of all queries; NULL: one core */
    struct pool *sweep;                    /* gives back large memory of queries that ended */
};

void engine_set_default_step(struct engine *en, int64_t step_ms)
{
    atomic_store_explicit(&en->default_step_ms, step_ms, memory_order_relaxed);
}

struct engine *engine_new(const struct engine_opts *o)
{
    enum { HELP_MAX = 64, SWEEP_MAX = 64 };    /* calls for help, and memory, that wait */
    enum {
        DEFAULT_LOOKBACK_MS = 5 * 60 * 1000,
        DEFAULT_STEP_MS = 60 * 1000,
        DEFAULT_SAMPLES = 50000000
    };
    static const size_t room_for_labels = (size_t)256 << 20, sample_bytes = sizeof(struct point);
    struct engine *en = NEW(struct engine);
    en->o = *o;
    if (en->o.lookback_ms <= 0) en->o.lookback_ms = DEFAULT_LOOKBACK_MS;
    if (!en->o.max_samples) en->o.max_samples = DEFAULT_SAMPLES;
    if (!en->o.max_bytes)
        en->o.max_bytes =
            MIN(en->o.max_samples, SIZE_MAX / 4 / sample_bytes) * sample_bytes + room_for_labels;
    atomic_init(
        &en->default_step_ms, o->default_step_ms > 0 ? o->default_step_ms : DEFAULT_STEP_MS);
    mtx_init(&en->mu, LOCK_QUERY);
    cond_init(&en->freed);
    slices_init(&en->slices, pool_cores());
    active_init(&en->active);
    if (o->result_cache_bytes) en->kept = result_cache_new(o->result_cache_bytes);
    if (pool_cores() > 1)
        en->pool = pool_new(&(struct pool_opts){
            .name = "query",
            .threads = pool_cores() - 1,
            .queue_max = HELP_MAX,
            .behind = true });
    en->sweep = pool_new(
        &(struct pool_opts){ .name = "query_sweep", .threads = 1, .queue_max = SWEEP_MAX });
    metric_set(&engine_concurrent_max, o->max_concurrency);
    return en;
}

void engine_free(struct engine *en)
{
    if (!en) return;
    assert(en->running == 0);
    pool_free(en->pool);
    pool_free(en->sweep);
    result_cache_free(en->kept);
    slices_fini(&en->slices);
    active_fini(&en->active);
    cond_fini(&en->freed);
    mtx_fini(&en->mu);
    mem_free(en);
}

/* Places */

/* A query that runs; lies in its frame. */
struct place {
    struct runner runner;                  /* GUARDED_BY(engine.mu) */
    const struct slice *turn;              /* GUARDED_BY(engine.mu); NULL: not yet, or no more */
    int64_t since_ns;
    struct place *next;
};

static void place_set_turn(struct engine *en, struct place *p, const struct slice *turn)
{
    mtx_lock(&en->mu);
    p->turn = turn;
    mtx_unlock(&en->mu);
}

static bool query_canceled(const struct active_query *a)
{
    const struct query_opts *o = a->opts;
    return active_ended(a) || (o->cancel && atomic_load_explicit(o->cancel, memory_order_relaxed));
}

/* While storage hangs those that come are as likely to hang. Each that is seen to, while others
 * wait, lends a place more, so that who would be answered does not wait for them a few at a time.
 * Nothing is lent where as many as may run are at work. */
static void engine_lend_locked(struct engine *en, unsigned standing, unsigned working)
    REQUIRES(en->mu)
{
    enum { LENT_TIMES = 4, LENT_LEAST = 16 };
    unsigned max = en->o.max_concurrency, most = MAX(LENT_TIMES * max, (unsigned)LENT_LEAST);
    if (!en->waiting || working >= max) en->lent = 0;
    else if (standing > en->standing) en->lent = MIN(en->lent + standing - en->standing, most);
}

/* How many of those that run have stood still for a while, for something else than their turn. They
 * wait for storage, which may never answer, and are no load: their places are lent to others. Where
 * as many as may run stand still, storage hangs, and of others it is told sooner. Of who came just
 * now it is not told yet; the rest is at work. One look is for all who wait for a place. */
static void engine_look_locked(struct engine *en) REQUIRES(en->mu)
{
    enum { MS_NS = 1000000, STANDS_NS = 100 * MS_NS, HANGS_NS = 25 * MS_NS, LOOKED_NS = 5 * MS_NS };
    int64_t for_ns = en->standing >= en->o.max_concurrency ? HANGS_NS : STANDS_NS,
            now = clock_real_mono_ns();
    unsigned standing = 0, working = 0;
    mtx_assert_held(&en->mu);
    if (now - en->looked_ns < LOOKED_NS) return;
    en->looked_ns = now;
    for (struct place *p = en->places; p; p = p->next) {
        bool turn = p->turn && atomic_load_explicit(&p->turn->waits, memory_order_relaxed);
        if (turn) runner_look(&p->runner);
        if (!turn && runner_stands(&p->runner, for_ns)) standing++;
        else working += now - p->since_ns >= STANDS_NS;
    }
    engine_lend_locked(en, standing, working);
    en->standing = standing;
}

static bool engine_full_locked(struct engine *en) REQUIRES(en->mu)
{
    unsigned max = en->o.max_concurrency;
    if (!max || en->running < max) return false;
    engine_look_locked(en);
    unsigned standing = MIN(en->standing, en->running);
    return en->running - standing >= max + en->lent;
}

/* Waits for a place: no longer than the deadline, and not much longer than it takes to see that the
 * query was cancelled. */
static errc engine_enter(struct engine *en, struct active_query *a, struct place *p,
    int64_t deadline_ns, struct err *e)
{
    enum { LOOK_NS = 20 * 1000 * 1000 };
    errc rc = OK;
    mtx_lock(&en->mu);
    bool waits = engine_full_locked(en);
    en->waiting += waits;
    while (rc == OK && engine_full_locked(en)) {
        int64_t now = clock_mono_ns(), until = now + LOOK_NS;
        if (query_canceled(a)) rc = ERR_CANCELED;
        else if (deadline_ns && now >= deadline_ns) rc = ERR_TIMEOUT;
        else cond_wait_until(&en->freed, &en->mu, deadline_ns ? MIN(until, deadline_ns) : until);
    }
    en->waiting -= waits;
    if (rc == OK) {
        en->running++;
        p->since_ns = clock_real_mono_ns();
        runner_init(&p->runner);
        p->next = en->places;
        en->places = p;
    }
    mtx_unlock(&en->mu);
    if (rc == ERR_CANCELED) return err_set(e, rc, "query was canceled in query queue");
    if (rc == ERR_TIMEOUT) return err_set(e, rc, "query timed out in query queue");
    atomic_store_explicit(&a->entered_ns, clock_mono_ns(), memory_order_relaxed);
    return OK;
}

static void engine_leave(struct engine *en, struct place *p)
{
    struct place **at = &en->places;
    mtx_lock(&en->mu);
    assert(en->running > 0);
    en->running--;
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    cond_signal(&en->freed);
    mtx_unlock(&en->mu);
}

/* Times */

static double engine_observe(const char *slice, int64_t from_ns)
{
    double s = (double)(clock_mono_ns() - from_ns) / 1e9;
    str value = str_z(slice);
    metric_observe_in(metric_with(&engine_duration, &value, 1), s);
    metric_observe_in(metric_with(&engine_duration_histogram, &value, 1), s);
    return s;
}

/* Answers that are kept */

/* What of a query is kept already, and what its answer is kept with. */
struct keeping {
    struct result_ask ask;
    struct kept *k;                        /* NULL: all steps are evaluated */
    size_t have;                           /* of the first steps, out of k */
    struct result_origin from;
};

/* Are there answers to look for? */
static bool keeping_init(struct keeping *kp, const struct engine *en, struct queryable *storage,
    const struct query_opts *o)
{
    if (!en->kept || !storage->ops->changes || o->instant || o->explain || o->stats) return false;
    if (o->step_ms < 1 || o->end_ms < o->start_ms) return false;
    /* at its first step a selector without lookback sees less than at others */
    if (o->lookback_ms < 0) return false;
    *kp = (struct keeping){ .ask = { .query = o->query,
                                .start_ms = o->start_ms,
                                .end_ms = o->end_ms,
                                .step_ms = o->step_ms,
                                .lookback_ms = o->lookback_ms,
                                .default_step_ms = atomic_load_explicit(
                                    &en->default_step_ms, memory_order_relaxed),
                                .steps = grid_of(o->start_ms, o->end_ms, o->step_ms).n } };
    return true;
}

/* The first steps that need not be evaluated. One step alone is evaluated as at an instant if the
 * query ends there, so there are two; a few are not worth it. */
static void keeping_find(struct keeping *kp, struct engine *en, struct queryable *storage)
{
    enum { WORTH = 8 };
    bool by_labels;
    struct changes *c = storage->ops->changes(storage, 0, 0, &by_labels);
    kept_unref(STEAL(kp->k));
    if (c) kp->from.since = changes_last(c);
    kp->k = result_cache_find(en->kept, &kp->ask, storage, &kp->have);
    if (!kp->k || kp->have == kp->ask.steps) return;
    int64_t next = kp->ask.start_ms + (int64_t)kp->have * kp->ask.step_ms;
    if (next == kp->ask.end_ms) kp->have--;
    if (kp->have >= 1 && kp->have >= kp->ask.steps / WORTH) return;
    kp->have = 0;
    kept_unref(STEAL(kp->k));
}

/* Memory */

static void sweep_run(void *ctx)
{
    struct arena *a = ctx;
    arena_fini(a);
    mem_free(a);
}

/* Whoever asked need not wait until it is given back: that takes as long as a tenth of a second. */
static void engine_sweep(struct engine *en, struct arena *a)
{
    enum { AT_ONCE = 16 << 20 };
    a->over = NULL;
    if (a->used < AT_ONCE) {
        arena_fini(a);
        return;
    }
    struct arena *of = NEW(struct arena);
    arena_init(of, a->acc, 0);
    arena_take(of, a);
    if (!pool_submit(en->sweep, sweep_run, of)) sweep_run(of);
}

/* One query at work */

struct running {
    struct engine *en;
    const struct query_opts *o;
    struct keeping *keeping;               /* NULL: nothing is kept of it */
    struct query q;
    struct expr *tree;
    struct prepared p;
    struct result *out;
    struct eval_stats stats;
    struct err *e;
    struct result_rows rows;
    struct grid grid;
};

static void running_fini(struct running *r)
{
    slice_end(&r->q.slice);
    if (r->q.explain) explain_unwatch();
    for (size_t i = 0; i < r->q.n_selections; i++) series_set_free(r->q.selections[i].set);
    querier_free(r->q.querier);
    promql_tree_fini(r->tree);
    annotations_fini(&r->q.annotations);
    r->out->arena.over = NULL;
    engine_sweep(r->en, &r->q.scratch);
    result_rows_fini(&r->rows);
}

/* The querier spans what all selectors read; then each selects. info looks for its info series as
 * far back as an instant selector does, also where the range of its argument is shorter. */
struct time_span { int64_t mint, maxt, info_ms; };

static void span_visit(void *ctx, const struct selector_use *u)
{
    struct time_span *s = ctx;
    int64_t more = u->range_ms > 0 ? MAX((int64_t)0, s->info_ms - u->range_ms) : 0;
    s->mint = MIN(s->mint, u->start_ms - more);
    s->maxt = MAX(s->maxt, u->end_ms);
}

struct selecting { struct running *r; errc rc; };

static void select_visit(void *ctx, const struct selector_use *u)
{
    struct selecting *s = ctx;
    struct query *q = &s->r->q;
    if (s->rc != OK) return;
    struct select_hints h = { u->start_ms, u->end_ms, u->step_ms, u->range_ms, u->func, 0, false };
    size_t index = u->selector->vector.index;
    struct selection *sel = &q->selections[index];
    size_t above = q->explain ? explain_enter(q->explain, q, u->selector) : 0;
    struct explain_lane begun = explain_read_begin(q);
    s->rc = q->querier->ops->select(q->querier, u->selector->vector.matchers, &h, &sel->set, q->e);
    explain_read_end(q, index, &begun, 0, 0);
    if (q->explain) explain_back(q->explain, q, above);
}

/* What the answer is kept with, before anything is read. What is read at the steps that are
 * evaluated, if they do not hang together, else what is read at all. */
static void running_note_origin(
    struct running *r, struct queryable *storage, const struct time_span *span)
{
    struct result_origin *from = &r->keeping->from;
    struct selector_scope scope = { 0, 0, r->o->step_ms, r->q.lookback_ms, r->q.default_step_ms };
    struct changes *c = storage->ops->changes(storage, span->mint, span->maxt, &from->by_labels);
    if (!c) {
        if (!r->keeping->k) r->keeping = NULL;
        return;
    }
    from->data = c->id;
    if (!r->keeping->k) from->since = changes_last(c);
    from->reach = from->apart ? promql_steps_reach(r->p.root, scope)
                              : (struct steps_reach){ .mint = span->mint, .maxt = span->maxt };
}

/* The querier is that of the whole query also where some of its steps are there already: the order
 * of series follows from it. What was kept has to be true for what it sees. ERR_NOT_FOUND: it is
 * not. */
static errc running_select(struct running *r, struct queryable *storage)
{
    const struct query_opts *o = r->o;
    struct selector_scope scope = { o->start_ms, o->end_ms, o->step_ms, r->q.lookback_ms,
        r->q.default_step_ms };
    struct time_span span = { INT64_MAX, INT64_MIN, r->p.info ? r->q.lookback_ms : 0 };
    if (r->keeping) scope.start_ms = r->keeping->ask.start_ms;
    promql_each_selector(r->p.root, &scope, span_visit, &span);
    scope.start_ms = o->start_ms;
    if (span.maxt == INT64_MIN) span = (struct time_span){ 0, 0, 0 };
    if (r->keeping) running_note_origin(r, storage, &span);
    TRY(storage->ops->querier(storage, span.mint, span.maxt, &r->q.querier, r->e));
    struct keeping *kp = r->keeping;
    if (kp && kp->k && !kept_holds(kp->k, &kp->ask, kp->have, storage)) return ERR_NOT_FOUND;
    r->q.n_selections = r->p.n_selectors;
    r->q.selections = arena_zalloc(r->q.arena, r->q.n_selections * sizeof(*r->q.selections));
    struct selecting s = { r, OK };
    promql_each_selector(r->p.root, &scope, select_visit, &s);
    return s.rc;
}

static errc running_eval(struct running *r)
{
    struct query *q = &r->q;
    struct expr *root = expr_unparen(r->p.root);
    struct eval ev = { q, r->grid, &r->stats };
    result_rows_init(&r->rows, q, r->grid);
    r->out->type = expr_type(r->p.root);
    promql_set_offsets(r->p.root, r->o->start_ms);
    switch (r->out->type) {
    case VALUE_STRING:
        while (root->kind == EXPR_STEP_INVARIANT || root->kind == EXPR_PAREN)
            root = root->paren.expr;
        r->out->text = arena_str(q->arena, root->string);
        r->out->text_t = r->o->start_ms;
        return OK;
    case VALUE_MATRIX: TRY(eval_range_vector(&ev, root, &r->rows.points)); break;
    default: TRY(eval_expr(&ev, r->p.root, &r->rows.rows)); break;
    }
    if (q->delayed_names) TRY(result_rows_join(&r->rows));
    if (r->o->instant && r->out->type == VALUE_VECTOR) result_rows_at_instant(&r->rows);
    return eval_check(q);
}

static errc running_sort(struct running *r)
{
    int64_t from = clock_mono_ns();
    errc rc = result_rows_sort(&r->rows);
    r->out->stats.result_sort_s = engine_observe("result_sort", from);
    return rc;
}

static errc running_result(struct running *r)
{
    struct result *out = r->out;
    if (!r->o->instant && out->type != VALUE_STRING) out->type = VALUE_MATRIX;
    if (out->type == VALUE_MATRIX) TRY(running_sort(r));
    result_rows_give(&r->rows, out);
    return OK;
}

/* What the storage left out goes before the rest: texts without a place in the query. */
static void running_left_out(struct running *r)
{
    struct result *out = r->out;
    str_list all = { 0 };
    querier_warnings(r->q.querier, &all);
    if (all.n) {
        size_t n = 0;
        str *texts = arena_array(r->q.arena, all.n + out->n_warnings, sizeof(*texts));
        for (; n < all.n; n++) texts[n] = arena_str(r->q.arena, all.at[n]);
        for (size_t i = 0; i < out->n_warnings; i++) texts[n++] = out->warnings[i];
        out->warnings = texts;
        out->n_warnings = n;
    }
    vec_fini(&all);
}

static void running_annotations(struct running *r)
{
    struct result *out = r->out;
    annotations_list(&r->q.annotations, r->o->query, ANNOTATIONS_SHOWN, r->q.arena, &out->warnings,
        &out->n_warnings, &out->infos, &out->n_infos);
    running_left_out(r);
}

static errc running_parse(struct running *r)
{
    const struct query_opts *o = r->o;
    struct parse_errors errors;
    errc rc = promql_parse(&r->tree, o->query, &r->en->o.parse, r->q.arena, &errors, r->e);
    if (rc != OK && o->words)
        buf_str(o->words, parse_error_text(&errors.at[0], o->query, r->q.arena));
    return rc;
}

static errc running_prepare(struct running *r, struct queryable *storage)
{
    const struct query_opts *o = r->o;
    enum value_type type = expr_type(r->tree);
    if (!o->instant && type != VALUE_VECTOR && type != VALUE_SCALAR)
        return err_set(r->e, ERR_BAD_INPUT,
            "invalid expression type \"%.*s\" for range query, must be Scalar or instant Vector",
            STR_ARG(value_type_documented(type)));
    if (!o->instant && o->step_ms < 1)
        return err_set(r->e, ERR_UNSUPPORTED,
            "the step of a range query must be at least a millisecond");
    int64_t step = o->instant ? 0 : o->step_ms;
    TRY(promql_prepare(&r->p, r->tree, o->start_ms, o->end_ms, step, r->q.arena, r->e));
    if (o->explain) r->q.explain = explain_new(r->q.arena, o->query, r->p.root);
    int64_t from = clock_mono_ns();
    TRY(running_select(r, storage));
    r->out->stats.prepare_s = engine_observe("prepare_time", from);
    return OK;
}

/* Is what was computed for the steps behind those that are kept what it is with them? */
static errc running_is_apart(struct running *r, bool *apart)
{
    struct keeping *kp = r->keeping;
    *apart = kp->from.apart && !r->q.entangled;
    kp->from.peak = r->stats.peak + (kp->k ? kept_peak(kp->k) : 0);
    if (*apart) {
        bool has;                          /* also where that cannot be known */
        errc rc = storage_has_metadata(&r->q, &has);
        if (rc == ERR_CANCELED || rc == ERR_TIMEOUT) return rc;
        *apart = !has;
    }
    if (kp->k && (r->out->n_warnings || r->out->n_infos || kp->from.peak > r->q.max_samples))
        *apart = false;
    return OK;
}

/* ERR_NOT_FOUND: what was kept is of no use. */
static errc running_keep(struct running *r)
{
    struct keeping *kp = r->keeping;
    struct steps_reach *reach = &kp->from.reach;
    bool apart;
    TRY(running_is_apart(r, &apart));
    if (kp->k && !apart) return ERR_NOT_FOUND;
    if (kp->k) kept_put_before(kp->k, &kp->ask, kp->have, r->out);
    if (kp->from.apart && !apart) {
        int64_t mint, maxt;
        if (!steps_reach_span(reach, r->o->start_ms, r->o->end_ms, &mint, &maxt)) mint = maxt = 0;
        *reach = (struct steps_reach){ .mint = mint, .maxt = maxt };
        kp->from.apart = false;
    }
    result_cache_put(r->en->kept, &kp->ask, r->out, &kp->from);
    return eval_check(&r->q);
}

static errc running_go(struct running *r, struct queryable *storage)
{
    const struct query_opts *o = r->o;
    if (r->keeping)
        r->keeping->from.apart =
            r->keeping->ask.steps > 1 && !r->q.delayed_names && promql_steps_apart(r->tree);
    bool per_step = o->per_step_stats && r->en->o.per_step_stats;
    r->grid = o->instant || o->step_ms < 1
                  ? grid_of(o->start_ms, o->start_ms, 1)
                  : grid_of(o->start_ms, o->end_ms, o->step_ms);
    TRY(running_prepare(r, storage));
    stats_init(&r->stats, r->q.arena, r->grid.n, per_step);
    int64_t from = clock_mono_ns();
    errc rc = running_eval(r);
    r->out->stats.inner_eval_s = engine_observe("inner_eval", from);
    if (r->q.explain) explain_end(r->q.explain, &r->q);
    r->out->explain = r->q.explain;
    metric_add(&engine_samples, (double)r->stats.total);
    metric_add(&engine_samples_read, (double)r->stats.read);
    TRY(rc);
    TRY(running_result(r));
    running_annotations(r);
    return r->keeping ? running_keep(r) : OK;
}

struct going { struct running *r; struct queryable *storage; errc rc; };

static void running_deep(void *ctx)
{
    struct going *g = ctx;
    g->rc = running_go(g->r, g->storage);
}

static errc running_run(struct running *r, struct queryable *storage)
{
    struct going g = { r, storage, OK };
    TRY(running_parse(r));
    TRY(deep_run(r->tree, running_deep, &g, r->e));
    return g.rc;
}

static void running_stats(struct running *r)
{
    struct query_stats *s = &r->out->stats;
    r->out->turns = r->q.slice.all;
    r->out->used_ns = r->q.slice.used_ns;
    s->total_samples = r->stats.total;
    s->samples_read = r->stats.read;
    s->peak_samples = r->stats.peak;
    s->per_step = r->stats.total_at;
    s->read_per_step = r->stats.read_at;
    s->n_steps = r->stats.total_at ? r->grid.n : 0;
    s->first_step_ms = r->grid.start;
    s->step_ms = r->grid.interval;
}

static void running_init(struct running *r, struct engine *en, const struct query_opts *o,
    struct result *out, int64_t deadline_ns, struct err *e)
{
    *r = (struct running){ .en = en, .o = o, .out = out, .e = e };
    arena_init(&out->arena, &query_account, en->o.max_bytes);
    arena_init(&r->q.scratch, &query_account, en->o.max_bytes);
    r->q.arena = &out->arena;
    eval_arenas_ask(&r->q);
    annotations_init(&r->q.annotations, &out->arena);
    r->q.max_samples = en->o.max_samples;
    r->q.max_far_bytes = en->o.max_far_bytes;
    r->q.far_seen = io_work.bucket_bytes;
    r->q.lookback_ms = o->lookback_ms ? MAX(o->lookback_ms, 0) : en->o.lookback_ms;
    r->q.default_step_ms = atomic_load_explicit(&en->default_step_ms, memory_order_relaxed);
    r->q.delayed_names = en->o.delayed_name_removal;
    r->q.start_timestamps = en->o.use_start_timestamps;
    r->q.type_and_unit = en->o.type_and_unit_labels;
    r->q.deadline_ns = deadline_ns;
    r->q.cancel = o->cancel;
    slice_begin(&r->q.slice, &en->slices);
    r->q.turn = &r->q.slice;
    r->q.pool = en->pool;
    r->q.e = e;
    r->q.words = o->words;
}

str query_failure(const struct query_opts *o, const struct err *e)
{
    return o->words && o->words->n ? buf_view(o->words) : err_str(e);
}

static void engine_report(struct engine *en, const struct active_query *active,
    const struct result *out, errc rc, const struct err *e)
{
    struct query_activity activity = active_activity(active);
    en->o.watcher.done(en->o.watcher.ctx, &(struct query_report){ .opts = active->opts,
                                              .stats = &out->stats,
                                              .activity = &activity,
                                              .rc = rc,
                                              .e = e });
}

void engine_active(struct engine *en, struct arena *a, struct query_activity **out, size_t *n)
{
    active_copy(&en->active, a, out, n);
}

void engine_active_enter(struct engine *en, struct active_query *a, const struct query_opts *o,
    void (*cut)(void *ctx), void *cut_ctx)
{
    active_enter(&en->active, a, o, cut, cut_ctx);
}

void engine_active_leave(struct engine *en, struct active_query *a)
{
    active_leave(&en->active, a);
}

void engine_active_query(struct engine *en, struct query_opts *o, str query)
{
    mtx_lock(&en->active.mu);
    o->query = query;
    mtx_unlock(&en->active.mu);
}

bool engine_end(struct engine *en, uint64_t id)
{
    if (!active_end(&en->active, id)) return false;
    slices_wake(&en->slices);
    mtx_lock(&en->mu);
    cond_broadcast(&en->freed);
    mtx_unlock(&en->mu);
    return true;
}

/* An evaluation of all steps, or of those behind the ones that are kept. */
struct evaluation {
    struct engine *en;
    struct queryable *storage;
    const struct query_opts *o;
    struct active_query *active;
    struct place *place;
    int64_t deadline_ns;
    struct keeping *keeping;               /* NULL: nothing is kept of it */
    struct read_sums *reads;
};

static errc evaluate_steps(
    const struct evaluation *x, const struct query_opts *o, struct result *out, struct err *e)
{
    struct running r;
    running_init(&r, x->en, o, out, x->deadline_ns, e);
    r.q.active = x->active;
    r.q.reads = x->reads;
    r.keeping = x->keeping;
    /* a reload may have come between */
    if (x->keeping) r.q.default_step_ms = x->keeping->ask.default_step_ms;
    place_set_turn(x->en, x->place, &r.q.slice);
    errc rc = eval_end(&r.q, running_run(&r, x->storage));
    running_stats(&r);
    place_set_turn(x->en, x->place, NULL);
    running_fini(&r);
    return rc;
}

/* What fails behind kept steps is asked for as a whole: it may fail otherwise. */
static errc evaluate(const struct evaluation *x, struct result *out, struct err *e)
{
    struct keeping *kp = x->keeping;
    if (kp && kp->k) {
        struct query_opts rest = *x->o;
        rest.start_ms += (int64_t)kp->have * rest.step_ms;
        errc rc = evaluate_steps(x, &rest, out, e);
        kept_unref(STEAL(kp->k));
        kp->have = 0;
        if (rc == OK || rc == ERR_CANCELED || rc == ERR_TIMEOUT) return rc;
        promql_result_fini(out);
        *e = (struct err){ 0 };
        if (x->o->words) buf_reset(x->o->words);
    }
    return evaluate_steps(x, x->o, out, e);
}

/* The whole answer is there. */
static bool evaluate_not(const struct evaluation *x, struct result *out)
{
    struct keeping *kp = x->keeping;
    if (!kp) return false;
    keeping_find(kp, x->en, x->storage);
    if (!kp->k || kp->have < kp->ask.steps) return false;
    arena_init(&out->arena, &query_account, x->en->o.max_bytes);
    out->turns = &x->en->slices;
    kept_give(kp->k, &kp->ask, kp->have, out);
    kept_unref(STEAL(kp->k));
    result_cache_note(&kp->ask, kp->have);
    return true;
}

static errc engine_evaluate(const struct evaluation *x, struct result *out, struct err *e)
{
    const struct query_sink *sink = &x->en->o.sink;
    if (evaluate_not(x, out)) return OK;
    if (x->keeping) result_cache_note(&x->keeping->ask, x->keeping->have);
    long slot = sink->begin ? sink->begin(sink->ctx, x->o->query, clock_wall_ms()) : 0;
    int64_t entered = clock_mono_ns();
    struct reads_since since = reads_begin(x->reads->watched);
    errc rc = evaluate(x, out, e);
    reads_end(x->reads, &since);
    out->stats.io = reads_told(x->reads);
    out->stats.eval_total_s = (double)(clock_mono_ns() - entered) / 1e9;
    if (sink->end) sink->end(sink->ctx, slot);
    return rc;
}

errc engine_query(struct engine *en, struct queryable *storage, const struct query_opts *o,
    struct result *out, struct err *e)
{
    struct err words;
    if (!e) e = &words;
    int64_t waited = waits_ns(), began = clock_mono_ns();
    int64_t timeout = o->timeout_ms > 0 ? o->timeout_ms : en->o.timeout_ms;
    int64_t deadline_ns = timeout > 0 ? began + timeout * 1000000 : 0;
    *out = (struct result){ 0 };
    metric_add(&engine_queries, 1);
    struct active_query own = { 0 }, *active = o->active ? o->active : &own;
    struct place place = { 0 };
    struct keeping keeping;
    bool keeps = keeping_init(&keeping, en, storage, o);
    struct read_sums reads;
    reads_init(&reads, o->per_step_stats || o->explain);
    struct evaluation x = {
        en, storage, o, active, &place, deadline_ns, keeps ? &keeping : NULL, &reads
    };
    if (!o->active) active_enter(&en->active, active, o, NULL, NULL);
    errc rc = OK;
    bool there = evaluate_not(&x, out);
    if (!there) rc = engine_enter(en, active, &place, deadline_ns, e);
    double queued = engine_observe("queue_time", began);
    if (!there && rc == OK) {
        rc = engine_evaluate(&x, out, e);
        engine_leave(en, &place);
    }
    if (keeps) kept_unref(keeping.k);
    out->stats.queue_s = queued;
    out->stats.exec_total_s = (double)(clock_mono_ns() - began) / 1e9;
    metric_add(&engine_queries, -1);
    metric_observe(&query_waits, (double)(waits_ns() - waited) * 1e-9);
    if (en->o.watcher.done && rc != ERR_BAD_INPUT)
        engine_report(en, active, out, rc, e);
    if (!o->active) active_leave(&en->active, active);
    if (rc == OK) return OK;
    engine_sweep(en, &out->arena);
    promql_result_fini(out);
    return rc;
}

void promql_result_fini(struct result *r)
{
    kept_unref(r->kept);
    arena_fini(&r->arena);
    *r = (struct result){ 0 };
}
