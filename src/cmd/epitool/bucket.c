/* bucket.c — `epitool bucket …`: which commands there are, and what they share. */
#include "cmd/epitool/bucket_commands.h"
#include "cmd/epitool/cmd.h"
#include "config/objstore.h"

#include <stdlib.h>

static const struct cmd commands[] = {
    { "ls", "[--output=ids|wide|json]", "which blocks there are", bucket_ls_run },
    { "inspect", "", "what meta.json says of each block", bucket_inspect_run },
    { "verify", "[--deep] [BLOCK]…",
        "whether objects are those that meta.json names; with --deep every byte of them",
        bucket_verify_run },
    { "download", "[--dir=DIR] BLOCK…", "blocks into a data folder", bucket_download_run },
    { "upload", "--label=NAME=VALUE… [--dir=DIR] [BLOCK]…",
        "blocks of a data folder into the bucket", bucket_upload_run },
    { "mark", "--marker=FILE [--details=WORDS] [--remove] BLOCK…",
        "says that blocks are to be deleted, or not compacted, or not downsampled",
        bucket_mark_run },
};

static const char *env_get(const char *name) { return getenv(name); }

errc bucket_where_open(struct bucket **out, const struct bucket_where *w, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct bucket_config c;
    if (!w->config.n && !w->file.n)
        return err_set(e, ERR_BAD_INPUT, "no --objstore.config-file: where is the bucket?");
    TRY(objstore_load(&c, w->config, w->file, env_get, &a, e));
    return bucket_open(out, &c, e);
}

errc bucket_ids(const str_list *words, ulid_list *out, struct err *e)
{
    for (size_t i = 0; i < words->n; i++) {
        ulid id;
        if (!ulid_parse(words->at[i], &id))
            return err_set(e, ERR_BAD_INPUT, "'%.*s' is no block's name", STR_ARG(words->at[i]));
        vec_push(out, id);
    }
    return OK;
}

static int bucket_run(int argc, char **argv)
{
    static const struct cmd_group group = { "bucket", " --objstore.config-file=FILE", commands,
        ARRAY_LEN(commands) };
    return cmd_group_run(&group, argc, argv);
}

const struct cmd cmd_bucket = { "bucket", "COMMAND …",
    "lists, checks, fetches, brings and marks blocks in object storage", bucket_run };
