/* server_api.h — questions to a running server, over its HTTP API.
 *
 * What        One question at a time: a form goes out, the "data" of the answer comes back.
 * Invariants  a server without a scheme in its URL is asked over http
 * Ownership   server_api_open/close; an answer is the asker's to json_decref
 * Threads     one
 * Errors      ERR_UNAVAILABLE and those of the transfer; the API's own errors as "bad_data: words"
 * Format      Prometheus' HTTP API v1
 */
#ifndef EPI_CMD_EPITOOL_SERVER_API_H
#define EPI_CMD_EPITOOL_SERVER_API_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

struct server_api;
struct server_header { str name, value; };
struct http_options;
/* how: NULL, or what to ask with; borrowed */
MUST_USE errc server_api_open(struct server_api **out, str url, const struct http_options *how,
    const struct server_header *headers, size_t n_headers, struct err *e);
void server_api_close(struct server_api *s);                   /* NULL is fine */

/* name=value, percent-encoded, behind what is there */
void form_put(struct buf *form, str name, str value);
/* path: "/api/v1/query"; posted: as a form in the body, else in the URL. Warnings of the answer go
 * to stderr. */
MUST_USE errc server_api_ask(
    struct server_api *s, str path, bool posted, str form, json_t **data, struct err *e);

#endif
