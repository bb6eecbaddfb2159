/* http_client.h — HTTP requests, thousands at once, on one thread that only moves bytes.
 *
 * What        The one wrapper of libcurl: its multi interface on epoll. Easy handles are pooled by
 *             requests in flight, connections are kept alive and reused by target. Bodies are
 *             handed over as they came (never decoded), errors in the words of Go's client.
 * Invariants  (1) `done` is called exactly once for each http_send. (2) Credentials and headers
 *             that hold such do not follow a redirect to another site (http_route.h), nor back from
 *             it. (3) A body longer than max_body_bytes ends the transfer. (4) The client's thread
 *             never waits for a name: resolver.h.
 * Ownership   http_client_new/free. A request is copied before http_send returns; a response
 *             belongs to `done` until it returns, which may take its body (STEAL of the struct
 *             buf).
 * Threads     any. `done` runs where dispatch puts it, on the client's own thread without one (then
 *             it must be short).
 * Errors      in the response: ERR_TIMEOUT, ERR_LIMIT, ERR_CANCELED, ERR_BAD_INPUT (the URL or an
 *             option), else ERR_IO
 * Format      HTTP/1.1, HTTP/2 where asked for
 */
#ifndef EPI_IO_HTTP_CLIENT_H
#define EPI_IO_HTTP_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/spans.h"
#include "io/http_parts.h"
#include "io/http_tls.h"

struct http_client;
struct http_client_opts {
    /* idle connections that are kept; at least the number of targets */
    size_t connections_max;
    /* Runs run(arg) elsewhere, e.g. pool_submit; false: not now, it is asked again soon. NULL: on
     * the client's thread. */
    bool (*dispatch)(void *dispatch_ctx, void (*run)(void *arg), void *arg);
    void *dispatch_ctx;
};

struct buf_pool;
struct http_response;
struct http_request {
    /* whose connections these are: the label of net_conntrack_dialer_*; empty: not counted */
    str dialer;
    str method, url, body;             /* method empty: GET */
    const struct http_field *headers;
    size_t n_headers;
    bool basic;                        /* send username and password */
    str username, password;
    struct http_tls tls;
    str proxy_url, no_proxy;
    /* HTTP_PROXY, HTTPS_PROXY, NO_PROXY, as they were when the client was made */
    bool proxy_from_environment;
    const struct http_field *proxy_headers;
    size_t n_proxy_headers;
    /* reached there instead of at the URL's host; empty: not so */
    str unix_socket;
    bool follow_redirects, http2;
    int64_t timeout_ms;                /* of everything, from http_send on; 0: none */
    /* of connecting, and of any while in which no byte moves either way (in whole seconds, up); it
     * does not end what timeout_ms would not; 0: none */
    int64_t stall_ms;
    size_t max_body_bytes;             /* 0: no limit */
    size_t expect_bytes;               /* about how long the body will be; 0: nobody knows */
    /* Where a body of status 200 or 206 goes as it comes; what is behind these places is left out,
     * but counted. Borrowed until `done`. Empty: into response.body. */
    struct spans into;
    /* zero bytes behind the response's body.n, for parsers that read in strides */
    size_t body_padding;
    struct account *account;           /* of the response's body; may be NULL */
    /* where a large body is taken from, and given back to when `done` left it; may be NULL */
    struct buf_pool *bodies;
    /* May use the start of a body (status 200) while it comes, which saves writing it to memory and
     * reading it from there: says how many of the n bytes it is done with; the others are shown
     * again with more behind them, or are the start of response.body in the end. HTTP_PART_END:
     * it wants no more. ctx is that of http_send. Called by the client's one thread: to be as quick
     * as copying. May be NULL. */
    size_t (*on_part)(void *ctx, const struct http_response *so_far, const uint8_t *p, size_t n);
};

struct http_response {
    int status;                        /* 0: no answer came */
    /* "Not Found"; as sent, or the standard words where none are sent (HTTP/2) */
    str reason;
    bool bare_status;                  /* not even a blank stood behind the status */
    const struct http_field *headers;  /* of the last answer; names as sent */
    size_t n_headers;
    struct buf body;
    /* bytes of the body that went to request.into, or that on_part was done with: they lay in front
     * of `body` */
    size_t taken;
    errc rc;                           /* OK: the whole body is there */
    struct err err;                    /* the words, when rc is not OK */
    bool lasts;                        /* asking again would bring the same: a certificate */
    str remote;                        /* "127.0.0.1:9100"; empty: none was reached */
    int64_t took_ns;
    bool reused;                       /* no new connection was made */
};
typedef void (*http_done)(void *ctx, struct http_response *r);

MUST_USE errc http_client_new(
    struct http_client **out, const struct http_client_opts *o, struct err *e);
/* cancels what runs; every `done` has returned; NULL is fine */
void http_client_free(struct http_client *c);

/* a number for http_cancel */
uint64_t http_send(struct http_client *c, const struct http_request *r, http_done done, void *ctx);
/* `done` is called all the same, soon; a number that is gone is fine */
void http_cancel(struct http_client *c, uint64_t id);

/* The value of a header, by its name in any case; empty: none. */
str http_header(const struct http_response *r, str name);

struct http_client_stats { uint64_t in_flight, sent, connections_made; };
struct http_client_stats http_client_stats(struct http_client *c);

#endif
