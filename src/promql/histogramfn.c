/* histogram_quantile, histogram_quantiles, histogram_fraction over classic histograms: rows that differ in `le` alone are the buckets of
 * one histogram. The rows are kept; at each step those that have a value there are put together. */
#include "promql/eval.h"
#include "promql/quantile.h"

#include <math.h>

static const str bucket_label = { (const uint8_t *)"le", 2 };

struct bucket_row { double upper; size_t row; };
struct classic { struct labels labels; VEC(struct bucket_row) buckets; };    /* without le */
struct mended { str metric; struct monotonicity all; uint32_t *at; };        /* at: how many at each step */

struct histograms {
    struct sink base;
    struct eval *ev;
    struct pos pos;                        /* of the vector argument */
    struct rows rows;
    struct label_set set;
    VEC(struct classic) all;
    struct step_counts in;
    struct joiner out;
    struct bucket *room;
    VEC(struct mended) mended;             /* by metric */
    uint64_t notes_before;                 /* additions to the annotations before the arguments were evaluated */
};

static errc histograms_row(struct sink *base, struct row *r);

static void histograms_init(struct histograms *h, struct eval *ev, struct pos pos)
{
    struct arena *a = ev->q->arena;
    *h = (struct histograms){ .base = { histograms_row }, .ev = ev, .pos = pos, .notes_before = ev->q->annotations.additions };
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
    vec_fini(&h->mended);
    joiner_fini(&h->out);
}

/* In a default query names are dropped at once, so the words of an annotation name no metric. */
static str name_to_tell(const struct histograms *h, struct labels l) { return h->ev->q->delayed_names ? labels_get(l, METRIC_NAME) : STR_EMPTY; }

static errc histograms_row(struct sink *base, struct row *r)
{
    struct histograms *h = CONTAINER_OF(base, struct histograms, base);
    struct query *q = h->ev->q;
    double upper;
    step_counts_add(&h->in, r);
    str le = labels_get(r->labels, bucket_label);
    bool floats = !r->hist;
    if (r->hist) BITS_EACH(i, r->present, h->ev->g.n) floats |= !r->hist[i];
    if (!floats) return OK;
    if (!f64_parse(le, &upper)) {
        anno_bad_bucket_label(&q->annotations, name_to_tell(h, r->labels), le, h->pos);
        return OK;
    }
    struct arena_mark m = arena_mark(&q->scratch);
    bool fresh;
    struct labels key = labels_without(&q->scratch, r->labels, &bucket_label, 1);
    size_t at = label_set_add(&h->set, key, &fresh);
    if (fresh) {
        struct label *pairs = arena_array(q->arena, key.n, sizeof(*pairs));
        if (key.n) memcpy(pairs, key.at, key.n * sizeof(*pairs));
        vec_push(&h->all, ((struct classic){ .labels = { pairs, key.n } }));
    }
    vec_push(&h->all.at[at].buckets, ((struct bucket_row){ upper, h->rows.all.n }));
    rows_copy(&h->rows, r);
    arena_reset(&q->scratch, m);
    return OK;
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

struct fraction { const double *lower, *upper; };

static struct mended *histograms_mended(struct histograms *h, str metric)
{
    for (size_t i = 0; i < h->mended.n; i++)
        if (str_eq(h->mended.at[i].metric, metric)) return &h->mended.at[i];
    struct mended x = { .metric = metric, .at = arena_zalloc(h->ev->q->arena, h->ev->g.n * sizeof(*x.at)) };
    vec_push(&h->mended, x);
    return &vec_last(&h->mended);
}

/* How many samples Prometheus counts. Its call keeps its notes and hands all of them out again at each step, where they are added to those
 * of the steps before: the same object, once it is there, so that the sum doubles; or, when the argument brought a note of the same
 * words, that one grows by all so far. The numbers wrap, as its do. */
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

static double histograms_value(struct histograms *h, const struct classic *c, size_t step, size_t n, const double *q, const struct fraction *f)
{
    if (f) return bucket_fraction(f->lower[step], f->upper[step], h->room, n);
    struct bucket_fix fix;
    double v = bucket_quantile(q[step], h->room, n, &fix);
    if (fix.forced) {
        int64_t t = grid_time(&h->ev->g, step);
        struct mended *x = histograms_mended(h, name_to_tell(h, c->labels));
        monotonicity_merge(&x->all, &(struct monotonicity){ t, t, fix.min_bucket, fix.max_bucket, fix.max_diff, 1 });
        x->at[step]++;
    }
    return v;
}

/* One output row a histogram; label: what the row is given to tell its quantile, or empty. */
static errc histograms_compute(struct histograms *h, const double *q, const struct fraction *f, str label, str value)
{
    struct query *qu = h->ev->q;
    size_t n = h->ev->g.n;
    struct arena_mark m = arena_mark(&qu->scratch);
    h->room = arena_array(&qu->scratch, h->rows.all.n, sizeof(*h->room));
    for (size_t i = 0; i < h->all.n; i++) {
        TRY(eval_check(qu));
        struct arena_mark one = arena_mark(&qu->scratch);
        struct row r = { .labels = h->all.at[i].labels };
        row_drop_name(qu, &r);
        if (label.n) {
            struct labels_builder lb;
            labels_builder_init(&lb, qu->arena);
            labels_builder_from(&lb, r.labels);
            labels_builder_set(&lb, label, value);
            r.labels = labels_builder_done(&lb);
        }
        r.v = arena_array(&qu->scratch, n, sizeof(double));
        r.present = arena_zalloc(&qu->scratch, bits_words(n) * sizeof(uint64_t));
        for (size_t step = 0; step < n; step++) {
            size_t k = histograms_at(h, &h->all.at[i], step);
            if (!k) continue;
            r.v[step] = histograms_value(h, &h->all.at[i], step, k, q, f);
            bits_set(r.present, step);
        }
        joiner_add(&h->out, &r);
        arena_reset(&qu->scratch, one);
    }
    arena_reset(&qu->scratch, m);
    return OK;
}

static errc histograms_end(struct histograms *h, uint64_t before, struct sink *out)
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
        if (isnan(q[i]) || q[i] < 0 || q[i] > 1) anno_invalid_quantile(&ev->q->annotations, q[i], pos);
    }
}

errc eval_histogram_quantile(struct eval *ev, struct expr *x, struct sink *out)
{
    SCOPED(histograms_fini) struct histograms h;
    histograms_init(&h, ev, x->call.args.at[1]->pos);
    uint64_t before = ev->q->samples;
    const double *q;
    TRY(eval_column(ev, x->call.args.at[0], &q));
    h.in.dense++;
    TRY(eval_expr(ev, x->call.args.at[1], &h.base));
    quantile_check(ev, q, x->call.args.at[0]->pos);
    TRY(histograms_compute(&h, q, NULL, STR_EMPTY, STR_EMPTY));
    return histograms_end(&h, before, out);
}

errc eval_histogram_fraction(struct eval *ev, struct expr *x, struct sink *out)
{
    SCOPED(histograms_fini) struct histograms h;
    histograms_init(&h, ev, x->call.args.at[2]->pos);
    uint64_t before = ev->q->samples;
    struct fraction f;
    TRY(eval_column(ev, x->call.args.at[0], &f.lower));
    TRY(eval_column(ev, x->call.args.at[1], &f.upper));
    h.in.dense += 2;
    TRY(eval_expr(ev, x->call.args.at[2], &h.base));
    TRY(histograms_compute(&h, NULL, &f, STR_EMPTY, STR_EMPTY));
    return histograms_end(&h, before, out);
}

/* A quantile that changes from step to step gives a row for each of its values. */
static errc quantiles_of(struct histograms *h, const double *q, str label)
{
    struct eval *ev = h->ev;
    double *only = arena_array(ev->q->arena, ev->g.n, sizeof(*only));
    for (size_t i = 0; i < ev->g.n; i++) {
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++) seen = f64_bits(q[j]) == f64_bits(q[i]);
        if (seen) continue;
        char text[F64_TEXT_MAX];
        str value = arena_str(ev->q->arena, str_of(text, f64_text_openmetrics(text, q[i])));
        size_t from = h->out.rows.all.n;
        for (size_t j = 0; j < ev->g.n; j++) only[j] = q[i];
        TRY(histograms_compute(h, only, NULL, label, value));
        for (size_t k = from; k < h->out.rows.all.n; k++) {
            struct row *r = &h->out.rows.all.at[k];
            for (size_t j = 0; r->present && j < ev->g.n; j++)
                if (f64_bits(q[j]) != f64_bits(q[i])) bits_clear(r->present, j);
        }
    }
    return OK;
}

errc eval_histogram_quantiles(struct eval *ev, struct expr *x, struct sink *out)
{
    SCOPED(histograms_fini) struct histograms h;
    histograms_init(&h, ev, x->call.args.at[0]->pos);
    uint64_t before = ev->q->samples;
    TRY(eval_expr(ev, x->call.args.at[0], &h.base));
    str label = x->call.args.at[1]->string;
    for (size_t i = 2; i < x->call.args.n; i++) {
        const double *q;
        TRY(eval_column(ev, x->call.args.at[i], &q));
        h.in.dense++;
        quantile_check(ev, q, x->call.args.at[i]->pos);
        TRY(quantiles_of(&h, q, label));
    }
    return histograms_end(&h, before, out);
}
