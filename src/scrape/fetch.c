#include "scrape/fetch.h"

#include "base/buf_pool.h"
#include "base/compress.h"
#include "base/metric.h"
#include "base/version.h"
#include "io/fs.h"
#include "io/http_client.h"
#include "io/pool.h"

ACCOUNT(acc_bodies, "scrape_bodies")

COUNTER(m_too_large, "prometheus_target_scrapes_exceeded_body_size_limit_total", "Total number of scrapes that hit the body size limit")

enum { SECRET_MAX_BYTES = 1 << 20, CONNECTIONS_MIN = 1024 };
static const size_t BODY_MAX_BYTES = (size_t)4 << 30;          /* without body_size_limit: what a page could never be */

struct fetcher { struct http_client *client; struct pool *pool; struct buf_pool bodies; };
struct fetch {
    struct fetcher *fetcher;
    struct target *target;
    const struct scrape_config *config;
    fetch_done done;
    void *ctx;
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
    struct http_client_opts o = { .connections_max = MAX(max_targets, (size_t)CONNECTIONS_MIN), .dispatch = dispatch, .dispatch_ctx = f };
    errc rc = http_client_new(&f->client, &o, e);
    if (rc != OK) {
        buf_pool_fini(&f->bodies);
        mem_free(f);
        return rc;
    }
    *out = f;
    return OK;
}

void fetcher_free(struct fetcher *f)
{
    if (!f) return;
    http_client_free(f->client);
    buf_pool_fini(&f->bodies);
    mem_free(f);
}

/* ---- the request */

/* A secret's file, without white space at its ends; read anew for each request, so that a new secret counts at once. */
static errc read_secret(str path, struct arena *a, str *out, struct err *e)
{
    errc rc = fs_read_path(path, a, SECRET_MAX_BYTES, out, e);
    if (rc != OK) return err_in(e, rc, "unable to read file %.*s", STR_ARG(path));
    *out = str_trim(*out);
    return OK;
}

static errc value_or_file(str value, str file, struct arena *a, str *out, struct err *e)
{
    *out = value;
    return file.n ? read_secret(file, a, out, e) : OK;
}

typedef VEC(struct http_field) fields;

static errc add_auth(const struct http_options *o, struct http_request *r, fields *headers, struct arena *a, struct err *e)
{
    if (o->oauth2) return err_set(e, ERR_UNSUPPORTED, "oauth2 is not served by this version");
    if (o->basic) {
        r->basic = true;
        TRY(value_or_file(o->username, o->username_file, a, &r->username, e));
        return value_or_file(o->password, o->password_file, a, &r->password, e);
    }
    if (!o->auth_type.n) return OK;
    str credentials;
    TRY(value_or_file(o->credentials, o->credentials_file, a, &credentials, e));
    avec_push(a, headers, ((struct http_field){ S("Authorization"), arena_fmt(a, "%.*s %.*s", STR_ARG(o->auth_type), STR_ARG(credentials)) }));
    return OK;
}

static errc add_headers(const struct http_options *o, fields *headers, struct arena *a, struct err *e)
{
    for (size_t i = 0; i < o->n_headers; i++) {
        const struct http_header *h = &o->headers[i];
        for (size_t k = 0; k < h->n_values; k++) avec_push(a, headers, ((struct http_field){ h->name, h->values[k] }));
        for (size_t k = 0; k < h->n_secrets; k++) avec_push(a, headers, ((struct http_field){ h->name, h->secrets[k] }));
        for (size_t k = 0; k < h->n_files; k++) {
            str value;
            TRY(read_secret(h->files[k], a, &value, e));
            avec_push(a, headers, ((struct http_field){ h->name, value }));
        }
    }
    return OK;
}

static void add_proxy(const struct http_options *o, struct http_request *r, struct arena *a)
{
    r->proxy_url = o->proxy.url;
    r->no_proxy = o->proxy.no_proxy;
    r->proxy_from_environment = o->proxy.from_environment;
    fields headers = { 0 };
    for (size_t i = 0; i < o->proxy.n_connect_headers; i++)
        for (size_t k = 0; k < o->proxy.connect_headers[i].n_values; k++)
            avec_push(a, &headers, ((struct http_field){ o->proxy.connect_headers[i].name, o->proxy.connect_headers[i].values[k] }));
    r->proxy_headers = headers.at;
    r->n_proxy_headers = headers.n;
}

static void add_tls(const struct tls_options *o, struct http_request *r)
{
    static const enum http_tls_version versions[] = {
        [TLS_ANY] = HTTP_TLS_DEFAULT, [TLS_10] = HTTP_TLS_10, [TLS_11] = HTTP_TLS_11, [TLS_12] = HTTP_TLS_12, [TLS_13] = HTTP_TLS_13,
    };
    r->tls = (struct http_tls){
        .ca = o->ca, .cert = o->cert, .key = o->key, .ca_file = o->ca_file, .cert_file = o->cert_file, .key_file = o->key_file,
        .server_name = o->server_name, .insecure = o->insecure_skip_verify,
        .min_version = versions[o->min_version], .max_version = versions[o->max_version],
    };
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

static errc request_make(struct http_request *r, const struct target *t, const struct scrape_config *c, struct buf_pool *bodies, struct arena *a,
                         struct err *e)
{
    fields headers = { 0 };
    *r = (struct http_request){
        .url = t->url, .timeout_ms = t->timeout_ms, .follow_redirects = c->http.follow_redirects, .http2 = c->http.enable_http2,
        .max_body_bytes = c->body_size_limit ? (size_t)c->body_size_limit : BODY_MAX_BYTES, .body_padding = EXPO_PADDING, .account = &acc_bodies,
        .bodies = bodies,
    };
    avec_push(a, &headers, ((struct http_field){ S("Accept"), accept_header(c, a) }));
    avec_push(a, &headers, ((struct http_field){ S("Accept-Encoding"), c->enable_compression ? S("gzip") : S("identity") }));
    avec_push(a, &headers, ((struct http_field){ S("User-Agent"), arena_fmt(a, "Prometheus/%.*s", STR_ARG(VERSION_PROMETHEUS)) }));
    avec_push(a, &headers, ((struct http_field){ S("X-Prometheus-Scrape-Timeout-Seconds"), seconds_text(t->timeout_ms, a) }));
    TRY(add_auth(&c->http, r, &headers, a, e));
    TRY(add_headers(&c->http, &headers, a, e));
    r->unix_socket = t->unix_socket;
    add_tls(&c->http.tls, r);
    add_proxy(&c->http, r, a);
    r->headers = headers.at;
    r->n_headers = headers.n;
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
    struct buf whole = buf_pool_take(bodies, MIN(limit, compress_unpack_hint(COMPRESS_GZIP, buf_view(&out->body))) + EXPO_PADDING);
    errc rc = compress_unpack(&whole, COMPRESS_GZIP, buf_view(&out->body), limit, &out->e);
    uint8_t *padding = rc == OK ? buf_room(&whole, EXPO_PADDING) : NULL;
    if (padding) memset(padding, 0, EXPO_PADDING);
    buf_pool_give(bodies, &out->body);
    out->body = whole;
    out->failed = rc != OK;
    if (rc == ERR_LIMIT) too_large(out);
}

static void response_take(struct fetch_result *out, struct http_response *r, const struct scrape_config *c, struct buf_pool *bodies)
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
        err_set(&out->e, ERR_IO, "server returned HTTP status %d %.*s", r->status, STR_ARG(r->reason));
        return;
    }
    out->content_type = http_header(r, S("Content-Type"));
    out->body = r->body;
    r->body = (struct buf){ 0 };
    if (str_eq(http_header(r, S("Content-Encoding")), S("gzip"))) unpack(out, c, bodies);
    if (!out->failed && c->body_size_limit && out->body.n >= c->body_size_limit) too_large(out);
}

static void fetch_answered(void *ctx, struct http_response *r)
{
    struct fetch *f = ctx;
    struct fetch_result out = { .failed = false };
    response_take(&out, r, f->config, &f->fetcher->bodies);
    f->done(f->ctx, &out);
    buf_pool_give(&f->fetcher->bodies, &out.body);
    mem_free(f);
}

static void fetch_refused(struct fetch *f, const struct err *why)
{
    struct fetch_result out = { .failed = true, .e = *why };
    f->done(f->ctx, &out);
    mem_free(f);
}

void fetch_start(struct fetcher *f, struct target *t, fetch_done done, void *ctx)
{
    struct fetch *one = NEW(struct fetch);
    *one = (struct fetch){ .fetcher = f, .target = t, .config = t->config, .done = done, .ctx = ctx };
    struct arena a;
    arena_init(&a, NULL, 0);
    struct http_request r;
    struct err e = { 0 };
    if (request_make(&r, t, t->config, &f->bodies, &a, &e) == OK) http_send(f->client, &r, fetch_answered, one);
    else fetch_refused(one, &e);
    arena_fini(&a);
}
