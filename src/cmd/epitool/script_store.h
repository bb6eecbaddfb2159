/* script_store.h — the storage that scripts and data sets are loaded into: a head without a log, in
 * memory.
 *
 * What        What struct script_storage of promql asks for, on the real head; series with
 *             histograms or start timestamps, which the head does not take, are in a memstore
 *             beside it, and a query sees both.
 * Invariants  none
 * Ownership   script_store_fini ends the head
 * Threads     one
 * Errors      the head's
 * Format      none
 */
#ifndef EPI_CMD_EPITOOL_SCRIPT_STORE_H
#define EPI_CMD_EPITOOL_SCRIPT_STORE_H

#include "promql/script_run.h"

struct head;
struct memstore;
struct script_store { struct head *head; struct memstore *rest; struct queryable both; };

struct script_storage script_store_of(struct script_store *s); /* empty after its first reset */
void script_store_fini(struct script_store *s);

#endif
