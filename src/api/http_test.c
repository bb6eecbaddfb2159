#include "api/test_rig.h"

#include "base/clock.h"
#include "base/compress.h"
#include "base/metric.h"
#include "base/test.h"
#include "io/pool.h"
#include "io/thread.h"

#include <stdatomic.h>

static struct { _Atomic bool open, saw_gone; _Atomic unsigned inside, finished; } gate;

static void gate_reset(void)
{
    atomic_store(&gate.open, false);
    atomic_store(&gate.saw_gone, false);
    atomic_store(&gate.inside, 0);
    atomic_store(&gate.finished, 0);
}

static void echo(void *ctx, struct http_req *r, struct http_resp *w)
{
    (void)ctx;
    buf_fmt(
        &w->body, "%.*s %.*s?%.*s", STR_ARG(r->method_name), STR_ARG(r->path), STR_ARG(r->query));
    for (size_t i = 0; i < r->path_params.n; i++)
        buf_fmt(&w->body, " %.*s=%.*s", STR_ARG(r->path_params.at[i].name),
            STR_ARG(r->path_params.at[i].value));
    if (r->body.n) buf_fmt(&w->body, " %.*s", STR_ARG(r->body));
}

static void size_of_body(void *ctx, struct http_req *r, struct http_resp *w)
{
    (void)ctx;
    buf_fmt(&w->body, "%zu", r->body.n);
}

static void packed(void *ctx, struct http_req *r, struct http_resp *w)
{
    (void)ctx, (void)r;
    w->compress = w->vary = true;
    for (int i = 0; i < 1000; i++) buf_str(&w->body, S("many of the same; "));
}

/* Waits for the gate to open or for its client to hang up. */
static void waits(void *ctx, struct http_req *r, struct http_resp *w)
{
    (void)ctx;
    atomic_fetch_add(&gate.inside, 1);
    while (!atomic_load(&gate.open)) {
        if (atomic_load(&r->gone)) {
            atomic_store(&gate.saw_gone, true);
            break;
        }
        clock_sleep_ns(1000000);
    }
    buf_str(&w->body, S("done"));
    atomic_fetch_add(&gate.finished, 1);
}

static void moved(void *ctx, struct http_req *r, struct http_resp *w)
{
    (void)ctx;
    http_redirect(r, w, 302, S("/a?b=<&>\"'"));
}

/* "/stream/PARTS/BYTES": so many parts, the number of each in its bytes; every third is empty. */
static struct { _Atomic unsigned made, freed; _Atomic(struct http_req *) of; } streams;
struct counted { struct http_stream base; uint64_t at, parts, bytes; };

static bool counted_more(struct http_stream *base, struct buf *out)
{
    struct counted *k = CONTAINER_OF(base, struct counted, base);
    if (k->at % 3 != 2)
        for (uint64_t i = 0; i < k->bytes; i++) buf_u8(out, (uint8_t)k->at);
    atomic_fetch_add(&streams.made, 1);
    return ++k->at < k->parts;
}

static void counted_free(struct http_stream *base)
{
    mem_free(CONTAINER_OF(base, struct counted, base));
    atomic_fetch_add(&streams.freed, 1);
}
static const struct http_stream_ops counted_ops = { counted_more, counted_free };

static void stream(void *ctx, struct http_req *r, struct http_resp *w)
{
    (void)ctx;
    struct counted *k = NEW(struct counted);
    k->base.ops = &counted_ops;
    EXPECT(str_u64(r->path_params.at[0].value, &k->parts));
    EXPECT(str_u64(r->path_params.at[1].value, &k->bytes));
    buf_str(&w->body, S("first;"));
    w->stream = &k->base;
    atomic_store(&streams.of, r);
}

static const struct http_route routes[] = {
    { HTTP_GET | HTTP_HEAD, "/place", echo, HTTP_IN_PLACE, 0 },
    { HTTP_GET | HTTP_POST, "/pool", echo, 0, 0 },
    { HTTP_GET, "/label/:name/values", echo, HTTP_IN_PLACE, 0 },
    { HTTP_GET, "/files/*rest", echo, HTTP_IN_PLACE, 0 },
    { HTTP_POST, "/size", size_of_body, 0, 100000 },
    { HTTP_GET, "/packed", packed, 0, 0 },
    { HTTP_GET, "/waits", waits, 0, 0 },
    { HTTP_GET, "/upload", waits, HTTP_UPLOADS, 0 },
    { HTTP_GET, "/gives_way", echo, HTTP_GIVES_WAY, 0 },
    { HTTP_GET, "/moved", moved, HTTP_IN_PLACE, 0 },
    { HTTP_GET, "/folder/", echo, HTTP_IN_PLACE, 0 },
    { HTTP_GET, "/stream/:parts/:bytes", stream, 0, 0 },
};
static const struct rig_opts opts = { .routes = routes, .n_routes = ARRAY_LEN(routes) };

TEST(http_routes)
{
    static const struct {
        const char *name;
        str method, target;
        int status;
        str body, header, value;
    } cases[] = {
        { "in place", S("GET"), S("/place?x=%20y"), 200, S("GET /place?x=%20y"), S(""), S("") },
        { "on the pool", S("GET"), S("/pool"), 200, S("GET /pool?"), S(""), S("") },
        { "post", S("POST"), S("/pool"), 200, S("POST /pool? payload"), S(""), S("") },
        { "head has no body", S("HEAD"), S("/place"), 200, S(""), S("Content-Length"), S("12") },
        { "parameter", S("GET"), S("/label/job/values"), 200, S("GET /label/job/values? name=job"),
            S(""), S("") },
        { "parameter, decoded", S("GET"), S("/label/j%6Fb/values"), 200,
            S("GET /label/job/values? name=job"), S(""), S("") },
        { "a slash in a parameter", S("GET"), S("/label/a%2Fb/values"), 404,
            S("404 page not found\n"), S(""), S("") },
        { "the rest", S("GET"), S("/files/a/b/c"), 200, S("GET /files/a/b/c? rest=/a/b/c"), S(""),
            S("") },
        { "unknown", S("GET"), S("/nothing"), 404, S("404 page not found\n"),
            S("X-Content-Type-Options"), S("nosniff") },
        { "longer than a route", S("GET"), S("/place/x"), 404, S("404 page not found\n"), S(""),
            S("") },
        { "method", S("DELETE"), S("/pool"), 405, S("Method Not Allowed\n"), S("Allow"),
            S("GET, OPTIONS, POST") },
        { "put", S("PUT"), S("/place"), 405, S("Method Not Allowed\n"), S("Allow"),
            S("GET, HEAD, OPTIONS") },
        { "options", S("OPTIONS"), S("/pool"), 200, S(""), S("Allow"), S("GET, OPTIONS, POST") },
        { "a slash too many", S("GET"), S("/place/"), 301,
            S("<a href=\"/place\">Moved Permanently</a>.\n\n"), S("Location"), S("/place") },
        { "a slash too few", S("GET"), S("/folder?a=1"), 301,
            S("<a href=\"/folder/?a=1\">Moved Permanently</a>.\n\n"), S("Location"),
            S("/folder/?a=1") },
        { "in other cases", S("GET"), S("/Label/Job/VALUES?a=1"), 301,
            S("<a href=\"/label/Job/values?a=1\">Moved Permanently</a>.\n\n"), S("Location"),
            S("/label/Job/values?a=1") },
        { "in other cases, and a slash", S("GET"), S("/Place/"), 301,
            S("<a href=\"/place\">Moved Permanently</a>.\n\n"), S("Location"), S("/place") },
        { "of another method", S("POST"), S("/Place"), 404, S("404 page not found\n"), S(""),
            S("") },
        { "a bad escape", S("GET"), S("/label/a%zz/values"), 400, S("400 Bad Request"),
            S("Content-Type"), S("text/plain; charset=utf-8") },
        { "a slash too many, posted", S("POST"), S("/pool/"), 307, S(""), S("Location"),
            S("/pool") },
        { "not clean", S("GET"), S("/label//x?a=1&b=2"), 307,
            S("<a href=\"/label/x?a=1&amp;b=2\">Temporary Redirect</a>.\n\n"), S("Location"),
            S("/label/x?a=1&b=2") },
        { "dots", S("GET"), S("/a/%2e%2e/place"), 307,
            S("<a href=\"/place\">Temporary Redirect</a>.\n\n"), S("Location"), S("/place") },
        { "escaped in HTML", S("GET"), S("/moved"), 302,
            S("<a href=\"/a?b=&lt;&amp;&gt;&#34;&#39;\">Found</a>.\n\n"), S("Content-Type"),
            S("text/html; charset=utf-8") },
    };
    struct rig r;
    rig_start(&r, &opts);
    TEST_EACH(c, cases) {
        struct test_answer w = rig_ask(&r, c->method, c->target, NULL, 0,
            str_eq(c->method, S("POST")) ? S("payload") : STR_EMPTY);
        EXPECT_EQ(w.status, c->status);
        EXPECT_STR(w.body, c->body);
        if (c->header.n) EXPECT_STR(test_answer_header(&w, c->header), c->value);
    }
    rig_stop(&r);
}

TEST(http_bodies_are_bounded)
{
    static const struct { const char *name; size_t n; int status;
    } cases[] = {
        { "none", 0, 200 },
        { "small", 10, 200 },
        { "in slices", 99999, 200 },
        { "at the limit", 100000, 200 },
        { "past it", 100001, 413 },
        { "far past it", 5000000, 413 },
    };
    struct rig r;
    rig_start(&r, &opts);
    TEST_EACH(c, cases) {
        uint8_t *p = arena_zalloc(&r.arena, c->n + 1);
        struct test_answer w = test_client_ask(
            r.client, &r.arena, S("POST"), rig_url(&r, S("/size")), NULL, 0, str_of(p, c->n), 0);
        EXPECT_EQ(w.status, c->status);
        if (w.status == 200) EXPECT_STR(w.body, arena_fmt(&r.arena, "%zu", c->n));
    }
    rig_stop(&r);
}

TEST(http_packs_as_asked)
{
    static const struct { const char *name; str accept, got; } cases[] = {
        { "nothing asked", S(""), S("") },
        { "gzip", S("gzip"), S("gzip") },
        { "deflate first", S("deflate, gzip"), S("deflate") },
        { "unknown first", S("br, zstd , gzip"), S("gzip") },
        { "with a weight it is not taken", S("gzip;q=1"), S("") },
        { "identity", S("identity"), S("") },
    };
    struct rig r;
    rig_start(&r, &opts);
    TEST_EACH(c, cases) {
        struct test_pair h = { S("Accept-Encoding"), c->accept };
        struct test_answer w = rig_ask(&r, S("GET"), S("/packed"), &h, c->accept.n > 0, STR_EMPTY);
        EXPECT_STR(test_answer_header(&w, S("Content-Encoding")), c->got);
        EXPECT_STR(test_answer_header(&w, S("Vary")), S("Accept-Encoding"));
        if (!c->got.n) {
            EXPECT_EQ(w.body.n, 18000);
            continue;
        }
        EXPECT(w.body.n < 1000);
        struct buf plain = { 0 };
        EXPECT_OK(compress_unpack(&plain,
            str_eq(c->got, S("gzip")) ? COMPRESS_GZIP : COMPRESS_DEFLATE, w.body, 100000, NULL));
        EXPECT_EQ(plain.n, 18000);
        buf_fini(&plain);
    }
    rig_stop(&r);
}

struct asker {
    struct rig *r;
    str target;
    unsigned times;
    struct arena a;
    _Atomic unsigned right, status;
    int64_t timeout_ms;
};

static void asker_run(void *ctx)
{
    struct asker *k = ctx;
    for (unsigned i = 0; i < k->times; i++) {
        struct test_answer w = test_client_ask(
            k->r->client, &k->a, S("GET"), k->target, NULL, 0, STR_EMPTY, k->timeout_ms);
        atomic_fetch_add(&k->right, w.rc == OK && w.status == 200);
        atomic_store(&k->status, (unsigned)w.status);
    }
}

static void wait_until(_Atomic unsigned *n, unsigned least)
{
    for (int i = 0; i < 10000 && atomic_load(n) < least; i++) clock_sleep_ns(1000000);
    EXPECT(atomic_load(n) >= least);
}

TEST(http_serves_many_at_once)
{
    enum { ASKERS = 16, TIMES = 25 };
    struct rig r;
    struct asker k[ASKERS];
    struct thread *threads[ASKERS];
    rig_start(&r, &opts);
    for (size_t i = 0; i < ASKERS; i++) {
        k[i] = (struct asker){ .r = &r,
            .target = rig_url(&r, i % 3   ? S("/pool")
                                  : i % 2 ? S("/place")
                                          : S("/packed")),
            .times = TIMES };
        threads[i] = thread_start("ask", asker_run, &k[i]);
    }
    unsigned right = 0;
    for (size_t i = 0; i < ASKERS; i++) {
        thread_join(threads[i]);
        right += atomic_load(&k[i].right);
        arena_fini(&k[i].a);
    }
    EXPECT_EQ(right, ASKERS * TIMES);
    rig_stop(&r);
}

TEST(http_tells_a_handler_that_its_client_is_gone)
{
    struct rig r;
    gate_reset();
    rig_start(&r, &opts);
    struct test_answer w = test_client_ask(
        r.client, &r.arena, S("GET"), rig_url(&r, S("/waits")), NULL, 0, STR_EMPTY, 100);
    EXPECT(w.rc != OK);
    wait_until(&gate.finished, 1);
    EXPECT(atomic_load(&gate.saw_gone));
    EXPECT_EQ(rig_get(&r, S("/place")).status, 200);
    rig_stop(&r);
}

struct sum { const char *of; double sum; };
static void sum_add(void *ctx, const struct metric_point *p)
{
    struct sum *s = ctx;
    if (strcmp(p->family->name, s->of) == 0) s->sum += p->value;
}
static double metric_sum(const char *of)
{
    struct sum s = { .of = of };
    metric_each(sum_add, &s);
    return s.sum;
}

/* Clients that ask without a pause beside an upload that is at work; the server is stopped while
 * some of them wait for their turn. */
TEST(http_requests_give_way_to_uploads_and_are_all_answered)
{
    enum { ASKERS = 16, TIMES = 25, ROUNDS = 100 };
    struct rig r;
    struct rig_opts o = opts;
    struct asker k[ASKERS], upload;
    struct thread *threads[ASKERS], *uploading;
    o.cores = 1;
    o.pool_threads = 4;
    gate_reset();
    rig_start(&r, &o);
    upload = (struct asker){ .r = &r, .target = rig_url(&r, S("/upload")), .times = 1 };
    uploading = thread_start("upload", asker_run, &upload);
    wait_until(&gate.inside, 1);
    double before = metric_sum("epimetheus_http_requests_paced_total"), paced = 0;
    for (size_t round = 0; round < ROUNDS && !paced; round++) {
        unsigned right = 0;
        for (size_t i = 0; i < ASKERS; i++) {
            k[i] = (struct asker){ &r, rig_url(&r, S("/gives_way")), TIMES };
            threads[i] = thread_start("ask", asker_run, &k[i]);
        }
        for (size_t i = 0; i < ASKERS; i++) {
            thread_join(threads[i]);
            right += atomic_load(&k[i].right);
            arena_fini(&k[i].a);
        }
        EXPECT_EQ(right, ASKERS * TIMES);
        paced = metric_sum("epimetheus_http_requests_paced_total") - before;
    }
    EXPECT(paced > 0);
    before = metric_sum("epimetheus_http_requests_paced_total");
    for (size_t i = 0; i < ASKERS; i++) {
        k[i] = (struct asker){ &r, rig_url(&r, S("/gives_way")), TIMES };
        threads[i] = thread_start("ask", asker_run, &k[i]);
    }
    for (int i = 0; i < 10000 && metric_sum("epimetheus_http_requests_paced_total") == before; i++)
        clock_sleep_ns(1000000);
    EXPECT(metric_sum("epimetheus_http_requests_paced_total") > before);
    atomic_store(&gate.open, true);
    http_server_stop(r.server);
    unsigned told = 0;
    for (size_t i = 0; i < ASKERS; i++) {
        thread_join(threads[i]);
        unsigned status = atomic_load(&k[i].status);
        told += atomic_load(&k[i].right) > 0 || status == 503;
        EXPECT(status == 200 || status == 503 || status == 0);     /* 0: the server is gone */
        EXPECT(status != 200 || atomic_load(&k[i].right) == TIMES);
        arena_fini(&k[i].a);
    }
    EXPECT(told > 0);
    thread_join(uploading);
    EXPECT_EQ(atomic_load(&upload.status), 200);
    arena_fini(&upload.a);
    rig_stop(&r);
}

TEST(http_answers_in_place_while_the_pool_is_stuck_and_refuses_the_rest)
{
    struct rig r;
    struct rig_opts o = opts;
    enum { ASKERS = 3 };           /* one runs where it was read, one on the pool, one is queued */
    struct asker k[ASKERS];
    struct thread *threads[ASKERS];
    o.pool_threads = 1;
    o.queue_max = 1;
    gate_reset();
    rig_start(&r, &o);
    for (unsigned i = 0; i < ASKERS; i++) {
        k[i] = (struct asker){ .r = &r, .target = rig_url(&r, S("/waits")), .times = 1 };
        threads[i] = thread_start("ask", asker_run, &k[i]);
        wait_until(&gate.inside, MIN(i + 1, 2u));
        clock_sleep_ns(50000000);
    }
    EXPECT_EQ(rig_get(&r, S("/place")).status, 200);
    EXPECT_EQ(rig_get(&r, S("/pool")).status, 503);
    EXPECT_EQ(metric_sum("epimetheus_pool_threads_busy"), 2.0);
    atomic_store(&gate.open, true);
    for (size_t i = 0; i < ASKERS; i++) {
        thread_join(threads[i]);
        EXPECT_EQ(atomic_load(&k[i].status), 200);
        arena_fini(&k[i].a);
    }
    rig_stop(&r);
    EXPECT_EQ(metric_sum("epimetheus_pool_threads_busy"), 0.0);
}

TEST(http_streams_come_in_parts)
{
    static const struct { const char *name; str target; size_t n; uint8_t last; } cases[] = {
        { "one", S("/stream/1/10"), 16, 0 },
        { "an empty one", S("/stream/1/0"), 6, ';' },
        { "some", S("/stream/5/10"), 46, 4 },
        { "the last is empty", S("/stream/6/10"), 46, 4 },
        { "larger than what is moved at once", S("/stream/4/300000"), 900006, 3 },
    };
    struct rig r;
    rig_start(&r, &opts);
    atomic_store(&streams.freed, 0);
    TEST_EACH(c, cases) {
        struct test_answer w = rig_get(&r, c->target);
        EXPECT_EQ(w.status, 200);
        EXPECT_EQ(w.body.n, c->n);
        EXPECT_EQ(w.body.p[c->n - 1], c->last);
    }
    wait_until(&streams.freed, ARRAY_LEN(cases));
    EXPECT_EQ(rig_get(&r, S("/place")).status, 200);
    rig_stop(&r);
}

/* Asks for 64 MiB, and waits until the server makes no more of it. */
static struct test_reader *read_slowly(struct rig *r)
{
    atomic_store(&streams.freed, 0);
    atomic_store(&streams.made, 0);
    struct test_reader *k = test_reader_new(rig_url(r, S("/stream/24/4194304")));
    wait_until(&streams.made, 1);
    for (unsigned was = 0; was != atomic_load(&streams.made); clock_sleep_ns(100000000))
        was = atomic_load(&streams.made);
    return k;
}

TEST(http_streams_wait_for_their_reader)
{
    struct rig r;
    struct rig_opts o = opts;
    o.pool_threads = 1;
    rig_start(&r, &o);
    struct test_reader *k = read_slowly(&r);
    EXPECT(atomic_load(&streams.made) < 8);                    /* what the sockets hold */
    EXPECT_EQ(rig_get(&r, S("/pool")).status, 200);            /* no thread waits with it */
    EXPECT_EQ(atomic_load(&streams.freed), 0);
    EXPECT_EQ(test_reader_rest(k), 6 + 16 * (size_t)4194304);
    wait_until(&streams.freed, 1);
    EXPECT_EQ(atomic_load(&streams.made), 24);
    test_reader_free(k);
    rig_stop(&r);
}

TEST(http_streams_end_with_their_reader_or_the_server)
{
    static const struct { const char *name; bool stop, cut; } cases[] = {
        { "the client leaves", false, false },
        { "the server stops", true, false },
        { "somebody cuts it", false, true },
    };
    TEST_EACH(c, cases) {
        struct rig r;
        rig_start(&r, &opts);
        struct test_reader *k = read_slowly(&r);
        if (c->cut) http_cut(atomic_load(&streams.of));
        else if (c->stop) http_server_stop(r.server);
        else test_reader_free(STEAL(k));
        wait_until(&streams.freed, 1);
        EXPECT(atomic_load(&streams.made) < 24);
        test_reader_free(k);
        rig_stop(&r);
    }
}

static void open_late(void *ctx)
{
    (void)ctx;
    clock_sleep_ns(100000000);
    atomic_store(&gate.open, true);
}

TEST(http_stop_waits_for_handlers)
{
    struct rig r;
    gate_reset();
    rig_start(&r, &opts);
    struct asker k = { .r = &r, .target = rig_url(&r, S("/waits")), .times = 1 };
    struct thread *asking = thread_start("ask", asker_run, &k), *opening;
    wait_until(&gate.inside, 1);
    opening = thread_start("open", open_late, NULL);
    http_server_stop(r.server);
    EXPECT_EQ(atomic_load(&gate.finished), 1);
    thread_join(asking);
    thread_join(opening);
    arena_fini(&k.a);
    rig_stop(&r);
}
