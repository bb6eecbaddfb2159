/* db_store.h — the server's storage as the StoreAPI sees it.
 *
 * What        One part: head and blocks under the external labels of the configuration.
 * Invariants  none is there before db_store_attach: ERR_UNAVAILABLE
 * Ownership   db_store_new/db_store_free; borrows the server
 * Threads     any
 * Errors      as storeapi/store_source.h
 * Format      none
 */
#ifndef EPI_CMD_DB_STORE_H
#define EPI_CMD_DB_STORE_H

#include "storeapi/store_source.h"

struct server;
struct db_store;
struct db_store *db_store_new(struct server *s);
struct store_source *db_store_source(struct db_store *d);
void db_store_attach(struct db_store *d);      /* s->db is open */
void db_store_free(struct db_store *d);        /* NULL is fine; after who asks it */

#endif
