#include "bucket/caller.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/prng.h"
#include "base/rfc3339.h"
#include "base/vec.h"
#include "io/http_client.h"

#include <stdio.h>

enum {
    ATTEMPTS = 10,
    BACKOFF_MS = 200,
    BACKOFF_MAX_MS = 10000,
    ANSWER_MS = 120000,
    CONNECTIONS = 100,
    MS_PER_MIB = 8192 /* the slowest that a long body may be moved */
};

COUNTER_VEC(m_requests, "epimetheus_bucket_requests_total",
    "Requests to object stores, by method and status (0: no answer came).", "kind", "method",
    "status")
COUNTER_VEC(m_retries, "epimetheus_bucket_retries_total",
    "Requests to object stores that were made once more.", "kind")
COUNTER_VEC(m_sent, "epimetheus_bucket_sent_bytes_total", "Bodies sent to object stores.", "kind")
COUNTER_VEC(m_received, "epimetheus_bucket_received_bytes_total",
    "Bodies received of object stores.", "kind")

struct caller {
    struct http_client *client;
    struct bucket_http_config o; /* texts are copied into arena */
    struct arena arena;
    str kind;
    struct metric *retries, *sent, *received;
    struct mtx mu;         /* LOCK_LEAF */
    struct cond changed;   /* it is to stop */
    bool stopped;          /* GUARDED_BY(mu) */
    VEC(uint64_t) running; /* GUARDED_BY(mu): to be cancelled by caller_stop */
    struct prng chance;    /* GUARDED_BY(mu) */
};

errc caller_new(struct caller **out, const struct bucket_http_config *o, str kind, struct err *e)
{
    struct caller *c = NEW(struct caller);
    c->o = *o;
    str *texts[] = { &c->o.tls.ca_file, &c->o.tls.cert_file, &c->o.tls.key_file,
        &c->o.tls.server_name, &c->o.tls.ca, &c->o.tls.cert, &c->o.tls.key };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) *texts[i] = arena_str(&c->arena, *texts[i]);
    if (!c->o.answer_timeout_ms) c->o.answer_timeout_ms = ANSWER_MS;
    if (!c->o.connections_max) c->o.connections_max = CONNECTIONS;
    if (!c->o.attempts_max) c->o.attempts_max = ATTEMPTS;
    if (!c->o.backoff_ms) c->o.backoff_ms = BACKOFF_MS;
    c->kind = arena_str(&c->arena, kind);
    c->retries = METRIC_WITH(&m_retries, c->kind);
    c->sent = METRIC_WITH(&m_sent, c->kind);
    c->received = METRIC_WITH(&m_received, c->kind);
    prng_secret(&c->chance, sizeof(c->chance));
    mtx_init(&c->mu, LOCK_LEAF);
    cond_init(&c->changed);
    struct http_client_opts ho = { .connections_max = c->o.connections_max };
    errc rc = http_client_new(&c->client, &ho, e);
    if (rc == OK) *out = c;
    else caller_free(c);
    return rc;
}

void caller_free(struct caller *c)
{
    if (!c) return;
    http_client_free(c->client);
    vec_fini(&c->running);
    cond_fini(&c->changed);
    mtx_fini(&c->mu);
    arena_fini(&c->arena);
    mem_free(c);
}

void caller_stop(struct caller *c)
{
    mtx_lock(&c->mu);
    c->stopped = true;
    cond_broadcast(&c->changed);
    VEC(uint64_t) ids = { 0 };
    for (size_t i = 0; i < c->running.n; i++) vec_push(&ids, c->running.at[i]);
    mtx_unlock(&c->mu);
    for (size_t i = 0; i < ids.n; i++) http_cancel(c->client, ids.at[i]);
    vec_fini(&ids);
}

str reply_header(const struct reply *r, str name)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (str_eq_nocase(r->headers[i].name, name)) return r->headers[i].value;
    return STR_EMPTY;
}

str reply_words(str told, struct arena *a)
{
    uint8_t *p = arena_alloc(a, told.n + 1);
    for (size_t i = 0; i < told.n; i++)
        p[i] = told.p[i] < ' ' || told.p[i] == 0x7f ? ' ' : told.p[i];
    return str_of(p, told.n);
}

/* "Fri, 02 Jan 2026 15:04:05 GMT" */
bool reply_modified(const struct reply *r, int64_t *ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    enum { LENGTH = 29 };
    char text[64];
    str s = reply_header(r, S("Last-Modified"));
    if (s.n != LENGTH || !str_has_suffix(s, S(" GMT"))) return false;
    size_t at = str_find(str_z(months), str_slice(s, 8, 11));
    if (at == SIZE_MAX || at % 3) return false;
    snprintf(text, sizeof(text), "%.4s-%02zu-%.2sT%.8sZ", (const char *)s.p + 12, at / 3 + 1,
        (const char *)s.p + 5, (const char *)s.p + 17);
    return rfc3339_parse(str_z(text), ms);
}

bool reply_may_pass(int status)
{
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
           status == 504;
}

/* ---- one attempt */

struct attempt {
    struct caller *c;
    struct arena *a;
    struct reply *r;
    struct cond came;
    bool done;  /* GUARDED_BY(c->mu) */
    bool lasts; /* as http_response has it */
    errc rc;
    struct err err;
};

static void on_answer(void *ctx, struct http_response *h)
{
    struct attempt *t = ctx;
    struct caller *c = t->c;
    struct http_field *fields = arena_array(t->a, h->n_headers + 1, sizeof(*fields));
    for (size_t i = 0; i < h->n_headers; i++)
        fields[i] = (struct http_field){ arena_str(t->a, h->headers[i].name),
            arena_str(t->a, h->headers[i].value) };
    t->r->status = h->status;
    t->r->headers = fields;
    t->r->n_headers = h->n_headers;
    t->r->body = h->body;
    t->r->got = h->taken + h->body.n;
    h->body = (struct buf){ 0 };
    t->rc = h->rc;
    t->err = h->err;
    t->lasts = h->lasts;
    mtx_lock(&c->mu);
    t->done = true;
    cond_broadcast(&t->came); /* under the lock: after it, t may be gone */
    mtx_unlock(&c->mu);
}

/* False: it was stopped before it began. */
static bool attempt_run(struct attempt *t, const struct http_request *q)
{
    struct caller *c = t->c;
    mtx_lock(&c->mu);
    bool stopped = c->stopped;
    mtx_unlock(&c->mu);
    if (stopped) return false;
    uint64_t id = http_send(c->client, q, on_answer, t);
    mtx_lock(&c->mu);
    vec_push(&c->running, id);
    stopped = c->stopped;
    mtx_unlock(&c->mu);
    if (stopped) http_cancel(c->client, id); /* it came between */
    mtx_lock(&c->mu);
    while (!t->done) cond_wait(&t->came, &c->mu);
    for (size_t i = 0; i < c->running.n; i++)
        if (c->running.at[i] == id) c->running.at[i--] = vec_pop(&c->running);
    mtx_unlock(&c->mu);
    return true;
}

static void count(struct caller *c, const struct call *q, const struct reply *r, struct arena *a)
{
    str status = arena_fmt(a, "%d", r->status);
    metric_add_to(METRIC_WITH(&m_requests, c->kind, q->method, status), 1);
    metric_add_to(c->sent, (double)q->body.n);
    metric_add_to(c->received, (double)r->got);
}

static errc attempt_make(struct caller *c, const struct call *q, struct arena *a, struct reply *r,
    bool *again, struct err *e)
{
    struct call_fields f = q->fields;
    if (q->sign) TRY(q->sign(q->sign_ctx, q, &f, a, e));
    struct http_request h = { .method = q->method,
        .url = q->url,
        .body = q->body,
        .headers = f.at,
        .n_headers = f.n,
        .tls = c->o.tls,
        .proxy_from_environment = true,
        .max_body_bytes = q->body_max,
        .expect_bytes = spans_bytes(q->into),
        .into = q->into,
        .stall_ms = c->o.answer_timeout_ms,
        .timeout_ms =
            c->o.answer_timeout_ms + (int64_t)((q->body.n + q->body_max) >> 20) * MS_PER_MIB };
    struct attempt t = { .c = c, .a = a, .r = r };
    cond_init(&t.came);
    bool ran = attempt_run(&t, &h);
    cond_fini(&t.came);
    if (!ran) return err_set(e, ERR_CANCELED, "it is being stopped");
    count(c, q, r, a);
    bool long_words = t.rc == ERR_LIMIT && r->status >= 300;
    if (t.rc == OK || long_words) return q->judge(q->judge_ctx, r, again, e);
    *again = !t.lasts && (t.rc == ERR_IO || t.rc == ERR_TIMEOUT || t.rc == ERR_LIMIT);
    if (t.rc == ERR_LIMIT)
        return err_set(e, ERR_CORRUPT, "the answer cannot be right: it is too long");
    return err_set(e, t.rc, "%s", t.err.msg);
}

/* False: it is to stop. */
static bool pause_before(struct caller *c, unsigned attempt)
{
    int64_t ms = c->o.backoff_ms;
    for (unsigned i = 1; i < attempt && ms < BACKOFF_MAX_MS; i++) ms *= 2;
    ms = MIN(ms, (int64_t)BACKOFF_MAX_MS);
    mtx_lock(&c->mu);
    ms = ms / 2 + (int64_t)prng_below(&c->chance, (uint64_t)ms / 2 + 1);
    int64_t until = clock_mono_ns() + ms * 1000000;
    while (!c->stopped && cond_wait_until(&c->changed, &c->mu, until)) continue;
    bool go_on = !c->stopped;
    mtx_unlock(&c->mu);
    return go_on;
}

errc caller_ask(
    struct caller *c, const struct call *q, struct arena *a, struct reply *r, struct err *e)
{
    struct arena_mark begin = arena_mark(a);
    for (unsigned i = 1;; i++) {
        bool again = false;
        struct err why = { 0 };
        *r = (struct reply){ 0 };
        errc rc = attempt_make(c, q, a, r, &again, &why);
        if (rc == OK) return OK;
        if (!again || i >= c->o.attempts_max)
            return i == 1 ? err_set(e, rc, "%s", why.msg)
                          : err_set(e, rc, "%s (asked %u times)", why.msg, i);
        LOG(DEBUG, "a request to an object store is made again", kv_str("method", q->method),
            kv_str("url", q->url), kv_u64("attempt", i), kv_err(&why));
        metric_add_to(c->retries, 1);
        buf_fini(&r->body);
        arena_reset(a, begin);
        if (!pause_before(c, i)) return err_set(e, ERR_CANCELED, "it is being stopped");
    }
}
