#include "cmd/epitool/server_api.h"

#include "base/lock.h"
#include "base/mem.h"
#include "io/http_client.h"
#include "scrape/fetch.h"

#include <stdio.h>

enum { TIMEOUT_MS = 2 * 60 * 1000, ANSWER_MAX = 1 << 30 };

struct server_api {
    struct arena arena;
    str url;                           /* without a slash at its end */
    bool has_host;
    const struct http_options *how;    /* NULL: as always */
    struct http_field *headers;
    size_t n_headers;
    struct http_client *client;
    struct mtx mu;                     /* LOCK_LEAF */
    struct cond came;
    bool done;                         /* GUARDED_BY(mu) */
    int status;
    errc rc;
    struct err e;
    struct buf body;
};

errc server_api_open(struct server_api **out, str url, const struct http_options *how,
    const struct server_header *headers, size_t n_headers, struct err *e)
{
    struct server_api *s = NEW(struct server_api);
    arena_init(&s->arena, NULL, 0);
    mtx_init(&s->mu, LOCK_LEAF);
    cond_init(&s->came);
    s->url = str_find(url, S("://")) == SIZE_MAX
                 ? arena_fmt(&s->arena, "http://%.*s", STR_ARG(url))
                 : arena_str(&s->arena, url);
    size_t host = str_find(s->url, S("://")) + strlen("://");
    while (s->url.n > host && str_has_suffix(s->url, S("/"))) s->url.n--;
    s->has_host = s->url.n > host && s->url.p[host] != '/';
    s->headers = arena_array(&s->arena, n_headers + 1, sizeof(*s->headers));
    for (size_t i = 0; i < n_headers; i++)
        s->headers[i] = (struct http_field){ headers[i].name, headers[i].value };
    s->n_headers = n_headers;
    s->how = how;
    errc rc = http_client_new(&s->client, &(struct http_client_opts){ .connections_max = 1 }, e);
    if (rc != OK) server_api_close(STEAL(s));
    *out = s;
    return rc;
}

void server_api_close(struct server_api *s)
{
    if (!s) return;
    http_client_free(s->client);
    buf_fini(&s->body);
    cond_fini(&s->came);
    mtx_fini(&s->mu);
    arena_fini(&s->arena);
    mem_free(s);
}

void form_put(struct buf *form, str name, str value)
{
    static const char hex[] = "0123456789ABCDEF";
    if (form->n) buf_u8(form, '&');
    buf_str(form, name);
    buf_u8(form, '=');
    for (size_t i = 0; i < value.n; i++) {
        uint8_t c = value.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            buf_u8(form, c);
        } else {
            buf_u8(form, '%');
            buf_u8(form, (uint8_t)hex[c >> 4]);
            buf_u8(form, (uint8_t)hex[c & 15]);
        }
    }
}

static void answered(void *ctx, struct http_response *r)
{
    struct server_api *s = ctx;
    mtx_lock(&s->mu);
    s->rc = r->rc;
    s->e = r->err;
    s->status = r->status;
    buf_reset(&s->body);
    buf_str(&s->body, buf_view(&r->body));
    s->done = true;
    cond_signal(&s->came);
    mtx_unlock(&s->mu);
}

static errc answer_read(struct server_api *s, json_t **data, struct err *e)
{
    if (s->rc != OK) {
        *e = s->e;
        return s->rc == ERR_BAD_INPUT ? ERR_UNAVAILABLE : s->rc;
    }
    json_error_t why = { 0 };
    json_t *all = json_loadb((const char *)s->body.p, s->body.n, JSON_ALLOW_NUL, &why);
    const char *status = json_string_value(json_object_get(all, "status"));
    if (!status) {
        json_decref(all);
        int kind = s->status / 100;
        const char *whose = kind == 4 ? "client_error: client" : "server_error: server";
        if (kind == 2 && s->body.n && json_error_code(&why) == json_error_stack_overflow)
            return err_set(e, ERR_LIMIT,
                "bad_response: the answer is nested deeper than can be read; so is the plan of a "
                "query of more than a thousand levels");
        if (kind == 2)
            return err_set(
                e, ERR_UNAVAILABLE, "bad_response: the answer is no JSON: %s", why.text);
        str said = str_trim(buf_view(&s->body));
        if (!said.n) return err_set(e, ERR_UNAVAILABLE, "%s error: %d", whose, s->status);
        return err_set(e, ERR_UNAVAILABLE, "%s error: %d (detail: %.*s)", whose, s->status,
            STR_ARG(said));
    }
    size_t i;
    json_t *word;
    json_array_foreach (json_object_get(all, "warnings"), i, word)
        fprintf(stderr, "query warning: %s\n", json_string_value(word));
    errc rc = OK;
    if (strcmp(status, "success") != 0)
        rc = err_set(e, ERR_UNAVAILABLE, "%s: %s",
            json_string_value(json_object_get(all, "errorType")),
            json_string_value(json_object_get(all, "error")));
    else *data = json_incref(json_object_get(all, "data"));
    json_decref(all);
    return rc;
}

errc server_api_ask(
    struct server_api *s, str path, bool posted, str form, json_t **data, struct err *e)
{
    static const struct http_field form_type = { S("Content-Type"),
        S("application/x-www-form-urlencoded") };
    struct http_field *headers = arena_array(&s->arena, s->n_headers + 1, sizeof(*headers));
    memcpy(headers, s->headers, s->n_headers * sizeof(*headers));
    headers[s->n_headers] = form_type;
    struct http_request r = {
        .method = posted ? S("POST") : S("GET"),
        .url = arena_fmt(&s->arena, posted || !form.n ? "%.*s%.*s" : "%.*s%.*s?%.*s",
            STR_ARG(s->url), STR_ARG(path), STR_ARG(form)),
        .body = posted ? form : STR_EMPTY,
        .headers = headers,
        .n_headers = s->n_headers + posted,
        .follow_redirects = true,
        .proxy_from_environment = true,
        .timeout_ms = TIMEOUT_MS,
        .max_body_bytes = ANSWER_MAX,
    };
    const char *asks = posted ? "Post" : "Get";
    if (!s->has_host)
        return err_set(e, ERR_UNAVAILABLE, "%s \"%.*s\": http: no Host in request URL", asks,
            STR_ARG(r.url));
    if (s->how)
        TRY_IN(e, fetch_put_options(&r, s->how, &s->arena, e), "%s \"%.*s\"", asks,
            STR_ARG(r.url));
    s->done = false;
    http_send(s->client, &r, answered, s);
    mtx_lock(&s->mu);
    while (!s->done) cond_wait(&s->came, &s->mu);
    mtx_unlock(&s->mu);
    return answer_read(s, data, e);
}
