#include "io/socket.h"

#include "base/clock.h"
#include "base/test.h"
#include "io/thread.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

TEST(sock_ips)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000207) };
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct sockaddr_storage other = { .ss_family = AF_UNIX };
    EXPECT_STR(sock_ip((struct sockaddr *)&four, &a), S("10.0.2.7"));
    EXPECT_STR(sock_ip((struct sockaddr *)&six, &a), S("::1"));
    EXPECT_EQ(sock_ip((struct sockaddr *)&other, &a).n, 0);
}


TEST(sock_listen_addresses)
{
    static const struct { const char *name; str addr; errc want; } cases[] = {
        { "loopback", S("127.0.0.1:0"), OK },
        { "name", S("localhost:0"), OK },
        { "no port", S("127.0.0.1"), ERR_BAD_INPUT },
        { "empty port", S("127.0.0.1:"), ERR_BAD_INPUT },
        { "no such host", S("no-such-host.invalid:0"), ERR_BAD_INPUT },
        { "bad port", S("127.0.0.1:http-no"), ERR_BAD_INPUT },
    };
    TEST_EACH(c, cases) {
        int fd = -1;
        struct err e = { 0 };
        EXPECT_EQ(sock_listen(&fd, c->addr, &e), c->want);
        EXPECT_EQ(fd >= 0, c->want == OK);
        EXPECT_EQ(e.n > 0, c->want != OK);
        sock_close(fd);
    }
}

TEST(sock_listen_taken)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    int first = -1, second = -1;
    struct err e = { 0 };
    EXPECT_OK_E(sock_listen(&first, S("127.0.0.1:0"), &e), &e);
    str addr;
    EXPECT_OK(sock_local_addr(&addr, first, &a, &e));
    EXPECT(str_has_prefix(addr, S("127.0.0.1:")));
    EXPECT_EQ(sock_listen(&second, addr, &e), ERR_IO);
    EXPECT(str_find(err_str(&e), S("address already in use")) != SIZE_MAX);
    sock_close(first);
    arena_fini(&a);
}

static bool wait_for(_Atomic bool *flag)
{
    for (int i = 0; i < 500 && !atomic_load(flag); i++) clock_sleep_ns(10 * 1000000);
    return atomic_load(flag);
}

TEST(hangup_raises_flag)
{
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct hangup *h = hangup_new();
    _Atomic bool gone = false;
    hangup_watch(h, pair[0], &gone);
    EXPECT(!atomic_load(&gone));
    close(pair[1]);
    EXPECT(wait_for(&gone));
    hangup_unwatch(h, pair[0]);
    hangup_free(h);
    close(pair[0]);
}

TEST(hangup_silent_after_unwatch)
{
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct hangup *h = hangup_new();
    _Atomic bool gone = false;
    hangup_watch(h, pair[0], &gone);
    hangup_unwatch(h, pair[0]);
    close(pair[1]);
    hangup_free(h);
    EXPECT(!atomic_load(&gone));
    close(pair[0]);
}

struct waker { struct wake *w; int fd; };

static void wakes(void *ctx)
{
    struct waker *k = ctx;
    clock_sleep_ns(20 * 1000000);
    if (k->fd < 0) wake_up(k->w);
    else EXPECT_EQ(write(k->fd, "x", 1), 1);
}

TEST(wake_ends_a_wait)
{
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct wake *w = wake_new();
    EXPECT(!wake_wait(w, pair[0], 0));
    wake_up(w);
    wake_up(w);
    EXPECT(wake_wait(w, pair[0], -1));         /* one that came before it */
    EXPECT(!wake_wait(w, pair[0], 1));         /* both are one */
    struct waker by[] = { { w, -1 }, { w, pair[1] } };
    for (size_t i = 0; i < ARRAY_LEN(by); i++) {
        EXPECT(!sock_readable(pair[0]));
        struct thread *t = thread_start("wakes", wakes, &by[i]);
        EXPECT(wake_wait(w, pair[0], -1));
        thread_join(t);
    }
    EXPECT(sock_readable(pair[0]));
    wake_free(w);
    close(pair[0]);
    close(pair[1]);
}
