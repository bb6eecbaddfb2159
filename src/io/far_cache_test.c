/* far_cache_test.c — caches that are gone, mute or lie cost little and give nothing. What they do
 * well is tried with real ones: tests/e2e/far_caches. */
#include "io/far_cache.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/lock.h"
#include "base/test.h"
#include "io/far_conn.h"
#include "io/socket.h"
#include "io/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

enum { TIMEOUT_MS = 300, PAUSE_MS = 600, FAILURES = 3, VALUE = 5 };
#define MS INT64_C(1000000)

/* A server of one answer to everything, on a port of its own. */
struct fake {
    int listen;
    struct thread *t;
    str answer;                /* to each request; empty: none ever */
    _Atomic int asked;
    _Atomic bool stop;
    uint16_t port;
    char address[32];
};

static void fake_serve(struct fake *f, int fd)
{
    char room[4096];
    while (!atomic_load(&f->stop)) {
        struct pollfd p = { fd, POLLIN, 0 };
        if (poll(&p, 1, 10) <= 0) continue;
        if (recv(fd, room, sizeof(room), 0) <= 0) return;
        atomic_fetch_add(&f->asked, 1);
        if (f->answer.n && send(fd, f->answer.p, f->answer.n, MSG_NOSIGNAL) < 0) return;
    }
}

static void fake_run(void *ctx)
{
    struct fake *f = ctx;
    while (!atomic_load(&f->stop)) {
        struct pollfd p = { f->listen, POLLIN, 0 };
        if (poll(&p, 1, 10) <= 0) continue;
        int fd = accept(f->listen, NULL, NULL);
        if (fd < 0) continue;
        fake_serve(f, fd);
        close(fd);
    }
}

static void fake_begin(struct fake *f, str answer)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(at);
    *f = (struct fake){ .answer = answer };
    f->listen = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT(bind(f->listen, (struct sockaddr *)&at, n) == 0 && listen(f->listen, 64) == 0);
    EXPECT(getsockname(f->listen, (struct sockaddr *)&at, &n) == 0);
    f->port = ntohs(at.sin_port);
    snprintf(f->address, sizeof(f->address), "127.0.0.1:%u", f->port);
    f->t = thread_start("fake", fake_run, f);
}
static void fake_end(struct fake *f)
{
    atomic_store(&f->stop, true);
    thread_join(f->t);
    close(f->listen);
}

static struct far_cache *cache_of(enum far_kind kind, const char *address)
{
    struct far_cache *c = NULL;
    str a = str_z(address);
    struct err e = { 0 };
    EXPECT_OK_E(far_cache_new(&c, &(struct far_cache_opts){ .kind = kind,
        .addresses = &a, .n_addresses = 1, .dial_ms = TIMEOUT_MS, .timeout_ms = TIMEOUT_MS,
        .failures_max = FAILURES, .pause_ms = PAUSE_MS }, &e), &e);
    return c;
}

static bool asked_once(struct far_cache *c, uint8_t room[VALUE])
{
    struct far_item x = { S("key"), room, VALUE, true };
    far_cache_get(c, &x, 1);
    return x.got;
}

static bool is_built(enum far_kind kind)
{
    return kind == FAR_REDIS ? far_redis_built() : far_memcached_built();
}

TEST(far_cache_gone_or_mute)
{
    static const struct { const char *name; enum far_kind kind; bool there; } cases[] = {
        { "no redis", FAR_REDIS, false }, { "a mute redis", FAR_REDIS, true },
        { "no memcached", FAR_MEMCACHED, false }, { "a mute memcached", FAR_MEMCACHED, true },
    };
    TEST_EACH(c, cases) {
        struct fake f;
        uint8_t room[VALUE];
        if (!is_built(c->kind)) continue;
        fake_begin(&f, STR_EMPTY);
        if (!c->there) fake_end(&f);           /* its port is nobody's */
        struct far_cache *far = cache_of(c->kind, f.address);
        for (int i = 0; i < FAILURES; i++) {
            int64_t begin = clock_mono_ns();
            EXPECT(!asked_once(far, room));
            EXPECT(clock_mono_ns() - begin < 10 * TIMEOUT_MS * MS);
        }
        int before = atomic_load(&f.asked);
        for (int i = 0; i < 1000; i++) EXPECT(!asked_once(far, room));
        far_cache_put(far, S("key"), S("value"));
        EXPECT_EQ(atomic_load(&f.asked), before);     /* it rests */
        far_cache_free(far);
        if (c->there) fake_end(&f);
    }
}

static void redis_value(struct buf *b, str magic, str sum_of, str bytes)
{
    buf_fmt(b, "$%zu\r\n%.*s", 8 + bytes.n, STR_ARG(magic));
    buf_be32(b, crc32c_str(sum_of));
    buf_str(b, bytes);
    buf_str(b, S("\r\n"));
}

TEST(far_cache_believes_checksums)
{
    static const struct { const char *name; str magic, sum_of, bytes; bool got; } cases[] = {
        { "right", S("EPC1"), S("keyvalue"), S("value"), true },
        { "other bytes", S("EPC1"), S("keyvalue"), S("valuE"), false },
        { "of another key", S("EPC1"), S("kezvalue"), S("value"), false },
        { "shorter", S("EPC1"), S("keyvalu"), S("valu"), false },
        { "longer", S("EPC1"), S("keyvalues"), S("values"), false },
        { "another's", S("EPC2"), S("keyvalue"), S("value"), false },
    };
    if (!far_redis_built()) return;
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf answer = { 0 };
        struct fake f;
        uint8_t room[VALUE] = { 0 };
        redis_value(&answer, c->magic, c->sum_of, c->bytes);
        fake_begin(&f, buf_view(&answer));
        struct far_cache *far = cache_of(FAR_REDIS, f.address);
        EXPECT_EQ(asked_once(far, room), c->got);
        if (c->got) EXPECT_STR(str_of(room, VALUE), c->bytes);
        else EXPECT_EQ(room[0], 0);
        far_cache_free(far);
        fake_end(&f);
    }
}

/* After its rest it is asked by one, and when that goes well by all. */
TEST(far_cache_comes_back)
{
    SCOPED(buf_fini) struct buf answer = { 0 };
    struct fake f;
    uint8_t room[VALUE];
    if (!far_redis_built()) return;
    redis_value(&answer, S("EPC1"), S("keyvalue"), S("value"));
    fake_begin(&f, S("-LOADING it is not ready\r\n"));
    struct far_cache *far = cache_of(FAR_REDIS, f.address);
    for (int i = 0; i < FAILURES; i++) EXPECT(!asked_once(far, room));
    fake_end(&f);
    int64_t until = clock_mono_ns() + 60000 * MS;
    f.answer = buf_view(&answer);
    atomic_store(&f.stop, false);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(f.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    f.listen = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    setsockopt(f.listen, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    EXPECT(bind(f.listen, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(f.listen, 64) == 0);
    f.t = thread_start("fake", fake_run, &f);
    EXPECT(!asked_once(far, room));            /* not yet */
    while (!asked_once(far, room) && clock_mono_ns() < until) clock_sleep_ns(20 * MS);
    for (int i = 0; i < 10; i++) EXPECT(asked_once(far, room));
    far_cache_free(far);
    fake_end(&f);
}

TEST(far_cache_refuses)
{
    struct far_cache *c = NULL;
    struct err e = { 0 };
    for (int kind = FAR_MEMCACHED; kind <= FAR_REDIS; kind++) {
        errc rc = far_cache_new(&c, &(struct far_cache_opts){ .kind = (enum far_kind)kind }, &e);
        EXPECT_EQ(rc, is_built((enum far_kind)kind) ? ERR_BAD_INPUT : ERR_UNSUPPORTED);
    }
}
