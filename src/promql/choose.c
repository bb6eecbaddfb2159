/* topk, bottomk, limitk, limit_ratio: at each step some of each group's rows go on unchanged.
 *
 * A heap of (value, input row) per group and step takes the rows as they come. Which of two equal
 * values stays, and in which order an instant query shows the chosen ones, follows from the heap's
 * and the sort's own steps, so both are those of gosort. */
#include "promql/aggregate.h"
#include "promql/columns.h"
#include "promql/gosort.h"
#include "promql/grouping.h"
#include "promql/select.h"

#include <math.h>
#include <stdlib.h>

struct chosen { double v; uint32_t row; };
struct heap { struct chosen *at; uint32_t n, cap; };
struct choosing {
    struct sink base;
    struct eval *ev;
    const struct expr *x;
    enum promql_op op;
    const double *k;                       /* the parameter at each step */
    /* the parameter chooses no row at any step, or is invalid: the input is only counted */
    bool nothing;
    struct grouping by;
    VEC(struct heap *) heaps;              /* of group i: one heap a step */
    VEC(double *) bars;                    /* topk, bottomk: what is no better has no chance */
    /* the best value that was not chosen, or no more; NaN: none. Where it is the bar's, too, the
     * order of the rows chose. */
    VEC(double *) lost;
    /* labels of the rows that were ever chosen: without columns, which only few of them need */
    struct rows rows;
    struct watch watch;
};

static bool chosen_less(void *ctx, size_t i, size_t j)
{
    const struct chosen *h = ctx;
    return isnan(h[i].v) || h[i].v < h[j].v;
}
static bool chosen_greater(void *ctx, size_t i, size_t j)
{
    const struct chosen *h = ctx;
    return isnan(h[i].v) || h[i].v > h[j].v;
}
static void chosen_swap(void *ctx, size_t i, size_t j)
{
    struct chosen *h = ctx, t = h[i];
    h[i] = h[j];
    h[j] = t;
}
static const struct gosort_ops least_first = { chosen_less, chosen_swap },
                               greatest_first = { chosen_greater, chosen_swap };

static void heap_push(
    struct heap *h, struct chosen c, const struct gosort_ops *order, struct arena *a)
{
    if (h->n == h->cap) {
        uint32_t cap = h->cap ? h->cap * 2 : 4;
        struct chosen *at = arena_array(a, cap, sizeof(*at));
        if (h->n) memcpy(at, h->at, h->n * sizeof(*at));
        h->at = at;
        h->cap = cap;
    }
    h->at[h->n++] = c;
    goheap_up(order, h->at, h->n - 1);
}

/* The step's rule for one more row. */
static bool choose_one(
    const struct choosing *c, struct heap *h, size_t step, struct chosen x, double ratio_at)
{
    struct arena *a = c->ev->q->arena;
    double param = c->k[step];
    if (c->op == OP_LIMIT_RATIO) {
        double r = param < -1 ? -1 : param > 1 ? 1 : param;
        if (r == 0 || !((r > 0 && ratio_at < r) || (r < 0 && ratio_at >= 1.0 + r))) return false;
        heap_push(h, x, &least_first, a);
        return true;
    }
    int64_t k = (int64_t)param;
    if (k < 1) return false;
    const struct gosort_ops *order = c->op == OP_BOTTOMK ? &greatest_first : &least_first;
    if ((int64_t)h->n < k) {
        heap_push(h, x, order, a);
        return true;
    }
    if (c->op == OP_LIMITK) return false;
    double root = h->at[0].v;
    bool better = c->op == OP_TOPK ? root < x.v : root > x.v;
    if (!better && !(isnan(root) && !isnan(x.v))) return false;
    h->at[0] = x;
    goheap_fix_root(order, h->at, h->n);
    return true;
}

static bool choose_has_bars(const struct choosing *c)
{
    return c->op == OP_TOPK || c->op == OP_BOTTOMK;
}

static void choose_group_begin(struct choosing *c)
{
    size_t n = c->ev->g.n;
    vec_push(&c->heaps, arena_zalloc(c->ev->q->arena, n * sizeof(struct heap)));
    if (!choose_has_bars(c)) return;
    double *bar = arena_array(c->ev->q->arena, n, sizeof(*bar));
    STEPS_EACH(i, c->ev->q, n) bar[i] = NAN;           /* everything is welcome */
    vec_push(&c->bars, bar);
    double *lost = arena_array(c->ev->q->arena, n, sizeof(*lost));
    STEPS_EACH(i, c->ev->q, n) lost[i] = NAN;
    vec_push(&c->lost, lost);
}

/* Word w of the steps at which the row may be chosen: a full heap's root is the bar. */
static uint64_t choose_word(const struct choosing *c, size_t group, const struct row *r, size_t w)
{
    size_t n = c->ev->g.n, from = w * 64, words = MIN(n - from, (size_t)64);
    uint64_t there = row_word(r, w, n);
    if (!choose_has_bars(c) || r->hist || !there) return there;
    const double *v = r->v + from, *bar = c->bars.at[group] + from;
    uint64_t better = there & column_beyond(v, bar, words, c->op == OP_TOPK);
    uint64_t equal = there & ~better;
    if (equal) equal &= ~column_beyond(v, bar, words, c->op != OP_TOPK);
    for (; equal; equal &= equal - 1) {
        size_t i = (size_t)__builtin_ctzll(equal);
        c->lost.at[group][from + i] = bar[i];
    }
    return better;
}

/* A value that is no better than the root of a full heap, or the root that it takes the place of,
 * is lost. */
static void choose_lose(struct choosing *c, size_t group, size_t step, double v)
{
    const struct heap *h = &c->heaps.at[group][step];
    if (!choose_has_bars(c)) return;
    if (isnan(v)) c->ev->q->entangled = true;
    if (isnan(v) || !h->n || (int64_t)h->n < (int64_t)c->k[step]) return;
    double root = h->at[0].v, *lost = &c->lost.at[group][step];
    if (c->op == OP_TOPK) v = MIN(v, root);
    else v = MAX(v, root);
    if (!(c->op == OP_TOPK ? *lost >= v : *lost <= v)) *lost = v;
}

/* Did the order of the rows choose between equal values at any step? Which rows there are, and so
 * their order, depends on the steps that are evaluated together. */
static bool choose_had_ties(const struct choosing *c)
{
    bool ties = false;
    for (size_t g = 0; g < c->lost.n; g++)
        STEPS_EACH(i, c->ev->q, c->ev->g.n) {
            const struct heap *h = &c->heaps.at[g][i];
            ties |= h->n && h->at[0].v == c->lost.at[g][i];
        }
    return ties;
}

static void choose_raise_bar(struct choosing *c, size_t group, size_t step)
{
    const struct heap *h = &c->heaps.at[group][step];
    if (choose_has_bars(c) && (int64_t)h->n >= (int64_t)c->k[step])
        c->bars.at[group][step] = h->at[0].v;
}

static errc choose_row(struct sink *base, struct row *r)
{
    struct choosing *c = CONTAINER_OF(base, struct choosing, base);
    size_t n = c->ev->g.n;
    if (c->nothing) return OK;
    bool fresh, taken = false;
    size_t group = grouping_of(&c->by, r->labels, &fresh);
    if (fresh) choose_group_begin(c);
    double ratio_at = c->op == OP_LIMIT_RATIO ? (double)labels_hash(r->labels) / 0x1p64 : 0;
    uint32_t row = (uint32_t)c->rows.all.n;
    STEPS_PARTS(p, c->ev->q, n)
    for (size_t w = p.from / 64; w < bits_words(p.to); w++) {
        for (uint64_t b = choose_word(c, group, r, w); b; b &= b - 1) {
            size_t i = w * 64 + (size_t)__builtin_ctzll(b);
            if (r->hist && r->hist[i] && choose_has_bars(c)) {
                anno_histogram_ignored_agg(
                    &c->ev->q->annotations, promql_op_text(c->op), c->x->pos);
                continue;
            }
            /* a histogram counts as zero: its place in the column holds anything */
            struct chosen x = { row_histogram(r, i) ? 0 : r->v[i], row };
            choose_lose(c, group, i, x.v);
            if (!choose_one(c, &c->heaps.at[group][i], i, x, ratio_at)) continue;
            taken = true;
            choose_raise_bar(c, group, i);
            if (watch_ends_after(&c->watch, 8)) return c->watch.rc;
        }
    }
    if (!taken) return OK;
    struct row *kept = rows_add_labels(&c->rows, r->labels, r->drop_name);
    kept->hist = row_copy_histograms(c->ev->q->arena, r, n);
    return OK;
}

/* Of an instant query: there may be millions to sort. */
struct chosen_sort {
    struct chosen *at;
    struct watch *watch;
};
static bool sort_descends(void *ctx, size_t i, size_t j)
{
    const struct chosen_sort *s = ctx;
    return !watch_ends(s->watch) && chosen_less(s->at, j, i);
}
static bool sort_ascends(void *ctx, size_t i, size_t j)
{
    const struct chosen_sort *s = ctx;
    return !watch_ends(s->watch) && chosen_greater(s->at, j, i);
}
static void sort_swap(void *ctx, size_t i, size_t j)
{
    chosen_swap(((struct chosen_sort *)ctx)->at, i, j);
}

static void choose_sort(struct choosing *c, struct heap *h)
{
    static const struct gosort_ops descending = { sort_descends, sort_swap },
                                   ascending = { sort_ascends, sort_swap };
    struct chosen_sort s = { h->at, &c->watch };
    if (h->n < 2) return;
    if (c->op == OP_TOPK) gosort(&descending, &s, h->n);
    if (c->op == OP_BOTTOMK) gosort(&ascending, &s, h->n);
}

static uint64_t choose_count(struct choosing *c)
{
    uint64_t made = 0;
    for (size_t g = 0; g < c->heaps.n; g++) {
        STEPS_EACH(i, c->ev->q, c->ev->g.n) {
            const struct heap *h = &c->heaps.at[g][i];
            if (watch_ends_after(&c->watch, h->n)) return made;
            made += h->n;
            for (uint32_t j = 0; j < h->n; j++) {
                const struct row *r = &c->rows.all.at[h->at[j].row];
                if (row_histogram(r, i)) made += samples_of_histogram(r->hist[i]) - 1;
            }
        }
    }
    return made;
}

/* What was chosen, row after row: of row i [from[i], from[i + 1]), by time. */
struct choice { double v; uint32_t step; };
struct choices { size_t *from; struct choice *at; };

static errc choices_of(struct choosing *c, struct choices *out)
{
    struct arena *a = c->ev->q->arena;
    size_t rows = c->rows.all.n, n = 0;
    /* shifted by one: from[i + 1] is where the next of row i goes, and at last where it ends */
    struct choices x = { .from = arena_zalloc(a, (rows + 2) * sizeof(*x.from)) };
    for (size_t g = 0; g < c->heaps.n; g++)
        STEPS_EACH(i, c->ev->q, c->ev->g.n)
        {
            const struct heap *h = &c->heaps.at[g][i];
            if (watch_ends_after(&c->watch, h->n)) return c->watch.rc;
            for (uint32_t j = 0; j < h->n; j++, n++)
                x.from[h->at[j].row + 2]++;
        }
    TRY(c->ev->q->ended);
    for (size_t i = 2; i < rows + 2; i++) x.from[i] += x.from[i - 1];
    x.at = arena_array(a, n, sizeof(*x.at));
    for (size_t g = 0; g < c->heaps.n; g++)
        STEPS_EACH(i, c->ev->q, c->ev->g.n)
        {
            const struct heap *h = &c->heaps.at[g][i];
            if (watch_ends_after(&c->watch, h->n)) return c->watch.rc;
            for (uint32_t j = 0; j < h->n; j++) {
                struct chosen y = h->at[j];
                x.at[x.from[y.row + 1]++] = (struct choice){ y.v, (uint32_t)i };
            }
        }
    *out = x;
    return eval_check(c->ev->q);
}

static errc choose_push(struct choosing *c, struct sink *out)
{
    struct arena *a = c->ev->q->arena;
    size_t n = c->ev->g.n;
    if (grid_is_instant(&c->ev->g)) {
        for (size_t g = 0; g < c->heaps.n; g++) {
            struct heap *h = &c->heaps.at[g][0];
            choose_sort(c, h);
            for (uint32_t j = 0; j < h->n; j++) {
                struct row r = c->rows.all.at[h->at[j].row];
                r.v = &h->at[j].v;
                TRY(sink_row(out, &r));
            }
        }
        return OK;
    }
    struct choices x;
    TRY(choices_of(c, &x));
    double *v = arena_zalloc(a, n * sizeof(*v));
    uint64_t *present = arena_array(a, bits_words(n), sizeof(*present));
    for (size_t i = 0; i < c->rows.all.n; i++) {
        if (x.from[i] == x.from[i + 1]) continue;
        struct row r = c->rows.all.at[i];
        r.v = v;
        r.present = memset(present, 0, bits_words(n) * sizeof(*present));
        STEPS_EACH(j, c->ev->q, x.from[i + 1] - x.from[i]) {
            size_t k = x.from[i] + j;
            v[x.at[k].step] = x.at[k].v;
            bits_set(present, x.at[k].step);
        }
        TRY(sink_row(out, &r));
    }
    return OK;
}

/* Is there nothing to choose? Errors and warnings of the parameter come after the input was
 * evaluated: the caller asks twice. */
static bool choose_nothing(enum promql_op op, const struct agg_param *p)
{
    return op == OP_LIMIT_RATIO ? (p->max == 0 && p->min == 0) : p->max < 1;
}

static errc choose_check_param(struct choosing *c, const struct agg_param *p)
{
    struct query *q = c->ev->q;
    if (c->op == OP_LIMIT_RATIO) {
        struct pos pos = c->x->aggregate.param->pos;
        if (p->any_nan) return eval_fail(q, "Ratio value is NaN");
        if (p->max > 1) anno_invalid_ratio(&q->annotations, p->max, 1, pos);
        if (p->min < -1) anno_invalid_ratio(&q->annotations, p->min, -1, pos);
        return OK;
    }
    struct buf b = { 0 };
    errc rc = OK;
    if (p->any_nan) {
        rc = eval_fail(q, "Parameter value is NaN");
    } else if (p->min <= -0x1p63) {
        buf_f64_g(&b, p->min);
        rc = eval_fail(q, "Scalar value %.*s underflows int64", STR_ARG(buf_view(&b)));
    } else if (p->max >= 9223372036854774784.0) {
        buf_f64_g(&b, p->max);
        rc = eval_fail(q, "Scalar value %.*s overflows int64", STR_ARG(buf_view(&b)));
    }
    buf_fini(&b);
    return rc;
}

static void choosing_fini(struct choosing *c)
{
    grouping_fini(&c->by);
    vec_fini(&c->heaps);
    vec_fini(&c->bars);
    vec_fini(&c->lost);
    rows_fini(&c->rows);
}

errc eval_choose(struct eval *ev, struct expr *x, struct sink *out)
{
    int64_t before = ev->q->samples;
    struct agg_param p;
    TRY(agg_param_eval(ev, x->aggregate.param, &p));
    SCOPED(choosing_fini)
    struct choosing c = { .base = { choose_row },
        .ev = ev,
        .x = x,
        .op = x->aggregate.op,
        .k = p.v,
        .watch = { ev->q } };
    grouping_init(&c.by, ev->q, x->aggregate.without, x->aggregate.grouping, NULL);
    rows_init(&c.rows, ev->q->arena, ev->g.n);
    bool invalid = p.any_nan ||
                   (c.op != OP_LIMIT_RATIO && (p.min <= -0x1p63 || p.max >= 9223372036854774784.0));
    c.nothing = choose_nothing(c.op, &p) || invalid;
    TRY(eval_expr(ev, x->aggregate.expr, &c.base));
    if (!choose_nothing(c.op, &p)) TRY(choose_check_param(&c, &p));
    TRY(samples_check(ev->q, ev->q->samples));
    ev->q->entangled |= choose_had_ties(&c);
    ev->q->samples = before + choose_count(&c);
    samples_peak(ev, ev->q->samples);
    return choose_push(&c, out);
}
