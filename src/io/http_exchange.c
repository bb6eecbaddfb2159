/* In the order of an exchange's life: the request, the answer, the end. */
#include "io/http_exchange.h"

#include "io/http_words.h"

#include "base/buf_pool.h"
#include "base/clock.h"
#include "base/metric.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    REQUESTS_MAX = 10,
    RECEIVE_BYTES = 64 << 10,
    RECEIVE_LARGE_BYTES = 256 << 10,   /* where a large body is expected: a quarter of the calls */
    IDLE_MAX_S = 300,
    ADDR_MAX = 64,
    HEADER_BYTES_MAX = 1 << 20
};

COUNTER(m_connections, "epimetheus_http_client_connections_total", "Connections that were begun.")

static const char SYSTEM_CA_FILE[] = "/etc/ssl/certs/ca-certificates.crt";

/* ---- the request ---- */

static char *exchange_cstr(struct http_exchange *x, str s) { return arena_cstr(&x->arena, s); }

static struct http_field *fields_copy(struct arena *a, const struct http_field *from, size_t n)
{
    struct http_field *to = arena_array(a, n + 1, sizeof(*to));
    for (size_t i = 0; i < n; i++)
        to[i] = (struct http_field){ arena_str(a, from[i].name), arena_str(a, from[i].value) };
    return to;
}

static void request_copy(struct http_exchange *x, const struct http_request *r)
{
    struct arena *a = &x->arena;
    struct http_request *q = &x->req;
    *q = *r;
    str *const strs[] = {
        &q->dialer,
        &q->method,
        &q->url,
        &q->body,
        &q->username,
        &q->password,
        &q->proxy_url,
        &q->no_proxy,
        &q->tls.ca,
        &q->tls.cert,
        &q->unix_socket,
        &q->tls.key,
        &q->tls.ca_file,
        &q->tls.cert_file,
        &q->tls.key_file,
        &q->tls.server_name,
    };
    for (size_t i = 0; i < ARRAY_LEN(strs); i++) *strs[i] = arena_str(a, *strs[i]);
    q->headers = fields_copy(a, r->headers, r->n_headers);
    q->proxy_headers = fields_copy(a, r->proxy_headers, r->n_proxy_headers);
    if (!q->method.n) q->method = S("GET");
}

static struct curl_slist *slist_field(
    struct http_exchange *x, struct curl_slist *l, const struct http_field *f)
{
    /* "Name;" is libcurl's way to send a header without a value; "Name:" would take one away. */
    str line = f->value.n ? arena_fmt(&x->arena, "%.*s: %.*s", STR_ARG(f->name), STR_ARG(f->value))
                          : arena_fmt(&x->arena, "%.*s;", STR_ARG(f->name));
    struct curl_slist *longer = curl_slist_append(l, (const char *)line.p);
    if (!longer) abort();
    return longer;
}

static bool request_has(const struct http_request *r, str name)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (str_eq_nocase(r->headers[i].name, name)) return true;
    return false;
}

/* As Go sends it: as the URL has it, with the port if one is written there. */
static void exchange_host(struct http_exchange *x)
{
    const struct http_target *r = &x->target;
    bool known = (str_eq(r->scheme, S("https")) && str_eq(r->own_port, S("443"))) ||
                 (str_eq(r->scheme, S("http")) && str_eq(r->own_port, S("80")));
    bool renamed = x->req.tls.server_name.n > 0;
    /* else it is what would be sent anyway */
    if ((!known && !renamed) || request_has(&x->req, S("Host"))) return;
    struct http_field f = { S("Host"),
        r->own_port.n ? arena_fmt(&x->arena, "%.*s:%.*s", STR_ARG(r->host), STR_ARG(r->own_port))
                      : r->host };
    x->headers = slist_field(x, x->headers, &f);
}

static void exchange_headers(struct http_exchange *x)
{
    exchange_host(x);
    /* libcurl would add these by itself */
    static const char *const unwanted[] = { "Accept", "Expect", "Content-Type" };
    for (size_t i = 0; i < x->req.n_headers; i++)
        if (!x->strayed || !http_header_stays(x->req.headers[i].name))
            x->headers = slist_field(x, x->headers, &x->req.headers[i]);
    for (size_t i = 0; i < ARRAY_LEN(unwanted); i++) {
        if (request_has(&x->req, str_z(unwanted[i]))) continue;
        str none = arena_fmt(&x->arena, "%s:", unwanted[i]);
        x->headers = curl_slist_append(x->headers, (const char *)none.p);
    }
    curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
    bool tunnel = str_eq_nocase(x->target.scheme, S("https"));  /* they are for CONNECT alone */
    for (size_t i = 0; tunnel && i < x->req.n_proxy_headers; i++)
        x->proxy_headers = slist_field(x, x->proxy_headers, &x->req.proxy_headers[i]);
    curl_easy_setopt(x->easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    if (x->proxy_headers) curl_easy_setopt(x->easy, CURLOPT_PROXYHEADER, x->proxy_headers);
}

static void easy_str(struct http_exchange *x, CURLoption option, str s)
{
    if (s.n) curl_easy_setopt(x->easy, option, exchange_cstr(x, s));
}

static void easy_pem(struct http_exchange *x, CURLoption option, str pem)
{
    if (pem.n) easy_str(x, option, http_pems_path(x->shared->pems, pem));
}

static void exchange_tls(struct http_exchange *x)
{
    static const long lows[] = { CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_0,
        CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_3 };
    static const long highs[] = { CURL_SSLVERSION_MAX_DEFAULT, CURL_SSLVERSION_MAX_TLSv1_0,
        CURL_SSLVERSION_MAX_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_3 };
    const struct http_tls *s = &x->req.tls;
    curl_easy_setopt(x->easy, CURLOPT_SSLVERSION, lows[s->min_version] | highs[s->max_version]);
    /* The system's authorities count only where no others are named; loading them is what a
     * handshake would cost most for. */
    if (s->insecure || s->ca.n || s->ca_file.n) curl_easy_setopt(x->easy, CURLOPT_CAPATH, NULL);
    if (s->insecure) curl_easy_setopt(x->easy, CURLOPT_CAINFO, NULL);
    /* the bundle is what the folder holds */
    else if (access(SYSTEM_CA_FILE, R_OK) == 0) {
        curl_easy_setopt(x->easy, CURLOPT_CAPATH, NULL);
        curl_easy_setopt(x->easy, CURLOPT_CAINFO, SYSTEM_CA_FILE);
    }
    easy_pem(x, CURLOPT_CAINFO, s->ca);
    easy_str(x, CURLOPT_CAINFO, s->ca_file);
    easy_pem(x, CURLOPT_SSLCERT, s->cert);
    easy_str(x, CURLOPT_SSLCERT, s->cert_file);
    easy_pem(x, CURLOPT_SSLKEY, s->key);
    easy_str(x, CURLOPT_SSLKEY, s->key_file);
    curl_easy_setopt(x->easy, CURLOPT_SSL_VERIFYPEER, s->insecure ? 0L : 1L);
    curl_easy_setopt(x->easy, CURLOPT_SSL_VERIFYHOST, s->insecure ? 0L : 2L);
}

/* Another name to verify than the host that is dialled: the URL carries the name, the dialling goes
 * to the host, and the Host header (exchange_host) says what it would have said. */
static bool exchange_server_name(struct http_exchange *x, CURLU *u)
{
    if (!x->req.tls.server_name.n || !str_eq_nocase(x->target.scheme, S("https"))) return true;
    if (curl_url_set(u, CURLUPART_HOST, exchange_cstr(x, x->req.tls.server_name), 0) != CURLUE_OK)
        return false;
    const struct http_target *r = &x->target;
    str to = arena_fmt(&x->arena, "%.*s:%.*s:%.*s:%.*s", STR_ARG(x->req.tls.server_name),
        STR_ARG(r->port), STR_ARG(r->host), STR_ARG(r->port));
    x->connect_to = curl_slist_append(NULL, (const char *)to.p);
    curl_easy_setopt(x->easy, CURLOPT_CONNECT_TO, x->connect_to);
    return true;
}

static bool exchange_url(struct http_exchange *x)
{
    str to = http_target_with_host(&x->arena, x->target.url);
    CURLU *u = curl_url();
    char *url = NULL;
    bool ok = u &&
              curl_url_set(u, CURLUPART_URL, exchange_cstr(x, to), CURLU_NON_SUPPORT_SCHEME) ==
                  CURLUE_OK &&
              exchange_server_name(x, u) && curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK;
    if (ok) curl_easy_setopt(x->easy, CURLOPT_URL, url);
    curl_free(url);
    curl_url_cleanup(u);
    return ok;
}

static void exchange_method(struct http_exchange *x)
{
    const struct http_request *r = &x->req;
    if (r->body.n || str_eq(r->method, S("POST"))) {
        curl_easy_setopt(x->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
        curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, r->body.p ? (const char *)r->body.p : "");
        if (!str_eq(r->method, S("POST")))
            curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, exchange_cstr(x, r->method));
    } else if (str_eq(r->method, S("HEAD"))) {
        curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
    } else if (!str_eq(r->method, S("GET"))) {
        curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, exchange_cstr(x, r->method));
    }
}

/* ---- the answer, as it comes ---- */

static void answer_status(struct http_exchange *x, str line)
{
    str proto, rest, code, reason;
    x->fields.n = 0;                   /* of a redirect or an interim answer: the last one counts */
    x->headers_end = false;
    str_cut(line, ' ', &proto, &rest);
    str_cut(rest, ' ', &code, &reason);
    uint64_t status = 0;
    x->resp.status = str_u64(str_trim(code), &status) && status < 1000 ? (int)status : 0;
    /* in HTTP/1 the peer's words or none, in HTTP/2 there are no words on the wire */
    x->resp.reason = str_has_prefix(proto, S("HTTP/1")) ? arena_str(&x->arena, str_trim(reason))
                                                        : http_status_words(x->resp.status);
    x->resp.bare_status = !reason.n;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct http_exchange *x = ctx;
    str line = str_of(p, size * n), name, value;
    x->header_bytes += line.n;
    if (x->header_bytes > HEADER_BYTES_MAX) return 0;
    if (str_has_prefix(line, S("HTTP/"))) {
        answer_status(x, line);
    } else if (str_cut(line, ':', &name, &value)) {
        struct http_field f = { arena_str(&x->arena, str_trim(name)),
            arena_str(&x->arena, str_trim(value)) };
        vec_push(&x->fields, f);
    } else if (!str_trim(line).n) {
        x->headers_end = true;
    }
    return size * n;
}

str http_exchange_moved(const struct http_exchange *x)
{
    if (!x->req.follow_redirects || !http_is_redirect(x->resp.status)) return STR_EMPTY;
    for (size_t i = 0; i < x->fields.n; i++)
        if (str_eq_nocase(x->fields.at[i].name, S("Location"))) return x->fields.at[i].value;
    return STR_EMPTY;
}

static void body_room(struct http_exchange *x, size_t bytes)
{
    struct buf *b = &x->resp.body;
    if (b->cap) return;
    curl_off_t length = -1;
    curl_easy_getinfo(x->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    enum { TRUSTED = 64 << 20 };       /* what a peer announces sizes no allocation beyond this */
    size_t want = length > (curl_off_t)x->parts.taken
                      ? (size_t)MIN(length - (curl_off_t)x->parts.taken, (curl_off_t)TRUSTED)
                      : 0;
    size_t room = MAX(want, bytes) + x->req.body_padding;
    if (x->req.bodies) *b = buf_pool_take(x->req.bodies, room);
    else buf_grow(b, room);
}

static size_t part_show(void *ctx, const uint8_t *p, size_t n)
{
    struct http_exchange *x = ctx;
    x->resp.headers = x->fields.at;
    x->resp.n_headers = x->fields.n;
    return x->req.on_part(x->ctx, &x->resp, p, n);
}

/* on_part wants no more, or the body ended: what it left is the start of the body. */
static void parts_end(struct http_exchange *x)
{
    struct buf *rest = &x->parts.rest;
    if (x->req.on_part) x->resp.taken = x->parts.taken;
    if (rest->n) {
        body_room(x, rest->n);
        buf_str(&x->resp.body, buf_view(rest));
    }
    buf_fini(rest);
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct http_exchange *x = ctx;
    struct buf *b = &x->resp.body;
    size_t bytes = size * n, max = x->req.max_body_bytes, used = 0;
    /* what a redirect says is not kept */
    if (http_exchange_moved(x).n) return bytes;
    if (max && bytes > max - b->n - x->parts.rest.n - MAX(x->parts.taken, x->resp.taken)) {
        x->too_large = true;
        return 0;
    }
    if (x->req.into.n && (x->resp.status == 200 || x->resp.status == 206)) {
        spans_put(x->req.into, x->resp.taken, str_of(p, bytes));
        x->resp.taken += bytes;
        return bytes;
    }
    if (x->req.on_part && x->resp.status == 200 && !x->parts.over) {
        used = http_parts_follow(&x->parts, (const uint8_t *)p, bytes);
        if (x->parts.over) parts_end(x);
    }
    if (used == bytes) return bytes;
    body_room(x, bytes);
    buf_bytes(b, p + used, bytes - used);
    return buf_ok(b) ? bytes : 0;
}

/* Which address is dialled is known for sure here alone: it is what a refused connection is told
 * with. */
static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http_exchange *x = ctx;
    char host[INET6_ADDRSTRLEN] = "";
    uint16_t port = 0;
    (void)purpose;
    const struct sockaddr_in *v4 = (const void *)&a->addr;
    const struct sockaddr_in6 *v6 = (const void *)&a->addr;
    if (a->family == AF_INET)
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host)), port = ntohs(v4->sin_port);
    if (a->family == AF_INET6)
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)), port = ntohs(v6->sin6_port);
    if (a->family == AF_UNIX) x->remote[0] = '\0';
    else
        snprintf(
            x->remote, sizeof(x->remote), a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, port);
    atomic_fetch_add_explicit(&x->shared->n_connections, 1, memory_order_relaxed);
    metric_inc(&m_connections);
    x->opened++;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static int on_close_socket(void *conns, curl_socket_t fd)
{
    http_conns_closed(conns, fd);
    return close(fd);
}

/* ---- a hop, begun and left ---- */

static void exchange_setup(struct http_exchange *x)
{
    const struct http_request *r = &x->req;
    CURL *h = x->easy;
    curl_easy_setopt(h, CURLOPT_PRIVATE, x);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    bool large = r->expect_bytes >= 4 * (size_t)RECEIVE_LARGE_BYTES;
    long room = large ? (long)RECEIVE_LARGE_BYTES : (long)RECEIVE_BYTES;
    curl_easy_setopt(h, CURLOPT_BUFFERSIZE, room);
    curl_easy_setopt(h, CURLOPT_MAXAGE_CONN, (long)IDLE_MAX_S);
    curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, x->detail);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, x);
    curl_easy_setopt(h, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    curl_easy_setopt(h, CURLOPT_CLOSESOCKETDATA, x->shared->conns);
    curl_easy_setopt(h, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    /* redirects are followed by the client: http_exchange_follow */
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION,
        r->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    if (r->timeout_ms > 0) {
        int64_t left = r->timeout_ms - (clock_mono_ns() - x->start_ns) / 1000000;
        curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)MAX(left, 1));
        int64_t connect = r->stall_ms > 0 ? MIN(left, r->stall_ms) : left;
        curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)MAX(connect, 1));
    }
    if (r->stall_ms > 0) {
        curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)((r->stall_ms + 999) / 1000));
    }
    if (r->basic && !x->strayed) {
        curl_easy_setopt(h, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(h, CURLOPT_USERNAME, exchange_cstr(x, r->username));
        curl_easy_setopt(h, CURLOPT_PASSWORD, exchange_cstr(x, r->password));
    }
    curl_easy_setopt(h, CURLOPT_PROXY, exchange_cstr(x, x->target.proxy));
    curl_easy_setopt(h, CURLOPT_NOPROXY, "");
    if (x->resolve) curl_easy_setopt(h, CURLOPT_RESOLVE, x->resolve);
    easy_str(x, CURLOPT_UNIX_SOCKET_PATH, r->unix_socket);
    exchange_method(x);
    if (str_eq_nocase(x->target.scheme, S("https"))) exchange_tls(x);
}

void http_exchange_init(
    struct http_exchange *x, struct http_shared *s, const struct http_request *r, void *ctx)
{
    *x = (struct http_exchange){ .shared = s, .ctx = ctx, .start_ns = clock_mono_ns() };
    arena_init(&x->arena, NULL, 0);
    buf_init(&x->resp.body, r->account, 0);
    x->parts = (struct http_parts){ .show = part_show, .ctx = x };
    request_copy(x, r);
}

void http_exchange_fini(struct http_exchange *x)
{
    if (x->req.bodies) buf_pool_give(x->req.bodies, &x->resp.body);
    else buf_fini(&x->resp.body);
    vec_fini(&x->fields);
    arena_fini(&x->arena);
}

bool http_exchange_start(struct http_exchange *x, CURL *easy, str addresses)
{
    const struct http_target *t = &x->target;
    x->easy = easy;
    if (addresses.n) {
        str pair = arena_fmt(&x->arena, "+%.*s:%.*s:%.*s", STR_ARG(t->lookup),
            STR_ARG(t->lookup_port), STR_ARG(addresses));
        x->resolve = curl_slist_append(NULL, (const char *)pair.p);
    }
    exchange_setup(x);
    bool ok = exchange_url(x);
    exchange_headers(x);
    return ok;
}

bool http_exchange_follow(struct http_exchange *x, str location, str *url)
{
    if (x->hops + 1 >= REQUESTS_MAX) return false;
    str host;
    bool with_body;
    *url = http_target_next(&x->arena, x->target.url, location, &host);
    if (!x->hops++) x->first_host = x->target.host;
    x->strayed = x->strayed || !http_same_site(x->first_host, host);
    x->req.method = http_redirect_method(x->req.method, x->resp.status, &with_body);
    if (!with_body) x->req.body = STR_EMPTY;
    x->fields.n = 0;
    x->resp.status = 0;
    x->resp.reason = STR_EMPTY;
    x->detail[0] = '\0';
    return true;
}

bool http_exchange_dialled(
    const struct http_exchange *x, int code, enum http_dial_fail *why)
{
    bool looked_up = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY;
    double connected = 0;
    long os_errno = 0;
    *why = looked_up ? DIAL_RESOLUTION : DIAL_FINE;
    if (x->easy) {
        curl_easy_getinfo(x->easy, CURLINFO_CONNECT_TIME, &connected);
        curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &os_errno);
    }
    if (code == CURLE_COULDNT_CONNECT)
        *why = os_errno == ECONNREFUSED ? DIAL_REFUSED : DIAL_UNKNOWN;
    if (code == CURLE_OPERATION_TIMEDOUT && connected <= 0) *why = DIAL_TIMEOUT;
    return x->opened || looked_up;
}

CURL *http_exchange_leave(struct http_exchange *x)
{
    struct curl_slist **const lists[] = { &x->headers, &x->proxy_headers, &x->connect_to,
        &x->resolve };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) curl_slist_free_all(STEAL(*lists[i]));
    x->opened = 0;
    return STEAL(x->easy);
}

/* ---- the end ---- */

static enum http_fail exchange_fail_kind(int code)
{
    static const struct { int code; enum http_fail kind;
    } kinds[] = {
        { CURLE_URL_MALFORMAT, HTTP_FAIL_URL },
        { CURLE_UNSUPPORTED_PROTOCOL, HTTP_FAIL_SCHEME },
        { CURLE_COULDNT_RESOLVE_HOST, HTTP_FAIL_RESOLVE },
        { CURLE_COULDNT_RESOLVE_PROXY, HTTP_FAIL_RESOLVE },
        { CURLE_COULDNT_CONNECT, HTTP_FAIL_CONNECT },
        { CURLE_OPERATION_TIMEDOUT, HTTP_FAIL_TIMEOUT },
        { CURLE_GOT_NOTHING, HTTP_FAIL_EOF },
        { CURLE_RECV_ERROR, HTTP_FAIL_RECEIVE },
        { CURLE_PARTIAL_FILE, HTTP_FAIL_CUT },
        { CURLE_SSL_CONNECT_ERROR, HTTP_FAIL_TLS },
        { CURLE_PEER_FAILED_VERIFICATION, HTTP_FAIL_TLS_VERIFY },
        { CURLE_SSL_CACERT_BADFILE, HTTP_FAIL_CA_FILE },
        { CURLE_TOO_MANY_REDIRECTS, HTTP_FAIL_REDIRECTS },
        { CURLE_SSL_CERTPROBLEM, HTTP_FAIL_CERT },
        { HTTP_HEADERS_CUT, HTTP_FAIL_HEADERS },
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].code == code) return kinds[i].kind;
    return HTTP_FAIL_OTHER;
}

static void exchange_told(struct http_exchange *x, int code)
{
    struct http_failure f = {
        .kind = exchange_fail_kind(code),
        .too_large = x->too_large,
        .canceled = x->canceled,
        .answered = x->resp.status != 0 && x->headers_end,
        .method = x->req.method,
        .url = x->target.url.n ? x->target.url : x->req.url,
        .remote = str_z(x->remote),
        .ca_file = x->req.tls.ca_file,
        .cert_file = x->req.tls.cert_file,
        .key_file = x->req.tls.key_file,
        .unix_socket = x->req.unix_socket,
        .host = x->target.lookup,
        .dialled = x->req.tls.server_name.n ? x->req.tls.server_name : x->target.host,
        .lookup = err_str(&x->lookup_err),
        .proxied = x->target.proxy.n > 0,
    };
    long os_errno = 0, local_port = 0, connect_code = 0;
    const char *local_ip = NULL;
    char local[ADDR_MAX] = "";
    if (x->easy) {
        curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &os_errno);
        curl_easy_getinfo(x->easy, CURLINFO_LOCAL_IP, &local_ip);
        curl_easy_getinfo(x->easy, CURLINFO_LOCAL_PORT, &local_port);
        curl_easy_getinfo(x->easy, CURLINFO_HTTP_CONNECTCODE, &connect_code);
    }
    if (code == CURLE_TOO_MANY_REDIRECTS) f.url = http_exchange_moved(x);
    if (local_ip && *local_ip) snprintf(local, sizeof(local), "%s:%ld", local_ip, local_port);
    f.os_errno = (int)os_errno;
    f.connect_status = (int)connect_code;
    f.local = str_z(local);
    f.detail = str_z(x->detail[0] ? x->detail : curl_easy_strerror((CURLcode)code));
    if (code == CURLE_TOO_MANY_REDIRECTS) f.answered = false;
    x->resp.rc = http_failure_words(&f, &x->resp.err);
    x->resp.lasts = http_failure_lasts(&f);
}

static void exchange_remote(struct http_exchange *x)
{
    const char *ip = NULL;
    long port = 0, made = 0;
    curl_easy_getinfo(x->easy, CURLINFO_PRIMARY_IP, &ip);
    curl_easy_getinfo(x->easy, CURLINFO_PRIMARY_PORT, &port);
    curl_easy_getinfo(x->easy, CURLINFO_NUM_CONNECTS, &made);
    if (ip && *ip)
        snprintf(x->remote, sizeof(x->remote), strchr(ip, ':') ? "[%s]:%ld" : "%s:%ld", ip, port);
    x->resp.reused = made == 0;
}

void http_exchange_end(struct http_exchange *x, int code)
{
    struct buf *b = &x->resp.body;
    size_t pad = x->req.body_padding;
    if (x->easy) exchange_remote(x);
    if (code != CURLE_OK) exchange_told(x, code);
    parts_end(x);
    if (pad && buf_room(b, pad)) memset(b->p + b->n, 0, pad);
    x->resp.headers = x->fields.at;
    x->resp.n_headers = x->fields.n;
    x->resp.remote = str_z(x->remote);
    x->resp.took_ns = clock_mono_ns() - x->start_ns;
}
