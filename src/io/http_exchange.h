/* http_exchange.h — one request and its answer, in the transfer library's terms.
 *
 * What        Keeps a copied request, sets an easy handle up for it hop by hop, takes the answer
 *             while it comes, and tells a failure in words. It neither queues nor waits: that is
 *             the client's (http_client.c).
 * Invariants  (1) credentials do not follow to another site: see `strayed`. (2) `easy` is set from
 *             http_exchange_start to http_exchange_leave. (3) http_exchange_end is called once,
 *             last.
 * Ownership   init/fini; the request's texts and the answer's headers lie in `arena`, the body in
 *             `resp.body`
 * Threads     one at a time; from start to leave the client's own
 * Errors      codes of the transfer library, and HTTP_HEADERS_CUT
 * Format      HTTP/1.1, HTTP/2 where asked for
 */
#ifndef EPI_IO_HTTP_EXCHANGE_H
#define EPI_IO_HTTP_EXCHANGE_H

#include "base/vec.h"
#include "io/http_client.h"
#include "io/http_conns.h"
#include "io/http_pems.h"
#include "io/http_target.h"

#include <curl/curl.h>

/* Beside the library's codes: the connection ended among the headers, which it takes for an end. */
enum { HTTP_HEADERS_CUT = -1 };

/* what the exchanges of a client share; outlives them */
struct http_shared {
    struct http_conns *conns;
    struct http_pems *pems;
    _Atomic uint64_t n_connections;    /* begun; relaxed: a figure */
};

struct http_exchange {
    struct http_shared *shared;
    struct arena arena;
    struct http_request req;
    void *ctx;                         /* on_part's */
    int64_t start_ns;
    struct http_response resp;
    VEC(struct http_field) fields;
    size_t header_bytes;
    char remote[64], detail[CURL_ERROR_SIZE];
    bool too_large, canceled;
    bool headers_end;                  /* the empty line behind the last headers came */
    struct http_parts parts;           /* when on_part follows the body */
    struct http_target target;         /* of this hop */
    str first_host;
    unsigned hops;                     /* redirects that were followed */
    /* one of them left the first host's site: credentials stay behind */
    bool strayed;
    unsigned opened;                   /* sockets of this hop */
    struct err lookup_err;             /* the name has no address */
    CURL *easy;                        /* while it runs */
    struct curl_slist *headers, *proxy_headers, *connect_to, *resolve;
};

void http_exchange_init(
    struct http_exchange *x, struct http_shared *s, const struct http_request *r, void *ctx);
void http_exchange_fini(struct http_exchange *x);

/* Sets `easy`, which is fresh, up for this hop's target. addresses: of its lookup, commas between;
 * empty: it needs none. False: the target cannot be asked for. */
MUST_USE bool http_exchange_start(struct http_exchange *x, CURL *easy, str addresses);
/* Where the answer sends on to, if that is followed; else empty. */
str http_exchange_moved(const struct http_exchange *x);
/* The request becomes what is asked there. False: it was sent on too often. */
MUST_USE bool http_exchange_follow(struct http_exchange *x, str location, str *url);
/* Why the dial of this hop failed, or that it did not; false: nothing was dialled. */
MUST_USE bool http_exchange_dialled(
    const struct http_exchange *x, int code, enum http_dial_fail *why);
/* Gives the handle back (NULL: it has none): `resp` is as it came. */
CURL *http_exchange_leave(struct http_exchange *x);
/* The last: `resp` is whole, with the words of what failed. Before http_exchange_leave. */
void http_exchange_end(struct http_exchange *x, int code);

#endif
