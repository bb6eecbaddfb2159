/* http_router.h — which route answers a request, and what is said where none does.
 *
 * What        Paths against patterns, below a route prefix; redirects of paths that are unclean, in
 *             other cases, or a slash away from a route, as the routers of Prometheus make them;
 *             404, 405 and the methods that are allowed.
 * Invariants  a request has a route or an answer, never both
 * Ownership   texts lie in the request's arena
 * Threads     pure but for the request
 * Errors      none
 * Format      patterns: see struct http_route
 */
#ifndef EPI_API_HTTP_ROUTER_H
#define EPI_API_HTTP_ROUTER_H

#include "api/http.h"

/* The route, with r->path_params set; NULL: `early` is the answer. OPTIONS of a path that has other
 * methods is answered early, too. */
const struct http_route *http_router_find(
    const struct http_opts *o, struct http_req *r, struct http_resp *early);

#endif
