/* What Prometheus answered, asked again over a storage in memory that holds the samples of the
 * recorded server's database. Records that ask for other parts of the server (targets, rules, ...)
 * belong to the tests of the whole program. */
#include "api/test_rig.h"

#include "base/compress.h"
#include "base/f64.h"
#include "base/test.h"
#include "io/fs.h"

#include <jansson.h>
#include <math.h>

static const char *const groups[] = {
    "query",
    "time_param",
    "timeout_param",
    "lookback_param",
    "limit",
    "stats",
    "query_error",
    "parse",
    "query_range",
    "query_range_params",
    "post_form",
    "method",
    "cors",
    "encoding",
    "negotiation",
    "series",
    "labels",
    "label_values",
    "admin_disabled",
    "receiver_disabled",
    "search_disabled",
    "misc",
    "prefix",
};

/* What this storage or this part of the program cannot show: found in the request or the answer. */
static const char *const elsewhere[] = {
    "histogram", "native_seconds", "count%28%7B__name__",      /* native ones */
    "/debug/pprof", "/federate", "query_exemplars", "/status/", "nhcb", "React", "/api/v1/features",
};

static str shared_file(struct arena *a, const char *name)
{
    struct fs *fs = fs_real_new(arena_fmt(a, "%s/conformance/api", test_shared()));
    str text;
    struct err e = { 0 };
    EXPECT_OK_E(fs_read_all(fs, str_z(name), a, (size_t)64 << 20, &text, &e), &e);
    fs_free(fs);
    return text;
}

static void load(struct rig *r)
{
    str rest = shared_file(&r->arena, "data.txt"), line;
    while (rest.n) {
        str series, t, v;
        str_cut(rest, '\n', &line, &rest);
        int64_t ms;
        double d;
        if (!line.n || line.p[0] == '#' || !str_cut(line, '\t', &series, &t) ||
            !str_cut(t, '\t', &t, &v))
            continue;
        if (!str_i64(t, &ms)) test_fail(__FILE__, __LINE__, "no time: %.*s", STR_ARG(line));
        if (str_eq(v, S("stale"))) d = f64_of_bits(0x7ff0000000000002);
        else if (!f64_parse(v, &d)) continue;                  /* a native histogram */
        rig_add(r, (const char *)arena_str(&r->arena, series).p, ms, d);
    }
}

static const char *text_of(json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static bool wanted(json_t *row)
{
    json_t *q = json_object_get(row, "request"), *p = json_object_get(row, "response");
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        known = known || strcmp(text_of(row, "group"), groups[i]) == 0;
    if (!known || json_object_get(row, "advisory") || json_object_get(q, "body_b64")) return false;
    for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++)
        if (strstr(text_of(q, "target"), elsewhere[i]) || strstr(text_of(p, "body"), elsewhere[i]))
            return false;
    return true;
}

static bool same_number(const char *a, const char *b)
{
    double x, y;
    if (!f64_parse(str_z(a), &x) || !f64_parse(str_z(b), &y)) return false;
    return x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= 1e-9 * fmax(fabs(x), fabs(y));
}

static bool same_json(json_t *a, json_t *b, const char *masked);

static bool same_list_any_order(json_t *a, json_t *b)
{
    size_t n = json_array_size(a);
    bool taken[4096] = { false };
    if (n != json_array_size(b) || n > ARRAY_LEN(taken)) return false;
    for (size_t i = 0; i < n; i++) {
        bool found = false;
        for (size_t k = 0; k < n && !found; k++)
            if (!taken[k] && same_json(json_array_get(a, i), json_array_get(b, k), NULL))
                found = taken[k] = true;
        if (!found) return false;
    }
    return true;
}

static bool same_json(json_t *a, json_t *b, const char *masked)
{
    if (!a || !b) return a == b;
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    if (json_typeof(a) != json_typeof(b)) return false;
    if (json_is_string(a))
        return strcmp(json_string_value(a), json_string_value(b)) == 0 ||
               same_number(json_string_value(a), json_string_value(b));
    if (json_is_array(a)) {
        bool same = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; same && i < json_array_size(a); i++)
            same = same_json(json_array_get(a, i), json_array_get(b, i), masked);
        return same || (json_array_size(a) && json_is_object(json_array_get(a, 0)) &&
                           same_list_any_order(a, b));
    }
    if (!json_is_object(a)) return true;
    const char *key;
    json_t *v;
    if (json_object_size(a) != json_object_size(b)) return false;
    json_object_foreach(a, key, v) if (!(masked && strcmp(key, masked) == 0) &&
                                       !same_json(v, json_object_get(b, key), masked)) return false;
    return true;
}

static str unpacked(struct rig *r, const struct test_answer *w)
{
    str how = test_answer_header(w, S("Content-Encoding"));
    struct buf out = { 0 };
    if (!how.n || !w->body.n) return w->body;
    EXPECT_OK(compress_unpack(&out, str_eq(how, S("gzip")) ? COMPRESS_GZIP : COMPRESS_DEFLATE,
        w->body, (size_t)64 << 20, NULL));
    str s = arena_str(&r->arena, buf_view(&out));
    buf_fini(&out);
    return s;
}

static bool is_masked(json_t *row, const char *path)
{
    json_t *mask = json_object_get(row, "mask");
    for (size_t i = 0; i < json_array_size(mask); i++)
        if (strcmp(json_string_value(json_array_get(mask, i)), path) == 0) return true;
    return false;
}

/* NULL, or what is different. */
static const char *difference(struct rig *r, json_t *row, const struct test_answer *w)
{
    json_t *p = json_object_get(row, "response"), *v;
    const char *name;
    if (json_integer_value(json_object_get(p, "status")) != w->status)
        return (const char *)arena_fmt(&r->arena, "status %d", w->status).p;
    json_object_foreach(json_object_get(p, "headers"), name, v) {
        if (strcmp(name, "content-length") == 0 || strcmp(name, "date") == 0) continue;
        bool found = false;                                    /* Vary may be there twice */
        for (size_t i = 0; i < w->n_headers; i++)
            found = found || (str_eq_nocase(w->headers[i].name, str_z(name)) &&
                                 str_eq(w->headers[i].value, str_z(json_string_value(v))));
        if (!found)
            return (const char *)arena_fmt(
                &r->arena, "header %s: %.*s", name, STR_ARG(test_answer_header(w, str_z(name))))
                .p;
    }
    if (json_object_get(p, "body_not_recorded") || is_masked(row, "*body*") ||
        str_find(str_z(text_of(p, "body")), S("goVersion")) != SIZE_MAX)
        return NULL;
    str body = unpacked(r, w);
    if (strcmp(text_of(json_object_get(p, "headers"), "content-type"), "application/json") != 0)
        return str_eq(body, str_z(text_of(p, "body"))) ? NULL : "text";
    json_t *want = json_loads(text_of(p, "body"), 0, NULL),
           *got = json_loadb((const char *)body.p, body.n, 0, NULL);
    if (is_masked(row, "data.result[0]"))
        json_array_set_new(json_object_get(json_object_get(got, "data"), "result"), 0,
            json_deep_copy(
                json_array_get(json_object_get(json_object_get(want, "data"), "result"), 0)));
    const char *why = same_json(want, got, is_masked(row, "data.stats.timings") ? "timings" : NULL)
                          ? NULL
                          : "body";
    json_decref(want);
    json_decref(got);
    return why;
}

static struct test_answer ask(struct rig *r, json_t *q)
{
    struct test_pair headers[16];
    size_t n = 0;
    const char *name;
    json_t *v;
    json_object_foreach(json_object_get(q, "headers"), name, v) headers[n++] =
        (struct test_pair){ str_z(name), str_z(json_string_value(v)) };
    str body = str_z(text_of(q, "body"));
    if (body.n && !json_object_get(json_object_get(q, "headers"), "Content-Type"))
        headers[n++] =
            (struct test_pair){ S("Content-Type"), S("application/x-www-form-urlencoded") };
    return rig_ask(r, str_z(text_of(q, "method")), str_z(text_of(q, "target")), headers, n, body);
}

static void ask_file(struct rig *r, const char *file)
{
    str rest = shared_file(&r->arena, file), line;
    size_t asked = 0, failed = 0;
    while (rest.n) {
        str_cut(rest, '\n', &line, &rest);
        json_t *row = json_loadb((const char *)line.p, line.n, 0, NULL);
        if (row && wanted(row)) {
            struct test_answer w = ask(r, json_object_get(row, "request"));
            const char *why = difference(r, row, &w);
            asked++;
            if (why) {
                failed++;
                fprintf(stderr, "%s %s %s: %s\n  want %s\n  got  %d %.*s\n", text_of(row, "id"),
                    text_of(json_object_get(row, "request"), "method"),
                    text_of(json_object_get(row, "request"), "target"), why,
                    text_of(json_object_get(row, "response"), "body"), w.status,
                    STR_ARG(str_slice(unpacked(r, &w), 0, 2000)));
            }
        }
        json_decref(row);
    }
    EXPECT_EQ(failed, 0);
    EXPECT(asked > 0);
}

TEST_SHARED(api_answers_as_recorded)
{
    struct rig r;
    rig_start(&r, &(struct rig_opts){ 0 });
    load(&r);
    ask_file(&r, "static.jsonl");
    rig_stop(&r);
}

TEST_SHARED(api_under_a_prefix_answers_as_recorded)
{
    struct rig r;
    rig_start(&r, &(struct rig_opts){ .prefix = S("/prom"),
                      .external_path = S("/prom"),
                      .cors_origin = S("https?://(a|b)\\.com") });
    ask_file(&r, "prefix.jsonl");
    rig_stop(&r);
    rig_start(&r,
        &(struct rig_opts){ .external_path = S("/ext"), .cors_origin = S("https?://(a|b)\\.com") });
    ask_file(&r, "external.jsonl");
    rig_stop(&r);
}
