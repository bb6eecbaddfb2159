#include "promql/prepare.h"

#include "promql/eval.h"

#include <math.h>

struct preparing {
    int64_t start_ms, end_ms, step_ms;
    struct arena *a;
    struct err *e;
    size_t n_selectors;
    bool info;
};

/* Nodes below x, in the order in which Prometheus visits them. */
static struct expr **expr_children(struct expr *x, struct expr *room[2], size_t *n)
{
    *n = 0;
    switch (x->kind) {
    case EXPR_MATRIX: room[(*n)++] = x->matrix.selector; return room;
    case EXPR_SUBQUERY: room[(*n)++] = x->subquery.expr; return room;
    case EXPR_AGGREGATE:
        room[(*n)++] = x->aggregate.expr;
        if (x->aggregate.param) room[(*n)++] = x->aggregate.param;
        return room;
    case EXPR_BINARY: room[(*n)++] = x->binary.lhs; room[(*n)++] = x->binary.rhs; return room;
    case EXPR_CALL: *n = x->call.args.n; return x->call.args.at;
    case EXPR_PAREN: case EXPR_STEP_INVARIANT: room[(*n)++] = x->paren.expr; return room;
    case EXPR_UNARY: room[(*n)++] = x->unary.expr; return room;
    case EXPR_NUMBER: case EXPR_STRING: case EXPR_VECTOR: case EXPR_DURATION: return room;
    }
    return room;
}

struct expr *expr_unparen(struct expr *x)
{
    while (x && x->kind == EXPR_PAREN) x = x->paren.expr;
    return x;
}

double ns_to_seconds(int64_t ns)
{
    return (double)(ns / 1000000000) + (double)(ns % 1000000000) / 1e9;
}

/* start(), end(), range(), step(): constants of the query */

static bool fold_value(const struct preparing *p, const char *name, double *out)
{
    if (!strcmp(name, "start")) *out = (double)p->start_ms / 1000;
    else if (!strcmp(name, "end")) *out = (double)p->end_ms / 1000;
    else if (!strcmp(name, "range")) *out = ns_to_seconds((p->end_ms - p->start_ms) * 1000000);
    else if (!strcmp(name, "step"))
        *out = p->start_ms == p->end_ms ? 0 : ns_to_seconds(p->step_ms * 1000000);
    else return false;
    return true;
}

static void prepare_fold(const struct preparing *p, struct expr *x)
{
    double v;
    if (x->kind == EXPR_CALL && fold_value(p, x->call.func->name, &v)) {
        struct pos pos = x->pos;
        *x = (struct expr){ .kind = EXPR_NUMBER, .pos = pos };
        x->number.val = v;
        return;
    }
    struct expr *room[2];
    size_t n;
    struct expr **at = expr_children(x, room, &n);
    for (size_t i = 0; i < n; i++) prepare_fold(p, at[i]);
}

/* Duration expressions */

static errc duration_fail(const struct preparing *p, const struct expr *x, const char *words)
{
    return err_set(p->e, ERR_BAD_INPUT, "%u:%u: %s", x->pos.start, x->pos.end, words);
}

static errc duration_seconds(const struct preparing *p, const struct expr *x, double *out)
{
    if (x->kind == EXPR_PAREN) return duration_seconds(p, x->paren.expr, out);
    if (x->kind == EXPR_NUMBER) {
        *out = x->number.val;
        return OK;
    }
    if (x->kind != EXPR_DURATION) return duration_fail(p, x, "unexpected duration expression");
    double l = 0, r = 0;
    if (x->duration.lhs) TRY(duration_seconds(p, x->duration.lhs, &l));
    if (x->duration.rhs) TRY(duration_seconds(p, x->duration.rhs, &r));
    bool unary = !x->duration.lhs;
    switch (x->duration.op) {
    case OP_STEP: *out = ns_to_seconds(p->step_ms * 1000000); return OK;
    case OP_RANGE: *out = ns_to_seconds((p->end_ms - p->start_ms) * 1000000); return OK;
    case OP_MIN_OF: *out = go_min(l, r); return OK;
    case OP_MAX_OF: *out = go_max(l, r); return OK;
    case OP_ADD: *out = unary ? r : l + r; return OK;
    case OP_SUB: *out = unary ? -r : l - r; return OK;
    case OP_MUL: *out = l * r; return OK;
    case OP_DIV:
        if (r == 0) return duration_fail(p, x, "division by zero");
        *out = l / r;
        return OK;
    case OP_MOD:
        if (r == 0) return duration_fail(p, x, "modulo by zero");
        *out = fmod(l, r);
        return OK;
    case OP_POW: *out = binary_op(OP_POW, l, r); return OK;
    default: return duration_fail(p, x, "unexpected duration expression operator");
    }
}

/* Leaves *out alone where there is no expression. */
static errc duration_of(
    const struct preparing *p, const struct expr *x, bool negative_allowed, int64_t *out_ns)
{
    if (!x) return OK;
    double d;
    TRY(duration_seconds(p, x, &d));
    if (!isfinite(d)) return duration_fail(p, x, "duration is NaN or infinite");
    if (d <= 0 && !negative_allowed) return duration_fail(p, x, "duration must be greater than 0");
    if (d > 9223372036.854775807 || d < -9223372036.854775808)
        return duration_fail(p, x, "duration is out of range");
    *out_ns = (int64_t)(d * 1000) * 1000000;
    return OK;
}

static errc prepare_durations(const struct preparing *p, struct expr *x)
{
    switch (x->kind) {
    case EXPR_VECTOR:
        return duration_of(p, x->vector.at.offset_expr, true, &x->vector.at.original_offset_ns);
    case EXPR_MATRIX: TRY(duration_of(p, x->matrix.range_expr, false, &x->matrix.range_ns)); break;
    case EXPR_SUBQUERY:
        TRY(duration_of(p, x->subquery.at.offset_expr, true, &x->subquery.at.original_offset_ns));
        TRY(duration_of(p, x->subquery.step_expr, false, &x->subquery.step_ns));
        TRY(duration_of(p, x->subquery.range_expr, false, &x->subquery.range_ns));
        break;
    default: break;
    }
    struct expr *room[2];
    size_t n;
    struct expr **at = expr_children(x, room, &n);
    for (size_t i = 0; i < n; i++) TRY(prepare_durations(p, at[i]));
    return OK;
}

/* What is the same at every step is wrapped, as high up as possible */

struct invariance { bool invariant, wrap; };

static struct expr *wrap_invariant(const struct preparing *p, struct expr *x)
{
    struct expr *w = ANEW(p->a, struct expr);
    w->kind = EXPR_STEP_INVARIANT;
    w->pos = x->pos;
    w->paren.expr = x;
    return w;
}

static void prepare_at(const struct preparing *p, struct at_offset *at)
{
    if (at->start_or_end == OP_NONE) return;
    int64_t *t = arena_alloc(p->a, sizeof(*t));
    *t = at->start_or_end == OP_START ? p->start_ms : p->end_ms;
    at->timestamp_ms = t;
}

/* Functions whose value depends on the time of evaluation, whatever their arguments. */
static bool call_depends_on_time(const char *name)
{
    static const char *const names[] = {
        "days_in_month",
        "day_of_month",
        "day_of_week",
        "day_of_year",
        "end",
        "hour",
        "minute",
        "month",
        "year",
        "predict_linear",
        "range",
        "start",
        "step",
        "time",
        "timestamp",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i], name)) return true;
    return false;
}

static struct invariance prepare_wrap(struct preparing *p, struct expr *x);

static struct invariance prepare_wrap_call(struct preparing *p, struct expr *x)
{
    bool invariant = !call_depends_on_time(x->call.func->name);
    bool timestamp_of_selectors = !strcmp(x->call.func->name, "timestamp");
    size_t n = x->call.args.n;
    bool *wrap = arena_zalloc(p->a, n);
    for (size_t i = 0; i < n; i++) {
        struct expr *arg = x->call.args.at[i] = expr_unparen(x->call.args.at[i]);
        struct invariance in = prepare_wrap(p, arg);
        wrap[i] = in.wrap;
        invariant = invariant && in.invariant;
        if (!in.invariant || arg->kind != EXPR_VECTOR) timestamp_of_selectors = false;
    }
    if (invariant || timestamp_of_selectors) return (struct invariance){ true, true };
    for (size_t i = 0; i < n; i++)
        if (wrap[i]) x->call.args.at[i] = wrap_invariant(p, x->call.args.at[i]);
    return (struct invariance){ false, false };
}

static struct invariance prepare_wrap_binary(struct preparing *p, struct expr *x)
{
    struct invariance l = prepare_wrap(p, x->binary.lhs), r = prepare_wrap(p, x->binary.rhs);
    if (l.invariant && r.invariant) return (struct invariance){ true, true };
    if (l.wrap) x->binary.lhs = wrap_invariant(p, x->binary.lhs);
    if (r.wrap) x->binary.rhs = wrap_invariant(p, x->binary.rhs);
    return (struct invariance){ false, false };
}

static struct invariance prepare_wrap(struct preparing *p, struct expr *x)
{
    struct invariance in;
    switch (x->kind) {
    case EXPR_VECTOR:
        prepare_at(p, &x->vector.at);
        return (struct invariance){ x->vector.at.timestamp_ms, x->vector.at.timestamp_ms };
    case EXPR_MATRIX:
        in = prepare_wrap(p, x->matrix.selector);
        return (struct invariance){ in.invariant, false };
    case EXPR_SUBQUERY:
        in = prepare_wrap(p, x->subquery.expr);
        if (in.invariant) x->subquery.expr = wrap_invariant(p, x->subquery.expr);
        prepare_at(p, &x->subquery.at);
        return (struct invariance){ x->subquery.at.timestamp_ms, false };
    case EXPR_AGGREGATE:
        x->aggregate.expr = expr_unparen(x->aggregate.expr);
        x->aggregate.param = expr_unparen(x->aggregate.param);
        /* the parameter is left alone, as Prometheus leaves it */
        return prepare_wrap(p, x->aggregate.expr);
    case EXPR_BINARY: return prepare_wrap_binary(p, x);
    case EXPR_CALL: return prepare_wrap_call(p, x);
    case EXPR_PAREN: case EXPR_STEP_INVARIANT: return prepare_wrap(p, x->paren.expr);
    case EXPR_UNARY: return prepare_wrap(p, x->unary.expr);
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_DURATION: return (struct invariance){ true, false };
    }
    return (struct invariance){ false, false };
}

static void number_selectors(struct preparing *p, struct expr *x)
{
    if (x->kind == EXPR_VECTOR) x->vector.index = p->n_selectors++;
    if (x->kind == EXPR_CALL && !strcmp(x->call.func->name, "info")) p->info = true;
    struct expr *room[2];
    size_t n;
    struct expr **at = expr_children(x, room, &n);
    for (size_t i = 0; i < n; i++) number_selectors(p, at[i]);
}

/* Selectors below histogram_count and its like need no buckets: counts, sums and resets are found
 * while reading. Below a subquery, which skips samples, and where the buckets are needed, they are
 * kept. */
struct path { const struct expr *x; const struct path *up; };

static bool needs_no_buckets(const struct path *up)
{
    bool skip = false;
    for (; up; up = up->up) {
        if (up->x->kind == EXPR_SUBQUERY) return false;
        if (up->x->kind == EXPR_BINARY &&
            (up->x->binary.op == OP_TRIM_UPPER || up->x->binary.op == OP_TRIM_LOWER))
            return false;
        if (up->x->kind != EXPR_CALL) continue;
        str f = str_z(up->x->call.func->name);
        if (str_has_prefix(f, S("histogram_quantile")) || str_eq(f, S("histogram_fraction")))
            return false;
        skip |= str_eq(f, S("histogram_count")) || str_eq(f, S("histogram_sum")) ||
                str_eq(f, S("histogram_avg"));
    }
    return skip;
}

static void find_skippable(struct expr *x, const struct path *up)
{
    if (x->kind == EXPR_VECTOR) x->vector.skip_histogram_buckets = needs_no_buckets(up);
    struct path here = { x, up };
    struct expr *room[2];
    size_t n;
    struct expr **at = expr_children(x, room, &n);
    for (size_t i = 0; i < n; i++) find_skippable(at[i], &here);
}

errc promql_prepare(struct prepared *out, struct expr *root, int64_t start_ms, int64_t end_ms,
    int64_t step_ms, struct arena *a, struct err *e)
{
    struct preparing p = { start_ms, end_ms, step_ms, a, e, 0 };
    prepare_fold(&p, root);
    TRY(prepare_durations(&p, root));
    number_selectors(&p, root);
    find_skippable(root, NULL);
    if (prepare_wrap(&p, root).wrap) root = wrap_invariant(&p, root);
    *out = (struct prepared){ root, p.n_selectors, p.info };
    return OK;
}

/* @ as an offset */

/* the subqueries above a node */
struct around {
    int64_t offset_ns, range_ns, step_ns;
    const int64_t *at;
    bool in_subquery;
    str func;
};

static struct around around_subquery(struct around up, const struct expr *x)
{
    up.offset_ns += x->subquery.at.original_offset_ns;
    up.range_ns += x->subquery.range_ns;
    if (x->subquery.at.timestamp_ms) {
        up.offset_ns = x->subquery.at.original_offset_ns;
        up.range_ns = x->subquery.range_ns;
        up.at = x->subquery.at.timestamp_ms;
    }
    up.in_subquery = true;
    up.step_ns = x->subquery.step_ns;
    return up;
}

static int64_t offset_for_at(const struct at_offset *at, int64_t eval_ms, const struct around *up)
{
    if (!at->timestamp_ms) return at->original_offset_ns;
    int64_t outer = up->offset_ns;
    if (up->at) outer += (eval_ms - *up->at) * 1000000;
    return at->original_offset_ns + (eval_ms - *at->timestamp_ms) * 1000000 - outer;
}

static void set_offsets(struct expr *x, int64_t eval_ms, struct around up)
{
    if (x->kind == EXPR_VECTOR) x->vector.at.offset_ns = offset_for_at(&x->vector.at, eval_ms, &up);
    if (x->kind == EXPR_SUBQUERY) {
        x->subquery.at.offset_ns = offset_for_at(&x->subquery.at, eval_ms, &up);
        up = around_subquery(up, x);
    }
    struct expr *room[2];
    size_t n;
    struct expr **at = expr_children(x, room, &n);
    for (size_t i = 0; i < n; i++) set_offsets(at[i], eval_ms, up);
}

void promql_set_offsets(struct expr *x, int64_t eval_ms)
{
    set_offsets(x, eval_ms, (struct around){ 0 });
}

/* What each selector reads */

struct visiting {
    const struct selector_scope *scope;
    void (*visit)(void *ctx, const struct selector_use *u);
    void *ctx;
};

static struct selector_use selector_use_of(
    const struct selector_scope *s, struct expr *x, const struct around *up, int64_t range_ns)
{
    int64_t start = s->start_ms, end = s->end_ms, lookback = s->lookback_ms,
            range = ns_to_ms(range_ns);
    if (up->at) start = end = *up->at;
    if (x->vector.at.timestamp_ms) {
        start = end = *x->vector.at.timestamp_ms;
    } else {
        start -= ns_to_ms(up->offset_ns) + ns_to_ms(up->range_ns);
        end -= ns_to_ms(up->offset_ns);
    }
    bool extended = x->vector.anchored || x->vector.smoothed;
    if (range == 0 || extended) start -= lookback;
    start -= range - 1;
    if (x->vector.smoothed) end += lookback;
    int64_t offset = ns_to_ms(x->vector.at.original_offset_ns);
    int64_t step = s->step_ms;
    if (up->in_subquery) step = up->step_ns ? ns_to_ms(up->step_ns) : s->default_step_ms;
    return (struct selector_use){ x, start - offset, end - offset, step, range, up->func };
}

static void each_selector(
    const struct visiting *v, struct expr *x, struct around up, int64_t range_ns)
{
    if (x->kind == EXPR_VECTOR) {
        struct selector_use u = selector_use_of(v->scope, x, &up, range_ns);
        v->visit(v->ctx, &u);
        return;
    }
    if (x->kind == EXPR_SUBQUERY) up = around_subquery(up, x);
    if (x->kind == EXPR_AGGREGATE) up.func = promql_op_text(x->aggregate.op);
    if (x->kind == EXPR_CALL) up.func = str_z(x->call.func->name);
    if (x->kind == EXPR_BINARY) up.func = STR_EMPTY;
    struct expr *room[2];
    size_t n;
    struct expr **at = expr_children(x, room, &n);
    for (size_t i = 0; i < n; i++)
        each_selector(v, at[i], up, x->kind == EXPR_MATRIX ? x->matrix.range_ns : 0);
}

void promql_each_selector(struct expr *root, const struct selector_scope *scope,
    void (*visit)(void *ctx, const struct selector_use *u), void *ctx)
{
    struct visiting v = { scope, visit, ctx };
    each_selector(&v, root, (struct around){ 0 }, 0);
}
