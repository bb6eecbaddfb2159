/* shipping.h — the server's blocks go to object storage.
 *
 * What        --objstore.config and what it starts: the bucket, and the shipper of the data folder.
 * Invariants  (1) The list of what was uploaded is there before the storage opens, so that no block
 *             is compacted that the shipper has not seen. (2) A server without external labels does
 *             not start: nobody could tell whose blocks they are.
 * Ownership   shipping_open/close; the server outlives it
 * Threads     the main thread
 * Errors      ERR_BAD_INPUT: the settings
 * Format      none
 */
#ifndef EPI_CMD_SHIPPING_H
#define EPI_CMD_SHIPPING_H

#include "base/err.h"

struct server;
struct shipping;
/* *out stays NULL without the flags. labelled: the configuration has external labels */
MUST_USE errc shipping_open(struct shipping **out, struct server *s, bool labelled, struct err *e);
/* The path of the list of what was uploaded; empty without the flags. */
str shipping_state(const struct shipping *p);
/* The first round begins. NULL is fine */
MUST_USE errc shipping_start(struct shipping *p, struct err *e);
void shipping_close(struct shipping *p); /* NULL is fine */

#endif
