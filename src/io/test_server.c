#include "io/test_server.h"

#include "base/buf.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <microhttpd.h>

struct test_server { struct MHD_Daemon *daemon; test_handler handle; void *ctx; };

static enum MHD_Result see_header(
    void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    buf_fmt(ctx, "%s: %s\n", name, value ? value : "");
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
    const char *method, const char *version, const char *body, size_t *n_body, void **state)
{
    struct test_server *s = cls;
    (void)version, (void)body, (void)n_body, (void)state;
    struct buf headers = { 0 }, all = { 0 };
    MHD_get_connection_values(c, MHD_HEADER_KIND, see_header, &headers);
    buf_u8(&headers, 0);
    struct test_request q = { method, url, (const char *)headers.p };
    struct test_reply reply = s->handle(s->ctx, &q);
    if (reply.echo) {
        buf_fmt(&all, "%s %s\n%s", method, url, q.headers);
        reply.body = buf_view(&all);
    }
    struct MHD_Response *r = MHD_create_response_from_buffer(
        reply.body.n, (void *)(uintptr_t)reply.body.p, MHD_RESPMEM_MUST_COPY);
    buf_fini(&headers);
    buf_fini(&all);
    if (reply.header) MHD_add_response_header(r, reply.header, reply.value);
    if (reply.content_type) MHD_add_response_header(r, "Content-Type", reply.content_type);
    enum MHD_Result rc = MHD_queue_response(c, reply.status, r);
    MHD_destroy_response(r);
    return rc;
}

struct test_server *test_server_new(test_handler handle, void *ctx)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct test_server *s = NEW(struct test_server);
    s->handle = handle;
    s->ctx = ctx;
    s->daemon = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0,
        NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_END);
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
