/* script_run.c — runs a promqltest script.
 *
 * An instant eval is run as it stands, then as a range query around its time, then with its time
 * put in as @ at other times: each has to give what is expected. So one line of a script holds the
 * engine to its promises about steps and about @. */
#include "promql/script_run.h"

#include "promql/deep.h"
#include "promql/functions.h"

#include "promql/print.h"
#include "promql/script_nhcb.h"

enum { MINUTE_MS = 60000 };

struct run {
    const struct script *s;
    const struct script_storage *st;
    struct engine *en;
    const struct script_report *report;
};

struct engine_opts script_engine_opts(void)
{
    return (struct engine_opts){
        .parse = script_parse_opts,
        .lookback_ms = 5 * MINUTE_MS,
        .timeout_ms = 100000,
        .default_step_ms = MINUTE_MS,
        .max_samples = 10000,
        .max_concurrency = 20,
        .delayed_name_removal = true,
        .use_start_timestamps = true,
    };
}

/* --- load --- */

static errc load_series(
    struct appender *ap, const struct script_series *s, int64_t step_ms, struct err *e)
{
    series_handle h = 0;
    if (s->d.n) TRY(ap->ops->series(ap, s->d.labels, &h, e));
    for (size_t i = 0; i < s->d.n; i++) {
        const struct seq_value *v = &s->d.values[i];
        int64_t t = (int64_t)i * step_ms;
        int64_t st = s->st && !s->st[i].omitted ? t + s->st[i].offset_ms : 0;
        if (v->kind == SEQ_VALUE) TRY(ap->ops->append(ap, h, t, v->v, st, e));
        else if (v->kind == SEQ_HISTOGRAM) TRY(ap->ops->histogram(ap, h, t, st, NULL, v->h, e));
    }
    return OK;
}

errc script_load_into(const struct script_load *l, struct appendable *to, struct err *e)
{
    struct appender *ap;
    TRY(to->ops->begin(to, &ap, e));
    errc rc = OK;
    for (size_t i = 0; i < l->n && rc == OK; i++) rc = load_series(ap, &l->at[i], l->step_ms, e);
    if (rc == OK && l->nhcb) rc = script_nhcb_append(l, ap, e);
    if (rc == OK) return ap->ops->commit(ap, e);
    ap->ops->rollback(ap);
    return rc;
}

static errc run_load(struct run *r, const struct script_load *l, struct err *e)
{
    return script_load_into(l, r->st->appendable(r->st->ctx), e);
}

/* --- checks --- */

static errc check_failure(const struct script_eval *ev, str words, struct err *e)
{
    for (size_t i = 0; i < ev->n_texts; i++) {
        const struct script_text *t = &ev->texts[i];
        if (t->kind != EXPECT_FAIL || script_text_matches(t, words)) continue;
        return err_set(e, ERR_BAD_INPUT, "expected error matching \"%.*s\", but got: %.*s",
            STR_ARG(t->words), STR_ARG(words));
    }
    return OK;
}

/* Every expected text matches one, every one is matched by an expected text; nothing is expected:
 * nothing is checked. */
static errc check_texts(const struct script_eval *ev, enum script_expect kind, const char *name,
    const str *got, size_t n, struct err *e)
{
    size_t expected = 0;
    for (size_t i = 0; i < ev->n_texts; i++) {
        if (ev->texts[i].kind != kind) continue;
        expected++;
        size_t j = 0;
        while (j < n && !script_text_matches(&ev->texts[i], got[j])) j++;
        str first = n ? got[0] : STR_EMPTY;
        if (j == n)
            return err_set(e, ERR_BAD_INPUT,
                "expected %s annotation matching \"%.*s\" but there are %zu others, first: %.*s",
                name, STR_ARG(ev->texts[i].words), n, STR_ARG(first));
    }
    for (size_t j = 0; expected && j < n; j++) {
        size_t i = 0;
        while (i < ev->n_texts &&
               !(ev->texts[i].kind == kind && script_text_matches(&ev->texts[i], got[j])))
            i++;
        if (i == ev->n_texts)
            return err_set(
                e, ERR_BAD_INPUT, "unexpected %s annotation \"%.*s\"", name, STR_ARG(got[j]));
    }
    return OK;
}

static bool expects(const struct script_eval *ev, enum script_expect kind)
{
    for (size_t i = 0; i < ev->n_texts; i++)
        if (ev->texts[i].kind == kind) return true;
    return false;
}

static errc check_annotations(const struct script_eval *ev, const struct result *r, struct err *e)
{
    if (ev->any_warn && r->n_warnings == 0)
        return err_set(e, ERR_BAD_INPUT, "expected warnings but got none");
    if (ev->any_info && r->n_infos == 0)
        return err_set(e, ERR_BAD_INPUT, "expected info annotations but got none");
    TRY(check_texts(ev, EXPECT_WARN, "warn", r->warnings, r->n_warnings, e));
    TRY(check_texts(ev, EXPECT_INFO, "info", r->infos, r->n_infos, e));
    if (expects(ev, EXPECT_NO_WARN) && r->n_warnings)
        return err_set(
            e, ERR_BAD_INPUT, "unexpected warning annotations: %.*s", STR_ARG(r->warnings[0]));
    if (expects(ev, EXPECT_NO_INFO) && r->n_infos)
        return err_set(e, ERR_BAD_INPUT, "unexpected info annotations: %.*s", STR_ARG(r->infos[0]));
    return OK;
}

/* The outcome of one query; *failed: it failed, as expected. */
static errc check_outcome(const struct script_eval *ev, errc rc, const struct err *why,
    const struct result *res, bool *failed, struct err *e)
{
    *failed = rc != OK;
    if (rc != OK && ev->fail) return check_failure(ev, err_str(why), e);
    if (rc != OK) return err_set(e, rc, "error evaluating query: %s", why->msg);
    if (ev->fail) return err_set(e, ERR_BAD_INPUT, "expected error but got none");
    TRY(check_annotations(ev, res, e));
    return script_compare(ev, res, e);
}

/* --- instant queries and their variants --- */

/* The points at one time of a matrix, as a vector, or a scalar if that is what the instant query
 * gave. */
static void slice_at(struct result *m, int64_t t, enum value_type type)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_series; i++) {
        struct result_series s = m->series[i];
        for (size_t j = 0; j < s.n; j++) {
            if (s.t[j] != t) continue;
            s.t += j;
            s.v += j;
            if (s.h) s.h += j;
            s.n = 1;
            m->series[n++] = s;
            break;
        }
    }
    m->n_series = n;
    m->type = type;
}

static bool is_sorted(const struct result *m)
{
    for (size_t i = 1; i < m->n_series; i++)
        if (labels_cmp(m->series[i - 1].labels, m->series[i].labels) > 0) return false;
    return true;
}

static errc run_as_range(struct run *r, const struct script_eval *ev, str query, int64_t t,
    enum value_type type, struct err *e)
{
    struct query_opts o = {
        .query = query, .start_ms = t - MINUTE_MS, .end_ms = t + MINUTE_MS, .step_ms = MINUTE_MS
    };
    struct result res = { 0 };
    TRY_IN(e, engine_query(r->en, r->st->queryable(r->st->ctx), &o, &res, e), "in range mode");
    errc rc = OK;
    if (!ev->ordered) {
        bool sorted = is_sorted(&res);
        slice_at(&res, t, type);
        if (!sorted)
            rc = err_set(e, ERR_BAD_INPUT, "in range mode: the matrix is not sorted by labels");
        else if (type == VALUE_SCALAR && res.n_series == 0)
            rc = err_set(e, ERR_BAD_INPUT, "in range mode: no point at the step");
        else if ((rc = script_compare(ev, &res, e)) != OK) rc = err_in(e, rc, "in range mode");
    }
    promql_result_fini(&res);
    return rc;
}

/* Means something else in a range query. */
static bool has_context_call(str query)
{
    static const char *const calls[] = { "start()", "end()", "range()", "step()" };
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        if (str_find(query, str_z(calls[i])) != SIZE_MAX) return true;
    return false;
}

static errc run_instant(
    struct run *r, const struct script_eval *ev, str query, int64_t t, struct err *e)
{
    struct query_opts o = { .query = query, .start_ms = t, .end_ms = t, .instant = true };
    struct result res = { 0 };
    struct err why = { 0 };
    bool failed = false;
    errc query_rc = engine_query(r->en, r->st->queryable(r->st->ctx), &o, &res, &why);
    errc rc = check_outcome(ev, query_rc, &why, &res, &failed, e);
    enum value_type type = res.type;
    if (query_rc == OK) promql_result_fini(&res);
    if (rc == OK && !failed && !ev->instant_only && !has_context_call(query))
        rc = run_as_range(r, ev, query, t, type, e);
    return rc == OK ? OK
                    : err_in(e, rc, "%.*s at %" PRId64 " ms", STR_ARG(str_slice(query, 0, 160)), t);
}

/* Functions whose result depends on when they are evaluated, whatever @ says. */
static bool depends_on_time(str name)
{
    static const char *const names[] = { "days_in_month", "day_of_month", "day_of_week",
        "day_of_year", "end", "hour", "minute", "month", "predict_linear", "range", "start", "step",
        "time", "timestamp", "year" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(name, str_z(names[i]))) return true;
    return false;
}

/* Puts @ t into what has none; below a subquery with @ nothing is touched. False: it calls what
 * depends on time. */
static bool put_at(struct expr *e, const int64_t *t)
{
    bool ok = true;
    if (e->kind == EXPR_VECTOR && !e->vector.at.timestamp_ms) e->vector.at.timestamp_ms = t;
    if (e->kind == EXPR_SUBQUERY) {
        if (!e->subquery.at.timestamp_ms) e->subquery.at.timestamp_ms = t;
        return true;
    }
    if (e->kind == EXPR_CALL) ok = !depends_on_time(str_z(e->call.func->name));
    struct expr *below;
    for (size_t i = 0; (below = expr_child(e, i)) != NULL; i++) ok &= put_at(below, t);
    return ok;
}

struct putting_at { struct expr *e; const int64_t *t; bool ok; };

static void put_at_run(void *ctx)
{
    struct putting_at *p = ctx;
    p->ok = put_at(p->e, p->t);
}

static errc run_at_variants(struct run *r, const struct script_eval *ev, struct err *e)
{
    int64_t t = ev->end_ms, times[] = { -10 * t, 0, t / 5, t, 10 * t },
            around_zero[] = { -1000, 0, 1000 };
    const int64_t *at = t ? times : around_zero;
    size_t n = t ? ARRAY_LEN(times) : ARRAY_LEN(around_zero);
    struct arena a = { 0 };
    struct expr *tree = NULL;
    struct buf text = { 0 };
    errc rc = promql_parse(&tree, ev->expr, &script_parse_opts, &a, NULL, e);
    struct putting_at p = { tree, &t, false };
    if (rc == OK) rc = deep_run(tree, put_at_run, &p, e);
    if (rc == OK && p.ok) {
        promql_print(&text, tree);
        for (size_t i = 0; rc == OK && i < n; i++)
            rc = run_instant(r, ev, buf_view(&text), at[i], e);
    }
    promql_tree_fini(tree);
    buf_fini(&text);
    arena_fini(&a);
    return rc;
}

/* A range of one point without a step is asked for as an instant, where a range may be. */
static errc run_range(struct run *r, const struct script_eval *ev, struct err *e)
{
    enum value_type type = expr_type(ev->tree);
    bool one = ev->step_ms == 0 && ev->start_ms == ev->end_ms &&
               (type == VALUE_VECTOR || type == VALUE_SCALAR);
    struct query_opts o = { .query = ev->expr,
        .start_ms = ev->start_ms,
        .end_ms = ev->end_ms,
        .step_ms = ev->step_ms,
        .instant = one };
    struct result res = { 0 };
    struct err why = { 0 };
    bool failed;
    errc query_rc = engine_query(r->en, r->st->queryable(r->st->ctx), &o, &res, &why);
    errc rc = check_outcome(ev, query_rc, &why, &res, &failed, e);
    if (query_rc == OK) promql_result_fini(&res);
    return rc;
}

static errc run_eval(struct run *r, const struct script_eval *ev, struct err *e)
{
    if (ev->range) return run_range(r, ev, e);
    TRY(run_instant(r, ev, ev->expr, ev->end_ms, e));
    return run_at_variants(r, ev, e);
}

static void report_eval(struct run *r, const struct script_cmd *c)
{
    struct err e = { 0 };
    errc rc = run_eval(r, &c->eval, &e);
    r->report->eval(r->report->ctx, c->line, rc == OK ? SCRIPT_PASSED : SCRIPT_FAILED,
        rc == OK ? STR_EMPTY : err_str(&e));
}

void script_run(const struct script *s, const struct script_storage *st, struct engine *en,
    const struct script_report *report)
{
    struct run r = { .s = s, .st = st, .en = en, .report = report };
    struct err e = { 0 };
    errc rc = st->reset(st->ctx, &e);
    for (size_t i = 0; i < s->n; i++) {
        const struct script_cmd *c = &s->at[i];
        if (rc == OK && c->kind == SCRIPT_CLEAR) rc = st->reset(st->ctx, &e);
        else if (rc == OK && c->kind == SCRIPT_LOAD) rc = run_load(&r, &c->load, &e);
        else if (rc == OK) report_eval(&r, c);
        else if (c->kind == SCRIPT_EVAL)
            report->eval(report->ctx, c->line, SCRIPT_FAILED, err_str(&e));
    }
}
