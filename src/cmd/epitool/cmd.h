/* cmd.h — the commands of epitool.
 *
 * What        One entry a command in the table of main.c; a command sees its own arguments, name
 *             first.
 * Invariants  results on stdout, words on stderr; exit codes: 0 fine, 1 failed, 2 wrong usage, 3
 *             lint findings
 * Ownership   none
 * Threads     the main thread
 * Errors      as exit codes
 * Format      none
 */
#ifndef EPI_CMD_EPITOOL_CMD_H
#define EPI_CMD_EPITOOL_CMD_H

#include "base/arena.h"
#include "base/err.h"
#include "base/opts.h"

#include <stdio.h>

struct cmd { const char *name, *usage, *help; int (*run)(int argc, char **argv); };

extern const struct cmd cmd_bucket, cmd_check, cmd_conformance, cmd_iobench, cmd_promql,
    cmd_promqltest, cmd_query, cmd_tsdb, cmd_wal;

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
int cmd_usage(const struct cmd *c);                            /* says how to call it; EXIT_USAGE */
int cmd_failed(errc rc, const struct err *e);                  /* says why; EXIT_FAILED */
MUST_USE errc cmd_write(FILE *out, str s, struct err *e);
/* "warning: …", a line each on standard error */
void cmd_warnings(const str_list *words);
void cmd_print(FILE *out, str s);                              /* words nobody waits for */

/* Reads the line of `epitool GROUP COMMAND` by its table, argv[0] being the command. False: *code
 * is what to end with, help or what is wrong was printed. about: for --help. opts_fini(run) in any
 * case. */
MUST_USE bool cmd_line(void *out, const struct opt *table, size_t n, const char *group,
    const char *about, int argc, char **argv, struct opts_run *run, int *code);

/* Commands behind one word: `epitool GROUP COMMAND …`. */
struct cmd_group {
    const char *name, *usage; /* usage: of all of them, behind COMMAND */
    const struct cmd *at;
    size_t n;
};
int cmd_group_run(const struct cmd_group *g, int argc, char **argv);

/* A whole file, relative to where the program stands. */
MUST_USE errc cmd_read_file(const char *path, struct arena *a, str *out, struct err *e);

#endif
