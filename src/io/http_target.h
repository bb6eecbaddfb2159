/* http_target.h — one hop of a request taken apart: what is dialled, through which proxy.
 *
 * What        A URL as text becomes its parts, the proxy that it takes, and the name that has to be
 *             looked up before anything is dialled. The Location of an answer becomes the next URL.
 * Invariants  a target that was made has a scheme and a port; `lookup` is never an address
 * Ownership   everything that comes out lies in the arena
 * Threads     pure
 * Errors      false: it is no URL
 * Format      RFC 3986, as the transfer library reads it; a URL without a host means this machine
 */
#ifndef EPI_IO_HTTP_TARGET_H
#define EPI_IO_HTTP_TARGET_H

#include "base/arena.h"
#include "io/http_route.h"

struct http_target {
    str url, scheme, host, port;
    str own_port;                      /* as written in the URL; empty: none is */
    str proxy;                         /* its URL, with the port; empty: straight */
    /* the name that is dialled, to be resolved; empty: an address is, or nothing */
    str lookup, lookup_port;
};

/* proxies NULL: what is dialled is known already (a socket of this machine). url is borrowed. */
MUST_USE bool http_target_make(
    struct http_target *out, struct arena *a, str url, const struct http_proxies *proxies);
/* The URL that `location` means on the page `from`, and its host; location itself, and no host,
 * where it means none. */
str http_target_next(struct arena *a, str from, str location, str *host);
/* The URL with a host in it: "http://:80/" is this machine's. */
str http_target_with_host(struct arena *a, str url);

#endif
