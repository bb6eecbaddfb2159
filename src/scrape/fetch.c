#include "scrape/fetch.h"

#include "base/buf_pool.h"
#include "base/compress.h"
#include "base/lock.h"
#include "base/metric.h"
#include "base/version.h"
#include "io/fs.h"
#include "io/http_client.h"
#include "io/pool.h"

ACCOUNT(acc_bodies, "scrape_bodies")

COUNTER(m_too_large, "prometheus_target_scrapes_exceeded_body_size_limit_total",
    "Total number of scrapes that hit the body size limit")

enum { SECRET_MAX_BYTES = 1 << 20, CONNECTIONS_MIN = 1024 };
/* without body_size_limit: what a page could never be */
static const size_t BODY_MAX_BYTES = (size_t)4 << 30;

struct fetcher {
    struct http_client *client;
    struct pool *pool;
    struct buf_pool bodies;
    /* LOCK_LEAF; guards queued: requests that wait on the pool to be made */
    struct mtx mu;
    struct cond idle;
    size_t queued;
};
struct fetch {
    struct fetcher *fetcher;
    struct target *target;
    const struct scrape_config *config;
    fetch_done done;
    void *ctx;
    struct line_ahead ahead;           /* read by the client's thread while the page comes */
    struct buf values;                 /* its room */
    bool ahead_asked, ahead_on;
};

static bool dispatch(void *ctx, void (*run)(void *arg), void *arg)
{
    struct fetcher *f = ctx;
    return pool_submit(f->pool, run, arg);
}

errc fetcher_new(struct fetcher **out, struct pool *pool, size_t max_targets, struct err *e)
{
    struct fetcher *f = NEW(struct fetcher);
    f->pool = pool;
    buf_pool_init(&f->bodies, &acc_bodies);
    mtx_init(&f->mu, LOCK_LEAF);
    cond_init(&f->idle);
    struct http_client_opts o = { .connections_max = MAX(max_targets, (size_t)CONNECTIONS_MIN),
        .dispatch = dispatch,
        .dispatch_ctx = f };
    errc rc = http_client_new(&f->client, &o, e);
    if (rc != OK) {
        fetcher_free(f);
        return rc;
    }
    *out = f;
    return OK;
}

void fetcher_free(struct fetcher *f)
{
    if (!f) return;
    mtx_lock(&f->mu);
    while (f->queued) cond_wait(&f->idle, &f->mu);
    mtx_unlock(&f->mu);
    http_client_free(f->client);
    buf_pool_fini(&f->bodies);
    cond_fini(&f->idle);
    mtx_fini(&f->mu);
    mem_free(f);
}

/* ---- the request */

/* A secret's file, without white space at its ends; read anew for each request, so that a new
 * secret counts at once. */
static errc read_secret(str path, const char *what, struct arena *a, str *out, struct err *e)
{
    errc rc = fs_read_path(path, a, SECRET_MAX_BYTES, out, e);
    if (rc != OK) return err_in(e, rc, "%s%.*s", what, STR_ARG(path));
    *out = str_trim(*out);
    return OK;
}

static errc value_or_file(
    str value, str file, const char *what, struct arena *a, str *out, struct err *e)
{
    *out = value;
    if (!file.n) return OK;
    TRY_IN(e, read_secret(file, "unable to read file ", a, out, e), "unable to read %s", what);
    return OK;
}

typedef VEC(struct http_field) fields;

static errc add_auth(const struct http_options *o, struct http_request *r, fields *headers,
    struct arena *a, struct err *e)
{
    if (o->oauth2) return err_set(e, ERR_UNSUPPORTED, "oauth2 is not served by this version");
    if (o->basic) {
        r->basic = true;
        TRY(value_or_file(
            o->username, o->username_file, "basic auth username", a, &r->username, e));
        return value_or_file(
            o->password, o->password_file, "basic auth password", a, &r->password, e);
    }
    if (!o->auth_type.n) return OK;
    str credentials;
    TRY(value_or_file(
        o->credentials, o->credentials_file, "authorization credentials", a, &credentials, e));
    avec_push(a, headers,
        ((struct http_field){ S("Authorization"),
            arena_fmt(a, "%.*s %.*s", STR_ARG(o->auth_type), STR_ARG(credentials)) }));
    return OK;
}

static errc add_headers(
    const struct http_options *o, fields *headers, struct arena *a, struct err *e)
{
    for (size_t i = 0; i < o->n_headers; i++) {
        const struct http_header *h = &o->headers[i];
        for (size_t k = 0; k < h->n_values; k++)
            avec_push(a, headers, ((struct http_field){ h->name, h->values[k] }));
        for (size_t k = 0; k < h->n_secrets; k++)
            avec_push(a, headers, ((struct http_field){ h->name, h->secrets[k] }));
        for (size_t k = 0; k < h->n_files; k++) {
            str value;
            TRY(read_secret(h->files[k], "unable to read headers file ", a, &value, e));
            avec_push(a, headers, ((struct http_field){ h->name, value }));
        }
    }
    return OK;
}

/* Does a request need files to be made? */
static bool has_files(const struct http_options *o)
{
    bool has = o->username_file.n || o->password_file.n || o->credentials_file.n;
    for (size_t i = 0; i < o->n_headers && !has; i++) has = o->headers[i].n_files > 0;
    return has;
}

static void add_proxy(const struct http_options *o, struct http_request *r, struct arena *a)
{
    r->proxy_url = o->proxy.url;
    r->no_proxy = o->proxy.no_proxy;
    r->proxy_from_environment = o->proxy.from_environment;
    fields headers = { 0 };
    for (size_t i = 0; i < o->proxy.n_connect_headers; i++) {
        const struct http_header *h = &o->proxy.connect_headers[i];
        for (size_t k = 0; k < h->n_secrets; k++)
            avec_push(a, &headers, ((struct http_field){ h->name, h->secrets[k] }));
    }
    r->proxy_headers = headers.at;
    r->n_proxy_headers = headers.n;
}

static void add_tls(const struct tls_options *o, struct http_request *r)
{
    static const enum http_tls_version versions[] = {
        [TLS_ANY] = HTTP_TLS_DEFAULT,
        [TLS_10] = HTTP_TLS_10,
        [TLS_11] = HTTP_TLS_11,
        [TLS_12] = HTTP_TLS_12,
        [TLS_13] = HTTP_TLS_13,
    };
    r->tls = (struct http_tls){
        .ca = o->ca,
        .cert = o->cert,
        .key = o->key,
        .ca_file = o->ca_file,
        .cert_file = o->cert_file,
        .key_file = o->key_file,
        .server_name = o->server_name,
        .insecure = o->insecure_skip_verify,
        .min_version = versions[o->min_version],
        .max_version = versions[o->max_version],
    };
}

errc fetch_put_options(
    struct http_request *r, const struct http_options *o, struct arena *a, struct err *e)
{
    fields headers = { 0 };
    for (size_t i = 0; i < r->n_headers; i++) avec_push(a, &headers, r->headers[i]);
    TRY(add_auth(o, r, &headers, a, e));
    TRY(add_headers(o, &headers, a, e));
    add_tls(&o->tls, r);
    add_proxy(o, r, a);
    r->follow_redirects = o->follow_redirects;
    r->http2 = o->enable_http2;
    r->headers = headers.at;
    r->n_headers = headers.n;
    return OK;
}

static str accept_header(const struct scrape_config *c, struct arena *a)
{
    struct buf b = { 0 };
    buf_accept_header(&b, c->protocols, c->n_protocols, c->escaping);
    str s = arena_str(a, buf_view(&b));
    buf_fini(&b);
    return s;
}

static str seconds_text(int64_t ms, struct arena *a)
{
    struct buf b = { 0 };
    buf_f64_f(&b, (double)ms / 1000);
    str s = arena_str(a, buf_view(&b));
    buf_fini(&b);
    return s;
}

/* A plain page of the text format after one that was taken is read while it comes: most of its
 * lines stand where they stood, and then neither the page is written to memory nor read from there.
 * A series that was collected since has to be found by its text: so only when the page before
 * cannot be so old. */
static bool may_read_ahead(const struct fetch *f, const struct http_response *r)
{
    const struct scrape_config *c = f->config;
    enum { YOUNG_MS = 10 * 60 * 1000 };
    enum expo_format format;
    bool warn;
    str fallback = c->has_fallback ? scrape_protocol_media_type(c->fallback) : STR_EMPTY;
    return f->target->interval_ms <= YOUNG_MS && !c->sample_limit &&
           !http_header(r, S("Content-Encoding")).n && line_cache_may_ahead(f->target->cache) &&
           expo_format_of(http_header(r, S("Content-Type")), fallback, &format, &warn, NULL) ==
               OK &&
           format == EXPO_TEXT;
}

static void ahead_ask(struct fetch *f, const struct http_response *so_far)
{
    f->ahead_asked = true;
    f->ahead_on = may_read_ahead(f, so_far);
    if (!f->ahead_on) return;
    size_t lines = line_cache_count(f->target->cache);
    f->values = buf_pool_take(&f->fetcher->bodies, lines * sizeof(*f->ahead.value));
    f->ahead.value = (double *)(void *)buf_room(&f->values, lines * sizeof(*f->ahead.value));
}

/* The target's cache is this scrape's alone until the scrape is done. */
static size_t on_part(void *ctx, const struct http_response *so_far, const uint8_t *p, size_t n)
{
    struct fetch *f = ctx;
    if (!f->ahead_asked) ahead_ask(f, so_far);
    if (!f->ahead_on) return HTTP_PART_END;
    size_t used = line_cache_ahead(f->target->cache, &f->ahead, p, n);
    f->ahead_on = !f->ahead.over;
    /* over: what is used is said first, the end with the next part */
    return used || f->ahead_on ? used : HTTP_PART_END;
}

/* What no request can be made of: told in the words of Go's net/url and net. */
static errc check_url(str url, struct err *e)
{
    enum { PORT_MAX = 65535 };
    str scheme, rest, host, path;
    if (str_has_prefix(url, S("//")))
        return err_set(
            e, ERR_BAD_INPUT, "Get \"%.*s\": unsupported protocol scheme \"\"", STR_ARG(url));
    if (!str_cut(url, ':', &scheme, &rest)) return OK;
    rest = str_from(rest, MIN(rest.n, (size_t)2));
    (void)str_cut(rest, '/', &host, &path);
    size_t escape = host.n && host.p[0] == '[' ? SIZE_MAX : str_index(host, '%');
    if (escape < host.n - MIN(host.n, (size_t)2) && host.p[escape + 1] < '8')
        return err_set(e, ERR_BAD_INPUT, "parse \"%.*s\": invalid URL escape \"%.*s\"",
            STR_ARG(url), STR_ARG(str_slice(host, escape, escape + 3)));
    size_t colon = host.n;
    while (colon && host.p[colon - 1] != ':' && host.p[colon - 1] != ']') colon--;
    if (!colon || host.p[colon - 1] == ']') return OK;
    str port = str_from(host, colon);
    uint64_t number = 0;
    for (size_t i = 0; i < port.n; i++)
        if (port.p[i] < '0' || port.p[i] > '9')
            return err_set(e, ERR_BAD_INPUT,
                "parse \"%.*s\": invalid port \":%.*s\" after host", STR_ARG(url),
                STR_ARG(port));
    if (port.n && (!str_u64(port, &number) || number > PORT_MAX))
        return err_set(e, ERR_BAD_INPUT, "Get \"%.*s\": dial tcp: address %.*s: invalid port",
            STR_ARG(url), STR_ARG(port));
    return OK;
}

static errc request_make(struct http_request *r, const struct target *t,
    const struct scrape_config *c, struct buf_pool *bodies, struct arena *a, struct err *e)
{
    fields headers = { 0 };
    TRY(check_url(t->url, e));
    *r = (struct http_request){
        .dialer = c->job_name,
        .url = t->url,
        .timeout_ms = t->timeout_ms,
        .max_body_bytes = c->body_size_limit ? (size_t)c->body_size_limit : BODY_MAX_BYTES,
        .body_padding = EXPO_PADDING,
        .account = &acc_bodies,
        .bodies = bodies,
        .on_part = on_part,
        .expect_bytes = t->body_bytes,
    };
    avec_push(a, &headers, ((struct http_field){ S("Accept"), accept_header(c, a) }));
    avec_push(a, &headers,
        ((struct http_field){
            S("Accept-Encoding"), c->enable_compression ? S("gzip") : S("identity") }));
    avec_push(a, &headers,
        ((struct http_field){
            S("User-Agent"), arena_fmt(a, "Prometheus/%.*s", STR_ARG(VERSION_PROMETHEUS)) }));
    avec_push(a, &headers,
        ((struct http_field){
            S("X-Prometheus-Scrape-Timeout-Seconds"), seconds_text(t->timeout_ms, a) }));
    r->headers = headers.at;
    r->n_headers = headers.n;
    r->unix_socket = t->unix_socket;
    TRY_IN(e, fetch_put_options(r, &c->http, a, e), "Get \"%.*s\"", STR_ARG(t->url));
    return OK;
}

/* ---- the answer */

static void too_large(struct fetch_result *out)
{
    metric_inc(&m_too_large);
    out->failed = out->too_large = true;
    err_set(&out->e, ERR_LIMIT, "body size limit exceeded");
}

/* Unpacks the body whole; libraries that unpack as bytes arrive cost five times as much. */
static void unpack(struct fetch_result *out, const struct scrape_config *c, struct buf_pool *bodies)
{
    size_t limit = c->body_size_limit ? (size_t)c->body_size_limit : BODY_MAX_BYTES;
    struct buf whole = buf_pool_take(bodies,
        MIN(limit, compress_unpack_hint(COMPRESS_GZIP, buf_view(&out->body))) + EXPO_PADDING);
    errc rc = compress_unpack(&whole, COMPRESS_GZIP, buf_view(&out->body), limit, &out->e);
    uint8_t *padding = rc == OK ? buf_room(&whole, EXPO_PADDING) : NULL;
    if (padding) memset(padding, 0, EXPO_PADDING);
    buf_pool_give(bodies, &out->body);
    out->body = whole;
    out->failed = rc != OK;
    if (rc == ERR_LIMIT) too_large(out);
}

static void response_take(struct fetch_result *out, struct http_response *r,
    const struct scrape_config *c, struct buf_pool *bodies)
{
    if (r->rc == ERR_LIMIT) {
        too_large(out);
        return;
    }
    if (r->rc != OK) {
        out->failed = true;
        out->e = r->err;
        return;
    }
    if (r->status != 200) {
        out->failed = true;
        err_set(
            &out->e, ERR_IO, "server returned HTTP status %d%s%.*s", r->status,
            r->bare_status && !r->reason.n ? "" : " ", STR_ARG(r->reason));
        return;
    }
    out->content_type = http_header(r, S("Content-Type"));
    out->body = r->body;
    out->taken = r->taken;
    r->body = (struct buf){ 0 };
    if (str_eq(http_header(r, S("Content-Encoding")), S("gzip"))) unpack(out, c, bodies);
    if (!out->failed && c->body_size_limit && out->taken + out->body.n >= c->body_size_limit)
        too_large(out);
}

static void fetch_answered(void *ctx, struct http_response *r)
{
    struct fetch *f = ctx;
    struct fetch_result out = { .failed = false };
    f->target->body_bytes = r->taken + r->body.n;
    response_take(&out, r, f->config, &f->fetcher->bodies);
    if (out.taken) out.ahead = &f->ahead;
    f->done(f->ctx, &out);
    buf_pool_give(&f->fetcher->bodies, &out.body);
    buf_pool_give(&f->fetcher->bodies, &f->values);
    mem_free(f);
}

static void fetch_refused(struct fetch *f, const struct err *why)
{
    struct fetch_result out = { .failed = true, .e = *why };
    f->done(f->ctx, &out);
    mem_free(f);
}

static void fetch_send(void *arg)
{
    struct fetch *one = arg;
    struct arena a;
    arena_init(&a, NULL, 0);
    struct http_request r;
    struct err e = { 0 };
    if (request_make(&r, one->target, one->config, &one->fetcher->bodies, &a, &e) == OK)
        http_send(one->fetcher->client, &r, fetch_answered, one);
    else fetch_refused(one, &e);
    arena_fini(&a);
}

static void queued_add(struct fetcher *f, int n)
{
    mtx_lock(&f->mu);
    f->queued = (size_t)((int64_t)f->queued + n);
    /* under the lock: after it, f may be gone */
    if (!f->queued) cond_broadcast(&f->idle);
    mtx_unlock(&f->mu);
}

static void fetch_send_queued(void *arg)
{
    struct fetcher *f = ((struct fetch *)arg)->fetcher;
    fetch_send(arg);
    queued_add(f, -1);
}

void fetch_start(
    struct fetcher *f, struct target *t, bool ahead, fetch_done done, void *ctx)
{
    struct fetch *one = NEW(struct fetch);
    *one = (struct fetch){ .fetcher = f,
        .target = t,
        .config = t->config,
        .ahead_asked = !ahead,
        .done = done,
        .ctx = ctx };
    /* who calls does not wait for files */
    if (has_files(&t->config->http)) {
        queued_add(f, 1);
        if (pool_submit(f->pool, fetch_send_queued, one)) return;
        queued_add(f, -1);
    }
    fetch_send(one);
}
