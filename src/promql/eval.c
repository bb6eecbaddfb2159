/* The evaluator pushes: eval_expr(node, sink) computes the node's rows and hands each to the sink
 * as soon as it is known. A selector under an aggregation thus holds one series at a time; nodes
 * that must see both sides or all rows (binary operators, functions of instant vectors whose output
 * rows may join) keep columns. Vectorised over steps, never over series: each step sees its series
 * one after the other, so compensated sums have the bits that a step-by-step evaluation gives. */
#include "promql/eval.h"

#include "base/budget.h"
#include "base/clock.h"
#include "io/work.h"
#include "promql/prepare.h"
#include "promql/select.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

errc eval_fail(struct query *q, const char *fmt, ...)
{
    SCOPED(buf_fini) struct buf words = { 0 };
    va_list ap;
    va_start(ap, fmt);
    buf_vfmt(&words, fmt, ap);
    va_end(ap);
    if (q->words) buf_reset(q->words);
    if (q->words && words.n >= sizeof(q->e->msg)) buf_str(q->words, buf_view(&words));
    return err_set_str(q->e, ERR_UNSUPPORTED, buf_view(&words));
}

errc eval_fail_same_labels(struct query *q)
{
    return eval_fail(q, "vector cannot contain metrics with the same labelset");
}

static bool query_canceled(const struct query *q)
{
    return active_ended(q->active) ||
           (q->cancel && atomic_load_explicit(q->cancel, memory_order_relaxed));
}
static bool query_timed_out(const struct query *q)
{
    return q->deadline_ns && clock_mono_ns() >= q->deadline_ns;
}

/* Asked while it waits for its turn: who looks at it sees that it does. */
static bool query_gone(void *ctx)
{
    const struct query *q = ctx;
    int64_t waited = q->turn->waited_ns + clock_mono_ns() - q->turn->since_ns;
    atomic_store_explicit(&q->active->waited_ns, waited, memory_order_relaxed);
    return query_canceled(q) || query_timed_out(q);
}

/* By the query's own thread. */
static void query_note(struct query *q)
{
    active_memory(q->active, q->arena->used + q->scratch.used);
    atomic_store_explicit(&q->active->waited_ns, q->slice.waited_ns, memory_order_relaxed);
}

void far_note(struct query *q)
{
    active_add(&q->active->far_bytes, io_work.bucket_bytes - q->far_seen);
    q->far_seen = io_work.bucket_bytes;
}

static errc far_check(struct query *q)
{
    far_note(q);
    uint64_t n = atomic_load_explicit(&q->active->far_bytes, memory_order_relaxed);
    if (!q->max_far_bytes || n <= q->max_far_bytes) return OK;
    return err_set(q->e, ERR_LIMIT,
        "query processing would load too many bytes from the bucket: limit %" PRIu64
        " violated (got %" PRIu64 ")",
        q->max_far_bytes, n);
}

static errc err_canceled(struct query *q)
{
    return err_set(q->e, ERR_CANCELED, "query was canceled in expression evaluation");
}
static errc err_timed_out(struct query *q)
{
    return err_set(q->e, ERR_TIMEOUT, "query timed out in expression evaluation");
}
static errc err_memory(struct query *q)
{
    return err_set(q->e, ERR_LIMIT, "query needs more memory than a query may have");
}

static errc check(struct query *q)
{
    if (q->turn) slice_take(q->turn, query_gone, q);
    if (q->slice.all) query_note(q);
    if (query_canceled(q)) return err_canceled(q);
    if (query_timed_out(q)) return err_timed_out(q);
    TRY(far_check(q));
    if (!arena_spent(q->arena) && !arena_spent(&q->scratch)) return OK;
    if (q->arena->used <= q->arena->limit && q->scratch.used <= q->scratch.limit)
        return budget_query_error(q->e);
    return err_memory(q);
}

errc eval_check(struct query *q)
{
    if (q->ended == OK) q->ended = check(q);
    return q->ended;
}

errc eval_end(struct query *q, errc rc)
{
    if (q->ended == OK || rc == q->ended) return rc;
    if (q->words) buf_reset(q->words);
    if (q->ended == ERR_CANCELED) return err_canceled(q);
    if (q->ended == ERR_TIMEOUT) return err_timed_out(q);
    return rc == OK ? q->ended : err_memory(q);
}

static bool query_over(void *ctx) { return eval_check(ctx) != OK; }

void eval_arenas_ask(struct query *q)
{
    q->arena->over = q->scratch.over = query_over;
    q->arena->over_ctx = q->scratch.over_ctx = q;
}

void eval_arena_init(struct query *q, struct arena *a)
{
    arena_init(a, q->scratch.acc, q->scratch.limit);
    a->over = query_over;
    a->over_ctx = q;
}

/* Large memory is given back when the query is answered, where it is over. */
void eval_arena_fini(struct query *q, struct arena *a)
{
    if (q->ended != OK) arena_take(&q->scratch, a);
    else arena_fini(a);
}

errc samples_check(struct query *q, int64_t samples)
{
    if (samples < 0 || (uint64_t)samples <= q->max_samples) return OK;
    return err_set(q->e, ERR_LIMIT,
        "query processing would load too many samples into memory in query execution");
}

void stats_init(struct eval_stats *s, struct arena *a, size_t n_steps, bool per_step)
{
    *s = (struct eval_stats){ 0 };
    if (!per_step) return;
    s->total_at = arena_zalloc(a, n_steps * sizeof(*s->total_at));
    s->read_at = arena_zalloc(a, n_steps * sizeof(*s->read_at));
}

errc samples_node_end(struct eval *ev, int64_t before, const struct step_counts *const *in,
    size_t n_in, const struct step_counts *out)
{
    int64_t held = ev->q->samples, most = 0;
    STEPS_EACH(i, ev->q, ev->g.n) {
        int64_t now = held;
        for (size_t k = 0; k < n_in; k++) now += step_counts_at(in[k], i);
        now += step_counts_at(out, i);
        if (now > most) most = now;
        held += step_counts_at(out, i);
    }
    samples_peak(ev, most);
    TRY(samples_check(ev->q, most));
    ev->q->samples = before + out->kept;
    samples_peak(ev, ev->q->samples);
    return OK;
}

void row_drop_name(struct query *q, struct row *r)
{
    if (!q->delayed_names) r->labels = labels_drop_metadata(&q->scratch, r->labels);
    r->drop_name = true;
}

double go_min(double a, double b)
{
    if (isinf(a) && a < 0) return a;
    if (isinf(b) && b < 0) return b;
    if (isnan(a) || isnan(b)) return NAN;
    if (a == 0 && a == b) return signbit(a) ? a : b;
    return a < b ? a : b;
}
double go_max(double a, double b) { return -go_min(-a, -b); }

/* Joiner */

void joiner_init(struct joiner *j, struct eval *ev)
{
    *j = (struct joiner){ .ev = ev, .clash = ev->g.n };
    rows_init(&j->rows, ev->q->arena, ev->g.n);
    label_set_init(&j->set, ev->q->arena);
    step_counts_init(&j->counts, ev->q->arena, ev->g.n);
}

void joiner_fini(struct joiner *j)
{
    rows_fini(&j->rows);
    label_set_fini(&j->set);
}

static void joiner_take(
    struct joiner *j, const struct row *r, void (*keep)(struct rows *rs, const struct row *r))
{
    size_t n = j->ev->g.n;
    if (r->present && bits_next(r->present, 0, n) == n) return;
    step_counts_add_made(&j->counts, r);
    bool fresh;
    size_t at = label_set_add(&j->set, r->labels, &fresh);
    if (grid_is_instant(&j->ev->g)) {
        if (!fresh && !j->ev->q->delayed_names) j->clash = 0;
        keep(&j->rows, r);
        return;
    }
    if (fresh) {
        keep(&j->rows, r);
        return;
    }
    size_t clash = row_merge(&j->rows.all.at[at], r, n, j->ev->q->arena);
    if (clash < j->clash) j->clash = clash;
}

static void rows_add_copy(struct rows *rs, const struct row *r) { rows_copy(rs, r); }

void joiner_add(struct joiner *j, const struct row *r) { joiner_take(j, r, rows_add_copy); }
void joiner_add_staying(struct joiner *j, const struct row *r) { joiner_take(j, r, rows_keep); }

errc joiner_check(const struct joiner *j)
{
    return j->clash < j->ev->g.n ? eval_fail_same_labels(j->ev->q) : OK;
}

errc joiner_direct(struct joiner *j, struct expr *input, struct sink *out)
{
    bool differ;
    TRY(eval_rows_differ(j->ev, input, &differ));
    if (differ) j->direct = out;
    return OK;
}

errc joiner_put(struct joiner *j, struct row *r)
{
    struct query *q = j->ev->q;
    if (!j->direct) {
        joiner_add(j, r);
        return OK;
    }
    if (r->present && bits_next(r->present, 0, j->ev->g.n) == j->ev->g.n) return OK;
    step_counts_add_made(&j->counts, r);
    int64_t here = q->samples;
    TRY(sink_row(j->direct, r));
    j->above += q->samples - here;
    q->samples = here;
    return OK;
}

errc joiner_push(struct joiner *j, struct sink *out)
{
    if (j->direct) {
        assert(j->direct == out && j->rows.all.n == 0);
        j->ev->q->samples += j->above;
    }
    return rows_push(j->ev, &j->rows, out);
}

errc rows_push(struct eval *ev, const struct rows *rs, struct sink *out)
{
    struct watch watch = { ev->q };
    for (size_t i = 0; i < rs->all.n && !watch_ends(&watch); i++)
        TRY(sink_row(out, &rs->all.at[i]));
    return watch.rc;
}

errc rows_join_equal(struct eval *ev, struct rows *rs)
{
    struct label_set set;
    label_set_init(&set, ev->q->arena);
    size_t n = 0;
    struct watch watch = { ev->q };
    errc rc = OK;
    for (size_t i = 0; i < rs->all.n && rc == OK; i++) {
        bool fresh;
        if (watch_ends(&watch)) {
            rc = watch.rc;
            break;
        }
        size_t at = label_set_add(&set, rs->all.at[i].labels, &fresh);
        if (fresh) rs->all.at[n++] = rs->all.at[i];
        else if (row_merge(&rs->all.at[at], &rs->all.at[i], rs->n_steps, ev->q->arena) <
                 rs->n_steps)
            rc = eval_fail_same_labels(ev->q);
    }
    rs->all.n = n;
    label_set_fini(&set);
    return rc;
}

/* Arithmetic drops names and joins what is then equal; a comparison with a scalar leaves the rows
 * as they are called. */
static errc binary_rows_differ(struct eval *ev, struct expr *x, bool *differ)
{
    const struct vector_matching *m = x->binary.matching;
    bool l = expr_type(x->binary.lhs) == VALUE_SCALAR, r = expr_type(x->binary.rhs) == VALUE_SCALAR;
    bool drops = (x->binary.op >= OP_ADD && x->binary.op <= OP_ATAN2) || x->binary.return_bool;
    *differ = l && r;
    if (promql_op_is_set(x->binary.op) || *differ) return OK;
    *differ = drops && (l || r || !m->include.n);
    if (drops || !(l || r)) return OK;
    return eval_rows_differ(ev, l ? x->binary.rhs : x->binary.lhs, differ);
}

/* Can dropping names make two rows of x equal? A selector's series are looked at; a function of a
 * range, or of a vector, has dropped the names itself and checked. With names dropped at the end
 * nothing is dropped here, and nothing was checked. */
errc eval_rows_differ(struct eval *ev, struct expr *x, bool *differ)
{
    *differ = false;
    if (ev->q->delayed_names) return OK;
    switch (x->kind) {
    case EXPR_PAREN: case EXPR_STEP_INVARIANT: return eval_rows_differ(ev, x->paren.expr, differ);
    case EXPR_VECTOR: return selection_differs(ev->q, x->vector.index, differ);
    case EXPR_CALL:
        *differ = range_function_drops_name(x->call.func->name) ||
                  instant_function_drops_name(x->call.func->name);
        return OK;
    case EXPR_BINARY: return binary_rows_differ(ev, x, differ);
    case EXPR_UNARY:
        *differ = x->unary.op == OP_SUB;
        return *differ ? OK : eval_rows_differ(ev, x->unary.expr, differ);
    case EXPR_AGGREGATE:
        *differ = !x->aggregate.without &&
                  !(x->aggregate.op >= OP_TOPK && x->aggregate.op <= OP_COUNT_VALUES) &&
                  x->aggregate.op != OP_LIMITK && x->aggregate.op != OP_LIMIT_RATIO;
        for (size_t i = 0; i < x->aggregate.grouping.n; i++)
            *differ = *differ && !label_is_metadata(x->aggregate.grouping.at[i]);
        return OK;
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_MATRIX:
    case EXPR_SUBQUERY:
    case EXPR_DURATION: break;
    }
    return OK;
}

/* Nodes without a file of their own */

/* One dense row without labels. */
static errc eval_constant(struct eval *ev, double v, struct sink *out)
{
    struct arena *a = &ev->q->scratch;
    struct arena_mark m = arena_mark(a);
    int64_t before = ev->q->samples;
    struct row r = { .v = arena_array(a, ev->g.n, sizeof(double)) };
    STEPS_EACH(i, ev->q, ev->g.n) r.v[i] = v;
    ev->q->samples = before + ev->g.n;
    errc rc = samples_check(ev->q, ev->q->samples);
    samples_peak(ev, ev->q->samples);
    if (rc == OK) rc = sink_row(out, &r);
    arena_reset(a, m);
    return rc;
}

/* Repeats rows of a single step over all steps. above: the samples of the repetitions, and what
 * the sink behind has made of them. They count when the single step is done: what it held by then
 * and the repetitions are never there together. */
struct repeat_sink {
    struct sink base;
    struct sink *out;
    size_t n;
    struct query *q;
    int64_t before, above;
};

static errc repeat_row(struct sink *base, struct row *r)
{
    struct repeat_sink *s = CONTAINER_OF(base, struct repeat_sink, base);
    if (!row_has(r, 0)) return OK;
    s->above += (int64_t)((s->n - 1) * row_samples(r, 1));
    TRY(samples_check(s->q, s->before + s->above));
    int64_t here = s->q->samples;
    s->q->samples += s->above;
    struct arena_mark m = arena_mark(&s->q->scratch);
    struct row wide = { .labels = r->labels, .drop_name = r->drop_name };
    wide.v = arena_array(&s->q->scratch, s->n, sizeof(double));
    STEPS_EACH(i, s->q, s->n) wide.v[i] = r->v[0];
    if (r->hist && r->hist[0]) {
        wide.hist = arena_array(&s->q->scratch, s->n, sizeof(*wide.hist));
        STEPS_EACH(i, s->q, s->n) wide.hist[i] = r->hist[0];
    }
    errc rc = s->q->ended == OK ? sink_row(s->out, &wide) : s->q->ended;
    s->above = s->q->samples - here;
    s->q->samples = here;
    arena_reset(&s->q->scratch, m);
    return rc;
}

static errc eval_step_invariant(struct eval *ev, struct expr *x, struct sink *out)
{
    struct eval_stats stats = { 0 };
    struct eval once = { ev->q, grid_of(ev->g.start, ev->g.start, ev->g.interval), &stats };
    struct repeat_sink s = { { repeat_row }, out, ev->g.n, ev->q, ev->q->samples, 0 };
    TRY(eval_expr(&once, x->paren.expr, &s.base));
    ev->q->samples += s.above;
    samples_peak(ev, stats.peak);
    STEPS_EACH(i, ev->q, ev->g.n) stats_total(ev, i, stats.total);
    stats_read(ev, 0, stats.read);
    samples_peak(ev, ev->q->samples);
    return samples_check(ev->q, ev->q->samples);
}

struct negate_sink { struct sink base; struct eval *ev; struct rows *rows; };

static errc negate_row(struct sink *base, struct row *r)
{
    struct negate_sink *s = CONTAINER_OF(base, struct negate_sink, base);
    struct arena_mark m = arena_mark(&s->ev->q->scratch);
    row_drop_name(s->ev->q, r);
    STEPS_EACH(i, s->ev->q, s->ev->g.n) r->v[i] = -r->v[i];
    struct row *kept = rows_copy(s->rows, r);
    STEPS_EACH(i, s->ev->q, kept->hist ? s->ev->g.n : 0) {
        if (!kept->hist[i]) continue;
        struct histogram *h = histogram_copy(s->rows->a, kept->hist[i]);
        histogram_scale(h, -1);
        kept->hist[i] = h;
    }
    arena_reset(&s->ev->q->scratch, m);
    return OK;
}

static errc eval_unary(struct eval *ev, struct expr *x, struct sink *out)
{
    if (x->unary.op != OP_SUB) return eval_expr(ev, x->unary.expr, out);
    SCOPED(rows_fini) struct rows rows;
    rows_init(&rows, ev->q->arena, ev->g.n);
    struct negate_sink s = { { negate_row }, ev, &rows };
    TRY(eval_expr(ev, x->unary.expr, &s.base));
    if (!ev->q->delayed_names) TRY(rows_join_equal(ev, &rows));
    return rows_push(ev, &rows, out);
}

static errc eval_node(struct eval *ev, struct expr *x, struct sink *out)
{
    switch (x->kind) {
    case EXPR_NUMBER: return eval_constant(ev, x->number.val, out);
    case EXPR_PAREN: return eval_expr(ev, x->paren.expr, out);
    case EXPR_STEP_INVARIANT: return eval_step_invariant(ev, x, out);
    case EXPR_UNARY: return eval_unary(ev, x, out);
    case EXPR_VECTOR: return eval_vector_selector(ev, x, out);
    case EXPR_BINARY: return eval_binary(ev, x, out);
    case EXPR_CALL: return eval_call(ev, x, out);
    case EXPR_AGGREGATE:
        return x->aggregate.op == OP_COUNT_VALUES ? eval_count_values(ev, x, out)
                                                  : eval_aggregate(ev, x, out);
    case EXPR_STRING: case EXPR_MATRIX: case EXPR_SUBQUERY: case EXPR_DURATION: break;
    }
    return eval_fail(ev->q, "unhandled expression");
}

static errc eval_explained(struct eval *ev, struct expr *x, struct sink *out)
{
    struct query *q = ev->q;
    size_t before = explain_enter(q->explain, q, x);
    struct explain_sink s = explain_sink_of(q, out, before, ev->g.n);
    errc rc = eval_node(ev, x, &s.base);
    explain_back(q->explain, q, before);
    return rc;
}

errc eval_expr(struct eval *ev, struct expr *x, struct sink *out)
{
    TRY(eval_check(ev->q));
    if (ev->g.n == 0) return OK;
    return ev->q->explain ? eval_explained(ev, x, out) : eval_node(ev, x, out);
}

struct column_sink { struct sink base; struct eval *ev; double *v; };

static errc column_row(struct sink *base, struct row *r)
{
    struct column_sink *s = CONTAINER_OF(base, struct column_sink, base);
    if (!s->v) s->v = arena_array(s->ev->q->arena, s->ev->g.n, sizeof(double));
    arena_copy(s->ev->q->arena, s->v, r->v, s->ev->g.n * sizeof(double));
    return OK;
}

errc eval_column(struct eval *ev, struct expr *x, const double **out)
{
    struct column_sink s = { { column_row }, ev, NULL };
    TRY(eval_expr(ev, x, &s.base));
    if (!s.v) return eval_fail(ev->q, "expected a scalar");
    *out = s.v;
    return OK;
}

errc eval_column_late(struct eval *ev, struct expr *x, const double **out, struct late *l)
{
    int64_t before = ev->q->samples;
    uint64_t peak = ev->stats->peak;
    ev->stats->peak = before;
    errc rc = eval_column(ev, x, out);
    *l = (struct late){ ev->stats->peak - before, ev->q->samples - before };
    ev->stats->peak = peak;
    ev->q->samples = before;
    return rc;
}

errc late_count(struct eval *ev, const struct late *l)
{
    samples_peak(ev, ev->q->samples + l->inner);
    TRY(samples_check(ev->q, ev->q->samples + l->inner));
    ev->q->samples += l->made;
    return OK;
}

static errc discard_row(struct sink *base UNUSED, struct row *r UNUSED) { return OK; }

errc eval_fail_behind(struct eval *ev, struct expr *vector, errc rc)
{
    if (rc != ERR_UNSUPPORTED) return rc;
    struct query *q = ev->q;
    struct err words = *q->e;
    SCOPED(buf_fini) struct buf whole = { 0 };
    struct buf *kept = q->words;
    q->words = kept ? &whole : NULL;
    struct sink nowhere = { discard_row };
    errc first = eval_expr(ev, vector, &nowhere);
    q->words = kept;
    if (first == OK) *q->e = words;
    else if (kept) {
        buf_reset(kept);
        buf_str(kept, buf_view(&whole));
    }
    return first == OK ? rc : first;
}

/* Subqueries */

struct grid subquery_grid(const struct eval *ev, const struct expr *x)
{
    int64_t offset = ns_to_ms(x->subquery.at.offset_ns), range = ns_to_ms(x->subquery.range_ns);
    int64_t end = grid_time(&ev->g, ev->g.n - 1) - offset;
    int64_t interval = x->subquery.step_ns ? ns_to_ms(x->subquery.step_ns) : ev->q->default_step_ms;
    if (interval < 1) interval = 1;
    int64_t bound = ev->g.start - offset - range, start = interval * (bound / interval);
    if (start <= bound) start += interval;
    return grid_of(start, end, interval);
}

/* No series for any selector of x, and nothing else in it that makes rows: x has none at any step.
 * Asked of few, so what else could be known to have none is not. */
static errc selects_nothing(struct query *q, const struct expr *x, bool *nothing)
{
    struct selection *sel;
    *nothing = false;
    switch (x->kind) {
    case EXPR_VECTOR:
        TRY(selection_expand(q, x->vector.index, &sel));
        *nothing = sel->n == 0;
        return OK;
    case EXPR_CALL:
        if (x->call.args.n != 1 || strstr(x->call.func->name, "absent")) return OK;
        break;
    case EXPR_AGGREGATE:
        if (x->aggregate.param) return OK;
        break;
    case EXPR_BINARY:
        if (!x->binary.matching || x->binary.matching->fill_lhs || x->binary.matching->fill_rhs)
            return OK;
        break;
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_DURATION: return OK;
    case EXPR_MATRIX:
    case EXPR_SUBQUERY:
    case EXPR_PAREN:
    case EXPR_UNARY:
    case EXPR_STEP_INVARIANT: break;
    }
    struct expr *below = expr_child(x, 0);
    *nothing = true;
    for (size_t i = 0; *nothing && below; below = expr_child(x, ++i))
        TRY(selects_nothing(q, below, nothing));
    return OK;
}

enum { STEPS_FREE = 1000000 };

errc eval_subquery(struct eval *ev, struct expr *x, struct eval *child,
    struct eval_stats *child_stats, struct sink *out)
{
    *child = (struct eval){ ev->q, subquery_grid(ev, x), child_stats };
    /* before memory is taken for its steps: a row of them all would be too long. Of a few steps it
     * may not be one of them all. */
    if (child->g.n > STEPS_FREE && child->g.n > ev->q->max_samples) {
        bool nothing;
        TRY(selects_nothing(ev->q, x->subquery.expr, &nothing));
        if (!nothing) return samples_check(ev->q, (int64_t)child->g.n);
        child->g.n = 0;
    }
    stats_init(child_stats, ev->q->arena, child->g.n, true);
    if (child->g.start != ev->g.start) promql_set_offsets(x->subquery.expr, child->g.start);
    return eval_expr(child, x->subquery.expr, out);
}

/* What a subquery's steps read belongs to the first outer step whose window holds them. */
void stats_merge_read(
    struct eval *ev, const struct eval *child, int64_t outer_offset_ms, int64_t outer_range_ms)
{
    if (ev->g.n <= 1) {
        stats_read(ev, 0, child->stats->read);
        return;
    }
    STEPS_EACH(k, ev->q, child->g.n) {
        uint64_t n = child->stats->read_at[k];
        if (!n) continue;
        int64_t t = grid_time(&child->g, k) + outer_offset_ms;
        size_t step =
            t > ev->g.start ? (size_t)((t - ev->g.start + ev->g.interval - 1) / ev->g.interval) : 0;
        if (step >= ev->g.n) step = ev->g.n - 1;
        if (outer_range_ms > 0 && t <= grid_time(&ev->g, step) - outer_range_ms) continue;
        stats_read(ev, step, n);
    }
}
