#include "io/far_wire.h"

#include "base/clock.h"
#include "base/test.h"
#include "io/socket.h"

#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 200 };
#define MS INT64_C(1000000)

/* A wire whose other end has said this already, and is silent then or has gone. */
struct rig { struct far_wire w; int other; };
static struct rig rig_of(str said, bool gone)
{
    int both[2];
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both) == 0);
    EXPECT(send(both[1], said.p, said.n, 0) == (ssize_t)said.n);
    if (gone) sock_close(both[1]);
    return (struct rig){ { .fd = both[0] }, gone ? -1 : both[1] };
}

static void rig_end(struct rig *r)
{
    far_wire_close(&r->w);
    sock_close(r->other);
}

static int64_t soon(void) { return clock_mono_ns() + WAIT_MS * MS; }

TEST(far_wire_lines_and_values)
{
    struct rig r = rig_of(S("one\r\n\r\nabcde\r\nabcdefg\r\nxy\r\nlast\r\n"), true);
    str got;
    EXPECT_OK(far_wire_line(&r.w, soon(), &got, NULL));
    EXPECT_STR(got, S("one"));
    EXPECT_OK(far_wire_line(&r.w, soon(), &got, NULL));
    EXPECT_EQ(got.n, 0);
    EXPECT_OK(far_wire_value(&r.w, 5, 5, soon(), &got, NULL));
    EXPECT_STR(got, S("abcde"));
    EXPECT_OK(far_wire_value(&r.w, 7, 5, soon(), &got, NULL)); /* of another length */
    EXPECT_EQ(got.n, 0);
    EXPECT_OK(far_wire_value(&r.w, 2, 5, soon(), &got, NULL));
    EXPECT_EQ(got.n, 0);
    EXPECT_OK(far_wire_line(&r.w, soon(), &got, NULL));
    EXPECT_STR(got, S("last"));
    EXPECT_EQ(far_wire_line(&r.w, soon(), &got, NULL), ERR_IO);
    rig_end(&r);
}

TEST(far_wire_refuses)
{
    static const struct {
        const char *name;
        str said;
        bool gone;
        uint64_t n, want;
        errc rc;
    } cases[] = {
        { "silent", S("abc"), false, 3, 3, ERR_TIMEOUT },
        { "silent in what is skipped", S("abc"), false, 9, 3, ERR_TIMEOUT },
        { "gone", S("abc\r"), true, 3, 3, ERR_IO },
        { "longer than it says", S("abcd\r\n"), false, 3, 3, ERR_CORRUPT },
        { "without end", S("abc\n\r"), false, 3, 3, ERR_CORRUPT },
    };
    TEST_EACH(c, cases) {
        struct rig r = rig_of(c->said, c->gone);
        str got;
        EXPECT_EQ(far_wire_value(&r.w, c->n, c->want, soon(), &got, NULL), c->rc);
        rig_end(&r);
    }
}

TEST(far_wire_quiet)
{
    struct rig still = rig_of(S("a\r\n"), false), gone = rig_of(S("a\r\n"), true);
    str got;
    EXPECT(!far_wire_quiet(&still.w)); /* it says what nobody asked for */
    EXPECT_OK(far_wire_line(&still.w, soon(), &got, NULL));
    EXPECT(far_wire_quiet(&still.w));
    EXPECT_OK(far_wire_line(&gone.w, soon(), &got, NULL));
    EXPECT(!far_wire_quiet(&gone.w));
    rig_end(&still);
    rig_end(&gone);
}

TEST(far_wire_open)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    int listening = -1;
    struct far_wire w;
    str address, host, port;
    EXPECT_OK(sock_listen(&listening, S("127.0.0.1:0"), NULL));
    EXPECT_OK(sock_local_addr(&address, listening, &a, NULL));
    EXPECT(sock_addr_split(address, &host, &port));
    EXPECT_OK(far_wire_open(&w, host, port, soon(), NULL));
    EXPECT_OK(far_wire_send(&w, S("hello"), soon(), NULL));
    far_wire_close(&w);
    sock_close(listening);
    EXPECT_EQ(far_wire_open(&w, host, port, soon(), NULL), ERR_IO);
    EXPECT_EQ(far_wire_open(&w, S("a name"), port, soon(), NULL), ERR_BAD_INPUT);
}
