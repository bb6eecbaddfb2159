#include "io/test_server.h"

#include "base/buf.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <microhttpd.h>

struct test_server {
    struct MHD_Daemon *daemon;
    test_handler handle;
    void *ctx;
};

static enum MHD_Result see_header(
    void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    buf_fmt(ctx, "%s: %s\n", name, value ? value : "");
    return MHD_YES;
}

/* What of a request has come so far. */
struct incoming {
    char *uri;
    struct buf body;
    bool begun;
};

static void *see_uri(void *cls, const char *uri, struct MHD_Connection *c)
{
    struct incoming *in = NEW(struct incoming);
    (void)cls, (void)c;
    in->uri = mem_cstr(str_z(uri));
    return in;
}

static void on_end(
    void *cls, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    struct incoming *in = *state;
    (void)cls, (void)c, (void)why;
    if (!in) return;
    buf_fini(&in->body);
    mem_free(in->uri);
    mem_free(in);
    *state = NULL;
}

/* A body that breaks off: so many bytes of the announced, then the connection ends. */
struct cut {
    size_t at;
    struct buf body;
};
static ssize_t cut_read(void *ctx, uint64_t pos, char *to, size_t n)
{
    struct cut *cut = ctx;
    if (pos >= cut->at) return MHD_CONTENT_READER_END_WITH_ERROR;
    n = MIN(n, cut->at - (size_t)pos);
    memcpy(to, cut->body.p + pos, n);
    return (ssize_t)n;
}
static void cut_free(void *ctx)
{
    struct cut *cut = ctx;
    buf_fini(&cut->body);
    mem_free(cut);
}

static struct MHD_Response *response_of(const struct test_reply *reply)
{
    if (!reply->cut_at)
        return MHD_create_response_from_buffer(
            reply->body.n, (void *)(uintptr_t)reply->body.p, MHD_RESPMEM_MUST_COPY);
    struct cut *cut = NEW(struct cut);
    cut->at = reply->cut_at == SIZE_MAX ? 0 : reply->cut_at;
    buf_str(&cut->body, reply->body);
    return MHD_create_response_from_callback(reply->body.n, 4096, cut_read, cut, cut_free);
}

static void add_headers(struct MHD_Response *r, str lines)
{
    while (lines.n) {
        str line, rest, name, value;
        str_cut(lines, '\n', &line, &rest);
        lines = rest;
        if (!str_cut(line, ':', &name, &value)) continue;
        char *n = mem_cstr(name), *v = mem_cstr(str_trim(value));
        MHD_add_response_header(r, n, v);
        mem_free(n);
        mem_free(v);
    }
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
    const char *method, const char *version, const char *body, size_t *n_body, void **state)
{
    struct test_server *s = cls;
    struct incoming *in = *state;
    (void)version;
    if (!in->begun || *n_body) {
        in->begun = true;
        buf_bytes(&in->body, body, *n_body);
        *n_body = 0;
        return MHD_YES;
    }
    struct buf headers = { 0 }, all = { 0 };
    MHD_get_connection_values(c, MHD_HEADER_KIND, see_header, &headers);
    buf_u8(&headers, 0);
    const char *query = strchr(in->uri, '?');
    struct test_request q = { method, url, (const char *)headers.p, query ? query + 1 : "",
        buf_view(&in->body) };
    struct test_reply reply = s->handle(s->ctx, &q);
    if (reply.echo) {
        buf_fmt(&all, "%s %s\n%s", method, url, q.headers);
        reply.body = buf_view(&all);
    }
    struct MHD_Response *r = response_of(&reply);
    buf_fini(&headers);
    buf_fini(&all);
    if (reply.header) MHD_add_response_header(r, reply.header, reply.value);
    if (reply.content_type) MHD_add_response_header(r, "Content-Type", reply.content_type);
    add_headers(r, str_z(reply.more_headers));
    enum MHD_Result rc = MHD_queue_response(c, reply.status, r);
    MHD_destroy_response(r);
    return rc;
}

str test_request_header(const struct test_request *q, str name)
{
    for (str lines = str_z(q->headers), line, rest; lines.n; lines = rest) {
        str key, value;
        str_cut(lines, '\n', &line, &rest);
        if (str_cut(line, ':', &key, &value) && str_eq_nocase(key, name)) return str_trim(value);
    }
    return STR_EMPTY;
}

struct test_server *test_server_new(test_handler handle, void *ctx)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct test_server *s = NEW(struct test_server);
    s->handle = handle;
    s->ctx = ctx;
    s->daemon = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0,
        NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_URI_LOG_CALLBACK, see_uri,
        NULL, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_END);
    if (s->daemon) return s;
    mem_free(s);
    return NULL;
}

unsigned test_server_port(const struct test_server *s)
{
    return MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void test_server_free(struct test_server *s)
{
    if (!s) return;
    MHD_stop_daemon(s->daemon);
    mem_free(s);
}
