/* http_route.h — where a request goes: through which proxy, and after a redirect.
 *
 * What        The rules of Go's client and its httpproxy package, on text alone: which proxy a URL
 *             takes, whether a redirect is followed, what may go along to another host.
 * Invariants  none
 * Ownership   borrows
 * Threads     pure
 * Errors      none
 * Format      no_proxy: names, .names, *.names, addresses, CIDR ranges, "*", each but the last two
 *             with a port if wanted; commas between
 */
#ifndef EPI_IO_HTTP_ROUTE_H
#define EPI_IO_HTTP_ROUTE_H

#include "base/str.h"

/* Proxies by scheme of the request; empty: none. always: no_proxy and local addresses do not count
 * (a proxy_url alone). */
struct http_proxies { str http, https, no_proxy; bool always; };
/* empty: straight */
str http_proxy_of(const struct http_proxies *p, str scheme, str host, str port);

bool http_is_redirect(int status);
str http_redirect_method(str method, int status, bool *with_body);
/* the host, or one below it: credentials go along */
bool http_same_site(str first_host, str host);
bool http_header_stays(str name);                              /* it does not go to another site */

#endif
