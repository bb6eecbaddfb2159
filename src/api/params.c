#include "api/params.h"

#include "api/http_request.h"
#include "base/f64.h"
#include "base/rfc3339.h"
#include "base/utf8.h"
#include "model/duration.h"

#include <math.h>

const struct instant INSTANT_MIN = { INT64_MIN / 1000 + 62135596801, 0 };
const struct instant INSTANT_MAX = { INT64_MAX / 1000 - 62135596801, 999999999 };

static str media_type(str content_type)
{
    str type, rest;
    str_cut(content_type, ';', &type, &rest);
    return str_trim(type);
}

/* The value of a parameter in `…; name=value; …`, without quotes; empty: none. */
static str header_param(str header, str name)
{
    str one, rest, key, value;
    str_cut(header, ';', &one, &rest);
    while (rest.n) {
        str_cut(rest, ';', &one, &rest);
        if (!str_cut(one, '=', &key, &value) || !str_eq_nocase(str_trim(key), name)) continue;
        value = str_trim(value);
        bool quoted = value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"';
        return quoted ? str_slice(value, 1, value.n - 1) : value;
    }
    return STR_EMPTY;
}

/* One part of a form: headers, an empty line, the value. Files are left out. */
static void multipart_part(struct params *p, str part)
{
    size_t end = str_find(part, S("\r\n\r\n"));
    if (end == SIZE_MAX) return;
    str headers = str_slice(part, 0, end), line, name, value;
    while (headers.n) {
        str_cut(headers, '\n', &line, &headers);
        if (!str_cut(line, ':', &name, &value) ||
            !str_eq_nocase(str_trim(name), S("Content-Disposition")))
            continue;
        value = str_trim(value);
        str field = header_param(value, S("name"));
        if (field.n && !header_param(value, S("filename")).n)
            vec_push(&p->form, ((struct http_pair){ field, str_from(part, end + 4) }));
    }
}

/* Up to where it is cut, if it is. */
static void multipart_read(struct params *p, struct http_req *r)
{
    str boundary = header_param(http_header(r, "Content-Type"), S("boundary")), body = r->body;
    if (!boundary.n) return;
    str first = arena_fmt(&r->arena, "--%.*s", STR_ARG(boundary)),
        next = arena_fmt(&r->arena, "\r\n%.*s", STR_ARG(first));
    size_t at = str_find(body, first);
    if (at == SIZE_MAX) return;
    body = str_from(body, at + first.n);
    for (;;) {
        if (str_has_prefix(body, S("--"))) return;
        size_t end = str_find(body, next);
        if (end == SIZE_MAX) return;
        multipart_part(p, str_slice(body, 0, end));
        body = str_from(body, end + next.n);
    }
}

void params_read(struct params *p, struct http_req *r)
{
    *p = (struct params){ 0 };
    bool upload = (r->method & (HTTP_POST | HTTP_PUT)) != 0;
    str type = media_type(http_header(r, "Content-Type"));
    struct err why = { 0 };
    if (upload && str_eq_nocase(type, S("application/x-www-form-urlencoded")))
        p->rc = http_parse_query(&p->form, r->body, &r->arena, &p->why);
    errc rc = http_parse_query(&p->url, r->query, &r->arena, &why);
    if (p->rc == OK && rc != OK) {
        p->rc = rc;
        p->why = why;
    }
    for (size_t i = 0; i < p->url.n; i++) vec_push(&p->form, p->url.at[i]);
    if (upload && str_eq_nocase(type, S("multipart/form-data"))) multipart_read(p, r);
}

void params_fini(struct params *p)
{
    vec_fini(&p->form);
    vec_fini(&p->url);
}

static str pairs_get(const http_pairs *pairs, str name)
{
    for (size_t i = 0; i < pairs->n; i++)
        if (str_eq(pairs->at[i].name, name)) return pairs->at[i].value;
    return STR_EMPTY;
}

str param(const struct params *p, str name) { return pairs_get(&p->form, name); }
str param_url(const struct params *p, str name) { return pairs_get(&p->url, name); }

/* Wrapping arithmetic as Go has it: far times overflow there in a defined way, and clients see the
 * results. */
static int64_t wrap_mul_add(int64_t a, int64_t b, int64_t c)
{
    return (int64_t)((uint64_t)a * (uint64_t)b + (uint64_t)c);
}

int64_t instant_ms(struct instant t) { return wrap_mul_add(t.s, 1000, t.ns / 1000000); }
int64_t instant_query_ms(struct instant t) { return wrap_mul_add(t.s, 1000000000, t.ns) / 1000000; }
/* Go counts seconds from the year 1; what lies beyond comes back from below. */
static int64_t go_seconds(struct instant t)
{
    return (int64_t)((uint64_t)t.s + UINT64_C(62135596800));
}
bool instant_before(struct instant a, struct instant b)
{
    return go_seconds(a) != go_seconds(b) ? go_seconds(a) < go_seconds(b) : a.ns < b.ns;
}

int64_t instant_sub(struct instant a, struct instant b)
{
    __int128 ns = ((__int128)go_seconds(a) - go_seconds(b)) * 1000000000 + a.ns - b.ns;
    return ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

/* Go's conversion on amd64: what does not fit gives the least integer. */
static int64_t go_int64(double v) { return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN; }

/* As Go's time.Unix(sec, nsec): nanoseconds are brought into [0, 1e9). */
static struct instant instant_unix(int64_t s, int64_t ns)
{
    if (ns >= 0 && ns < 1000000000) return (struct instant){ s, ns };
    int64_t n = ns / 1000000000;
    s = (int64_t)((uint64_t)s + (uint64_t)n);
    ns -= n * 1000000000;
    if (ns < 0) {
        ns += 1000000000;
        s = (int64_t)((uint64_t)s - 1);
    }
    return (struct instant){ s, ns };
}

errc parse_instant(str s, struct instant *out, struct err *e)
{
    double v;
    if (f64_parse(s, &v)) {
        double whole = isinf(v) ? v : trunc(v), part = isinf(v) ? (double)NAN : v - whole;
        part = round(part * 1000) / 1000;
        *out = instant_unix(go_int64(whole), go_int64(part * 1e9));
        return OK;
    }
    int64_t ms;
    if (rfc3339_parse(s, &ms)) {
        *out = instant_unix(ms / 1000, ms % 1000 * 1000000);
        return OK;
    }
    if (str_eq(s, S("-292273086-05-16T16:47:06Z"))) {
        *out = INSTANT_MIN;
        return OK;
    }
    if (str_eq(s, S("292277025-08-18T07:12:54.999999999Z"))) {
        *out = INSTANT_MAX;
        return OK;
    }
    struct buf q = { 0 };
    buf_go_quote(&q, s);
    err_set(e, ERR_BAD_INPUT, "cannot parse %.*s to a valid timestamp", STR_ARG(buf_view(&q)));
    buf_fini(&q);
    return ERR_BAD_INPUT;
}

errc param_instant(
    const struct params *p, str name, struct instant fallback, struct instant *out, struct err *e)
{
    str v = param(p, name);
    if (!v.n) {
        *out = fallback;
        return OK;
    }
    TRY_IN(e, parse_instant(v, out, e), "invalid time value for '%.*s'", STR_ARG(name));
    return OK;
}

static errc bad_quoted(struct err *e, const char *before, str s, const char *after)
{
    struct buf q = { 0 };
    buf_go_quote(&q, s);
    err_set(e, ERR_BAD_INPUT, "%s%.*s%s", before, STR_ARG(buf_view(&q)), after);
    buf_fini(&q);
    return ERR_BAD_INPUT;
}

errc parse_api_duration(str s, int64_t *ns_out, struct err *e)
{
    double v;
    if (f64_parse(s, &v)) {
        double ns = v * 1e9;
        if (ns > 0x1p63 || ns < -0x1p63)
            return bad_quoted(e, "cannot parse ", s, " to a valid duration. It overflows int64");
        *ns_out = go_int64(ns);
        return OK;
    }
    int64_t ms;
    if (duration_parse(s, &ms, NULL) == OK) {
        *ns_out = ms * 1000000;
        return OK;
    }
    return bad_quoted(e, "cannot parse ", s, " to a valid duration");
}

static bool is_digits(str s)
{
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) s = str_from(s, 1);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    return s.n > 0;
}

errc parse_limit(str s, uint64_t *out, struct err *e)
{
    int64_t v = 0;
    if (s.n && !str_i64(s, &v))
        return bad_quoted(e, "strconv.Atoi: parsing ", s,
            is_digits(s) ? ": value out of range" : ": invalid syntax");
    if (v < 0) return err_set(e, ERR_BAD_INPUT, "limit must be non-negative");
    *out = (uint64_t)v;
    return OK;
}

static bool all_match_empty(struct matchers ms)
{
    for (size_t i = 0; i < ms.n; i++)
        if (!matcher_matches_empty(&ms.at[i])) return false;
    return true;
}

static errc parse_matcher_set(
    struct matchers *out, str text, const struct parse_opts *o, struct arena *a, str *why)
{
    TRY(promql_parse_selector(out, text, o, a, why));
    if (!all_match_empty(*out)) return OK;
    *why = S("match[] must contain at least one non-empty matcher");
    return ERR_BAD_INPUT;
}

errc parse_matchers(const struct params *p, const struct parse_opts *o, struct arena *a,
    struct matchers **out, size_t *n, str *why)
{
    VEC(struct matchers) sets = { 0 };
    for (size_t i = 0; i < p->form.n; i++) {
        if (!str_eq(p->form.at[i].name, S("match[]"))) continue;
        struct matchers ms = { 0 };
        errc rc = parse_matcher_set(&ms, p->form.at[i].value, o, a, why);
        avec_push(a, &sets, ms);
        if (rc == OK) continue;
        matchers_fini_all(sets.at, sets.n);
        return rc;
    }
    *out = sets.at;
    *n = sets.n;
    return OK;
}

void matchers_fini_all(struct matchers *ms, size_t n)
{
    for (size_t i = 0; i < n; i++) matchers_fini(ms[i]);
}
