/* tsdb_create_blocks.c — `epitool tsdb create-blocks-from`: blocks of samples that a file holds. */
#include "cmd/epitool/backfill.h"
#include "cmd/epitool/block_table.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/progress_bar.h"
#include "cmd/epitool/tsdb_commands.h"
#include "ingest/exposition.h"
#include "model/opt_kinds.h"

struct create_args {
    int source;
    str file, dir;
    bool human, quiet;
    int64_t max_block_ms;
    str_list labels;
};
static const char *const sources[] = { "openmetrics", NULL };
static const struct opt create_opts[] = {
    { "human-readable", .help = "Print human readable values.", OPT_AT(struct create_args, human),
        &opt_bool, .letter = 'r' },
    { "quiet", .help = "Do not print created blocks.", OPT_AT(struct create_args, quiet), &opt_bool,
        .letter = 'q' },
    { "max-block-duration", "DURATION",
        "Longest time that a block may span; less than 2h counts as 2h.",
        OPT_AT(struct create_args, max_block_ms), &opt_duration, .def = "0s",
        .flags = OPT_HIDDEN },
    { "label", "NAME=VALUE", "Label for each series; may be given more than once.",
        OPT_AT(struct create_args, labels), &opt_strs },
    { "source", .help = "What the file is: openmetrics.", OPT_AT(struct create_args, source),
        &opt_choice, .flags = OPT_ARG | OPT_REQUIRED, .choices = sources },
    { "file", .help = "The file.", OPT_AT(struct create_args, file), &opt_str,
        .flags = OPT_ARG | OPT_REQUIRED },
    { "dir", .help = "The folder for the blocks.", OPT_AT(struct create_args, dir), &opt_str,
        .def = "data/", .flags = OPT_ARG },
};

struct printing { const struct create_args *args; bool header; };

static void print_block(void *ctx, const struct block_meta *m, uint64_t bytes)
{
    struct printing *p = ctx;
    SCOPED(buf_fini) struct buf text = { 0 };
    if (p->args->quiet) return;
    block_table(&text, &(struct block_row){ *m, bytes }, 1, p->header, p->args->human);
    cmd_print(stdout, buf_view(&text));
    p->header = false;
}

static errc labels_read(
    struct label **out, const struct create_args *a, struct arena *mem, struct err *e)
{
    struct label *all = arena_array(mem, a->labels.n, sizeof(*all));
    for (size_t i = 0; i < a->labels.n; i++)
        if (!str_cut(a->labels.at[i], '=', &all[i].name, &all[i].value))
            return err_set(e, ERR_BAD_INPUT, "expected KEY=VALUE got '%.*s'",
                STR_ARG(a->labels.at[i]));
    *out = all;
    return OK;
}

static errc create(const struct create_args *a, struct err *e)
{
    SCOPED(arena_fini) struct arena mem = { 0 };
    str text;
    struct label *labels;
    struct progress_bar bar;
    TRY(labels_read(&labels, a, &mem, e));
    TRY(cmd_read_file(arena_cstr(&mem, a->file), &mem, &text, e));
    uint8_t *page = arena_zalloc(&mem, text.n + EXPO_PADDING);
    if (text.n) memcpy(page, text.p, text.n);
    struct fs *fs = fs_real_new(a->dir);
    struct printing printing = { a, true };
    struct backfill_opts o = { .fs = fs, .page = page, .n = text.n,
        .max_block_ms = a->max_block_ms, .labels = labels, .n_labels = a->labels.n,
        .made = print_block, .ctx = &printing, .progress = &bar.base };
    errc rc = fs_mkdir(fs, S(""), e);
    if (rc != OK) rc = err_in(e, rc, "create output dir");
    progress_bar_begin(&bar);
    if (rc == OK) rc = backfill(&o, e);
    progress_bar_end(&bar);
    fs_free(fs);
    return rc;
}

int tsdb_create_blocks_run(int argc, char **argv)
{
    struct create_args a = { 0 };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    int code;
    if (tsdb_line(&a, create_opts, ARRAY_LEN(create_opts), "Make blocks of the samples of a file.",
            argc, argv, &run, &code)) {
        errc rc = create(&a, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
    }
    opts_fini(&run);
    return code;
}
