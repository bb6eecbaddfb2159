/* verify_lists.h — do the postings of an index name what its series say, all of it and nothing
 * else?
 *
 * What        Walks the bytes from the series to the TOC: padding, tables of labels, lists and
 *             their offset table.
 * Invariants  every byte of these sections is in something that was checked
 * Ownership   borrows
 * Threads     one thread
 * Errors      none: findings
 * Format      index_codec.h
 */
#ifndef EPI_BLOCK_VERIFY_LISTS_H
#define EPI_BLOCK_VERIFY_LISTS_H

#include "block/index_scan.h"

/* Without a TOC nothing is done: there is a finding already. */
void verify_lists(const struct index_scan *s, struct findings *f, str name);

#endif
