/* count_values: the text of the value becomes a label.
 *
 * There may be as many values as samples, each at a few steps, so what is counted of a value is a
 * list of steps for as long as that is less than a column. */
#include "promql/aggregate.h"
#include "promql/grouping.h"

/* A value of a group, and the steps at which a series had it: a step as often as series did. Once
 * there is a column, there is no list. */
struct counted { uint32_t *at; uint32_t n, cap; double *v; uint64_t *present; };

/* Which of `counted` a float of the group `base` is. */
struct known_value { uint64_t bits; size_t base, at; };

struct counting {
    struct sink base;
    struct eval *ev;
    str label;
    struct grouping by;
    struct grouping before;                /* the same without the value's label */
    struct map known;
    VEC(struct counted) counted;           /* of group i of `by` */
    struct row row;
    double *v;                             /* of the row of a list, with `present` */
    uint64_t *present;
    struct step_counts in, out;
    struct watch watch;
};

static str counting_text(struct counting *c, double v, const struct histogram *h)
{
    char text[F64_TEXT_MAX];
    if (!h) return arena_str(c->ev->q->arena, str_of(text, f64_text_f(text, v)));
    struct buf b = { 0 };
    histogram_text(&b, h);
    str s = arena_str(c->ev->q->arena, buf_view(&b));
    buf_fini(&b);
    return s;
}

static size_t counting_group(
    struct counting *c, struct labels l, double v, const struct histogram *h)
{
    struct arena *a = &c->ev->q->scratch;
    struct arena_mark m = arena_mark(a);
    str value = counting_text(c, v, h);
    struct labels_builder lb;
    labels_builder_init(&lb, a);
    labels_builder_from(&lb, l);
    labels_builder_set(&lb, c->label, value);
    bool fresh;
    size_t at = grouping_of(&c->by, labels_builder_done(&lb), &fresh);
    if (fresh) vec_push(&c->counted, (struct counted){ 0 });
    arena_reset(a, m);
    return at;
}

static bool known_value_is(const void *val, const void *key)
{
    const struct known_value *a = val, *b = key;
    return a->bits == b->bits && a->base == b->base;
}

static size_t counting_float(struct counting *c, struct labels l, size_t base, double v)
{
    struct known_value key = { .bits = f64_bits(v), .base = base };
    uint64_t hashed[] = { key.bits, base }, hash = hash_bytes(hashed, sizeof(hashed));
    const struct known_value *k = map_find(&c->known, hash, known_value_is, &key);
    if (k) return k->at;
    struct known_value *fresh = ANEW(c->ev->q->arena, struct known_value);
    key.at = counting_group(c, l, v, NULL);
    *fresh = key;
    map_put(&c->known, hash, fresh);
    return key.at;
}

static void column_count(double *v, uint64_t *present, size_t step)
{
    v[step] = bits_get(present, step) ? v[step] + 1 : 1;
    bits_set(present, step);
}

static void counted_column(struct counting *c, struct counted *x)
{
    struct arena *a = c->ev->q->arena;
    size_t n = c->ev->g.n;
    x->v = arena_array(a, n, sizeof(*x->v));
    x->present = arena_zalloc(a, bits_words(n) * sizeof(*x->present));
    for (uint32_t i = 0; i < x->n; i++) column_count(x->v, x->present, x->at[i]);
}

static void counted_add(struct counting *c, struct counted *x, size_t step)
{
    if (!x->v && x->n == x->cap) {
        uint32_t cap = x->cap ? x->cap * 2 : 2;
        if (cap * sizeof(*x->at) > c->ev->g.n * sizeof(*x->v)) {
            counted_column(c, x);
        } else {
            uint32_t *at = arena_array(c->ev->q->arena, cap, sizeof(*at));
            if (x->n) memcpy(at, x->at, x->n * sizeof(*at));
            x->at = at;
            x->cap = cap;
        }
    }
    if (x->v) column_count(x->v, x->present, step);
    else x->at[x->n++] = (uint32_t)step;
}

static errc counting_row(struct sink *base, struct row *r)
{
    struct counting *c = CONTAINER_OF(base, struct counting, base);
    bool fresh;
    double last = 0;
    const struct histogram *last_h = NULL;
    size_t at = SIZE_MAX, before = grouping_of(&c->before, r->labels, &fresh);
    step_counts_add(&c->in, r);
    STEPS_EACH(i, c->ev->q, c->ev->g.n) {
        if (!row_has(r, i)) continue;
        const struct histogram *h = row_histogram(r, i);
        if (at == SIZE_MAX || h || h != last_h || f64_bits(r->v[i]) != f64_bits(last)) {
            if (watch_ends_after(&c->watch, 16)) return c->watch.rc;
            if (h && histogram_is_custom(h) && h->zero_count != 0)  /* 0 times NaN */
                return eval_fail(c->ev->q, "histograms with custom buckets have no zero bucket");
            at = h ? counting_group(c, r->labels, r->v[i], h)
                   : counting_float(c, r->labels, before, r->v[i]);
        }
        last = r->v[i];
        last_h = h;
        counted_add(c, &c->counted.at[at], i);
    }
    return OK;
}

/* Until the next; the sink may write into it. */
static struct row *counted_row(struct counting *c, size_t at)
{
    const struct counted *x = &c->counted.at[at];
    if (x->v) {
        c->row = (struct row){ .v = x->v, .present = x->present };
    } else {
        c->row = (struct row){ .v = c->v, .present = c->present };
        memset(c->present, 0, bits_words(c->ev->g.n) * sizeof(*c->present));
        for (uint32_t i = 0; i < x->n; i++) column_count(c->v, c->present, x->at[i]);
    }
    c->row.labels = c->by.labels.at[at];
    return &c->row;
}

static errc counting_push(struct counting *c, struct sink *out, int64_t before)
{
    const struct step_counts *in[] = { &c->in };
    for (size_t i = 0; i < c->counted.n; i++) {
        step_counts_add(&c->out, counted_row(c, i));
        if (watch_ends_after(&c->watch, 16)) return c->watch.rc;
    }
    TRY(samples_node_end(c->ev, before, in, 1, &c->out));
    for (size_t i = 0; i < c->counted.n; i++) TRY(sink_row(out, counted_row(c, i)));
    return OK;
}

static void counting_fini(struct counting *c)
{
    grouping_fini(&c->by);
    grouping_fini(&c->before);
    map_fini(&c->known);
    vec_fini(&c->counted);
}

static void counting_groupings(struct counting *c, const struct expr *x)
{
    struct query *q = c->ev->q;
    bool without = x->aggregate.without;
    struct strs by = x->aggregate.grouping, others = { 0 };
    grouping_init(&c->by, q, without, by, without ? NULL : &c->label);
    str *at = arena_array(q->arena, by.n, sizeof(*at));
    others.at = at;
    for (size_t i = 0; i < by.n; i++)
        if (without || !str_eq(by.at[i], c->label)) at[others.n++] = by.at[i];
    grouping_init(&c->before, q, without, others, without ? &c->label : NULL);
}

errc eval_count_values(struct eval *ev, struct expr *x, struct sink *out)
{
    struct expr *param = x->aggregate.param;
    struct arena *a = ev->q->arena;
    size_t n = ev->g.n;
    assert(param->kind == EXPR_STRING);
    SCOPED(counting_fini)
    struct counting c = {
        .base = { counting_row }, .ev = ev, .label = param->string, .watch = { ev->q }
    };
    if (!label_name_valid_utf8(c.label)) {
        struct buf b = { 0 };
        buf_go_quote(&b, c.label);
        errc rc = eval_fail(ev->q, "invalid label name %.*s", STR_ARG(buf_view(&b)));
        buf_fini(&b);
        return rc;
    }
    counting_groupings(&c, x);
    c.v = arena_array(a, n, sizeof(*c.v));
    c.present = arena_array(a, bits_words(n), sizeof(*c.present));
    step_counts_init(&c.in, a, n);
    step_counts_init(&c.out, a, n);
    int64_t before = ev->q->samples;
    TRY(eval_expr(ev, x->aggregate.expr, &c.base));
    return counting_push(&c, out, before);
}
