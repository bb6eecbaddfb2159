#include "grpc/test_peer.h"

#include "base/clock.h"
#include "base/mem.h"
#include "grpc/wire.h"
#include "io/socket.h"
#include "io/test_wire.h"

#include <nghttp2/nghttp2.h>

struct test_peer {
    int fd;
    nghttp2_session *session;
    bool slow, goaway;
    struct test_reply replies[TEST_REPLIES];
    str bodies[TEST_REPLIES];
    size_t n;
};

static struct test_reply *reply_of(struct test_peer *p, int32_t id)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->replies[i].id == id) return &p->replies[i];
    return NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name_p,
    size_t name_n, const uint8_t *value_p, size_t value_n, uint8_t flags, void *ctx)
{
    (void)session, (void)flags;
    struct test_reply *r = reply_of(ctx, frame->hd.stream_id);
    str name = str_of(name_p, name_n), value = str_of(value_p, value_n);
    uint64_t n = 0;
    if (!r) return 0;
    if (str_eq(name, S(":status")) && str_u64(value, &n)) r->http = (int)n;
    if (str_eq(name, S("grpc-status")) && str_u64(value, &n)) r->status = (int)n;
    if (str_eq(name, S("grpc-message"))) buf_str(&r->words, value);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
    void *ctx)
{
    (void)session, (void)flags;
    struct test_reply *r = reply_of(ctx, id);
    if (r) buf_bytes(&r->body, p, n);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    (void)session;
    struct test_reply *r = reply_of(ctx, id);
    if (r) r->closed = true;
    if (r) r->reset = code;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    (void)session;
    struct test_peer *p = ctx;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code == NGHTTP2_NO_ERROR)
        p->goaway = true;
    return 0;
}

static ssize_t body_read(nghttp2_session *session, int32_t id, uint8_t *to, size_t cap,
    uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    (void)session, (void)id, (void)ctx;
    str *rest = source->ptr;
    size_t n = MIN(cap, rest->n);
    if (n) memcpy(to, rest->p, n);
    *rest = str_from(*rest, n);
    if (!rest->n) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static void push(struct test_peer *p)
{
    const uint8_t *at;
    for (ssize_t n; (n = nghttp2_session_mem_send(p->session, &at)) > 0;)
        if (!test_wire_send(p->fd, str_of(at, (size_t)n))) return;
}

struct test_peer *test_peer_new(str address, uint32_t window)
{
    struct test_peer *p = NEW(struct test_peer);
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;
    nghttp2_settings_entry settings = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window };
    p->slow = window > 0;
    p->fd = test_wire_open(address, 0);
    nghttp2_session_callbacks_new(&cb);
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, p->slow);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_client_new2(&p->session, cb, p, option);
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(option);
    nghttp2_submit_settings(p->session, NGHTTP2_FLAG_NONE, &settings, p->slow);
    push(p);
    return p;
}

void test_peer_free(struct test_peer *p)
{
    for (size_t i = 0; i < p->n; i++) {
        buf_fini(&p->replies[i].words);
        buf_fini(&p->replies[i].body);
    }
    nghttp2_session_del(p->session);
    sock_close(p->fd);
    mem_free(p);
}

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
        strlen(value), NGHTTP2_NV_FLAG_NONE };
}

static ssize_t never(nghttp2_session *session, int32_t id, uint8_t *to, size_t cap, uint32_t *flags,
    nghttp2_data_source *source, void *ctx)
{
    ssize_t n = body_read(session, id, to, cap, flags, source, ctx);
    *flags = 0;
    return n ? n : NGHTTP2_ERR_DEFERRED;
}

struct test_reply *test_peer_ask(struct test_peer *p, const char *path, str body, const char *name,
    const char *value, bool end)
{
    nghttp2_nv nv[] = { pair(":method", "POST"), pair(":scheme", "http"), pair(":path", path),
        pair(":authority", "test"), pair("te", "trailers"),
        pair("content-type", "application/grpc"), pair(name ? name : "", value ? value : "") };
    struct test_reply *r = &p->replies[p->n];
    str *rest = &p->bodies[p->n];
    nghttp2_data_provider from = { .source.ptr = rest, .read_callback = end ? body_read : never };
    *r = (struct test_reply){ .status = -1 };
    *rest = body;
    r->id = nghttp2_submit_request(
        p->session, NULL, nv, ARRAY_LEN(nv) - (name == NULL), &from, NULL);
    p->n++;
    push(p);
    return r;
}

void test_peer_cancel(struct test_peer *p, const struct test_reply *r)
{
    nghttp2_submit_rst_stream(p->session, NGHTTP2_FLAG_NONE, r->id, NGHTTP2_CANCEL);
    push(p);
}

void test_peer_take(struct test_peer *p, struct test_reply *r)
{
    nghttp2_session_consume(p->session, r->id, r->body.n);
    buf_reset(&r->body);
    push(p);
}

bool test_peer_wait(struct test_peer *p, const struct test_reply *r, int ms)
{
    uint8_t room[16 << 10];
    int64_t until = clock_mono_ns() + ms * INT64_C(1000000);
    while (!r->closed && clock_mono_ns() < until) {
        int left = (int)((until - clock_mono_ns()) / 1000000) + 1;
        int n = test_wire_recv(p->fd, room, sizeof(room), left);
        if (n == 0 || n == -2) return false;
        if (n > 0 && nghttp2_session_mem_recv(p->session, room, (size_t)n) < 0) return false;
        push(p);
    }
    return r->closed;
}

bool test_peer_farewell(struct test_peer *p)
{
    uint8_t room[1024];
    int n = -1;
    for (int64_t until = clock_mono_ns() + INT64_C(1000000000); clock_mono_ns() < until;) {
        n = test_wire_recv(p->fd, room, sizeof(room), 100);
        if (n == 0 || n == -2) break;
        if (n > 0 && nghttp2_session_mem_recv(p->session, room, (size_t)n) < 0) return false;
    }
    return n == 0 && p->goaway;
}

void test_frame(struct buf *b, str message)
{
    uint8_t head[GRPC_HEAD_BYTES];
    grpc_put_head(head, (uint32_t)message.n);
    buf_bytes(b, head, sizeof(head));
    buf_str(b, message);
}

size_t test_messages(const struct test_reply *r)
{
    size_t n = 0;
    for (size_t at = 0; at + GRPC_HEAD_BYTES <= r->body.n; n++) {
        uint32_t be;
        memcpy(&be, r->body.p + at + 1, sizeof(be));
        at += GRPC_HEAD_BYTES + __builtin_bswap32(be);
    }
    return n;
}
