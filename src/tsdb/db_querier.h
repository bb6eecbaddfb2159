/* db_querier.h — blocks and head seen as one.
 *
 * What        A queryable over a list of blocks and a head. While the head is rebuilt, who asks for
 *             times that may be in it waits for it.
 * Invariants  A querier holds the list of blocks that it was made with until it is freed: so the
 *             owner knows when nobody needs anything of the head that a newer list has in a block.
 * Ownership   db_queryable_init in the owner's memory; borrows blocks, head and changes
 * Threads     as querier.h. Who waits holds no lock; at most DB_WAITING_MAX wait.
 * Errors      as querier.h; ERR_UNAVAILABLE: the head is not there yet
 * Format      none
 */
#ifndef EPI_TSDB_DB_QUERIER_H
#define EPI_TSDB_DB_QUERIER_H

#include "base/lock.h"
#include "storage/querier.h"

enum { DB_WAITING_MAX = 12 };
struct blocks;
struct changes;
struct head;
struct db_queryable {
    struct queryable base;
    struct blocks *blocks;
    struct changes *changes;
    struct head *_Atomic head;                 /* NULL: not yet */
    /* how long the head is waited for, and for all times or only those behind the blocks */
    int64_t patience_ms;
    bool wait_always;
    struct mtx mu;                             /* LOCK_LEAF */
    struct cond come;
    bool over;                                 /* GUARDED_BY(mu): there will be no head */
    unsigned waiting;                          /* GUARDED_BY(mu) */
};
/* patience_ms 0: nobody waits, blocks alone are asked as long as there is no head. always: blocks
 * alone do not say all of any time, since late samples are in the log. */
void db_queryable_init(struct db_queryable *q, struct blocks *blocks, struct changes *changes,
    int64_t patience_ms, bool always);
void db_queryable_fini(struct db_queryable *q);
void db_queryable_add_head(struct db_queryable *q, struct head *head);
/* who waits is told that it is in vain */
void db_queryable_give_up(struct db_queryable *q);

#endif
