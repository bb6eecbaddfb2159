/* db_chunks.h — chunks of blocks and head seen as one.
 *
 * What        A queryable of chunks over a list of blocks and a head.
 * Invariants  a set holds the list of blocks that it was made with until it is freed
 * Ownership   db_chunks_init in the owner's memory; borrows blocks and head
 * Threads     as chunk_querier.h
 * Errors      as chunk_querier.h
 * Format      none
 */
#ifndef EPI_TSDB_DB_CHUNKS_H
#define EPI_TSDB_DB_CHUNKS_H

#include "storage/chunk_querier.h"

struct blocks;
struct head;
struct db_chunks { struct chunk_queryable base; struct blocks *blocks; struct head *head; };
void db_chunks_init(struct db_chunks *q, struct blocks *blocks, struct head *head);

#endif
