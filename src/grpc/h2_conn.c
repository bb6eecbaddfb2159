#include "grpc/h2_conn.h"

#include "base/clock.h"
#include "base/compress.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "grpc/call.h"
#include "grpc/flood.h"

#include <nghttp2/nghttp2.h>

enum {
    STREAMS_MAX = 100,                 /* of a connection, at once */
    HEADERS_MAX_BYTES = 16 << 10,
    HEADERS_END_BYTES = 4 * HEADERS_MAX_BYTES, /* the connection's end, not only the stream's */
    OUTBOUND_MAX = 2000,               /* frames that wait, of a client that reads nothing */
    GREETING_S = 20,
    REQUEST_S = 60,                    /* in which a request comes whole */
    PING_S = 60,                       /* nothing came so long: is there anybody? */
    REQUESTS_MAX_BYTES = 256 << 20     /* of all connections */
};

static const double seconds[] = { 0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120 };
COUNTER(m_floods, "epimetheus_grpc_floods_total",
    "Connections of the gRPC server that were ended because they sent too much of what is no call.")
COUNTER_VEC(m_started, "grpc_server_started_total", "Total number of RPCs started on the server.",
    "grpc_method", "grpc_service", "grpc_type")
COUNTER_VEC(m_handled, "grpc_server_handled_total",
    "Total number of RPCs completed on the server, regardless of success or failure.", "grpc_code",
    "grpc_method", "grpc_service", "grpc_type")
COUNTER_VEC(m_received, "grpc_server_msg_received_total",
    "Total number of RPC stream messages received on the server.", "grpc_method", "grpc_service",
    "grpc_type")
COUNTER_VEC(m_sent, "grpc_server_msg_sent_total",
    "Total number of gRPC stream messages sent by the server.", "grpc_method", "grpc_service",
    "grpc_type")
HISTOGRAM_VEC(m_seconds, "grpc_server_handling_seconds",
    "Histogram of response latency (seconds) of gRPC that had been application-level handled by "
    "the server.",
    seconds, "grpc_method", "grpc_service", "grpc_type")

enum asked { ASKED_GRPC = 1, ASKED_POST = 2 };

struct h2_conn;
struct h2_stream {
    struct h2_conn *conn;
    struct h2_stream *prev, *next;
    struct call *call;
    int32_t id;
    unsigned asked;                            /* enum asked */
    str path, encoding;                        /* in the call's arena */
    bool begun;                                /* the method runs, ran, or never will */
    bool headers_sent, trailers_sent, waiting; /* waiting: the library waits for bytes */
    bool counted;
    int64_t held;                              /* bytes of its request in the shared count */
    size_t header_bytes;
};

struct h2_conn {
    struct h2_shared *shared;
    struct stream_conn *stream_conn;
    nghttp2_session *session;
    struct h2_stream *streams;
    int64_t opened_ns, heard_ns;
    struct flood flood;
    bool greeted, pinged, calmed;
    unsigned farewells;                        /* GOAWAYs that were sent to end it in peace */
};

/* Counting. */

static str type_name(const struct call *c)
{
    return c->method->flags & GRPC_STREAMS ? S("server_stream") : S("unary");
}

static void count(struct metric_family *f, const struct call *c, double by)
{
    metric_add_to(
        METRIC_WITH(f, str_z(c->method->name), str_z(c->method->service), type_name(c)), by);
}

static void count_end(struct h2_stream *s)
{
    struct call *c = s->call;
    if (!s->counted) return;
    struct call_state now = call_look(c);
    double took = (double)(clock_mono_ns() - c->start_ns) / 1e9;
    s->counted = false;
    count(&m_sent, c, (double)now.sent);
    metric_add_to(METRIC_WITH(&m_handled, grpc_code_name(grpc_code_of(now.rc)),
                      str_z(c->method->name), str_z(c->method->service), type_name(c)),
        1);
    metric_observe_in(METRIC_WITH(&m_seconds, str_z(c->method->name), str_z(c->method->service),
                          type_name(c)),
        took);
}

/* Streams. */

static void held_set(struct h2_stream *s, int64_t bytes)
{
    atomic_fetch_add_explicit(&s->conn->shared->held, bytes - s->held, memory_order_relaxed);
    s->held = bytes;
}

static struct h2_stream *stream_new(struct h2_conn *h, int32_t id)
{
    struct h2_stream *s = NEW(struct h2_stream);
    *s = (struct h2_stream){ .conn = h, .id = id, .next = h->streams };
    s->call = call_new(h->shared->o.max_message_bytes);
    s->call->conn = h->stream_conn;
    if (h->streams) h->streams->prev = s;
    h->streams = s;
    return s;
}

static void stream_free(struct h2_stream *s)
{
    struct h2_conn *h = s->conn;
    call_detach(s->call);
    count_end(s);
    held_set(s, 0);
    if (s->prev) s->prev->next = s->next;
    else h->streams = s->next;
    if (s->next) s->next->prev = s->prev;
    call_unref(s->call);
    mem_free(s);
}

/* Answers. */

static nghttp2_nv pair(const char *name, str value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value.p, strlen(name),
        value.n, NGHTTP2_NV_FLAG_NONE };
}

/* The status as two headers; words lie in b. */
static size_t put_status(nghttp2_nv *to, struct h2_stream *s, struct buf *b)
{
    struct call *c = s->call;
    enum grpc_code code = grpc_code_of(c->rc);
    buf_u64_text(b, code);
    size_t n = b->n;
    if (code != GRPC_OK) grpc_put_words(b, err_str(&c->why));
    str all = buf_view(b);
    to[0] = pair("grpc-status", str_slice(all, 0, n));
    to[1] = pair("grpc-message", str_from(all, n));
    s->trailers_sent = true;
    return code == GRPC_OK ? 1 : 2;
}

static ssize_t stream_read(nghttp2_session *session, int32_t id, uint8_t *to, size_t cap,
    uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    (void)ctx;
    struct h2_stream *s = source->ptr;
    SCOPED(buf_fini) struct buf words = { 0 };
    nghttp2_nv nv[2];
    struct call_state now = call_look(s->call);
    size_t n = call_pull(s->call, to, cap);
    if (n < now.waiting) return (ssize_t)n;
    if (!now.done) {
        s->waiting = n == 0;
        return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    size_t n_nv = put_status(nv, s, &words);
    if (nghttp2_submit_trailer(session, id, nv, n_nv) != 0) return NGHTTP2_ERR_CALLBACK_FAILURE;
    return (ssize_t)n;
}

static void answer_begin(struct h2_stream *s, const struct call_state *now)
{
    SCOPED(buf_fini) struct buf words = { 0 };
    nghttp2_data_provider from = { .source.ptr = s, .read_callback = stream_read };
    nghttp2_nv nv[4] = { pair(":status", S("200")), pair("content-type", S("application/grpc")) };
    size_t n = 2;
    bool status_only = now->done && !now->waiting;
    if (status_only) n += put_status(nv + 2, s, &words);
    s->headers_sent = true;
    (void)nghttp2_submit_response(s->conn->session, s->id, nv, n, status_only ? NULL : &from);
}

/* What its call has meanwhile, if anything. */
static void stream_serve(struct h2_stream *s)
{
    struct call_state now = call_look(s->call);
    if (s->trailers_sent || (!now.waiting && !now.done)) return;
    if (!s->headers_sent) answer_begin(s, &now);
    else if (s->waiting) {
        s->waiting = false;
        (void)nghttp2_session_resume_data(s->conn->session, s->id);
    }
}

static void stream_fail(struct h2_stream *s, errc rc, const char *words)
{
    s->begun = true;
    call_cut(s->call, rc, words);
    held_set(s, 0);
    stream_serve(s);
}

/* Requests. */

static void method_run(void *arg)
{
    struct call *c = arg;
    struct err e = { 0 };
    errc rc = ERR_CANCELED;
    if (!atomic_load(&c->base.gone)) rc = c->method->handle(c->ctx, &c->base, c->frame.body, &e);
    call_method_ends(c, rc, &e);
    call_unref(c);
}

static errc message_unpack(struct h2_stream *s, size_t max_bytes, struct err *e)
{
    struct call *c = s->call;
    struct buf b = { 0 };
    if (!c->frame.packed) return OK;
    if (!str_eq(s->encoding, S("gzip")))
        return err_set(e, ERR_UNSUPPORTED,
            "grpc: Decompressor is not installed for grpc-encoding \"%.*s\"", STR_ARG(s->encoding));
    errc rc = compress_unpack(&b, COMPRESS_GZIP, c->frame.body, max_bytes, e);
    if (rc == OK) c->frame.body = arena_str(&c->base.arena, buf_view(&b));
    buf_fini(&b);
    return rc == ERR_CORRUPT ? err_set(e, ERR_BAD_INPUT, "the request's message is no gzip") : rc;
}

/* The whole request is there. */
static void method_begin(struct h2_stream *s)
{
    struct h2_shared *shared = s->conn->shared;
    struct call *c = s->call;
    struct err e = { 0 };
    size_t most = shared->o.max_request_bytes;
    errc rc = grpc_frame_read(&c->frame, buf_view(&c->request), true, most, &e);
    if (rc == OK) rc = message_unpack(s, most, &e);
    if (rc != OK) {
        stream_fail(s, rc, e.msg);
        return;
    }
    s->begun = true;
    count(&m_received, c, 1);
    atomic_fetch_add(&c->refs, 1);
    struct pool *pool = c->method->flags & GRPC_STREAMS ? shared->streams : shared->unary;
    if (c->method->flags & GRPC_IN_PLACE) {
        method_run(c);
    } else if (!pool_submit(pool, method_run, c)) {
        call_unref(c);
        stream_fail(s, ERR_LIMIT, "too many requests wait");
    }
}

static const struct grpc_method *method_find(
    const struct h2_shared *shared, str service, str name, void **ctx, bool *known)
{
    *known = false;
    for (size_t i = 0; i < shared->o.n_services; i++) {
        const struct grpc_service *v = &shared->o.services[i];
        for (size_t m = 0; m < v->n; m++) {
            if (!str_eq(str_z(v->methods[m].service), service)) continue;
            *known = true;
            *ctx = v->ctx;
            if (str_eq(str_z(v->methods[m].name), name)) return &v->methods[m];
        }
    }
    return NULL;
}

static void not_grpc(struct h2_stream *s)
{
    nghttp2_nv nv[] = { pair(":status", S("415")) };
    s->begun = s->headers_sent = s->trailers_sent = true;
    (void)nghttp2_submit_response(s->conn->session, s->id, nv, ARRAY_LEN(nv), NULL);
}

static void stream_refuse(struct h2_stream *s, str words)
{
    stream_fail(s, ERR_UNSUPPORTED, (const char *)words.p);
}

/* All headers are there. */
static void route(struct h2_stream *s)
{
    str service, name;
    bool known = false;
    struct call *c = s->call;
    struct arena *a = &c->base.arena;
    if (s->asked != (ASKED_GRPC | ASKED_POST)) {
        not_grpc(s);
        return;
    }
    if (!grpc_path(s->path, &service, &name)) {
        stream_refuse(s, arena_fmt(a, "malformed method name: \"%.*s\"", STR_ARG(s->path)));
        return;
    }
    c->method = method_find(s->conn->shared, service, name, &c->ctx, &known);
    if (!c->method && known)
        stream_refuse(s, arena_fmt(a, "unknown method %.*s for service %.*s", STR_ARG(name),
                             STR_ARG(service)));
    else if (!c->method) stream_refuse(s, arena_fmt(a, "unknown service %.*s", STR_ARG(service)));
    if (!c->method) return;
    s->counted = true;
    count(&m_started, c, 1);
}

/* Floods. */

static void calm(struct h2_conn *h, const char *why)
{
    if (h->calmed) return;
    h->calmed = true;
    metric_inc(&m_floods);
    LOG_LIMITED(WARN, 10000, "a gRPC connection is ended: it sends too much", kv_z("what", why));
    (void)nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void frame_count(struct h2_conn *h)
{
    if (!flood_frame(&h->flood, clock_mono_ns())) calm(h, "frames");
}

/* Of all frames but data, also those that the library ignores. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *ctx)
{
    (void)session;
    if (hd->type != NGHTTP2_HEADERS && hd->type != NGHTTP2_DATA) frame_count(ctx);
    return 0;
}

/* Room for one more header: else the stream, or the connection, ends. */
static bool headers_fit(struct h2_stream *s, size_t name_n, size_t value_n)
{
    enum { FIELD_BYTES = 32 };                 /* RFC 9113, 6.5.2 */
    s->header_bytes += name_n + value_n + FIELD_BYTES;
    if (s->header_bytes > HEADERS_END_BYTES) calm(s->conn, "headers");
    return s->header_bytes <= HEADERS_MAX_BYTES;
}

/* What the library tells. */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    struct h2_stream *s = stream_new(ctx, frame->hd.stream_id);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name_p,
    size_t name_n, const uint8_t *value_p, size_t value_n, uint8_t flags, void *ctx)
{
    (void)flags, (void)ctx;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    str name = str_of(name_p, name_n), value = str_of(value_p, value_n);
    int64_t ns;
    if (!s) return 0;
    if (!headers_fit(s, name_n, value_n)) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (s->begun) return 0;
    struct arena *a = &s->call->base.arena;
    if (str_eq(name, S(":method")) && str_eq(value, S("POST"))) s->asked |= ASKED_POST;
    else if (str_eq(name, S(":path"))) s->path = arena_str(a, str_slice(value, 0, 256));
    else if (str_eq(name, S("grpc-encoding"))) s->encoding = arena_str(a, str_slice(value, 0, 64));
    else if (str_eq(name, S("content-type")) && str_has_prefix(value, S("application/grpc")))
        s->asked |= ASKED_GRPC;
    else if (str_eq(name, S("grpc-timeout")) && grpc_timeout(value, &ns))
        s->call->deadline_ns = s->call->start_ns + ns;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
    void *ctx)
{
    (void)flags;
    struct h2_conn *h = ctx;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    struct grpc_frame f;
    struct err e = { 0 };
    if (!s || s->begun) return 0;
    buf_bytes(&s->call->request, p, n);
    held_set(s, (int64_t)s->call->request.n);
    errc rc = grpc_frame_read(
        &f, buf_view(&s->call->request), false, h->shared->o.max_request_bytes, &e);
    if (rc == OK && atomic_load_explicit(&h->shared->held, memory_order_relaxed) >
                        REQUESTS_MAX_BYTES)
        rc = err_set(&e, ERR_LIMIT, "requests of all clients are too large");
    if (rc != OK) stream_fail(s, rc, e.msg);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct h2_conn *h = ctx;
    bool last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->hd.type == NGHTTP2_SETTINGS) h->greeted = true;
    if (frame->hd.type == NGHTTP2_DATA && !frame->hd.length && !last) frame_count(h);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s || s->begun) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !s->call->method) route(s);
    if (!s->begun && last) method_begin(s);
    if (s->begun) stream_serve(s);
    return 0;
}

/* Cut off by the client, or by an error that the client made. */
static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    struct h2_conn *h = ctx;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (code != NGHTTP2_NO_ERROR && !flood_end(&h->flood, clock_mono_ns())) calm(h, "early ends");
    if (s) stream_free(s);
    return 0;
}

/* A request that we answered before it ended need not end any more. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct h2_conn *h = ctx;
    if (frame->hd.type == NGHTTP2_HEADERS || (frame->hd.type == NGHTTP2_DATA && frame->hd.length))
        flood_answered(&h->flood);
    bool last = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (last && !nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id))
        (void)nghttp2_submit_rst_stream(
            session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

/* The connection, as the stream server sees it. */

static bool session_open(struct h2_conn *h)
{
    nghttp2_session_callbacks *cb;
    nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADERS_MAX_BYTES } };
    if (nghttp2_session_callbacks_new(&cb) != 0) return false;
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
    int rc = nghttp2_session_server_new(&h->session, cb, h);
    nghttp2_session_callbacks_del(cb);
    return rc == 0 && nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
                          ARRAY_LEN(settings)) == 0;
}

static void h2_close(void *conn)
{
    struct h2_conn *h = conn;
    while (h->streams) stream_free(h->streams);
    if (h->session) nghttp2_session_del(h->session);
    mem_free(h);
}

static void *h2_open(void *ctx, struct stream_conn *c)
{
    struct h2_conn *h = NEW(struct h2_conn);
    int64_t now = clock_mono_ns();
    *h = (struct h2_conn){
        .shared = ctx, .stream_conn = c, .opened_ns = now, .heard_ns = now
    };
    flood_init(&h->flood, now);
    if (session_open(h)) return h;
    h2_close(h);
    return NULL;
}

static bool h2_take(void *conn, str bytes)
{
    struct h2_conn *h = conn;
    h->heard_ns = clock_mono_ns();
    h->pinged = false;
    ssize_t n = nghttp2_session_mem_recv(h->session, bytes.p, bytes.n);
    if (nghttp2_session_get_outbound_queue_size(h->session) > OUTBOUND_MAX) {
        calm(h, "frames to be answered");
        return false;
    }
    return n == (ssize_t)bytes.n;
}

static bool h2_give(void *conn, str *piece)
{
    struct h2_conn *h = conn;
    const uint8_t *p = NULL;
    ssize_t n = nghttp2_session_mem_send(h->session, &p);
    if (n < 0) return false;
    *piece = str_of(p, (size_t)n);
    return n > 0 || nghttp2_session_want_read(h->session) ||
           nghttp2_session_want_write(h->session);
}

static void h2_woken(void *conn)
{
    struct h2_conn *h = conn;
    for (struct h2_stream *s = h->streams; s; s = s->next)
        if (s->begun) stream_serve(s);
}

static void stream_reset(struct h2_stream *s)
{
    (void)nghttp2_submit_rst_stream(s->conn->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
}

/* Deadlines, and clients that take nothing: whose window is shut gets no trailers either. */
static void stream_tick(struct h2_stream *s, int64_t now_ns)
{
    struct call *c = s->call;
    struct call_state now = call_look(c);
    int64_t stall_ns = s->conn->shared->o.stall_ms * INT64_C(1000000);
    bool over = c->deadline_ns && now_ns >= c->deadline_ns && !now.done;
    bool stalled = now.waiting && now_ns - now.moved_ns > stall_ns;
    bool late = !s->begun && now_ns - c->start_ns > REQUEST_S * INT64_C(1000000000);
    bool shut = stalled || (over && s->headers_sent && !s->waiting);
    if (over) stream_fail(s, ERR_TIMEOUT, "context deadline exceeded");
    else if (late) stream_fail(s, ERR_TIMEOUT, "the request did not come whole");
    else if (stalled) call_cut(c, ERR_CANCELED, "the client takes nothing");
    if (shut) stream_reset(s);
}

/* First "begin no more", with room for what is on its way; at the next tick which were the last. */
static void farewell(struct h2_conn *h)
{
    if (h->farewells == 0) (void)nghttp2_submit_shutdown_notice(h->session);
    else if (h->farewells == 1)
        (void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
            nghttp2_session_get_last_proc_stream_id(h->session), NGHTTP2_NO_ERROR, NULL, 0);
    if (h->farewells < 2) h->farewells++;
}

/* False: nobody answers. */
static bool heard_lately(struct h2_conn *h, int64_t now_ns)
{
    int64_t silent_ns = now_ns - h->heard_ns;
    bool ask = !h->pinged && silent_ns > PING_S * INT64_C(1000000000);
    if (ask) h->pinged = nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL) == 0;
    return silent_ns <= PING_S * INT64_C(1000000000) + h->shared->o.stall_ms * INT64_C(1000000);
}

static bool h2_tick(void *conn, int64_t now_ns)
{
    struct h2_conn *h = conn;
    for (struct h2_stream *s = h->streams, *next; s; s = next) {
        next = s->next;
        stream_tick(s, now_ns);
    }
    if (atomic_load_explicit(&h->shared->draining, memory_order_relaxed)) farewell(h);
    bool greeted = h->greeted || now_ns - h->opened_ns < GREETING_S * INT64_C(1000000000);
    return greeted && heard_lately(h, now_ns);
}

const struct stream_ops h2_ops = { h2_open, h2_take, h2_give, h2_woken, h2_tick, h2_close };
