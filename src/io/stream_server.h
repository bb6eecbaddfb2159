/* stream_server.h — a server of connections that live long and carry bytes both ways.
 *
 * What        Accepts on one address and moves the bytes of many connections on few threads, plain
 *             or through TLS. What the bytes mean is the owner's: he is told what came and is asked
 *             for what goes.
 * Invariants  (1) All functions of one connection's owner are called by one thread, one at a time.
 *             (2) take() is called only when all that give() handed out before has gone: no more
 *             than one piece of a connection waits here. (3) After close() nothing is called.
 * Ownership   stream_server_new/stream_server_free; open() makes what a connection is for its
 *             owner, close() ends it
 * Threads     stream_wake: any thread, between open() and close(). The rest: the connection's own.
 * Errors      ERR_IO, ERR_BAD_INPUT (address) from stream_server_new
 * Format      none
 */
#ifndef EPI_IO_STREAM_SERVER_H
#define EPI_IO_STREAM_SERVER_H

#include "base/err.h"

struct stream_conn;
struct stream_ops {
    /* NULL: no thanks */
    void *(*open)(void *ctx, struct stream_conn *c);
    /* bytes came; false: the connection ends */
    bool (*take)(void *conn, str bytes);
    /* The next piece to send, valid until the next call: give() is asked for more when it is gone.
     * Empty: nothing now. false: all was sent, the connection ends. */
    bool (*give)(void *conn, str *piece);
    /* somebody called stream_wake; give() is asked next */
    void (*woken)(void *conn);
    /* every TICK_MS; false: the connection ends */
    bool (*tick)(void *conn, int64_t now_ns);
    void (*close)(void *conn);
};
enum { STREAM_TICK_MS = 100 };

/* TLS, of whose keys nothing is known here: begin() sets the keys of a session (gnutls_session_t)
 * before its handshake, retrieve is a gnutls_certificate_retrieve_function2 *. */
struct stream_tls {
    void (*begin)(void *ctx, void *session);
    void *ctx;
    void *retrieve;
    const char *alpn;                  /* "h2" */
};

struct stream_server_opts {
    str address;
    const char *name;                  /* of the threads */
    const struct stream_ops *ops;
    void *ctx;                         /* of open */
    struct stream_tls tls;             /* begin NULL: plain */
    unsigned threads, max_connections; /* > 0 */
    int64_t handshake_ms;              /* of TLS; > 0 */
};
struct stream_server;
MUST_USE errc stream_server_new(
    struct stream_server **out, const struct stream_server_opts *o, struct err *e);
str stream_server_address(const struct stream_server *s);
unsigned stream_server_connections(const struct stream_server *s);
/* No more connections are taken; those that are go on. */
void stream_server_deaf(struct stream_server *s);
void stream_server_free(struct stream_server *s);              /* closes all; NULL is fine */

/* woken() is called soon, by the connection's thread. */
void stream_wake(struct stream_conn *c);

#endif
