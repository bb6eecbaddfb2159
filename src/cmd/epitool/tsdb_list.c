/* tsdb_list.c — `epitool tsdb list`: the blocks of a data folder by their times. */
#include "block/block.h"
#include "cmd/epitool/block_table.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/tsdb_commands.h"

#include <stdlib.h>

struct list_args { str dir; bool human; };
static const struct opt list_opts[] = {
    { "human-readable", .help = "Print human readable values.", OPT_AT(struct list_args, human),
        &opt_bool, .letter = 'r' },
    { "dir", .help = "The data folder.", OPT_AT(struct list_args, dir), &opt_str, .def = "data/",
        .flags = OPT_ARG },
};

typedef VEC(struct block *) block_row_list;

static int by_time(const void *a, const void *b)
{
    const struct block_meta *x = block_meta(*(struct block *const *)a),
                            *y = block_meta(*(struct block *const *)b);
    if (x->mint != y->mint) return x->mint < y->mint ? -1 : 1;
    return ulid_cmp(x->id, y->id);
}

/* What is damaged is left out: *e says the first of it, when all are looked at. */
static errc open_all(block_row_list *all, struct fs *fs, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    errc first = OK;
    struct block_opts o = { .fs = fs, .backend = IO_AUTO };
    fs_entries entries = { 0 };
    errc rc = fs_list(fs, S(""), &a, &entries, e);
    for (size_t i = 0; rc == OK && i < entries.n; i++) {
        struct block *b = NULL;
        struct err why = { 0 };
        ulid id;
        if (!entries.at[i].is_dir || !ulid_parse(entries.at[i].name, &id)) continue;
        errc opened = block_open(&b, &o, entries.at[i].name, &why);
        if (opened == OK) vec_push(all, b);
        else if (first == OK) first = err_set(e, opened, "%s", why.msg);
        else cmd_warnings(&(str_list){ .at = &(str){ (const uint8_t *)why.msg, why.n }, .n = 1 });
    }
    vec_fini(&entries);
    if (all->n) qsort(all->at, all->n, sizeof(*all->at), by_time);
    return rc == OK ? first : rc;
}

static errc list(const struct list_args *a, struct err *e)
{
    SCOPED(buf_fini) struct buf text = { 0 };
    struct fs *fs = NULL;
    block_row_list all = { 0 };
    VEC(struct block_row) rows = { 0 };
    TRY(tsdb_folder(&fs, a->dir, e));
    errc rc = open_all(&all, fs, e);
    for (size_t i = 0; i < all.n; i++)
        vec_push(&rows, ((struct block_row){ *block_meta(all.at[i]), block_bytes(all.at[i]) }));
    block_table(&text, rows.at, rows.n, true, a->human);
    errc put = cmd_write(stdout, buf_view(&text), rc == OK ? e : NULL);
    rc = rc == OK ? put : rc;
    for (size_t i = 0; i < all.n; i++) block_unref(all.at[i]);
    vec_fini(&all);
    vec_fini(&rows);
    fs_free(fs);
    return rc;
}

int tsdb_list_run(int argc, char **argv)
{
    struct list_args a = { 0 };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    int code;
    if (tsdb_line(&a, list_opts, ARRAY_LEN(list_opts), "List the blocks of a data folder.", argc,
            argv, &run, &code)) {
        errc rc = list(&a, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
    }
    opts_fini(&run);
    return code;
}
