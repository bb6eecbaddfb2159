/* Requests to targets as the target sees them, and what becomes of its answers. */
#include "scrape/fetch.h"

#include "base/clock.h"
#include "base/compress.h"
#include "base/test.h"
#include "io/fs.h"
#include "io/pool.h"
#include "io/test_server.h"
#include "scrape/test_store.h"

#include <stdatomic.h>

enum { PAGE_BYTES = 4000 };

static struct buf packed, cut;         /* a gzipped page, and one without its end */
static char page[PAGE_BYTES + 1];

static struct test_reply serve(void *ctx, const struct test_request *q)
{
    (void)ctx;
    static const struct {
        const char *path;
        unsigned status;
        const char *header, *value;
    } plain[] = {
        { "/missing", 404, NULL, NULL },
        { "/moved", 302, "Location", "/echo" },
        { "/nowhere", 302, NULL, NULL },
        { "/other", 307, "Location", "/moved" },
        { "/garbage", 200, "Content-Encoding", "gzip" },
    };
    if (strcmp(q->path, "/echo") == 0)
        return (struct test_reply){ 200, "text/plain", .echo = true };
    if (strcmp(q->path, "/page") == 0) return (struct test_reply){ 200, "text/plain", str_z(page) };
    if (strcmp(q->path, "/gzip") == 0)
        return (
            struct test_reply){ 200, "text/plain", buf_view(&packed), "Content-Encoding", "gzip" };
    if (strcmp(q->path, "/cut") == 0)
        return (struct test_reply){ 200, "text/plain", buf_view(&cut), "Content-Encoding", "gzip" };
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (strcmp(q->path, plain[i].path) == 0)
            return (struct test_reply){ plain[i].status, "text/html", S("words enough"),
                plain[i].header, plain[i].value };
    return (struct test_reply){ 500, NULL, S("?") };
}

struct rig {
    struct arena a;
    struct test_server *server;
    struct pool *pool;
    struct fetcher *fetcher;
    str address;
};

static void rig_start(struct rig *r)
{
    *r = (struct rig){ .server = test_server_new(serve, NULL),
        .pool = pool_new(&(struct pool_opts){ "test_fetch", 2, 64 }) };
    EXPECT(r->server);
    r->address = arena_fmt(&r->a, "127.0.0.1:%u", test_server_port(r->server));
    EXPECT_OK(fetcher_new(&r->fetcher, r->pool, 0, NULL));
    memset(page, 'p', PAGE_BYTES);
    buf_reset(&packed);
    EXPECT_OK(compress_pack(&packed, COMPRESS_GZIP, str_of(page, PAGE_BYTES), 6, NULL));
    buf_reset(&cut);
    buf_str(&cut, str_slice(buf_view(&packed), 0, packed.n - 9));
}

static void rig_stop(struct rig *r)
{
    fetcher_free(r->fetcher);
    pool_free(r->pool);
    test_server_free(r->server);
    buf_fini(&packed);
    buf_fini(&cut);
    arena_fini(&r->a);
}

struct got { struct rig *r; _Atomic bool there; bool failed, too_large; str body, words, type; };

static void on_done(void *ctx, struct fetch_result *f)
{
    struct got *g = ctx;
    g->failed = f->failed;
    g->too_large = f->too_large;
    g->body = arena_str(&g->r->a, buf_view(&f->body));
    g->type = arena_str(&g->r->a, f->content_type);
    g->words = arena_str(&g->r->a, err_str(&f->e));
    if (!f->failed && f->body.n) EXPECT_EQ(f->body.p[f->body.n], 0);   /* the padding */
    atomic_store(&g->there, true);
}

static struct got fetch(struct rig *r, struct scrape_config *job, const char *path)
{
    struct labels out, discovered;
    bool keep;
    job->metrics_path = str_z(path);
    EXPECT_OK(target_labels(
        &out, &discovered, &keep, job, r->address, (struct labels){ 0 }, &r->a, NULL));
    struct target *t = target_new(job, out, discovered);
    struct got g = { .r = r };
    fetch_start(r->fetcher, t, true, on_done, &g);
    while (!atomic_load(&g.there)) clock_sleep_ns(500000);
    target_unref(t);
    return g;
}

static bool has_line(str text, const char *line) { return str_find(text, str_z(line)) != SIZE_MAX; }

TEST(fetch_asks_as_prometheus_does)
{
    struct rig r;
    rig_start(&r);
    struct scrape_config job = test_job("j");
    job.enable_compression = true;
    struct got g = fetch(&r, &job, "/echo");
    EXPECT(!g.failed);
    EXPECT_STR(g.type, S("text/plain"));
    EXPECT(str_has_prefix(g.body, S("GET /echo\n")));
    EXPECT(has_line(g.body, (const char *)arena_fmt(&r.a, "Host: %.*s\n", STR_ARG(r.address)).p));
    EXPECT(has_line(g.body, "User-Agent: Prometheus/3.14.0\n"));
    EXPECT(has_line(g.body, "Accept-Encoding: gzip\n"));
    EXPECT(has_line(g.body, "X-Prometheus-Scrape-Timeout-Seconds: 10\n"));
    EXPECT(has_line(g.body, "Accept: application/openmetrics-text;version=1.0.0;escaping="));
    EXPECT(!has_line(g.body, "Authorization"));
    job.enable_compression = false;
    EXPECT(has_line(fetch(&r, &job, "/echo").body, "Accept-Encoding: identity\n"));
    rig_stop(&r);
}

TEST(fetch_shows_who_asks)
{
    struct rig r;
    rig_start(&r);
    str dir = arena_str(&r.a, str_z(test_tmpdir()));
    struct fs *fs = fs_real_new(dir);
    str file = arena_fmt(&r.a, "%.*s/secret", STR_ARG(dir)),
        none = arena_fmt(&r.a, "%.*s/none", STR_ARG(dir));
    EXPECT_OK(fs_write_durable(fs, S("secret"), S(" s3cret\n"), NULL));
    const str values[] = { S("one"), S("two") };
    const struct http_header headers[] = {
        { .name = S("X-Plain"), .values = values, .n_values = 2 },
        { .name = S("X-File"), .files = &file, .n_files = 1 }
    };
    const struct { const char *name; struct http_options o; const char *want, *words;
    } cases[] = {
        { "basic", { .basic = true, .username = S("me"), .password = S("secret:x") },
            "Authorization: Basic bWU6c2VjcmV0Ong=\n", NULL },
        { "basic, no password", { .basic = true, .username = S("me") },
            "Authorization: Basic bWU6\n", NULL },
        { "basic from a file", { .basic = true, .username = S("me"), .password_file = file },
            "Authorization: Basic bWU6czNjcmV0\n", NULL },
        { "bearer", { .auth_type = S("Bearer"), .credentials = S("token") },
            "Authorization: Bearer token\n", NULL },
        { "another type, from a file", { .auth_type = S("Token"), .credentials_file = file },
            "Authorization: Token s3cret\n", NULL },
        { "headers", { .headers = headers, .n_headers = 2 },
            "X-Plain: one\nX-Plain: two\nX-File: s3cret\n", NULL },
        { "no password file", { .basic = true, .password_file = none }, NULL,
            "unable to read basic auth password: unable to read file " },
        { "no credentials file", { .auth_type = S("Bearer"), .credentials_file = none }, NULL,
            "unable to read authorization credentials: unable to read file " },
        { "no headers file",
            { .headers = &(struct http_header){ .name = S("X"), .files = &none, .n_files = 1 },
                .n_headers = 1 },
            NULL, "unable to read headers file " },
    };
    TEST_EACH(c, cases) {
        struct scrape_config job = test_job("j");
        job.http = c->o;
        struct got g = fetch(&r, &job, "/echo");
        EXPECT_EQ(g.failed, c->want == NULL);
        if (c->want) EXPECT(has_line(g.body, c->want));
        else
            EXPECT_STR(g.words,
                arena_fmt(&r.a,
                    "Get \"http://%.*s/echo\": %s%.*s: open %.*s: no such file or directory",
                    STR_ARG(r.address), c->words, STR_ARG(none), STR_ARG(none)));
    }
    struct scrape_config job = test_job("j");                  /* a new secret counts at once */
    job.http.auth_type = S("Bearer");
    job.http.credentials_file = file;
    EXPECT_OK(fs_write_durable(fs, S("secret"), S("new"), NULL));
    EXPECT(has_line(fetch(&r, &job, "/echo").body, "Authorization: Bearer new\n"));
    fs_free(fs);
    rig_stop(&r);
}

TEST(fetch_takes_answers)
{
    static const struct {
        const char *name, *path;
        bool follow;
        uint64_t limit;
        const char *words;
        bool too_large;
        size_t n;
    } cases[] = {
        { "plain", "/page", false, 0, NULL, false, PAGE_BYTES },
        { "gzipped", "/gzip", false, 0, NULL, false, PAGE_BYTES },
        { "below the limit", "/page", false, PAGE_BYTES + 1, NULL, false, PAGE_BYTES },
        { "at the limit", "/page", false, PAGE_BYTES, "body size limit exceeded", true, 0 },
        { "above", "/page", false, 10, "body size limit exceeded", true, 0 },
        { "gzipped, below", "/gzip", false, PAGE_BYTES + 1, NULL, false, PAGE_BYTES },
        { "gzipped, at", "/gzip", false, PAGE_BYTES, "body size limit exceeded", true, 0 },
        { "gzipped, above", "/gzip", false, 2000, "body size limit exceeded", true, 0 },
        { "gzip cut short", "/cut", false, 0, "gzip: corrupt input", false, 0 },
        { "no gzip", "/garbage", false, 0, "gzip: invalid header", false, 0 },
        { "a status", "/missing", false, 0, "server returned HTTP status 404 Not Found", false, 0 },
        { "a redirect that is not followed", "/moved", false, 0,
            "server returned HTTP status 302 Found", false, 0 },
        { "one to nowhere", "/nowhere", true, 0, "server returned HTTP status 302 Found", false,
            0 },
    };
    struct rig r;
    rig_start(&r);
    TEST_EACH(c, cases) {
        struct scrape_config job = test_job("j");
        job.http.follow_redirects = c->follow;
        job.body_size_limit = c->limit;
        struct got g = fetch(&r, &job, c->path);
        EXPECT_EQ(g.failed, c->words != NULL);
        EXPECT_EQ(g.too_large, c->too_large);
        if (c->words) EXPECT_STR(g.words, str_z(c->words));
        else EXPECT_EQ(g.body.n, c->n);
    }
    struct scrape_config job = test_job("j");
    job.http.follow_redirects = true;
    EXPECT(str_has_prefix(fetch(&r, &job, "/other").body, S("GET /echo\n")));
    rig_stop(&r);
}
