#include "api/json_words.h"
#include "api/room.h"

#include "base/map.h"
#include "base/rfc3339.h"

#include <jansson.h>
#include <stdlib.h>

static void write_time(struct json *j, int64_t ns)
{
    struct buf text = { 0 };
    if (ns) buf_rfc3339_ns(&text, ns);
    else buf_str(&text, S("0001-01-01T00:00:00Z"));
    json_str(j, buf_view(&text));
    buf_fini(&text);
}

static void write_active(struct json *j, const struct api_target *t)
{
    json_obj(j);
    JSON_KEY(j, "discoveredLabels");
    promql_labels_json(j, t->discovered);
    JSON_KEY(j, "labels");
    promql_labels_json(j, t->labels);
    json_kstr(j, S("scrapePool"), t->pool);
    json_kstr(j, S("scrapeUrl"), t->url);
    json_kstr(j, S("globalUrl"), t->global_url);
    json_kstr(j, S("lastError"), t->last_error);
    JSON_KEY(j, "lastScrape");
    write_time(j, t->last_scrape_ns);
    JSON_KEY(j, "lastScrapeDuration");
    json_f64(j, t->last_duration_s);
    json_kstr(j, S("health"), t->health);
    json_kstr(j, S("scrapeInterval"), t->interval);
    json_kstr(j, S("scrapeTimeout"), t->timeout);
    json_obj_end(j);
}

static bool pool_wanted(str want, str pool) { return !want.n || str_eq(want, pool); }

static void write_dropped(struct json *j, const struct api_targets *all, bool show, str pool)
{
    JSON_KEY(j, "droppedTargets");
    json_arr(j);
    for (size_t i = 0; show && i < all->dropped.n; i++) {
        if (!pool_wanted(pool, all->dropped.at[i].pool)) continue;
        json_obj(j);
        JSON_KEY(j, "discoveredLabels");
        promql_labels_json(j, all->dropped.at[i].discovered);
        json_kstr(j, S("scrapePool"), all->dropped.at[i].pool);
        json_obj_end(j);
    }
    json_arr_end(j);
    JSON_KEY(j, "droppedTargetCounts");
    if (!show) {
        json_nil(j);
        return;
    }
    json_obj(j);
    for (size_t i = 0; i < all->dropped_counts.n; i++)
        json_ki64(j, all->dropped_counts.at[i].name, (int64_t)all->dropped_counts.at[i].n);
    json_obj_end(j);
}

static str lower(struct arena *a, str s)
{
    char *p = arena_cstr(a, s);
    for (size_t i = 0; i < s.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z') p[i] = (char)(p[i] + 32);
    return str_of(p, s.n);
}

void api_targets_get(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    SCOPED(params_fini) struct params p;
    params_read(&p, r);
    str pool = param_url(&p, S("scrapePool")), state = lower(&r->arena, param_url(&p, S("state")));
    bool any = !state.n || str_eq(state, S("any"));
    bool active = any || str_eq(state, S("active")), dropped = any || str_eq(state, S("dropped"));
    struct api_targets all = { 0 };
    a->o.sources->targets(a->o.sources->ctx, &r->arena, &all);
    struct json j = api_begin(w);
    json_obj(&j);
    JSON_KEY(&j, "activeTargets");
    json_arr(&j);
    for (size_t i = 0; active && i < all.active.n; i++)
        if (pool_wanted(pool, all.active.at[i].pool)) write_active(&j, &all.active.at[i]);
    json_arr_end(&j);
    write_dropped(&j, &all, dropped, pool);
    json_obj_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

/* A limit as /metadata and /targets/metadata read it: absent is -1. */
static bool read_limit(const struct params *p, str name, struct http_resp *w, int64_t *out)
{
    str text = param(p, name);
    *out = -1;
    if (!text.n || str_i64(text, out)) return true;
    api_error_fmt(w, API_BAD_DATA, "%.*s must be a number", STR_ARG(name));
    return false;
}

static void write_target_metadata(struct json *j, const struct api_metadata *m, bool with_name)
{
    json_obj(j);
    JSON_KEY(j, "target");
    promql_labels_json(j, m->target);
    if (with_name) json_kstr(j, S("metric"), m->metric);
    json_kstr(j, S("type"), metric_type_name(m->m.type));
    json_kstr(j, S("help"), m->m.help);
    json_kstr(j, S("unit"), m->m.unit);
    json_obj_end(j);
}

void api_targets_metadata(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    SCOPED(params_fini) struct params p;
    params_read(&p, r);
    int64_t limit;
    if (!read_limit(&p, S("limit"), w, &limit)) return;
    struct matchers match = { 0 };
    str why;
    str match_target = param(&p, S("match_target")), metric = param(&p, S("metric"));
    if (match_target.n &&
        promql_parse_selector(&match, match_target, &a->o.parse, &r->arena, &why) != OK) {
        api_invalid_param_str(w, "match_target", why);
        return;
    }
    api_metadata_list all = { 0 };
    a->o.sources->metadata(a->o.sources->ctx, &r->arena, &all);
    struct json j = api_begin(w);
    json_arr(&j);
    /* The limit is looked at between targets only: the last one is listed whole, as in
     * Prometheus. */
    int64_t written = 0;
    struct labels target = { 0 };
    for (size_t i = 0; i < all.n; i++) {
        const struct api_metadata *m = &all.at[i];
        bool same_target = i && m->target.at == target.at;
        target = m->target;
        if (limit >= 0 && written >= limit && !(same_target && !metric.n)) break;
        if (!matchers_match(match, m->target) || (metric.n && !str_eq(metric, m->metric))) continue;
        write_target_metadata(&j, m, !metric.n);
        written++;
    }
    json_arr_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
    matchers_fini_all(&match, 1);
}

static int metadata_order(const void *a, const void *b)
{
    const struct api_metadata *x = a, *y = b;
    return str_cmp(x->metric, y->metric);
}

static bool same_metadata(const struct metadata *a, const struct metadata *b)
{
    return a->type == b->type && str_eq(a->unit, b->unit) && str_eq(a->help, b->help);
}

/* The distinct metadata of one metric: all.at[from, to). */
static void write_metric(
    struct json *j, const api_metadata_list *all, size_t from, size_t to, int64_t per_metric)
{
    json_key(j, all->at[from].metric);
    json_arr(j);
    int64_t written = 0;
    for (size_t i = from; i < to && (per_metric <= 0 || written < per_metric); i++) {
        bool seen = false;
        for (size_t k = from; k < i && !seen; k++)
            seen = same_metadata(&all->at[k].m, &all->at[i].m);
        if (seen) continue;
        json_obj(j);
        json_kstr(j, S("type"), metric_type_name(all->at[i].m.type));
        json_kstr(j, S("unit"), all->at[i].m.unit);
        json_kstr(j, S("help"), all->at[i].m.help);
        json_obj_end(j);
        written++;
    }
    json_arr_end(j);
}

void api_metadata_get(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    SCOPED(params_fini) struct params p;
    params_read(&p, r);
    int64_t limit, per_metric;
    if (!read_limit(&p, S("limit"), w, &limit) ||
        !read_limit(&p, S("limit_per_metric"), w, &per_metric))
        return;
    str metric = param(&p, S("metric"));
    api_metadata_list all = { 0 };
    a->o.sources->metadata(a->o.sources->ctx, &r->arena, &all);
    if (all.n) qsort(all.at, all.n, sizeof(*all.at), metadata_order);
    struct json j = api_begin(w);
    json_obj(&j);
    int64_t written = 0;
    for (size_t i = 0, end; i < all.n && (limit < 0 || written < limit); i = end) {
        for (end = i + 1; end < all.n && str_eq(all.at[end].metric, all.at[i].metric);) end++;
        if (metric.n && !str_eq(metric, all.at[i].metric)) continue;
        write_metric(&j, &all, i, end, per_metric);
        written++;
    }
    json_obj_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

void api_scrape_pools(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    str_list pools = { 0 };
    a->o.sources->pools(a->o.sources->ctx, &r->arena, &pools);
    struct json j = api_begin(w);
    json_obj(&j);
    JSON_KEY(&j, "scrapePools");
    json_arr(&j);
    for (size_t i = 0; i < pools.n; i++) json_str(&j, pools.at[i]);
    json_arr_end(&j);
    json_obj_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

static void unknown_pool(struct http_resp *w, str pool)
{
    api_error_fmt(w, API_BAD_DATA, "error retrieving scrape config: scrape pool \"%.*s\" not found",
        STR_ARG(pool));
}

void api_scrape_pool_config(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    SCOPED(params_fini) struct params p;
    params_read(&p, r);
    str pool = param(&p, S("scrapePool"));
    if (!pool.n) {
        api_error(w, API_BAD_DATA, S("no scrapePool parameter provided"));
        return;
    }
    SCOPED(buf_fini) struct buf yaml = { 0 };
    if (!a->o.sources->pool_config(a->o.sources->ctx, pool, &yaml)) {
        unknown_pool(w, pool);
        return;
    }
    struct json j = api_begin(w);
    json_obj(&j);
    json_kstr(&j, S("yaml"), buf_view(&yaml));
    json_obj_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

/* As Go names it in its refusals. */
static const char *json_kind(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "object";
    case JSON_ARRAY: return "array";
    case JSON_STRING: return "string";
    case JSON_TRUE:
    case JSON_FALSE: return "bool";
    default: return "number";
    }
}

static errc labels_of_value(const json_t *root, struct arena *a, struct labels *out, struct err *e)
{
    struct labels_builder lb;
    labels_builder_init(&lb, a);
    if (!json_is_object(root) && !json_is_null(root))
        return err_set(e, ERR_BAD_INPUT,
            "json: cannot unmarshal %s into Go value of type map[string]string", json_kind(root));
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)root, key, v) {
        if (!json_is_string(v) && !json_is_null(v))
            return err_set(e, ERR_BAD_INPUT,
                "json: cannot unmarshal %s into Go value of type string", json_kind(v));
        labels_builder_set(&lb, arena_str(a, str_z(key)),
            arena_str(a, str_of(json_string_value(v), json_string_length(v))));
    }
    *out = labels_builder_done(&lb);
    return OK;
}

/* {"name":"value"} to labels. */
static errc labels_of_json(str text, struct arena *a, struct labels *out, struct err *e)
{
    json_error_t why;
    json_t *root = json_loadb((const char *)text.p, text.n, JSON_DECODE_ANY, &why);
    if (!root) {
        SCOPED(buf_fini) struct buf words = { 0 };
        bool told = json_words(&words, text);
        return told ? err_set(e, ERR_BAD_INPUT, "%.*s", STR_ARG(buf_view(&words)))
                    : err_set(e, ERR_BAD_INPUT, "no JSON: %s", why.text);
    }
    errc rc = labels_of_value(root, a, out, e);
    json_decref(root);
    return rc;
}

void api_relabel_steps_get(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    SCOPED(params_fini) struct params p;
    params_read(&p, r);
    str pool = param(&p, S("scrapePool")), text = param(&p, S("labels"));
    struct labels in = { 0 };
    api_relabel_steps steps = { 0 };
    struct err why = { 0 };
    if (!pool.n) api_error(w, API_BAD_DATA, S("no scrapePool parameter provided"));
    else if (!text.n) api_error(w, API_BAD_DATA, S("no labels parameter provided"));
    else if (labels_of_json(text, &r->arena, &in, &why) != OK)
        api_error_fmt(w, API_BAD_DATA, "error parsing labels: %.*s", STR_ARG(err_str(&why)));
    else if (!a->o.sources->relabel_steps(a->o.sources->ctx, &r->arena, pool, in, &steps))
        unknown_pool(w, pool);
    else {
        struct json j = api_begin(w);
        json_obj(&j);
        JSON_KEY(&j, "steps");
        json_arr(&j);
        for (size_t i = 0; i < steps.n; i++) {
            json_obj(&j);
            JSON_KEY(&j, "rule");
            json_raw(&j, steps.at[i].rule_json);
            JSON_KEY(&j, "output");
            promql_labels_json(&j, steps.at[i].output);
            json_kbool(&j, S("keep"), steps.at[i].keep);
            json_obj_end(&j);
        }
        json_arr_end(&j);
        json_obj_end(&j);
        api_end(&j, w, NULL, 0, NULL, 0);
    }
}
