#include "io/http_words.h"

#include "io/fs.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

/* The kernel's words, beginning with a small letter as Go has them. */
static const char *words_errno(char room[128], int errnum)
{
    char buf[128];
    const char *w = strerror_r(errnum, buf, sizeof(buf));
    snprintf(room, 128, "%c%s", tolower((unsigned char)w[0]), w + 1);
    return room;
}

static bool words_has(str s, const char *what) { return str_find(s, str_z(what)) != SIZE_MAX; }

static bool words_is_address(str host)
{
    for (size_t i = 0; i < host.n; i++)
        if (!(host.p[i] >= '0' && host.p[i] <= '9') && host.p[i] != '.') return host.p[0] == '[';
    return true;
}

/* What the certificate holds is not known here, only that the name is not in it. */
static void words_tls_name(struct err *e, const struct http_failure *f)
{
    static const char fmt[] = "tls: failed to verify certificate: x509: ";
    if (words_is_address(f->dialled))
        err_set(e, ERR_IO,
            "%scannot validate certificate for %.*s because it doesn't contain any IP SANs", fmt,
            STR_ARG(f->dialled));
    else err_set(e, ERR_IO, "%scertificate is not valid for %.*s", fmt, STR_ARG(f->dialled));
}

static void words_tls_verify(struct err *e, const struct http_failure *f)
{
    const char *why = NULL;
    if (words_has(f->detail, "does not match target host")) {
        words_tls_name(e, f);
        return;
    }
    if (words_has(f->detail, "self-signed") || words_has(f->detail, "self signed") ||
        words_has(f->detail, "issuer") || words_has(f->detail, "verification failed"))
        why = "certificate signed by unknown authority";
    else if (words_has(f->detail, "expired") || words_has(f->detail, "not yet valid"))
        why = "certificate has expired or is not yet valid";
    str d = why ? str_z(why) : f->detail;
    err_set(e, ERR_IO, "tls: failed to verify certificate: x509: %.*s", STR_ARG(d));
}

static const char *words_dial(const struct http_failure *f)
{
    return f->proxied ? "proxyconnect tcp: dial" : "dial";
}

static void words_lookup(struct err *e, const struct http_failure *f)
{
    if (f->lookup.n) err_set(e, ERR_IO, "%s tcp: %.*s", words_dial(f), STR_ARG(f->lookup));
    else err_set(e, ERR_IO, "%s tcp: lookup %.*s: no such host", words_dial(f), STR_ARG(f->host));
}

/* A file of the configuration that cannot be read is told as such; true: it was. */
static bool words_file(struct err *e, str path, const char *what)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    struct err why = { 0 };
    str text;
    bool unread = path.n && fs_read_path(path, &a, (size_t)1 << 24, &text, &why) != OK;
    if (unread)
        err_set(e, ERR_IO, "unable to read %s: unable to read file %.*s: %.*s", what, STR_ARG(path),
            STR_ARG(err_str(&why)));
    arena_fini(&a);
    return unread;
}

static void words_files(struct err *e, const struct http_failure *f)
{
    if (words_file(e, f->ca_file, "CA cert") || words_file(e, f->cert_file, "client cert") ||
        words_file(e, f->key_file, "client key"))
        return;
    if (f->kind == HTTP_FAIL_CERT)
        err_set(e, ERR_IO, "unable to use specified client cert & key: %.*s", STR_ARG(f->detail));
    else if (f->ca_file.n)
        err_set(e, ERR_IO, "unable to use specified CA cert file %.*s", STR_ARG(f->ca_file));
    else err_set(e, ERR_IO, "unable to use specified CA cert inline");
}

static void words_connect(struct err *e, const struct http_failure *f)
{
    char room[128];
    int errnum = f->os_errno ? f->os_errno : ECONNREFUSED;
    const char *words = words_errno(room, errnum);
    if (f->unix_socket.n)
        err_set(e, ERR_IO, "dial unix %.*s: connect: %s", STR_ARG(f->unix_socket), words);
    else err_set(e, ERR_IO, "%s tcp %.*s: connect: %s", words_dial(f), STR_ARG(f->remote), words);
}

/* An answer that is not HTTP, as the transfer library says it and as Go does. */
static bool words_malformed(struct err *e, const struct http_failure *f)
{
    static const struct { const char *detail, *words; } malformed[] = {
        { "Header without colon", "malformed MIME header: missing colon" },
        { "Invalid Content-Length", "bad Content-Length" },
        { "Illegal or missing hexadecimal", "invalid byte in chunk length" },
        { "Too long hexadecimal", "http chunk length too large" },
        { "Malformed encoding found", "malformed chunked encoding" },
    };
    static const char broken[] = "net/http: HTTP/1.x transport connection broken: ";
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
        if (!words_has(f->detail, malformed[i].detail)) continue;
        err_set(e, ERR_IO, "%s%s", f->answered ? "" : broken, malformed[i].words);
        return true;
    }
    return false;
}

/* The library's bounds: of a line (it calls that out of memory), of all. */
static bool words_too_long(struct err *e, const struct http_failure *f)
{
    bool line = words_has(f->detail, "Out of memory");
    if (!line && !words_has(f->detail, "Too large response headers")) return false;
    err_set(e, ERR_IO, "net/http: server response headers exceeded %s bytes; aborted",
        line ? "102400" : "307200");
    return true;
}

static void words_receive(struct err *e, const struct http_failure *f)
{
    char room[128];
    if (words_malformed(e, f) || words_too_long(e, f)) return;
    if (f->os_errno)
        err_set(e, ERR_IO, "read tcp %.*s->%.*s: read: %s", STR_ARG(f->local), STR_ARG(f->remote),
            words_errno(room, f->os_errno));
    else err_set(e, ERR_IO, f->answered ? "unexpected EOF" : "EOF");
}

static void words_scheme(struct err *e, const struct http_failure *f)
{
    str scheme, rest;
    bool has = str_cut(f->url, ':', &scheme, &rest);
    /* a status line that is none: no HTTP/1 at all, or a version or code that there is not */
    if (words_has(f->detail, "HTTP/0.9") || str_eq_nocase(scheme, S("http")) ||
        str_eq_nocase(scheme, S("https")))
        err_set(
            e, ERR_IO, "net/http: HTTP/1.x transport connection broken: malformed HTTP response");
    else
        err_set(e, ERR_BAD_INPUT, "unsupported protocol scheme \"%.*s\"",
            STR_ARG(has ? scheme : STR_EMPTY));
}

static void words_other(struct err *e, const struct http_failure *f)
{
    if (words_malformed(e, f) || words_too_long(e, f)) return;
    /* it was closed before one could look */
    if (words_has(f->detail, "getpeername()"))
        err_set(e, ERR_IO, "read tcp %.*s->%.*s: read: connection reset by peer",
            STR_ARG(f->local), STR_ARG(f->remote));
    /* each time before a byte of the answer came */
    else if (words_has(f->detail, "Connection died")) err_set(e, ERR_IO, "EOF");
    else err_set(e, ERR_IO, "%.*s", STR_ARG(f->detail));
}

static void words_inner(struct err *e, const struct http_failure *f)
{
    if (f->connect_status && f->connect_status / 100 != 2 && !f->answered) {
        err_set(e, ERR_IO, "%.*s", STR_ARG(http_status_words(f->connect_status)));
        return;
    }
    switch (f->kind) {
    case HTTP_FAIL_RESOLVE: words_lookup(e, f); break;
    case HTTP_FAIL_CONNECT: words_connect(e, f); break;
    case HTTP_FAIL_TIMEOUT: err_set(e, ERR_TIMEOUT, "context deadline exceeded"); break;
    case HTTP_FAIL_EOF: err_set(e, ERR_IO, "EOF"); break;
    case HTTP_FAIL_RECEIVE: words_receive(e, f); break;
    case HTTP_FAIL_CUT: err_set(e, ERR_IO, "unexpected EOF"); break;
    case HTTP_FAIL_HEADERS:
        err_set(e, ERR_IO, "net/http: HTTP/1.x transport connection broken: unexpected EOF");
        break;
    case HTTP_FAIL_TLS_VERIFY: words_tls_verify(e, f); break;
    case HTTP_FAIL_CA_FILE:
    case HTTP_FAIL_CERT: words_files(e, f); break;
    case HTTP_FAIL_REDIRECTS: err_set(e, ERR_IO, "stopped after 10 redirects"); break;
    case HTTP_FAIL_SCHEME: words_scheme(e, f); break;
    case HTTP_FAIL_TLS:
        if (words_has(f->detail, "unexpected TLS packet"))
            err_set(e, ERR_IO, "http: server gave HTTP response to HTTPS client");
        else if (words_has(f->detail, "non-properly terminated")) err_set(e, ERR_IO, "EOF");
        else err_set(e, ERR_IO, "tls: %.*s", STR_ARG(f->detail));
        break;
    case HTTP_FAIL_URL: err_set(e, ERR_BAD_INPUT, "%.*s", STR_ARG(f->detail)); break;
    default: words_other(e, f); break;
    }
}

bool http_failure_lasts(const struct http_failure *f)
{
    switch (f->kind) {
    case HTTP_FAIL_TLS_VERIFY:
    case HTTP_FAIL_CA_FILE:
    case HTTP_FAIL_CERT: return !f->canceled && !f->too_large;
    case HTTP_FAIL_TLS:
        return words_has(f->detail, "unexpected TLS packet") ||
               words_has(f->detail, "error reading X.509");
    default: return false;
    }
}

errc http_failure_words(const struct http_failure *f, struct err *e)
{
    struct err inner = { 0 };
    if (f->too_large) return err_set(e, ERR_LIMIT, "body size limit exceeded");
    if (f->canceled) err_set(&inner, ERR_CANCELED, "context canceled");
    else words_inner(&inner, f);
    if (f->answered) return err_set(e, inner.code, "%s", inner.msg);
    str m = f->method.n ? f->method : S("GET");
    char op[32];
    size_t n = MIN(m.n, sizeof(op) - 1);
    for (size_t i = 0; i < n; i++) op[i] = (char)(i ? tolower(m.p[i]) : m.p[i]);
    return err_set(e, inner.code, "%.*s \"%.*s\": %s", (int)n, op, STR_ARG(f->url), inner.msg);
}

static const struct { int status; const char *words;
} statuses[] = {
    { 100, "Continue" },
    { 101, "Switching Protocols" },
    { 102, "Processing" },
    { 103, "Early Hints" },
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 203, "Non-Authoritative Information" },
    { 204, "No Content" },
    { 205, "Reset Content" },
    { 206, "Partial Content" },
    { 207, "Multi-Status" },
    { 208, "Already Reported" },
    { 226, "IM Used" },
    { 300, "Multiple Choices" },
    { 301, "Moved Permanently" },
    { 302, "Found" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 305, "Use Proxy" },
    { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 402, "Payment Required" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 407, "Proxy Authentication Required" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 411, "Length Required" },
    { 412, "Precondition Failed" },
    { 413, "Request Entity Too Large" },
    { 414, "Request URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 416, "Requested Range Not Satisfiable" },
    { 417, "Expectation Failed" },
    { 418, "I'm a teapot" },
    { 421, "Misdirected Request" },
    { 422, "Unprocessable Entity" },
    { 423, "Locked" },
    { 424, "Failed Dependency" },
    { 425, "Too Early" },
    { 426, "Upgrade Required" },
    { 428, "Precondition Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 451, "Unavailable For Legal Reasons" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
    { 506, "Variant Also Negotiates" },
    { 507, "Insufficient Storage" },
    { 508, "Loop Detected" },
    { 510, "Not Extended" },
    { 511, "Network Authentication Required" },
};

str http_status_words(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (statuses[i].status == status) return str_z(statuses[i].words);
    return STR_EMPTY;
}
