#include "ingest/negotiate.h"

#include "base/utf8.h"

static const struct { str name, media, params; bool escapes;
} protocols_known[SCRAPE_PROTOCOLS] = {
    [PROTO_PROTOBUF] = { S("PrometheusProto"), S("application/vnd.google.protobuf"),
        S(";proto=io.prometheus.client.MetricFamily;encoding=delimited"), false },
    [PROTO_TEXT_0_0_4] = { S("PrometheusText0.0.4"), S("text/plain"), S(";version=0.0.4"), false },
    [PROTO_TEXT_1_0_0] = { S("PrometheusText1.0.0"), S("text/plain"), S(";version=1.0.0"), true },
    [PROTO_OPENMETRICS_0_0_1] = { S("OpenMetricsText0.0.1"), S("application/openmetrics-text"),
        S(";version=0.0.1"), false },
    [PROTO_OPENMETRICS_1_0_0] = { S("OpenMetricsText1.0.0"), S("application/openmetrics-text"),
        S(";version=1.0.0"), true },
};

str scrape_protocol_name(enum scrape_protocol p) { return protocols_known[p].name; }
str scrape_protocol_media_type(enum scrape_protocol p) { return protocols_known[p].media; }

bool scrape_protocol_parse(str word, enum scrape_protocol *out)
{
    for (size_t p = 0; p < SCRAPE_PROTOCOLS; p++) {
        if (!str_eq(word, protocols_known[p].name)) continue;
        *out = (enum scrape_protocol)p;
        return true;
    }
    return false;
}

void buf_accept_header(
    struct buf *b, const enum scrape_protocol *protocols, size_t n, enum escape_scheme esc)
{
    assert(n <= SCRAPE_PROTOCOLS);
    size_t weight = SCRAPE_PROTOCOLS + 1;
    for (size_t i = 0; i < n; i++, weight--) {
        buf_str(b, protocols_known[protocols[i]].media);
        buf_str(b, protocols_known[protocols[i]].params);
        if (protocols_known[protocols[i]].escapes)
            buf_fmt(b, ";escaping=%.*s", STR_ARG(escape_scheme_name(esc)));
        buf_fmt(b, ";q=0.%zu,", weight);
    }
    buf_fmt(b, "*/*;q=0.%zu", weight);
}

/* Media types as RFC 2045 has them and Go's mime package reads them. */

static bool mime_token_byte(uint8_t c)
{
    return c > 0x20 && c < 0x7f && !memchr("()<>@,;:\\\"/[]?=", c, 15);
}

static str mime_token(str s, str *rest)
{
    size_t n = 0;
    while (n < s.n && mime_token_byte(s.p[n])) n++;
    *rest = str_from(s, n);
    return str_slice(s, 0, n);
}

static str mime_trim(str s)
{
    while (s.n && (s.p[0] == ' ' || (s.p[0] >= '\t' && s.p[0] <= '\r'))) s = str_from(s, 1);
    return s;
}

/* A token or a quoted string, whose escapes stay: only equality matters. False: no value. */
static bool mime_value(str s, str *value, str *rest)
{
    if (s.n == 0 || s.p[0] != '"') {
        *value = mime_token(s, rest);
        return value->n > 0;
    }
    for (size_t i = 1; i < s.n && s.p[i] != '\r' && s.p[i] != '\n'; i++) {
        if (s.p[i] == '"') {
            *value = str_slice(s, 1, i);
            *rest = str_from(s, i + 1);
            return true;
        }
        if (s.p[i] == '\\' && i + 1 < s.n && memchr("()<>@,;:\\\"/[]?=", s.p[i + 1], 15)) i++;
    }
    return false;
}

static bool mime_param(str s, str *name, str *value, str *rest)
{
    s = mime_trim(s);
    if (s.n == 0 || s.p[0] != ';') return false;
    *name = mime_token(mime_trim(str_from(s, 1)), &s);
    s = mime_trim(s);
    if (name->n == 0 || s.n == 0 || s.p[0] != '=') return false;
    return mime_value(mime_trim(str_from(s, 1)), value, rest);
}

static const char *mime_check_type(str s)
{
    str type = mime_token(s, &s);
    if (type.n == 0) return "mime: no media type";
    if (s.n == 0) return NULL;
    if (s.p[0] != '/') return "mime: expected slash after first token";
    str sub = mime_token(str_from(s, 1), &s);
    if (sub.n == 0) return "mime: expected token after slash";
    return s.n ? "mime: unexpected content after media subtype" : NULL;
}

/* NULL: fine; else what is wrong. */
static const char *mime_check(str header, str *type)
{
    size_t end = MIN(str_index(header, ';'), header.n);
    *type = str_trim(str_slice(header, 0, end));
    const char *wrong = mime_check_type(*type);
    if (wrong) return wrong;
    enum { PARAMS = 16 };
    struct { str name, value; } seen[PARAMS];
    size_t n = 0;
    for (str s = mime_trim(str_from(header, end)); s.n; s = mime_trim(s)) {
        str name, value;
        if (!mime_param(s, &name, &value, &s))
            return str_eq(str_trim(s), S(";")) ? NULL : "mime: invalid media parameter";
        for (size_t i = 0; i < n; i++)
            if (str_eq_nocase(seen[i].name, name) && !str_eq(seen[i].value, value))
                return "mime: duplicate parameter name";
        if (n == PARAMS) return "mime: invalid media parameter";
        seen[n].name = name;
        seen[n++].value = value;
    }
    return NULL;
}

static enum expo_format expo_format_named(str media)
{
    if (str_eq_nocase(media, S("text/plain"))) return EXPO_TEXT;
    if (str_eq_nocase(media, S("application/openmetrics-text"))) return EXPO_OPENMETRICS;
    return str_eq_nocase(media, S("application/vnd.google.protobuf")) ? EXPO_PROTOBUF : EXPO_NONE;
}

/* Words that quote the header and the fallback. */
static errc expo_no_format(struct err *e, errc rc, const char *before, str header,
    const char *middle, str fallback, const char *mime)
{
    struct buf b = { 0 };
    buf_fmt(&b, "%s", before);
    buf_go_quote(&b, header);
    buf_fmt(&b, "%s", middle);
    if (fallback.n) buf_go_quote(&b, fallback);
    if (mime) buf_fmt(&b, "\n%s", mime);
    err_set(e, rc, "%.*s", STR_ARG(buf_view(&b)));
    buf_fini(&b);
    return rc;
}

errc expo_format_of(
    str content_type, str fallback, enum expo_format *out, bool *warn, struct err *e)
{
    enum expo_format instead = expo_format_named(fallback);
    errc rc = instead == EXPO_NONE ? ERR_BAD_INPUT : OK;
    *warn = true;
    if (content_type.n == 0) {
        if (fallback.n == 0)
            return err_set(e, ERR_BAD_INPUT,
                "non-compliant scrape target sending blank Content-Type and no "
                "fallback_scrape_protocol "
                "specified for target");
        *out = instead;
        err_set(e, ERR_BAD_INPUT,
            "non-compliant scrape target sending blank Content-Type, using "
            "fallback_scrape_protocol \"%.*s\"",
            STR_ARG(fallback));
        return rc;
    }
    str type;
    const char *wrong = mime_check(content_type, &type);
    enum expo_format format = wrong ? EXPO_NONE : expo_format_named(type);
    if (format != EXPO_NONE) {
        *out = format;
        *warn = false;
        return OK;
    }
    if (fallback.n) {
        *out = instead;
        expo_no_format(e, ERR_BAD_INPUT,
            wrong ? "could not parse received Content-Type " : "received unsupported Content-Type ",
            content_type, ", using fallback_scrape_protocol ", fallback, wrong);
        return rc;
    }
    return wrong ? expo_no_format(e, ERR_BAD_INPUT, "cannot parse Content-Type ", content_type,
                       " and no fallback_scrape_protocol for target", STR_EMPTY, wrong)
                 : expo_no_format(e, ERR_BAD_INPUT, "received unsupported Content-Type ",
                       content_type, " and no fallback_scrape_protocol specified for target",
                       STR_EMPTY, NULL);
}
