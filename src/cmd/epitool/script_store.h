/* script_store.h — the storage that scripts and data sets are loaded into: a head without a log, in
 * memory.
 *
 * What        What struct script_storage of promql asks for, on the real head: with start
 *             timestamps, and chunks that have room for them.
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
struct script_store { struct head *head; };

struct script_storage script_store_of(struct script_store *s); /* empty after its first reset */
void script_store_fini(struct script_store *s);

#endif
