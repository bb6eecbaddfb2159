/* gateway_store.h — the blocks of a bucket as the StoreAPI sees them.
 *
 * What        A part for each block, under its external labels; one whose meta.json cannot be read
 *             is a part that fails.
 * Invariants  nothing is there before the bucket was seen: ERR_UNAVAILABLE
 * Ownership   in the owner's memory; borrows the gateway. A list holds its blocks until release.
 * Threads     any
 * Errors      as storeapi/store_source.h
 * Format      none
 */
#ifndef EPI_CMD_GATEWAY_STORE_H
#define EPI_CMD_GATEWAY_STORE_H

#include "storeapi/store_source.h"

struct gateway;
struct gateway_store { struct store_source base; struct gateway *g; };
void gateway_store_init(struct gateway_store *s, struct gateway *g);

#endif
