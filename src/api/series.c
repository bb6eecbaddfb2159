#include "api/room.h"

#include "base/mem.h"
#include "base/strs.h"
#include "base/utf8.h"
#include "model/escape.h"

#include <stdlib.h>

/* What the three endpoints have in common: limit, time range, matchers, a querier. */
struct ask {
    struct params p;
    uint64_t limit;
    struct instant start, end;
    struct matchers *sets; size_t n_sets;
    struct querier *q;
};

static void ask_fini(struct ask *k)
{
    querier_free(k->q);
    matchers_fini_all(k->sets, k->n_sets);
    params_fini(&k->p);
}

/* Reads the parameters; false: the error is written. series_param: matcher errors are named after
 * their parameter, as /series does. */
static bool ask_read(
    struct ask *k, const struct api *a, struct http_req *r, struct http_resp *w, bool series_param)
{
    struct err e = { 0 };
    const char *bad = NULL;
    if (parse_limit(param(&k->p, S("limit")), &k->limit, &e) != OK) bad = "limit";
    else if (param_instant(&k->p, S("start"), INSTANT_MIN, &k->start, &e) != OK) bad = "start";
    else if (param_instant(&k->p, S("end"), INSTANT_MAX, &k->end, &e) != OK) bad = "end";
    if (bad) {
        api_invalid_param(w, bad, &e);
        return false;
    }
    str why;
    errc rc = parse_matchers(&k->p, &a->o.parse, &r->arena, &k->sets, &k->n_sets, &why);
    if (rc != OK) {
        if (series_param) api_invalid_param_str(w, "match[]", why);
        else api_error(w, API_BAD_DATA, why);
        return false;
    }
    rc = a->o.queryable->ops->querier(
        a->o.queryable, instant_ms(k->start), instant_ms(k->end), &k->q, &e);
    if (rc == OK) return true;
    api_error_of(w, rc, &e);
    return false;
}

/* With what the storage left out, and that a limit cut. */
static void answer_end(struct ask *k, struct json *j, bool cut, struct http_resp *w)
{
    str_list notes = { 0 };
    querier_warnings(k->q, &notes);
    if (cut) vec_push(&notes, S("results truncated due to limit"));
    api_end(j, w, notes.at, notes.n, NULL, 0);
    vec_fini(&notes);
}

typedef VEC(struct labels) labels_list;

static errc collect_set(struct ask *k, struct matchers ms, size_t want, struct arena *a,
    labels_list *out, struct err *e)
{
    struct select_hints h = {
        .start = instant_ms(k->start),
        .end = instant_ms(k->end),
        .func = S("series"),
        .limit = want,
        .sorted = k->n_sets > 1,
    };
    SCOPED(series_set_freep) struct series_set *set = NULL;
    TRY(k->q->ops->select(k->q, ms, &h, &set, e));
    for (size_t n = 0; !want || n < want; n++) {
        struct series *s = NULL;
        TRY(set->ops->next(set, &s, e));
        if (!s) return OK;
        avec_push(a, out, s->labels);
    }
    return OK;
}

static int labels_order(const void *a, const void *b)
{
    return labels_cmp(*(const struct labels *)a, *(const struct labels *)b);
}

static void sort_unique(labels_list *all)
{
    if (!all->n) return;
    qsort(all->at, all->n, sizeof(*all->at), labels_order);
    size_t n = 1;
    for (size_t i = 1; i < all->n; i++)
        if (!labels_eq(all->at[n - 1], all->at[i])) all->at[n++] = all->at[i];
    all->n = n;
}

void api_series(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_open(a, w)) return;
    SCOPED(ask_fini) struct ask k = { 0 };
    params_read(&k.p, r);
    if (k.p.rc != OK) {
        api_error_fmt(
            w, API_BAD_DATA, "error parsing form values: %.*s", STR_ARG(err_str(&k.p.why)));
        return;
    }
    if (!param(&k.p, S("match[]")).n) {
        bool given = false;
        for (size_t i = 0; i < k.p.form.n; i++)
            given = given || str_eq(k.p.form.at[i].name, S("match[]"));
        if (!given) {
            api_error(w, API_BAD_DATA, S("no match[] parameter provided"));
            return;
        }
    }
    if (!ask_read(&k, a, r, w, true)) return;
    labels_list all = { 0 };
    struct err e = { 0 };
    size_t want = k.limit && k.limit < SIZE_MAX ? (size_t)k.limit + 1 : 0;
    for (size_t i = 0; i < k.n_sets; i++) {
        errc rc = collect_set(&k, k.sets[i], want, &r->arena, &all, &e);
        if (rc == OK) continue;
        api_error_of(w, rc, &e);
        return;
    }
    if (k.n_sets > 1) sort_unique(&all);
    bool cut = k.limit && all.n > k.limit;
    if (cut) all.n = (size_t)k.limit;
    struct json j = api_begin(w);
    json_arr(&j);
    for (size_t i = 0; i < all.n; i++) promql_labels_json(&j, all.at[i]);
    json_arr_end(&j);
    answer_end(&k, &j, cut, w);
}

/* name empty: label names, else values of that label; over the union of the matcher sets. */
static errc collect_words(struct ask *k, str name, str_list *out, struct err *e)
{
    size_t want = k->limit && k->limit < SIZE_MAX ? (size_t)k->limit + 1 : 0;
    size_t rounds = k->n_sets ? k->n_sets : 1;
    for (size_t i = 0; i < rounds; i++) {
        struct matchers ms = k->n_sets ? k->sets[i] : (struct matchers){ 0 };
        str_list part = { 0 };
        bool cut = false;
        errc rc = name.n ? k->q->ops->label_values(k->q, name, ms, want, &part, &cut, e)
                         : k->q->ops->label_names(k->q, ms, want, &part, &cut, e);
        for (size_t n = 0; rc == OK && n < part.n; n++) vec_push(out, part.at[n]);
        vec_fini(&part);
        TRY(rc);
    }
    out->n = strs_sort_unique(out->at, out->n);
    return OK;
}

static void answer_words(struct ask *k, str name, struct http_resp *w)
{
    struct err e = { 0 };
    str_list words = { 0 };
    errc rc = collect_words(k, name, &words, &e);
    if (rc != OK) {
        vec_fini(&words);
        api_error_of(w, rc, &e);
        return;
    }
    bool cut = k->limit && words.n > k->limit;
    if (cut) words.n = (size_t)k->limit;
    struct json j = api_begin(w);
    json_arr(&j);
    for (size_t i = 0; i < words.n; i++) json_str(&j, words.at[i]);
    json_arr_end(&j);
    answer_end(k, &j, cut, w);
    vec_fini(&words);
}

void api_labels(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_open(a, w)) return;
    SCOPED(ask_fini) struct ask k = { 0 };
    params_read(&k.p, r);
    if (ask_read(&k, a, r, w, false)) answer_words(&k, STR_EMPTY, w);
}

void api_label_values(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_open(a, w)) return;
    str name = r->path_params.at[0].value;
    if (str_has_prefix(name, S("U__"))) {
        struct buf plain = { 0 };
        buf_name_unescape(&plain, name, ESCAPE_VALUES);
        name = arena_str(&r->arena, buf_view(&plain));
        buf_fini(&plain);
    }
    if (!label_name_valid_utf8(name)) {
        struct buf q = { 0 };
        buf_go_quote(&q, name);
        api_error_fmt(w, API_BAD_DATA, "invalid label name: %.*s", STR_ARG(buf_view(&q)));
        buf_fini(&q);
        return;
    }
    SCOPED(ask_fini) struct ask k = { 0 };
    params_read(&k.p, r);
    if (ask_read(&k, a, r, w, false)) answer_words(&k, name, w);
}
