/* http_conns.h — connections counted by whose they are, as Prometheus' clients count theirs.
 *
 * What        net_conntrack_dialer_*: a dial is one attempt, however many addresses it tried.
 * Invariants  a connection is counted closed once, if it was counted established
 * Ownership   new/free
 * Threads     the client's thread alone
 * Errors      none
 * Format      none
 */
#ifndef EPI_IO_HTTP_CONNS_H
#define EPI_IO_HTTP_CONNS_H

#include "base/str.h"

enum http_dial_fail { DIAL_FINE, DIAL_RESOLUTION, DIAL_REFUSED, DIAL_TIMEOUT, DIAL_UNKNOWN };
struct http_conns;
struct http_conns *http_conns_new(void);
void http_conns_free(struct http_conns *c);                    /* NULL is fine */

/* A dial ended. fd: the connection that is kept alive; -1: it is closed already. dialer empty: not
 * counted. */
void http_conns_dialled(struct http_conns *c, str dialer, enum http_dial_fail why, int fd);
void http_conns_closed(struct http_conns *c, int fd);

#endif
