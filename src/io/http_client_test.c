#include "io/http_client.h"

#include "io/http_words.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/test.h"

#include <errno.h>
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>

/* ---- a server: the path says what it answers ---- */

static _Atomic bool serve_slow = true;
/* the request as the server saw it: written before its answer, read after */
static char serve_seen[4096];

static enum MHD_Result see_header(
    void *ctx, enum MHD_ValueKind kind, const char *key, const char *value)
{
    (void)ctx, (void)kind;
    size_t n = strlen(serve_seen);
    snprintf(serve_seen + n, sizeof(serve_seen) - n, "%s: %s\n", key, value ? value : "");
    return MHD_YES;
}

static enum MHD_Result answer(
    struct MHD_Connection *c, unsigned status, size_t n, const char *header, const char *value)
{
    char *p = mem_alloc(n + 1);
    memset(p, 'x', n + 1);
    struct MHD_Response *r = MHD_create_response_from_buffer(n, p, MHD_RESPMEM_MUST_COPY);
    mem_free(p);
    if (header) MHD_add_response_header(r, header, value);
    enum MHD_Result rc = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return rc;
}

static enum MHD_Result echo(struct MHD_Connection *c)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(strlen(serve_seen), serve_seen, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result rc = MHD_queue_response(c, 200, r);
    MHD_destroy_response(r);
    return rc;
}

static enum MHD_Result serve(void *ctx, struct MHD_Connection *c, const char *url,
    const char *method, const char *version, const char *body, size_t *n_body, void **state)
{
    static int begun;
    (void)ctx, (void)version;
    if (!*state) {
        *state = &begun;
        if (strcmp(url, "/echo") != 0) return MHD_YES;
        snprintf(serve_seen, sizeof(serve_seen), "%s %s\n", method, url);
        MHD_get_connection_values(c, MHD_HEADER_KIND, see_header, NULL);
        return MHD_YES;
    }
    if (*n_body) {
        size_t n = strlen(serve_seen);
        snprintf(serve_seen + n, sizeof(serve_seen) - n, "body %.*s\n", (int)*n_body, body);
        *n_body = 0;
        return MHD_YES;
    }
    if (strcmp(url, "/echo") == 0) return echo(c);
    if (strcmp(url, "/gzip") == 0) return answer(c, 200, 100, "Content-Encoding", "gzip");
    if (strcmp(url, "/big") == 0) return answer(c, 200, 3000000, NULL, NULL);
    if (strcmp(url, "/moved") == 0) return answer(c, 302, 5, "Location", "/echo");
    if (strcmp(url, "/round") == 0) return answer(c, 302, 5, "Location", "/round");
    while (strcmp(url, "/slow") == 0 && atomic_load(&serve_slow)) clock_sleep_ns(2000000);
    return answer(c, strcmp(url, "/missing") == 0 ? 404 : 200, 10, "X-Kind", "plain");
}

struct rig { struct MHD_Daemon *daemon; struct http_client *client; unsigned port; };

static struct rig rig_start(void)
{
    struct rig r = { 0 };
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    atomic_store(&serve_slow, true);
    r.daemon = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0,
        NULL, NULL, serve, NULL, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_END);
    EXPECT(r.daemon);
    r.port = MHD_get_daemon_info(r.daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    struct http_client_opts o = { .connections_max = 100 };
    EXPECT_OK(http_client_new(&r.client, &o, NULL));
    return r;
}

static void rig_stop(struct rig *r)
{
    atomic_store(&serve_slow, false);
    http_client_free(r->client);
    MHD_stop_daemon(r->daemon);
}

/* ---- one request, waited for ---- */

struct got {
    struct mtx mu;
    struct cond came;
    bool done, reused;
    int status;
    errc rc;
    struct err err;
    struct buf body;
    char reason[64], kind[64], encoding[64], remote[64];
};

static void got_done(void *ctx, struct http_response *r)
{
    struct got *g = ctx;
    mtx_lock(&g->mu);
    g->status = r->status;
    g->rc = r->rc;
    g->err = r->err;
    g->reused = r->reused;
    g->body = r->body;
    r->body = (struct buf){ 0 };
    snprintf(g->reason, sizeof(g->reason), "%.*s", STR_ARG(r->reason));
    snprintf(g->kind, sizeof(g->kind), "%.*s", STR_ARG(http_header(r, S("x-kind"))));
    snprintf(
        g->encoding, sizeof(g->encoding), "%.*s", STR_ARG(http_header(r, S("content-encoding"))));
    snprintf(g->remote, sizeof(g->remote), "%.*s", STR_ARG(r->remote));
    g->done = true;
    cond_broadcast(&g->came);
    mtx_unlock(&g->mu);
}

static void got_init(struct got *g)
{
    *g = (struct got){ 0 };
    mtx_init(&g->mu, LOCK_POOL);
    cond_init(&g->came);
}

static void got_wait(struct got *g)
{
    mtx_lock(&g->mu);
    while (!g->done) cond_wait(&g->came, &g->mu);
    mtx_unlock(&g->mu);
}

static void got_fini(struct got *g)
{
    buf_fini(&g->body);
    cond_fini(&g->came);
    mtx_fini(&g->mu);
}

static struct got fetch(struct http_client *c, const struct http_request *r)
{
    struct got g;
    got_init(&g);
    http_send(c, r, got_done, &g);
    got_wait(&g);
    return g;
}

static str url_of(struct arena *a, const struct rig *r, const char *path)
{
    return arena_fmt(a, "http://127.0.0.1:%u%s", r->port, path);
}

TEST(http_client_gets)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct rig rig = rig_start();
    struct http_request r = {
        .url = url_of(&a, &rig, "/metrics"), .timeout_ms = 10000, .body_padding = 64
    };
    struct got g = fetch(rig.client, &r);
    EXPECT_OK_E(g.rc, &g.err);
    EXPECT_EQ(g.status, 200);
    EXPECT_STR(buf_view(&g.body), S("xxxxxxxxxx"));
    for (size_t i = 0; i < 64; i++) EXPECT_EQ(g.body.p[g.body.n + i], 0);
    EXPECT_STR(str_z(g.kind), S("plain"));
    EXPECT_STR(str_z(g.remote), arena_fmt(&a, "127.0.0.1:%u", rig.port));
    EXPECT(!g.reused);
    got_fini(&g);
    r.url = url_of(&a, &rig, "/missing");
    g = fetch(rig.client, &r);
    EXPECT_EQ(g.status, 404);
    EXPECT_STR(str_z(g.reason), S("Not Found"));
    EXPECT(g.reused);                  /* the connection was kept */
    EXPECT_EQ(http_client_stats(rig.client).connections_made, 1);
    got_fini(&g);
    r.url = url_of(&a, &rig, "/gzip");
    g = fetch(rig.client, &r);
    EXPECT_OK(g.rc);                   /* claimed to be gzip, is not: nobody here looks into it */
    EXPECT_STR(str_z(g.encoding), S("gzip"));
    EXPECT_EQ(g.body.n, 100);
    got_fini(&g);
    rig_stop(&rig);
}

TEST(http_client_sends_what_it_is_told_and_nothing_else)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct rig rig = rig_start();
    const struct http_field h[] = { { S("User-Agent"), S("Prometheus/3.14.0") },
        { S("X-Empty"), S("") }, { S("Accept-Encoding"), S("gzip") } };
    struct http_request r = { .url = url_of(&a, &rig, "/echo"),
        .headers = h,
        .n_headers = ARRAY_LEN(h),
        .basic = true,
        .username = S("me"),
        .password = S("secret:x") };
    struct got g = fetch(rig.client, &r);
    str host = arena_fmt(&a, "Host: 127.0.0.1:%u\n", rig.port);
    EXPECT_STR(buf_view(&g.body),
        arena_fmt(&a,
            "GET /echo\n%.*sAuthorization: Basic bWU6c2VjcmV0Ong=\nUser-Agent: Prometheus/3.14.0\n"
            "X-Empty: \nAccept-Encoding: gzip\n",
            STR_ARG(host)));
    got_fini(&g);
    const struct http_field ct[] = { { S("Content-Type"), S("application/x-protobuf") } };
    struct http_request post = {
        .method = S("POST"), .url = r.url, .body = S("payload"), .headers = ct, .n_headers = 1
    };
    g = fetch(rig.client, &post);
    EXPECT_STR(buf_view(&g.body),
        arena_fmt(&a,
            "POST /echo\n%.*sContent-Type: application/x-protobuf\nContent-Length: 7\n"
            "body payload\n",
            STR_ARG(host)));
    got_fini(&g);
    rig_stop(&rig);
}

TEST(http_client_redirects)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct rig rig = rig_start();
    struct http_request r = { .url = url_of(&a, &rig, "/moved") };
    struct got g = fetch(rig.client, &r);
    EXPECT_EQ(g.status, 302);
    EXPECT_EQ(g.body.n, 5);
    got_fini(&g);
    r.follow_redirects = true;
    g = fetch(rig.client, &r);
    EXPECT_EQ(g.status, 200);
    EXPECT(str_has_prefix(buf_view(&g.body), S("GET /echo\n")));
    got_fini(&g);
    r.url = url_of(&a, &rig, "/round");
    g = fetch(rig.client, &r);
    EXPECT_EQ(g.rc, ERR_IO);
    EXPECT(str_has_suffix(err_str(&g.err), S("stopped after 10 redirects")));
    got_fini(&g);
    rig_stop(&rig);
}

TEST(http_client_limits_the_body)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct rig rig = rig_start();
    struct http_request r = { .url = url_of(&a, &rig, "/big"), .max_body_bytes = 2999999 };
    struct got g = fetch(rig.client, &r);
    EXPECT_EQ(g.rc, ERR_LIMIT);
    EXPECT_STR(err_str(&g.err), S("body size limit exceeded"));
    got_fini(&g);
    r.max_body_bytes = 3000000;
    g = fetch(rig.client, &r);
    EXPECT_OK(g.rc);
    EXPECT_EQ(g.body.n, 3000000);
    got_fini(&g);
    rig_stop(&rig);
}

TEST(http_client_failures_read_as_in_go)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct rig rig = rig_start();
    struct { const char *name; str url, want; int64_t timeout_ms; errc rc; int64_t stall_ms;
    } cases[] = {
        { "refused", S("http://127.0.0.1:1/metrics"),
            S("Get \"http://127.0.0.1:1/metrics\": dial tcp 127.0.0.1:1: connect: connection "
              "refused"),
            5000, ERR_IO },
        { "time out", url_of(&a, &rig, "/slow"),
            arena_fmt(&a, "Get \"http://127.0.0.1:%u/slow\": context deadline exceeded", rig.port),
            50, ERR_TIMEOUT },
        { "no byte for so long", url_of(&a, &rig, "/slow"),
            arena_fmt(&a, "Get \"http://127.0.0.1:%u/slow\": context deadline exceeded", rig.port),
            600000, ERR_TIMEOUT, 100 },
        { "scheme", S("ftp://127.0.0.1/x"),
            S("Get \"ftp://127.0.0.1/x\": unsupported protocol scheme \"ftp\""), 5000,
            ERR_BAD_INPUT },
    };
    TEST_EACH(c, cases) {
        struct http_request r = {
            .url = c->url, .timeout_ms = c->timeout_ms, .stall_ms = c->stall_ms
        };
        struct got g = fetch(rig.client, &r);
        EXPECT_STR(err_str(&g.err), c->want);
        EXPECT_EQ(g.rc, c->rc);
        EXPECT_EQ(g.status, 0);
        got_fini(&g);
    }
    rig_stop(&rig);
}

TEST(http_failure_words_of_tls)
{
    static const struct { const char *name; enum http_fail kind; bool lasts;
        str detail, want;
    } cases[] = {
        { "plain server", HTTP_FAIL_TLS, true,
            S("gnutls_handshake() failed: An unexpected TLS packet was received."),
            S("Get \"https://h/\": http: server gave HTTP response to HTTPS client") },
        { "hung up", HTTP_FAIL_TLS, false,
            S("gnutls_handshake() failed: The TLS connection was non-properly terminated."),
            S("Get \"https://h/\": EOF") },
        { "a header without end", HTTP_FAIL_OTHER, false, S("Out of memory"),
            S("Get \"https://h/\": net/http: server response headers exceeded 102400 bytes; "
              "aborted") },
        { "headers without end", HTTP_FAIL_RECEIVE, false,
            S("Too large response headers: 307209 > 307200"),
            S("Get \"https://h/\": net/http: server response headers exceeded 307200 bytes; "
              "aborted") },
        { "unknown issuer", HTTP_FAIL_TLS_VERIFY, true,
            S("server certificate verification failed. CAfile: x CRLfile: none"),
            S("Get \"https://h/\": tls: failed to verify certificate: x509: certificate signed by "
              "unknown authority") },
    };
    TEST_EACH(c, cases) {
        struct err e = { 0 };
        struct http_failure f = { .kind = c->kind, .url = S("https://h/"), .detail = c->detail };
        EXPECT_EQ(http_failure_words(&f, &e), ERR_IO);
        EXPECT_STR(err_str(&e), c->want);
        EXPECT_EQ(http_failure_lasts(&f), c->lasts);
    }
}

TEST(http_failure_words_of_answers_that_are_none)
{
    static const struct {
        const char *name;
        enum http_fail kind;
        int os_errno;
        bool answered;
        str detail, want;
    } cases[] = {
        { "hung up each time", HTTP_FAIL_OTHER, 0, false,
            S("Connection died, tried 5 times before giving up"), S("Get \"http://h/\": EOF") },
        { "a field without a colon", HTTP_FAIL_OTHER, 0, false, S("Header without colon"),
            S("Get \"http://h/\": net/http: HTTP/1.x transport connection broken: malformed MIME "
              "header: missing colon") },
        { "a length below 0", HTTP_FAIL_OTHER, 0, false, S("Invalid Content-Length: value"),
            S("Get \"http://h/\": net/http: HTTP/1.x transport connection broken: bad "
              "Content-Length") },
        { "a bad chunk, and an error of another dial", HTTP_FAIL_RECEIVE, ECONNREFUSED, true,
            S("Illegal or missing hexadecimal sequence in chunked-encoding"),
            S("invalid byte in chunk length") },
        { "a reset", HTTP_FAIL_RECEIVE, ECONNRESET, true,
            S("Recv failure: Connection reset by peer"),
            S("read tcp 1.2.3.4:5->6.7.8.9:80: read: connection reset by peer") },
    };
    TEST_EACH(c, cases) {
        struct err e = { 0 };
        struct http_failure f = { .kind = c->kind, .url = S("http://h/"), .detail = c->detail,
            .os_errno = c->os_errno, .answered = c->answered, .local = S("1.2.3.4:5"),
            .remote = S("6.7.8.9:80") };
        EXPECT_EQ(http_failure_words(&f, &e), ERR_IO);
        EXPECT_STR(err_str(&e), c->want);
    }
}

TEST(http_client_cancels)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct rig rig = rig_start();
    struct http_request r = { .url = url_of(&a, &rig, "/slow") };
    struct got g, last;
    got_init(&g);
    got_init(&last);
    http_cancel(rig.client, 999);
    uint64_t id = http_send(rig.client, &r, got_done, &g);
    http_cancel(rig.client, id);
    got_wait(&g);
    EXPECT_EQ(g.rc, ERR_CANCELED);
    EXPECT_STR(err_str(&g.err),
        arena_fmt(&a, "Get \"http://127.0.0.1:%u/slow\": context canceled", rig.port));
    http_send(rig.client, &r, got_done, &last);
    rig_stop(&rig);                    /* ends the client first, with a request under way */
    EXPECT(last.done);
    got_fini(&g);
    got_fini(&last);
}

/* ---- many, on a pool that is often full ---- */

enum { MANY = 300 };
struct many { struct mtx mu; struct cond all; unsigned n, ok, refused; };

static bool many_dispatch(void *ctx, void (*run)(void *arg), void *arg)
{
    struct many *m = ctx;
    if (m->refused++ % 3 == 0) return false;   /* the mover's thread alone comes here */
    run(arg);
    return true;
}

static void many_done(void *ctx, struct http_response *r)
{
    struct many *m = ctx;
    mtx_lock(&m->mu);
    m->ok += r->rc == OK && r->status == 200 && r->body.n == 10;
    if (++m->n == MANY) cond_broadcast(&m->all);
    mtx_unlock(&m->mu);
}

TEST(http_client_runs_many_at_once)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct rig rig = rig_start();
    struct many m = { 0 };
    mtx_init(&m.mu, LOCK_POOL);
    cond_init(&m.all);
    struct http_client *c = NULL;
    struct http_client_opts o = {
        .connections_max = MANY, .dispatch = many_dispatch, .dispatch_ctx = &m
    };
    EXPECT_OK(http_client_new(&c, &o, NULL));
    for (int round = 0; round < 2; round++) {
        m.n = m.ok = 0;
        for (unsigned i = 0; i < MANY; i++) {
            struct http_request r = { .url = url_of(&a, &rig, "/metrics"), .timeout_ms = 60000 };
            http_send(c, &r, many_done, &m);
        }
        mtx_lock(&m.mu);
        while (m.n < MANY) cond_wait(&m.all, &m.mu);
        mtx_unlock(&m.mu);
        EXPECT_EQ(m.ok, MANY);
    }
    /* the second round met the first one's connections */
    EXPECT(http_client_stats(c).connections_made <= MANY + 20);
    EXPECT_EQ(http_client_stats(c).sent, 2 * MANY);
    http_client_free(c);
    rig_stop(&rig);
    cond_fini(&m.all);
    mtx_fini(&m.mu);
}
