/* tsdb_backup.c — `epitool tsdb backup`: a second data folder of one that a server may be using. */
#include "base/path.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/progress_bar.h"
#include "cmd/epitool/server_api.h"
#include "cmd/epitool/tsdb_commands.h"
#include "tsdb/backup.h"

#include <limits.h>
#include <unistd.h>

struct backup_args { str dir, target, url; bool copy; };
static const struct opt backup_line[] = {
    { "url", "URL",
        "The server that has the folder: it is asked for a snapshot (it needs "
        "--web.enable-admin-api), and that is copied.",
        OPT_AT(struct backup_args, url), &opt_str },
    { "copy", .help = "Copy files that could have a second name.",
        OPT_AT(struct backup_args, copy), &opt_bool },
    { "dir", .help = "The data folder.", OPT_AT(struct backup_args, dir), &opt_str,
        .flags = OPT_ARG | OPT_REQUIRED },
    { "target", .help = "The copy.", OPT_AT(struct backup_args, target), &opt_str,
        .flags = OPT_ARG | OPT_REQUIRED },
};

/* From the root, without a slash at either end: as a file system of "/" has it. */
static str rooted(struct arena *a, str path)
{
    char cwd[PATH_MAX];
    str here = str_z(getcwd(cwd, sizeof(cwd)) ? cwd : "/");
    str all = path_clean(a, path.n && path.p[0] == '/' ? path : path_join(a, here, path));
    return str_from(all, 1);
}

/* The server's snapshot: its folder. */
static errc snapshot(
    const struct backup_args *a, str dir, struct arena *mem, str *out, struct err *e)
{
    struct server_api *api = NULL;
    json_t *data = NULL;
    TRY(server_api_open(&api, a->url, NULL, NULL, 0, e));
    errc rc = server_api_ask(api, S("/api/v1/admin/tsdb/snapshot"), true,
        S("with_out_of_order=true"), &data, e);
    const char *name = rc == OK ? json_string_value(json_object_get(data, "name")) : NULL;
    if (rc == OK && !name) rc = err_set(e, ERR_BAD_INPUT, "the server names no snapshot");
    if (rc == OK) *out = arena_fmt(mem, "%.*s/snapshots/%s", STR_ARG(dir), name);
    json_decref(data);
    server_api_close(api);
    return rc;
}

static errc write_backup(
    const struct backup_args *a, struct fs *fs, struct backup_counts *n, struct err *e)
{
    SCOPED(arena_fini) struct arena mem = { 0 };
    struct progress_bar bar;
    str dir = rooted(&mem, a->dir);
    struct backup_opts o = {
        .fs = fs, .from = dir, .to = rooted(&mem, a->target), .copy = a->copy, .progress = &bar.base
    };
    if (a->url.n) TRY(snapshot(a, dir, &mem, &o.from, e));
    if (a->url.n) o.data = dir;
    progress_bar_begin(&bar);
    errc rc = backup_write(n, &o, e);
    progress_bar_end(&bar);
    if (!a->url.n) return rc;
    errc left = fs_remove_tree(fs, o.from, rc == OK ? e : NULL);
    return rc != OK ? rc : left;
}

int tsdb_backup_run(int argc, char **argv)
{
    struct backup_args a = { 0 };
    struct opts_run run = { 0 };
    struct backup_counts n = { 0 };
    struct err e = { 0 };
    int code;
    if (tsdb_line(&a, backup_line, ARRAY_LEN(backup_line),
            "Copy a data folder, also of a running server, into one that opens. Into the same "
            "target again: only what is new.",
            argc, argv, &run, &code)) {
        struct fs *fs = fs_real_new(S("/"));
        errc rc = write_backup(&a, fs, &n, &e);
        fs_free(fs);
        if (rc != OK) code = cmd_failed(rc, &e);
        else
            printf("blocks: %" PRIu64 ", of which %" PRIu64 " are new; %" PRIu64
                   " are gone\nfiles: %" PRIu64 " with a second name, %" PRIu64 " copied (%" PRIu64
                   " bytes)\n",
                n.blocks, n.blocks_new, n.blocks_gone, n.files_linked, n.files_copied,
                n.bytes_copied);
        if (rc == OK && n.blocks_kept)
            printf("kept: %" PRIu64 " whole here, of which the folder has only what a repair could "
                   "save (backup.kept names them)\n", n.blocks_kept);
    }
    opts_fini(&run);
    return code;
}
