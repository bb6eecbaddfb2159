#include "grpc/h2_conn.h"

#include "base/clock.h"
#include "base/test.h"
#include "grpc/test_peer.h"
#include "grpc/wire.h"
#include "io/socket.h"
#include "io/test_wire.h"
#include "io/thread.h"

static atomic_int running;

static errc echo(void *ctx, struct grpc_call *c, str request, struct err *e)
{
    (void)ctx;
    return grpc_send(c, request, e);
}

/* Takes its time, and then sends. */
static errc late(void *ctx, struct grpc_call *c, str request, struct err *e)
{
    (void)ctx;
    running++;
    clock_sleep_ns(INT64_C(400000000));
    errc rc = grpc_send(c, request, e);
    running--;
    return rc;
}

static const struct grpc_method methods[] = {
    { "test.T", "Echo", 0, echo },
    { "test.T", "Late", GRPC_STREAMS, late },
};
static const struct grpc_service services[] = { { methods, ARRAY_LEN(methods), NULL } };

static struct grpc_server *server_make(void)
{
    struct grpc_server *s = NULL;
    struct err e = { 0 };
    struct grpc_server_opts o = { .address = S("127.0.0.1:0"), .services = services,
        .n_services = 1, .streams = 4, .unary = 2, .max_request_bytes = 1000 };
    EXPECT_OK_E(grpc_server_new(&s, &o, &e), &e);
    return s;
}

static void expect_echo(str address)
{
    SCOPED(buf_fini) struct buf body = { 0 };
    struct test_peer *p = test_peer_new(address, 0);
    test_frame(&body, S("hello"));
    const struct test_reply *r =
        test_peer_ask(p, "/test.T/Echo", buf_view(&body), NULL, NULL, true);
    EXPECT(test_peer_wait(p, r, 5000) && r->status == GRPC_OK);
    test_peer_free(p);
}

static void put_many(struct buf *b, uint8_t byte, size_t n)
{
    while (n--) buf_u8(b, byte);
}

/* Frames by hand. */

enum { DATA = 0, HEADERS = 1, PRIORITY = 2, RST = 3, SETTINGS = 4, PING = 6, WINDOW = 8, MORE = 9 };
enum { END_STREAM = 1, END_HEADERS = 4 };

static void put_frame(struct buf *b, uint8_t type, uint8_t flags, uint32_t id, str payload)
{
    buf_u8(b, (uint8_t)(payload.n >> 16));
    buf_be16(b, (uint16_t)payload.n);
    buf_u8(b, type);
    buf_u8(b, flags);
    buf_be32(b, id);
    buf_str(b, payload);
}

/* POST http t /test.T/Late, application/grpc */
static const str request_headers = S("\x83\x86\x41\1t\x44\x0c/test.T/Late\x5f\x10"
                                     "application/grpc");

static void put_request(struct buf *b, uint32_t id)
{
    put_frame(b, HEADERS, END_HEADERS, id, request_headers);
    put_frame(b, DATA, END_STREAM, id, S("\0\0\0\0\0"));
}

static void flood_pings(struct buf *b, uint32_t n)
{
    (void)n;
    put_frame(b, PING, 0, 0, S("12345678"));
}

static void flood_settings(struct buf *b, uint32_t n)
{
    (void)n;
    put_frame(b, SETTINGS, 0, 0, STR_EMPTY);
}

static void flood_empty_data(struct buf *b, uint32_t n)
{
    if (n == 0) put_frame(b, HEADERS, END_HEADERS, 1, request_headers);
    put_frame(b, DATA, 0, 1, STR_EMPTY);
}

static void flood_windows(struct buf *b, uint32_t n)
{
    (void)n;
    put_frame(b, WINDOW, 0, 0, S("\0\0\0\1"));
}

static void flood_priorities(struct buf *b, uint32_t n)
{
    put_frame(b, PRIORITY, 0, 1 + 2 * n, S("\0\0\0\0\1"));
}

static void flood_resets(struct buf *b, uint32_t n)
{
    put_request(b, 1 + 2 * n);
    put_frame(b, RST, 0, 1 + 2 * n, S("\0\0\0\x08"));
}

/* The client has us reset: a window that grows by nothing. */
static void flood_made_resets(struct buf *b, uint32_t n)
{
    put_request(b, 1 + 2 * n);
    put_frame(b, WINDOW, 0, 1 + 2 * n, S("\0\0\0\0"));
}

/* More at once than allowed: each is refused. */
static void flood_refused(struct buf *b, uint32_t n)
{
    put_frame(b, HEADERS, END_HEADERS, 1 + 2 * n, request_headers);
}

static void flood_continuations(struct buf *b, uint32_t n)
{
    if (n == 0) put_frame(b, HEADERS, 0, 1, request_headers);
    put_frame(b, MORE, 0, 1, S("\x40\1a\1b"));
}

/* One large header that is remembered, named again by one byte a time. */
static void flood_header_bomb(struct buf *b, uint32_t n)
{
    SCOPED(buf_fini) struct buf head = { 0 };
    buf_str(&head, request_headers);
    if (n == 0) {
        buf_str(&head, S("\x40\1a\x7f\xa1\x1e")); /* 4000 bytes */
        put_many(&head, 'x', 4000);
    }
    put_many(&head, 0xbe, 10000);
    put_frame(b, HEADERS, END_HEADERS, 1 + 2 * n, buf_view(&head));
}

TEST(h2_conn_ends_floods)
{
    enum { ROUNDS = 200, AT_ONCE = 100, WAIT_MS = 5000 };
    static const struct { const char *name; void (*put)(struct buf *b, uint32_t n); } cases[] = {
        { "pings", flood_pings }, { "settings", flood_settings },
        { "empty data", flood_empty_data }, { "windows", flood_windows },
        { "priorities", flood_priorities }, { "resets", flood_resets },
        { "resets that we are made to send", flood_made_resets },
        { "too many at once", flood_refused }, { "continuations", flood_continuations },
        { "a bomb of headers", flood_header_bomb },
    };
    struct grpc_server *s = server_make();
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        uint8_t room[4096];
        int fd = test_wire_open(grpc_server_address(s), 0), got = -1;
        bool open = test_wire_send(fd, S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"));
        for (uint32_t i = 0; open && i < ROUNDS; i++) {
            buf_reset(&b);
            for (uint32_t k = 0; k < AT_ONCE; k++) c->put(&b, i * AT_ONCE + k);
            open = test_wire_send(fd, buf_view(&b));
        }
        int64_t until = clock_mono_ns() + WAIT_MS * INT64_C(1000000);
        while (got != 0 && got != -2 && clock_mono_ns() < until)
            got = test_wire_recv(fd, room, sizeof(room), 100);
        EXPECT(got == 0 || got == -2);
        sock_close(fd);
        expect_echo(grpc_server_address(s));
    }
    grpc_server_free(s);
    EXPECT_EQ(running, 0);
}

/* Too many bytes of headers end the request, not the connection. */
TEST(h2_conn_limits_headers)
{
    SCOPED(buf_fini) struct buf body = { 0 }, value = { 0 };
    struct grpc_server *s = server_make();
    struct test_peer *p = test_peer_new(grpc_server_address(s), 0);
    test_frame(&body, S("hello"));
    put_many(&value, 'x', 20000);
    buf_u8(&value, 0);
    const struct test_reply *r = test_peer_ask(
        p, "/test.T/Echo", buf_view(&body), "x-large", (const char *)value.p, true);
    EXPECT(test_peer_wait(p, r, 5000));
    EXPECT(r->status == -1 && r->reset != 0);
    r = test_peer_ask(p, "/test.T/Echo", buf_view(&body), NULL, NULL, true);
    EXPECT(test_peer_wait(p, r, 5000) && r->status == GRPC_OK);
    test_peer_free(p);
    grpc_server_free(s);
}

static void drain(void *s) { grpc_server_drain(s, 10000); }

/* What runs ends as it should; connections end with it; no new ones are taken. */
TEST(h2_conn_says_farewell)
{
    SCOPED(buf_fini) struct buf body = { 0 };
    struct grpc_server *s = server_make();
    struct test_peer *busy = test_peer_new(grpc_server_address(s), 0),
                     *idle = test_peer_new(grpc_server_address(s), 0);
    test_frame(&body, S("go"));
    const struct test_reply *r =
        test_peer_ask(busy, "/test.T/Late", buf_view(&body), NULL, NULL, true);
    for (int i = 0; i < 5000 && !running; i++) clock_sleep_ns(1000000);
    EXPECT_EQ(running, 1);
    struct thread *t = thread_start("drain", drain, s);
    EXPECT(test_peer_wait(busy, r, 5000));
    EXPECT_EQ(r->status, GRPC_OK);
    EXPECT_EQ(test_messages(r), 1);
    thread_join(t);
    EXPECT_EQ(running, 0);
    EXPECT(test_peer_farewell(busy) && test_peer_farewell(idle));
    int fd = test_wire_open(grpc_server_address(s), 0);
    EXPECT(fd < 0);
    sock_close(fd);
    test_peer_free(busy);
    test_peer_free(idle);
    grpc_server_free(s);
}
