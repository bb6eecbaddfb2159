#include "io/stream_server.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/test.h"
#include "io/socket.h"
#include "io/test_wire.h"

/* An owner that sends back what it gets, piece by piece; "end" ends it, "wake" has another thread's
 * word sent. */
struct echo { struct buf waiting, piece; struct stream_conn *c; bool end; };
static _Atomic int opened, closed, ticked;
static struct mtx mu;
static struct stream_conn *newest;

static void *echo_open(void *ctx, struct stream_conn *c)
{
    if (ctx != &mu) return NULL;
    struct echo *s = NEW(struct echo);
    s->c = c;
    mtx_lock(&mu);
    newest = c;
    mtx_unlock(&mu);
    opened++;
    return s;
}

static bool echo_take(void *conn, str bytes)
{
    struct echo *s = conn;
    buf_str(&s->waiting, bytes);
    s->end = str_find(buf_view(&s->waiting), S("end")) != SIZE_MAX;
    return str_find(bytes, S("cut")) == SIZE_MAX;
}

static bool echo_give(void *conn, str *piece)
{
    struct echo *s = conn;
    struct buf empty = s->piece;
    s->piece = s->waiting;
    s->waiting = empty;
    buf_reset(&s->waiting);
    *piece = buf_view(&s->piece);
    return piece->n || !s->end;
}

static void echo_woken(void *conn) { buf_str(&((struct echo *)conn)->waiting, S("woken")); }

static bool echo_tick(void *conn, int64_t now_ns)
{
    (void)conn;
    ticked++;
    return now_ns > 0;
}

static void echo_close(void *conn)
{
    struct echo *s = conn;
    mtx_lock(&mu);
    if (newest == s->c) newest = NULL;
    mtx_unlock(&mu);
    buf_fini(&s->waiting);
    buf_fini(&s->piece);
    mem_free(s);
    closed++;
}

static const struct stream_ops echo_ops = {
    echo_open, echo_take, echo_give, echo_woken, echo_tick, echo_close
};

static struct stream_server *server_make(unsigned threads, unsigned connections)
{
    struct stream_server *s = NULL;
    struct err e = { 0 };
    struct stream_server_opts o = { .address = S("127.0.0.1:0"), .name = "echo", .ops = &echo_ops,
        .ctx = &mu, .threads = threads, .max_connections = connections, .handshake_ms = 1000 };
    if (!opened) mtx_init(&mu, LOCK_CALL);
    EXPECT_OK_E(stream_server_new(&s, &o, &e), &e);
    return s;
}

static void expect_back(int fd, str want)
{
    uint8_t got[64];
    size_t n = 0;
    while (n < want.n) {
        int more = test_wire_recv(fd, got + n, (int)(sizeof(got) - n), 5000);
        EXPECT(more > 0);
        n += (size_t)more;
    }
    EXPECT_STR(str_of(got, n), want);
}

static void wait_for(_Atomic int *what, int at_least)
{
    for (int i = 0; i < 5000 && *what < at_least; i++) clock_sleep_ns(1000000);
    EXPECT(*what >= at_least);
}

TEST(stream_server_echo)
{
    struct stream_server *s = server_make(2, 10);
    int a = test_wire_open(stream_server_address(s), 0),
        b = test_wire_open(stream_server_address(s), 0), before = closed;
    uint8_t one;
    EXPECT(test_wire_send(a, S("first")) && test_wire_send(b, S("second")));
    expect_back(b, S("second"));
    expect_back(a, S("first"));
    EXPECT_EQ(stream_server_connections(s), 2);
    EXPECT(test_wire_send(a, S("the end")));
    expect_back(a, S("the end"));
    EXPECT_EQ(test_wire_recv(a, &one, 1, 5000), 0);            /* all was sent, then it ended */
    EXPECT(test_wire_send(b, S("cut")));
    expect_back(b, S("cut"));
    EXPECT(test_wire_recv(b, &one, 1, 5000) <= 0);
    wait_for(&closed, before + 2);
    for (int i = 0; i < 5000 && stream_server_connections(s); i++) clock_sleep_ns(1000000);
    EXPECT_EQ(stream_server_connections(s), 0);
    sock_close(a);
    sock_close(b);
    stream_server_free(s);
}

TEST(stream_server_wakes_and_ticks)
{
    struct stream_server *s = server_make(1, 10);
    int ticks_before = ticked, fd = test_wire_open(stream_server_address(s), 0);
    EXPECT(test_wire_send(fd, S("hello")));
    expect_back(fd, S("hello"));
    mtx_lock(&mu);
    if (newest) stream_wake(newest);
    mtx_unlock(&mu);
    expect_back(fd, S("woken"));
    wait_for(&ticked, ticks_before + 2);
    sock_close(fd);
    stream_server_free(s);
    EXPECT_EQ(opened, closed);
}

TEST(stream_server_limits_connections)
{
    struct stream_server *s = server_make(1, 1);
    uint8_t one;
    int a = test_wire_open(stream_server_address(s), 0);
    EXPECT(test_wire_send(a, S("x")));
    expect_back(a, S("x"));
    int b = test_wire_open(stream_server_address(s), 0);
    EXPECT(test_wire_recv(b, &one, 1, 5000) <= 0);
    sock_close(a);
    sock_close(b);
    stream_server_free(s);
    EXPECT_EQ(opened, closed);
}

/* More than the kernel takes: it goes on when the other side reads. */
TEST(stream_server_waits_for_a_slow_reader)
{
    enum { PIECE = 64 << 10, PIECES = 64 };
    struct stream_server *s = server_make(1, 10);
    uint8_t *piece = mem_zalloc(PIECE);
    int fd = test_wire_open(stream_server_address(s), 4096);
    size_t sent = 0, got = 0;
    for (int i = 0; i < PIECES; i++) {
        EXPECT(test_wire_send(fd, str_of(piece, PIECE)));
        sent += PIECE;
    }
    while (got < sent) {
        int n = test_wire_recv(fd, piece, PIECE, 5000);
        EXPECT(n > 0);
        got += (size_t)n;
    }
    sock_close(fd);
    stream_server_free(s);
    mem_free(piece);
}
