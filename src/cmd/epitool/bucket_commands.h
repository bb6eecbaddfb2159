/* bucket_commands.h — the commands of `epitool bucket`.
 *
 * What        Each reads its own line, argv[0] being its name, with the flags that say where the
 *             bucket is.
 * Invariants  as cmd.h
 * Ownership   none
 * Threads     the main thread
 * Errors      as exit codes
 * Format      flags and names as `thanos tools bucket` has them
 */
#ifndef EPI_CMD_EPITOOL_BUCKET_COMMANDS_H
#define EPI_CMD_EPITOOL_BUCKET_COMMANDS_H

#include "base/opts.h"
#include "bucket/remote_block.h"

int bucket_ls_run(int argc, char **argv);
int bucket_inspect_run(int argc, char **argv);
int bucket_verify_run(int argc, char **argv);
int bucket_download_run(int argc, char **argv);
int bucket_upload_run(int argc, char **argv);
int bucket_mark_run(int argc, char **argv);

/* First in the struct of each command's arguments. */
struct bucket_where {
    str config, file;
};
#define BUCKET_WHERE_OPTS                                                                          \
    { "objstore.config", "YAML", "Where the bucket is, in Thanos' YAML.",                          \
        offsetof(struct bucket_where, config), &opt_str },                                         \
    {                                                                                              \
        "objstore.config-file", "FILE", "The same in a file.",                                     \
            offsetof(struct bucket_where, file), &opt_str                                          \
    }
MUST_USE errc bucket_where_open(struct bucket **out, const struct bucket_where *w, struct err *e);
MUST_USE errc bucket_ids(const str_list *words, ulid_list *out, struct err *e);

#endif
