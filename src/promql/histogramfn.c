/* histogram_quantile, histogram_quantiles, histogram_fraction. Of floats, the rows that differ in
 * `le` alone are the buckets of one classic histogram; a native histogram is a sample by itself.
 * The rows are kept; at each step those that have a value there are looked at. Where a classic and
 * a native histogram of the same labels meet, neither counts. */
#include "promql/aggregate.h"
#include "promql/eval.h"
#include "promql/quantile.h"

#include <math.h>

static const str bucket_label = { (const uint8_t *)"le", 2 };

struct bucket_row { double upper; size_t row; };
struct classic { struct labels labels; VEC(struct bucket_row) buckets; };    /* without le */
/* classic: of the same labels; SIZE_MAX: none */
struct native { size_t row, classic; };
/* at: how many at each step */
struct mended { str metric; struct monotonicity all; uint32_t *at; };
struct outcome { struct labels labels; double *v; uint64_t *present; };

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
    bool stay;                             /* the rows that come need no copies */
    struct label_set set;
    VEC(struct classic) all;
    VEC(struct native) natives;
    struct step_counts in;
    struct joiner out;
    struct bucket *room;
    VEC(struct mended) mended;             /* by metric */
    /* additions to the annotations before the arguments were evaluated */
    uint64_t notes_before;
};

static errc histograms_row(struct sink *base, struct row *r);

static void histograms_init(struct histograms *h, struct eval *ev, const struct expr *vector)
{
    struct arena *a = ev->q->arena;
    *h = (struct histograms){ .base = { histograms_row },
        .ev = ev,
        .pos = vector->pos,
        .stay = aggregate_rows_stay(vector),
        .notes_before = ev->q->annotations.additions };
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
    vec_fini(&h->natives);
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

static void histograms_add_bucket(struct histograms *h, struct row *r, double upper)
{
    struct query *q = h->ev->q;
    struct arena_mark m = arena_mark(&q->scratch);
    bool fresh;
    struct labels key = labels_without(&q->scratch, r->labels, &bucket_label, 1);
    size_t at = label_set_add(&h->set, key, &fresh);
    if (fresh) {
        struct label *pairs = arena_array(q->arena, key.n, sizeof(*pairs));
        if (key.n) memcpy(pairs, key.at, key.n * sizeof(*pairs));
        vec_push(&h->all, ((struct classic){ .labels = { pairs, key.n } }));
    }
    q->entangled |= classic_has(&h->all.at[at], upper);
    vec_push(&h->all.at[at].buckets, ((struct bucket_row){ upper, h->rows.all.n }));
    arena_reset(&q->scratch, m);
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
    if (!bucket && !natives) return OK;
    if (bucket) histograms_add_bucket(h, r, upper);
    if (natives) vec_push(&h->natives, ((struct native){ h->rows.all.n, SIZE_MAX }));
    if (h->stay) rows_keep(&h->rows, r);
    else rows_copy(&h->rows, r);
    return OK;
}

/* Which classic histogram has the labels of a native one. */
static void histograms_pair(struct histograms *h)
{
    for (size_t i = 0; i < h->natives.n; i++)
        for (size_t k = 0; k < h->all.n; k++)
            if (labels_eq(h->all.at[k].labels, h->rows.all.at[h->natives.at[i].row].labels))
                h->natives.at[i].classic = k;
}

/* The buckets of one histogram at a step, in h->room. */
static size_t histograms_at(struct histograms *h, const struct classic *c, size_t step)
{
    size_t n = 0;
    for (size_t i = 0; i < c->buckets.n; i++) {
        const struct row *r = &h->rows.all.at[c->buckets.at[i].row];
        if (!row_has(r, step) || (r->hist && r->hist[step])) continue;
        h->room[n++] = (struct bucket){ c->buckets.at[i].upper, r->v[step] };
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
        for (size_t k = 0; k < h->ev->g.n; k++) {
            own += x->at[k];
            sum += own;
            if (known && !below) own *= 2;
            known |= x->at[k] > 0;
        }
        x->all.count = below ? sum : own;
        anno_forced_monotonicity(an, x->metric, h->pos, &x->all);
    }
}

static double classic_value(struct histograms *h, const struct classic *c, size_t step, size_t n,
    const struct question *ask, size_t k)
{
    if (ask->f) return bucket_fraction(ask->f->lower[step], ask->f->upper[step], h->room, n);
    struct bucket_fix fix;
    double v = bucket_quantile(ask->q[k][step], h->room, n, &fix);
    if (fix.forced) {
        int64_t t = grid_time(&h->ev->g, step);
        struct mended *x = histograms_mended(h, name_to_tell(h, c->labels));
        monotonicity_merge(&x->all,
            &(struct monotonicity){ t, t, fix.min_bucket, fix.max_bucket, fix.max_diff, 1 });
        x->at[step]++;
    }
    return v;
}

static double native_value(struct histograms *h, const struct histogram *x, str metric, size_t step,
    const struct question *ask, size_t k)
{
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

/* The buckets' order and sums are left as one quantile made them for the next one, as in the
 * reference. */
static struct outcome *classic_outcomes(struct histograms *h, size_t i, const struct question *ask)
{
    const struct classic *c = &h->all.at[i];
    struct outcome *o = outcomes_of(h, c->labels, ask->n);
    for (size_t step = 0; step < h->ev->g.n; step++) {
        size_t n = histograms_at(h, c, step);
        bool taken = false;
        for (size_t k = 0; k < h->natives.n; k++)
            if (h->natives.at[k].classic == i) {
                const struct row *r = &h->rows.all.at[h->natives.at[k].row];
                taken |= row_has(r, step) && row_histogram(r, step);
            }
        for (size_t k = 0; n && !taken && k < ask->n; k++)
            outcome_put(&o[k], step, classic_value(h, c, step, n, ask, k));
    }
    return o;
}

static struct outcome *native_outcomes(
    struct histograms *h, const struct native *x, const struct question *ask)
{
    const struct row *r = &h->rows.all.at[x->row];
    struct outcome *o = outcomes_of(h, r->labels, ask->n);
    str metric = name_to_tell(h, r->labels);
    BITS_EACH(step, r->present, h->ev->g.n) {
        if (!row_histogram(r, step)) continue;
        if (x->classic != SIZE_MAX && histograms_at(h, &h->all.at[x->classic], step)) {
            anno_mixed_classic_native(&h->ev->q->annotations, metric, h->pos);
            continue;
        }
        for (size_t k = 0; k < ask->n; k++)
            outcome_put(&o[k], step, native_value(h, r->hist[step], metric, step, ask, k));
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
    for (size_t i = 0; i < ev->g.n; i++) {
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

static errc outcome_push(
    struct histograms *h, const struct outcome *o, const struct question *ask, size_t k)
{
    struct query *q = h->ev->q;
    struct arena_mark m = arena_mark(&q->scratch);
    struct row r = { .labels = o->labels, .v = o->v, .present = o->present };
    row_drop_name(q, &r);
    if (ask->label) outcome_push_by_value(h, &r, ask->q[k], *ask->label);
    else joiner_add(&h->out, &r);
    arena_reset(&q->scratch, m);
    return eval_check(q);
}

static errc histograms_compute(struct histograms *h, const struct question *ask)
{
    struct query *q = h->ev->q;
    size_t n = h->natives.n + h->all.n;
    struct outcome **made = arena_array(q->arena, n, sizeof(*made));
    h->room = arena_array(q->arena, h->rows.all.n, sizeof(*h->room));
    histograms_pair(h);
    for (size_t i = 0; i < n; i++) {
        TRY(eval_check(q));
        made[i] = i < h->natives.n ? native_outcomes(h, &h->natives.at[i], ask)
                                   : classic_outcomes(h, i - h->natives.n, ask);
    }
    for (size_t k = 0; k < ask->n; k++)
        for (size_t i = 0; i < n; i++) TRY(outcome_push(h, &made[i][k], ask, k));
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
    h.in.dense++;
    TRY(eval_expr(ev, x->call.args.at[1], &h.base));
    quantile_check(ev, q, x->call.args.at[0]->pos);
    TRY(histograms_compute(&h, &(struct question){ .q = &q, .n = 1 }));
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
    h.in.dense += 2;
    TRY(eval_expr(ev, x->call.args.at[2], &h.base));
    TRY(histograms_compute(&h, &(struct question){ .f = &f, .n = 1 }));
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
    TRY(histograms_compute(&h, &ask));
    return histograms_end(&h, before, out);
}
