/* db_querier.h — blocks and head seen as one.
 *
 * What        A queryable over a list of blocks and a head.
 * Invariants  A querier holds the list of blocks that it was made with until it is freed: so the
 *             owner knows when nobody needs anything of the head that a newer list has in a block.
 * Ownership   db_queryable_init in the owner's memory; borrows blocks and head
 * Threads     as querier.h
 * Errors      as querier.h
 * Format      none
 */
#ifndef EPI_TSDB_DB_QUERIER_H
#define EPI_TSDB_DB_QUERIER_H

#include "storage/querier.h"

struct blocks;
struct head;
struct db_queryable {
    struct queryable base;
    struct blocks *blocks;
    struct head *_Atomic head;                 /* NULL: not yet */
};
void db_queryable_init(struct db_queryable *q, struct blocks *blocks);
void db_queryable_add_head(struct db_queryable *q, struct head *head);

#endif
