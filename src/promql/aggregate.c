/* Aggregations into one row a group: sum, avg, count, min, max, group, stddev, stdvar, quantile.
 *
 * A group is a few columns over the steps. Each input row is added to its group's columns when it
 * comes and is forgotten, so what is held is groups x steps, however many series there are; and
 * every step adds up the series one after the other, as Prometheus does, so that the bits are the
 * same.
 *
 * Where who takes the result wants to know which rows come, and it is known which rows go in, a
 * group goes on when its last row has joined: in the order of the groups' first rows, as ever. */
#include "promql/aggregate.h"

#include "promql/grouping.h"
#include "base/kahan.h"
#include "promql/columns.h"
#include "promql/quantile.h"

#include <math.h>

/* The columns of one group; which of them an operator uses, its functions say. */
struct group {
    bool any, has_columns;                 /* has a row joined; all that the operator needs */
    uint64_t *seen;
    /* value or sum, compensation, count, running mean; a group of one row has only the value, where
     * that is all it needs */
    double *v, *c, *n, *mean;
    uint8_t *incremental;                  /* avg: the sum would have overflowed */
    bool any_incremental;
    bool drop_name;
    size_t expected;                       /* rows that may still join, where that is known */
    VEC(struct row) members;               /* quantile: the input itself */
    struct group_histograms histograms;    /* sum, avg */
    const struct histogram **hist;         /* the result's */
};

struct aggregating;
struct agg_op {
    enum promql_op op;
    void (*columns)(struct column_pool *p, struct group *g);       /* beyond seen and v */
    void (*one)(struct group *g, size_t i, double x, bool first);  /* a value of step i */
    /* the same for n steps from `from` on, each of them with a value, and not the group's first */
    void (*many)(struct group *g, const double *x, size_t from, size_t n);
    void (*finish)(struct group *g, size_t from, size_t n);        /* v[i] becomes the result */
    bool starts_with_value;                /* the first value is all that there is to know of it */
};
struct aggregating {
    struct sink base;
    struct eval *ev;
    const struct expr *x;
    const struct agg_op *op;
    struct grouping by;
    struct sink *out;
    const struct agg_param *param;
    VEC(struct group) groups;
    VEC(size_t) order;                     /* groups that a row joined, as they began */
    size_t pushed;                         /* of order */
    uint64_t made;                         /* samples in groups that are finished */
    bool told;                             /* which rows may come */
    struct column_pool work, own, *pool;   /* columns; those of the results */
    struct arena work_room, own_room;
};

/* Steps of a word that both the group and the row have, and that follow each other, go together as
 * far as that pays. */
enum { TOGETHER_MIN = 8 };

static void agg_word(const struct agg_op *op, struct group *g, const double *v, size_t w,
    uint64_t bits, uint64_t seen)
{
    for (uint64_t b = bits; b;) {
        size_t k = (size_t)__builtin_ctzll(b), i = w * 64 + k;
        uint64_t both = (b & seen) >> k;
        size_t run = ~both ? (size_t)__builtin_ctzll(~both) : 64;
        if (run >= TOGETHER_MIN) {
            op->many(g, v, i, run);
        } else {
            op->one(g, i, v[i], !(seen >> k & 1));
            run = 1;
        }
        b &= run < 64 - k ? ~(uint64_t)0 << (k + run) : 0;
    }
}

/* Is the row all that there is to know of its group so far? */
static bool agg_starts(const struct agg_op *op, const struct group *g, const struct row *r)
{
    return !g->any && op->starts_with_value && !r->hist;
}

/* A row joins its group. Words of the bitmaps that are full go the short way together. */
static void agg_add(
    struct query *q, const struct agg_op *op, struct group *g, const struct row *r, size_t n)
{
    bool starts = agg_starts(op, g, r);
    g->any = true;
    if (starts) {
        arena_copy(&q->scratch, g->v, r->v, n * sizeof(*g->v));
        if (r->present) memcpy(g->seen, r->present, bits_words(n) * sizeof(*g->seen));
        else bits_fill(g->seen, n);
        return;
    }
    STEPS_PARTS(p, q, n)
    for (size_t w = p.from / 64, words = bits_words(p.to); w < words;) {
        size_t from = w;
        while (w < words && g->seen[w] == bits_full(w, n) && row_word(r, w, n) == bits_full(w, n))
            w++;
        if (w > from) op->many(g, r->v, from * 64, MIN(w * 64, n) - from * 64);
        if (w == words) break;
        uint64_t bits = row_word(r, w, n), seen = g->seen[w];
        agg_word(op, g, r->v, w, bits, seen);
        g->seen[w++] = seen | bits;
    }
}

/* sum */
static void sum_columns(struct column_pool *p, struct group *g) { g->c = column_pool_take(p); }
static void sum_one(struct group *g, size_t i, double x, bool first)
{
    struct kahan k = { g->v[i], g->c[i] };
    if (first) k.s = x;
    else kahan_add(&k, x);
    g->v[i] = k.s;
    g->c[i] = k.c;
}
static void sum_many(struct group *g, const double *x, size_t from, size_t n)
{
    column_kahan_add(g->v + from, g->c + from, x + from, n);
}
static void sum_finish(struct group *g, size_t from, size_t n)
{
    for (size_t i = from; i < n; i++) g->v[i] += g->c ? g->c[i] : 0;   /* no zero has a sign */
}

/* avg */
static void avg_columns(struct column_pool *p, struct group *g)
{
    g->c = column_pool_take(p);
    g->n = column_pool_take(p);
    g->incremental = arena_zalloc(p->a, p->n);
}
static void avg_one(struct group *g, size_t i, double x, bool first)
{
    struct kahan_mean m = { { g->v[i], g->c[i] }, g->n[i], g->incremental[i] };
    if (first) kahan_mean_start(&m, x);
    else kahan_mean_add(&m, x);
    g->v[i] = m.k.s;
    g->c[i] = m.k.c;
    g->n[i] = m.n;
    g->incremental[i] = (uint8_t)m.incremental;
    g->any_incremental |= m.incremental;
}
static void avg_many(struct group *g, const double *x, size_t from, size_t n)
{
    if (!g->any_incremental && column_kahan_add_finite(g->v + from, g->c + from, x + from, n)) {
        column_add(g->n + from, 1, n);
        return;
    }
    for (size_t i = from; i < from + n; i++) avg_one(g, i, x[i], false);
}
static void avg_finish(struct group *g, size_t from, size_t n)
{
    for (size_t i = bits_next(g->seen, from, n); i < n; i = bits_next(g->seen, i + 1, n)) {
        struct kahan_mean m = { { g->v[i], g->c[i] }, g->n[i], g->incremental[i] };
        g->v[i] = kahan_mean_result(&m);
    }
}

/* count, group */
static void count_one(struct group *g, size_t i, double x UNUSED, bool first)
{
    g->v[i] = first ? 1 : g->v[i] + 1;
}
static void count_many(struct group *g, const double *x UNUSED, size_t from, size_t n)
{
    column_add(g->v + from, 1, n);
}
static void group_one(struct group *g, size_t i, double x UNUSED, bool first UNUSED)
{
    g->v[i] = 1;
}
static void group_many(
    struct group *g UNUSED, const double *x UNUSED, size_t from UNUSED, size_t n UNUSED)
{
}

/* min, max: the first of equals stays */
static void max_one(struct group *g, size_t i, double x, bool first)
{
    if (first || g->v[i] < x || isnan(g->v[i])) g->v[i] = x;
}
static void max_many(struct group *g, const double *x, size_t from, size_t n)
{
    column_max(g->v + from, x + from, n);
}
static void min_one(struct group *g, size_t i, double x, bool first)
{
    if (first || g->v[i] > x || isnan(g->v[i])) g->v[i] = x;
}
static void min_many(struct group *g, const double *x, size_t from, size_t n)
{
    column_min(g->v + from, x + from, n);
}

/* stdvar, stddev: Welford's update without compensation */
static void variance_columns(struct column_pool *p, struct group *g)
{
    g->n = column_pool_take(p);
    g->mean = column_pool_take(p);
}
static void variance_one(struct group *g, size_t i, double x, bool first)
{
    if (first) {
        g->mean[i] = x;
        g->n[i] = 1;
        g->v[i] = isfinite(x) ? 0 : NAN;
        return;
    }
    double delta = x - g->mean[i];
    g->n[i]++;
    g->mean[i] += delta / g->n[i];
    g->v[i] += delta * (x - g->mean[i]);
}
static void variance_many(struct group *g, const double *x, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++) variance_one(g, i, x[i], false);
}
static void stdvar_finish(struct group *g, size_t from, size_t n)
{
    for (size_t i = from; i < n; i++) g->v[i] /= g->n[i];
}
static void stddev_finish(struct group *g, size_t from, size_t n)
{
    for (size_t i = from; i < n; i++) g->v[i] = sqrt(g->v[i] / g->n[i]);
}

static const struct agg_op *agg_op_of(enum promql_op op)
{
    static const struct agg_op table[] = {
        { OP_SUM, sum_columns, sum_one, sum_many, sum_finish, true },
        { OP_AVG, avg_columns, avg_one, avg_many, avg_finish, false },
        { OP_COUNT, NULL, count_one, count_many, NULL, false },
        { OP_GROUP, NULL, group_one, group_many, NULL, false },
        { OP_MIN, NULL, min_one, min_many, NULL, true },
        { OP_MAX, NULL, max_one, max_many, NULL, true },
        { OP_STDVAR, variance_columns, variance_one, variance_many, stdvar_finish, false },
        { OP_STDDEV, variance_columns, variance_one, variance_many, stddev_finish, false },
        { OP_QUANTILE, NULL, NULL, NULL, NULL, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].op == op) return &table[i];
    return NULL;
}

static bool agg_takes_histograms(enum promql_op op)
{
    return op == OP_SUM || op == OP_AVG || op == OP_COUNT || op == OP_GROUP;
}

/* The steps of a row at which it is a float. */
static struct row *agg_floats_only(struct aggregating *g, struct row *r, struct row *room)
{
    size_t n = g->ev->g.n;
    *room = *r;
    room->present = arena_array(&g->ev->q->scratch, bits_words(n), sizeof(uint64_t));
    if (r->present) memcpy(room->present, r->present, bits_words(n) * sizeof(uint64_t));
    else bits_fill(room->present, n);
    bool any = false;
    BITS_EACH(i, r->present, n) {
        if (!r->hist[i]) continue;
        bits_clear(room->present, i);
        any = true;
    }
    if (any && !agg_takes_histograms(g->op->op))
        anno_histogram_ignored_agg(
            &g->ev->q->annotations, promql_op_text(g->op->op), g->x->aggregate.expr->pos);
    return room;
}

static struct group *agg_group(struct aggregating *g, struct labels l)
{
    bool fresh;
    size_t at = grouping_of(&g->by, l, &fresh);
    if (fresh) vec_push(&g->groups, (struct group){ 0 });
    struct group *group = &g->groups.at[at];
    if (group->v) return group;
    vec_push(&g->order, at);
    group->v = column_pool_take(g->pool);
    group->seen = column_pool_bits(g->pool, group->v);
    g->ev->q->scratch.spent |= arena_spent(g->pool->a);
    return group;
}

/* What the row that joins needs. */
static void agg_columns(struct aggregating *g, struct group *group, const struct row *r)
{
    if (!g->op->columns || group->has_columns || agg_starts(g->op, group, r)) return;
    group->has_columns = true;
    g->op->columns(&g->work, group);
    g->ev->q->scratch.spent |= arena_spent(&g->work_room);
}

static errc agg_push_ready(struct aggregating *g);

static errc agg_row(struct sink *base, struct row *in)
{
    struct aggregating *g = CONTAINER_OF(base, struct aggregating, base);
    struct arena_mark m = arena_mark(&g->ev->q->scratch);
    enum promql_op op = g->op->op;
    struct row room,
        *r = in->hist && op != OP_COUNT && op != OP_GROUP ? agg_floats_only(g, in, &room) : in;
    struct group *group = agg_group(g, r->labels);
    size_t n = g->ev->g.n;
    bool sums = (op == OP_SUM || op == OP_AVG) && (in->hist || group->histograms.at);
    if (sums) group_histograms_add(g->ev, g->x, &group->histograms, group->seen, in);
    group->drop_name |= r->drop_name;
    if (g->op->one) {
        agg_columns(g, group, r);
        agg_add(g->ev->q, g->op, group, r, n);
    } else {
        struct rows keep;
        rows_init(&keep, g->ev->q->arena, n);
        vec_push(&group->members, *rows_copy(&keep, r));
        rows_fini(&keep);
        bits_join(group->seen, r->present, n);
    }
    if (sums) bits_join(group->seen, in->present, n);
    arena_reset(&g->ev->q->scratch, m);
    assert(!g->told || group->expected > 0);
    if (!g->told || --group->expected) return OK;
    return agg_push_ready(g);
}

/* quantile: the members' values of each step, gathered for some steps at once, since what is next
 * to a value in its row came with it. Stretches lie within a word of a bitmap. */
enum { QUANTILE_STEPS = 8 };
struct gathered {
    double *at[QUANTILE_STEPS];
    size_t n[QUANTILE_STEPS];
};

static void quantile_gather(struct gathered *to, const struct group *group, size_t from, size_t n)
{
    uint64_t all = ((uint64_t)1 << n) - 1;
    memset(to->n, 0, sizeof(to->n));
    for (size_t j = 0; j < group->members.n; j++) {
        const struct row *r = &group->members.at[j];
        const double *v = r->v + from;
        uint64_t there = r->present ? r->present[from / 64] >> from % 64 & all : all;
        if (there == all)
            for (size_t k = 0; k < n; k++)
                to->at[k][to->n[k]++] = v[k];
        else
            for (; there; there &= there - 1) {
                size_t k = (size_t)__builtin_ctzll(there);
                to->at[k][to->n[k]++] = v[k];
            }
    }
}

static void agg_quantile(struct aggregating *g, struct group *group, const double *q)
{
    struct arena *a = &g->ev->q->scratch;
    struct watch watch = { g->ev->q };
    struct gathered steps;
    size_t n = g->ev->g.n, members = group->members.n;
    for (size_t k = 0; k < QUANTILE_STEPS; k++)
        steps.at[k] = arena_array(a, members, sizeof(double));
    for (size_t i = 0; i < n; i += QUANTILE_STEPS) {
        size_t some = MIN(n - i, (size_t)QUANTILE_STEPS);
        quantile_gather(&steps, group, i, some);
        for (size_t k = 0; k < some; k++) {
            if (watch_ends_after(&watch, members / 16 + 1)) return;
            if (bits_get(group->seen, i + k))
                group->v[i + k] = quantile_of(q[i + k], steps.at[k], steps.n[k], a);
        }
    }
}

static void agg_warn_quantile(struct aggregating *g, const struct agg_param *p)
{
    struct annotations *an = &g->ev->q->annotations;
    struct pos pos = g->x->aggregate.param->pos;
    if (p->any_nan) anno_invalid_quantile(an, NAN, pos);
    if (p->max > 1) anno_invalid_quantile(an, p->max, pos);
    if (p->min < 0) anno_invalid_quantile(an, p->min, pos);
}

errc agg_param_eval(struct eval *ev, struct expr *x, struct agg_param *p)
{
    *p = (struct agg_param){ 0 };
    if (!x) return OK;
    TRY(eval_column(ev, x, &p->v));
    p->min = 0x1.fffffffffffffp+1023;
    p->max = -p->min;
    if (x->kind == EXPR_NUMBER) p->min = p->max = p->v[0];
    STEPS_EACH(i, ev->q, ev->g.n) {
        p->any_nan |= isnan(p->v[i]);
        if (x->kind == EXPR_NUMBER) continue;
        p->max = go_max(p->max, p->v[i]);
        p->min = go_min(p->min, p->v[i]);
    }
    return OK;
}

static void aggregating_fini(struct aggregating *g)
{
    grouping_fini(&g->by);
    for (size_t i = 0; i < g->groups.n; i++) vec_fini(&g->groups.at[i].members);
    vec_fini(&g->groups);
    vec_fini(&g->order);
    column_pool_fini(&g->work);
    column_pool_fini(&g->own);
    eval_arena_fini(g->ev->q, &g->work_room);
    eval_arena_fini(g->ev->q, &g->own_room);
}

static void agg_expect(struct sink *base, struct labels l)
{
    struct aggregating *g = CONTAINER_OF(base, struct aggregating, base);
    bool fresh;
    size_t at = grouping_of(&g->by, l, &fresh);
    g->told = true;
    if (fresh) {
        vec_push(&g->groups, (struct group){ 0 });
        g->out->expect(g->out, g->by.labels.at[at]);
    }
    g->groups.at[at].expected++;
}

static errc agg_none(struct sink *base, struct labels l)
{
    struct aggregating *g = CONTAINER_OF(base, struct aggregating, base);
    bool fresh;
    size_t at = grouping_of(&g->by, l, &fresh);
    struct group *group = &g->groups.at[at];
    assert(!fresh && group->expected > 0);
    if (--group->expected) return OK;
    return group->v ? agg_push_ready(g) : g->out->none(g->out, g->by.labels.at[at]);
}

/* A column that it is done with is there for the next. */
static void agg_give_back(struct aggregating *g, double **column)
{
    if (*column) column_pool_give(&g->work, STEAL(*column));
}

static void agg_finish(struct aggregating *g, struct group *group)
{
    struct eval *ev = g->ev;
    size_t n = ev->g.n;
    struct arena_mark m = arena_mark(&ev->q->scratch);
    if (g->op->op == OP_QUANTILE) agg_quantile(g, group, g->param->v);
    if (g->op->finish) STEPS_PARTS(p, ev->q, n) g->op->finish(group, p.from, p.to);
    arena_reset(&ev->q->scratch, m);
    agg_give_back(g, &group->c);
    agg_give_back(g, &group->n);
    agg_give_back(g, &group->mean);
    if (group->histograms.at)
        group->hist = group_histograms_end(ev, g->x, &group->histograms, group->seen);
    g->made += row_samples(&(struct row){ .present = group->seen, .hist = group->hist }, n);
}

static errc agg_push_group(struct aggregating *g, size_t at)
{
    struct group *group = &g->groups.at[at];
    struct labels l = g->by.labels.at[at];
    size_t n = g->ev->g.n, seen = bits_count(group->seen, n);
    if (!seen) return g->told ? g->out->none(g->out, l) : OK;
    struct row r = { .labels = l,
        .v = group->v,
        .present = seen == n ? NULL : group->seen,
        .hist = group->hist,
        .drop_name = group->drop_name,
        .pooled = g->pool != &g->own };
    return sink_row(g->out, &r);
}

/* The groups that nothing can join any more. Sums of histograms wait until the end. */
static errc agg_push_ready(struct aggregating *g)
{
    for (; g->pushed < g->order.n; g->pushed++) {
        size_t at = g->order.at[g->pushed];
        struct group *group = &g->groups.at[at];
        if (group->expected || group->histograms.at) return OK;
        agg_finish(g, group);
        TRY(agg_push_group(g, at));
    }
    return OK;
}

static errc agg_push(struct aggregating *g, int64_t before)
{
    struct eval *ev = g->ev;
    for (size_t i = g->pushed; i < g->order.n; i++) {
        TRY(eval_check(ev->q));
        agg_finish(g, &g->groups.at[g->order.at[i]]);
    }
    TRY(samples_check(ev->q, ev->q->samples));
    ev->q->samples = before + g->made;
    samples_peak(ev, ev->q->samples);
    arena_fini(&g->work_room);
    for (size_t i = g->pushed; i < g->order.n; i++) TRY(agg_push_group(g, g->order.at[i]));
    return OK;
}

errc eval_aggregate(struct eval *ev, struct expr *x, struct sink *out)
{
    enum promql_op op = x->aggregate.op;
    if (op == OP_TOPK || op == OP_BOTTOMK || op == OP_LIMITK || op == OP_LIMIT_RATIO)
        return eval_choose(ev, x, out);
    int64_t before = ev->q->samples;
    struct agg_param p;
    TRY(agg_param_eval(ev, x->aggregate.param, &p));
    SCOPED(aggregating_fini)
    struct aggregating g = { .base = { .row = agg_row, .forgets = op != OP_QUANTILE },
        .ev = ev,
        .x = x,
        .op = agg_op_of(op),
        .out = out,
        .param = &p };
    assert(g.op);
    if (out->expect && g.op->one) {
        g.base.expect = agg_expect;
        g.base.none = agg_none;
    }
    eval_arena_init(ev->q, &g.work_room);
    eval_arena_init(ev->q, &g.own_room);
    column_pool_init(&g.work, &g.work_room, ev->g.n);
    column_pool_init(&g.own, &g.own_room, ev->g.n);
    g.pool = out->pool ? out->pool : &g.own;
    grouping_init(&g.by, ev->q, x->aggregate.without, x->aggregate.grouping, NULL);
    TRY(eval_expr(ev, x->aggregate.expr, &g.base));
    if (op == OP_QUANTILE) agg_warn_quantile(&g, &p);
    return agg_push(&g, before);
}
