/* gate.h — who may come in: headers of every answer, rate limit, users with passwords.
 *
 * What        Stands before all routes of a server whose web configuration says so, as the
 *             reference's web toolkit does. Options may be replaced while it stands.
 * Invariants  (1) A password is compared with bcrypt on a thread that may wait, one at a time; on
 *             the moving thread only what was compared before is known. (2) Without a good
 *             configuration nobody comes in.
 * Ownership   gate_new/gate_free; options are copied
 * Threads     any (LOCK_LEAF)
 * Errors      in the answers: 500, 429, 401
 * Format      RFC 7617
 */
#ifndef EPI_API_GATE_H
#define EPI_API_GATE_H

#include "api/http.h"
#include "model/web_options.h"

struct gate;
struct gate *gate_new(const struct web_options *o);
/* NULL: what the file says now is no configuration. The rate stays */
void gate_set(struct gate *g, const struct web_options *o);
void gate_free(struct gate *g);                                /* NULL is fine */

/* The server's guard. */
enum http_guard gate_guard(void *gate, struct http_req *r, struct http_resp *w, bool may_wait);

#endif
