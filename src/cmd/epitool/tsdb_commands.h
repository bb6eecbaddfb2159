/* tsdb_commands.h — the commands of `epitool tsdb`, one file each.
 *
 * What        Each reads its own line, argv[0] being its name.
 * Invariants  as cmd.h
 * Ownership   none
 * Threads     the main thread
 * Errors      as exit codes
 * Format      none
 */
#ifndef EPI_CMD_EPITOOL_TSDB_COMMANDS_H
#define EPI_CMD_EPITOOL_TSDB_COMMANDS_H

#include "base/opts.h"
#include "io/fs.h"

int tsdb_list_run(int argc, char **argv);
int tsdb_analyze_run(int argc, char **argv);
int tsdb_dump_run(int argc, char **argv);
int tsdb_dump_openmetrics_run(int argc, char **argv);
int tsdb_create_blocks_run(int argc, char **argv);
int tsdb_bench_run(int argc, char **argv);
int tsdb_verify_run(int argc, char **argv);
int tsdb_repair_run(int argc, char **argv);
int tsdb_compact_run(int argc, char **argv);
int tsdb_backup_run(int argc, char **argv);

/* Reads a line by its table. False: *code is what to end with, help or what is wrong was printed.
 * about: for --help. opts_fini(run) in any case. */
MUST_USE bool tsdb_line(void *out, const struct opt *table, size_t n, const char *about, int argc,
    char **argv, struct opts_run *run, int *code);

/* The folder that a user named, which has to be there. */
MUST_USE errc tsdb_folder(struct fs **out, str dir, struct err *e);

#endif
