/* gateway_store.h — the blocks of a bucket as the StoreAPI sees them.
 *
 * What        One part: all blocks at once, whose series carry the external labels of their
 *             blocks.
 * Invariants  nothing is there before the bucket was seen: ERR_UNAVAILABLE
 * Ownership   in the owner's memory; borrows the gateway
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
