/* compact.h — `epitool tsdb compact`: blocks of a folder into one.
 *
 * What        What the server's compactor does with blocks that it picked, for blocks that are
 *             named.
 * Invariants  the sources stay; the new block names them as its parents, so that the next opening
 *             removes them
 * Ownership   none
 * Threads     the main thread
 * Errors      as exit codes; the folder is locked meanwhile
 * Format      the new block's name on stdout
 */
#ifndef EPI_CMD_EPITOOL_COMPACT_H
#define EPI_CMD_EPITOOL_COMPACT_H

int compact_run(int argc, char **argv);

#endif
