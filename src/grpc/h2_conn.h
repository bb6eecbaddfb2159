/* h2_conn.h — one HTTP/2 connection: its streams are calls.
 *
 * What        Gives bytes to the HTTP/2 library and takes them from it; routes requests, gathers
 *             their one message, begins their methods, sends what calls have, and the status.
 * Invariants  a stream has one call; each call whose method was found is counted once when it
 *             began and once when it ended
 * Ownership   h2_ops.open makes a connection, close ends it; borrows struct h2_shared
 * Threads     as io/stream_server.h
 * Errors      in the status of each call
 * Format      RFC 9113; grpc.io: PROTOCOL-HTTP2
 */
#ifndef EPI_GRPC_H2_CONN_H
#define EPI_GRPC_H2_CONN_H

#include "grpc/server.h"
#include "io/pool.h"

/* What the connections of a server share; const but for held. */
struct h2_shared {
    struct grpc_server_opts o;
    struct pool *streams, *unary;
    /* bytes of requests that came, of all connections; relaxed: a limit */
    _Atomic int64_t held;
};
/* ctx of open: struct h2_shared * */
extern const struct stream_ops h2_ops;

#endif
