/* The server rides on libmicrohttpd: one thread at a time moves bytes (http_drivers.h). The
 * library's access handler is called for a request several times: first with the headers, then with
 * slices of the upload, at last with none; then we answer.
 *
 *   first call ──> conn_begin: match the route (http_router), make the conn
 *   upload     ──> conn_upload: append to the body, 413 past the limit
 *   last call  ──> in place: run the handler, queue the answer
 *              ├─> while uploads press: suspend the connection; its turn comes in server_release
 *              ├─> alone: its thread leaves the loop ──> handler ──> called again: queue the answer
 *              │   (suspended only where that lasts, by the thread that takes the loop over)
 *              └─> else: suspend the connection, submit to the pool ──> handler ──> resume ──>
 *              called again: queue the answer
 *
 * A request is alone when no other is being worked on. Where others were lately, all go to the
 * pool: the loop is not left while there is much to move.
 *
 * An answer that is made while it is sent goes the same way for each of its parts: when the library
 * asks for bytes and none are left, the connection is suspended and the next part made on the pool.
 */
#include "api/http.h"

#include "api/http_drivers.h"
#include "api/http_pace.h"
#include "api/http_request.h"
#include "api/http_router.h"
#include "api/tls.h"
#include "base/clock.h"
#include "base/compress.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "io/pool.h"
#include "io/socket.h"

#include <microhttpd.h>
#include <stdio.h>

ACCOUNT(acc_http, "http_requests")

static const double duration_bounds[] = { .1, .2, .4, 1, 3, 8, 20, 60, 120 };
static const double size_bounds[] = { 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };
COUNTER_VEC(
    m_requests, "prometheus_http_requests_total", "Counter of HTTP requests.", "code", "handler")
HISTOGRAM_VEC(m_duration, "prometheus_http_request_duration_seconds",
    "Histogram of latencies for HTTP requests.", duration_bounds, "handler")
HISTOGRAM_VEC(m_size, "prometheus_http_response_size_bytes",
    "Histogram of response size for HTTP requests.", size_bounds, "handler")

COUNTER_VEC(m_accepted, "net_conntrack_listener_conn_accepted_total",
    "Total number of connections opened to the listener of a given name.", "listener_name")
COUNTER_VEC(m_closed, "net_conntrack_listener_conn_closed_total",
    "Total number of connections closed that were made to the listener of a given name.",
    "listener_name")

COUNTER(m_paced, "epimetheus_http_requests_paced_total",
    "Requests that waited for their turn because samples were taken as fast as they came.")

enum { LAST_ANSWERS_MS = 1000, STREAM_BLOCK_BYTES = 64 << 10 };
/* after so much silence the loop's thread keeps no memory that was freed; between two looks whether
 * the server ends; after the library failed; requests after one that was not alone */
enum { IDLE_MS = 200, LEAN_MS = 3600000, ENDS_MS = 10, FAILED_MS = 10, CROWD = 16 };

struct http_server {
    struct http_opts o;
    struct MHD_Daemon *daemon;
    int events;                            /* readable: the loop has something to do */
    struct wake *wake;                     /* and so it has who waits for them */
    struct hangup *hangup;
    struct drivers drivers;
    /* of who runs the loop */
    struct conn *own;                      /* the request for which it will leave the loop */
    _Atomic unsigned at_work;              /* any thread: requests that are not done in place */
    unsigned crowd;                        /* so many requests more go to the pool */
    struct pace pace;
    struct conn *waiting, **waiting_end;   /* for their turn, in the order in which they came */
    int64_t turn_ns;                       /* of the first of them */
    bool resumed, lean;                    /* it need not wait; nothing came for long */
    struct arena arena;                    /* address, prefix; const after new */
    str address;
    struct mtx mu;                         /* LOCK_LEAF */
    struct cond idle;
    unsigned running;                      /* GUARDED_BY(mu): handlers that are not in place */
    unsigned requests;                     /* GUARDED_BY(mu): begun and not yet answered whole */
    _Atomic bool stopping;                 /* written under mu */
};

/* A connection, for all of its requests. */
struct line { int64_t answered_ns; };      /* the last of them; or since it is there */

enum conn_state { CONN_UPLOAD, CONN_RUNNING, CONN_DONE };
struct conn {
    struct http_req req;
    struct http_resp resp;
    struct http_server *server;
    struct MHD_Connection *mhd;
    const struct http_route *route;        /* NULL: the answer is early, or the guard's */
    /* of a request without a route, until the guard has passed it */
    struct http_resp early;
    struct buf body;
    /* the guard is asked again on the pool; the guard wrote the answer */
    bool guard_waits, refused;
    bool bad_path;                         /* the target cannot be read */
    struct http_refusal malformed;              /* what else makes it no request */
    /* written by the handler's thread before the resume, read after it */
    enum conn_state state;
    int64_t start_ns, came_ns;             /* its first byte, its last */
    bool uploads;                          /* the pace counts it */
    struct conn *next_waiting;
    /* of a stream: sent of this part and of those before; it was the last part */
    size_t at;
    uint64_t sent;
    bool streams, last;
    bool cut;                              /* no part will come: the connection is closed */
    int wire;                              /* GUARDED_BY(server.mu): of a stream; or -1 */
};

void http_resp_header(struct http_resp *w, str name, str value)
{
    for (size_t i = 0; i < w->headers.n; i++)
        if (str_eq_nocase(w->headers.at[i].name, name)) {
            w->headers.at[i].value = value;
            return;
        }
    vec_push(&w->headers, ((struct http_pair){ name, value }));
}

static str conn_header(const struct http_req *r, const char *name)
{
    const struct conn *c = CONTAINER_OF(r, const struct conn, req);
    return str_z(MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, name));
}
static str conn_client(struct http_req *r)
{
    const struct conn *c = CONTAINER_OF(r, const struct conn, req);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? sock_ip(info->client_addr, &r->arena) : STR_EMPTY;
}

/* The thread that moves bytes sees it as a client that hung up. */
static void conn_cut(struct http_req *r)
{
    struct conn *c = CONTAINER_OF(r, struct conn, req);
    mtx_lock(&c->server->mu);
    if (c->wire >= 0) sock_end(c->wire);
    mtx_unlock(&c->server->mu);
}

static int conn_unsent(struct http_req *r)
{
    struct conn *c = CONTAINER_OF(r, struct conn, req);
    mtx_lock(&c->server->mu);
    int n = c->wire >= 0 ? sock_unsent(c->wire) : -1;
    mtx_unlock(&c->server->mu);
    return n;
}
static const struct http_req_ops conn_ops = { conn_header, conn_client, conn_cut, conn_unsent };

static int conn_fd(const struct conn *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

static void conn_set_wire(struct conn *c, int fd)
{
    mtx_lock(&c->server->mu);
    c->wire = fd;
    mtx_unlock(&c->server->mu);
}

void http_text(struct http_resp *w, unsigned status, str text)
{
    w->status = status;
    http_resp_header(w, S("Content-Type"), S("text/plain; charset=utf-8"));
    if (status >= 400) http_resp_header(w, S("X-Content-Type-Options"), S("nosniff"));
    buf_str(&w->body, text);
}

static void put_html_escaped(struct buf *b, str s)
{
    for (size_t i = 0; i < s.n; i++)
        switch (s.p[i]) {
        case '&': buf_str(b, S("&amp;")); break;
        case '<': buf_str(b, S("&lt;")); break;
        case '>': buf_str(b, S("&gt;")); break;
        case '"': buf_str(b, S("&#34;")); break;
        case '\'': buf_str(b, S("&#39;")); break;
        default: buf_u8(b, s.p[i]);
        }
}

void http_redirect(struct http_req *r, struct http_resp *w, unsigned status, str to)
{
    static const struct { unsigned status; const char *words; } words[] = {
        { 301, "Moved Permanently" }, { 302, "Found" }, { 307, "Temporary Redirect" },
    };
    w->status = status;
    http_resp_header(w, S("Location"), arena_str(&r->arena, to));
    if (!(r->method & (HTTP_GET | HTTP_HEAD))) return;
    http_resp_header(w, S("Content-Type"), S("text/html; charset=utf-8"));
    buf_str(&w->body, S("<a href=\""));
    put_html_escaped(&w->body, to);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (words[i].status == status) buf_fmt(&w->body, "\">%s</a>.\n\n", words[i].words);
}

static void conn_route(struct conn *c)
{
    if (!c->malformed.status) {
        c->route = http_router_find(&c->server->o, &c->req, &c->early);
        return;
    }
    c->early.status = c->malformed.status;
    if (c->malformed.text.n)
        http_resp_header(&c->early, S("Content-Type"), S("text/plain; charset=utf-8"));
    http_resp_header(&c->early, S("Connection"), S("close"));
    buf_str(&c->early.body, c->malformed.text);
}

/* Called with the request line, before the method is known. The raw target is kept: the library
 * would hand out a decoded path and a parsed query, and Go's rules differ. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    (void)mhd;
    struct conn *c = NEW(struct conn);
    c->server = cls;
    c->start_ns = clock_mono_ns();
    c->req.ops = &conn_ops;
    c->wire = -1;
    arena_init(&c->req.arena, &acc_http, 0);
    buf_init(&c->resp.body, &acc_http, 0);
    c->resp.status = c->early.status = 200;
    buf_init(&c->early.body, &acc_http, 0);
    mtx_lock(&c->server->mu);
    c->server->requests++;
    mtx_unlock(&c->server->mu);
    str target = arena_str(&c->req.arena, str_z(uri));
    c->bad_path = !http_target_cut(target, &c->req.arena, &c->req.path, &c->req.query);
    return c;
}

static enum MHD_Result on_framing_header(void *cls, enum MHD_ValueKind kind, const char *key,
    size_t key_n, const char *text, size_t text_n)
{
    (void)kind;
    http_framing_note(cls, str_of(key, key_n), str_of(text, text ? text_n : 0));
    return MHD_YES;
}

static struct http_refusal malformed(const struct conn *c, str version)
{
    struct http_framing f = { .bytes_bad = c->bad_path };
    MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, on_framing_header, &f);
    return http_refusal_of(&f, c->req.method_name, version);
}

static void conn_begin(struct conn *c, struct MHD_Connection *mhd, str method, str version)
{
    c->mhd = mhd;
    c->req.method_name = arena_str(&c->req.arena, method);
    c->req.method = http_method_of(method);
    c->malformed = malformed(c, version);
    conn_route(c);
    buf_init(&c->body, &acc_http,
        c->route && c->route->max_body_bytes ? c->route->max_body_bytes : HTTP_FORM_MAX);
}

static void stream_free(struct conn *c)
{
    if (c->resp.stream) c->resp.stream->ops->free(c->resp.stream);
    c->resp.stream = NULL;
}

static void conn_free(struct conn *c)
{
    stream_free(c);
    vec_fini(&c->req.path_params);
    vec_fini(&c->resp.headers);
    buf_fini(&c->resp.body);
    vec_fini(&c->early.headers);
    buf_fini(&c->early.body);
    buf_fini(&c->body);
    arena_fini(&c->req.arena);
    mem_free(c);
}

/* The first kind that is named without parameters, as Prometheus chooses. */
static enum compress_kind accepted_encoding(const struct conn *c)
{
    str accept = conn_header(&c->req, "Accept-Encoding");
    while (accept.n) {
        str one, rest;
        str_cut(accept, ',', &one, &rest);
        one = str_trim(one);
        if (str_eq(one, S("gzip"))) return COMPRESS_GZIP;
        if (str_eq(one, S("deflate"))) return COMPRESS_DEFLATE;
        accept = rest;
    }
    return COMPRESS_NONE;
}

/* A body that is packed is whole, or none. */
static void conn_drain(struct conn *c)
{
    struct http_stream *s = c->resp.stream;
    bool gone = false;
    if (!s) return;
    while (!gone && s->ops->more(s, &c->resp.body))
        gone = atomic_load_explicit(&c->req.gone, memory_order_relaxed);
    stream_free(c);
    if (!gone && buf_ok(&c->resp.body)) return;
    buf_reset(&c->resp.body);
    http_text(&c->resp, 499, S("the answer was ended"));
}

static void conn_compress(struct conn *c)
{
    if (!c->resp.compress) return;
    enum compress_kind kind = accepted_encoding(c);
    if (kind == COMPRESS_NONE || !c->resp.body.n) return;
    conn_drain(c);
    struct buf packed;
    buf_init(&packed, &acc_http, 0);
    if (compress_pack(&packed, kind, buf_view(&c->resp.body), 1, NULL) != OK) {
        buf_fini(&packed);
        return;
    }
    buf_fini(&c->resp.body);
    c->resp.body = packed;
    http_resp_header(
        &c->resp, S("Content-Encoding"), kind == COMPRESS_GZIP ? S("gzip") : S("deflate"));
}

static void conn_count(const struct conn *c)
{
    if (!c->route || c->refused) return;                       /* handlers are counted */
    char code[16];
    snprintf(code, sizeof(code), "%u", c->resp.status);
    str handler = str_z(c->route->pattern);
    metric_add_to(METRIC_WITH(&m_requests, str_z(code), handler), 1);
    metric_observe_in(
        METRIC_WITH(&m_duration, handler), (double)(clock_mono_ns() - c->start_ns) / 1e9);
    metric_observe_in(
        METRIC_WITH(&m_size, handler), (double)(c->streams ? c->sent : c->resp.body.n));
}

static ssize_t on_part(void *cls, uint64_t pos, char *to, size_t max);

static struct MHD_Response *response_of(struct conn *c)
{
    c->streams = c->resp.stream != NULL;
    assert(!c->streams || c->req.method != HTTP_HEAD);
    if (c->streams) conn_set_wire(c, conn_fd(c));
    if (c->streams)
        return MHD_create_response_from_callback(
            MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, on_part, c, NULL);
    conn_count(c);
    return MHD_create_response_from_buffer(
        c->resp.body.n, c->resp.body.p, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result conn_answer(struct conn *c)
{
    struct MHD_Response *r = response_of(c);
    if (!r) return MHD_NO;
    /* before Vary: Origin */
    if (c->resp.compress && c->resp.vary) MHD_add_response_header(r, "Vary", "Accept-Encoding");
    for (size_t i = 0; i < c->resp.headers.n; i++) {
        char *name = arena_cstr(&c->req.arena, c->resp.headers.at[i].name);
        char *value = arena_cstr(&c->req.arena, c->resp.headers.at[i].value);
        MHD_add_response_header(r, name, value);
    }
    enum MHD_Result rc = MHD_queue_response(c->mhd, c->resp.status, r);
    MHD_destroy_response(r);
    return rc;
}

static void conn_take_early(struct conn *c)
{
    c->resp.status = c->early.status;
    buf_str(&c->resp.body, buf_view(&c->early.body));
    for (size_t i = 0; i < c->early.headers.n; i++)
        http_resp_header(&c->resp, c->early.headers.at[i].name, c->early.headers.at[i].value);
}

static void conn_handle(struct conn *c)
{
    if (c->refused) return;
    if (!c->route) {
        conn_take_early(c);
        return;
    }
    c->req.body = buf_view(&c->body);
    if (c->server->o.before) c->server->o.before(c->server->o.ctx, &c->req, &c->resp);
    c->route->handle(c->server->o.ctx, &c->req, &c->resp);
    conn_compress(c);
}

static void server_left(struct http_server *s)
{
    mtx_lock(&s->mu);
    assert(s->running > 0);
    if (--s->running == 0) cond_broadcast(&s->idle);
    mtx_unlock(&s->mu);
}

static enum http_guard conn_guard(struct conn *c, bool may_wait)
{
    const struct http_opts *o = &c->server->o;
    return o->guard ? o->guard(o->guard_ctx, &c->req, &c->resp, may_wait) : HTTP_PASS;
}

static void conn_done(struct conn *c)
{
    c->state = CONN_DONE;
    atomic_fetch_sub(&c->server->at_work, 1);  /* what the client asks next may be alone */
}

/* Of a job, its last: the connection is another thread's from here on. */
static void conn_resume(struct conn *c)
{
    struct http_server *s = c->server;
    conn_done(c);
    MHD_resume_connection(c->mhd);
    wake_up(s->wake);
    server_left(s);
}

static void conn_job(void *arg)
{
    struct conn *c = arg;
    c->refused = c->guard_waits && conn_guard(c, true) != HTTP_PASS;
    conn_handle(c);
    hangup_unwatch(c->server->hangup, conn_fd(c));
    conn_resume(c);
}

static bool server_entered(struct http_server *s)
{
    mtx_lock(&s->mu);
    bool ok = !s->stopping;
    s->running += ok;
    mtx_unlock(&s->mu);
    return ok;
}

static void conn_work_begins(struct conn *c)
{
    c->state = CONN_RUNNING;
    atomic_fetch_add(&c->server->at_work, 1);
}

/* Runs job(c) on the pool while the connection waits. False: it does not, and the connection goes
 * on. REQUIRES: server_entered, conn_work_begins, suspended */
static bool conn_submit(struct conn *c, void (*job)(void *c))
{
    struct http_server *s = c->server;
    hangup_watch(s->hangup, conn_fd(c), &c->req.gone);
    if (s->o.submit(s->o.pool, job, c)) return true;
    hangup_unwatch(s->hangup, conn_fd(c));
    return false;
}

static void conn_part_job(void *arg)
{
    struct conn *c = arg;
    c->last = !c->resp.stream->ops->more(c->resp.stream, &c->resp.body);
    if (c->last) stream_free(c);
    if (!buf_ok(&c->resp.body)) c->cut = true;
    hangup_unwatch(c->server->hangup, conn_fd(c));
    conn_resume(c);
}

/* The library wants bytes of a stream. */
static ssize_t on_part(void *cls, uint64_t pos, char *to, size_t max)
{
    struct conn *c = cls;
    (void)pos;
    str left = str_from(buf_view(&c->resp.body), c->at);
    size_t n = MIN(left.n, max);
    if (n) {
        memcpy(to, left.p, n);
        c->at += n;
        c->sent += n;
        atomic_store_explicit(&c->req.moved_ns, clock_mono_ns(), memory_order_relaxed);
        return (ssize_t)n;
    }
    if (c->last && !c->cut) return MHD_CONTENT_READER_END_OF_STREAM;
    if (c->cut || !server_entered(c->server)) return MHD_CONTENT_READER_END_WITH_ERROR;
    buf_reset(&c->resp.body);
    c->at = 0;
    conn_work_begins(c);
    MHD_suspend_connection(c->mhd);
    if (conn_submit(c, conn_part_job)) return 0;
    c->cut = true;
    conn_resume(c);
    return 0;
}

static void conn_refuse(struct conn *c)
{
    http_text(&c->resp, 503, S("Service Unavailable"));
}

static void conn_hand_over(struct conn *c)
{
    if (conn_submit(c, conn_job)) return;
    conn_refuse(c);
    conn_resume(c);
}

/* Whether the thread that read it goes on with it, outside of the loop. */
static bool conn_stays(const struct conn *c)
{
    struct http_server *s = c->server;
    if (atomic_load_explicit(&s->at_work, memory_order_relaxed) > 1) s->crowd = CROWD;
    else if (s->crowd) s->crowd--;
    return !s->crowd && !c->guard_waits && drivers_may_leave(&s->drivers);
}

static struct line *line_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* Whether it waits for its turn. */
static bool conn_waits(struct conn *c)
{
    struct http_server *s = c->server;
    if (!(c->route && c->route->flags & HTTP_GIVES_WAY)) return false;
    c->came_ns = clock_mono_ns();
    if (pace_rested(&s->pace, line_of(c->mhd)->answered_ns, c->came_ns)) return false;
    if (!s->waiting && pace_take(&s->pace, c->came_ns, c->came_ns, &s->turn_ns)) return false;
    *s->waiting_end = c;
    s->waiting_end = &c->next_waiting;
    metric_inc(&m_paced);
    return true;
}

/* Those whose turn it is begin. */
static void server_release(struct http_server *s)
{
    bool stopping = atomic_load_explicit(&s->stopping, memory_order_relaxed);
    for (struct conn *c; (c = s->waiting);) {
        if (!pace_take(&s->pace, c->came_ns, clock_mono_ns(), &s->turn_ns) && !stopping) return;
        s->waiting = STEAL(c->next_waiting);
        if (!s->waiting) s->waiting_end = &s->waiting;
        conn_hand_over(c);
    }
}

static void conn_upload_begins(struct conn *c)
{
    if (!(c->route && c->route->flags & HTTP_UPLOADS)) return;
    c->uploads = true;
    pace_upload_begins(&c->server->pace, clock_mono_ns());
}

static enum MHD_Result conn_dispatch(struct conn *c)
{
    if (!buf_ok(&c->body)) {
        http_text(&c->resp, 413, S("http: request body too large\n"));
        return conn_answer(c);
    }
    enum http_guard guard = conn_guard(c, false);
    c->guard_waits = guard == HTTP_LATER;
    c->refused = guard == HTTP_ANSWERED;
    if (c->refused) return conn_answer(c);
    if (!c->guard_waits && (!c->route || c->route->flags & HTTP_IN_PLACE)) {
        conn_handle(c);
        return conn_answer(c);
    }
    if (!server_entered(c->server)) {
        conn_refuse(c);
        return conn_answer(c);
    }
    conn_upload_begins(c);
    conn_work_begins(c);
    bool waits = conn_waits(c);
    if (!waits && conn_stays(c)) {
        c->server->own = c;
        return MHD_YES;
    }
    MHD_suspend_connection(c->mhd);
    if (!waits) conn_hand_over(c);
    return MHD_YES;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *mhd, const char *url,
    const char *method, const char *version, const char *upload, size_t *upload_size,
    void **con_cls)
{
    (void)cls;
    (void)url;
    struct conn *c = *con_cls;
    assert(c);
    if (!c->mhd) {
        conn_begin(c, mhd, str_z(method), str_z(version));
        if (!c->malformed.status) return MHD_YES;
        conn_take_early(c);                /* its body, of which the end is unknown, is not read */
        return conn_answer(c);
    }
    if (*upload_size) {
        buf_bytes(&c->body, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    if (c->state == CONN_DONE) return conn_answer(c);
    return c->state == CONN_UPLOAD ? conn_dispatch(c) : MHD_YES;
}

static void conn_end(struct conn *c)
{
    struct http_server *s = c->server;
    conn_free(c);
    mtx_lock(&s->mu);
    if (--s->requests == 0) cond_broadcast(&s->idle);
    mtx_unlock(&s->mu);
}

/* The client left in the middle of a stream: to end one may touch files. */
static void conn_abandon_job(void *arg)
{
    struct conn *c = arg;
    struct http_server *s = c->server;
    conn_end(c);
    server_left(s);
}

static void on_completed(
    void *cls, struct MHD_Connection *mhd, void **con_cls, enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)code;
    line_of(mhd)->answered_ns = clock_mono_ns();
    struct conn *c = *con_cls;
    *con_cls = NULL;
    if (!c) return;
    struct http_server *s = c->server;
    if (s->own == c) {                         /* closed in the turn that read it */
        s->own = NULL;
        conn_done(c);
        server_left(s);
    }
    if (c->uploads) pace_upload_ends(&s->pace, clock_mono_ns());
    conn_set_wire(c, -1);
    if (c->streams) conn_count(c);
    if (c->resp.stream && server_entered(s)) {
        if (s->o.submit(s->o.pool, conn_abandon_job, c)) return;
        server_left(s);
    }
    conn_end(c);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
    enum MHD_ConnectionNotificationCode code)
{
    const struct http_server *s = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct line *l = NEW(struct line);
        l->answered_ns = clock_mono_ns();
        *socket_context = l;
    } else {
        mem_free(*socket_context);
    }
    if (s->o.tls && code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        if (info) tls_session_begin(s->o.tls, info->tls_session);
    }
    metric_add_to(
        METRIC_WITH(code == MHD_CONNECTION_NOTIFY_STARTED ? &m_accepted : &m_closed, S("http")), 1);
}

/* Every handler is on /metrics before it was asked for the first time. */
static void metrics_begin(const struct http_opts *o)
{
    metric_add_to(METRIC_WITH(&m_accepted, S("http")), 0);
    metric_add_to(METRIC_WITH(&m_closed, S("http")), 0);
    for (size_t i = 0; i < o->n_routes; i++)
        metric_add_to(METRIC_WITH(&m_requests, S("200"), str_z(o->routes[i].pattern)), 0);
}

/* --- the loop --- */

static int server_next_turn_ms(const struct http_server *s)
{
    int64_t ns = s->turn_ns - clock_mono_ns();
    return ns > 0 ? (int)(ns / 1000000) + 1 : 0;
}

/* How long it may wait for events. */
static int server_patience_ms(const struct http_server *s)
{
    bool stopping = atomic_load_explicit(&s->stopping, memory_order_relaxed);
    MHD_UNSIGNED_LONG_LONG due_ms;
    int ms = stopping ? ENDS_MS : s->lean ? LEAN_MS : IDLE_MS;
    if (s->resumed) return 0;
    if (s->waiting) ms = MIN(ms, server_next_turn_ms(s));
    return MHD_get_timeout(s->daemon, &due_ms) == MHD_YES ? (int)MIN(due_ms, (unsigned)ms) : ms;
}

static void *server_turn(void *ctx)
{
    struct http_server *s = ctx;
    int ms = server_patience_ms(s);
    bool idle = ms > 0 && !wake_wait(s->wake, s->events, ms) && !s->waiting;
    if (idle && !s->lean) mem_thread_idle();
    s->lean = idle;
    s->own = NULL;
    s->resumed = false;
    if (MHD_run(s->daemon) != MHD_YES) clock_sleep_ns(FAILED_MS * INT64_C(1000000));
    server_release(s);
    if (!s->own || !s->crowd) return s->own;
    MHD_suspend_connection(s->own->mhd);       /* it was the first of several */
    conn_hand_over(s->own);
    return NULL;
}

static bool server_waited_for(void *ctx)
{
    return sock_readable(((const struct http_server *)ctx)->events);
}

static void server_work(void *ctx, void *job)
{
    const struct http_server *s = ctx;
    s->o.stand_in(s->o.pool, true);
    conn_handle(job);
    s->o.stand_in(s->o.pool, false);
}

/* The loop has not turned since it was left. A client that hangs up is of interest from here on. */
static void server_job_lasts(void *ctx, void *job)
{
    const struct http_server *s = ctx;
    struct conn *c = job;
    MHD_suspend_connection(c->mhd);
    hangup_watch(s->hangup, conn_fd(c), &c->req.gone);
}

static void server_job_done(void *ctx, void *job, bool lasted)
{
    struct http_server *s = ctx;
    struct conn *c = job;
    if (lasted) {
        hangup_unwatch(s->hangup, conn_fd(c));
        conn_resume(c);
        return;
    }
    s->resumed = true;                         /* the library calls again in the next turn */
    conn_done(c);
    server_left(s);
}

static const struct driver_ops driver_ops = {
    server_turn, server_waited_for, server_work, server_job_lasts, server_job_done
};

static struct MHD_Daemon *daemon_start(struct http_server *s, int fd)
{
    const struct http_opts *o = &s->o;
    const struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_CERT_CALLBACK, 0, tls_retrieve_function() }, { MHD_OPTION_END, 0, NULL }
    };
    const struct MHD_OptionItem plain[] = { { MHD_OPTION_END, 0, NULL } };
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (o->tls ? MHD_USE_TLS : 0);
    return MHD_start_daemon(flags, 0, NULL, NULL, on_access, s, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_CONNECTION_LIMIT,
        o->max_connections ? o->max_connections : 512u, MHD_OPTION_CONNECTION_TIMEOUT,
        o->read_timeout_s ? o->read_timeout_s : 300u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)96 << 10, MHD_OPTION_ARRAY, o->tls ? tls : plain, MHD_OPTION_END);
}

errc http_server_new(struct http_server **out, const struct http_opts *o, struct err *e)
{
    int fd = o->listen_fd;
    if (fd < 0) TRY(sock_listen(&fd, o->address, e));
    struct http_server *s = NEW(struct http_server);
    s->o = *o;
    arena_init(&s->arena, &acc_http, 0);
    s->o.prefix = arena_str(&s->arena, o->prefix);
    mtx_init(&s->mu, LOCK_LEAF);
    cond_init(&s->idle);
    s->waiting_end = &s->waiting;
    pace_init(&s->pace, o->cores ? o->cores : pool_cores(), clock_mono_ns());
    s->hangup = hangup_new();
    s->wake = wake_new();
    metrics_begin(o);
    errc rc = sock_local_addr(&s->address, fd, &s->arena, e);
    if (rc == OK) s->daemon = daemon_start(s, fd);
    if (s->daemon) {
        s->events = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
        drivers_start(&s->drivers, "http", &driver_ops, s);
        *out = s;
        return OK;
    }
    sock_close(fd);
    http_server_free(s);
    return rc != OK ? rc
                    : err_set(e, ERR_IO, "listen %.*s: the HTTP server did not start",
                          STR_ARG(o->address));
}

str http_server_address(const struct http_server *s) { return s->address; }

void http_server_stop(struct http_server *s)
{
    if (!s || !s->daemon) return;
    mtx_lock(&s->mu);
    s->stopping = true;
    mtx_unlock(&s->mu);
    int fd = MHD_quiesce_daemon(s->daemon);
    wake_up(s->wake);
    mtx_lock(&s->mu);
    while (s->running) cond_wait(&s->idle, &s->mu);
    int64_t end = clock_mono_ns() + LAST_ANSWERS_MS * INT64_C(1000000);
    /* answers that are on their way */
    while (s->requests && cond_wait_until(&s->idle, &s->mu, end)) {}
    mtx_unlock(&s->mu);
    drivers_stop(&s->drivers);
    MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    if (fd != MHD_INVALID_SOCKET) sock_close(fd);
}

void http_server_free(struct http_server *s)
{
    if (!s) return;
    http_server_stop(s);
    hangup_free(s->hangup);
    wake_free(s->wake);
    cond_fini(&s->idle);
    mtx_fini(&s->mu);
    arena_fini(&s->arena);
    mem_free(s);
}
