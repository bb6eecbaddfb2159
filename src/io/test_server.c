#include "io/test_server.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <microhttpd.h>

struct test_server { struct MHD_Daemon *daemon; struct test_reply (*handle)(void *ctx, const char *path); void *ctx; };

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *body,
                                  size_t *n_body, void **state)
{
    struct test_server *s = cls;
    (void)method, (void)version, (void)body, (void)n_body, (void)state;
    struct test_reply reply = s->handle(s->ctx, url);
    struct MHD_Response *r = MHD_create_response_from_buffer(reply.body.n, (void *)(uintptr_t)reply.body.p, MHD_RESPMEM_MUST_COPY);
    if (reply.content_type) MHD_add_response_header(r, "Content-Type", reply.content_type);
    enum MHD_Result rc = MHD_queue_response(c, reply.status, r);
    MHD_destroy_response(r);
    return rc;
}

struct test_server *test_server_new(struct test_reply (*handle)(void *ctx, const char *path), void *ctx)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct test_server *s = NEW(struct test_server);
    s->handle = handle;
    s->ctx = ctx;
    s->daemon = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, &at,
                                 MHD_OPTION_END);
    if (s->daemon) return s;
    mem_free(s);
    return NULL;
}

unsigned test_server_port(const struct test_server *s) { return MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port; }

void test_server_free(struct test_server *s)
{
    if (!s) return;
    MHD_stop_daemon(s->daemon);
    mem_free(s);
}
