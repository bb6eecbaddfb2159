#include "grpc/server.h"

#include "base/clock.h"
#include "base/compress.h"
#include "base/mem.h"
#include "base/test.h"
#include "grpc/test_peer.h"
#include "grpc/wire.h"

/* What the methods do is said by the request's bytes. */
enum { PIECE_BYTES = 64 << 10, PIECES = 64 };
static _Atomic int sent, running;

static errc echo(void *ctx, struct grpc_call *c, str request, struct err *e)
{
    (void)ctx;
    if (str_eq(request, S("fail"))) return err_set(e, ERR_BAD_INPUT, "bad: 100%%");
    return grpc_send(c, request, e);
}

/* Sends pieces until it is told that the call is over. */
static errc pieces(void *ctx, struct grpc_call *c, str request, struct err *e)
{
    (void)ctx, (void)request;
    uint8_t *piece = mem_zalloc(PIECE_BYTES);
    errc rc = OK;
    running++;
    for (int i = 0; rc == OK && i < PIECES; i++) {
        rc = grpc_send(c, str_of(piece, PIECE_BYTES), e);
        if (rc == OK) sent++;
    }
    mem_free(piece);
    running--;
    return rc;
}

/* As a read that hangs: ends when its call is over, but looks late. */
static errc hang(void *ctx, struct grpc_call *c, str request, struct err *e)
{
    (void)ctx, (void)request;
    running++;
    while (grpc_over(c, e) == OK) clock_sleep_ns(1000000);
    clock_sleep_ns(300000000);
    running--;
    return grpc_over(c, e);
}

static const struct grpc_method methods[] = {
    { "test.T", "Echo", 0, echo },
    { "test.T", "InPlace", GRPC_IN_PLACE, echo },
    { "test.T", "Pieces", GRPC_STREAMS, pieces },
    { "test.T", "Hang", GRPC_STREAMS, hang },
};
static const struct grpc_service services[] = { { methods, ARRAY_LEN(methods), NULL } };

static struct grpc_server *server_make(int64_t stall_ms)
{
    struct grpc_server *s = NULL;
    struct err e = { 0 };
    struct grpc_server_opts o = { .address = S("127.0.0.1:0"), .services = services,
        .n_services = 1, .loops = 2, .streams = 4, .unary = 2, .max_request_bytes = 1000,
        .stall_ms = stall_ms };
    sent = 0;
    EXPECT_OK_E(grpc_server_new(&s, &o, &e), &e);
    return s;
}

static void wait_until_none_runs(void)
{
    for (int i = 0; i < 5000 && running; i++) clock_sleep_ns(1000000);
    EXPECT_EQ(running, 0);
}

/* A server, a client of it, and the message "go". */
struct pair { struct grpc_server *s; struct test_peer *p; struct buf go; };
static struct pair pair_new(int64_t stall_ms, uint32_t window)
{
    struct pair x = { .s = server_make(stall_ms) };
    x.p = test_peer_new(grpc_server_address(x.s), window);
    test_frame(&x.go, S("go"));
    return x;
}
static void pair_end(struct pair *x)
{
    test_peer_free(x->p);
    grpc_server_free(x->s);
    buf_fini(&x->go);
}
static struct test_reply *pair_ask(struct pair *x, const char *path)
{
    return test_peer_ask(x->p, path, buf_view(&x->go), NULL, NULL, true);
}

TEST(grpc_server_answers)
{
    static const struct {
        const char *name, *path, *body;
        bool framed;
        int status;
        const char *words;
    } cases[] = {
        { "echo", "/test.T/Echo", "hello", true, GRPC_OK, "" },
        { "in place", "/test.T/InPlace", "hello", true, GRPC_OK, "" },
        { "an empty message", "/test.T/Echo", "", true, GRPC_OK, "" },
        { "words of an error", "/test.T/Echo", "fail", true, GRPC_INVALID_ARGUMENT,
            "bad: 100%25" },
        { "no such method", "/test.T/Nope", "x", true, GRPC_UNIMPLEMENTED,
            "unknown method Nope for service test.T" },
        { "no such service", "/test.U/Echo", "x", true, GRPC_UNIMPLEMENTED,
            "unknown service test.U" },
        { "no path", "/x", "x", true, GRPC_UNIMPLEMENTED, "malformed method name: \"/x\"" },
        { "no message", "/test.T/Echo", "", false, GRPC_INVALID_ARGUMENT,
            "the request has no message" },
        { "cut short", "/test.T/Echo", "ab", false, GRPC_INVALID_ARGUMENT,
            "the request has no message" },
    };
    struct grpc_server *s = server_make(0);
    struct test_peer *p = test_peer_new(grpc_server_address(s), 0);
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf body = { 0 };
        if (c->framed) test_frame(&body, str_z(c->body));
        else buf_str(&body, str_z(c->body));
        const struct test_reply *r =
            test_peer_ask(p, c->path, buf_view(&body), NULL, NULL, true);
        EXPECT(test_peer_wait(p, r, 5000));
        EXPECT_EQ(r->http, 200);
        EXPECT_EQ(r->status, c->status);
        EXPECT_STR(buf_view(&r->words), str_z(c->words));
        if (c->status == GRPC_OK) EXPECT_STR(buf_view(&r->body), buf_view(&body));
    }
    test_peer_free(p);
    grpc_server_free(s);
}

TEST(grpc_server_refuses)
{
    SCOPED(buf_fini) struct buf large = { 0 }, packed = { 0 }, frame = { 0 };
    struct grpc_server *s = server_make(0);
    struct test_peer *p = test_peer_new(grpc_server_address(s), 0);
    uint8_t head[GRPC_HEAD_BYTES] = { 0 };
    grpc_put_head(head, 1001);
    buf_bytes(&large, head, sizeof(head));                     /* the head alone is enough */
    const struct test_reply *r =
        test_peer_ask(p, "/test.T/Echo", buf_view(&large), NULL, NULL, false);
    EXPECT(test_peer_wait(p, r, 5000));
    EXPECT_EQ(r->status, GRPC_RESOURCE_EXHAUSTED);
    EXPECT_STR(buf_view(&r->words), S("grpc: received message larger than max (1001 vs. 1000)"));
    EXPECT_OK(compress_pack(&packed, COMPRESS_GZIP, S("hello hello"), 0, NULL));
    test_frame(&frame, buf_view(&packed));
    frame.p[0] = 1;
    r = test_peer_ask(p, "/test.T/Echo", buf_view(&frame), "grpc-encoding", "gzip", true);
    EXPECT(test_peer_wait(p, r, 5000) && r->status == GRPC_OK);
    EXPECT_STR(str_from(buf_view(&r->body), GRPC_HEAD_BYTES), S("hello hello"));
    r = test_peer_ask(p, "/test.T/Echo", buf_view(&frame), "grpc-encoding", "snappy", true);
    EXPECT(test_peer_wait(p, r, 5000) && r->status == GRPC_UNIMPLEMENTED);
    test_peer_free(p);
    grpc_server_free(s);
}

/* A client that takes nothing costs no more than its queue; when it takes, all comes. */
TEST(grpc_server_waits_for_the_client)
{
    struct pair x = pair_new(0, 100);
    struct test_reply *r = pair_ask(&x, "/test.T/Pieces");
    EXPECT(!test_peer_wait(x.p, r, 300));
    EXPECT(running == 1 && sent <= (256 << 10) / PIECE_BYTES + 1);
    test_peer_cancel(x.p, r);
    wait_until_none_runs();
    test_peer_free(x.p);
    x.p = test_peer_new(grpc_server_address(x.s), 0);
    r = pair_ask(&x, "/test.T/Pieces");
    EXPECT(test_peer_wait(x.p, r, 20000));
    EXPECT_EQ(r->status, GRPC_OK);
    EXPECT_EQ(test_messages(r), PIECES);
    pair_end(&x);
}

/* More of them than there are threads for streams. */
TEST(grpc_server_serves_others_beside_clients_that_take_nothing)
{
    enum { UNREAD = 24 };
    struct pair x = pair_new(0, 100);
    for (int i = 0; i < UNREAD; i++) (void)pair_ask(&x, "/test.T/Pieces");
    struct test_peer *other = test_peer_new(grpc_server_address(x.s), 0);
    struct test_reply *r =
        test_peer_ask(other, "/test.T/Pieces", buf_view(&x.go), NULL, NULL, true);
    EXPECT(test_peer_wait(other, r, 20000));
    EXPECT_EQ(r->status, GRPC_OK);
    EXPECT_EQ(test_messages(r), PIECES);
    test_peer_free(other);
    pair_end(&x);
}

TEST(grpc_server_deadlines)
{
    struct pair x = pair_new(0, 0);
    int64_t before = clock_mono_ns();
    const struct test_reply *r =
        test_peer_ask(x.p, "/test.T/Hang", buf_view(&x.go), "grpc-timeout", "100m", true);
    EXPECT(test_peer_wait(x.p, r, 5000));
    EXPECT_EQ(r->status, GRPC_DEADLINE_EXCEEDED);
    EXPECT(clock_mono_ns() - before >= 100000000);
    EXPECT_EQ(running, 1);                                     /* answered, though it hangs */
    r = pair_ask(&x, "/test.T/Echo");
    EXPECT(test_peer_wait(x.p, r, 5000) && r->status == GRPC_OK);
    wait_until_none_runs();
    pair_end(&x);
}

TEST(grpc_server_ends_who_stalls)
{
    struct pair x = pair_new(200, 100);
    const struct test_reply *r = pair_ask(&x, "/test.T/Pieces");
    EXPECT(test_peer_wait(x.p, r, 5000));
    EXPECT(r->status == -1 && r->reset == 8 /* CANCEL */);
    wait_until_none_runs();
    pair_end(&x);
}

/* The end of the connection, or of the server, ends calls. */
TEST(grpc_server_ends_calls)
{
    struct pair x = pair_new(0, 0);
    for (int i = 0; i < 3; i++) (void)pair_ask(&x, "/test.T/Hang");
    for (int i = 0; i < 5000 && running < 3; i++) clock_sleep_ns(1000000);
    EXPECT_EQ(running, 3);
    test_peer_free(x.p);
    wait_until_none_runs();
    x.p = test_peer_new(grpc_server_address(x.s), 0);
    (void)pair_ask(&x, "/test.T/Hang");
    for (int i = 0; i < 5000 && running < 1; i++) clock_sleep_ns(1000000);
    grpc_server_free(STEAL(x.s));
    EXPECT_EQ(running, 0);
    pair_end(&x);
}

TEST(grpc_server_many_at_once)
{
    enum { PEERS = 8, CALLS = 40 };
    SCOPED(buf_fini) struct buf body = { 0 };
    struct grpc_server *s = server_make(0);
    struct test_peer *p[PEERS];
    const struct test_reply *r[PEERS][CALLS];
    test_frame(&body, S("hello"));
    for (int i = 0; i < PEERS; i++) p[i] = test_peer_new(grpc_server_address(s), 0);
    for (int k = 0; k < CALLS; k++)
        for (int i = 0; i < PEERS; i++)
            r[i][k] = test_peer_ask(p[i], k % 2 ? "/test.T/Echo" : "/test.T/InPlace",
                buf_view(&body), NULL, NULL, true);
    for (int i = 0; i < PEERS; i++)
        for (int k = 0; k < CALLS; k++) {
            EXPECT(test_peer_wait(p[i], r[i][k], 10000));
            EXPECT_EQ(r[i][k]->status, GRPC_OK);
        }
    for (int i = 0; i < PEERS; i++) test_peer_free(p[i]);
    grpc_server_free(s);
}
