/* server.h — a gRPC server.
 *
 * What        HTTP/2 by prior knowledge or, with keys, over TLS by ALPN; unary methods and those
 *             that stream their answers; deadlines, cancelling, status and message in trailers.
 * Invariants  (1) A few threads move the bytes of all connections and wait for nobody. (2) For a
 *             call at most QUEUE_BYTES and one message lie in memory: its method waits for the
 *             client. (3) A call whose deadline is over, or whose client takes nothing for
 *             stall_ms, is answered in time, also when its method hangs. (4) What a client can make
 *             us hold or do without calling anything is bounded: h2_conn.h.
 * Ownership   grpc_server_new/grpc_server_free; borrows services and keys
 * Threads     methods run on two pools, one for those that stream, one for the others, or in place
 * Errors      ERR_IO, ERR_BAD_INPUT (address) from grpc_server_new
 * Format      grpc.io: PROTOCOL-HTTP2
 */
#ifndef EPI_GRPC_SERVER_H
#define EPI_GRPC_SERVER_H

#include "grpc/service.h"
#include "io/stream_server.h"

struct grpc_server_opts {
    str address;
    const struct grpc_service *services; size_t n_services;
    struct stream_tls tls;             /* zero: plain */
    unsigned loops;                    /* threads that move bytes; 0: one */
    unsigned streams, unary;           /* methods at once; 0: 20 and 8 */
    unsigned max_connections;          /* 0: 1000 */
    size_t max_request_bytes;          /* 0: 4 MiB */
    size_t max_message_bytes;          /* of an answer; 0: 64 MiB */
    int64_t stall_ms;                  /* 0: 5 minutes */
};
struct grpc_server;
MUST_USE errc grpc_server_new(
    struct grpc_server **out, const struct grpc_server_opts *o, struct err *e);
str grpc_server_address(const struct grpc_server *s);          /* as bound, with the real port */
/* No more connections and no more calls; returns when those that run have ended, or after
 * grace_ms. */
void grpc_server_drain(struct grpc_server *s, int64_t grace_ms);
/* Calls are ended, then the server; NULL is fine. */
void grpc_server_free(struct grpc_server *s);

#endif
