/* far_cache_test.c — caches that are gone, mute or lie cost little and give nothing. What they do
 * well is tried with real ones: tests/e2e/far_caches. */
#include "io/far_cache.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/lock.h"
#include "base/test.h"
#include "io/socket.h"
#include "io/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

enum { TIMEOUT_MS = 300, PAUSE_MS = 600, FAILURES = 3, VALUE = 5, DRIP_MS = 50, LONG = 8192 };
#define MS INT64_C(1000000)

/* A server of one answer to everything, on a port of its own. */
struct fake {
    int listen;
    struct thread *t;
    str answer;                /* to each request; empty: none ever */
    bool drips;                /* a byte at a time */
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
        size_t step = f->drips ? 1 : f->answer.n;
        for (size_t i = 0; i < f->answer.n && !atomic_load(&f->stop); i += step) {
            if (send(fd, f->answer.p + i, step, MSG_NOSIGNAL) < 0) return;
            if (f->drips) clock_sleep_ns(DRIP_MS * MS);
        }
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

TEST(far_cache_gone_or_mute)
{
    static const struct { const char *name; enum far_kind kind; bool there; } cases[] = {
        { "no redis", FAR_REDIS, false }, { "a mute redis", FAR_REDIS, true },
        { "no memcached", FAR_MEMCACHED, false }, { "a mute memcached", FAR_MEMCACHED, true },
    };
    TEST_EACH(c, cases) {
        struct fake f;
        uint8_t room[VALUE];
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

/* Whatever is said in place of an answer is a miss, and no more. */
TEST(far_cache_odd_answers)
{
    static uint8_t line[LONG];
    memset(line, 'V', sizeof(line));
    static const struct { const char *name; enum far_kind kind; str answer; } cases[] = {
        { "redis: a page", FAR_REDIS, S("HTTP/1.1 400 Bad Request\r\n\r\n") },
        { "redis: a number", FAR_REDIS, S(":1\r\n") },
        { "redis: an array", FAR_REDIS, S("*1\r\n*1\r\n*1\r\n") },
        { "redis: an empty line", FAR_REDIS, S("\r\n") },
        { "redis: below nothing", FAR_REDIS, S("$-5\r\n") },
        { "redis: not there", FAR_REDIS, S("$-1\r\n") },
        { "redis: more than can be", FAR_REDIS, S("$18446744073709551615\r\nxx") },
        { "redis: no number", FAR_REDIS, S("$1x\r\n") },
        { "redis: shorter than told", FAR_REDIS, S("$13\r\nxxxxxxxxxxx\r\nxxxx") },
        { "redis: longer than told", FAR_REDIS, S("$13\r\nxxxxxxxxxxxxxxxxxxx\r\n") },
        { "redis: a line without end", FAR_REDIS, { line, LONG } },
        { "memcached: another key", FAR_MEMCACHED, S("VALUE other 0 3\r\nabc\r\nEND\r\n") },
        { "memcached: twice", FAR_MEMCACHED,
            S("VALUE key 0 1\r\na\r\nVALUE key 0 1\r\na\r\nEND\r\n") },
        { "memcached: more than can be", FAR_MEMCACHED,
            S("VALUE key 0 18446744073709551615\r\nxx") },
        { "memcached: below nothing", FAR_MEMCACHED, S("VALUE key 0 -5\r\n") },
        { "memcached: no length", FAR_MEMCACHED, S("VALUE key\r\n") },
        { "memcached: of a put", FAR_MEMCACHED, S("STORED\r\n") },
        { "memcached: full", FAR_MEMCACHED, S("SERVER_ERROR out of memory\r\n") },
        { "memcached: the end", FAR_MEMCACHED, S("END\r\n") },
        { "memcached: a line without end", FAR_MEMCACHED, { line, LONG } },
    };
    TEST_EACH(c, cases) {
        struct fake f;
        uint8_t room[VALUE] = { 0 };
        fake_begin(&f, c->answer);
        struct far_cache *far = cache_of(c->kind, f.address);
        far_cache_put(far, S("key"), S("value"));
        for (int i = 0; i < 3; i++) EXPECT(!asked_once(far, room));
        EXPECT_EQ(room[0], 0);
        far_cache_free(far);
        fake_end(&f);
    }
}

/* One that drips never waits long for the next byte, and is given up in time all the same. */
TEST(far_cache_drips)
{
    static const struct { const char *name; enum far_kind kind; str answer; } cases[] = {
        { "redis", FAR_REDIS, S("$13\r\nxxxxxxxxxxxxx\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx") },
        { "memcached", FAR_MEMCACHED,
            S("VALUE key 0 13\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\nEND") },
    };
    TEST_EACH(c, cases) {
        struct fake f;
        uint8_t room[VALUE] = { 0 };
        fake_begin(&f, c->answer);
        f.drips = true;
        struct far_cache *far = cache_of(c->kind, f.address);
        int64_t begin = clock_mono_ns();
        EXPECT(!asked_once(far, room));
        EXPECT(clock_mono_ns() - begin < 3 * TIMEOUT_MS * MS);
        far_cache_free(far);
        fake_end(&f);
    }
}

/* Two servers share the keys: each is asked for its own, and the one that is there goes on. */
TEST(far_cache_shares)
{
    enum { KEYS = 64 };
    struct fake f, g;
    struct far_cache *far = NULL;
    uint8_t room[KEYS];
    struct far_item items[KEYS];
    char names[KEYS][16];
    fake_begin(&f, S("$9\r\nEPC1....x\r\n")); /* a checksum that is wrong: each is asked */
    fake_begin(&g, STR_EMPTY);
    fake_end(&g);
    const str both[] = { str_z(f.address), str_z(g.address) };
    EXPECT_OK(far_cache_new(&far, &(struct far_cache_opts){ .kind = FAR_REDIS, .addresses = both,
        .n_addresses = 2, .dial_ms = TIMEOUT_MS, .timeout_ms = TIMEOUT_MS, .failures_max = 1,
        .pause_ms = 1000 * PAUSE_MS }, NULL));
    for (int i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof(names[i]), "key-%d", i);
        items[i] = (struct far_item){ str_z(names[i]), &room[i], 1, true };
    }
    for (int i = 0; i < KEYS; i++) far_cache_get(far, &items[i], 1);
    int asked = atomic_load(&f.asked);
    EXPECT(asked > KEYS / 4 && asked < KEYS * 3 / 4);
    for (int i = 0; i < KEYS; i++) far_cache_get(far, &items[i], 1);
    EXPECT_EQ(atomic_load(&f.asked), 2 * asked); /* the other's rest is not its own */
    far_cache_free(far);
    fake_end(&f);
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
        struct far_cache_opts o = { .kind = (enum far_kind)kind };
        static const str bad[] = { S("host"), S("host:"), S("host:x"), S(":1"), S("host:70000") };
        EXPECT_EQ(far_cache_new(&c, &o, &e), ERR_BAD_INPUT);
        o.n_addresses = 1;
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            o.addresses = &bad[i];
            EXPECT_EQ(far_cache_new(&c, &o, &e), ERR_BAD_INPUT);
        }
    }
}
