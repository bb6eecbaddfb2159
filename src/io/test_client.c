#include "io/test_client.h"

#include "base/lock.h"
#include "base/mem.h"
#include "io/http_client.h"

enum { WAIT_MS = 20000 };

/* One lock for all waits: a lock within a wait would end while the other thread is still letting it
 * go. */
struct test_client { struct http_client *client; struct mtx mu; struct cond came; };

struct test_client *test_client_new(void)
{
    struct test_client *c = NEW(struct test_client);
    mtx_init(&c->mu, LOCK_LEAF);
    cond_init(&c->came);
    struct http_client_opts o = { .connections_max = 64 };
    errc rc = http_client_new(&c->client, &o, NULL);
    assert(rc == OK);
    (void)rc;
    return c;
}

void test_client_free(struct test_client *c)
{
    if (!c) return;
    http_client_free(c->client);
    cond_fini(&c->came);
    mtx_fini(&c->mu);
    mem_free(c);
}

struct wait { struct test_client *c; bool done; struct arena *a; struct test_answer answer; };

static void wait_done(void *ctx, struct http_response *r)
{
    struct wait *w = ctx;
    struct test_client *c = w->c;
    mtx_lock(&c->mu);
    w->answer.rc = r->rc;
    w->answer.status = r->status;
    w->answer.body = arena_str(w->a, buf_view(&r->body));
    w->answer.headers = arena_array(w->a, r->n_headers + 1, sizeof(*w->answer.headers));
    for (size_t i = 0; i < r->n_headers; i++)
        w->answer.headers[i] = (struct test_pair){ arena_str(w->a, r->headers[i].name),
            arena_str(w->a, r->headers[i].value) };
    w->answer.n_headers = r->n_headers;
    w->done = true;
    cond_broadcast(&c->came);
    mtx_unlock(&c->mu);
}

struct test_answer test_client_ask(struct test_client *c, struct arena *a, str method, str url,
    const struct test_pair *headers, size_t n_headers, str body, int64_t timeout_ms)
{
    struct http_field *fields = arena_array(a, n_headers + 1, sizeof(*fields));
    for (size_t i = 0; i < n_headers; i++)
        fields[i] = (struct http_field){ headers[i].name, headers[i].value };
    struct http_request r = { .method = method,
        .url = url,
        .headers = fields,
        .n_headers = n_headers,
        .body = body,
        .timeout_ms = timeout_ms ? timeout_ms : WAIT_MS };
    struct wait w = { .c = c, .a = a };
    http_send(c->client, &r, wait_done, &w);
    mtx_lock(&c->mu);
    while (!w.done) cond_wait(&c->came, &c->mu);
    mtx_unlock(&c->mu);
    return w.answer;
}

str test_answer_header(const struct test_answer *r, str name)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (str_eq_nocase(r->headers[i].name, name)) return r->headers[i].value;
    return STR_EMPTY;
}

struct test_reader {
    struct http_client *client;
    struct mtx mu;
    struct cond changed;
    bool takes, leaves, done;          /* GUARDED_BY(mu) */
    size_t got;                        /* GUARDED_BY(mu) */
};

static size_t reader_part(
    void *ctx, const struct http_response *so_far, const uint8_t *p, size_t n)
{
    struct test_reader *r = ctx;
    (void)so_far, (void)p;
    mtx_lock(&r->mu);
    while (!r->takes && !r->leaves) cond_wait(&r->changed, &r->mu);
    r->got += n;
    mtx_unlock(&r->mu);
    return n;
}

static void reader_done(void *ctx, struct http_response *resp)
{
    struct test_reader *r = ctx;
    mtx_lock(&r->mu);
    r->got += resp->body.n;
    r->done = true;
    cond_broadcast(&r->changed);
    mtx_unlock(&r->mu);
}

struct test_reader *test_reader_new(str url)
{
    struct test_reader *r = NEW(struct test_reader);
    struct http_client_opts o = { .connections_max = 1 };
    struct http_request q = {
        .method = S("GET"), .url = url, .timeout_ms = WAIT_MS, .on_part = reader_part
    };
    mtx_init(&r->mu, LOCK_LEAF);
    cond_init(&r->changed);
    errc rc = http_client_new(&r->client, &o, NULL);
    assert(rc == OK);
    (void)rc;
    http_send(r->client, &q, reader_done, r);
    return r;
}

size_t test_reader_rest(struct test_reader *r)
{
    mtx_lock(&r->mu);
    r->takes = true;
    cond_broadcast(&r->changed);
    while (!r->done) cond_wait(&r->changed, &r->mu);
    size_t got = r->got;
    mtx_unlock(&r->mu);
    return got;
}

void test_reader_free(struct test_reader *r)
{
    if (!r) return;
    mtx_lock(&r->mu);
    r->leaves = true;
    cond_broadcast(&r->changed);
    mtx_unlock(&r->mu);
    http_client_free(r->client);
    cond_fini(&r->changed);
    mtx_fini(&r->mu);
    mem_free(r);
}
