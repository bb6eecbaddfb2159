/* web_front.h — what stands before the HTTP servers: TLS and the gate, as --web.config.file has
 * them.
 *
 * What        Loads the file at the start and looks at it, and at the files that it names, every
 *             second from a thread of its own: no request waits for a file. What changed is used by
 *             the requests and handshakes that follow.
 * Invariants  whether there is TLS, and the rate limit, are decided at the start
 * Ownership   web_front_open/close; outlives the servers
 * Threads     web_front_look: any (LOCK_LEAF)
 * Errors      ERR_BAD_INPUT, ERR_NOT_FOUND at the start; later a file that does not load is logged,
 *             and everybody gets 500 until it does
 * Format      config/web_config.h
 */
#ifndef EPI_CMD_WEB_FRONT_H
#define EPI_CMD_WEB_FRONT_H

#include "api/http.h"

struct web_front;
/* path empty: *out is NULL, which all others take */
MUST_USE errc web_front_open(struct web_front **out, str path, struct err *e);
void web_front_put(const struct web_front *f, struct http_opts *o);
bool web_front_tls(const struct web_front *f);
void web_front_look(struct web_front *f);
void web_front_close(struct web_front *f);

#endif
