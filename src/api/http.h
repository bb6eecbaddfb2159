/* http.h — the HTTP server, and nothing of what it serves.
 *
 * What        Routes with parameters, request and response values, uploads into one bounded buffer,
 *             response compression, CORS-free.
 *             Requests that may wait run while their connection is suspended: one that is alone on
 *             the thread that read it, which leaves moving bytes to another if it lasts
 *             (http_drivers.h), all others on the owner's pool. Health answers are made in place,
 *             while bytes are moved, and touch no file.
 * Invariants  (1) A handler is called once a request, with the whole body. (2) What a handler put
 *             into its response is sent whole, or the connection is closed. (3) `gone` is raised
 *             when the client hangs up while its handler runs. (4) Of an answer that is made while
 *             it is sent there is one part at a time; a client that does not read holds no thread.
 * Ownership   http_server_new/http_server_free; request and response belong to the server and end
 *             after the handler returned and the answer was sent. A response's stream is the
 *             server's to free, on the pool where that can be.
 * Threads     two of its own; handlers run beside each other; one per request
 * Errors      ERR_IO, ERR_BAD_INPUT (address) from http_server_new
 * Format      HTTP/1.1
 */
#ifndef EPI_API_HTTP_H
#define EPI_API_HTTP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

#include <stdatomic.h>

enum http_method {
    HTTP_GET = 1,
    HTTP_HEAD = 2,
    HTTP_POST = 4,
    HTTP_PUT = 8,
    HTTP_OPTIONS = 16,
    HTTP_DELETE = 32,
    HTTP_OTHER = 64
};
struct http_pair { str name, value; };
typedef VEC(struct http_pair) http_pairs;

struct http_req {
    enum http_method method;
    str method_name, path, query, body;        /* path: decoded, without the query; query: raw */
    http_pairs path_params;                    /* of the route's pattern, in its order */
    struct arena arena;                        /* lives as long as the request */
    _Atomic bool gone;                         /* the client hung up */
    _Atomic int64_t moved_ns;                  /* when it took bytes of a stream last; 0: none */
    const struct http_req_ops *ops;
};
struct http_req_ops {
    str (*header)(const struct http_req *r, const char *name);
    str (*client)(struct http_req *r);
    void (*cut)(struct http_req *r);
    int (*unsent)(struct http_req *r);
};
static inline str http_header(const struct http_req *r, const char *name)
{
    return r->ops->header(r, name);
}

/* "127.0.0.1": who asks; empty: unknown */
static inline str http_client_ip(struct http_req *r)
{
    return r->ops->client ? r->ops->client(r) : STR_EMPTY;
}

/* The rest of an answer that is being sent is not wanted any more: its connection is closed. Any
 * thread, at any time while the request lives; nothing of what is not sent in parts. */
static inline void http_cut(struct http_req *r)
{
    if (r->ops->cut) r->ops->cut(r);
}

/* Bytes of an answer that the kernel has and the client has not; -1: unknown. As http_cut. */
static inline int http_unsent(struct http_req *r)
{
    return r->ops->unsent ? r->ops->unsent(r) : -1;
}

/* What comes behind the body of a response. more: appends the next part to `out`; false: it was the
 * last, or, where `out` is bad, there will be none: the connection is closed. Called on the pool,
 * when all that was there before is with the kernel. */
struct http_stream { const struct http_stream_ops *ops; };
struct http_stream_ops {
    bool (*more)(struct http_stream *s, struct buf *out);
    void (*free)(struct http_stream *s);
};

struct http_resp {
    unsigned status;                           /* 200 unless set */
    struct buf body;
    /* NULL: the body is all. Not of HEAD. It goes into the body where that is packed */
    struct http_stream *stream;
    /* strings live in the request's arena or are literals */
    http_pairs headers;
    bool compress;                             /* may be packed as Accept-Encoding allows */
    bool vary;                                 /* and says so: Vary: Accept-Encoding */
};
/* replaces one of the same name */
void http_resp_header(struct http_resp *w, str name, str value);
/* plain text; of an error with nosniff, as Go's http.Error has it */
void http_text(struct http_resp *w, unsigned status, str text);
/* with the line of HTML that Go writes */
void http_redirect(struct http_req *r, struct http_resp *w, unsigned status, str to);

/* IN_PLACE: never waits, touches no file: runs on the moving thread. UPLOADS: takes samples;
 * GIVES_WAY: waits for its turn where those want the cores (http_pace.h) */
enum http_route_flags { HTTP_IN_PLACE = 1, HTTP_UPLOADS = 2, HTTP_GIVES_WAY = 4 };
struct http_route {
    unsigned methods;
    /* "/api/v1/label/:name/values"; a last segment that starts with a star takes the rest; it is
     * the metric's handler label as well */
    const char *pattern;
    void (*handle)(void *ctx, struct http_req *r, struct http_resp *w);
    unsigned flags;
    size_t max_body_bytes;                     /* 0: HTTP_FORM_MAX */
};
enum { HTTP_FORM_MAX = 10 << 20 };

/* What a guard says of a request: go on; the answer is written; ask again where one may wait. */
enum http_guard { HTTP_PASS, HTTP_ANSWERED, HTTP_LATER };

struct tls_box;
struct http_opts {
    str address;
    /* >= 0: already listening, address is then not used; taken over */
    int listen_fd;
    unsigned max_connections, read_timeout_s;
    unsigned cores;                            /* to be shared; 0: the machine's */
    const struct http_route *routes; size_t n_routes;
    void *ctx;                                 /* of every handler */
    /* route prefix without a slash at its end; may be empty */
    str prefix;
    /* paths below it belong to a router of their own: its redirects are told without it */
    str mount;
    /* Runs fn(arg) on another thread; false: the queue is full, the client gets 503. */
    bool (*submit)(void *pool, void (*fn)(void *arg), void *arg);
    /* A thread of the server begins a request in place of the pool, or ended it. */
    void (*stand_in)(void *pool, bool begins);
    void *pool;
    /* e.g. CORS; may be NULL */
    void (*before)(void *ctx, struct http_req *r, struct http_resp *w);
    /* Asked of every request before all else, those that have no route included; may be NULL. May
     * write headers of the answer to come. */
    enum http_guard (*guard)(
        void *guard_ctx, struct http_req *r, struct http_resp *w, bool may_wait);
    void *guard_ctx;
    struct tls_box *tls;                       /* NULL: plain HTTP. Outlives the server */
};
struct http_server;
MUST_USE errc http_server_new(struct http_server **out, const struct http_opts *o, struct err *e);
str http_server_address(const struct http_server *s);         /* as bound, with the real port */
/* takes no more connections, waits for running handlers */
void http_server_stop(struct http_server *s);
void http_server_free(struct http_server *s);                  /* NULL is fine */

#endif
