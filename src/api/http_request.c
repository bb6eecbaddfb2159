/* http_request.c — see the header. */
#include "api/http_request.h"

#include "base/utf8.h"

enum http_method http_method_of(str name)
{
    static const struct { str name; enum http_method m; } all[] = {
        { S("GET"), HTTP_GET },
        { S("POST"), HTTP_POST },
        { S("HEAD"), HTTP_HEAD },
        { S("PUT"), HTTP_PUT },
        { S("OPTIONS"), HTTP_OPTIONS },
        { S("DELETE"), HTTP_DELETE },
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (str_eq(all[i].name, name)) return all[i].m;
    return HTTP_OTHER;
}

/* ---- escapes */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %XX decoded; plus: '+' is a blank. ERR_BAD_INPUT: *out is the bad escape. */
static errc unescape(str s, bool plus, struct arena *a, str *out)
{
    uint8_t *p = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%') {
            int hi = s.n - i > 2 ? hex_digit(s.p[i + 1]) : -1,
                lo = s.n - i > 2 ? hex_digit(s.p[i + 2]) : -1;
            if (hi < 0 || lo < 0) {
                *out = str_slice(s, i, MIN(i + 3, s.n));
                return ERR_BAD_INPUT;
            }
            p[n++] = (uint8_t)(hi << 4 | lo);
            i += 2;
        } else {
            p[n++] = plus && s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    p[n] = 0;
    *out = str_of(p, n);
    return OK;
}

/* What a proxy is asked with: the whole URL, of which the path is what counts. */
static str without_authority(str target)
{
    str rest = str_has_prefix(target, S("http://"))    ? str_from(target, 7)
               : str_has_prefix(target, S("https://")) ? str_from(target, 8)
                                                       : STR_EMPTY;
    if (!rest.n) return target;
    size_t path = str_index(rest, '/'), query = str_index(rest, '?');
    if (path < query) return str_from(rest, path);
    return S("/");
}

bool http_target_cut(str target, struct arena *a, str *path, str *query)
{
    str raw, decoded;
    str_cut(without_authority(target), '?', &raw, query);
    bool ok = unescape(raw, false, a, &decoded) == OK;
    *path = ok ? decoded : STR_EMPTY;
    return ok;
}

static errc bad_escape(str escape, struct err *e)
{
    struct buf q = { 0 };
    buf_go_quote(&q, escape);
    err_set(e, ERR_BAD_INPUT, "invalid URL escape %.*s", STR_ARG(buf_view(&q)));
    buf_fini(&q);
    return ERR_BAD_INPUT;
}

errc http_parse_query(http_pairs *out, str query, struct arena *a, struct err *e)
{
    errc rc = OK;
    while (query.n) {
        str pair, name, value;
        str_cut(query, '&', &pair, &query);
        if (!pair.n) continue;
        if (str_index(pair, ';') != SIZE_MAX) {
            rc = err_set(e, ERR_BAD_INPUT, "invalid semicolon separator in query");
            continue;
        }
        str_cut(pair, '=', &name, &value);
        str bad = STR_EMPTY;
        if (unescape(name, true, a, &name) != OK) bad = name;
        else if (unescape(value, true, a, &value) != OK) bad = value;
        if (!bad.n) vec_push(out, ((struct http_pair){ name, value }));
        else if (rc == OK) rc = bad_escape(bad, e);
    }
    return rc;
}

/* ---- framing */

static bool is_token(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i], letter = c | 32;
        if ((letter < 'a' || letter > 'z') && (c < '0' || c > '9') &&
            str_index(S("!#$%&'*+-.^_`|~"), c) == SIZE_MAX)
            return false;
    }
    return s.n > 0;
}

static bool has_control(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f) return true;
    return false;
}

void http_framing_note(struct http_framing *f, str name, str value)
{
    value = str_trim(value);
    f->bytes_bad = f->bytes_bad || !is_token(name) || has_control(value);
    if (str_eq_nocase(name, S("Host"))) f->hosts++;
    if (str_eq_nocase(name, S("Transfer-Encoding"))) {
        f->encodings++;
        f->chunked = str_eq_nocase(value, S("chunked"));
    }
    if (str_eq_nocase(name, S("Expect")) && !f->expects) {
        f->expects = value.n > 0;
        f->expects_more = value.n > 0 && !str_eq_nocase(value, S("100-continue"));
    }
    if (!str_eq_nocase(name, S("Content-Length"))) return;
    f->lengths_differ = f->lengths_differ || (f->length.p && !str_eq(f->length, value));
    f->length = value;
}

struct http_refusal http_refusal_of(const struct http_framing *f, str method, str version)
{
    if (f->bytes_bad || !is_token(method))
        return (struct http_refusal){ 400, S("400 Bad Request") };
    if (f->encodings > 1 || (f->encodings && !f->chunked))
        return (struct http_refusal){ 501, S("Unsupported transfer encoding") };
    if (f->lengths_differ || f->hosts > 1)
        return (struct http_refusal){ 400, S("400 Bad Request") };
    if (!f->hosts && str_eq(version, S("HTTP/1.1")))
        return (struct http_refusal){ 400, S("400 Bad Request: missing required Host header") };
    if (f->expects_more) return (struct http_refusal){ .status = 417 };
    return (struct http_refusal){ 0 };
}
