/* histogram_quantile, histogram_quantiles, histogram_fraction. Of floats, the rows that differ in
 * `le` alone are the buckets of one classic histogram; a native histogram is a sample by itself.
 * The rows are kept; at each step those that have a value there are looked at. Where a classic and
 * a native histogram of the same labels meet, neither counts.
 *
 * Where it is known which rows may come, a classic histogram is computed when its last bucket came,
 * and the buckets' columns are used again: what is held is a result for each histogram, and the
 * buckets of those that are under way. */
#include "promql/aggregate.h"
#include "promql/eval.h"
#include "promql/quantile.h"

#include <math.h>
#include <stdlib.h>

static const str bucket_label = { (const uint8_t *)"le", 2 };

struct bucket_row { double upper; size_t row; };
struct outcome { struct labels labels; double *v; uint64_t *present; };
struct classic {
    struct labels labels;                  /* without le */
    VEC(struct bucket_row) buckets;
    size_t expected;                       /* rows of these labels that may still come, if told */
    bool native;                           /* one came that is no classic bucket throughout */
    struct outcome *made;                  /* NULL: not computed yet */
};
/* classic: of the same labels; SIZE_MAX: none */
struct native { size_t row, classic; };
/* at: how many at each step */
struct mended { str metric; struct monotonicity all; uint32_t *at; };

struct fraction { const double *lower, *upper; };
/* What is asked: quantiles, each with its column, or a fraction. */
struct question {
    const double **q; size_t n;
    const struct fraction *f;
    const str *label;                      /* has the quantile in the result; NULL: nothing has */
};

struct histograms {
    struct sink base;
    struct eval *ev;
    struct pos pos;                        /* of the vector argument */
    struct rows rows;
    struct column_pool columns;            /* of the rows */
    struct arena room;                     /* in which they lie */
    const struct question *ask;            /* NULL: not known before the rows */
    bool told;                             /* which rows may come */
    struct label_set set;
    VEC(struct classic) all;               /* or nothing came of it but what was expected */
    VEC(size_t) order;                     /* of all, those with buckets, as they began */
    VEC(struct native) natives;
    struct step_counts in;
    struct joiner out;
    VEC(struct mended) mended;             /* by metric */
    /* additions to the annotations before the arguments were evaluated */
    uint64_t notes_before;
};

static errc histograms_row(struct sink *base, struct row *r);
static errc histograms_none(struct sink *base, struct labels l);
static void histograms_expect(struct sink *base, struct labels l);

static void histograms_init(struct histograms *h, struct eval *ev, const struct expr *vector)
{
    struct arena *a = ev->q->arena;
    *h = (struct histograms){ .base = { .row = histograms_row, .pool = &h->columns },
        .ev = ev,
        .pos = vector->pos,
        .notes_before = ev->q->annotations.additions };
    eval_arena_init(ev->q, &h->room);
    column_pool_init(&h->columns, &h->room, ev->g.n);
    rows_init(&h->rows, a, ev->g.n);
    label_set_init(&h->set, a);
    step_counts_init(&h->in, a, ev->g.n);
    joiner_init(&h->out, ev);
}

static void histograms_fini(struct histograms *h)
{
    rows_fini(&h->rows);
    label_set_fini(&h->set);
    for (size_t i = 0; i < h->all.n; i++) vec_fini(&h->all.at[i].buckets);
    vec_fini(&h->all);
    vec_fini(&h->order);
    vec_fini(&h->natives);
    column_pool_fini(&h->columns);
    eval_arena_fini(h->ev->q, &h->room);
    vec_fini(&h->mended);
    joiner_fini(&h->out);
}

/* In a default query names are dropped at once, so the words of an annotation name no metric. */
static str name_to_tell(const struct histograms *h, struct labels l)
{
    return h->ev->q->delayed_names ? labels_get(l, METRIC_NAME) : STR_EMPTY;
}

/* Buckets of one bound are added up in the order of their rows. Of many nobody looks. */
static bool classic_has(const struct classic *c, double upper)
{
    enum { MANY = 128 };
    bool has = c->buckets.n >= MANY;
    for (size_t i = 0; i < c->buckets.n && !has; i++) has = c->buckets.at[i].upper == upper;
    return has;
}

static size_t classic_of(struct histograms *h, struct labels l)
{
    struct query *q = h->ev->q;
    struct arena_mark m = arena_mark(&q->scratch);
    bool fresh;
    struct labels key = labels_without(&q->scratch, l, &bucket_label, 1);
    size_t at = label_set_add(&h->set, key, &fresh);
    if (fresh) {
        struct label *pairs = arena_array(q->arena, key.n, sizeof(*pairs));
        if (key.n) memcpy(pairs, key.at, key.n * sizeof(*pairs));
        vec_push(&h->all, ((struct classic){ .labels = { pairs, key.n } }));
    }
    arena_reset(&q->scratch, m);
    return at;
}

static void histograms_expect(struct sink *base, struct labels l)
{
    struct histograms *h = CONTAINER_OF(base, struct histograms, base);
    size_t at = classic_of(h, l);
    h->told = true;
    h->all.at[at].expected++;
}

static errc classic_came(struct histograms *h, size_t at);

static errc histograms_none(struct sink *base, struct labels l)
{
    struct histograms *h = CONTAINER_OF(base, struct histograms, base);
    return classic_came(h, classic_of(h, l));
}

static void histograms_add_bucket(struct histograms *h, size_t at, double upper)
{
    struct classic *c = &h->all.at[at];
    h->ev->q->entangled |= classic_has(c, upper);
    if (!c->buckets.n) vec_push(&h->order, at);
    vec_push(&c->buckets, ((struct bucket_row){ upper, h->rows.all.n }));
}

/* Keeps a row, in a column of the pool. */
static void histograms_keep(struct histograms *h, const struct row *r)
{
    size_t n = h->ev->g.n;
    struct row c = *r;
    if (!r->pooled) {
        c.v = column_pool_take(&h->columns);
        arena_copy(&h->room, c.v, r->v, n * sizeof(*c.v));
        if (r->present) {
            c.present = column_pool_bits(&h->columns, c.v);
            memcpy(c.present, r->present, bits_words(n) * sizeof(*c.present));
        }
        c.hist = row_copy_histograms(h->ev->q->arena, r, n);
        h->ev->q->scratch.spent |= arena_spent(&h->room);
    }
    rows_keep(&h->rows, &c);
}

static errc histograms_row(struct sink *base, struct row *r)
{
    struct histograms *h = CONTAINER_OF(base, struct histograms, base);
    double upper;
    bool floats = !r->hist, natives = false;
    step_counts_add(&h->in, r);
    if (r->hist)
        BITS_EACH(i, r->present, h->ev->g.n) {
            floats |= !r->hist[i];
            natives |= r->hist[i] != NULL;
        }
    str le = labels_get(r->labels, bucket_label);
    bool bucket = floats && f64_parse(le, &upper);
    if (floats && !bucket)
        anno_bad_bucket_label(&h->ev->q->annotations, name_to_tell(h, r->labels), le, h->pos);
    size_t at = bucket || h->told ? classic_of(h, r->labels) : SIZE_MAX;
    if (bucket) histograms_add_bucket(h, at, upper);
    if (natives) vec_push(&h->natives, ((struct native){ h->rows.all.n, SIZE_MAX }));
    if (natives && at != SIZE_MAX) h->all.at[at].native = true;
    if (bucket || natives) histograms_keep(h, r);
    else if (r->pooled) column_pool_give(&h->columns, r->v);
    return h->told ? classic_came(h, at) : OK;
}

/* Which classic histogram has the labels of a native one. */
static void histograms_pair(struct histograms *h)
{
    for (size_t i = 0; i < h->natives.n; i++) {
        bool fresh;
        size_t at = label_set_add(&h->set, h->rows.all.at[h->natives.at[i].row].labels, &fresh);
        if (at < h->all.n && h->all.at[at].buckets.n) h->natives.at[i].classic = at;
    }
}

static int bucket_row_cmp(const void *a, const void *b)
{
    const struct bucket_row *l = a, *r = b;
    return (l->upper > r->upper) - (l->upper < r->upper);
}

/* Ascending, where no two are equal: so none needs to be sorted at any step. */
static void classic_sort(struct classic *c, struct arena *a)
{
    size_t n = c->buckets.n;
    struct bucket_row *b = arena_array(a, n, sizeof(*b));
    for (size_t i = 0; i < n; i++) {
        b[i] = c->buckets.at[i];
        if (isnan(b[i].upper)) return;
    }
    if (n) qsort(b, n, sizeof(*b), bucket_row_cmp);
    for (size_t i = 1; i < n; i++)
        if (b[i].upper == b[i - 1].upper) return;
    for (size_t i = 0; i < n; i++) c->buckets.at[i] = b[i];
}

static const struct row *bucket_row(const struct histograms *h, const struct classic *c, size_t i)
{
    return &h->rows.all.at[c->buckets.at[i].row];
}

/* Has each bucket a float at each step? */
static bool classic_dense(const struct histograms *h, const struct classic *c)
{
    bool dense = true;
    for (size_t i = 0; i < c->buckets.n && dense; i++)
        dense = !bucket_row(h, c, i)->present && !bucket_row(h, c, i)->hist;
    return dense;
}

static bool classic_has_any(const struct histograms *h, const struct classic *c, size_t step)
{
    bool any = false;
    for (size_t i = 0; i < c->buckets.n && !any; i++) {
        const struct row *r = bucket_row(h, c, i);
        any = row_has(r, step) && !row_histogram(r, step);
    }
    return any;
}

/* The buckets of one histogram at a step. */
static size_t classic_at(const struct histograms *h, const struct classic *c, size_t step,
    bool dense, struct bucket *out)
{
    size_t n = 0;
    for (size_t i = 0; i < c->buckets.n; i++) {
        const struct row *r = bucket_row(h, c, i);
        if (!dense && (!row_has(r, step) || row_histogram(r, step))) continue;
        out[n++] = (struct bucket){ c->buckets.at[i].upper, r->v[step] };
    }
    return n;
}

static struct mended *histograms_mended(struct histograms *h, str metric)
{
    for (size_t i = 0; i < h->mended.n; i++)
        if (str_eq(h->mended.at[i].metric, metric)) return &h->mended.at[i];
    struct mended x = { .metric = metric,
        .at = arena_zalloc(h->ev->q->arena, h->ev->g.n * sizeof(*x.at)) };
    vec_push(&h->mended, x);
    return &vec_last(&h->mended);
}

/* How many samples Prometheus counts. Its call keeps its notes and hands all of them out again at
 * each step, where they are added to those of the steps before: the same object, once it is there,
 * so that the sum doubles; or, when the argument brought a note of the same words, that one grows
 * by all so far. The numbers wrap, as its do. */
static void histograms_note_mended(struct histograms *h)
{
    struct annotations *an = &h->ev->q->annotations;
    for (size_t i = 0; i < h->mended.n; i++) {
        struct mended *x = &h->mended.at[i];
        bool below = anno_forced_monotonicity_last(an, x->metric) > h->notes_before;
        uint64_t own = 0, sum = 0;
        bool known = false;
        STEPS_EACH(k, h->ev->q, h->ev->g.n) {
            own += x->at[k];
            sum += own;
            if (known && !below) own *= 2;
            known |= x->at[k] > 0;
        }
        x->all.count = below ? sum : own;
        anno_forced_monotonicity(an, x->metric, h->pos, &x->all);
    }
}

static double classic_value(struct histograms *h, const struct classic *c, size_t step,
    struct bucket *b, size_t n, size_t k)
{
    const struct question *ask = h->ask;
    if (ask->f) return bucket_fraction(ask->f->lower[step], ask->f->upper[step], b, n);
    struct bucket_fix fix;
    double v = bucket_quantile(ask->q[k][step], b, n, &fix);
    if (fix.forced) {
        int64_t t = grid_time(&h->ev->g, step);
        struct mended *x = histograms_mended(h, name_to_tell(h, c->labels));
        monotonicity_merge(&x->all,
            &(struct monotonicity){ t, t, fix.min_bucket, fix.max_bucket, fix.max_diff, 1 });
        x->at[step]++;
    }
    return v;
}

static double native_value(
    struct histograms *h, const struct histogram *x, str metric, size_t step, size_t k)
{
    const struct question *ask = h->ask;
    struct annotations *an = &h->ev->q->annotations;
    enum histogram_note note = HISTOGRAM_FINE;
    double v = ask->f ? histogram_fraction(ask->f->lower[step], ask->f->upper[step], x, &note)
                      : histogram_quantile(ask->q[k][step], x, &note);
    if (note == HISTOGRAM_NAN_RESULT) anno_quantile_nan_result(an, metric, h->pos);
    if (note == HISTOGRAM_NAN_SKEW) anno_quantile_nan_skew(an, metric, h->pos);
    if (note == HISTOGRAM_NAN_LEFT_OUT) anno_fraction_nan(an, metric, h->pos);
    return v;
}

static struct outcome *outcomes_of(struct histograms *h, struct labels labels, size_t n)
{
    struct arena *a = h->ev->q->arena;
    size_t steps = h->ev->g.n;
    struct outcome *o = arena_array(a, n, sizeof(*o));
    for (size_t k = 0; k < n; k++) {
        o[k] = (struct outcome){ labels, arena_array(a, steps, sizeof(double)),
            arena_zalloc(a, bits_words(steps) * sizeof(uint64_t)) };
    }
    return o;
}

static void outcome_put(struct outcome *o, size_t step, double v)
{
    o->v[step] = v;
    bits_set(o->present, step);
}

/* The steps at which a native histogram stands in its place; NULL: none does. In scratch memory. */
static uint64_t *classic_taken(struct histograms *h, size_t i)
{
    uint64_t *taken = NULL;
    size_t n = h->ev->g.n;
    for (size_t k = 0; k < h->natives.n; k++) {
        if (h->natives.at[k].classic != i) continue;
        if (!taken) taken = arena_zalloc(&h->ev->q->scratch, bits_words(n) * sizeof(*taken));
        const struct row *r = &h->rows.all.at[h->natives.at[k].row];
        BITS_EACH(step, r->present, n) if (row_histogram(r, step)) bits_set(taken, step);
    }
    return taken;
}

/* The buckets' order and sums are left as one quantile made them for the next one, as in the
 * reference. A query that has to end gets a part; who called asks, too. */
static struct outcome *classic_outcomes(struct histograms *h, size_t i)
{
    enum { ASK_EVERY = 1 << 14 };          /* values */
    struct classic *c = &h->all.at[i];
    size_t steps = h->ev->g.n, asked = h->ask->n;
    struct outcome *o = outcomes_of(h, c->labels, asked);
    struct arena *a = &h->ev->q->scratch;
    struct arena_mark m = arena_mark(a);
    uint64_t *taken = classic_taken(h, i);
    struct bucket *b = arena_array(a, c->buckets.n, sizeof(*b));
    bool dense = classic_dense(h, c);
    classic_sort(c, a);
    size_t seen = 0;
    for (size_t step = 0; step < steps; step++, seen += c->buckets.n) {
        if (seen >= ASK_EVERY && eval_check(h->ev->q) != OK) break;
        if (seen >= ASK_EVERY) seen = 0;
        size_t n = classic_at(h, c, step, dense, b);
        if (!n || (taken && bits_get(taken, step))) continue;
        for (size_t k = 0; k < asked; k++)
            outcome_put(&o[k], step, classic_value(h, c, step, b, n, k));
    }
    arena_reset(a, m);
    return o;
}

/* A row of these labels came, or does not. After the last one the columns are free, unless what is
 * no classic bucket has a say. */
static errc classic_came(struct histograms *h, size_t at)
{
    struct classic *c = &h->all.at[at];
    assert(c->expected > 0);
    if (--c->expected || c->native || !c->buckets.n) return OK;
    c->made = classic_outcomes(h, at);
    for (size_t i = 0; i < c->buckets.n; i++)
        column_pool_give(&h->columns, bucket_row(h, c, i)->v);
    return eval_check(h->ev->q);
}

static struct outcome *native_outcomes(struct histograms *h, const struct native *x)
{
    size_t asked = h->ask->n;
    const struct row *r = &h->rows.all.at[x->row];
    struct outcome *o = outcomes_of(h, r->labels, asked);
    str metric = name_to_tell(h, r->labels);
    STEPS_EACH(step, h->ev->q, h->ev->g.n) {
        if (!row_has(r, step) || !row_histogram(r, step)) continue;
        if (x->classic != SIZE_MAX && classic_has_any(h, &h->all.at[x->classic], step)) {
            anno_mixed_classic_native(&h->ev->q->annotations, metric, h->pos);
            continue;
        }
        for (size_t k = 0; k < asked; k++)
            outcome_put(&o[k], step, native_value(h, r->hist[step], metric, step, k));
    }
    return o;
}

/* A quantile that changes from step to step gives a row for each of its values. */
static void outcome_push_by_value(struct histograms *h, struct row *r, const double *q, str label)
{
    struct eval *ev = h->ev;
    struct labels labels = r->labels;
    uint64_t *present = r->present,
             *only = arena_array(&ev->q->scratch, bits_words(ev->g.n), sizeof(*only));
    for (size_t i = 0; i < ev->g.n && eval_check(ev->q) == OK; i++) {
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++) seen = f64_bits(q[j]) == f64_bits(q[i]);
        if (seen) continue;
        char text[F64_TEXT_MAX];
        struct labels_builder lb;
        labels_builder_init(&lb, ev->q->arena);
        labels_builder_from(&lb, labels);
        labels_builder_set(
            &lb, label, arena_str(ev->q->arena, str_of(text, f64_text_openmetrics(text, q[i]))));
        r->labels = labels_builder_done(&lb);
        r->present = only;
        memset(only, 0, bits_words(ev->g.n) * sizeof(*only));
        BITS_EACH(j, present, ev->g.n)
            if (f64_bits(q[j]) == f64_bits(q[i])) bits_set(only, j);
        joiner_add(&h->out, r);
    }
}

static errc outcome_push(struct histograms *h, const struct outcome *o, size_t k)
{
    const struct question *ask = h->ask;
    struct query *q = h->ev->q;
    struct arena_mark m = arena_mark(&q->scratch);
    struct row r = { .labels = o->labels, .v = o->v, .present = o->present };
    row_drop_name(q, &r);
    if (ask->label) outcome_push_by_value(h, &r, ask->q[k], *ask->label);
    else joiner_add_staying(&h->out, &r);
    arena_reset(&q->scratch, m);
    return eval_check(q);
}

static errc histograms_compute(struct histograms *h)
{
    struct query *q = h->ev->q;
    size_t natives = h->natives.n, n = natives + h->order.n;
    struct outcome **made = arena_array(q->arena, n, sizeof(*made));
    histograms_pair(h);
    for (size_t i = 0; i < n; i++) {
        TRY(eval_check(q));
        size_t at = i < natives ? 0 : h->order.at[i - natives];
        if (i < natives) made[i] = native_outcomes(h, &h->natives.at[i]);
        else made[i] = h->all.at[at].made ? h->all.at[at].made : classic_outcomes(h, at);
    }
    arena_fini(&h->room);
    for (size_t k = 0; k < h->ask->n; k++)
        for (size_t i = 0; i < n; i++) TRY(outcome_push(h, &made[i][k], k));
    return OK;
}

static errc histograms_end(struct histograms *h, int64_t before, struct sink *out)
{
    const struct step_counts *in[] = { &h->in };
    histograms_note_mended(h);
    TRY(joiner_check(&h->out));
    TRY(samples_node_end(h->ev, before, in, 1, &h->out.counts));
    return joiner_push(&h->out, out);
}

/* What is asked is known before the rows come. It outlives them. */
static void histograms_ask(struct histograms *h, const struct question *ask)
{
    h->ask = ask;
    h->base.expect = histograms_expect;
    h->base.none = histograms_none;
}

static void quantile_check(struct eval *ev, const double *q, struct pos pos)
{
    double last = 0;
    for (size_t i = 0; i < ev->g.n; i++) {
        if (i && f64_bits(q[i]) == f64_bits(last)) continue;
        last = q[i];
        if (isnan(q[i]) || q[i] < 0 || q[i] > 1)
            anno_invalid_quantile(&ev->q->annotations, q[i], pos);
    }
}

errc eval_histogram_quantile(struct eval *ev, struct expr *x, struct sink *out)
{
    SCOPED(histograms_fini) struct histograms h;
    histograms_init(&h, ev, x->call.args.at[1]);
    int64_t before = ev->q->samples;
    const double *q;
    TRY(eval_column(ev, x->call.args.at[0], &q));
    struct question ask = { .q = &q, .n = 1 };
    histograms_ask(&h, &ask);
    h.in.dense++;
    TRY(eval_expr(ev, x->call.args.at[1], &h.base));
    quantile_check(ev, q, x->call.args.at[0]->pos);
    TRY(histograms_compute(&h));
    return histograms_end(&h, before, out);
}

errc eval_histogram_fraction(struct eval *ev, struct expr *x, struct sink *out)
{
    SCOPED(histograms_fini) struct histograms h;
    histograms_init(&h, ev, x->call.args.at[2]);
    int64_t before = ev->q->samples;
    struct fraction f;
    TRY(eval_column(ev, x->call.args.at[0], &f.lower));
    TRY(eval_column(ev, x->call.args.at[1], &f.upper));
    struct question ask = { .f = &f, .n = 1 };
    histograms_ask(&h, &ask);
    h.in.dense += 2;
    TRY(eval_expr(ev, x->call.args.at[2], &h.base));
    TRY(histograms_compute(&h));
    return histograms_end(&h, before, out);
}

errc eval_histogram_quantiles(struct eval *ev, struct expr *x, struct sink *out)
{
    SCOPED(histograms_fini) struct histograms h;
    histograms_init(&h, ev, x->call.args.at[0]);
    int64_t before = ev->q->samples;
    TRY(eval_expr(ev, x->call.args.at[0], &h.base));
    struct question ask = { .label = &x->call.args.at[1]->string };
    ask.q = arena_array(ev->q->arena, x->call.args.n, sizeof(*ask.q));
    for (size_t i = 2; i < x->call.args.n; i++) {
        TRY(eval_column(ev, x->call.args.at[i], &ask.q[ask.n]));
        h.in.dense++;
        quantile_check(ev, ask.q[ask.n++], x->call.args.at[i]->pos);
    }
    h.ask = &ask;
    TRY(histograms_compute(&h));
    return histograms_end(&h, before, out);
}
