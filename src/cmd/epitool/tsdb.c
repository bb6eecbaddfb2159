/* tsdb.c — `epitool tsdb …`: which commands there are, and what they share. */
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/tsdb_commands.h"

static const struct cmd commands[] = {
    { "list", "[-r] [DIR]", "the blocks of a data folder", tsdb_list_run },
    { "analyze", "[--limit=N] [--extended] [--match=SELECTOR] [DIR [BLOCK]]",
        "churn, cardinality and chunks of a block", tsdb_analyze_run },
    { "dump", "[--min-time=MS] [--max-time=MS] [--match=SELECTOR]… [--format=F] [DIR]",
        "all samples, as they are read after an opening; the folder stays untouched",
        tsdb_dump_run },
    { "dump-openmetrics", "[--min-time=MS] [--max-time=MS] [--match=SELECTOR]… [DIR]",
        "the floats among them as OpenMetrics text", tsdb_dump_openmetrics_run },
    { "create-blocks-from", "[-r] [-q] [--label=N=V]… openmetrics FILE [DIR]",
        "blocks of the samples of a file", tsdb_create_blocks_run },
    { "bench", "write [--out=DIR] [--metrics=N] [--scrapes=N] [FILE]",
        "how fast samples are written here", tsdb_bench_run },
    { "verify", "[--format=text|json] [DIR]", "checks every byte, of a live folder, too",
        tsdb_verify_run },
    { "repair", "[--format=text|json] [DIR]",
        "sets aside what is damaged, keeps what survives", tsdb_repair_run },
    { "compact", "DIR BLOCK…", "merges blocks of a folder into one", tsdb_compact_run },
    { "backup", "[--url=URL] [--copy] DIR TARGET",
        "a copy that opens; a second one into the same target takes only what is new",
        tsdb_backup_run },
};

bool tsdb_line(void *out, const struct opt *table, size_t n, const char *about, int argc,
    char **argv, struct opts_run *run, int *code)
{
    return cmd_line(out, table, n, "tsdb", about, argc, argv, run, code);
}

errc tsdb_folder(struct fs **out, str dir, struct err *e)
{
    struct fs *fs = fs_real_new(dir);
    if (!fs_exists(fs, S(""))) {
        fs_free(fs);
        return err_set(e, ERR_NOT_FOUND, "%.*s: no such folder", STR_ARG(dir));
    }
    *out = fs;
    return OK;
}

static int tsdb_run(int argc, char **argv)
{
    static const struct cmd_group group = { "tsdb", "", commands, ARRAY_LEN(commands) };
    return cmd_group_run(&group, argc, argv);
}

const struct cmd cmd_tsdb = { "tsdb", "COMMAND …",
    "lists, shows, checks, mends, copies and makes data folders and their blocks", tsdb_run };
