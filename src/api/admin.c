/* admin.c — what an administrator does to the data folder, and what the folder says of itself. */
#include "api/room.h"

#include "base/clock.h"
#include "base/prng.h"
#include "base/rfc3339.h"
#include "base/utf8.h"

/* False: the answer is written. */
static bool admin_may(const struct api *a, struct http_resp *w)
{
    if (!api_is_ready(a, w)) return false;
    if (a->o.admin) return true;
    api_error(w, API_UNAVAILABLE, S("admin APIs disabled"));
    return false;
}

static void admin_done(struct http_resp *w, errc rc, const struct err *e)
{
    if (rc == OK) w->status = 204;
    else api_error(w, API_INTERNAL, err_str(e));
}

/* One after the other: what is wrong with the second does not undo the first. */
static void delete_all(const struct api *a, const struct params *p, struct http_req *r,
    struct http_resp *w, int64_t mint, int64_t maxt)
{
    struct err e = { 0 };
    for (size_t i = 0; i < p->form.n; i++) {
        struct matchers ms = { 0 };
        if (!str_eq(p->form.at[i].name, S("match[]"))) continue;
        str why;
        errc rc = promql_parse_selector(&ms, p->form.at[i].value, &a->o.parse, &r->arena, &why);
        bool parsed = rc == OK;
        if (parsed) rc = a->o.sources->tsdb_delete(a->o.sources->ctx, ms, mint, maxt, &e);
        matchers_fini_all(&ms, 1);
        if (rc == OK) continue;
        if (parsed) api_error(w, API_INTERNAL, err_str(&e));
        else api_invalid_param_str(w, "match[]", why);
        return;
    }
    w->status = 204;
}

static bool has_matchers(const struct params *p)
{
    for (size_t i = 0; i < p->form.n; i++)
        if (str_eq(p->form.at[i].name, S("match[]"))) return true;
    return false;
}

void api_delete_series(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!admin_may(a, w)) return;
    SCOPED(params_fini) struct params p;
    struct instant start, end;
    struct err e = { 0 };
    params_read(&p, r);
    if (p.rc != OK)
        api_error_fmt(w, API_BAD_DATA, "error parsing form values: %.*s", STR_ARG(err_str(&p.why)));
    else if (!has_matchers(&p)) api_error(w, API_BAD_DATA, S("no match[] parameter provided"));
    else if (param_instant(&p, S("start"), INSTANT_MIN, &start, &e) != OK)
        api_invalid_param(w, "start", &e);
    else if (param_instant(&p, S("end"), INSTANT_MAX, &end, &e) != OK)
        api_invalid_param(w, "end", &e);
    else delete_all(a, &p, r, w, instant_ms(start), instant_ms(end));
}

void api_clean_tombstones(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    struct err e = { 0 };
    (void)r;
    if (admin_may(a, w)) admin_done(w, a->o.sources->tsdb_clean(a->o.sources->ctx, &e), &e);
}

/* The time, and what no second snapshot of that second has: 20060102T150405Z-0123456789abcdef. */
static str snapshot_name(struct arena *a)
{
    uint64_t some;
    prng_secret(&some, sizeof(some));
    struct civil c = civil_of(clock_wall_ms() / 1000);
    return arena_fmt(a, "%04d%02u%02uT%02u%02u%02uZ-%016" PRIx64, c.year, c.month, c.day, c.hour,
        c.minute, c.second, some >> 1);
}

bool api_bool_of(str text, bool *out)
{
    static const str yes[] = { S("1"), S("t"), S("T"), S("TRUE"), S("true"), S("True") },
                     no[] = { S("0"), S("f"), S("F"), S("FALSE"), S("false"), S("False") };
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        *out = str_eq(text, yes[i]);
        if (*out || str_eq(text, no[i])) return true;
    }
    return false;
}

/* False: what is wrong with it was answered. */
static bool bool_param(struct params *p, const char *name, bool *out, struct http_resp *w)
{
    SCOPED(buf_fini) struct buf q = { 0 };
    struct err e = { 0 };
    str text = param(p, str_z(name));
    if (!text.n || api_bool_of(text, out)) return true;
    buf_go_quote(&q, text);
    err_set(&e, ERR_BAD_INPUT,
        "unable to parse boolean: strconv.ParseBool: parsing %.*s: invalid syntax",
        STR_ARG(buf_view(&q)));
    api_invalid_param(w, name, &e);
    return false;
}

/* with_out_of_order is ours: a snapshot of Prometheus has none of the head's late samples. */
void api_snapshot(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!admin_may(a, w)) return;
    SCOPED(params_fini) struct params p;
    struct err e = { 0 };
    bool skip_head = false, late = false;
    params_read(&p, r);
    if (!bool_param(&p, "skip_head", &skip_head, w)) return;
    if (!bool_param(&p, "with_out_of_order", &late, w)) return;
    str name = snapshot_name(&r->arena);
    errc rc = a->o.sources->tsdb_snapshot(
        a->o.sources->ctx, name, !skip_head, late && !skip_head, &e);
    if (rc != OK) {
        api_error_fmt(w, API_INTERNAL, "create snapshot: %.*s", STR_ARG(err_str(&e)));
        return;
    }
    struct json j = api_begin(w);
    json_obj(&j);
    json_kstr(&j, S("name"), name);
    json_obj_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

void api_status_blocks(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    str_list metas = { 0 };
    a->o.sources->tsdb_blocks(a->o.sources->ctx, &r->arena, &metas);
    struct json j = api_begin(w);
    json_obj(&j);
    JSON_KEY(&j, "blocks");
    json_arr(&j);
    for (size_t i = 0; i < metas.n; i++) json_raw(&j, metas.at[i]);
    json_arr_end(&j);
    json_obj_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}

void api_features_get(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    if (!api_is_ready(a, w)) return;
    api_features all = { 0 };
    a->o.sources->features(a->o.sources->ctx, &r->arena, &all);
    struct json j = api_begin(w);
    json_obj(&j);
    for (size_t i = 0; i < all.n; i++) {
        bool first = !i || !str_eq(all.at[i - 1].group, all.at[i].group);
        if (first && i) json_obj_end(&j);
        if (first) json_key(&j, all.at[i].group);
        if (first) json_obj(&j);
        json_kbool(&j, all.at[i].name, all.at[i].on);
    }
    if (all.n) json_obj_end(&j);
    json_obj_end(&j);
    api_end(&j, w, NULL, 0, NULL, 0);
}
