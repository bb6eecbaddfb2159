/* info(v, selector): labels of info metrics (target_info) are put beside those of the rows that
 * share their `instance` and `job`.
 *
 * The rows of v are kept; their identifying values make the matchers with which the info series are
 * selected. At each step the newest sample of each info metric and identity counts; what labels a
 * row gets can thus change from step to step, and with them the row. */
#include "promql/eval.h"
#include "promql/select.h"

#include <stdlib.h>

enum { INFO_IDS = 2 };
static const str info_ids[INFO_IDS] = { { (const uint8_t *)"instance", 8 },
    { (const uint8_t *)"job", 3 } };

typedef VEC(struct matcher) matcher_list;

struct info {
    struct eval *ev;
    struct rows_sink base, info;           /* info: the values are the samples' own times in ms */
    matcher_list names, data;              /* of the selector: on __name__, and the others */
    matcher_list made;                     /* matchers of our own, whose regexes are ours to free */
    bool *ignored;                         /* base rows that are info metrics themselves */
    struct label_set sigs;                 /* (name, instance, job) */
    size_t *sig;                           /* of info rows */
    VEC(str) metrics;                      /* names of info metrics, in order of appearance */
    /* [row * metrics.n + metric]; SIZE_MAX: no such identity among the info rows */
    size_t *base_sig;
    const struct row **newest;             /* by signature, at the step at hand */
    struct rows out;
    struct label_set out_set;
    struct step_counts out_counts;
};

static errc info_make_matcher(struct info *f, enum match_type type, str name, str value)
{
    struct matcher m;
    TRY(matcher_init(&m, f->ev->q->arena, type, name, value, f->ev->q->e));
    vec_push(&f->made, m);
    return OK;
}

/* A selector that says no name positively means the usual ones. */
static errc info_name_matchers(struct info *f)
{
    bool positive = false;
    for (size_t i = 0; i < f->names.n; i++)
        positive |= f->names.at[i].type == MATCH_EQ || f->names.at[i].type == MATCH_RE;
    if (positive) return OK;
    if (f->names.n) TRY(info_make_matcher(f, MATCH_RE, METRIC_NAME, S(".+_info")));
    else TRY(info_make_matcher(f, MATCH_EQ, METRIC_NAME, S("target_info")));
    vec_push(&f->names, vec_last(&f->made));
    return OK;
}

static void info_ignore(struct info *f)
{
    size_t n = f->base.rows.all.n;
    f->ignored = arena_zalloc(f->ev->q->arena, n);
    for (size_t i = 0; i < n; i++) {
        str name = labels_get(f->base.rows.all.at[i].labels, METRIC_NAME);
        f->ignored[i] = true;
        for (size_t k = 0; k < f->names.n; k++)
            f->ignored[i] &= matcher_matches(&f->names.at[k], name);
    }
}

/* Where the first selector of v looks in time: the info series are looked up there too. */
struct info_time { const int64_t *at; int64_t offset_ms; bool found; };

/* The subqueries around an expression, the innermost first. */
struct around { const struct expr *subquery; const struct around *outer; };

/* Offsets add up from the selector outward, until a time is given. */
static struct info_time info_time_of(const struct expr *vs, const struct around *in)
{
    struct info_time t = { vs->vector.at.timestamp_ms,
        ns_to_ms(vs->vector.at.original_offset_ns), true };
    for (; in && !t.at; in = in->outer) {
        t.offset_ms += ns_to_ms(in->subquery->subquery.at.original_offset_ns);
        t.at = in->subquery->subquery.at.timestamp_ms;
    }
    return t;
}

static void info_find_time(const struct expr *x, const struct around *in, struct info_time *t)
{
    if (t->found || !x) return;
    switch (x->kind) {
    case EXPR_VECTOR: *t = info_time_of(x, in); return;
    case EXPR_MATRIX: info_find_time(x->matrix.selector, in, t); return;
    case EXPR_SUBQUERY: info_find_time(x->subquery.expr, &(struct around){ x, in }, t); return;
    case EXPR_AGGREGATE:
        info_find_time(x->aggregate.expr, in, t);
        info_find_time(x->aggregate.param, in, t);
        return;
    case EXPR_BINARY:
        info_find_time(x->binary.lhs, in, t);
        info_find_time(x->binary.rhs, in, t);
        return;
    case EXPR_CALL:
        for (size_t i = 0; i < x->call.args.n; i++) info_find_time(x->call.args.at[i], in, t);
        return;
    case EXPR_PAREN: case EXPR_STEP_INVARIANT: info_find_time(x->paren.expr, in, t); return;
    case EXPR_UNARY: info_find_time(x->unary.expr, in, t); return;
    case EXPR_NUMBER: case EXPR_STRING: case EXPR_DURATION: return;
    }
}

static void buf_regex_quote(struct buf *b, str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (str_index(S("\\.+*?()|[]{}^$"), s.p[i]) != SIZE_MAX) buf_u8(b, '\\');
        buf_u8(b, s.p[i]);
    }
}

/* An alternation of the values that the base rows have for an identifying label. *any: is there
 * one? */
static errc info_id_matcher(struct info *f, str name, bool *any)
{
    struct buf b = { 0 };
    struct label_set seen;
    label_set_init(&seen, f->ev->q->arena);
    for (size_t i = 0; i < f->base.rows.all.n; i++) {
        str v = labels_get(f->base.rows.all.at[i].labels, name);
        bool fresh;
        if (f->ignored[i] || !v.n) continue;
        label_set_add(&seen, (struct labels){ &(struct label){ name, v }, 1 }, &fresh);
        if (!fresh) continue;
        if (seen.n > 1) buf_u8(&b, '|');
        buf_regex_quote(&b, v);
    }
    errc rc = seen.n ? info_make_matcher(f, MATCH_RE, name, buf_view(&b)) : OK;
    *any |= seen.n > 0;
    label_set_fini(&seen);
    buf_fini(&b);
    return rc;
}

static errc info_read_series(struct info *f, struct matchers ms, const struct info_time *t)
{
    struct eval *ev = f->ev;
    struct query *q = ev->q;
    int64_t at = t->at ? *t->at - t->offset_ms : 0;
    struct select_hints hints = { .step = ev->g.interval, .func = S("info") };
    hints.start = (t->at ? at : ev->g.start - t->offset_ms) - (q->lookback_ms - 1);
    hints.end = t->at ? at : ev->g.end - t->offset_ms;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    TRY(q->querier->ops->select(q->querier, ms, &hints, &set, q->e));
    struct selection sel = { 0 };
    TRY(series_set_expand(q, set, &sel));
    SCOPED(reader_fini) struct reader r;
    reader_init(&r, q);
    struct arena_mark m = arena_mark(&q->scratch);
    for (size_t i = 0; i < sel.n; i++) {
        struct row row;
        TRY(eval_check(q));
        TRY(select_instants(
            ev, &r, sel.at[i], t->offset_ms, t->at ? &at : NULL, INSTANT_TIME_MS, &row));
        TRY(samples_check(q, q->samples));
        if (bits_next(row.present, 0, ev->g.n) < ev->g.n) TRY(sink_row(&f->info.base, &row));
        arena_reset(&q->scratch, m);
    }
    samples_peak(ev, q->samples);
    return OK;
}

static errc info_select(struct info *f, const struct info_time *t)
{
    matcher_list ms = { 0 };
    bool any = false;
    size_t from = f->made.n;
    errc rc = OK;
    for (int i = 0; i < INFO_IDS && rc == OK; i++) rc = info_id_matcher(f, info_ids[i], &any);
    for (size_t i = from; i < f->made.n; i++) vec_push(&ms, f->made.at[i]);
    for (size_t i = 0; i < f->data.n; i++) vec_push(&ms, f->data.at[i]);
    for (size_t i = 0; i < f->names.n; i++) vec_push(&ms, f->names.at[i]);
    if (rc == OK && any) rc = info_read_series(f, (struct matchers){ ms.at, ms.n }, t);
    vec_fini(&ms);
    return rc;
}

/* Identities */

static struct labels info_signature(struct info *f, struct labels l, str metric)
{
    struct label *at = arena_array(&f->ev->q->scratch, INFO_IDS + 1, sizeof(*at));
    size_t n = 0;
    at[n++] = (struct label){ METRIC_NAME, metric };
    for (int i = 0; i < INFO_IDS; i++) {
        str v = labels_get(l, info_ids[i]);
        if (v.n) at[n++] = (struct label){ info_ids[i], v };
    }
    return (struct labels){ at, n };
}

static void info_identify(struct info *f)
{
    struct arena *a = f->ev->q->arena, *scratch = &f->ev->q->scratch;
    struct arena_mark m = arena_mark(scratch);
    bool fresh;
    f->sig = arena_array(a, f->info.rows.all.n, sizeof(*f->sig));
    for (size_t i = 0; i < f->info.rows.all.n; i++) {
        struct labels l = f->info.rows.all.at[i].labels;
        str name = labels_get(l, METRIC_NAME);
        bool known = false;
        for (size_t k = 0; k < f->metrics.n; k++) known |= str_eq(f->metrics.at[k], name);
        if (!known) vec_push(&f->metrics, name);
        f->sig[i] = label_set_add(&f->sigs, info_signature(f, l, name), &fresh);
    }
    size_t n_sigs = f->sigs.n, n = f->base.rows.all.n;
    f->base_sig = arena_array(a, n * f->metrics.n, sizeof(*f->base_sig));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < f->metrics.n; k++) {
            size_t sig = label_set_add(&f->sigs,
                info_signature(f, f->base.rows.all.at[i].labels, f->metrics.at[k]), &fresh);
            f->base_sig[i * f->metrics.n + k] = sig < n_sigs ? sig : SIZE_MAX;
        }
    f->newest = arena_array(a, n_sigs, sizeof(*f->newest));
    arena_reset(scratch, m);
}

/* A step */

static errc info_fail_duplicate(
    struct info *f, const struct row *old, const struct row *new, size_t step)
{
    struct buf a = { 0 }, b = { 0 };
    buf_labels(&a, old->labels);
    buf_labels(&b, new->labels);
    errc rc = eval_fail(f->ev->q,
        "found duplicate series for info metric: existing %.*s @ %" PRId64 ", new %.*s @ %" PRId64,
        STR_ARG(buf_view(&a)), (int64_t)old->v[step], STR_ARG(buf_view(&b)),
        (int64_t) new->v[step]);
    buf_fini(&a);
    buf_fini(&b);
    return rc;
}

static errc info_find_newest(struct info *f, size_t step)
{
    for (size_t i = 0; i < f->info.rows.all.n; i++) f->newest[f->sig[i]] = NULL;
    for (size_t i = 0; i < f->info.rows.all.n; i++) {
        const struct row *r = &f->info.rows.all.at[i], **at = &f->newest[f->sig[i]];
        if (!row_has(r, step)) continue;
        if (*at && (*at)->v[step] == r->v[step]) return info_fail_duplicate(f, *at, r, step);
        if (!*at || (*at)->v[step] < r->v[step]) *at = r;
    }
    return OK;
}

static bool info_wants_label(const struct info *f, str name)
{
    if (str_eq(name, METRIC_NAME)) return false;
    for (size_t i = 0; i < f->data.n; i++)
        if (str_eq(f->data.at[i].name, name)) return true;
    return f->data.n == 0;
}

static bool info_data_may_be_absent(const struct info *f)
{
    for (size_t i = 0; i < f->data.n; i++)
        if (!matcher_matches_empty(&f->data.at[i])) return false;
    return true;
}

/* The base row's labels with those of its info rows. *keep: false if the row has none and needs
 * some. */
static errc info_labels(struct info *f, size_t base, struct labels *out, bool *keep)
{
    struct labels own = f->base.rows.all.at[base].labels;
    struct labels_builder lb;
    bool found = false;
    labels_builder_init(&lb, &f->ev->q->scratch);
    for (size_t k = 0; k < f->metrics.n; k++) {
        size_t sig = f->base_sig[base * f->metrics.n + k];
        if (sig == SIZE_MAX || !f->newest[sig]) continue;
        struct labels l = f->newest[sig]->labels;
        for (size_t i = 0; i < l.n; i++) {
            if (!info_wants_label(f, l.at[i].name)) continue;
            str had = labels_builder_get(&lb, l.at[i].name);
            if (had.n && !str_eq(had, l.at[i].value))
                return eval_fail(f->ev->q, "conflicting label: %.*s", STR_ARG(l.at[i].name));
            if (!labels_has(own, l.at[i].name))
                labels_builder_set(&lb, l.at[i].name, l.at[i].value);
        }
        found = true;
    }
    *keep = found || info_data_may_be_absent(f);
    if (!*keep) return OK;
    struct labels extra = labels_builder_done(&lb);
    labels_builder_from(&lb, own);
    for (size_t i = 0; i < extra.n; i++)
        labels_builder_set(&lb, extra.at[i].name, extra.at[i].value);
    *out = labels_builder_done(&lb);
    return OK;
}

static errc info_put(struct info *f, const struct row *base, struct labels l, size_t step)
{
    bool fresh;
    size_t at = label_set_add(&f->out_set, l, &fresh);
    if (fresh) rows_add(&f->out, l, base->drop_name);
    struct row *r = &f->out.all.at[at];
    if (bits_get(r->present, step)) return eval_fail_same_labels(f->ev->q);
    bits_set(r->present, step);
    r->v[step] = base->v[step];
    if (base->hist && base->hist[step]) {
        if (!r->hist) r->hist = arena_zalloc(f->ev->q->arena, f->ev->g.n * sizeof(*r->hist));
        r->hist[step] = base->hist[step];
    }
    return OK;
}

static errc info_step(struct info *f, size_t step)
{
    struct arena *scratch = &f->ev->q->scratch;
    bool any = false;
    for (size_t i = 0; i < f->base.rows.all.n && !any; i++)
        any = row_has(&f->base.rows.all.at[i], step);
    if (!any) return OK;
    TRY(eval_check(f->ev->q));
    TRY(info_find_newest(f, step));
    for (size_t i = 0; i < f->base.rows.all.n; i++) {
        const struct row *b = &f->base.rows.all.at[i];
        if (!row_has(b, step)) continue;
        struct arena_mark m = arena_mark(scratch);
        struct labels l = b->labels;
        bool keep = true;
        if (!f->ignored[i]) TRY(info_labels(f, i, &l, &keep));
        if (keep) TRY(info_put(f, b, l, step));
        arena_reset(scratch, m);
    }
    return OK;
}

static void info_init(struct info *f, struct eval *ev)
{
    struct arena *a = ev->q->arena;
    *f = (struct info){ .ev = ev };
    rows_sink_init(&f->base, a, ev->g.n);
    rows_sink_init(&f->info, a, ev->g.n);
    rows_init(&f->out, a, ev->g.n);
    label_set_init(&f->sigs, a);
    label_set_init(&f->out_set, a);
    step_counts_init(&f->out_counts, a, ev->g.n);
}

static void info_fini(struct info *f)
{
    rows_fini(&f->base.rows);
    rows_fini(&f->info.rows);
    rows_fini(&f->out);
    label_set_fini(&f->sigs);
    label_set_fini(&f->out_set);
    for (size_t i = 0; i < f->made.n; i++) matcher_fini(&f->made.at[i]);
    vec_fini(&f->names);
    vec_fini(&f->data);
    vec_fini(&f->made);
    vec_fini(&f->metrics);
}

errc eval_info(struct eval *ev, struct expr *x, struct sink *out)
{
    SCOPED(info_fini) struct info f;
    info_init(&f, ev);
    TRY(eval_expr(ev, x->call.args.at[0], &f.base.base));
    if (x->call.args.n > 1) {
        struct matchers ms = x->call.args.at[1]->vector.matchers;
        for (size_t i = 0; i < ms.n; i++) {
            if (str_eq(ms.at[i].name, METRIC_NAME)) vec_push(&f.names, ms.at[i]);
            else vec_push(&f.data, ms.at[i]);
        }
    }
    TRY(info_name_matchers(&f));
    info_ignore(&f);
    struct info_time t = { 0 };
    info_find_time(x->call.args.at[0], NULL, &t);
    TRY(info_select(&f, &t));
    info_identify(&f);
    for (size_t step = 0; step < ev->g.n; step++) TRY(info_step(&f, step));
    for (size_t i = 0; i < f.out.all.n; i++) step_counts_add_made(&f.out_counts, &f.out.all.at[i]);
    const struct step_counts *in[] = { &f.base.counts, &f.info.counts };
    /* what went in is counted on, as long as the query lasts: Prometheus never takes it back */
    TRY(samples_node_end(ev, ev->q->samples, in, 2, &f.out_counts));
    return rows_push(ev, &f.out, out);
}
