#include "grpc/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "grpc/h2_conn.h"

enum {
    STREAMS = 20,
    STREAMS_WAIT = 200, /* more, for clients that take nothing */
    UNARY = 8,
    QUEUE = 1024,
    CONNECTIONS = 1000,
    REQUEST_BYTES = 4 << 20,
    MESSAGE_BYTES = 64 << 20,
    STALL_MS = 300000,
    HANDSHAKE_MS = 10000,
    DRAIN_LOOK_MS = 20
};

struct grpc_server { struct h2_shared shared; struct stream_server *listener; };

GAUGE(m_connections, "epimetheus_grpc_connections", "Open connections of the gRPC server.")

static double connections_read(void *ctx)
{
    const struct grpc_server *s = ctx;
    return stream_server_connections(s->listener);
}

static void defaults(struct grpc_server_opts *o)
{
    if (!o->loops) o->loops = 1;
    if (!o->streams) o->streams = STREAMS;
    if (!o->unary) o->unary = UNARY;
    if (!o->max_connections) o->max_connections = CONNECTIONS;
    if (!o->max_request_bytes) o->max_request_bytes = REQUEST_BYTES;
    if (!o->max_message_bytes) o->max_message_bytes = MESSAGE_BYTES;
    if (!o->stall_ms) o->stall_ms = STALL_MS;
    o->tls.alpn = "h2";
}

errc grpc_server_new(struct grpc_server **out, const struct grpc_server_opts *o, struct err *e)
{
    struct grpc_server *s = NEW(struct grpc_server);
    s->shared.o = *o;
    defaults(&s->shared.o);
    o = &s->shared.o;
    s->shared.streams = pool_new(&(struct pool_opts){ "grpc-stream", o->streams, QUEUE,
        .threads_most = o->streams + STREAMS_WAIT });
    s->shared.unary = pool_new(&(struct pool_opts){ "grpc-unary", o->unary, QUEUE });
    struct stream_server_opts so = { .address = o->address,
        .name = "grpc",
        .ops = &h2_ops,
        .ctx = &s->shared,
        .tls = o->tls,
        .threads = o->loops,
        .max_connections = o->max_connections,
        .handshake_ms = HANDSHAKE_MS };
    errc rc = stream_server_new(&s->listener, &so, e);
    if (rc != OK) {
        grpc_server_free(s);
        return rc;
    }
    m_connections.read_ctx = s;
    m_connections.read = connections_read;
    LOG(INFO, "listening for serving gRPC", kv_str("address", stream_server_address(s->listener)),
        kv_bool("tls", o->tls.begin != NULL));
    *out = s;
    return OK;
}

str grpc_server_address(const struct grpc_server *s) { return stream_server_address(s->listener); }

void grpc_server_drain(struct grpc_server *s, int64_t grace_ms)
{
    if (!s) return;
    int64_t until = clock_mono_ns() + grace_ms * INT64_C(1000000);
    atomic_store_explicit(&s->shared.draining, true, memory_order_relaxed);
    stream_server_deaf(s->listener);
    while (stream_server_connections(s->listener) && clock_mono_ns() < until)
        clock_sleep_ns(DRAIN_LOOK_MS * INT64_C(1000000));
    unsigned left = stream_server_connections(s->listener);
    if (left)
        LOG(WARN, "gRPC calls are cut: they did not end in time", kv_u64("connections", left));
}

/* Connections first: with them calls end, so methods do. */
void grpc_server_free(struct grpc_server *s)
{
    if (!s) return;
    if (m_connections.read_ctx == s) m_connections.read = NULL;
    stream_server_free(s->listener);
    pool_free(s->shared.streams);
    pool_free(s->shared.unary);
    mem_free(s);
}
