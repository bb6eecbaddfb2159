/* One mover thread owns the multi handle, all easy handles and all transfers that run. Others leave letters in its inbox and ring the
 * event descriptor. What it wakes for: a socket that libcurl wants watched (epoll tells which, so that ten thousand idle connections
 * cost nothing), libcurl's timer, a letter.
 *
 *      http_send -> inbox -> running (an easy handle, in the multi) -> finished -> dispatched -> done, freed
 *                                                                      '--- the pool was full: asked again in RETRY_MS
 *
 * An easy handle costs some kilobytes and belongs to a running transfer only; at rest a few are kept. Connections belong to the
 * multi handle and outlive transfers.
 */
#include "io/http_client.h"

#include "io/http_words.h"
#include "io/thread.h"

#include "base/buf_pool.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/map.h"
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

enum { EASY_KEPT = 32, EVENTS = 256, RETRY_MS = 5, REDIRECTS_MAX = 10, RECEIVE_BYTES = 64 << 10, IDLE_MAX_S = 300, ADDR_MAX = 64,
       HEADER_BYTES_MAX = 1 << 20 };

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
    CURL *easy;                        /* while it runs */
    struct curl_slist *headers, *proxy_headers, *connect_to;
    struct transfer *next;             /* in the inbox or among the finished */
};

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

    /* The mover's own. */
    CURLM *multi;
    VEC(CURL *) easies;
    VEC(struct pem_file) pems;
    struct map running;                /* id -> transfer */
    struct transfer *finished, **finished_end;
    int64_t timer_ns;                  /* when libcurl wants to be called; INT64_MAX: not at all */
};

/* ---- the request ---- */

static char *tr_cstr(struct transfer *t, str s) { return arena_cstr(&t->arena, s); }

static struct http_field *fields_copy(struct arena *a, const struct http_field *from, size_t n)
{
    struct http_field *to = arena_array(a, n + 1, sizeof(*to));
    for (size_t i = 0; i < n; i++) to[i] = (struct http_field){ arena_str(a, from[i].name), arena_str(a, from[i].value) };
    return to;
}

static void request_copy(struct transfer *t, const struct http_request *r)
{
    struct arena *a = &t->arena;
    struct http_request *q = &t->req;
    *q = *r;
    str *const strs[] = {
        &q->method, &q->url, &q->body, &q->username, &q->password, &q->proxy_url, &q->no_proxy, &q->tls.ca, &q->tls.cert,
        &q->unix_socket, &q->tls.key, &q->tls.ca_file, &q->tls.cert_file, &q->tls.key_file, &q->tls.server_name,
    };
    for (size_t i = 0; i < ARRAY_LEN(strs); i++) *strs[i] = arena_str(a, *strs[i]);
    q->headers = fields_copy(a, r->headers, r->n_headers);
    q->proxy_headers = fields_copy(a, r->proxy_headers, r->n_proxy_headers);
    if (!q->method.n) q->method = S("GET");
}

static struct curl_slist *slist_field(struct transfer *t, struct curl_slist *l, const struct http_field *f)
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

static void transfer_headers(struct transfer *t)
{
    static const char *const unwanted[] = { "Accept", "Expect", "Content-Type" };      /* libcurl would add these by itself */
    for (size_t i = 0; i < t->req.n_headers; i++) t->headers = slist_field(t, t->headers, &t->req.headers[i]);
    for (size_t i = 0; i < ARRAY_LEN(unwanted); i++) {
        if (request_has(&t->req, str_z(unwanted[i]))) continue;
        str none = arena_fmt(&t->arena, "%s:", unwanted[i]);
        t->headers = curl_slist_append(t->headers, (const char *)none.p);
    }
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    for (size_t i = 0; i < t->req.n_proxy_headers; i++)
        t->proxy_headers = slist_field(t, t->proxy_headers, &t->req.proxy_headers[i]);
    curl_easy_setopt(t->easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    if (t->proxy_headers) curl_easy_setopt(t->easy, CURLOPT_PROXYHEADER, t->proxy_headers);
}

static void easy_str(struct transfer *t, CURLoption option, str s)
{
    if (s.n) curl_easy_setopt(t->easy, option, tr_cstr(t, s));
}

/* PEM of the configuration as a file without a name: the TLS library behind libcurl reads certificates from files only. One file for one
 * content, kept as long as the client, for connections are reused by equal paths. */
static str client_pem_path(struct http_client *c, str pem)
{
    uint64_t hash = hash_str(pem);
    for (size_t i = 0; i < c->pems.n; i++)
        if (c->pems.at[i].hash == hash && c->pems.at[i].n == pem.n) return str_z(c->pems.at[i].path);
    struct pem_file f = { .hash = hash, .n = pem.n, .fd = memfd_create("pem", MFD_CLOEXEC) };
    ssize_t put = f.fd < 0 ? -1 : pwrite(f.fd, pem.p, pem.n, 0);
    if (put != (ssize_t)pem.n) {       /* the transfer fails then, in words that name an empty file */
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
    static const long lows[] = { CURL_SSLVERSION_DEFAULT, CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_TLSv1_2,
                                 CURL_SSLVERSION_TLSv1_3 };
    static const long highs[] = { CURL_SSLVERSION_MAX_DEFAULT, CURL_SSLVERSION_MAX_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_1,
                                  CURL_SSLVERSION_MAX_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_3 };
    const struct http_tls *s = &t->req.tls;
    curl_easy_setopt(t->easy, CURLOPT_SSLVERSION, lows[s->min_version] | highs[s->max_version]);
    easy_pem(t, CURLOPT_CAINFO, s->ca);
    easy_str(t, CURLOPT_CAINFO, s->ca_file);
    easy_pem(t, CURLOPT_SSLCERT, s->cert);
    easy_str(t, CURLOPT_SSLCERT, s->cert_file);
    easy_pem(t, CURLOPT_SSLKEY, s->key);
    easy_str(t, CURLOPT_SSLKEY, s->key_file);
    curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, s->insecure ? 0L : 1L);
    curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, s->insecure ? 0L : 2L);
}

/* Another name to verify than the host that is dialled: the URL carries the name, the dialling goes to the host, and the Host header
 * says what it would have said. */
static bool transfer_server_name(struct transfer *t, CURLU *u)
{
    if (!t->req.tls.server_name.n) return true;
    char *host = NULL, *port = NULL;
    bool ok = curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
              curl_url_set(u, CURLUPART_HOST, tr_cstr(t, t->req.tls.server_name), 0) == CURLUE_OK;
    if (ok) {
        str to = arena_fmt(&t->arena, "%.*s:%s:%s:%s", STR_ARG(t->req.tls.server_name), port, host, port);
        t->connect_to = curl_slist_append(NULL, (const char *)to.p);
        curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to);
        struct http_field f = { S("Host"), strcmp(port, "443") ? arena_fmt(&t->arena, "%s:%s", host, port) : arena_str(&t->arena, str_z(host)) };
        if (!request_has(&t->req, S("Host"))) t->headers = slist_field(t, t->headers, &f);
    }
    curl_free(host);
    curl_free(port);
    return ok;
}

static bool transfer_url(struct transfer *t)
{
    CURLU *u = curl_url();
    char *url = NULL;
    bool ok = u && curl_url_set(u, CURLUPART_URL, tr_cstr(t, t->req.url), CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
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
        if (!str_eq(r->method, S("POST"))) curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, tr_cstr(t, r->method));
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
    str_cut(line, ' ', &proto, &rest);
    str_cut(rest, ' ', &code, &reason);
    uint64_t status = 0;
    t->resp.status = str_u64(code, &status) && status < 1000 ? (int)status : 0;
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
        struct http_field f = { arena_str(&t->arena, str_trim(name)), arena_str(&t->arena, str_trim(value)) };
        vec_push(&t->fields, f);
    }
    return size * n;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    struct buf *b = &t->resp.body;
    size_t bytes = size * n, max = t->req.max_body_bytes;
    if (max && bytes > max - b->n) {
        t->too_large = true;
        return 0;
    }
    if (!b->cap) {
        curl_off_t length = -1;
        curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        enum { TRUSTED = 64 << 20 };   /* what a peer announces sizes no allocation beyond this */
        size_t want = length > 0 ? (size_t)MIN(length, (curl_off_t)TRUSTED) : 0;
        size_t room = MAX(want, bytes) + t->req.body_padding;
        if (t->req.bodies) *b = buf_pool_take(t->req.bodies, room);
        else buf_grow(b, room);
    }
    buf_bytes(b, p, bytes);
    return buf_ok(b) ? bytes : 0;
}

/* Which address is dialled is known for sure here alone: it is what a refused connection is told with. */
static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct transfer *t = ctx;
    char host[INET6_ADDRSTRLEN] = "";
    uint16_t port = 0;
    (void)purpose;
    const struct sockaddr_in *v4 = (const void *)&a->addr;
    const struct sockaddr_in6 *v6 = (const void *)&a->addr;
    if (a->family == AF_INET) inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host)), port = ntohs(v4->sin_port);
    if (a->family == AF_INET6) inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)), port = ntohs(v6->sin6_port);
    if (a->family == AF_UNIX) t->remote[0] = '\0';
    else snprintf(t->remote, sizeof(t->remote), a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, port);
    atomic_fetch_add_explicit(&t->client->n_connections, 1, memory_order_relaxed);
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* ---- begin and end of a transfer, on the mover ---- */

static void transfer_setup(struct transfer *t)
{
    const struct http_request *r = &t->req;
    CURL *h = t->easy;
    curl_easy_setopt(h, CURLOPT_PRIVATE, t);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(h, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    curl_easy_setopt(h, CURLOPT_MAXAGE_CONN, (long)IDLE_MAX_S);
    curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, t->detail);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(h, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, r->follow_redirects ? 1L : 0L);
    curl_easy_setopt(h, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION, r->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    if (r->timeout_ms > 0) {
        int64_t left = r->timeout_ms - (clock_mono_ns() - t->start_ns) / 1000000;
        curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)MAX(left, 1));
        curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)MAX(left, 1));
    }
    if (r->basic) {
        curl_easy_setopt(h, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(h, CURLOPT_USERNAME, tr_cstr(t, r->username));
        curl_easy_setopt(h, CURLOPT_PASSWORD, tr_cstr(t, r->password));
    }
    if (!r->proxy_from_environment) curl_easy_setopt(h, CURLOPT_PROXY, tr_cstr(t, r->proxy_url));
    easy_str(t, CURLOPT_NOPROXY, r->no_proxy);
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
    static const struct { int code; enum http_fail kind; } kinds[] = {
        { CURLE_URL_MALFORMAT, HTTP_FAIL_URL }, { CURLE_UNSUPPORTED_PROTOCOL, HTTP_FAIL_SCHEME },
        { CURLE_COULDNT_RESOLVE_HOST, HTTP_FAIL_RESOLVE }, { CURLE_COULDNT_CONNECT, HTTP_FAIL_CONNECT },
        { CURLE_OPERATION_TIMEDOUT, HTTP_FAIL_TIMEOUT }, { CURLE_GOT_NOTHING, HTTP_FAIL_EOF }, { CURLE_RECV_ERROR, HTTP_FAIL_RECEIVE },
        { CURLE_PARTIAL_FILE, HTTP_FAIL_CUT }, { CURLE_SSL_CONNECT_ERROR, HTTP_FAIL_TLS },
        { CURLE_PEER_FAILED_VERIFICATION, HTTP_FAIL_TLS_VERIFY }, { CURLE_SSL_CACERT_BADFILE, HTTP_FAIL_CA_FILE },
        { CURLE_TOO_MANY_REDIRECTS, HTTP_FAIL_REDIRECTS },
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].code == code) return kinds[i].kind;
    return HTTP_FAIL_OTHER;
}

static void transfer_told(struct transfer *t, int code)
{
    struct http_failure f = {
        .kind = transfer_fail_kind(code), .too_large = t->too_large, .canceled = t->canceled, .answered = t->resp.status != 0,
        .method = t->req.method, .url = t->req.url, .remote = str_z(t->remote), .ca_file = t->req.tls.ca_file,
        .unix_socket = t->req.unix_socket,
    };
    long os_errno = 0, redirects = 0, local_port = 0;
    const char *effective = NULL, *local_ip = NULL;
    char local[ADDR_MAX] = "";
    char *host = NULL;
    CURLU *u = curl_url();
    if (t->easy) {
        curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
        curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_COUNT, &redirects);
        curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &effective);
        curl_easy_getinfo(t->easy, CURLINFO_LOCAL_IP, &local_ip);
        curl_easy_getinfo(t->easy, CURLINFO_LOCAL_PORT, &local_port);
    }
    if (redirects > 0 && effective) f.url = str_z(effective);
    if (local_ip && *local_ip) snprintf(local, sizeof(local), "%s:%ld", local_ip, local_port);
    if (u && curl_url_set(u, CURLUPART_URL, tr_cstr(t, f.url), 0) == CURLUE_OK) curl_url_get(u, CURLUPART_HOST, &host, 0);
    f.os_errno = (int)os_errno;
    f.local = str_z(local);
    f.host = str_z(host);
    f.detail = str_z(t->detail[0] ? t->detail : curl_easy_strerror((CURLcode)code));
    t->resp.rc = http_failure_words(&f, &t->resp.err);
    curl_free(host);
    curl_url_cleanup(u);
}

static void transfer_remote(struct transfer *t)
{
    const char *ip = NULL;
    long port = 0, made = 0;
    curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip);
    curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_PORT, &port);
    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &made);
    if (ip && *ip) snprintf(t->remote, sizeof(t->remote), strchr(ip, ':') ? "[%s]:%ld" : "%s:%ld", ip, port);
    t->resp.reused = made == 0;
}

/* The transfer leaves libcurl; from here on it is only handed over. */
static void transfer_finish(struct http_client *c, struct transfer *t, int code)
{
    if (t->easy) transfer_remote(t);
    if (code != CURLE_OK) transfer_told(t, code);
    if (t->easy) {
        curl_multi_remove_handle(c->multi, t->easy);
        easy_give(c, t->easy);
        t->easy = NULL;
        map_remove(&c->running, t->id, NULL, NULL);
        atomic_fetch_sub_explicit(&c->n_running, 1, memory_order_relaxed);
    }
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->proxy_headers);
    curl_slist_free_all(t->connect_to);
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

static void transfer_begin(struct http_client *c, struct transfer *t)
{
    t->easy = easy_take(c);
    atomic_fetch_add_explicit(&c->n_running, 1, memory_order_relaxed);
    map_put(&c->running, t->id, t);
    transfer_setup(t);
    bool ok = transfer_url(t);
    transfer_headers(t);
    if (!ok) transfer_finish(c, t, CURLE_URL_MALFORMAT);
    else if (curl_multi_add_handle(c->multi, t->easy) != CURLM_OK) transfer_finish(c, t, CURLE_FAILED_INIT);
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
    mtx_lock(&c->mu);
    if (--c->n_out == 0) cond_broadcast(&c->idle);             /* under the lock: after it, c may be gone */
    mtx_unlock(&c->mu);
}

static void mover_dispatch(struct http_client *c)
{
    while (c->finished) {
        struct transfer *t = c->finished, *next = t->next;
        if (c->opts.dispatch && !c->opts.dispatch(c->opts.dispatch_ctx, transfer_hand_over, t)) return;
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
    struct epoll_event ev = { .events = ((what & CURL_POLL_IN) ? EPOLLIN : 0u) | ((what & CURL_POLL_OUT) ? EPOLLOUT : 0u), .data.fd = fd };
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (epoll_ctl(c->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) < 0 && errno == (known ? ENOENT : EEXIST))
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
        int mask = ((ev[i].events & EPOLLIN) ? CURL_CSELECT_IN : 0) | ((ev[i].events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
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
        transfer_finish(c, t, code);
    }
}

static void mover_cancel(struct http_client *c, uint64_t id)
{
    struct transfer *t = map_find(&c->running, id, NULL, NULL);
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
        transfer_begin(c, t);
    }
    for (size_t i = 0; i < cancels.n; i++) mover_cancel(c, cancels.at[i]);
    vec_fini(&cancels);
    return stop;
}

static void mover_run(void *ctx)
{
    struct http_client *c = ctx;
    for (bool stop = false; !stop;) {
        mover_events(c);
        mover_completed(c);
        stop = mover_inbox(c);
        mover_dispatch(c);
    }
    struct transfer *t;
    for (size_t i = 0; (t = map_next(&c->running, &i)) != NULL; i = 0) mover_cancel(c, t->id);
    while (c->finished) {
        mover_dispatch(c);
        if (c->finished) clock_sleep_ns((int64_t)RETRY_MS * 1000000);
    }
}

static void client_wake(struct http_client *c)
{
    const uint64_t one = 1;
    ssize_t n = write(c->wake_fd, &one, sizeof(one));
    (void)n;                           /* full means that it is rung already */
}

/* ---- the public side ---- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static void curl_start(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) abort();
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
    curl_multi_cleanup(c->multi);
    for (size_t i = 0; i < c->easies.n; i++) curl_easy_cleanup(c->easies.at[i]);
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
    request_copy(t, r);
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
