/* block_table.h — blocks as promtool lists them.
 *
 * What        A table of names, times and figures, raw or for people.
 * Invariants  columns are as wide as their widest cell, 13 at least
 * Ownership   borrows
 * Threads     pure
 * Errors      none
 * Format      promtool tsdb list
 */
#ifndef EPI_CMD_EPITOOL_BLOCK_TABLE_H
#define EPI_CMD_EPITOOL_BLOCK_TABLE_H

#include "block/meta_codec.h"

struct block_row { struct block_meta meta; uint64_t bytes; };
void block_table(
    struct buf *b, const struct block_row *rows, size_t n, bool header, bool human_readable);

#endif
