/* h2_conn.h — one HTTP/2 connection: its streams are calls.
 *
 * What        Gives bytes to the HTTP/2 library and takes them from it; routes requests, gathers
 *             their one message, begins their methods, sends what calls have, and the status.
 * Invariants  (1) A stream has one call; each call whose method was found is counted once when it
 *             began and once when it ended. (2) What a connection may cost without being a call is
 *             bounded: frames and early ends (flood.h), bytes of headers, frames that wait to be
 *             sent, the time in which a request comes. Past it the connection ends with
 *             ENHANCE_YOUR_CALM. (3) When the server drains, the client is told to begin no more
 *             calls here (GOAWAY, twice: those on their way are still answered), and the connection
 *             ends with its last call.
 * Ownership   h2_ops.open makes a connection, close ends it; borrows struct h2_shared
 * Threads     as io/stream_server.h
 * Errors      in the status of each call
 * Format      RFC 9113; grpc.io: PROTOCOL-HTTP2
 */
#ifndef EPI_GRPC_H2_CONN_H
#define EPI_GRPC_H2_CONN_H

#include "grpc/server.h"
#include "io/pool.h"

/* What the connections of a server share; const but for the atomics. */
struct h2_shared {
    struct grpc_server_opts o;
    struct pool *streams, *unary;
    /* bytes of requests that came, of all connections; relaxed: a limit */
    _Atomic int64_t held;
    /* no more calls are begun; what runs may end. Relaxed: seen at the next tick */
    _Atomic bool draining;
};
/* ctx of open: struct h2_shared * */
extern const struct stream_ops h2_ops;

#endif
