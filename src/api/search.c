/* search.c — the endpoints below /api/v1/search: names and values that fit what was typed, as lines
 * of JSON: batches of results, the first of which tells what the storage left out, then how it
 * ended. */
#include "api/room.h"

#include "api/fuzzy.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/strs.h"
#include "base/utf8.h"

#include <stdlib.h>

enum { TERMS_MAX = 32, LIMIT = 100, BATCH = 100, HOUR_S = 3600 };

struct found { str value; double score; };
enum order { BY_VALUE, BY_VALUE_DOWN, BY_SCORE };

struct search {
    struct params p;
    struct instant start, end;
    struct matchers *sets; size_t n_sets;
    str_list terms;
    struct fuzzy_opts fuzzy;
    bool include_score, include_metadata;
    enum order order;
    str label;                                 /* whose values; empty: names of labels */
    bool metrics;
    int64_t limit, batch;
    VEC(struct found) results;
    str_list left_out;                         /* what the storage says of its damage */
};

static void search_fini(struct search *s)
{
    matchers_fini_all(s->sets, s->n_sets);
    vec_fini(&s->terms);
    vec_fini(&s->results);
    vec_fini(&s->left_out);
    params_fini(&s->p);
}

static errc quoted(struct err *e, const char *before, str v, const char *after)
{
    SCOPED(buf_fini) struct buf q = { 0 };
    buf_go_quote(&q, v);
    return err_set(e, ERR_BAD_INPUT, "%s %.*s%s", before, STR_ARG(buf_view(&q)), after);
}

static errc read_bool(
    const struct search *s, const char *name, const char *words, bool *out, struct err *e)
{
    str v = param(&s->p, str_z(name));
    if (!v.n || api_bool_of(v, out)) return OK;
    return quoted(e, words, v, ": must be boolean");
}

/* Negative or no number: -1. */
static int64_t number_of(str v)
{
    int64_t n;
    return str_i64(v, &n) && n >= 0 ? n : -1;
}

static errc read_times(struct search *s, struct err *e)
{
    int64_t now = clock_wall_ns();
    struct instant at = { now / 1000000000, (int32_t)(now % 1000000000) };
    struct instant before = { at.s - HOUR_S, at.ns };
    TRY(param_instant(&s->p, S("start"), before, &s->start, e));
    TRY(param_instant(&s->p, S("end"), at, &s->end, e));
    return instant_before(s->end, s->start)
               ? err_set(e, ERR_BAD_INPUT, "end timestamp must not be before start timestamp")
               : OK;
}

static errc read_fuzzy(struct search *s, struct err *e)
{
    str threshold = param(&s->p, S("fuzz_threshold")), alg = param(&s->p, S("fuzz_alg"));
    int64_t percent = threshold.n ? number_of(threshold) : 0;
    bool sensitive = true;
    if (percent < 0 || percent > 100)
        return quoted(e, "invalid fuzz_threshold", threshold, ": must be 0-100");
    s->fuzzy.threshold = (double)percent / 100.0;
    if (str_eq(alg, S("jarowinkler"))) s->fuzzy.kind = FUZZY_JARO_WINKLER;
    else if (alg.n && !str_eq(alg, S("subsequence")))
        return quoted(
            e, "unsupported fuzz_alg", alg, ": must be one of [subsequence jarowinkler]");
    TRY(read_bool(s, "case_sensitive", "invalid case_sensitive", &sensitive, e));
    s->fuzzy.fold_case = !sensitive;
    return read_bool(s, "include_score", "invalid include_score", &s->include_score, e);
}

static errc read_order(struct search *s, struct err *e)
{
    str by = param(&s->p, S("sort_by")), dir = param(&s->p, S("sort_dir"));
    bool down = str_eq(dir, S("dsc")), score = str_eq(by, S("score"));
    if (dir.n && !by.n)
        return err_set(e, ERR_BAD_INPUT, "sort_dir is only valid when sort_by is set");
    if (dir.n && score)
        return err_set(e, ERR_BAD_INPUT, "sort_dir is not supported for sort_by=score");
    if (dir.n && !down && !str_eq(dir, S("asc")))
        return quoted(e, "invalid sort_dir", dir, ": must be \"asc\" or \"dsc\"");
    if (score && !s->terms.n)
        return err_set(e, ERR_BAD_INPUT, "sort_by=score requires search[] to be set");
    s->order = score ? BY_SCORE : down ? BY_VALUE_DOWN : BY_VALUE;
    return OK;
}

static errc read_sizes(struct search *s, int64_t most, struct err *e)
{
    str limit = param(&s->p, S("limit")), batch = param(&s->p, S("batch_size"));
    s->limit = limit.n ? number_of(limit) : most > 0 ? MIN(most, LIMIT) : LIMIT;
    if (s->limit <= 0) return quoted(e, "invalid limit", limit, ": must be a positive integer");
    if (limit.n && most > 0 && s->limit > most)
        return err_set(e, ERR_BAD_INPUT,
            "limit %" PRId64 " exceeds the configured maximum (%" PRId64
            ", see --web.search.max-limit)",
            s->limit, most);
    s->batch = batch.n ? number_of(batch) : BATCH;
    if (s->batch <= 0)
        return quoted(e, "invalid batch_size", batch, ": must be a positive integer");
    return OK;
}

static errc read_all(struct search *s, const struct api *a, struct http_req *r,
    const char *endpoint, struct err *e)
{
    TRY(read_times(s, e));
    str why;
    errc rc = parse_matchers(&s->p, &a->o.parse, &r->arena, &s->sets, &s->n_sets, &why);
    if (rc != OK) return err_set_str(e, rc, why);
    for (size_t i = 0; i < s->p.form.n; i++)
        if (str_eq(s->p.form.at[i].name, S("search[]"))) vec_push(&s->terms, s->p.form.at[i].value);
    if (s->terms.n > TERMS_MAX)
        return err_set(e, ERR_BAD_INPUT, "too many search[] terms: got %zu, maximum is %d",
            s->terms.n, TERMS_MAX);
    TRY(read_fuzzy(s, e));
    TRY(read_order(s, e));
    TRY(read_sizes(s, a->o.search_max, e));
    str by = param(&s->p, S("sort_by"));
    if (by.n && !str_eq(by, S("alpha")) && !str_eq(by, S("score"))) {
        SCOPED(buf_fini) struct buf q = { 0 };
        buf_go_quote(&q, by);
        return err_set(e, ERR_BAD_INPUT,
            "invalid sort_by %.*s for %s: must be \"alpha\" or \"score\"", STR_ARG(buf_view(&q)),
            endpoint);
    }
    return OK;
}

/* What fits, over the union of the sets of matchers. */

static int by_value(const void *a, const void *b)
{
    return str_cmp(((const struct found *)a)->value, ((const struct found *)b)->value);
}
static int by_value_down(const void *a, const void *b) { return by_value(b, a); }
static int by_score(const void *a, const void *b)
{
    double x = ((const struct found *)a)->score, y = ((const struct found *)b)->score;
    return x != y ? (x > y ? -1 : 1) : by_value(a, b);
}

static errc take_set(struct search *s, struct querier *q, struct matchers ms, struct fuzzy *f,
    struct err *e)
{
    str_list part = { 0 };
    bool cut;
    errc rc = s->label.n ? q->ops->label_values(q, s->label, ms, 0, &part, &cut, e)
                         : q->ops->label_names(q, ms, 0, &part, &cut, e);
    for (size_t i = 0; rc == OK && i < part.n; i++) {
        struct found one = { part.at[i], 1 };
        if (!f || fuzzy_accepts(f, one.value, &one.score)) vec_push(&s->results, one);
    }
    vec_fini(&part);
    return rc;
}

static errc find(struct search *s, struct querier *q, struct arena *a, struct err *e)
{
    static int (*const orders[])(const void *, const void *) = { by_value, by_value_down,
        by_score };
    struct fuzzy *f = fuzzy_new(a, &s->fuzzy, s->terms.at, s->terms.n);
    errc rc = OK;
    for (size_t i = 0; rc == OK && i < MAX(s->n_sets, (size_t)1); i++)
        rc = take_set(s, q, s->n_sets ? s->sets[i] : (struct matchers){ 0 }, f, e);
    fuzzy_fini(f);
    if (rc != OK || !s->results.n) return rc;
    qsort(s->results.at, s->results.n, sizeof(*s->results.at), by_value);
    size_t n = 1;
    for (size_t i = 1; i < s->results.n; i++)
        if (!str_eq(s->results.at[n - 1].value, s->results.at[i].value))
            s->results.at[n++] = s->results.at[i];
    s->results.n = n;
    if (s->order != BY_VALUE)
        qsort(s->results.at, n, sizeof(*s->results.at), orders[s->order]);
    return OK;
}

/* Lines. */

struct metas { api_metadata_list all; struct map by_name; };

static void metas_read(struct metas *m, const struct api *a, struct arena *mem)
{
    a->o.sources->metadata(a->o.sources->ctx, mem, &m->all);
    for (size_t i = 0; i < m->all.n; i++) {
        uint64_t hash = hash_str(m->all.at[i].metric);
        if (!map_find(&m->by_name, hash, NULL, NULL)) map_put(&m->by_name, hash, &m->all.at[i]);
    }
}

static void kstr_some(struct json *j, str key, str v)
{
    if (v.n) json_kstr(j, key, v);
}

static void write_result(
    struct json *j, const struct search *s, const struct metas *m, const struct found *f)
{
    json_obj(j);
    json_kstr(j, s->label.n && !s->metrics ? S("value") : S("name"), f->value);
    if (s->include_score) {
        JSON_KEY(j, "score");
        json_f64(j, f->score);
    }
    const struct api_metadata *x = map_find(&m->by_name, hash_str(f->value), NULL, NULL);
    if (x && s->include_metadata) {
        kstr_some(j, S("type"), metric_type_name(x->m.type));
        kstr_some(j, S("help"), x->m.help);
        kstr_some(j, S("unit"), x->m.unit);
    }
    json_obj_end(j);
}

static void write_batch(struct http_resp *w, const struct search *s, const struct metas *m,
    size_t from, size_t to)
{
    struct json j = json_to(&w->body);
    j.html = true;
    json_obj(&j);
    JSON_KEY(&j, "results");
    json_arr(&j);
    for (size_t i = from; i < to; i++) write_result(&j, s, m, &s->results.at[i]);
    json_arr_end(&j);
    if (!from) api_notes(&j, S("warnings"), s->left_out.at, s->left_out.n);
    json_obj_end(&j);
    buf_u8(&w->body, '\n');
}

static void answer(
    const struct search *s, const struct api *a, struct http_req *r, struct http_resp *w)
{
    struct metas m = { 0 };
    size_t n = MIN(s->results.n, (size_t)s->limit), batch = (size_t)s->batch;
    if (s->metrics && s->include_metadata && n) metas_read(&m, a, &r->arena);
    w->status = 200;
    http_resp_header(w, S("Content-Type"), S("application/x-ndjson; charset=utf-8"));
    for (size_t i = 0; i < n || !i; i += MIN(batch, SIZE_MAX - i))
        write_batch(w, s, &m, i, n - i > batch ? i + batch : n);
    struct json j = json_to(&w->body);
    json_obj(&j);
    json_kstr(&j, S("status"), S("success"));
    json_kbool(&j, S("has_more"), s->results.n > n);
    json_obj_end(&j);
    buf_u8(&w->body, '\n');
    map_fini(&m.by_name);
}

static void search_run(
    struct search *s, const struct api *a, struct http_req *r, struct http_resp *w)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    struct queryable *st = a->o.queryable;
    struct err e = { 0 };
    errc rc = st->ops->querier(st, instant_ms(s->start), instant_ms(s->end), &q, &e);
    if (rc == OK) rc = find(s, q, &r->arena, &e);
    if (rc != OK) {
        api_error_of(w, rc, &e);
        return;
    }
    querier_warnings(q, &s->left_out);
    strs_sort(s->left_out.at, s->left_out.n);
    answer(s, a, r, w);
}

/* False: the answer is written. */
static bool search_begin(struct search *s, const struct api *a, struct http_req *r,
    struct http_resp *w, const char *endpoint)
{
    struct err e = { 0 };
    if (!api_is_ready(a, w)) return false;
    if (!a->o.search) {
        api_error(w, API_UNAVAILABLE, S("search API disabled"));
        return false;
    }
    params_read(&s->p, r);
    if (s->p.rc != OK) {
        api_error_fmt(
            w, API_BAD_DATA, "error parsing form values: %.*s", STR_ARG(err_str(&s->p.why)));
        return false;
    }
    if (read_all(s, a, r, endpoint, &e) == OK) return true;
    api_error(w, API_BAD_DATA, err_str(&e));
    return false;
}

void api_search_metric_names(void *ctx, struct http_req *r, struct http_resp *w)
{
    SCOPED(search_fini) struct search s = { .label = METRIC_NAME, .metrics = true };
    struct err e = { 0 };
    if (!search_begin(&s, ctx, r, w, "metric_names")) return;
    if (read_bool(&s, "include_metadata", "invalid include_metadata", &s.include_metadata, &e) ==
        OK)
        search_run(&s, ctx, r, w);
    else api_error(w, API_BAD_DATA, err_str(&e));
}

void api_search_label_names(void *ctx, struct http_req *r, struct http_resp *w)
{
    SCOPED(search_fini) struct search s = { 0 };
    if (search_begin(&s, ctx, r, w, "label_names")) search_run(&s, ctx, r, w);
}

void api_search_label_values(void *ctx, struct http_req *r, struct http_resp *w)
{
    SCOPED(search_fini) struct search s = { 0 };
    if (!search_begin(&s, ctx, r, w, "label_values")) return;
    s.label = param(&s.p, S("label"));
    if (s.label.n) search_run(&s, ctx, r, w);
    else api_error(w, API_BAD_DATA, S("missing required parameter \"label\""));
}
