/* http_parts.h — a body that is shown to somebody while it comes.
 *
 * What        Who looks says how many of the bytes it is done with. What it left is shown again,
 *             joined with a few of the bytes that come behind it; all others are shown where the
 *             transfer library has them, so that they are copied nowhere.
 * Invariants  Bytes are shown in their order; those that it was done with are never shown again,
 *             all others are kept.
 * Ownership   the zero value with show and ctx set; `rest` is the owner's to free
 * Threads     one
 * Errors      none; rest has no limit of its own
 * Format      none
 */
#ifndef EPI_IO_HTTP_PARTS_H
#define EPI_IO_HTTP_PARTS_H

#include "base/buf.h"

#define HTTP_PART_END SIZE_MAX
struct http_parts {
    /* how many it is done with; HTTP_PART_END: it wants no more */
    size_t (*show)(void *ctx, const uint8_t *p, size_t n);
    void *ctx;
    struct buf rest;                   /* shown, and left */
    size_t taken;                      /* bytes it was done with */
    bool over;                         /* it wants no more */
};

/* The next n bytes; how many of them need not be kept by the caller. Fewer than n only when it is
 * over: rest lies in front of the others then.
 * REQUIRES: not over */
size_t http_parts_follow(struct http_parts *f, const uint8_t *p, size_t n);

#endif
