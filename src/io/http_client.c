/* One mover thread owns the multi handle, all easy handles and all transfers that run. Others leave
 * letters in its inbox and ring the event descriptor. What it wakes for: a socket that libcurl
 * wants watched (epoll tells which, so that ten thousand idle connections cost nothing), libcurl's
 * timer, a letter.
 *
 *      http_send -> inbox -> [waiting for a name] -> running (an easy handle, in the multi) ->
 *      finished -> dispatched -> done, freed
 *                               ^------ redirect ------'
 *                               '--- the pool was full: asked again in RETRY_MS
 *
 * An easy handle costs some kilobytes and belongs to a running transfer only; at rest a few are
 * kept. Connections belong to the multi handle and outlive transfers.
 */
#include "io/http_client.h"

#include "io/http_conns.h"
#include "io/http_route.h"
#include "io/http_words.h"
#include "io/resolver.h"
#include "io/thread.h"

#include "base/buf_pool.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/vec.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    EASY_KEPT = 32,
    EVENTS = 256,
    RETRY_MS = 5,
    NAMES_MS = 20,
    REQUESTS_MAX = 10,
    RECEIVE_BYTES = 64 << 10,
    RECEIVE_LARGE_BYTES = 256 << 10,   /* where a large body is expected: a quarter of the calls */
    IDLE_MAX_S = 300,
    ADDR_MAX = 64,
    HEADER_BYTES_MAX = 1 << 20
};

COUNTER(m_requests, "epimetheus_http_client_requests_total",
    "Requests that were sent, redirects not counted.")
COUNTER(m_connections, "epimetheus_http_client_connections_total", "Connections that were begun.")
GAUGE(m_in_flight, "epimetheus_http_client_requests_in_flight",
    "Requests that were sent and whose answers were not taken yet.")

/* Where a request goes at this hop. lookup: the name that is dialled, to be resolved; empty: none
 * is. */
/* own_port: written in the URL, or empty */
struct route { str url, scheme, host, port, own_port, proxy, lookup, lookup_port; };

/* Beside the library's codes: the connection ended among the headers, which it takes for an end. */
enum { HEADERS_CUT = -1 };

struct transfer {
    uint64_t id;
    struct http_client *client;
    struct arena arena;                /* the copied request, then the headers of the answer */
    struct http_request req;
    http_done done;
    void *ctx;
    int64_t start_ns;
    struct http_response resp;
    VEC(struct http_field) fields;
    size_t header_bytes;
    char remote[ADDR_MAX], detail[CURL_ERROR_SIZE];
    bool too_large, canceled;
    bool headers_end;                  /* the empty line behind the last headers came */
    struct http_parts parts;           /* when on_part follows the body */
    struct route route;
    str first_host;
    unsigned hops;                     /* redirects that were followed */
    /* one of them left the first host's site: credentials stay behind */
    bool strayed;
    unsigned opened;                   /* sockets of this hop */
    struct err lookup_err;             /* the name has no address */
    CURL *easy;                        /* while it runs */
    struct curl_slist *headers, *proxy_headers, *connect_to, *resolve;
    struct transfer *next;             /* in the inbox or among the finished */
};

static const char SYSTEM_CA_FILE[] = "/etc/ssl/certs/ca-certificates.crt";

struct pem_file { uint64_t hash; size_t n; int fd; char path[32]; };

struct http_client {
    struct http_client_opts opts;      /* const after init */
    struct thread *thread;
    int epoll_fd, wake_fd;             /* const after init */

    struct mtx mu;                     /* LOCK_LEAF; guards the next six */
    struct cond idle;                  /* n_out came to 0 */
    struct transfer *inbox, **inbox_end;
    VEC(uint64_t) cancels;
    uint64_t next_id, n_out;           /* n_out: sent, and done has not returned */
    bool stop;

    _Atomic uint64_t n_running, n_connections;                 /* relaxed: figures */
    _Atomic bool names_came;           /* the resolver has news */

    /* The mover's own. */
    CURLM *multi;
    VEC(CURL *) easies;
    VEC(struct pem_file) pems;
    struct map running;                /* id -> transfer */
    VEC(struct transfer *) waiting;    /* for a name */
    struct resolver *resolver;         /* NULL until a name is needed */
    struct http_conns *conns;
    struct http_proxies environment;   /* const after init; heap */
    struct transfer *finished, **finished_end;
    int64_t timer_ns;                  /* when libcurl wants to be called; INT64_MAX: not at all */
};

/* ---- the request ---- */

static char *tr_cstr(struct transfer *t, str s) { return arena_cstr(&t->arena, s); }

static struct http_field *fields_copy(struct arena *a, const struct http_field *from, size_t n)
{
    struct http_field *to = arena_array(a, n + 1, sizeof(*to));
    for (size_t i = 0; i < n; i++)
        to[i] = (struct http_field){ arena_str(a, from[i].name), arena_str(a, from[i].value) };
    return to;
}

static void request_copy(struct transfer *t, const struct http_request *r)
{
    struct arena *a = &t->arena;
    struct http_request *q = &t->req;
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
    struct transfer *t, struct curl_slist *l, const struct http_field *f)
{
    /* "Name;" is libcurl's way to send a header without a value; "Name:" would take one away. */
    str line = f->value.n ? arena_fmt(&t->arena, "%.*s: %.*s", STR_ARG(f->name), STR_ARG(f->value))
                          : arena_fmt(&t->arena, "%.*s;", STR_ARG(f->name));
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
static void transfer_host(struct transfer *t)
{
    const struct route *r = &t->route;
    bool known = (str_eq(r->scheme, S("https")) && str_eq(r->own_port, S("443"))) ||
                 (str_eq(r->scheme, S("http")) && str_eq(r->own_port, S("80")));
    bool renamed = t->req.tls.server_name.n > 0;
    /* else it is what would be sent anyway */
    if ((!known && !renamed) || request_has(&t->req, S("Host"))) return;
    struct http_field f = { S("Host"),
        r->own_port.n ? arena_fmt(&t->arena, "%.*s:%.*s", STR_ARG(r->host), STR_ARG(r->own_port))
                      : r->host };
    t->headers = slist_field(t, t->headers, &f);
}

static void transfer_headers(struct transfer *t)
{
    transfer_host(t);
    /* libcurl would add these by itself */
    static const char *const unwanted[] = { "Accept", "Expect", "Content-Type" };
    for (size_t i = 0; i < t->req.n_headers; i++)
        if (!t->strayed || !http_header_stays(t->req.headers[i].name))
            t->headers = slist_field(t, t->headers, &t->req.headers[i]);
    for (size_t i = 0; i < ARRAY_LEN(unwanted); i++) {
        if (request_has(&t->req, str_z(unwanted[i]))) continue;
        str none = arena_fmt(&t->arena, "%s:", unwanted[i]);
        t->headers = curl_slist_append(t->headers, (const char *)none.p);
    }
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    bool tunnel = str_eq_nocase(t->route.scheme, S("https"));  /* they are for CONNECT alone */
    for (size_t i = 0; tunnel && i < t->req.n_proxy_headers; i++)
        t->proxy_headers = slist_field(t, t->proxy_headers, &t->req.proxy_headers[i]);
    curl_easy_setopt(t->easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    if (t->proxy_headers) curl_easy_setopt(t->easy, CURLOPT_PROXYHEADER, t->proxy_headers);
}

static void easy_str(struct transfer *t, CURLoption option, str s)
{
    if (s.n) curl_easy_setopt(t->easy, option, tr_cstr(t, s));
}

/* PEM of the configuration as a file without a name: the TLS library behind libcurl reads
 * certificates from files only. One file for one content, kept as long as the client, for
 * connections are reused by equal paths. */
static str client_pem_path(struct http_client *c, str pem)
{
    uint64_t hash = hash_str(pem);
    for (size_t i = 0; i < c->pems.n; i++)
        if (c->pems.at[i].hash == hash && c->pems.at[i].n == pem.n)
            return str_z(c->pems.at[i].path);
    struct pem_file f = { .hash = hash, .n = pem.n, .fd = memfd_create("pem", MFD_CLOEXEC) };
    ssize_t put = f.fd < 0 ? -1 : pwrite(f.fd, pem.p, pem.n, 0);
    /* the transfer fails then, in words that name an empty file */
    if (put != (ssize_t)pem.n) {
        if (f.fd >= 0) close(f.fd);
        return S("/dev/null");
    }
    snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.fd);
    vec_push(&c->pems, f);
    return str_z(vec_last(&c->pems).path);
}

static void easy_pem(struct transfer *t, CURLoption option, str pem)
{
    if (pem.n) easy_str(t, option, client_pem_path(t->client, pem));
}

static void transfer_tls(struct transfer *t)
{
    static const long lows[] = { CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_0,
        CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_3 };
    static const long highs[] = { CURL_SSLVERSION_MAX_DEFAULT, CURL_SSLVERSION_MAX_TLSv1_0,
        CURL_SSLVERSION_MAX_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_3 };
    const struct http_tls *s = &t->req.tls;
    curl_easy_setopt(t->easy, CURLOPT_SSLVERSION, lows[s->min_version] | highs[s->max_version]);
    /* The system's authorities count only where no others are named; loading them is what a
     * handshake would cost most for. */
    if (s->insecure || s->ca.n || s->ca_file.n) curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL);
    if (s->insecure) curl_easy_setopt(t->easy, CURLOPT_CAINFO, NULL);
    /* the bundle is what the folder holds */
    else if (access(SYSTEM_CA_FILE, R_OK) == 0) {
        curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL);
        curl_easy_setopt(t->easy, CURLOPT_CAINFO, SYSTEM_CA_FILE);
    }
    easy_pem(t, CURLOPT_CAINFO, s->ca);
    easy_str(t, CURLOPT_CAINFO, s->ca_file);
    easy_pem(t, CURLOPT_SSLCERT, s->cert);
    easy_str(t, CURLOPT_SSLCERT, s->cert_file);
    easy_pem(t, CURLOPT_SSLKEY, s->key);
    easy_str(t, CURLOPT_SSLKEY, s->key_file);
    curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, s->insecure ? 0L : 1L);
    curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, s->insecure ? 0L : 2L);
}

/* Another name to verify than the host that is dialled: the URL carries the name, the dialling goes
 * to the host, and the Host header (transfer_host) says what it would have said. */
static bool transfer_server_name(struct transfer *t, CURLU *u)
{
    if (!t->req.tls.server_name.n || !str_eq_nocase(t->route.scheme, S("https"))) return true;
    if (curl_url_set(u, CURLUPART_HOST, tr_cstr(t, t->req.tls.server_name), 0) != CURLUE_OK)
        return false;
    const struct route *r = &t->route;
    str to = arena_fmt(&t->arena, "%.*s:%.*s:%.*s:%.*s", STR_ARG(t->req.tls.server_name),
        STR_ARG(r->port), STR_ARG(r->host), STR_ARG(r->port));
    t->connect_to = curl_slist_append(NULL, (const char *)to.p);
    curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to);
    return true;
}

/* A URL without a host means this machine, as it does when Go dials it. */
static str url_with_host(struct transfer *t, str url)
{
    size_t at = str_find(url, S("://"));
    if (at == SIZE_MAX || !str_has_prefix(str_from(url, at), S("://:"))) return url;
    return arena_fmt(&t->arena, "%.*s://localhost%.*s", STR_ARG(str_slice(url, 0, at)),
        STR_ARG(str_from(url, at + 3)));
}

static bool transfer_url(struct transfer *t)
{
    str to = url_with_host(t, t->route.url);
    CURLU *u = curl_url();
    char *url = NULL;
    bool ok = u &&
              curl_url_set(u, CURLUPART_URL, tr_cstr(t, to), CURLU_NON_SUPPORT_SCHEME) ==
                  CURLUE_OK &&
              transfer_server_name(t, u) && curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK;
    if (ok) curl_easy_setopt(t->easy, CURLOPT_URL, url);
    curl_free(url);
    curl_url_cleanup(u);
    return ok;
}

static void transfer_method(struct transfer *t)
{
    const struct http_request *r = &t->req;
    if (r->body.n || str_eq(r->method, S("POST"))) {
        curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, r->body.p ? (const char *)r->body.p : "");
        if (!str_eq(r->method, S("POST")))
            curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, tr_cstr(t, r->method));
    } else if (str_eq(r->method, S("HEAD"))) {
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    } else if (!str_eq(r->method, S("GET"))) {
        curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, tr_cstr(t, r->method));
    }
}

/* ---- the answer, as it comes ---- */

static void answer_status(struct transfer *t, str line)
{
    str proto, rest, code, reason;
    t->fields.n = 0;                   /* of a redirect or an interim answer: the last one counts */
    t->headers_end = false;
    str_cut(line, ' ', &proto, &rest);
    str_cut(rest, ' ', &code, &reason);
    uint64_t status = 0;
    t->resp.status = str_u64(str_trim(code), &status) && status < 1000 ? (int)status : 0;
    reason = str_trim(reason);
    t->resp.reason = reason.n ? arena_str(&t->arena, reason) : http_status_words(t->resp.status);
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    str line = str_of(p, size * n), name, value;
    t->header_bytes += line.n;
    if (t->header_bytes > HEADER_BYTES_MAX) return 0;
    if (str_has_prefix(line, S("HTTP/"))) {
        answer_status(t, line);
    } else if (str_cut(line, ':', &name, &value)) {
        struct http_field f = { arena_str(&t->arena, str_trim(name)),
            arena_str(&t->arena, str_trim(value)) };
        vec_push(&t->fields, f);
    } else if (!str_trim(line).n) {
        t->headers_end = true;
    }
    return size * n;
}

/* Where the answer sends on to, if that is followed; else empty. */
static str answer_moved(const struct transfer *t)
{
    if (!t->req.follow_redirects || !http_is_redirect(t->resp.status)) return STR_EMPTY;
    for (size_t i = 0; i < t->fields.n; i++)
        if (str_eq_nocase(t->fields.at[i].name, S("Location"))) return t->fields.at[i].value;
    return STR_EMPTY;
}

static void body_room(struct transfer *t, size_t bytes)
{
    struct buf *b = &t->resp.body;
    if (b->cap) return;
    curl_off_t length = -1;
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    enum { TRUSTED = 64 << 20 };       /* what a peer announces sizes no allocation beyond this */
    size_t want = length > (curl_off_t)t->parts.taken
                      ? (size_t)MIN(length - (curl_off_t)t->parts.taken, (curl_off_t)TRUSTED)
                      : 0;
    size_t room = MAX(want, bytes) + t->req.body_padding;
    if (t->req.bodies) *b = buf_pool_take(t->req.bodies, room);
    else buf_grow(b, room);
}

static size_t part_show(void *ctx, const uint8_t *p, size_t n)
{
    struct transfer *t = ctx;
    t->resp.headers = t->fields.at;
    t->resp.n_headers = t->fields.n;
    return t->req.on_part(t->ctx, &t->resp, p, n);
}

/* on_part wants no more, or the body ended: what it left is the start of the body. */
static void parts_end(struct transfer *t)
{
    struct buf *rest = &t->parts.rest;
    t->resp.taken = t->parts.taken;
    if (rest->n) {
        body_room(t, rest->n);
        buf_str(&t->resp.body, buf_view(rest));
    }
    buf_fini(rest);
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    struct buf *b = &t->resp.body;
    size_t bytes = size * n, max = t->req.max_body_bytes, used = 0;
    /* what a redirect says is not kept */
    if (answer_moved(t).n) return bytes;
    if (max && bytes > max - b->n - t->parts.rest.n - t->parts.taken) {
        t->too_large = true;
        return 0;
    }
    if (t->req.on_part && t->resp.status == 200 && !t->parts.over) {
        used = http_parts_follow(&t->parts, (const uint8_t *)p, bytes);
        if (t->parts.over) parts_end(t);
    }
    if (used == bytes) return bytes;
    body_room(t, bytes);
    buf_bytes(b, p + used, bytes - used);
    return buf_ok(b) ? bytes : 0;
}

/* Which address is dialled is known for sure here alone: it is what a refused connection is told
 * with. */
static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct transfer *t = ctx;
    char host[INET6_ADDRSTRLEN] = "";
    uint16_t port = 0;
    (void)purpose;
    const struct sockaddr_in *v4 = (const void *)&a->addr;
    const struct sockaddr_in6 *v6 = (const void *)&a->addr;
    if (a->family == AF_INET)
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host)), port = ntohs(v4->sin_port);
    if (a->family == AF_INET6)
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)), port = ntohs(v6->sin6_port);
    if (a->family == AF_UNIX) t->remote[0] = '\0';
    else
        snprintf(
            t->remote, sizeof(t->remote), a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, port);
    atomic_fetch_add_explicit(&t->client->n_connections, 1, memory_order_relaxed);
    metric_inc(&m_connections);
    t->opened++;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static int on_close_socket(void *conns, curl_socket_t fd)
{
    http_conns_closed(conns, fd);
    return close(fd);
}

/* ---- begin and end of a transfer, on the mover ---- */

static void transfer_setup(struct transfer *t)
{
    const struct http_request *r = &t->req;
    CURL *h = t->easy;
    curl_easy_setopt(h, CURLOPT_PRIVATE, t);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    bool large = r->expect_bytes >= 4 * (size_t)RECEIVE_LARGE_BYTES;
    long room = large ? (long)RECEIVE_LARGE_BYTES : (long)RECEIVE_BYTES;
    curl_easy_setopt(h, CURLOPT_BUFFERSIZE, room);
    curl_easy_setopt(h, CURLOPT_MAXAGE_CONN, (long)IDLE_MAX_S);
    curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, t->detail);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(h, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    curl_easy_setopt(h, CURLOPT_CLOSESOCKETDATA, t->client->conns);
    curl_easy_setopt(h, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    /* redirects are followed here: transfer_follow */
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION,
        r->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    if (r->timeout_ms > 0) {
        int64_t left = r->timeout_ms - (clock_mono_ns() - t->start_ns) / 1000000;
        curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)MAX(left, 1));
        curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)MAX(left, 1));
    }
    if (r->basic && !t->strayed) {
        curl_easy_setopt(h, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(h, CURLOPT_USERNAME, tr_cstr(t, r->username));
        curl_easy_setopt(h, CURLOPT_PASSWORD, tr_cstr(t, r->password));
    }
    curl_easy_setopt(h, CURLOPT_PROXY, tr_cstr(t, t->route.proxy));
    curl_easy_setopt(h, CURLOPT_NOPROXY, "");
    if (t->resolve) curl_easy_setopt(h, CURLOPT_RESOLVE, t->resolve);
    easy_str(t, CURLOPT_UNIX_SOCKET_PATH, r->unix_socket);
    transfer_method(t);
    transfer_tls(t);
}

static CURL *easy_take(struct http_client *c)
{
    CURL *h = c->easies.n ? vec_pop(&c->easies) : curl_easy_init();
    if (!h) abort();
    return h;
}

static void easy_give(struct http_client *c, CURL *h)
{
    if (c->easies.n >= EASY_KEPT) {
        curl_easy_cleanup(h);
        return;
    }
    curl_easy_reset(h);
    vec_push(&c->easies, h);
}

static enum http_fail transfer_fail_kind(int code)
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
        { HEADERS_CUT, HTTP_FAIL_HEADERS },
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].code == code) return kinds[i].kind;
    return HTTP_FAIL_OTHER;
}

static void transfer_told(struct transfer *t, int code)
{
    struct http_failure f = {
        .kind = transfer_fail_kind(code),
        .too_large = t->too_large,
        .canceled = t->canceled,
        .answered = t->resp.status != 0 && t->headers_end,
        .method = t->req.method,
        .url = t->route.url.n ? t->route.url : t->req.url,
        .remote = str_z(t->remote),
        .ca_file = t->req.tls.ca_file,
        .cert_file = t->req.tls.cert_file,
        .key_file = t->req.tls.key_file,
        .unix_socket = t->req.unix_socket,
        .host = t->route.lookup,
        .dialled = t->req.tls.server_name.n ? t->req.tls.server_name : t->route.host,
        .lookup = err_str(&t->lookup_err),
        .proxied = t->route.proxy.n > 0,
    };
    long os_errno = 0, local_port = 0, connect_code = 0;
    const char *local_ip = NULL;
    char local[ADDR_MAX] = "";
    if (t->easy) {
        curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
        curl_easy_getinfo(t->easy, CURLINFO_LOCAL_IP, &local_ip);
        curl_easy_getinfo(t->easy, CURLINFO_LOCAL_PORT, &local_port);
        curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &connect_code);
    }
    if (code == CURLE_TOO_MANY_REDIRECTS) f.url = answer_moved(t);
    if (local_ip && *local_ip) snprintf(local, sizeof(local), "%s:%ld", local_ip, local_port);
    f.os_errno = (int)os_errno;
    f.connect_status = (int)connect_code;
    f.local = str_z(local);
    f.detail = str_z(t->detail[0] ? t->detail : curl_easy_strerror((CURLcode)code));
    if (code == CURLE_TOO_MANY_REDIRECTS) f.answered = false;
    t->resp.rc = http_failure_words(&f, &t->resp.err);
}

static void transfer_remote(struct transfer *t)
{
    const char *ip = NULL;
    long port = 0, made = 0;
    curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip);
    curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_PORT, &port);
    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &made);
    if (ip && *ip)
        snprintf(t->remote, sizeof(t->remote), strchr(ip, ':') ? "[%s]:%ld" : "%s:%ld", ip, port);
    t->resp.reused = made == 0;
}

static void transfer_count(struct http_client *c, struct transfer *t, int code)
{
    bool looked_up = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY;
    if (!t->opened && !looked_up) return;
    static const struct { int code; enum http_dial_fail why;
    } fails[] = {
        { CURLE_COULDNT_RESOLVE_HOST, DIAL_RESOLUTION },
        { CURLE_COULDNT_RESOLVE_PROXY, DIAL_RESOLUTION },
        { CURLE_COULDNT_CONNECT, DIAL_UNKNOWN },
    };
    double connected = 0;
    long os_errno = 0;
    curl_socket_t fd = CURL_SOCKET_BAD;
    enum http_dial_fail why = DIAL_FINE;
    if (t->easy) {
        curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME, &connected);
        curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
        curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd);
    }
    for (size_t i = 0; i < ARRAY_LEN(fails); i++)
        if (fails[i].code == code) why = fails[i].why;
    if (why == DIAL_UNKNOWN && os_errno == ECONNREFUSED) why = DIAL_REFUSED;
    if (code == CURLE_OPERATION_TIMEDOUT && connected <= 0) why = DIAL_TIMEOUT;
    http_conns_dialled(c->conns, t->req.dialer, why, fd == CURL_SOCKET_BAD ? -1 : (int)fd);
    bool unreachable = why == DIAL_REFUSED || why == DIAL_TIMEOUT || why == DIAL_UNKNOWN;
    if (unreachable && t->route.lookup.n && c->resolver)
        resolver_forget(c->resolver, t->route.lookup);
}

/* The transfer leaves libcurl, to be handed over or to go on elsewhere. */
static void transfer_leave(struct http_client *c, struct transfer *t, int code)
{
    transfer_count(c, t, code);
    if (t->easy) {
        curl_multi_remove_handle(c->multi, t->easy);
        easy_give(c, t->easy);
        t->easy = NULL;
        map_remove(&c->running, t->id, NULL, NULL);
        atomic_fetch_sub_explicit(&c->n_running, 1, memory_order_relaxed);
    }
    struct curl_slist **const lists[] = { &t->headers, &t->proxy_headers, &t->connect_to,
        &t->resolve };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) curl_slist_free_all(STEAL(*lists[i]));
    t->opened = 0;
}

static void transfer_finish(struct http_client *c, struct transfer *t, int code)
{
    if (t->easy) transfer_remote(t);
    if (code != CURLE_OK) transfer_told(t, code);
    parts_end(t);
    transfer_leave(c, t, code);
    struct buf *b = &t->resp.body;
    size_t pad = t->req.body_padding;
    if (pad && buf_room(b, pad)) memset(b->p + b->n, 0, pad);
    t->resp.headers = t->fields.at;
    t->resp.n_headers = t->fields.n;
    t->resp.remote = str_z(t->remote);
    t->resp.took_ns = clock_mono_ns() - t->start_ns;
    t->next = NULL;
    *c->finished_end = t;
    c->finished_end = &t->next;
}

static str url_part(struct transfer *t, CURLU *u, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    str s = curl_url_get(u, part, &text, flags) == CURLUE_OK ? arena_str(&t->arena, str_z(text))
                                                             : STR_EMPTY;
    curl_free(text);
    return s;
}

static bool is_address(str host)
{
    char text[INET6_ADDRSTRLEN + 1];
    struct in6_addr room;
    if (!host.n || host.p[0] == '[') return true;
    if (host.n >= sizeof(text)) return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    return inet_pton(AF_INET, text, &room) == 1;
}

static void route_lookup(struct route *r, str host, str port)
{
    r->lookup = is_address(host) ? STR_EMPTY : host;
    r->lookup_port = port;
}

/* The proxy with its port written out; socks5 leaves names to the proxy, as in Go. False: it is no
 * URL. */
static bool route_proxy(struct transfer *t, str proxy)
{
    CURLU *u = curl_url();
    char *text = NULL;
    bool ok = curl_url_set(u, CURLUPART_URL, tr_cstr(t, proxy),
                  CURLU_NON_SUPPORT_SCHEME | CURLU_DEFAULT_SCHEME) == CURLUE_OK;
    str scheme = url_part(t, u, CURLUPART_SCHEME, 0), port = url_part(t, u, CURLUPART_PORT, 0);
    if (!port.n)
        port = str_eq(scheme, S("https"))           ? S("443")
               : str_has_prefix(scheme, S("socks")) ? S("1080")
                                                    : S("80");
    if (str_find(proxy, S("://")) == SIZE_MAX)
        ok = ok && curl_url_set(u, CURLUPART_SCHEME, "http", 0) == CURLUE_OK;
    else if (str_eq(scheme, S("socks5")))
        ok = ok &&
             curl_url_set(u, CURLUPART_SCHEME, "socks5h", CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
    ok = ok && curl_url_set(u, CURLUPART_PORT, tr_cstr(t, port), 0) == CURLUE_OK &&
         curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK;
    if (ok) t->route.proxy = arena_str(&t->arena, str_z(text));
    if (ok) route_lookup(&t->route, url_part(t, u, CURLUPART_HOST, 0), port);
    curl_free(text);
    curl_url_cleanup(u);
    return ok;
}

static bool route_make(struct http_client *c, struct transfer *t, str url)
{
    CURLU *u = curl_url();
    struct route *r = &t->route;
    *r = (struct route){ .url = url };
    bool ok = curl_url_set(u, CURLUPART_URL, tr_cstr(t, url_with_host(t, url)),
                  CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
    if (ok) {
        r->scheme = url_part(t, u, CURLUPART_SCHEME, 0);
        r->host = url_part(t, u, CURLUPART_HOST, 0);
        r->own_port = url_part(t, u, CURLUPART_PORT, 0);
        r->port = r->own_port.n ? r->own_port : url_part(t, u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    }
    curl_url_cleanup(u);
    if (!ok || t->req.unix_socket.n) return ok;
    struct http_proxies own = { t->req.proxy_url, t->req.proxy_url, t->req.no_proxy,
        !t->req.no_proxy.n };
    str bare =
        r->host.n > 1 && r->host.p[0] == '[' ? str_slice(r->host, 1, r->host.n - 1) : r->host;
    str proxy = http_proxy_of(
        t->req.proxy_from_environment ? &c->environment : &own, r->scheme, bare, r->port);
    if (proxy.n) return route_proxy(t, proxy);
    route_lookup(r, r->host, r->port);
    return true;
}

static void transfer_launch(struct http_client *c, struct transfer *t)
{
    t->easy = easy_take(c);
    atomic_fetch_add_explicit(&c->n_running, 1, memory_order_relaxed);
    map_put(&c->running, t->id, t);
    transfer_setup(t);
    bool ok = transfer_url(t);
    transfer_headers(t);
    if (!ok) transfer_finish(c, t, CURLE_URL_MALFORMAT);
    else if (curl_multi_add_handle(c->multi, t->easy) != CURLM_OK)
        transfer_finish(c, t, CURLE_FAILED_INIT);
}

static void client_wake(struct http_client *c)
{
    const uint64_t one = 1;
    ssize_t n = write(c->wake_fd, &one, sizeof(one));
    (void)n;                           /* full means that it is rung already */
}

static void on_names(void *ctx)
{
    struct http_client *c = ctx;
    atomic_store(&c->names_came, true);
    client_wake(c);
}

/* Goes on as far as it is known where to. True: it has to wait for a name. */
static bool transfer_resolve(struct http_client *c, struct transfer *t)
{
    const struct route *r = &t->route;
    if (r->lookup.n && !c->resolver)
        c->resolver = resolver_new(&(struct resolver_opts){ .news = on_names, .ctx = c });
    str addresses;
    switch (r->lookup.n
                ? resolver_get(c->resolver, r->lookup, &t->arena, &addresses, &t->lookup_err)
                : RESOLVED_YES) {
    case RESOLVED_ASKED: return true;
    case RESOLVED_FAILED: transfer_finish(c, t, CURLE_COULDNT_RESOLVE_HOST); return false;
    case RESOLVED_YES: break;
    }
    if (r->lookup.n) {
        str pair = arena_fmt(&t->arena, "+%.*s:%.*s:%.*s", STR_ARG(r->lookup),
            STR_ARG(r->lookup_port), STR_ARG(addresses));
        t->resolve = curl_slist_append(NULL, (const char *)pair.p);
    }
    transfer_launch(c, t);
    return false;
}

static void transfer_begin(struct http_client *c, struct transfer *t, str url)
{
    if (!route_make(c, t, url)) transfer_finish(c, t, CURLE_URL_MALFORMAT);
    else if (transfer_resolve(c, t)) vec_push(&c->waiting, t);
}

/* The answer sends on to another place: the request goes there. */
static void transfer_follow(struct http_client *c, struct transfer *t, str to)
{
    if (t->hops + 1 >= REQUESTS_MAX) {
        transfer_finish(c, t, CURLE_TOO_MANY_REDIRECTS);
        return;
    }
    CURLU *u = curl_url();
    bool ok = curl_url_set(u, CURLUPART_URL, tr_cstr(t, t->route.url), CURLU_NON_SUPPORT_SCHEME) ==
                  CURLUE_OK &&
              curl_url_set(u, CURLUPART_URL, tr_cstr(t, to),
                  CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE) == CURLUE_OK;
    str url = ok ? url_part(t, u, CURLUPART_URL, 0) : to, host = url_part(t, u, CURLUPART_HOST, 0);
    curl_url_cleanup(u);
    if (!t->hops++) t->first_host = t->route.host;
    t->strayed = t->strayed || !http_same_site(t->first_host, host);
    bool with_body;
    t->req.method = http_redirect_method(t->req.method, t->resp.status, &with_body);
    if (!with_body) t->req.body = STR_EMPTY;
    transfer_leave(c, t, CURLE_OK);
    t->fields.n = 0;
    t->resp.status = 0;
    t->resp.reason = STR_EMPTY;
    t->detail[0] = '\0';
    transfer_begin(c, t, url);
}

/* On the thread that dispatch chose. */
static void transfer_hand_over(void *arg)
{
    struct transfer *t = arg;
    struct http_client *c = t->client;
    t->done(t->ctx, &t->resp);
    if (t->req.bodies) buf_pool_give(t->req.bodies, &t->resp.body);
    else buf_fini(&t->resp.body);
    vec_fini(&t->fields);
    arena_fini(&t->arena);
    mem_free(t);
    metric_add(&m_in_flight, -1);
    mtx_lock(&c->mu);
    /* under the lock: after it, c may be gone */
    if (--c->n_out == 0) cond_broadcast(&c->idle);
    mtx_unlock(&c->mu);
}

static void mover_dispatch(struct http_client *c)
{
    while (c->finished) {
        struct transfer *t = c->finished, *next = t->next;
        if (c->opts.dispatch && !c->opts.dispatch(c->opts.dispatch_ctx, transfer_hand_over, t))
            return;
        c->finished = next;
        if (!next) c->finished_end = &c->finished;
        if (!c->opts.dispatch) transfer_hand_over(t);
    }
}

/* ---- the mover ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
    struct http_client *c = ctx;
    (void)easy;
    struct epoll_event ev = { .events = ((what & CURL_POLL_IN) ? EPOLLIN : 0u) |
                                        ((what & CURL_POLL_OUT) ? EPOLLOUT : 0u),
        .data.fd = fd };
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (epoll_ctl(c->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) < 0 &&
        errno == (known ? ENOENT : EEXIST))
        epoll_ctl(c->epoll_fd, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev);
    if (!known) curl_multi_assign(c->multi, fd, c);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct http_client *c = ctx;
    (void)multi;
    c->timer_ns = timeout_ms < 0 ? INT64_MAX : clock_mono_ns() + (int64_t)timeout_ms * 1000000;
    return 0;
}

static int mover_wait_ms(const struct http_client *c)
{
    if (c->finished) return RETRY_MS;
    if (c->waiting.n) return c->timer_ns <= clock_mono_ns() ? 0 : NAMES_MS;
    if (c->timer_ns == INT64_MAX) return -1;
    int64_t left = c->timer_ns - clock_mono_ns();
    return left <= 0 ? 0 : (int)MIN(left / 1000000 + 1, (int64_t)60000);
}

static void mover_events(struct http_client *c)
{
    struct epoll_event ev[EVENTS];
    int n = epoll_wait(c->epoll_fd, ev, EVENTS, mover_wait_ms(c)), still;
    for (int i = 0; i < n; i++) {
        if (ev[i].data.fd == c->wake_fd) {
            uint64_t rung;
            ssize_t got = read(c->wake_fd, &rung, sizeof(rung));
            (void)got;                 /* non-blocking: it only needs to be emptied */
            continue;
        }
        int mask = ((ev[i].events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
                   ((ev[i].events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
                   ((ev[i].events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(c->multi, ev[i].data.fd, mask, &still);
    }
    if (c->timer_ns <= clock_mono_ns()) {
        c->timer_ns = INT64_MAX;
        curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &still);
    }
}

static void mover_completed(struct http_client *c)
{
    int left;
    for (const CURLMsg *m; (m = curl_multi_info_read(c->multi, &left)) != NULL;) {
        if (m->msg != CURLMSG_DONE) continue;
        struct transfer *t = NULL;
        int code = (int)m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
        assert(t);
        if (code == CURLE_OK && !t->headers_end) code = HEADERS_CUT;
        str to = code == CURLE_OK ? answer_moved(t) : STR_EMPTY;
        if (to.n) transfer_follow(c, t, to);
        else transfer_finish(c, t, code);
    }
}

static void mover_cancel(struct http_client *c, uint64_t id)
{
    struct transfer *t = map_find(&c->running, id, NULL, NULL);
    for (size_t i = 0; !t && i < c->waiting.n; i++) {
        if (c->waiting.at[i]->id != id) continue;
        t = c->waiting.at[i];
        c->waiting.at[i] = vec_pop(&c->waiting);
    }
    if (!t) return;
    t->canceled = true;
    transfer_finish(c, t, CURLE_ABORTED_BY_CALLBACK);
}

/* True: the client ends. */
static bool mover_inbox(struct http_client *c)
{
    mtx_lock(&c->mu);
    struct transfer *t = c->inbox;
    __typeof__(c->cancels) cancels = c->cancels;
    bool stop = c->stop;
    c->inbox = NULL;
    c->inbox_end = &c->inbox;
    memset(&c->cancels, 0, sizeof(c->cancels));
    mtx_unlock(&c->mu);
    for (struct transfer *next; t; t = next) {
        next = t->next;
        transfer_begin(c, t, t->req.url);
    }
    for (size_t i = 0; i < cancels.n; i++) mover_cancel(c, cancels.at[i]);
    vec_fini(&cancels);
    return stop;
}

/* Those that wait for a name, when names came, and now and then for those whose time is over. */
static void mover_names(struct http_client *c)
{
    if (!c->waiting.n) return;
    atomic_store(&c->names_came, false);
    __typeof__(c->waiting) all = c->waiting;
    memset(&c->waiting, 0, sizeof(c->waiting));
    int64_t now = clock_mono_ns();
    for (size_t i = 0; i < all.n; i++) {
        struct transfer *t = all.at[i];
        if (t->req.timeout_ms > 0 && now - t->start_ns >= t->req.timeout_ms * 1000000)
            transfer_finish(c, t, CURLE_OPERATION_TIMEDOUT);
        else if (transfer_resolve(c, t)) vec_push(&c->waiting, t);
    }
    vec_fini(&all);
}

static void mover_run(void *ctx)
{
    struct http_client *c = ctx;
    for (bool stop = false; !stop;) {
        mover_events(c);
        mover_completed(c);
        stop = mover_inbox(c);
        mover_names(c);
        mover_dispatch(c);
    }
    struct transfer *t;
    while (c->waiting.n) mover_cancel(c, vec_last(&c->waiting)->id);
    for (size_t i = 0; (t = map_next(&c->running, &i)) != NULL; i = 0) mover_cancel(c, t->id);
    while (c->finished) {
        mover_dispatch(c);
        if (c->finished) clock_sleep_ns((int64_t)RETRY_MS * 1000000);
    }
}

/* ---- the public side ---- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static void curl_start(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) abort();
}

static str environment_text(const char *name, const char *lower)
{
    const char *v = getenv(name);
    return mem_str(str_z(v && *v ? v : getenv(lower)));
}

errc http_client_new(struct http_client **out, const struct http_client_opts *o, struct err *e)
{
    pthread_once(&curl_once, curl_start);
    int ep = epoll_create1(EPOLL_CLOEXEC), wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event ev = { .events = EPOLLIN, .data.fd = wake };
    if (ep < 0 || wake < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, wake, &ev) < 0) {
        if (ep >= 0) close(ep);
        if (wake >= 0) close(wake);
        return err_set(e, ERR_IO, "http client: no descriptors left");
    }
    struct http_client *c = NEW(struct http_client);
    *c = (struct http_client){ .opts = *o, .epoll_fd = ep, .wake_fd = wake, .timer_ns = INT64_MAX };
    c->inbox_end = &c->inbox;
    c->finished_end = &c->finished;
    mtx_init(&c->mu, LOCK_LEAF);
    cond_init(&c->idle);
    c->multi = curl_multi_init();
    if (!c->multi) abort();
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)MAX(o->connections_max, (size_t)16));
    c->conns = http_conns_new();
    c->environment = (struct http_proxies){ environment_text("HTTP_PROXY", "http_proxy"),
        environment_text("HTTPS_PROXY", "https_proxy"), environment_text("NO_PROXY", "no_proxy"),
        false };
    c->thread = thread_start("http-client", mover_run, c);
    *out = c;
    return OK;
}

void http_client_free(struct http_client *c)
{
    if (!c) return;
    mtx_lock(&c->mu);
    c->stop = true;
    mtx_unlock(&c->mu);
    client_wake(c);
    thread_join(c->thread);
    mtx_lock(&c->mu);
    while (c->n_out) cond_wait(&c->idle, &c->mu);
    mtx_unlock(&c->mu);
    resolver_free(c->resolver);
    for (size_t i = 0; i < c->easies.n; i++) curl_easy_cleanup(c->easies.at[i]);
    /* closes what is kept alive: the connections are counted off */
    curl_multi_cleanup(c->multi);
    http_conns_free(c->conns);
    const str environment[] = { c->environment.http, c->environment.https,
        c->environment.no_proxy };
    for (size_t i = 0; i < ARRAY_LEN(environment); i++) mem_free((void *)environment[i].p);
    vec_fini(&c->waiting);
    for (size_t i = 0; i < c->pems.n; i++) close(c->pems.at[i].fd);
    vec_fini(&c->easies);
    vec_fini(&c->pems);
    vec_fini(&c->cancels);
    map_fini(&c->running);
    close(c->epoll_fd);
    close(c->wake_fd);
    cond_fini(&c->idle);
    mtx_fini(&c->mu);
    mem_free(c);
}

uint64_t http_send(struct http_client *c, const struct http_request *r, http_done done, void *ctx)
{
    struct transfer *t = NEW(struct transfer);
    t->client = c;
    t->done = done;
    t->ctx = ctx;
    t->start_ns = clock_mono_ns();
    arena_init(&t->arena, NULL, 0);
    buf_init(&t->resp.body, r->account, 0);
    t->parts = (struct http_parts){ .show = part_show, .ctx = t };
    request_copy(t, r);
    metric_inc(&m_requests);
    metric_add(&m_in_flight, 1);
    mtx_lock(&c->mu);
    assert(!c->stop);
    uint64_t id = t->id = ++c->next_id;
    c->n_out++;
    *c->inbox_end = t;
    c->inbox_end = &t->next;
    mtx_unlock(&c->mu);
    client_wake(c);
    return id;
}

void http_cancel(struct http_client *c, uint64_t id)
{
    mtx_lock(&c->mu);
    vec_push(&c->cancels, id);
    mtx_unlock(&c->mu);
    client_wake(c);
}

str http_header(const struct http_response *r, str name)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (str_eq_nocase(r->headers[i].name, name)) return r->headers[i].value;
    return STR_EMPTY;
}

struct http_client_stats http_client_stats(struct http_client *c)
{
    mtx_lock(&c->mu);
    uint64_t sent = c->next_id;
    mtx_unlock(&c->mu);
    return (struct http_client_stats){
        .in_flight = atomic_load_explicit(&c->n_running, memory_order_relaxed),
        .sent = sent,
        .connections_made = atomic_load_explicit(&c->n_connections, memory_order_relaxed),
    };
}
