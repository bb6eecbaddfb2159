/* Functions of instant vectors and scalars: a column in, a column out. Rows lose their name, so
 * rows of different names can become one:
 * the output goes through a joiner. */
#include "promql/eval.h"
#include "promql/quantile.h"
#include "promql/timefn.h"

#include "base/f64_math.h"

#include <math.h>
#include <stdlib.h>

enum { INSTANT_PARAMS_MAX = 3 };

struct instant_call {
    struct sink base;
    struct eval *ev;
    const double *params[INSTANT_PARAMS_MAX];  /* scalar arguments, in their order */
    struct late late[INSTANT_PARAMS_MAX];      /* of those that stand behind the vector */
    size_t n_params;
    double (*fn)(double);
    double (*of_histogram)(const struct histogram *h);
    struct joiner out;
    struct step_counts in;
};

static void instant_init(struct instant_call *c, struct eval *ev)
{
    *c = (struct instant_call){ .ev = ev };
    joiner_init(&c->out, ev);
    step_counts_init(&c->in, ev->q->arena, ev->g.n);
}
static void instant_fini(struct instant_call *c) { joiner_fini(&c->out); }

static errc instant_params(struct instant_call *c, struct expr *call, size_t from)
{
    for (size_t i = from; i < call->call.args.n; i++) {
        assert(c->n_params < INSTANT_PARAMS_MAX);
        const double **to = &c->params[c->n_params];
        struct late *late = &c->late[c->n_params++];
        TRY(from ? eval_column_late(c->ev, call->call.args.at[i], to, late)
                 : eval_column(c->ev, call->call.args.at[i], to));
        c->in.dense++;
    }
    return OK;
}

/* Ends a node whose output is in the joiner. */
static errc instant_end(struct instant_call *c, int64_t before, struct sink *out)
{
    const struct step_counts *in[] = { &c->in };
    TRY(joiner_check(&c->out));
    TRY(samples_node_end(c->ev, before, in, 1, &c->out.counts));
    return joiner_push(&c->out, out);
}

/* f(vector): element by element */

static errc map_row(struct sink *base, struct row *r)
{
    struct instant_call *c = CONTAINER_OF(base, struct instant_call, base);
    struct query *q = c->ev->q;
    struct arena_mark m = arena_mark(&q->scratch);
    size_t n = c->ev->g.n;
    step_counts_add(&c->in, r);
    row_drop_histograms(&q->scratch, r, n);
    row_drop_name(q, r);
    struct steps_part p = { q, n };
    while (steps_part_next(&p))
        for (size_t i = p.from; i < p.to; i++)
            if (!r->present || bits_get(r->present, i)) r->v[i] = c->fn(r->v[i]);
    errc rc = p.rc == OK ? joiner_put(&c->out, r) : p.rc;
    arena_reset(&q->scratch, m);
    return rc;
}

static double fn_rad(double v) { return v * M_PI / 180; }
static double fn_deg(double v) { return v * 180 / M_PI; }
static double fn_sgn(double v) { return v < 0 ? -1 : v > 0 ? 1 : v; }

static double (*map_function(const char *name))(double)
{
    static const struct { const char *name; double (*fn)(double);
    } table[] = {
        { "abs", fabs },
        { "acos", f64_acos },
        { "acosh", f64_acosh },
        { "asin", f64_asin },
        { "asinh", f64_asinh },
        { "atan", f64_atan },
        { "atanh", f64_atanh },
        { "ceil", ceil },
        { "cos", f64_cos },
        { "cosh", f64_cosh },
        { "deg", fn_deg },
        { "exp", f64_exp },
        { "floor", floor },
        { "ln", f64_log },
        { "log10", f64_log10 },
        { "log2", f64_log2 },
        { "rad", fn_rad },
        { "sgn", fn_sgn },
        { "sin", f64_sin },
        { "sinh", f64_sinh },
        { "sqrt", sqrt },
        { "tan", f64_tan },
        { "tanh", f64_tanh },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (!strcmp(table[i].name, name)) return table[i].fn;
    return time_function_find(name);
}

bool instant_function_drops_name(const char *name)
{
    static const char *const others[] = { "clamp", "clamp_max", "clamp_min", "round", "timestamp" };
    bool drops = map_function(name) != NULL;
    for (size_t i = 0; i < ARRAY_LEN(others) && !drops; i++) drops = !strcmp(name, others[i]);
    return drops;
}

static errc eval_map(struct eval *ev, struct expr *x, double (*fn)(double), struct sink *out)
{
    SCOPED(instant_fini) struct instant_call c;
    instant_init(&c, ev);
    c.base.row = map_row;
    c.fn = fn;
    int64_t before = ev->q->samples;
    TRY(joiner_direct(&c.out, x->call.args.at[0], out));
    TRY(eval_expr(ev, x->call.args.at[0], &c.base));
    return instant_end(&c, before, out);
}

/* clamp, clamp_min, clamp_max, round: with scalars beside the vector */

static errc clamp_row(struct sink *base, struct row *r)
{
    struct instant_call *c = CONTAINER_OF(base, struct instant_call, base);
    struct query *q = c->ev->q;
    struct arena_mark m = arena_mark(&q->scratch);
    size_t n = c->ev->g.n;
    const double *min = c->params[0], *max = c->params[1];
    step_counts_add(&c->in, r);
    row_drop_histograms(&q->scratch, r, n);
    row_drop_name(q, r);
    struct steps_part p = { q, n };
    while (steps_part_next(&p)) for (size_t i = p.from; i < p.to; i++) {
        double lo = min ? min[i] : -INFINITY, hi = max ? max[i] : INFINITY;
        r->v[i] = go_max(lo, go_min(hi, r->v[i]));
        if (!(hi < lo)) continue;
        row_own_present(&q->scratch, r, n);
        bits_clear(r->present, i);
    }
    errc rc = p.rc == OK ? joiner_put(&c->out, r) : p.rc;
    arena_reset(&q->scratch, m);
    return rc;
}

static errc round_row(struct sink *base, struct row *r)
{
    struct instant_call *c = CONTAINER_OF(base, struct instant_call, base);
    struct query *q = c->ev->q;
    struct arena_mark m = arena_mark(&q->scratch);
    step_counts_add(&c->in, r);
    row_drop_histograms(&q->scratch, r, c->ev->g.n);
    row_drop_name(q, r);
    struct steps_part p = { q, c->ev->g.n };
    while (steps_part_next(&p)) for (size_t i = p.from; i < p.to; i++) {
        double inverse = 1.0 / (c->params[0] ? c->params[0][i] : 1);
        r->v[i] = floor(r->v[i] * inverse + 0.5) / inverse;
    }
    errc rc = p.rc == OK ? joiner_put(&c->out, r) : p.rc;
    arena_reset(&q->scratch, m);
    return rc;
}

static errc eval_with_params(
    struct eval *ev, struct expr *x, errc (*row)(struct sink *, struct row *), struct sink *out)
{
    SCOPED(instant_fini) struct instant_call c;
    instant_init(&c, ev);
    c.base.row = row;
    int64_t before = ev->q->samples;
    errc rc = instant_params(&c, x, 1);
    if (rc != OK) return eval_fail_behind(ev, x->call.args.at[0], rc);
    if (!strcmp(x->call.func->name, "clamp_max")) {
        c.params[1] = c.params[0];
        c.params[0] = NULL;
    }
    TRY(joiner_direct(&c.out, x->call.args.at[0], out));
    TRY(eval_expr(ev, x->call.args.at[0], &c.base));
    for (size_t i = 0; i < c.n_params; i++) TRY(late_count(ev, &c.late[i]));
    return instant_end(&c, before, out);
}
static errc eval_clamp(struct eval *ev, struct expr *x, struct sink *out)
{
    return eval_with_params(ev, x, clamp_row, out);
}
static errc eval_round(struct eval *ev, struct expr *x, struct sink *out)
{
    return eval_with_params(ev, x, round_row, out);
}

/* One row without labels: scalar, vector, time, pi, the greater or less of two scalars, parts of
 * the step's time */

static errc eval_one_row(struct instant_call *c, int64_t before, double *v, struct sink *out)
{
    struct row r = { .v = v };
    joiner_add(&c->out, &r);
    return instant_end(c, before, out);
}

static errc eval_of_scalars(struct eval *ev, struct expr *x, struct sink *out)
{
    SCOPED(instant_fini) struct instant_call c;
    instant_init(&c, ev);
    int64_t before = ev->q->samples;
    const char *name = x->call.func->name;
    TRY(instant_params(&c, x, 0));
    double (*part)(double) = time_function_find(name);
    double *v = arena_array(ev->q->arena, ev->g.n, sizeof(*v));
    struct steps_part p = { ev->q, ev->g.n };
    while (steps_part_next(&p)) for (size_t i = p.from; i < p.to; i++) {
        int64_t t = grid_time(&ev->g, i);
        if (part) v[i] = part((double)(t / 1000));
        else if (!strcmp(name, "time")) v[i] = (double)t / 1000;
        else if (!strcmp(name, "pi")) v[i] = M_PI;
        else if (!strcmp(name, "vector")) v[i] = c.params[0][i];
        else if (!strcmp(name, "max_of")) v[i] = go_max(c.params[0][i], c.params[1][i]);
        else v[i] = go_min(c.params[0][i], c.params[1][i]);
    }
    TRY(p.rc);
    return eval_one_row(&c, before, v, out);
}

/* scalar(): the value where exactly one row has one */
struct scalar_sink { struct sink base; struct instant_call *c; double *v; uint8_t *found; };

static errc scalar_row(struct sink *base, struct row *r)
{
    struct scalar_sink *s = CONTAINER_OF(base, struct scalar_sink, base);
    step_counts_add(&s->c->in, r);
    STEPS_EACH(i, s->c->ev->q, s->c->ev->g.n) {
        if (!row_has(r, i) || (r->hist && r->hist[i])) continue;
        s->v[i] = s->found[i] ? NAN : r->v[i];
        s->found[i] = 1;
    }
    return OK;
}

static errc eval_scalar(struct eval *ev, struct expr *x, struct sink *out)
{
    SCOPED(instant_fini) struct instant_call c;
    instant_init(&c, ev);
    int64_t before = ev->q->samples;
    struct scalar_sink s = { { scalar_row }, &c, arena_array(ev->q->arena, ev->g.n, sizeof(double)),
        arena_zalloc(ev->q->arena, ev->g.n) };
    STEPS_EACH(i, ev->q, ev->g.n) s.v[i] = NAN;
    TRY(eval_expr(ev, x->call.args.at[0], &s.base));
    return eval_one_row(&c, before, s.v, out);
}

/* absent(): a row of ones where no row has a value */
struct absent_sink { struct sink base; struct instant_call *c; uint64_t *any; };

static errc absent_row(struct sink *base, struct row *r)
{
    struct absent_sink *s = CONTAINER_OF(base, struct absent_sink, base);
    step_counts_add(&s->c->in, r);
    bits_join(s->any, r->present, s->c->ev->g.n);
    return OK;
}

static errc eval_absent(struct eval *ev, struct expr *x, struct sink *out)
{
    SCOPED(instant_fini) struct instant_call c;
    instant_init(&c, ev);
    size_t n = ev->g.n;
    int64_t before = ev->q->samples;
    struct absent_sink s = { { absent_row }, &c,
        arena_zalloc(ev->q->arena, bits_words(n) * sizeof(uint64_t)) };
    TRY(eval_expr(ev, x->call.args.at[0], &s.base));
    struct row r = { .labels = labels_of_absent(ev->q, x->call.args.at[0]),
        .present = s.any };
    r.v = arena_array(ev->q->arena, n, sizeof(double));
    STEPS_EACH(i, ev->q, n) r.v[i] = 1;
    for (size_t w = 0; w < bits_words(n); w++) s.any[w] = ~s.any[w];
    if (n % 64) s.any[n / 64] &= ((uint64_t)1 << (n % 64)) - 1;
    joiner_add(&c.out, &r);
    return instant_end(&c, before, out);
}

/* timestamp() of what is not a selector: the step's time; start_timestamp() of it: nothing */

static errc timestamp_row(struct sink *base, struct row *r)
{
    struct instant_call *c = CONTAINER_OF(base, struct instant_call, base);
    struct arena_mark m = arena_mark(&c->ev->q->scratch);
    step_counts_add(&c->in, r);
    r->hist = NULL;
    row_drop_name(c->ev->q, r);
    STEPS_EACH(i, c->ev->q, c->ev->g.n) r->v[i] = (double)grid_time(&c->ev->g, i) / 1000;
    errc rc = joiner_put(&c->out, r);
    arena_reset(&c->ev->q->scratch, m);
    return rc;
}

static errc nothing_row(struct sink *base, struct row *r)
{
    step_counts_add(&CONTAINER_OF(base, struct instant_call, base)->in, r);
    return OK;
}

static errc eval_plain(
    struct eval *ev, struct expr *x, errc (*row)(struct sink *, struct row *), struct sink *out)
{
    SCOPED(instant_fini) struct instant_call c;
    instant_init(&c, ev);
    c.base.row = row;
    int64_t before = ev->q->samples;
    TRY(joiner_direct(&c.out, x->call.args.at[0], out));
    TRY(eval_expr(ev, x->call.args.at[0], &c.base));
    return instant_end(&c, before, out);
}

static errc eval_timestamp(struct eval *ev, struct expr *x, struct sink *out)
{
    struct expr *arg = x->call.args.at[0];
    if (arg->kind == EXPR_VECTOR) return eval_timestamp_of_selector(ev, x, arg, out);
    bool start = !strcmp(x->call.func->name, "start_timestamp");
    return eval_plain(ev, x, start ? nothing_row : timestamp_row, out);
}

/* histogram_count, _sum, _avg, _stddev, _stdvar: floats have none of them */

static double histogram_count_of(const struct histogram *h) { return h->count; }
static double histogram_sum_of(const struct histogram *h) { return h->sum; }
static double histogram_avg_of(const struct histogram *h) { return h->sum / h->count; }
static double histogram_stddev_of(const struct histogram *h) { return sqrt(histogram_variance(h)); }

static errc histogram_row(struct sink *base, struct row *r)
{
    struct instant_call *c = CONTAINER_OF(base, struct instant_call, base);
    struct query *q = c->ev->q;
    struct arena_mark m = arena_mark(&q->scratch);
    step_counts_add(&c->in, r);
    if (!r->hist) return OK;
    struct row out = { .labels = r->labels,
        .drop_name = true,
        .v = arena_array(&q->scratch, c->ev->g.n, sizeof(double)) };
    out.present = arena_zalloc(&q->scratch, bits_words(c->ev->g.n) * sizeof(uint64_t));
    if (!q->delayed_names) out.labels = labels_without(&q->scratch, r->labels, &METRIC_NAME, 1);
    STEPS_EACH(i, q, c->ev->g.n) {
        if (!row_has(r, i) || !r->hist[i]) continue;
        out.v[i] = c->of_histogram(r->hist[i]);
        bits_set(out.present, i);
    }
    joiner_add(&c->out, &out);
    arena_reset(&q->scratch, m);
    return OK;
}

static errc eval_histogram_only(struct eval *ev, struct expr *x, struct sink *out)
{
    static const struct { const char *name; double (*fn)(const struct histogram *h);
    } table[] = {
        { "histogram_avg", histogram_avg_of },
        { "histogram_count", histogram_count_of },
        { "histogram_stddev", histogram_stddev_of },
        { "histogram_stdvar", histogram_variance },
        { "histogram_sum", histogram_sum_of },
    };
    SCOPED(instant_fini) struct instant_call c;
    instant_init(&c, ev);
    c.base.row = histogram_row;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (!strcmp(table[i].name, x->call.func->name)) c.of_histogram = table[i].fn;
    assert(c.of_histogram);
    int64_t before = ev->q->samples;
    TRY(eval_expr(ev, x->call.args.at[0], &c.base));
    return instant_end(&c, before, out);
}

typedef errc (*call_eval)(struct eval *ev, struct expr *x, struct sink *out);

static call_eval call_eval_of(const struct expr *x)
{
    static const struct { const char *name; call_eval eval; } table[] = {
        { "absent", eval_absent },
        { "clamp", eval_clamp },
        { "clamp_max", eval_clamp },
        { "clamp_min", eval_clamp },
        { "histogram_avg", eval_histogram_only },
        { "histogram_count", eval_histogram_only },
        { "histogram_fraction", eval_histogram_fraction },
        { "histogram_quantile", eval_histogram_quantile },
        { "histogram_quantiles", eval_histogram_quantiles },
        { "histogram_stddev", eval_histogram_only },
        { "histogram_stdvar", eval_histogram_only },
        { "histogram_sum", eval_histogram_only },
        { "info", eval_info },
        { "label_join", eval_label_join },
        { "label_replace", eval_label_replace },
        { "max_of", eval_of_scalars },
        { "min_of", eval_of_scalars },
        { "pi", eval_of_scalars },
        { "round", eval_round },
        { "scalar", eval_scalar },
        { "sort", eval_sort },
        { "sort_by_label", eval_sort },
        { "sort_by_label_desc", eval_sort },
        { "sort_desc", eval_sort },
        { "start_timestamp", eval_timestamp },
        { "time", eval_of_scalars },
        { "timestamp", eval_timestamp },
        { "vector", eval_of_scalars },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (!strcmp(table[i].name, x->call.func->name)) return table[i].eval;
    return NULL;
}

errc eval_call(struct eval *ev, struct expr *x, struct sink *out)
{
    for (size_t i = 0; i < x->call.args.n; i++) {
        enum expr_kind k = x->call.args.at[i]->kind;
        if (k == EXPR_MATRIX || k == EXPR_SUBQUERY) return eval_range_call(ev, x, i, out);
    }
    call_eval special = call_eval_of(x);
    if (special) return special(ev, x, out);
    double (*fn)(double) = map_function(x->call.func->name);
    if (!fn) return eval_fail(ev->q, "unknown function with name \"%s\"", x->call.func->name);
    if (x->call.args.n == 0) return eval_of_scalars(ev, x, out);
    return eval_map(ev, x, fn, out);
}
