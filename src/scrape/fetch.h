/* fetch.h — one HTTP request to a target and what came back.
 *
 * What        Makes the request that Prometheus makes (headers, authentication, TLS, time-out), and
 *             unpacks the body whole.
 * Invariants  `done` is called once for every fetch_start, on a thread of the pool
 * Ownership   fetcher_new/free; a result belongs to the callee until it returns
 * Threads     fetch_start: any
 * Errors      in the result, in Prometheus' words
 * Format      surface.md 8 of the reference
 */
#ifndef EPI_SCRAPE_FETCH_H
#define EPI_SCRAPE_FETCH_H

#include "scrape/target.h"

struct pool;
struct fetch_result {
    struct buf body;                       /* unpacked; EXPO_PADDING zero bytes lie behind body.n */
    str content_type;
    /* what was read while the page came; NULL: nothing. body is what lies behind it */
    struct line_ahead *ahead;
    size_t taken;                          /* its bytes */
    bool failed, too_large;                /* failed: e has the words */
    struct err e;
};
typedef void (*fetch_done)(void *ctx, struct fetch_result *r);

struct http_request;
/* What the options say, put into a request, headers behind those that it has. Files of secrets are
 * read now. All lies in the arena, or where the options lie. */
MUST_USE errc fetch_put_options(
    struct http_request *r, const struct http_options *o, struct arena *a, struct err *e);

struct fetcher;
MUST_USE errc fetcher_new(
    struct fetcher **out, struct pool *pool, size_t max_targets, struct err *e);
/* ahead: the page may be read while it comes; else the target's cache is not touched */
void fetch_start(
    struct fetcher *f, struct target *t, bool ahead, fetch_done done, void *ctx);
/* cancels what runs; all `done` were called when it returns */
void fetcher_free(struct fetcher *f);

#endif
